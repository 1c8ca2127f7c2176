"""A draft from a lender's file: how it is read, what its columns are, what leaks, what is asked, what is written."""

import argparse
import re
import tomllib
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import messy_loans
import numpy as np
import pandas as pd
import pytest

from inference.errors import TenfoldError
from models.draft.accept import likely_target
from models.draft.again import moved, request_of
from models.draft.codes import find_codes
from models.draft.columns import CHOICE, CODE, DAY, IDENTIFIER, LONG_LIST, NUMBER, column, names_customer
from models.draft.command import add_command
from models.draft.detect import detect
from models.draft.draft import Draft, Request, TooFewBad, draft, look
from models.draft.form import bounds, field, field_name, label_of
from models.draft.judging import auc, auc_alone, auc_with_interval, table
from models.draft.leaks import missing_tells, sums
from models.draft.outcome import NoOutcome, find_outcome
from models.draft.progress import Silent
from models.draft.recipe_writer import write_recipe
from models.draft.report import write_report
from models.draft.selection import sample, select, steps
from models.lender_loans import load_loans
from models.loans_file import BadLoansFile
from models.recipe_file import read_recipe

DAY_OF_TEST = date(2026, 11, 25)


def drafted(file: Path, target: str, **more: Any) -> Draft:
    return draft(look(Request(file=file, target=target, **more), Silent()), Silent())


def written(made: Draft, folder: Path) -> Path:
    """The recipe beside its file."""
    recipe = folder / "mine.toml"
    recipe.write_text(write_recipe(made, "mine", DAY_OF_TEST, "tenfold new"), "utf-8")
    return recipe


# --- reading


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "suffix", "reading"),
    [
        (messy_loans.german, ".csv", {"encoding": "cp1252", "separator": ";", "decimal": ",", "skip": 2, "skip_end": 1,
                                      "missing": ["", "k.A."]}),
        (messy_loans.french, ".csv", {"encoding": "utf-8-sig", "separator": ";", "decimal": ",",
                                      "missing": ["", "N/C"]}),
        (messy_loans.utf16, ".txt", {"encoding": "utf-16", "separator": "\t"}),
        (messy_loans.workbook, ".xlsx", {"format": "excel", "sheet": "Loans", "skip": 1}),
        (messy_loans.parquet, ".parquet", {"format": "parquet"}),
    ],
)  # fmt: skip
def test_a_file_says_how_it_is_read(
    tmp_path: Path, make: Callable[[Path], None], suffix: str, reading: dict[str, object]
) -> None:
    """Encoding, separator, decimal sign, titles, totals, sheet and missing cells are found, and all loans are read."""
    make(tmp_path / f"loans{suffix}")
    found = detect(tmp_path / f"loans{suffix}")
    assert found.reading.table() == reading
    assert len(found.frame) == 1500
    assert found.decimal_evidence == ""


@pytest.mark.parametrize(
    ("text", "names", "loans"),
    [
        ("1 55 a\n0 61 b\n1 30 a\n", ["column_1", "column_2", "column_3"], 3),  # no header
        ("x1,x2,x3\nage,rate,bad\n45,0.5,1\n30,0.25,0\n", ["age", "rate", "bad"], 2),  # two lines of names
        ('"age" "bad"\n"1" 45 0\n"2" 50 1\n"3" 51 0\n', ["", "age", "bad"], 3),  # row names, as R writes them
        ("age,bad\n45,0,\n50,1,\n", ["age", "bad", ""], 2),  # a separator at the end of each line
        ("Title\nage|job|bad\n45|cook, chief|1\n30|none|0\n", ["age", "job", "bad"], 2),
        ('id,job,bad\n1,cook,0\n"2,""chef, second"",1"\n3,cook,0\n', ["id", "job", "bad"], 3),  # quoted as a whole
    ],
)
def test_headers(tmp_path: Path, text: str, names: list[str], loans: int) -> None:
    """Columns are named whatever stands above the loans."""
    (tmp_path / "loans.csv").write_text(text)
    frame = detect(tmp_path / "loans.csv").frame
    assert list(frame.columns) == names
    assert len(frame) == loans


