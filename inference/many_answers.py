"""Many applications for `score`: JSON lines or CSV, from a file or from standard input, read one at a time."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple, TextIO

from inference.application import Form
from inference.errors import TenfoldError
from inference.fields import NOT_STATED, NumberField, shorten

JSON_LINES, CSV = (".jsonl", ".ndjson"), (".csv",)
STANDARD_INPUT = "-"


class Unreadable(TenfoldError):
    """The answers given to `score` are neither JSON, nor CSV, nor name=value pairs."""


class Row(NamedTuple):
    """One application of several."""

    line: int  # where it ends
    answers: dict[str, object]
    carried: Mapping[str, str]  # other columns of a CSV, as they came


def is_many(name: str) -> bool:
    """Whether a word names several applications."""
    return name == STANDARD_INPUT or name.lower().endswith(JSON_LINES + CSV)


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    """The file, or standard input, as UTF-8."""
    try:
        if name == STANDARD_INPUT:
            sys.stdin.reconfigure(encoding="utf-8-sig", newline="")  # type: ignore[union-attr]  # a real stream
            yield sys.stdin
        else:
            with open(name, encoding="utf-8-sig", newline="") as stream:
                yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{name} is not UTF-8") from None


def rows(name: str, stream: TextIO, form: Form, language: str) -> Iterator[Row]:
    """All applications. Raises `Unreadable` with the line that cannot be read."""
    first = next((line for line in stream if line.strip()), "")
    lines = chain([first] if first else [], stream)
    if name.lower().endswith(CSV) or (name == STANDARD_INPUT and not first.lstrip().startswith("{")):
        return csv_rows(name, lines, form, language)
    return json_rows(name, lines, form, language)


def json_rows(name: str, lines: Iterator[str], form: Form, language: str) -> Iterator[Row]:
    """One object a line. What begins with an object over several lines is that one object."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            answers = parsed(line)
        except ValueError as error:
            if number > 1:
                raise Unreadable(f"{name}: line {number:,} is not JSON: {error}") from None
            try:
                answers = parsed(line + "".join(lines))
            except ValueError:
                raise Unreadable(f"{name} is not JSON: {error}") from None
        if not isinstance(answers, dict):
            raise Unreadable(f"{name}: line {number:,}: a JSON object of {', '.join(form.names)} is needed")
        yield Row(number, read_numbers(answers, form, language), {})


def parsed(text: str) -> object:
    answers: object = json.loads(text, object_pairs_hook=each_once)
    return answers


def csv_rows(name: str, lines: Iterator[str], form: Form, language: str) -> Iterator[Row]:
    """A header with every field; an empty cell is not stated."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        if twice := [column for column in header if header.count(column) > 1]:
            raise Unreadable(f"{name}: two columns are called {twice[0]!r}")
        if missing := [field for field in form.names if field not in header]:
            raise Unreadable(f"{name}: no column for {', '.join(missing)}. It has {', '.join(map(repr, header))}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise Unreadable(f"{name}: line {reader.line_num:,} has {len(cells)} columns, the header {len(header)}")
            row = dict(zip(header, cells, strict=True))
            answers: dict[str, object] = {field: row.pop(field) or None for field in form.names}
            yield Row(reader.line_num, read_numbers(answers, form, language), row)
    except csv.Error as error:
        raise Unreadable(f"{name}: line {reader.line_num:,}: {error}") from None


def read_numbers(answers: dict[str, object], form: Form, language: str) -> dict[str, object]:
    """Texts for numbers read by `inference.numbers`; other answers are unchanged."""
    for field in form.fields:
        text = answers.get(field.name)
        if isinstance(field, NumberField) and isinstance(text, str) and text != NOT_STATED:
            answers[field.name] = field.read(text, language, exponents=True)
    return answers


def each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build a JSON object; refuses duplicate names, of which JSON readers silently use the last."""
    answers: dict[str, object] = {}
    for name, answer in pairs:
        if name in answers:
            raise Unreadable(f"{shorten(name)} is given twice")
        answers[name] = answer
    return answers
