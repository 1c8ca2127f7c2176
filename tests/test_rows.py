"""From answers to rows: what each kind of feature holds, and that one and many are the same bytes."""

import ast
import math
import textwrap
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from threading import Barrier
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import ValidationError
from msgspec.structs import replace
from parts import RealLoans

from inference import row_compiler
from inference.__main__ import main
from inference.application import Application, Form
from inference.blocks import (
    OPERATIONS,
    SMALLEST_DIVISOR,
    Feature,
    KeyPart,
    KeyPartSpec,
    Plan,
    Table,
    features_from_json,
)
from inference.fields import ChoiceField, Field, NumberField
from inference.release import Release
from inference.rows import RowBuilder
from models.train import prepare

EDGES = [1, 2, 3, 5, 8, 13, 20, 25, 30, 35]  # of staff: eleven bands, so that one is called "10"
STAFF_DOWN, STAFF_TEXT = {"of": "staff", "edges": [2, 1]}, {"of": "staff", "edges": ["1"]}
FEATURES: list[dict[str, Any]] = [
    {"kind": "numbers", "of": ["amount", "staff", "income"]},
    {"kind": "not_stated", "of": ["income"]},
    {
        "kind": "arithmetic",
        "columns": [
            ["surplus", "income", "-", "staff"],
            ["ratio", "amount", "/", "staff"],
            ["chained", "ratio", "+", "surplus"],
            ["squared", "amount", "*", "amount"],
        ],
    },
    {"kind": "one_hot", "of": "state"},
    {"kind": "one_hot", "of": "line"},
    {"kind": "one_hot", "of": "industry", "prefix": 2},
    {"kind": "code", "of": "industry"},
    {"kind": "history", "table": "states", "key": [{"of": "state"}], "columns": ["state.rate", "state.mean"]},
    {"kind": "history", "table": "sectors", "key": [{"of": "industry", "prefix": 2}], "columns": ["sector.rate"]},
    {"kind": "history", "table": "industries", "key": [{"of": "industry"}], "columns": ["industry.rate"]},
    {"kind": "history", "table": "lines", "key": [{"of": "line"}], "columns": ["line.rate"]},
    {"kind": "history", "table": "bands", "key": [{"of": "staff", "edges": EDGES}], "columns": ["band.rate"]},
    {"kind": "history", "table": "incomes", "key": [{"of": "income", "edges": [500]}], "columns": ["income.rate"]},
    {
        "kind": "history",
        "table": "pairs",
        "key": [{"of": "state"}, {"of": "industry", "prefix": 4}],
        "columns": ["pair.rate"],
    },
    {
        "kind": "arithmetic",
        "columns": [["against_state", "amount", "/", "state.mean"], ["again", "against_state", "*", "ratio"]],
    },
    {
        "kind": "placed",
        "columns": ["never", "x_income", "is_yes", "x_staff", "is_no", "is_tx"],
        "numbers": {"staff": "x_staff", "income": "x_income"},
        "choices": {"line": {"no": "is_no", "yes": "is_yes"}, "state": {"TX": "is_tx"}},
    },
]


def table(rows: dict[str, Any], everything: Any) -> Table:
    return Table(tuple(rows), np.array([*rows.values(), everything], np.float32).reshape(len(rows) + 1, -1))


TABLES = {
    "states": table({"CA": [0.1, 300.1], "NY": [0.2, 0.0]}, [0.15, 250.0]),
    "sectors": table({"72": 0.3, "11": 0.4}, 0.35),
    "industries": table({"722110": 0.5, "72": 0.6}, 0.55),
    "lines": table({"no": 0.01, "yes": 0.02}, 0.03),
    "bands": table({str(band): band / 100 for band in range(10)}, 0.99),  # no band "10"
    "incomes": table({"0": 0.61, "1": 0.62}, 0.63),
    "pairs": table({"CA|7221": 0.71, "CA|11": 0.72, "NY|72": 0.73}, 0.75),
}
APPLICANT = {"amount": 1000, "staff": 4, "income": 500, "state": "CA", "line": "yes", "industry": "722110"}


@pytest.fixture(scope="module")
def builder(form: Form) -> RowBuilder:
    """A plan with every kind of block."""
    return RowBuilder(form, features_from_json(FEATURES), TABLES)


