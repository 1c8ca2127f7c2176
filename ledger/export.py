"""Records as a table: CSV for a spreadsheet, Parquet for analysis. Record by record: a million need no more memory."""

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

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would take a text beginning with it for
FIRST = ("seq", "time", "kind", "id")
ROWS = 2_000  # of a row group in Parquet
Row = dict[str, Json]


class CannotExport(TenfoldError):
    """The table cannot be written there."""


def export(records: Callable[[], Iterable[Record]], file: Path, ledger: Path) -> int:
    """Write all records to a .csv or .parquet file, whole or not at all; how many.

    `records` is called twice, for the columns and for the rows, and must give the same ones. A score's PD and points
    are exact where its personal part still holds them.
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
    """One row: the body's fields, the personal part's, the answers as `answer.<field>`, and the hash."""
    cells: Row = {}
    for name, value in [*record.body_json.items(), *(record.personal_json or {}).items()]:
        if name == "answers" and isinstance(value, dict):
            cells |= {f"answer.{field}": answer for field, answer in value.items()}
        elif name != "personal":
            cells[name] = value
    return {**{name: joined(value) for name, value in cells.items()}, "hash": record.hash.hex()}


def joined(value: Json) -> Json:
    """A list or an object as one text."""
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value) if isinstance(value, dict) else value


def columns(rows: Iterable[Row]) -> dict[str, set[type]]:
    """Every name of any row with the types of its values: the record's own first, the hash last."""
    found: dict[str, set[type]] = defaultdict(set)
    for name in FIRST:
        found[name] = set()
    for row in rows:
        for name, value in row.items():
            found[name].add(type(value))
    last = found.pop("hash", {str})
    return {**found, "hash": last}


def write_csv(rows: Iterable[Row], types: dict[str, set[type]], file: Path) -> int:
    """One line a record."""
    count = 0
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([guarded(name) for name in types])
        for row in rows:
            writer.writerow([guarded(row.get(name)) for name in types])
            count += 1
    return count


def guarded(value: Json) -> Json:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it; numbers as they are."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def write_parquet(rows: Iterator[Row], types: dict[str, set[type]], file: Path) -> int:
    """Columns of one type each; where answers of several releases differ in type, as text."""
    with extra("book"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    arrow = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), type(None): pa.null()}
    kinds = {name: one_type(found) for name, found in types.items()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in kinds.items()])
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        while some := list(islice(rows, ROWS)):
            arrays = [
                pa.array([as_type(row.get(name), kind) for row in some], arrow[kind]) for name, kind in kinds.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(some)
    return count


def one_type(found: set[type]) -> type:
    """The one type that a column's values are written as."""
    kinds = found - {type(None)}
    if not kinds:
        return type(None)
    if kinds <= {int, float}:
        return float if float in kinds else int
    return next(iter(kinds)) if len(kinds) == 1 else str


def as_type(value: Json, kind: type) -> object:
    """A value of a column's type."""
    return None if value is None or kind is type(None) else kind(value)
