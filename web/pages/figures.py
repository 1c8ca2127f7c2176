"""PDs, cut-offs, points and shares as text: rounded, but never so far that different figures look equal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

from inference.number_format import localised, write_number, write_percent
from inference.policy import Points
from inference.release import Release
from web.pages.texts import Texts

MOST_DIGITS = 12  # more would only show the rounding errors of a float64


@dataclass(frozen=True)
class Figures:
    """How one card writes PDs and points: with enough decimals that different figures look different.

    A PD just below a cut-off is not shown as equal to it, and a PD above 0 is not shown as 0.
    """

    language: str
    scale: Points
    digits: int = 1  # decimals of a percentage
    point_digits: int = 0

    def pd(self, pd: float) -> str:
        """A PD or a cut-off, 0..1, in per cent."""
        return write_percent(pd, self.language, self.digits)

    def points(self, pd: float) -> str:
        """The points of a PD in (0, 1)."""
        return write_points(self.scale.of(pd), self.language, self.point_digits)


def integer(number: int, texts: Texts) -> str:
    """A count, its thousands apart."""
    return write_number(number, texts.language)


def measured(value: float | None, unit: str, texts: Texts) -> str:
    """A measured value with about three digits and its unit; a dash if it is missing."""
    if value is None or value != value:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 1 else 3
    return localised(f"{value:,.{digits}f}", texts.language) + (f"\u202f{unit}" if unit else "")


def figures_for(release: Release, language: str, *groups: Iterable[float]) -> Figures:
    """How to write these PDs and cut-offs, so that the values within each group, such as a PD and its cut-offs, look
    different unless they are equal."""
    digits, point_digits = 1, 0
    for group in groups:
        probabilities = sorted({pd for pd in group if 0 < pd < 1})
        digits = digits_apart([0.0, *probabilities, 1.0], as_percent, digits)
        points = [release.points.of(pd) for pd in probabilities]
        point_digits = digits_apart(points, round, point_digits)
    return Figures(language, release.points, digits, point_digits)


def digits_apart(values: Iterable[float], rounded: Callable[[float, int], float], least: int) -> int:
    """The smallest number of decimals, from `least` to `MOST_DIGITS`, with which different values look different."""
    unequal = [(first, second) for first, second in combinations(values, 2) if first != second]
    for digits in range(least, MOST_DIGITS):
        if all(rounded(first, digits) != rounded(second, digits) for first, second in unequal):
            return digits
    return MOST_DIGITS


def as_percent(share: float, digits: int) -> float:
    """The percentage that `write_percent` writes: below 1 % it has one more decimal."""
    return round(100 * share, digits + (1 if 0 < abs(share) < 0.00995 else 0))


def write_points(points: float, language: str, digits: int = 0) -> str:
    """Points of the scorecard scale; a value that rounds to 0 has no sign."""
    return localised(f"{round(points, digits) + 0.0:.{digits}f}", language)


def write_share(share: float, language: str, digits: int = 1) -> str:
    """A share, 0..1, in per cent; only 0 is shown as 0 %, and only 1 as 100 %."""
    return write_percent(share, language, digits_apart([0.0, share, 1.0], as_percent, digits))


def write_exact_percent(share: float, language: str) -> str:
    """A share that somebody configured, such as 62.5 %, with all its decimals."""
    digits = next((n for n in range(MOST_DIGITS) if abs(100 * share - round(100 * share, n)) < 1e-9), MOST_DIGITS)
    return write_percent(share, language, digits - (1 if 0 < abs(share) < 0.00995 and digits else 0))
