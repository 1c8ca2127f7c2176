"""`python -m profiling profile`: the old path and the new one, compared as before-after compares, on real loans.

For the embedded release with the longest row into out/before.prof and out/after.prof, for the others with their name
after it. cProfile slows every Python call, and the old path makes more of them, so the ratio of the two is also
timed without it.
"""

import argparse
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from inference.engines import TOLERANCE, XGBoostEngine
from inference.perflog import PerformanceLog
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import ROOT
from profiling import results
from profiling.study.before_after import compared, print_comparison
from profiling.study.calls import Call, prepared
from profiling.study.legacy import Legacy
from profiling.study.names import TENFOLD, groups, read_groups
from profiling.study.verdicts import as_text
from profiling.workload import SEED, applications, embedded

LOANS = 500
VERSIONS = ("xgboost-cpu", "numpy", "pandas", "scikit-learn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--loans", type=int, default=LOANS, help="applications scored by each (%(default)s)")
    parser.add_argument("--out", type=Path, default=results.OUT, metavar="FOLDER", help="where the files go")


def run(options: argparse.Namespace) -> int:
    """Profile every embedded release."""
    options.out.mkdir(parents=True, exist_ok=True)
    releases = sorted((open_release(folder) for folder in embedded()), key=lambda release: len(release.rows.columns))
    figures: dict[str, Any] = {"loans": options.loans}
    for release in releases:
        suffix = "" if release is releases[-1] else f"-{release.manifest.name}"
        figures[release.manifest.name] = profiled(release, options.loans, options.out, suffix)
    if options.out == results.OUT:
        results.merge("profile", figures)
    print("\nLook into them:")
    for name in ("before", "after"):
        print(f"  make snakeviz-{name}    or: python -m snakeviz {shown(options.out / name)}.prof")
    return 0


def profiled(release: Release, loans: int, out: Path, suffix: str) -> dict[str, Any]:
    """Both paths over the same loans: equal probabilities checked, timed in turn, profiled one after the other.

    Prints what the two profiles say; returns the figures to keep.
    """
    answers = applications(release, loans)
    legacy = Legacy(release)
    features = [legacy.features(answer) for answer in answers]
    with tempfile.TemporaryDirectory() as logs:
        scorer = Scorer(release, XGBoostEngine(release), PerformanceLog(Path(logs) / "predictions.jsonl", 1))

        def before(loan: int) -> float:
            return legacy.predict(features[loan])

        def after(loan: int) -> float:
            return scorer.score(answers[loan]).pd

        def calibrated(loan: int) -> float:
            return float(release.calibration.pds(np.array([before(loan)]))[0])

        off = max(abs(calibrated(loan) - after(loan)) for loan in range(loans))
        if off > TOLERANCE:
            raise SystemExit(f"{release.name}: the two paths are off by {off:.2g}; nothing was timed")
        targets = [prepared(path.__name__, path) for path in (before, after)]
        comparison = compared(targets, [Call((loan,)) for loan in range(loans)], loans, out=out, suffix=suffix)
    group = read_groups(TENFOLD)
    p50 = [sorted(timings.wall)[len(timings.wall) // 2] * 1e6 for timings in comparison.timings]
    about = [
        ("release", f"{release.name}, {len(release.rows.columns)} features"),
        ("workload", f"{loans} real loans, drawn with seed {SEED}; PDs agree within {max(off, 1e-12):.0e}"),
        ("without profiler", f"p50 {p50[0]:,.0f} µs before, {p50[1]:,.0f} µs after: {p50[0] / p50[1]:.1f} times"),
        ("versions", ", ".join(f"{name} {version(name)}" for name in VERSIONS) + f", {platform.system()}"),
    ]
    print()
    print_comparison(comparison, about, group, html=out / f"report{suffix}.html")
    print(f"\n{as_text(comparison.changes)}")
    return {
        name: {
            "p50_us": took,
            "profiled_s": profile.seconds,
            "calls": profile.calls,
            "groups_s": groups(profile, group),
        }
        for name, took, profile in zip(("before", "after"), p50, comparison.profiles, strict=True)
    }


def shown(file: Path) -> Path:
    """A path relative to the project, if it is inside."""
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
