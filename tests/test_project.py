"""The project's frame: pins, README, and what a fresh machine would be told."""

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from parts import some

from inference.settings import Settings
from ledger.store import Store
from ledger.verify import verify
from profiling.benchmarks.serving import served
from profiling.documents.figures import BLOCK, DOCUMENTS, README, with_figures
from web.security import authentication, passwords, throttle
from web.security.login import AT_ONCE

ROOT = Path(__file__).resolve().parent.parent


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def serving() -> list[Requirement]:
    """What requirements.txt pins."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line[:1].isalpha()]


def everything() -> list[Requirement]:
    """And what pyproject.toml's extras and groups pin."""
    listed = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    return serving() + [Requirement(one) for pins in listed for one in pins]


def test_space_runs_the_pinned_gradio() -> None:
    """The Spaces front matter names the same gradio as requirements.txt."""
    front = README.read_text(encoding="utf-8").split("---")[1]
    version = re.search(r"^sdk_version: (\S+)$", front, re.MULTILINE)
    assert version
    assert f"gradio=={version[1]}" in {str(pin) for pin in serving()}


def test_every_requirement_is_pinned_exactly() -> None:
    """Every package is pinned to one version, the same wherever it is named."""
    assert len(serving()) >= 10
    for pin in some(everything()):
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), pin


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_one_xgboost_on_every_system(system: str) -> None:
    """Exactly one of the two xgboost distributions is asked for, whatever the system."""
    asked = [
        pin.name
        for pin in serving()
        if pin.name.startswith("xgboost") and (pin.marker is None or pin.marker.evaluate({"sys_platform": system}))
    ]
    assert len(asked) == 1


def test_one_xgboost_is_installed() -> None:
    """The environment holds one xgboost distribution, never both: they overwrite each other's files."""
    names = {str(found.metadata["Name"]).lower().replace("_", "-") for found in distributions()}
    assert len(names & {"xgboost", "xgboost-cpu"}) == 1


def test_lock_holds_the_pins() -> None:
    """Each lock holds the versions that are pinned, each with hashes; that of everything includes that of serving."""
    small, large = locked("requirements.lock"), locked("requirements-dev.lock")
    for pins, lock in ((serving(), small), (everything(), large)):
        for pin in some(pins):
            assert lock.get(pin.name.lower().replace("_", "-")) == str(pin.specifier)[2:], pin
    assert small.items() < large.items()


def locked(name: str) -> dict[str, str]:
    """Package -> version of a lock."""
    text = (ROOT / name).read_text()
    found = dict(re.findall(r"^([a-z0-9-]+)==([0-9][^ ]*)", text, re.MULTILINE))
    assert text.count("--hash=sha256:") >= len(found) > 50
    return found


@pytest.mark.parametrize("file", DOCUMENTS, ids=str)
def test_figures_are_the_sources(file: Path) -> None:
    """Every figure block of a document is what its script writes today."""
    text = file.read_text(encoding="utf-8")
    assert text.count("<!-- figures:") == len(BLOCK.findall(text)) > 0
    assert with_figures(text) == text, "run: python -m profiling.documents.figures"


