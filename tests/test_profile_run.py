"""A person's own function or script: timed, followed in memory, profiled, compared; each as a command would."""

import cProfile
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inference.settings import ROOT
from profiling.__main__ import main
from profiling.documents.worked_study import COMMANDS
from profiling.study.calls import BadTarget, Call, Target, calls, target, value
from profiling.study.equality import equal
from profiling.study.intervals import Interval, factors, quantile, ratio, resampled, verdict
from profiling.study.measuring import timed
from profiling.study.prof_reader import read_profile
from profiling.study.timings import BadTimings, Timings, load
from profiling.study.verdicts import of_timings

SHOP = """
import asyncio, json, threading

KEPT = []


class Till:
    def add(self, amount):
        return amount + 1


till = Till()


def slow(amount, income, term=12):
    for _ in range(40):
        json.dumps({str(at): 0.0 for at in range(60)})
    return {"pd": amount / income, "term": term}


def quick(amount, income, term=12):
    return {"pd": amount / income, "term": term}


def wrong(amount, income, term=12):
    return {"pd": amount / income + (amount > 900), "term": term}


async def later(amount, income, term=12):
    await asyncio.sleep(0)
    return slow(amount, income, term)


def steps(count=3):
    yield from range(count)


async def later_steps(count=3):
    for at in range(count):
        yield at


def leaking():
    KEPT.append(bytes(2000))


def other_each_time():
    KEPT.append(1)
    return len(KEPT)


def in_threads():
    threads = [threading.Thread(target=slow, args=(1, 2)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def failing():
    raise FileNotFoundError(2, "No such file", "mine.txt")
"""
ROWS = "amount,income,term\n1000,2000,12\n500,3000,24\n800,1600,36\n"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a person's module and rows, where the commands are given."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "rows.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    before = [*sys.path]
    yield tmp_path
    sys.path[:] = before
    sys.modules.pop("shop", None)


