"""What is said about two profiles: groups, movers, and the command."""

import cProfile
import json
import re
from pathlib import Path

import pytest

from profiling.__main__ import main
from profiling.study.names import BUILTIN, TENFOLD, BadGroups, groups, package, read_groups, title
from profiling.study.prof_reader import Cost, Entry, Function, Profile, read_profile
from profiling.study.report import aligned, movers

SITE = "/home/ada/.venv/lib/python3.11/site-packages"
OURS = Function("/home/ada/shop/shop/till.py", 3, "add")
THEIRS = Function(f"{SITE}/pandas/core/frame.py", 9, "__init__")
INSTANCE = Function("~", 0, "<built-in method builtins.isinstance>")


def entry(own: float, **callers: tuple[Function, float]) -> Entry:
    shares = {caller: Cost(1, 1, seconds, seconds) for caller, seconds in callers.values()}
    return Entry(Cost(1, 1, own, own), shares)


def made(*entries: tuple[Function, Entry]) -> Profile:
    return Profile("made.prof", dict(entries))


def test_time_in_c_is_its_callers() -> None:
    """By their shares of its own time; what nobody calls is Python's."""
    called = entry(4.0, a=(OURS, 1.0), b=(THEIRS, 3.0))
    alone = Function("~", 0, "<built-in method builtins.exec>")
    found = groups(made((OURS, entry(1.0)), (THEIRS, entry(2.0)), (INSTANCE, called), (alone, entry(0.5))))
    assert found == pytest.approx({"pandas": 5.0, "shop": 2.0, BUILTIN: 0.5})


def test_functions_in_c_that_call_each_other_end() -> None:
    """A circle of them has no caller to be counted to."""
    other = Function("~", 0, "<built-in method builtins.repr>")
    found = groups(made((INSTANCE, entry(1.0, a=(other, 1.0))), (other, entry(1.0, a=(INSTANCE, 1.0)))))
    assert found == pytest.approx({BUILTIN: 2.0})


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        (f"{SITE}/six.py", "ensure", "six"),
        (r"C:\Python312\Lib\site-packages\xgboost\core.py", "predict", "xgboost"),
        (r"C:\Python312\Lib\json\encoder.py", "encode", "standard library"),
        ("/usr/lib/python3.12/json/encoder.py", "encode", "standard library"),
        ("<frozen importlib._bootstrap>", "_load", "standard library"),
        ("/home/ada/shop/shop/till.py", "add", "shop"),
        ("~", "<built-in method numpy.array>", "numpy"),
        ("~", "<method 'reduce' of 'numpy.ufunc' objects>", "numpy"),
        ("~", "<method 'append' of 'list' objects>", None),
        ("~", "<built-in method builtins.len>", None),
        ("<string>", "__new__", "<string>"),
    ],
)
def test_packages(file: str, name: str, expected: str | None) -> None:
    """Of installations of any system, of functions in C, and of code without a file."""
    assert package(Function(file, 0 if file == "~" else 1, name)) == expected


def test_groups_are_a_file(tmp_path: Path) -> None:
    """The first pattern that is found says the group; what none is found in goes by its package."""
    file = tmp_path / "mine.toml"
    file.write_text('[groups]\ntill = "shop/till"\nframes = ["core/frame", "numpy"]\nrest = "shop"\n')
    group = read_groups(file)
    other = Function("/home/ada/shop/shop/stock.py", 3, "add")
    ufunc = Function("~", 0, "<method 'reduce' of 'numpy.ufunc' objects>")
    assert [group(one) for one in (OURS, THEIRS, other, ufunc)] == ["till", "frames", "rest", "frames"]
    assert group(Function("/usr/lib/python3.12/json/encoder.py", 1, "encode")) == "standard library"
    assert group(INSTANCE) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1", "no table [groups]"),
        ('[groups]\na = "("', "'(' is no regular expression"),
        ("[groups]\na = 3", "needs a regular expression or a list"),
        ("[groups", "mine.toml"),
    ],
)
def test_a_file_of_groups_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With the file and what is wrong with it."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BadGroups, match=re.escape(said)):
        read_groups(file)


