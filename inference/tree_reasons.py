"""Exact reasons for a form with many fields, computed from the trees; every column must come from one answer.

All coalitions of more than 16 fields do not fit into one batch. But the margin is a sum over trees, and Shapley values
are additive. A coalition reaches a leaf if it contains all fields for which only the applicant's answer leads there,
and none for which only the reference's answer does. The contribution of a leaf to each field has a closed form
(Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees", interventional,
with one reference). The calibration is linear in log-odds, so the values are those of the coalitions.
"""

from functools import lru_cache
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.bins.conditions import DEEPEST
from inference.bins.forest import MOST_FIELDS
from inference.blocks import CodeSpec, NotStatedSpec, NumbersSpec, OneHotSpec, PlacedSpec
from inference.engines import XGBoostEngine
from inference.release import Release
from inference.trees import Tree, read_trees

if TYPE_CHECKING:
    from inference.bins import Forest

Row = npt.NDArray[np.float32]  # (n_features,)
Floats = npt.NDArray[np.float64]  # (n_fields,)
Passed = dict[
    int, tuple[bool, bool]
]  # field -> whether the applicant's answer, and whether the reference's, leads to a node
ONE_ANSWER = (NumbersSpec, NotStatedSpec, OneHotSpec, CodeSpec)  # each column of these comes from one answer


class TreeReasons:
    """Computes the effects of the fields of one release. Thread-safe."""

    def __init__(self, release: Release, forest: "Forest | None" = None) -> None:
        """`forest`: the release's trees on bits, which are gone down by a compiled loop. Raises ValueError if a column
        comes from several answers."""
        self._owner = owners(release)
        self._fields = len(release.form.fields)
        self._slope = release.calibration.slope
        self._forest = forest if self._fields <= MOST_FIELDS else None
        self._trees: list[Tree] = []
        if self._forest is None:
            self._trees, _ = read_trees(XGBoostEngine(release).used_trees())

    def effects(self, own: Row, reference: Row) -> npt.NDArray[np.float64]:
        """Effects in calibrated log-odds, (n_fields,), of an applicant's row against the reference applicant's."""
        if self._forest is not None:
            owner = np.array(self._owner, np.int32)
            return self._slope * self._forest.effects(np.stack([own, reference]), owner, all_shares(), self._fields)
        effects = np.zeros(self._fields)
        rows = (own.tolist(), reference.tolist())
        for tree in self._trees:
            self._walk(tree, 0, {}, rows, effects)
        return self._slope * effects

    def _walk(
        self,
        tree: Tree,
        node: int,
        passed: Passed,
        rows: tuple[list[float], list[float]],
        effects: Floats,
    ) -> None:
        """Add the contributions of the leaves below `node` to `effects`."""
        left = tree.left[node]
        if left < 0:
            with_own = [field for field, led in passed.items() if led == (True, False)]
            with_other = [field for field, led in passed.items() if led == (False, True)]
            gained, lost = shares(len(with_own), len(with_other))
            value = tree.value[node]
            for field in with_own:
                effects[field] += value * gained
            for field in with_other:
                effects[field] -= value * lost
            return
        column, value = tree.column[node], tree.value[node]
        field = self._owner[column]
        before = passed.get(field, (True, True))
        missing_left = tree.missing_left[node]
        goes_left = [row[column] < value or (missing_left and row[column] != row[column]) for row in rows]
        for child, is_left in ((left, True), (tree.right[node], False)):
            led = before[0] and goes_left[0] == is_left, before[1] and goes_left[1] == is_left
            if led != (False, False):
                self._walk(tree, child, {**passed, field: led}, rows, effects)


@lru_cache
def shares(own: int, other: int) -> tuple[float, float]:
    """Shares of a leaf's value: added for a field that must be in the coalition, subtracted for one that must not."""
    both = factorial(own + other)
    gained = factorial(own - 1) * factorial(other) / both if own else 0.0
    lost = factorial(own) * factorial(other - 1) / both if other else 0.0
    return gained, lost


@lru_cache
def all_shares() -> tuple[Floats, Floats]:
    """`shares` of each number of fields in and out that a leaf can have, (DEEPEST + 1, DEEPEST + 1)."""
    counts = range(DEEPEST + 1)
    gained, lost = np.moveaxis(np.array([[shares(own, other) for other in counts] for own in counts]), 2, 0)
    return np.ascontiguousarray(gained), np.ascontiguousarray(lost)


def is_divisible(release: Release) -> bool:
    """Whether every column comes from one answer."""
    return all(isinstance(block, (PlacedSpec, *ONE_ANSWER)) for block in release.manifest.features)


def owners(release: Release) -> list[int]:
    """For each column, the position of the field from which it comes."""
    names, owner_of = release.form.names, dict[str, str]()
    for block in release.manifest.features:
        if isinstance(block, PlacedSpec):
            owner_of |= {column: name for name, column in block.numbers.items()}
            owner_of |= {column: name for name, columns in block.choices.items() for column in columns.values()}
            owner_of |= {coded.column: name for name, coded in block.codes.items()}
            # The other columns are always 0, for every applicant: any owner will do.
            owner_of |= {column: names[0] for column in block.columns if column not in owner_of}
        elif not isinstance(block, ONE_ANSWER):
            kind = type(block).__name__.removesuffix("Spec").lower()
            raise ValueError(
                f"{len(names)} fields, with features of the kind {kind}, which come from several answers: the effect "
                "of each answer cannot be computed exactly"
            )
    return [names.index(owner_of.get(name, name.partition("=")[0].partition("[")[0])) for name in release.rows.columns]
