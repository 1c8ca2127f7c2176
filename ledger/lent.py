"""Loans that were lent, as arrays: when, at which PD, against which suggestion, and what became of them.

A case was lent if an approval is in force, or if it was not decided here and has an outcome: somebody lent elsewhere.
One SQL statement reads them, as a page for managers waits for it; tests compare it with `ledger.cases.Case`.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from inference.watch.expected import Floats, Ints, month
from ledger.decisions import rounded
from ledger.events import BAD, REPAID, SCORED
from ledger.lender_time import local_day

UNKNOWN = -1
AS_SUGGESTED, UNDECIDED = "as_suggested", "undecided"
# For each case its last decision, whether that is in force, the score that was decided on, and the last outcome.
CASES = """
SELECT
  f.time, d.time, d.decision, json_extract(d.body, '$.direction'),
  d.id IS NOT NULL AND (coalesce(json_extract(d.body, '$.needs_second'), 0) = 0 OR coalesce((
    SELECT json_extract(a.body, '$.agrees') FROM entries a WHERE a."of" = d.id AND a.kind = 'agreed'
    ORDER BY a.seq LIMIT 1), 0)),
  EXISTS (SELECT 1 FROM entries w WHERE w."of" = f.id AND w.kind = 'withdrawn'),
  json_extract(s.body, '$.release'), json_extract(s.body, '$.pd'),
  json_extract(p.body, '$.pd'), json_extract(o.body, '$.outcome'), json_extract(o.body, '$.day')
FROM entries f
LEFT JOIN entries d ON d.seq = (SELECT max(l.seq) FROM entries l WHERE l."of" = f.id AND l.kind = 'decided')
LEFT JOIN entries o ON o.seq = (SELECT max(l.seq) FROM entries l WHERE l."of" = f.id AND l.kind = 'outcome')
JOIN entries s ON s.seq = coalesce(
  (SELECT l.seq FROM entries l WHERE l.id = json_extract(d.body, '$.score')),
  (SELECT max(l.seq) FROM entries l WHERE l."of" = f.id AND l.kind = 'scored'), f.seq)
LEFT JOIN personal p ON p.seq = s.seq
WHERE f.kind = 'scored' AND f."of" IS NULL ORDER BY f.seq
"""


@dataclass(frozen=True)
class Lent:
    """Loans, one a place, in ledger order; all arrays are (n,)."""

    granted: Ints  # month of the decision, else of the score, since year 0
    pd: Floats  # exact, or in whole per cent where the personal part is erased
    pd_in_per_cent: Floats  # all in whole per cent, as they stay
    outcome: npt.NDArray[np.int8]  # 1 bad, 0 repaid, -1 not known
    ended: Ints  # month of the outcome, since year 0; -1 where not known
    direction: npt.NDArray[np.str_]  # of the decision: as_suggested, more_lenient, stricter; undecided
    erased: int  # loans whose PD is known in whole per cent alone
    not_lent: Counter[str]  # other cases of the release: declined, open, withdrawn, and declined_with_outcome
    last_day: str  # ISO date of the last outcome; empty without one

    def __len__(self) -> int:
        return len(self.granted)


@dataclass(frozen=True)
class ScoredBy:
    """A release that scored cases."""

    digest: str
    name: str
    cases: int
    first_day: str  # ISO date of its first score, in the lender's time zone


def releases(connection: sa.Connection, zone: tzinfo = UTC) -> list[ScoredBy]:
    """The releases that scored, the last one that did first; days are those of `zone`."""
    rows = connection.exec_driver_sql(
        "SELECT json_extract(body, '$.release'), json_extract(body, '$.release_name'), count(*), "
        "min(time), max(seq) FROM entries "
        'WHERE kind = ? AND "of" IS NULL GROUP BY 1 ORDER BY 5 DESC',
        (SCORED,),
    )
    return [ScoredBy(digest, name, count, local_day(time, zone)) for digest, name, count, time, _ in rows]


def lent(connection: sa.Connection, release: str, zone: tzinfo = UTC) -> Lent:
    """The loans that a release scored; `release` is its digest, months are those of `zone`."""
    rows: list[tuple[int, float, float, int, int, str]] = []
    not_lent: Counter[str] = Counter()
    erased, last_day = 0, ""
    for row in connection.exec_driver_sql(CASES):
        scored, decided, decision, direction, in_force, withdrawn, digest, in_per_cent, exact, outcome, day = row
        if digest != release:
            continue
        why_not = not_lent_because(decision if in_force else None, bool(withdrawn), outcome)
        if why_not:
            not_lent[why_not] += 1
            continue
        erased += exact is None
        last_day = max(last_day, day or "")
        approved = decision is not None and in_force
        rows.append((
            month(local_day(decided if approved else scored, zone)), float(exact if exact is not None else in_per_cent),
            rounded(float(in_per_cent)), {BAD: 1, REPAID: 0}.get(outcome, UNKNOWN), month(day) if day else UNKNOWN,
            direction if approved else UNDECIDED,
        ))  # fmt: skip
    granted, pd, pd_in_per_cent, outcomes, ended, directions = zip(*rows, strict=True) if rows else ((),) * 6
    return Lent(
        np.array(granted, np.int64), np.array(pd, np.float64), np.array(pd_in_per_cent, np.float64),
        np.array(outcomes, np.int8), np.array(ended, np.int64), np.array(directions, np.str_), erased, not_lent,
        last_day,
    )  # fmt: skip


def not_lent_because(decision: str | None, withdrawn: bool, outcome: str | None) -> str:
    """Why a case is no loan, given its decision in force; nothing where it is one."""
    if decision in ("approve", "approve_changed"):
        return ""
    if decision == "decline":
        return "declined_with_outcome" if outcome else "declined"
    if outcome:
        return ""
    return "withdrawn" if withdrawn else "open"
