"""Files of past loans are read as their reading says, whatever wrote them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from workbooks import write_xlsx

from models.loans_cells import number, numbers, unit
from models.loans_dates import dates, months
from models.loans_file import BadLoansFile, Reading, read_loans, reading_from, sha256


def texts_of(file: Path, **reading: object) -> dict[str, list[str | None]]:
    frame = read_loans(file, reading_from(reading))
    return {name: [None if pd.isna(one) else one for one in frame[name]] for name in frame}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    """The same cells come out of every encoding and every way to end a line."""
    file = tmp_path / "loans.csv"
    file.write_bytes(end.join(["Alter;Rückstände;Ort", "45;0;Köln", "40;;N/C", ""]).encode(encoding))
    read = texts_of(file, encoding=encoding, separator=";", missing=["", "N/C"])
    assert read == {"Alter": ["45", "40"], "Rückstände": ["0", None], "Ort": ["Köln", None]}


def test_titles_totals_and_names_that_come_twice(tmp_path: Path) -> None:
    """Lines above the header and at the end are skipped as told; a second column of a name keeps its own."""
    file = tmp_path / "loans.csv"
    file.write_text("Portfolio\n\nage;age;;\n1;2;3;4\n5;6;7;8\nSumme;;;9\n\n\n")
    assert texts_of(file, separator=";", skip=2, skip_end=1) == {
        "age": ["1", "5"], "age (2)": ["2", "6"], "": ["3", "7"], "(2)": ["4", "8"],
    }  # fmt: skip


def test_no_header(tmp_path: Path) -> None:
    """Columns without names are numbered, and the first line is a loan; runs of spaces separate once."""
    file = tmp_path / "loans.txt"
    file.write_text(" 1  55 a\n0 61   b\n")
    assert texts_of(file, separator=" ", header=False) == {
        "column_1": ["1", "0"], "column_2": ["55", "61"], "column_3": ["a", "b"],
    }  # fmt: skip


def test_a_header_one_name_short(tmp_path: Path) -> None:
    """R writes row names without a name of their own; other programs end each line with a separator."""
    file = tmp_path / "loans.txt"
    file.write_text('"age" "bad"\n"1" 45 0\n"2" 50 1\n')
    assert texts_of(file, separator=" ", unnamed="first") == {"": ["1", "2"], "age": ["45", "50"], "bad": ["0", "1"]}


def test_lines_quoted_as_a_whole(tmp_path: Path) -> None:
    """A line in quotes as a whole is read as the cells within; cells that need their quotes keep their meaning."""
    file = tmp_path / "loans.csv"
    file.write_text('id,job,bad\n1,"cook, chief",0\n"2,""cook, second"",1"\n')
    assert texts_of(file, quoted_lines=True)["job"] == ["cook, chief", "cook, second"]


def test_a_name_and_a_cell_with_a_line_end(tmp_path: Path) -> None:
    """A quoted line end ends no loan."""
    file = tmp_path / "loans.csv"
    file.write_text('"years in\njob",note\n3,"two\nlines"\n4,one\n')
    assert texts_of(file) == {"years in\njob": ["3", "4"], "note": ["two\nlines", "one"]}


def test_uneven_lines_are_counted(tmp_path: Path) -> None:
    """Lines with more or fewer cells than the header are left out, and said."""
    file = tmp_path / "loans.csv"
    file.write_text("a,b\n1,2\n3\n4,5,6\n7,8\n")
    frame = read_loans(file, Reading())
    assert frame["a"].tolist() == ["1", "7"]
    assert frame.attrs["uneven_lines"] == 2


def test_a_sheet(tmp_path: Path) -> None:
    """Typed cells become the texts that a CSV would have, with the reading's decimal sign."""
    file = tmp_path / "loans.xlsx"
    write_xlsx(file, {"Notes": [["x"]], "Loans": [["Bestand"], ["age", "rate", "bad"], [45, 0.5, "Ja"], [40, 12, ""]]})
    read = texts_of(file, format="excel", sheet="Loans", skip=1, decimal=",")
    assert read == {"age": ["45", "40"], "rate": ["0,5", "12"], "bad": ["Ja", None]}
    with pytest.raises(BadLoansFile, match="no sheet 'Loan'; there are Notes, Loans"):
        texts_of(file, format="excel", sheet="Loan")


