"""Rewrites the trees of a model so that they read other columns, and answer every row as before.

A split asks whether float32(f(x)) < t, where f is what was done to the raw value x. Where f never falls, that is the
same as x < t', with t' the smallest float32 for which float32(f(t')) >= t. It is found by bisection over all float32,
with f itself as it was fitted: no formula is turned round, and no rounding is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LARGEST = float(str(np.finfo(np.float32).max))
LEAF = -1


class Reads(NamedTuple):
    """Where a column of the model comes from."""

    column: int  # of the new model
    made: Callable[[Floats], Floats]  # what is done to it, never falling


def as_it_is(values: Floats) -> Floats:
    """Nothing is done to it."""
    return values


def refold(model: dict[str, Any], reads: Sequence[Reads], names: Sequence[str]) -> None:
    """Let the model (JSON, as XGBoost saves it) read the columns `names`; of its own column i, `reads[i]` says how."""
    learner = model["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    asked: dict[int, set[float]] = {}
    for tree in trees:
        for node, left in enumerate(tree["left_children"]):
            if left != LEAF:
                asked.setdefault(tree["split_indices"][node], set()).add(tree["split_conditions"][node])
    found: dict[int, dict[float, float]] = {}
    for column, said in asked.items():
        old = sorted(said)
        made = reads[column].made
        new = np.array(old, np.float32) if made is as_it_is else thresholds(made, np.array(old, np.float32))
        found[column] = dict(zip(old, map(shortest, new), strict=True))
    for tree in trees:
        for node, left in enumerate(tree["left_children"]):
            if left != LEAF:
                column = tree["split_indices"][node]
                tree["split_conditions"][node] = found[column][tree["split_conditions"][node]]
                tree["split_indices"][node] = reads[column].column
            else:
                tree["split_indices"][node] = 0
    learner["learner_model_param"]["num_feature"] = str(len(names))
    for tree in trees:
        tree["tree_param"]["num_feature"] = str(len(names))
    learner["feature_names"], learner["feature_types"] = list(names), ["float"] * len(names)


def thresholds(made: Callable[[Floats], Floats], old: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """For each threshold the smallest float32 that `made` takes to it or above; the largest where none gets there."""
    low = np.full(len(old), ordered(-LARGEST), np.int64)
    high = np.full(len(old), ordered(LARGEST), np.int64)
    with np.errstate(all="ignore"):
        while (low < high).any():
            middle = (low + high) >> 1
            reached = made(floats(middle).astype(np.float64)).astype(np.float32) >= old
            low, high = np.where(reached, low, np.minimum(middle + 1, high)), np.where(reached, middle, high)
    return floats(low)


def shortest(value: np.float32) -> float:
    """The number whose text in JSON is the shortest that means this float32."""
    return float(str(value))


def ordered(value: float) -> int:
    """A whole number a finite float32, in the same order."""
    bits = int(np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def floats(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The float32 of such numbers."""
    bits = np.where(numbers >= 0, numbers, -numbers).astype(np.int32).view(np.float32)
    return np.where(numbers >= 0, bits, -bits)


def fix(model: dict[str, Any], constants: Mapping[int, float | None]) -> None:
    """Let the columns' splits answer 0 as they answered the constant, or as they answered what is missing (None)."""
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for node, left in enumerate(tree["left_children"]):
            column = tree["split_indices"][node]
            if left == LEAF or column not in constants:
                continue
            value = constants[column]
            if value is None:
                goes_left = bool(tree["default_left"][node])
            else:
                goes_left = bool(np.float32(value) < np.float32(tree["split_conditions"][node]))
            tree["split_conditions"][node] = LARGEST if goes_left else -LARGEST


def turn_round(model: dict[str, Any]) -> None:
    """Let it give 1 − p in place of p: every leaf and the base with the other sign in log-odds."""
    learner = model["learner"]
    param = learner["learner_model_param"]
    text = str(param["base_score"])
    base = shortest(np.float32(1.0 - float(text.strip("[]"))))
    param["base_score"] = f"[{base!r}]" if text.startswith("[") else repr(base)
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["base_weights"] = [-one for one in tree["base_weights"]]
        tree["split_conditions"] = [
            value if left != LEAF else -value
            for value, left in zip(tree["split_conditions"], tree["left_children"], strict=True)
        ]
