"""The engine on bits as other processors have it, and where its time goes: `python -m profiling.benchmarks.processors`.

Numba compiles for a processor that has AVX-512, AVX2 or nothing beyond SSE2 (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES), in a
process of its own each, beside XGBoost in the same process. Parts of the work are left out to see what they cost:
without trees only conditions are answered, without conditions only trees are gone down. The counters of a processor
would say the same (`perf stat`); a virtual machine seldom has them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from inference.bins import Forest
from inference.bins.forest import LARGE
from inference.blocks import Matrix
from inference.engines import XGBoostEngine
from inference.release import open_release
from profiling import results
from profiling.timing import microseconds
from profiling.workload import applications, embedded

AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2,+fma,+f16c,+lzcnt,+movbe"
PROCESSORS = {  # name -> variables
    "this one": {},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2},
    "baseline": {"NUMBA_CPU_NAME": "generic"},
}
ROWS = 4096
WAYS = ("bins", "conditions alone", "trees alone", "xgboost")


def measured(turns: int) -> dict[str, dict[str, float]]:
    """ns a row by release: whole, parts of it, XGBoost's; rows that differ."""
    figures = {}
    for folder in embedded():
        release = open_release(folder)
        engine = XGBoostEngine(release)
        forest = Forest(engine.used_trees())
        answers = applications(release, ROWS)
        rows = release.rows.build(release.form.encode({n: [row[n] for row in answers] for n in release.form.names}))
        differing = int((forest.predict_proba(rows) != engine.predict_proba(rows)).sum())
        ways: dict[str, Callable[[], object]] = {
            "bins": partial(forest.margins, rows),
            "conditions alone": partial(part, forest, rows, trees=False),
            "trees alone": partial(part, forest, rows, conditions=False),
            "xgboost": partial(engine.predict_proba, rows),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(turns):
            for name, call in ways.items():
                times[name].append(microseconds(call) * 1e3 / ROWS)
        figures[release.manifest.name] = {name: statistics.median(taken) for name, taken in times.items()}
        figures[release.manifest.name]["differing"] = differing
    return figures


def part(forest: Forest, rows: Matrix, trees: bool = True, conditions: bool = True) -> None:
    """The loop for many rows, without what is left out."""
    columns, begins, middles, thresholds, nodes, leaves = forest._for_blocks
    kernel = forest._kernels.for_blocks(LARGE, forest._depth)
    given = (columns if conditions else columns[:0], begins, middles, thresholds, nodes if trees else nodes[:0], leaves)
    kernel(rows, *given, forest._base, forest._bits(LARGE), np.empty(len(rows), np.float32))


def main() -> int:
    """Print and keep a table a release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="this process alone, as JSON")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(measured(options.turns)))
        return 0
    figures: dict[str, Any] = {}
    for name, variables in PROCESSORS.items():
        command = [sys.executable, "-m", "profiling.benchmarks.processors", "--json", "--turns", str(options.turns)]
        done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True)
        for release, row in json.loads(done.stdout).items():
            figures.setdefault(release, {})[name] = row
    for release, rows in figures.items():
        print(f"\n{release}: ns a row, medians of {options.turns} batches of {ROWS:,} rows, one thread\n")
        print(f"| | {' | '.join(WAYS)} | xgboost over bins | rows that differ |\n| --- |{' ---: |' * (len(WAYS) + 2)}")
        for name, row in rows.items():
            cells = [f"{row[way]:.0f}" for way in WAYS] + [f"{row['xgboost'] / row['bins']:.1f}", f"{row['differing']}"]
            print(f"| {name} | {' | '.join(cells)} |")
    results.merge("processors", {"turns": options.turns, "rows": ROWS, "releases": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
