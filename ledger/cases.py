"""A case: its first score and all that followed, such as corrected scores, decisions, agreements and objections."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import sqlalchemy as sa

from ledger import queries
from ledger.events import WITHDRAWN, Agreed, Arranged, Assigned, Contested, Decided, Event, Scored, Withdrawn
from ledger.records import Draft, Key, Record, Seen, write

OPEN, WAITING, PENDING, SETTLED, REVIEW = "open", "waiting", "pending", "settled", "review"
ALL = (OPEN, WAITING, PENDING, SETTLED, REVIEW, WITHDRAWN)
TO_DECIDE = (OPEN, PENDING, REVIEW)
CAN_BE_WITHDRAWN = (OPEN, PENDING, WAITING)
DONE = (SETTLED, WITHDRAWN)  # nothing more is expected of anybody
WAITING_STATES = tuple(state for state in ALL if state not in DONE)
IN_FORCE = (PENDING, SETTLED)
NOT_FINAL = ("refer", "incomplete")
T = TypeVar("T", bound=Event)


@dataclass(frozen=True)
class Case:
    """The records of one application, in ledger order."""

    events: tuple[Event, ...]

    @property
    def first(self) -> Scored:
        """The score with which the case began; its id is the id of the case."""
        first = self.events[0]
        assert isinstance(first, Scored)  # noqa: S101 - every case begins with a score
        return first

    def of_kind(self, kind: type[T]) -> list[T]:
        return [event for event in self._by_kind.get(kind, ()) if isinstance(event, kind)]

    @cached_property
    def _by_kind(self) -> dict[type[Event], list[Event]]:
        """A page asks for events of a kind some forty times, and a case may have hundreds of scores."""
        by_kind: dict[type[Event], list[Event]] = {}
        for event in self.events:
            by_kind.setdefault(type(event), []).append(event)
        return by_kind

    @property
    def last(self) -> Event:
        return self.events[-1]

    def continued(self, draft: Draft) -> Draft:
        """Make a draft the case's next record. The ledger writes it only if the case has not changed since, and only
        once: it answers the same draft with the record that was written first."""
        seen = Seen(self.first.id, self.last.seq, self.last.hash)
        content = write({"kind": draft.kind, "fields": draft.fields, "personal": draft.personal})
        key = Key("case", f"{seen.case} {seen.hash.hex()}", hashlib.sha256(content.encode()).digest())
        return draft._replace(key=key, expects=seen)

    @property
    def score(self) -> Scored:
        """The current score: the one that was decided on, or for a case still to be decided the last one, since answers
        may have been corrected."""
        if self.state in TO_DECIDE or self.decision is None:
            return self.of_kind(Scored)[-1]
        return self.score_of(self.decision)

    def score_of(self, decision: Decided) -> Scored:
        """The score on which a decision was made."""
        return {score.id: score for score in self.of_kind(Scored)}[decision.score]

    @property
    def decision(self) -> Decided | None:
        """The last decision, in force or waiting for a second person."""
        decisions = self.of_kind(Decided)
        return decisions[-1] if decisions else None

    @property
    def second(self) -> Agreed | None:
        """The second person's answer to the last decision."""
        decision = self.decision
        return next((event for event in self.of_kind(Agreed) if decision and event.of == decision.id), None)

    @property
    def contest(self) -> Contested | None:
        """The last objection, unless a decision in force has settled it."""
        objection, decision = self.objection, self.decision
        if objection is None or (self._in_force and decision and decision.contest == objection.id):
            return None
        return objection

    @property
    def objection(self) -> Contested | None:
        """The last objection, settled or not."""
        objections = self.of_kind(Contested)
        return objections[-1] if objections else None

    @property
    def arranged(self) -> Arranged | None:
        """How the notice on the last decision was arranged last."""
        decision = self.decision
        of_decision = [event for event in self.of_kind(Arranged) if decision and event.of == decision.id]
        return of_decision[-1] if of_decision else None

    @property
    def withdrawn(self) -> Withdrawn | None:
        """The record that ended the case without a decision."""
        return next(iter(self.of_kind(Withdrawn)), None)

    @property
    def _in_force(self) -> bool:
        return in_force(self.decision, self.second)

    @property
    def state(self) -> str:
        """`open`: not decided. `waiting`: for a second person. `review`: contested; somebody who has not decided on it
        must decide. `pending`: referred or incomplete, without a final decision. `settled`: decided. `withdrawn`: ended
        without a decision."""
        if self.withdrawn is not None:
            return WITHDRAWN
        decision = self.decision
        if decision and decision.needs_second and self.second is None:
            return WAITING
        if self.contest is not None:
            return REVIEW
        if not self._in_force or decision is None:
            return OPEN
        return PENDING if decision.decision in NOT_FINAL else SETTLED

    @property
    def turn(self) -> str | None:
        """Whose turn it is: who was given the case last since it came into its state; else, under review, the reviewer;
        else who decided or, before that, scored. None if nobody in particular, or nothing more is expected."""
        state, decision, second, objection = self.state, self.decision, self.second, self.objection
        if state in DONE:
            return None
        since: Event = objection if state == REVIEW and objection else second or decision or self.first
        given = [event for event in self.of_kind(Assigned) if event.seq > since.seq]
        if given:
            return given[-1].to
        if state == REVIEW and objection is not None:
            return objection.reviewer
        return None if state == WAITING else (decision or self.first).by

    @property
    def queue_day(self) -> str | None:
        """The ISO date by which lists of work are in order: an objection's deadline, else the day of the first score.
        None if nothing more is expected."""
        if self.state in DONE:
            return None
        objection = self.objection
        return objection.deadline if self.state == REVIEW and objection else self.first.time[:10]

    @property
    def decided_by(self) -> set[str]:
        """Everybody who has decided or agreed."""
        return deciders(self.events)

    @property
    def barred(self) -> set[str]:
        """Who may not decide now: under review everybody who ever did; after an objection everybody who did before."""
        objection = self.objection
        if self.state == REVIEW:
            return self.decided_by
        return set() if objection is None else deciders(event for event in self.events if event.seq < objection.seq)


def deciders(events: Iterable[Event]) -> set[str]:
    """Everybody who decided or agreed in some records."""
    return {event.by for event in events if isinstance(event, (Decided, Agreed))}


def in_force(decision: Decided | None, second: Agreed | None) -> bool:
    """Whether a decision is in force: made, and agreed to if it needs a second person."""
    if decision is None:
        return False
    return not decision.needs_second or bool(second and second.agrees)


def find(connection: sa.Connection, id: str) -> Case | None:
    """The case of a record; None if there is no such record or it belongs to no case."""
    seen: set[str] = set()
    while True:
        records = queries.by_id(connection, [id])
        if not records or id in seen:
            return None
        seen.add(id)
        event = records[0].event
        if isinstance(event, Scored) and not event.of:
            return cases_from(connection, [records[0]])[0]
        if not event.of:
            return None
        id = event.of


def cases_from(connection: sa.Connection, firsts: Sequence[Record]) -> list[Case]:
    """The cases that began with these scores, with all records that refer to them, directly or indirectly."""
    parts = {first.event.id: [first.event] for first in firsts}
    case_of = {id: id for id in parts}
    ids = list(parts)
    while ids:
        events = [record.event for record in queries.following(connection, *ids)]
        events = [event for event in events if event.id not in case_of]
        for event in events:
            case_of[event.id] = case_of[event.of or ""]
            parts[case_of[event.id]].append(event)
        ids = [event.id for event in events]
    return [Case(tuple(sorted(events, key=lambda event: event.seq))) for events in parts.values()]
