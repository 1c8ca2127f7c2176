"""Decisions counted: by month, and how many overrode the suggestion by officer, amount and distance to a cut-off.

The counts are all that is held; every decision of the period is read once.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo

import sqlalchemy as sa

from ledger.events import Json
from ledger.lender_time import day_start, local_day

AS_SUGGESTED = "as_suggested"
WAYS = (AS_SUGGESTED, "more_lenient", "stricter", "incomplete")  # of a decision beside its suggestion
DISTANCES = (0.01, 0.03, 0.1)  # upper edges of bands of |PD - nearest cut-off|
QUERY = (
    "SELECT d.time, d.\"by\", d.decision, json_extract(d.body, '$.direction'), "
    "json_extract(p.body, '$.pd'), json_extract(s.body, '$.pd'), json_extract(s.body, '$.refer_from'), "
    "json_extract(s.body, '$.decline_from'), "
    "json_extract(p.body, ?), json_extract(d.body, '$.reason_code') FROM entries d INDEXED BY entries_by_direction "
    "JOIN entries s ON s.id = json_extract(d.body, '$.score') LEFT JOIN personal p ON p.seq = s.seq "
    "WHERE d.kind = 'decided' AND substr(d.time, 1, 7) >= ? AND d.time >= ?"
)


@dataclass
class Month:
    """The decisions of a month: how many of each, how they differ from the suggestion, and the sum of the PDs that they
    were made on."""

    decisions: Counter[str] = field(default_factory=Counter)
    directions: Counter[str] = field(default_factory=Counter)
    pd_sum: float = 0.0

    @property
    def total(self) -> int:
        return self.decisions.total()

    @property
    def mean_pd(self) -> float:
        return self.pd_sum / self.total


@dataclass
class DecisionCounts:
    """Counts of a period. By officer, by reason code of an override, by the lower edge of the band of amounts, and by
    number of the band of distances: directions with their counts. A band is None if it is not known: it was purged."""

    months: dict[str, Month] = field(default_factory=lambda: defaultdict(Month))
    officers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    amounts: dict[int | None, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    distances: dict[int | None, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def decision_counts(
    connection: sa.Connection, since: str, amount: str | None, zone: tzinfo = UTC
) -> DecisionCounts:  # fmt: skip
    """Counts of the decisions from a month in `zone` on (such as 2026-01; empty: all). `amount` is the field that
    answers the amount."""
    counts = DecisionCounts()
    path = f'$.answers."{amount}"' if amount else "$.nothing"
    start = day_start(date.fromisoformat(f"{since}-01"), zone) if since else ""
    rows = connection.execution_options(yield_per=5000).exec_driver_sql(QUERY, (path, start[:7], start))
    for time, by, decision, direction, exact, rounded, refer_from, decline_from, lent, reason in rows:
        month = counts.months[local_day(time, zone)[:7]]
        month.decisions[decision] += 1
        month.directions[direction] += 1
        month.pd_sum += rounded if exact is None else exact
        counts.officers[by][direction] += 1
        if reason is not None and direction != AS_SUGGESTED:
            counts.reasons[reason][direction] += 1
        counts.amounts[amount_band(lent)][direction] += 1
        counts.distances[distance_band(exact, refer_from, decline_from)][direction] += 1
    return counts


def distance_band(pd: float | None, *cut_offs: float) -> int | None:
    """The number of the band in which the distance to the nearest cut-off lies; None without the exact PD."""
    if pd is None:
        return None
    distance = min(abs(pd - cut_off) for cut_off in cut_offs)
    return sum(distance >= edge for edge in DISTANCES)


def amount_band(amount: Json) -> int | None:
    """The lower edge of an amount's band: 0, 100, 200, 500, 1,000, 2,000, 5,000 and so on; None if it is no number."""
    if not isinstance(amount, int | float) or isinstance(amount, bool):
        return None
    low, edge, steps = 0, 100, (2, 2.5, 2)
    number = 0
    while edge <= amount:
        low, edge, number = edge, int(edge * steps[number % 3]), number + 1
    return low
