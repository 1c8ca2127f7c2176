"""The engines side by side, from one row to 48,744: `python -m profiling.benchmarks.engines`.

One process; real applications; equal probabilities checked first. Each engine takes every batch in turn, so that a
busy machine slows all alike. Opening an engine and its first call (cold) are reported apart from later calls (warm):
the study that this project grew out of measured the two together. Also: XGBoost as a joblib .pkl loads it, the programs
of profiling/benchmarks/peer_engines.py on the same trees, and what building the rows costs.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from inference.blocks import Matrix
from inference.engines import ENGINES, TOLERANCE, XGBoostEngine, open_engine
from inference.release import Release, open_release
from inference.settings import ROOT
from profiling import results
from profiling.benchmarks.engines_plot import plot
from profiling.benchmarks.peer_engines import GTIL, TL2CGEN, YDF, Predict, peers
from profiling.workload import applications, embedded

SIZES = (1, 2, 8, 32, 128, 512, 1024, 4096, 48_744)
LARGEST = SIZES[-1]  # the study's batch
THREADS = (1, 2)
PKL = "joblib .pkl"
REFERENCE = "xgboost"


def from_pickle(release: Release, threads: int) -> Predict:
    """The model as joblib.dump and joblib.load leave it: the bytes are our own, so this pickle is safe to load."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "best_model.pkl"
        joblib.dump(XGBoostEngine(release, threads).classifier, file)
        classifier = joblib.load(file)
    return lambda rows: classifier.predict_proba(rows)[:, 1]


def opened(name: str, release: Release, threads: int) -> Predict:
    """One of our engines, or one of the two that are only compared with."""
    if name in ENGINES:
        return open_engine(name, release, threads).predict_proba
    return {PKL: from_pickle, **peers()}[name](release, threads)


NAMES = (*ENGINES, PKL, GTIL, TL2CGEN, YDF)


def bench(release: Release, values: npt.NDArray[np.float64], budget: float) -> dict[str, Any]:
    """Seconds by threads, engine and batch: medians of as many turns as `budget` seconds a batch and engine allow."""
    rows = release.rows.build(values)
    building = median_of(lambda: release.rows.build(values), 5)
    figures: dict[str, Any] = {"build_s": building, "features": rows.shape[1], "threads": {}}
    for threads in THREADS:
        predicts, cold = {}, {}
        for name in (
            *ENGINES,
            PKL,
            *peers(),
        ):  # oneDAL's number of threads is the whole process's, hence one number of threads at a time
            started = time.perf_counter()
            predicts[name] = opened(name, release, threads)
            ready = time.perf_counter()
            predicts[name](rows[:1])
            cold[name] = {"open_s": ready - started, "first_call_s": time.perf_counter() - ready}
        check(release, predicts, rows)
        warm = {
            name: {str(size): s for size, s in times.items()} for name, times in timed(predicts, rows, budget).items()
        }
        figures["threads"][str(threads)] = {"cold": cold, "warm_s": warm}
    return figures


def check(release: Release, predicts: dict[str, Predict], rows: Matrix) -> None:
    """End with an error unless all agree, in a batch and one by one."""
    expected = predicts[REFERENCE](rows)
    for name, predict in predicts.items():
        singles = np.concatenate([predict(rows[index : index + 1]) for index in range(200)])
        off = max(np.abs(predict(rows) - expected).max(), np.abs(singles - expected[:200]).max())
        if not off <= TOLERANCE:
            raise SystemExit(f"{release.name}: {name} is off by {off:.2g}; nothing was timed")


def timed(predicts: dict[str, Predict], rows: Matrix, budget: float) -> dict[str, dict[int, float]]:
    """Median seconds a call by engine and batch."""
    medians: dict[str, dict[int, float]] = {name: {} for name in predicts}
    for size in SIZES:
        batch = rows[:size]
        once = [median_of(partial(predict, batch), 1) for predict in predicts.values()]
        turns = int(np.clip(budget * len(predicts) / sum(once), 3, 400))
        times: dict[str, list[float]] = {name: [] for name in predicts}
        for _ in range(turns):
            for name, predict in predicts.items():
                predict(batch)  # the one before has emptied the caches of this one's trees
                times[name].append(seconds(partial(predict, batch)))
        for name, seconds_taken in times.items():
            medians[name][size] = statistics.median(seconds_taken)
    return medians


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def median_of(call: Callable[[], object], turns: int) -> float:
    return statistics.median(seconds(call) for _ in range(turns))


