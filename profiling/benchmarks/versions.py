"""This checkout beside another one, in one run: `python -m profiling.benchmarks.versions FOLDER`.

Both serve at the same time with this environment's packages, and are asked in turn, so that a busy machine slows both:
from click to changed result in headless Chromium, scores over HTTP, from `python app.py` to a green /readyz, and
`predict_credit_score` in a process of its own. Quote the ratios; nothing is kept.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

from inference.release import open_release
from inference.settings import ROOT
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.click import measure
from profiling.benchmarks.http import Target, loaded, ours
from profiling.benchmarks.serving import served
from profiling.workload import embedded

ENGINE = "onnx"
CONNECTIONS = (1, 8, 64)
# Prints the median µs of a score of the release's example; by names that both checkouts have.
SCORES = """
import statistics, sys, time
from pathlib import Path
from inference.scorer import open_scorer
from inference.settings import Settings
scorer = open_scorer(Settings(release=Path(sys.argv[1]), log=None))
answers = scorer.release.form.example
times = []
for _ in range(3000):
    began = time.perf_counter()
    scorer.score(answers)
    times.append(time.perf_counter() - began)
print(statistics.median(times) * 1e6)
"""
Figures = dict[str, list[float]]  # what was measured -> a figure a round


def scores(folder: Path) -> float:
    """The median µs of a score in a process of its own."""
    command = [sys.executable, "-c", SCORES, str(embedded()[0].relative_to(ROOT))]
    return float(subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout)


def seconds_to_ready(folder: Path, environment: dict[str, str]) -> float:
    """From `python app.py` to a green /readyz."""
    began = time.perf_counter()
    with served([sys.executable, "app.py"], "/readyz", environment, folder):
        return time.perf_counter() - began


def clicks(urls: dict[str, str], count: int) -> dict[str, float]:
    """The median ms from click to changed result of each desk, click about click."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        pages = {}
        for name, url in urls.items():
            pages[name] = page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("html[data-desk=ready]")
        times = measure(pages, count)
        browser.close()
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> int:
    """Print a row for each thing measured: the other checkout, this one, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load over HTTP")
    parser.add_argument("--clicks", type=int, default=100)
    given = parser.parse_args()
    codes = {"other": given.folder.resolve(), "this": ROOT}
    release = open_release(embedded()[0])
    body = json.dumps({"answers": release.form.example})
    figures: dict[str, Figures] = {name: {} for name in codes}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        targets: dict[tuple[str, bool], Target] = {}
        urls: dict[tuple[str, bool], str] = {}
        for name, code in codes.items():
            for ledger in (False, True):
                label = f"{name}{' with ledger' if ledger else ''}"
                target = ours(label, ENGINE, release, Path(temporary), ledger, "/api/v1/score", body)
                environment = {**target.environment, "TENFOLD_RATE": "0"}
                environment["TENFOLD_RELEASE"] = str(code / release.folder.relative_to(ROOT))
                targets[name, ledger] = target
                urls[name, ledger] = stack.enter_context(served(target.command, "/readyz", environment, code))
        times = clicks({name: urls[name, True] + "/" for name in codes}, given.clicks)
        for name, milliseconds in times.items():
            figures[name]["click to changed result, ms"] = [milliseconds]
        for _ in range(given.rounds):
            for connections in CONNECTIONS:
                for (name, ledger), target in targets.items():
                    load = loaded(urls[name, ledger], target, connections, given.seconds)
                    if load.errors:
                        raise SystemExit(f"{target.name}: {load.errors} requests failed")
                    label = f"scores a second, {connections} connections{', ledger' if ledger else ''}"
                    figures[name].setdefault(label, []).append(load.rate)
    with tempfile.TemporaryDirectory() as temporary:
        environment = {"TENFOLD_LOG": f"{temporary}/log.jsonl", "TENFOLD_LEDGER": f"{temporary}/ledger.sqlite3"}
        for number in range(-1, given.rounds):  # the first round fills the disk's cache
            for name, code in codes.items():
                ready, microseconds = seconds_to_ready(code, environment), scores(code)
                if number >= 0:
                    figures[name].setdefault("python app.py to /readyz, s", []).append(ready)
                    figures[name].setdefault("a score in the process, µs", []).append(microseconds)
    print("| measured | other | this | this over other |\n| --- | ---: | ---: | ---: |")
    for label, of_this in figures["this"].items():
        other, this = statistics.median(figures["other"][label]), statistics.median(of_this)
        print(f"| {label} | {other:,.4g} | {this:,.4g} | {this / other:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
