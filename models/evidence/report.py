"""The report of an evaluation: one HTML file that loads nothing, drawn by Jinja2 from views. Readable on a phone.

It holds counts, rates and PDs of groups of loans, and no loan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from inference.watch.series import SCORE
from models.draft.report import environment, percent
from models.evidence.charts import Axis, Chart, dot, line, of_row, of_shares, top_of
from models.evidence.compare import sentences, terms
from models.evidence.decisions import Decided
from models.evidence.evaluate import Evaluation
from models.evidence.figures import Brier, Gain, Measure, Quarter, Rates, Segment, drifted
from models.evidence.groups import GroupTable
from models.stability import Step

TEMPLATES = Path(__file__).with_name("templates")
NAMES = {
    "auc": "AUC", "gini": "Gini", "ks": "KS", "brier": "Brier score", "log_loss": "log loss", "mean_pd": "mean PD",
    "bad_rate": "bad rate",
}  # fmt: skip
SERIES = 6  # of the table of drift: the score and the fields with the largest PSI


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One quarter: PSI by series, and whether each is above its limit."""

    quarter: str
    cells: Sequence[tuple[float, bool]]


@dataclass(frozen=True, slots=True)
class Against:
    """Another release on the same loans."""

    old: str
    new: str
    standing: str
    loans: int
    sentences: Sequence[str]
    measures: Sequence[tuple[str, Measure, Measure]]
    moved: Sequence[Decided]
    approvals: Sequence[Decided]
    terms: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the template shows."""

    release: str
    digest: str
    source: str
    standing: str
    months: str
    loans: int
    bad: int
    measures: Sequence[tuple[str, Measure]]
    headline: Sequence[tuple[str, Measure]]
    level: str
    tenths: Sequence[Rates]
    calibration: Chart
    brier: Brier
    quarters: Sequence[Quarter]
    broke: str
    by_quarter: Chart | None
    drift_against: str
    drift_series: Sequence[str]
    drift: Sequence[DriftRow]
    drifted: Sequence[tuple[str, int, float]]
    drift_quarters: int
    gains: Sequence[Gain]
    gains_chart: Chart
    decisions: Sequence[Decided]
    segments: Sequence[tuple[str, Sequence[Segment]]]
    outside: str
    groups: Sequence[GroupTable]
    sensitivity: Sequence[Step]
    sensitivity_loans: int
    against: Against | None


def write_report(evaluation: Evaluation) -> str:
    """The page's HTML."""
    return environment(TEMPLATES).get_template("evaluation.html").render(report=view(evaluation))


def view(evaluation: Evaluation) -> Report:
    ranked = drifted(list(evaluation.quarters))
    shown = [name for name, *_ in ranked[: SERIES + 1]]
    after = [quarter for quarter in evaluation.quarters if quarter.drift]
    rows = [
        DriftRow(quarter.rates.label, [(quarter.drift[name].psi, quarter.drift[name].alarm) for name in shown])
        for quarter in after
    ]
    return Report(
        release=evaluation.release, digest=evaluation.digest, source=evaluation.source, standing=evaluation.standing,
        months=evaluation.months,
        loans=evaluation.loans, bad=evaluation.bad,
        measures=[(NAMES[name], measure) for name, measure in evaluation.discrimination.items()],
        headline=[(NAMES[name], evaluation.discrimination[name]) for name in ("auc", "gini", "ks")],
        level=level(evaluation), tenths=evaluation.calibration, calibration=calibration_chart(evaluation),
        brier=evaluation.brier,
        quarters=evaluation.quarters, broke=broke(evaluation.quarters), by_quarter=quarters_chart(evaluation),
        drift_against=evaluation.drift_against, drift_series=[named(name) for name in shown], drift=rows,
        drifted=[(named(name), count, largest) for name, count, largest in ranked], drift_quarters=len(after),
        gains=evaluation.gains, gains_chart=gains_chart(evaluation), decisions=evaluation.decisions,
        segments=[(name, list(rows)) for name, rows in groupby(evaluation.segments, key=lambda segment: segment.field)],
        outside=outside(evaluation.segments), groups=evaluation.groups,
        sensitivity=[step for step in evaluation.sensitivity if step.step.startswith("±")],
        sensitivity_loans=evaluation.sensitivity_loans, against=against(evaluation),
    )  # fmt: skip


