"""From `python app.py` to a green /readyz, beside the imports alone: `python -m profiling.benchmarks.start`.

Each round starts both once, in turn, so that a busy machine slows both. Quote the ratio.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from profiling import results
from profiling.benchmarks.serving import served

IMPORTS = "import gradio, xgboost"


def main() -> int:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    ready, imports = [], []
    with tempfile.TemporaryDirectory() as logs:
        environment = {"TENFOLD_LOG": str(Path(logs) / "predictions.jsonl")}
        for round_number in range(-1, rounds):  # the first round fills the disk cache
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            imported = time.perf_counter()
            with served([sys.executable, "app.py"], "/readyz", environment):
                took = time.perf_counter() - imported
            if round_number >= 0:
                imports.append(imported - started)
                ready.append(took)
    figures = {"ready_s": statistics.median(ready), "imports_s": statistics.median(imports)}
    ratio = figures["ready_s"] / figures["imports_s"]
    print(f"python app.py to /readyz {figures['ready_s']:.2f} s, {IMPORTS!r} alone {figures['imports_s']:.2f} s")
    print(f"ratio {ratio:.2f}, medians of {rounds}")
    results.merge("start", {"rounds": rounds, **figures}, {"start_over_imports": ratio})
    return 0


if __name__ == "__main__":
    sys.exit(main())
