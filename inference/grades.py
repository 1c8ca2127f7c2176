"""A lender's risk grades: bands of the PD, each with a letter and a yearly rate; and the instalment at that rate."""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from inference.fields import Count

Floats = npt.NDArray[np.float64]
MOST_MONTHS = 1200
MONTHS_A_YEAR = 12.0


class Grade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A grade: PDs below `pd_below` that belong to no grade before it, at a nominal `rate` a year; 0.06 is 6 %."""

    grade: str
    pd_below: float
    rate: float

    def __post_init__(self) -> None:
        if not (self.grade.strip() == self.grade and 0 < len(self.grade) <= 8 and self.grade.isprintable()):
            raise ValueError("grade: 1 to 8 printable characters are needed")
        if not 0 < self.pd_below <= 1:
            raise ValueError("pd_below: a PD above 0 and up to 1 is needed")
        if not 0 <= self.rate <= 10:
            raise ValueError("rate: a yearly rate from 0 to 10 is needed, and 0.06 means 6 %")


class Repayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many equal monthly instalments repay a loan: the answer to the field `term`, or `months` for every loan."""

    term: str | None = None
    months: Count | None = None

    def __post_init__(self) -> None:
        if (self.term is None) == (self.months is None):
            raise ValueError("either term, a field that is answered in months, or months is needed")
        if self.months is not None and not 1 <= self.months <= MOST_MONTHS:
            raise ValueError(f"months: a number from 1 to {MOST_MONTHS:,} is needed")


class Offer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The grade of one application, and its instalment a month, in the unit of the amount.

    The grade holds PDs from `pd_from` up to, but not with, `pd_below`; the last grade holds 1 too. Without a number of
    months there is no instalment.
    """

    grade: str
    pd_from: float
    pd_below: float
    rate: float
    amount: float | None
    months: float | None
    instalment: float | None


def check_grades(grades: tuple[Grade, ...]) -> None:
    """Raises ValueError, with the path of what is wrong, unless every PD has exactly one grade."""
    for place, (before, after) in enumerate(pairwise(grades), 1):
        if after.pd_below <= before.pd_below:
            raise ValueError(f"grades[{place}].pd_below: more than {before.pd_below:g}, the one before, is needed")
        if after.grade in {grade.grade for grade in grades[:place]}:
            raise ValueError(f"grades[{place}].grade: {after.grade} is there twice")
    if grades and grades[-1].pd_below != 1:
        raise ValueError(f"grades[{len(grades) - 1}].pd_below: the last grade ends at 1, so that every PD has one")


def places(grades: tuple[Grade, ...], pds: Floats) -> npt.NDArray[np.intp]:
    """The grade of each PD as its place in `grades`: (m,) -> (m,). A PD on an edge belongs to the grade above it."""
    edges = np.array([grade.pd_below for grade in grades[:-1]], np.float64)
    return np.searchsorted(edges, pds, side="right")


@lru_cache(4096)  # most loans of a file share a few rates and terms
def annuity(rate: float, months: float) -> float:
    """The equal monthly instalment, paid at the end of each month, that repays a loan of 1 in `months` months.

    i / (1 - (1 + i)^-n), where i is a twelfth of the nominal yearly rate; 1 / n without interest.
    """
    monthly = rate / MONTHS_A_YEAR
    return 1.0 / months if monthly == 0 else monthly / -math.expm1(-months * math.log1p(monthly))


def instalments(amounts: Floats, rates: Floats, months: Floats) -> Floats:
    """Of many loans, (m,) each: `amount * annuity(rate, months)`; NaN where the months are NaN."""
    return amounts * np.fromiter(map(annuity, rates.tolist(), months.tolist()), np.float64, len(amounts))
