"""The door for whole columns agrees with `Form.parse`: values bit for bit, and the same problems."""

import math
import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import choice, form_of, number, some

from inference.application import Form
from inference.book.columns import check, raw_answer
from inference.errors import InvalidApplication, Problem
from inference.fields import ChoiceField, Field, NumberField
from inference.release import Release

ROWS = 200  # of a nasty batch
BATCHES = 500  # for each release: 2 x 100,000 rows
ODD_TEXTS = [
    "", " ", "not_stated", "abc", "1,5", "1.5", "1,234", "1.234", "12.3456", "12,3456", "nan", "1_0", "1e2", "1E+2",
    "１２", "  7", "7 ", "+7", "0x10", "inf", "-inf", "7.", ".5", "-0", "-0.0", "007", "1 000",
    "1\u202f000,5", "$5", "5 %", "5k", "9007199254740993", "123456789012345678", "0.1", "1e400", "--5", "-", "5-",
    "1,2,3", "true", "\u0661\u0662",
]  # fmt: skip
ODD_CODES = ["", "NO", " no", "no ", "not_stated", "999999", "72251", "722599", "7225111", "٧٢٢٥١١", "72", "\x00"]
LIMITS = {pa.int64(): 63, pa.int32(): 31, pa.uint8(): 8, pa.uint64(): 64}


def number_column(field: NumberField, random: random.Random, *, nasty: bool) -> pa.Array:
    """A column of some type, mostly answers within the bounds, some at and beyond them."""
    low, high = field.minimum, field.maximum
    edges = [
        low, high, math.nextafter(low, -math.inf), math.nextafter(high, math.inf), 0.0, -0.0, math.nan, math.inf,
        -math.inf, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 1e300, low + 0.5, high - 0.5, 5e-324, None, None,
    ]  # fmt: skip
    share = random.choice([0, 0.002, 0.05, 1] if nasty else [0, 0.002, 0.02])
    inside: Callable[[], float] = (
        (lambda: random.randint(math.ceil(low), math.floor(high))) if field.whole or random.random() < 0.7
        else (lambda: random.uniform(low, high))
    )  # fmt: skip
    cells: list[Any] = [random.choice(edges) if random.random() < share else inside() for _ in range(ROWS)]
    usual = [pa.float64(), pa.int64(), pa.string(), pa.decimal128(38, 6)]
    kind = random.choice([*usual, *LIMITS, pa.float32(), pa.large_string()] if nasty else usual)
    if kind in LIMITS:
        bits, signed = LIMITS[kind], kind in (pa.int64(), pa.int32())
        lowest = -(2**bits) if signed else 0
        whole = [None if cell is None or not math.isfinite(cell) else int(cell) for cell in cells]
        column = pa.array([None if cell is None else min(max(cell, lowest), 2**bits - 1) for cell in whole], kind)
    elif pa.types.is_floating(kind):
        floats = [None if cell is None else float(cell) for cell in cells]
        column = pa.array(floats, pa.float64(), from_pandas=False).cast(kind, safe=False)
    elif pa.types.is_decimal(kind):
        column = pa.array([None if c is None or not abs(c) < 1e20 else float(c) for c in cells]).cast(kind, safe=False)
    else:
        column = pa.array([written(cell, random, share, nasty) for cell in cells], kind)
    if random.random() < 0.2 and not pa.types.is_decimal(kind):
        column = column.dictionary_encode()
    return column


def written(cell: float | None, random: random.Random, share: float, nasty: bool) -> str | None:
    if cell is None or random.random() < share:
        return random.choice([None, *ODD_TEXTS])
    if isinstance(cell, int) and not nasty:
        return str(cell)
    digits = random.choice([0, 1, 2, 3, 4, 8])
    text = f"{cell:.{digits}f}" if math.isfinite(cell) else str(cell)
    return text.replace(".", ",") if nasty and random.random() < 0.1 else text


def choice_column(field: ChoiceField, random: random.Random, *, nasty: bool) -> pa.Array:
    """A column of texts or of a dictionary that has entries nobody uses."""
    codes = [one.code for one in field.choices if field.digits is None or len(one.code) == field.digits]
    share = random.choice([0, 0.01, 0.05, 1] if nasty else [0, 0.01, 0.05])
    cells = [
        random.choice([None, *ODD_CODES]) if random.random() < share else random.choice(codes) for _ in range(ROWS)
    ]
    column = pa.array(cells, random.choice([pa.string(), pa.large_string()]))
    if random.random() < 0.5:
        listed = [
            *ODD_CODES[6:],
            *dict.fromkeys(cell for cell in cells if cell is not None and cell not in ODD_CODES[6:]),
        ]
        places = [None if cell is None else listed.index(cell) for cell in cells]
        column = pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array([*listed, None], pa.string()))
    return column