@pytest.mark.parametrize(
    ("cells", "sign", "doubtful"),
    [
        (["1.234", "12.500", "900"], ",", True),  # thousands, or three places
        (["1,234", "900", "2,500"], ".", True),
        (["0,384", "1,250", "0,999"], ",", False),  # no thousands begin with 0
        (["1.234,5", "900", "1,25"], ",", False),
        (["1,234,567", "900,100"], ".", False),
    ],
)
def test_the_decimal_sign_is_the_files(tmp_path: Path, cells: list[str], sign: str, doubtful: bool) -> None:
    """It is decided for the whole file by numbers that allow only one, and asked where no number tells."""
    lines = ["x;n", *(f"{cell};{at}" for at, cell in enumerate(cells))]
    (tmp_path / "loans.csv").write_text("\n".join(lines))
    found = detect(tmp_path / "loans.csv")
    assert (found.reading.decimal, bool(found.decimal_evidence)) == (sign, doubtful)


def test_a_state_is_no_missing_cell(tmp_path: Path) -> None:
    """NC among states is North Carolina; among numbers it means that nothing is known."""
    (tmp_path / "loans.csv").write_text("state,income\nNC,1\nND,2\nCA,3\n" + "CA,5\n" * 30)
    assert detect(tmp_path / "loans.csv").reading.missing == ("",)
    (tmp_path / "loans.csv").write_text("state,income\nCA,NC\nCA,2\nCA,3\n" + "CA,5\n" * 30)
    assert detect(tmp_path / "loans.csv").reading.missing == ("", "NC")


def test_what_is_no_table(tmp_path: Path) -> None:
    """An empty file, a compressed one and one of one column are refused with what is needed."""
    for content, needed in ((b"", "is empty"), (b"\x1f\x8b..", "unpack it"), (b"a\n1\n2\n", "several columns")):
        (tmp_path / "loans.csv").write_bytes(content)
        with pytest.raises(BadLoansFile, match=needed):
            detect(tmp_path / "loans.csv")


# --- columns, codes, outcome


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("x", ["36 months", "60 months"], NUMBER), ("x", ["12 months", "3 years"], CHOICE),
        ("x", ["0", "1"], CHOICE),
        ("x", ["19182", "09251", "75001"], CODE), ("zip", ["19182", "29251"], CODE),
        ("x", ["1.5", "2", "oops"], CHOICE),
        ("x", ["05.04.2022", "30.06.2021"], DAY), ("x", ["Dec-11", "Jan-12"], DAY),
        ("x", ["20210331", "20211130"], DAY),
        ("x", ["83.7%", "2.1%"], NUMBER), ("x", [f"t{at}" for at in range(61)], LONG_LIST),
        ("x", [f"A-{at}" for at in range(100)], IDENTIFIER), ("x", [str(at) for at in range(100)], IDENTIFIER),
        ("x", ["1", "2", "3", "4"], CHOICE), ("x", ["0", "0", "0", "1", "1", "2"], NUMBER),
    ],
)  # fmt: skip
def test_kinds(name: str, cells: list[str], kind: str) -> None:
    """What a column is follows from its cells."""
    times = 1 if len(cells) > 50 and kind == IDENTIFIER else 40
    assert column(name, pd.Series(cells * times, dtype="str"), ".").kind == kind


def test_words_among_numbers_are_counted_by_rows() -> None:
    """591 cells of one word are words in a column of numbers, and not one odd value among a thousand."""
    found = column("income", pd.Series([str(7 * (at % 900)) for at in range(2409)] + ["secret"] * 591), ".")
    assert (found.kind, dict(found.words)) == (NUMBER, {"secret": 591})
    mostly = column("income", pd.Series(["1", "2"] * 100 + ["secret"] * 591), ".")
    assert mostly.kind == CHOICE


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*range(18)] * 50 + [96] * 5 + [98] * 200, (96.0, 98.0)),
        ([*range(100, 900)] * 2 + [-9] * 30 + [-8] * 40, (-9.0, -8.0)),
        ([*range(-15000, 0, 7)] + [365243] * 500, (365243.0,)),
        ([-2, -1, 0, 1, 2, 3, 4] * 50, ()),  # states, not codes
        ([*range(60)] * 20 + [99] * 3, ()),  # an answer like the others
        ([*np.exp(np.random.default_rng(0).normal(8, 1, 3000))], ()),  # a long tail
    ],
)
def test_codes(values: list[float], codes: tuple[float, ...]) -> None:
    """Numbers that stand apart at an end are codes; those that go on with the scale are not."""
    assert find_codes(np.array(values, float)) == codes