def crossovers(warm: dict[str, dict[str, float]], first: str, second: str) -> list[float]:
    """Batch sizes at which the quicker of two engines changes, between two sizes measured (on logarithmic scales)."""
    lead = [np.log(warm[first][str(size)] / warm[second][str(size)]) for size in SIZES]
    sizes = []
    for index in range(len(SIZES) - 1):
        if lead[index] * lead[index + 1] < 0:
            share = lead[index] / (lead[index] - lead[index + 1])
            sizes.append(float(SIZES[index] * (SIZES[index + 1] / SIZES[index]) ** share))
    return sizes


def table(figures: dict[str, Any]) -> str:
    """Times by batch, and the ratio to XGBoost beside each."""
    lines = []
    for threads, part in figures["threads"].items():
        warm, cold = part["warm_s"], part["cold"]
        names = [name for name in NAMES if name in warm]
        lines += [
            f"\n{threads} thread(s)\n",
            "| rows | " + " | ".join(names) + " |",
            "| ---: |" + " ---: |" * len(names),
        ]
        for size in map(str, SIZES):
            cells = [f"{duration(warm[name][size])} ({warm[name][size] / warm[REFERENCE][size]:.2f})" for name in names]
            lines.append(f"| {int(size):,} | " + " | ".join(cells) + " |")
        for key, label in (("open_s", "opening"), ("first_call_s", "first call")):
            lines.append(f"| {label} | " + " | ".join(duration(cold[name][key]) for name in names) + " |")
        for name in names:
            if name not in (REFERENCE, PKL) and (sizes := crossovers(warm, name, REFERENCE)):
                lines.append(
                    f"{name} and {REFERENCE} change places at {', '.join(f'{size:,.0f}' for size in sizes)} rows."
                )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def main() -> int:
    """Print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=1.5, help="seconds for each batch and engine (%(default)s)")
    budget = parser.parse_args().budget
    figures: dict[str, Any] = {}
    for folder in embedded():
        release = open_release(folder)
        answers = applications(release, LARGEST)
        values = release.form.encode({name: [answer[name] for answer in answers] for name in release.form.names})
        figures[folder.name.rpartition("-")[0]] = measured = bench(release, values, budget)
        print(
            f"\n{release.name}: {measured['features']} features; building {LARGEST:,} rows "
            f"{duration(measured['build_s'])}"
        )
        print(table(measured))
    headline = max(figures.values(), key=lambda release: release["features"])
    warm = headline["threads"]["1"]["warm_s"]
    ratios = {
        "batch_build_over_predict": headline["build_s"] / warm[REFERENCE][str(LARGEST)],
        "batch_48744_xgboost_over_onedal": warm[REFERENCE][str(LARGEST)] / warm["onedal"][str(LARGEST)],
        "batch_48744_xgboost_over_bins": warm[REFERENCE][str(LARGEST)] / warm["bins"][str(LARGEST)],
        "batch_48744_onnx_over_xgboost": warm["onnx"][str(LARGEST)] / warm[REFERENCE][str(LARGEST)],
        "single_xgboost_over_onnx": warm[REFERENCE]["1"] / warm["onnx"]["1"],
        "single_onnx_over_bins": warm["onnx"]["1"] / warm["bins"]["1"],
    }
    for name, measured in figures.items():
        by = measured["threads"]["1"]["warm_s"]
        ratios[f"batch_48744_xgboost_over_bins_{name}"] = by[REFERENCE][str(LARGEST)] / by["bins"][str(LARGEST)]
    print("\n" + ", ".join(f"{name} {value:.3g}" for name, value in ratios.items()))
    results.merge("engines", figures, ratios)
    plot(headline, list(warm), ROOT / "docs" / "engines.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