def bits(values: Any) -> bytes:
    """Of float64 values, every NaN as the same one."""
    return b"".join(struct.pack("<d", math.nan if value != value else value) for value in values)


def one_door(form: Form, answers: dict[str, object]) -> tuple[tuple[float, ...], tuple[Problem, ...]]:
    """The values, or the problems."""
    try:
        return form.parse(answers).values, ()
    except InvalidApplication as error:
        return (), error.problems


def compare(batch: pa.RecordBatch, form: Form, language: str) -> tuple[int, int]:
    """Assert that both doors say the same of each row; how many rows are good, and bad."""
    checked = check(batch, form, language)
    refused = dict(checked.refused)
    assert not checked.good[list(refused)].any()
    assert checked.good.sum() + len(refused) == batch.num_rows
    fields: dict[str, Field] = dict(zip(form.names, form.fields, strict=True))
    for at, row in enumerate(batch.to_pylist()):
        answers = {name: raw_answer(field, row[name], language) for name, field in fields.items()}
        expected, problems = one_door(form, answers)
        assert refused.get(at, ()) == problems, row
        assert checked.good[at] == (not problems), row
        assert problems or bits(checked.values[at]) == bits(expected), row
    return int(checked.good.sum()), len(refused)


@pytest.mark.slow
def test_nasty_rows_get_the_values_and_the_problems_of_the_one_door(
    release: Release, record_property: Callable[[str, object], None]
) -> None:
    """100,000 rows for each release, in every type of column that a file may have: bit for bit."""
    chance = random.Random(release.manifest.name)
    good = bad = 0
    for _ in range(BATCHES):
        nasty = chance.random() < 0.5
        columns = [
            number_column(field, chance, nasty=nasty)
            if isinstance(field, NumberField)
            else choice_column(field, chance, nasty=nasty)
            for field in release.form.fields
        ]
        counts = compare(pa.record_batch(columns, list(release.form.names)), release.form, chance.choice(["en", "fr"]))
        good, bad = good + counts[0], bad + counts[1]
    assert good + bad == ROWS * BATCHES
    assert good > 5_000
    assert bad > 5_000
    record_property("nasty rows that are good, and bad", f"{good:,} and {bad:,}")


FORM = form_of(
    number("amount", 10, 5000),
    number("staff", 0, 40, whole=True),
    number("income", 0, 900, optional=True),
    number("change", -(2**60), 2**60, unit={"en": "", "fr": ""}),
    number("whole_change", -(2**62), 2**62 + 1, whole=True, optional=True),
    choice("line", "no", "yes", "not_stated"),
)
TEXTS = st.one_of(st.none(), st.text(max_size=12), st.from_regex(r"[-+]?[0-9]{0,17}[.,]?[0-9]{0,5}", fullmatch=True))


@pytest.mark.slow
@given(st.lists(TEXTS, min_size=1, max_size=30), st.sampled_from(["en", "fr"]))
@settings(max_examples=1500)
def test_whatever_text_a_number_is_both_doors_say_the_same(texts: list[str | None], language: str) -> None:
    """Any text at all, in a field of each kind."""
    column = pa.array(texts, pa.string())
    compare(pa.record_batch([column] * len(FORM.names), list(FORM.names)), FORM, language)


@pytest.mark.slow
@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=50))
@settings(max_examples=500)
def test_whatever_float_a_number_is_both_doors_say_the_same(floats: list[float | None]) -> None:
    """NaN, infinities and subnormal numbers among them."""
    column = pa.array(floats, pa.float64(), from_pandas=False)
    compare(pa.record_batch([column] * len(FORM.names), list(FORM.names)), FORM, "en")


def test_null_is_not_stated_and_nan_is_not_finite(form: Form) -> None:
    """Beside each other in one column of an optional number."""
    rows = [form.example | {"income": value} for value in (None, math.nan, 3.5)]
    columns = {name: [row[name] for row in rows] for name in form.names}
    batch = pa.record_batch([pa.array(column, from_pandas=False) for column in columns.values()], list(form.names))
    checked = check(batch, form)
    assert checked.good.tolist() == [True, False, True]
    assert math.isnan(checked.values[0, form.position("income")])
    ((row, (problem,)),) = some(checked.refused)
    assert (row, problem.field, problem.kind) == (1, "income", "not_finite")


def test_other_columns_are_not_looked_at(form: Form) -> None:
    """Ids and the like may be anything."""
    batch = pa.record_batch([*([value] for value in form.example.values()), [b"\xff"]], [*form.names, "id"])
    assert check(batch, form).good.all()


def test_no_rows(form: Form) -> None:
    """A batch of none has no values and no problems."""
    batch = pa.record_batch([pa.array([], pa.string()) for _ in form.names], list(form.names))
    checked = check(batch, form)
    assert (checked.values.shape, len(checked.good), checked.refused) == ((0, len(form.names)), 0, ())
