"""Rewrites the trees of a model so that they read other columns, and answer every row as before.

A split asks whether float32(f(x)) < t, where f is what was done to the raw value x. Where f never falls, that is the
same as x < t', with t' the smallest float32 for which float32(f(t')) >= t. It is found by bisection over all float32,
with f itself as it was fitted: no formula is inverted, and no rounding is lost. A float32 in a row stands for the
shortest decimal number that it is nearest to, since that is what a file or a form held: 0.1, not 0.10000000149.

Where one threshold is not enough (a column of 0 and 1 for a band of numbers, a number that stands for a missing value),
a split becomes a chain of splits, and the part of the tree that two of them lead to is copied.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LARGEST = float(str(np.finfo(np.float32).max))
LEAF = -1
NO_PARENT = 2147483647
Regions = list[tuple[float, int]]  # below the number, go to this node; the number of the last is infinite
# What XGBoost's JSON holds for each node of a tree, beside the nodes' own numbers.
PER_NODE = ("base_weights", "default_left", "loss_changes", "split_conditions", "split_indices", "split_type",
            "sum_hessian")  # fmt: skip


class Reads(NamedTuple):
    """Where a column of the model comes from."""

    column: int  # of the new model
    transform: Callable[[Floats], Floats] | None = None  # what is done to it, never falling; None: nothing
    band: tuple[float, float] | None = None  # it is 1 where first <= new column < second, else 0
    missing_below: float | None = None  # it is missing where the new column is below this
    computed: bool = False  # the new column holds no number that somebody wrote, so no short decimal


def refold(model: dict[str, Any], reads: Sequence[Reads], names: Sequence[str]) -> None:
    """Make the model (JSON, as XGBoost saves it) read the columns `names`; its own column i as `reads[i]` says."""
    learner = model["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    old_thresholds: dict[int, set[float]] = {}
    for tree in trees:
        for node, left in enumerate(tree["left_children"]):
            if left != LEAF:
                old_thresholds.setdefault(tree["split_indices"][node], set()).add(tree["split_conditions"][node])
    new_thresholds: dict[int, dict[float, float]] = {}
    for column, numbers in old_thresholds.items():
        old = np.array(sorted(numbers), np.float32)
        transform = reads[column].transform
        new = old if transform is None else thresholds(transform, old, computed=reads[column].computed)
        new_thresholds[column] = dict(zip(sorted(numbers), map(shortest, new), strict=True))
    for tree in trees:
        rewrite(tree, reads, new_thresholds, len(names))
    learner["learner_model_param"]["num_feature"] = str(len(names))
    learner["feature_names"], learner["feature_types"] = list(names), ["float"] * len(names)


def rewrite(
    tree: dict[str, Any], reads: Sequence[Reads], thresholds_of: Mapping[int, Mapping[float, float]], width: int
) -> None:
    """Make one tree read the new columns.

    The two nodes below a split stand side by side, as XGBoost numbers them: below the sixth level its prediction takes
    the right one to be the one after the left.
    """
    nodes: dict[str, list[Any]] = {key: [] for key in (*PER_NODE, "left_children", "right_children", "parents")}

    def add(node: int, parent: int) -> int:
        for key in PER_NODE:
            nodes[key].append(tree[key][node])
        nodes["parents"].append(parent)
        nodes["left_children"].append(LEAF)
        nodes["right_children"].append(LEAF)
        return len(nodes["parents"]) - 1

    def pieces_of(node: int) -> tuple[int, Regions]:
        source = reads[tree["split_indices"][node]]
        new = thresholds_of[tree["split_indices"][node]][tree["split_conditions"][node]]
        return source.column, regions(tree, node, source, new)

    # Places to fill: the new number, the old node, and of a chain its column and what is left of it.
    waiting: list[tuple[int, int, int, Regions]] = [(add(0, NO_PARENT), 0, 0, [])]
    while waiting:
        number, node, column, rest = waiting.pop()
        if not rest:
            if tree["left_children"][node] == LEAF:
                nodes["split_indices"][number] = 0
                continue
            column, rest = pieces_of(node)
            if len(rest) == 1:  # all go the same way: its place is the other's
                for key in PER_NODE:
                    nodes[key][number] = tree[key][rest[0][1]]
                waiting.append((number, rest[0][1], 0, []))
                continue
        else:
            nodes["loss_changes"][number] = 0.0  # what a split gained is counted once
        end, child = rest[0]
        nodes["split_indices"][number], nodes["split_conditions"][number] = column, end
        last = len(rest) == 2
        left = add(child, number)
        right = add(rest[1][1] if last else node, number)
        nodes["left_children"][number], nodes["right_children"][number] = left, right
        waiting.append((left, child, 0, []))
        waiting.append((right, rest[1][1], 0, []) if last else (right, node, column, rest[1:]))
    tree.update(nodes)
    tree["tree_param"]["num_nodes"] = str(len(nodes["parents"]))
    tree["tree_param"]["num_feature"] = str(width)


def regions(tree: Mapping[str, Any], node: int, source: Reads, threshold: float) -> Regions:
    """Where a split sends the values of the new column, from the smallest up."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if source.band is None:
        pieces = [(threshold, left), (np.inf, right)]
        missing = left if tree["default_left"][node] else right
    else:
        outside, inside = (left if flag < threshold else right for flag in (0.0, 1.0))
        pieces = [(source.band[0], outside), (source.band[1], inside), (np.inf, outside)]
        missing = outside  # encoders give 0 in all columns for a number that is missing
    if source.missing_below is not None:
        pieces = [(source.missing_below, missing)] + [pair for pair in pieces if pair[0] > source.missing_below]
    merged: Regions = []
    for end, child in pieces:
        if end == -np.inf:
            continue
        if merged and merged[-1][1] == child:
            merged.pop()
        merged.append((end, child))
        if end == np.inf:  # of the last band: nothing lies above it
            break
    return merged


