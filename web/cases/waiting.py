"""What waits: the lists of the page Work and of the API, who sees which, and what JSON says of each case."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from inference.release import Release
from ledger import cases, queries
from ledger.cases import OPEN, PENDING, REVIEW, WAITING, Case
from ledger.events import Json
from web.cases.listed import listed
from web.cases.status import days_old
from web.person import Person
from web.work_settings import WorkSettings

MOST = 1000  # are counted
AFTER = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([0-9]{1,15})"
)  # queue day and sequence of the last case of the page before
# Lists by name: the state of their cases, and whether it must be the visitor's turn.
LISTS: Mapping[str, tuple[str, bool]] = {
    "mine": (OPEN, True), "waiting": (WAITING, False), "objections": (REVIEW, False), "referred": (PENDING, False),
    "all": (OPEN, False),
}  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """A page of a list, due first: its cases, how many there are in all (up to MOST), and where the next page begins;
    empty if this is the last."""

    cases: list[Case]
    count: int
    after: str


def lists_of(person: Person | None) -> list[str]:
    """The lists that a visitor has. Without login nothing is anybody's in particular."""
    without = "mine" if person is None else "" if person.sees_all else "all"
    return [name for name in LISTS if name != without]


def count(connection: sa.Connection, name: str, person: Person | None) -> int:
    """The number of cases of a list that this visitor sees, counted up to MOST."""
    state, mine = LISTS[name]
    return queries.work_count(connection, [state], viewer(person, mine), MOST, mine)


def waiting(
    connection: sa.Connection, name: str, person: Person | None, most: int, after: str = ""
) -> Waiting:  # fmt: skip
    """A page of a list as this visitor sees it: up to `most` cases, from the beginning or `after` an earlier page."""
    state, mine = LISTS[name]
    rows = queries.work(connection, state, viewer(person, mine), most + 1, last_case(after), mine)
    firsts = [record for _, record in rows[:most]]
    by_seq = {case.first.seq: case for case in cases.cases_from(connection, firsts)} if firsts else {}
    more = f"{rows[most - 1][0]}.{rows[most - 1][1].seq}" if len(rows) > most else ""
    return Waiting([by_seq[record.seq] for record in firsts], count(connection, name, person), more)


def last_case(after: str) -> tuple[str, int] | None:
    """Queue day and sequence of the case that a page begins after; None if `after` is no text of ours.

    A day that the calendar does not have is a place in the list like any other: what AFTER says is the whole rule, as
    the API's description has it."""
    match = AFTER.fullmatch(after)
    return None if match is None else (match[1], int(match[2]))


def viewer(person: Person | None, mine: bool) -> str:
    """For whom `queries.work` is asked; empty for all."""
    return "" if person is None or (person.sees_all and not mine) else person.name


def amount(case: Case, release: Release) -> float | None:
    """The amount of the loan, in the unit of the release that serves; None if it was erased or is not asked."""
    place, answers = release.policy.amount_at, case.score.answers
    raw = None if place is None or answers is None else answers.get(release.form.names[place])
    return float(raw) if isinstance(raw, int | float) else None


def listed_waiting(case: Case, settings: WorkSettings, release: Release, today: date) -> dict[str, Json]:
    """What JSON says of a case that waits: what every list says, and the columns of the page Work."""
    due = settings.days.due_day(case)
    assert due is not None  # noqa: S101 - a lender has days for decisions
    return {
        **listed(case), "by": (case.decision or case.first).by, "turn": case.turn, "amount": amount(case, release),
        "applicant": None if settings.applicant is None else case.score.applicant,
        "days": days_old(case, settings, today), "due": due.isoformat(), "days_left": (due - today).days,
    }  # fmt: skip
