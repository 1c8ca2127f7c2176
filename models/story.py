"""What a monitor would have said of loans whose end is known: `python -m models story RELEASE`, quarter by quarter.

Dated loans are played in the order in which things happened: a bad loan counts in the month in which it was recorded as
such, and no earlier. What the loans' label says of them all, years later, stands beside as hindsight. It is one
history: it describes the monitor and does not validate it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.intervals import wilson
from inference.release import open_release
from inference.scorer import Scorer
from inference.watch.drift import CUSTOM, Drift
from inference.watch.expected import (
    ALLOWANCE,
    LIMIT,
    Month,
    Watched,
    cohorts,
    cusum,
    life_table,
    month_name,
    watch,
)
from inference.watch.series import SCORE, reference
from models.recipe import Loans

Floats = npt.NDArray[np.float64]
AT_ONCE = 50_000  # loans scored at once
REFERENCE_MONTHS = 36
AFTER = 12  # months after the last loan that are watched
BLOCK, DRAWS, DRAWN_MONTHS = 3, 2_000, 36  # histories without a change, of blocks of the reference's months
Months = tuple[int, int]  # the first month, and the one after the last, since year 0


class NoStory(TenfoldError):
    """The loans have no dates, or too few went bad."""


class Quarter(NamedTuple):
    """A quarter: of the loans granted in it, and of the months themselves."""

    name: str
    loans: int
    mean_pd: float
    bad_rate: float  # in the end: hindsight
    low: float
    high: float
    observed: float  # bad loans recorded in its months, whenever they were granted
    expected: float
    cusum: float  # at its end
    alarms: tuple[str, ...]  # months in alarm
    psi: float  # of the score, the largest of its months; NaN in the reference
    plain: int  # months in which some PSI is 0.1 and more
    drifted: tuple[str, ...]  # series above their limit in any of its months


class Story(NamedTuple):
    """All quarters, and what there is to say of them."""

    release: str
    loans: int
    reference: Months
    drift_reference: Months
    bad: int  # in the reference's months
    dispersion: float
    quarters: tuple[Quarter, ...]
    watched: tuple[Month, ...]
    drift_alarms: tuple[int, ...]  # months
    drift_months: int
    null: float  # share of histories without a change that alarm


def story(folder: Path, loans: Loans, calm: Months | None = None, drift_calm: Months | None = None) -> Story:
    """Play loans in order. The life table is made of the months `calm`, else of the first 36; drift is measured against
    `drift_calm`, else the last year of those. Raises `NoStory`."""
    release = open_release(folder)
    granted = loans.months.astype(np.int64)
    if not granted.any():
        raise NoStory(f"{release.name}: its loans have no dates, so there is no order to play them in")
    calm = calm or (int(granted.min()), int(granted.min()) + REFERENCE_MONTHS)
    drift_calm = drift_calm or (max(calm[0], calm[1] - 12), calm[1])
    values = release.form.encode(loans.answers)
    scorer = Scorer(release, XGBoostEngine(release))
    pds = np.concatenate([scorer.pds(values[start : start + AT_ONCE]) for start in range(0, len(values), AT_ONCE)])
    bad = np.where(loans.bad_months > 0, loans.bad_months, -1).astype(np.int64)
    book = cohorts(granted, pds, bad)
    lives = life_table(book, *calm)
    if lives is None:
        raise NoStory(f"too few loans went bad from {named(calm)}: no life table can be made")
    end = int(granted.max()) + 1
    watched = watch(book, lives, calm, end + AFTER)
    in_reference = (granted >= drift_calm[0]) & (granted < drift_calm[1])
    against = reference(named(drift_calm), release.form, values[in_reference], pds[in_reference])
    drifts = {
        month: against.drift(against.counted(release.form, values[granted == month], pds[granted == month]))
        for month in range(drift_calm[1], end)
    }
    return Story(
        release.name, len(loans), calm, drift_calm, lives.bad, watched.dispersion,
        tuple(quarters(loans, pds, watched, drifts)), watched.months,
        tuple(month for month, drift in drifts.items() if any(series.alarm for series in drift.values())),
        len(drifts), null(watched),
    )  # fmt: skip


def named(months: Months) -> str:
    """Months as text."""
    return f"{month_name(months[0])} to {month_name(months[1] - 1)}"


def quarters(
    loans: Loans, pds: Floats, watched: Watched, drifts: dict[int, dict[str, Drift]]
) -> Iterator[Quarter]:  # fmt: skip
    """Every quarter in which loans were granted or months watched."""
    born = loans.months.astype(np.int64) // 3
    for quarter in range(int(born.min()), max(int(born.max()), watched.months[-1].month // 3) + 1):
        chosen, months = born == quarter, [row for row in watched.months if row.month // 3 == quarter]
        of_quarter = [drift for month, drift in drifts.items() if month // 3 == quarter]
        bad = int(loans.bad[chosen].sum())
        low, high = wilson(bad, int(chosen.sum()))
        yield Quarter(
            f"{quarter // 4} Q{quarter % 4 + 1}", int(chosen.sum()),
            float(pds[chosen].mean()) if chosen.any() else float("nan"),
            bad / int(chosen.sum()) if chosen.any() else float("nan"), low, high,
            sum(row.observed for row in months), sum(row.expected for row in months),
            months[-1].cusum if months else float("nan"), tuple(month_name(row.month) for row in months if row.alarm),
            max((drift[SCORE].psi for drift in of_quarter), default=float("nan")),
            sum(any(series.psi >= CUSTOM for series in drift.values()) for drift in of_quarter),
            tuple(dict.fromkeys(name for drift in of_quarter for name, series in drift.items() if series.alarm)),
        )  # fmt: skip


def null(watched: Watched) -> float:
    """Share of made-up histories that alarm: blocks of the reference's own months, drawn anew."""
    scores = [row.z for row in watched.months if row.reference]
    if len(scores) <= BLOCK:
        return float("nan")
    generator = np.random.default_rng(2)
    alarms = 0
    for _ in range(DRAWS):
        starts = generator.integers(0, len(scores) - BLOCK + 1, DRAWN_MONTHS // BLOCK)
        alarms += max(cusum([z for start in starts for z in scores[start : start + BLOCK]])) > LIMIT
    return alarms / DRAWS


def text(tale: Story) -> str:
    """The story, as a Markdown table and sentences."""
    lines = [
        f"{tale.release}: {tale.loans:,} loans in the order in which things happened",
        f"life table of {named(tale.reference)} ({tale.bad:,} bad loans recorded then, dispersion "
        f"{tale.dispersion:.1f}); CUSUM k = {ALLOWANCE:g}, h = {LIMIT:g}; drift against {named(tale.drift_reference)}",
        "",
        "| quarter | loans | mean PD | bad in the end | observed | expected | O/E | CUSUM | months in alarm "
        "| PSI of the score | months with a PSI ≥ 0.1 | above the limit |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |",
    ]
    lines += [row_of(quarter) for quarter in tale.quarters]
    return "\n".join([*lines, "", *sentences(tale)])


def row_of(quarter: Quarter) -> str:
    """A quarter as a row."""
    in_the_end = f"{quarter.bad_rate:.1%} ({quarter.low:.1%}–{quarter.high:.1%})" if quarter.loans else ""
    ratio = f"{quarter.observed / quarter.expected:.2f}" if quarter.expected else ""
    cells = [
        quarter.name, f"{quarter.loans:,}", f"{quarter.mean_pd:.1%}" if quarter.loans else "", in_the_end,
        f"{quarter.observed:,.0f}", f"{quarter.expected:,.0f}", ratio,
        "" if np.isnan(quarter.cusum) else f"{quarter.cusum:.1f}", ", ".join(quarter.alarms),
        "" if np.isnan(quarter.psi) else f"{quarter.psi:.3f}", "" if np.isnan(quarter.psi) else str(quarter.plain),
        ", ".join(quarter.drifted),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def sentences(tale: Story) -> Iterator[str]:
    """When calibration broke, when the monitor alarmed, and how often in vain."""
    broke = calibration_broke(tale)
    yield (
        f"In hindsight the bad rate lies above the mean PD in every quarter from {broke} on."
        if broke
        else "In hindsight the bad rate of the last quarter does not lie above its mean PD."
    )
    judged = [row for row in tale.watched if not row.reference]
    alarms = [row.month for row in judged if row.alarm]
    if alarms:
        first = alarms[0]
        quiet = sum(row.month < first for row in judged)
        after = sum(row.month >= first for row in judged)
        yield (
            f"The monitor alarmed first in {month_name(first)}, after {quiet} months without an alarm since "
            f"{month_name(judged[0].month)}; from then on in {len(alarms)} of {after} months."
        )
        highest = max((row for row in judged if row.month < first), key=lambda row: row.cusum, default=None)
        if highest is not None:
            yield f"Its CUSUM came nearest before, in {month_name(highest.month)}: {highest.cusum:.1f} of {LIMIT:g}."
    else:
        yield f"The monitor did not alarm in {len(judged)} months."
    yield (
        f"Histories of {DRAWN_MONTHS} months without a change, made of {BLOCK}-month blocks of the reference: "
        f"{tale.null:.1%} alarm."
    )
    yield (
        f"Drift: {len(tale.drift_alarms)} of {tale.drift_months} months after {named(tale.drift_reference)} have a "
        f"series above its limit" + (f", the first {month_name(tale.drift_alarms[0])}." if tale.drift_alarms else ".")
    )
    yield "One history describes; it does not validate."


def calibration_broke(tale: Story) -> str:
    """The first quarter from which on the interval of every bad rate lies above the mean PD; empty if it does not."""
    broke = ""
    for quarter in tale.quarters:
        if quarter.loans:
            broke = (broke or quarter.name) if quarter.low > quarter.mean_pd else ""
    return broke
