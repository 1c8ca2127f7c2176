"""Reports as HTML: markup in any text stays text, nothing is loaded, and the facts are those of the profiles."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, get_origin, get_type_hints

import pytest
from jinja2 import StrictUndefined
from planted_markup import MARKUP, Planted, sample

from inference.settings import ROOT
from profiling.__main__ import main
from profiling.benchmarks.peers_installed import library
from profiling.study import log_views, views
from profiling.study.facts import facts, matched
from profiling.study.pages import FOLDER, environment, render
from profiling.study.prof_reader import Cost, Entry, Function, Profile

VIEWS = [
    kind
    for module in (views, log_views)
    for kind in vars(module).values()
    if isinstance(kind, type) and "template" in vars(kind)
]


def test_every_page_has_a_view() -> None:
    """Of the templates one is the base of the others; none marks a text as safe."""
    files = {file.name for file in FOLDER.glob("*.html")}
    assert {kind.template for kind in VIEWS} == files - {"page.html"}  # type: ignore[attr-defined]
    made = environment()
    assert made.autoescape is True
    assert made.undefined is StrictUndefined
    for file in sorted(FOLDER.iterdir()):
        source = file.read_text("utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup|innerHTML|insertAdjacent|eval\(", source), file.name
        assert not re.search(r"https?:(?!//www.w3.org/2000/svg)|src=|url\(|@import|fetch\(|XMLHttp", source), file.name


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.template)
def test_markup_in_any_text_stays_text(kind: type[Any], full: bool) -> None:
    """In elements, attributes and the script's facts."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if get_origin(hint) is not ClassVar}
    facts_ = {"name": [MARKUP, "</script><b id=planted>", "<!--"]}
    view = kind(**{name: facts_ if name == "facts" else sample(hint, full) for name, hint in hints.items()})
    read = Planted()
    page = render(view)
    read.feed(page)
    read.close()
    assert not read.found
    assert not read.open
    assert read.texts > 0 or not full
    assert "</script><b" not in page
    assert "<!--" not in page
    if view.template == "plot.html":
        assert page.startswith("<svg")


def profile(name: str, *entries: tuple[Function, Cost, dict[Function, Cost]]) -> Profile:
    return Profile(name, {function: Entry(cost, callers) for function, cost, callers in entries})


def test_functions_of_two_profiles_are_matched() -> None:
    """By file from the package on, and name; several of one name by their order if both have as many, else by line."""
    site = "/a/lib/python3.11/site-packages"
    other = "/b/lib/python3.12/site-packages"
    cost = Cost(1, 1, 1.0, 1.0)
    one, same = Function(f"{site}/p/q.py", 10, "f"), Function(f"{other}/p/q.py", 12, "f")
    inits = [Function(f"{site}/p/q.py", line, "__init__") for line in (20, 40)]
    moved = [Function(f"{other}/p/q.py", line, "__init__") for line in (25, 45)]
    lonely = [Function(f"{site}/p/q.py", line, "<lambda>") for line in (60, 70)]
    fewer = Function(f"{other}/p/q.py", 70, "<lambda>")
    first, second = matched(
        [
            profile("a", *((function, cost, {}) for function in (one, *inits, *lonely))),
            profile("b", *((function, cost, {}) for function in (same, *moved, fewer))),
        ]
    )
    assert first[one] == second[same]
    assert [first[function] for function in inits] == [second[function] for function in moved]
    assert second[fewer] == first[lonely[1]]
    assert first[lonely[0]] not in second.values()


def test_a_function_that_moved_is_matched_by_its_name() -> None:
    """Where it is the only one of that name without a match on both sides; not a lambda, an __init__, or one in C."""
    cost = Cost(1, 1, 1.0, 1.0)
    old = [
        Function("/x/app_before.py", line, name) for line, name in enumerate(("predict", "<lambda>", "__init__", "a"))
    ]
    new = [
        Function("/x/app_after.py", line, name) for line, name in enumerate(("predict", "<lambda>", "__init__", "a"))
    ]
    first, second = matched(
        [
            profile("a", *((function, cost, {}) for function in (*old, Function("~", 0, "sum")))),
            profile("b", *((function, cost, {}) for function in (*new, Function("/x/more.py", 1, "a")))),
        ]
    )
    assert {function.name for function, number in second.items() if number in first.values()} == {"predict"}


def test_the_facts_are_those_of_the_profile(tmp_path: Path) -> None:
    """Calls, own and cumulative time, callers, and boxes that refer to functions that are there."""
    main_, work = Function("/x/a.py", 1, "main"), Function("/x/a.py", 5, "work")
    found = facts(
        [
            profile(
                "a",
                (main_, Cost(1, 1, 0.5, 2.0), {}),
                (work, Cost(3, 3, 1.5, 1.5), {main_: Cost(3, 3, 1.5, 1.5)}),
            )
        ]
    )
    names = found["functions"]["name"]
    (drawn,) = found["profiles"]
    at = names.index("work")
    assert drawn["figures"][at] == (3, 1.5, 1.5)
    assert drawn["callers"] == {at: [(names.index("main"), 3, 1.5, 1.5)]}
    assert [names[one] for one in drawn["boxes"]["function"]] == ["main", "work"]
    assert drawn["boxes"]["seconds"] == [2.0, 1.5]
    assert (drawn["all"], drawn["listed"], drawn["covered"]) == (2, 2, 1.0)
    json.dumps(found)


