"""The cost of exact reasons compared with XGBoost's pred_contribs, in turn on the same real loans.

`python -m profiling.benchmarks.reasons`. Ours are of the ten fields and exact; pred_contribs are of every column, by
way of the trees' own paths. Both are checked to add up to the same score first. Two bounds are measured:
building the rows of all coalitions without predicting, and predicting a single row by the same engine.
"""

import argparse
import statistics
import sys
from typing import Any

import numpy as np
import xgboost

from inference.engines import ENGINES, XGBoostEngine, open_engine
from inference.reasons import Reasons
from inference.release import Release, open_release
from profiling import results
from profiling.timing import microseconds
from profiling.workload import applications, embedded

BUILT, SINGLE = "rows alone", "one row predicted"


def bench(release: Release, loans: int) -> dict[str, Any]:
    """Medians in µs over real loans, and how many fields differ from the reference applicant."""
    parsed = [release.form.parse(answers) for answers in applications(release, loans)]
    booster = XGBoostEngine(release).classifier.get_booster()
    booster.feature_names = None
    ways = {name: Reasons(release, open_engine(name, release)) for name in ENGINES}
    rows = [xgboost.DMatrix(release.rows.fill(application).copy()) for application in parsed]
    for application, row in zip(parsed[:20], rows, strict=False):
        margin = booster.predict(row, pred_contribs=True).sum()
        expected = release.calibration.pd(1 / (1 + np.exp(-margin)))
        for name, reasons in ways.items():
            if abs(reasons.explain(application).pd - expected) > 1e-5:
                raise SystemExit(f"{release.name}: reasons by {name} explain another score; nothing was timed")
    times: dict[str, list[float]] = {name: [] for name in (*ways, "pred_contribs", BUILT, SINGLE)}
    engine, fields = open_engine("xgboost", release), []
    reference = np.array(release.form.reference.values)
    for application, row in zip(parsed, rows, strict=True):
        values = np.array(application.values)
        moved = int((~((values == reference) | (np.isnan(values) & np.isnan(reference)))).sum())
        fields.append(moved)
        batch = np.tile(values, (2**moved, 1))
        single = release.rows.fill(application).copy()
        times[BUILT].append(microseconds(lambda batch=batch: release.rows.build(batch)))  # type: ignore[misc]
        times[SINGLE].append(microseconds(lambda single=single: engine.predict_proba(single)))  # type: ignore[misc]
        for name, reasons in ways.items():
            times[name].append(
                microseconds(lambda reasons=reasons, application=application: reasons.explain(application))  # type: ignore[misc]
            )
        times["pred_contribs"].append(
            microseconds(lambda row=row: booster.predict(row, pred_contribs=True))  # type: ignore[misc]
        )
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {**medians, "fields_moved": statistics.median(fields)}


def main() -> int:
    """Print and keep the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=300)
    loans = parser.parse_args().loans
    figures, ratios = {}, {}
    for folder in embedded():
        release = open_release(folder)
        name = release.manifest.name
        figures[name] = measured = bench(release, loans)
        ratios[f"reasons_over_pred_contribs_{name}"] = measured["xgboost"] / measured["pred_contribs"]
        ratios[f"reasons_over_pred_contribs_bins_{name}"] = measured["bins"] / measured["pred_contribs"]
        moved = measured["fields_moved"]
        timed = ", ".join(f"{way} {µs / 1e3:.2f} ms" for way, µs in measured.items() if way != "fields_moved")
        print(f"{name}: {timed}; {moved:g} fields differ from the reference, {2**moved:,.0f} rows (medians)")
    print(", ".join(f"{name} {value:.3f}" for name, value in ratios.items()))
    results.merge("reasons", {"loans": loans, **figures}, ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
