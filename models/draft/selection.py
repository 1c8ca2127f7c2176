"""Which columns the form asks: backward elimination, judged on loans that the choice has not seen.

A choice that is judged on the loans it was made on looks too good. So the choice is repeated inside each of five
folds and judged on the loans left out (nested cross-validation, Varma and Simon 2006); how often a column is chosen
says how certain it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.draft.columns import Floats
from models.draft.judging import ROUNDS, Auc, Labels, Table, auc_with_interval, drops, fit, folds, predict
from models.draft.threads import threads

MOST_FIELDS = 15  # of the curve
FOLDS = 5
MOST_LOANS = 24_000  # loans for a choice, and for a point of the curve
FEWEST = 25  # loans of each outcome, to choose and to judge by time
MOST_JUDGED = 10_000  # loans per fold, for the curve; the proposal is judged on all loans

Loans = npt.NDArray[np.intp]
BySize = dict[int, tuple[str, ...]]  # number of fields -> which


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The proposed fields, and results for other numbers of fields."""

    fields: tuple[str, ...]  # the most valuable first
    path: Mapping[int, tuple[str, ...]]  # chosen on all loans, by number of fields
    curve: Mapping[int, Auc]  # nested, by number of fields
    nested: Auc  # of the proposal, on all loans
    unseen_risk: Floats  # (n,): nested PDs of the proposal, a loan
    chosen: Mapping[str, int]  # column -> in how many of the folds it was chosen, at the proposed number
    folds: int
    sampled: bool  # whether choices were made on a part of the loans

    @property
    def certain(self) -> tuple[str, ...]:
        """Chosen in every fold."""
        return tuple(name for name in self.fields if self.chosen.get(name, 0) == self.folds)

    @property
    def interchangeable(self) -> tuple[str, ...]:
        """Chosen in some folds and not in others: one may replace another."""
        others = sorted((name for name in self.chosen if name not in self.fields), key=lambda name: -self.chosen[name])
        return tuple(name for name in (*self.fields, *others) if self.chosen.get(name, 0) < self.folds)


def sample(bad: Labels, most: int, seed: int = 0) -> Loans:
    """Positions of at most `most` loans: bad ones first, up to half. AUCs do not depend on the share of bad loans."""
    if len(bad) <= most:
        return np.arange(len(bad))
    rng = np.random.default_rng(seed)
    ones, zeros = rng.permutation(np.flatnonzero(bad == 1)), rng.permutation(np.flatnonzero(bad == 0))
    count = max(min(len(ones), most // 2), most - len(zeros))
    return np.sort(np.concatenate([ones[:count], zeros[: most - count]]))


def elimination(table: Table, tick: Callable[[], None]) -> BySize:
    """From all columns down to one: the least valuable go first, several at once while there are many."""
    names, path = list(table.names), BySize()
    number = 5 if len(table.bad) < 3_000 else 3 if len(table.bad) < 10_000 else 2
    while True:
        if len(names) <= MOST_FIELDS:
            path[len(names)] = tuple(names)
            tick()
        if len(names) == 1:
            return path
        worth = drops(table.of(names), number=number, rounds=80)
        names.sort(key=lambda name: -worth[name])
        if len(names) > MOST_FIELDS:
            names = names[: max(MOST_FIELDS, int(len(names) * (0.7 if len(names) > 25 else 0.8)))]
        else:
            path[len(names)] = tuple(names)
            names = names[:-1]


def select(table: Table, number: int, workers: int, tick: Callable[[], None]) -> Selection:
    """The `number` best fields of a table, with the nested curve. `tick` is called `steps(table)` times."""
    parts = folds(table, FOLDS)

    def one_fold(part: tuple[Loans, Loans]) -> tuple[BySize, dict[int, tuple[Loans, Floats]], Floats]:
        learn, judge = part
        some = learn[sample(table.bad[learn], MOST_LOANS)]
        shown = judge[sample(table.bad[judge], MOST_JUDGED)]
        path = elimination(table.of(table.names, some), tick)
        curve = {}
        for size, names in path.items():
            curve[size] = (shown, predict(fit(table.of(names, some), ROUNDS), table.of(names, shown)))
            tick()
        names = path[min(number, max(path))]
        return path, curve, predict(fit(table.of(names, learn), ROUNDS), table.of(names, judge))

    def on_all() -> BySize:
        return elimination(table.of(table.names, sample(table.bad, MOST_LOANS)), tick)

    with threads(workers, tick) as (pool, tick):
        on_all_loans = pool.submit(on_all)
        each = list(pool.map(one_fold, parts))
        path = on_all_loans.result()
    number = min(number, max(path))
    risk = np.empty(len(table.bad))
    for (_, judge), (_, _, predicted) in zip(parts, each, strict=True):
        risk[judge] = predicted
    curve = {size: pooled(table.bad, [judged[size] for _, judged, _ in each]) for size in sorted(path)}
    chosen: dict[str, int] = {}
    for fold_path, _, _ in each:
        for name in fold_path[number]:
            chosen[name] = chosen.get(name, 0) + 1
    return Selection(
        fields=path[number], path=path, curve=curve, nested=auc_with_interval(table.bad, risk), unseen_risk=risk,
        chosen=chosen, folds=len(parts), sampled=len(table.bad) > MOST_LOANS,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Later:
    """The proposal judged by time: fields chosen on earlier loans, judged by later ones."""

    start: int  # the first month that judges
    loans: int
    bad: int
    auc: Auc


def judge_later(table: Table, months: Floats, start: int, number: int, tick: Callable[[], None]) -> Later | None:
    """Choose on the loans before the month `start`, judge by those from then on; None where either side has too few.

    A later loan of a customer who has an earlier one does not judge. Ticks as often as `elimination`.
    """
    learn, judge = np.flatnonzero(months < start), np.flatnonzero(months >= start)
    if table.people is not None:
        judge = judge[~np.isin(table.people[judge], table.people[learn])]
    if any(min(table.bad[side].sum(), (table.bad[side] == 0).sum()) < FEWEST for side in (learn, judge)):
        return None
    path = elimination(table.of(table.names, learn[sample(table.bad[learn], MOST_LOANS)]), tick)
    names = path[min(number, max(path))]
    risk = predict(fit(table.of(names, learn), ROUNDS), table.of(names, judge))
    bad = table.bad[judge]
    return Later(start, len(judge), int(bad.sum()), auc_with_interval(bad, risk))


def pooled(bad: Labels, by_fold: Sequence[tuple[Loans, Floats]]) -> Auc:
    """The AUC over the loans of all folds."""
    loans = np.concatenate([judged for judged, _ in by_fold])
    return auc_with_interval(bad[loans], np.concatenate([risk for _, risk in by_fold]))


def steps(table: Table) -> int:
    """How often `select` ticks."""
    sizes, number = min(MOST_FIELDS, len(table.names)), len(folds(table, FOLDS))
    return number * 2 * sizes + sizes
