"""Erasing under faults: killed at every step, readers in the way, a full disk. In the end it is in no byte."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_cases import bytes_of, writing_to
from scale import report, times
from test_ledger_faults import needs_strace

from inference.settings import ROOT
from ledger.__main__ import main
from ledger.ledger import Ledger
from ledger.readonly import ReadOnlyStore
from ledger.records import Draft
from ledger.verify import Verification, verify

CALLS = ("pwrite64", "fdatasync", "ftruncate", "unlink")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A closed ledger of old cases, of which every second is on hold; what may not be left of the others."""
    file = tmp_path_factory.mktemp("whole") / "ledger.sqlite3"
    with writing_to(file) as write:
        for at in range(40):
            write.decide("2022-01-01", write.score("2022-01-01", f"{at * 37 % 101:03}-canary"))
            if at % 2:
                write.hold("2022-01-01", f"{at * 37 % 101:03}-canary")
    names = [f"{at * 37 % 101:03}-canary" for at in range(0, 40, 2)]
    return file, [
        f"{part}-{name}".encode() for name in names for part in ("answer", "reference", "justification", "key")
    ]


def looked_at(file: Path) -> Verification:
    with closing(ReadOnlyStore(file)) as opened:
        return verify(opened)


def left(file: Path, canaries: list[bytes]) -> int:
    content = bytes_of(file)
    return sum(one in content for one in canaries)


def purging(file: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "ledger", "--ledger", str(file), "purge", "--before", "2024-01-01"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("call", CALLS)
def test_a_purge_killed_at_any_step(
    whole: tuple[Path, list[bytes]], tmp_path: Path, call: str, record_property: Any
) -> None:
    """Killed (-9) at its n-th write, sync, cut or removal: the ledger is whole, `verify` says what is unfinished, and
    the next command finishes it; then nothing erased is in any byte."""
    needs_strace()
    source, canaries = whole
    counted = Path(shutil.copy(source, tmp_path / "counted.sqlite3"))
    traced = tmp_path / "calls"
    assert purging(counted, "strace", "-f", "-o", str(traced), "-e", f"trace={call}").returncode == 0
    assert left(counted, canaries) == 0
    calls = traced.read_text().count(f"{call}(")
    assert calls
    steps = range(1, calls + 1, max(1, calls // times(3, 60)))
    killed = unfinished = 0
    for at in steps:
        file = Path(shutil.copy(source, tmp_path / f"ledger-{at}.sqlite3"))
        inject = ["strace", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={at}"]
        killed += purging(file, *inject).returncode != 0
        found = looked_at(file)
        assert found.problem is None
        unfinished += found.unclean is not None
        if found.erased and found.unclean is None:
            assert left(file, canaries) == 0  # it says that it is clean, and it is
        assert purging(file).returncode == 0
        assert (looked_at(file).problem, looked_at(file).unclean) == (None, None)
        assert left(file, canaries) == 0
    assert killed
    report(f"erasure_kill_{call}", record_property, kills=killed, found_unfinished=unfinished, erased_bytes_left=0)


def test_a_server_goes_on_while_a_reader_holds_up_a_purge(
    whole: tuple[Path, list[bytes]], tmp_path: Path, record_property: Any
) -> None:
    """No record waits for the reader; the purge says that it is not finished, and the server finishes it afterwards."""
    source, canaries = whole
    file = Path(shutil.copy(source, tmp_path / "ledger.sqlite3"))
    waits = []
    with closing(Ledger(file)) as ledger, closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        command = [
            sys.executable,
            "-m",
            "ledger",
            "--ledger",
            str(file),
            "purge",
            "--before",
            "2024-01-01",
            "--wait",
            "3",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            at = 0
            while process.poll() is None:
                started = time.perf_counter()
                ledger.append(Draft("scored", f"during-{at}", {"by": "api"}, {"answers": {}}))
                waits.append(time.perf_counter() - started)
                at += 1
                time.sleep(0.005)
            said = process.communicate()[1]
        assert (process.returncode, said[:13]) == (3, "NOT YET CLEAN")
        assert left(file, canaries) == len(canaries)
        reader.execute("COMMIT")
        ledger._clean_at = 0.0
        ledger.append(Draft("scored", "afterwards", {}))
        while ledger._cleaner.unclean() is not None:
            time.sleep(0.05)
        assert left(file, canaries) == 0
    assert looked_at(file).problem is None
    report(
        "erasure_reader", record_property, records_meanwhile=len(waits), refused=0,
        slowest_ms=round(max(waits) * 1e3), erased_bytes_left=0,
    )  # fmt: skip


def test_a_disk_without_room_to_write_the_file_anew(
    whole: tuple[Path, list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger is whole, the command says what is not finished and that the disk is full; with room it finishes."""
    source, canaries = whole
    place = tmp_path / "small"
    place.mkdir()
    size = f"size={source.stat().st_size // 1024 + 100}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        file = Path(shutil.copy(source, place / "ledger.sqlite3"))
        status = main(["--ledger", str(file), "purge", "--before", "2024-01-01", "--wait", "0"])
        assert status in (2, 3)
        assert "full" in capsys.readouterr().err
        assert looked_at(file).problem is None
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        assert main(["--ledger", str(file), "purge", "--before", "2024-01-01"]) == 0
        assert left(file, canaries) == 0
        assert looked_at(file).unclean is None
    finally:
        subprocess.run(["umount", str(place)], check=True)
