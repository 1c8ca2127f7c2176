"""Drift: the population stability index of counts, and what chance alone would give at that number.

PSI = Σ (p − q) · ln(p / q) over the bins. Without any change it is not 0: it is near χ² with (bins − 1) degrees of
freedom, times 1/n + 1/N (Yurdakul and Naranjo 2020, doi 10.21314/JRMV.2020.227). So 0.1, the custom, says nothing at a
hundred loans a month, and a PSI counts here only if it is above both. `python -m models chance` simulates it.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CUSTOM = 0.1  # a PSI below it is taken for no change whatever the number
FALSE_ALARMS = 0.005  # of months without any change, over all series together; the simulation stays below 1 %
LEAST_SHARE = 0.05  # of the reference: rarer bins are put together, as a share of nothing has no logarithm
HALF = 0.5  # added to each count, so that an empty bin has a logarithm (Haldane 1956)
BINS = 10


class Bins(NamedTuple):
    """How a value finds its bin: by edges of numbers, and a bin of its own for NaN, the last one."""

    edges: Floats  # (b - 1,) ascending; a value on an edge belongs above it

    def counts(self, values: Floats) -> Ints:
        """Values in each bin, (b + 1,)."""
        places = np.searchsorted(self.edges, values, side="right")
        places[np.isnan(values)] = len(self.edges) + 1
        return np.bincount(places, minlength=len(self.edges) + 2).astype(np.int64)


def bins_of(reference: Floats, bins: int = BINS) -> Bins:
    """Bins of about equal numbers of reference values; fewer where many are equal."""
    known = reference[~np.isnan(reference)]
    if not len(known):
        return Bins(np.empty(0))
    return Bins(np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])))


class Drift(NamedTuple):
    """One series in one period: its PSI, and above what it is a change."""

    psi: float
    limit: float
    n: int

    @property
    def alarm(self) -> bool:
        return self.psi > self.limit


def psi(counts: npt.ArrayLike, reference: npt.ArrayLike, added: float = 0.0) -> float:
    """Population stability index of two rows of counts or shares; `added` to each count."""
    n, m = np.asarray(counts, np.float64) + added, np.asarray(reference, np.float64) + added
    p, q = n / n.sum(), m / m.sum()
    return float(((p - q) * np.log(p / q)).sum())


def drift(counts: Ints, reference: Ints, series: int) -> Drift:
    """Drift of one of `series` series that are looked at together. NaN where a period or the reference is empty."""
    frequent = reference >= LEAST_SHARE * reference.sum()
    n, m = pooled(counts, frequent), pooled(reference, frequent)
    total, of = int(n.sum()), int(m.sum())
    if not total or not of or len(n) < 2:
        return Drift(float("nan"), float("nan"), total)
    chance = chi_squared(1 - FALSE_ALARMS / series, len(n) - 1) * (1 / total + 1 / of)
    return Drift(psi(n, m, HALF), max(CUSTOM, chance), total)


def pooled(counts: Ints, frequent: npt.NDArray[np.bool_]) -> Ints:
    """Counts with all rare bins put together, where there are any."""
    if frequent.all():
        return counts
    return np.append(counts[frequent], counts[~frequent].sum())


def chi_squared(probability: float, freedom: int) -> float:
    """Quantile of χ² for a whole number of degrees of freedom, by bisection."""
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if above(middle, freedom) < 1 - probability else (middle, high)
    return high


def above(value: float, freedom: int) -> float:
    """Probability of a χ² above a value (Abramowitz and Stegun 1964, 26.4.4 and 26.4.5)."""
    half, odd = value / 2, freedom % 2
    total = math.erfc(half**0.5) if odd else math.exp(-half)
    term = math.exp(-half) * (half**0.5 / math.gamma(1.5) if odd else half)
    for step in range((freedom - 1) // 2):
        total += term
        term *= half / (step + 1.5 if odd else step + 2)
    return total


def drifts(counts: Mapping[str, Ints], reference: Mapping[str, Ints]) -> dict[str, Drift]:
    """Drift of every series of a period that the reference has."""
    both = [name for name in reference if name in counts]
    return {name: drift(counts[name], reference[name], len(both)) for name in both}
