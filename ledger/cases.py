"""A case: the score it began with, and all that followed: corrected scores, decisions, a second person, objections."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from ledger import queries
from ledger.events import Agreed, Contested, Decided, Event, Scored
from ledger.records import Draft, Key, Record, Seen, write

OPEN, WAITING, PENDING, SETTLED, REVIEW = "open", "waiting", "pending", "settled", "review"
TO_DECIDE = (OPEN, PENDING, REVIEW)
IN_FORCE = (PENDING, SETTLED)
NOT_FINAL = ("refer", "incomplete")
T = TypeVar("T", bound=Event)


class Case(NamedTuple):
    """The records of one application, in the order of the ledger."""

    events: tuple[Event, ...]

    @property
    def first(self) -> Scored:
        """The score that it began with; its id is the case's."""
        first = self.events[0]
        assert isinstance(first, Scored)  # noqa: S101 - a case begins with one
        return first

    def of_kind(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def last(self) -> Event:
        return self.events[-1]

    def continued(self, draft: Draft) -> Draft:
        """The draft of the case's next record. The ledger writes it only while the case is as it is here, and once: the
        same draft by the same person again is answered with the first one's record."""
        seen = Seen(self.first.id, self.last.seq, self.last.hash)
        content = write({"kind": draft.kind, "fields": draft.fields, "personal": draft.personal})
        key = Key("case", f"{seen.case} {seen.hash.hex()}", hashlib.sha256(content.encode()).digest())
        return draft._replace(key=key, expects=seen)

    @property
    def score(self) -> Scored:
        """The score to look at: the one that was decided on; of a case that is to be decided the last, since answers
        may have been corrected."""
        if self.state in TO_DECIDE or self.decision is None:
            return self.of_kind(Scored)[-1]
        return self.score_of(self.decision)

    def score_of(self, decision: Decided) -> Scored:
        """The score that a decision was made on."""
        return {score.id: score for score in self.of_kind(Scored)}[decision.score]

    @property
    def decision(self) -> Decided | None:
        """The last decision, whether it is in force or waits for a second person."""
        decisions = self.of_kind(Decided)
        return decisions[-1] if decisions else None

    @property
    def second(self) -> Agreed | None:
        """What a second person said of the last decision."""
        decision = self.decision
        return next((event for event in self.of_kind(Agreed) if decision and event.of == decision.id), None)

    @property
    def contest(self) -> Contested | None:
        """The last objection, if no decision in force has answered it."""
        objection, decision = self.objection, self.decision
        if objection is None or (self._in_force and decision and decision.contest == objection.id):
            return None
        return objection

    @property
    def objection(self) -> Contested | None:
        """The last objection, answered or not."""
        objections = self.of_kind(Contested)
        return objections[-1] if objections else None

    @property
    def _in_force(self) -> bool:
        return in_force(self.decision, self.second)

    @property
    def state(self) -> str:
        """`open`: to be decided. `waiting`: for a second person. `review`: contested, to be decided by another person
        than before. `pending`: referred or incomplete, to be decided in the end. `settled`: decided."""
        decision = self.decision
        if decision and decision.needs_second and self.second is None:
            return WAITING
        if self.contest is not None:
            return REVIEW
        if not self._in_force or decision is None:
            return OPEN
        return PENDING if decision.decision in NOT_FINAL else SETTLED

    @property
    def decided_by(self) -> set[str]:
        """Everybody who decided or agreed so far."""
        return deciders(self.events)

    @property
    def barred(self) -> set[str]:
        """Who may not decide now: after an objection nobody who decided before it; under review nobody who ever did."""
        objection = self.objection
        if self.state == REVIEW:
            return self.decided_by
        return set() if objection is None else deciders(event for event in self.events if event.seq < objection.seq)


def deciders(events: Iterable[Event]) -> set[str]:
    """Who decided or agreed in some records."""
    return {event.by for event in events if isinstance(event, (Decided, Agreed))}


def in_force(decision: Decided | None, second: Agreed | None) -> bool:
    """Whether a decision holds: where it needs a second person, that one has agreed."""
    if decision is None:
        return False
    return not decision.needs_second or bool(second and second.agrees)


def find(connection: sa.Connection, id: str) -> Case | None:
    """The case that a record belongs to; None where there is no such record, or it belongs to none."""
    seen: set[str] = set()
    while True:
        found = queries.by_id(connection, [id])
        if not found or id in seen:
            return None
        seen.add(id)
        event = found[0].event
        if isinstance(event, Scored) and not event.of:
            return whole(connection, [found[0]])[0]
        if not event.of:
            return None
        id = event.of


def whole(connection: sa.Connection, firsts: Sequence[Record]) -> list[Case]:
    """The cases that began with these scores, with all that refers to a score, and to that, and so on."""
    parts = {first.event.id: [first.event] for first in firsts}
    case_of = {id: id for id in parts}
    asked = list(parts)
    while asked:
        found = [record.event for record in queries.following(connection, *asked)]
        found = [event for event in found if event.id not in case_of]
        for event in found:
            case_of[event.id] = case_of[event.of or ""]
            parts[case_of[event.id]].append(event)
        asked = [event.id for event in found]
    return [Case(tuple(sorted(events, key=lambda event: event.seq))) for events in parts.values()]
