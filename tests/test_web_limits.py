"""Limits on bodies, heads, time, connections and requests: in process, and by raw sockets on a real server."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from parts import visiting
from starlette.types import Message, Receive, Scope, Send

from inference.scorer import Scorer
from inference.settings import Settings
from web.security import connections as protocol
from web.security import limits
from web.security.accounts import Accounts
from web.security.connections import Guarded
from web.security.limits import Limits, Rate
from web.serve import A_MINUTE, Sparing
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

SCORE = "/api/v1/score"
JSON = {"Content-Type": "application/json"}
HOST = b"Host: localhost\r\n"
SOON = 0.2  # seconds, where a test would wait ten


@pytest.fixture(scope="module")
def port(default_scorer: Scorer, settings: Settings) -> Iterator[int]:
    """The real site on a real uvicorn in a thread of this process, so that a test can shorten its times."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(default_scorer, settings), port=0, log_level="error", http=Guarded, lifespan="on")
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.settimeout(20)
    return made


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes; a reset closes too."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answered(connection: socket.socket) -> bytes:
    """One whole answer, of which head and body may come in pieces; less where the server closes before its end."""
    content = b""
    while True:
        head, end, body = content.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if end and length is not None and len(body) >= int(length[1]):
            return content
        part = connection.recv(65536)
        if not part:
            return content
        content += part


def ask(port: int, *pieces: bytes) -> bytes:
    """Send, and return what comes until the server closes the connection."""
    with connect(port) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass  # closed before all was sent; what it said can still be read
        return rest(connection)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        (SCORE, 64 << 10), (f"{SCORE}:batch", 4 << 20), ("/desk/score", 64 << 10), ("/fr/desk/try", 64 << 10),
        ("/gradio_api/run/predict_credit_score", 16 << 10), ("/gradio_api/queue/join", 16 << 10),
    ],
)  # fmt: skip
def test_a_body_has_a_limit(client: TestClient, path: str, most: int) -> None:
    """One byte more is refused, whether its length is said before or not; the API says so as a problem."""
    pieces = [b" " * (1 << 14)] * (most >> 14)
    for content in (b"".join(pieces) + b" ", iter([*pieces, b" "])):
        answer = client.post(path, content=content, headers=JSON)
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        if path.startswith("/api/"):
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:tenfold:too-large"
    assert client.post(path, content=b"".join(pieces), headers=JSON).status_code != 413


def test_a_long_body_is_not_read(port: int) -> None:
    """The answer comes while nothing of the body was sent; in chunks, as soon as the limit is passed."""
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    assert ask(port, head + b"Content-Length: 1000000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert ask(port, head + b"Transfer-Encoding: chunked\r\n\r\n", *repeat(chunk, 1000)).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_an_end_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece for a while, or always another one and never the last: 408, and the connection is closed."""
    monkeypatch.setattr(protocol, "PIECE_SECONDS", SOON)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 3 * SOON)
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n".encode()
    assert ask(port, head).startswith(b"HTTP/1.1 408 ")
    assert ask(port, head + b"{").startswith(b"HTTP/1.1 408 ")
    with connect(port) as connection:
        connection.sendall(head)
        sent = drip(connection, b" ", 89, SOON / 3)
        assert 3 <= sent < 40  # longer than a pause may be, and not for ever
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


def drip(connection: socket.socket, piece: bytes, count: int, every: float) -> int:
    """Send a piece again and again until the server has closed; how many it took."""
    for at in range(count):
        try:
            connection.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            return at
        time.sleep(every)
    raise AssertionError("the connection is still open")


