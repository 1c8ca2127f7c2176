"""Reasons for every row of a book: those that each application has alone, to the last bit."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from parts import RealLoans, choice, form_of, number
from test_book_batches import jittered

from inference.application import Application
from inference.blocks import ArithmeticSpec, NumbersSpec, OneHotSpec
from inference.book.batches import ALL_ROWS, NOT_APPROVED, BatchScorer
from inference.calibration import Calibration
from inference.engines import open_engine
from inference.fields import NumberField
from inference.reasons import ROWS_AT_ONCE, Reasons
from inference.release import Release
from inference.rows import RowBuilder
from inference.scorer import Scorer

Answers = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def bins(release: Release) -> Reasons:
    return Reasons(release, open_engine("bins", release))


def alone(reasons: Reasons, row: list[float]) -> tuple[tuple[float, ...], list[str]]:
    application = Application(tuple(row))
    explained = reasons.explain(application)
    return explained.effects, reasons.principal(explained, application)


def compare(reasons: Reasons, values: Answers) -> int:
    """How many reasons there are; effects and reasons of each row are those that it has alone."""
    effects, principal = reasons.effects_of_many(values), reasons.principal_of_many(values)
    expected = [alone(reasons, row) for row in values.tolist()]
    assert effects.tolist() == [list(of_row) for of_row, _ in expected]
    assert principal == [names for _, names in expected]
    return sum(map(len, principal))


@pytest.mark.slow
def test_real_and_jittered_applications(release: Release, bins: Reasons, real: RealLoans) -> None:
    """Thousands of applications of each release, of which other fields differ from the reference's."""
    values = jittered(release, real, 6000)[1500:4500]
    assert compare(bins, values) > 2000


@pytest.mark.slow
def test_unset_and_unusual_answers_and_the_reference_itself(release: Release, bins: Reasons) -> None:
    """Bounds, not stated, every field at once or none; the reference applicant has no reasons."""
    drawn = np.random.default_rng(8)
    columns = []
    for field in release.form.fields:
        if isinstance(field, NumberField):
            column = drawn.choice([field.minimum, field.maximum, *field.usual, field.reference], 300)
        else:
            column = drawn.integers(0, len(field.choices), 300).astype(float)
        kept = drawn.random(300) < 0.3
        column = np.where(kept, field.reference, column)
        columns.append(np.where(drawn.random(300) < 0.1, math.nan, column))
    values = np.column_stack(columns)
    values[0] = release.form.reference.values
    assert compare(bins, values) > 200
    assert bins.principal_of_many(values[:1]) == [[]]
    assert bins.principal_of_many(values[:0]) == []
    assert bins.effects_of_many(values[:0]).shape == (0, len(release.form.fields))


@pytest.mark.slow
def test_a_reason_of_two_answers_is_chosen_as_for_one_row(release: Release, bins: Reasons, real: RealLoans) -> None:
    """Among the real loans' reasons are those about a combination, in both ways the same."""
    values = release.form.encode(real.loans.answers)[:800]
    found = [code for row in bins.principal_of_many(values) for code in row]
    combined = {
        f"{field.name}/{reason.code}" for field in release.form.fields for reason in field.reasons if reason.columns
    }
    assert combined.intersection(found)
    assert compare(bins, values[:200]) > 100


@pytest.mark.slow
@pytest.mark.parametrize("which", [ALL_ROWS, NOT_APPROVED])
def test_a_book_has_the_reasons_of_each_score(release: Release, bins: Reasons, real: RealLoans, which: str) -> None:
    """The column beside the scores, against `Scorer.score` and its explanation."""
    values = release.form.encode(real.loans.answers)[:400]
    engine = open_engine("bins", release)
    scorer = Scorer(release, engine)
    batch = BatchScorer(release, engine, which).batch(pa.record_batch({"id": np.arange(400)}), values)
    told = 0
    for row, text in zip(real_answers(release, values), batch["reasons"].to_pylist(), strict=True):
        score = scorer.score(row)
        explained = bins.explain(score.application)
        wanted = which == ALL_ROWS or score.decision != "approve"
        assert text == (" ".join(bins.principal(explained, score.application)) if wanted else "")
        told += bool(text)
    assert told > 50


def real_answers(release: Release, values: Answers) -> list[dict[str, Any]]:
    return [release.form.answers(Application(tuple(row))) for row in values.tolist()]


class Linear:
    """An engine with a formula, so that a form made by hand can be explained."""

    name = "linear"

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        z = (rows * np.array([0.002, -0.003, 0.9, 0.2, 0.4], np.float32)[: rows.shape[1]]).sum(axis=1)
        return np.asarray(1 / (1 + np.exp(-z.astype(np.float64) + 1)), np.float32)


def handmade(*extra: dict[str, Any]) -> Any:
    """A form with an amount, a price and their share, whose amount has the reasons given."""
    amount = number("amount", 0, 1000, reference=100)
    amount["reasons"] = [*amount["reasons"], *extra]
    form = form_of(amount, number("price", 0, 2000, reference=300), choice("home", "own", "rent"))
    share = ArithmeticSpec(columns=(("share", "amount", "/", "price"),))
    rows = RowBuilder(form, (NumbersSpec(of=("amount", "price")), share, OneHotSpec(of="home")), {})
    return SimpleNamespace(form=form, rows=rows, calibration=Calibration(0.0, 1.0))


@pytest.mark.parametrize("code", ["of_share", "high", "twice"])
def test_a_reason_with_columns_by_hand(code: str) -> None:
    """The share is too high; also where its code is the one of the answer itself, or of another combination."""
    text = {"en": "share", "fr": "part"}
    combined = {"code": code, "when": "high", "columns": ["share"], "text": text}
    more = [{**combined, "columns": ["amount"]}] if code == "twice" else []
    release = handmade(combined, *more)
    drawn = np.random.default_rng(2)
    values = np.column_stack([drawn.uniform(0, 1000, 300), drawn.uniform(0, 2000, 300), drawn.integers(0, 2, 300)])
    values[::7, 1] = math.nan
    reasons = Reasons(release, Linear())
    assert compare(reasons, values) > 200
    assert f"amount/{code}" in {name for row in reasons.principal_of_many(values) for name in row}


@pytest.mark.slow
def test_more_applications_than_are_predicted_at_once() -> None:
    """Of one set of fields that differ: the parts are put together in order."""
    drawn = np.random.default_rng(3)
    values = np.column_stack([drawn.uniform(0, 1000, 3000), drawn.uniform(0, 2000, 3000), np.ones(3000)])
    assert 8 * len(values) > 2 * ROWS_AT_ONCE
    assert compare(Reasons(handmade(), Linear()), values) > 1000
