"""Columns that know how the loan ended: alone, by being filled or not, as a sum with another one, or only together.

The thresholds come from fourteen public files of loans: no honest column in them reached AUC 0.9 alone or
cost more than 0.122 of AUC when shuffled; planted and real leaks cost 0.2 and more.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from inference.intervals import wilson
from models.draft.columns import NUMBER, Column
from models.draft.judging import MOST_BINS, Labels, Table, auc, auc_of_bins, binned, drops, unseen

ALONE = 0.9  # AUC of one column, or of one number made of two
FILLED, FILLED_TELLS = 0.3, 0.12  # |AUC - 0.5| of whether a cell is filled: a leak, and worth a question
FEWEST_MISSING, MISSING_TELLS = 30, 2.5  # loans without a cell, and times the rate of all that went bad: asked
TOGETHER = 0.88  # AUC of all columns above which leaks that only work together are looked for
DROP = 0.15  # fall of the AUC when one column is shuffled
EXACT = 0.95  # of the loans obey a sum
MOST_PAIRED = 40  # columns of numbers that are looked at two by two
# Names that sound like what happened after the loan was made. They only warn: as a filter they drop honest columns.
AFTERWARDS = re.compile(
    r"charge.?off|chgoff|recover|collection|settle|last_?pymnt|last_?pay|total_?(rec|pymnt|paid)|out_?prncp|outstanding|"
    r"outcome|status|default|write.?off|closed|prepaid|balancegross|repaid|rückzahl|mahnung|inkasso|recouvr|remboursé|"
    r"insolut|castigad|fallid|notleidend|(^|_)bad(_|$)",
    re.IGNORECASE,
)
WEIGHTS = set(
    "weight weights weighting gewicht gewichtung poids ponderation peso pesi pesatura ponderazione ponderacion "
    "ponderacao sampling".split()
)  # of a loan, not of an applicant
PRICED = re.compile(r"int(erest)?_?rate|grade|apr$|score_?band|rate_?spread|zinssatz|taux_?int", re.IGNORECASE)


def sounds_later(name: str) -> bool:
    """Whether a name sounds like what came after the loan was made, such as another outcome."""
    return bool(AFTERWARDS.search(name))


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that should not be asked, and the evidence."""

    name: str
    kind: str  # alone, filled, sum, together
    why: str
    beside: str = ""  # the other column, where it takes two


def leaks_alone(columns: Sequence[Column], alone: Mapping[str, float], bad: Labels) -> list[Leak]:
    """Columns that tell too well by themselves, and columns that give such a column as an exact sum."""
    leaks = []
    for column in columns:
        filled = filled_auc(column, bad)
        if alone[column.name] > ALONE:
            leaks.append(Leak(column.name, "alone", f"alone it tells good from bad with AUC {alone[column.name]:.3f}"))
        elif abs(filled - 0.5) > FILLED:
            leaks.append(
                Leak(column.name, "filled", f"whether it is filled tells with AUC {max(filled, 1 - filled):.3f}")
            )
    return leaks + sums(columns, [leak.name for leak in leaks])


def filled_auc(column: Column, bad: Labels) -> float:
    """AUC of whether a cell is filled; 0.5 if all cells are."""
    is_missing = ~np.isfinite(column.values)
    return auc(bad, is_missing.astype(float)) if is_missing.any() and not is_missing.all() else 0.5


def missing_tells(column: Column, bad: Labels) -> str:
    """What became of the loans whose cell is missing, in words, if most of few went bad; else ""."""
    missing = ~np.isfinite(column.values)
    loans, went_bad = int(missing.sum()), float(bad[missing].sum())
    if loans < FEWEST_MISSING or wilson(went_bad, loans)[0] < MISSING_TELLS * bad.mean():
        return ""
    return f"of the {loans:,} loans without it {went_bad / loans:.0%} went bad"


