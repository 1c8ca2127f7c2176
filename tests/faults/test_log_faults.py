"""What strangers can write into the logs of a real server: thousands of bad requests of every kind, bytes counted."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scale import report, times

from inference.settings import ROOT
from profiling.benchmarks.serving import answers, free_port, stop
from web.security.accounts import Accounts

MOST = 300_000  # bytes of all logs together, however many requests there are
HOST = b"Host: localhost\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
RUN, JOIN = b"POST /gradio_api/run/predict_credit_score", b"POST /gradio_api/queue/join"


def asked(line: bytes, head: bytes = HOST, body: bytes | None = None) -> bytes:
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\n" + head + length + b"\r\n" + (body or b"")


BAD = (
    b"garbage\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    asked(b"GET /livez", b""),
    asked(b"GET /livez", HOST + HOST),
    asked(b"GET /config", b"Host: [\r\n"),
    asked(b"GET /", b"Host: \xff\r\nAccept: text/html\r\n"),
    asked(b"GET /" + b"a" * 9000),
    asked(b"GET /", HOST + b"X: y\r\n" * 200),
    asked(b"GET /", HOST + b"Cookie: " + b'lang="\\x;' * 500 + b"\r\nAccept: text/html\r\n"),
    asked(b"GET /", HOST + b"X-Forwarded-For: [[, \xff\r\nAccept-Language: \xff;q=inf\r\nAccept: text/html\r\n"),
    asked(b"GET /", HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"),
    asked(b"GET /", HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    asked(b"GET /nowhere%0aERROR"),
    asked(b"GET /?page=x"),
    asked(b"GET /?deep_link=x", HOST + b"Accept: text/html\r\n"),
    asked(b"GET /static/" + b"a" * 3000),
    asked(b"GET /gradio_api/call/predict_credit_score/" + b"0" * 32),
    asked(b"GET /gradio_api/call/predict_credit_score/nobody"),
    asked(b"GET /gradio_api/queue/data?session_hash=nobody"),
    asked(RUN, JSON, b'{"data": [1]}'),
    asked(RUN, JSON, b'{"data": [[[1]], {}, 1, 2, 3, 4, 5, 6, 7, 1e999]}'),
    asked(JOIN, JSON, b'{"data": [1], "fn_index": 99, "session_hash": "x"}'),
    asked(b"POST /gradio_api/upload", HOST + b"Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\nbroken"),
    asked(b"POST /login", HOST + b"Content-Type: multipart/form-data; boundary=x\r\n", b"--x\r\nbroken"),
    asked(b"POST /login", HOST + b"Content-Type: application/x-www-form-urlencoded\r\n", b"name=x&password=y"),
    asked(b"POST /login", HOST + b"Origin: https://evil.example\r\n", b"name=x&password=y"),
    asked(b"GET /api/v1/release", HOST + b"Authorization: Bearer tenfold_x\r\n"),
    asked(b"POST /api/v1/score", JSON, b"{"),
    asked(b"POST /api/v1/score", JSON + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),  # two lengths
    asked(b"POST /api/v1/score", JSON + b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n",
    asked(b"POST /api/v1/score", JSON + b"Transfer-Encoding: chunked\r\n") + b"fffffffffffffffff\r\n",
    asked(b"POST /api/v1/score", JSON + b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00"),
    asked(b"POST /desk/score", JSON, b"{"),
)


@pytest.mark.parametrize("mode", ["login", "demo"])
def test_logs_stay_small(tmp_path: Path, mode: str, record_property: Any) -> None:
    """Each is answered, none with a fault of the server, and of what they cause little is written."""
    files = {"TENFOLD_LOG": "p.jsonl", "TENFOLD_SECURITY_LOG": "s.jsonl", "TENFOLD_USERS": "u.sqlite3"}
    environment = {name: str(tmp_path / file) for name, file in files.items()}
    environment |= {"TENFOLD_RATE": "0", "PORT": str(free_port())}
    if mode == "login":
        with closing(Accounts(tmp_path / "u.sqlite3")) as accounts:
            accounts.add_user("meg", "manager", "correct horse battery")
        environment["TENFOLD_LEDGER"] = str(tmp_path / "l.sqlite3")
    else:
        environment |= {"TENFOLD_PUBLIC_DEMO": "on", "TENFOLD_USERS": "off"}
    port, said = int(environment["PORT"]), tmp_path / "said"
    statuses: Counter[str] = Counter()
    with said.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
        )
        try:
            until = time.monotonic() + 120
            while not answers(f"http://127.0.0.1:{port}/livez"):
                assert time.monotonic() < until, said.read_text()
                assert server.poll() is None, said.read_text()
                time.sleep(0.1)
            for at in range(times(10, 300) * len(BAD)):
                statuses[answer_to(port, BAD[at % len(BAD)])] += 1
        finally:
            stop(server)
    assert statuses.keys() <= {
        "200",
        "303",
        "307",
        "400",
        "401",
        "403",
        "404",
        "413",
        "414",
        "415",
        "422",
        "429",
        "431",
    }
    written = sum(file.stat().st_size for file in tmp_path.iterdir() if file.name == "said" or file.suffix == ".jsonl")
    assert "Traceback" not in said.read_text()
    assert written < MOST
    report(
        f"logs_{mode}", record_property, requests=statuses.total(), log_bytes=written,
        refused=sum(count for status, count in statuses.items() if status >= "400"),
    )  # fmt: skip


def answer_to(port: int, request: bytes) -> str:
    """The status that comes back."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(request)
        return connection.recv(12)[9:12].decode()
