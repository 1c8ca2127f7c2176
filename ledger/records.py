"""A record: JSON text chained to the record before it by SHA-256, and a personal part that can be erased.

    hash = sha256(hash of the record before ‖ body)
    commitment = sha256(salt ‖ personal part), in the body

Any change of a body breaks the chain from there on, and any change of a personal part contradicts its commitment. Once
a personal part and its 32 random bytes of salt are erased, the commitment reveals nothing about it, and the chain still
verifies. Anyone who can write the file can also rebuild the chain from any record on, or cut off its end. Only a head
(the hash of a record) that is kept elsewhere protects against that. docs/ledger-format.md specifies the format.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

import orjson

from ledger.events import Event, Header, Json, Object, UnreadableRecord, event, exact, header

FORMAT = 2  # format of new ledgers; ledgers of format 1 are read and continued
FORMATS = (1, FORMAT)
BEFORE_ALL = bytes(32)  # the previous hash of the first record
KEYED = "idempotency"  # name in a personal part: the digest of the record's Idempotency-Key


class Key(NamedTuple):
    """A client's Idempotency-Key, and the digest of the request that came with it."""

    client: str
    key: str
    digest: bytes


class Seen(NamedTuple):
    """The last record of a case when somebody looked at it."""

    case: str  # id of its first score
    seq: int
    hash: bytes


class Draft(NamedTuple):
    """A record to be written. `fields` and `personal` hold JSON values."""

    kind: str
    id: str  # unique in the ledger; for a score its request id
    fields: Object  # kept forever, so without personal data
    personal: Object | None = None  # answers, reference, justification: erased after retention
    key: Key | None = None
    expects: Seen | None = None  # write it only if this is still the last record of its case


@dataclass(frozen=True)
class Record:
    """A record on disk. `personal` is None if there never was a personal part, or if it was erased.

    Its JSON is parsed at most once; if that fails, `UnreadableRecord` gives the record's number.
    """

    seq: int  # 1, 2, 3 …
    hash: bytes  # (32,)
    body: str
    salt: bytes | None
    personal: str | None

    @cached_property
    def event(self) -> Event:
        """Its content, as the class of its kind."""
        return event(self.seq, self.hash, self.body_json, self.personal_json)

    @cached_property
    def header(self) -> Header:
        """The fields that the body of every kind has."""
        return header(self.seq, self.body_json)

    @cached_property
    def body_json(self) -> Object:
        """The body as JSON: seq, time, kind, id, personal (commitment in hex, or null) and the fields of its kind."""
        return self._object(self.body, "body")

    @cached_property
    def personal_json(self) -> Object | None:
        """The personal part as JSON."""
        return None if self.personal is None else self._object(self.personal, "personal part")

    @property
    def exact_json(self) -> dict[str, Json]:
        """The body, with a score's exact PD and points; they are rounded once the personal part is erased."""
        return exact(self.body_json, self.personal_json)

    @property
    def reference(self) -> str | None:
        """The client's or officer's reference for the case; None if there was none or it is erased."""
        return self._personal_text("reference")

    @property
    def made_for_key(self) -> str | None:
        """The digest (`key_digest`) of the Idempotency-Key for which the record was made; None in format 1."""
        # Most records have no such key; a text search avoids parsing them.
        return self._personal_text(KEYED) if self.personal is not None and KEYED in self.personal else None

    def _personal_text(self, name: str) -> str | None:
        text = (self.personal_json or {}).get(name)
        if text is not None and not isinstance(text, str):
            raise UnreadableRecord(self.seq, f"{name}: text is needed")
        return text

    def _object(self, text: str, part: str) -> Object:
        try:
            parsed = orjson.loads(text)
        except (ValueError, TypeError):
            parsed = None
        if not isinstance(parsed, dict):
            raise UnreadableRecord(self.seq, f"its {part} is not a JSON object")
        return parsed


def seal(draft: Draft, seq: int, before: bytes, now: float) -> Record:
    """Make a draft into a record at its place in the chain; `now` in seconds since 1970."""
    salt = personal = commitment_hex = None
    if draft.personal is not None:
        keyed = {KEYED: key_digest(*draft.key)} if draft.key else {}
        salt, personal = secrets.token_bytes(32), write({**draft.personal, **keyed})
        commitment_hex = commitment(salt, personal)
    body = write(
        {
            **draft.fields,
            "seq": seq,
            "time": iso_time(now),
            "kind": draft.kind,
            "id": draft.id,
            "personal": commitment_hex,
        }
    )
    return Record(seq, link(before, body), body, salt, personal)


def iso_time(now: float) -> str:
    """A time as records have it; `now` in seconds since 1970."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write(fields: Object) -> str:
    """JSON with sorted keys."""
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()


def link(before: bytes, body: str) -> bytes:
    """The hash of a record."""
    return hashlib.sha256(before + body.encode()).digest()


def commitment(salt: bytes, personal: str) -> str:
    """The commitment to a personal part, in hex."""
    return hashlib.sha256(salt + personal.encode()).hexdigest()


def key_digest(client: str, key: str, digest: bytes) -> str:
    """The digest of an Idempotency-Key (hex), kept in its record, so that no key can be redirected to another."""
    return hashlib.sha256(write({"client": client, "key": key}).encode() + digest).hexdigest()
