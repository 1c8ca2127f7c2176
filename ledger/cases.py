"""A case: the score it began with, and all that followed: corrected scores, decisions, a second person, objections."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ledger import store
from ledger.records import AGREED, CONTESTED, DECIDED, SCORED, Record

OPEN, WAITING, PENDING, SETTLED, REVIEW = "open", "waiting", "pending", "settled", "review"
TO_DECIDE = (OPEN, PENDING, REVIEW)
IN_FORCE = (PENDING, SETTLED)
NOT_FINAL = ("refer", "incomplete")


class Case(NamedTuple):
    """The records of one application, in the order of the ledger."""

    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """The score that it began with; its id is the case's."""
        return self.records[0]

    def of_kind(self, kind: str) -> list[Record]:
        return [one for one in self.records if one.fields()["kind"] == kind]

    @property
    def score(self) -> Record:
        """The score that holds now: the last, where answers were corrected."""
        return self.of_kind(SCORED)[-1]

    @property
    def decision(self) -> Record | None:
        """The last decision, whether it is in force or waits for a second person."""
        found = self.of_kind(DECIDED)
        return found[-1] if found else None

    @property
    def second(self) -> Record | None:
        """What a second person said of the last decision."""
        return next((one for one in self.of_kind(AGREED) if self.decision and refers(one, self.decision)), None)

    @property
    def contest(self) -> Record | None:
        """The last objection, if no decision in force has answered it."""
        found = self.objection
        if found is None or (self._in_force and self.decision and self.decision.fields()["contest"] == name(found)):
            return None
        return found

    @property
    def objection(self) -> Record | None:
        """The last objection, answered or not."""
        found = self.of_kind(CONTESTED)
        return found[-1] if found else None

    @property
    def _in_force(self) -> bool:
        return in_force(self.decision, self.second)

    @property
    def state(self) -> str:
        """`open`: to be decided. `waiting`: for a second person. `review`: contested, to be decided by another person
        than before. `pending`: referred or incomplete, to be decided in the end. `settled`: decided."""
        if self.decision and self.decision.fields()["needs_second"] and self.second is None:
            return WAITING
        if self.contest is not None:
            return REVIEW
        if not self._in_force or self.decision is None:
            return OPEN
        return PENDING if self.decision.fields()["decision"] in NOT_FINAL else SETTLED

    @property
    def decided_by(self) -> set[str]:
        """Everybody who decided or agreed so far."""
        return deciders(self.records)

    @property
    def barred(self) -> set[str]:
        """Who may not decide now: after an objection nobody who decided before it; under review nobody who ever did."""
        if self.state == REVIEW:
            return self.decided_by
        return (
            set() if self.objection is None else deciders(one for one in self.records if one.seq < self.objection.seq)
        )


def deciders(records: Iterable[Record]) -> set[str]:
    """Who decided or agreed in some records."""
    return {one.fields()["by"] for one in records if one.fields()["kind"] in (DECIDED, AGREED)}


def in_force(decision: Record | None, second: Record | None) -> bool:
    """Whether a decision holds: where it needs a second person, that one has agreed."""
    if decision is None:
        return False
    return not decision.fields()["needs_second"] or bool(second and second.fields()["agrees"])


def name(record: Record) -> str:
    """A record's id."""
    return str(record.fields()["id"])


def refers(record: Record, to: Record) -> bool:
    """Whether a record is about another."""
    return bool(record.fields().get("of") == name(to))


def find(connection: sa.Connection, id: str) -> Case | None:
    """The case that a record belongs to; None where there is no such record, or it belongs to none."""
    seen: set[str] = set()
    while True:
        found = store.by_id(connection, [id])
        if not found or id in seen:
            return None
        seen.add(id)
        fields = found[0].fields()
        if fields["kind"] == SCORED and not fields.get("of"):
            return Case(tuple(sorted([found[0], *followers(connection, [id])], key=lambda one: one.seq)))
        if not fields.get("of"):
            return None
        id = fields["of"]


def followers(connection: sa.Connection, ids: Sequence[str]) -> list[Record]:
    """All that refers to some records, and to these, and so on."""
    found: list[Record] = []
    for id in ids:
        after = store.following(connection, id)
        found += after + followers(connection, [name(one) for one in after])
    return found