@pytest.mark.parametrize(
    ("name", "values", "bad", "asked"),
    [
        ("SeriousDlqin2yrs", {"0": 900, "1": 100}, ("1",), False),
        ("loan_status", {"Fully Paid": 9, "Charged Off": 2}, ("Charged Off",), False),
        ("Ausfall", {"Ja": 1, "Nein": 9}, ("Ja",), False), ("kredit", {"1": 700, "0": 300}, ("0",), True),
        ("target", {"0": 70, "1": 30}, ("1",), True), ("good", {"0": 30, "1": 70}, ("0",), False),
        ("class", {"1": 700, "2": 300}, ("2",), True), ("bad", {"0": 30, "1": 70}, ("1",), True),
        ("MIS_Status", {"P I F": 8, "CHGOFF": 2}, ("CHGOFF",), False),
        ("loan_repaid", {"yes": 8, "no": 2}, ("no",), False), ("Contentieux", {"O": 2, "N": 8}, ("O",), False),
        ("answer", {"yes": 8, "no": 2}, ("no",), True), ("default_flag", {"true": 2, "false": 8}, ("true",), False),
        ("esito", {"Saldato": 8, "Insoluto": 2, "In corso": 3}, ("Insoluto",), False),
        ("Status", {"zurückgezahlt": 8, "nicht zurückgezahlt": 2}, ("nicht zurückgezahlt",), False),
        ("loan_status", {"Unpaid": 2, "Paid": 8}, ("Unpaid",), False),
        ("estado", {"pagado": 8, "no pagado": 2, "vigente": 5}, ("no pagado",), False),
        ("bad", {"1.0": 2, "0.0": 8}, ("1.0",), False),
    ],
)  # fmt: skip
def test_polarity(name: str, values: dict[str, int], bad: tuple[str, ...], asked: bool) -> None:
    """Which value is bad is asked unless a word or the name says it; the default is the rarer one."""
    found = find_outcome(name, pd.Series([value for value, loans in values.items() for _ in range(loans)]))
    assert (found.bad, bool(found.doubt)) == (bad, asked)


def test_the_outcome_of_a_file_is_not_an_earlier_record(tmp_path: Path) -> None:
    """What says how a loan ended is its status, not yes and no of an earlier one."""
    frame = messy_loans.loans(600)
    frame["Loan_Status"] = frame.pop("bad").map({1: "Charged Off", 0: "Fully Paid"})
    frame.to_csv(tmp_path / "loans.csv", index=False)
    assert likely_target(tmp_path / "loans.csv") == "Loan_Status"


def test_outcomes_that_are_not_known_yet() -> None:
    """Loans that have not ended, empty cells and a stray total are neither good nor bad, and counted."""
    texts = pd.Series(["Fully Paid"] * 1500 + ["Charged Off"] * 400 + ["Current"] * 99 + [None, "1999"])
    found = find_outcome("loan_status", texts)
    assert (found.bad, found.good, found.doubt) == (("Charged Off",), ("Fully Paid",), "")
    assert found.undecided == {"Current": 99, "1999": 1, "": 1}
    assert len(found.labels) == 1900


def test_outcomes_that_are_none() -> None:
    """A column of amounts, one of many unknown words and one value are refused; a decision is warned of."""
    for values, needed in (
        (range(100), "--bad"),
        (["a", "b", "c"] * 9, "name them with --bad"),
        (["1"] * 9, "one value"),
    ):
        with pytest.raises(NoOutcome, match=needed):
            find_outcome("x", pd.Series(values, dtype="str"))
    assert "decision" in find_outcome("approved", pd.Series(["yes", "no"] * 9)).warning


@pytest.mark.slow
def test_a_column_of_numbers_is_refused_as_an_outcome() -> None:
    """With as many values as loans, which were once counted anew for each value: minutes, and now no time."""
    amounts = pd.Series(np.arange(200_000).astype(str))
    with pytest.raises(NoOutcome, match="has 200,000 different values, such as '0', '1'"):
        find_outcome("amount", amounts)


# --- leaks, choice, form


