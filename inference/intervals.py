"""The interval of a rate: between which shares the true one lies, by what was counted."""

import math

Z = 1.959964  # of a 95 % interval


def wilson(bad: float, loans: float) -> tuple[float, float]:
    """95 % interval of a bad rate (Wilson 1927), within 0..1; NaN for no loans.

    Averages over repeats need not be whole.
    """
    if not loans:
        return math.nan, math.nan
    rate, z2 = bad / loans, Z**2 / loans
    middle = rate + z2 / 2
    half = math.sqrt(max(0.0, rate * (1 - rate)) * z2 + z2 * z2 / 4)
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
