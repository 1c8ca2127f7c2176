"""The recipe as a TOML file: what it says, and every mistake with its line and key, all at once."""

import re
from pathlib import Path
from typing import Any

import pytest
from lenders import field, frame, written
from msgspec import to_builtins
from parts import some

from inference.settings import ROOT
from models import form_file
from models.lender_loans import load_loans
from models.recipe_file import read_recipe
from models.recipe_toml import content
from models.recipe_toml.content import RecipeFile
from models.toml_file import BadFile

SHORT = """\
format = 1
name = "short"
title = "Short"
date = 2026-11-25
notice = "Our own."
[loans]
file = "loans.csv"
target = "outcome"
bad = ["1", "late"]
good = [0]
horizon = "2 years"
declined = false
[policy]
margin = 0.1
lgd = 0.6
refer_band = 0.25
[fields.income]
label = "Income"
column = "Net income"
range = [0, 1000]
example = 100
[fields.job]
label = "Job"
example = "no"
choices = { no = "No", yes = "Yes" }
values = { no = ["N", 0], yes = ["Y"] }
"""


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    """A function that reads a text as a recipe."""

    def read(text: str) -> RecipeFile:
        (tmp_path / "short.toml").write_text(text, "utf-8")
        return read_recipe(tmp_path / "short.toml")

    return read


def test_what_a_short_recipe_leaves_out(parse: Any) -> None:
    """Defaults are fixed and few: five times five folds, 300 trees of depth 4, 600 points at break-even."""
    said = parse(SHORT)
    assert (said.folds, said.repeats, said.test_from, said.kind, said.teacher) == (5, 5, None, "trees", "none")
    assert said.parameters["n_estimators"] == 300
    assert said.parameters["max_depth"] == 4
    assert said.points == {"anchor": 600.0, "odds": pytest.approx(6), "double": 20.0}
    assert said.loans.good == {"0"}
    assert said.loans.horizon_months == 24
    assert said.columns["job"].values == {"N": "no", "0": "no", "Y": "yes"}
    assert said.columns["income"].name == "Net income"
    assert [block["kind"] for block in to_builtins(said.features)] == ["numbers", "one_hot"]
    assert said.open == ()


