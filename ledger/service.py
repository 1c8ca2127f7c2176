"""Which release is in service: the one that a manager put there last. Each change is a record, chained like others."""

import hashlib
from typing import NamedTuple

import sqlalchemy as sa

from ledger import queries
from ledger.decisions import new_id
from ledger.events import SERVICED, Event, Serviced
from ledger.records import Draft, Key, Seen, write

BEGINNING = "begun"  # id of the first record of every ledger: what belongs to no case refers to it


class Service(NamedTuple):
    """What was put into service, the last one last."""

    first: Event  # of the ledger
    changes: tuple[Serviced, ...]

    @property
    def last(self) -> Serviced | None:
        """What is in service."""
        return self.changes[-1] if self.changes else None

    @property
    def seen(self) -> Seen:
        """The record that the next change follows."""
        last = self.last or self.first
        return Seen(BEGINNING, last.seq, last.hash)

    @property
    def shown(self) -> str:
        """The number and the hash of that record, as a form carries them."""
        return f"{self.seen.seq} {self.seen.hash.hex()}"

    def as_shown(self, seen: str) -> "Service | None":
        """How things were when a form that carries `seen` showed them; None where they never were like that."""
        before = (self._replace(changes=self.changes[:count]) for count in range(len(self.changes), -1, -1))
        return next((state for state in before if state.shown == seen), None)

    def of(self, digest: str) -> Serviced | None:
        """The last time that a release was put into service."""
        return next((change for change in reversed(self.changes) if change.release == digest), None)

    def change(self, *, by: str, release: str, name: str, evidence: str, maker: str, note: str) -> Draft:
        """A record that puts a release into service. The ledger writes it only while things are as they are here, and
        once: the same draft by the same person again is answered with the first one's record."""
        fields = {
            "of": BEGINNING, "by": by, "release": release, "release_name": name, "evidence": evidence, "maker": maker,
        }  # fmt: skip
        content = write({"fields": fields, "note": note})
        key = Key("service", self.shown, hashlib.sha256(content.encode()).digest())
        return Draft(SERVICED, new_id(), fields, {"note": note}, key, self.seen)


def service(connection: sa.Connection) -> Service:
    """All that was put into service. Raises `UnreadableRecord`."""
    (first,) = queries.by_id(connection, [BEGINNING])
    changes = [record.event for record in queries.records(connection, [SERVICED])]
    return Service(first.event, tuple(change for change in changes if isinstance(change, Serviced)))