def filled(form: Form, builder: RowBuilder, **changes: Any) -> dict[str, float]:
    """The row of the applicant with these answers changed, by column."""
    row = builder.fill(form.parse({**APPLICANT, **changes}))[0]
    return dict(zip(builder.columns, row.tolist(), strict=True))


def single(value: float) -> float:
    """A float64 cast to float32 once."""
    return float(np.float32(value))


# --- what the kinds of features hold ---


def test_every_kind_of_feature_is_in_the_plan() -> None:
    """The plan of these tests has every kind of block and every operation that there is."""
    assert {spec["kind"] for spec in FEATURES} == {kind.__struct_config__.tag for kind in get_args(Feature)}
    steps = [step for spec in FEATURES if spec["kind"] == "arithmetic" for step in spec["columns"]]
    assert {sign for _, _, sign, _ in steps} == OPERATIONS.keys()


def test_a_row_is_what_was_worked_out_by_hand(form: Form, builder: RowBuilder) -> None:
    """Numbers, flags, arithmetic, one-hot choices and history of one applicant, each cast to float32 once."""
    mean = single(300.1)  # history enters arithmetic as the model sees it
    assert filled(form, builder) == {
        "amount": 1000, "staff": 4, "income": 500, "income=not_stated": 0,
        "surplus": 496, "ratio": 250, "chained": 746, "squared": 1e6,
        "state=CA": 1, "state=NY": 0, "state=TX": 0,
        "line=no": 0, "line=yes": 1, "line=not_stated": 0,
        "industry[2]=72": 1, "industry[2]=11": 0, "industry": 722110,
        "state.rate": single(0.1), "state.mean": mean, "sector.rate": single(0.3), "industry.rate": 0.5,
        "line.rate": single(0.02), "band.rate": single(0.03), "income.rate": single(0.62), "pair.rate": single(0.71),
        "against_state": single(1000 / mean), "again": single(1000 / mean * 250),
        "never": 0, "x_income": 500, "is_yes": 1, "x_staff": 4, "is_no": 0, "is_tx": 0,
    }  # fmt: skip


def test_not_stated_is_zero_with_a_flag(form: Form, builder: RowBuilder) -> None:
    """A number not stated is 0 beside a flag of 1, it spreads through arithmetic, and its history is of all."""
    row = filled(form, builder, income=None)
    assert (row["income"], row["income=not_stated"]) == (0, 1)
    assert (row["surplus"], row["chained"]) == (0, 0)
    assert row["income.rate"] == single(0.63)


def test_zero_means_zero(form: Form, builder: RowBuilder) -> None:
    """An answer of 0 is 0 with no flag, and is not taken for "not stated"."""
    row = filled(form, builder, income=0)
    assert (row["income"], row["income=not_stated"], row["surplus"]) == (0, 0, -4)
    assert row["income.rate"] == single(0.61)


def test_a_quotient_by_zero_is_undefined(form: Form, builder: RowBuilder) -> None:
    """÷ 0 gives 0 in the row, and so does whatever is computed from it."""
    row = filled(form, builder, staff=0)
    assert (row["ratio"], row["chained"], row["again"]) == (0, 0, 0)
    assert filled(form, builder, state="NY")["against_state"] == 0


@pytest.mark.parametrize(
    ("column", "changes", "expected"),
    [
        ("state.rate", {"state": "TX"}, 0.15),
        ("industry.rate", {"industry": "722211"}, 0.6),
        ("industry.rate", {"industry": "722999"}, 0.6),
        ("industry.rate", {"industry": "111110"}, 0.55),
        ("sector.rate", {"industry": "111999"}, 0.4),
        ("line.rate", {"line": "not_stated"}, 0.03),
        ("band.rate", {"staff": 0}, 0.0),
        ("band.rate", {"staff": 1}, 0.01),
        ("band.rate", {"staff": 34}, 0.09),
        ("band.rate", {"staff": 35}, 0.99),
        ("income.rate", {"income": 499.9}, 0.61),
        ("pair.rate", {"industry": "111110"}, 0.72),
        ("pair.rate", {"state": "NY"}, 0.73),
        ("pair.rate", {"state": "NY", "industry": "111110"}, 0.75),
        ("pair.rate", {"state": "TX"}, 0.75),
        ("industry", {"industry": "722999"}, 720000),
        ("industry", {"industry": "111999"}, 111000),
    ],
)
def test_history_is_looked_up_by_the_answers(
    form: Form, builder: RowBuilder, column: str, changes: dict[str, Any], expected: float
) -> None:
    """A key takes its own row; a digit code that is not there its longest known prefix; all else the row of all.

    A code as a number is that of the prefix it stands for, filled up with zeros.
    """
    assert filled(form, builder, **changes)[column] == single(expected)


