"""Processes take turns at writing: a waiting process is let in, and none waits for one that was killed or stopped."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from inference.settings import ROOT
from ledger import turns
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.records import Draft
from ledger.store import Store
from ledger.verify import verify

HOLDER = """
import sys
from pathlib import Path
from ledger.turns import Turns
with Turns(Path(sys.argv[1])).turn():
    print("taken", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(file: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process whose turn it is until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(file)]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def beside(file: Path) -> Path:
    return file.with_name(f"{file.name}-turns")


def next_to(file: Path) -> Path:
    """The lock of who is next in line."""
    return file.with_name(f"{file.name}-turns-next")


def draft(name: str) -> Draft:
    return Draft("scored", name, {"decision": "refer", "by": "api"}, {"reference": name})


def free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.slow
def test_a_write_waits_for_its_turn(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written while it is another process's turn, and all of it afterwards."""
    monkeypatch.setattr(turns, "PATIENCE", 600.0)
    with closing(Ledger(file)) as ledger, held(beside(file)) as other:
        waiting = [ledger.submit(draft(f"case-{number}")) for number in range(3)]
        with pytest.raises(NotYet):
            waiting[0].result(0.3)
        assert ledger.head()[0] == 1
        other.communicate("")  # its turn ends
        assert [one.result().seq for one in waiting] == [2, 3, 4]
    assert free(beside(file))


def test_a_killed_process_gives_its_turn_back(file: Path) -> None:
    """The system does, at once."""
    with closing(Ledger(file)) as ledger:
        with held(beside(file)) as other:
            assert not free(beside(file))
            other.kill()
            assert other.wait() == -9
            assert free(beside(file))
        assert ledger.append(draft("case")).seq == 2


@pytest.mark.slow
def test_a_stopped_process_holds_nobody_up(file: Path) -> None:
    """After a while the others write without a turn; SQLite's own lock keeps the chain whole."""
    with closing(Ledger(file)) as ledger, held(beside(file)):
        assert ledger.append(draft("case")).seq == 2
        assert not free(beside(file))
    with closing(Store(file)) as opened:
        assert verify(opened).problem is None


@pytest.mark.slow
def test_only_one_write_waits_for_a_stopped_process(file: Path) -> None:
    """The next ones do not wait again, nor stand in line; once the process has ended they take turns as before."""
    with closing(Ledger(file)) as ledger:
        with held(beside(file)):
            for number in range(20):
                assert ledger.append(draft(f"case-{number}")).seq == number + 2
            (in_line,) = [thread for thread in threading.enumerate() if thread.name == "turn"]
        in_line.join(60)
        assert free(beside(file))
        with held(beside(file)) as other:
            waiting = ledger.submit(draft("case"))
            with pytest.raises(NotYet):
                waiting.result(0.2)
            other.communicate("")
            assert waiting.result().seq == 22


def test_who_stands_in_line_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that asks again at once comes after one that waits."""
    monkeypatch.setattr(turns, "PATIENCE", 600.0)
    file = tmp_path / "turns"
    here, there = turns.Turns(file), turns.Turns(file)  # two descriptors lock as two processes do
    order = []

    def wait() -> None:
        with there.turn():
            order.append("there")

    for _ in range(50):
        waiting = threading.Thread(target=wait)
        with here.turn():
            waiting.start()
            seen = 0  # in line it is held at every look; the attempt before that holds it once, for a moment
            while seen < 2:
                seen = 0 if free(file.with_name("turns-next")) else seen + 1
                time.sleep(0.001)
        with here.turn():
            order.append("here")
        waiting.join()
    assert order == ["there", "here"] * 50
    here.close()
    there.close()


def test_the_lock_file_is_its_owners_alone(file: Path) -> None:
    Ledger(file).close()
    for lock in (beside(file), next_to(file)):
        assert lock.stat().st_mode & 0o777 == 0o600
        assert lock.read_bytes() == b""


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_anything_else_in_its_place_is_refused(file: Path, kind: str) -> None:
    """It says which file is meant; what a link leads to is not opened."""
    Ledger(file).close()
    beside(file).unlink()
    if kind == "link":
        beside(file).symlink_to(file.with_name("elsewhere"))
    elif kind == "pipe":
        os.mkfifo(beside(file))
    else:
        beside(file).mkdir()
    with pytest.raises(LedgerUnavailable, match=r"ledger\.sqlite3-turns beside it"):
        Ledger(file)
    assert not file.with_name("elsewhere").exists()