MISTAKES = [
    ("format = 1", "format = 2", "line 1: format: 1 is the only one"),
    ("format = 1\n", "", "format is missing"),
    ('name = "short"', 'name = "Short"', "line 2: name: small letters"),
    ("date = 2026-11-25", 'date = "today"', "line 4: date: a day is needed"),
    ('notice = "Our own."', 'notice = ""', "line 5: notice: texts are needed"),
    ("declined = false\n", "", "declined is missing: are applicants who were declined in this file"),
    ("declined = false", 'declined = "no"', "line 12: loans.declined: true where"),
    ("horizon", "horizont", "line 11: loans.horizont: horizont means nothing here"),
    ('bad = ["1", "late"]', "bad = []", "line 9: loans.bad: at least one value"),
    ("good = [0]", 'good = ["late"]', "line 10: loans.good: bad as well: late"),
    ("margin = 0.1", "margin = 0", "line 14: policy.margin: a number from"),
    ("lgd = 0.6", "lgd = 60", "line 15: policy.lgd: a number from"),
    ("refer_band = 0.25", "refer_band = 0.25\namount = 'job'", "line 17: policy.amount: a number field that is always"),
    ("range = [0, 1000]", "range = [1000, 0]", "line 20: fields.income.range: the smallest answer"),
    ("example = 100", "example = -1", "line 21: fields.income.example: an answer that the form takes"),
    ("example = 100", 'example = 100\noutside = "not_stated"', "fields.income.outside: leave_out, clip is needed"),
    ("example = 100", "example = 100\nnot_stated = [98]", "fields.income.not_stated: the field must be optional"),
    ("example = 100", "example = 100\non_notice = false", "line 22: fields.income.on_notice: a notice names whatever"),
    ("example = 100", 'example = 100\ngroup = "money"\n[groups]\nperson = "P"', "fields.income.group: one of [groups]"),
    ('yes = ["Y"]', 'yes = ["N"]', "line 26: fields.job.values.yes: 'N' stands for no already"),
    ('column = "Net income"', 'column = "outcome"', "column outcome is loans.target already"),
    ("[policy]", '[split]\ntest_from = "2021-07"\n[policy]', "line 14: split.test_from: without loans.date"),
    ("[policy]", '[split]\ntest_from = "July"\n[policy]', "line 14: split.test_from: a month is needed"),
    ("[policy]", "[model]\ntrees = 1.5\n[policy]", "line 14: model.trees: a whole number from 1 to 5000"),
    ("[policy]", '[model]\ncalibration = "isotonic"\n[policy]', "line 14: model.calibration: platt"),
    ("[policy]", '[model]\naccept_auc = ""\n[policy]', "line 14: model.accept_auc: say why"),
    ("[policy]", '[model.directions]\nincom = "up"\n[policy]', "model.directions.incom: there is no such column"),
    ("[policy]", '[model.directions]\n"job=yes" = "left"\n[policy]', 'model.directions."job=yes": up or down'),
    (
        "[policy]",
        '[[features]]\nkind = "arithmetic"\ncolumns = [["r", "income", "/", "x"]]\n[policy]',
        "features[1]: x is neither a number field nor an earlier column",
    ),
    ("declined = false", 'declined = false\nleave_out = [{ column = "a" }]', "loans.leave_out[1]: why is missing"),
    ("declined = false", 'declined = false\ndefault_date = "x"', "line 13: loans.default_date: needs loans.date"),
    ("declined = false", 'declined = false\nnot_asked = [{ column = "IsFemale", why = "x" }]', "model of all columns"),
    ('label = "Job"', 'label = "Familienstand"', "line 22: fields.job: shows an attribute"),
    ('no = "No", yes = "Yes"', 'no = "Frau", yes = "Mann"', "line 22: fields.job: shows an attribute"),
    ('values = { no = ["N", 0], yes = ["Y"] }', 'values = { no = ["F"], yes = ["M"] }', "job: shows an attribute"),
    ('label = "Income"', 'label = "Alter"', "line 17: fields.income: is an age: say in why_age"),
    ("[fields.job]", "[fields.a.b]", "fields.a"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), MISTAKES)
def test_a_mistake_is_named_at_its_place(parse: Any, old: str, new: str, told: str) -> None:
    """With file, line and key, and what is needed there."""
    assert old in SHORT
    with pytest.raises(BadFile) as caught:
        parse(SHORT.replace(old, new, 1))
    assert told in str(caught.value)
    assert "short.toml" in str(caught.value)


def test_all_mistakes_and_questions_come_at_once(parse: Any) -> None:
    """One reading of the file is enough to mend it; a question that is a bad value too is said once."""
    text = SHORT.replace("margin = 0.1", 'margin = "ASK"').replace("range = [0, 1000]", "range = [7, 3]")
    with pytest.raises(BadFile) as caught:
        parse(text.replace("format = 1", "format = 9").replace("lgd = 0.6", "lgd = 0.6  # ASK yours"))
    assert [(problem.line, problem.is_question) for problem in caught.value.problems] == [
        (1, False),
        (14, True),
        (15, True),
        (20, False),
    ]


def test_an_open_question_is_no_mistake(parse: Any) -> None:
    """The recipe is read, and says what is open."""
    said = parse(SHORT.replace("lgd = 0.6", "lgd = 0.6  # ASK yours"))
    assert [(one.key, one.line) for one in said.open] == [("policy.lgd", 15)]