def thresholds(
    transform: Callable[[Floats], Floats], old: npt.NDArray[np.float32], *, computed: bool = False
) -> npt.NDArray[np.float32]:
    """For each threshold the smallest float32 that `transform` takes to it or above; the largest where none gets there.

    A computed value is known to its float32 only: there the transform of the largest value that rounds to it counts,
    for a threshold is a value of the training loans.
    """
    meaning = upper_ends if computed else decimals
    low = np.full(len(old), ordered(-LARGEST), np.int64)
    high = np.full(len(old), ordered(LARGEST), np.int64)
    with np.errstate(all="ignore"):
        while (low < high).any():
            middle = (low + high) >> 1
            reached = transform(meaning(floats(middle))).astype(np.float32) >= old
            low, high = np.where(reached, low, np.minimum(middle + 1, high)), np.where(reached, middle, high)
    return floats(low)


def decimals(values: npt.NDArray[np.float32]) -> Floats:
    """The shortest decimal number that is nearest to each float32, as float64; of any shape."""
    unique, place = np.unique(values, return_inverse=True)
    return np.array([float(str(value)) for value in unique], np.float64)[place].reshape(values.shape)


def upper_ends(values: npt.NDArray[np.float32]) -> Floats:
    """The largest float64 that rounds to each float32."""
    above = np.nextafter(values, np.float32(np.inf)).astype(np.float64)
    middle = (values.astype(np.float64) + np.where(np.isinf(above), values, above)) / 2
    return np.where(middle.astype(np.float32) == values, middle, np.nextafter(middle, -np.inf))


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
    """Make the columns' splits answer 0 as they answered the constant, or as they answered what is missing (None)."""
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
    """Make it give 1 − p in place of p: every leaf and the base with the other sign in log-odds."""
    learner = model["learner"]
    param = learner["learner_model_param"]
    text = str(param["base_score"])
    base = shortest(np.float32(1.0 - float(text.strip("[]"))))
    param["base_score"] = f"[{base!r}]" if text.startswith("[") else repr(base)
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["base_weights"] = [-weight for weight in tree["base_weights"]]
        tree["split_conditions"] = [
            value if left != LEAF else -value
            for value, left in zip(tree["split_conditions"], tree["left_children"], strict=True)
        ]
