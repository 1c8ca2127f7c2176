"""`python -m profiling profile`: the old path and the new one under cProfile, on the same real loans.

For the embedded release with the longest row into out/before.prof and out/after.prof, for the others with their name
after it. cProfile makes every Python call dearer, and the old path makes more of them: so the ratio of the two
is also timed without it.
"""

import argparse
import cProfile
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
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
from profiling.study.html_report import write_html
from profiling.study.legacy import Legacy
from profiling.study.prof_reader import Function, Profile, read_profile
from profiling.study.report import as_text, bars, groups, package, tables
from profiling.timing import microseconds
from profiling.workload import SEED, applications, embedded

LOANS = 500
STAGES = (  # what part of a function's file, or of its name if it is written in C, stands for which group
    ("xgboost", "xgboost"),
    ("sklearn", "xgboost"),  # XGBClassifier is built on it
    ("pandas", "pandas"),
    ("numpy", "NumPy"),
    ("inference/application.py", "validation"),
    ("inference/fields.py", "validation"),
    ("inference/rows.py", "row"),
    ("inference/row_compiler.py", "row"),
    ("inference/policy.py", "policy"),
    ("inference/calibration.py", "policy"),
    ("inference/perflog.py", "log"),
    ("orjson", "log"),
    ("posix.write", "log"),
    ("psutil", "psutil"),
    ("inference/measure.py", "psutil"),
    ("inference/engines.py", "xgboost"),
    ("inference/scorer.py", "scorer"),
    ("profiling/study/legacy.py", "dict"),
    ("profiling/study/before_after.py", "this loop"),
)
VERSIONS = ("xgboost-cpu", "numpy", "pandas", "scikit-learn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--loans", type=int, default=LOANS, help="applications scored by each (%(default)s)")
    parser.add_argument("--out", type=Path, default=results.OUT, metavar="FOLDER", help="where the files go")


def run(given: argparse.Namespace) -> int:
    """Profile every embedded release."""
    given.out.mkdir(parents=True, exist_ok=True)
    releases = sorted((open_release(folder) for folder in embedded()), key=lambda one: len(one.rows.columns))
    figures: dict[str, Any] = {"loans": given.loans}
    for release in releases:
        suffix = "" if release is releases[-1] else f"-{release.manifest.name}"
        text, figures[release.manifest.name] = profiled(release, given.loans, given.out, suffix)
        print(text)
    if given.out == results.OUT:
        results.merge("profile", figures)
    print("\nLook into them:")
    for name in ("before", "after"):
        print(f"  make snakeviz-{name}    or: python -m snakeviz {shown(given.out / name)}.prof")
    return 0


def stage(function: Function) -> str | None:
    """The part of a score that a function belongs to; None leaves a function in C to its callers."""
    place = function.name if function.file == "~" else function.file.replace("\\", "/")
    for part, name in STAGES:
        if part in place:
            return name
    return None if function.file == "~" else package(function)


def profiled(release: Release, loans: int, out: Path, suffix: str) -> tuple[str, dict[str, Any]]:
    """Both paths over the same loans: equal probabilities checked, timed in turn, profiled one after the other.

    What the two profiles say, and the figures to keep.
    """
    answers = applications(release, loans)
    legacy = Legacy(release)
    features = [legacy.features(one) for one in answers]
    with tempfile.TemporaryDirectory() as logs:
        scorer = Scorer(release, XGBoostEngine(release), PerformanceLog(Path(logs) / "predictions.jsonl", 1))
        paths: dict[str, Callable[[int], object]] = {
            "before": lambda at: legacy.predict(features[at]),
            "after": lambda at: scorer.score(answers[at]),
        }
        before = release.calibration.pds(np.array([legacy.predict(one) for one in features]))
        after = np.array([scorer.score(one).pd for one in answers])
        if (off := float(np.abs(before - after).max())) > TOLERANCE:
            raise SystemExit(f"{release.name}: the two paths are off by {off:.2g}; nothing was timed")
        times: dict[str, list[float]] = {name: [] for name in paths}
        for at in range(loans):
            for name, path in paths.items():
                times[name].append(microseconds(lambda path=path, at=at: path(at)))  # type: ignore[misc]
        for name, path in paths.items():
            profile = cProfile.Profile()
            profile.runcall(over, path, loans)
            profile.dump_stats(out / f"{name}{suffix}.prof")
    p50 = {name: statistics.median(t) for name, t in times.items()}
    ratio = p50["before"] / p50["after"]
    about = [
        ("release", f"{release.name}, {len(release.rows.columns)} features"),
        ("workload", f"{loans} real loans, drawn with seed {SEED}; PDs agree within {max(off, 1e-12):.0e}"),
        ("without profiler", f"p50 {p50['before']:,.0f} µs before, {p50['after']:,.0f} µs after: {ratio:.1f} times"),
        ("machine", results.machine()),
        ("versions", ", ".join(f"{name} {version(name)}" for name in VERSIONS) + f", {platform.system()}"),
    ]
    profiles = {name: read_profile(out / f"{name}{suffix}.prof") for name in paths}
    figures = {
        name: {"p50_us": p50[name], "profiled_s": one.seconds, "calls": one.calls, "groups_s": groups(one, stage)}
        for name, one in profiles.items()
    }
    return reported(profiles["before"], profiles["after"], about, out, suffix), figures


def over(path: Callable[[int], object], loans: int) -> None:
    for at in range(loans):
        path(at)


def reported(before: Profile, after: Profile, about: Sequence[tuple[str, str]], out: Path, suffix: str) -> str:
    """What the two profiles say, as text; and as HTML beside them."""
    file = out / f"report{suffix}.html"
    write_html(file, before, after, bars(before, after, stage), tables(before, after, stage, 20), about)
    head = "\n".join(f"{term}: {text}" for term, text in about)
    return f"\n{head}\n\n{as_text(before, after, 12, stage)}\n\n{shown(file)}: the same with pictures"


def shown(file: Path) -> Path:
    """A path as one would type it."""
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
