"""The ledger under faults: processes killed, disks full, writes that fail, files cut, gone, locked, clocks moved."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledgers import small_disk
from parts import some
from scale import report, times

from inference.measure import Clock
from ledger import queries, store
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.records import Draft
from ledger.schema import VERSION
from ledger.store import Store
from ledger.verify import verify

WRITER = Path(__file__).with_name("ledger_writer.py")
A_LEDGER = 100  # kills, then a new one


def draft(name: str) -> Draft:
    return Draft("scored", name, {"pd": 0.25}, {"answers": {"amount": 1000}, "reference": name})


def ids(file: Path) -> list[str]:
    """Ids of all records; the ledger is verified first."""
    with closing(Store(file)) as opened:
        found = verify(opened)
        assert found.problem is None
        with opened.reading() as connection:
            return [one.header.id for one in queries.records(connection)]


class Writer:
    """A process that forks children which append until they are killed."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def run(self, file: Path, seconds: float) -> set[str]:
        """Start a child, kill it so long after its first record, and return what it had said to be on disk."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{file}\n".encode())
        said, child, killer = b"", 0, None
        while not said.endswith(b"dead\n"):
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            assert part, "the writer ended"
            said += part
            if not child and b"pid " in said:
                child = int(said.split(b"pid ")[1].split(b"\n")[0])
                killer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
                killer.start()
        assert killer
        killer.join()
        lines = said.decode().split("\n")
        return {line for line in lines if line and not line.startswith("pid ") and line != "dead"}

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def writer() -> Iterator[Writer]:
    opened = Writer()
    yield opened
    opened.close()


def test_kill_9_loses_nothing(writer: Writer, tmp_path: Path, record_property: Any) -> None:
    """Killed at random moments: every acknowledged record is there once, and the chain verifies after each restart."""
    kills = times(20, 3000)
    chance = random.Random(0)
    acknowledged = lost = duplicated = unacknowledged = 0
    known: set[str] = set()
    for at in range(kills):
        file = tmp_path / f"ledger-{at // A_LEDGER}.sqlite3"
        if at % A_LEDGER == 0:
            known = set()
        said = writer.run(file, chance.uniform(0.0, 0.12))
        known |= said
        acknowledged += len(said)
        Ledger(file).close()  # the restart; the first may come before the file was made
        found = Counter(ids(file))
        lost += len(known - found.keys())
        duplicated += sum(count > 1 for count in found.values())
        if at % A_LEDGER == A_LEDGER - 1 or at == kills - 1:
            unacknowledged += len(found.keys() - known - {"begun"})
    assert acknowledged > kills
    assert (lost, duplicated) == (0, 0)
    report(
        "ledger_kills", record_property, kills=kills, acknowledged=acknowledged, lost=lost, duplicated=duplicated,
        written_but_not_yet_acknowledged=unacknowledged,
    )  # fmt: skip


def once(file: Path, count: int, *before: str, limit: str = "") -> tuple[list[str], list[str]]:
    """What a process that appends some records says it wrote, and what it says failed."""
    command = [*before, sys.executable, str(WRITER), "--once", str(file), str(count)]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    failed = [line for line in lines if line.startswith(("failed", "unopened"))]
    return [line for line in lines if line not in failed], failed


def check_after(file: Path, written: list[str]) -> None:
    """What was acknowledged is there, the chain is whole, and the ledger takes records again, half made or not."""
    Ledger(file).close()
    found = ids(file)
    assert set(written) <= set(found)
    assert len(set(found)) == len(found)
    with closing(Ledger(file)) as again:
        again.append(draft("afterwards"))
    assert ids(file)[-1] == "afterwards"


def test_a_file_that_may_not_grow(tmp_path: Path, record_property: Any) -> None:
    """The kernel refuses every write beyond a limit, at ever other places: what fails is said to fail."""
    tries = times(6, 60)
    failures = 0
    for at in range(tries):
        file = tmp_path / f"ledger-{at}.sqlite3"
        written, failed = once(file, 40, limit=f"trap '' XFSZ; ulimit -f {4 + at * 120 // tries}")
        assert len(written) + len(failed) in (1, 40)
        failures += len(failed)
        check_after(file, written)
    assert failures
    report("ledger_limits", record_property, limits=tries, refused=failures, lost=0)


def test_a_full_disk(tmp_path: Path, record_property: Any) -> None:
    """A real file system that is full: nothing is acknowledged that is not there, and with room it goes on."""
    place = tmp_path / "small"
    with small_disk(place):
        file = place / "ledger.sqlite3"
        written, refused = [], 0
        with closing(Ledger(file)) as ledger:
            for at in range(1000):
                try:
                    written.append(ledger.append(draft(f"r{at}")).header.id)
                except LedgerUnavailable:
                    refused += 1
                    assert "full" in str(ledger.problem)
                    if refused == 3:
                        break
            subprocess.run(["mount", "-o", "remount,size=16m", str(place)], check=True)
            written.append(ledger.append(draft("with room again")).header.id)
            assert ledger.problem is None
        assert refused == 3
        assert ids(file)[1:] == written
        report("ledger_full_disk", record_property, written=len(written), refused=refused, lost=0)


def failing(call: str, error: str, at: int) -> list[str]:
    """A command before a command, so that its `at`-th call of a kind fails."""
    return ["strace", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={at}"]


def needs_strace() -> None:
    """Skip where the kernel's calls cannot be made to fail."""
    traced = (
        shutil.which("strace")
        and not subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode
    )
    if not traced:
        pytest.skip("strace is needed to make the kernel's calls fail, and may not trace here: apt-get install strace")


