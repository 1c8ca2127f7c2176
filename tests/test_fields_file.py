"""The fields file: ADOPT.md's example as it is read, and every mistake named at its place."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from adoptable import FIELDS, table

from inference.fields import ChoiceField, NumberField, without_reason
from inference.languages import Text
from models.adoption.fields_file import BadFields, FieldsFile, read_features, read_fields

FEATURES = list(table()[0].columns)
SHORT = """\
name = "short"
title = "Short"
date = 2026-01-31
threshold = 0.2
[fields.income]
label = "Income"
range = [0, 1000]
example = 100
reasons = { high = "High income", low = "Low income", not_stated = "Income not stated" }
[fields.job]
label = "Job"
example = "no"
choices = { no = "No", yes = "Yes" }
reasons.yes = { en = "A job", fr = "Un emploi" }
"""


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    """A function that reads a text as a fields file."""

    def read(text: str, features: list[str] = FEATURES) -> FieldsFile:
        file = tmp_path / "fields.toml"
        file.write_text(text, "utf-8")
        return read_fields(file, features)

    return read


def test_the_example_of_the_page_is_whole(parse: Any) -> None:
    """Ten fields that set all eighteen features of the model, with directions for five."""
    fields = parse(FIELDS)
    assert len(fields.form.fields) == 10
    assert sorted(column for columns in fields.columns.values() for column in columns) == sorted(FEATURES)
    assert fields.columns["term"] == ("time",)
    assert fields.columns["prior_record"] == ("records",)
    assert fields.directions == {"amount": 1, "income": -1, "expenses": 1, "assets": -1, "seniority": -1}
    assert fields.manifest["date"] == "2026-11-23"


def test_what_a_short_file_leaves_out(parse: Any) -> None:
    """Both languages the same, the usual range all of it, columns as get_dummies names them, 600 points."""
    fields = parse(SHORT, ["income", "job_no", "job_yes"])
    income, job = fields.form.fields
    assert isinstance(income, NumberField)
    assert isinstance(job, ChoiceField)
    assert income.label == Text("Income", "Income")
    assert income.usual == income.typical == (0, 1000)
    assert (income.reference, income.whole, income.optional) == (100, False, False)
    assert [choice.label["fr"] for choice in job.choices] == ["No", "Yes"]
    assert fields.columns == {"income": ("income",), "job": ("job_no", "job_yes")}
    assert not fields.directions
    assert fields.manifest["policy"]["margin"] == pytest.approx(0.25)  # 0.25 / (0.25 + 1) = 0.2
    assert fields.manifest["points"] == {"anchor": 600.0, "odds": pytest.approx(4), "double": 20.0}
    assert fields.manifest["calibration"] == {"intercept": 0.0, "slope": 1.0}
    assert "elsewhere" in fields.manifest["notice"]["en"]


def test_a_row_is_zeros_but_for_the_answers(parse: Any) -> None:
    """Raw values in their columns, 1 for the choice, 0 elsewhere; a number not stated is 0."""
    fields = parse(
        SHORT.replace("example = 100", "example = 100\noptional = true"), ["a", "job_yes", "income", "job_no"]
    )
    values = fields.form.encode({"income": [7.5, None], "job": ["yes", "no"]})
    assert math.isnan(values[1, 0])
    assert fields.builder.build(values).tolist() == [[0, 1, 7.5, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name =", "nam =", "line 1: nam: nam means nothing here; known: name, title"),
        ('name = "short"', "", "name is missing"),
        ('"short"', '"Short Name"', "line 1: name: small letters"),
        ("date = 2026-01-31", 'date = "2026-01-31"', "such as 2026-01-31 without quotes"),
        ("threshold = 0.2", "threshold = 20", "line 4: threshold: a number from 0 to 1 is needed, got 20"),
        ("threshold = 0.2", 'threshold = "x"', "line 4: threshold: a number from 0 to 1"),
        ("threshold = 0.2", "threshold = 0.9", "which no applicant can have: set refer_band below 0.11"),
        ("range = [0, 1000]", "", "line 5: fields.income: range is missing"),
        ("range = [0, 1000]", f"range = [0, {10**400}]", "fields.income.range: the smallest answer and the largest"),
        ("range = [0, 1000]", f"range = {'[' * 3000}", "is no TOML"),
        ("range = [0, 1000]", "range = [0]", "line 7: fields.income.range: the smallest answer and the largest"),
        ("range = [0, 1000]", "range = [1000, 0]", "line 7: fields.income.range: the smallest answer and the largest"),
        ("range", "rnge", "line 7: fields.income.rnge: rnge means nothing here"),
        (
            "example = 100",
            "example = 5000",
            "line 8: fields.income.example: an answer that the form takes is needed, from 0 to 1000",
        ),
        ("example = 100", 'example = 100\ndirection = "left"', "line 9: fields.income.direction: up or down"),
        ("example = 100", 'example = 100\nfeature = "incom"', "no feature incom (the nearest is income); name the"),
        ("example = 100", 'example = 100\nfeature = "job_no"', "set by two answers: job_no"),
        ('label = "Job"', 'label = { en = "Job" }', "line 11: fields.job.label: a text, or"),
        (
            'example = "no"',
            'example = "none"',
            "line 12: fields.job.example: 'none' is not one of its choices: no, yes",
        ),
        (
            'example = "no"',
            'example = "no"\nfeatures = { nay = "job_no" }',
            "fields.job.features.nay: nay means nothing",
        ),
        ('yes = "Yes"', 'yes = "Yes", other = "Other"', "no feature job_other (the nearest"),
        ('label = "Job"', 'label = "Marital status"', "field job names marital"),
        ('yes = "Yes"', 'yes = "Yes", married = "Married"', "names married"),
        ('example = "no"', 'example = "no"\nfeatures = { yes = "gender" }', "field job names gender"),
        ('label = "Job"', 'label = "Age"', "is an age; say why in why_age"),
        ("[fields.job]", "[fields.job", "is no TOML"),
        ("[fields.income]", "[fields.'']", 'line 5: fields."": as a name'),
        ("[fields.income]", "[fields.class]", "line 5: fields.class: as a name"),
        (
            "range = [0, 1000]",
            "range = [0, 1000]\nusual = [-1, 10]",
            "line 8: fields.income.usual: a part of the range 0 to 1000",
        ),
        ("range = [0, 1000]", "range = [0, 1000]\nusual = [100.2, 100.8]\nwhole = true", "fields.income.usual: a part"),
        (
            "threshold = 0.2",
            "threshold = 0.2\npoints = { anchr = 1 }",
            "line 5: points.anchr: anchr means nothing here",
        ),
        ("threshold = 0.2", "threshold = 0.2\ncalibration = { slope = -1 }", "slope > 0"),
    ],
)
def test_a_mistake_is_named_at_its_place(parse: Any, old: str, new: str, told: str) -> None:
    """The error names the file, the field and what is needed."""
    assert old in SHORT
    features = ["income", "job_no", "job_yes", "job_married", "gender"]
    with pytest.raises(BadFields) as caught:
        parse(SHORT.replace(old, new, 1), features)
    assert told in str(caught.value)
    assert "fields.toml" in str(caught.value)


def test_all_mistakes_are_named_at_once(parse: Any) -> None:
    """In the order of their lines, so that one reading of the file mends them."""
    text = SHORT.replace('label = "Income"', "label = 1").replace('example = "no"', 'example = "none"')
    with pytest.raises(BadFields) as caught:
        parse(text.replace("range = [0, 1000]", "range = [7, 3]"))
    lines = str(caught.value).split("\n")
    assert [line.partition("fields.toml: ")[2].partition(":")[0] for line in lines[:3]] == [
        "line 6",
        "line 7",
        "line 12",
    ]


def test_age_with_a_reason_is_taken(parse: Any) -> None:
    """As in a recipe."""
    text = SHORT.replace('label = "Job"', 'label = "Age"').replace(
        "[fields.income]", 'why_age = "law"\n[fields.income]'
    )
    assert parse(text, ["income", "job_no", "job_yes"]).form.names == ("income", "job")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a\nb\na\n", "line 3: one distinct feature name a line is needed, found a for the second time"),
        (b"a\n\nb\n", "line 2: one distinct feature name a line is needed, found an empty line"),
        (b"", "line 1"),
        (b"\xe9t\xe9\n", "no UTF-8"),
    ],
)
def test_a_broken_feature_list_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """By line."""
    (tmp_path / "features.txt").write_bytes(content)
    with pytest.raises(BadFields, match=told):
        read_features(tmp_path / "features.txt")


def test_a_feature_list_may_end_as_it_likes(tmp_path: Path) -> None:
    """Blank lines at the end and Windows line ends are no features."""
    (tmp_path / "features.txt").write_bytes(b"a\r\nb c\r\n\r\n")
    assert read_features(tmp_path / "features.txt") == ["a", "b c"]


PLACED = SHORT + 'features = { yes = "job_other" }\n'


def test_what_is_lent_and_what_may_change(parse: Any) -> None:
    """A lender's own model says which field is the amount, which answers may change."""
    more = 'actionable = "down"\n'
    found = parse(
        PLACED.replace("date = ", 'amount = "income"\ndate = ').replace(
            'label = "Income"\n', f'label = "Income"\n{more}'
        )
    )
    assert found.manifest["policy"]["amount"] == "income"
    assert found.form.fields[0].actionable == "down"
    for wrong in ('amount = "job"', 'amount = "nothing"'):
        with pytest.raises(BadFields, match="amount: the number field"):
            parse(PLACED.replace("date = ", f"{wrong}\ndate = "))
    with pytest.raises(BadFields, match="actionable"):
        parse(PLACED.replace('label = "Income"\n', 'label = "Income"\nactionable = "sideways"\n'))


