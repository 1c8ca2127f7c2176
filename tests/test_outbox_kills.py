"""Events reach a receiver that is down for a while and killed, from a server that is killed: none lost, none under a
second webhook-id. The receiver is a process of its own that verifies by itself (tests/webhook_receiver.py)."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inference.settings import ROOT
from ledger.endpoints import new_secret
from ledger.readonly import ReadOnlyStore
from ledger.verify import verify
from profiling.benchmarks.serving import free_port

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds on a busy machine, for what takes a few
TESTS = ROOT / "tests"
SECRET = new_secret()


class Place:
    """A ledger, a file of endpoints with one receiver, and what it has received."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger, self.port = folder, folder / "ledger.sqlite3", free_port()
        self.received = folder / "received.jsonl"
        self.webhooks = folder / "webhooks.toml"
        self.webhooks.write_text(
            f'server = "https://loans.example"\n[[endpoint]]\nname = "core"\nurl = "http://127.0.0.1:{self.port}/in"\n'
            f'events = ["scored"]\nsecrets = ["{SECRET}"]\n'
        )
        self.webhooks.chmod(0o600)

    def lines(self) -> list[dict[str, Any]]:
        """What the receiver has on disk; a last line that a kill cut off does not count."""
        text = self.received.read_text() if self.received.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def taken(self) -> set[str]:
        """The webhook-ids that were answered 200, as far as the receiver knows."""
        return {line["id"] for line in self.lines() if line["status"] == 200}

    def states(self) -> dict[str, int]:
        """Rows of the outbox: waiting, failed, delivered."""
        with closing(sqlite3.connect(self.ledger, timeout=PATIENCE)) as connection:
            query = "SELECT sum(next IS NOT NULL), sum(next IS NULL AND delivered IS NULL), sum(delivered IS NOT NULL)"
            row = connection.execute(f"{query} FROM outbox").fetchone()
        return dict(zip(("waiting", "failed", "delivered"), row, strict=True))

    def scores(self) -> set[str]:
        """Ids of all scores in the ledger."""
        with closing(sqlite3.connect(self.ledger, timeout=PATIENCE)) as connection:
            return {row[0] for row in connection.execute("SELECT id FROM entries WHERE kind = 'scored'")}


