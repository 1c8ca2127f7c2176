"""Cuts the bytes of a CSV file into chunks of whole records, so that no record ever lies across two of Arrow's blocks.

Arrow misreads quoted line ends at a block's edge without an error, skips blank lines without counting them, and takes a
lone carriage return for a line end. Here each record has its number as a spreadsheet shows it (the header is 1, blank
lines count), and what RFC 4180 leaves open is refused with that number: quote marks inside a value that is not quoted,
lone carriage returns, a quoted value that does not end.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from inference.book.errors import BadBook

BLOCK = 4 << 20  # bytes
LONGEST = 64 << 20  # bytes of one record
QUOTE, NEWLINE, RETURN = 34, 10, 13
Places = npt.NDArray[np.int64]  # in some bytes
BOMS = {  # that of UTF-32 begins with one of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records, without blank ones, in UTF-8 with a line end after each."""

    content: bytes
    ends: Places  # where each record's line end is
    numbers: npt.NDArray[np.int64]  # of each record

    def records(self, start: int, end: int) -> memoryview:
        """The bytes of those from `start` up to `end`, which is not among them."""
        first, behind = (int(self.ends[place - 1]) + 1 if place else 0 for place in (start, end))
        return memoryview(self.content)[first:behind]

    def without_header(self) -> "Chunk":
        """All but the first record."""
        behind = int(self.ends[0]) + 1
        return Chunk(self.content[behind:], self.ends[1:] - behind, self.numbers[1:])


def bom(head: bytes) -> str | None:
    """The encoding that the first bytes of a file say."""
    return next((encoding for mark, encoding in BOMS.items() if head.startswith(mark)), None)


def chunks(stream: BinaryIO, encoding: str, separator: str, name: str, block: int = BLOCK) -> Iterator[Chunk]:
    """All records of a file. Raises `BadBook` with the number of the record that cannot be read safely."""
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
    rest, number, begun = b"", 1, False
    while True:
        read = stream.read(block)
        text = read
        if decoder is not None:
            try:
                text = decoder.decode(read, final=not read).encode()
            except UnicodeError as error:
                why = getattr(error, "reason", error)
                raise BadBook(f"{name}: from row {number:,} on it is not {encoding}: {why}") from None
        if not begun and text:
            begun, text = True, text.removeprefix(codecs.BOM_UTF8)
        content = rest + text
        if not read and content and not content.endswith(b"\n"):
            content += b"\n"
        quotes = quote_marks(content)
        ends = record_ends(content, quotes)
        cut = int(ends[-1]) + 1 if len(ends) else 0
        complete, rest, is_last = content[:cut], content[cut:], not read
        check_bytes(complete, ends, quotes[: np.searchsorted(quotes, cut)], separator, number, name)
        del read, text, content, quotes  # megabytes, which would wait with this generator
        if cut:
            yield without_blanks(complete, ends, number)
            number += len(ends)
        if rest and (is_last or len(rest) > LONGEST):
            raise BadBook(
                f"{name}: row {number:,} does not end: a quote mark that opens a value has no other one that closes it"
                if b'"' in rest
                else f"{name}: row {number:,} is longer than {LONGEST >> 20} MB: are its line ends carriage returns?"
            )
        if is_last:
            return


def quote_marks(content: bytes) -> Places:
    """Where the quote marks are."""
    return np.flatnonzero(np.frombuffer(content, np.uint8) == QUOTE) if b'"' in content else np.array([], np.int64)


def record_ends(content: bytes, quotes: Places) -> Places:
    """Where the line ends are that end a record: those with an even number of quote marks before them."""
    newlines = np.flatnonzero(np.frombuffer(content, np.uint8) == NEWLINE)
    return newlines[np.searchsorted(quotes, newlines) % 2 == 0] if len(quotes) else newlines


def check_bytes(content: bytes, ends: Places, quotes: Places, separator: str, number: int, name: str) -> None:
    """Refuse what readers of CSV files do not agree on, in whole records of which the first has this number."""

    def refuse(row: int, why: str) -> None:
        raise BadBook(f"{name}: row {number + int(np.searchsorted(ends, row)):,}: {why}")

    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError as error:
            refuse(error.start, "this is not UTF-8: say --encoding cp1252, latin-1 or what it is")
    array = np.frombuffer(content, np.uint8)
    if b"\r" in content and content.count(b"\r") != content.count(b"\r\n"):
        returns = np.flatnonzero(array == RETURN)
        lone = returns[array[returns + 1] != NEWLINE]
        lone = lone[np.searchsorted(quotes, lone) % 2 == 0]
        if len(lone):
            refuse(lone[0], "a carriage return without a line feed: save the file with usual line ends")
    if not len(quotes):
        return
    opening, closing = quotes[::2], quotes[1::2]
    before, after = array[opening - 1], array[closing + 1]  # the last byte, a line end, is before the first one
    beside = np.zeros(256, bool)  # by byte: whether it may stand there
    beside[[QUOTE, NEWLINE, ord(separator)]] = True
    wrong_before = opening[~beside[before]]
    beside[RETURN] = True
    wrong = np.concatenate([wrong_before, closing[~beside[after]]])
    if len(wrong):
        refuse(
            wrong.min(),
            "a quote mark inside a value: a value with quote marks needs them around it, and each one twice",
        )


def without_blanks(content: bytes, ends: Places, number: int) -> Chunk:
    """The records that hold anything, with their numbers."""
    array = np.frombuffer(content, np.uint8)
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = ends - starts
    blank = (length == 0) | ((length == 1) & (array[starts] == RETURN))
    numbers = np.arange(number, number + len(ends), dtype=np.int64)
    if not blank.any():
        return Chunk(content, ends, numbers)
    keep = np.repeat(~blank, length + 1)
    return Chunk(array[keep].tobytes(), np.cumsum(length[~blank] + 1) - 1, numbers[~blank])
