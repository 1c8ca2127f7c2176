"""Reads a .prof file safely, whichever Python wrote it.

cProfile writes one dict in Python's marshal format: (file, line, function) -> (primitive calls, calls, own seconds,
cumulative seconds, callers), and callers in turn: caller -> the same four figures, or a number of calls where the
older `profile` module wrote it. `marshal.loads` is made for files that one trusts: it builds code objects, and
malformed bytes can crash the process. So this is a reader of its own, of the few types that such a dict is made of
(those of format versions 0 to 4, Python 2.7 and later); all else is refused by name. Nothing of the file is ever run.

The format: https://github.com/python/cpython/blob/3.11/Python/marshal.c
"""

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inference.errors import TenfoldError

LARGEST = 256 * 2**20  # bytes of a file
DEEPEST = 12  # a profile nests five deep
FLAG_REF = 0x80  # on a type: the object can be referred to later
REFUSED = {
    "c": "a code object",
    "[": "a list",
    "<": "a set",
    ">": "a frozenset",
    "y": "a complex number",
    ":": "a slice",
}


class BadProfile(TenfoldError):
    """A file that is no profile; the message names the file, the place, what was found and what is needed."""


class Function(NamedTuple):
    """Where a function is defined; file "~" and line 0 for one written in C."""

    file: str
    line: int
    name: str


class Cost(NamedTuple):
    """What a function cost in all, or when it was called by one caller. Seconds."""

    primitive: int  # calls that were not recursive
    calls: int
    own: float
    cumulative: float


class Entry(NamedTuple):
    """A function's cost, and its share by caller."""

    cost: Cost
    callers: Mapping[Function, Cost]


class Profile(NamedTuple):
    """All that a .prof file says."""

    name: str
    entries: Mapping[Function, Entry]

    @property
    def seconds(self) -> float:
        """Own time of all functions together."""
        return math.fsum(entry.cost.own for entry in self.entries.values())

    @property
    def calls(self) -> int:
        """Calls of all functions together."""
        return sum(entry.cost.calls for entry in self.entries.values())


def read_profile(file: Path) -> Profile:
    """The profile in a file; `BadProfile` where it holds none."""
    try:
        if file.stat().st_size > LARGEST:
            raise BadProfile(f"{file}: larger than {LARGEST:,} bytes, which no profile is")
        content = file.read_bytes()
    except OSError as error:
        raise BadProfile(f"{file}: {error.strerror}") from None
    reader = MarshalReader(content)
    try:
        return Profile(file.name, entries_from(reader.whole()))
    except ValueError as error:
        raise BadProfile(f"{file}: byte {reader.at:,}: {error}. A file that cProfile wrote is needed") from None


def entries_from(found: Any) -> dict[Function, Entry]:
    """What was read as a profile; ValueError where it has another shape."""
    if type(found) is not dict or not found:
        raise ValueError(f"found a {type(found).__name__} and no table of functions")
    entries = {}
    for key, value in found.items():
        if type(value) is not tuple or len(value) != 5 or type(value[4]) is not dict:
            raise ValueError("found a function without its five figures")
        cost = cost_of(value[:4])
        callers = {function_of(caller): share_of(share, cost) for caller, share in value[4].items()}
        entries[function_of(key)] = Entry(cost, callers)
    return entries


def function_of(key: Any) -> Function:
    if type(key) is not tuple or [type(one) for one in key] != [str, int, str]:
        raise ValueError("found no file, line and name where a function is named")
    return Function(*key)


def cost_of(figures: Any) -> Cost:
    if type(figures) is not tuple or [type(one) for one in figures[:2]] != [int, int] or len(figures) != 4:
        raise ValueError("found no numbers of calls where they are needed")
    if not all(type(one) in (int, float) and math.isfinite(one) for one in figures) or min(figures[:2]) < 0:
        raise ValueError("found no finite figures where they are needed")
    return Cost(figures[0], figures[1], max(0.0, figures[2]), max(0.0, figures[3]))  # clocks can step back a little