@pytest.mark.parametrize(
    ("call", "error"), [("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("fsync", "EIO")]
)
def test_each_write_fails_once(tmp_path: Path, record_property: Any, call: str, error: str) -> None:
    """The n-th call into the kernel fails, for every n: no record is acknowledged that is not there afterwards."""
    needs_strace()
    traced = tmp_path / "calls"
    once(tmp_path / "counted.sqlite3", 12, "strace", "-f", "-o", str(traced), "-e", f"trace={call}")
    calls = traced.read_text().count(f"{call}(")
    refused = 0
    places = range(1, times(4, calls) + 1)
    for at in places:
        file = tmp_path / f"ledger-{at}.sqlite3"
        written, failed = once(file, 12, *failing(call, error, at))
        refused += len(failed)
        check_after(file, written)
    assert refused
    report(f"ledger_{call}_{error.lower()}", record_property, places=len(places), refused=refused, lost=0)


def test_a_failed_fsync_is_not_tried_again(tmp_path: Path) -> None:
    """After an error that leaves in doubt what is on disk, every later record is refused until a restart."""
    needs_strace()
    written, failed = once(tmp_path / "ledger.sqlite3", 20, *failing("fdatasync", "EIO", 8))
    assert len(written) + len(failed) == 20
    assert len(written) >= 1  # what came before it is there
    assert len(failed) >= 10  # the one that failed, and every one after it
    assert "restart to go on" not in failed[0]
    assert all("restart to go on" in line for line in some(failed[1:]))


def small(tmp_path: Path, records: int = 6) -> Path:
    """A closed ledger."""
    file = tmp_path / "whole.sqlite3"
    with closing(Ledger(file)) as ledger:
        for at in range(records):
            ledger.append(draft(f"r{at}"))
    return file


def test_a_file_cut_anywhere(tmp_path: Path, record_property: Any) -> None:
    """Cut at every byte: refused, found not to be whole, or all is there, where only zeros were cut off."""
    whole = small(tmp_path)
    content, head = whole.read_bytes(), ""
    with closing(Store(whole)) as opened:
        head = verify(opened).head
    step = times(max(1, len(content) // 150), 1)
    refused = found = all_there = 0
    copy = tmp_path / "cut.sqlite3"
    for size in range(0, len(content), step):
        copy.write_bytes(content[:size])
        try:
            with closing(Store(copy)) as opened:
                said = verify(opened, head)
        except LedgerUnavailable:
            refused += 1
        else:
            assert said.problem or (said.records, said.after_head) == (7, 0), f"{size} of {len(content)} bytes"
            found += bool(said.problem)
            all_there += not said.problem
        for rest in tmp_path.glob("cut.sqlite3*"):
            rest.unlink(missing_ok=True)
    counts = {"refused": refused, "found_not_whole": found, "only_zeros_cut": all_there}
    report("ledger_cut", record_property, places=sum(counts.values()), **counts, torn_accepted=0)


def test_the_write_ahead_log_cut_anywhere(tmp_path: Path, record_property: Any) -> None:
    """Left by a killed process and then cut: what is left is a whole beginning, and a head that was kept tells."""
    file = tmp_path / "live.sqlite3"
    with closing(Ledger(file)) as ledger:
        for at in range(6):
            ledger.append(draft(f"r{at}"))
        _, head = ledger.head()
        log = Path(f"{file}-wal")
        database, content = file.read_bytes(), log.read_bytes()
    step = times(max(1, len(content) // 100), 7)
    copy = tmp_path / "cut.sqlite3"
    told = refused = 0
    for size in range(0, len(content), step):
        copy.write_bytes(database)
        Path(f"{copy}-wal").write_bytes(content[:size])
        try:
            with closing(Store(copy)) as opened:
                found = verify(opened, head)
                assert found.problem is not None
                assert verify(opened).problem is None or found.records == 0
                told += 1
        except LedgerUnavailable:
            refused += 1
        for rest in tmp_path.glob("cut.sqlite3*"):
            rest.unlink(missing_ok=True)
    report(
        "ledger_wal_cut",
        record_property,
        places=told + refused,
        refused=refused,
        told_by_the_head=told,
        torn_accepted=0,
    )


@pytest.mark.parametrize("what", ["deleted", "replaced", "log deleted"])
def test_a_file_that_is_gone(tmp_path: Path, what: str) -> None:
    """SQLite would write on into a file without a name: here it is an error, and it stays one."""
    file = tmp_path / "ledger.sqlite3"
    with closing(Ledger(file)) as ledger:
        ledger.append(draft("a"))
        if what == "log deleted":
            Path(f"{file}-wal").unlink()
        else:
            file.unlink()
        if what == "replaced":
            with closing(sqlite3.connect(file)) as other:
                other.execute("CREATE TABLE t (x)")
        for name in "bc":
            with pytest.raises(LedgerUnavailable):
                ledger.append(draft(name))
        assert ledger.problem


def test_a_file_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the write lock: an error in time, and the next record is written."""
    monkeypatch.setattr(store, "WAIT", 0.2)
    file = tmp_path / "ledger.sqlite3"
    with closing(Ledger(file)) as ledger:
        ledger.append(draft("a"))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="locked"):
                ledger.append(draft("b"))
            problem = ledger.problem
            assert problem
            other.execute("ROLLBACK")
        ledger.append(draft("c"))
        assert ledger.problem is None
    assert ids(file) == ["begun", "a", "c"]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 84, b"\0" * 4096])
def test_a_file_that_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    """Refused and left as it is; an empty file becomes one."""
    file = tmp_path / "ledger.sqlite3"
    file.write_bytes(content)
    if not content:
        Ledger(file).close()
        assert ids(file) == ["begun"]
        return
    with pytest.raises(LedgerUnavailable):
        Ledger(file)
    assert file.read_bytes() == content


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A ledger of a later program, another program's database; also when it changes while it is open."""
    file = small(tmp_path)
    with closing(Ledger(file)) as ledger:
        with closing(sqlite3.connect(file)) as other:
            other.execute(f"PRAGMA user_version={VERSION + 1}")
        with pytest.raises(LedgerUnavailable, match=f"version {VERSION + 1}"):
            ledger.append(draft("late"))
    with pytest.raises(LedgerUnavailable, match=f"version {VERSION + 1}"):
        Ledger(file)
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*) FROM entries").fetchone() == (7,)
        other.execute("PRAGMA application_id=1")
    with pytest.raises(LedgerUnavailable, match="not a ledger of Tenfold"):
        Ledger(file)


def test_a_clock_that_is_moved(tmp_path: Path) -> None:
    """By a day, either way: the order is that of the sequence, the chain is whole, the time is what the clock said."""
    now = [time.time()]
    file = tmp_path / "ledger.sqlite3"
    with closing(Ledger(file, Clock(utc=lambda: now[0]))) as ledger:
        for at, days in enumerate((0, 1, -1, -1, 1)):
            now[0] += days * 86_400
            ledger.append(draft(f"r{at}"))
    assert ids(file) == ["begun", *(f"r{at}" for at in range(5))]