def test_what_is_unset_takes_the_row_of_all(form: Form, builder: RowBuilder) -> None:
    """A long list left unset, as in the reference applicant, has no one-hot column and the history of all."""
    unset = Application((1000.0, 4.0, 500.0, math.nan, 1.0, math.nan))
    row = dict(zip(builder.columns, builder.fill(unset)[0].tolist(), strict=True))
    assert [value for name, value in row.items() if name.startswith(("state=", "industry["))] == [0.0] * 5
    assert row["industry"] == 0
    found = [row[name] for name in ("state.rate", "sector.rate", "industry.rate", "pair.rate")]
    assert found == [single(value) for value in (0.15, 0.35, 0.55, 0.75)]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"kind": "numbers", "of": ["state"]}, ValueError),
        ({"kind": "numbers", "of": ["age"]}, ValueError),
        ({"kind": "numbers", "of": ["amount", "amount"]}, ValueError),
        ({"kind": "one_hot", "of": "amount"}, ValueError),
        ({"kind": "code", "of": "state"}, ValueError),
        ({"kind": "code", "of": "amount"}, ValueError),
        ({"kind": "logarithm", "of": ["amount"]}, ValidationError),
        ({"kind": "arithmetic", "columns": [["a", "amount", "^", "staff"]]}, ValidationError),
        ({"kind": "arithmetic", "columns": [["a", "amount", "+", "b"], ["b", "staff", "+", "staff"]]}, ValueError),
        ({"kind": "arithmetic", "columns": [["a", "amount", "+", "state"]]}, ValueError),
        ({"kind": "arithmetic", "columns": [["a", "amount", "+", 1]]}, ValidationError),
        ({"kind": "history", "table": "states", "key": [], "columns": ["a", "b"]}, ValidationError),
        ({"kind": "history", "table": "gone", "key": [{"of": "state"}], "columns": ["a", "b"]}, ValueError),
        ({"kind": "history", "table": "states", "key": [{"of": "state"}], "columns": ["a"]}, ValueError),
        ({"kind": "history", "table": "bands", "key": [STAFF_DOWN], "columns": ["a"]}, ValueError),
        ({"kind": "history", "table": "bands", "key": [STAFF_TEXT], "columns": ["a"]}, ValidationError),
    ],
    ids=str,
)  # fmt: skip
def test_a_feature_that_does_not_fit_is_an_error(form: Form, spec: dict[str, Any], error: type[Exception]) -> None:
    """Fields of the wrong kind, unknown names, kinds, signs and tables, and tables of another shape are refused."""
    with pytest.raises(error):
        RowBuilder(form, features_from_json([spec]), TABLES)


# --- one and many, bit for bit ---


BELOW, ABOVE = np.nextafter(SMALLEST_DIVISOR, [0.0, 1.0]).tolist()  # the floats beside the smallest divisor
ODD = [0.0, 5e-324, 1e-300, 1e-7, BELOW, SMALLEST_DIVISOR, ABOVE, 1.0, 3.0, 1e300, 1.7e308, math.inf, math.nan]
ODD += [-number for number in ODD[:-1]]


def same_bits(sign: str, left: list[float], right: list[float]) -> None:
    """An operation of columns has the bits of its values one by one; NaN is NaN, whatever its sign."""
    expression, many = OPERATIONS[sign]
    code = compile(expression.format("left", "right"), sign, "eval")
    ones = [eval(code, {"left": a, "right": b, "nan": math.nan}) for a, b in zip(left, right, strict=True)]  # noqa: S307 - our own
    with np.errstate(over="ignore", invalid="ignore"):
        found = many(np.array(left), np.array(right))
    one, found = np.array(ones), np.asarray(found)
    undefined = np.isnan(one)
    assert np.isnan(found).tolist() == undefined.tolist()
    assert found[~undefined].tobytes() == one[~undefined].tobytes()


