"""Reads a .prof file safely, whichever Python wrote it.

cProfile writes one dict in Python's marshal format: (file, line, function) -> (primitive calls, calls, own seconds,
cumulative seconds, callers), and callers in turn: caller -> the same four figures, or a number of calls where the
older `profile` module wrote it, or a number of samples where Python 3.15's `profiling.sampling` did (which marks its
file with the key `("__sampled__",)`). `marshal.loads` is made for files that one trusts: it builds code objects, and
malformed bytes can crash the process. So this is a reader of its own, of the few types that such a dict is made of
(those of format versions 0 to 5, Python 2.7 and later); all else is refused by name. Nothing of the file is ever run:
of a code object, which `python -m profile` puts where the name of what it ran belongs, only the name is taken.

The format: https://github.com/python/cpython/blob/3.11/Python/marshal.c
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inference.errors import TenfoldError
from profiling.study.compression import DAMAGED, opened

LARGEST = 256 * 2**20  # bytes of a file, decompressed
DEEPEST = 12  # a profile nests five deep
DEEPEST_CODE = 100  # functions within functions, each with constants
CODE_AT = (2, 4)  # how deep a function's name stands: in a key, and in that of a caller
# Of code objects: numbers, objects, objects after the first line's number; and which objects are file and name.
CODE_LAYOUTS = ((5, 8, 2, 5, 6), (6, 8, 1, 6, 7), (5, 8, 1, 6, 7), (4, 8, 1, 6, 7))  # 3.11 on; 3.8; 3.0; 2
SAMPLED = ("__sampled__",)
OTHERS = (  # what is given for a profile: a part of its beginning, what it is, what to do
    (b"memray", "a memory profile of memray", "It knows bytes, no time"),
    (b"line_profiler", "a profile of line_profiler", "It knows lines, no calls"),
    (b"viztracer", "a trace of viztracer", "Open it with vizviewer"),
    (b'"traceEvents"', "a trace for chrome://tracing", "Open it there, or at Perfetto"),
    (b"speedscope", "a profile for speedscope", "Open it there"),
    (b"scalene", "a profile of Scalene", "Open it with scalene"),
    (b"PERFILE2", "a profile of Linux perf", "Open it with perf report"),
    (b"events: ", "a profile for KCachegrind", "Open it there"),
    (b"# austin", "a profile of Austin", "Open it with its own tools"),
    (b"<svg", "a picture", "Give the profile that it was drawn from"),
    (b"<!doctype html", "an HTML page", "Give the profile that it was made from"),
    (b"<html", "an HTML page", "Give the profile that it was made from"),
    (b"def ", "Python source", "Profile it: tenfold profile run FILE.py"),
    (b"import ", "Python source", "Profile it: tenfold profile run FILE.py"),
)
BEGINNING = 4096  # bytes that are searched for it
NUMBERS = {form: struct.Struct(f"<{form}") for form in "iqdHB"}
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

    primitive: int  # calls that were not recursive; of a sampled profile, samples in the function itself
    calls: int  # of a sampled profile, samples in which it was on the stack
    own: float
    cumulative: float


NOTHING = Cost(0, 0, 0.0, 0.0)


class Entry(NamedTuple):
    """A function's cost, and its share by caller."""

    cost: Cost
    callers: Mapping[Function, Cost]


class Profile(NamedTuple):
    """All that a profile says."""

    name: str
    entries: Mapping[Function, Entry]
    sampled: bool = False
    stacks: Mapping[tuple[Function, ...], float] = {}  # seconds by stack, the outermost function first; where known

    @property
    def seconds(self) -> float:
        """Own time of all functions together."""
        return math.fsum(entry.cost.own for entry in self.entries.values())

    @property
    def calls(self) -> int:
        """Calls of all functions together."""
        return sum(entry.cost.calls for entry in self.entries.values())


def read_profile(file: Path) -> Profile:
    """The profile in a file, compressed or not; `BadProfile` where it holds none."""
    content = read(file)
    if what := another_kind(content):
        raise BadProfile(f"{file}: {what}")
    reader = MarshalReader(content)
    try:
        entries, sampled = entries_from(reader.whole())
    except ValueError as error:
        raise BadProfile(f"{file}: byte {reader.at:,}: {error}. A file that cProfile wrote is needed") from None
    return Profile(file.name, entries, sampled)


