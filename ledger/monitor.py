"""`tenfold monitor`: does a release still hold? Realised bad rates against PDs, bad loans against what was expected by
month, overrides by direction, and drift of what comes in.

A rate is judged by what cannot change any more: above the PD only if the loans that are bad already put it there,
whatever becomes of the others; below only if it would stay there were all of them bad.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from inference.application import Form
from inference.errors import TenfoldError
from inference.intervals import wilson
from inference.watch.expected import LEAST_BAD, Watched, cohorts, life_table, month, month_name, quarter_name, watch
from ledger.daily_counts import Drifted, drifted
from ledger.lent import AS_SUGGESTED, UNDECIDED, UNKNOWN, Lent, ScoredBy, lent, releases

LEAST = 30  # loans of which the outcome is known; with fewer no rate is judged
EARLY = 0.2  # of the loans: while more than these are not known, a rate that is neither above nor below is not judged
BANDS = 5
REFERENCE_MONTHS = 24
ABOVE, BELOW, WITHIN, TOO_EARLY, TOO_FEW = "above", "below", "within", "too_early", "too_few"
HOLDS, ALARM, CANNOT_SAY = "holds", "alarm", "cannot_say"
DIRECTIONS = (AS_SUGGESTED, "more_lenient", "stricter", UNDECIDED)


class NothingToMonitor(TenfoldError):
    """No score of such a release is in the ledger."""


@dataclass(frozen=True)
class Rate:
    """Loans of a band, a quarter or a direction."""

    name: str
    loans: int
    known: int  # of which the outcome is known
    bad: int
    mean_pd: float  # of all of them
    at_least: float  # bad among all of them: the rate can only rise from there
    rate: float  # bad among the known ones; NaN while many are not, as what is known early is mostly bad
    low: float  # 95 % interval of that rate
    high: float
    verdict: str  # above, below, within, too_early, too_few


@dataclass(frozen=True)
class Monitored:
    """What a release's scores say today."""

    release: str  # name
    digest: str
    time_zone: str  # of all months
    other_cases: int  # of other releases
    loans: int
    erased: int  # of these with a PD in whole per cent alone
    not_lent: Mapping[str, int]
    reference: str  # months, such as 2027-01 to 2027-12
    until: str  # the last month that is complete; empty without outcomes
    bands: tuple[Rate, ...]
    quarters: tuple[Rate, ...]
    overrides: tuple[Rate, ...]
    watched: Watched | None  # None where too few loans went bad in the reference months
    reference_bad: int
    drift: Drifted

    @property
    def first_alarm(self) -> str:
        """The month in which the running alarm of bad loans began; empty without an alarm."""
        began = ""
        for of_month in () if self.watched is None else self.watched.months:
            began = (began or month_name(of_month.month)) if of_month.alarm else ""
        return began

    @property
    def judged(self) -> bool:
        """Whether any month after the reference's was compared with the life table."""
        return self.watched is not None and any(not of_month.reference for of_month in self.watched.months)

    @property
    def drift_alarms(self) -> tuple[str, ...]:
        """The series that drifted in the last month with enough scores."""
        last = next((of_month for of_month in reversed(self.drift.months) if of_month.drift), None)
        return () if last is None else tuple(name for name, drift in last.drift.items() if drift.alarm)

    @property
    def state(self) -> str:
        """`alarm`, `holds`, or `cannot_say` where neither bad loans nor scores suffice."""
        if self.first_alarm or self.drift_alarms:
            return ALARM
        return HOLDS if self.judged else CANNOT_SAY


class Wanted(NamedTuple):
    """What is asked for."""

    release: str = ""  # its name or the beginning of its digest; empty: the one that scored last
    reference: tuple[int, int] | None = None  # first month and the one after the last, since year 0
    until: int | None = None  # the last month that is complete


