"""How a file of past loans is written: encoding, separator, header, totals, decimal sign, what means "missing".

`detect(file)` returns the reading that a recipe keeps, what was noticed, and what the file leaves open.
"""

import csv
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import python_calamine

from models.loans_cells import SPACES, numbers
from models.loans_file import (
    CSV,
    EXCEL,
    HEADERS,
    PARQUET,
    UNEVEN,
    BadLoansFile,
    Reading,
    column_names,
    excel_rows,
    excel_text,
    left_out,
    read_loans,
    without_quotes,
)  # fmt: skip

# In the order in which they are tried: a comma or a blank is often part of a cell, a tab hardly ever.
SEPARATORS = ("\t", ";", "|", "\x1f", "~", "^", ",", " ")
SAMPLE = 1_000  # lines that decide on separator and header
STEADY = 0.9  # share of the lines with the same number of cells if the separator is the right one
# Texts that mean "missing" in any column …
MISSING = {
    "", "na", "n/a", "#n/a", "n.a.", "n. a.", "nan", "null", "<na>", "nat", "-", "--", "–", "—", ".", "..", "?", "n/c",
    "k.a.", "k. a.", "k/a", "n.d.", "n/d", "s/o", "s/d", "#null!", "#div/0!", "#ref!", "#value!", "#wert!",
    "#valeur!", "#nv", "#bezug!", "(null)", "\\n",
}  # fmt: skip
# … and texts that can also be an answer: they mean "missing" only among numbers.
MISSING_AMONG_NUMBERS = {
    "nc", "nd", "sd", "none", "missing", "unknown", "not available", "not stated", "not known", "keine angabe",
    "ohne angabe", "unbekannt",
    "inconnu", "non communiqué", "non renseigné", "sans objet", "desconocido", "sin dato", "sin datos", "no consta",
    "sconosciuto", "non disponibile", "desconhecido", "não informado", "xna", "x", "*", "**", "***",
}  # fmt: skip
TOTAL = re.compile(
    r"(grand )?(totals?|sum|summe|gesamt(summe)?|insgesamt|totaux|somme|suma|totale|soma)\b", re.IGNORECASE
)
# Numbers that only one decimal sign allows.
ONLY = {
    ",": re.compile(r"[-−]?(0,\d+|\d+,(\d{1,2}|\d{4,})|\d{1,3}([.\s'’]\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})"),
    ".": re.compile(r"[-−]?(0?\.\d+|\d+\.(\d{1,2}|\d{4,})|\d{1,3}([,\s'’]\d{3})+\.\d+|\d{1,3}(,\d{3}){2,}"
                    r"|\d+\.\d+e-?\d+)"),
}  # fmt: skip
EITHER = {",": re.compile(r"[-−]?\d{1,3},\d{3}"), ".": re.compile(r"[-−]?\d{1,3}\.\d{3}")}
AROUND = re.compile(rf"^[{SPACES}$€£]+|[{SPACES}$€£%]+$")


class Detection(NamedTuple):
    """How a file is written, as far as its content shows."""

    reading: Reading
    notes: tuple[str, ...]  # what was noticed, for the analyst
    decimal_evidence: str  # why the decimal sign is in doubt; "" if it is not
    frame: pd.DataFrame  # the loans by this reading


def detect(file: Path) -> Detection:
    """Find the reading of a file, and read it. Raises `BadLoansFile` for a file that holds no table."""
    start = beginning(file)
    if start.startswith(b"PAR1"):
        reading, notes = Reading(format=PARQUET), ["Parquet"]
    elif is_workbook(file, start):
        reading, notes = workbook(file)
    elif start[:2] in (b"\x1f\x8b", b"PK"):
        raise BadLoansFile(f"{file} is compressed: unpack it first")
    else:
        reading, notes = text_file(file)
    raw = read_loans(file, reading)
    if raw.empty or raw.shape[1] < 2:
        raise BadLoansFile(f"{file}: expected a table with several columns and one loan per line")
    decimal, evidence = decimal_sign(raw, reading)
    reading = replace(reading, decimal=decimal)
    missing = missing_texts(raw, decimal)
    reading = replace(reading, missing=("", *missing))
    # A workbook's numbers are written with the decimal sign, so it is read again; otherwise missing cells are blanked.
    frame = read_loans(file, reading) if reading.format == EXCEL else raw.mask(raw.isin(list(missing)))
    notes.append(f"decimal sign {decimal!r}" + (" (in doubt)" if evidence else ""))
    if missing:
        notes.append("taken as not stated: " + ", ".join(repr(text) for text in missing))
    if again := raw.attrs[HEADERS]:
        notes.append(f"lines that repeat the header: {again:,}, left out")
    if uneven := raw.attrs[UNEVEN]:
        notes.append(f"lines with another number of cells than the header: {uneven:,}, left out")
    if repeated := int(frame.duplicated().sum()):
        notes.append(
            f"{repeated:,} loans are the same as an earlier one in every column: where they are one loan twice, it is "
            "on both sides of a split, and all figures flatter"
        )
    notes += [f"column {name[: name.rindex(' (')]!r} is repeated: renamed {name!r}" for name in doubled(frame.columns)]
    return Detection(reading, tuple(notes), evidence, frame)


def beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(4096)
    except OSError as error:
        raise BadLoansFile(f"{file}: {error.strerror}") from None


def doubled(names: Sequence[str]) -> list[str]:
    """Names that `column_names` made for repeated names."""
    matches = [(name, re.fullmatch(r"(.*) \((\d+)\)", name)) for name in names]
    return [name for name, again in matches if again and again[1] in names]


# --- workbooks


def is_workbook(file: Path, start: bytes) -> bool:
    if start.startswith(b"\xd0\xcf\x11\xe0"):  # Excel 97
        return True
    if not start.startswith(b"PK") or not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as parts:
        return any(name.startswith(("xl/", "content.xml")) for name in parts.namelist())


def workbook(file: Path) -> tuple[Reading, list[str]]:
    """The sheet with most cells, and the position of its header."""
    try:
        with python_calamine.CalamineWorkbook.from_path(file) as book:
            sheets = {name: excel_rows(book, name, left_out(file, name)) for name in book.sheet_names}
    except (python_calamine.CalamineError, OSError):
        raise BadLoansFile(f"{file} cannot be opened as a workbook") from None
    sheet = max(sheets, key=lambda name: sum(sum(cell != "" for cell in row) for row in sheets[name]), default="")
    if not sheet or not sheets[sheet]:
        raise BadLoansFile(f"{file}: no sheet holds a table")
    notes = [f"workbook, sheet {sheet!r}" + (f" of {', '.join(map(repr, sheets))}" if len(sheets) > 1 else "")]
    rows = [[excel_text(cell, ".") for cell in row] for row in sheets[sheet]]
    return placed(Reading(format=EXCEL, sheet=sheet), rows[:SAMPLE], [row for row in rows if any(row)][-5:], notes)


# --- text


def text_file(file: Path) -> tuple[Reading, list[str]]:
    raw = file.read_bytes()
    encoding = encoding_of(raw)
    text = raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not text:
        raise BadLoansFile(f"{file} is empty")
    lines = text.split("\n")
    separator = separator_of(lines[:SAMPLE])
    quoted = sum(without_quotes(line, separator) != line for line in lines)
    notes = [f"encoding {encoding}", f"separator {separator!r}"]
    if quoted:
        notes.append(f"{quoted:,} lines are quoted as a whole: read without the quotes")
    reading = Reading(format=CSV, encoding=encoding, separator=separator, quoted_lines=quoted > 0)
    rows = cells_of([without_quotes(line, separator) for line in lines[:SAMPLE]], separator)
    end = cells_of([line for line in lines[-20:] if line.strip()][-5:], separator)
    return placed(reading, rows, end, notes)


