"""Where a book comes from: a CSV file, a Parquet file, or a folder of them, in parts of a fixed number of rows.

Every column of a CSV file is read as text: types are never inferred, so an id keeps its zeros. What is not told (the
encoding, the separator, the decimal mark) is found out from the file's beginning and said.
"""

import csv
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from inference.application import Form
from inference.book.columns import is_text, raw_answer
from inference.book.errors import BadBook
from inference.book.records import BLOCK, bom, chunks, record_ends
from inference.fields import AnswerRefused, NumberField
from inference.numbers import DECIMAL

ROWS_A_PART = 131_072
ROWS_A_BATCH = 65_536
LARGEST_GROUP = 1 << 20  # rows: a larger row group is read in several parts, each of which decodes those before it
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
TRIED = 1000  # rows that the decimal mark is found out from
LANGUAGES = {mark: language for language, mark in DECIMAL.items()}


class Ragged(NamedTuple):
    """A record that has another number of columns than the header."""

    row: int
    expected: int
    actual: int


class Piece(NamedTuple):
    """Some rows of a part."""

    file: str  # its name
    batch: pa.RecordBatch
    rows: npt.NDArray[np.int64]  # their numbers in the file
    ragged: tuple[Ragged, ...] = ()


class Part(NamedTuple):
    """The unit of a book: read, scored and written by one worker."""

    number: int
    read: Callable[[], Iterator[Piece]]


class Source(Protocol):
    """What every kind of input offers."""

    schema: pa.Schema
    language: str  # how texts for numbers are written
    rows: int | None  # where the file says it
    rows_a_part: int

    def reading(self) -> dict[str, object]:
        """How it is read, for the manifest."""

    def files(self) -> list[dict[str, object]]:
        """Name, size and digest of each file."""

    def parts(self, done: Collection[int]) -> Iterator[Part]:
        """All parts but those that are done already, in order."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says of a file; None is to be found out."""

    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    rows_a_part: int = ROWS_A_PART


def open_source(path: str, form: Form, mapping: Mapping[str, str], options: Told) -> Source:
    """The file or folder, by its name's ending. Raises `BadBook`."""
    base = path.removesuffix(".gz").removesuffix(".zst").lower()
    try:
        if Path(path).is_dir() or base.endswith((".parquet", ".pq")):
            return ParquetSource(path, form, mapping, options)
        if base.endswith((".csv", ".tsv", ".txt")):
            return CsvSource(path, form, mapping, options)
    except pa.ArrowInvalid as error:
        raise BadBook(f"{path}: {error}") from None
    except OSError as error:
        raise BadBook(f"{path}: {error.strerror or error}") from None
    raise BadBook(f"{path}: a name ending in .parquet, .csv, .tsv or .txt is needed (.csv also with .gz or .zst)")


def check_columns(file: str, schema: pa.Schema, form: Form, mapping: Mapping[str, str]) -> None:
    """Every field has one column, of a type that can hold its answers. Raises `BadBook` with the nearest names."""
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise BadBook(f"{file}: two columns are called {', '.join(map(repr, twice))}")
    lacking = []
    for field in form.fields:
        name = mapping.get(field.name, field.name)
        if name not in schema.names:
            near = get_close_matches(name.lower(), {column.lower(): column for column in schema.names}, 3, 0.5)
            near = [name for name in schema.names if name.lower() in near]
            lacking.append(f"{name!r}" + (f" (nearest: {', '.join(map(repr, near))})" if near else ""))
            continue
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (is_text(kind) or pa.types.is_null(kind) or (isinstance(field, NumberField) and is_number(kind))):
            needed = "a number" if isinstance(field, NumberField) else "a code as text"
            raise BadBook(f"{file}: column {name!r} holds {kind}, but {field.name} is {needed}")
    if lacking:
        raise BadBook(
            f"{file}: no column for {', '.join(lacking)}. It has {', '.join(map(repr, schema.names))}; "
            "--map field=column gives a field another column's name"
        )


def is_number(kind: pa.DataType) -> bool:
    is_number: bool = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return is_number


def file_of(path: str, digest: "hashlib._Hash", size: int) -> dict[str, object]:
    return {"name": path.rpartition("/")[2], "bytes": size, "sha256": digest.hexdigest()}


def digest_of(path: str) -> dict[str, object]:
    """Name, size and SHA-256 of a file, local or wherever fsspec finds it."""
    digest, size = hashlib.sha256(), 0
    with fsspec.open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
    return file_of(path, digest, size)


