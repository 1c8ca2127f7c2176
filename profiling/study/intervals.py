"""Quantiles, ratios of quantiles with bootstrap intervals, and what they mean in words."""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

DRAWS, SEED = 2000, 0  # of the bootstrap
UNCHANGED = 1.05  # an interval of ratios within 1/1.05 to 1.05 is too small a change to notice


class Interval(NamedTuple):
    """A figure and the 95 % interval around it."""

    value: float
    low: float
    high: float

    def inverse(self) -> "Interval":
        """The interval of 1 / figure."""
        return Interval(*(1 / value if value else math.inf for value in (self.value, self.high, self.low)))


def quantile(ordered: Sequence[float], q: float) -> float:
    """The q-quantile of sorted values, interpolated between the two nearest; NaN without values."""
    if not ordered:
        return math.nan
    position = q * (len(ordered) - 1)
    low, high = ordered[math.floor(position)], ordered[math.ceil(position)]
    return low + (high - low) * (position - math.floor(position))


def resampled(ordered: Sequence[float], q: float, draw: random.Random, draws: int = DRAWS) -> list[float]:
    """The quantile of bootstrap samples of sorted values, without drawing any of them.

    The k-th of n values drawn with replacement is the value at rank n·u, where u is the k-th of n uniform numbers,
    and that has a Beta(k, n - k + 1) distribution. So a million values cost no more than ten.
    """
    n = len(ordered)
    k = max(1, round(q * n))
    ranks = (math.ceil(n * draw.betavariate(k, n - k + 1)) - 1 for _ in range(draws))
    return [ordered[min(max(rank, 0), n - 1)] for rank in ranks]


def around(value: float, draws: Sequence[float]) -> Interval:
    """A figure with the middle 95 % of its draws; never outside of them."""
    ordered = sorted(draws)
    low, high = quantile(ordered, 0.025), quantile(ordered, 0.975)
    return Interval(value, min(low, value), max(high, value))


def quantile_interval(values: Sequence[float], q: float) -> Interval:
    """The quantile of values, with its interval."""
    ordered = sorted(values)
    return around(quantile(ordered, q), resampled(ordered, q, random.Random(SEED)))  # noqa: S311 - statistics


def ratio(before: Sequence[float], after: Sequence[float], q: float = 0.5) -> Interval:
    """The quantile after over the quantile before: 2 is twice as slow. Two samples, drawn apart."""
    old, new, draw = sorted(before), sorted(after), random.Random(SEED)  # noqa: S311 - statistics
    least = 1e-12  # a clock may see nothing
    draws = [
        max(b, least) / max(a, least)
        for a, b in zip(resampled(old, q, draw), resampled(new, q, draw), strict=True)
    ]  # fmt: skip
    return around(max(quantile(new, q), least) / max(quantile(old, q), least), draws)


def verdict(change: Interval, more: str = "slower", less: str = "faster") -> str:
    """A ratio, after over before, in words: faster by 3.1 to 3.4 times, unchanged, or cannot be told apart."""
    if change.low > 1 / UNCHANGED and change.high < UNCHANGED:
        return "unchanged"
    if change.high < 1:
        return f"{less} by {times(change.inverse())}"
    if change.low > 1:
        return f"{more} by {times(change)}"
    return f"cannot be told apart ({change.low:.2f} to {change.high:.2f} times)"


def factors(change: Interval) -> str:
    """An interval of ratios as factors of three figures: × 1.07 to 1.53, × 0.00412 to 0.00431."""
    digits = [max(0, 2 - math.floor(math.log10(max(end, 1e-12)))) for end in (change.low, change.high)]
    low, high = (f"{end:,.{count}f}" for end, count in zip((change.low, change.high), digits, strict=True))
    return f"× {low}" if low == high else f"× {low} to {high}"


def times(change: Interval) -> str:
    """An interval of ratios, with digits to match its width."""

    def figure(end: float) -> str:
        return f"{end:,.{2 if change.high < 1.995 else 1 if end < 99.95 else 0}f}"

    low, high = figure(change.low), figure(change.high)
    return f"{low} times" if low == high else f"{low} to {high} times"
