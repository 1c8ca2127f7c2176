"""A file or a stream of Arrow record batches, by its first bytes. A stream must say where it ends."""

import io
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

from inference.application import Form
from inference.book.errors import BadBook
from inference.book.pieces import (
    LANGUAGES,
    ROWS_A_BATCH,
    Part,
    Piece,
    Told,
    check_columns,
    check_not_several,
    cut_pieces,
    digest_of,
    on_one_line,
    opened,
)
from inference.numbers import DECIMAL

FILE = b"ARROW1"  # what an Arrow file begins with; a stream has no such mark
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # of a stream


class ArrowSource:
    """One file, read from its beginning to its end."""

    rows: int | None = None

    def __init__(self, path: str, form: Form, mapping: Mapping[str, str], options: Told) -> None:
        if options.separator or options.encoding:
            raise BadBook(f"{path}: Arrow has no separator and no encoding")
        self.language, self.rows_a_part = LANGUAGES[options.decimal or "."], options.rows_a_part
        self._path, self._name = path, path.rpartition("/")[2]
        with opened(path) as stream:
            beginning = stream.read(len(FILE))
        if not beginning:
            raise BadBook(f"{path}: the file is empty")
        self._is_file = beginning == FILE
        with opened(path) as stream:
            if self._is_file:
                check_not_several(path, stream, FILE + FILE, stream.seek(0, io.SEEK_END))
                stream.seek(0)
            schema = (ipc.open_file if self._is_file else ipc.open_stream)(pa.PythonFile(stream, "r")).schema
        self.schema = schema.remove_metadata()
        check_columns(path, self.schema, form, mapping)

    def reading(self) -> dict[str, object]:
        return {"format": "arrow", "decimal": DECIMAL[self.language]}

    def files(self) -> list[dict[str, object]]:
        return [digest_of(self._path)]

    def parts(self, done: Collection[int]) -> Iterator[Part]:
        none = pa.record_batch([pa.nulls(0, field.type) for field in self.schema], schema=self.schema)
        return cut_pieces(self._pieces(), self.rows_a_part, Piece(self._name, none, np.array([], np.int64)), done)

    def _pieces(self) -> Iterator[Piece]:
        first = 1
        try:
            with opened(self._path) as stream:
                for large in self._batches(stream):
                    large.validate()
                    for start in range(0, large.num_rows, ROWS_A_BATCH):
                        batch = large.slice(start, ROWS_A_BATCH)
                        numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
                        yield Piece(self._name, batch, numbers)
                        first += batch.num_rows
        except pa.ArrowException as error:
            raise BadBook(f"{self._path}: from row {first:,} on it cannot be read: {on_one_line(error)}") from None

    def _batches(self, stream: BinaryIO) -> Iterator[pa.RecordBatch]:
        if self._is_file:
            file = ipc.open_file(pa.PythonFile(stream, "r"))
            yield from (file.get_batch(number) for number in range(file.num_record_batches))
            return
        tail = Tail(stream)
        yield from ipc.open_stream(pa.PythonFile(tail, "r"))
        if tail.last != END:
            raise BadBook(f"{self._path}: the stream has no end mark: it is cut off")
        if stream.read(1):
            raise BadBook(f"{self._path}: something follows the stream's end: another stream, which would not be read")


class Tail:
    """A stream that remembers the last bytes that were read of it."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.last = stream, b""

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self.last = (self.last + content[-len(END) :])[-len(END) :]
        return content
