"""Answers on bits without rows: to the last bit what their rows have, for all loans and at every edge of both."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from parts import RealLoans, choice, form_of, number, some

from inference.application import Form
from inference.bins import Forest
from inference.bins.conditions import Conditions
from inference.bins.forest import LARGE, SMALL
from inference.bins.from_answers import MOST, FromAnswers, Table, runs_of
from inference.blocks import (
    ArithmeticSpec,
    Feature,
    HistorySpec,
    KeyPartSpec,
    NotStatedSpec,
    NumbersSpec,
    OneHotSpec,
    PlacedSpec,
)
from inference.blocks import (
    Table as HistoryTable,
)
from inference.engines import BinsEngine, XGBoostEngine, open_engine
from inference.errors import EngineUnavailable
from inference.fields import NumberField
from inference.reasons import Reasons
from inference.release import Release, open_release
from inference.rows import RowBuilder
from inference.scorer import Scorer

Floats = npt.NDArray[np.float32]
Answers = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def both(release: Release, engine: XGBoostEngine) -> tuple[RowBuilder, Forest, FromAnswers]:
    """Rows by arrays, and two doors to one forest."""
    rows = open_release(release.folder).rows
    forest = Forest(engine.used_trees())
    return rows, forest, rows.to_forest(forest)


def same(one: Floats, other: Floats) -> bool:
    return one.dtype == other.dtype == np.float32 and one.tobytes() == other.tobytes()


def compare(both: tuple[RowBuilder, Forest, FromAnswers], values: Answers) -> int:
    """How many margins were compared with those of rows; all are equal."""
    rows, forest, answers = both
    assert same(answers.margins(values), forest.margins(rows.build(values)))
    return len(values)


@pytest.mark.slow
def test_all_committed_loans_have_the_margins_of_their_rows(both: Any, release: Release, real: RealLoans) -> None:
    """Every loan that the release's recipe loads: answers -> bits equals answers -> rows -> bits."""
    loans = real.recipe.load()
    compared = 0
    for first in range(0, len(loans), 50_000):
        part = loans.where(np.arange(len(loans)) // 50_000 == first // 50_000)
        compared += compare(both, release.form.encode(part.answers))
    assert compared == len(loans) > 4000


def thresholds_of(form: Form, columns: tuple[str, ...], conditions: Conditions) -> dict[str, Answers]:
    """Of each number field that is a column, the values at which a tree decides, and the neighbours of each as answers
    (float64) and as a row has them (float32)."""
    at: dict[str, Answers] = {}
    numbers = {field.name for field in form.fields if isinstance(field, NumberField)}
    for position, column in enumerate(conditions.columns.tolist()):
        if columns[column] in numbers:
            own = conditions.thresholds[conditions.begins[position] : conditions.begins[position + 1]]
            beside = [np.nextafter(own, np.float32(end)).astype(np.float64) for end in (-math.inf, math.inf)]
            finer = [np.nextafter(own.astype(np.float64), end) for end in (-math.inf, math.inf)]
            at[columns[column]] = np.concatenate([own.astype(np.float64), *beside, *finer])
    return at


@pytest.mark.slow
def test_at_every_threshold_of_a_number_and_beside_it(both: Any, release: Release, real: RealLoans) -> None:
    """Each threshold ± one unit in the last place, in the answers of several real applicants each."""
    rows, forest, _ = both
    values = release.form.encode(real.loans.answers)
    at = thresholds_of(release.form, rows.columns, forest.conditions)
    assert len(at) >= 4
    compared = 0
    for name, own in at.items():
        for applicant in values[:: len(values) // 5][:5]:
            changed = np.tile(applicant, (len(own), 1))
            changed[:, release.form.position(name)] = own
            compared += compare(both, changed)
    assert compared > 2000


@pytest.mark.slow
def test_every_choice_and_every_unset_one(both: Any, release: Release, real: RealLoans) -> None:
    """Each code of each list, and none, in the answers of several real applicants: so every key of every table."""
    values = release.form.encode(real.loans.answers)
    tried = 0
    for position, field in enumerate(release.form.fields):
        codes = [math.nan] if isinstance(field, NumberField) else [*range(len(field.choices)), math.nan]
        for applicant in values[:: len(values) // 3][:3]:
            changed = np.tile(applicant, (len(codes), 1))
            changed[:, position] = codes
            tried += compare(both, changed)
    assert tried > 3 * len(release.form.fields)


def test_unusual_and_missing_answers(both: Any, release: Release) -> None:
    """Bounds, zeros, the edges of history's bands, tiny and huge numbers, not stated: drawn for all fields at once."""
    drawn = np.random.default_rng(5)
    columns = []
    for field in release.form.fields:
        if isinstance(field, NumberField):
            pool = [field.minimum, field.maximum, *field.usual, 0.0, 5e-324, 1e-7, 1e-6, 1.0, 1e5, 1.5e5, 1e15, -1.0]
            column = drawn.choice(pool, 20_000)
        else:
            column = drawn.integers(0, len(field.choices), 20_000).astype(float)
        columns.append(np.where(drawn.random(20_000) < 0.15, math.nan, column))
    assert compare(both, np.column_stack(columns)) == 20_000


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 64 * SMALL + 1, 32 * LARGE + 1, 64 * LARGE, 4 * 64 * LARGE + 7])
def test_any_number_of_answers(both: Any, release: Release, real: RealLoans, count: int) -> None:
    """Around the sizes at which another loop takes over, and after larger ones: nothing is left of those."""
    values = release.form.encode(real.loans.answers)
    assert compare(both, np.resize(values, (count, values.shape[1]))) == count


@pytest.mark.slow
def test_threads_do_not_disturb_each_other(both: Any, release: Release, real: RealLoans) -> None:
    """Eight threads through one door give what one gives."""
    values = release.form.encode(real.loans.answers)
    parts = [values[first : first + 300] for first in range(0, 2700, 100)]
    expected = [both[2].margins(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(both[2].margins, parts))
    assert all(same(one, other) for one, other in some(zip(found, expected, strict=True)))


def test_answers_of_another_form_are_refused(both: Any) -> None:
    """Their number is named: the loop would read beside them."""
    with pytest.raises(ValueError, match=r"\(m, 10\) float64 expected, got \(3, 9\)"):
        both[2].margins(np.zeros((3, 9)))


# --- forms made by hand ---

CODES = [f"s{place}" for place in range(60)]
FIELDS = (
    number("amount", 0, 5000), number("staff", 0, 40, optional=True), number("income", 0, 900, optional=True),
    choice("state", *CODES), choice("line", "no", "yes", "not_stated"),
)  # fmt: skip
STATES = KeyPartSpec(of="state")
BANDS = KeyPartSpec(of="amount", edges=(100.0, 2000.0))
HISTORY = HistorySpec(table="states", key=(STATES,), columns=("mean", "spread", "idle"))
BOTH = HistorySpec(table="bands", key=(BANDS, STATES), columns=("share",))
ALL_KINDS: tuple[Feature, ...] = (
    NumbersSpec(of=("amount", "income")),
    NotStatedSpec(of=("staff",)),
    OneHotSpec(of="line"),
    HISTORY,
    BOTH,
    ArithmeticSpec(columns=(
        ("to_mean", "amount", "/", "mean"), ("ratio", "mean", "/", "spread"), ("both", "ratio", "*", "share"),
        ("of_line", "amount", "*", "line=yes"), ("last", "both", "-", "income"),
    )),
)  # fmt: skip


def tables(seed: int = 0) -> dict[str, HistoryTable]:
    drawn = np.random.default_rng(seed)
    states = drawn.uniform(0.1, 900, (61, 3)).astype(np.float32)
    keys = tuple(f"{band}|{code}" for code in CODES[::2] for band in (0, 2))
    bands = drawn.uniform(0.1, 9, (61, 1)).astype(np.float32)
    return {"states": HistoryTable(tuple(CODES), states), "bands": HistoryTable(keys, bands)}


def answers_of(form: Form, n: int, seed: int) -> Answers:
    drawn = np.random.default_rng(seed)
    columns = []
    for field in form.fields:
        if isinstance(field, NumberField):
            column = drawn.uniform(field.minimum, field.maximum, n)
            columns.append(np.where(drawn.random(n) < 0.2 * field.optional, math.nan, column))
        else:
            columns.append(drawn.choice([*range(len(field.choices)), math.nan], n))
    return np.column_stack(columns)


def trained(rows: Floats, seed: int) -> xgboost.Booster:
    drawn = np.random.default_rng(seed)
    spread = rows - np.nanmean(rows, axis=0)
    score = np.nan_to_num(spread / (np.nanstd(rows, axis=0) + 1)) @ drawn.normal(size=rows.shape[1])
    given = {"objective": "binary:logistic", "nthread": 1, "max_depth": 6, "colsample_bynode": 0.3}
    return xgboost.train(given, xgboost.DMatrix(rows, (score + drawn.normal(size=len(rows)) > 0).astype(int)), 40)


@pytest.mark.slow
def test_every_kind_of_feature() -> None:
    """History read by arithmetic, of floats that are float64 while they are computed with; a chain of steps; columns
    that no tree asks for."""
    form = form_of(*FIELDS)
    rows = RowBuilder(form, ALL_KINDS, tables())
    values = answers_of(form, 4000, 1)
    forest = Forest(trained(rows.build(values), 1))
    names = [rows.columns[column] for column in forest.conditions.columns]
    assert {"mean", "share", "ratio", "both", "last", "of_line"} <= set(names)
    assert compare((rows, forest, rows.to_forest(forest)), answers_of(form, 5000, 2)) == 5000


@pytest.mark.slow
def test_the_loop_for_rows_computes_in_float64() -> None:
    """A column of history is float32 and becomes float64 before it is computed with, in the compiled loop too."""
    form = form_of(*FIELDS)
    by_arrays, by_loop = RowBuilder(form, ALL_KINDS, tables(3)), RowBuilder(form, ALL_KINDS, tables(3))
    by_loop.compile_loop()
    values = answers_of(form, 2000, 4)
    expected = by_arrays.build(values)
    assert by_loop.build(values).tobytes() == expected.tobytes()
    used = np.full_like(expected, 7)
    assert by_loop.build(values, used).tobytes() == expected.tobytes()


@pytest.mark.slow
def test_missing_values_where_training_had_them() -> None:
    """An adopted model's column is NaN where an answer is not stated, and goes where its node sends it."""
    form = form_of(*FIELDS)
    placed = PlacedSpec(
        columns=("amount", "staff", "income", "yes"), choices={"line": {"yes": "yes"}},
        numbers={"amount": "amount", "staff": "staff", "income": "income"},
        not_stated={"staff": math.nan, "income": -1.0},
    )  # fmt: skip
    rows = RowBuilder(form, (placed,), {})
    values = answers_of(form, 3000, 5)
    built = rows.build(values)
    assert np.isnan(built).any()
    forest = Forest(trained(built, 5))
    assert forest.conditions.when_missing.any()
    assert compare((rows, forest, rows.to_forest(forest)), values) == 3000


@pytest.mark.slow
def test_a_table_with_missing_values_and_more_conditions_than_a_byte_counts() -> None:
    """A column of history with more than 255 thresholds has several bytes; NaN meets what XGBoost lets it meet."""
    codes = [f"c{place}" for place in range(900)]
    form = form_of(choice("shop", *codes), number("amount", 0, 10))
    drawn = np.random.default_rng(6)
    history = drawn.normal(size=(901, 2)).astype(np.float32)
    history[drawn.random(history.shape) < 0.1] = np.nan
    spec = HistorySpec(table="shops", key=(KeyPartSpec(of="shop"),), columns=("mean", "spread"))
    rows = RowBuilder(form, (spec, NumbersSpec(of=("amount",))), {"shops": HistoryTable(tuple(codes), history)})
    values = np.column_stack([drawn.integers(0, 900, 9000), drawn.uniform(0, 10, 9000)]).astype(np.float64)
    built = rows.build(values)
    bad = (np.sin(40 * np.nan_to_num(built[:, 0])) + np.sin(50 * built[:, 1]) > 0).astype(int)
    given = {"objective": "binary:logistic", "nthread": 1, "tree_method": "exact", "max_depth": 8}
    forest = Forest(xgboost.train(given, xgboost.DMatrix(built, bad), 60))
    lengths = [run.length for run in runs_of(forest.conditions, 0)]
    assert len(lengths) > 2
    assert max(lengths) == MOST
    assert compare((rows, forest, rows.to_forest(forest)), values) == 9000


def test_a_byte_counts_the_conditions_that_a_value_meets(both: Any) -> None:
    """By hand: of thresholds 1, 2 and 4, the values 0.5, 2 and 9 meet none, two and all."""
    conditions: Any = Conditions(
        n_features=1, base=0.5, depth=1, columns=np.array([0], np.int32), begins=np.array([0, 3], np.int32),
        middles=np.array([3], np.int32), of_column=np.zeros(4, np.int32),
        thresholds=np.array([1, 2, 4, np.inf], np.float32), when_missing=np.zeros(4, bool),
        nodes=np.zeros((0, 1), np.int32), leaves=np.zeros((0, 2), np.float32),
    )  # fmt: skip
    table = Table(conditions, np.array([[0.5], [2], [9], [np.nan]], np.float32), "0", "4", "c1", "q0")
    assert table.counts[:, 0].tolist() == [0, 2, 3, 0]
    assert table.runs[0] == (0, 0, 3)


# --- as an engine ---


def test_the_engine_refuses_a_door_that_gives_other_margins(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared with rows before it is used."""
    honest = FromAnswers.margins

    def off(self: FromAnswers, values: Answers) -> Floats:
        return np.nextafter(honest(self, values), np.float32(math.inf))

    engine = BinsEngine(release)
    monkeypatch.setattr(FromAnswers, "margins", off)
    with pytest.raises(EngineUnavailable, match=r"give other margins than their rows.*xgboost"):
        engine.predict_answers(np.zeros((1, len(release.form.fields))))


@pytest.mark.slow
def test_pds_and_reasons_come_through_the_door(release: Release, scorer: Scorer, real: RealLoans) -> None:
    """`Scorer.pds` and explanations of the engine on bits, with the bits of XGBoost's."""
    bins = open_engine("bins", release)
    values = release.form.encode(real.loans.answers)[:500]
    assert Scorer(release, bins).pds(values).tobytes() == scorer.pds(values).tobytes()
    ways = Reasons(release, bins), Reasons(release, scorer.engine)
    for at in range(0, 500, 25):
        application = release.form.parse(real.answers(at))
        one, other = (way.explain(application) for way in ways)
        assert one == other
    assert isinstance(bins, BinsEngine)
    assert bins._from_answers is not None
