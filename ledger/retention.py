"""The end of the retention: the personal parts of a case are erased together, the chain of what was decided stays.

Retention counts from the case: from the day on which the notice of its last decision was handed over, and where none is
recorded from that decision. A case that is open, waits for a second person, is under objection or on hold is kept.
"""

import os
import pwd
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger import queries, store
from ledger.cases import OPEN, PENDING, SETTLED, Case, find
from ledger.chronology import Chronology, chronology, number
from ledger.events import PURGED, Held, Notified, Object, Released
from ledger.records import BEFORE_ALL, Draft, Record, seal
from ledger.store import Store

MONTHS = 25  # that the US Regulation B asks of consumer credit; a lender's own setting may be longer
AT_ONCE = 500  # cases a transaction: scores wait for a fraction of a second, not for a whole purge
DUE, RECENT, HOLD = "due", "recent", "on hold"


class TooEarly(TenfoldError):
    """Personal data may not be erased before its retention has ended."""


class PurgeResult(NamedTuple):
    """What a purge did, and did not."""

    records: list[Record]  # that say what was erased; none where nothing was
    cases: int
    parts: int
    kept: Counter[str]  # cases by the reason why they are kept: `recent`, `on hold`, or their state
    odd: list[Record]  # records with an odd date, among those that were read


def purge(
    ledger: Store, before: datetime, months: int = MONTHS, clock: Clock | None = None, *, by: str = "",
    undecided: bool = False,
) -> PurgeResult:  # fmt: skip
    """Erase the personal parts of all cases whose retention began before a date. Refuses a date within `months`.

    `by` is who asked for it. `undecided` takes cases that are open too, from their last record: for a lender that
    scores here and decides elsewhere. Erased parts may be in the log and in unused parts of pages until
    `cleaning.clean`.
    """
    clock = clock or Clock()
    now = clock.utc()
    floor = months_before(datetime.fromtimestamp(now, UTC), months)
    before = before if before.tzinfo else before.replace(tzinfo=UTC)
    if before > floor:
        raise TooEarly(
            f"{before:%Y-%m-%d} is too early: cases are kept for {months} months, so {floor:%Y-%m-%d} at the latest "
            "(--months sets another retention, for those who know that it is enough)"
        )
    end = iso(before)
    with ledger.reading() as connection:
        dates = chronology((time for _, time in queries.times(connection)), iso(datetime.fromtimestamp(now, UTC)))
        begun = {*queries.with_personal(connection), *left_by_version_1(connection)}
        firsts = sorted(seq for seq in begun if dates.of(seq) < number(end))
        odd = queries.by_seq(connection, dates.odd)
    kept: Counter[str] = Counter()
    records, cases, parts = [], 0, 0
    for some in (firsts[at : at + AT_ONCE] for at in range(0, len(firsts), AT_ONCE)):
        with ledger.reading() as connection:
            why = {
                case.first.seq: reason(case, dates, end, undecided)
                for case in read_cases(queries.driver(connection), some)
            }
        kept.update(one for one in why.values() if one != DUE)
        if DUE not in why.values():
            continue
        with ledger.writing() as writer:
            ledger.check_version(writer)
            # Looked at again under the lock: a case may have moved since.
            again = read_cases(writer, [seq for seq, one in why.items() if one == DUE])
            due = [case for case in again if reason(case, dates, end, undecided) == DUE]
            if not due:
                continue
            seqs = sorted(one.seq for case in due for one in case.events)
            erased = store.erase_personal(writer, seqs)
            last, digest = queries.head(writer) or (0, BEFORE_ALL)
            fields: Object = {
                "by": by or os_user(), "before": end, "months": months, "cases": len(due), "erased": erased,
                "undecided": undecided, "records": ranges(seqs),
            }  # fmt: skip
            records.append(seal(Draft(PURGED, f"purged-{last + 1}", fields), last + 1, digest, clock.utc()))
            store.insert(writer, records[-1:], [])
        ledger.check_still_there()
        cases, parts = cases + len(due), parts + erased
    return PurgeResult(records, cases, parts, kept, odd)


def left_by_version_1(connection: sa.Connection) -> Iterator[int]:
    """The first scores of cases that a purge by date cut in two, by sequence."""
    for id in queries.partly_erased(connection):
        case = find(connection, id)
        if case is not None:
            yield case.first.seq


def read_cases(connection: sqlite3.Connection, firsts: Sequence[int]) -> Iterator[Case]:
    """Cases by the sequences of their first scores."""
    found = queries.families(connection, firsts)
    for _, records in groupby(found, key=lambda pair: pair[0]):
        yield Case(tuple(record.event for _, record in records))


def reason(case: Case, dates: Chronology, end: str, undecided: bool = False) -> str:
    """`due`, or why a case is kept."""
    if on_hold(case) is not None:
        return HOLD
    if case.state != SETTLED and not (undecided and case.state in (OPEN, PENDING)):
        return case.state
    return DUE if begins(case, dates) < number(end) else RECENT


def begins(case: Case, dates: Chronology) -> int:
    """When a case's retention begins: when the notice of its last decision was handed over, else with that decision."""
    if case.state != SETTLED or case.decision is None:
        return max(dates.of(one.seq) for one in case.events)
    notice = handed_over(case)
    # A second person may have agreed a good deal later; and a day typed wrong is no reason to erase too soon.
    decided = max(dates.of(one.seq) for one in (case.decision, case.second) if one is not None)
    return decided if notice is None else max(decided, number(notice.day))


def handed_over(case: Case) -> Notified | None:
    """The last record that says when the notice of the last decision was handed over."""
    decision = case.decision
    notices = [one for one in case.of_kind(Notified) if decision is not None and one.of == decision.id]
    return notices[-1] if notices else None


def on_hold(case: Case) -> Held | None:
    """The record that keeps a case beyond its retention, unless it was released since."""
    last = next((event for event in reversed(case.events) if isinstance(event, (Held, Released))), None)
    return last if isinstance(last, Held) else None


def ranges(seqs: Sequence[int]) -> list[list[int]]:
    """Rising numbers as [first, last] of each unbroken run."""
    found: list[list[int]] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return found


def os_user() -> str:
    """The account that runs this process, as the system knows it; no variable can say otherwise."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def iso(moment: datetime) -> str:
    """A time as records hold it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def months_before(moment: datetime, months: int) -> datetime:
    """The same day so many months ago; the last of a shorter month."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)
