"""What commands print and write. `… | head` ends no command before its files are written."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from inference.errors import TenfoldError


def counted(count: int, what: str) -> str:
    """1 line, 2 lines."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


class CannotWrite(TenfoldError):
    """A file that cannot be written: which, and why."""


def write_text(file: Path, text: str) -> None:
    """Write a file whole. Raises `CannotWrite`."""
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")  # a file's name may be no UTF-8
    except OSError as error:
        raise CannotWrite(f"{file}: cannot be written: {error.strerror or error}") from None


def write_bytes(file: Path, content: bytes) -> None:
    """The same for bytes. Raises `CannotWrite`."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CannotWrite(f"{file}: cannot be written: {error.strerror or error}") from None


def printable(text: str) -> str:
    """The text with escapes for what a terminal would obey or cannot show: control characters, halves of characters."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class Patient:
    """A stream that loses what is written once its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.gone = stream, False

    def write(self, text: str) -> int:
        """Write, or lose."""
        if not self.gone:
            try:
                self.stream.write(text)
            except BrokenPipeError:
                self.lose()
        return len(text)

    def flush(self) -> None:
        """Flush, or lose."""
        if not self.gone:
            try:
                self.stream.flush()
            except BrokenPipeError:
                self.lose()

    def lose(self) -> None:
        """From now on everything goes nowhere; what is still held back too, when Python ends."""
        self.gone = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


@contextmanager
def patient() -> Iterator[None]:
    """Around a command."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(errors="backslashreplace")
    stream = Patient(sys.stdout)
    with redirect_stdout(stream):
        try:
            yield
        finally:
            stream.flush()
