"""What a field accepts, what it refuses, and how it says so."""

import math
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import choice, number

from inference.application import Form
from inference.fields import AnswerRefused, ChoiceField, Field, NumberField, field_from_json, shorten


class LikeATensor:
    """Has a dtype and no dimension, as a PyTorch scalar has, and is no NumPy number."""

    dtype = "float32"
    shape = ()


def refused(field: Field, raw: object) -> str:
    """The kind of problem with which a field refuses an answer."""
    with pytest.raises(AnswerRefused) as caught:
        field.parse(raw)
    return caught.value.problem.kind


@pytest.fixture(scope="module")
def fields(form: Form) -> dict[str, Any]:
    return {field.name: field for field in form.fields}


# --- numbers ---


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (10, 10.0),
        (5000, 5000.0),
        (12.5, 12.5),
        (np.float64(12.5), 12.5),
        (np.float32(0.1 + 10), float(np.float32(0.1 + 10))),
        (np.int64(77), 77.0),
        (np.uint8(77), 77.0),
        (np.longdouble(77), 77.0),
    ],
)
def test_a_number_within_its_bounds_is_that_float(fields: dict[str, Any], raw: object, value: float) -> None:
    """Python's and NumPy's numbers from minimum to maximum, both included, become exactly that float64."""
    parsed = fields["amount"].parse(raw)
    assert type(parsed) is float
    assert parsed == value


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (math.nan, "not_finite"),
        (math.inf, "not_finite"),
        (-math.inf, "not_finite"),
        (np.float32("nan"), "not_finite"),
        (np.longdouble("nan"), "not_finite"),
        (1e39, "too_large"),
        (10**400, "too_large"),
        (-(10**400), "too_small"),
        (9.999999, "too_small"),
        (-1, "too_small"),
        (np.nextafter(5000, 5001), "too_large"),
        (None, "not_stated"),
        (True, "not_a_number"),
        (np.True_, "not_a_number"),
        ("1000", "not_a_number"),
        ("not_stated", "not_a_number"),
        (b"1000", "not_a_number"),
        ([1000], "not_a_number"),
        ({"amount": 1000}, "not_a_number"),
        (np.array(1000.0), "not_a_number"),
        (np.array([1000.0]), "not_a_number"),
        (np.ma.masked, "not_a_number"),
        (np.timedelta64(1000), "not_a_number"),
        (LikeATensor(), "not_a_number"),
        (Decimal(1000), "not_a_number"),
        (Fraction(1000), "not_a_number"),
        (1000j, "not_a_number"),
        (date(2020, 1, 1), "not_a_number"),
    ],
    ids=shorten,
)
def test_anything_else_is_no_number(fields: dict[str, Any], raw: object, kind: str) -> None:
    """What is not finite, out of bounds or of another type is refused, with a word that says which."""
    assert refused(fields["amount"], raw) == kind


@pytest.mark.parametrize("raw", [1.5, np.float32(1.5), 1e-300])
def test_a_whole_number_has_no_fraction(fields: dict[str, Any], raw: object) -> None:
    """1.5 employees are refused; 2.0 are two."""
    assert refused(fields["staff"], raw) == "not_whole"
    assert fields["staff"].parse(2.0) == 2.0


def test_minus_zero_is_zero(fields: dict[str, Any]) -> None:
    """-0.0 is held as 0.0, so that rows of equal answers are equal bytes."""
    assert math.copysign(1, fields["staff"].parse(-0.0)) == 1


@pytest.mark.parametrize("raw", [None, "not_stated", np.str_("not_stated")])
def test_not_stated_is_an_answer_of_an_optional_number(fields: dict[str, Any], raw: object) -> None:
    """None and "not_stated" become NaN in an optional field."""
    assert math.isnan(fields["income"].parse(raw))


@pytest.mark.parametrize("raw", ["", "Not stated", "none", math.nan])
def test_nothing_else_means_not_stated(fields: dict[str, Any], raw: object) -> None:
    """An empty text, another wording or a NaN is no "not stated"."""
    assert refused(fields["income"], raw) in ("not_a_number", "not_finite")


# --- choices ---


def test_a_choice_is_its_place_in_the_list(fields: dict[str, Any]) -> None:
    """A code becomes its index, as a float; NumPy's texts too."""
    assert [fields["state"].parse(raw) for raw in ("CA", "NY", np.str_("TX"))] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("ZZ", "not_a_choice"),
        ("ca", "not_a_choice"),
        (" CA", "not_a_choice"),
        ("", "not_a_choice"),
        ("\ud800", "not_a_choice"),
        (None, "not_stated"),
        (0, "not_a_text"),
        (0.0, "not_a_text"),
        (True, "not_a_text"),
        (b"CA", "not_a_text"),
        (["CA"], "not_a_text"),
        (np.array("CA"), "not_a_text"),
    ],
    ids=shorten,
)
def test_anything_else_is_no_choice(fields: dict[str, Any], raw: object, kind: str) -> None:
    """A code that is not in the list, or no text at all, is refused; so is a number where a text belongs."""
    assert refused(fields["state"], raw) == kind


