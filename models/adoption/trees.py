"""Reads the trees of an XGBoost model: where they split, what hangs on it, and how far the margin can go.

XGBoost's JSON model format is described at https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.calibration import probability
from inference.errors import TenfoldError
from inference.trees import LEAF, UnfitForest, base_score, plain_learner

ROUNDING = 2.0**-23  # relative error of one float32 operation


class UnfitModel(TenfoldError):
    """A model of a kind that no release can hold; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, by node. A row goes left where its column is smaller than the node's value, both as float32."""

    left: Sequence[int]  # node numbers; LEAF at a leaf
    right: Sequence[int]
    column: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]  # the threshold of a split, the margin of a leaf
    gain: npt.NDArray[np.float64]

    @property
    def splits(self) -> npt.NDArray[np.intp]:
        """The numbers of the nodes that split."""
        return np.flatnonzero(np.asarray(self.left) != LEAF)

    def extremes(self, low: list[float], high: list[float], node: int = 0) -> tuple[float, float]:
        """The least and the greatest leaf that rows with low <= column <= high can reach.

        Both lists hold a bound a column, exact in float32; they are as they were on return.
        """
        value = float(self.value[node])
        if self.left[node] == LEAF:
            return value, value
        column = int(self.column[node])
        lowest, highest = low[column], high[column]
        ends = []
        if lowest < value:
            high[column] = min(highest, float(np.nextafter(self.value[node], np.float32(-np.inf))))
            ends.append(self.extremes(low, high, self.left[node]))
            high[column] = highest
        if highest >= value:
            low[column] = max(lowest, value)
            ends.append(self.extremes(low, high, self.right[node]))
            low[column] = lowest
        return min(least for least, _ in ends), max(greatest for _, greatest in ends)


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees of a model whose margin is `base` and a leaf a tree, and whose probability is its logistic."""

    trees: list[Tree]
    base: float
    n_columns: int
    weight: float = 1.0  # scale_pos_weight: how many times a loan of class 1 counted in training
    seen_missing: frozenset[int] = frozenset()  # columns whose splits send missing values both ways: training had some

    def thresholds(self) -> list[npt.NDArray[np.float32]]:
        """Of each column, the thresholds of its splits, sorted; one that splits twice is there twice."""
        columns = np.concatenate([tree.column[tree.splits] for tree in self.trees])
        values = np.concatenate([tree.value[tree.splits] for tree in self.trees])
        return [np.sort(values[columns == column]) for column in range(self.n_columns)]

    def gains(self) -> npt.NDArray[np.float64]:
        """Of each column, the gain of its splits together, (n_columns,)."""
        gains = np.zeros(self.n_columns)
        for tree in self.trees:
            np.add.at(gains, tree.column[tree.splits], tree.gain[tree.splits])
        return gains

    def bounds(self, low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
        """Bounds that the model's probability cannot leave for rows with low <= column <= high.

        Each tree is taken at its own extreme, so no row need reach them; they are widened by what float32 sums lose.
        """
        extremes = np.array([tree.extremes(list(low), list(high)) for tree in self.trees])
        slack = ROUNDING * (len(extremes) + 1) * (abs(self.base) + float(np.abs(extremes).max(axis=1).sum()))
        least, greatest = self.base + extremes.sum(axis=0)
        ends = float(least) - slack, float(greatest) + slack
        lowest, highest = (probability(min(max(end, -700.0), 700.0)) for end in ends)
        return max(0.0, lowest - 4 * ROUNDING), min(1.0, highest + 4 * ROUNDING)  # XGBoost's logistic is float32 too


def read_forest(booster: Any) -> Forest:
    """The trees of a Booster, or `UnfitModel` where it is no plain sum of trees for good against bad."""
    try:
        learner = plain_learner(booster)
    except UnfitForest as unfit:
        raise UnfitModel(str(unfit)) from None
    specs = learner["gradient_booster"]["model"]["trees"]
    n_columns = int(learner["learner_model_param"]["num_feature"])
    if not any(len(spec["left_children"]) > 1 for spec in specs):
        raise UnfitModel("none of its trees splits: every applicant would get the same PD")
    start = base_score(learner)
    # As XGBoost computes it: not kept away from 0 and 1, as `log_odds` is.
    weight = float(learner["objective"].get("reg_loss_param", {}).get("scale_pos_weight", 1))
    return Forest(
        [read_tree(spec) for spec in specs], math.log(start / (1 - start)), n_columns, weight, seen_missing(specs)
    )


def seen_missing(specs: Sequence[Mapping[str, Any]]) -> frozenset[int]:
    """Columns whose splits send what is missing to the left here, to the right there: where training has no missing
    value of a column, XGBoost sends it the same way everywhere."""
    ways: dict[int, set[bool]] = {}
    for spec in specs:
        for column, left, way in zip(spec["split_indices"], spec["left_children"], spec["default_left"], strict=True):
            if left != LEAF:
                ways.setdefault(column, set()).add(bool(way))
    return frozenset(column for column, sides in ways.items() if len(sides) > 1)


def read_tree(spec: Mapping[str, Any]) -> Tree:
    return Tree(
        left=spec["left_children"],
        right=spec["right_children"],
        column=np.array(spec["split_indices"], np.int64),
        value=np.array(spec["split_conditions"], np.float32),
        gain=np.array(spec["loss_changes"], np.float64),
    )
