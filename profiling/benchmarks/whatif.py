"""A click with all that follows it, with XGBoost and on bits: `python -m profiling.benchmarks.whatif`.

What the server computes for the card and the panel of one application: its score and reasons, the curve of each field,
what would make it an approval, and the amounts that would be approved. Both engines take each loan in turn; equal
results are checked first.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.application import Application
from inference.engines import open_engine
from inference.reasons import Reasons
from inference.release import Release, open_release
from inference.whatif import WhatIf
from profiling import results
from profiling.timing import microseconds
from profiling.workload import applications, embedded

ENGINES = ("xgboost", "bins")
ALL = "all of it"
Way = tuple[WhatIf, Reasons]


def steps(way: Way, answers: dict[str, object], application: Application) -> dict[str, Callable[[], object]]:
    """What is computed, by name."""
    panel, reasons = way
    return {
        "score": lambda: panel.score(answers),
        "reasons": lambda: reasons.principal(reasons.explain(application), application),
        "curves": lambda: [panel.curve(application, position) for position in range(len(application.values))],
        "approvals": lambda: panel.approvals(application),
        "amounts": lambda: panel.amounts(application),
    }


def bench(release: Release, loans: int) -> dict[str, Any]:
    """Median µs of each step by engine, over real loans."""
    ways: dict[str, Way] = {}
    for name in ENGINES:
        engine = open_engine(name, open_release(release.folder))
        ways[name] = WhatIf(release, engine), Reasons(release, engine)
    given = applications(release, loans)
    parsed = [release.form.parse(answers) for answers in given]
    check(release, ways, parsed[: max(3, loans // 10)])
    times: dict[str, dict[str, list[float]]] = {name: {} for name in ENGINES}
    for panel, _ in ways.values():
        panel.approvals.cache_clear()
        panel.amounts.cache_clear()
    for answers, application in zip(given, parsed, strict=True):
        for name, way in ways.items():
            taken = {step: microseconds(call) for step, call in steps(way, answers, application).items()}
            for step, took in {**taken, ALL: sum(taken.values())}.items():
                times[name].setdefault(step, []).append(took)
    return {name: {step: statistics.median(took) for step, took in by.items()} for name, by in times.items()}


def check(release: Release, ways: dict[str, Way], parsed: list[Application]) -> None:
    """End with an error unless both give the same proposals, amounts and curves."""
    (first, _), (second, _) = ways.values()
    for application in parsed:
        same = first.approvals(application) == second.approvals(application)
        same &= first.amounts(application) == second.amounts(application)
        for position in range(len(application.values)):
            same &= np.array_equal(first.curve(application, position).pds, second.curve(application, position).pds)
        if not same:
            raise SystemExit(f"{release.name}: the engines propose different things; nothing was timed")


def main() -> int:
    """Print and keep the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=200)
    loans = parser.parse_args().loans
    figures, ratios = {}, {}
    for folder in embedded():
        release = open_release(folder)
        name = release.manifest.name
        figures[name] = measured = bench(release, loans)
        ratios[f"whatif_bins_over_xgboost_{name}"] = measured["bins"][ALL] / measured["xgboost"][ALL]
        print(f"\n{name}: ms, medians of {loans} loans\n\n| | {' | '.join(ENGINES)} | bins over xgboost |")
        print("| --- | ---: | ---: | ---: |")
        for step, took in measured["xgboost"].items():
            by_bins = measured["bins"][step]
            print(f"| {step} | {took / 1e3:.2f} | {by_bins / 1e3:.2f} | {by_bins / took:.2f} |")
    print("\n" + ", ".join(f"{name} {value:.3f}" for name, value in ratios.items()))
    results.merge("whatif", {"loans": loans, **figures}, ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
