"""The performance log: no acknowledged line is lost, and no failure of it stops a score."""

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parts import Time

from inference.measure import Clock
from inference.perflog import PerformanceLog
from inference.settings import ROOT

DAY = 86_400
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
TODAY = "scores-2026-11-22.jsonl"


@pytest.fixture
def time() -> Time:
    return Time(NOON)


@pytest.fixture
def open_log(tmp_path: Path, time: Time) -> Callable[..., PerformanceLog]:
    """Opens a log in a folder that is not there yet."""
    return lambda keep_days=0: PerformanceLog(tmp_path / "log" / "scores.jsonl", keep_days, Clock(utc=time.utc))


def entries(file: Path) -> list[dict[str, Any]]:
    """The entries of a log file; a line that is no whole JSON, or a line missing its newline, fails."""
    first, *lines = file.read_text().split("\n")
    assert first == ""
    return [json.loads(line) for line in lines]


# --- what a line is ---


def test_a_line_is_the_entry_after_its_utc_time(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """An entry is one JSON line with the UTC time first, in the file of its UTC day; the folder is made."""
    assert open_log().write({"id": "a", "ms": {"total": 0.5}, "cpu": None, "text": "é\n"})
    (entry,) = entries(tmp_path / "log" / TODAY)
    assert list(entry) == ["time", "id", "ms", "cpu", "text"]
    assert entry == {
        "time": "2026-11-22T12:00:00.000000Z", "id": "a", "ms": {"total": 0.5}, "cpu": None, "text": "é\n"
    }  # fmt: skip


def test_an_entry_is_on_disk_when_write_returns(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """Nothing is kept back in a buffer: each line is in the file at once."""
    log = open_log()
    for count in range(1, 20):
        log.write({"n": count})
        assert len(entries(tmp_path / "log" / TODAY)) == count


def test_the_time_has_microseconds(open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time) -> None:
    """Entries of one second tell their fractions, and the next second is the next second."""
    log = open_log()
    for fraction in (0.25, 0.5, 1.125):
        time.now = NOON + fraction
        log.write({})
    times = [entry["time"][11:] for entry in entries(tmp_path / "log" / TODAY)]
    assert times == ["12:00:00.250000Z", "12:00:00.500000Z", "12:00:01.125000Z"]


@pytest.mark.parametrize(
    "entry",
    [{"a": object()}, {"a": 10**400}, {"a": "\ud800"}, {"a": {1, 2}}],
    ids=["object", "huge", "surrogate", "set"],
)
def test_an_entry_that_is_no_json_is_dropped(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, entry: dict[str, Any]
) -> None:
    """What JSON cannot hold is counted and told, and raises nothing."""
    log = open_log()
    assert log.write(entry) is False
    assert log.dropped == 1
    assert log.write({"id": "next"})
    assert [set(found) for found in entries(tmp_path / "log" / TODAY)] == [{"time", "dropped"}, {"time", "id"}]


# --- days ---


def test_each_utc_day_has_its_file_and_the_link_points_at_todays(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time
) -> None:
    """At midnight UTC the next file begins, and the log's own name is a link to it."""
    log, link = open_log(), tmp_path / "log" / "scores.jsonl"
    for day in range(3):
        time.now = NOON + day * DAY
        log.write({"day": day})
        assert link.is_symlink()
        assert [entry["day"] for entry in entries(link)] == [day]
    time.now = datetime(2026, 11, 24, 23, 59, 59, 999_000, UTC).timestamp()
    log.write({"day": "last moment"})
    names = sorted(file.name for file in (tmp_path / "log").iterdir())
    assert names == ["scores-2026-11-22.jsonl", "scores-2026-11-23.jsonl", "scores-2026-11-24.jsonl", "scores.jsonl"]
    assert [entry["day"] for entry in entries(link)] == [2, "last moment"]


@pytest.mark.parametrize(("keep_days", "kept"), [(0, range(10)), (3, range(6, 10)), (100, range(10))])
def test_old_days_are_removed(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time, keep_days: int, kept: range
) -> None:
    """When a day begins, days further back than the setting go; 0 keeps all. Files of other names stay."""
    log = open_log(keep_days)
    (tmp_path / "log").mkdir()
    others = ["scores-2020-99-99.jsonl", "other-2020-01-01.jsonl", "scores-2020-01-01.txt", "scores.jsonl.old"]
    for name in others:
        (tmp_path / "log" / name).touch()
    for day in range(10):
        time.now = NOON + day * DAY
        assert log.write({"day": day})
    days = [f"scores-2026-{'11' if day < 9 else '12'}-{(22 + day - 1) % 30 + 1:02d}.jsonl" for day in kept]
    assert sorted(file.name for file in (tmp_path / "log").iterdir()) == sorted([*days, *others, "scores.jsonl"])


def test_a_file_of_the_links_name_is_left_alone(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """Where somebody's own file has the log's name, it stays as it is and the day's file is written all the same."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "scores.jsonl").write_text("mine")
    assert open_log().write({"id": "a"})
    assert (tmp_path / "log" / "scores.jsonl").read_text() == "mine"
    assert len(entries(tmp_path / "log" / TODAY)) == 1


# --- several writers ---


@pytest.mark.slow
def test_threads_share_a_log(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """8 threads x 500 entries: every line whole, each once."""
    log = open_log()
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: log.write({"n": n, "pad": "x" * (n % 700)}), range(4000)))
    assert written == [True] * 4000
    assert sorted(entry["n"] for entry in entries(tmp_path / "log" / TODAY)) == list(range(4000))


WRITERS = """
import os, random, sys, time
from pathlib import Path
from inference.perflog import PerformanceLog

path, kills, each = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
pad = "x" * int(sys.argv[4])
chance = random.Random(7)

def start(name):
    # A process of its own that writes entries, and says of each that it was acknowledged.
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os.set_blocking(reading, False)
        return child, reading, []
    log, n = PerformanceLog(path, 0), 0
    while n != each:
        if log.write({"id": f"{name}-{n}", "pad": pad}):
            os.write(writing, f"{name}-{n}\\n".encode())
        n += 1
    os._exit(0)

def drain(writer):
    # Read what it has acknowledged; False at the end.
    try:
        while data := os.read(writer[1], 1 << 20):
            writer[2].append(data)
    except BlockingIOError:
        return True
    return False

def end(writer):
    os.waitpid(writer[0], 0)
    drain(writer)
    os.close(writer[1])
    print(b"".join(writer[2]).decode(), end="")

writers = [start(n) for n in range(4)]
for kill in range(kills):
    moment = time.perf_counter() + chance.random() * 0.004
    while time.perf_counter() < moment:
        for writer in writers:
            drain(writer)
    victim = writers.pop(chance.randrange(4))
    os.kill(victim[0], 9)
    end(victim)
    writers.append(start(4 + kill))
for writer in writers:
    if each < 0:
        os.kill(writer[0], 9)
    else:
        while drain(writer):
            pass
    end(writer)
"""


def run_writers(path: Path, kills: int, each: int, pad: int) -> list[str]:
    """Ids that four processes at a time acknowledged, killed and replaced one by one, or until each has done."""
    arguments = [str(path), str(kills), str(each), str(pad)]
    done = subprocess.run([sys.executable, "-c", WRITERS, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_processes_share_a_log(tmp_path: Path) -> None:
    """4 processes x 2,000 entries in one file: every line whole, none lost, none twice."""
    acknowledged = run_writers(tmp_path / "scores.jsonl", 0, 2000, 350)
    (file,) = tmp_path.glob("scores-*.jsonl")
    assert len(acknowledged) == 8000
    assert sorted(entry["id"] for entry in entries(file)) == sorted(acknowledged)


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_line(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """4 processes write, 200 times one of them is killed at a random moment: each acknowledged line is there once.

    A kill can cut a line at the end of a memory page; long lines here, so that it does. What was cut spoils no
    other line, though three processes go on writing into the same file.
    """
    acknowledged = run_writers(tmp_path / "scores.jsonl", 200, -1, 1500)
    found: Counter[str] = Counter()
    cut = 0
    for file in tmp_path.glob("scores-*.jsonl"):
        for line in filter(None, file.read_bytes().split(b"\n")):
            try:
                found[json.loads(line)["id"]] += 1
            except ValueError:
                cut += 1
        file.unlink()  # hundreds of megabytes
    assert len(acknowledged) > 2000
    assert not [name for name in acknowledged if found[name] != 1]
    assert set(found.values()) == {1}
    assert cut <= 204  # at most one for each process killed
    record_property("lines acknowledged by writers killed with kill -9", len(acknowledged))
    record_property("lines that a kill cut short", cut)


def test_a_line_cut_short_spoils_no_other(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """Half a line, left by a process that died while this one had the file open, leaves the next one whole."""
    log = open_log()
    for n in range(3):
        assert log.write({"n": n})
        with (tmp_path / "log" / TODAY).open("ab") as other:
            other.write(b'\n{"n": "half a li')
    assert open_log().write({"n": 3})
    lines = (tmp_path / "log" / TODAY).read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines if line.endswith("}")] == [0, 1, 2, 3]


# --- failures ---


def test_a_full_disk_drops_counts_and_tells(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """While the disk is full lines are dropped, counted and warned of once; the first line after tells how many."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / TODAY).symlink_to("/dev/full")  # every write fails with ENOSPC
    log = open_log()
    assert [log.write({"n": n}) for n in range(5)] == [False] * 5
    assert log.dropped == 5
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    (tmp_path / "log" / TODAY).unlink()
    time.now += 1
    assert log.write({"n": 5})
    assert log.write({"n": 6})
    told = [
        {name: value for name, value in entry.items() if name != "time"} for entry in entries(tmp_path / "log" / TODAY)
    ]
    assert told == [{"dropped": 5}, {"n": 5}, {"n": 6}]
    assert log.dropped == 5


SHORT = """
import resource, sys
from pathlib import Path
from inference.perflog import PerformanceLog

log = PerformanceLog(Path(sys.argv[1]), 0)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as on a full disk: first a short write, then none
print([log.write({"n": n, "pad": "x" * 300}) for n in range(6)])
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(log.dropped, log.write({"n": 6}), log.dropped)
"""


def test_a_write_that_was_cut_short_is_dropped_and_told(tmp_path: Path) -> None:
    """A file that may grow no further cuts a line: it counts as dropped, and the lines around it are whole."""
    done = subprocess.run(
        [sys.executable, "-c", SHORT, str(tmp_path / "scores.jsonl")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[True, True, False, False, False, False]", "4 True 4"]
    (file,) = tmp_path.glob("scores-*.jsonl")
    _, one, two, cut, told, after = file.read_text().split("\n")
    assert [json.loads(line)["n"] for line in (one, two, after)] == [0, 1, 6]
    assert json.loads(told)["dropped"] == 4
    assert cut.startswith('{"time"')
    assert not cut.endswith("}")


def test_a_folder_that_cannot_be_made_drops_and_recovers(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in place of the folder drops lines without an error; once it is gone, the log goes on within a second."""
    (tmp_path / "log").write_text("in the way")
    log = open_log()
    assert [log.write({"n": n}) for n in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    (tmp_path / "log").unlink()
    time.now += 1
    assert log.write({"n": 3})
    assert entries(tmp_path / "log" / TODAY)[0]["dropped"] == log.dropped == 3


@pytest.mark.parametrize("path", ["/", "/dev/null/scores.jsonl", "/proc/scores.jsonl", "\0", "x" * 300])
def test_a_path_that_cannot_be_used_stops_nothing(tmp_path: Path, path: str) -> None:
    """Whatever the setting says, writing raises nothing: the line is dropped and counted."""
    log = PerformanceLog(tmp_path / path, 30)
    assert log.write({"n": 1}) is False
    assert log.dropped == 1


def test_a_file_moved_away_is_noticed(open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time) -> None:
    """When the day's file was moved or removed, the next second's line begins a new one; nothing is lost."""
    log, file, away = open_log(), tmp_path / "log" / TODAY, tmp_path / "away"
    log.write({"n": 0})
    file.rename(away)
    time.now += 1
    log.write({"n": 1})
    file.unlink()
    time.now += 1
    log.write({"n": 2})
    assert [entry["n"] for entry in entries(away)] == [0]
    assert [entry["n"] for entry in entries(file)] == [2]


def test_a_file_put_in_the_place_of_one_moved_away_is_noticed(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, time: Time
) -> None:
    """When another process has made the day's file anew, lines go there, not into the one that was moved."""
    log, file, away = open_log(), tmp_path / "log" / TODAY, tmp_path / "away"
    log.write({"n": 0})
    file.rename(away)
    open_log().write({"n": 1})
    time.now += 1
    log.write({"n": 2})
    assert [entry["n"] for entry in entries(away)] == [0]
    assert [entry["n"] for entry in entries(file)] == [1, 2]


def test_a_closed_log_opens_again(open_log: Callable[..., PerformanceLog], tmp_path: Path) -> None:
    """Closing gives the file back, twice is once, and a later write goes on after what is there."""
    log = open_log()
    before = len(os.listdir("/proc/self/fd"))
    log.write({"n": 0})
    assert len(os.listdir("/proc/self/fd")) == before + 1
    log.close()
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before
    log.write({"n": 1})
    assert [entry["n"] for entry in entries(tmp_path / "log" / TODAY)] == [0, 1]
    log.close()


def test_a_warning_holds_no_entry(
    open_log: Callable[..., PerformanceLog], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the log warns of is its own trouble, never what it was to write."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "log").write_text("in the way")
    log = open_log()
    log.write({"id": "CANARY", "bad": object()})
    log.write({"id": "CANARY"})
    assert caplog.text
    assert "CANARY" not in caplog.text


def test_a_pipe_that_nobody_reads_holds_up_no_score(
    open_log: Callable[..., PerformanceLog], time: Time, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where one stands in the place of a day's file, lines are dropped, which is said."""
    folder = tmp_path / "log"
    folder.mkdir()
    os.mkfifo(folder / TODAY)
    log = open_log()
    assert log.write({"id": "a"}) is False
    assert log.dropped == 1
    assert "lines are dropped until it can be written" in caplog.text
    (folder / TODAY).unlink()
    time.now += 1
    assert log.write({"id": "b"}) is True
    log.close()
    assert [one.get("id") or one["dropped"] for one in entries(folder / TODAY)] == [1, "b"]
