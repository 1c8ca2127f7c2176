"""Excel workbooks for tests: the least that the format (ECMA-376) asks for, written without a library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
PARTS = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def sheet_of(rows: Sequence[Mapping[str, object]]) -> list[list[object]]:
    """Rows as the cells of a sheet, under their header."""
    return [list(rows[0]), *(["" if value is None else value for value in row.values()] for row in rows)]


def write_xlsx(file: Path, sheets: dict[str, list[list[object]]], merged: Sequence[str] = ()) -> None:
    """A workbook of texts, numbers and truth values; an empty text is an empty cell. `merged`: such as A5:A9."""
    joined = "".join(f'<mergeCell ref="{place}"/>' for place in merged)
    joined = f'<mergeCells count="{len(merged)}">{joined}</mergeCells>' if merged else ""
    names = list(sheets)
    with ZipFile(file, "w", ZIP_DEFLATED) as book:
        kinds = "".join(
            f'<Override PartName="/xl/sheet{at}.xml" ContentType="{PARTS}.worksheet+xml"/>' for at in range(len(names))
        )
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.'
            f'openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{PARTS}.sheet.main+xml"/>{kinds}</Types>',
        )
        book.writestr("_rels/.rels", relations({"book": ("officeDocument", "xl/workbook.xml")}))
        listed = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{at + 1}" r:id="s{at}"/>' for at, name in enumerate(names)
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{listed}</sheets></workbook>'
        )
        targets = {f"s{at}": ("worksheet", f"sheet{at}.xml") for at in range(len(names))}
        book.writestr("xl/_rels/workbook.xml.rels", relations(targets))
        for at, rows in enumerate(sheets.values()):
            lines = "".join(f'<row r="{number}">{cells(row, number)}</row>' for number, row in enumerate(rows, 1))
            book.writestr(
                f"xl/sheet{at}.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData>{joined}</worksheet>'
            )


def relations(targets: dict[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{LINKS}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'


def cells(row: list[object], number: int) -> str:
    """Cells of one row."""
    return "".join(cell(value, f"{letters(at)}{number}") for at, value in enumerate(row) if value != "")


def cell(value: object, place: str) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def letters(at: int) -> str:
    """A column's letters: A, …, Z, AA, …"""
    return (letters(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)
