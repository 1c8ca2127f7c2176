"""A forest that predicts what XGBoost predicts, to the last bit."""

import threading
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inference.bins.conditions import Floats, Integers, read_conditions
from inference.extras import extra
from inference.trees import Booster

Doubles: TypeAlias = npt.NDArray[np.float64]
Arrays: TypeAlias = tuple[npt.NDArray[np.generic], ...]
MOST_FIELDS = 64  # of which effects can be computed: a bit of a word for each
FEW = 12  # rows; so many are walked one by one, more go in blocks
# Words a block: 64 and 128 rows for the coalitions of six and seven fields, 512 for a batch.
LEAST, SMALL, LARGE = 1, 2, 8


class Forest:
    """The trees of an `xgboost.Booster`. Thread-safe."""

    WORDS = (LEAST, SMALL, LARGE)
    SIZES = (1, 1 + 64 * LEAST, 1 + 64 * (LEAST + SMALL))  # rows split here are predicted by each of the loops

    def __init__(self, booster: Booster) -> None:
        """Read the trees. Raises `UnfitForest` where they lie outside the bounds, `MissingExtra` without Numba."""
        with extra("engines"):
            import numba  # noqa: F401 - not installed everywhere, and takes half a second

            from inference.bins import kernels
        self.conditions = conditions = read_conditions(booster)
        self.n_features, self._kernels, self._depth = conditions.n_features, kernels, conditions.depth
        # Where leaves are picked eight at a time, a word alone takes longer than two: LLVM takes its bits one by one.
        self._least = SMALL if kernels.lanes(conditions.depth) == kernels.AVX2 else LEAST
        self._base = np.float32(kernels.log_odds(np.float32(conditions.base)))
        leaves = np.tile(conditions.leaves, (1, -(-kernels.WIDEST // 2**conditions.depth)))  # a register at least
        self._for_blocks = (
            conditions.columns, conditions.begins, conditions.middles, conditions.thresholds, conditions.nodes, leaves,
        )  # fmt: skip
        by_node = (
            conditions.of_column[conditions.nodes],
            conditions.thresholds[conditions.nodes],
            conditions.when_missing[conditions.nodes].astype(np.int32),
        )
        self._for_one = (*by_node, conditions.leaves, self._base)
        self._room = threading.local()

    def margins(self, rows: Floats) -> Floats:
        """Rows (m, n_features) float32, NaN for missing -> log-odds (m,), as `predict(..., output_margin=True)`."""
        if rows.ndim != 2 or rows.shape[1] != self.n_features or rows.dtype != np.float32:
            expected = f"(m, {self.n_features}) float32"
            raise ValueError(f"rows: {expected} expected, got {rows.shape} {rows.dtype}")
        rows = np.ascontiguousarray(rows)
        margins = np.empty(len(rows), np.float32)
        if len(rows) <= FEW:
            self._kernels.margins_one_by_one(rows, *self._for_one, margins)
            return margins
        for words, some in self.blocks(len(rows)):
            kernel = self._kernels.for_blocks(words, self._depth)
            kernel(rows[some], *self._for_blocks, self._base, self._bits(words), margins[some])
        return margins

    def margins_by_columns(
        self, words: int, numbers: Floats, places: Integers, of_tables: Arrays, of_columns: Arrays, out: Floats
    ) -> None:
        """Fill `out` (m,) with margins of what are no rows: `kernels.for_columns` says how it is given."""
        kernel = self._kernels.for_columns(words, self._depth)
        of_trees = (*self._for_blocks[3:], self._base)
        kernel(numbers, places, of_tables, of_columns, of_trees, self._bits(words), out)

    def predict_proba(self, rows: Floats) -> Floats:
        """The same -> probabilities (m,), as the second column of `XGBClassifier.predict_proba`."""
        return self.logistic(self.margins(rows))

    def logistic(self, margins: Floats) -> Floats:
        """Margins (m,) -> probabilities, in the same memory."""
        self._kernels.probabilities(margins)
        return margins

    def effects(self, rows: Floats, owners: Integers, shares: tuple[Doubles, Doubles], n_fields: int) -> Doubles:
        """Shapley values in log-odds, (n_fields,) float64, of the fields of `rows[0]` against those of `rows[1]`, (2,
        n_features) float32, where each column comes from one field, `owners` (n_features,). At most 64 fields.

        `shares`: of a leaf by how many fields must be in a coalition, and out of it, both (DEEPEST + 1, DEEPEST + 1).
        """
        from inference.bins import shapley  # forms with few fields do without

        if not (n_fields <= MOST_FIELDS and rows.shape == (2, self.n_features) == (2, len(owners))):
            raise ValueError(f"effects of {n_fields} fields and rows {rows.shape} cannot be computed")
        effects, of = np.zeros(n_fields), self.conditions
        by_condition = of.of_column, of.thresholds, of.when_missing
        shapley.add_effects(rows, *by_condition, owners, of.nodes, of.leaves, *shares, effects)
        return effects

    def edges(self, count: int = 2048, seed: int = 0) -> Floats:
        """Rows (count, n_features) float32 where a wrong comparison would show: their values are thresholds, the
        numbers next to them, zeros, the smallest numbers, infinity's neighbours and NaN."""
        drawn = np.random.default_rng(seed)
        columns, begins, _, thresholds = self._for_blocks[:4]
        tiny, huge = np.float32(1e-45), np.finfo(np.float32).max
        rows = np.zeros((count, self.n_features), np.float32)
        for position, column in enumerate(columns):
            own = thresholds[begins[position] : begins[position + 1]]
            beside = [np.nextafter(own, np.float32(end)) for end in (-np.inf, np.inf)]
            special = np.array([0.0, -0.0, tiny, -tiny, huge, -huge, np.nan], np.float32)
            rows[:, column] = drawn.choice(np.concatenate([own, *beside, own, special]), count)
        return rows

    def blocks(self, count: int) -> list[tuple[int, slice]]:
        """How `count` rows are best cut: words a block, and the rows that have such blocks."""
        rest = count % (64 * LARGE)
        small = rest if rest <= 64 * LARGE // 2 else 0  # rows at the end for which small blocks are quicker
        parts = [(LARGE, slice(0, count - small)), (self._least if small <= 64 else SMALL, slice(count - small, count))]
        return [(words, some) for words, some in parts if some.start < some.stop]

    def _bits(self, words: int) -> npt.NDArray[np.uint64]:
        """This thread's room for the bits of a block."""
        rooms: dict[int, npt.NDArray[np.uint64]]
        try:
            rooms = self._room.by_words
        except AttributeError:
            rooms = self._room.by_words = {}
        if words not in rooms:
            rooms[words] = np.empty((len(self.conditions.thresholds), words), np.uint64)
        return rooms[words]
