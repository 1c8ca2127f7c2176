"""Reads the trees of an XGBoost booster: where they split, and what their leaves give.

XGBoost's JSON model format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from inference.errors import TenfoldError

LEAF = -1
Learner: TypeAlias = Mapping[str, Any]  # JSON that only XGBoost describes: it has no types


class UnfitForest(TenfoldError):
    """A model that is no plain sum of trees for bad against good: what it is, and what is needed."""


class Booster(Protocol):
    """What is asked of an `xgboost.Booster`."""

    def save_raw(self, raw_format: str) -> bytearray:
        """The model, in the format of that name."""

    def num_features(self) -> int:
        """Columns of a row."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, its arrays by node. A row goes left where its column is smaller than the value, both as float32."""

    left: Sequence[int]  # node numbers; LEAF at a leaf
    right: Sequence[int]
    column: Sequence[int]
    value: Sequence[float]  # the threshold of a split, the margin of a leaf
    missing_left: Sequence[bool]  # where a row without the column's value goes

    def depth(self) -> int:
        """Splits on the longest way to a leaf."""
        deepest, waiting = 0, [(0, 0)]
        while waiting:
            node, level = waiting.pop()
            deepest = max(deepest, level)
            if self.left[node] != LEAF:
                waiting += [(self.left[node], level + 1), (self.right[node], level + 1)]
        return deepest

    def splits(self) -> list[int]:
        """Nodes that are not leaves."""
        return [node for node, left in enumerate(self.left) if left != LEAF]


def read_trees(booster: Booster) -> tuple[list[Tree], float]:
    """The trees, and the base score in (0, 1) whose log-odds every margin starts from. Raises `UnfitForest`."""
    learner = plain_learner(booster)
    specs = learner["gradient_booster"]["model"]["trees"]
    return [tree_of(spec) for spec in specs], base_score(learner)


def plain_learner(booster: Booster) -> Learner:
    """XGBoost's JSON of a model that is a plain sum of trees for bad against good. Raises `UnfitForest` for others."""
    learner: Learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = learner["objective"]["name"]
    if objective != "binary:logistic":
        raise UnfitForest(f"its objective is {objective}; only binary:logistic gives a probability of default")
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise UnfitForest(f"its booster is {kind}; only gbtree is a plain sum of trees, as all engines read it")
    specs = learner["gradient_booster"]["model"]["trees"]
    if "c" in learner["feature_types"] or any(any(spec["split_type"]) for spec in specs):
        raise UnfitForest(
            "it has categorical features, whose numbers stand for categories in an order that only its training data "
            "knew; train it with one column of 0 and 1 a choice"
        )
    return learner


def base_score(learner: Learner) -> float:
    """The base score in (0, 1)."""
    base = json.loads(learner["learner_model_param"]["base_score"])  # a number, or from XGBoost 3.1 a list of one
    return float(base[0] if isinstance(base, list) else base)


def tree_of(spec: Mapping[str, Sequence[float]]) -> Tree:
    """One tree of the JSON."""
    return Tree(
        left=[int(entry) for entry in spec["left_children"]],
        right=[int(entry) for entry in spec["right_children"]],
        column=[int(entry) for entry in spec["split_indices"]],
        value=np.array(spec["split_conditions"], np.float32).tolist(),  # JSON has the shortest decimal of each float32
        missing_left=[bool(entry) for entry in spec["default_left"]],
    )
