"""The content of records: a frozen class for each kind, parsed once from a record's body and personal part.

A part that is missing or of the wrong type is refused with the record's number. A record of an unknown kind, written by
a later program, is kept with its whole content. docs/ledger-format.md specifies the kinds. The readers are our own: an
event is made from two JSON texts, and numbers that are rounded in the body are exact in the personal part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Object: TypeAlias = Mapping[str, "Json"]
Names: TypeAlias = tuple[str, ...]
Ranges: TypeAlias = tuple[tuple[int, int], ...]
Digests: TypeAlias = tuple[tuple[int, str], ...]

BEGUN, SCORED, DECIDED, PURGED = "begun", "scored", "decided", "purged"
AGREED, CONTESTED = "agreed", "contested"
NOTIFIED, HELD, RELEASED, CLEANED = "notified", "held", "released", "cleaned"
SERVICED = "serviced"
WITHDRAWN = "withdrawn"
ASSIGNED, NOTED = "assigned", "noted"
ARRANGED = "arranged"
BOOK_SCORED = "book_scored"
OUTCOME = "outcome"
REPAID, BAD = "repaid", "bad"
EXACT = ("pd", "points")  # of a score: exact in the personal part, rounded in the body; exact in the body in format 1


class UnreadableRecord(ValueError):
    """A record cannot be parsed: names the record and the part that is missing or wrong, never its content."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(f"record {seq:,} cannot be parsed: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of every record's body. `of` is the id of the record it refers to, `personal` the commitment."""

    seq: int
    kind: str
    id: str
    time: str  # ISO, UTC, with microseconds
    personal: str | None
    by: str = ""  # empty in the first record
    of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Header):
    """A record of any kind. `erased`: its personal part is gone, and the fields from it are None."""

    hash: bytes  # (32,)
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """The first record of a ledger."""

    format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Event):
    """A score that was shown. `of` is the case's first score, if this one corrects its answers.

    `pd` and `points` are exact until the personal part is erased, then rounded. `reasons` are the principal ones as
    `field/code`, or None if they were not requested; in format 1 they are names of fields and are never erased.
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
    applicant: str | None = None  # a name or number, where the lender asks for it
    outcome: str | None = None  # with the lender's rules; None where there were none
    version: str | None = None  # of Tenfold; None in records of 0.1.0
    ruling: Object | None = None  # `inference.rules.Ruling`, as JSON
    questions: Object | None = None  # name of each that the answers raised -> confirmed or open; None: there were none

    @property
    def suggested(self) -> str:
        """What a person was shown as the suggestion: the outcome with the lender's rules, or else the decision."""
        return self.outcome or self.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """An officer's decision on the case that began with the score `of`; `score` is the one that was decided on."""

    of: str
    score: str
    decision: str
    suggested: str
    direction: str
    overridden: bool
    needs_second: bool
    reason_code: str | None = None
    contest: str | None = None  # id of the objection that this settles
    reference: str | None = None
    justification: str | None = None
    conditions: str | None = None
    reasons: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed(Event):
    """A second person's answer to the decision `of`."""

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
class Arranged(Event):
    """Somebody chose the language of the notice on the decision `of`, and the order of its principal reasons."""

    of: str
    reference: str | None = None
    language: str | None = None
    reasons: Names | None = None  # as the decision has them, in the order of the notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Event):
    """The notice of the decision `of` was handed over."""

    of: str
    day: str  # ISO date
    reference: str | None = None
    notice: str | None = None  # SHA-256 in hex
    text: str | None = None  # of which it is: the notice's parts as JSON; None: made elsewhere, or in 0.1.0


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
class Withdrawn(Event):
    """The case that began with the score `of` is not to be decided any further."""

    of: str
    reason: str  # duplicate or applicant
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned(Event):
    """The case that began with the score `of` is given to somebody, whose turn it is until somebody decides."""

    of: str
    to: str
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Somebody wrote a note on the case that began with the score `of`."""

    of: str
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Event):
    """What became of the loan of the case that began with the score `of`. The last one holds; no decision changes."""

    of: str
    outcome: str  # repaid or bad
    day: str  # ISO date, on which the loan was repaid or became bad
    file: str  # SHA-256 of the file that said so, in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Event):
    """The personal parts of `records` were erased, given as (first, last) of each run; in format 1 all up to
    `through`.

    `references`: for each erased reference the sequence of its case's first score, and its digest under the key
    `reference_key` (ledger/references.py), by which an outcome that comes later still finds the case.
    """

    records: Ranges = ()
    through: int = 0
    references: Digests = ()
    reference_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned(Event):
    """No data erased up to record `through` was left in the file or its log."""

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
class BookScored(Event):
    """A file of applications was scored; its rows are not in the ledger, so none of them can be decided on.

    `input` is the file's SHA-256, of several that of what sha256sum prints for them; `output` is the `sha256` of the
    run's `_SUCCESS`; `options` are the words of `tenfold book` that decide its bytes. Digests are in hex.
    """

    release: str  # digest
    release_name: str
    engine: str
    input: str
    output: str
    rows: int
    scored: int
    rejected: int
    options: Names
    version: str | None = None  # of Tenfold; None in records of 0.1.0
    lender: str | None = None  # SHA-256 of the lender's rules as JSON; None where there were none
    files: Names | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """A record of a kind that this program does not know, with its whole content."""

    content: Object


KINDS: Mapping[str, type[Event]] = {
    BEGUN: Begun, SCORED: Scored, DECIDED: Decided, AGREED: Agreed, CONTESTED: Contested, NOTIFIED: Notified,
    HELD: Held, RELEASED: Released, PURGED: Purged, CLEANED: Cleaned, SERVICED: Serviced,
    WITHDRAWN: Withdrawn, ASSIGNED: Assigned, NOTED: Noted, ARRANGED: Arranged,
    BOOK_SCORED: BookScored, OUTCOME: Outcome,
}  # fmt: skip


def header(seq: int, body: Object) -> Header:
    """The header in the body of record `seq`; its `seq` is what the body states. Raises `UnreadableRecord`."""
    return read(Header, body, seq, {})


def event(seq: int, digest: bytes, body: Object, personal: Object | None) -> Event:
    """Parse a record into the class of its kind. Raises `UnreadableRecord`."""
    kind = KINDS.get(str(body.get("kind")), Unknown)
    content = exact(body, personal)
    merged = {**(personal or {}), **content}
    erased = body.get("personal") is not None and personal is None
    known = {"seq": seq, "hash": digest, "erased": erased}
    return read(kind, merged, seq, {**known, "content": merged} if kind is Unknown else known)


def exact(body: Object, personal: Object | None) -> dict[str, Json]:
    """A body, with a score's exact PD and points as long as the personal part has them."""
    own = personal or {}
    return {**body, **{name: own[name] for name in EXACT if name in own}}


