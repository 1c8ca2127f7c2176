"""A TOML file with the line of each key, so that all its problems can be reported at once, each with its line.

`tomllib` reads the values; this module walks over the same text again to find the lines.
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
    """Something to fix or to answer before the file can be used."""

    key: str  # as a person would look for it: fields.income.range
    line: int  # from 1; 0 if it concerns no line
    text: str
    is_question: bool = False  # an open question and not a mistake

    def __str__(self) -> str:
        place = ": ".join(part for part in (f"line {self.line}" if self.line else "", self.key) if part)
        return f"{place}: {self.text}" if place else self.text


class BadFile(TenfoldError):
    """A file that cannot be used, with all its problems."""

    def __init__(self, file: Path | str, problems: Sequence[Problem]) -> None:
        self.file, self.problems = file, tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{file}: {problem}" for problem in self.problems))


@dataclass(slots=True)
class TomlFile:
    """What a file says, where it says so, and the problems found so far."""

    file: Path | str
    content: Mapping[str, Any]
    lines: Mapping[Key, int]
    text: str = ""
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> "TomlFile":
        """Read a file. Raises `BadFile` if it cannot be read or is not TOML."""
        try:
            text = decoded(file.read_bytes())
        except OSError as error:
            raise BadFile(file, [Problem("", 0, error.strerror or "cannot be read")]) from None
        except UnicodeDecodeError:
            raise BadFile(file, [Problem("", 0, "no UTF-8 text")]) from None
        return cls.parse(text, file)

    @classmethod
    def parse(cls, text: str, file: Path | str) -> "TomlFile":
        """Parse a text. Raises `BadFile` if it is not TOML."""
        try:
            content = tomllib.loads(text)
            return cls(file, content, dict(places(text)), text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise BadFile(file, [Problem("", 0, f"is no TOML: {error}")]) from None

    def line(self, key: Key) -> int:
        """The line of a key, or of the first thing in it, or of the nearest thing around it."""
        while key and key not in self.lines:
            if within := [line for place, line in self.lines.items() if place[: len(key)] == key]:
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
        questions = {}
        values = dict(leaves(self.content))
        for key, line in self.lines.items():
            value = values.get(key)
            if isinstance(value, str) and value.strip().startswith(ASK):
                about = value.strip().removeprefix(ASK).strip(" :")
                questions[line] = Problem(named(key), line, about or "answer this", is_question=True)
        keys = {line: key for key, line in reversed(list(self.lines.items()))}
        for line, comment, alone in comments(self.text):
            asks = re.search(rf"#\s*{ASK}\b", comment) if alone else ASKED.search(comment)
            if asks and line not in questions:
                key = keys.get(line, ())
                questions[line] = Problem(named(key), line, comment.strip("# \t"), is_question=True)
        return [questions[line] for line in sorted(questions)]


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


def leaves(content: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is neither a table nor a list, with its key."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from leaves(value, (*key, name))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from leaves(value, (*key, index))
    else:
        yield key, content


def places(text: str) -> Iterator[tuple[Key, int]]:
    """Every key of a valid TOML text with its line. Tables come before what is in them."""
    table: Key = ()
    counts: dict[Key, int] = {}
    position = skipped(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        if text.startswith("[[", position):
            key, position = read_key(text, position + 2)
            table = (*key, counts.get(key, 0))
            counts[key] = counts.get(key, 0) + 1
            yield table, line
            position += 2
        elif text[position] == "[":
            key, position = read_key(text, position + 1)
            # [fields.x.choices] below [[fields]] means the last of them
            table = next(((*k, n - 1, *key[len(k) :]) for k, n in counts.items() if key[: len(k)] == k), key)
            yield table, line
            position += 1
        else:
            key, position = read_key(text, position)
            yield (*table, *key), line
            position = yield from read_value(text, position + 1, (*table, *key))
        position = skipped(text, position)


def skipped(text: str, position: int) -> int:
    """Behind white space and comments."""
    match = SPACE.match(text, position)
    return match.end() if match else position


def read_key(text: str, position: int) -> tuple[Key, int]:
    """A dotted key that starts at `position`, and the position of what follows it (`=` or `]`)."""
    parts: list[str] = []
    while True:
        position = skipped(text, position)
        for pattern in (WORD, *TEXTS):
            if match := pattern.match(text, position):
                break
        else:  # tomllib has accepted the text, so there is a key here
            raise ValueError(f"no key at {position}")
        word = match[0]
        parts.append(word if pattern is WORD else str(tomllib.loads(f"k = {word}")["k"]))
        position = skipped(text, match.end())
        if text[position] != ".":
            return tuple(parts), position
        position += 1


def read_value(text: str, position: int, key: Key) -> Any:
    """Yield the places of the keys inside a value; return where it ends."""
    position = skipped(text, position)
    if text[position] == "[":
        position, item = skipped(text, position + 1), 0
        while text[position] != "]":
            yield (*key, item), text.count("\n", 0, position) + 1
            position = yield from read_value(text, position, (*key, item))
            position = skipped(text, position)
            position, item = (skipped(text, position + 1) if text[position] == "," else position), item + 1
        return position + 1
    if text[position] == "{":
        position = skipped(text, position + 1)
        while text[position] != "}":
            line = text.count("\n", 0, position) + 1
            inner, position = read_key(text, position)
            yield (*key, *inner), line
            position = yield from read_value(text, position + 1, (*key, *inner))
            position = skipped(text, position)
            position = skipped(text, position + 1) if text[position] == "," else position
        return position + 1
    for pattern in (*TEXTS, PLAIN):
        if match := pattern.match(text, position):
            return match.end()
    raise ValueError(f"no value at {position}")


def comments(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each comment: its line, its text, and whether it has the line to itself."""
    pattern = re.compile(
        "|".join([*(f"(?:{pattern.pattern})" for pattern in TEXTS), r"(?P<comment>#[^\n]*)"]), re.DOTALL
    )
    for match in pattern.finditer(text):
        if match["comment"] is not None:
            start = text.rfind("\n", 0, match.start()) + 1
            alone = not text[start : match.start()].strip()
            yield text.count("\n", 0, match.start()) + 1, match["comment"], alone
