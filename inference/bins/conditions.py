"""A forest as arrays: the conditions that its trees ask, each once, and full trees over their numbers.

A condition is one column against one threshold. Trees share conditions, so a row answers each of them once. A tree that
ends early is padded to the depth of the deepest: its missing nodes ask a condition that is never met, so a row goes
left, and the leaf stands at the far left of its place.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inference.trees import LEAF, Booster, Tree, UnfitForest, read_trees

Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int32]
Condition: TypeAlias = tuple[int, bool, float]  # column, whether a missing value meets it, threshold

DEEPEST = 8  # splits: a leaf's number in its tree fits a byte
MOST_CONDITIONS = 32_768  # 2 MB of bits for a block of rows: more would leave the processor's cache


@dataclass(frozen=True)
class Conditions:
    """Conditions are numbered by column, from 0; number `len(thresholds)` is never met."""

    n_features: int
    base: float  # the base score, in (0, 1)
    depth: int
    columns: Integers  # (n_used,) columns of a row that some tree splits
    begins: Integers  # (n_used + 1,) the first condition of each of them, and the end of all
    middles: Integers  # (n_used,) the first of each that a missing value meets
    of_column: Integers  # (n_conditions + 1,) the column of each condition; 0 of the one that is never met
    thresholds: Floats  # (n_conditions + 1,) met where the value is >= the threshold; infinity for that one
    when_missing: npt.NDArray[np.bool_]  # (n_conditions + 1,) whether NaN meets it
    asked: Integers  # (n_trees, 2**depth - 1) the condition of each node, level by level
    leaves: Floats  # (n_trees, 2**depth) margins, left to right


def read_conditions(booster: Booster) -> Conditions:
    """The booster's forest. Raises `UnfitForest` where it lies outside the bounds."""
    trees, base = read_trees(booster)
    depth = max((tree.depth() for tree in trees), default=0)
    if depth > DEEPEST:
        raise UnfitForest(f"a tree is {depth} splits deep; at most {DEEPEST} are covered")
    known = sorted({condition(tree, node) for tree in trees for node in tree.splits()})
    if len(known) > MOST_CONDITIONS:
        raise UnfitForest(f"its trees ask {len(known):,} conditions; at most {MOST_CONDITIONS:,} are covered")
    number = {one: at for at, one in enumerate(known)}
    asked = np.full((len(trees), 2**depth - 1), len(known), np.int32)
    leaves = np.zeros((len(trees), 2**depth), np.float32)
    for at, tree in enumerate(trees):
        pad(tree, number, asked[at], leaves[at])
    columns = sorted({column for column, _, _ in known})
    begins = [bisect_left(known, (column,)) for column in [*columns, math.inf]]
    middles = [bisect_left(known, (column, True)) for column in columns]
    of_column, when_missing, thresholds = zip(*known, (0, False, math.inf), strict=True)
    return Conditions(
        n_features=booster.num_features(),
        base=base,
        depth=depth,
        columns=np.array(columns, np.int32),
        begins=np.array(begins, np.int32),
        middles=np.array(middles, np.int32),
        of_column=np.array(of_column, np.int32),
        thresholds=np.array(thresholds, np.float32),
        when_missing=np.array(when_missing, np.bool_),
        asked=asked,
        leaves=leaves,
    )


def condition(tree: Tree, node: int) -> Condition:
    """What a node asks; met, a row goes right."""
    return tree.column[node], not tree.missing_left[node], tree.value[node]


def pad(tree: Tree, number: Mapping[Condition, int], asked: Integers, leaves: Floats) -> None:
    """Write a tree's conditions and leaves to where they stand in a full tree."""
    waiting = [(0, 0)]  # (node, its place in the full tree)
    while waiting:
        node, place = waiting.pop()
        if tree.left[node] != LEAF:
            asked[place] = number[condition(tree, node)]
            waiting += [(tree.left[node], 2 * place + 1), (tree.right[node], 2 * place + 2)]
            continue
        while place < len(asked):
            place = 2 * place + 1
        leaves[place - len(asked)] = tree.value[node]