def share_of(share: Any, whole: Cost) -> Cost:
    """One caller's share of a function's cost; by calls alone where only these were written."""
    if type(share) is not int:
        return cost_of(share)
    part = share / max(1, whole.calls)
    return Cost(share, share, whole.own * part, whole.cumulative * part)


class MarshalReader:
    """Reads one object of the marshal format. Raises ValueError where it cannot, and nothing else."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0
        self.seen: list[Any] = []  # what may be referred to, by number
        self.interned: list[str] = []  # the same of Python 2's texts
        self.depth = 0

    def whole(self) -> Any:
        """The one object that the file holds."""
        found = self.one()
        if self.at != len(self.content):
            raise ValueError(f"found {len(self.content) - self.at:,} bytes after the end")
        return found

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError(f"found {len(self.content) - self.at:,} bytes where {count:,} are announced")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, form: str) -> Any:
        """One number of a fixed size."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def one(self) -> Any:
        """The next object."""
        code = self.take(1)[0]
        kind = chr(code & ~FLAG_REF)
        if kind not in READERS:
            raise ValueError(f"found {REFUSED.get(kind, f'type {kind!r}')}, which no profile holds")
        if self.depth == DEEPEST:
            raise ValueError(f"found objects nested more than {DEEPEST} deep")
        number = len(self.seen)
        if code & FLAG_REF:
            self.seen.append(UNFINISHED)  # what is within comes later in the list
        self.depth += 1
        found = READERS[kind](self)
        self.depth -= 1
        if code & FLAG_REF:
            self.seen[number] = found
        return found

    def earlier(self, of: list[Any]) -> Any:
        """An object that was read before."""
        number = self.number("i")
        if not 0 <= number < len(of) or of[number] is UNFINISHED:
            raise ValueError(f"found a reference to object {number}, which is not there")
        return of[number]

    def text(self, length: str) -> str:
        """A text; of Python 2, bytes, in whatever encoding its file system had."""
        return self.take(self.number(length)).decode("utf-8", "replace")

    def intern(self) -> str:
        """A text that Python 2 may refer to again."""
        self.interned.append(self.text("i"))
        return self.interned[-1]

    def integer(self) -> int:
        """A whole number of any size: digits of 15 bits, the lowest first; the sign is that of their count."""
        count = self.number("i")
        if abs(count) > 16:
            raise ValueError(f"found a number of {abs(count):,} digits of 15 bits")
        value: int = sum(self.number("H") << 15 * place for place in range(abs(count)))
        return -value if count < 0 else value

    def decimal(self) -> float:
        """A float written as text, as the oldest versions do."""
        return float(self.take(self.number("B")).decode("ascii"))

    def items(self, length: str) -> tuple[Any, ...]:
        """A tuple."""
        count = self.number(length)
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError(f"found a tuple of {count:,}, more than there are bytes")
        return tuple([self.one() for _ in range(count)])

    def table(self) -> dict[Any, Any]:
        """A dict: keys and values in turn, until a null."""
        found = {}
        while self.content[self.at : self.at + 1] != b"0":
            key = self.one()
            try:
                found[key] = self.one()
            except TypeError:
                raise ValueError(f"found a {type(key).__name__} for a key") from None
        self.at += 1
        return found


UNFINISHED = object()
READERS: dict[str, Callable[[MarshalReader], Any]] = {
    "N": lambda _: None,
    "F": lambda _: False,
    "T": lambda _: True,
    "i": lambda reader: reader.number("i"),
    "I": lambda reader: reader.number("q"),
    "l": MarshalReader.integer,
    "g": lambda reader: reader.number("d"),
    "f": MarshalReader.decimal,
    "s": lambda reader: reader.text("i"),
    "u": lambda reader: reader.text("i"),
    "t": MarshalReader.intern,
    "R": lambda reader: reader.earlier(reader.interned),
    "a": lambda reader: reader.text("i"),
    "A": lambda reader: reader.text("i"),
    "z": lambda reader: reader.text("B"),
    "Z": lambda reader: reader.text("B"),
    "(": lambda reader: reader.items("i"),
    ")": lambda reader: reader.items("B"),
    "{": MarshalReader.table,
    "r": lambda reader: reader.earlier(reader.seen),
}