@pytest.mark.slow
def test_a_function_is_timed_followed_and_profiled(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Quantiles with intervals, the first call apart, memory, and a profile of as many calls; options may come last."""
    command = ["run", "shop:slow", "--rows", "rows.csv", "-n", "30", "-o", "slow.prof", "--html", "slow.html"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert re.search(r"wall +[\d.,]+ .s \([\d.,]+ .s to [\d.,]+ .s\)", said)
    assert "30 calls without a profiler; in brackets 95 % intervals." in said
    assert re.search(r"The first call took .+; it and 2 more warmed up and are not counted", said)
    assert re.search(r"Memory: [\d.,]+ MB resident before, [\d.,]+ after, [\d.,]+ at most; a call takes", said)
    entries = read_profile(shop / "slow.prof").entries
    assert [entry.cost.calls for one, entry in entries.items() if one.name == "slow"] == [30]
    timings = load(shop / "slow.timings.json")
    assert len(timings.wall) == len(timings.cpu) == 30
    assert min(timings.wall) > 0
    assert timings.first > 0
    page = (shop / "slow.html").read_text("utf-8")
    assert "Without a profiler" in page
    assert '"slow"' in page


@pytest.mark.slow
def test_a_faster_one_is_told_by_intervals(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a profile that was kept: the timings beside it are compared; the other way round it fails."""
    rows = ["--rows", "rows.csv", "-n", "40"]
    assert main(["run", "shop:slow", *rows, "-o", "slow.prof"]) == 0
    files = ["--json", "change.json", "--markdown", "change.md", "--html", "page.html"]
    more = ["--against", "slow.prof", "--fail-over", "1.2", "-o", "quick.prof"]
    assert main(["run", "shop:quick", *rows, *more, *files]) == 0
    assert re.search(r"p50: faster by [\d,.]+(?: to [\d,.]+)? times", capsys.readouterr().out)
    change = json.loads((shop / "change.json").read_text())
    assert change["failed"] is False
    assert [one["what"] for one in change["changes"]] == ["p50", "CPU"]
    assert change["changes"][0]["low"] <= change["changes"][0]["ratio"] <= change["changes"][0]["high"] < 0.5
    assert "| p50 |" in (shop / "change.md").read_text()
    assert "faster by" in (shop / "page.html").read_text("utf-8")
    assert main(["run", "shop:slow", *rows, "--against", "quick.prof", "--fail-over", "1.2"]) == 1
    assert "too slow: p50 is slower by" in capsys.readouterr().err


@pytest.mark.slow
def test_a_function_of_a_profile_can_be_judged_alone(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name; per call where the calls differ; one that is not there is named, with those that are near."""
    rows = ["--rows", "rows.csv"]
    for count in ("20", "40"):
        assert main(["run", "shop:slow", *rows, "-n", count, "-o", f"{count}.prof"]) == 0
    capsys.readouterr()
    assert main(["report", "20.prof", "40.prof", "--function", "slow", "--fail-over", "5"]) == 0
    assert "slow, a call:" in capsys.readouterr().out
    assert main(["report", "20.prof", "40.prof", "--function", "slo", "--fail-over", "5"]) == 2
    assert "no function 'slo'; there are" in capsys.readouterr().err
    assert main(["report", "20.prof", "--fail-over", "5"]) == 2
    assert "needs something to compare" in capsys.readouterr().err


@pytest.mark.slow
def test_files_are_written_by_their_option_and_not_by_their_name(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markdown into change.txt, JSON into change.md; and with nothing to compare that is said, with status 2."""
    rows = ["--rows", "rows.csv", "-n", "10"]
    assert main(["run", "shop:slow", *rows, "-o", "slow.prof"]) == 0
    files = ["--markdown", "change.txt", "--json", "change.md"]
    assert main(["run", "shop:slow", *rows, "--against", "slow.prof", *files]) == 0
    assert (shop / "change.txt").read_text().startswith("### shop:slow")
    change = json.loads((shop / "change.md").read_text())["changes"][0]
    assert change["verdict"] in (shop / "change.txt").read_text()
    capsys.readouterr()
    for option in ("--markdown", "--json"):
        assert main(["run", "shop:slow", *rows, option, "alone.txt"]) == 2
        assert f"{option} needs something to compare with" in capsys.readouterr().err
    assert not (shop / "alone.txt").exists()


def test_factors_have_three_figures() -> None:
    """A ratio near 1 is told from 1, and one far from it is no power of ten."""
    assert factors(Interval(1.04, 1.004, 1.08)) == "× 1.00 to 1.08"
    assert factors(Interval(0.005, 0.00412, 0.0061)) == "× 0.00412 to 0.00610"
    assert factors(Interval(1500, 1234.4, 2000)) == "× 1,234 to 2,000"


@pytest.mark.slow
def test_two_functions_on_the_same_rows(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal results first, then in turn; both profiles are left."""
    command = ["before-after", "shop:slow", "shop.py:quick", "--rows", "rows.csv", "-n", "30", "--out", "kept"]
    assert main([*command, "--html", "page.html"]) == 0
    said = capsys.readouterr().out
    assert "30 each, over 3 rows" in said
    assert re.search(r"p50 +.+ faster by ", said)
    assert {file.name for file in (shop / "kept").iterdir()} == {
        "before.prof", "after.prof", "before.timings.json", "after.timings.json",
    }  # fmt: skip
    assert (
        main(["before-after", "shop:quick", "shop:slow", "--rows", "rows.csv", "-n", "30", "--fail-over", "1.5"]) == 1
    )


def test_each_quantile_has_its_own_figures() -> None:
    """p99 stands beside the ratio of p99, not beside that of the middle."""
    wall = [float(number) for number in range(1, 101)]
    before, after = Timings("a", wall, wall), Timings("b", [2 * seconds for seconds in wall], wall)
    for q in (0.5, 0.9, 0.99):
        change = of_timings(before, after, q=q)[0]
        assert change.before == pytest.approx(np.quantile(wall, q))
        assert change.after == pytest.approx(2 * np.quantile(wall, q))
        assert change.ratio.value == pytest.approx(2)


def test_functions_that_differ_are_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are counted, the first is named; it can be asked to go on."""
    command = ["before-after", "shop:slow", "shop:wrong", "--rows", "rows.csv", "-n", "6"]
    assert main(command) == 2
    assert "shop:slow and shop:wrong differ on 1 of 3 rows, first on row 1" in capsys.readouterr().err
    assert main([*command, "--unequal"]) == 0
    assert "differ on 1 of 3 rows" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "expected"), [("later", 0.5), ("steps", [0, 1, 2]), ("later_steps", [0, 1, 2])])
def test_coroutines_and_generators_run_to_their_end(name: str, expected: object) -> None:
    """Awaited on one loop, read to the end."""
    one = target(f"shop:{name}")
    result = one.call(Call((1, 2)) if name == "later" else Call())
    one.close()
    assert (result["pd"] if name == "later" else result) == expected


@pytest.mark.slow
def test_an_async_function_is_profiled(capsys: pytest.CaptureFixture[str]) -> None:
    """What it awaits is in its profile."""
    assert main(["run", "shop:later", "--rows", "rows.csv", "-n", "20"]) == 0
    assert re.search(r"shop.py: slow +20 ", capsys.readouterr().out)


@pytest.mark.slow
def test_other_threads_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """How many calls the profiler saw, of about how many there were; and that it mostly waited."""
    assert main(["run", "shop:in_threads", "-n", "10"]) == 0
    said = capsys.readouterr().out
    found = re.search(
        r"([\d,]+) of about ([\d,]+) calls are in the profile: the others ran in (\d+) other threads?", said
    )
    assert found is not None
    seen, of = (int(text.replace(",", "")) for text in found.groups()[:2])
    assert seen < of
    assert of - seen > 10 * 3 * 40  # json.dumps, in each thread, by itself


def test_what_a_call_leaves_behind_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """By tracemalloc: about 2 KB a call here."""
    assert main(["run", "shop:leaking", "-n", "60"]) == 0
    left = re.search(r"leaves ([\d.]+) KB", capsys.readouterr().out)
    assert left is not None
    assert 1.9 < float(left[1]) < 2.6


def test_the_most_memory_is_no_less_than_what_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    """Linux counts pages in batches, so that its peak can lag behind what is resident."""
    assert main(["run", "shop:leaking", "-n", "5"]) == 0
    memory = re.search(
        r"Memory: ([\d.,]+) MB resident before, ([\d.,]+) after, ([\d.,]+) at most", capsys.readouterr().out
    )
    assert memory is not None
    before, after, most = (float(text.replace(",", "")) for text in memory.groups())
    assert most >= max(before, after)


def test_a_function_that_gives_something_else_each_time_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on, and says so."""
    assert main(["run", "shop:other_each_time", "-n", "5"]) == 0
    assert "the same call gave another result, first on row 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop:slo", "nothing is called 'slo' in shop; there are slow"),
        ("shop:till", "a Till, which cannot be called"),
        ("nowhere:slow", "nowhere: no such module"),
        ("nowhere.py:slow", "nowhere.py: no such file"),
        ("shop", "name a function (package.module:function"),
    ],
)
def test_a_target_that_is_not_there_is_named(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what there is."""
    assert main(["run", name]) == 2
    assert said in capsys.readouterr().err


def test_methods_are_functions_too() -> None:
    """Of an object of the module."""
    assert target("shop:till.add").call(Call((2,))) == 3


def test_arguments_that_do_not_fit_are_said(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the function's own; before anything is run."""
    assert main(["run", "shop:slow"]) == 2
    assert "slow(amount, income, term=12): missing a required argument: 'amount'" in capsys.readouterr().err
    for name, content, said in (
        ("a.json", "[1, 2", "not one JSON value"),
        ("b.json", "3", "an object (arguments by name) or a list (in order) is needed"),
        ("c.json", '{"amount": 1, "incom": 2}', "incom"),
    ):
        (shop / name).write_text(content)
        assert main(["run", "shop:slow", "--args", name]) == 2
        assert said in capsys.readouterr().err
    assert main(["run", "shop:slow", "--rows", "none.csv"]) == 2
    assert "none.csv: No such file" in capsys.readouterr().err


def test_arguments_come_from_files(shop: Path) -> None:
    """JSON by name or in order; CSV by its header, with the mark that Excel puts before it; JSON lines."""
    (shop / "a.json").write_text('{"amount": 1, "income": 2}')
    (shop / "excel.csv").write_bytes(b"\xef\xbb\xbfamount,income\r\n1,2\r\n")
    (shop / "rows.jsonl").write_text('[1, 2]\n\n{"amount": 3, "income": 4}\n')
    function = target("shop:slow").function

    class Given:
        args: Path | None = None
        rows: Path | None = None

    given = Given()
    given.args = shop / "a.json"
    assert calls(given, [function]) == [Call((), {"amount": 1, "income": 2})]  # type: ignore[arg-type]
    given.args, given.rows = None, shop / "excel.csv"
    assert calls(given, [function]) == [Call((), {"amount": 1, "income": 2})]  # type: ignore[arg-type]
    given.rows = shop / "rows.jsonl"
    assert calls(given, [function]) == [Call((1, 2)), Call((), {"amount": 3, "income": 4})]  # type: ignore[arg-type]
    given.args = shop / "a.json"
    with pytest.raises(BadTarget, match="not both"):
        calls(given, [function])  # type: ignore[arg-type]
    assert [value(one) for one in ("1", "1.5", "true", "yes", "")] == [1, 1.5, True, "yes", ""]


def test_an_error_of_the_function_is_its_own() -> None:
    """It is not taken for one of ours."""
    with pytest.raises(FileNotFoundError, match=r"mine\.txt"):
        main(["run", "shop:failing"])


@pytest.mark.slow
def test_a_script_runs_in_processes_of_its_own(shop: Path) -> None:
    """All that follows its name is its own; its time, CPU and memory are those of the process."""
    (shop / "job.py").write_text("import sys, json\nprint('job', sys.argv[1:])\njson.dumps(list(range(20000)))\n")
    command = [sys.executable, "-m", "profiling", "run", "-n", "2", "-o", "job.prof", "job.py", "--html", "x"]
    done = subprocess.run(
        command, cwd=shop, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    assert done.stdout.count("job ['--html', 'x']") == 3  # twice timed, once profiled
    assert "2 runs without a profiler: too few for an interval." in done.stdout
    assert re.search(r"Memory: [\d.,]+ MB resident at most", done.stdout)
    assert any(one.name == "dumps" for one in read_profile(shop / "job.prof").entries)
    assert not (shop / "x").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say how much a process has had")
def test_a_scripts_memory_is_its_own(tmp_path: Path) -> None:
    """And not that of the profiler which begins it, which has three times as much as a small script."""
    script = tmp_path / "small.py"
    script.write_text(
        "kb = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        "open('had.txt', 'a').write(kb + '\\n')\n"
    )
    command = [sys.executable, "-m", "profiling", "run", "-n", "1", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=True)
    had = int((tmp_path / "had.txt").read_text().split()[0]) / 2**10  # without a profiler
    said = re.search(r"Memory: ([\d.]+) MB resident at most", done.stdout)
    assert said is not None
    assert had - 1 < float(said[1]) < had + 2  # Linux counts in batches


@pytest.mark.slow
def test_a_script_is_main_and_its_threads_are_counted(shop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What it defines can be pickled, it finds its own modules; what its threads did is said, and how it ended."""
    (shop / "job.py").write_text(
        "import pickle, sys, threading, shop\n"
        "class Loan: pass\n"
        "assert type(pickle.loads(pickle.dumps(Loan()))) is Loan\n"
        "assert not any('profiling' in entry for entry in sys.path[:1])\n"
        "thread = threading.Thread(target=shop.slow, args=(1, 2))\n"
        "thread.start()\nthread.join()\nsys.exit(3)\n"
    )
    assert main(["run", "-o", "job.prof", "job.py"]) == 0
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    assert re.search(
        r"[\d,]+ of about [\d,]+ calls are in the profile: the others ran in 1 other thread, which", printed.out
    )
    assert "The script ended with status 3." in printed.out
    assert any(function.name == "<module>" for function in read_profile(shop / "job.prof").entries)
    assert main(["run", "-o", "no/such/job.prof", "job.py"]) == 2
    assert "job.prof: cannot be written: No such file" in capfd.readouterr().err


@pytest.mark.slow
def test_a_closed_pipe_leaves_the_file(shop: Path) -> None:
    """`… | head` is no traceback, and what was to be written is."""
    command = [
        sys.executable,
        "-m",
        "profiling",
        "run",
        "shop:slow",
        "--rows",
        "rows.csv",
        "-n",
        "5",
        "--html",
        "a.html",
    ]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command, cwd=shop, stdout=writing, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (shop / "a.html").exists()


def test_a_file_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2."""
    assert main(["run", "shop:quick", "--rows", "rows.csv", "-n", "3", "--html", "no/such/folder.html"]) == 2
    assert "folder.html: cannot be written: No such file" in capsys.readouterr().err


def test_timings_of_another_kind_are_refused(shop: Path) -> None:
    """By name."""
    (shop / "a.timings.json").write_text("[]")
    with pytest.raises(BadTimings, match=r"a\.timings\.json: not timings"):
        load(shop / "a.timings.json")


def test_measuring_takes_the_functions_in_turn() -> None:
    """Each as often, on the same rows, after a warm-up."""
    order: list[tuple[str, object]] = []

    def named(name: str) -> Target:
        def call(given: Call) -> None:
            order.append((name, given.args[0]))

        return Target(name, call, call)

    made = [named("a"), named("b")]
    found, unlike = timed(made, [Call((1,)), Call((2,))], 4)
    assert not unlike
    assert [len(one.wall) for one in found] == [4, 4]
    assert order[-8:] == [(name, row) for row in (1, 2, 1, 2) for name in ("a", "b")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.1, False),
        (float("nan"), float("nan"), True),
        (True, 1, True),
        (True, 2, False),
        ([1, (2.0, "a")], [1, (2.0, "a")], True),
        ({"a": 1.0}, {"a": 1.0, "b": 2}, False),
        ("1", 1, False),
        (np.array([1.0, np.nan]), np.array([1.0 + 1e-9, np.nan]), True),
        (np.array([1.0, 2.0]), np.array([[1.0, 2.0]]), False),
        (np.float32(0.1), 0.1, True),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]}), True),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), False),
        (Interval(1, 2, 3), Interval(1, 2, 3), True),
    ],
)
def test_results_are_the_same_within_a_tolerance(one: object, other: object, same: bool) -> None:
    """Numbers, arrays, frames, and what is made of them."""
    assert equal(one, other) is same
    assert equal(other, one) is same


