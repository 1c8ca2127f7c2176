"""Answers of every kind, good and bad, and what the door must make of them."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from parts import RealLoans

from inference.application import Form
from inference.errors import InvalidApplication
from inference.fields import NOT_STATED, ChoiceField, Field, NumberField
from inference.scorer import Scorer


class Hostile:
    """An answer that fails at whatever one tries with it."""

    dtype = property(lambda self: 1 / 0)

    def refuse(self, *_: object) -> Any:
        raise RuntimeError("asked")

    __repr__ = __str__ = __float__ = __int__ = __index__ = __len__ = __iter__ = __bool__ = refuse
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __array__ = refuse
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


def try_door(scorer: Scorer, real: RealLoans, cases: int, number: int = 0) -> dict[str, int]:
    """Exactly the bad fields are refused, and all else has a PD strictly within 0 and 1; how many cases of each.

    `number` seeds the cases.
    """
    form = scorer.release.form
    outcomes = {"refused": 0, "scored": 0}

    @seed(number)
    @settings(max_examples=cases)
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
    return outcomes
