"""Workbooks (XLSX): one sheet in, with the rows' numbers as the spreadsheet shows them.

A cell is read as what is stored, not as it is shown: 75 % is stored as 0.75.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import islice
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa

from inference.application import Form
from inference.book.columns import raw_answer
from inference.book.errors import BadBook
from inference.book.pieces import (
    LANGUAGES,
    ROWS_A_BATCH,
    Part,
    Piece,
    Told,
    check_columns,
    cut_pieces,
    digest_of,
    opened,
)
from inference.book.sheet_xml import WITHOUT_VALUE, cells_left_out
from inference.extras import extra
from inference.fields import AnswerRefused, NumberField
from inference.numbers import DECIMAL

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

TRIED = 1000  # rows that the decimal mark is found out from
Cell = object


class WorkbookSource:
    """One sheet of a workbook, whose first row that is not empty is the header."""

    def __init__(self, path: str, form: Form, mapping: Mapping[str, str], options: Told) -> None:
        if options.separator or options.encoding:
            raise BadBook(f"{path}: a workbook has no separator and no encoding")
        self._path, self._name, self.rows_a_part = path, path.rpartition("/")[2], options.rows_a_part
        sheet = self._sheet(options.sheet)
        rows = numbered_rows(sheet, self._errors)
        number, header = next(rows, (0, []))
        if not number:
            raise BadBook(f"{path}: sheet {self.sheet!r} is empty")
        self._names = [cell_text(cell) for cell in header]
        while self._names and not self._names[-1]:
            self._names.pop()
        if place := next(merged_within(sheet, number, 1 << 20), None):
            raise BadBook(
                f"{path}: the cells {place} are merged, so that only the first of them has a value: unmerge them"
            )
        self.schema = pa.schema([(name, pa.string()) for name in self._names])
        check_columns(path, self.schema, form, mapping)
        numeric = [field for field in form.fields if isinstance(field, NumberField)]
        self._numbers = {mapping.get(field.name, field.name): field for field in numeric}
        self.rows: int | None = None
        self._open = sheet
        self.language = LANGUAGES[options.decimal] if options.decimal else self._language(islice(rows, TRIED))

    def _sheet(self, wanted: str | None) -> "CalamineSheet":
        with extra("book"):
            import python_calamine
        try:
            with opened(self._path) as stream:
                book = python_calamine.CalamineWorkbook.from_filelike(stream)
                names = book.sheet_names
                if wanted is None and len(names) == 1:
                    wanted = names[0]
                if wanted not in names:
                    listed = ", ".join(map(repr, names))
                    problem = f"there is no sheet {wanted!r}" if wanted else "it has several sheets"
                    raise BadBook(f"{self._path}: {problem}: --sheet takes one of {listed}")
                self.sheet = wanted
                sheet = book.get_sheet_by_name(wanted)
                stream.seek(0)
                left_out = cells_left_out(stream, wanted)
        except (python_calamine.CalamineError, BadZipFile, ExpatError, KeyError, ValueError) as error:
            raise BadBook(f"{self._path} is not a workbook that can be read: {error}") from None
        if left_out.formula is not None:
            raise BadBook(f"{self._path}: cell {place_name(*left_out.formula)} holds a formula {WITHOUT_VALUE}")
        self._errors = left_out.errors
        return sheet

    def _language(self, rows: Iterator[tuple[int, list[Cell]]]) -> str:
        """English unless French refuses fewer of the numbers that are texts."""
        refused = dict.fromkeys(DECIMAL, 0)
        places = [(self._names.index(name), field) for name, field in self._numbers.items()]
        for _, cells in rows:
            for place, field in places:
                cell = cells[place] if place < len(cells) else ""
                for language in refused if isinstance(cell, str) and cell else ():
                    try:
                        field.parse(raw_answer(field, cell, language))
                    except AnswerRefused:
                        refused[language] += 1
        return "fr" if refused["fr"] < refused["en"] else "en"

    def reading(self) -> dict[str, object]:
        return {"format": "xlsx", "sheet": self.sheet, "decimal": DECIMAL[self.language]}

    def files(self) -> list[dict[str, object]]:
        return [digest_of(self._path)]

    def parts(self, done: Collection[int]) -> Iterator[Part]:
        return cut_pieces(self._pieces(), self.rows_a_part, self._piece([]), done)

    def _pieces(self) -> Iterator[Piece]:
        rows = numbered_rows(self._open, self._errors)
        next(rows)  # the header
        while some := list(islice(rows, ROWS_A_BATCH)):
            yield self._piece(some)

    def _piece(self, rows: Sequence[tuple[int, list[Cell]]]) -> Piece:
        width = len(self._names)
        for number, cells in rows:
            if any(cell != "" for cell in cells[width:]):
                raise BadBook(f"{self._path}: row {number:,} has a value in a column without a name")
        columns = [
            self._column(name, [cells[place] if place < len(cells) else "" for _, cells in rows])
            for place, name in enumerate(self._names)
        ]
        numbers = np.array([number for number, _ in rows], np.int64)
        return Piece(self._name, pa.record_batch(columns, names=self._names), numbers)

    def _column(self, name: str, cells: Sequence[Cell]) -> pa.Array:
        """Texts; numbers where a field asks for numbers and all cells are some."""
        field = self._numbers.get(name)
        if field is None:
            return pa.array([None if cell == "" else cell_text(cell) for cell in cells], pa.string())
        if all(cell == "" or type(cell) in (int, float) for cell in cells):
            return pa.array([None if cell == "" else float(cell) for cell in cells], pa.float64())  # type: ignore[arg-type]
        return pa.array([None if cell == "" else self._number_text(field, cell) for cell in cells], pa.string())

    def _number_text(self, field: NumberField, cell: Cell) -> str:
        """A number beside texts as a text that means the same."""
        if type(cell) in (int, float):
            return field.write(float(cell), self.language)  # type: ignore[arg-type]
        return cell_text(cell)


def merged_within(sheet: "CalamineSheet", first: int, last: int) -> Iterator[str]:
    """The ranges of merged cells that begin in these rows, counted from 0, as a spreadsheet names them: A5:A9."""
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if first <= top <= last:
            yield f"{place_name(top, left)}:{place_name(bottom, right)}"


def letters(place: int) -> str:
    """A column's letters by its place: A, …, Z, AA, …"""
    return (letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def place_name(row: int, column: int) -> str:
    """A cell as a spreadsheet names it: E3."""
    return f"{letters(column)}{row + 1}"


def numbered_rows(sheet: "CalamineSheet", errors: Mapping[tuple[int, int], str]) -> Iterator[tuple[int, list[Cell]]]:
    """The rows that hold anything, with their numbers in the spreadsheet; errors as the texts that it shows."""
    rows: Iterator[list[Cell]] = sheet.iter_rows()  # type: ignore[assignment]  # lists are invariant
    first = (sheet.start or (0, 0))[1]
    by_row: dict[int, list[tuple[int, str]]] = {}
    for (row, column), text in errors.items():
        by_row.setdefault(row + 1, []).append((column - first, text))
    for number, cells in enumerate(rows, 1):
        for column, text in by_row.get(number, ()):
            cells[column] = text
        if any(cell != "" for cell in cells):
            yield number, cells


def cell_text(cell: Cell, decimal: str = ".") -> str:
    """A typed cell as the text that a CSV would have."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell).replace(".", decimal)
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    return cell.isoformat() if isinstance(cell, date) else str(cell)
