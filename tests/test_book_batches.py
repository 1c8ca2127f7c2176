"""A batch has the scores of its applications, to the last bit."""

import itertools
import math
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from parts import RealLoans

from inference.application import Application
from inference.book.batches import (
    ADDED,
    ARROW,
    PYTHON,
    TRIED,
    BatchScorer,
    Floats,
    Function,
    Functions,
    functions,
    named,
    same,
)
from inference.engines import open_engine
from inference.fields import NumberField
from inference.policy import DECISIONS
from inference.release import Release
from inference.scorer import Scorer

ROWS = 20_000  # for each release


def jittered(release: Release, real: RealLoans, rows: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Real applications, encoded, and others near them: no two alike where numbers allow it."""
    chance = np.random.default_rng(0)
    values = release.form.encode(real.loans.answers)
    more = values[chance.integers(0, len(values), max(0, rows - len(values)))]
    for at, field in enumerate(release.form.fields):
        if isinstance(field, NumberField):
            moved = more[:, at] * np.exp(chance.normal(0, 0.15, len(more)))
            more[:, at] = np.clip(np.round(moved) if field.whole else moved, field.minimum, field.maximum)
        else:
            swapped = chance.random(len(more)) < 0.15
            more[swapped, at] = chance.choice(values[:, at], int(swapped.sum()))
    return np.concatenate([values, more])[:rows]


@pytest.mark.slow
def test_each_row_of_a_batch_has_the_score_that_it_has_alone(release: Release, scorer: Scorer, real: RealLoans) -> None:
    """PD, points, decision and unusual fields of 20,000 rows for each release equal `Scorer.score` exactly."""
    values = jittered(release, real, ROWS)
    book = BatchScorer(release, scorer.engine)
    ids = pa.record_batch({"id": np.arange(len(values))})
    batch = book.batch(ids, values)
    assert batch.schema.names == ["id", *ADDED]
    found = list(zip(*(batch[name].to_pylist() for name in ADDED), strict=True))
    form, policy = release.form, release.policy
    assert len(found) == ROWS
    for row, expected in zip(values.tolist(), found, strict=True):
        alone = scorer.score(form.answers(Application(tuple(row))))
        assert alone.application.values == tuple(row) or any(map(math.isnan, row))
        assert expected == (
            alone.pd, alone.points, alone.decision, " ".join(alone.unusual), alone.release, alone.engine
        )  # fmt: skip
    assert {row[2] for row in found} == set(DECISIONS)
    assert len({row[3] for row in found}) > 1
    assert policy.watched


@pytest.mark.parametrize("name", ["onnx", "onedal", "bins"])
@pytest.mark.slow
def test_other_engines_agree(release: Release, scorer: Scorer, real: RealLoans, name: str) -> None:
    """Within 1e-6 of XGBoost's PD, and each row names its engine."""
    values = jittered(release, real, 6000)
    batch = BatchScorer(release, open_engine(name, release)).batch(pa.record_batch({"id": np.arange(6000)}), values)
    expected = BatchScorer(release, scorer.engine).score(values)
    off = np.abs(batch["pd"].to_numpy() - expected.pds)
    assert off.max() <= (0 if name == "bins" else 1e-6)
    assert set(batch["engine"].to_pylist()) == {name}


@pytest.mark.slow
def test_arrows_logarithms_have_the_bits_of_pythons() -> None:
    """In the versions that are locked, on this machine: a million values."""
    assert same(ARROW, 1_000_000)
    assert functions() is ARROW


@pytest.mark.parametrize("changed", Functions._fields)
def test_a_function_of_other_bits_is_noticed(changed: str) -> None:
    """One value in a thousand that is one unit in the last place off, as NumPy's log is where it uses AVX-512."""
    exact: Function = getattr(PYTHON, changed)

    def off(values: Floats) -> Floats:
        found = exact(values)
        found[::1000] = np.nextafter(found[::1000], np.inf)
        return found

    assert same(PYTHON, TRIED)
    assert not same(PYTHON._replace(**{changed: off}), TRIED)


@pytest.mark.slow
def test_without_arrows_the_scores_are_the_same(release: Release, scorer: Scorer, real: RealLoans) -> None:
    """The map over Python's own functions is the fall-back."""
    book, plain = BatchScorer(release, scorer.engine), BatchScorer(release, scorer.engine)
    plain._functions = PYTHON
    values = jittered(release, real, 2000)
    one, other = book.score(values), plain.score(values)
    assert one.pds.tobytes() == other.pds.tobytes()
    assert one.points.tobytes() == other.points.tobytes()
    assert one.decisions.tobytes() == other.decisions.tobytes()


def test_no_applications(release: Release, scorer: Scorer) -> None:
    """A batch of none has all columns."""
    none = BatchScorer(release, scorer.engine).batch(
        pa.record_batch({"id": pa.array([], pa.string())}), np.zeros((0, len(release.form.fields)))
    )
    assert (none.num_rows, none.schema.names) == (0, ["id", *ADDED])


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17, 32, 33, 40, 63, 64, 65, 130])
@pytest.mark.parametrize("order", ["C", "F"])
def test_flags_are_named_as_a_loop_names_them(count: int, order: Literal["C", "F"]) -> None:
    """Of as many names as fit one byte, two, four, eight, and more: rare flags, half of them, none and all."""
    chance, names = np.random.default_rng(count), [f"name_{place}" for place in range(count)]
    for rows, share in itertools.product((0, 1, 3, 700), (0.0, 0.03, 0.5, 1.0)):
        flags = np.asarray(chance.random((rows, count)) < share, order=order)
        found = named(flags, names)
        assert found.null_count == 0
        assert found.to_pylist() == [
            " ".join(name for name, flag in zip(names, row, strict=True) if flag) for row in flags.tolist()
        ]
