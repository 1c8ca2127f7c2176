"""Seeded searches inside a recipe's training window: `python -m models search` and `python -m models choose`.

`search` varies the parameters, `choose` leaves groups of columns out. Each candidate is judged as a release serves: by
later loans of the window, with tables frozen at their beginning, that its model had not seen; or by folds if the loans
have no dates, or too few in the window. Later vintages are not used; `choose --later` uses nothing else, to report what
a choice costs there and not to choose by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from inference.blocks import ArithmeticSpec, HistorySpec, Matrix
from inference.rows import RowBuilder
from models.recipe import Recipe
from models.train import FEWEST, Sample, cross_validate, fitted, prepared

SPACE: Mapping[str, Sequence[Any]] = {
    "n_estimators": (150, 250, 400),
    "max_depth": (3, 4, 5, 6),
    "learning_rate": (0.03, 0.05, 0.08),
    "min_child_weight": (10, 30, 100),
    "subsample": (0.6, 0.8, 1.0),
    "colsample_bytree": (0.2, 0.3, 0.5),
    "reg_lambda": (1.0, 5.0),
}
SEEDS = 2
HALF_LIVES = (None, 6.0, 8.4, 12.0, 24.0)  # months; dated recipes only

Mask = npt.NDArray[np.bool_]


class Judged(NamedTuple):
    """Loans that a candidate is judged by, m of them."""

    rows: Matrix  # (m, n_features), with tables frozen before the first of them
    bad: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Judge:
    """What a candidate is trained on and judged by. All arrays of rows have the columns of `columns`."""

    columns: tuple[str, ...]
    sample: Sample
    stretches: list[tuple[Mask, list[Judged]]]  # (loans to train on, what to judge that model by)

    @classmethod
    def of(cls, recipe: Recipe, later: bool = False) -> "Judge":
        """For a dated recipe two stretches: that of its calibration, and as many months before it.

        With `later` only its later vintages instead, judged by a model of the whole window.
        """
        _, form, history, sample = prepared(recipe)
        _, split, end = recipe.window or (0, 0, 0)

        def frozen(month: int) -> RowBuilder:
            return RowBuilder(form, recipe.features, history.tables(month) if history else {})

        columns = frozen(end).columns
        if later:
            build, every = frozen(end).build, recipe.load()
            vintages = [
                every.where((every.months >= start) & (every.months < until)) for start, until in recipe.later.values()
            ]
            judged = [Judged(build(form.encode(vintage.answers)), vintage.bad) for vintage in vintages]
            return cls(columns, sample, [(np.ones(len(sample.bad), bool), judged)])
        stretches = []
        for begin in (2 * split - end, split) if split < end else ():
            before = sample.months < begin
            in_vintage = (sample.months >= begin) & (sample.months < begin + end - split)
            if sample.people is not None:  # no customer is on both sides
                in_vintage &= ~np.isin(sample.people, sample.people[before])
            if enough(sample.bad[before]) and enough(sample.bad[in_vintage]):
                vintage_loans = Judged(frozen(begin).build(sample.values[in_vintage]), sample.bad[in_vintage])
                stretches.append((before, [vintage_loans]))
        return cls(columns, sample, stretches)

    def aucs(self, recipe: Recipe, keep: Mask | None = None) -> list[float]:
        """The recipe's AUCs with the columns kept: one per stretch, or one per repeat of the folds."""
        columns_kept = np.ones(len(self.columns), bool) if keep is None else keep
        columns = [column for column, is_kept in zip(self.columns, columns_kept, strict=True) if is_kept]
        sample = replace(self.sample, rows=self.sample.rows[:, columns_kept])
        if not self.stretches:
            return [roc_auc_score(sample.bad[places], p) for places, p in cross_validate(recipe, columns, sample)]
        aucs = []
        for earlier, judged in self.stretches:
            model = fitted(recipe, columns, sample.subset(np.flatnonzero(earlier)))
            aucs += [
                roc_auc_score(vintage.bad, model.predict_proba(vintage.rows[:, columns_kept])[:, 1])
                for vintage in judged
            ]
        return aucs


def enough(bad: npt.NDArray[np.int8]) -> bool:
    """Whether there are loans of both outcomes to learn from or to judge by."""
    return min(int(bad.sum()), len(bad) - int(bad.sum())) >= FEWEST


class Trial(NamedTuple):
    """A candidate and the AUCs of its models on loans that they had not seen."""

    aucs: list[float]
    recipe: Recipe

    @property
    def mean(self) -> float:
        return float(np.mean(self.aucs))