def test_objects_are_compared_by_what_they_hold() -> None:
    """Those that do not say themselves when they are equal."""

    class Score:
        def __init__(self, pd: float) -> None:
            self.pd = pd

    assert equal(Score(0.1), Score(0.1 + 1e-9))
    assert not equal(Score(0.1), Score(0.2))


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval(0.3, 0.29, 0.32), "faster by 3.1 to 3.4 times"),
        (Interval(3.3, 3.1, 3.4), "slower by 3.1 to 3.4 times"),
        (Interval(1.0, 0.98, 1.03), "unchanged"),
        (Interval(1.1, 0.8, 1.6), "cannot be told apart (0.80 to 1.60 times)"),
        (Interval(0.9, 0.85, 0.94), "faster by 1.06 to 1.18 times"),
    ],
)
def test_a_verdict_says_the_interval(interval: Interval, said: str) -> None:
    """Never a single number; what is too close is not called faster."""
    assert verdict(interval) == said


@pytest.mark.slow
def test_the_interval_of_a_ratio_holds_the_true_one() -> None:
    """In about 95 of 100 repetitions, of samples with a known ratio of medians."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(60):
        before, after = random.lognormal(0, 0.5, 150).tolist(), (0.5 * random.lognormal(0, 0.5, 150)).tolist()
        found = ratio(before, after)
        held += found.low <= 0.5 <= found.high
    assert held >= 53


def test_the_bootstrap_is_that_of_drawing_with_replacement() -> None:
    """Its median and spread agree with samples really drawn."""
    import random

    values = np.sort(np.random.default_rng(3).lognormal(0, 1, 400))
    drawn = np.sort(np.random.default_rng(4).choice(values, (4000, len(values))), axis=1)[:, round(0.9 * 400) - 1]
    found = resampled(values.tolist(), 0.9, random.Random(4), 4000)
    assert np.quantile(found, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(drawn, [0.025, 0.5, 0.975]), rel=0.05)
    assert quantile(values.tolist(), 0.3) == pytest.approx(np.quantile(values, 0.3))


def test_profiling_another_thread_is_switched_off_again() -> None:
    """The counter of other threads' calls does not stay behind."""
    assert main(["run", "shop:quick", "--rows", "rows.csv", "-n", "3"]) == 0
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(sys.getprofile()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert not isinstance(sys.getprofile(), cProfile.Profile)


def test_the_commands_of_the_worked_study_are_those_of_its_page() -> None:
    """What docs/profiling.md tells to type is what `profiling.documents.worked_study` runs, in its order."""
    page = (ROOT / "docs" / "profiling.md").read_text("utf-8")
    study = page.partition("## A study")[2].partition("\n## ")[0]
    assert re.findall(r"^    tenfold profile (.+)$", study, re.MULTILINE) == list(COMMANDS)
