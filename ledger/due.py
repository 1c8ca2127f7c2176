"""Days on which cases are due: a decision so many days after the first score, and the answer to an objection.

The days are the lender's, in its time zone: `DueDays`, which pages and events share. This module finds what is due on
a day; ledger/sender.py makes events of it.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

import sqlalchemy as sa

from ledger import cases, queries
from ledger.cases import OPEN, PENDING, REVIEW, WAITING, Case
from ledger.events import CONTESTED
from ledger.lender_time import local
from ledger.outbox import DUE, Event, Outbox
from ledger.records import iso_time

LATE = 7  # days


class DueDays(NamedTuple):
    """On which day a case is due, and how long before it an event is sent. An objection is due by its own deadline."""

    decision_days: int | None = None  # from the first score to a decision in force; None: there is no such day
    reminder_days: int = 5
    zone: tzinfo = UTC  # the lender's

    def local(self, time: str) -> datetime:
        """A record's time (ISO, UTC) in the lender's time zone."""
        return local(time, self.zone)

    def today(self, now: float) -> date:
        """The lender's date; `now` in seconds since 1970."""
        return datetime.fromtimestamp(now, self.zone).date()

    def decision_day(self, scored: str) -> date | None:
        """By when a case whose first score has this time must be decided."""
        return None if self.decision_days is None else self.local(scored).date() + timedelta(self.decision_days)

    def due_day(self, case: Case) -> date | None:
        """By when something must be done with a case: the objection answered, or else a decision made."""
        if case.state == REVIEW and case.contest is not None:
            return date.fromisoformat(case.contest.deadline)
        return self.decision_day(case.first.time)


class DueCase(NamedTuple):
    """A case that is due on a day: `record` is its first score, or the objection that is to be answered."""

    record: str
    day: str  # ISO date


def due_between(connection: sa.Connection, days: DueDays, first: date, last: date) -> Iterator[DueCase]:
    """What is still to be done: decisions whose reminder falls on a day from `first` to `last`, both included, and
    objections whose reminder was due by `last` and whose deadline has not passed by more than `LATE` days."""
    if days.decision_days is not None:
        ahead = timedelta(days=days.decision_days - days.reminder_days)
        a_day = timedelta(days=1)  # the table has days in UTC, of which the lender's is at most one away
        rows = connection.exec_driver_sql(
            "SELECT e.id, e.time FROM cases c INDEXED BY cases_by_queue JOIN entries e ON e.seq = c.seq "
            "WHERE c.viewer = '' AND c.state IN (?, ?, ?) AND c.queue_day >= ? AND c.queue_day <= ? ORDER BY c.seq",
            (OPEN, PENDING, WAITING, (first - ahead - a_day).isoformat(), (last - ahead + a_day).isoformat()),
        ).all()
        for id, time in rows:
            due = days.decision_day(time)
            if due is not None and first <= due - timedelta(days=days.reminder_days) <= last:
                yield DueCase(id, due.isoformat())
    for record in list(queries.records(connection, [CONTESTED])):
        deadline = record.body_json.get("deadline")
        if not isinstance(deadline, str):
            continue
        until = date.fromisoformat(deadline)
        if until - timedelta(days=days.reminder_days) <= last <= until + timedelta(days=LATE):
            case = cases.find(connection, record.header.id)
            if case is not None and case.state == REVIEW and case.contest and case.contest.id == record.header.id:
                yield DueCase(record.header.id, deadline)


def add_due(connection: sqlite3.Connection, outbox: Outbox, due: list[DueCase], now: float) -> int:
    """Write the events of due cases to the outbox; each once, however often it is found."""
    events = [Event(f"{DUE}_{case.record}_{case.day}", DUE, case.record, case.day, iso_time(now), now) for case in due]
    return outbox.add_events(connection, events)