def test_none_is_not_stated_where_the_list_has_it(fields: dict[str, Any]) -> None:
    """None stands for the choice "not_stated" of a list that holds one."""
    assert fields["line"].parse(None) == fields["line"].parse("not_stated") == 2.0


@pytest.mark.parametrize(
    ("raw", "code"),
    [("722110", "722110"), ("722199", "7221"), ("722999", "72"), ("111999", "111"), ("119999", "11")],
)
def test_an_unknown_digit_code_stands_for_its_longest_known_prefix(fields: dict[str, Any], raw: str, code: str) -> None:
    """A code of a hierarchy that is not in the list falls back to the longest prefix that is."""
    industry = fields["industry"]
    assert industry.answer(industry.parse(raw)) == code


@pytest.mark.parametrize(
    "raw", ["999999", "72", "7221", "72211", "7221100", "72211x", "７２２１１０", "-72211", "72２２11", 722110, ""]
)
def test_a_nonsense_digit_code_is_refused(fields: dict[str, Any], raw: object) -> None:
    """No known sector, too few or too many digits, other characters or a number: none of it is an industry."""
    assert refused(fields["industry"], raw) in ("not_a_choice", "not_a_text")


# --- both ways, and for people ---


@given(st.data())
def test_answer_undoes_parse(form: Form, data: st.DataObject) -> None:
    """Parsing the canonical answer of an encoded value gives that value again."""
    field = data.draw(st.sampled_from(form.fields))
    if isinstance(field, ChoiceField):
        value = float(
            data.draw(st.sampled_from([i for i, c in enumerate(field.choices) if field.digits in (None, len(c.code))]))
        )
    else:
        assert isinstance(field, NumberField)
        value = data.draw(st.floats(field.minimum, field.maximum))
        value = float(round(value)) if field.whole else value
    assert field.parse(field.answer(value)) == value


def test_unset_is_no_answer(form: Form) -> None:
    """NaN, as the reference applicant has it for long lists, is None as an answer and words for a person."""
    assert {field.answer(math.nan) for field in form.fields} == {None}
    assert {field.show(math.nan, "en") for field in form.fields} == {"not stated"}
    assert {field.show(math.nan, "fr") for field in form.fields} == {"non précisé"}


def test_values_are_shown_in_the_readers_language(fields: dict[str, Any]) -> None:
    """A number has its unit and its language's separators, a choice its label."""
    assert (fields["amount"].show(1234.5, "en"), fields["amount"].show(1234.5, "fr")) == (
        "€1,234.5",
        "1\u202f234,5\u00a0€",
    )
    assert (fields["state"].show(0.0, "en"), fields["state"].show(0.0, "fr")) == ("CA", "Ca")


def test_a_refusal_tells_field_unit_allowed_and_got(fields: dict[str, Any]) -> None:
    """The problem names the field, its unit, what it allows and what it got, in that order."""
    with pytest.raises(AnswerRefused) as caught:
        fields["income"].parse(1500)
    assert str(caught.value) == "income (€): too large; allowed: a number from 0 to 900, or not_stated; got: 1500"


@given(st.one_of(st.text(), st.binary(), st.integers(), st.floats(), st.lists(st.text()), st.none()))
def test_what_was_got_is_short(raw: object) -> None:
    """However long an answer is, at most 40 characters of it come back, and they can be printed."""
    assert len(shorten(raw).encode()) <= 40 * 4
    assert len(shorten(raw)) <= 40


def test_a_huge_integer_is_described() -> None:
    """An integer too long for Python to print is named by its size."""
    assert shorten(10**5000) == "an integer of 16610 bits"


# --- descriptions ---


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (number("a"), {"kind": "date"}),
        (number("a"), {"minimum": 5, "maximum": 4}),
        (number("a"), {"maximum": math.inf}),
        (number("a"), {"minimum": math.nan}),
        (number("a"), {"minimum": -math.inf}),
        (number("a"), {"minimum": "five"}),
        (number("a"), {"usual": [2, 1]}),
        (number("a"), {"typical": [1]}),
        (number("a"), {"label": {"en": "only English"}}),
        (choice("a", "x", "y"), {"unit": "€"}),
        (choice("a", "x", "y"), {"reference": "z"}),
        (choice("a", "x", "y"), {"choices": [{"code": "x", "label": {}, "count": 1}] * 2}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_description_that_makes_no_sense_is_refused(spec: dict[str, Any], change: dict[str, Any]) -> None:
    """Unknown kinds, impossible ranges, missing languages and double choices are errors, not fields."""
    field_from_json(spec)
    with pytest.raises(ValueError, match=r"field (a|None): "):
        field_from_json(spec | change)


@pytest.mark.parametrize("spec", [number("a"), choice("a", "x")], ids=["number", "choice"])
def test_a_description_is_whole(spec: dict[str, Any]) -> None:
    """Whatever a description leaves out is missed, but for reasons, which the first format has none of."""
    for key in spec.keys() - {"reasons"}:
        with pytest.raises(ValueError, match=r"field (a|None): "):
            field_from_json({name: value for name, value in spec.items() if name != key})
