"""What predict_credit_score costs over a bare predict_proba of the same row: `python -m profiling.bench_score`.

Both run in turn in one process, on the same real form answers, with the performance log written; equal
probabilities are checked first. Quote the ratio: absolute times drift with the machine.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference.engines import XGBoostEngine
from inference.perflog import PerformanceLog
from inference.release import open_release
from inference.scorer import Scorer
from inference.settings import RELEASES
from profiling import results


def microseconds(call: Callable[[], object]) -> float:
    """One call's wall time."""
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1e3


def bench(folder: Path, rounds: int) -> dict[str, float]:
    """Median and p99 in µs of both, and their ratios."""
    release = open_release(folder)
    engine = XGBoostEngine(release)
    with tempfile.TemporaryDirectory() as logs:
        scorer = Scorer(release, engine, PerformanceLog(Path(logs) / "predictions.jsonl", 1))
        answers = release.form.example
        row = release.rows.fill(release.form.parse(answers)).copy()
        bare = release.calibration.pd(float(engine.predict_proba(row)[0]))
        if scorer.score(answers).pd != bare:
            raise SystemExit(f"{release.name}: the score and a bare predict_proba differ; nothing was timed")
        classifier = engine.classifier
        times = {"predict_proba": np.empty(rounds), "predict_credit_score": np.empty(rounds)}
        stages: dict[str, list[float]] = {}
        for at in range(-rounds // 10, rounds):  # the first tenth only warms up, and is overwritten
            times["predict_proba"][at] = microseconds(lambda: classifier.predict_proba(row))
            started = time.perf_counter_ns()
            score = scorer.score(answers)
            times["predict_credit_score"][at] = (time.perf_counter_ns() - started) / 1e3
            for stage, ms in score.milliseconds.items():
                stages.setdefault(stage, []).append(ms * 1e3)
    found = {f"{name}_{label}": float(np.percentile(t, q)) for name, t in times.items() for label, q in QUANTILES}
    found |= {f"{stage}_p50": float(np.median(t)) for stage, t in stages.items()}
    found["log_p50"] = found["predict_credit_score_p50"] - found["total_p50"]
    for label, _ in QUANTILES:
        found[f"ratio_{label}"] = found[f"predict_credit_score_{label}"] / found[f"predict_proba_{label}"]
    return found | {"features": len(release.rows.columns)}


QUANTILES = (("p50", 50), ("p99", 99))


def main() -> int:
    """Print a row a release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    rounds = parser.parse_args().rounds
    print("| release | predict_proba p50 µs | predict_credit_score p50 µs | ratio p50 | ratio p99 | stages, p50 µs |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    figures = {}
    for folder in sorted(path.parent for path in RELEASES.glob("*/manifest.json")):
        figures[folder.name.rpartition("-")[0]] = found = bench(folder, rounds)
        stages = ", ".join(
            f"{name} {found[f'{name}_p50']:.1f}" for name in ("validate", "row", "predict", "policy", "log")
        )
        print(
            f"| {folder.name} | {found['predict_proba_p50']:.0f} | {found['predict_credit_score_p50']:.0f} | "
            f"{found['ratio_p50']:.3f} | {found['ratio_p99']:.3f} | {stages} |"
        )
    headline = max(figures.values(), key=lambda found: found["features"])  # the release with the longest row
    results.merge("score", {"rounds": rounds, **figures}, {"score_overhead_xgboost": headline["ratio_p50"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
