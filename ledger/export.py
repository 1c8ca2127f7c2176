"""Records as a table: CSV for a spreadsheet, Parquet for analysis."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from ledger.records import Record
from ledger.store import sync_folder

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would take a text beginning with it for
FIRST = ("seq", "time", "kind", "id")


class CannotExport(TenfoldError):
    """The table cannot be written there."""


def export(records: Iterable[Record], file: Path) -> int:
    """Write all records to a .csv or .parquet file, whole or not at all; how many."""
    if file.suffix not in (".csv", ".parquet"):
        raise CannotExport(f"{file}: a file that ends in .csv or .parquet is needed")
    new = file.with_name(f".{file.name}.new")
    rows = [flat(record) for record in records]
    names = columns(rows)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as stream:
            if file.suffix == ".csv":
                writer = csv.writer(stream)
                writer.writerow([guarded(name) for name in names])
                writer.writerows([guarded(row.get(name)) for name in names] for row in rows)
        if file.suffix == ".parquet":
            write_parquet(rows, names, new)
        os.replace(new, file)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise CannotExport(f"{file}: {error.strerror or error}") from None
    finally:
        new.unlink(missing_ok=True)
    return len(rows)


def flat(record: Record) -> dict[str, Any]:
    """One row: the body's fields, the personal part's, the answers as `answer.<field>`, and the hash."""
    fields = {name: value for name, value in record.fields().items() if name != "personal"}
    personal = record.personal_fields() or {}
    answers = personal.pop("answers", {})
    cells = {**fields, **personal, **{f"answer.{name}": value for name, value in answers.items()}}
    return {**{name: joined(value) for name, value in cells.items()}, "hash": record.hash.hex()}


def joined(value: Any) -> Any:
    """A list as one text."""
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Every name of any row, the record's own first, the hash last."""
    found = dict.fromkeys(FIRST)
    for row in rows:
        found |= dict.fromkeys(row)
    found.pop("hash", None)
    return [*found, "hash"]


def guarded(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it; numbers as they are."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def write_parquet(rows: list[dict[str, Any]], names: list[str], file: Path) -> None:
    """Columns of one type each; where answers of several releases differ in type, as text."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise CannotExport("Parquet needs pyarrow: pip install pyarrow. CSV needs nothing") from None
    arrays = {}
    for name in names:
        values = [row.get(name) for row in rows]
        arrays[name] = pa.array(list(as_one_type(values)))
    pq.write_table(pa.table(arrays), file)


def as_one_type(values: list[Any]) -> Iterator[Any]:
    """Values that Arrow takes together."""
    kinds = {type(value) for value in values if value is not None}
    mixed = len(kinds) > 1 and not kinds <= {int, float}
    for value in values:
        yield None if value is None else str(value) if mixed else float(value) if float in kinds else value