@contextmanager
def receiving(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    """The receiver, until the end or until it is killed."""
    command = [sys.executable, str(TESTS / "webhook_receiver.py"), str(place.port), str(place.received), SECRET]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def server(place: Place, count: int) -> Iterator["subprocess.Popen[str]"]:
    """A process that writes and sends, until the end or until it is killed."""
    command = [sys.executable, str(TESTS / "outbox_writer.py"), str(place.ledger), str(place.webhooks), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def acknowledged(process: "subprocess.Popen[str]", count: int) -> list[str]:
    """The next ids that a server says are on disk."""
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def check(place: Place, told: list[str]) -> None:
    """Every score that was acknowledged is in the ledger; every score in the ledger was received, verified, under its
    own id alone, and each time with the same body."""
    scores, lines = place.scores(), place.lines()
    assert set(told) <= scores
    assert {line["verified"] for line in lines} == {True}
    assert place.taken() == {f"scored_{id}" for id in scores}
    bodies: dict[str, set[str]] = {}
    for line in lines:
        bodies.setdefault(json.loads(line["body"])["data"]["record"], set()).add(f"{line['id']} {line['body']}")
    assert {len(different) for different in bodies.values()} == {1}
    with closing(ReadOnlyStore(place.ledger)) as store:
        assert verify(store).problem is None


def test_a_receiver_that_is_down_and_killed_gets_everything(tmp_path: Path) -> None:
    """Down when the first events come, then up, killed in the middle of a stream, and up again."""
    place = Place(tmp_path)
    with server(place, 400) as sending:
        told = acknowledged(sending, 100)
        assert place.states()["delivered"] == 0
        with receiving(place) as receiver:
            wait_for(lambda: len(place.taken()) > 20)
            receiver.send_signal(signal.SIGKILL)
        told += acknowledged(sending, 300)
        assert place.states()["waiting"] > 0
        with receiving(place):
            wait_for(lambda: place.states()["waiting"] == 0)
        sending.terminate()
        assert sending.wait(PATIENCE) == 0
    assert place.states() == {"waiting": 0, "failed": 0, "delivered": 400}
    check(place, told)


def test_a_receiver_that_refuses_gets_everything_later(tmp_path: Path) -> None:
    """503 for a while: nothing is given up, and nothing is delivered twice once it takes events."""
    place = Place(tmp_path)
    status = place.received.with_name("received.jsonl.status")
    status.write_text("503")
    with receiving(place), server(place, 60) as sending:
        told = acknowledged(sending, 60)
        wait_for(lambda: len(place.lines()) > 5)
        status.unlink()
        wait_for(lambda: place.states()["waiting"] == 0)
        sending.terminate()
        assert sending.wait(PATIENCE) == 0
    check(place, told)
    assert len([line for line in place.lines() if line["status"] == 200]) == 60


def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """Killed again and again, at any moment, while it writes and sends; and the receiver too."""
    place, chance, told = Place(tmp_path), random.Random(20), list[str]()
    for _ in range(4):
        with receiving(place) as receiver, server(place, 10_000) as sending:
            told += acknowledged(sending, chance.randrange(1, 60))
            if chance.random() < 0.5:
                receiver.send_signal(signal.SIGKILL)
                told += acknowledged(sending, chance.randrange(1, 30))
            sending.send_signal(signal.SIGKILL)
            assert sending.stdout is not None
            told += [line.strip() for line in sending.stdout.readlines() if line.endswith("\n")]
    with receiving(place), server(place, 0) as sending:
        wait_for(lambda: place.states()["waiting"] == 0)
        sending.terminate()
        assert sending.wait(PATIENCE) == 0
    assert place.states()["failed"] == 0
    check(place, told)


def test_of_two_servers_one_sends(tmp_path: Path) -> None:
    """Two processes write to one ledger and both would send; every event is sent once. Killed, the other goes on."""
    place = Place(tmp_path)
    with receiving(place), server(place, 150) as first, server(place, 150) as second:
        told = acknowledged(first, 150) + acknowledged(second, 150)
        wait_for(lambda: place.states()["waiting"] == 0)
        assert len(place.lines()) == 300
        first.send_signal(signal.SIGKILL)
        first.wait()
        with server(place, 40) as third:
            told += acknowledged(third, 40)
            wait_for(lambda: place.states()["delivered"] == 340)
            for process in (second, third):
                process.terminate()
                assert process.wait(PATIENCE) == 0
    check(place, told)


def test_a_stop_waits_for_no_receiver(tmp_path: Path) -> None:
    """A receiver that takes connections and says nothing: the server stops all the same, and what waited is kept."""
    place = Place(tmp_path)
    receiver = subprocess.Popen(
        [sys.executable, "-c", "import socket, sys, time\n"
         "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
         "kept = []\nwhile True:\n kept.append(listener.accept()[0]); print('in', flush=True)", str(place.port)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with server(place, 5) as sending:
            told = acknowledged(sending, 5)
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "in\n"
            sending.terminate()
            assert sending.wait(PATIENCE) == 0
    finally:
        receiver.kill()
        receiver.wait()
        if receiver.stdout is not None:
            receiver.stdout.close()
    assert place.states() == {"waiting": 5, "failed": 0, "delivered": 0}
    with receiving(place), server(place, 0):
        wait_for(lambda: place.states()["waiting"] == 0)
    check(place, told)


def test_nothing_of_an_applicant_is_sent_or_kept(tmp_path: Path) -> None:
    """The record has a name in its personal part; neither what was sent nor the outbox does."""
    place = Place(tmp_path)
    with receiving(place), server(place, 3) as sending:
        acknowledged(sending, 3)
        wait_for(lambda: place.states()["waiting"] == 0)
    assert b"Canary" in place.ledger.read_bytes() + place.ledger.with_name("ledger.sqlite3-wal").read_bytes()
    assert "Canary" not in place.received.read_text()
    with closing(sqlite3.connect(place.ledger)) as connection:
        rows = [row for table in ("outbox", "senders") for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608
    assert len(rows) == 4
    assert "Canary" not in repr(rows)
