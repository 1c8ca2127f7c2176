"""Erases the personal parts of a case together when its retention ends; the chain of decisions stays.

Retention begins for the whole case on the day when the notice of its last decision was handed over, or with that
decision if no notice is recorded; for a case that was withdrawn, with its last record. A case that is open, waits for a
second person, is contested or on hold is kept.
"""

import os
import pwd
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger import queries, store
from ledger.cases import DONE, OPEN, PENDING, SETTLED, Case, find
from ledger.chronology import Chronology, chronology, number
from ledger.events import PURGED, Held, Notified, Object, Outcome, Released
from ledger.lender_time import day_start
from ledger.records import BEFORE_ALL, Draft, Record, seal
from ledger.references import digests_of, key_beside, key_name
from ledger.store import Store

MONTHS = 25  # as US Regulation B requires for consumer credit; a lender may choose longer
AT_ONCE = 500  # cases per transaction: scores wait for a fraction of a second, not for a whole purge
DUE, RECENT, HOLD = "due", "recent", "on hold"


class TooEarly(TenfoldError):
    """Personal data may not be erased before its retention has ended."""


class PurgeResult(NamedTuple):
    """The result of a purge."""

    records: list[Record]  # of the erasures; empty if nothing was erased
    cases: int
    parts: int
    kept_by_reason: Counter[str]  # number of cases by why they are kept: `recent`, `on hold`, or their state
    odd: list[Record]  # records with an odd date


def purge(
    ledger: Store, before: datetime, months: int = MONTHS, clock: Clock | None = None, *, by: str = "",
    undecided: bool = False, zone: tzinfo = UTC,
) -> PurgeResult:  # fmt: skip
    """Erase the personal parts of all cases whose retention began before a date; it and the days of notices are days in
    `zone`, the lender's.

    Raises `TooEarly` for a date within the last `months`. `by` is who requested it. `undecided` includes open cases,
    counted from their last record, for lenders that score here and decide elsewhere. Erased data may remain in the log
    and in unused parts of pages until `Cleaner.clean`. Of each reference a keyed digest stays (ledger/references.py).
    """
    clock = clock or Clock()
    now = clock.utc()
    floor = months_before(datetime.fromtimestamp(now, zone), months)
    before = before if before.tzinfo else before.replace(tzinfo=zone)
    if before > floor:
        raise TooEarly(
            f"{before:%Y-%m-%d} is too early: cases are kept for {months} months, so {floor:%Y-%m-%d} at the latest "
            "(--months sets another retention, if you know that it is long enough)"
        )
    end = iso(before)
    with ledger.reading() as connection:
        dates = chronology((time for _, time in queries.times(connection)), iso(datetime.fromtimestamp(now, UTC)))
        candidates = {*queries.with_personal(connection), *left_by_version_1(connection)}
        firsts = sorted(seq for seq in candidates if dates.of(seq) < number(end))
        odd = queries.by_seq(connection, dates.odd)
    kept_by_reason: Counter[str] = Counter()
    records, cases, parts = [], 0, 0
    for batch in (firsts[start : start + AT_ONCE] for start in range(0, len(firsts), AT_ONCE)):
        with ledger.reading() as connection:
            statuses = {
                case.first.seq: purge_status(case, dates, end, undecided, zone)
                for case in read_cases(queries.driver(connection), batch)
            }
        kept_by_reason.update(status for status in statuses.values() if status != DUE)
        if DUE not in statuses.values():
            continue
        with ledger.writing() as writer:
            ledger.check_version(writer)
            # Check again with the lock held: a case may have changed since.
            cases_now = read_cases(writer, [seq for seq, status in statuses.items() if status == DUE])
            due = [case for case in cases_now if purge_status(case, dates, end, undecided, zone) == DUE]
            if not due:
                continue
            seqs = sorted(event.seq for case in due for event in case.events)
            references = digests_of(due, key := key_beside(ledger.path, make=True))
            erased = store.erase_personal(writer, seqs)
            last, digest = queries.head(writer) or (0, BEFORE_ALL)
            fields: Object = {
                "by": by or os_user(), "before": end, "months": months, "cases": len(due), "erased": erased,
                "undecided": undecided, "records": ranges(seqs), "references": references,
                "reference_key": key_name(key),
            }  # fmt: skip
            records.append(seal(Draft(PURGED, f"purged-{last + 1}", fields), last + 1, digest, clock.utc()))
            store.insert(writer, records[-1:], [])
        ledger.check_still_there()
        cases, parts = cases + len(due), parts + erased
    return PurgeResult(records, cases, parts, kept_by_reason, odd)


def left_by_version_1(connection: sa.Connection) -> Iterator[int]:
    """Sequences of the first scores of cases that a purge of version 1 erased in part."""
    for id in queries.partly_erased(connection):
        case = find(connection, id)
        if case is not None:
            yield case.first.seq


def read_cases(connection: sqlite3.Connection, firsts: Sequence[int]) -> Iterator[Case]:
    """The cases whose first scores have these sequences."""
    families = queries.families(connection, firsts)
    for _, records in groupby(families, key=lambda pair: pair[0]):
        yield Case(tuple(record.event for _, record in records))


def purge_status(case: Case, dates: Chronology, end: str, undecided: bool, zone: tzinfo) -> str:
    """`due` if a case is to be erased, otherwise why it is kept."""
    if on_hold(case) is not None:
        return HOLD
    if case.state not in DONE and not (undecided and case.state in (OPEN, PENDING)):
        return case.state
    return DUE if retention_start(case, dates, zone) < number(end) else RECENT


def retention_start(case: Case, dates: Chronology, zone: tzinfo) -> int:
    """When a case's retention begins: with the notice of its last decision, or else with the decision."""
    if case.state != SETTLED or case.decision is None:
        # An outcome comes long after the case, and would keep it for as long again.
        return max(dates.of(event.seq) for event in case.events if not isinstance(event, Outcome))
    notice = handed_over(case)
    # A second person may have agreed much later; and a mistyped day must not lead to early erasure.
    decided = max(dates.of(event.seq) for event in (case.decision, case.second) if event is not None)
    return decided if notice is None else max(decided, number(day_start(date.fromisoformat(notice.day), zone)))


def handed_over(case: Case) -> Notified | None:
    """The last record of handing over the notice of the last decision."""
    decision = case.decision
    notices = [notice for notice in case.of_kind(Notified) if decision is not None and notice.of == decision.id]
    return notices[-1] if notices else None


def on_hold(case: Case) -> Held | None:
    """The record of the hold on a case, unless it was released since."""
    last = next((event for event in reversed(case.events) if isinstance(event, (Held, Released))), None)
    return last if isinstance(last, Held) else None


def ranges(seqs: Sequence[int]) -> list[list[int]]:
    """Ascending numbers as [first, last] of each run of consecutive ones."""
    runs: list[list[int]] = []
    for seq in seqs:
        if runs and runs[-1][1] == seq - 1:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
    return runs


def os_user() -> str:
    """The account that runs this process, from the system, not from environment variables."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def iso(moment: datetime) -> str:
    """A time in the format of records."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def months_before(moment: datetime, months: int) -> datetime:
    """The same day so many months earlier; the last day of a shorter month."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)
