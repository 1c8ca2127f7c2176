"""Turns answers into the model's rows: one (`fill`) or many (`build`), equal bit for bit. Features: blocks.py."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.application import Application, Form
from inference.blocks import Block, Feature, Matrix, Plan, Table, block_of
from inference.extras import extra
from inference.row_compiler import compiled, source

if TYPE_CHECKING:
    from inference.bins.forest import Forest
    from inference.bins.from_answers import FromAnswers
    from inference.bins.many_rows import ManyWriter


class RowBuilder:
    """Turns applications into float32 rows, at column indices that are computed once.

    Raises ValueError if the feature list does not fit the form or the tables.
    """

    def __init__(self, form: Form, features: Sequence[Feature], tables: Mapping[str, Table] | None = None) -> None:
        plan = Plan(form, tables or {})
        self._blocks: list[Block] = []
        for index, spec in enumerate(features):
            try:
                self._blocks.append(block_of(spec, plan))
            except ValueError as error:
                raise ValueError(f"features[{index}]: {error}") from error
        self.columns = tuple(plan.columns)
        self._n_answers = len(form.names)
        self.source, namespace = source(self._blocks, len(form.names))
        self._write = compiled(self.source, namespace)
        self._zeros = bytes(np.zeros(len(self.columns), np.float32))
        self._thread = threading.local()
        self._write_many: ManyWriter | None = None

    def compile_loop(self) -> None:
        """Let `build` run in a loop compiled by Numba from now on: the same bits, in a third of the time or less. It
        takes seconds the first time. Raises `MissingExtra` without Numba."""
        with extra("engines"):
            from inference.bins.many_rows import many_writer
        self._write_many = many_writer(self._blocks, self._n_answers)

    def to_forest(self, forest: "Forest") -> "FromAnswers":
        """What the forest says of answers, without rows. Raises `MissingExtra` without Numba."""
        with extra("engines"):
            from inference.bins.from_answers import FromAnswers
        return FromAnswers(forest, self._blocks, self._n_answers)

    def fill(self, application: Application) -> Matrix:
        """Write one application into this thread's own row and return it.

        Shape (1, n_features), float32, C order. The next `fill` of the same thread overwrites it, so copy a row that
        you keep. Each thread has a row of its own: a shared row gave wrong answers under load.
        """
        try:
            row, flat, raw = self._thread.row
        except AttributeError:
            row = np.zeros((1, len(self.columns)), np.float32)
            flat = memoryview(row[0])
            raw = flat.cast("B")
            self._thread.row = row, flat, raw
        raw[:] = self._zeros
        self._write(application.values, flat, raw)
        return row  # type: ignore[no-any-return]  # thread-local attributes are untyped

    def build(self, values: npt.NDArray[np.float64], into: Matrix | None = None) -> Matrix:
        """Encoded answers, (m, n_fields) float64 -> rows, (m, n_features) float32: new ones, or the first m of `into`.

        Each row equals what `fill` writes for the same answers, bit for bit.
        """
        if into is None:
            rows = np.zeros((len(values), len(self.columns)), np.float32)
        else:
            rows = into[: len(values)]
            rows[:] = 0.0
        quantities = [np.ascontiguousarray(values[:, position]) for position in range(values.shape[1])]
        if self._write_many is not None:
            self._write_many(quantities, rows)
            return rows
        for block in self._blocks:
            block.build(quantities, rows)
        return rows
