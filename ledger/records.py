"""What a record is: a JSON text chained to the one before by SHA-256, and a personal part that can be erased.

    hash = sha256(hash of the record before ‖ body)
    commitment = sha256(salt ‖ personal part), in the body

So any change of a body breaks the chain from there on, and any change of a personal part differs from its commitment.
Once a personal part and its 32 random bytes of salt are erased, the commitment says nothing about it, and the chain
still verifies. Anyone who can write the file can also rebuild the chain from any record on, or cut its end: against
that only a head (the hash of a record) helps that somebody else keeps. docs/ledger-format.md specifies all of it.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

FORMAT = 2  # what new ledgers begin with; ledgers of format 1 are read and continued
FORMATS = (1, FORMAT)
BEFORE_ALL = bytes(32)  # what the first record has for a hash before
BEGUN, SCORED, DECIDED, PURGED = "begun", "scored", "decided", "purged"
AGREED, CONTESTED = "agreed", "contested"
NOTIFIED, HELD, RELEASED, CLEANED = "notified", "held", "released", "cleaned"
EXACT = ("pd", "points")  # of a score: exact in its personal part, rounded in its body; in format 1 exact in the body
KEYED = "idempotency"  # in a personal part: the digest of the Idempotency-Key that the record was made for


class Key(NamedTuple):
    """A client's Idempotency-Key, and the digest of the request that came with it."""

    client: str
    key: str
    digest: bytes


class Seen(NamedTuple):
    """The last record of a case, as somebody saw the case."""

    case: str  # id of the score that it began with
    seq: int
    hash: bytes


class Draft(NamedTuple):
    """A record that is to be written. `fields` and `personal` hold what JSON can hold."""

    kind: str
    id: str  # unique in the ledger; of a score its request id
    fields: Mapping[str, Any]  # kept for good, nothing personal in it
    personal: Mapping[str, Any] | None = None  # answers, reference, justification: erased in the end
    key: Key | None = None
    expects: Seen | None = None  # it is written only while that is the last record of its case


class Record(NamedTuple):
    """A record on disk. `personal` is None where there never was one, and where it was erased."""

    seq: int  # 1, 2, 3 …
    hash: bytes  # (32,)
    body: str
    salt: bytes | None
    personal: str | None

    def fields(self) -> dict[str, Any]:
        """The body as an object: seq, time, kind, id, personal (the commitment in hex, or null), and the rest."""
        return dict(orjson.loads(self.body))

    def personal_fields(self) -> dict[str, Any] | None:
        """The personal part as an object."""
        return None if self.personal is None else dict(orjson.loads(self.personal))

    @property
    def reasons(self) -> list[str] | None:
        """The principal reasons of a score or a decision, which tell of answers: erased with them. None where nobody
        asked for them. In format 1 they are in the body, as names of fields."""
        personal = self.personal_fields() or {}
        found: list[str] | None = personal["reasons"] if "reasons" in personal else self.fields().get("reasons")
        return found

    def exact_fields(self) -> dict[str, Any]:
        """The body, with a score's PD and points as they were computed; rounded once the personal part is erased."""
        personal = self.personal_fields() or {}
        return {**self.fields(), **{name: personal[name] for name in EXACT if name in personal}}


def seal(draft: Draft, seq: int, before: bytes, now: float) -> Record:
    """The record that a draft becomes at its place in the chain; `now` in seconds since 1970."""
    salt = personal = None
    promised = None
    if draft.personal is not None:
        keyed = {KEYED: key_digest(*draft.key)} if draft.key else {}
        salt, personal = secrets.token_bytes(32), write({**draft.personal, **keyed})
        promised = commitment(salt, personal)
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = write({**draft.fields, "seq": seq, "time": time, "kind": draft.kind, "id": draft.id, "personal": promised})
    return Record(seq, link(before, body), body, salt, personal)


def write(fields: Mapping[str, Any]) -> str:
    """JSON with sorted keys."""
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()


def link(before: bytes, body: str) -> bytes:
    """The hash of a record."""
    return hashlib.sha256(before + body.encode()).digest()


def commitment(salt: bytes, personal: str) -> str:
    """What the body says of the personal part, in hex."""
    return hashlib.sha256(salt + personal.encode()).hexdigest()


def key_digest(client: str, key: str, digest: bytes) -> str:
    """An Idempotency-Key as the record made for it holds it, in hex: so no row of keys can lead to another record."""
    return hashlib.sha256(write({"client": client, "key": key}).encode() + digest).hexdigest()
