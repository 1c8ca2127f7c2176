"""Trees as they are read: against XGBoost's own figures, and bounds that no row passes."""

import numpy as np
import pytest
import xgboost
from adoptable import classifier
from hypothesis import given
from hypothesis import strategies as st
from parts import some
from xgboost import XGBRFClassifier

from models.adoption.trees import Forest, UnfitModel, read_forest

N = 4
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, N)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] + RANDOM.normal(size=600) > 0).astype(int)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    return classifier(n_estimators=12, max_depth=4).fit(X, Y).get_booster()


@pytest.fixture(scope="module")
def forest(booster: xgboost.Booster) -> Forest:
    return read_forest(booster)


def test_thresholds_and_gains_are_xgboosts_own(booster: xgboost.Booster, forest: Forest) -> None:
    """As `trees_to_dataframe` and `get_score` tell them."""
    frame = booster.trees_to_dataframe()
    gains = booster.get_score(importance_type="total_gain")
    for at, (thresholds, gain) in enumerate(zip(forest.thresholds(), forest.gains(), strict=True)):
        splits = frame[frame["Feature"] == f"f{at}"]["Split"].to_numpy(np.float32)
        assert thresholds.tolist() == sorted(splits.tolist())
        assert gain == pytest.approx(gains[f"f{at}"], rel=1e-5)


def test_bounds_of_one_row_are_its_probability(booster: xgboost.Booster, forest: Forest) -> None:
    """Where nothing may vary, the bounds close on what XGBoost predicts; rows on thresholds and beside them too."""
    thresholds = np.concatenate(forest.thresholds())[: len(X)]
    beside = np.nextafter(thresholds, np.float32(-np.inf))
    rows = np.stack([np.concatenate([thresholds, beside])] * N, axis=1)
    for row, p in some(zip(rows, booster.inplace_predict(rows), strict=True)):
        low, high = forest.bounds(row.tolist(), row.tolist())
        assert low <= p <= high
        assert high - low < 1e-4


# XGBoost would read float32, so the box has float32 corners.
Ends = st.lists(st.floats(-3, 3, width=32), min_size=2 * N, max_size=2 * N)


@pytest.mark.slow
@given(Ends, st.integers(0, 2**32 - 1))
def test_no_row_of_a_box_leaves_its_bounds(
    booster: xgboost.Booster, forest: Forest, ends: list[float], seed: int
) -> None:
    """Any box of rows: probabilities of its corners and of what lies within stay inside the bounds."""
    box = np.sort(np.array(ends).reshape(N, 2), axis=1)
    random = np.random.default_rng(seed)
    inside = random.uniform(box[:, 0], box[:, 1], (64, N))
    corners = np.where(random.random((64, N)) < 0.5, box[:, 0], box[:, 1])
    p = booster.inplace_predict(np.concatenate([inside, corners]).astype(np.float32))
    low, high = forest.bounds(box[:, 0].tolist(), box[:, 1].tolist())
    assert low <= p.min()
    assert p.max() <= high


def test_bounds_of_one_tree_are_reached(forest: Forest) -> None:
    """A single tree over all rows reaches its smallest and its largest leaf; a box leaves both lists as they were."""
    tree = forest.trees[0]
    leaves = np.delete(tree.value, tree.splits)
    low, high = [-10.0] * N, [10.0] * N
    assert tree.extremes(low, high) == (leaves.min(), leaves.max())
    assert (low, high) == ([-10.0] * N, [10.0] * N)


def test_a_random_forest_is_a_sum_of_trees_too() -> None:
    """Several trees a round are read like one."""
    booster = XGBRFClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(X, Y).get_booster()
    row = X[0].tolist()
    low, high = read_forest(booster).bounds(row, row)
    assert low <= booster.inplace_predict(X[:1])[0] <= high


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"objective": "reg:squarederror"}, "its objective is reg:squarederror"),
        ({"objective": "binary:logitraw"}, "its objective is binary:logitraw"),
        ({"objective": "multi:softprob", "num_class": 2}, "its objective is multi:softprob"),
        ({"objective": "binary:logistic", "booster": "dart"}, "its booster is dart"),
        ({"objective": "binary:logistic", "booster": "gblinear"}, "its booster is gblinear"),
        ({"objective": "binary:logistic", "min_child_weight": 1e9}, "none of its trees splits"),
    ],
)
def test_other_models_are_refused_by_name(parameters: dict[str, object], told: str) -> None:
    """No plain sum of trees for good against bad: the error names what it is."""
    with pytest.raises(UnfitModel, match=told):
        read_forest(xgboost.train(parameters, xgboost.DMatrix(X, Y), 2))


@pytest.mark.slow
def test_categorical_features_are_refused() -> None:
    """With the reason: their numbers mean what only the training data knew."""
    data = xgboost.DMatrix(np.abs(X).round(), Y, feature_types=["c", "q", "q", "q"], enable_categorical=True)
    with pytest.raises(UnfitModel, match="categorical"):
        read_forest(xgboost.train({"objective": "binary:logistic"}, data, 2))