class ParquetSource:
    """One file, or all files of a folder whose names end in .parquet, by their names' order."""

    def __init__(self, path: str, form: Form, mapping: Mapping[str, str], options: Told) -> None:
        if options.separator or options.encoding:
            raise BadBook(f"{path}: Parquet has no separator and no encoding")
        self.language, self.rows_a_part = LANGUAGES[options.decimal or "."], options.rows_a_part
        self._paths = [path]
        if Path(path).is_dir():
            self._paths = [str(file) for file in sorted(Path(path).glob("*.parquet")) if file.name[0] not in "._"]
            if not self._paths:
                raise BadBook(f"{path}: no file in it ends in .parquet")
        self._choices = [
            mapping.get(field.name, field.name) for field in form.fields if not isinstance(field, NumberField)
        ]
        self._groups: list[tuple[str, list[int]]] = []  # of each file, how many rows each row group has
        for part in self._paths:
            with self._open(part) as file:
                schema = file.schema_arrow.remove_metadata()
                metadata = file.metadata
                sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            check_columns(part, schema, form, mapping)
            if part == path or part == self._paths[0]:
                self.schema = schema
            self._check_schema(part, schema)
            self._groups.append((part, sizes))
        self.rows: int | None = sum(sum(sizes) for _, sizes in self._groups)

    def _check_schema(self, path: str, schema: pa.Schema) -> None:
        first = Path(self._paths[0]).name
        for field in self.schema:
            column = schema.get_field_index(field.name)
            if column < 0:
                raise BadBook(f"{path}: column {field.name!r} is missing, which {first} has")
            if schema.field(column).type != field.type:
                raise BadBook(
                    f"{path}: column {field.name!r} holds {schema.field(column).type}, in {first} {field.type}"
                )
        more = [name for name in schema.names if name not in self.schema.names]
        if more:
            raise BadBook(f"{path}: column {more[0]!r} is not in {first}")

    @contextmanager
    def _open(self, path: str, dictionaries: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
        with fsspec.open(path, "rb") if "://" in path else open(path, "rb") as stream:
            yield pq.ParquetFile(stream, read_dictionary=list(dictionaries), buffer_size=1 << 20, pre_buffer=False)

    def reading(self) -> dict[str, object]:
        return {"format": "parquet", "decimal": DECIMAL[self.language]}

    def files(self) -> list[dict[str, object]]:
        return [digest_of(path) for path in self._paths]

    def parts(self, done: Collection[int]) -> Iterator[Part]:
        number = 0
        for path, sizes in self._groups:
            for groups, skipped, rows, first in plan(sizes, self.rows_a_part):
                if number not in done:
                    yield Part(number, lambda a=path, b=groups, c=skipped, d=rows, e=first: self._read(a, b, c, d, e))  # type: ignore[misc]
                number += 1
        if number == 0:
            empty = self.schema.empty_table().combine_chunks().to_batches() or [
                pa.RecordBatch.from_pylist([], schema=self.schema)
            ]
            piece = Piece(self._paths[0], empty[0], np.array([], np.int64))
            if number not in done:
                yield Part(0, lambda: iter([piece]))

    def _read(self, path: str, groups: list[int], skipped: int, rows: int, first: int) -> Iterator[Piece]:
        """`rows` rows of these row groups after the first `skipped`; the first that is left has the number `first`."""
        kinds = {name: self.schema.field(name).type for name in self._choices}
        texts = [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
        name = path.rpartition("/")[2]
        with self._open(path, texts) as file:
            batches = file.iter_batches(ROWS_A_BATCH, row_groups=groups, columns=self.schema.names, use_threads=False)
            for batch in batches:
                if skipped >= batch.num_rows:
                    skipped -= batch.num_rows
                    continue
                some = batch.slice(skipped, rows).select(self.schema.names)
                skipped, rows = 0, rows - some.num_rows
                if some.num_rows:
                    yield Piece(name, some, np.arange(first, first + some.num_rows, dtype=np.int64))
                first += some.num_rows
                if rows == 0:
                    return
        raise BadBook(f"{path}: it holds fewer rows than its metadata says")


def plan(sizes: Sequence[int], rows_a_part: int) -> Iterator[tuple[list[int], int, int, int]]:
    """Parts of a Parquet file with row groups of these sizes: row groups, rows to skip, rows to read, first row."""
    first, groups, rows = 1, list[int](), 0
    for group, size in enumerate(sizes):
        if groups and rows + size > rows_a_part:
            yield groups, 0, rows, first
            first, groups, rows = first + rows, [], 0
        if size > max(LARGEST_GROUP, rows_a_part):
            for skipped in range(0, size, rows_a_part):
                yield [group], skipped, min(rows_a_part, size - skipped), first + skipped
            first += size
        elif size:
            groups, rows = [*groups, group], rows + size
    if groups:
        yield groups, 0, rows, first


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
        self.encoding = options.encoding or (marked[0] if marked else "utf-8")
        try:
            text = head[marked[1] if marked else 0 :].decode(self.encoding, errors="ignore")
        except LookupError:
            raise BadBook(f"--encoding {options.encoding}: no such encoding") from None
        needed = {mapping.get(name, name) for name in form.names}
        self.separator = options.separator or self._separator(text, needed)
        names = header(text, self.separator)
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
        first = next((piece for part in self.parts(()) for piece in part.read()), None)
        refused = dict.fromkeys(DECIMAL, 0)
        if first is not None:
            for name, field in numbers.items():
                for text in first.batch.column(name)[:TRIED].to_pylist():
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
            with fsspec.open(self._path, "rb") if "://" in self._path else open(self._path, "rb") as stream:
                if lowered.endswith(".gz"):
                    with gzip.open(stream) as unpacked:
                        yield cast(BinaryIO, unpacked)
                elif lowered.endswith(".zst"):
                    yield cast(BinaryIO, Unpacked(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")))
                else:
                    yield stream
        except (EOFError, gzip.BadGzipFile, CutOff) as error:
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
        number, filled, pieces = 0, 0, list[Piece]()
        for piece in self._pieces():
            start = 0
            while start < piece.batch.num_rows or (start == 0 and piece.ragged):
                end = min(piece.batch.num_rows, start + self.rows_a_part - filled)
                pieces.append(sliced(piece, start, end))
                filled, start = filled + end - start, end
                if filled == self.rows_a_part:
                    if number not in done:
                        yield Part(number, lambda read=pieces: iter(read))  # type: ignore[misc]
                    number, filled, pieces = number + 1, 0, []
                elif end == 0:
                    break
        if (pieces or number == 0) and number not in done:
            empty = Piece(self._name, self._parse(b"", 0)[0], np.array([], np.int64))
            yield Part(number, lambda: iter(pieces or [empty]))

    def _pieces(self) -> Iterator[Piece]:
        """The file chunk by chunk."""
        with self._bytes() as stream:
            first = True
            for chunk in chunks(stream, self.encoding, self.separator, self._path, self._block):
                content, numbers = chunk.content, chunk.numbers
                if first and len(numbers):
                    content, numbers, first = without_header(content), numbers[1:], False
                if not len(numbers):
                    continue
                batch, ragged = self._parse(content, len(numbers))
                complete = np.ones(len(numbers), bool)
                complete[[record.row for record in ragged]] = False
                left_out = tuple(record._replace(row=int(numbers[record.row])) for record in ragged)
                yield Piece(self._name, batch, numbers[complete], left_out)

    def _parse(self, content: bytes, n: int) -> tuple[pa.RecordBatch, list[Ragged]]:
        """n whole records -> the batch of those with the right number of columns, and the others by their places."""
        ragged: list[Ragged] = []

        def left_out(row: pcsv.InvalidRow) -> str:
            ragged.append(Ragged(row.number - 1, row.expected_columns, row.actual_columns))
            return "skip"

        names = self.schema.names
        if n == 0:
            return pa.record_batch([pa.array([], self._types[name]) for name in names], names=names), ragged
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
        return pa.record_batch([column.combine_chunks() for column in table.columns], names=names), ragged


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


def header(text: str, separator: str) -> list[str]:
    """The first record that is not blank."""
    return next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row), [])


def without_header(content: bytes) -> bytes:
    """Whole records without the first."""
    return content[int(record_ends(content)[0]) + 1 :]


def sliced(piece: Piece, start: int, end: int) -> Piece:
    """Some rows of a piece, with the ragged ones between them."""
    low = -1 if start == 0 else int(piece.rows[start])
    high = int(piece.rows[end]) if end < len(piece.rows) else np.iinfo(np.int64).max
    ragged = tuple(record for record in piece.ragged if low <= record.row < high)
    return Piece(piece.file, piece.batch.slice(start, end - start), piece.rows[start:end], ragged)
