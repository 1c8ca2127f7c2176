"""The door: whatever comes, either a frozen application or every reason why not."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import NAMES, RealLoans, form_of, number

from inference.application import Application, Form
from inference.errors import InvalidApplication, Problem
from inference.fields import NOT_STATED, ChoiceField, Field, NumberField
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
        "amount (€): not a number; allowed: a number from 10 to 5,000; got: '1000'",
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
        kept = form.answers(application)
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


class Hostile:
    """An answer that fails at whatever one tries with it."""

    dtype = property(lambda self: 1 / 0)

    def refuse(self, *_: object) -> Any:
        raise RuntimeError("asked")

    __repr__ = __str__ = __float__ = __int__ = __index__ = __len__ = __iter__ = __bool__ = refuse
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __array__ = refuse  # type: ignore[assignment]
    __hash__ = object.__hash__


ODD: list[Any] = [
    10**400, -(10**400), 2**63, 1e39, 1e308, 5e-324, -0.0, 1.5, math.nan, math.inf, -math.inf,
    True, False, None, "", "nan", "1000", "yes", "NOT_STATED", NOT_STATED, "\ud800", "x" * 10_000, b"1000", b"",
    [], [1000], (), {}, {"a": 1}, {1}, range(3), object(), Ellipsis, int, len, NotImplemented, 1j, Hostile(),
    Decimal("NaN"), Decimal("1000"), datetime(2020, 1, 1, tzinfo=UTC),
    np.array(5.0), np.array([1.0]), np.array([]), np.ma.masked,
    np.float32(1.5), np.float16("inf"), np.longdouble("1e400"), np.int8(3), np.uint64(2**64 - 1), np.True_,
    np.datetime64("NaT"), np.timedelta64(1), np.complex128(1), np.str_("yes"), np.bytes_(b"yes"), np.void(b"x"),
]  # fmt: skip
GONE = object()
JUNK = [
    st.integers(0, len(ODD) - 1).map(ODD.__getitem__),  # hypothesis would hash what it samples from
    st.floats(),
    st.integers(),
    st.integers(-1, 130),
    st.text(max_size=8),
    st.text("0123456789", min_size=6, max_size=6),
    st.lists(st.integers(), max_size=2),
]


def usable(field: Field, raw: Any) -> bool:
    """What a field should accept, said once more and in another way than in inference/fields.py."""
    if isinstance(field, ChoiceField):
        codes = field.index.keys()
        if raw is None or not isinstance(raw, str):
            return raw is None and NOT_STATED in codes
        if field.digits is None:
            return raw in codes
        whole = len(raw) == field.digits and set(raw) <= set("0123456789")
        return whole and any(raw[:length] in codes for length in range(2, field.digits + 1))
    assert isinstance(field, NumberField)
    if raw is None or (isinstance(raw, str) and raw == NOT_STATED):
        return field.optional
    if isinstance(raw, (bool, np.bool_, np.timedelta64)) or not isinstance(raw, (int, float, np.integer, np.floating)):
        return False
    exact = int(raw) if isinstance(raw, (int, np.integer)) else float(raw)
    return field.minimum <= exact <= field.maximum and not (field.whole and exact % 1)


def ends(form: Form) -> list[object]:
    """The smallest and largest answers of the numbers, and a neighbour outside; the codes of the choices."""
    found: list[object] = []
    for field in form.fields:
        if isinstance(field, NumberField):
            below, above = math.nextafter(field.minimum, -math.inf), math.nextafter(field.maximum, math.inf)
            found += [field.minimum, field.maximum, below, above]
        elif isinstance(field, ChoiceField):
            found += [choice.code for choice in field.choices[:10]]
    return found


def spoiled(form: Form, real: RealLoans) -> st.SearchStrategy[dict[Any, Any]]:
    """A real application in which one or two answers are others, are left out, or are of no field.

    The second answer comes with the loan: hypothesis takes longer to draw one than the door to answer.
    """
    names, odd, possible = [*form.names, "age", 7], [*ODD, GONE], ends(form)
    changes = [(name, None) for name in names] * 11 + [(one, two) for one in names for two in names if one != two]

    def spoil(at: int, changed: tuple[Any, Any], answer: object) -> dict[Any, Any]:
        first, second = changed
        answers = {**real.answers(at), **({second: odd[at % len(odd)]} if second is not None else {}), first: answer}
        return {name: answer for name, answer in answers.items() if answer is not GONE}

    answer = st.one_of(*JUNK, st.sampled_from(possible), st.sampled_from([*possible, GONE]))
    return st.builds(spoil, st.integers(0, len(real.loans) - 1), st.sampled_from(changes), answer)


def test_junk_gives_an_invalid_application_or_a_probability(
    scorer: Scorer, real: RealLoans, record_property: Callable[[str, object], None]
) -> None:
    """Whatever is answered, exactly the bad fields are refused, and all else has a PD strictly within 0 and 1."""
    form = scorer.release.form
    outcomes = {"refused": 0, "scored": 0}

    @settings(max_examples=-(-10_000 // len(NAMES)))
    @given(spoiled(form, real))
    def holds(answers: dict[Any, Any]) -> None:
        bad = {
            field.name for field in form.fields if field.name not in answers or not usable(field, answers[field.name])
        }
        unknown = [name for name in answers if name not in form.names]
        if bad or unknown:
            outcomes["refused"] += 1
            with pytest.raises(InvalidApplication) as caught:
                scorer.score(answers)
            known = [problem for problem in caught.value.problems if problem.kind != "unknown_field"]
            assert {problem.field for problem in known} == bad
            assert len(caught.value.problems) == len(bad) + len(unknown)
            assert str(caught.value).encode()  # can be printed
        else:
            outcomes["scored"] += 1
            score = scorer.score(answers)
            assert 0.0 < score.pd < 1.0
            assert math.isfinite(score.points)

    holds()
    assert sum(outcomes.values()) * len(NAMES) >= 10_000
    assert min(outcomes.values()) * len(NAMES) >= 200
    record_property("hypothesis cases at the door", sum(outcomes.values()))
