"""Processes take turns at writing: a waiting process is let in, and none waits for one that was killed or stopped."""

import fcntl
import os
import subprocess
import sys
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


def draft(name: str) -> Draft:
    return Draft("scored", name, {"decision": "refer", "by": "api"}, {"reference": name})


def free(file: Path) -> bool:
    """Whether it is nobody's turn."""
    descriptor = os.open(beside(file), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


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
    assert free(file)


def test_a_killed_process_gives_its_turn_back(file: Path) -> None:
    """The system does, at once."""
    with closing(Ledger(file)) as ledger:
        with held(beside(file)) as other:
            assert not free(file)
            other.kill()
            assert other.wait() == -9
            assert free(file)
        assert ledger.append(draft("case")).seq == 2


def test_a_stopped_process_holds_nobody_up(file: Path) -> None:
    """After a while the others write without a turn; SQLite's own lock keeps the chain whole."""
    with closing(Ledger(file)) as ledger, held(beside(file)):
        assert ledger.append(draft("case")).seq == 2
        assert not free(file)
    with closing(Store(file)) as opened:
        assert verify(opened).problem is None


def test_the_lock_file_is_its_owners_alone(file: Path) -> None:
    Ledger(file).close()
    assert beside(file).stat().st_mode & 0o777 == 0o600
    assert beside(file).read_bytes() == b""


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