def monitor(
    connection: sa.Connection, today: str, form_of: Callable[[str], Form | None], wanted: Wanted | None = None,
    zone: tzinfo = UTC,
) -> Monitored:  # fmt: skip
    """Monitor a release. Months are those of `zone`, the lender's; `today` is its ISO date there. `form_of` gives the
    form of a release by its digest, None if that is not here. Raises `NothingToMonitor`."""
    wanted = wanted or Wanted()
    scored = releases(connection, zone)
    chosen = chosen_of(scored, wanted.release)
    loans = lent(connection, chosen.digest, zone)
    first = month(chosen.first_day)
    calm = wanted.reference or (first, first + REFERENCE_MONTHS)
    until = wanted.until if wanted.until is not None else complete(loans.last_day)
    name = f"{month_name(calm[0])} to {month_name(calm[1] - 1)}"
    watched, bad = watched_in(loans, calm, until)
    end = month(today)  # this month's scores are not all there yet
    return Monitored(
        chosen.name, chosen.digest, str(zone), sum(by.cases for by in scored) - chosen.cases, len(loans), loans.erased,
        dict(loans.not_lent), name, "" if until is None else month_name(until),
        tuple(bands(loans)), tuple(quarters(loans)), tuple(overrides(loans)), watched, bad,
        drifted(connection, chosen.digest, form_of(chosen.digest), calm, end, name, zone),
    )  # fmt: skip


def chosen_of(scored: Sequence[ScoredBy], wanted: str) -> ScoredBy:
    """The release of a name, or of the beginning of a digest; the last that scored where nothing is asked for. Raises
    `NothingToMonitor`."""
    chosen = next((by for by in scored if not wanted or by.name == wanted), None) or next(
        (by for by in scored if len(wanted) >= 6 and by.digest.startswith(wanted)), None
    )
    if chosen is None:
        names = ", ".join(by.name for by in scored) or "none"
        raise NothingToMonitor(f"no case was scored by such a release. The ledger has scores by: {names}")
    return chosen


def complete(last_day: str) -> int | None:
    """The last month whose outcomes are all there, given the day of the last one: the month before it."""
    return month(last_day) - 1 if last_day else None


def watched_in(loans: Lent, calm: tuple[int, int], until: int | None) -> tuple[Watched | None, int]:
    """Bad loans by month, and how many there are in the reference months."""
    went = (loans.outcome == 1) & (loans.ended >= loans.granted)
    bad = int((went & (loans.ended >= calm[0]) & (loans.ended < calm[1])).sum())
    if until is None or until < calm[1] - 1 or not len(loans) or bad < LEAST_BAD:
        return None, bad
    book = cohorts(loans.granted, loans.pd_in_per_cent, np.where(went, loans.ended, UNKNOWN))
    table = life_table(book, *calm)
    return (None if table is None else watch(book, table, calm, until + 1)), bad


def bands(loans: Lent) -> Iterator[Rate]:
    """Five bands of about equal numbers of loans, by PD."""
    if not len(loans):
        return
    edges = np.unique(np.quantile(loans.pd, np.linspace(0, 1, BANDS + 1)[1:-1]))
    places = np.searchsorted(edges, loans.pd, side="right")
    for place in np.unique(places):
        inside = loans.pd[places == place]
        yield rate_of(f"{100 * inside.min():.1f} – {100 * inside.max():.1f} %", loans, places == place)


def quarters(loans: Lent) -> Iterator[Rate]:
    """Loans by the quarter in which they were granted."""
    for quarter in np.unique(loans.granted // 3):
        yield rate_of(quarter_name(quarter), loans, loans.granted // 3 == quarter)


def overrides(loans: Lent) -> Iterator[Rate]:
    """Loans by how the decision differs from the suggestion."""
    for direction in DIRECTIONS:
        chosen = loans.direction == direction
        if chosen.any():
            yield rate_of(direction, loans, chosen)


def rate_of(name: str, loans: Lent, chosen: npt.NDArray[np.bool_]) -> Rate:
    """The rate of some loans."""
    outcome, mean_pd = loans.outcome[chosen], float(loans.pd[chosen].mean())
    known, bad = int((outcome != UNKNOWN).sum()), int((outcome == 1).sum())
    loans_known = known if not_known_few(len(outcome), known) else 0
    low, high = wilson(bad, loans_known)
    rate = bad / loans_known if loans_known else float("nan")
    judged = verdict(len(outcome), known, bad, mean_pd)
    return Rate(name, len(outcome), known, bad, mean_pd, bad / len(outcome), rate, low, high, judged)


def not_known_few(loans: int, known: int) -> bool:
    """Whether the outcomes of nearly all loans are known."""
    return loans - known <= EARLY * loans


def verdict(loans: int, known: int, bad: int, mean_pd: float) -> str:
    """How the bad rate of some loans lies to their PD."""
    if known < LEAST:
        return TOO_FEW
    if wilson(bad, loans)[0] > mean_pd:
        return ABOVE
    if wilson(bad + loans - known, loans)[1] < mean_pd:
        return BELOW
    return WITHIN if not_known_few(loans, known) else TOO_EARLY