def named(series: str) -> str:
    """The score's series by the name that people use."""
    return "PD" if series == SCORE else series


def level(evaluation: Evaluation) -> str:
    """Whether the PDs are as high as what happened, all loans together."""
    predicted, happened = evaluation.discrimination["mean_pd"].value, evaluation.discrimination["bad_rate"]
    side = (
        "above the mean PD: the level of the PDs is too low for them" if happened.low > predicted
        else "below the mean PD: the level of the PDs is too high for them" if happened.high < predicted
        else "not different from the mean PD beyond chance"
    )  # fmt: skip
    return (
        f"The bad rate of all, {percent(happened.value)} ({percent(happened.low)}–{percent(happened.high)}), is "
        f"{side} ({percent(predicted)})."
    )


def broke(quarters: Sequence[Quarter]) -> str:
    """From which quarter on every bad rate lies beyond its mean PD on one side; empty if the last does not."""
    if not quarters or not quarters[-1].rates.verdict:
        return ""
    side, first = quarters[-1].rates.verdict, quarters[-1]
    for quarter in reversed(quarters):
        if quarter.rates.verdict != side:
            break
        first = quarter
    return f"In every quarter from {first.rates.label} on the bad rate lies {side} the mean PD."


def calibration_chart(evaluation: Evaluation) -> Chart:
    groups = evaluation.calibration
    axis = Axis(top_of([value for group in groups for value in (group.mean_pd, group.high)]))
    dots = [
        dot(axis, group.mean_pd, group.rate, group.low, group.high, f"tenth {group.label}: {tip(group)}")
        for group in groups
    ]
    even = line("even", axis, [(0, 0), (axis.top, axis.top)])
    return of_shares("Bad rate over mean PD, by tenth of PD", "mean PD", "bad rate", axis, [even], dots)


def tip(group: Rates) -> str:
    """What a dot says when it is pointed at."""
    ends = f"{percent(group.low)}–{percent(group.high)}"
    return f"mean PD {percent(group.mean_pd)}, bad rate {percent(group.rate)} ({ends})"


def quarters_chart(evaluation: Evaluation) -> Chart | None:
    rows = [quarter.rates for quarter in evaluation.quarters]
    if not rows:
        return None
    axis = Axis(top_of([value for row in rows for value in (row.mean_pd, row.high)]), len(rows))
    dots = [dot(axis, place, row.rate, row.low, row.high, f"{row.label}: {tip(row)}") for place, row in enumerate(rows)]
    means = line("model", axis, [(place, row.mean_pd) for place, row in enumerate(rows)])
    names = [row.label for row in rows]
    return of_row("Bad rate and mean PD by quarter", "bad rate", axis, names, [means], dots)


def gains_chart(evaluation: Evaluation) -> Chart:
    axis, rate = Axis(1.0), evaluation.bad / evaluation.loans
    lines = [
        line("even", axis, [(0, 0), (1, 1)]),
        line("seen", axis, [(0, 0), (rate, 1), (1, 1)]),
        line("model", axis, list(evaluation.gains_curve)),
    ]
    return of_shares("Bad loans caught among the riskiest loans", "riskiest loans", "bad loans caught", axis, lines, [])


def outside(segments: Sequence[Segment]) -> str:
    """How many segments lie beyond their interval, beside what chance gives."""
    count = sum(bool(segment.rates.verdict) for segment in segments)
    return (
        f"In {count} of {len(segments)} segments the bad rate lies beyond the mean PD (95 %); by chance alone about "
        f"{0.05 * len(segments):.0f} would."
    )


def against(evaluation: Evaluation) -> Against | None:
    other = evaluation.against
    if other is None:
        return None
    old, new = other.measures
    changed = other.swap
    return Against(
        other.old, other.new, other.standing, other.loans, list(sentences(other)),
        [(NAMES[name], old[name], new[name]) for name in NAMES],
        [moved.decided for moved in changed.moved if moved.decided.rates.loans],
        [changed.both, changed.only_old, changed.only_new, changed.neither], terms(other),
    )  # fmt: skip
