"""A Parquet file, or a folder of them: each worker reads its own row groups."""

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
    digest_of,
    files_of,
    on_one_line,
    opened,
)
from inference.fields import NumberField
from inference.numbers import DECIMAL

MAGIC = b"PAR1"  # what a Parquet file begins and ends with
LARGEST_GROUP = 1 << 20  # rows: a larger row group is read in several parts, each of which decodes those before it


class ParquetSource:
    """One file, or all files of a folder whose names end in .parquet, by their names' order."""

    def __init__(self, path: str, form: Form, mapping: Mapping[str, str], options: Told) -> None:
        if options.separator or options.encoding:
            raise BadBook(f"{path}: Parquet has no separator and no encoding")
        self.language, self.rows_a_part = LANGUAGES[options.decimal or "."], options.rows_a_part
        files = files_of(path)
        if files is not None and not files:
            raise BadBook(f"{path}: there is no file in it")
        self._paths = files or [path]
        self._choices = [
            mapping.get(field.name, field.name) for field in form.fields if not isinstance(field, NumberField)
        ]
        self._groups: list[tuple[str, list[int]]] = []  # of each file, how many rows each row group has
        for part in self._paths:
            with opened(part) as stream, parquet_file(stream) as file:
                schema = file.schema_arrow.remove_metadata()
                metadata = file.metadata
                sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
                check_not_several(part, stream, MAGIC + MAGIC, unaccounted(stream, file, sizes) + len(MAGIC))
            check_columns(part, schema, form, mapping)
            if part == path or part == self._paths[0]:
                self.schema = schema
            self._check_schema(part, schema)
            self._groups.append((part, sizes))
        self.rows: int | None = sum(sum(sizes) for _, sizes in self._groups)

    def _check_schema(self, path: str, schema: pa.Schema) -> None:
        first = self._paths[0].rpartition("/")[2]
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
        with readable(path), opened(path) as stream, parquet_file(stream, texts) as file:
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


def parquet_file(stream: BinaryIO, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Of pages that have checksums, which Spark writes, these are compared: a damaged page may still be read."""
    return pq.ParquetFile(
        stream,
        read_dictionary=list(dictionaries),
        buffer_size=1 << 20,
        pre_buffer=False,
        page_checksum_verification=True,
    )


@contextmanager
def readable(path: str) -> Iterator[None]:
    """What cannot be decoded raises `BadBook`."""
    try:
        yield
    except pa.ArrowException as error:
        raise BadBook(f"{path}: it cannot be read: {on_one_line(error)}") from None


def unaccounted(stream: BinaryIO, file: pq.ParquetFile, sizes: Sequence[int]) -> int:
    """How many bytes lie between the last row group and the footer: indexes, or files before this one."""
    end, metadata = len(MAGIC), file.metadata
    last = max((number for number, rows in enumerate(sizes) if rows), default=None)
    if last is not None:
        # Of encrypted columns Arrow's metadata ends the process; reading a row of each column raises an error instead.
        next(file.iter_batches(1, row_groups=[last], use_threads=False))
        group = metadata.row_group(last)
        for column in map(group.column, range(group.num_columns)):
            start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            end = max(end, start + column.total_compressed_size)
    size = stream.seek(0, io.SEEK_END)
    return max(0, int(size - 2 * len(MAGIC) - metadata.serialized_size - end))


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
