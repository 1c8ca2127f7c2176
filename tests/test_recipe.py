"""What a recipe may and may not ask of an applicant."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from parts import some

from models.prohibited import Prohibited
from models.recipe import Loans, Recipe, choice_field, number_field, raw_answers
from models.recipes.consumer import RECIPE

NAMES = [
    "sex", "gender", "race", "skin_colour", "color", "ethnic_group", "ethnicity", "religion", "marital_status",
    "married", "spouse_income", "national_origin", "nationality", "citizenship", "disability", "pregnant",
    "sexual_orientation", "birthplace", "political_party", "trade_union",
    "faith", "minority_owned", "civil_status", "maiden_name", "immigration_status",
]  # fmt: skip


def with_field(name: str, label: str = "A label", **changes: Any) -> Recipe:
    """The consumer recipe with one more field."""
    texts = {"en": "", "fr": ""}
    field = number_field(name, "person", label, "Un titre", texts, minimum=0, maximum=1, example=0, help=texts)
    return replace(RECIPE, fields=[*RECIPE.fields, field], **changes)


@pytest.mark.parametrize("name", NAMES)
def test_a_prohibited_attribute_is_refused_by_its_name(name: str) -> None:
    """A field that names a prohibited attribute stops the recipe, whether number or choice; why_age changes nothing."""
    with pytest.raises(Prohibited, match=name):
        with_field(name)
    with pytest.raises(Prohibited, match=name):
        with_field(name, why_age="because")
    field = choice_field(name, "person", "A label", "Un titre", {"a": ("A", "A")})
    with pytest.raises(Prohibited, match=name):
        replace(RECIPE, fields=[field])


@pytest.mark.parametrize("label", ["Sex", "Marital status", "Country of national origin", "Race or ethnicity"])
def test_a_prohibited_attribute_is_refused_by_its_label(label: str) -> None:
    """A harmless name does not hide what the applicant is asked."""
    with pytest.raises(Prohibited, match="field x1"):
        with_field("x1", label)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("age", "A"), ("x1", "Age"), ("applicant_age", "A"), ("age_band", "A"), ("date_of_birth", "A"),
        ("birth_year", "A"), ("year_born", "A"), ("dob", "A"), ("x1", "Birthday"),
    ],
)  # fmt: skip
def test_age_needs_a_reason(name: str, label: str) -> None:
    """Age is refused, and accepted only where the recipe says why."""
    with pytest.raises(Prohibited, match="why_age"):
        with_field(name, label)
    assert with_field(name, label, why_age="Regulation B allows it in an empirically derived system").why_age


@pytest.mark.parametrize("choices", [{"m": ("Married", "A")}, {"married": ("M", "A")}, {"1": ("Female", "F")}])
def test_a_prohibited_attribute_is_refused_by_its_answers(choices: dict[str, tuple[str, str]]) -> None:
    """A harmless name and label do not hide an attribute that the answers spell out."""
    with pytest.raises(Prohibited, match="field x1"):
        replace(RECIPE, fields=[choice_field("x1", "person", "A label", "Un titre", choices)])


def test_an_industry_may_be_of_religious_organisations() -> None:
    """A prohibited word within an answer is no attribute of the applicant."""
    field = choice_field("industry", "x", "Industry", "Secteur", {"8131": ("Religious organizations", "A")})
    assert replace(RECIPE, fields=[field]).fields == [field]


@pytest.mark.parametrize("name", ["amount_2", "mortgage", "sextant", "stage", "wage", "average", "racing_horses"])
def test_a_word_that_only_contains_another_is_allowed(name: str) -> None:
    """A wage, a stage or a mortgage is no age."""
    assert with_field(name).fields[-1]["name"] == name


@pytest.mark.parametrize(
    ("column", "sign"), [("a", +1), ("a.x", 0), ("b.x", -1), ("b.", -1), ("b", 0), ("c", 0), ("bb.x", 0)]
)
def test_a_constraint_is_of_a_column_or_of_a_pattern(column: str, sign: int) -> None:
    """A name constrains one column, a pattern that ends in * all that begin with it, and no other is constrained."""
    assert replace(RECIPE, monotone={"a": +1, "b.*": -1}).constraint(column) == sign


@pytest.mark.slow
def test_every_constraint_is_of_a_column_that_is_there(real: Any, release: Any) -> None:
    """No constraint of a recipe is lost to a slip of the pen: each names a column of its release."""
    columns = release.rows.columns
    for pattern in some(real.recipe.monotone):
        stem = pattern.removesuffix("*")
        assert any(name.startswith(stem) if pattern.endswith("*") else name == pattern for name in columns), pattern


def test_loans_are_chosen_by_a_mask() -> None:
    """Answers, outcome and months of the chosen loans stay together."""
    loans = Loans(
        {"a": [1, None, 3], "b": ["x", "y", "z"]},
        np.arange(3, dtype=np.int8), np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32),
    )  # fmt: skip
    chosen = loans.where(np.array([True, False, True]))
    assert len(chosen) == 2
    assert chosen.answers == {"a": [1, 3], "b": ["x", "z"]}
    assert chosen.bad.tolist() == chosen.months.tolist() == chosen.bad_months.tolist() == [0, 2]


def test_raw_answers_are_what_the_form_would_give() -> None:
    """Columns of a table become plain Python values, with None where nothing is stated."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": pandas.array([1, None], "Int64"), "x": [1.5, 2.5], "t": ["a", "b"]})
    answers = raw_answers(frame, ["n", "x", "t"])
    assert answers == {"n": [1, None], "x": [1.5, 2.5], "t": ["a", "b"]}
    assert {type(value) for column in answers.values() for value in column} == {int, float, str, type(None)}
