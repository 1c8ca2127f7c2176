"""Searches over a ledger of many records: `python -m profiling.benchmarks.history`.

The real server over a ledger of real applications, two thirds of them decided. Every search that the history offers, by
a manager, who sees all, and by an officer, who sees a third of it, timed from request to last byte, beside a page that
reads no ledger; then many at once, with /livez and /readyz requested meanwhile; then the export. `--code FOLDER` serves
another checkout, to compare with.
"""

import argparse
import http.client
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from inference.settings import ROOT
from ledger.decisions import DECISIONS, decided
from ledger.ledger import Ledger
from ledger.records import Draft
from profiling import results
from profiling.benchmarks.ledger import CHUNK, commit, drafts
from profiling.benchmarks.log import run
from profiling.benchmarks.serving import served

SEARCHES: dict[str, dict[str, str]] = {
    "first page": {},
    "a reference": {"reference": "A-2026-000007"},
    "part of a reference": {"reference": "0059"},
    "no such reference": {"reference": "none"},
    "one officer's": {"by": "ann"},
    "nobody's": {"by": "nobody"},
    "a rare decision": {"decision": "incomplete"},
    "not decided": {"decision": "open"},
    "overridden": {"overridden": "yes"},
    "no such day": {"since": "2099-01-01"},
}
BY_AN_OFFICER = ("first page", "part of a reference", "overridden", "no such reference")
MONTHS = "/history/overrides"
WORK = "/work"
RECORDS = "/api/v1/decisions"
LISTS: dict[str, dict[str, str]] = {
    "one officer's, of a kind": {"by": "ann", "kind": "decided"},
    "a rare decision of a kind": {"kind": "decided", "decision": "incomplete"},
    "none of a kind": {"by": "bench", "kind": "decided"},
    "no such decision": {"kind": "agreed", "decision": "approve"},
}
AT_ONCE = 40
PROBE = 0.02  # seconds between looks at /livez and /readyz
PATIENCE = 120  # seconds that a client waits
NOTHING: Mapping[str, str] = {}
Question = tuple[str, str, str, Mapping[str, str]]  # token, method, path, form


def fill(file: Path, count: int) -> None:
    """A ledger of so many records: scores, and decisions on most of them."""
    chance = random.Random(1)  # noqa: S311 - the same ledger every time
    with closing(Ledger(file)) as ledger:
        waiting: list[Draft] = []
        written = 1
        for index, draft in enumerate(drafts(count)):
            reference = f"A-2026-{index:06d}"
            waiting.append(draft._replace(personal={**(draft.personal or {}), "reference": reference}))
            if chance.random() < 2 / 3:
                suggested = str(draft.fields["decision"])
                decision = suggested if chance.random() < 0.95 else chance.choice(DECISIONS)
                officer = chance.choice(("ann", "bob", "eve"))
                waiting.append(decided(draft.id, decision, suggested, by=officer, reference=reference))
            if len(waiting) >= CHUNK or written + len(waiting) >= count:
                del waiting[max(0, count - written) :]
                written += len(waiting)
                commit(ledger, waiting)
            if written >= count:
                return