def sums(columns: Sequence[Column], leaking: Sequence[str]) -> list[Leak]:
    """Pairs of columns that give a leak back: a = b + leak, or a + b = leak, up to a constant."""
    numbers = {column.name: column for column in columns if column.kind == NUMBER}
    leaks: dict[str, Leak] = {}
    for leak in (numbers[name] for name in leaking if name in numbers):
        for first, second in combinations([name for name in numbers if name not in leaking], 2):
            a, b = numbers[first].values, numbers[second].values
            for difference, text in (
                (a - b - leak.values, "-"),
                (b - a - leak.values, "-"),
                (a + b - leak.values, "+"),
            ):
                stated = difference[np.isfinite(difference)]
                if len(stated) < 0.5 * len(a):
                    continue
                middle = np.median(stated)
                if (
                    np.mean(
                        np.abs(stated - middle) <= 1e-6 * max(1.0, np.abs(leak.values[np.isfinite(leak.values)]).max())
                    )
                    > EXACT
                ):
                    for name, beside in ((first, second), (second, first)):
                        leaks.setdefault(
                            name, Leak(name, "sum", f"{first} {text} {second} is {leak.name}, a leak", beside)
                        )
    return list(leaks.values())


def leaks_together(
    columns: Sequence[Column],
    table: Table,
    alone: Mapping[str, float],
    confirmed: Sequence[str],
    tick: Callable[[], None],
) -> tuple[list[Leak], float, dict[str, float]]:
    """Leaks that only work together; the AUC of what is left; and what each column left is worth when shuffled.

    Of two columns that tell only together (the amount lent and the sum repaid), the one that tells better alone is
    taken as the leak: what was known at application says little about what was repaid.
    """
    leaks: list[Leak] = []
    names = list(table.names)
    while True:
        remaining = table.of(names)
        total = auc(remaining.bad, unseen(remaining, number=5 if len(remaining.bad) < 10_000 else 3))
        worth = drops(remaining, number=2, rounds=80)
        tick()
        if total <= TOGETHER or len(names) < 3:
            return leaks, total, worth
        new = [
            Leak(name, "together", f"AUC {total:.3f} with it falls by {fall:.3f} where it is shuffled")
            for name, fall in worth.items()
            if fall > DROP
        ]
        if not leaks:
            new += pairs([column for column in columns if column.name in names], table, alone, worth)
        new = [
            leak
            for leak in unique(new)
            if leak.name not in confirmed and leak.name not in {leak.name for leak in leaks}
        ]
        # A column that tells well alone is no surprise if that is all it is worth: it was checked above.
        new = [
            leak for leak in new if leak.beside or worth[leak.name] > alone[leak.name] - 0.5 or worth[leak.name] > 0.2
        ]
        if not new:
            return leaks, total, worth
        # The strongest first: columns that only worked through it are honest without it.
        strongest = max(new, key=lambda leak: (bool(leak.beside), worth[leak.name]))
        leaks.append(strongest)
        names.remove(strongest.name)


def pairs(
    columns: Sequence[Column], table: Table, alone: Mapping[str, float], worth: Mapping[str, float]
) -> list[Leak]:
    """Numbers whose difference or ratio tells better than any honest column."""
    numbers = [column.name for column in columns if column.kind == NUMBER]
    numbers = sorted(numbers, key=lambda name: -(worth[name] + 0.1 * abs(alone[name] - 0.5)))[:MOST_PAIRED]
    leaks = []
    with np.errstate(all="ignore"):
        for first, second in combinations(numbers, 2):
            a, b = (table.values[:, table.names.index(name)].astype(np.float64) for name in (first, second))
            for combined, text in ((a - b, "less"), (a / b, "over")):
                combined = np.where(np.isfinite(combined), combined, np.nan)
                if np.isnan(combined).mean() > 0.9:
                    continue
                tells = auc_of_bins(binned(combined, (), MOST_BINS)[0], table.bad)
                if tells > ALONE:
                    leak, beside = (first, second) if alone[first] >= alone[second] else (second, first)
                    why = f"{first} {text} {second} tells good from bad with AUC {tells:.3f}, each alone far less"
                    leaks.append(Leak(leak, "together", why, beside))
    return leaks


def unique(leaks: Sequence[Leak]) -> list[Leak]:
    """One leak per column, those with a second column first."""
    by_name: dict[str, Leak] = {}
    for leak in sorted(leaks, key=lambda leak: not leak.beside):
        by_name.setdefault(leak.name, leak)
    return list(by_name.values())
