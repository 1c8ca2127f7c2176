"""What a record is: a JSON text chained to the one before by SHA-256, and a personal part that can be erased.

    hash = sha256(hash of the record before ‖ body)
    commitment = sha256(salt ‖ personal part), in the body

So any change of a body breaks the chain from there on, and any change of a personal part differs from its commitment.
Once a personal part and its 32 random bytes of salt are erased, the commitment says nothing about it, and the chain
still verifies. Whoever can write the file can also chain it anew from any record on, or cut its end: against that only
a head (the hash of a record) helps that somebody else keeps.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

FORMAT = 1
BEFORE_ALL = bytes(32)  # what the first record has for a hash before
BEGUN, SCORED, DECIDED, PURGED = "begun", "scored", "decided", "purged"
AGREED, CONTESTED = "agreed", "contested"


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


def seal(draft: Draft, seq: int, before: bytes, now: float) -> Record:
    """The record that a draft becomes at its place in the chain; `now` in seconds since 1970."""
    salt = personal = None
    promised = None
    if draft.personal is not None:
        salt, personal = secrets.token_bytes(32), write(draft.personal)
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
