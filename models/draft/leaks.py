"""Columns that know how the loan ended: alone, by being filled or not, as a sum with another one, or only together.

The thresholds stand on fourteen public files of loans: no honest column of them told better than AUC 0.9 alone or
cost more than 0.122 of AUC when it was shuffled; planted and real leaks cost 0.2 and more.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.draft.columns import NUMBER, Column
from models.draft.judging import MOST_BINS, Labels, Table, auc, auc_of_bins, binned, drops, unseen

ALONE = 0.9  # AUC of one column, or of one number made of two
FILLED, FILLED_TELLS = 0.3, 0.12  # |AUC - 0.5| of whether a cell is filled: a leak, and worth a question
TOGETHER = 0.88  # AUC of all columns from which on leaks are looked for that only work together
DROP = 0.15  # fall of the AUC where one column is shuffled
EXACT = 0.95  # of the loans obey a sum
MOST_PAIRED = 40  # columns of numbers that are looked at two by two
# Names that sound like what happened after the loan was made. They only warn: as a filter they drop honest columns.
AFTERWARDS = re.compile(
    r"charge.?off|chgoff|recover|collection|settle|last_?pymnt|last_?pay|total_?(rec|pymnt|paid)|out_?prncp|outstanding|"
    r"outcome|status|default|write.?off|closed|prepaid|balancegross|repaid|rückzahl|mahnung|inkasso|recouvr|remboursé",
    re.IGNORECASE,
)
PRICED = re.compile(r"int(erest)?_?rate|grade|apr$|score_?band|rate_?spread|zinssatz|taux_?int", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that should not be asked, and the evidence."""

    name: str
    kind: str  # alone, filled, sum, together
    why: str
    beside: str = ""  # the other column, where it takes two


def leaks_alone(columns: Sequence[Column], alone: Mapping[str, float], bad: Labels) -> list[Leak]:
    """Columns that tell too well by themselves, and those that make such a one up by an exact sum."""
    found = []
    for column in columns:
        filled = filled_auc(column, bad)
        if alone[column.name] > ALONE:
            found.append(Leak(column.name, "alone", f"alone it tells good from bad with AUC {alone[column.name]:.3f}"))
        elif abs(filled - 0.5) > FILLED:
            found.append(
                Leak(column.name, "filled", f"whether it is filled tells with AUC {max(filled, 1 - filled):.3f}")
            )
    return found + sums(columns, [leak.name for leak in found])


def filled_auc(column: Column, bad: Labels) -> float:
    """AUC of whether a cell is filled; 0.5 where all are."""
    gone = ~np.isfinite(column.values)
    return auc(bad, gone.astype(float)) if gone.any() and not gone.all() else 0.5


def sums(columns: Sequence[Column], leaking: Sequence[str]) -> list[Leak]:
    """Pairs of columns that give a leak back: a = b + leak, or a + b = leak, up to a constant."""
    numbers = {column.name: column for column in columns if column.kind == NUMBER}
    found: dict[str, Leak] = {}
    for leak in (numbers[name] for name in leaking if name in numbers):
        for one, other in combinations([name for name in numbers if name not in leaking], 2):
            a, b = numbers[one].values, numbers[other].values
            for rest, text in ((a - b - leak.values, "-"), (b - a - leak.values, "-"), (a + b - leak.values, "+")):
                stated = rest[np.isfinite(rest)]
                if len(stated) < 0.5 * len(a):
                    continue
                middle = np.median(stated)
                if (
                    np.mean(
                        np.abs(stated - middle) <= 1e-6 * max(1.0, np.abs(leak.values[np.isfinite(leak.values)]).max())
                    )
                    > EXACT
                ):
                    for name, beside in ((one, other), (other, one)):
                        found.setdefault(
                            name, Leak(name, "sum", f"{one} {text} {other} is {leak.name}, a leak", beside)
                        )
    return list(found.values())


def leaks_together(
    columns: Sequence[Column], table: Table, alone: Mapping[str, float], asked: Sequence[str], tick: Callable[[], None]
) -> tuple[list[Leak], float, dict[str, float]]:
    """Leaks that only work together; the AUC of what is left; and what each column left is worth when shuffled.

    Of a pair that tells only together (an amount lent beside the sum repaid), the one that tells better alone is taken
    for the leak: what was known at application tells little of what was repaid.
    """
    found: list[Leak] = []
    names = list(table.names)
    while True:
        left = table.of(names)
        whole = auc(left.bad, unseen(left, number=5 if len(left.bad) < 10_000 else 3))
        worth = drops(left, number=2, rounds=80)
        tick()
        if whole <= TOGETHER or len(names) < 3:
            return found, whole, worth
        new = [
            Leak(name, "together", f"AUC {whole:.3f} with it falls by {fall:.3f} where it is shuffled")
            for name, fall in worth.items()
            if fall > DROP
        ]
        if not found:
            new += pairs([column for column in columns if column.name in names], table, alone, worth)
        new = [leak for leak in unique(new) if leak.name not in asked and leak.name not in {one.name for one in found}]
        # A column that tells well alone, and whose worth is that, is no surprise: it was looked at above.
        new = [
            leak for leak in new if leak.beside or worth[leak.name] > alone[leak.name] - 0.5 or worth[leak.name] > 0.2
        ]
        if not new:
            return found, whole, worth
        # The strongest first: what only worked through it is then honest again.
        strongest = max(new, key=lambda leak: (bool(leak.beside), worth[leak.name]))
        found.append(strongest)
        names.remove(strongest.name)


def pairs(
    columns: Sequence[Column], table: Table, alone: Mapping[str, float], worth: Mapping[str, float]
) -> list[Leak]:
    """Numbers whose difference or ratio tells as no honest column does."""
    numbers = [column.name for column in columns if column.kind == NUMBER]
    numbers = sorted(numbers, key=lambda name: -(worth[name] + 0.1 * abs(alone[name] - 0.5)))[:MOST_PAIRED]
    found = []
    with np.errstate(all="ignore"):
        for one, other in combinations(numbers, 2):
            a, b = (table.values[:, table.names.index(name)].astype(np.float64) for name in (one, other))
            for made, text in ((a - b, "less"), (a / b, "over")):
                made = np.where(np.isfinite(made), made, np.nan)
                if np.isnan(made).mean() > 0.9:
                    continue
                tells = auc_of_bins(binned(made, (), MOST_BINS)[0], table.bad)
                if tells > ALONE:
                    leak, beside = (one, other) if alone[one] >= alone[other] else (other, one)
                    why = f"{one} {text} {other} tells good from bad with AUC {tells:.3f}, each alone far less"
                    found.append(Leak(leak, "together", why, beside))
    return found


def unique(leaks: Sequence[Leak]) -> list[Leak]:
    """One a column, those with a second column first."""
    kept: dict[str, Leak] = {}
    for leak in sorted(leaks, key=lambda one: not one.beside):
        kept.setdefault(leak.name, leak)
    return list(kept.values())