def test_readme_snippet_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The README's first Python example runs as it stands and prints a decision."""
    monkeypatch.setenv("TENFOLD_LOG", str(tmp_path / "predictions.jsonl"))
    exec(compile(snippets("python")[0], "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out.split()[0] in {"approve", "refer", "decline"}


def test_the_readme_is_short() -> None:
    """Two pictures, two commands, one call, one curl, three figures; the tables are in documents of their own."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert [text.count(part) for part in ("\n![", "    make ", "```python", "```sh")] == [2, 2, 1, 1]


def snippets(language: str, file: Path = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_readme_calls_of_the_api_run(tmp_path: Path) -> None:
    """curl, httpx and gradio_client, as they stand there but for the port, against the real app; all is recorded."""
    environment = {"TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3")}
    curl, calls = snippets("sh"), snippets("python", ROOT / "docs" / "api.md")
    assert (len(curl), len(calls)) == (1, 2)
    first, listing, waiting = snippets("sh", ROOT / "docs" / "api.md")
    assert [first] == curl
    with served([sys.executable, "app.py"], "/readyz", environment) as url:

        def said(command: list[str], text: str) -> str:
            text = text.replace("http://127.0.0.1:7860", url)
            done = subprocess.run([*command, text], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            return done.stdout

        answers = [said(["sh", "-c"], curl[0]) for _ in range(2)]
        assert answers[0] == answers[1]
        assert json.loads(answers[0])["recorded"]["seq"] == 2
        lists = said(["sh", "-c"], listing).replace("}{", "}\n{").splitlines()
        declined, overridden, named = map(json.loads, lists)
        assert declined == overridden == {"items": [], "next": None}
        assert [item["seq"] for item in named["items"]] == [2]
        referred, counts = map(json.loads, said(["sh", "-c"], waiting).replace("}{", "}\n{").splitlines())
        assert (referred["items"], referred["count"]) == ([], 0)
        assert len(counts["months"]) == 12
        for call in calls:
            assert said([sys.executable, "-c"], call).split()[0] in {"approve", "refer", "decline"}
    with closing(Store(tmp_path / "ledger.sqlite3")) as ledger:
        assert verify(ledger).records == 1 + 1 + 2 + 1


def test_no_data_file_is_too_large() -> None:
    """No committed data file reaches 9 MB."""
    for folder in ("models", "docs"):
        for file in some((ROOT / folder).rglob("*")):
            assert not file.is_file() or file.stat().st_size < 9_000_000, file


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/asvs.md"])
def test_security_names_tests_that_are_there(page: str) -> None:
    """Every test that the page names exists; `::name` is of the file named before it."""
    named = re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", (ROOT / page).read_text("utf-8"))
    named = [(file, test) for file, test in named if file or test]
    assert len(named) > 20
    file = ""
    for found, test in named:
        file = found or file
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text("utf-8"), test


# How many requirements of levels 1 and 2 each section of the ASVS 5.0.0 has; they come first in each.
ASVS = {
    "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3, "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3,
}  # fmt: skip


def test_every_asvs_requirement_has_a_row() -> None:
    """Each once and in order; one that is met names a test or the section that documents it; SECURITY.md adds up."""
    page = (ROOT / "docs/asvs.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d[\d., ]+) \| [^|]+ \| (met|partly|not met|n/a) \| ([^|]+) \|$", page, re.M)
    found = [(id, state) for ids, state, _ in rows for id in ids.split(", ")]
    assert [id for id, _ in found] == [f"{section}.{at + 1}" for section, count in ASVS.items() for at in range(count)]
    assert [ids for ids, state, why in rows if state == "met" and not re.search(r"::test_|\.py`|\" above", why)] == []
    states = Counter(state for _, state in found)
    summary = (
        f"{states['met']} met, {states['partly']} partly, {states['not met']} not met, {states['n/a']} not applicable"
    )
    security = " ".join((ROOT / "SECURITY.md").read_text("utf-8").split())
    assert f"{len(found)} requirements" in security
    assert summary in security
    assert [id for id, state in found if state == "not met" and id not in security] == []


def test_asvs_page_has_the_figures_of_the_code() -> None:
    """Timeouts, waits, lengths and lists as they are."""
    page = " ".join((ROOT / "docs/asvs.md").read_text("utf-8").split())
    long = sum(len(word) >= passwords.SHORTEST for word in passwords.common())
    for said in (
        f"{authentication.IDLE // 60} minutes without use and after {authentication.ABSOLUTE // 3600} hours",
        f"{throttle.FREE + 1} tries are free, then each failure doubles the wait from 2 seconds up to "
        f"{throttle.LONGEST_WAIT:.0f} seconds",
        f"For a name from all networks together {throttle.FREE_ANYWHERE + 1} tries are free; for one network with any "
        f"names {throttle.FREE_OF_NETWORK + 1}, so",
        f"a network waits {throttle.LONGEST_SHARED_WAIT:.0f} seconds at most. The counts last "
        f"{throttle.FORGOTTEN:.0f} seconds",
        f"At most {AT_ONCE} passwords",
        f"{passwords.SHORTEST} to {passwords.LONGEST} characters of any kind, at least {passwords.FEWEST_DIFFERENT} of",
        f"`web/security/passwords.py`: {', '.join(passwords.OURS)}.",
        f"the list holds {long} of twelve characters and more; of {len(passwords.common()) - long:,} shorter words",
        f"`TENFOLD_LOG_DAYS`, {Settings(release=ROOT).log_days} |",
    ):
        assert said in page, said
