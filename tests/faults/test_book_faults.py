"""A run of `tenfold book` killed at random moments: what is whole stays, and the end is that of a run nobody killed."""

import random
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

KILLS = times(20, 200)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_kills_at_random_moments(tmp_path: Path, form: str, record_property: Any) -> None:
    """SIGKILL, then --resume, until the run ends: every byte equals that of a run that was left alone."""
    chance = random.Random(form)
    rows = applications(3000)
    for at in range(0, len(rows), 7):
        rows[at] |= {"amount": -1.0}
    book = tmp_path / f"in.{form}"
    if form == "csv":
        book.write_text(csv_text(rows), "utf-8")
    else:
        parquet(book, rows, 50)

    def command(out: Path) -> list[str]:
        words = ["book", str(book), str(out), "--rows-a-part", "50", "--resume", "--json"]
        return [sys.executable, "-m", "inference", *words, "--release", str(newest("consumer"))]

    alone = tmp_path / "alone"
    with subprocess.Popen(command(alone), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begun = [time.monotonic() for _ in process.stdout]  # when each line came: the second as the parts begin
    length = begun[-1] - begun[1]
    assert process.returncode == 0
    assert len(list((alone / "parts").iterdir())) == 60
    expected = contents(alone)

    kills = ends = run = middles = 0
    while kills < KILLS // 2:
        out = tmp_path / f"out-{run}"
        process = subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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
    subprocess.run(command(out), capture_output=True, check=True)
    assert contents(out) == expected
    assert middles > 0
    report(f"book_{form}", record_property, kills=kills, with_some_parts_whole=middles, different=0)