def test_a_function_is_the_same_from_another_python() -> None:
    """Neither the installation's folder nor the line keeps two profiles from being compared."""
    other = Function("/opt/py3.12/lib/python3.12/site-packages/pandas/core/frame.py", 700, "__init__")
    (found,) = movers(made((THEIRS, entry(2.0))), made((other, entry(0.5))), 5)
    assert found == ("pandas/core/frame.py: __init__", 2.0, 0.5)
    assert title(Function("~", 0, "<function f at 0x7f00>")) == "<function f>"


def test_columns_are_aligned() -> None:
    """Names to the left, figures to the right, long names cut at the front."""
    text = aligned(("f", "s"), [("a" * 80, "1.0"), ("b", "10.0")], widest=10)
    assert text.split("\n") == ["f              s", "…aaaaaaaaa   1.0", "b           10.0"]


def profiled(file: Path, times: int) -> Path:
    profiler = cProfile.Profile()
    profiler.runcall(lambda: [json.dumps({"a": at}, indent=1) for at in range(times)])
    profiler.dump_stats(file)
    return file


def test_two_programs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Totals, groups and movers on a terminal; the same in one HTML file that loads nothing."""
    before, after = profiled(tmp_path / "a.prof", 400), profiled(tmp_path / "b.prof", 100)
    html = tmp_path / "<b>.html"
    assert main(["report", str(before), str(after), "--html", str(html)]) == 0
    told = capsys.readouterr().out
    calls = [read_profile(one).calls for one in (before, after)]
    assert f"{calls[0]:,}" in told
    assert f"{calls[0] / calls[1]:.2f}" in told
    assert "standard library" in told
    assert "json/encoder.py: _iterencode_dict" in told
    page = html.read_text("utf-8")
    assert "_iterencode_dict" in page
    assert not [part for part in ("http:", "https:", "src=", "@import", "url(") if part in page]


def test_what_a_profile_says_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function may be called anything."""
    space: dict[str, object] = {}
    code = compile("def named(): return sum(range(20000))", "<script>alert(1)</script>", "exec")
    exec(code, space)  # noqa: S102 - our own line
    profiler = cProfile.Profile()
    profiler.runcall(space["named"])  # type: ignore[arg-type]
    profiler.dump_stats(tmp_path / "<img src=x>.prof")
    file = str(tmp_path / "<img src=x>.prof")
    assert main(["report", file, file, "--html", str(tmp_path / "page.html")]) == 0
    assert "page.html" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<script") == 2  # the facts, and the file's own
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert r"\u003cscript>alert(1)" in page


def test_a_file_that_is_no_profile_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.prof"
    broken.write_bytes(b"c" + bytes(20))
    assert main(["report", str(broken), str(broken)]) == 2
    told = capsys.readouterr()
    assert "broken.prof: byte 1: found a code object" in told.err
    assert not told.out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make profile` on few loans."""
    out = tmp_path_factory.mktemp("out")
    assert main(["profile", "--loans", "12", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_both_paths_are_profiled_for_every_release(folder: Path) -> None:
    """The old path spends its time in pandas, the new one uses no pandas; every stage of a score is there."""
    found = sorted(file.name for file in folder.glob("*.prof"))
    assert found[:1] + found[-1:] == ["after-consumer.prof", "before.prof"]
    before, after = (
        groups(read_profile(folder / f"{name}.prof"), read_groups(TENFOLD)) for name in ("before", "after")
    )
    # Beside XGBoost, whose threads wait for processors where the machine is busy.
    assert next(name for name in before if name != "xgboost") == "pandas"
    assert "pandas" not in after
    assert {"validation", "row", "xgboost", "policy", "log", "scorer"} <= after.keys()
    facts = re.search(r'id="facts">(.+?)</script>', (folder / "report.html").read_text("utf-8"))
    assert facts is not None
    assert [one["name"] for one in json.loads(facts[1])["profiles"]] == ["before", "after"]
