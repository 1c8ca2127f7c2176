"""The door to every release, in many cases: raw answers, what stands in the page's form, and numbers as people type."""

import math
import time
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import given, seed, settings
from hypothesis import strategies as st
from junk import try_door
from parts import NAMES, RealLoans, number
from scale import report, times

from inference.errors import InvalidApplication
from inference.fields import NOT_STATED, ChoiceField, Field, NumberField, field_from_json
from inference.number_format import write_number
from inference.numbers import LONGEST, TROUBLES, UnreadNumber
from inference.scorer import Scorer
from web.desk.form import FormValues
from web.pages.answers import offered
from web.pages.texts import LANGUAGES

BATCH = times(100, 5000)  # cases of one seed
LONGEST_TIME = 1800.0  # seconds for one release; far more than the cases need


def in_batches(cases: int, one: Callable[[int], int]) -> int:
    """Cases with one seed after another, until there are as many as asked for; `one` says how many it tried."""
    until = time.monotonic() + LONGEST_TIME
    tried = number = 0
    while tried < cases and time.monotonic() < until:
        tried += one(number)
        number += 1
    assert tried >= cases
    return tried


def test_the_door(scorer: Scorer, real: RealLoans, record_property: Any) -> None:
    """Whatever is answered, exactly the bad fields are refused, and all else has a PD."""
    outcomes = {"refused": 0, "scored": 0}

    def batch(number: int) -> int:
        found = try_door(scorer, real, BATCH, number)
        for name, count in found.items():
            outcomes[name] += count
        return sum(found.values())

    cases = in_batches(times(200, 120_000) // len(NAMES), batch)
    assert min(outcomes.values())
    report(f"door_{scorer.release.manifest.name}", record_property, cases=cases, **outcomes)


MARKS = "0123456789 .,-+'\u00a0\u202f\u2009\N{MINUS SIGN}eE_xnN%٣½\n"
TYPED = st.one_of(
    st.text(MARKS, max_size=LONGEST + 2),
    st.floats(-1e12, 1e12).map(lambda value: f"{value:,.2f}"),
    st.integers(-(10**9), 10**9).map(lambda value: write_number(value, "fr")),
    st.text(max_size=12),
)


def held_by(field: Field, language: str) -> st.SearchStrategy[Any]:
    """What the page's script may send of a field, or another client."""
    texts = [field.example, NOT_STATED, ""]
    if isinstance(field, ChoiceField):
        texts += [text for pair in offered(field, language)[:20] for text in pair]
    elif isinstance(field, NumberField):
        texts += [write_number(value, language) for value in (field.minimum, field.maximum, *field.usual)]
    anything = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.lists(st.text(max_size=3)), TYPED)
    return st.one_of(st.sampled_from(texts), st.sampled_from(texts), st.sampled_from(texts), anything)


def with_answer(example: dict[str, object], answer: tuple[str, object]) -> dict[str, object]:
    """The example with one answer of another kind."""
    return {**example, answer[0]: answer[1]}


def test_what_stands_in_the_form(scorer: Scorer, record_property: Any) -> None:
    """In both languages it comes to a score or a refusal of fields that are there, whatever a client sends."""
    form = scorer.release.form
    outcomes = {"refused": 0, "scored": 0}
    named: set[str] = set()  # fields that were refused
    example = {field.name: shown for field, shown in zip(form.fields, FormValues(form, "en").example, strict=False)}
    for language in LANGUAGES:
        held = FormValues(form, language, with_reference=True)
        whole = {**example, **{field.name: value for field, value in zip(form.fields, held.example, strict=False)}}
        whole |= {field.name: None for field in form.fields if whole[field.name] == ""}
        own = [st.tuples(st.just(field.name), held_by(field, language)) for field in form.fields]
        sent = st.one_of(*own, st.tuples(st.just("more"), TYPED)).map(partial(with_answer, whole))
        junk = st.one_of(st.dictionaries(st.sampled_from(form.names), TYPED, max_size=4), st.integers(), st.none())

        def batch(number: int, held: FormValues = held, sent: Any = sent, junk: Any = junk) -> int:
            tried = [0]

            @seed(number)
            @settings(max_examples=BATCH // 2)
            @given(st.one_of(sent, sent, sent, junk), TYPED)
            def holds(given: Any, typed: str) -> None:
                tried[0] += 1
                reference = held.reference(typed)
                assert reference is None or (reference.isprintable() and 0 < len(reference) <= 100)
                try:
                    score = scorer.score(held.answers(given))
                except InvalidApplication as error:
                    named.update(problem.field for problem in error.problems)
                    outcomes["refused"] += 1
                else:
                    assert 0.0 < score.pd < 1.0
                    outcomes["scored"] += 1

            holds()
            return tried[0]

        in_batches(times(100, 20_000) // len(NAMES), batch)
    assert min(outcomes.values())
    assert named <= set(form.names)
    cases = sum(outcomes.values())
    report(f"door_form_{scorer.release.manifest.name}", record_property, cases=cases, **outcomes)


def test_numbers_as_people_type_them(record_property: Any) -> None:
    """A number comes out finite and of the digits that were typed; other text is explained."""
    outcomes = {"numbers": 0, "texts": 0}
    field = field_from_json(number("amount", -1e12, 1e12))
    assert isinstance(field, NumberField)

    def batch(at: int) -> int:
        tried = [0]

        @seed(at)
        @settings(max_examples=BATCH)
        @given(TYPED, st.sampled_from(LANGUAGES))
        def holds(text: str, language: str) -> None:
            tried[0] += 1
            found = field.read(text, language)
            if isinstance(found, UnreadNumber):
                assert found.kind in TROUBLES
                outcomes["texts"] += 1
                return
            assert math.isfinite(found)
            typed = "".join(str(digit) for mark in text if (digit := unicodedata.decimal(mark, None)) is not None)
            digits = f"{Decimal(repr(abs(found))):f}".replace(".", "")
            assert typed.strip("0") == digits.strip("0") or float(typed) == float(digits)
            outcomes["numbers"] += 1

        holds()
        return tried[0]

    cases = in_batches(times(200, 40_000), batch)
    assert min(outcomes.values())
    report("door_numbers", record_property, cases=cases, **outcomes)