def read(file: Path) -> bytes:
    """The bytes of a file, decompressed; `BadProfile` where they cannot be read or are too many."""
    try:
        with opened(file) as stream:
            content = stream.read(LARGEST + 1)
    except DAMAGED:
        raise BadProfile(f"{file}: its compressed content is damaged or cut short") from None
    except OSError as error:
        raise BadProfile(f"{file}: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise BadProfile(f"{file}: larger than {LARGEST:,} bytes, which no profile is")
    return content


def another_kind(content: bytes) -> str | None:
    """What a file is, and what to do with it, where another program's output was given for a profile."""
    beginning = content[:BEGINNING].lower()
    if not content:
        return "empty. A file that cProfile wrote is needed"
    if b"ncalls" in beginning and b"tottime" in beginning:
        return "printed text of pstats: give the .prof (python -m cProfile -o x.prof …)"
    if content[:1] in (b"{", b"\xfb") and content[1:2] in (b"(", b")", b"\xa8", b"\xa9"):
        return None  # marshal's dict, and a tuple for its first key
    for part, what, hint in OTHERS:
        if part.lower() in beginning:
            return f"{what}. {hint}"
    return None


def entries_from(found: Any) -> tuple[dict[Function, Entry], bool]:
    """What was read as a profile, and whether it was sampled; ValueError where it has another shape."""
    if type(found) is not dict:
        raise ValueError(f"found a {type(found).__name__} and no table of functions")
    sampled = found.pop(SAMPLED, False) is True
    if not found:
        raise ValueError("found no function in it")
    entries: dict[Function, Entry] = {}
    for key, value in found.items():
        if type(value) is not tuple or len(value) != 5 or type(value[4]) is not dict:
            raise ValueError("found a function without its five figures")
        cost = cost_of(value[:4])
        callers = {function_of(caller): share_of(share, cost) for caller, share in value[4].items()}
        entries[function_of(key)] = Entry(cost, callers)
    return (by_function(entries) if sampled else entries), sampled


def by_function(entries: Mapping[Function, Entry]) -> dict[Function, Entry]:
    """Lines made functions: a sampler notes each line of a function apart. The first line seen names the function."""
    first: dict[tuple[str, str], Function] = {}
    for one in sorted({*entries, *(caller for entry in entries.values() for caller in entry.callers)}):
        first.setdefault((one.file, one.name), one)
    found: dict[Function, Entry] = {}
    for line, entry in entries.items():
        function = first[line.file, line.name]
        before = found.get(function, Entry(NOTHING, {}))
        callers = dict(before.callers)
        for caller, cost in entry.callers.items():
            key = first[caller.file, caller.name]
            callers[key] = added(callers.get(key, NOTHING), cost)
        found[function] = Entry(added(before.cost, entry.cost), callers)
    return found


def summed(profiles: Sequence[Profile]) -> Profile:
    """One profile of several, as `pstats.Stats.add` sums them; of one, that one."""
    if len(profiles) == 1:
        return profiles[0]
    entries: dict[Function, Entry] = {}
    stacks: dict[tuple[Function, ...], float] = {}
    for profile in profiles:
        for function, entry in profile.entries.items():
            before = entries.get(function, Entry(NOTHING, {}))
            callers = dict(before.callers)
            for caller, cost in entry.callers.items():
                callers[caller] = added(callers.get(caller, NOTHING), cost)
            entries[function] = Entry(added(before.cost, entry.cost), callers)
        for stack, seconds in profile.stacks.items():
            stacks[stack] = stacks.get(stack, 0.0) + seconds
    name = f"{profiles[0].name} and {len(profiles) - 1} more"
    return Profile(name, entries, all(one.sampled for one in profiles), stacks)


def added(one: Cost, other: Cost) -> Cost:
    return Cost(
        one.primitive + other.primitive,
        one.calls + other.calls,
        one.own + other.own,
        one.cumulative + other.cumulative,
    )


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
    """One caller's share of a function's cost; by calls alone where only these were written.

    Of a caller cProfile writes all calls first and then those not recursive, of a function the other way round; pstats
    adds profiles up without looking.
    """
    if type(share) is not int:
        cost = cost_of(share)
        return cost._replace(primitive=min(cost[:2]), calls=max(cost[:2]))
    part = share / max(1, whole.calls)
    return Cost(share, share, whole.own * part, whole.cumulative * part)


class MarshalReader:
    """Reads one object of the marshal format. Raises ValueError where it cannot, and nothing else."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0
        self.seen: list[Any] = []  # what may be referred to, by number
        self.interned: list[str] = []  # the same of Python 2's texts
        self.depth = 0
        self.codes = 0  # code objects that are being read

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
        kind = NUMBERS[form]
        return kind.unpack(self.take(kind.size))[0]

    def one(self) -> Any:
        """The next object."""
        code = self.take(1)[0]
        kind = chr(code & ~FLAG_REF)
        read = READERS.get(kind)
        if self.codes or (kind == "c" and self.depth in CODE_AT):
            read = read or CODE_READERS.get(kind)
        if read is None:
            raise ValueError(f"found {REFUSED.get(kind, f'type {kind!r}')}, which no profile holds")
        deepest = DEEPEST_CODE if self.codes else DEEPEST
        if self.depth >= deepest:
            raise ValueError(f"found objects nested more than {deepest} deep")
        number = len(self.seen)
        if code & FLAG_REF:
            self.seen.append(UNFINISHED)  # what is within comes later in the list
        self.depth += 1
        found = read(self)
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

    def code(self) -> str:
        """What a code object is called; which Python wrote it, and so its layout, the file does not say."""
        state = self.at, len(self.seen), len(self.interned), self.depth
        self.codes += 1
        try:
            for numbers, before, after, file, name in CODE_LAYOUTS:
                self.at, seen, interned, self.depth = state
                del self.seen[seen:], self.interned[interned:]
                try:
                    self.take(4 * numbers)
                    found = [self.one() for _ in range(before)]
                    self.take(4)
                    for _ in range(after):
                        self.one()
                except ValueError:
                    continue
                if type(found[file]) is type(found[name]) is str and type(found[1]) is type(found[2]) is tuple:
                    return f"<code object {found[name]}, file {found[file]}>"
        finally:
            self.codes -= 1
        raise ValueError("found a code object that cannot be read")

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
CODE_READERS: dict[
    str, Callable[[MarshalReader], Any]
] = {  # what stands in code objects besides; nothing of it is made
    "c": MarshalReader.code,
    ".": lambda _: None,
    "S": lambda _: None,
    "y": lambda reader: (reader.number("d"), reader.number("d")),
    "x": lambda reader: (reader.decimal(), reader.decimal()),
    "[": lambda reader: reader.items("i"),
    "<": lambda reader: reader.items("i"),
    ">": lambda reader: reader.items("i"),
    ":": lambda reader: (reader.one(), reader.one(), reader.one()),
}
