"""Stopped under load, and started where something is in the way: nobody is left without an answer or a clear message.

A request is accepted once it was sent, whole, before the signal. It must be answered, with a whole 200 or 503. One that
was sent later may also find its connection closed before a byte of an answer: then it is on record once or not at all,
and the same Idempotency-Key asks for it again after the restart.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ledgers
import pytest
from ledgers import small_disk
from scale import report, times

from inference.release import open_release
from inference.settings import ROOT, default_release
from ledger.ledger import Ledger
from ledger.store import Store
from ledger.verify import verify
from profiling.benchmarks.serving import answers as ready
from profiling.benchmarks.serving import free_port
from web.operations.health import log_problems

START = 120  # seconds
STOP = 10  # seconds from the signal to the end: what most supervisors allow before they kill
KEEPING, CHANGING, AT_THE_DESK = 10, 4, 4  # clients that keep their connection, that open one a request, of the desk
API, DESK = "/api/v1/score", "/desk/score"


@dataclass
class Asked:
    """One request and what became of it."""

    reference: str
    path: str
    keeps: bool = True  # over a connection that was open already
    sent: float | None = None  # when it was sent, whole
    status: int | None = None  # of the answer; None where the connection was closed before a byte of one
    told: str = ""  # id of the record


class Torn(Exception):
    """An answer of which only a part came."""


def exchange(connection: socket.socket, asked: Asked, answers: Mapping[str, object]) -> bytes:
    """Ask, and the answer's head and body; both empty where the connection is closed before a byte of it."""
    body = json.dumps({"answers": answers, "reference": asked.reference}).encode()
    head = (
        f"POST {asked.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {asked.reference}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    came = b""
    try:
        connection.sendall(head.encode() + body)
        asked.sent = time.monotonic()
        while part := connection.recv(1 << 16):
            came += part
            before, end, after = came.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", before)
            if end and length and len(after) == int(length[1]):
                asked.status = int(came.split(b" ", 2)[1])
                return came
    except OSError:
        pass  # reset
    if came:
        raise Torn(f"{asked}: {came[:300]!r}")
    return b""


class Load:
    """Clients that ask for scores until their connection is closed or no new one is to be had."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._example = open_release(default_release()).form.example
        self._lock = threading.Lock()
        self._failed: list[BaseException] = []
        self.all: list[Asked] = []

    def run(self) -> list[threading.Thread]:
        ways = [(API, True)] * KEEPING + [(API, False)] * CHANGING + [(DESK, True)] * AT_THE_DESK
        threads = [threading.Thread(target=self._client, args=way) for way in ways]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, path: str, keeps: bool) -> None:
        try:
            while self._asks_on_one(path, keeps):
                pass
        except BaseException as error:
            self._failed.append(error)

    def _asks_on_one(self, path: str, keeps: bool) -> bool:
        """Over one connection, for as long as it is open; whether another one should be tried."""
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        except OSError:
            return False
        with connection:
            while True:
                with self._lock:
                    asked = Asked(f"R-{len(self.all)}", path, keeps)
                    self.all.append(asked)
                answer = self.ask(connection, asked)
                if not answer:
                    return False
                if not keeps or b"connection: close" in answer.partition(b"\r\n\r\n")[0]:
                    return True

    def ask(self, connection: socket.socket, asked: Asked) -> bytes:
        """One score."""
        answer = exchange(connection, asked, self._example)
        body = answer.partition(b"\r\n\r\n")[2]
        assert asked.status in (None, 200, 503), answer
        if asked.status == 200 and asked.path == API:
            name = json.loads(body)["id"]
            assert asked.told in ("", name)
            asked.told = name
        elif asked.status == 200:
            assert b'data-state="score"' in body, body[:300]
        return answer

    def ask_again(self) -> int:
        """All of the API's that found their connection closed; how many."""
        again = [one for one in self.all if one.status is None and one.path == API]
        with closing(socket.create_connection(("127.0.0.1", self._port), timeout=30)) as connection:
            for asked in again:
                self.ask(connection, asked)
                assert asked.status == 200
        return len(again)

    def check(self) -> None:
        """No client had an answer that was torn or wrong."""
        assert not self._failed, self._failed[0]


@contextmanager
def started(environment: Mapping[str, str], output: Path, path: str = "/readyz") -> Iterator["subprocess.Popen[bytes]"]:
    """The app, from when it answers; killed at the end if it still runs."""
    with output.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **environment}, stdout=stream, stderr=stream
        )
    try:
        until = time.monotonic() + START
        while not ready(f"http://127.0.0.1:{environment['PORT']}{path}"):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def held_open(port: int, with_stream: bool) -> list[socket.socket]:
    """Clients that hold up a stop: idle, with half a head, with half a body, and with an answer that never ends."""
    half = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
    sent = ["", "GET /livez HTT", half.format(API), half.format(DESK)]
    if with_stream:
        sent.append("GET /gradio_api/heartbeat/held HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    held = []
    for text in sent:
        held.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        held[-1].sendall(text.encode())
    return held


def gone_away(port: int) -> None:
    """Clients that leave in the middle of their request."""
    for connection in held_open(port, with_stream=False):
        connection.close()


def test_sigterm_under_load(tmp_path: Path, record_property: Any) -> None:
    """All that was accepted is answered, the process ends within ten seconds with status 0, and the ledger is whole."""
    stops = times(1, 20)
    chance = random.Random(0)
    file, log, output = tmp_path / "ledger.sqlite3", tmp_path / "made" / "here" / "p.jsonl", tmp_path / "output.txt"
    port = free_port()
    environment = {"PORT": str(port), "TENFOLD_LOG": str(log), "TENFOLD_LEDGER": str(file)}
    load = Load(port)
    accepted = again = 0
    dropped: list[Asked] = []
    slowest = 0.0
    for at in range(stops + 1):
        with started(environment, output) as server:
            again += load.ask_again()
            if at == stops:
                server.send_signal(signal.SIGTERM)
                assert server.wait(STOP) == 0
                break
            before = len(load.all)
            gone_away(port)
            clients = load.run()
            held = held_open(port, with_stream=at % 2 == 1)
            until = time.monotonic() + START
            while sum(one.sent is not None for one in load.all[before:]) <= 100:
                assert time.monotonic() < until, output.read_text()
                time.sleep(0.02)
            time.sleep(chance.uniform(0.0, 0.7))
            if at % 2 == 0:  # as on a machine too busy to run it: what comes meanwhile waits in the kernel
                server.send_signal(signal.SIGSTOP)
                time.sleep(0.2)
            signalled = time.monotonic()
            server.send_signal(signal.SIGTERM)
            server.send_signal(signal.SIGCONT)
            assert server.wait(STOP) == 0, output.read_text()
            slowest = max(slowest, time.monotonic() - signalled)
            for client in clients:
                client.join()
            for connection in held:
                with connection, suppress(ConnectionResetError):
                    answer = connection.recv(1 << 16)
                    assert not answer or connection is held[-1], answer  # half a request has none
        load.check()
        sent_before = [one for one in load.all[before:] if one.sent is not None and one.sent < signalled]
        accepted += len(sent_before)
        dropped += [one for one in sent_before if one.status is None]
        assert not file.with_name("ledger.sqlite3-wal").exists(), "the ledger was not closed"
    assert "Traceback" not in output.read_text(), output.read_text()
    assert list(log.parent.glob("p-*.jsonl")), "the log's folder was not made"
    recorded, duplicated = ledgers.recorded(file)
    lost = [one for one in load.all if one.status == 200 and one.path == API and recorded[one.reference] != one.told]
    lost += [one for one in load.all if one.status == 200 and one.reference not in recorded]
    assert (dropped, lost, duplicated) == ([], [], [])
    assert accepted > 100 * stops
    closed = [one for one in load.all if one.status is None]  # the desk's: they have no key to ask again by
    report(
        "stops", record_property, stops=stops, accepted=accepted, dropped=len(dropped),
        answered=sum(one.status == 200 for one in load.all) - again, refused=sum(one.status == 503 for one in load.all),
        sent_after_the_signal_and_closed=again + len(closed), asked_again=again, lost=len(lost),
        duplicated=len(duplicated), slowest_s=round(slowest, 1),
    )  # fmt: skip


def failing(tmp_path: Path, *before: str, **environment: str) -> str:
    """What the app says when it cannot start: a line or two, no stack trace, and exit status 1."""
    own = {"PORT": str(free_port()), "TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": "off", **environment}
    done = subprocess.run(
        [*before, sys.executable, "app.py"],
        cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=START,
    )  # fmt: skip
    said = done.stderr
    assert done.returncode == 1, said
    assert said.startswith("Tenfold cannot start: "), said
    assert len(said.splitlines()) <= 2, said
    assert "on http://" not in done.stdout
    return said


def release_copy(tmp_path: Path) -> Path:
    folder = default_release()
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.mark.parametrize("name", ["model.ubj", "manifest.json"])
def test_a_release_with_a_byte_flipped(tmp_path: Path, name: str) -> None:
    """The message names the file, what was expected and found, and how to mend it."""
    file = release_copy(tmp_path) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = failing(tmp_path, TENFOLD_RELEASE=str(file.parent))
    assert re.search(rf"{re.escape(str(file))}: expected sha256 [0-9a-f]+, found [0-9a-f]+.*Restore the folder", said)


@pytest.mark.parametrize("name", ["gone", "gone-0123456789ab"])
def test_a_release_that_is_not_there(tmp_path: Path, name: str) -> None:
    """The message names the folder and says that nothing is there."""
    said = failing(tmp_path, TENFOLD_RELEASE=str(tmp_path / name))
    assert re.search(rf"{re.escape(str(tmp_path / name))}.*found (nothing there|No such file or directory)\.", said)


def test_an_engine_that_is_not_known(tmp_path: Path) -> None:
    """The message names it and those there are."""
    assert "'abacus' is not known; TENFOLD_ENGINE takes one of xgboost, onnx" in failing(
        tmp_path, TENFOLD_ENGINE="abacus"
    )


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[creditor"])
def test_a_lender_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """Not there, no text, no TOML: the message names the file and the setting."""
    file = tmp_path / "lender.toml"
    if content is not None:
        file.write_bytes(content)
    assert f"TENFOLD_LENDER: {file}: " in failing(tmp_path, TENFOLD_LENDER=str(file))


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The message says so at once, and names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = failing(tmp_path, PORT=str(port))
    assert f"127.0.0.1:{port}: Address already in use. PORT names another port" in said


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    """The message says that nobody can listen there, and names the setting."""
    assert "Cannot assign requested address. PORT names another port, HOST another address" in failing(
        tmp_path, HOST="192.0.2.1"
    )


def test_a_ledger_that_cannot_be_made(tmp_path: Path) -> None:
    """Below what is no folder: the message names both and the setting; without a record there are no scores."""
    (tmp_path / "file").touch()
    said = failing(tmp_path, TENFOLD_LEDGER=str(tmp_path / "file" / "ledger.sqlite3"))
    assert f"{tmp_path / 'file'} is not a folder. TENFOLD_LEDGER names another file, or off" in said


def test_a_ledger_that_may_not_grow(tmp_path: Path) -> None:
    """The kernel refuses every write beyond 8 kB: the message names the file; with room it becomes a ledger."""
    file = tmp_path / "ledger.sqlite3"
    limited = ["bash", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "bash"]
    said = failing(tmp_path, *limited, TENFOLD_LEDGER=str(file))
    assert f"ledger {file}: disk I/O error" in said
    Ledger(file).close()


def fill(file: Path) -> None:
    """Write until nothing more goes in."""
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(b"\0" * 4096):
            pass


def test_a_full_disk(tmp_path: Path) -> None:
    """With a ledger from before or without one: the message says that the disk is full, and what there was is whole."""
    place = tmp_path / "small"
    with small_disk(place):
        old = place / "old.sqlite3"
        Ledger(old).close()
        fill(place / "fill")
        for file in (place / "new.sqlite3", old):
            said = failing(tmp_path, TENFOLD_LEDGER=str(file))
            assert f"ledger {file}: " in said
            assert f"the disk under {place} is full, make room. TENFOLD_LEDGER names another file, or off" in said
        assert log_problems(place / "p.jsonl")[0].startswith(f"log: the disk under {place} is full; set TENFOLD_LOG")
        (place / "fill").unlink()
        for file in (place / "new.sqlite3", old):
            Ledger(file).close()
            with closing(Store(file)) as opened:
                assert verify(opened).problem is None


def test_a_log_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The performance log stops no score: the app starts and scores, and says at once and at /readyz what is wrong."""
    (tmp_path / "file").touch()
    port = free_port()
    environment = {
        "PORT": str(port), "TENFOLD_LOG": str(tmp_path / "file" / "logs" / "p.jsonl"), "TENFOLD_LEDGER": "off",
    }  # fmt: skip
    problem = f"log: {tmp_path / 'file'} is not a folder; set TENFOLD_LOG to a file elsewhere, or to off"
    output = tmp_path / "output.txt"
    with started(environment, output, "/livez") as server:
        assert f"Tenfold serves, but is not ready: {problem}\n" in output.read_text()
        load = Load(port)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            assert load.ask(connection, Asked("R", API)).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            said = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()
        assert said.startswith("HTTP/1.1 503 ")
        assert json.dumps(problem) in said
        server.send_signal(signal.SIGTERM)
        assert server.wait(STOP) == 0
    assert "Traceback" not in output.read_text()