@pytest.mark.parametrize("sign", OPERATIONS)
def test_odd_numbers_are_the_same_for_one_and_for_many(sign: str) -> None:
    """Zeros of both signs, divisors at the smallest and a float beside it, quotients that are infinite, NaN: each with
    each, by bits."""
    left, right = zip(*product(ODD, ODD), strict=True)
    same_bits(sign, list(left), list(right))


@given(st.sampled_from(list(OPERATIONS)), *[st.floats(-1e9, 1e9) | st.sampled_from(ODD)] * 2)
def test_each_operation_is_the_same_for_one_and_for_many(sign: str, left: float, right: float) -> None:
    """+ - x and / of two floats and of two columns are the same float64, or undefined in both."""
    same_bits(sign, [left] * 9, [right] * 9)


@given(st.lists(st.floats(-100, 100) | st.integers(-5, 5).map(float), max_size=300, unique=True).map(sorted))
def test_bands_are_the_same_for_one_and_for_many(form: Form, edges: list[float]) -> None:
    """None, few and many edges; values on an edge, a float beside it, far out, infinite and not stated."""
    part = KeyPart(KeyPartSpec(of="staff", edges=tuple(edges)), Plan(form, {}))
    beside = [np.nextafter(edge, way) for edge in edges for way in (-np.inf, np.inf)]
    values = np.array([*edges, *beside, 0.0, -0.0, 1e300, -1e300, math.inf, -math.inf, math.nan])
    unset = part.size - 1
    assert part.many(values).tolist() == [part.group(value, unset) for value in values.tolist()]
    assert part.many(np.array([math.nan])).tolist() == [unset]


def encoded(field: Field) -> st.SearchStrategy[float]:
    """Any value a field can hold: within its bounds, a choice, or unset."""
    if isinstance(field, NumberField):
        low, high = math.ceil(field.minimum), math.floor(field.maximum)
        numbers = st.integers(low, high).map(float) if field.whole else st.floats(field.minimum, field.maximum)
        small = st.sampled_from(
            [field.minimum, field.maximum, *(float(low + i) for i in range(min(8, high - low + 1)))]
        )
        return st.one_of(numbers, small, st.just(math.nan))
    assert isinstance(field, ChoiceField)
    return st.integers(-1, len(field.choices) - 1).map(lambda i: math.nan if i < 0 else float(i))


def assert_same_bytes(builder: RowBuilder, form: Form, cases: int) -> int:
    """`fill` of each application equals its row of `build`, by bytes; returns how many were tried."""
    tried = 0

    @settings(max_examples=cases)
    @given(st.tuples(*map(encoded, form.fields)))
    def holds(values: tuple[float, ...]) -> None:
        nonlocal tried
        tried += 1
        rows = builder.build(np.array([values, values]))
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert builder.fill(Application(values)).tobytes() * 2 == rows.tobytes()

    holds()
    return tried


@pytest.mark.slow
def test_fill_equals_build_for_every_kind_of_feature(form: Form, builder: RowBuilder, record_property: Any) -> None:
    """One application filled and many built are the same bytes, in a plan that has every kind of block."""
    record_property("rows compared by hypothesis", assert_same_bytes(builder, form, 700))


@pytest.mark.slow
def test_fill_equals_build_in_every_release(release: Release, record_property: Any) -> None:
    """One application filled and many built are the same bytes, with each release's features and tables."""
    record_property("rows compared by hypothesis", assert_same_bytes(release.rows, release.form, 500))


def test_fill_equals_build_over_whole_ranges(release: Release) -> None:
    """20,000 applications drawn evenly from all that the form accepts: the same bytes one by one and at once."""
    random = np.random.default_rng(1)
    columns = []
    for field in release.form.fields:
        if isinstance(field, NumberField):
            column = random.uniform(field.minimum, field.maximum, 20_000)
            column = np.round(column) if field.whole else column
        else:
            column = random.integers(0, len(field.choices), 20_000).astype(float)
        columns.append(np.where(random.random(20_000) < 0.05, np.nan, column))
    values = np.column_stack(columns)
    rows = release.rows.build(values)
    for value, row in zip(values.tolist(), rows, strict=True):
        assert release.rows.fill(Application(tuple(value))).tobytes() == row.tobytes()
    used = np.full((20_001, rows.shape[1]), np.float32(7))
    again = release.rows.build(values, used)
    assert again.base is used
    assert again.tobytes() == rows.tobytes()
    assert (used[20_000] == 7).all()


