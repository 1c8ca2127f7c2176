"""Files as people have them, six more kinds: no crash, and no cell that is read as something else than it says."""

import re
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import messier_loans
import numpy as np
import pandas as pd
import pytest
from messy_loans import loans

from models.draft.columns import IDENTIFIER, NUMBER
from models.draft.draft import Look, Request, look
from models.draft.form import field
from models.draft.progress import Silent
from models.loans_file import BadLoansFile

pytestmark = pytest.mark.slow
TRUE = loans(messier_loans.ROWS)


def looked_at(folder: Path, make: Callable[[Path], None], target: str, *bad: str, ending: str = "csv") -> Look:
    file = folder / f"loans.{ending}"
    make(file)
    return look(Request(file=file, target=target, bad=bad), Silent())


def is_read(found: Look, column: str, expected: pd.Series, factor: float = 1) -> None:
    """A column of numbers has each loan's value, and none where it has none."""
    assert found.columns[column].kind == NUMBER
    wanted = expected.astype("float64").to_numpy(np.float64, na_value=np.nan) * factor
    np.testing.assert_allclose(found.columns[column].clean, wanted, rtol=1e-12)


def values_of(found: Look, column: str) -> dict[str, set[str]]:
    """Of each choice of the field that would ask a column, the texts that mean it."""
    drawn = field(found.columns[column], 0, [])
    return {code: set(texts) for code, texts in drawn.values.items()}


def test_apostrophes_a_line_of_units_and_dates_of_two_programs(tmp_path: Path) -> None:
    """Each number is read; the units are no loan; dates in two forms are said to be that."""
    found = looked_at(tmp_path, messier_loans.swiss, "Ausfall")
    assert found.bad.tolist() == TRUE["bad"].tolist()
    is_read(found, "Einkommen", TRUE["income"], 10)
    is_read(found, "Belehnung", (100 * TRUE["amount"] / TRUE["price"]).round(1))
    assert found.columns["Belehnung"].unit == "%"
    assert found.verdicts["Datum"][1] == "dates written in several ways (%Y-%m-%d, %d.%m.%Y): write all in one"


def test_a_title_narrow_spaces_a_total_and_a_remark(tmp_path: Path) -> None:
    """The third line has the names; neither the total nor the remark is a loan."""
    found = looked_at(tmp_path, messier_loans.french_report, "Impayé")
    assert found.bad.tolist() == TRUE["bad"].tolist()
    is_read(found, "Revenu", TRUE["income"], 10)
    is_read(found, "Montant", TRUE["amount"], 10)


def test_three_languages_codes_below_zero_and_lines_that_come_twice(tmp_path: Path) -> None:
    """One yes and one no; -999 and -1 are codes; the identifier of loans that come twice is no answer of anybody, and
    that they do is asked."""
    found = looked_at(tmp_path, messier_loans.three_branches, "default")
    assert found.columns["id"].kind == IDENTIFIER
    assert "id" in found.verdicts
    assert values_of(found, "prior") == {"yes": {"Yes", "Oui", "Ja"}, "no": {"No", "Non", "Nein"}}
    assert (found.columns["income"].codes, found.columns["seniority"].codes) == ((-999,), (-1,))
    assert any("100 lines repeat an earlier one, its id included" in question.text for question in found.questions)
    once = ~TRUE.index.to_series().repeat(np.where(TRUE.index % 9 == 0, 2, 1)).duplicated().to_numpy()
    np.testing.assert_array_equal(found.columns["income"].clean[once], TRUE["income"].astype(float))


def test_a_number_that_tells_the_outcome(tmp_path: Path) -> None:
    """It names loans, so no form asks it."""
    found = looked_at(tmp_path, messier_loans.sorted_by_outcome, "bad")
    assert found.verdicts["loan_no"] == ("left out", "identifier: one value per loan")
    assert "loan_no" not in found.candidates


def test_brackets_after_a_currency_subtotals_and_the_names_again(tmp_path: Path) -> None:
    """Sums below zero are that; small and capital letters are one answer; subtotals and names are no loans."""
    found = looked_at(tmp_path, messier_loans.accounts, "Status")
    assert found.bad.tolist() == TRUE["bad"].tolist()
    is_read(found, "Net income", TRUE["income"], 10)
    is_read(found, "Balance", TRUE["assets"].astype("float64") - 3000, 0.1)
    is_read(found, "Term", TRUE["term"])
    assert found.columns["Term"].unit == "months"
    assert values_of(found, "Record") == {"yes": {"YES", "Yes"}, "no": {"NO", "No"}}
    assert not found.columns["Net income"].words
    assert found.outcome.undecided == {"": 9}
    assert "lines that repeat the header: 2, left out" in found.notes


def test_a_report_in_a_workbook(tmp_path: Path) -> None:
    """Names below a line of groups, a total at the end; merged titles and totals do no harm."""
    found = looked_at(tmp_path, messier_loans.report_book, "Default", ending="xlsx")
    assert found.bad.tolist() == TRUE["bad"].tolist()
    is_read(found, "Income", TRUE["income"], 10)
    is_read(found, "Share", (TRUE["amount"] / TRUE["price"]).round(4))
    assert found.verdicts["Note"][1] == "the same in every loan, where it is filled"


def test_merged_cells_within_the_loans_are_refused(tmp_path: Path) -> None:
    """Only the first of them has a value, so the other loans would have none."""
    with pytest.raises(BadLoansFile, match="the cells F10:F19 are merged"):
        looked_at(
            tmp_path, lambda file: messier_loans.report_book(file, ["A1:G1", "F10:F19"]), "Default", ending="xlsx"
        )


def with_cell(file: Path, place: str, cell: str) -> None:
    """A report whose loans have other content in one cell."""
    messier_loans.report_book(file, ["A1:G1"])
    with ZipFile(file) as book:
        parts = {name: book.read(name).decode() for name in book.namelist()}
    name = "xl/sheet0.xml"
    parts[name], count = re.subn(rf'<c r="{place}".*?</c>', f'<c r="{place}"{cell}</c>', parts[name])
    assert count == 1
    with ZipFile(file, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)


def test_formulas_that_nobody_computed_are_refused(tmp_path: Path) -> None:
    """A program that is no spreadsheet wrote them without their values: the loan's cell would be empty."""
    with pytest.raises(BadLoansFile, match="cell F10 holds a formula of which the file does not hold the value"):
        looked_at(tmp_path, lambda file: with_cell(file, "F10", "><f>D10*2</f>"), "Default", ending="xlsx")


@pytest.mark.parametrize("error", ["#N/A", "#DIV/0!"])
def test_errors_are_words_for_what_is_not_known(tmp_path: Path, error: str) -> None:
    """As in a CSV file of the sheet; the recipe names the word, so that the analyst sees it."""
    without = looked_at(tmp_path, lambda file: messier_loans.report_book(file, ["A1:G1"]), "Default", ending="xlsx")
    found = looked_at(tmp_path, lambda file: with_cell(file, "B11", f' t="e"><v>{error}</v>'), "Default", ending="xlsx")
    assert set(found.reading.missing) - set(without.reading.missing) == {error}
    unknown = [np.isnan(each.columns["Income"].clean).sum() for each in (without, found)]
    assert unknown[1] == unknown[0] + 1
