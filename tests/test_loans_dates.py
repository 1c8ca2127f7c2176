"""Dates in a lender's file: in words of six languages, as months, quarters and a spreadsheet's days; or asked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lenders import frame, written

from inference.errors import TenfoldError
from models.draft.columns import DAY, IDENTIFIER, NUMBER, column
from models.draft.draft import Request, look
from models.draft.progress import Silent
from models.lender_loans import load_loans
from models.loans_dates import ENGLISH, MONTHS, dates, months
from models.recipe_file import read_recipe
from models.toml_file import BadFile


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "form", "month"),
    [
        (["Jan-2015", "Feb-2016", "Dec-2017"], "%b-%Y", "2015-01"),
        (["2015M02", "2015M12", "2016M03"], "%YM%m", "2015-02"),
        (["202003", "202012", "201907"], "%Y%m", "2020-03"),
        (["janv. 2015", "févr. 2016", "août 2017"], "%b %Y", "2015-01"),
        (["15 juil. 2019", "3 déc. 2020"], "%d %b %Y", "2019-07"),
        (["März 2015", "Mai 2016", "Dezember 2017"], "%b %Y", "2015-03"),
        (["15. Okt 2019", "1. Mär 2020"], "%d. %b %Y", "2019-10"),
        (["15 de marzo de 2019", "3 de enero de 2020"], "%d %b %Y", "2019-03"),
        (["maio/2019", "set/2020"], "%b/%Y", "2019-05"),
        (["gen 2019", "ago 2020"], "%b %Y", "2019-01"),
        (["15MAR2019", "01JAN2020"], "%d%b%Y", "2019-03"),
        (["2015Q3", "2016Q4"], "%YQ%Q", "2015-07"),
        (["2019-01-31 10:11:12.123", "2021-02-03 00:00:00.000"], "%Y-%m-%d %H:%M:%S.%f", "2019-01"),
    ],
)
def test_days_and_months_in_words(cells: list[str], form: str, month: str) -> None:
    """The form is found, and what a recipe then reads is the same month."""
    texts = pd.Series(cells * 20)
    found = column("when", texts, ".")
    assert (found.kind, found.form) == (DAY, form)
    assert dates(texts, form).iloc[0].strftime("%Y-%m") == month
    assert (months(dates(texts, form)) == found.values).all()


def test_no_name_is_two_months() -> None:
    """Names of six languages, each of one month; and all twelve are there in each of the languages."""
    listed = [name for names in MONTHS.values() for name in set(names.split())]
    assert len(listed) == len(ENGLISH) > 90
    for year in (
        "January February March April May June July August September October November December",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    ):
        read = dates(pd.Series([f"{name} 2020" for name in year.split()]), "%B %Y")
        assert read.dt.month.tolist() == list(range(1, 13)), year


@pytest.mark.parametrize(
    ("cells", "asked"),
    [
        (["202003", "202012", "201907"], "mean 2020-03 by 202003, and no number"),
        (["11-Dec", "10-Nov", "09-Jan"], "mean a month of a year by 11-Dec, and no day of a month"),
        (["01/02/2020", "03/04/2021"], "write the day or the month first"),
        (["31/02x", "5"], ""),
        (["15.01.2020", "28.02.2021"], ""),
    ],
)
def test_what_could_be_something_else_is_asked(cells: list[str], asked: str) -> None:
    """Digits that could be numbers, a day and month in either order, and a month that could be a day."""
    assert column("when", pd.Series(cells * 20), ".").doubt == asked


def test_days_of_a_spreadsheet() -> None:
    """By the name, or where the analyst says so; else they are numbers, and so they are where the analyst says that."""
    rng = np.random.default_rng(0)
    texts = pd.Series([str(43_831 + day) for day in rng.integers(0, 900, 2000)])
    assert column("importo", texts, ".").kind == NUMBER
    assert column("data_richiesta", texts, ".").form == "excel"
    assert column("data_richiesta", texts, ".", as_number=True).kind == NUMBER
    assert column("importo", texts, ".", as_day=True).form == "excel"
    assert dates(pd.Series(["43831", "43830.5", "x", None]), "excel").dt.strftime("%Y-%m-%d").tolist()[:2] == [
        "2020-01-01", "2019-12-31",
    ]  # fmt: skip
    assert dates(pd.Series(["x", None, "-5", "1e9"]), "excel").isna().all()
    assert column("n", pd.Series(["1900", "2015", "2016"] * 20), ".").kind == NUMBER


def file_of(folder: Path, when: list[str], name: str = "entered") -> Path:
    data = frame()[["income", "seniority", "prior_record", "job", "bad"]][: len(when)].copy()
    data[name] = when
    data.to_csv(folder / "loans.csv", index=False)
    return folder / "loans.csv"


def test_months_in_digits_are_asked_and_can_be_numbers(tmp_path: Path) -> None:
    """A column of 202001 is no field unless the analyst asks it; what the recipe reads by is in it."""
    file = file_of(tmp_path, [f"20{20 + at % 3}{1 + at % 12:02d}" for at in range(900)])
    seen = look(Request(file=file, target="bad"), Silent())
    asked = [question for question in seen.questions if question.text.startswith("Does entered mean 20")]
    assert len(asked) == 1
    assert "--ask 'entered'" in asked[0].default
    assert seen.verdicts["entered"][0] == "left out"
    assert seen.reading.dates == "%Y%m"
    numbers = look(Request(file=file, target="bad", ask=("entered",)), Silent())
    assert "entered" in numbers.candidates
    assert numbers.reading.dates == ""


@pytest.mark.slow
def test_a_day_of_application_that_is_none(tmp_path: Path) -> None:
    """A column of numbers, or of days in two forms, is no day of application: said at once."""
    file = file_of(tmp_path, [str(at % 7) for at in range(900)], "branch")
    with pytest.raises(TenfoldError, match=r"--date branch: its cells cannot be read as dates in one form"):
        look(Request(file=file, target="bad", date="branch"), Silent())
    mixed = [f"{1 + at % 28:02d}.03.2020" if at % 2 else f"2020-03-{1 + at % 28:02d}" for at in range(900)]
    with pytest.raises(TenfoldError, match="cannot be read as dates in one form"):
        look(Request(file=file_of(tmp_path, mixed), target="bad", date="entered"), Silent())
    years = look(Request(file=file_of(tmp_path, [str(2018 + at % 5) for at in range(900)]), target="bad",
                         date="entered"), Silent())  # fmt: skip
    assert years.reading.dates == "%Y"


DATED = 'date = "issued"\ngroup = "customer"\ndefault_date = "defaulted"\n'


@pytest.mark.slow
def test_columns_may_write_dates_in_two_ways(tmp_path: Path) -> None:
    """`dates_of` names the other form; without it a column that cannot be read stops, and is not taken for no date."""
    data = frame(dated=True)
    plain = load_loans(read_recipe(written(tmp_path, data, loans=DATED + 'read = { dates = "%Y-%m-%d" }'))).loans
    data["defaulted"] = [f"{cell[5:7]}/{cell[:4]}" if cell else "" for cell in data["defaulted"]]
    with pytest.raises(
        BadFile, match=r"loans\.default_date: 1,25\d of 1,25\d cells of defaulted are no dates by.*dates_of"
    ):
        load_loans(read_recipe(written(tmp_path, data, loans=DATED + 'read = { dates = "%Y-%m-%d" }')))
    read = 'read = { dates = "%Y-%m-%d", dates_of = { defaulted = "%m/%Y" } }'
    again = load_loans(read_recipe(written(tmp_path, data, loans=DATED + read))).loans
    assert (again.bad_months == plain.bad_months).all()
    assert (again.bad_months > 0).sum() > 1000
    with pytest.raises(BadFile, match="dates_of: a table of column = form is needed"):
        load_loans(read_recipe(written(tmp_path, data, loans=DATED + "read = { dates_of = 3 }")))


def test_a_recipe_that_says_nothing_of_dates(tmp_path: Path) -> None:
    """Named as such, and not as so many loans without a date."""
    with pytest.raises(BadFile, match=r"loans\.date: .*nothing says how dates are written"):
        load_loans(read_recipe(written(tmp_path, frame(dated=True), loans=DATED)))


def test_an_identifier_stays_one() -> None:
    """Account numbers that look like days of a month are something else."""
    assert column("konto", pd.Series([str(2_019_000_000 + at) for at in range(500)]), ".").kind == IDENTIFIER
