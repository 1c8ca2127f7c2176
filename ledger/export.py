"""Exports records as a table: CSV for a spreadsheet, Parquet for analysis. Memory does not grow with the ledger."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from inference.errors import TenfoldError
from inference.extras import extra
from ledger.events import Json
from ledger.records import Record
from ledger.targets import replacing

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet takes text that begins so for a formula
FIRST = ("seq", "time", "kind", "id")
ROWS = 2_000  # per row group in Parquet
Row = dict[str, Json]


class CannotExport(TenfoldError):
    """The table cannot be written there."""


def export(records: Callable[[], Iterable[Record]], file: Path, ledger: Path) -> int:
    """Write all records to a .csv or .parquet file, completely or not at all; returns their number.

    `records` is called twice, for the columns and for the rows, and must return the same records. A score's PD and
    points are exact while its personal part is there.
    """
    if file.suffix not in (".csv", ".parquet"):
        raise CannotExport(f"{file}: a file that ends in .csv or .parquet is needed")
    write = write_csv if file.suffix == ".csv" else write_parquet
    try:
        with replacing(file, ledger) as new:
            types = columns(flat(record) for record in records())
            return write((flat(record) for record in records()), types, new)
    except OSError as error:
        raise CannotExport(f"{file}: {error.strerror or error}") from None


def flat(record: Record) -> Row:
    """A record as a row: fields of the body and the personal part, answers as `answer.<field>`, and the hash."""
    cells: Row = {}
    for name, value in [*record.body_json.items(), *(record.personal_json or {}).items()]:
        if name == "answers" and isinstance(value, dict):
            cells |= {f"answer.{field}": answer for field, answer in value.items()}
        elif name != "personal":
            cells[name] = value
    return {**{name: joined(value) for name, value in cells.items()}, "hash": record.hash.hex()}


def joined(value: Json) -> Json:
    """Turn a list or an object into text."""
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value) if isinstance(value, dict) else value


def columns(rows: Iterable[Row]) -> dict[str, set[type]]:
    """Every column name with the types of its values: those of `FIRST` first, the hash last."""
    types: dict[str, set[type]] = defaultdict(set)
    for name in FIRST:
        types[name] = set()
    for row in rows:
        for name, value in row.items():
            types[name].add(type(value))
    last = types.pop("hash", {str})
    return {**types, "hash": last}


def write_csv(rows: Iterable[Row], types: dict[str, set[type]], file: Path) -> int:
    """Write one line per record."""
    count = 0
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([guarded(name) for name in types])
        for row in rows:
            writer.writerow([guarded(row.get(name)) for name in types])
            count += 1
    return count


def guarded(value: Json) -> Json:
    """Put an apostrophe before text that a spreadsheet would run as a formula; leave numbers unchanged."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def write_parquet(rows: Iterator[Row], types: dict[str, set[type]], file: Path) -> int:
    """Write columns of one type each; as text if answers of several releases differ in type."""
    with extra("book"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    arrow = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), type(None): pa.null()}
    kinds = {name: one_type(value_types) for name, value_types in types.items()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in kinds.items()])
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        while batch := list(islice(rows, ROWS)):
            arrays = [
                pa.array([as_type(row.get(name), kind) for row in batch], arrow[kind]) for name, kind in kinds.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def one_type(types: set[type]) -> type:
    """The type in which a column's values are written."""
    kinds = types - {type(None)}
    if not kinds:
        return type(None)
    if kinds <= {int, float}:
        return float if float in kinds else int
    return next(iter(kinds)) if len(kinds) == 1 else str


def as_type(value: Json, kind: type) -> object:
    """Convert a value to its column's type."""
    return None if value is None or kind is type(None) else kind(value)
