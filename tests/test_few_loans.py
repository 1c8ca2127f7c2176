"""The scorecard for few bad loans: a sum of one number a column, the same by every engine."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inference.blocks import Matrix
from models.few_loans import cuts, pooled, scorecard
from models.metrics import Labels


def loans(seed: int = 0) -> tuple[Matrix, Labels]:
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(900, 4))
    rows[:, 3] = rows[:, 3] > 0
    odds = -3.2 + rows[:, 0] - 0.5 * rows[:, 1] + rows[:, 3]
    return rows.astype(np.float32), (chance.random(900) < 1 / (1 + np.exp(-odds))).astype(np.int8)


def test_it_is_additive() -> None:
    """A column's answer moves the margin by the same amount whatever the other answers are."""
    rows, bad = loans()
    model = scorecard(rows, bad, (0, 0, 0, 0), None)
    moved = rows.copy()
    moved[:, 0] = np.quantile(rows[:, 0], 0.9)
    start = np.tile(np.array([np.quantile(rows[:, 0], 0.1)]), len(rows))
    base = rows.copy()
    base[:, 0] = start
    change = model.predict(moved, output_margin=True) - model.predict(base, output_margin=True)
    assert change.min() == pytest.approx(change.max(), abs=1e-5)
    assert change.min() > 0.5


def test_it_tells_good_from_bad_and_has_the_level() -> None:
    """On 60 bad loans or so: better than a coin by far, and a mean PD that is the bad rate."""
    rows, bad = loans()
    assert 40 < bad.sum() < 130
    p = scorecard(rows, bad, (0, 0, 0, 0), None).predict_proba(rows)[:, 1]
    assert roc_auc_score(bad, p) > 0.7
    assert p.mean() == pytest.approx(bad.mean(), abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_directions_hold(sign: int) -> None:
    """Whatever the loans say, the margin never moves against a direction."""
    rows, bad = loans()
    model = scorecard(rows, bad, (sign, sign, sign, sign), None)
    for at in range(4):
        swept = np.tile(np.median(rows, axis=0), (200, 1)).astype(np.float32)
        swept[:, at] = np.linspace(-3, 3, 200)
        assert (sign * np.diff(model.predict(swept, output_margin=True)) >= 0).all()


def test_cuts_are_quartiles_or_between_few_values() -> None:
    """A flag has one cut, a constant none, and many values three."""
    assert cuts(np.array([0, 1, 1, 0], np.float32)).tolist() == [1]
    assert cuts(np.array([2, 2, 2], np.float32)).tolist() == []
    assert cuts(np.arange(100, dtype=np.float32)).tolist() == [24, 49, 74]


def test_pooling_gives_the_nearest_rising_rates() -> None:
    """By hand: 0.3 and 0.1 of equal weight become 0.2 each."""
    assert pooled(np.array([0.3, 0.1, 0.5]), np.array([10.0, 10.0, 5.0])).tolist() == [0.2, 0.2, 0.5]


def test_one_tree_a_column() -> None:
    """At most; what tells nothing is left out."""
    rows, bad = loans()
    rows[:, 2] = 1
    model = json.loads(bytes(scorecard(rows, bad, (0, 0, 0, 0), None).get_booster().save_raw("json")))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    assert [set(one["split_indices"]) for one in trees] == [{0}, {0, 1}, {0, 3}]
