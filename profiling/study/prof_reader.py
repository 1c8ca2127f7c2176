"""Read a .prof file safely, from any version of Python.

cProfile writes one dict in Python's marshal format: (file, line, function) -> (primitive calls, calls, own seconds,
cumulative seconds, callers), and callers in turn: caller -> the same four figures, or a number of calls where the
older `profile` module wrote it, or a number of samples where Python 3.15's `profiling.sampling` did (which marks its
file with the key `("__sampled__",)`). `marshal.loads` is meant for trusted files: it builds code objects, and malformed
bytes can crash the process. This reader accepts only the few types that such a dict consists of (in format versions 0
to 5, Python 2.7 and later) and refuses all others by name. Nothing in the file is ever run: where `python -m profile`
wrote a code object in place of a name, only its name is read.

The format: https://github.com/python/cpython/blob/3.11/Python/marshal.c
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inference.errors import TenfoldError
from profiling.output import printable
from profiling.study.compression import DAMAGED, NotUnpacked, opened

LARGEST = 256 * 2**20  # bytes of a file, decompressed
DEEPEST = 12  # a profile nests five deep
DEEPEST_CODE = 100  # functions within functions, each with constants
MOST_OBJECTS = 20_000_000  # of half a million functions, with two callers each; about 2 GB of memory
LONGEST_NAME = 2**16  # bytes of a file's or a function's name
MOST_CALLS, MOST_SECONDS = 2**63, 1e12  # so that sums stay finite
CODE_AT = (2, 4)  # how deep a function's name stands: in a key, and in that of a caller
# Of code objects: numbers, objects, objects after the first line's number; and which objects are file and name.
CODE_LAYOUTS = ((5, 8, 2, 5, 6), (6, 8, 1, 6, 7), (5, 8, 1, 6, 7), (4, 8, 1, 6, 7))  # 3.11 on; 3.8; 3.0; 2
SAMPLED = ("__sampled__",)
OTHERS = (  # other files given as profiles: a part of the beginning, what the file is, what to do
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
    """A file that is not a profile; the message names the file, the place, what was found and what is needed."""


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
    stacks: Mapping[tuple[Function, ...], float] = {}  # seconds by stack, the outermost function first; if known

    @property
    def seconds(self) -> float:
        """Own time of all functions together."""
        return math.fsum(entry.cost.own for entry in self.entries.values())

    @property
    def calls(self) -> int:
        """Calls of all functions together."""
        return sum(entry.cost.calls for entry in self.entries.values())


def read_profile(file: Path) -> Profile:
    """The profile in a file, compressed or not. Raises `BadProfile`."""
    content = read(file)
    if kind := another_kind(content):
        raise BadProfile(f"{file}: {kind}")
    reader = MarshalReader(content)
    try:
        entries, sampled = entries_from(reader.only_value())
    except ValueError as error:
        raise BadProfile(f"{file}: byte {reader.position:,}: {error}. A file that cProfile wrote is needed") from None
    return Profile(printable(file.name), entries, sampled)


def read(file: Path) -> bytes:
    """The decompressed bytes of a file. Raises `BadProfile` if they cannot be read or are too many."""
    try:
        with opened(file) as stream:
            content = stream.read(LARGEST + 1)
    except DAMAGED:
        raise BadProfile(f"{file}: its compressed content is damaged or cut short") from None
    except NotUnpacked as error:
        raise BadProfile(f"{file}: {error}") from None
    except OSError as error:
        raise BadProfile(f"{file}: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise BadProfile(f"{file}: larger than {LARGEST:,} bytes, which no profile is")
    return content


def another_kind(content: bytes) -> str | None:
    """What a file is and what to do with it, if another program's output was given as a profile."""
    beginning = content[:BEGINNING].lower()
    if not content:
        return "empty. A file that cProfile wrote is needed"
    if b"ncalls" in beginning and b"tottime" in beginning:
        return "printed text of pstats: give the .prof (python -m cProfile -o x.prof …)"
    if content[:1] in (b"{", b"\xfb") and content[1:2] in (b"(", b")", b"\xa8", b"\xa9"):
        return None  # marshal's dict, and a tuple for its first key
    for part, kind, hint in OTHERS:
        if part.lower() in beginning:
            return f"{kind}. {hint}"
    return None


