"""A CSV file, as it is or compressed. Every column is read as text: types are never inferred, so an id keeps its zeros.

What is not told (the encoding, the separator, the decimal mark) is found out from the file's beginning and said.
"""

import codecs
import csv
import gzip
import io
import unicodedata
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from inference.application import Form
from inference.book.columns import raw_answer
from inference.book.errors import BadBook
from inference.book.pieces import LANGUAGES, Part, Piece, Ragged, Stretch, Told, check_columns, cut, digest_of, opened
from inference.book.records import BLOCK, Chunk, bom, chunks
from inference.fields import AnswerRefused, NumberField
from inference.numbers import DECIMAL

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
TRIED = 1000  # rows that the decimal mark is found out from
RELEASE = 4  # chunks, after which what lies freed between columns' texts is given back: else it grows for seconds
NONE = np.array([], np.int64)


class CsvSource:
    """One CSV file, as it is or compressed."""

    rows: int | None = None

    def __init__(self, path: str, form: Form, mapping: Mapping[str, str], options: Told, block: int = BLOCK) -> None:
        self._path, self._block, self.rows_a_part = path, block, options.rows_a_part
        self._name = path.rpartition("/")[2]
        with self._bytes() as stream:
            head = stream.read(1 << 20)
        if not head:
            raise BadBook(f"{path}: the file is empty")
        marked = bom(head)
        self.encoding = options.encoding or marked or "utf-8"
        try:
            if marked and not fits(marked, self.encoding):
                raise BadBook(f"{path}: its byte order mark says {marked}, and --encoding {self.encoding}")
            text = head.decode(self.encoding, errors="ignore").removeprefix("\ufeff")
        except (LookupError, UnicodeError, ValueError):
            raise BadBook(f"--encoding {options.encoding}: no such encoding") from None
        needed = {mapping.get(name, name) for name in form.names}
        self.separator = options.separator or self._separator(text, needed)
        names = header(text, self.separator)
        if any(unicodedata.category(mark) == "Cc" and mark not in "\t\r\n" for name in names for mark in name):
            raise BadBook(
                f"{path}: its first row is no text: an archive, a workbook, Parquet, or UTF-16 or UTF-32 without "
                "--encoding? Name it by the ending of what it is"
            )
        self.schema = pa.schema([(name, pa.string()) for name in names])
        check_columns(path, self.schema, form, mapping)
        numbers = {
            mapping.get(field.name, field.name): field for field in form.fields if isinstance(field, NumberField)
        }
        self._types = {
            name: pa.dictionary(pa.int32(), pa.string()) if name in needed - numbers.keys() else pa.string()
            for name in names
        }
        self.language = LANGUAGES[options.decimal] if options.decimal else self._language(numbers)

    def _separator(self, text: str, needed: Collection[str]) -> str:
        """The one under which the header has the columns that are needed."""
        fits = [mark for mark in SEPARATORS if set(needed) <= set(header(text, mark))]
        if len(fits) > 1:
            raise BadBook(f"{self._path}: the separator can be {' or '.join(map(repr, fits))}: say --separator")
        # Where none fits, the one that finds most columns, so that the message can name the nearest ones.
        return fits[0] if fits else max(SEPARATORS, key=lambda mark: len(header(text, mark)))

    def _language(self, numbers: Mapping[str, NumberField]) -> str:
        """English, with a decimal point, unless French, with a comma, refuses fewer of the first rows' numbers."""
        first = next((stretch for stretch in self._stretches() if stretch.rows), None)
        refused = dict.fromkeys(DECIMAL, 0)
        if first is not None:
            tried = first.read(0, min(first.rows, TRIED)).batch
            for name, field in numbers.items():
                for text in tried.column(name).to_pylist():
                    for language in refused:
                        try:
                            field.parse(raw_answer(field, text, language))
                        except AnswerRefused:
                            refused[language] += 1
        return "fr" if refused["fr"] < refused["en"] else "en"

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        """The file's bytes, uncompressed; what is cut off raises `BadBook`."""
        lowered = self._path.lower()
        try:
            with opened(self._path) as stream:
                if lowered.endswith(".gz"):
                    with gzip.open(stream) as unpacked:
                        yield cast(BinaryIO, unpacked)
                elif lowered.endswith(".zst"):
                    yield cast(BinaryIO, Unpacked(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")))
                else:
                    yield stream
        except (EOFError, gzip.BadGzipFile, zlib.error, CutOff) as error:
            raise BadBook(f"{self._path}: the compressed file is cut off or damaged: {error}") from None

    def reading(self) -> dict[str, object]:
        return {
            "format": "csv",
            "encoding": self.encoding,
            "separator": self.separator,
            "decimal": DECIMAL[self.language],
        }

    def files(self) -> list[dict[str, object]]:
        return [digest_of(self._path)]

    def parts(self, done: Collection[int]) -> Iterator[Part]:
        return cut(self._stretches(), self.rows_a_part, self._piece(Chunk(b"", NONE, NONE), 0, 0), done)

    def _stretches(self) -> Iterator[Stretch]:
        """The file chunk by chunk."""
        with self._bytes() as stream:
            header = True
            several = chunks(stream, self.encoding, self.separator, self._path, self._block)
            for count, chunk in enumerate(several, 1):
                if count % RELEASE == 0:
                    pa.default_memory_pool().release_unused()
                if header and len(chunk.numbers):
                    chunk, header = chunk.without_header(), False
                yield Stretch(len(chunk.numbers), partial(self._piece, chunk))

    def _piece(self, chunk: Chunk, start: int, end: int) -> Piece:
        """Some records of a chunk."""
        numbers = chunk.numbers[start:end]
        batch, ragged = self._parse(chunk.records(start, end), len(numbers))
        complete = np.ones(len(numbers), bool)
        complete[[record.row for record in ragged]] = False
        left_out = tuple(record._replace(row=int(numbers[record.row])) for record in ragged)
        return Piece(self._name, batch, numbers[complete], left_out)

    def _parse(self, content: memoryview, n: int) -> tuple[pa.RecordBatch, list[Ragged]]:
        """n whole records -> the batch of those with the right number of columns, and the others by their places."""
        ragged: list[Ragged] = []

        def left_out(row: pcsv.InvalidRow) -> str:
            ragged.append(Ragged(row.number - 1, row.expected_columns, row.actual_columns))
            return "skip"

        names = self.schema.names
        none = pa.record_batch([pa.array([], self._types[name]) for name in names], names=names)
        if n == 0:
            return none, ragged
        table = pcsv.read_csv(
            pa.BufferReader(content),
            pcsv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
            pcsv.ParseOptions(
                delimiter=self.separator,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=left_out,
            ),
            pcsv.ConvertOptions(
                column_types=self._types, include_columns=names, strings_can_be_null=True, null_values=[""]
            ),
        )
        if table.num_rows + len(ragged) != n:
            raise BadBook(f"{self._path}: {n:,} rows became {table.num_rows + len(ragged):,} in reading: it is refused")
        return next(iter(table.combine_chunks().to_batches()), none), ragged


class CutOff(Exception):
    """A compressed stream that ends too early, or is damaged."""


class Unpacked:
    """Arrow's stream, of which errors are known from those of other files."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        try:
            content: bytes = self._stream.read(size)
        except OSError as error:
            raise CutOff(str(error)) from None
        return content


def fits(marked: str, encoding: str) -> bool:
    """Whether an encoding is the one that a byte order mark says."""
    name = codecs.lookup(encoding).name
    return name in (marked, f"{marked}-sig", marked.rpartition("-")[0])


def header(text: str, separator: str) -> list[str]:
    """The first record that is not blank."""
    return next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row), [])
