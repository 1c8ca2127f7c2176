"""Writes workbooks (XLSX) of one sheet, row by row, to a file or as bytes to be sent. Needs no package.

A whole number beyond 15 digits is written as text, since spreadsheets would round it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from inference.book.errors import BookStopped

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 1_048_576  # of a sheet, its header among them
LONGEST_TEXT = 32_767  # characters of a cell
EXACT = 10**15  # from here on a spreadsheet rounds whole numbers
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
NAME = "NAME OF THE SHEET"
AROUND = {  # the files of a workbook beside its sheet: ECMA-376, part 1
    "[Content_Types].xml": (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        f'package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sheet.xml" ContentType="{TYPES}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="book" Type="{LINKS}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets><sheet name="{NAME}" sheetId="1" r:id="sheet"/></sheets>'
        "</workbook>"
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="sheet" Type="{LINKS}/worksheet" '
        'Target="sheet.xml"/></Relationships>'
    ),
}
UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")


class Pieces:
    """What is written to it, until it is taken: a file that cannot seek, as a response cannot."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, some: bytes) -> int:
        self._written += some
        return len(some)

    def flush(self) -> None:
        """Nothing waits: what was written can be taken."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class SheetWriter:
    """Rows, or batches of them, written one after another; two runs write the same bytes."""

    def __init__(self, file: Path | Pieces, book: ZipFile, names: Sequence[str]) -> None:
        self._file, self._number = file if isinstance(file, Path) else "The workbook", 0
        # Sizes in the 64-bit form after the content, as in a file that is sent, are not read by every program.
        self._stream = book.open(entry("xl/sheet.xml"), "w", force_zip64=isinstance(file, Path))
        self._stream.write(f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}"><sheetData>'.encode())
        self.line(list(names))

    def write(self, batch: "pa.RecordBatch") -> None:
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            self.line(row)

    def close(self) -> None:
        self._stream.write(b"</sheetData></worksheet>")
        self._stream.close()

    def line(self, row: Sequence[object]) -> None:
        """Write one row. Raises `BookStopped` if the sheet is full."""
        self._number += 1
        if self._number > MOST_ROWS:
            raise BookStopped(f"{self._file}: a sheet holds {MOST_ROWS:,} rows: name a .csv or .parquet file")
        cells = "".join(cell_xml(value, self._number) for value in row)
        self._stream.write(f'<row r="{self._number}">{cells}</row>'.encode())


@contextmanager
def sheet_writer(file: Path | Pieces, names: Sequence[str], sheet: str = "scores") -> Iterator[SheetWriter]:
    """Writes a workbook of one sheet with a header."""
    with ZipFile(file if isinstance(file, Path) else cast(IO[bytes], file), "w", ZIP_DEFLATED) as book:
        for name, text in AROUND.items():
            content = text.replace(NAME, sheet)
            book.writestr(entry(name), '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + content)
        writer = SheetWriter(file, book, names)
        try:
            yield writer
        finally:  # an archive cannot be closed while a file in it is open
            writer.close()


def entry(name: str) -> ZipInfo:
    """A file of the archive, without the time at which it is written."""
    info = ZipInfo(name)
    info.compress_type = ZIP_DEFLATED
    return info


def cell_xml(value: object, row: int) -> str:
    """A cell after the one before it. Numbers keep all digits; texts are never formulas."""
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float) and abs(value) < EXACT:  # neither infinite nor NaN
        return f"<c><v>{value!r}</v></c>"
    text = value.isoformat() if isinstance(value, date | time) else str(value)
    if len(text) > LONGEST_TEXT:
        raise BookStopped(
            f"row {row:,}: a cell of a workbook holds {LONGEST_TEXT:,} characters, this one {len(text):,}"
        )
    # What XML cannot hold is written as _x0007_; so must be a text that looks like that.
    safe = UNWRITABLE.sub(lambda match: f"_x{ord(match[0][0]):04X}_{match[0][1:]}", text)
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(safe)}</t></is></c>'
