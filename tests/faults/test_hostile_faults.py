"""Hostile clients against the real server with its ledger: others are served meanwhile, and memory stays bounded."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from attacks import CLIENTS
from scale import FULL, report, times

from inference.release import open_release
from inference.settings import default_release
from profiling.benchmarks.serving import running
from web.security.accounts import Accounts

ATTACKS = Path(__file__).with_name("attacks.py")
HONEST = 8  # clients that ask for scores without a pause
GROWTH = 100  # MB of memory that no attack may cost
USUAL = 1024  # open files that a process may have on most machines, as long as it does not ask for more

Server = tuple[int, psutil.Process]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all attacks, warm, started with the usual limit on open files."""
    folder = tmp_path_factory.mktemp("hostile")
    environment = {"TENFOLD_LOG": str(folder / "p.jsonl"), "TENFOLD_LEDGER": str(folder / "ledger.sqlite3")}
    command = ["sh", "-c", f'ulimit -Sn {USUAL} && exec "$0" app.py', sys.executable]
    with running(command, "/readyz", environment) as (url, process):
        port = int(url.rpartition(":")[2])
        Honest(port).watched(process, lambda: time.sleep(2))
        yield port, process


class Honest:
    """Clients that ask for scores: how long each waited, what was not answered, what the server held meanwhile."""

    def __init__(self, port: int, recorded: bool = True, **headers: str) -> None:
        self._port, self._recorded = port, recorded
        self._headers = {"Content-Type": "application/json", **headers}
        self._body = json.dumps({"answers": open_release(default_release()).form.example})
        self._over = threading.Event()
        self.waited: list[float] = []
        self.errors: list[str] = []
        self.peak_bytes = self.peak_files = 0

    def watched(self, process: psutil.Process, meanwhile: Any) -> Any:
        """What `meanwhile` returns; all clients ask, and the server is looked at, for as long as it takes."""
        threads = [threading.Thread(target=self._ask) for _ in range(HONEST)]
        threads.append(threading.Thread(target=self._look, args=(process,)))
        for thread in threads:
            thread.start()
        try:
            return meanwhile()
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            while not self._over.is_set():
                started = time.perf_counter()
                connection.request("POST", "/api/v1/score", self._body, self._headers)
                answer = connection.getresponse()
                told = json.loads(answer.read())
                self.waited.append((time.perf_counter() - started) * 1e3)
                if answer.status != 200 or bool(told["recorded"]) != self._recorded:
                    self.errors.append(f"{answer.status} {told}")
            connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.errors.append(repr(error))

    def _look(self, process: psutil.Process) -> None:
        while not self._over.wait(0.05):
            self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)
            self.peak_files = max(self.peak_files, process.num_fds())


@pytest.mark.parametrize("name", ["nobody", *CLIENTS])
def test_others_are_served(server: Server, name: str, record_property: Any) -> None:
    """While the attack runs every score is answered and recorded, and the server's memory grows by less than GROWTH."""
    port, process = server
    seconds = times(10, 300) / 10
    if name == "idle":
        seconds = max(seconds, 5.0)  # on a busy machine it takes as long until the server has taken all of them
    before = process.memory_info().rss
    honest = Honest(port)

    def attack() -> dict[str, int]:
        if name == "nobody":
            time.sleep(seconds)
            return {}
        command = [sys.executable, str(ATTACKS), name, str(port), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    found = honest.watched(process, attack)
    assert honest.errors == []
    growth = (honest.peak_bytes - before) / 2**20
    assert growth < GROWTH
    assert "500" not in found
    assert "not connected" not in found
    if name == "idle":
        assert honest.peak_files > USUAL - HONEST  # all were held at once
    if name != "nobody":
        assert found["tries"] >= CLIENTS[name][1]
    p50, p99 = np.percentile(honest.waited, (50, 99))
    refused = sum(count for status, count in found.items() if status not in ("tries", "200"))
    attack_figures = {"tries": found["tries"], "refused": refused} if found else {}
    report(
        f"hostile_{name}", record_property, **attack_figures, seconds=seconds, scores=len(honest.waited), errors=0,
        p50_ms=round(float(p50), 1), p99_ms=round(float(p99), 1), growth_mb=round(max(0.0, growth), 1),
    )  # fmt: skip


def test_it_is_well_afterwards(server: Server) -> None:
    """Health is green, and within seconds no connection of an attack is left."""
    port, process = server
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()
    until = time.monotonic() + 20
    while left := [one for one in process.net_connections() if one.status != psutil.CONN_LISTEN]:
        assert time.monotonic() < until, left
        time.sleep(0.1)


class Attacked(NamedTuple):
    """A server that strangers attack, and the heads of those who are known to it."""

    mode: str
    port: int
    process: psutil.Process
    headers: dict[str, str]


@pytest.fixture(scope="module", params=["login", "demo"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """One behind a login, and a demonstration."""
    mode, tmp_path = request.param, tmp_path_factory.mktemp("strangers")
    environment = {"TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_RATE": "0"}
    headers = {}
    if mode == "login":
        environment |= {"TENFOLD_LEDGER": str(tmp_path / "l.sqlite3"), "TENFOLD_USERS": str(tmp_path / "u.sqlite3")}
        with closing(Accounts(tmp_path / "u.sqlite3")) as accounts:
            accounts.add_user("meg", "manager", "correct horse battery")
            headers["Authorization"] = f"Bearer {accounts.add_token('core', 'officer')}"
    else:
        environment |= {"TENFOLD_PUBLIC_DEMO": "on", "TENFOLD_USERS": "off"}
    with running([sys.executable, "app.py"], "/readyz", environment) as (url, process):
        yield Attacked(mode, int(url.rpartition(":")[2]), process, headers)


@pytest.mark.parametrize("name", ["slow_uploads", "slow_permitted", "slow_logins"])
def test_strangers_refuse_nobody(attacked: Attacked, name: str, record_property: Any) -> None:
    """Slow clients without a login, each at its own address: nobody who is known is refused, nor in a demonstration
    anybody else who scores. Quiet and hostile times take turns; in full the waits of both are compared."""
    mode, port, process, headers = attacked
    seconds, turns = times(10, 100) / 10, times(1, 4)
    waited: dict[str, list[float]] = {"quiet": [], "hostile": []}
    found: Counter[str] = Counter()
    before = process.memory_info().rss
    peak = 0

    def attack() -> None:
        command = [sys.executable, str(ATTACKS), name, str(port), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        assert done.returncode == 0, done.stderr
        found.update(json.loads(done.stdout))

    for _ in range(turns):
        for kind, meanwhile in (("quiet", lambda: time.sleep(seconds)), ("hostile", attack)):
            honest = Honest(port, recorded=mode == "login", **headers)
            honest.watched(process, meanwhile)
            assert honest.errors == []
            waited[kind] += honest.waited
            peak = max(peak, honest.peak_bytes)
    assert found["tries"] >= CLIENTS[name][1]
    assert "500" not in found
    growth = (peak - before) / 2**20
    assert growth < GROWTH
    quiet, hostile = (float(np.percentile(waited[kind], 99)) for kind in ("quiet", "hostile"))
    report(
        f"strangers_{name}_{mode}", record_property, clients=CLIENTS[name][1], tries=found["tries"], errors=0,
        scores=len(waited["hostile"]), p99_ms=round(hostile, 1), p99_ms_quiet=round(quiet, 1),
        p99_ratio=round(hostile / quiet, 2), growth_mb=round(max(0.0, growth), 1),
    )  # fmt: skip
    if FULL and name == "slow_uploads":
        assert hostile <= 3 * quiet
