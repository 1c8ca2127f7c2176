"""The door: whatever comes, either a frozen application or every reason why not."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from junk import try_door
from parts import NAMES, RealLoans, form_of, number

from inference.application import Application, Form
from inference.errors import InvalidApplication, Problem
from inference.fields import NOT_STATED
from inference.scorer import Scorer

GOOD = {"amount": 1000, "staff": 3, "income": 80.5, "state": "NY", "line": "no", "industry": "722110"}


def refused(form: Form, answers: Mapping[str, object]) -> dict[str, Problem]:
    """The problems with which a form refuses these answers, by field."""
    with pytest.raises(InvalidApplication) as caught:
        form.parse(answers)
    return {problem.field: problem for problem in caught.value.problems}


def test_good_answers_become_one_float_a_field(form: Form) -> None:
    """Answers in any order are encoded in field order."""
    expected = Application((1000.0, 3.0, 80.5, 1.0, 0.0, 2.0))
    assert form.parse(GOOD) == form.parse(dict(reversed(GOOD.items()))) == expected


def test_every_bad_field_is_named_at_once(form: Form) -> None:
    """Bad, missing and unknown fields all come out of one refusal, each with unit, allowed and got."""
    found = refused(form, {"amount": math.nan, "staff": 1.5, "state": "ZZ", "line": 0, "industry": "000000", "age": 40})
    assert {name: (problem.kind, problem.got) for name, problem in found.items()} == {
        "amount": ("not_finite", "nan"),
        "staff": ("not_whole", "1.5"),
        "income": ("missing", "no answer"),
        "state": ("not_a_choice", "'ZZ'"),
        "line": ("not_a_text", "0"),
        "industry": ("not_a_choice", "'000000'"),
        "'age'": ("unknown_field", "an answer"),
    }
    assert found["amount"].unit == "€"
    assert found["staff"].allowed == "a whole number from 0 to 40"
    assert found["state"].allowed == "one of CA, NY, TX"


def test_the_message_has_a_line_a_problem(form: Form) -> None:
    """The error's text is for the person who gave the answers: one line a bad field."""
    with pytest.raises(InvalidApplication) as caught:
        form.parse({**GOOD, "amount": "1000", "state": None})
    assert str(caught.value).splitlines() == [
        "amount (€): not a number; allowed: a number from 10 to 5,000; got: '1000'; "
        "send a number such as 1000, in JSON without quotes, not a text",
        "state (€): not stated; allowed: one of CA, NY, TX; got: None",
    ]


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_answer_is_missed(form: Form, name: str) -> None:
    """Each field must be answered, with "not stated" where that is allowed; leaving it out is no answer."""
    assert {n: p.kind for n, p in refused(form, {n: a for n, a in GOOD.items() if n != name}).items()} == {
        name: "missing"
    }


@pytest.mark.parametrize("name", ["age", "", "Amount", 7, None, ("amount",), "x" * 500])
def test_an_unknown_field_is_refused(form: Form, name: Any) -> None:
    """An eleventh answer under any name is refused, whatever the name is."""
    (problem,) = refused(form, {**GOOD, name: 1}).values()
    assert problem.kind == "unknown_field"
    assert len(problem.field) <= 40


def test_positional_and_named_answers_bind_like_a_call(form: Form) -> None:
    """Answers in field order, by name or some of each are the same mapping."""
    values = list(GOOD.values())
    named = dict(list(GOOD.items())[2:])
    assert form.name_answers(values, {}) == form.name_answers(values[:2], named) == form.name_answers([], GOOD) == GOOD


def test_one_answer_too_many_is_refused(form: Form) -> None:
    """More positional answers than fields are refused by their place, beside whatever else is wrong."""
    answers = form.name_answers([-1, *list(GOOD.values())[1:], 1, 2], {})
    assert list(refused(form, answers)) == ["amount", "'answer 7'", "'answer 8'"]


def test_the_same_answer_twice_is_refused(form: Form) -> None:
    """A field answered by place and by name is refused, and all such fields are named."""
    answers = form.name_answers(list(GOOD.values()), {"amount": 1000, "staff": 3})
    assert list(refused(form, answers)) == ["'amount (twice)'", "'staff (twice)'"]


def test_an_application_cannot_be_changed(form: Form) -> None:
    """What has passed the door stays as it was."""
    application = form.parse(GOOD)
    with pytest.raises(AttributeError):
        application.values = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        application.values[0] = 1.0  # type: ignore[index]


def test_a_form_has_no_field_twice() -> None:
    """Two fields of one name are an error of the release."""
    with pytest.raises(ValueError, match="listed twice"):
        form_of(number("amount"), number("amount"))


def test_canonical_answers_parse_to_the_same_application(form: Form) -> None:
    """The answers kept in a record score again as they did."""
    for answers in (GOOD, {**GOOD, "income": None, "line": NOT_STATED, "industry": "722999"}):
        application = form.parse(answers)
        kept: dict[str, object] = dict(form.answers(application))
        kept["industry"] = answers["industry"]  # what stands for an unknown code has fewer digits
        np.testing.assert_equal(form.parse(kept).values, application.values)


def test_columns_are_encoded_as_applications_are(form: Form) -> None:
    """`encode` gives the float64 that `parse` gives, row by row."""
    rows = [GOOD, {**GOOD, "income": None, "industry": "111999"}, {**GOOD, "amount": 12.25}]
    encoded = form.encode({name: [row[name] for row in rows] for name in GOOD})
    assert encoded.tobytes() == np.array([form.parse(row).values for row in rows]).tobytes()
    assert encoded.flags.c_contiguous


def test_a_bad_answer_in_a_column_is_refused(form: Form) -> None:
    """One answer that cannot be used stops the whole column, by its field's name."""
    with pytest.raises(InvalidApplication, match="staff"):
        form.encode({name: [answer, -1 if name == "staff" else answer] for name, answer in GOOD.items()})


def test_the_example_and_real_loans_pass(scorer: Scorer, real: RealLoans) -> None:
    """A release's form accepts its own example and each loan it was trained on; its reference is whole."""
    form = scorer.release.form
    assert len(form.fields) == len(form.reference.values) == len(form.parse(form.example).values) == 10
    assert form.encode(real.loans.answers).shape == (len(real.loans), 10)


# --- junk ---


@pytest.mark.slow
def test_junk_gives_an_invalid_application_or_a_probability(
    scorer: Scorer, real: RealLoans, record_property: Callable[[str, object], None]
) -> None:
    """Whatever is answered, exactly the bad fields are refused, and all else has a PD strictly within 0 and 1."""
    outcomes = try_door(scorer, real, -(-10_000 // len(NAMES)))
    assert sum(outcomes.values()) * len(NAMES) >= 10_000
    assert min(outcomes.values()) * len(NAMES) >= 200
    record_property("hypothesis cases at the door", sum(outcomes.values()))