@pytest.mark.slow
def test_auc_with_its_interval() -> None:
    """DeLong's interval is that of the bootstrap, and the value scikit-learn's."""
    rng = np.random.default_rng(0)
    bad = (rng.random(800) < 0.3).astype(np.int8)
    risk = rng.normal(bad.astype(float), 1)
    found = auc_with_interval(bad, risk)
    drawn = [auc(bad[at], risk[at]) for at in (rng.integers(0, 800, 800) for _ in range(400))]
    assert found.value == pytest.approx(auc(bad, risk), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_a_column_alone_is_judged_on_loans_it_has_not_seen() -> None:
    """Noise tells nothing, however many values it has; a real column tells what it tells."""
    rng = np.random.default_rng(0)
    bad = (rng.random(4000) < 0.2).astype(np.int8)
    noise = column("x", pd.Series(rng.random(4000).astype(str)), ".")
    real = column("y", pd.Series(rng.normal(bad.astype(float), 1).astype(str)), ".")
    assert auc_alone(noise, bad) == pytest.approx(0.5, abs=0.03)
    assert auc_alone(real, bad) == pytest.approx(0.76, abs=0.03)


def test_sums_give_a_leak_back() -> None:
    """Amount - balance = repaid: where repaid leaks, so does the balance beside the amount."""
    rng = np.random.default_rng(0)
    amount, repaid = rng.integers(1000, 9000, 500), rng.integers(0, 900, 500)
    made = {"amount": amount, "balance": amount - repaid, "repaid": repaid, "other": rng.integers(0, 99, 500)}
    columns = [column(name, pd.Series(values).astype(str), ".") for name, values in made.items()]
    assert {leak.name for leak in sums(columns, ["repaid"])} == {"amount", "balance"}
    assert sums(columns, ["other"]) == []


def test_a_sample_keeps_the_bad_loans() -> None:
    """Of a large file, bad loans come first, up to half; of a small one, all."""
    bad = (np.arange(100_000) % 20 == 0).astype(np.int8)
    part = sample(bad, 8000)
    assert (len(part), int(bad[part].sum())) == (8000, 4000)
    assert len(sample(bad[:50], 8000)) == 50


@pytest.mark.slow
def test_the_choice_is_judged_by_loans_it_has_not_seen() -> None:
    """Of noise, the best columns look good where they were chosen and tell nothing on other loans."""
    rng = np.random.default_rng(1)
    bad = (rng.random(600) < 0.3).astype(np.int8)
    columns = [column(f"c{at}", pd.Series(rng.random(600).astype(str)), ".") for at in range(8)]
    ticks = []
    every = table(columns, bad)
    found = select(every, 3, 2, lambda: ticks.append(1))
    assert len(ticks) == steps(every)
    assert len(found.fields) == 3
    assert found.nested.low < 0.5
    assert sorted(found.curve) == list(range(1, 9))


@pytest.mark.parametrize(
    ("values", "ends"),
    [([*range(18, 96)], (0, 100)), ([*range(1000), 2_500_000], (0, 10_000)), ([-50, 0, 40], (-50, 40)),
      ([0.1, 0.9], (0, 1))],
)  # fmt: skip
def test_bounds_are_round_and_leave_outliers_out(values: list[float], ends: tuple[float, float]) -> None:
    """Bounds cover the loans; what lies twenty times beyond nearly all of them is an outlier."""
    assert bounds(np.array(values, float)) == ends


def test_names() -> None:
    """A column's name becomes a name of the form, each once, and words."""
    names: list[str] = []
    for name in ("NumberOfDependents", "Rückstände 30 Tage", "class", "class", "30-59", ""):
        names.append(field_name(name, names))
    assert names == [
        "number_of_dependents",
        "ruckstande_30_tage",
        "field_class",
        "field_class_2",
        "field_30_59",
        "field",
    ]
    assert label_of("NumberOfDependents") == "Number Of Dependents"


def test_answers_that_are_called_other_or_not_stated() -> None:
    """They are that choice: rare answers join the first, empty cells the second, and each stands for itself once."""
    cells = ["other"] * 90 + ["Not stated"] * 60 + ["fixed"] * 40 + ["rare"] * 2 + [None] * 3
    found = field(column("job", pd.Series(cells, dtype="str"), "."), 0, ())
    assert found.choices == {"other": ("other", "other"), "not_stated": ("Not stated", "Not stated"),
                             "fixed": ("fixed", "fixed")}  # fmt: skip
    assert found.values == {"other": ("other",), "not_stated": ("Not stated",), "fixed": ("fixed",)}


def test_a_customers_number_is_no_amount() -> None:
    """Numbers of one length that the name calls a number are codes, in one word too; amounts and counts are not."""
    rng = np.random.default_rng(0)
    numbers = pd.Series([str(at) for at in rng.integers(100_000, 103_000, 4000)])
    for name in ("Kundennummer", "customerid", "Cust_ID", "codcliente", "Vertragsnr.", "branch no"):
        assert column(name, numbers, ".").kind == CODE, name
    for name in ("income", "Betrag", "numero_amount", "rate"):
        assert column(name, numbers, ".").kind == NUMBER, name
    assert column("open accounts no", pd.Series([str(at) for at in rng.poisson(40, 4000)]), ".").kind == NUMBER
    for name in ("Kundennummer", "customerid", "codcliente", "client_id"):
        assert names_customer(name), name
    for name in ("custom duty", "memberships", "clientele income", "kundenzufriedenheit"):
        assert not names_customer(name), name


@pytest.mark.slow
def test_cells_that_are_missing_where_loans_went_bad() -> None:
    """Few loans without a cell, nearly all of them bad: said. As many bad as elsewhere, or too few to tell: not."""
    rng = np.random.default_rng(0)
    bad = (rng.random(5000) < 0.2).astype(np.int8)
    values = rng.normal(50, 10, 5000).round(2).astype(str)
    told = values.copy()
    told[np.flatnonzero(bad == 1)[:100]] = ""
    told[np.flatnonzero(bad == 0)[:6]] = ""
    even, few = values.copy(), values.copy()
    even[rng.random(5000) < 0.1] = ""
    few[np.flatnonzero(bad == 1)[:20]] = ""
    described = [column("x", pd.Series(one).replace("", None), ".") for one in (told, even, few)]
    assert [missing_tells(one, bad) for one in described] == ["of the 106 loans without it 94% went bad", "", ""]


# --- a whole draft


@pytest.fixture(scope="module")
def german_draft(tmp_path_factory: pytest.TempPathFactory) -> tuple[Draft, Path]:
    folder = tmp_path_factory.mktemp("german")
    messy_loans.german(folder / "bestand.csv")
    return drafted(folder / "bestand.csv", "Ausfall"), folder


@pytest.mark.slow
def test_a_draft_is_a_recipe(german_draft: tuple[Draft, Path]) -> None:
    """What a draft writes is read as a recipe; its questions are the open ones; answered, all loans are there."""
    made, folder = german_draft
    recipe = written(made, folder)
    opened = read_recipe(recipe).open
    assert 3 <= len(opened) <= 8
    assert len(opened) == len(made.questions)
    recipe.write_text(re.sub(r"# ASK", "# answered:", recipe.read_text("utf-8")), "utf-8")
    answered = read_recipe(recipe)
    assert answered.open == ()
    loaded = load_loans(answered)
    assert len(loaded.loans) == 1500
    assert loaded.left_out == {}


@pytest.mark.slow
def test_what_becomes_of_each_column(german_draft: tuple[Draft, Path]) -> None:
    """Identifier, day, age and a column that comes twice are left out, family status is kept to look at."""
    made, _ = german_draft
    becomes = {name: verdict for name, (verdict, _) in made.verdicts.items()}
    asked = {"Einkommen", "Quote", "Laufzeit", "Beschäftigt seit", "Rückstände", "Vorstrafe"}
    assert {name for name, verdict in becomes.items() if verdict == "asked"} == asked
    assert becomes["Familienstand"] == "kept to look at"
    assert {name for name, verdict in becomes.items() if verdict == "left out"} == {
        "Antragsnr.", "Antragsdatum", "Alter", "Alter (2)",
    }  # fmt: skip
    assert made.verdicts["Alter (2)"][1] == "the same as Alter"
    assert made.look.columns["Rückstände"].codes == (98.0,)
    assert {one.name: one.unit[0] for one in made.fields if any(one.unit)} == {
        "laufzeit": "months", "beschaftigt_seit": "years",
    }  # fmt: skip


class Elements(HTMLParser):
    """The elements and outward references of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.outward: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.outward += [value for name, value in attrs if name in ("src", "href", "action") and value]


@pytest.mark.slow
def test_the_report_stands_alone(german_draft: tuple[Draft, Path]) -> None:
    """One file, questions first, with every column; nothing is loaded and nothing runs."""
    made, _ = german_draft
    html = write_report(made, "mine")
    page = Elements()
    page.feed(html)
    assert page.outward == []
    assert "script" not in page.names
    assert page.names.count("svg") > 20
    assert page.names.count("details") == len(made.look.columns)
    assert html.index('id="questions"') < html.index('id="reading"') < html.index('id="columns"')
    assert "A-10000" not in html  # no cell of an identifier


@pytest.mark.slow
def test_markup_in_a_file_stays_text(tmp_path: Path) -> None:
    """Names and answers of a file are escaped in the report, and quoted in the recipe."""
    frame = messy_loans.loans(600)
    frame = frame[["income", "seniority", "prior_record", "bad"]].rename(columns={"seniority": '<b>"x"\n#ASK'})
    frame["job"] = messy_loans.loans(600)["job"].replace("fixed", "<script>alert(1)</script>")
    frame.to_csv(tmp_path / "loans.csv", index=False)
    made = drafted(tmp_path / "loans.csv", "bad")
    assert "<script>" not in write_report(made, "mine")
    assert '<b>"x"' not in write_report(made, "mine")
    assert "&lt;b&gt;" in write_report(made, "mine")
    recipe = tomllib.loads(written(made, tmp_path).read_text("utf-8"))
    assert {one["column"] for one in recipe["fields"].values()} >= {'<b>"x"\n#ASK'}


@pytest.mark.slow
def test_a_column_without_a_name_is_left_out_by_name(tmp_path: Path) -> None:
    """The index that pandas writes first: listed in the recipe, which nothing in the file contradicts then."""
    frame = messy_loans.loans(400)[["income", "seniority", "prior_record", "job", "bad"]]
    frame.to_csv(tmp_path / "indexed.csv")
    made = drafted(tmp_path / "indexed.csv", "bad")
    recipe = written(made, tmp_path)
    listed = tomllib.loads(recipe.read_text("utf-8"))["loans"]["leave_out"]
    assert {"column": "", "why": "identifier: one value per loan"} in listed
    recipe.write_text(re.sub(r"# ASK", "# answered:", recipe.read_text("utf-8")), "utf-8")
    assert load_loans(read_recipe(recipe)).lines == 400


@pytest.mark.slow
def test_what_a_file_holds_beside_loans(tmp_path: Path) -> None:
    """Loans twice, another outcome, a weight and a date of birth are noticed; the day of application is the other."""
    frame = messy_loans.loans(400)[["income", "seniority", "prior_record", "job", "bad"]]
    rng = np.random.default_rng(0)
    frame["data_nascita"] = [f"{1 + at % 28:02d}.{1 + at % 12:02d}.{1950 + at % 40}" for at in range(400)]
    frame["closed_on"] = np.where(frame["bad"] == 1, "03.04.2021", "")
    frame["richiesta"] = [f"{1 + at % 28:02d}.{1 + at % 12:02d}.{2019 + at % 3}" for at in range(400)]
    frame["bad_12m"] = np.where(rng.random(400) < 0.2, 1 - frame["bad"], frame["bad"])
    frame["weight"] = rng.uniform(0.5, 2, 400).round(3)
    pd.concat([frame, frame.head(30)]).to_csv(tmp_path / "loans.csv", index=False)
    made = drafted(tmp_path / "loans.csv", "bad", ask=("weight", "bad_12m"))
    assert any("30 loans are the same as an earlier one" in note for note in made.look.notes)
    asked = {question.key: question.text for question in made.questions}
    assert "Is richiesta the day of application?" in asked["loans.date"]
    assert asked["loans.weight"].endswith("applicant can answer? weight")
    assert asked["fields"].endswith("applied for? bad_12m")


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False])
def test_planted_leaks_are_left_out(tmp_path: Path, alone: bool) -> None:
    """A column that knows the outcome is found alone, and where it only tells beside another; the honest ones stay."""
    messy_loans.planted(tmp_path / "loans.csv", alone=alone)
    made = drafted(tmp_path / "loans.csv", "bad")
    assert [leak.name for leak in made.leaks] == ["collected"]
    assert made.leaks[0].kind == ("alone" if alone else "together")
    assert made.verdicts["collected"][0] == "left out"
    assert len(made.fields) == 10
    assert made.selection.nested.high < 0.9


@pytest.mark.slow
def test_few_bad_loans(tmp_path: Path) -> None:
    """Below 100 bad loans a scorecard of at most five fields is drafted and says so; below 30 nothing is."""
    frame = messy_loans.loans(4000)
    some = pd.concat([frame[frame["bad"] == 0].head(600), frame[frame["bad"] == 1].head(60)])
    some.to_csv(tmp_path / "loans.csv", index=False)
    made = drafted(tmp_path / "loans.csv", "bad")
    text = written(made, tmp_path).read_text("utf-8")
    assert len(made.fields) == 5
    assert 'kind = "scorecard"' in text
    assert "60 loans went bad; 100 are needed for a model of trees: 440 more loans at this rate" in text
    some.head(629).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(TooFewBad, match="29 loans went bad"):
        look(Request(file=tmp_path / "few.csv", target="bad"), Silent())


# --- the command


def new(*arguments: str) -> int:
    """`tenfold new …` in this process."""
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(dest="command"))
    given = parser.parse_args(["new", *arguments])
    return int(given.run(given))


@pytest.mark.slow
def test_new_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Questions are printed before anything is chosen; a newer file is compared with what was drafted, which stays."""
    frame = messy_loans.loans(600)[["income", "seniority", "prior_record", "job", "bad"]]
    frame.to_csv(tmp_path / "loans.csv", index=False)
    arguments = (str(tmp_path / "loans.csv"), "--target", "bad", "--out", str(tmp_path))
    assert new(*arguments) == 0
    said = capsys.readouterr().out
    assert said.index("First questions:") < said.index("AUC of the 4 fields proposed")
    before = (tmp_path / "loans.toml").read_bytes()
    assert new(*arguments) == 1
    assert "--again" in capsys.readouterr().err
    later = messy_loans.loans(1200)[["income", "seniority", "prior_record", "job", "home", "bad"]].tail(600)
    later["seniority"] *= 3
    later.to_csv(tmp_path / "loans.csv", index=False)
    assert new(str(tmp_path / "loans.csv"), "--again", "--out", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "home: new in the file" in said
    assert "seniority: range" in said
    assert (tmp_path / "loans.toml").read_bytes() == before
    assert (tmp_path / "loans.again.toml").exists()


def test_what_moved() -> None:
    """Each difference of two recipes is a line."""
    old = {
        "draft": {"nested_auc": 0.8, "interval": [0.78, 0.82]},
        "loans": {"bad": ["1"], "leave_out": [{"column": "id", "why": "x"}]},
        "fields": {
            "a": {"column": "A", "range": [0, 9], "direction": "up"},
            "b": {"column": "B", "values": {"x": ["x"]}},
        },
    }
    now = {
        "draft": {"nested_auc": 0.7, "interval": [0.68, 0.72]},
        "loans": {"bad": ["2"]},
        "fields": {"a": {"column": "A", "range": [0, 90]}, "b": {"column": "B", "values": {"y": ["y"]}}},
    }
    assert moved(old, now) == [
        "nested AUC 0.800 → 0.700 (0.680–0.720): the old value is outside the new interval",
        "id: no longer in the file",
        "A: range [0, 9] → [0, 90]",
        "A: direction up → none",
        "B: answers no longer seen often enough: x",
        "B: new answers: y",
        "loans.bad: ['1'] → ['2']",
    ]
    assert moved(old, old)[1:] == []


@pytest.mark.slow
def test_what_the_analyst_asks_for(tmp_path: Path) -> None:
    """What cannot be asked is refused at once; what only seems to show a prohibited attribute has to be explained."""
    frame = messy_loans.loans(900)[["income", "seniority", "prior_record", "job", "bad"]]
    rng = np.random.default_rng(0)
    frame["loan_id"] = [f"A{at:05d}" for at in range(900)]
    frame["constant"] = "x"
    frame["credit_union"] = np.where(rng.random(900) < 0.3 + 0.3 * frame["bad"], "yes", "no")
    file = tmp_path / "loans.csv"
    frame.to_csv(file, index=False)
    with pytest.raises(TenfoldError, match=r"--ask: cannot be asked: loan_id \(identifier.*\); constant \(the same in"):
        look(Request(file=file, target="bad", ask=("loan_id", "constant")), Silent())
    plain = drafted(file, "bad")
    assert plain.verdicts["credit_union"][0] == "kept to look at"
    made = drafted(file, "bad", ask=("credit_union",))
    assert made.verdicts["credit_union"][0] == "asked"
    recipe = read_recipe(written(made, tmp_path))
    assert [str(problem) for problem in recipe.open if "not_prohibited" in str(problem)] == [
        next(str(one) for one in recipe.open if one.key == "loans.not_prohibited.credit_union")
    ]
    assert len(recipe.open) == len(made.questions)
    text = recipe.file.read_text("utf-8").replace("# ASK", "#").replace("ASK: say why it shows none", "a kind of bank")
    recipe.file.write_text(text, "utf-8")
    assert read_recipe(recipe.file).open == ()


def test_what_an_earlier_recipe_explains_is_asked_again() -> None:
    """Ages and names that only seem prohibited, under the column's name; what is explained and not asked is not."""
    recipe = {
        "loans": {"target": "bad", "bad": [1], "date": "d", "not_prohibited": {"credit_union": "w", "other": "w"}},
        "fields": {"years": {"column": "AGE", "why_age": "w"}, "credit_union": {}, "income": {"column": "INC"}},
    }
    assert request_of(recipe) == {"target": "bad", "bad": ("1",), "date": "d", "ask": ("AGE", "credit_union")}


# --- dates and customers


@pytest.mark.slow
def test_dated_loans_are_judged_by_later_ones(tmp_path: Path) -> None:
    """A column that told only in earlier years flatters in folds, and not on later loans."""
    frame = messy_loans.loans(4000)
    rng = np.random.default_rng(0)
    month = np.sort(rng.integers(0, 48, len(frame)))
    frame["issued"] = [f"{2020 + at // 12}-{at % 12 + 1:02d}-15" for at in month]
    frame["told"] = np.where(month < 36, rng.normal(1.5 * frame["bad"], 1), rng.normal(0, 1, len(frame)))
    frame.to_csv(tmp_path / "loans.csv", index=False)
    made = drafted(tmp_path / "loans.csv", "bad", date="issued")
    assert made.later is not None
    assert "told" in made.selection.fields
    assert made.expected == made.later.auc
    assert made.later.auc.value < made.selection.nested.value - 0.03
    file = written(made, tmp_path)
    file.write_text(file.read_text("utf-8").replace("# ASK", "#"), "utf-8")
    recipe = read_recipe(file)
    assert recipe.draft["nested_auc"] == pytest.approx(made.later.auc.value, abs=1e-4)
    assert recipe.draft["judged_by"].startswith(
        f"{made.later.loans:,} later loans ({made.later.bad} bad), from 2023-01 on"
    )
    assert recipe.draft["judged_by"] in write_report(made, "mine")


@pytest.mark.slow
def test_a_customer_is_never_on_both_sides(tmp_path: Path) -> None:
    """Five loans of each customer that end alike: what names the customer tells nothing about other customers."""
    rng = np.random.default_rng(0)
    customers = np.repeat(np.arange(400), 5)
    bad = np.repeat(rng.random(400) < 0.3, 5).astype(int)
    own = np.repeat(rng.normal(0, 1, 400), 5)  # the same in all of a customer's loans, and says nothing else
    order = rng.permutation(len(bad))
    frame = pd.DataFrame({
        "customer_id": 70_000 + customers, "own": own, "also": np.repeat(rng.normal(0, 1, 400), 5),
        "noise": rng.normal(0, 1, len(bad)), "bad": bad,
    }).iloc[order]  # fmt: skip
    frame.to_csv(tmp_path / "loans.csv", index=False)
    made = drafted(tmp_path / "loans.csv", "bad")
    assert made.look.customers == "customer_id"
    assert made.verdicts["customer_id"] == ("left out", "names the customer, who has several loans")
    assert made.selection.nested.low < 0.55
    assert 'group = "customer_id"' in written(made, tmp_path).read_text("utf-8")
