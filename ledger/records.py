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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

import orjson

from ledger.events import Event, Header, Json, Object, UnreadableRecord, event, exact, header

FORMAT = 2  # what new ledgers begin with; ledgers of format 1 are read and continued
FORMATS = (1, FORMAT)
BEFORE_ALL = bytes(32)  # what the first record has for a hash before
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
    fields: Object  # kept for good, nothing personal in it
    personal: Object | None = None  # answers, reference, justification: erased in the end
    key: Key | None = None
    expects: Seen | None = None  # it is written only while that is the last record of its case


@dataclass(frozen=True)
class Record:
    """A record on disk. `personal` is None where there never was one, and where it was erased.

    Its texts are parsed at most once; what cannot be parsed raises `UnreadableRecord`, with the record's number.
    """

    seq: int  # 1, 2, 3 …
    hash: bytes  # (32,)
    body: str
    salt: bytes | None
    personal: str | None

    @cached_property
    def event(self) -> Event:
        """What it says, as the class of its kind."""
        return event(self.seq, self.hash, self.body_json, self.personal_json)

    @cached_property
    def header(self) -> Header:
        """What its body says of itself, whatever its kind."""
        return header(self.seq, self.body_json)

    @cached_property
    def body_json(self) -> Object:
        """The body as JSON: seq, time, kind, id, personal (the commitment in hex, or null), and the rest."""
        return self._object(self.body, "body")

    @cached_property
    def personal_json(self) -> Object | None:
        """The personal part as JSON."""
        return None if self.personal is None else self._object(self.personal, "personal part")

    @property
    def exact_json(self) -> dict[str, Json]:
        """The body, with a score's PD and points as they were computed; rounded once the personal part is erased."""
        return exact(self.body_json, self.personal_json)

    @property
    def reference(self) -> str | None:
        """What somebody else calls the case; None once it is erased, and where nobody said."""
        return self._personal_text("reference")

    @property
    def made_for_key(self) -> str | None:
        """The Idempotency-Key that it was made for, as `key_digest` writes it; None in format 1."""
        # Most records have no such key, and need not be parsed to say so.
        return self._personal_text(KEYED) if self.personal is not None and KEYED in self.personal else None

    def _personal_text(self, name: str) -> str | None:
        found = (self.personal_json or {}).get(name)
        if found is not None and not isinstance(found, str):
            raise UnreadableRecord(self.seq, f"{name}: text is needed")
        return found

    def _object(self, text: str, part: str) -> Object:
        try:
            found = orjson.loads(text)
        except (ValueError, TypeError):
            found = None
        if not isinstance(found, dict):
            raise UnreadableRecord(self.seq, f"its {part} is not a JSON object")
        return found


def seal(draft: Draft, seq: int, before: bytes, now: float) -> Record:
    """The record that a draft becomes at its place in the chain; `now` in seconds since 1970."""
    salt = personal = promised = None
    if draft.personal is not None:
        keyed = {KEYED: key_digest(*draft.key)} if draft.key else {}
        salt, personal = secrets.token_bytes(32), write({**draft.personal, **keyed})
        promised = commitment(salt, personal)
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = write({**draft.fields, "seq": seq, "time": time, "kind": draft.kind, "id": draft.id, "personal": promised})
    return Record(seq, link(before, body), body, salt, personal)


def write(fields: Object) -> str:
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