def entries_from(content: Any) -> tuple[dict[Function, Entry], bool]:
    """The content as a profile, and whether it was sampled. Raises ValueError if it has another shape."""
    if type(content) is not dict:
        raise ValueError(f"found a {type(content).__name__} and no table of functions")
    sampled = content.pop(SAMPLED, False) is True
    if not content:
        raise ValueError("found no function in it")
    entries: dict[Function, Entry] = {}
    for key, value in content.items():
        if type(value) is not tuple or len(value) != 5 or type(value[4]) is not dict:
            raise ValueError("found a function without its five figures")
        cost = cost_of(value[:4])
        callers = {function_of(caller): share_of(share, cost) for caller, share in value[4].items()}
        entries[function_of(key)] = Entry(cost, callers)
    return (by_function(entries) if sampled else entries), sampled


def by_function(entries: Mapping[Function, Entry]) -> dict[Function, Entry]:
    """Merge lines into functions: a sampler lists each line of a function. The first line names the function."""
    first: dict[tuple[str, str], Function] = {}
    for function in sorted({*entries, *(caller for entry in entries.values() for caller in entry.callers)}):
        first.setdefault((function.file, function.name), function)
    merged: dict[Function, Entry] = {}
    for line, entry in entries.items():
        function = first[line.file, line.name]
        known = merged.get(function, Entry(NOTHING, {}))
        callers = dict(known.callers)
        for caller, cost in entry.callers.items():
            key = first[caller.file, caller.name]
            callers[key] = added(callers.get(key, NOTHING), cost)
        merged[function] = Entry(added(known.cost, entry.cost), callers)
    return merged


def summed(profiles: Sequence[Profile]) -> Profile:
    """The sum of several profiles, as by `pstats.Stats.add`; a single one is returned unchanged."""
    if len(profiles) == 1:
        return profiles[0]
    entries: dict[Function, Entry] = {}
    stacks: dict[tuple[Function, ...], float] = {}
    for profile in profiles:
        for function, entry in profile.entries.items():
            known = entries.get(function, Entry(NOTHING, {}))
            callers = dict(known.callers)
            for caller, cost in entry.callers.items():
                callers[caller] = added(callers.get(caller, NOTHING), cost)
            entries[function] = Entry(added(known.cost, entry.cost), callers)
        for stack, seconds in profile.stacks.items():
            stacks[stack] = stacks.get(stack, 0.0) + seconds
    name = f"{profiles[0].name} and {len(profiles) - 1} more"
    return Profile(name, entries, all(profile.sampled for profile in profiles), stacks)


def added(first: Cost, second: Cost) -> Cost:
    return Cost(
        first.primitive + second.primitive,
        first.calls + second.calls,
        first.own + second.own,
        first.cumulative + second.cumulative,
    )


def function_of(key: Any) -> Function:
    if type(key) is not tuple or [type(part) for part in key] != [str, int, str]:
        raise ValueError("found no file, line and name where a function is named")
    if max(len(key[0]), len(key[2])) > LONGEST_NAME:
        raise ValueError(f"found a name of more than {LONGEST_NAME:,} characters")
    return Function(*key)


def cost_of(figures: Any) -> Cost:
    if type(figures) is not tuple or [type(figure) for figure in figures[:2]] != [int, int] or len(figures) != 4:
        raise ValueError("found no numbers of calls where they are needed")
    if not all(type(figure) in (int, float) and math.isfinite(figure) for figure in figures) or min(figures[:2]) < 0:
        raise ValueError("found no finite figures where they are needed")
    if max(figures[:2]) > MOST_CALLS or max(figures[2:]) > MOST_SECONDS:
        raise ValueError("found figures that no program reaches")
    return Cost(figures[0], figures[1], max(0.0, figures[2]), max(0.0, figures[3]))  # clocks can step back a little


def share_of(share: Any, total: Cost) -> Cost:
    """One caller's share of a function's cost; by calls alone if nothing else was written.

    For a caller cProfile writes all calls first and then the non-recursive ones, for a function the other way round;
    pstats adds them up without regard to that.
    """
    if type(share) is not int:
        cost = cost_of(share)
        return cost._replace(primitive=min(cost[:2]), calls=max(cost[:2]))
    if not 0 <= share <= MOST_CALLS:
        raise ValueError("found no number of calls where it is needed")
    part = share / max(1, total.calls)
    return Cost(share, share, total.own * part, total.cumulative * part)


