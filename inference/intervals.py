"""Confidence interval of a rate."""

import math

Z = 1.959964  # standard normal quantile of a 95 % interval


def wilson(bad: float, loans: float) -> tuple[float, float]:
    """95 % interval of a bad rate (Wilson 1927), within 0..1; NaN if there are no loans.

    The counts may be averages over repeats, so they need not be integers.
    """
    if not loans:
        return math.nan, math.nan
    rate, z2 = bad / loans, Z**2 / loans
    middle = rate + z2 / 2
    half = math.sqrt(max(0.0, rate * (1 - rate)) * z2 + z2 * z2 / 4)
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
