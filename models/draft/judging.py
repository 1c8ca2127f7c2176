"""How well columns tell good loans from bad: AUC with its interval, one column alone, and models on unseen folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xgboost
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from models.draft.columns import CHOICE, NUMBER, Column, Floats

Labels = npt.NDArray[np.int8]
Matrix = npt.NDArray[np.float32]
MOST_BINS = 40
ROUNDS, QUICK_ROUNDS = 150, 80


class Auc(NamedTuple):
    """An AUC with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def auc(bad: Labels, risk: npt.ArrayLike) -> float:
    return float(roc_auc_score(bad, risk))


def auc_with_interval(bad: Labels, risk: Floats) -> Auc:
    """DeLong, DeLong and Clarke-Pearson 1988, by ranks (Sun and Xu 2014)."""
    ones, zeros = risk[bad == 1], risk[bad == 0]
    n1, n0 = len(ones), len(zeros)
    ranks = rankdata(np.concatenate([ones, zeros]))
    above = (ranks[:n1] - rankdata(ones)) / n0
    below = 1 - (ranks[n1:] - rankdata(zeros)) / n1
    value = float(above.mean())
    half = 1.96 * float(np.sqrt(above.var(ddof=1) / n1 + below.var(ddof=1) / n0))
    return Auc(value, max(0.0, value - half), min(1.0, value + half))


def binned(values: Floats, codes: Sequence[float], bins: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """The bin of each value, by quantiles, and the inner edges. Codes and missing get bins of their own, above."""
    plain = values[np.isfinite(values) & ~np.isin(values, codes)]
    distinct = np.unique(plain)
    if len(distinct) <= bins:
        edges = (distinct[1:] + distinct[:-1]) / 2
    else:
        edges = np.unique(np.quantile(plain, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    binned_values = np.searchsorted(edges, values, side="right")
    for number, code in enumerate(codes, 1):
        binned_values[values == code] = len(edges) + number
    binned_values[~np.isfinite(values)] = len(edges) + len(codes) + 1
    return binned_values, edges


def auc_alone(column: Column, bad: Labels) -> float:
    """How well one column alone tells: bad rates by bin from two thirds of the loans, judged on the rest, in turn."""
    if column.kind in (NUMBER, "date"):
        bins, _ = binned(column.values, column.codes, MOST_BINS)
    else:
        bins = np.where(np.isfinite(column.values), column.values, -1).astype(np.intp) + 1
    return auc_of_bins(bins, bad)


def auc_of_bins(bins: npt.NDArray[np.intp], bad: Labels) -> float:
    rate, fold, size = bad.mean(), np.arange(len(bad)) % 3, int(bins.max()) + 1
    risk = np.empty(len(bad))
    for test in range(3):
        seen = fold != test
        loans = np.bincount(bins[seen], minlength=size)
        went_bad = np.bincount(bins[seen], weights=bad[seen], minlength=size)
        risk[~seen] = ((went_bad + 20 * rate) / (loans + 20))[bins[~seen]]
    return auc(bad, risk)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as a model sees them."""

    names: tuple[str, ...]
    values: Matrix  # (n, len(names)), NaN where missing
    kinds: tuple[str, ...]  # XGBoost's: "q" a number, "c" a choice
    bad: Labels  # (n,)
    people: npt.NDArray[np.int64] | None = None  # (n,): the customer of each loan, if several have more than one

    def of(self, names: Sequence[str], loans: npt.NDArray[np.intp] | None = None) -> "Table":
        """The table of some columns and some loans."""
        positions = [self.names.index(name) for name in names]
        values, bad, people = self.values, self.bad, self.people
        if loans is not None:
            values, bad, people = values[loans], bad[loans], None if people is None else people[loans]
        return Table(
            tuple(names),
            np.ascontiguousarray(values[:, positions]),
            tuple(self.kinds[column] for column in positions),
            bad,
            people,
        )


def table(columns: Sequence[Column], bad: Labels, people: npt.NDArray[np.int64] | None = None) -> Table:
    """Numbers as they are, choices by position; codes are missing."""
    values = np.column_stack([column.clean for column in columns]).astype(np.float32)
    kinds = tuple("c" if column.kind == CHOICE else "q" for column in columns)
    return Table(tuple(column.name for column in columns), values, kinds, bad, people)


def parameters(table: Table, seed: int, threads: int) -> dict[str, object]:
    return {
        "objective": "binary:logistic", "tree_method": "hist", "nthread": threads, "eta": 0.08, "max_depth": 4,
        "subsample": 0.8, "colsample_bytree": min(1.0, max(0.6, 2 / len(table.names))), "min_child_weight": 5,
        "reg_lambda": 5, "max_bin": 64, "max_cat_to_onehot": 12, "seed": seed,
    }  # fmt: skip


def fit(
    table: Table, rounds: int, *, seed: int = 0, directions: Sequence[int] = (), threads: int = 1
) -> xgboost.Booster:
    """A model of these loans; `directions` holds +1, -1 or 0 per column."""
    settings = parameters(table, seed, threads)
    if any(directions):
        settings["monotone_constraints"] = "(" + ",".join(map(str, directions)) + ")"
    data = xgboost.QuantileDMatrix(
        table.values, table.bad, feature_types=list(table.kinds), enable_categorical=True, nthread=threads, max_bin=64
    )
    return xgboost.train(settings, data, rounds)


def predict(model: xgboost.Booster, table: Table) -> Floats:
    data = xgboost.DMatrix(table.values, feature_types=list(table.kinds), enable_categorical=True, nthread=1)
    return np.asarray(model.predict(data), np.float64)


def folds(table: Table, number: int, seed: int = 0) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Loans to learn from and loans to judge by, `number` times; each loan is judged once.

    All loans of a customer are on the same side.
    """
    bad = table.bad
    number = max(2, min(number, int(bad.sum()), int(len(bad) - bad.sum())))
    kind = StratifiedKFold if table.people is None else StratifiedGroupKFold
    cut = kind(number, shuffle=True, random_state=seed)
    return [(learn, judge) for learn, judge in cut.split(np.zeros(len(bad)), bad, table.people)]


def unseen(
    table: Table,
    *,
    number: int = 5,
    rounds: int = ROUNDS,
    directions: Sequence[int] = (),
    seed: int = 0,
    threads: int = 1,
) -> Floats:
    """Each loan's PD by a model that has not seen it."""
    risk = np.empty(len(table.bad))
    for learn, judge in folds(table, number, seed):
        model = fit(table.of(table.names, learn), rounds, seed=seed, directions=directions, threads=threads)
        risk[judge] = predict(model, table.of(table.names, judge))
    return risk


def drops(table: Table, *, number: int, rounds: int, seed: int = 0, threads: int = 1) -> dict[str, float]:
    """How much the AUC on unseen loans falls when a column's values are shuffled (Breiman 2001)."""
    rng = np.random.default_rng(seed)
    base = np.empty(len(table.bad))
    shuffled = np.empty((len(table.names), len(table.bad)))
    for learn, judge in folds(table, number, seed):
        model = fit(table.of(table.names, learn), rounds, seed=seed, threads=threads)
        part = table.of(table.names, judge)
        base[judge] = predict(model, part)
        for column in range(len(table.names)):
            original = part.values[:, column].copy()
            part.values[:, column] = rng.permutation(original)
            shuffled[column, judge] = predict(model, part)
            part.values[:, column] = original
    top = auc(table.bad, base)
    return {name: top - auc(table.bad, shuffled[column]) for column, name in enumerate(table.names)}