@pytest.mark.slow
def test_a_profile_of_many_functions_keeps_those_that_matter() -> None:
    """And says how many are left out, and what they hold."""
    entries: dict[Function, Entry] = {}
    for line in range(1, 9000):
        seconds = 1.0 if line < 50 else 1e-6
        entries[Function("/x/a.py", line, f"f{line}")] = Entry(Cost(1, 1, seconds, seconds), {})
    (drawn,) = facts([Profile("many", entries)])["profiles"]
    assert drawn["all"] == 8999
    assert drawn["listed"] == len(drawn["figures"]) < 8999
    assert 0.99 < drawn["held"] <= 1
    assert drawn["covered"] > 0.95


def written(tmp_path: Path, name: str, seconds: float, calls: int = 10) -> Path:
    """A .prof of one function with that time."""
    import marshal

    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(marshal.dumps({("/x/a.py", 1, "work"): (calls, calls, seconds, seconds, {})}))
    return file


def test_noise_is_respected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One profile each is taken for ± 10 %, several by their extremes: it fails where the whole interval is over."""
    one = written(tmp_path, "one.prof", 1.0)
    assert main(["report", str(one), str(written(tmp_path, "a.prof", 1.25)), "--fail-over", "1.2"]) == 0
    assert "± 10% assumed for noise" in capsys.readouterr().out
    assert main(["report", str(one), str(written(tmp_path, "b.prof", 1.4)), "--fail-over", "1.2"]) == 1
    assert main(["report", str(one), str(tmp_path / "a.prof"), "--fail-over", "1.2", "--noise", "0.01"]) == 1
    for at, seconds in enumerate((1.0, 1.1, 1.3)):
        written(tmp_path, f"before/{at}.prof", seconds)
        written(tmp_path, f"after/{at}.prof", 1.4 * seconds)
        written(tmp_path, f"slow/{at}.prof", 2.5 * seconds)
    folders = [str(tmp_path / name) for name in ("before", "after", "slow")]
    capsys.readouterr()
    assert main(["report", folders[0], folders[1], "--fail-over", "1.2"]) == 0
    assert "3 and 3 profiles, the extremes" in capsys.readouterr().out
    assert main(["report", folders[0], folders[2], "--fail-over", "1.2"]) == 1


def test_a_faster_call_that_is_called_more_often_is_faster(tmp_path: Path) -> None:
    """A function is judged per call where the calls differ."""
    before, after = written(tmp_path, "a.prof", 1.0, 10), written(tmp_path, "b.prof", 2.0, 40)
    out = tmp_path / "change.json"
    assert (
        main(["report", str(before), str(after), "--function", "work", "--fail-over", "1.2", "--json", str(out)]) == 0
    )
    (change,) = json.loads(out.read_text())["changes"]
    assert change["what"] == "work, a call"
    assert change["ratio"] == pytest.approx(0.5)


@pytest.mark.slow
def test_reports_need_no_package_but_templates(tmp_path: Path) -> None:
    """Text needs nothing; HTML names the extra."""
    file = str(written(tmp_path, "a.prof", 1.0))
    bare = [sys.executable, "-S", "-m", "profiling", "report", file]
    done = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*bare, "--html", str(tmp_path / "a.html")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "jinja2 is not installed: run 'make setup', which installs all extras (or pip install -e '.[profile]')"
        in done.stderr
    )


@pytest.mark.slow
def test_profiling_imports_neither_web_nor_models_nor_numpy(tmp_path: Path) -> None:
    """Run, report and HTML start without Gradio, XGBoost, NumPy, and none of the desk."""
    (tmp_path / "shop.py").write_text("def work(): return sum(range(1000))\n")
    program = (
        "import sys; from profiling.__main__ import main\n"
        "assert main(['run', 'shop:work', '-n', '5', '--html', 'a.html', '-o', 'a.prof']) == 0\n"
        "assert main(['report', 'a.prof', 'a.prof', '--html', 'b.html']) == 0\n"
        "foreign = {'gradio', 'xgboost', 'numpy', 'pandas', 'web', 'models', 'ledger', 'matplotlib', 'sklearn'}\n"
        "sys.exit(', '.join(foreign & sys.modules.keys()) or None)"
    )
    environment_ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env=environment_
    )
    assert (done.returncode, done.stderr) == (0, "")


SAMPLED = """
def busy(n): return sum(i * i for i in range(n))
def outer(): return busy(30000)
def other(): return busy(10000)
def both(): return outer() + other()
"""


@pytest.mark.slow
def test_sampled_stacks_are_true_ones(tmp_path: Path) -> None:
    """`--sample` takes pyinstrument's samples, which tell apart what one function did under two callers.

    Sessions that it saved are read too. Without it, the command says how to install it.
    """
    (tmp_path / "shop.py").write_text(SAMPLED)
    folder = library("pyinstrument")
    path = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    command = [sys.executable, "-m", "profiling", "run", "shop:both", "-n", "60", "--sample", "--html", "a.html"]
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts_ = re.search(r'id="facts">(.+?)</script>', (tmp_path / "a.html").read_text("utf-8"))
    assert facts_ is not None
    found = json.loads(facts_[1])
    sampled = next(one for one in found["profiles"] if one["sampled"])
    assert sampled["stacks"]
    names = [found["functions"]["name"][at] for at in sampled["boxes"]["function"]]
    under = {
        names[sampled["boxes"]["parent"][at]]: sampled["boxes"]["seconds"][at]
        for at, name in enumerate(names)
        if name == "busy"
    }
    assert under["outer"] > 1.5 * under["other"]
    session = (
        "import shop, pyinstrument; p = pyinstrument.Profiler(0.001); p.start()\nfor _ in range(40): shop.both()\n"
    )
    program = f"{session}p.stop().save('a.pyisession')"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=path, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "profiling", "report", "a.pyisession"],
        cwd=tmp_path, env=path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shop.py: busy" in done.stdout
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "run pip install pyinstrument" in done.stderr
