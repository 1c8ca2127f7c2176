"""A run of `tenfold book` that is killed, or whose disk fails: what is whole stays, and --resume ends as if nothing had
happened."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from book_files import applications, contents, csv_text, parquet
from parts import newest
from scale import report, times
from test_ledger_faults import failing, needs_strace

KILLS = times(20, 200)


def resumable(book: Path, out: Path, *words: str) -> list[str]:
    """A command that scores the book, or what is left of it, 50 rows a part."""
    words = ("book", str(book), str(out), "--rows-a-part", "50", "--resume", "--json", *words)
    return [sys.executable, "-m", "inference", *words, "--release", str(newest("consumer"))]


def book_of(n: int, file: Path) -> Path:
    """n applications, of which each seventh is refused."""
    rows = applications(n)
    for at in range(0, n, 7):
        rows[at] |= {"amount": -1.0}
    if file.suffix == ".parquet":
        return parquet(file, rows, 50)
    file.write_text(csv_text(rows), "utf-8")
    return file


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_kills_at_random_moments(tmp_path: Path, form: str, record_property: Any) -> None:
    """SIGKILL, then --resume, until the run ends: every byte equals that of a run that was left alone."""
    chance = random.Random(form)
    book = book_of(3000, tmp_path / f"in.{form}")
    alone = tmp_path / "alone"
    with subprocess.Popen(resumable(book, alone), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begun = [time.monotonic() for _ in process.stdout]  # when each line came: the second as the parts begin
    length = begun[-1] - begun[1]
    assert process.returncode == 0
    assert len(list((alone / "parts").iterdir())) == 60
    expected = contents(alone)

    kills = ends = run = middles = 0
    while kills < KILLS // 2:
        out = tmp_path / f"out-{run}"
        process = subprocess.Popen(resumable(book, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # "reading": the engine is opened next
        if chance.random() < 0.9:  # else before the folder is there
            process.stdout.readline()  # the parts that are whole already
            time.sleep(chance.uniform(0, length))
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            logs = len(list((out / "logs").glob("part-*.json"))) if (out / "logs").exists() else 0
            middles += 0 < logs < 60
        else:
            assert process.returncode == 0
        if (out / "_SUCCESS").exists():
            assert contents(out) == expected
            run, ends = run + 1, ends + 1
    subprocess.run(resumable(book, out), capture_output=True, check=True)
    assert contents(out) == expected
    assert middles > 0
    report(f"book_{form}", record_property, kills=kills, with_some_parts_whole=middles, different=0)


def test_nothing_gets_its_name_before_it_is_on_disk(tmp_path: Path) -> None:
    """Each file is synced, then renamed, then its folder synced; a part's log comes after the part."""
    needs_strace()
    calls, out = tmp_path / "calls", tmp_path / "out"
    strace = ["strace", "-f", "-y", "-s", "999", "-o", str(calls), "-e", "trace=fsync,rename"]
    command = resumable(book_of(300, tmp_path / "in.parquet"), out, "--workers", "1")
    subprocess.run([*strace, *command], capture_output=True, check=True)
    pattern = re.compile(rf'fsync\(\d+<({out}[^>]*)>|rename\("({out}[^"]*)", "([^"]*)"')
    synced, named, order = set[str](), dict[str, str](), list[str]()  # named: the folder that is not synced since
    for path, hidden, name in pattern.findall(calls.read_text("utf-8")):
        if path:
            synced.add(path)
            named = {file: folder for file, folder in named.items() if folder != path}
        else:
            assert hidden in synced
            if name.endswith(".json") or name.endswith("_SUCCESS"):
                assert not named  # what it speaks of has its name for good
            named[name] = str(Path(name).parent)
            order.append(Path(name).relative_to(out).as_posix())
    assert not named
    parts = [[f"rejected/part-{n:06}.csv", f"parts/part-{n:06}.parquet", f"logs/part-{n:06}.json"] for n in range(6)]
    assert order == ["manifest.json", *[file for part in parts for file in part], "rejected.csv", "_SUCCESS"]


def test_each_sync_fails_once(tmp_path: Path, record_property: Any) -> None:
    """The n-th fsync of a thread fails: the run says so in a line, and goes on where it stopped."""
    needs_strace()
    book, alone = book_of(200, tmp_path / "in.parquet"), tmp_path / "alone"
    subprocess.run(resumable(book, alone), capture_output=True, check=True)
    expected = contents(alone)
    places = random.Random(0).sample(range(1, 6 * 4 + 1), times(3, 6 * 4))  # of a thread: six a part
    for at in places:
        out = tmp_path / f"out-{at}"
        stopped = subprocess.run([*failing("fsync", "EIO", at), *resumable(book, out)], capture_output=True, text=True)
        assert stopped.returncode == 1
        assert "cannot be written: Input/output error" in stopped.stderr.splitlines()[-1]
        assert "Traceback" not in stopped.stderr
        assert not (out / "_SUCCESS").exists()
        for log in (out / "logs").glob("*.json"):
            assert log.read_bytes() == expected[f"logs/{log.name}"]
        subprocess.run(resumable(book, out), capture_output=True, check=True)
        assert contents(out) == expected
    report("book_fsync_eio", record_property, places=len(places), different=0)
