"""A lone client of one server beside many of another on the same ledger: `python -m profiling.benchmarks.turns`.

With turns between the processes (ledger/turns.py) and without: then SQLite's lock alone decides who writes next.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from inference.release import open_release
from profiling import results
from profiling.benchmarks.http import Load, loaded, ours
from profiling.benchmarks.serving import served
from profiling.workload import embedded

MANY = 64
ENGINE = "onnx"
PATH = "/api/v1/score"
WITHOUT = """
import contextlib, runpy
from ledger import turns
turns.Turns.turn = lambda self: contextlib.nullcontext()
runpy.run_path("app.py", run_name="__main__")
"""
COMMANDS = {"with turns": [sys.executable, "app.py"], "without": [sys.executable, "-c", WITHOUT]}


def lone(url: str, body: str, seconds: float) -> list[float]:
    """ms of each request of one client that asks again and again."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    taken = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{PATH}: {answer.status}")
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def beside(command: list[str], seconds: float, folder: Path) -> tuple[list[float], Load]:
    """What the lone client waited, and what the others got, with two servers on a new ledger."""
    release = open_release(embedded()[0])
    body = json.dumps({"answers": release.form.example})
    target = ours("turns", ENGINE, release, folder, True, PATH, body)
    own = {**target.environment, "TENFOLD_LOG": "off", "TENFOLD_RATE": "0"}
    with ExitStack() as stack:
        busy, quiet = (stack.enter_context(served(command, "/readyz", own)) for _ in range(2))
        with ThreadPoolExecutor(1) as pool:
            many = pool.submit(loaded, busy, target, MANY, seconds)
            time.sleep(0.2)  # until all of them ask
            taken = lone(quiet, body, seconds - 0.4)
            return taken, many.result()


def main() -> int:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    waited: dict[str, list[float]] = {name: [] for name in COMMANDS}
    rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.rounds):
        for name, command in COMMANDS.items():
            with tempfile.TemporaryDirectory() as folder:
                taken, load = beside(command, given.seconds, Path(folder))
            if load.errors:
                raise SystemExit(f"{load.errors} requests failed")
            waited[name] += taken
            rates[name].append(load.rate)
    figures = {
        name: {
            "lone_p50_ms": float(np.percentile(taken, 50)), "lone_p99_ms": float(np.percentile(taken, 99)),
            "lone_max_ms": max(taken), "others_per_s": float(np.median(rates[name])),
        }
        for name, taken in waited.items()
    }  # fmt: skip
    print(f"| two servers on one ledger | a lone client: p50 ms | p99 ms | slowest | the other's {MANY}: a second |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, row in figures.items():
        print(f"| {name} | " + " | ".join(f"{value:,.1f}" for value in row.values()) + " |")
    fair, unfair = figures["with turns"], figures["without"]
    results.merge("turns", figures, {"lone_p99_with_turns_over_without": fair["lone_p99_ms"] / unfair["lone_p99_ms"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