def tried(recipe: Recipe, candidates: int, seed: int = 0) -> list[Trial]:
    """The recipe and random variations of its parameters, the best first."""
    generator = np.random.default_rng(seed)
    trials = [recipe]
    for _ in range(candidates):
        parameters = {name: values[int(generator.integers(len(values)))] for name, values in SPACE.items()}
        half_life = HALF_LIVES[int(generator.integers(len(HALF_LIVES)))] if recipe.window else None
        trials.append(replace(recipe, parameters={**recipe.parameters, **parameters}, half_life=half_life))
    judge = Judge.of(recipe)
    judged = [
        Trial(judge.aucs(trial), trial) for trial in tqdm(trials, desc=f"{recipe.name}: candidates", disable=None)
    ]
    return sorted(judged, key=lambda trial: -trial.mean)


def search(recipe: Recipe, candidates: int, seed: int = 0) -> str:
    """The recipe and random variations of its parameters, best first, as Markdown."""
    return as_table(tried(recipe, candidates, seed), recipe)


def as_table(trials: Sequence[Trial], recipe: Recipe) -> str:
    names = list(SPACE)
    lines = [f"| AUC | each | {' | '.join(names)} | half-life | |", "| ---: | --- |" + " ---: |" * 8 + " --- |"]
    for aucs, trial in trials:
        cells = " | ".join(str(trial.parameters.get(name, "default")) for name in names)
        note = "as it stands" if trial is recipe else ""
        lines.append(f"| {figures(aucs)} | {cells} | {trial.half_life} | {note} |")
    return "\n".join(lines)


def choose(
    recipe: Recipe,
    without: Sequence[str] = (),
    without_fields: Sequence[str] = (),
    later: bool = False,
    seeds: int = SEEDS,
) -> str:
    """What groups of columns are worth, as Markdown: the recipe as it stands, and without each of them.

    A group of `without` is a list of column names, or of patterns with "*", joined by commas; one of
    `without_fields` a list of fields, and what is left out is all that their answers set. By default the groups are
    what each level of the history holds ("state.*"). All are trained with several seeds: what differs by less than
    these is noise. With `later` the loans judged by are the later vintages, one AUC each.
    """
    judge = Judge.of(recipe, later)
    everything = np.ones(len(judge.columns), bool)
    trials = {"as it stands": (recipe, everything)}
    for group in without or ([] if without_fields else levels(judge.columns)):
        trials[f"without {group}"] = recipe, ~members(judge.columns, group)
    for group in without_fields:
        trials[f"without the answers {group}"] = recipe, ~set_by(recipe, judge.columns, group)
    if not without_fields:
        trials["without monotone constraints"] = replace(recipe, monotone={}), everything
    rows = []
    for name, (trial, keep) in tqdm(trials.items(), desc=f"{recipe.name}: columns", disable=None):
        aucs = [auc for seed in range(seeds) for auc in judge.aucs(seeded(trial, seed), keep)]
        rows.append((aucs, int(keep.sum()), name))
    lines = ["| AUC | each, seed by seed | columns | |", "| ---: | --- | ---: | --- |"]
    for aucs, count, name in sorted(rows, key=lambda trial: -float(np.mean(trial[0]))):
        lines.append(f"| {figures(aucs)} | {count} | {name} |")
    return "\n".join(lines)


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed for its samples of loans and columns."""
    return replace(recipe, parameters={**recipe.parameters, "random_state": seed})


def levels(columns: Sequence[str]) -> list[str]:
    """One group per level of the history: "state|naics2.*" holds "state|naics2.index12"."""
    return list(dict.fromkeys(f"{column.partition('.')[0]}.*" for column in columns if "." in column))


def members(columns: Sequence[str], group: str) -> Mask:
    """The columns of a group."""
    patterns = group.split(",")
    matches = np.array([any(fnmatchcase(column, pattern) for pattern in patterns) for column in columns])
    if not matches.any():
        raise SystemExit(f"no column is named by {group!r}; there are {', '.join(columns)}")
    return matches


def set_by(recipe: Recipe, columns: Sequence[str], group: str) -> Mask:
    """The columns that the answers of some fields set; `group` names the fields, joined by commas.

    What past loans of others answered (a state's mean number of jobs) is set by the reference applicant.
    """
    names = group.split(",")
    if unknown := [name for name in names if name not in {spec["name"] for spec in recipe.fields}]:
        raise SystemExit(f"recipe {recipe.name} has no field {', '.join(unknown)}")
    columns_set = set(names)
    for spec in recipe.features:
        if isinstance(spec, HistorySpec) and any(part.of in names for part in spec.key):
            columns_set.update(spec.columns)
        if isinstance(spec, ArithmeticSpec):
            for column, left, _, right in spec.columns:
                if {left, right} & columns_set:
                    columns_set.add(column)
    flags = tuple(f"{name}{mark}" for name in names for mark in "=[")  # one_hot and not_stated, with and without prefix
    return np.array([column in columns_set or column.startswith(flags) for column in columns])


def figures(aucs: Sequence[float]) -> str:
    """The mean of the AUCs, and each of them."""
    return f"{np.mean(aucs):.4f} | {', '.join(f'{auc:.4f}' for auc in aucs)}"
