"""The history's first page over a ledger of many records: `python -m profiling.bench_history`.

By a manager, who sees all, and by an officer, who sees a third of it.

The real server over a ledger of real applications, two thirds of them decided; every search that the page offers, timed
from request to last byte, each beside a page that reads no ledger.
"""

import argparse
import http.client
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from ledger.decisions import DECISIONS, decided
from ledger.ledger import Ledger
from ledger.records import Draft
from profiling import results
from profiling.bench_ledger import CHUNK, commit, drafts
from profiling.serving import served

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
MOST = 300.0  # ms that the first page may take


def fill(file: Path, count: int) -> None:
    """A ledger of so many records: scores, and decisions on most of them."""
    chance = random.Random(1)  # noqa: S311 - the same ledger every time
    with closing(Ledger(file)) as ledger:
        waiting: list[Draft] = []
        written = 1
        for at, draft in enumerate(drafts(count)):
            reference = f"A-2026-{at:06d}"
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
    done = subprocess.run(command, env={**os.environ, **environment}, input=typed, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip()


def milliseconds(client: http.client.HTTPConnection, token: str, method: str, path: str, form: dict[str, str]) -> float:
    """From request to last byte."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {token}"}
    started = time.perf_counter()
    client.request(method, path, urlencode(form), headers)
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}")
    return (time.perf_counter() - started) * 1e3


def main() -> int:
    """Print and keep a row a search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.sqlite3"
        fill(file, given.records)
        own = {"TENFOLD_LEDGER": str(file), "TENFOLD_LOG": "off", "TENFOLD_USERS": f"{folder}/users.sqlite3"}
        own["TENFOLD_RATE"] = "0"
        account(own, "users", "add", "meg", "--role", "manager", typed=secrets.token_urlsafe(16))
        manager = account(own, "tokens", "add", "manager", "--role", "manager")
        officer = account(own, "tokens", "add", "ann", "--role", "officer")
        with served([sys.executable, "app.py"], "/readyz", own) as url:
            client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
            asked: dict[str, tuple[str, str, str, dict[str, str]]] = {
                "no ledger read": (manager, "GET", "/livez", {}),
                "overrides by month": (manager, "GET", MONTHS, {}),
            }
            asked |= {name: (manager, "POST", "/history", form) for name, form in SEARCHES.items()}
            asked |= {f"officer: {name}": (officer, "POST", "/history", SEARCHES[name]) for name in BY_AN_OFFICER}
            taken: dict[str, list[float]] = {name: [] for name in asked}
            for _ in range(given.times):
                for name, request in asked.items():
                    taken[name].append(milliseconds(client, *request))
    figures = {
        name: {"p50_ms": float(np.percentile(took, 50)), "max_ms": float(max(took))} for name, took in taken.items()
    }
    print(f"| search among {given.records:,} records | p50 ms | slowest ms |\n| --- | ---: | ---: |")
    for name, row in figures.items():
        print(f"| {name} | {row['p50_ms']:.1f} | {row['max_ms']:.1f} |")
    print(f"\nThe first page may take {MOST:.0f} ms; it took {figures['first page']['max_ms']:.1f} at the slowest.")
    results.merge("history", {"records": given.records, "searches": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
