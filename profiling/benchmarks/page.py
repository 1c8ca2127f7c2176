"""The p99 of a score while the page Operations is open, and closed: `python -m profiling.benchmarks.page`.

The real app over a log that already holds all the scores that the page shows. One client scores without a pause; in
stretches of a few seconds, in turn, nobody looks at the page, one person does (it asks anew every five seconds), and
ten do. The score's own time is what the app writes into its log; the client's wait is measured too. Quote the ratios.
"""

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

from inference.perflog_reader import LogReader
from inference.release import open_release
from inference.settings import default_release
from profiling import results
from profiling.benchmarks.log import write
from profiling.benchmarks.serving import served

LOOKING = {"closed": 0, "open": 1, "ten_open": 10}  # people with the page open
LINES = 60_000  # more than the page shows
EVERY = 5.0  # seconds, as web/pages/static/operations.js has it


def main() -> int:
    """Print and keep p50 and p99 of both times, closed and open."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    answers = list(open_release(default_release()).form.example.values())
    waited: dict[str, list[float]] = {name: [] for name in LOOKING}
    scored: dict[str, list[float]] = {name: [] for name in LOOKING}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "predictions.jsonl"
        write(Path(folder) / "predictions-2026-01-01.jsonl", LINES, Path(folder) / "template.jsonl")
        with served([sys.executable, "app.py"], "/readyz", {"TENFOLD_LOG": str(log), "TENFOLD_LOG_DAYS": "0"}) as url:
            stretch(url, answers, 2.0, 1)
            lines_seen = len(totals(log))
            for _ in range(options.rounds):
                for name, people in LOOKING.items():
                    waited[name] += stretch(url, answers, options.seconds, people)
                    now = totals(log)
                    scored[name] += now[lines_seen:]
                    lines_seen = len(now)
    if any(len(scored[name]) != len(waited[name]) for name in LOOKING):
        raise SystemExit("the log does not hold every score")
    figures: dict[str, object] = {}
    for name in LOOKING:
        (s50, s99), (w50, w99) = np.percentile(scored[name], (50, 99)), np.percentile(waited[name], (50, 99))
        figures[name] = {"score_p50_ms": s50, "score_p99_ms": s99, "wait_p50_ms": w50, "wait_p99_ms": w99}
        print(
            f"{name:9} {len(scored[name]):7,} scores: p50 {s50:.3f} ms, p99 {s99:.3f} ms; "
            f"waited p50 {w50:.2f} ms, p99 {w99:.2f} ms"
        )
    p99 = {name: float(np.percentile(scored[name], 99)) for name in LOOKING}
    ratios = {"page_open_over_closed_p99": p99["open"] / p99["closed"]}
    print(f"p99 of a score, open over closed: {ratios['page_open_over_closed_p99']:.2f}")
    results.merge("page", figures, ratios)
    return 0


def stretch(url: str, answers: list[object], seconds: float, people: int) -> list[float]:
    """The client's waits in ms over some seconds with so many people looking, spread over the page's interval."""
    ended = threading.Event()
    looking = [
        threading.Thread(target=look, args=(f"{url}/operations?period=all", ended, number / people))
        for number in range(people)
    ]
    for thread in looking:
        thread.start()
    client = http.client.HTTPConnection(url.removeprefix("http://"))
    body, head = json.dumps({"data": answers}), {"Content-Type": "application/json"}
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter_ns()
        client.request("POST", "/gradio_api/run/predict_credit_score", body, head)
        answer = client.getresponse().read()
        times.append((time.perf_counter_ns() - started) / 1e6)
        if b'"pd"' not in answer:
            raise SystemExit(f"no score: {answer[:200]!r}")
    ended.set()
    for thread in looking:
        thread.join()
    client.close()
    return times


def look(url: str, ended: threading.Event, share: float) -> None:
    """Ask for the page as its script does, beginning somewhere within the interval."""
    ended.wait(share * EVERY)
    while not ended.is_set():
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - a server of our own
            if b"<svg" not in answer.read():
                raise SystemExit("the page shows no chart")
        ended.wait(EVERY)


def totals(log: Path) -> list[float]:
    """All scores' own times in the live file, ms."""
    reader = LogReader()
    with log.open("rb") as lines:
        reader.read(lines)
    return [float(total) for total in reader.records.column("total")]


if __name__ == "__main__":
    sys.exit(main())
