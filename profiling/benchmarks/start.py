"""From `python app.py` to a green /readyz, beside the imports alone: `python -m profiling.benchmarks.start`.

Each round starts all once, in turn, so that a busy machine slows all alike. Quote the ratios. The loops of engine bins
are compiled before, as by `make setup`. `--folder CHECKOUT` starts the app of another checkout too, such as an earlier
version.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inference.settings import ROOT
from profiling import results
from profiling.benchmarks.serving import served

IMPORTS = "import gradio, xgboost"
ENGINES = ("xgboost", "bins")
THERE = "there"


def main() -> int:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="another checkout to compare with; the figures are only printed")
    options = parser.parse_args()
    rounds, checkout = options.rounds, options.folder
    subprocess.run([sys.executable, "-m", "inference", "compile"], check=True, stdout=subprocess.DEVNULL)
    starts = {engine: (engine, ROOT) for engine in ENGINES} | ({THERE: (ENGINES[0], checkout)} if checkout else {})
    times: dict[str, list[float]] = {name: [] for name in (IMPORTS, *starts)}
    with tempfile.TemporaryDirectory() as logs:
        for round_number in range(-1, rounds):  # the first round fills the disk cache
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            taken = {IMPORTS: time.perf_counter() - started}
            for name, (engine, folder) in starts.items():
                environment = {"TENFOLD_LOG": f"{logs}/{name}.jsonl", "TENFOLD_ENGINE": engine}
                started = time.perf_counter()
                with served([sys.executable, "app.py"], "/readyz", environment, folder):
                    taken[name] = time.perf_counter() - started
            if round_number >= 0:
                for name, seconds in taken.items():
                    times[name].append(seconds)
    imported, by_xgboost, by_bins, *there = (statistics.median(seconds) for seconds in times.values())
    print(f"python app.py to /readyz {by_xgboost:.2f} s, with bins {by_bins:.2f} s, {IMPORTS!r} alone {imported:.2f} s")
    ratios = {"start_over_imports": by_xgboost / imported, "start_bins_over_imports": by_bins / imported}
    print(", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()) + f", medians of {rounds}")
    if there:
        print(f"by xgboost {by_xgboost:.2f} s here, {there[0]:.2f} s there: {by_xgboost / there[0]:.2f}")
        return 0
    figures = {"ready_s": by_xgboost, "ready_bins_s": by_bins, "imports_s": imported}
    results.merge("start", {"rounds": rounds, **figures}, ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
