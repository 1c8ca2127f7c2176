"""What the form does not ask, kept beside it: all columns as a yardstick, and prohibited ones to look at."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.blocks import Matrix

MOST = 200  # values of a list; the rest are one


def every_column(values: npt.NDArray[np.float64], others: pd.DataFrame) -> Matrix:
    """The encoded answers (m, n_fields) and all other columns as numbers: (m, n) float32, NaN where not stated.

    Columns of numbers stand as they are; of a list each value is a number, the most frequent first, as trees can split
    it.
    """
    return np.column_stack([values, *(encoded(others[name]) for name in others.columns)]).astype(np.float32)


def encoded(column: pd.Series) -> npt.NDArray[np.float64]:
    """(m,) float64: numbers as they are, values of a list by how frequent they are."""
    if column.dtype.kind in "fiu":
        return column.to_numpy(np.float64)
    order = {value: float(at) for at, value in enumerate(column.value_counts().index[:MOST])}
    return np.array([np.nan if pd.isna(value) else order.get(value, float(MOST)) for value in column])
