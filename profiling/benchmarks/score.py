"""The cost of predict_credit_score with each engine, compared with a bare predict_proba and with the old path.

`python -m profiling.benchmarks.score`. All in one process, on the same real applications, with the performance log
written; equal probabilities are checked first. Each engine takes BLOCK applications in turn, so that it finds the
processor's caches as it leaves them itself, as it would in a server, and a busy machine slows all alike; the bare
predict_proba goes before each score by xgboost, on the same row. Quote the ratios: absolute times drift.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from inference.application import Application
from inference.engines import ENGINES, TOLERANCE, open_engine
from inference.perflog import PerformanceLog
from inference.release import Release, open_release
from inference.scorer import Score, Scorer
from profiling import results
from profiling.study.legacy import Legacy
from profiling.timing import microseconds
from profiling.workload import applications, embedded

BARE, BEFORE = "predict_proba", "legacy"
BLOCK = 25
STAGES = ("validate", "row", "predict", "policy", "log")
Times = dict[str, list[float]]  # µs


def bench(folder: Path, rounds: int) -> dict[str, Any]:
    """Medians and p99 in µs of all that is compared, `rounds` calls each (a fifth of that for the slow old path)."""
    release = open_release(folder)
    answers = applications(release, 500)
    legacy = Legacy(release)
    features = [legacy.features(answer) for answer in answers]
    with tempfile.TemporaryDirectory() as logs:
        scorers = {
            name: Scorer(release, open_engine(name, release), PerformanceLog(Path(logs) / f"{name}.jsonl", 1))
            for name in ENGINES
        }
        check(release, scorers, answers, [legacy.predict(feature) for feature in features])
        rows = [release.rows.fill(release.form.parse(answer)).copy() for answer in answers]
        times: Times = {name: [] for name in (BARE, BEFORE, *ENGINES)}
        stages: dict[str, Times] = {name: {stage: [] for stage in STAGES} for name in ENGINES}
        turns = cycle(range(len(answers)))
        bare = scorers["xgboost"].engine.classifier.predict_proba  # type: ignore[attr-defined]
        for block in range(-2, rounds // BLOCK):  # the first two only warm up
            if block == 0:
                times = {name: [] for name in times}
                stages = {name: {stage: [] for stage in STAGES} for name in ENGINES}
            for name, scorer in scorers.items():
                for index in islice(turns, BLOCK):
                    if name == "xgboost":
                        times[BARE].append(microseconds(lambda index=index: bare(rows[index])))  # type: ignore[misc]
                    started = time.perf_counter_ns()
                    score = scorer.score(answers[index])
                    took = (time.perf_counter_ns() - started) / 1e3
                    times[name].append(took)
                    for stage, spent in spent_in(score, took).items():
                        stages[name][stage].append(spent)
            times[BEFORE] += [
                microseconds(lambda index=index: legacy.predict(features[index]))  # type: ignore[misc]
                for index in islice(turns, BLOCK // 5)
            ]
    figures = {name: {"p50": statistics.median(t), "p99": float(np.percentile(t, 99))} for name, t in times.items()}
    for name in ENGINES:
        figures[name]["stages"] = {stage: statistics.median(t) for stage, t in stages[name].items()}  # type: ignore[assignment]
    return {"features": len(release.rows.columns), **figures, "alone": alone(release, answers)}


def check(
    release: Release, scorers: dict[str, Scorer], answers: Sequence[dict[str, object]], old_pds: Sequence[float]
) -> None:
    """End with an error unless every engine and the old path give the same PDs."""
    expected = np.array([scorers["xgboost"].score(answer).pd for answer in answers])
    others = {name: np.array([scorer.score(answer).pd for answer in answers]) for name, scorer in scorers.items()}
    others[BEFORE] = release.calibration.pds(np.array(old_pds))
    for name, pds in others.items():
        if (off := float(np.abs(pds - expected).max())) > TOLERANCE:
            raise SystemExit(f"{release.name}: PDs by {name} are off by {off:.2g}; nothing was timed")


def spent_in(score: Score, took: float) -> dict[str, float]:
    """µs by stage of one score that took so long in all; the log is what comes after the last of its own clocks."""
    inside = {stage: ms * 1e3 for stage, ms in score.milliseconds.items()}
    total = inside.pop("total")
    return {**inside, "log": took - total}


def alone(release: Release, answers: Sequence[dict[str, object]]) -> dict[str, float]:
    """µs of each stage repeated by itself, all in the processor's caches; and of psutil's own work for one sample."""
    form, policy = release.form, release.policy
    application: Application = form.parse(answers[0])
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as logs:
        log = PerformanceLog(Path(logs) / "alone.jsonl", 1)
        entry = {"id": "0" * 20, "ms": dict.fromkeys(("total", *STAGES[:4]), 0.123), "pd": 0.123456}
        calls: dict[str, Callable[[], object]] = {
            "validate": lambda: form.parse(answers[0]),
            "row": lambda: release.rows.fill(application),
            "policy": lambda: (release.calibration.pd(0.2), policy.decide(0.2, application), release.points.of(0.2)),
            "log": lambda: log.write(entry),
            "psutil": lambda: (process.cpu_percent(None), process.memory_info()),
        }
        medians = {name: statistics.median(microseconds(call) for _ in range(2000)) for name, call in calls.items()}
        log.close()
    return medians


def main() -> int:
    """Print a row a release and path, and where the time goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    rounds = parser.parse_args().rounds
    figures = {}
    for folder in embedded():
        figures[folder.name.rpartition("-")[0]] = measured = bench(folder, rounds)
        bare = measured[BARE]
        print(f"\n{folder.name}: {measured['features']} features\n")
        print("| | p50 µs | p99 µs | p50 over predict_proba | validate | row | predict | policy | log |")
        print("| --- |" + " ---: |" * 8)
        for name in (BARE, *ENGINES, BEFORE):
            row = measured[name]
            spent = " | ".join(f"{µs:.1f}" for µs in row["stages"].values()) if "stages" in row else " | " * 4
            ratio = row["p50"] / bare["p50"]
            print(f"| {label(name)} | {row['p50']:.0f} | {row['p99']:.0f} | {ratio:.3f} | {spent} |")
        print("Repeated alone, µs: " + ", ".join(f"{name} {µs:.1f}" for name, µs in measured["alone"].items()))
    headline = max(figures.values(), key=lambda release: release["features"])  # the release with the longest row
    p50 = {name: headline[name]["p50"] for name in (BARE, BEFORE, *ENGINES)}
    ratios = {
        "score_overhead_xgboost": p50["xgboost"] / p50[BARE],
        "score_onnx_us": p50["onnx"],
        "legacy_over_score_xgboost": p50[BEFORE] / p50["xgboost"],
        "legacy_over_score_onnx": p50[BEFORE] / p50["onnx"],
        "score_bins_over_predict_proba": max(row["bins"]["p50"] / row[BARE]["p50"] for row in figures.values()),
    }
    print("\n" + ", ".join(f"{name} {value:.3g}" for name, value in ratios.items()))
    results.merge("score", {"rounds": rounds, **figures}, ratios)
    return 0


def label(name: str) -> str:
    return {BARE: BARE, BEFORE: "dict → DataFrame → predict_proba"}.get(name, f"predict_credit_score, {name}")


if __name__ == "__main__":
    sys.exit(main())
