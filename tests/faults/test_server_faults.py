"""The whole server killed under load: what was answered is on record once, and a repeated request finds its record."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import ledgers
from scale import report, times

from inference.release import open_release
from inference.settings import ROOT, default_release
from profiling.benchmarks.serving import answers as ready
from profiling.benchmarks.serving import free_port

CLIENTS = 8
START = 120  # seconds


class Load:
    """Clients that ask for scores, each with a reference and an Idempotency-Key of its own, until the server dies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._example = open_release(default_release()).form.example
        self._count = 0
        self._lock = threading.Lock()
        self.told: dict[str, str] = {}  # reference -> id of the record
        self.open: set[str] = set()  # asked, and no answer came

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            while True:
                with self._lock:
                    self._count += 1
                    reference = f"R-{self._count}"
                    self.open.add(reference)
                self.ask(connection, reference)
        except (OSError, http.client.HTTPException):
            connection.close()

    def ask(self, connection: http.client.HTTPConnection, reference: str) -> None:
        """One score, told or not."""
        body = json.dumps({"answers": self._example, "reference": reference})
        headers = {"Content-Type": "application/json", "Idempotency-Key": reference}
        connection.request("POST", "/api/v1/score", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status == 200, content
        assert self.told.setdefault(reference, content["id"]) == content["id"]
        with self._lock:
            self.open.discard(reference)


def test_kill_9_of_the_server(tmp_path: Path, record_property: Any) -> None:
    """At random moments under load. After the restart every request without an answer is sent again."""
    kills = times(1, 200)
    chance = random.Random(0)
    file = tmp_path / "ledger.sqlite3"
    port = free_port()
    own = {"PORT": str(port), "TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": str(file)}
    load = Load(port)
    repeated = 0
    for at in range(kills + 1):
        with (tmp_path / "output.txt").open("a") as output:
            server = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **own}, stdout=output, stderr=output
            )
        until = time.monotonic() + START
        while not ready(f"http://127.0.0.1:{port}/readyz"):
            assert server.poll() is None, (tmp_path / "output.txt").read_text()
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(0.05)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            for reference in sorted(load.open):
                load.ask(connection, reference)
                repeated += 1
        if at == kills:
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) in (0, -signal.SIGTERM)
            break
        clients = load.run()
        time.sleep(chance.uniform(0.05, 0.8))
        server.kill()
        server.wait()
        for client in clients:
            client.join()
    recorded, duplicated = ledgers.recorded(file)
    lost = [one for one, name in load.told.items() if recorded.get(one) != name]
    assert (lost, duplicated, load.open) == ([], [], set())
    assert len(load.told) > kills
    report(
        "server_kills",
        record_property,
        kills=kills,
        answered=len(load.told),
        sent_again=repeated,
        lost=len(lost),
        duplicated=len(duplicated),
    )
