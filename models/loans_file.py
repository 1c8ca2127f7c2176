"""Read a file of past loans (CSV, Excel, Parquet) as its `Reading` says, without guessing.

`models.draft.detect` finds the reading of a file, a draft writes it into the recipe, and training reads by it.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import python_calamine

from inference.book.sheet_xml import WITHOUT_VALUE, LeftOut, cells_left_out
from inference.book.workbooks import cell_text, merged_within, place_name
from inference.errors import TenfoldError

CSV, EXCEL, PARQUET = "csv", "excel", "parquet"
UNEVEN = "uneven_lines"  # attrs of the frame: lines left out because they have another number of cells
HEADERS = "header_again"  # attrs of the frame: lines left out because they repeat the header, as files put together do


class BadLoansFile(TenfoldError):
    """A file of loans that cannot be read; the message names the place and quotes no cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one file is read. The key `read` of a recipe: each attribute is a key; those left out have their defaults."""

    format: str = CSV  # csv, excel or parquet
    encoding: str = "utf-8"  # csv: Python's name of it
    separator: str = ","  # csv: one character; a space stands for one or more
    decimal: str = "."  # "." or ","; the other one may group thousands
    missing: tuple[str, ...] = ("",)  # cells that mean "not stated", blanks around them removed
    dates: str = ""  # how dates are written: a form of models/loans_dates.py; "" without any
    dates_of: Mapping[str, str] = field(default_factory=dict)  # column -> its form, where it is another one
    sheet: str = ""  # excel
    skip: int = 0  # lines above the header
    skip_end: int = 0  # lines at the end, such as totals; blank ones are not counted
    header: bool = True  # without one, columns are called column_1, column_2, …
    unnamed: str = ""  # "first" or "last": that column has no cell in the header, as R writes row names
    quoted_lines: bool = False  # csv: some lines are quoted as a whole

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise BadLoansFile("read: " + "; ".join(problems))

    def problems(self) -> list[str]:
        """All problems with it."""
        problems = []
        for setting in fields(self):
            value, kind = getattr(self, setting.name), type(defaults()[setting.name])
            if type(value) is not kind:
                problems.append(f"{setting.name}: {WORDS[kind]} is needed, got {value!r}")
        if problems:
            return problems
        if not all(isinstance(text, str) for text in self.missing):
            problems.append("missing: texts are needed")
        if not all(isinstance(form, str) and form for form in self.dates_of.values()):
            problems.append("dates_of: a table of column = form is needed")
        if self.format not in (CSV, EXCEL, PARQUET):
            problems.append(f"format: {CSV}, {EXCEL} or {PARQUET} is needed, got {self.format!r}")
        if self.decimal not in (".", ","):
            problems.append(f'decimal: "." or "," is needed, got {self.decimal!r}')
        if len(self.separator) != 1 or (self.format == CSV and self.separator == self.decimal == "."):
            problems.append(f"separator: one character is needed, got {self.separator!r}")
        if self.unnamed not in ("", "first", "last"):
            problems.append(f'unnamed: "first" or "last" is needed, got {self.unnamed!r}')
        if min(self.skip, self.skip_end) < 0:
            problems.append("skip and skip_end: 0 or more is needed")
        try:
            "".encode(self.encoding)
        except LookupError:
            problems.append(f"encoding: {self.encoding!r} is unknown")
        return problems

    def form_of(self, column: str) -> str:
        """How the dates of a column are written."""
        return self.dates_of.get(column, self.dates)

    def table(self) -> dict[str, Any]:
        """The keys that a recipe needs: those that differ from their defaults."""
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        differs = {key: value for key, value in settings.items() if value != defaults()[key]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in differs.items()}


WORDS = {
    str: "a text", int: "a whole number", bool: "true or false", tuple: "a list of texts",
    dict: "a table of column = form",
}  # fmt: skip


def defaults() -> dict[str, Any]:
    return {
        setting.name: {} if setting.default is MISSING else setting.default  # only `dates_of` is made anew each time
        for setting in fields(Reading)
    }


def reading_from(table: Mapping[str, Any]) -> Reading:
    """The reading of a recipe's key `read`. Raises `BadLoansFile` with all problems."""
    if unknown := sorted(table.keys() - defaults().keys()):
        raise BadLoansFile(f"read: {', '.join(unknown)} means nothing here; known: {', '.join(defaults())}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Reading(**values)


def sha256(file: Path) -> str:
    """The file's digest, in hex digits."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadLoansFile(f"{file}: {error.strerror}") from None


def read_loans(file: Path, reading: Reading) -> pd.DataFrame:
    """All columns as texts without blanks around them, NaN where a cell is missing; `numbers` of
    `models.loans_cells` and `dates` of `models.loans_dates` say what they mean.

    A repeated name becomes `name (2)`. Lines with another number of cells than the header are left out, and so are
    those that repeat it in every cell; `frame.attrs` counts both.
    """
    try:
        if reading.format == PARQUET:
            table, uneven = parquet_table(file), 0
        elif reading.format == EXCEL:
            table, uneven = excel_table(file, reading), 0
        else:
            table, uneven = csv_table(file, reading)
    except OSError as error:
        raise BadLoansFile(f"{file}: {error.strerror or 'cannot be read'}") from None
    except (UnicodeError, csv.Error) as error:
        raise BadLoansFile(f"{file} cannot be read with encoding {reading.encoding}: {type(error).__name__}") from None
    except (pa.ArrowInvalid, python_calamine.CalamineError, BadZipFile, ExpatError):
        raise BadLoansFile(f"{file} cannot be read as {reading.format}") from None
    missing = pa.array(reading.missing, pa.string())
    columns = [pc.utf8_trim_whitespace(column) for column in table.columns]
    stated = [pc.if_else(pc.is_in(column, missing), pa.scalar(None, pa.string()), column) for column in columns]
    frame: pd.DataFrame = pa.table(stated, names=list(table.column_names)).to_pandas()
    again = header_again(frame) if reading.header and reading.format != PARQUET else np.zeros(len(frame), bool)
    if again.any():
        frame = frame[~again].reset_index(drop=True)
    frame.attrs |= {UNEVEN: uneven, HEADERS: int(again.sum())}
    return frame


def header_again(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which lines have each column's name in its cell."""
    again = np.ones(len(frame), bool)
    for name in frame:
        again &= (frame[name] == name).to_numpy(bool, na_value=False)
    return again


# --- CSV


def csv_text(file: Path, reading: Reading) -> str:
    """The text of a CSV with the oddities of its lines removed, from the header on."""
    text = file.read_bytes().decode(reading.encoding).replace("\r\n", "\n").replace("\r", "\n")
    if not (reading.skip or reading.skip_end or reading.quoted_lines or reading.separator == " "):
        return text
    lines = text.rstrip().split("\n")[reading.skip :]
    lines = lines[: len(lines) - reading.skip_end]
    if reading.quoted_lines:
        lines = [without_quotes(line, reading.separator) for line in lines]
    if reading.separator == " ":
        lines = [" ".join(line.split()) for line in lines]
    return "\n".join(lines) + "\n"


def without_quotes(line: str, separator: str) -> str:
    """A line that is quoted as a whole, without the quotes."""
    if line.startswith('"') and line.endswith('"') and separator in line:
        cells = next(csv.reader([line], delimiter=separator))
        if len(cells) == 1:
            return cells[0]
    return line


def csv_table(file: Path, reading: Reading) -> tuple[pa.Table, int]:
    """The cells as texts, and how many lines have another number of them than the header."""
    text = csv_text(file, reading)
    names, start = header_of(text, reading)
    uneven = 0

    def left_out(_: object) -> str:
        nonlocal uneven
        uneven += 1
        return "skip"

    table = pyarrow.csv.read_csv(
        io.BytesIO(text[start:].encode("utf-8", "surrogatepass")),
        pyarrow.csv.ReadOptions(column_names=names, block_size=1 << 24, use_threads=False),
        pyarrow.csv.ParseOptions(
            delimiter=reading.separator, newlines_in_values='"' in text, invalid_row_handler=left_out
        ),
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    return table, uneven


def header_of(text: str, reading: Reading) -> tuple[list[str], int]:
    """The names of the columns, and where in the text the loans begin."""
    stream = io.StringIO(text)
    first = next(csv.reader(stream, delimiter=reading.separator), None)
    if first is None:
        raise BadLoansFile("the file is empty")
    return column_names(first, reading), stream.tell() if reading.header else 0


def column_names(first: Sequence[str], reading: Reading) -> list[str]:
    """The columns' names, each once, from the first record."""
    if not reading.header:
        return [f"column_{number}" for number in range(1, len(first) + 1)]
    names = [name.strip() for name in first]
    if reading.unnamed:
        names.insert(0 if reading.unnamed == "first" else len(names), "")
    unique: list[str] = []
    for index, name in enumerate(names):
        tried, times = name, 1
        while tried in unique or (times > 1 and tried in names[index:]):
            times += 1
            tried = f"{name} ({times})".strip()
        unique.append(tried)
    return unique


# --- Excel and Parquet


def excel_table(file: Path, reading: Reading) -> pa.Table:
    """A sheet's cells as texts, numbers with the reading's decimal sign."""
    with python_calamine.CalamineWorkbook.from_path(file) as book:
        if reading.sheet not in book.sheet_names:
            raise BadLoansFile(f"{file}: no sheet {reading.sheet!r}; there are {', '.join(book.sheet_names)}")
        check_merged(file, book.get_sheet_by_name(reading.sheet), reading)
        lost = left_out(file, reading.sheet)
        check_computed(file, lost)
        rows = [row for row in excel_rows(book, reading.sheet, lost)[reading.skip :] if any(cell != "" for cell in row)]
    rows = rows[: len(rows) - reading.skip_end]
    if not rows:
        raise BadLoansFile(f"{file}: sheet {reading.sheet!r} is empty")
    names = column_names([excel_text(cell, ".") for cell in rows[0]], reading)
    body = rows[1:] if reading.header else rows
    columns = zip(*body, strict=True) if body else [()] * len(names)
    texts = [pa.array([excel_text(cell, reading.decimal) for cell in column], pa.string()) for column in columns]
    return pa.table(texts, names=names)


def check_merged(file: Path, sheet: python_calamine.CalamineSheet, reading: Reading) -> None:
    """Merged cells hold a value in their first cell alone: the other loans would have none. Those of titles, of names
    and of totals do no harm. Raises `BadLoansFile`."""
    last = (sheet.end or (0, 0))[0] - reading.skip_end
    first = (sheet.start or (0, 0))[0] + reading.skip + reading.header
    for place in merged_within(sheet, first, last):
        raise BadLoansFile(
            f"{file}: the cells {place} are merged, so that only the first of them has a value: unmerge, and fill them"
        )


def check_computed(file: Path, lost: LeftOut) -> None:
    """A formula without its value would be read as an empty cell. Raises `BadLoansFile`."""
    if lost.formula is not None:
        raise BadLoansFile(f"{file}: cell {place_name(*lost.formula)} holds a formula {WITHOUT_VALUE}")


def left_out(file: Path, sheet: str) -> LeftOut:
    """What the reader of workbooks leaves out of a sheet; nothing is known of kinds that are no XML."""
    if file.suffix.lower() not in (".xlsx", ".xlsm"):
        return LeftOut()
    try:
        with file.open("rb") as stream:
            return cells_left_out(stream, sheet)
    except (KeyError, ValueError) as error:
        raise BadLoansFile(f"{file} is not a workbook that can be read: {error}") from None


def excel_rows(book: python_calamine.CalamineWorkbook, name: str, lost: LeftOut) -> list[list[Any]]:
    """The rows of a sheet from its first used cell on, all of one length; errors, which the reader of workbooks has
    `lost`, as the texts that the sheet shows."""
    sheet = book.get_sheet_by_name(name)
    rows: list[list[Any]] = sheet.to_python()
    first_row, first_column = sheet.start or (0, 0)
    for (row, column), text in lost.errors.items():
        rows[row - first_row][column - first_column] = text
    return rows


def excel_text(cell: object, decimal: str) -> str:
    """A typed cell as the text that a CSV would have; of a moment its day."""
    return cell_text(cell.date() if isinstance(cell, datetime) else cell, decimal)


def parquet_table(file: Path) -> pa.Table:
    """All columns as texts; whole numbers without a point, days as 2026-01-31."""
    table = pyarrow.parquet.read_table(file)
    texts = [parquet_texts(column.combine_chunks()) for column in table.columns]
    return pa.table(texts, names=column_names(table.column_names, Reading()))


def parquet_texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return parquet_texts(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.date32(), safe=False).cast(pa.string())
    if pa.types.is_floating(kind):
        stated = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        is_whole = pc.all(pc.and_(pc.equal(stated, pc.trunc(stated)), pc.less(pc.abs(stated), 2.0**53))).as_py()
        return (stated.cast(pa.int64()) if is_whole else stated).cast(pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return column.cast(pa.string())