def test_what_applicants_are_told(parse: Any) -> None:
    """A text of each reason in both languages; the answer of the reference applicant raises nothing and needs none."""
    income, job = parse(PLACED).form.fields
    assert [(one.code, one.text["fr"]) for one in income.reasons][:2] == [
        ("high", "High income"),
        ("low", "Low income"),
    ]
    assert [(one.code, one.text["fr"]) for one in job.reasons] == [("yes", "Un emploi")]
    assert without_reason(job) == []


def test_missing_texts_are_all_named_at_once(parse: Any) -> None:
    """As the lines to write: put into the file with words in them, it is taken."""
    silent = "".join(line for line in PLACED.splitlines(True) if not line.startswith("reasons"))
    with pytest.raises(BadFields) as caught:
        parse(silent.replace("example = 100", "example = 100\noptional = true"))
    lines = str(caught.value).partition(":\n")[2]
    assert [line.partition(" ")[0] for line in lines.split("\n") if line] == [
        "[fields.income.reasons]", "high", "low", "not_stated", "[fields.job.reasons]", "yes",
    ]  # fmt: skip
    found = parse(silent + lines.replace("…", "In words"))
    assert [without_reason(field) for field in found.form.fields] == [[], []]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('reasons.higher = "A text"', "fields.income.reasons.higher: higher is no answer: high, low, not_stated"),
        ('reasons.any = "A text"', "any is no answer"),
        ('reasons.high = { en = "A text" }', "fields.income.reasons.high: a text, or"),
        ('reasons.high = ""', "fields.income.reasons.high: texts are needed"),
    ],
)
def test_a_bad_text_is_named_at_its_place(parse: Any, line: str, says: str) -> None:
    """A reason that no answer can be, or one without words."""
    lines = [one for one in PLACED.splitlines() if not one.startswith("reasons")]
    lines.insert(lines.index("example = 100") + 1, line)
    with pytest.raises(BadFields, match=re.escape(says)):
        parse("\n".join(lines))
