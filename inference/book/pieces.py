"""What every kind of input gives: parts of a fixed number of rows, as pieces with the rows' numbers in the file."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from inference.application import Form
from inference.book.columns import is_text
from inference.book.errors import BadBook
from inference.extras import extra
from inference.fields import NumberField
from inference.numbers import DECIMAL

ROWS_A_PART = 131_072
ROWS_A_BATCH = 65_536
PARQUET = (".parquet", ".pq")
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


class Stretch(NamedTuple):
    """Rows that follow one another in a file; the thread that scores a part makes a piece of those it needs."""

    rows: int  # how many, ragged ones among them
    read: Callable[[int, int], Piece]  # from a row of these and up to another


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
    sheet: str | None = None  # of a workbook
    rows_a_part: int = ROWS_A_PART


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
    """Name, size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with opened(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
    return file_of(path, digest, size)


def is_address(path: str) -> bool:
    """Whether fsspec is to find the file: it has a protocol."""
    return "://" in path


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file's bytes, local or wherever fsspec finds them. Raises `BadBook` where they cannot be read."""
    try:
        with ExitStack() as stack:
            yield open_address(path, stack) if is_address(path) else stack.enter_context(open(path, "rb"))
    except OSError as error:
        raise BadBook(f"{path}: {error.strerror or on_one_line(error)}") from None


def open_address(path: str, stack: ExitStack) -> BinaryIO:
    """By fsspec, whose packages for a protocol raise errors of their own."""
    with extra("book"):
        import fsspec
    try:
        stream: BinaryIO = stack.enter_context(fsspec.open(path, "rb"))
    except Exception as error:
        raise BadBook(f"{path}: {type(error).__name__}: {error}") from None
    return stream


def on_one_line(error: BaseException) -> str:
    """What an exception says, of which Arrow's take several lines."""
    return " ".join(str(error).split())


def check_not_several(path: str, stream: BinaryIO, mark: bytes, size: int) -> None:
    """Refuse several files written one after another, as `cat` does: the last one's footer would be applied to the
    bytes of the first. `mark`, which stands where one ends and another begins, is looked for in `size` bytes."""
    stream.seek(0)
    before = b""
    while size > 0 and (block := stream.read(min(size, 1 << 20))):
        if mark in before + block:
            raise BadBook(f"{path}: it is several files, one written after another: put them into a folder")
        before, size = block[-len(mark) :], size - len(block)


def files_of(path: str) -> list[str] | None:
    """The Parquet files of a folder, by their names' order; None where the path is no folder.

    Names that begin with . or _ are those of other programs. Raises `BadBook` for anything else: rows would be missing.
    """
    if not is_address(path):
        folder = Path(path)
        files = [str(file) for file in folder.iterdir()] if folder.is_dir() else None
    else:
        with extra("book"):
            import fsspec
        try:
            system, place = fsspec.core.url_to_fs(path)
            listed = system.ls(place, detail=False) if system.isdir(place) else None
        except Exception as error:
            raise BadBook(f"{path}: {type(error).__name__}: {error}") from None
        files = None if listed is None else [system.unstrip_protocol(file) for file in listed]
    if files is None:
        return None
    # An address may list the folder itself.
    names = {file: name for file in files if (name := file.rpartition("/")[2]) and name[0] not in "._"}
    others = sorted(name for name in names.values() if not name.lower().endswith(PARQUET))
    if others:
        raise BadBook(
            f"{path}: {others[0]!r} in it is no file whose name ends in .parquet or .pq: a folder is scored as a "
            "whole. Move it away, or name the folder that holds the files"
        )
    return sorted(names, key=lambda file: names[file])


def cut(stretches: Iterable[Stretch], rows_a_part: int, empty: Piece, done: Collection[int]) -> Iterator[Part]:
    """Parts of a file that is read from its beginning to its end; those that are done are read and left out."""
    number, room, some = 0, rows_a_part, list[Callable[[], Piece]]()
    for stretch in stretches:
        start = 0
        while start < stretch.rows:
            end = min(stretch.rows, start + room)
            some.append(partial(stretch.read, start, end))
            room, start = room - (end - start), end
            if room == 0:
                if number not in done:
                    yield Part(number, partial(read_all, some))
                number, room, some = number + 1, rows_a_part, []
    if (some or number == 0) and number not in done:
        yield Part(number, partial(read_all, some or [lambda: empty]))


def read_all(some: Iterable[Callable[[], Piece]]) -> Iterator[Piece]:
    return (read() for read in some)


def cut_pieces(pieces: Iterable[Piece], rows_a_part: int, empty: Piece, done: Collection[int]) -> Iterator[Part]:
    """`cut` for a file whose reader makes pieces anyway."""
    return cut(map(stretch_of, pieces), rows_a_part, empty, done)


def stretch_of(piece: Piece) -> Stretch:
    return Stretch(
        len(piece.rows),
        lambda start, end: Piece(piece.file, piece.batch.slice(start, end - start), piece.rows[start:end]),
    )
