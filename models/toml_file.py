"""A TOML file with the line of each key, so that all that is wrong with it can be said at once, each at its place.

`tomllib` reads the values; of a text that it has read, the lines are found here by walking over it once more.
"""

import codecs
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError

Key = tuple[str | int, ...]  # ("fields", "income", "range"), or ("loans", "leave_out", 0, "why")
ASK = "ASK"
ASKED = re.compile(r"\bASK\b")
SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
WORD = re.compile(r"[A-Za-z0-9_-]+")
TEXTS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\])*"'),
    re.compile(r"'[^']*'"),
)
PLAIN = re.compile(r"[^,\]}#\r\n]+")  # a number, a date, true or false


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must be mended, or answered, before the file can be used."""

    key: str  # as a person would look for it: fields.income.range
    line: int  # from 1; 0 where no line is to blame
    text: str
    asked: bool = False  # an open question, and no mistake

    def __str__(self) -> str:
        place = ": ".join(part for part in (f"line {self.line}" if self.line else "", self.key) if part)
        return f"{place}: {self.text}" if place else self.text


class BadFile(TenfoldError):
    """A file that cannot be used, with every problem of it."""

    def __init__(self, file: Path | str, problems: Sequence[Problem]) -> None:
        self.file, self.problems = file, tuple(sorted(problems, key=lambda one: one.line))
        super().__init__("\n".join(f"{file}: {one}" for one in self.problems))


@dataclass(slots=True)
class TomlFile:
    """What a file says, where it says so, and the problems found so far."""

    file: Path | str
    said: Mapping[str, Any]
    lines: Mapping[Key, int]
    text: str = ""
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "TomlFile":
        """Raises `BadFile` where the file cannot be read or is no TOML."""
        try:
            text = decoded(file.read_bytes())
        except OSError as error:
            raise BadFile(file, [Problem("", 0, error.strerror or "cannot be read")]) from None
        except UnicodeDecodeError:
            raise BadFile(file, [Problem("", 0, "no UTF-8 text")]) from None
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: str, file: Path | str) -> "TomlFile":
        """The same of a text."""
        try:
            said = tomllib.loads(text)
            return cls(file, said, dict(places(text)), text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise BadFile(file, [Problem("", 0, f"is no TOML: {error}")]) from None

    def line(self, key: Key) -> int:
        """The line of a key, or of the first thing in it, or of the nearest thing around it."""
        while key and key not in self.lines:
            if within := [line for one, line in self.lines.items() if one[: len(key)] == key]:
                return min(within)
            key = key[:-1]
        return self.lines.get(key, 0)

    def wrong(self, key: Key, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(named(key), self.line(key), text))

    def done(self) -> None:
        """Raise all problems noted, if there are any."""
        if self.problems:
            raise BadFile(self.file, self.problems)

    def questions(self) -> list[Problem]:
        """What is still marked ASK: a value, the comment behind a value, or a line of comment with `# ASK` in it."""
        found = {}
        values = dict(leaves(self.said))
        for key, line in self.lines.items():
            value = values.get(key)
            if isinstance(value, str) and value.strip().startswith(ASK):
                about = value.strip().removeprefix(ASK).strip(" :")
                found[line] = Problem(named(key), line, about or "answer this", asked=True)
        keys = {line: key for key, line in reversed(list(self.lines.items()))}
        for line, comment, alone in comments(self.text):
            asks = re.search(rf"#\s*{ASK}\b", comment) if alone else ASKED.search(comment)
            if asks and line not in found:
                key = keys.get(line, ())
                found[line] = Problem(named(key), line, comment.strip("# \t"), asked=True)
        return [found[line] for line in sorted(found)]


def decoded(content: bytes) -> str:
    """A text in UTF-8, with or without a byte order mark, or in UTF-16 with one, as editors on Windows save it.

    Raises UnicodeDecodeError.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")


def named(key: Key) -> str:
    """A key as it is written in TOML; items of a list are counted from 1."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + (part if WORD.fullmatch(part) else f'"{part}"')
    return text


def leaves(said: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is no table and no list, with its key."""
    if isinstance(said, Mapping):
        for name, value in said.items():
            yield from leaves(value, (*key, name))
    elif isinstance(said, list):
        for at, value in enumerate(said):
            yield from leaves(value, (*key, at))
    else:
        yield key, said


def places(text: str) -> Iterator[tuple[Key, int]]:
    """Every key of a valid TOML text with its line. Tables come before what is in them."""
    table: Key = ()
    counts: dict[Key, int] = {}
    at = skipped(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        if text.startswith("[[", at):
            key, at = read_key(text, at + 2)
            table = (*key, counts.get(key, 0))
            counts[key] = counts.get(key, 0) + 1
            yield table, line
            at += 2
        elif text[at] == "[":
            key, at = read_key(text, at + 1)
            # [fields.x.choices] below [[fields]] means the last of them
            table = next(((*k, n - 1, *key[len(k) :]) for k, n in counts.items() if key[: len(k)] == k), key)
            yield table, line
            at += 1
        else:
            key, at = read_key(text, at)
            yield (*table, *key), line
            at = yield from read_value(text, at + 1, (*table, *key))
        at = skipped(text, at)


def skipped(text: str, at: int) -> int:
    """Behind white space and comments."""
    found = SPACE.match(text, at)
    return found.end() if found else at


def read_key(text: str, at: int) -> tuple[Key, int]:
    """A key with its dots, from `at`; ends at what follows it (`=` or `]`)."""
    parts: list[str] = []
    while True:
        at = skipped(text, at)
        for pattern in (WORD, *TEXTS):
            if found := pattern.match(text, at):
                break
        else:  # what tomllib has read has a key here
            raise ValueError(f"no key at {at}")
        word = found[0]
        parts.append(word if pattern is WORD else str(tomllib.loads(f"k = {word}")["k"]))
        at = skipped(text, found.end())
        if text[at] != ".":
            return tuple(parts), at
        at += 1


def read_value(text: str, at: int, key: Key) -> Any:
    """Yields the places of what is inside of a value; returns where it ends."""
    at = skipped(text, at)
    if text[at] == "[":
        at, item = skipped(text, at + 1), 0
        while text[at] != "]":
            yield (*key, item), text.count("\n", 0, at) + 1
            at = yield from read_value(text, at, (*key, item))
            at = skipped(text, at)
            at, item = (skipped(text, at + 1) if text[at] == "," else at), item + 1
        return at + 1
    if text[at] == "{":
        at = skipped(text, at + 1)
        while text[at] != "}":
            line = text.count("\n", 0, at) + 1
            inner, at = read_key(text, at)
            yield (*key, *inner), line
            at = yield from read_value(text, at + 1, (*key, *inner))
            at = skipped(text, at)
            at = skipped(text, at + 1) if text[at] == "," else at
        return at + 1
    for pattern in (*TEXTS, PLAIN):
        if found := pattern.match(text, at):
            return found.end()
    raise ValueError(f"no value at {at}")


def comments(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each comment: its line, its text, and whether nothing else stands on the line."""
    pattern = re.compile("|".join([*(f"(?:{one.pattern})" for one in TEXTS), r"(?P<comment>#[^\n]*)"]), re.DOTALL)
    for found in pattern.finditer(text):
        if found["comment"] is not None:
            start = text.rfind("\n", 0, found.start()) + 1
            alone = not text[start : found.start()].strip()
            yield text.count("\n", 0, found.start()) + 1, found["comment"], alone