def test_a_body_has_a_least_speed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces in time and all of them too slow: given up long before a whole body may take."""
    monkeypatch.setattr(protocol, "PIECE_SECONDS", SOON)
    monkeypatch.setattr(protocol, "SLOWEST", 10_000)
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n".encode()
    with connect(port) as connection:
        connection.sendall(head)
        sent = drip(connection, b" " * 100, 500, SOON / 4)  # 2,000 bytes a second
        assert sent * SOON / 4 < 10  # of 30 that a whole body may take
        assert rest(connection).startswith(b"HTTP/1.1 408 ")
    with connect(port) as connection:
        connection.sendall(head.replace(b"60000", b"30000").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for _ in range(30):
            connection.sendall(b" " * 1000)
            time.sleep(SOON / 4)  # 20,000 bytes a second
        assert not rest(connection).startswith(b"HTTP/1.1 408 ")


def test_strangers_have_a_share_each_and_leave_room_for_others(
    default_scorer: Scorer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network may not hold more than its share, all strangers no more than theirs; who is known has the rest."""
    monkeypatch.setattr(limits, "SHARES", {True: 8 << 20, False: 100_000})
    monkeypatch.setattr(limits, "STRANGERS_HELD", 250_000)
    sender = limits.Sender
    made = Limits(default_scorer)  # type: ignore[arg-type]  # nothing is called
    stranger, other, third = (sender(f"192.0.2.{at}", False) for at in range(3))
    known = sender("ann", True)
    made._hold(90_000, stranger)
    assert made._too_much(20_000, stranger)
    assert not made._too_much(90_000, other)
    made._hold(90_000, other)
    assert made._too_much(90_000, third)
    assert not made._too_much(4 << 20, known)
    made._hold(-90_000, stranger)
    made._hold(-90_000, other)
    assert not made._too_much(90_000, third)
    assert made._shares == {}
    assert (made._bytes_held, made._bytes_of_strangers) == (0, 0)


