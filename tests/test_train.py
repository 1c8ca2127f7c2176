"""What training does to the loans before a model sees them."""

from dataclasses import replace

import numpy as np
import pytest
from parts import RealLoans

from inference.application import Form
from inference.blocks import NumbersSpec
from inference.fields import field_from_json
from models.recipes.consumer import RECIPE
from models.train import blurred, counted, prepare

AMOUNT, TERM, INCOME, ASSETS = 0, 2, 3, 5  # places of fields in the consumer form


@pytest.fixture(scope="module")
def form() -> Form:
    return Form(tuple(field_from_json(spec) for spec in counted(RECIPE, RECIPE.load())))


@pytest.mark.slow
def test_blur_moves_answers_and_nothing_else(form: Form) -> None:
    """Evenly within its width, 0 and not stated as they are, and the same each time."""
    recipe = replace(RECIPE, blur={"amount": (0.1, 0), "term": (0.2, 6), "assets": (0, 5)}, window=(0, 0, 1))
    values = form.encode(RECIPE.load().answers)
    found = blurred(recipe, form, values)
    assert found.tobytes() == blurred(recipe, form, values).tobytes()
    others = [at for at in range(len(form.names)) if at not in (AMOUNT, TERM, ASSETS)]
    assert found[:, others].tobytes() == values[:, others].tobytes()
    ratio = found[:, AMOUNT] / values[:, AMOUNT]
    assert 0.9 <= ratio.min() < 0.901
    assert 1.099 < ratio.max() <= 1.1
    assert abs(ratio.mean() - 1) < 0.005
    term = values[:, TERM]
    assert (np.abs(found[:, TERM] - term) <= np.maximum(0.2 * term, 6)).all()
    assert (found[:, TERM] >= term / 2).all()
    owned = values[:, ASSETS]
    assert (owned == 0).sum() > 1000
    assert (found[owned == 0, ASSETS] == 0).all()
    assert np.isnan(owned).sum() > 10
    assert np.isnan(found[np.isnan(owned), ASSETS]).all()


@pytest.mark.slow
def test_only_loans_to_train_on_are_blurred(real: RealLoans) -> None:
    """Those that a model is judged by keep their answers, and so do the encoded answers of both."""
    recipe = real.recipe
    form = Form(tuple(field_from_json(spec) for spec in counted(recipe, real.loans)))
    name = next(spec["name"] for spec in recipe.fields if spec["kind"] == "number")
    numbers = recipe.features[0]
    assert isinstance(numbers, NumbersSpec)
    column = numbers.of.index(name)
    wide = replace(recipe, blur={name: (0.5, 0)}, window=recipe.window or (0, 0, 1))
    judged = prepare(wide, form, real.history, real.loans)
    trained = prepare(wide, form, real.history, real.loans, training=True)
    assert judged.values.tobytes() == trained.values.tobytes()
    assert (judged.rows[:, column] == judged.values[:, form.names.index(name)].astype(np.float32)).all()
    assert (trained.rows[:, column] != judged.rows[:, column]).mean() > 0.99


def test_blur_needs_dates() -> None:
    """Folds judge a loan by the row that other folds train on."""
    with pytest.raises(ValueError, match="training window"):
        replace(RECIPE, blur={"amount": (0.1, 0)})