class MarshalReader:
    """Reads one object of the marshal format. Raises ValueError, and no other error, if it cannot."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0
        self.seen: list[Any] = []  # objects that may be referred to, by number
        self.interned: list[str] = []  # the same for Python 2's texts
        self.depth = 0
        self.objects = 0
        self.codes = 0  # code objects that are being read
        self.layout = CODE_LAYOUTS[0]  # of those inside the outermost one: the same Python wrote them

    def only_value(self) -> Any:
        """The one object that the file holds."""
        value = self.value()
        if self.position != len(self.content):
            raise ValueError(f"found {len(self.content) - self.position:,} bytes after the end")
        return value

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= len(self.content) - self.position:
            raise ValueError(f"found {len(self.content) - self.position:,} bytes where {count:,} are announced")
        self.position += count
        return self.content[self.position - count : self.position]

    def number(self, form: str) -> Any:
        """One number of a fixed size."""
        kind = NUMBERS[form]
        return kind.unpack(self.take(kind.size))[0]

    def value(self) -> Any:
        """The next object."""
        code = self.take(1)[0]
        kind = chr(code & ~FLAG_REF)
        reader = READERS.get(kind)
        if self.codes or (kind == "c" and self.depth in CODE_AT):
            reader = reader or CODE_READERS.get(kind)
        if reader is None:
            raise ValueError(f"found {REFUSED.get(kind, f'type {kind!r}')}, which no profile holds")
        deepest = DEEPEST_CODE if self.codes else DEEPEST
        if self.depth >= deepest:
            raise ValueError(f"found objects nested more than {deepest} deep")
        self.objects += 1
        if self.objects > MOST_OBJECTS:
            raise ValueError(f"found more than {MOST_OBJECTS:,} objects, which no profile holds")
        number = len(self.seen)
        if code & FLAG_REF:
            self.seen.append(UNFINISHED)  # what is within comes later in the list
        self.depth += 1
        value = reader(self)
        self.depth -= 1
        if code & FLAG_REF:
            self.seen[number] = value
        return value

    def earlier(self, values: list[Any]) -> Any:
        """An object that was read before."""
        number = self.number("i")
        if not 0 <= number < len(values) or values[number] is UNFINISHED:
            raise ValueError(f"found a reference to object {number}, which is not there")
        return values[number]

    def text(self, length: str) -> str:
        """A text; from Python 2, bytes in the encoding of its file system."""
        return self.take(self.number(length)).decode("utf-8", "replace")

    def intern(self) -> str:
        """A text that Python 2 may refer to again."""
        self.interned.append(self.text("i"))
        return self.interned[-1]

    def integer(self) -> int:
        """A whole number of any size: digits of 15 bits, the lowest first; their count has its sign."""
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
        if not 0 <= count <= len(self.content) - self.position:
            raise ValueError(f"found a tuple of {count:,}, more than there are bytes")
        return tuple([self.value() for _ in range(count)])

    def code(self) -> str:
        """The name of a code object. The file does not say which Python wrote it, so each layout is tried.

        Only for the outermost code object: trying them for each one inside would take 4 to the power of the depth.
        """
        if self.codes:
            return self.code_laid_out(self.layout)
        state = self.position, len(self.seen), len(self.interned), self.depth
        for self.layout in CODE_LAYOUTS:
            self.position, references, interned, self.depth = state
            del self.seen[references:], self.interned[interned:]
            self.codes = 1
            try:
                return self.code_laid_out(self.layout)
            except ValueError:
                continue
            finally:
                self.codes = 0
        raise ValueError("found a code object that cannot be read")

    def code_laid_out(self, layout: tuple[int, int, int, int, int]) -> str:
        """The name of a code object in one layout."""
        numbers, first_objects, last_objects, file, name = layout
        self.take(4 * numbers)
        objects = [self.value() for _ in range(first_objects)]
        self.take(4)
        for _ in range(last_objects):
            self.value()
        if type(objects[file]) is type(objects[name]) is str and type(objects[1]) is type(objects[2]) is tuple:
            return f"<code object {objects[name]}, file {objects[file]}>"
        raise ValueError("found a code object without names")

    def table(self) -> dict[Any, Any]:
        """A dict: keys and values in turn, until a null.

        A key is a text, a number, or a tuple of these. Tuples of tuples are refused: by references a few bytes make
        one so large that hashing it never ends.
        """
        table = {}
        while self.content[self.position : self.position + 1] != b"0":
            key = self.value()
            kinds = {type(part) for part in key} if type(key) is tuple else {type(key)}
            if nested := kinds & {tuple, dict}:
                raise ValueError(f"found a {nested.pop().__name__} for a key")
            table[key] = self.value()
        self.position += 1
        return table


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
CODE_READERS: dict[str, Callable[[MarshalReader], Any]] = {  # other types inside code objects; none of them is built
    "c": MarshalReader.code,
    ".": lambda _: None,
    "S": lambda _: None,
    "y": lambda reader: (reader.number("d"), reader.number("d")),
    "x": lambda reader: (reader.decimal(), reader.decimal()),
    "[": lambda reader: reader.items("i"),
    "<": lambda reader: reader.items("i"),
    ">": lambda reader: reader.items("i"),
    ":": lambda reader: (reader.value(), reader.value(), reader.value()),
}