@pytest.mark.slow
def test_of_those_who_may_not_enter_no_body_is_read(default_scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """401 and 404 by the head alone, and the connection ends; a login is short, a stranger's batch small in a demo."""
    big = b" " * (1 << 20)
    with closing(Accounts(tmp_path / "u.sqlite3", hasher=PasswordHasher(1, 8, 1))) as accounts:
        accounts.add_user("ann", "officer", "correct horse battery")
        with visiting(create_app(default_scorer, settings, accounts=accounts)) as client:
            answer = client.post(f"{SCORE}:batch", content=big, headers=JSON)
            assert (answer.status_code, answer.headers["connection"]) == (401, "close")
            answer = client.post("/nowhere", content=big, headers=JSON)
            assert (answer.status_code, answer.headers["connection"]) == (404, "close")
            assert client.post("/login", content=b"name=" + b"x" * 4096).status_code == 413
    demo = create_app(default_scorer, replace(settings, public_demo=True, ledger=None))
    with TestClient(demo) as client:
        assert client.post(f"{SCORE}:batch", content=big, headers=JSON).status_code == 413
        assert client.post(f"{SCORE}:batch", content=big[: 256 << 10], headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [
        (b"", b"1.1", b"400"), (HOST + HOST, b"1.1", b"400"), (HOST + b"Host: evil.example\r\n", b"1.1", b"400"),
        (HOST, b"1.1", b"200"), (b"", b"1.0", b"200"), (HOST, b"1.0", b"200"), (HOST + HOST, b"1.0", b"400"),
    ],
)  # fmt: skip
def test_a_request_names_one_host(port: int, hosts: bytes, version: bytes, status: bytes) -> None:
    """RFC 9112: none or two under HTTP/1.1 are 400. A health check by HTTP/1.0 is answered."""
    asked = b"GET /livez HTTP/" + version + b"\r\n" + hosts + b"Connection: close\r\n\r\n"
    assert ask(port, asked).startswith(b"HTTP/1.1 " + status)


def test_without_a_host_nothing_but_health_is_open(port: int) -> None:
    """Only /livez and /readyz, as load balancers ask."""
    assert ask(port, b"GET /readyz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    for path in (b"/", b"/metrics", b"/api/v1/release"):
        assert ask(port, b"GET " + path + b" HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421"), path


@pytest.mark.slow
def test_few_open_files_are_said_at_the_start(tmp_path: Path) -> None:
    """With 150 it does not start, and says what is needed; with 500 it says how many connections are left."""
    program = (
        "from web.security.connections import bound_connections, Guarded\n"
        "print(bound_connections()); print(Guarded.most)"
    )

    def started(files: int) -> tuple[str, str]:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$0" -c "$1"', sys.executable, program]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout, done.stderr

    assert "150 open files here (ulimit -n), and 232 are needed" in started(150)[1]
    assert started(500)[0].startswith("at most 300 connections, since a process may have 500 open files")
    assert started(500)[0].endswith("\n300\n")


def test_lines_that_strangers_cause_are_few(caplog: pytest.LogCaptureFixture) -> None:
    """Of one text so many a minute; others are written all the same."""
    sparing = Sparing()
    lines = [logging.makeLogRecord({"msg": "Invalid HTTP request received.", "created": 6000.0}) for _ in range(1000)]
    assert sum(map(sparing.filter, lines)) == A_MINUTE
    assert sparing.filter(logging.makeLogRecord({"msg": "something else", "created": 6000.0}))
    assert sparing.filter(logging.makeLogRecord({"msg": "Invalid HTTP request received.", "created": 6060.0}))


def test_a_client_that_vanishes_leaves_nothing(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bytes of all bodies are bounded to two of these, a hundred that were left half sent hold none."""
    monkeypatch.setattr(limits, "HELD", 50_000)
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    for _ in range(100):
        with connect(port) as connection:
            connection.sendall(head + b"Content-Length: 25000\r\n\r\n" + b" " * 20_000)
    whole = head + b"Content-Length: 25000\r\nConnection: close\r\n\r\n" + b" " * 25_000
    until = time.monotonic() + 20
    while (told := ask(port, whole)).startswith(b"HTTP/1.1 503 "):
        assert time.monotonic() < until, "what the vanished had sent is still held"
    assert told.startswith(b"HTTP/1.1 400 ")  # all of it was read: it is no JSON


def test_all_bodies_together_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While others hold what there is, a body is told to come again later."""
    monkeypatch.setattr(limits, "HELD", 50_000)
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n".encode()
    with connect(port) as first, connect(port) as second:
        first.sendall(head + b" " * 49_000)
        second.sendall(head + b" " * 49_000)
        second.settimeout(1)
        try:
            told = rest(second)
        except TimeoutError:  # the second one's bytes came first
            told = rest(first)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in told.lower()


def test_a_small_body_is_read_whatever_others_hold(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While large ones hold all that there is, what people and systems send is answered."""
    monkeypatch.setattr(limits, "HELD", 50_000)
    head = f"POST {SCORE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    with connect(port) as holder:
        holder.sendall(head + b"Content-Length: 60000\r\n\r\n" + b" " * 50_000)
        large = head + b"Connection: close\r\nContent-Length: 20000\r\n\r\n" + b" " * 20_000
        until = time.monotonic() + 20
        while not (told := ask(port, large)).startswith(b"HTTP/1.1 503 "):
            assert time.monotonic() < until, "the holder's bytes are not there yet"
        small = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % limits.SMALL + b" " * limits.SMALL
        told = ask(port, small)
        assert told.startswith(b"HTTP/1.1 400 ")  # all of it was read: it is no JSON


def test_requests_in_progress_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit 503 with Retry-After at once, on the API as a problem; /livez and /readyz are always answered."""
    monkeypatch.setattr(limits, "IN_PROGRESS", 2)

    async def within() -> list[Message]:
        go = asyncio.Event()
        told: list[Message] = []

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def answered(path: str) -> int:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            async def receive() -> Message:
                return {"type": "http.disconnect"}

            scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": ("192.0.2.1", 1)}
            await guarded(scope, receive, send)
            told.append(sent[0])
            return int(sent[0]["status"])

        guarded = Limits(slow)
        for _ in range(2):  # in the second round the places of the first are free again
            go.clear()
            busy = [asyncio.create_task(answered(SCORE)) for _ in range(2)]
            await asyncio.sleep(0)
            assert await answered(SCORE) == 503
            assert await answered("/") == 503
            alive = asyncio.create_task(answered("/livez"))
            await asyncio.sleep(0)
            go.set()
            assert [await task for task in (*busy, alive)] == [200, 200, 200]
        return told

    told = asyncio.run(within())
    refused = [dict(message["headers"]) for message in told if message["status"] == 503]
    assert [headers[b"retry-after"] for headers in refused] == [b"1"] * 4
    assert refused[0][b"content-type"] == b"application/problem+json"
    assert refused[1][b"content-type"].startswith(b"text/plain")


def test_a_place_is_free_again_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that fails leaves its place."""
    monkeypatch.setattr(limits, "IN_PROGRESS", 1)

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    client = TestClient(Limits(fails))
    for _ in range(3):
        with pytest.raises(LookupError):
            client.get("/")


def test_a_rate_is_counted_by_client() -> None:
    """So many go on, the next waits for the rest of its minute; another client does not."""
    rate = Rate(3)
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0]
    assert 1 <= rate.wait("a") <= 60
    assert rate.wait("b") == 0


def test_too_many_requests_are_told_when_to_come_again(default_scorer: Scorer, settings: Settings) -> None:
    """429 with Retry-After, the API's as a problem; health is answered all the same; other clients go on."""
    app = create_app(default_scorer, replace(settings, public_demo=True, ledger=None, rate=2))
    with TestClient(app) as client, TestClient(app, client=("192.0.2.7", 1)) as other:
        assert [client.get(f"{SCORE[:-6]}/release").status_code for _ in range(3)] == [200, 200, 429]
        answer = client.post(SCORE, json={})
        assert answer.headers["content-type"] == "application/problem+json"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.get("/metrics").status_code == 429
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
        assert other.get("/metrics").status_code == 200


def test_this_machine_alone_has_no_rate(default_scorer: Scorer, settings: Settings) -> None:
    """A server that is open to its own machine counts nobody: all its people are one address."""
    with visiting(create_app(default_scorer, replace(settings, rate=2))) as client:
        assert [client.get("/metrics").status_code for _ in range(5)] == [200] * 5


def test_of_gradios_routes_only_those_in_use_are_open(client: TestClient, default_scorer: Scorer) -> None:
    """No uploads, files, proxies, streams; what gradio_client and a plain call need is there."""
    for method, path in (
        ("POST", "/gradio_api/upload"), ("POST", "/fr/gradio_api/upload"), ("GET", "/gradio_api/file=app.py"),
        ("GET", "/gradio_api/proxy=https://example.org"), ("POST", "/gradio_api/component_server"),
        ("GET", "/gradio_api/heartbeat/x"), ("POST", "/gradio_api/run/predict/x"),
        ("GET", "/gradio_api/upload_progress"),
        ("POST", "/fr/gradio_api/queue/join"), ("GET", "/x/gradio_api/info"), ("GET", "/gradio_api/info%0A"),
    ):  # fmt: skip
        assert client.request(method, path).status_code == 404, path
    assert client.get("/gradio_api/info").status_code == 200
    data = {"data": list(default_scorer.release.form.example.values())}
    assert client.post("/gradio_api/run/predict_credit_score", json=data).json()["data"][0]["decision"]
    event = client.post("/gradio_api/call/predict_credit_score", json=data).json()["event_id"]
    assert "event: complete" in client.get(f"/gradio_api/call/predict_credit_score/{event}").text


def test_a_head_has_limits(port: int) -> None:
    """Its lines, their bytes, the URL: 431 and 414, also where a line never ends, and the connection is closed."""
    start = b"GET /livez HTTP/1.1\r\n" + HOST
    lines = b"".join(b"X-%d: y\r\n" % at for at in range(10_000))
    assert ask(port, start + lines + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert ask(port, start + b"X: " + b"y" * (65 << 10) + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert ask(port, start + b"X: ", *repeat(b"y" * 65_536, 1000)).startswith(b"HTTP/1.1 431 ")
    assert ask(port, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 414 ")
    assert ask(port, *repeat(b"\r\n" * 5000, 1000)).startswith(b"HTTP/1.1 431 ")
    fine = start + b"".join(b"X-%d: y\r\n" % at for at in range(90)) + b"Y: " + b"y" * 60_000 + b"\r\n"
    assert ask(port, fine + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_late_head_ends_the_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a head, a byte now and then, nothing at all, half of a second one: closed, with 408 where something came."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SOON)
    assert ask(port, b"GET /livez HTT").startswith(b"HTTP/1.1 408 ")
    assert ask(port) == b""
    whole = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    with connect(port) as connection:
        connection.sendall(whole)
        assert answered(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /li")
        assert rest(connection).startswith(b"HTTP/1.1 408 ")
    with connect(port) as connection:
        drip(connection, b"\r\n", 200, SOON / 4)  # no head begins with these


def test_a_connection_that_is_used_stays(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests over a longer time than a head may take: the clock starts anew with each."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SOON)
    with connect(port) as connection:
        for _ in range(6):
            connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
            assert answered(connection).startswith(b"HTTP/1.1 200 ")
            time.sleep(SOON / 2)


def test_trailers_are_dropped_and_bounded(port: int) -> None:
    """What follows the last chunk is no header; without an end it ends the connection."""
    head = b"POST /api/v1/score HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert ask(port, head + b"1\r\n{\r\n0\r\nContent-Type: application/json\r\n\r\n").startswith(b"HTTP/1.1 415 ")
    assert ask(port, head + b"1\r\n{\r\n0\r\nX: ", *repeat(b"y" * 65_536, 1000)).startswith(b"HTTP/1.1 431 ")


def test_requests_behind_one_another_are_bounded(port: int) -> None:
    """A few may be sent before the first is answered; many end the connection."""
    one = b"GET /livez HTTP/1.1\r\n" + HOST
    last = one + b"Connection: close\r\n\r\n"
    assert ask(port, (one + b"\r\n") * 10 + last).count(b"HTTP/1.1 200 ") == 11
    assert ask(port, (one + b"\r\n") * 10_000).count(b"HTTP/1.1 200 ") < 20


def test_who_does_not_read_is_cut_off(client: TestClient, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large answers asked for and never read end the connection, and others are served meanwhile."""
    monkeypatch.setattr(protocol, "READ_SECONDS", SOON)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        connection.connect(("127.0.0.1", port))
        asked = b"GET /api/v1/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
        until = time.monotonic() + 30
        closed = False
        while not closed:
            assert time.monotonic() < until, "the connection is still open"
            try:
                connection.sendall(asked)
            except TimeoutError:
                pass  # full, and not closed yet
            except (ConnectionResetError, BrokenPipeError):
                closed = True
    assert ask(port, b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a connection is told to come again, and those before it are served."""
    monkeypatch.setattr(Guarded, "most", 3)
    whole = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    with connect(port) as one, connect(port) as two, connect(port) as three:
        for connection in (one, two, three):  # answered, so surely counted
            connection.sendall(whole)
            assert answered(connection).startswith(b"HTTP/1.1 200 ")
        told = ask(port)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in told
        one.sendall(whole)
        assert answered(one).startswith(b"HTTP/1.1 200 ")


def test_who_says_nothing_makes_room(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all connections are taken by those that send nothing, half a head or half a body, a new one is served, and
    those that are used stay."""
    monkeypatch.setattr(Guarded, "most", 8)
    whole = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    half = (b"", b"GET /li", b"POST /api/v1/score HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n{")
    with connect(port) as used, ExitStack() as others:
        used.sendall(whole)
        assert answered(used).startswith(b"HTTP/1.1 200 ")
        for at in range(40):
            others.enter_context(connect(port)).sendall(half[at % 3])
            with connect(port) as client:
                client.sendall(whole)
                assert answered(client).startswith(b"HTTP/1.1 200 ")
            used.sendall(whole)
            assert answered(used).startswith(b"HTTP/1.1 200 ")
