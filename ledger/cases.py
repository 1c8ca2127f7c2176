"""A case: the score it began with, and all that followed: corrected scores, decisions, a second person, objections."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ledger import queries
from ledger.records import AGREED, CONTESTED, DECIDED, SCORED, Draft, Key, Record, Seen, write

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
    def last(self) -> Record:
        return self.records[-1]

    def continued(self, draft: Draft) -> Draft:
        """The draft of the case's next record. The ledger writes it only while the case is as it is here, and once: the
        same draft by the same person again is answered with the first one's record."""
        seen = Seen(name(self.first), self.last.seq, self.last.hash)
        content = write({"kind": draft.kind, "fields": draft.fields, "personal": draft.personal})
        key = Key("case", f"{seen.case} {seen.hash.hex()}", hashlib.sha256(content.encode()).digest())
        return draft._replace(key=key, expects=seen)

    @property
    def score(self) -> Record:
        """The score to look at: the one that was decided on; of a case that is to be decided the last, since answers
        may have been corrected."""
        if self.state in TO_DECIDE or self.decision is None:
            return self.of_kind(SCORED)[-1]
        return self.score_of(self.decision)

    def score_of(self, decision: Record) -> Record:
        """The score that a decision was made on."""
        return {name(one): one for one in self.of_kind(SCORED)}[decision.fields()["score"]]

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
        found = queries.by_id(connection, [id])
        if not found or id in seen:
            return None
        seen.add(id)
        fields = found[0].fields()
        if fields["kind"] == SCORED and not fields.get("of"):
            return whole(connection, [found[0]])[0]
        if not fields.get("of"):
            return None
        id = fields["of"]


def whole(connection: sa.Connection, firsts: Sequence[Record]) -> list[Case]:
    """The cases that began with these scores, with all that refers to a score, and to that, and so on."""
    parts = {name(first): [first] for first in firsts}
    case_of = {id: id for id in parts}
    asked = list(parts)
    while asked:
        found = [one for one in queries.following(connection, *asked) if name(one) not in case_of]
        for record in found:
            case_of[name(record)] = case_of[record.fields()["of"]]
            parts[case_of[name(record)]].append(record)
        asked = [name(record) for record in found]
    return [Case(tuple(sorted(records, key=lambda one: one.seq))) for records in parts.values()]