def account(environment: dict[str, str], *words: str, typed: str = "") -> str:
    """What `python -m web` prints."""
    command = [sys.executable, "-m", "web", *words]
    finished = subprocess.run(command, env={**os.environ, **environment}, input=typed, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return finished.stdout.strip()


class Client:
    """One connection of somebody with a token, opened again after an error."""

    def __init__(self, url: str, token: str) -> None:
        self._address, self._token = url.removeprefix("http://"), token
        self._connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)

    def ask(self, method: str, path: str, form: Mapping[str, str] = NOTHING) -> tuple[int, float]:
        """Status (0 without an answer) and ms from request to last byte."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {self._token}"}
        started = time.perf_counter()
        try:
            self._connection.request(method, path, urlencode(form) or None, headers)
            answer = self._connection.getresponse()
            answer.read()
            status = answer.status
        except OSError:
            self._connection.close()
            status = 0
        return status, (time.perf_counter() - started) * 1e3


def alone(url: str, questions: Mapping[str, Question], times: int) -> dict[str, list[float]]:
    """ms of each search, when there are no other requests."""
    waits: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(times):
        for name, (token, method, path, form) in questions.items():
            status, took = Client(url, token).ask(method, path, form)
            if status != 200:
                raise SystemExit(f"{path}: {status}")
            waits[name].append(took)
    return waits


def at_once(url: str, searches: Sequence[Question], rounds: int) -> dict[str, float]:
    """Many searches that begin together, and the responses of /livez and /readyz meanwhile."""
    token = searches[0][0]
    finished = threading.Event()
    probes: dict[str, list[tuple[int, float]]] = {"/livez": [], "/readyz": []}

    def probe(path: str) -> None:
        client = Client(url, token)
        while not finished.wait(PROBE):
            probes[path].append(client.ask("GET", path))

    probing = [threading.Thread(target=probe, args=(path,)) for path in probes]
    for thread in probing:
        thread.start()
    answers: list[tuple[int, float]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for round_number in range(rounds):
            batch = [searches[(round_number + number) % len(searches)] for number in range(AT_ONCE)]
            answers += pool.map(lambda search: Client(url, search[0]).ask(*search[1:]), batch)
    finished.set()
    for thread in probing:
        thread.join()
    took = [ms for _, ms in answers]
    alive = [ms for _, ms in probes["/livez"]]
    return {
        "searches": len(answers),
        "p50_ms": float(np.percentile(took, 50)),
        "p99_ms": float(np.percentile(took, 99)),
        "refused": sum(status != 200 for status, _ in answers),
        "livez_p99_ms": float(np.percentile(alive, 99)),
        "livez_max_ms": max(alive),
        "readyz_asked": len(probes["/readyz"]),
        "readyz_red": sum(status != 200 for status, _ in probes["/readyz"]),
    }


def exported(file: Path, folder: Path, code: Path) -> dict[str, dict[str, float]]:
    """Seconds and largest resident MB of the real command, for each kind of file."""
    figures = {}
    for end in ("csv", "parquet"):
        command = [sys.executable, "-m", "ledger", "--ledger", str(file), "export", str(folder / f"out.{end}")]
        _, seconds, memory = run(command, code)
        figures[end] = {"seconds": seconds, "rss_mb": memory}
    return figures


def main() -> int:
    """Print and keep a row a search, many at once, and the export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="of so many searches at once")
    parser.add_argument("--ledger", type=Path, help="a ledger to use, made where it is missing (else a temporary one)")
    parser.add_argument("--code", type=Path, help="another checkout, to compare with; its figures are not kept")
    parser.add_argument("--searches-only", action="store_true", help="leave out the export, which takes minutes")
    options = parser.parse_args()
    code = options.code or ROOT
    with tempfile.TemporaryDirectory() as folder:
        file = options.ledger or Path(folder) / "ledger.sqlite3"
        if not file.exists():
            fill(file, options.records)
        environment = {"TENFOLD_LEDGER": str(file), "TENFOLD_LOG": "off", "TENFOLD_USERS": f"{folder}/users.sqlite3"}
        environment["TENFOLD_RATE"] = "0"
        account(environment, "users", "add", "meg", "--role", "manager", typed=secrets.token_urlsafe(16))
        manager = account(environment, "tokens", "add", "manager", "--role", "manager")
        officer = account(environment, "tokens", "add", "ann", "--role", "officer")
        with served([sys.executable, "app.py"], "/readyz", environment, code) as url:
            searches = {name: (manager, "POST", "/history", form) for name, form in SEARCHES.items()}
            searches |= {f"officer: {name}": (officer, "POST", "/history", SEARCHES[name]) for name in BY_AN_OFFICER}
            questions: dict[str, Question] = {
                "no ledger read": (manager, "GET", "/livez", {}),
                "overrides by month": (manager, "GET", MONTHS, {}),
                "work": (manager, "GET", WORK, {}),
                "officer: work": (officer, "GET", WORK, {}),
                "a list of work": (manager, "GET", f"{WORK}/all", {}),
                **{
                    f"records: {name}": (manager, "GET", f"{RECORDS}?{urlencode(form)}", {})
                    for name, form in LISTS.items()
                },
                **searches,
            }
            waits = alone(url, questions, options.times)
            many = {
                "all searches": at_once(url, list(searches.values()), options.rounds),
                "rare references": at_once(
                    url, [searches["a reference"], searches["no such reference"]], options.rounds
                ),
            }
        searches_of = {
            name: {"p50_ms": float(np.percentile(took, 50)), "max_ms": float(max(took))} for name, took in waits.items()
        }
        figures: dict[str, Any] = {"records": options.records, "searches": searches_of, "at_once": many}
        print(report(figures), flush=True)
        if not options.searches_only:
            figures["export"] = exported(file, Path(folder), code)
            print(f"\n{copies(figures)}")
    if options.code is None:
        results.merge("history", figures)
    return 0


def report(figures: Mapping[str, Any]) -> str:
    """The figures as the README shows them."""
    lines = [f"| search among {figures['records']:,} records | p50 ms | slowest ms |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {row['p50_ms']:.1f} | {row['max_ms']:.1f} |" for name, row in figures["searches"].items()]
    lines += ["", f"| {AT_ONCE} at once | p50 ms | p99 ms | refused | /livez p99 ms | /readyz red |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {row['p50_ms']:,.0f} | {row['p99_ms']:,.0f} | {row['refused']:g} of {row['searches']:g} "
        f"| {row['livez_p99_ms']:,.1f} | {row['readyz_red']:g} of {row['readyz_asked']:g} |"
        for name, row in figures["at_once"].items()
    ]
    return "\n".join([*lines, "", copies(figures)] if "export" in figures else lines)


def copies(figures: Mapping[str, Any]) -> str:
    """What the export took."""
    took = [f"{end} {row['seconds']:.0f} s and {row['rss_mb']:.0f} MB" for end, row in figures["export"].items()]
    return f"`python -m ledger export`: {', '.join(took)}."


if __name__ == "__main__":
    sys.exit(main())
