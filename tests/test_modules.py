"""A folder of JavaScript modules, served as one script."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from inference.settings import ROOT
from web.pages.assets import FOLDER, assets
from web.pages.modules import IMPORT, joined

MODULES = {
    "main.js": """// Greets.
import { greet } from "./greeting.js";
import { state } from "./state.js";

/** @type {(name: string) => void} */
const say = (name) => { console.log(greet(name)); };
say("Ada"); // a comment that stays
state.said += 1;
console.log(state.said);
""",
    "greeting.js": """import { state } from "./state.js";
const say = "Hello"; // main.js has a name like this
/** two
    lines */
export const greet = (name) => { state.said += 1; return `${say}, ${name}`; };
""",
    "state.js": "export const state = { said: 0 };\nconsole.log('once');\n",
}


def written(folder: Path, **changed: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {**MODULES, **{f"{stem}.js": text for stem, text in changed.items()}}.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def test_modules_run_once_each_after_what_they_import(tmp_path: Path) -> None:
    script = joined(written(tmp_path / "greet"))
    assert not re.search("Greets|@type|lines", script)
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here to run the script by; the browser tests run the desk's")
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["once", "Hello, Ada", "2"]


def test_code_after_a_comment_in_its_line_stays(tmp_path: Path) -> None:
    """A cast at the start of a line: what follows it is no part of the next comment."""
    cast = "/** @type {any} */ (globalThis).first = 1;\nglobalThis.second = 2;\n/** three */\nglobalThis.third = 3;\n"
    script = joined(written(tmp_path / "cast", state=MODULES["state.js"] + cast))
    assert re.findall(r"(first|second|three|third)", script) == ["first", "second", "third"]


def test_circles_and_what_is_not_known_are_refused(tmp_path: Path) -> None:
    circle = 'import { greet } from "./greeting.js";\nexport const state = { said: greet("Bo") };\n'
    with pytest.raises(ValueError, match=r"main\.js → greeting\.js → state\.js → greeting\.js"):
        joined(written(tmp_path / "circle", state=circle))
    for line in ("export default 1;", 'import state from "./state.js";', 'export * from "./state.js";'):
        with pytest.raises(ValueError, match=r"other/greeting\.js: “(ex|im)port"):
            joined(written(tmp_path / "other", greeting=MODULES["greeting.js"] + line))


def test_the_desk_has_the_modules_of_its_page_in_their_order() -> None:
    """Each of them is served, after those that it imports."""
    described = re.findall(r"^- `(\w+\.js)` ", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.MULTILINE)
    assert set(described) == {file.name for file in (FOLDER / "desk").iterdir()}
    served = re.findall(r'^modules\["(\w+\.js)"\] = ', assets()["desk.js"].decode(), re.MULTILINE)
    assert sorted(served) == sorted(described)
    for name in described:
        imported = [other for _, other in IMPORT.findall((FOLDER / "desk" / name).read_text("utf-8"))]
        assert set(imported) <= set(described[: described.index(name)]), name