@pytest.mark.slow
def test_real_loans_fill_their_training_rows(release: Release, real: RealLoans, record_property: Any) -> None:
    """At least 2,000 real loans: the form's raw answers fill the very row that training built, bit for bit."""
    recipe, history, form = real.recipe, real.history, release.form
    sample = prepare(recipe, form, history, real.loans)
    tables = {month: history.tables(month) if history else {} for month in np.unique(real.loans.months).tolist()}
    builders = {month: RowBuilder(form, recipe.features, tables[month]) for month in tables}
    builders = builders if history else {0: release.rows}
    assert len(real.loans) >= 2000
    for at, month in enumerate(real.loans.months.tolist()):
        row = builders[month].fill(form.parse(real.answers(at)))
        assert row.tobytes() == sample.rows[at].tobytes()
    record_property("real loans compared with their training rows", len(real.loans))


@pytest.mark.slow
def test_a_release_serves_with_the_tables_of_its_own_date(release: Release, real: RealLoans) -> None:
    """A release's rows are the recipe's features with the tables as of the end of its training window."""
    recipe, form = real.recipe, release.form
    tables = real.history.tables(recipe.window[2]) if real.history and recipe.window else {}
    assert recipe.features == release.manifest.features
    values = form.encode(real.loans.answers)
    assert RowBuilder(form, recipe.features, tables).build(values).tobytes() == release.rows.build(values).tobytes()


# --- the thread's own row ---


def test_the_next_fill_leaves_nothing_behind(release: Release, real: RealLoans) -> None:
    """A thread's row is one and the same, and each fill wipes what the one before wrote."""
    form, rows = release.form, release.rows
    applications = [form.parse(real.answers(at)) for at in range(200)]
    fresh = rows.build(np.array([application.values for application in applications]))
    for (one, two), expected in zip(pairwise(applications), fresh[1:], strict=True):
        assert rows.fill(one) is rows.fill(two)
        assert rows.fill(two).tobytes() == expected.tobytes()


def test_each_thread_has_its_own_row(form: Form, builder: RowBuilder) -> None:
    """Two threads that fill at the same time each see their own application."""
    turn = Barrier(2)

    def fill(amount: int) -> tuple[float, int]:
        turn.wait(timeout=10)
        row = builder.fill(form.parse({**APPLICANT, "amount": amount}))
        turn.wait(timeout=10)  # both have filled, neither has read
        return float(row[0, 0]), id(row)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            (one, first), (two, second) = pool.map(fill, (100, 200))
            assert (one, two) == (100.0, 200.0)
            assert first != second


def test_rows_are_as_the_engine_wants_them(release: Release) -> None:
    """Rows are float32 in C order, with the columns that the manifest names in that order."""
    form = release.form
    names = [column.name for column in release.manifest.columns]
    assert list(release.rows.columns) == names
    assert [column.index for column in release.manifest.columns] == list(range(len(names)))
    for rows in (release.rows.fill(form.reference), release.rows.build(np.array([form.reference.values] * 3))):
        assert (rows.dtype, rows.shape[1], rows.flags.c_contiguous) == (np.dtype(np.float32), len(names), True)


def test_the_worked_example_is_what_is_compiled(form: Form) -> None:
    """The function in the compiler's docstring, to the letter; the command prints that of a release."""
    two = Form(tuple(replace(form.fields[form.names.index(name)], name=name) for name in ("amount", "staff")))
    example = RowBuilder(
        two,
        features_from_json(
            [
                {"kind": "numbers", "of": ["amount", "staff"]},
                {"kind": "arithmetic", "columns": [["amount/staff", "amount", "/", "staff"]]},
            ]
        ),
    )
    assert textwrap.indent(example.source, "    ") in (row_compiler.__doc__ or "")


def test_the_rows_of_a_release_are_printed(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    """Its columns with their indices; with `--source` the function that was compiled for it."""
    assert main(["rows", "--release", str(release.folder)]) == 0
    assert capsys.readouterr().out.split()[1::2] == list(release.rows.columns)
    assert main(["rows", "--source", "--release", str(release.folder)]) == 0
    assert capsys.readouterr().out.strip() == release.rows.source.strip()
    ast.parse(release.rows.source)
