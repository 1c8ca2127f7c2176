"""What the reader of workbooks leaves out of a sheet, as if the cells were empty: errors, and formulas without a value.

A program that is no spreadsheet writes formulas without their values, or with values that a spreadsheet has to compute
when it opens the file.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat
from zipfile import ZipFile

# Most sheets have neither, and are not parsed twice.
DOUBTFUL = re.compile(rb"""\st\s*=\s*["']e["']|<(\w+:)?f[\s/>]|\A\xff\xfe|\A\xfe\xff""")
OVERLAP = 64  # bytes: a tag's name, or an attribute
CHUNK = 1 << 20
WITHOUT_VALUE = "of which the file does not hold the value: open it in a spreadsheet program and save it"


@dataclass(slots=True)
class LeftOut:
    """Cells by row and column, counted from 0."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)  # "#N/A" and the like
    formula: tuple[int, int] | None = None  # the first without a value


class SheetParser:
    """Finds such cells in a sheet's XML (ECMA-376, part 1, 18.3.1), whatever prefix its names have."""

    def __init__(self, *, formulas_are_stale: bool) -> None:
        self.left_out = LeftOut()
        self._stale = formulas_are_stale
        self._row = self._column = -1
        self._kind: str | None = None
        self._has_formula = self._in_value = False
        self._value: str | None = None
        self.expat = expat.ParserCreate()
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match local(name):
            case "row":
                self._row, self._column = int(attributes.get("r", self._row + 2)) - 1, -1
            case "c":
                self._column = column_of(attributes["r"]) if "r" in attributes else self._column + 1
                self._kind, self._value, self._has_formula = attributes.get("t"), None, False
            case "f":
                self._has_formula = True
            case "v":
                self._value, self._in_value = "", True

    def _text(self, text: str) -> None:
        if self._in_value and self._value is not None:
            self._value += text

    def _end(self, name: str) -> None:
        match local(name):
            case "v":
                self._in_value = False
            case "c":
                place = self._row, self._column
                # A text that a formula makes may be empty.
                has_value = self._value is not None if self._kind == "str" else bool(self._value)
                if self._has_formula and (self._stale or not has_value) and self.left_out.formula is None:
                    self.left_out.formula = place
                if self._kind == "e" and self._value:  # without one the cell is empty, and may lie outside of all rows
                    self.left_out.errors[place] = self._value


def cells_left_out(stream: BinaryIO, sheet: str) -> LeftOut:
    """Of the sheet of this name. Raises `KeyError`, `ValueError`, `ExpatError` or `BadZipFile` for other files."""
    with ZipFile(stream) as book:
        if min(entry.header_offset for entry in book.infolist()):
            raise ValueError("something stands before the workbook, as when one file is written after another")
        content, stale = sheet_file(book, sheet)
        if not is_doubtful(book, content):
            return LeftOut()
        parser = SheetParser(formulas_are_stale=stale)
        with book.open(content) as xml:
            parser.expat.ParseFile(xml)
    return parser.left_out


def is_doubtful(book: ZipFile, content: str) -> bool:
    """Whether a sheet may hold formulas or errors."""
    with book.open(content) as xml:
        before = b""
        while chunk := xml.read(CHUNK):
            if DOUBTFUL.search(before + chunk):
                return True
            before = chunk[-OVERLAP:]
    return False


def sheet_file(book: ZipFile, sheet: str) -> tuple[str, bool]:
    """The file of a sheet in the archive, and whether formulas are to be computed when the workbook is opened."""
    workbook = ElementTree.fromstring(book.read("xl/workbook.xml"))  # noqa: S314 - expat bounds what entities become
    links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    stale = any(
        local(element.tag) == "calcPr" and element.get("fullCalcOnLoad") in ("1", "true") for element in workbook.iter()
    )
    (id,) = [
        value
        for element in workbook.iter()
        if local(element.tag) == "sheet" and element.get("name") == sheet
        for name, value in element.attrib.items()
        if name.endswith("}id")
    ]
    target = next(link.get("Target", "") for link in links.iter() if link.get("Id") == id)
    return str(PurePosixPath("xl") / target).lstrip("/"), stale


def local(name: str) -> str:
    """A name without its namespace or prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]


def column_of(reference: str) -> int:
    """Of a cell's reference the column, counted from 0: 27 for AB7."""
    column = 0
    for letter in reference.upper():
        if not "A" <= letter <= "Z":
            break
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1