class _WrongType(Exception):
    """A value has the wrong type; the message is the type that is needed."""


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise _WrongType("text")
    return value


def _integer(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _WrongType("a whole number")
    return value


def _number(value: Json) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _WrongType("a number")
    return float(value)


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise _WrongType("true or false")
    return value


def _names(value: Json) -> Names:
    if not isinstance(value, list):
        raise _WrongType("a list of texts")
    return tuple(map(_text, value))


def _object(value: Json) -> Object:
    if not isinstance(value, dict):
        raise _WrongType("an object")
    return value


def _ranges(value: Json) -> Ranges:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise _WrongType("a list of [first, last]")
    return tuple((_integer(first), _integer(last)) for first, last in value)


def _digests(value: Json) -> Digests:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise _WrongType("a list of [sequence, digest]")
    return tuple((_integer(seq), _text(digest)) for seq, digest in value)


Reader: TypeAlias = Callable[[Json], object]
T = TypeVar("T", bound=Header)


def _or_null(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


READERS: Mapping[object, Reader] = {
    str: _text, int: _integer, float: _number, bool: _flag, Names: _names, Ranges: _ranges, Digests: _digests,
    str | None: _or_null(_text), Names | None: _or_null(_names), Object | None: _or_null(_object),
}  # fmt: skip


def _parts(kind: type[Header]) -> tuple[tuple[str, Reader, bool], ...]:
    """For each part that is read from JSON: its name, its reader, and whether it is required."""
    not_in_json = ("hash", "erased", "content")
    return tuple(
        (part.name, READERS[part.type], part.default is MISSING)
        for part in fields(kind)
        if part.name not in not_in_json
    )


PARTS = {kind: _parts(kind) for kind in (Header, Unknown, *KINDS.values())}


def read(kind: type[T], content: Object, seq: int, known: Mapping[str, object]) -> T:
    """Make the class of a kind from its parts in JSON and the `known` ones, which take precedence."""
    values: dict[str, object] = {}
    for name, reader, needed in PARTS[kind]:
        if name in content:
            try:
                values[name] = reader(content[name])
            except _WrongType as wrong:
                raise UnreadableRecord(seq, f"{name}: {wrong} is needed") from None
        elif needed:
            raise UnreadableRecord(seq, f"{name} is missing")
    make: Callable[..., T] = kind
    return make(**{**values, **known})