def test_a_parquet(tmp_path: Path) -> None:
    """Whole numbers have no point, and days are ISO days, whatever the column's type."""
    file = tmp_path / "loans.parquet"
    columns = {
        "n": pa.array([1.0, None, 3.0]), "rate": pa.array([0.25, 1e-3, np.nan]), "ok": pa.array([True, False, None]),
        "job": pa.array(["a", "b ", ""]).dictionary_encode(),
        "day": pa.array(pd.to_datetime(["2026-01-31", "2026-02-01", None])),
    }  # fmt: skip
    pa.parquet.write_table(pa.table(columns), file)
    assert texts_of(file, format="parquet") == {
        "n": ["1", None, "3"], "rate": ["0.25", "0.001", None], "ok": ["true", "false", None], "job": ["a", "b", None],
        "day": ["2026-01-31", "2026-02-01", None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "decimal", "meant"),
    [
        ("1.234,56 €", ",", 1234.56), ("1.234", ",", 1234), ("1.234", ".", 1.234), ("0,384", ",", 0.384),
        ("10\u202f650,00", ",", 10650), ("1'200.50", ".", 1200.5), ("$5,000.00", ".", 5000), ("-$5", ".", -5),
        ("(1,200)", ".", -1200), ("1200-", ".", -1200), ("−3", ".", -3), ("83.70%", ".", 83.7), ("1e-3", ".", 0.001),
        ("36 months", ".", 36), ("10+ years", ".", 10), ("< 1 year", ".", 0), ("5 et plus", ",", 5), (".5", ".", 0.5),
        ("10+ Jahre", ",", 10), ("moins de 3 ans", ",", 2), ("12 o más", ".", 12), ("$(1,234.50)", ".", -1234.5),
        ("CHF 1’200.50", ".", 1200.5), ("60 mo.", ".", 60), ("₹ 12,345.00", ".", 12345), ("Fr. 7,50", ",", 7.5),
    ],
)  # fmt: skip
def test_numbers_are_read(text: str, decimal: str, meant: float) -> None:
    """Each text has one meaning under a decimal sign."""
    assert number(text, decimal) == meant
    assert numbers(pd.Series([text, None]), decimal).values.tolist()[0] == meant


@pytest.mark.parametrize(
    ("text", "decimal"),
    [("1,23", "."), ("0,384", "."), ("860xx", "."), ("12.345.67", ","), ("1.23", ","), ("1-5", "."), ("(5", "."),
     ("-", "."), ("inf", "."), ("N/C", ","), ("1_000", "."), ("0x10", "."), ("05.04.2022", ",")],
)  # fmt: skip
def test_what_is_no_number(text: str, decimal: str) -> None:
    """A text that the decimal sign does not allow is counted as unread, and never another number."""
    found = numbers(pd.Series([text, None]), decimal)
    assert np.isnan(found.values).all()
    assert found.unread.tolist() == [True, False]


def test_units() -> None:
    """The unit beside a number is told in English."""
    texts = ("12 mois", "3 Jahre", "8 %", "5", "2 weeks", "Köln")
    assert [unit(text, ",") for text in texts] == ["months", "years", "%", "", "weeks", ""]


def test_days() -> None:
    """A day of the form is read, another text is not, and months count from year 0."""
    days = dates(pd.Series(["05.04.2022", None, "31.31.2022", "05.04.2022"]), "%d.%m.%Y")
    assert days.isna().tolist() == [False, True, True, False]
    assert months(days).tolist() == [2022 * 12 + 3, 0, 0, 2022 * 12 + 3]


def test_a_reading_in_a_recipe() -> None:
    """A reading written into a recipe is read back as itself; all that is wrong with one is said at once."""
    reading = Reading(encoding="cp1252", separator=";", decimal=",", missing=("", "N/C"), skip=2)
    assert reading_from(reading.table()) == reading
    assert Reading().table() == {}
    with pytest.raises(BadLoansFile, match="seperator means nothing here; known: format, encoding, separator"):
        reading_from({"seperator": ";"})
    with pytest.raises(
        BadLoansFile, match=r"decimal: .*got 'x'; separator: one character.*; encoding: 'utf9' is unknown"
    ):
        Reading(decimal="x", separator=";;", encoding="utf9")
    with pytest.raises(BadLoansFile, match="skip: a whole number is needed, got True"):
        Reading(skip=True)


def test_what_cannot_be_read_names_the_file_and_no_cell(tmp_path: Path) -> None:
    """A wrong encoding, a broken workbook and a missing file are refused with what to look at."""
    file = tmp_path / "loans.csv"
    file.write_bytes("name;bad\nJürgen;1\n".encode("cp1252"))
    with pytest.raises(BadLoansFile, match="cannot be read with encoding utf-8") as refused:
        read_loans(file, Reading(separator=";"))
    assert "rgen" not in str(refused.value)
    for format in ("excel", "parquet"):
        with pytest.raises(BadLoansFile, match=f"cannot be read as {format}"):
            read_loans(file, Reading(format=format, sheet="x"))
    for refuse in (lambda: read_loans(tmp_path / "none.csv", Reading()), lambda: sha256(tmp_path / "none.csv")):
        with pytest.raises(BadLoansFile, match="No such file"):
            refuse()