def encoding_of(raw: bytes) -> str:
    """By its byte order mark, by the zeros of UTF-16, as strict UTF-8, else as Windows-1252."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return name
    sample = np.frombuffer(raw[:4096], np.uint8)
    if len(sample) >= 4:
        even, odd = float((sample[::2] == 0).mean()), float((sample[1::2] == 0).mean())
        if max(even, odd) > 0.3:
            return "utf-16-le" if odd > even else "utf-16-be"
    for name in ("utf-8", "cp1252"):
        try:
            raw.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "latin-1"


def cells_of(lines: Sequence[str], separator: str) -> list[list[str]]:
    """The cells of lines, an empty list for a blank line."""
    if separator == " ":
        lines = [" ".join(line.split()) for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def separator_of(lines: Sequence[str]) -> str:
    """The first candidate that cuts nearly all lines, the header too, into the same number of cells, two or more."""
    best, most = ",", 0.0
    for separator in SEPARATORS:
        rows = [row for row in cells_of([without_quotes(line, separator) for line in lines], separator) if row]
        widths = Counter(map(len, rows))
        width, times = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
        if width < 2:
            continue
        steady = times / len(rows)
        headed = any(abs(len(row) - width) <= 1 for row in rows[:10] if sum(map(is_number, row)) <= 0.3 * len(row))
        numeric = all(sum(map(is_number, row)) > 0.3 * width for row in rows[:10])
        if steady >= STEADY and (headed or numeric):
            return separator
        if steady * min(width, 40) > most:
            best, most = separator, steady * min(width, 40)
    return best


def is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+−]?[\d.,\s\u00a0\u202f]*\d[\d.,]*\s*[%€$£]?", cell.strip()))


# --- where the table begins and ends, in text and workbooks alike


def placed(
    reading: Reading, rows: list[list[str]], end: list[list[str]], notes: list[str]
) -> tuple[Reading, list[str]]:
    """The reading with its header, titles and totals found in the first rows and the last ones."""
    widths = Counter(len(row) for row in rows if row)
    width = max(widths, key=lambda separator: (widths[separator], separator))
    start = next(index for index, row in enumerate(rows) if is_head(row, width))
    body = [row for row in rows[start + 1 :] if len(row) == width]
    numeric = [column for column in range(width) if mostly_numbers([row[column] for row in body[1:] or body])]
    unnamed = ""
    if len(rows[start]) == width - 1:
        first, last = [row[0] for row in body], [row[-1] for row in body]
        keys = len(set(first)) == len(first) > 1 and any(last)
        unnamed = "first" if keys else "last"
    shift = 1 if unnamed == "first" else 0
    header = has_names(
        rows[start], body, [column - shift for column in numeric if 0 <= column - shift < len(rows[start])]
    )
    following = next((row for row in range(start + 1, len(rows)) if rows[row]), start)
    if header and len(numeric) >= 2 and names_again(rows[following], numeric, width):
        notes.append("two lines of names: the second is used")
        start = following
    if start:
        notes.append(f"{start} line{'s' * (start > 1)} above the header skipped")
    if not header:
        notes.append("no header: columns are numbered")
    totals = 0
    while totals < len(end) and any(TOTAL.match(cell.strip()) for cell in end[-1 - totals]):
        totals += 1
    if totals:
        notes.append(f"{totals} line{'s' * (totals > 1)} of totals at the end left out")
    if unnamed:
        notes.append("the header is one name short: " + ("the first" if shift else "the last") + " column has none")
    column_names(rows[start], reading)
    return replace(reading, skip=start, header=header, unnamed=unnamed, skip_end=totals), notes


def names_again(row: Sequence[str], numeric: Sequence[int], width: int) -> bool:
    """Whether a row below the header names the columns too: all cells filled, and no number over numbers."""
    return filled(row) > 0.7 * width and not any(is_number(row[column]) for column in numeric if column < len(row))


def filled(row: Sequence[str]) -> int:
    return sum(cell.strip() != "" for cell in row)


def is_head(row: Sequence[str], width: int) -> bool:
    """Whether a row can be the first of the table: as wide as it, and not a title in a corner."""
    return width - 1 <= len(row) <= width and filled(row) >= max(1, 0.7 * (width - 1))


def mostly_numbers(cells: Sequence[str]) -> bool:
    stated = [cell for cell in cells if cell.strip().lower() not in MISSING]
    return len(stated) > 0 and sum(map(is_number, stated)) > 0.8 * len(stated)


def has_names(first: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[int]) -> bool:
    """Whether the first row names the columns: no numbers above numbers, no answers that also appear below."""
    if numeric:
        return sum(is_number(first[column]) for column in numeric) < 0.5 * len(numeric)
    below = [
        any(row[column] == cell for row in body) for column, cell in enumerate(first) if body and column < len(body[0])
    ]
    return sum(below) < 0.5 * max(1, len(below))


# --- what the cells say together


def decimal_sign(frame: pd.DataFrame, reading: Reading) -> tuple[str, str]:
    """The decimal sign of all columns together, from numbers that allow only one; and why it is in doubt, or ""."""
    counts, either = Counter[str](), Counter[str]()
    for name in frame:
        distinct = frame[name].dropna().unique()[:500]
        cells = [AROUND.sub("", text) for text in distinct]
        for sign in (",", "."):
            counts[sign] += sum(bool(ONLY[sign].fullmatch(cell)) for cell in cells)
            either[sign] += sum(bool(EITHER[sign].fullmatch(cell)) for cell in cells)
    comma, point = counts[","], counts["."]
    if comma or point:
        sign, grouping = (",", ".") if comma > point else (".", ",")
        if counts[grouping] > 0.02 * counts[sign] and reading.format == CSV:
            return (
                sign,
                f"{counts[sign]:,} numbers can only be read with {sign!r}, but {counts[grouping]:,} only with "
                f"{grouping!r}",
            )
        return sign, ""
    if either[","] or either["."]:
        # Only numbers such as 1,234: groups of thousands are likelier, since a share of just three places is rare.
        mark = max(either, key=lambda sign: either[sign])
        sign = "." if mark == "," else ","
        return sign, f"every {mark!r} comes before three digits: it may group thousands or be the decimal sign"
    return ("," if reading.separator == ";" and reading.format == CSV else "."), ""


def missing_texts(frame: pd.DataFrame, decimal: str) -> list[str]:
    """The cells that mean "missing", as they are written."""
    missing: dict[str, None] = {}
    for name in frame:
        counts = frame[name].value_counts()
        texts = counts.index.tolist()
        missing |= dict.fromkeys(text for text in texts if text.lower() in MISSING)
        soft = [text for text in texts if text.lower() in MISSING_AMONG_NUMBERS]
        if soft and numbers(pd.Series(texts), decimal).unread.mean() < 1:
            others = counts[[text for text in texts if text not in soft and text.lower() not in MISSING]]
            is_number = ~numbers(pd.Series(others.index), decimal).unread
            if others.to_numpy()[is_number].sum() > 0.9 * others.sum():
                missing |= dict.fromkeys(soft)
    return list(missing)