def test_where_the_list_errs_a_person_says_why(parse: Any) -> None:
    """By the column's name or the field's."""
    text = SHORT.replace('label = "Job"', 'label = "Union"')
    for name in ("job", '"job"'):
        said = parse(
            text.replace("declined = false", f'declined = false\nnot_prohibited = {{ {name} = "a credit union" }}')
        )
        assert [one["name"] for one in said.fields] == ["income", "job"]
    with pytest.raises(BadFile, match="not_prohibited: a table is needed"):
        parse(text.replace("declined = false", 'declined = false\nnot_prohibited = { job = "" }'))


def test_an_age_with_a_reason_is_taken(parse: Any) -> None:
    """Said for the field itself."""
    said = parse(
        SHORT.replace('label = "Income"', 'label = "Alter"\nwhy_age = "the law allows it in a scoring system"')
    )
    assert "scoring system" in said.why_age


@pytest.mark.parametrize(("count", "fits"), [(1, False), (2, True), (17, True), (40, True), (41, False)])
def test_a_form_has_two_to_forty_fields(parse: Any, count: int, fits: bool) -> None:
    """Not one, and not so many that nobody answers them."""
    fields = "".join(f'[fields.x{at}]\nlabel = "X {at}"\nrange = [0, 9]\nexample = 1\n' for at in range(count))
    text = SHORT[: SHORT.index("[fields.income]")] + fields
    if fits:
        assert len(parse(text).fields) == count
    else:
        with pytest.raises(BadFile, match=re.escape(f"fields: a form has 2 to 40 fields, got {count}")):
            parse(text)


def test_columns_that_are_not_there_are_named_with_their_lines(tmp_path: Path) -> None:
    """All of them, before anything is trained."""
    asked = [field("income", column="incoem"), field("term")]
    file = written(tmp_path, frame(), fields=asked, loans='look_at = ["gender"]\ngroup = "customer"')
    with pytest.raises(BadFile) as caught:
        load_loans(read_recipe(file))
    told = str(caught.value)
    for name in ("incoem", "gender", "customer"):
        assert f"loans.csv has no column '{name}'; it has amount" in told
    assert all(problem.line > 0 for problem in some(caught.value.problems))


def test_answers_of_a_column_that_is_not_asked_are_looked_at(tmp_path: Path) -> None:
    """A harmless name does not let the model of all columns see a prohibited attribute."""
    data = frame()
    data["x7"] = ["f", "m"] * (len(data) // 2)
    file = written(tmp_path, data, loans='not_asked = [{ column = "x7", why = "not needed" }]')
    with pytest.raises(BadFile, match=r"loans\.not_asked: x7: its answers show an attribute"):
        load_loans(read_recipe(file))


@pytest.mark.parametrize("side", ["bad", "good"])
def test_an_outcome_that_nobody_has_is_refused(tmp_path: Path, side: str) -> None:
    """With the values that the column holds."""
    file = written(tmp_path, frame())
    text = file.read_text("utf-8").replace('bad = ["1"]' if side == "bad" else 'good = ["0"]', f'{side} = ["7"]')
    file.write_text(text, "utf-8")
    with pytest.raises(BadFile, match=f"loans.{side}: no loan has this outcome; bad holds '0', '1'"):
        load_loans(read_recipe(file))


def test_the_page_has_every_key() -> None:
    """docs/models.md names all that a recipe can say, and a field of it."""
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    keys = {*content.TOP, *content.CARD, *content.LOANS, *content.SPLIT, *content.POLICY}
    keys |= {*content.MODEL, *content.CHOICE_KEYS, *form_file.NUMBER, *form_file.CHOICE}
    # Those of embedded recipes, one that is refused, and one that has a single value.
    keys -= {"data_card", "blur", "digits", "on_notice", "calibration"}
    assert len(keys) > 60
    named = [f"`{key}" in page or f"[{key}]" in page or f"[{key}." in page for key in sorted(keys)]
    assert [key for key, there in zip(sorted(keys), named, strict=True) if not there] == []
