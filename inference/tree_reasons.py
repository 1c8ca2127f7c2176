"""Exact reasons of a form with many fields, from the trees: where every column comes from one answer.

All coalitions of more than 16 fields do not fit into a batch. The margin is a sum over trees, though, and Shapley
values add. A leaf is reached by the coalitions that hold all fields for which the applicant's answer leads there and
the reference's does not, and none of those for which it is the other way round. What such a leaf gives each of them
has a closed form (Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for
trees", interventional, with one reference). With calibration, which is linear in log-odds, that is the same value.
"""

from functools import lru_cache
from math import factorial

import numpy as np
import numpy.typing as npt

from inference.blocks import CodeSpec, NotStatedSpec, NumbersSpec, OneHotSpec, PlacedSpec
from inference.engines import Tree, trees
from inference.release import Release

Row = npt.NDArray[np.float32]  # (n_features,)
Floats = npt.NDArray[np.float64]  # (n_fields,)
Passed = dict[int, tuple[bool, bool]]  # by field: whether the own, and whether the reference's answer leads to a node
ONE_ANSWER = (NumbersSpec, NotStatedSpec, OneHotSpec, CodeSpec)  # each column of these comes from one answer


class TreeReasons:
    """Effects of the fields of one release. Thread-safe."""

    def __init__(self, release: Release) -> None:
        """Raises ValueError where a column comes from several answers."""
        self._owner = owners(release)
        self._trees = trees(release)
        self._fields = len(release.form.fields)
        self._slope = release.calibration.slope

    def effects(self, own: Row, reference: Row) -> npt.NDArray[np.float64]:
        """(n_fields,) calibrated log-odds of an applicant's row against the reference applicant's."""
        found = np.zeros(self._fields)
        goes = (own.tolist(), reference.tolist())
        for tree in self._trees:
            self._walk(tree, 0, {}, goes, found)
        return self._slope * found

    def _walk(
        self,
        tree: Tree,
        node: int,
        passed: dict[int, tuple[bool, bool]],
        goes: tuple[list[float], list[float]],
        found: Floats,
    ) -> None:
        """Add what the leaves below `node` give."""
        left = tree.left[node]
        if left < 0:
            with_own = [field for field, led in passed.items() if led == (True, False)]
            with_other = [field for field, led in passed.items() if led == (False, True)]
            gained, lost = shares(len(with_own), len(with_other))
            value = tree.value[node]
            for field in with_own:
                found[field] += value * gained
            for field in with_other:
                found[field] -= value * lost
            return
        column, value = tree.column[node], tree.value[node]
        field = self._owner[column]
        before = passed.get(field, (True, True))
        sides = [one[column] < value for one in goes]
        for child, is_left in ((left, True), (tree.right[node], False)):
            led = before[0] and sides[0] == is_left, before[1] and sides[1] == is_left
            if led != (False, False):
                self._walk(tree, child, {**passed, field: led}, goes, found)


@lru_cache
def shares(own: int, other: int) -> tuple[float, float]:
    """What a leaf gives each field that must be in the coalition, and takes from each that must not."""
    both = factorial(own + other)
    gained = factorial(own - 1) * factorial(other) / both if own else 0.0
    lost = factorial(own) * factorial(other - 1) / both if other else 0.0
    return gained, lost


def owners(release: Release) -> list[int]:
    """The number of the field that each column comes from."""
    names, found = release.form.names, dict[str, str]()
    for block in release.manifest.features:
        if isinstance(block, PlacedSpec):
            found |= {column: name for name, column in block.numbers.items()}
            found |= {column: name for name, columns in block.choices.items() for column in columns.values()}
            found |= {coded.column: name for name, coded in block.codes.items()}
            # The others are always 0, for every applicant: any owner will do.
            found |= {column: names[0] for column in block.columns if column not in found}
        elif not isinstance(block, ONE_ANSWER):
            kind = type(block).__name__.removesuffix("Spec").lower()
            raise ValueError(
                f"{len(names)} fields, and features of the kind {kind}, which come from several answers: then nothing "
                "says exactly what each answer did"
            )
    return [names.index(found.get(name, name.partition("=")[0].partition("[")[0])) for name in release.rows.columns]
