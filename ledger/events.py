"""What records say: a frozen class for each kind, read once from a record's body and its personal part.

A part that is missing or of another type is refused with the record's number. A kind that is not known, of a later
program, is kept with all it says. docs/ledger-format.md specifies the kinds. The readers are ours, since each event is
made of two texts, and what a body keeps rounded is exact in the personal part until that is erased.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Object: TypeAlias = Mapping[str, "Json"]
Names: TypeAlias = tuple[str, ...]
Ranges: TypeAlias = tuple[tuple[int, int], ...]

BEGUN, SCORED, DECIDED, PURGED = "begun", "scored", "decided", "purged"
AGREED, CONTESTED = "agreed", "contested"
NOTIFIED, HELD, RELEASED, CLEANED = "notified", "held", "released", "cleaned"
SERVICED = "serviced"
EXACT = ("pd", "points")  # of a score: exact in its personal part, rounded in its body; in format 1 exact in the body


class UnreadableRecord(ValueError):
    """A record cannot be parsed: its number, and the part that is missing or wrong. Never what the part holds."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"record {seq:,} cannot be parsed: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the body of every record says. `of` is the id of the record that it is about, `personal` the commitment."""

    seq: int
    kind: str
    id: str
    time: str  # ISO, UTC, with microseconds
    personal: str | None
    by: str = ""  # of the first record nobody
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Header):
    """A record of any kind. `erased`: it had a personal part, which is gone; what was in it is None then."""

    hash: bytes  # (32,)
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """The first record of a ledger."""

    format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Event):
    """A score that was shown. `of` is the case's first score, where this one corrects its answers.

    `pd` and `points` are as they were computed, and rounded once the personal part is erased. `reasons` are the
    principal ones as `field/code`, None where nobody asked for them; in format 1 they are names of fields and stay.
    """

    channel: str
    release: str  # digest
    release_name: str
    engine: str
    pd: float
    points: float
    decision: str
    break_even: float
    refer_from: float
    decline_from: float
    unusual: Names
    answers: Object | None = None
    row: str | None = None  # SHA-256 in hex
    reference: str | None = None
    reasons: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """What an officer decided on the case that began with the score `of`; `score` is the one that was decided on."""

    of: str
    score: str
    decision: str
    suggested: str
    direction: str
    overridden: bool
    needs_second: bool
    reason_code: str | None = None
    contest: str | None = None  # id of the objection that this decides
    reference: str | None = None
    justification: str | None = None
    conditions: str | None = None
    reasons: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed(Event):
    """What a second person said of the decision `of`."""

    of: str
    agrees: bool
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested(Event):
    """An objection to the decision `of`."""

    of: str
    reviewer: str
    deadline: str  # ISO date
    reference: str | None = None
    objection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Event):
    """The notice of the decision `of` was handed over."""

    of: str
    day: str  # ISO date
    reference: str | None = None
    notice: str | None = None  # SHA-256 in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """The case that began with the score `of` is kept beyond its retention."""

    of: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """The hold on a case ended."""

    of: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Event):
    """Personal parts were erased: of `records`, as (first, last) of each unbroken run; in format 1 all up to
    `through`."""

    records: Ranges = ()
    through: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned(Event):
    """Nothing of what was erased up to record `through` was left in the file and its log."""

    through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Serviced(Event):
    """A release was put into service, in the place of the one before it. `of` is the ledger's first record."""

    of: str
    release: str  # digest
    release_name: str
    evidence: str  # SHA-256 of its model card, in hex; its metrics are in the manifest, whose digest `release` is
    maker: str = ""  # who made it, by its manifest; empty where that does not say it
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """A record of a kind that this program does not know, with all that it says."""

    content: Object


KINDS: Mapping[str, type[Event]] = {
    BEGUN: Begun, SCORED: Scored, DECIDED: Decided, AGREED: Agreed, CONTESTED: Contested, NOTIFIED: Notified,
    HELD: Held, RELEASED: Released, PURGED: Purged, CLEANED: Cleaned, SERVICED: Serviced,
}  # fmt: skip


def header(seq: int, body: Object) -> Header:
    """What the body of record `seq` says of itself; its own `seq` as it states it. Raises `UnreadableRecord`."""
    return read(Header, body, seq, {})


def event(seq: int, digest: bytes, body: Object, personal: Object | None) -> Event:
    """A record as the class of its kind. Raises `UnreadableRecord`."""
    kind = KINDS.get(str(body.get("kind")), Unknown)
    content = exact(body, personal)
    whole = {**(personal or {}), **content}
    erased = body.get("personal") is not None and personal is None
    beside = {"seq": seq, "hash": digest, "erased": erased}
    return read(kind, whole, seq, {**beside, "content": whole} if kind is Unknown else beside)


def exact(body: Object, personal: Object | None) -> dict[str, Json]:
    """A body, with a score's PD and points as they were computed, as long as its personal part has them."""
    own = personal or {}
    return {**body, **{name: own[name] for name in EXACT if name in own}}


class _Wrong(Exception):
    """A value of another type than is needed, which is named."""


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise _Wrong("text")
    return value


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Wrong("a whole number")
    return value


def _number(value: Json) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _Wrong("a number")
    return float(value)


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _names(value: Json) -> Names:
    if not isinstance(value, list):
        raise _Wrong("a list of texts")
    return tuple(map(_text, value))


def _object(value: Json) -> Object:
    if not isinstance(value, dict):
        raise _Wrong("an object")
    return value


def _ranges(value: Json) -> Ranges:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise _Wrong("a list of [first, last]")
    return tuple((_whole(first), _whole(last)) for first, last in value)


Reader: TypeAlias = Callable[[Json], object]
T = TypeVar("T", bound=Header)


def _or_null(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


READERS: Mapping[object, Reader] = {
    str: _text, int: _whole, float: _number, bool: _flag, Names: _names, Ranges: _ranges,
    str | None: _or_null(_text), Names | None: _or_null(_names), Object | None: _or_null(_object),
}  # fmt: skip


def _parts(kind: type[Header]) -> tuple[tuple[str, Reader, bool], ...]:
    """Of each part that is read from JSON: its name, how it is read, and whether it must be there."""
    beside = ("hash", "erased", "content")
    return tuple(
        (part.name, READERS[part.type], part.default is MISSING) for part in fields(kind) if part.name not in beside
    )


PARTS = {kind: _parts(kind) for kind in (Header, Unknown, *KINDS.values())}


def read(kind: type[T], content: Object, seq: int, beside: Mapping[str, object]) -> T:
    """The class of a kind, from its parts as JSON and what is known `beside` them, which counts more."""
    found: dict[str, object] = {}
    for name, reader, needed in PARTS[kind]:
        if name in content:
            try:
                found[name] = reader(content[name])
            except _Wrong as wrong:
                raise UnreadableRecord(seq, f"{name}: {wrong} is needed") from None
        elif needed:
            raise UnreadableRecord(seq, f"{name} is missing")
    make: Callable[..., T] = kind
    return make(**{**found, **beside})
