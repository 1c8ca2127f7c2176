"""Seeded searches inside a recipe's training window: `python -m models search` and `python -m models choose`.

`search` varies the parameters, `choose` leaves groups of columns out. Each candidate is judged as a release
serves: by later loans of the window, with tables frozen at their beginning, that its model had not seen; or by
folds where the loans have no dates. No later vintage is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from inference.rows import Matrix, RowBuilder
from models.recipe import Recipe
from models.train import Sample, cross_validate, fit, prepared

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


@dataclass(frozen=True, slots=True)
class Judge:
    """What a candidate is trained on and judged by. All arrays of rows have the columns of `columns`."""

    columns: tuple[str, ...]
    sample: Sample
    later: list[tuple[Mask, Matrix, npt.NDArray[np.int8]]]  # (loans before, rows of later ones, were these bad)

    @classmethod
    def of(cls, recipe: Recipe) -> "Judge":
        """Of a dated recipe two stretches: that of its calibration, and as many months before it."""
        _, form, history, sample = prepared(recipe)
        if history is None or recipe.window is None:
            return cls(RowBuilder(form, recipe.features).columns, sample, [])
        _, split, end = recipe.window
        later = []
        for begin in (2 * split - end, split):
            frozen = RowBuilder(form, recipe.features, history.tables(begin))
            at = (sample.months >= begin) & (sample.months < begin + end - split)
            later.append((sample.months < begin, frozen.build(sample.values[at]), sample.bad[at]))
        return cls(frozen.columns, sample, later)

    def aucs(self, recipe: Recipe, keep: Mask | None = None) -> list[float]:
        """The recipe's AUCs, from the columns kept; one a stretch, or one a repeat of the folds."""
        kept = np.ones(len(self.columns), bool) if keep is None else keep
        columns = [column for column, is_kept in zip(self.columns, kept, strict=True) if is_kept]
        sample = replace(self.sample, rows=self.sample.rows[:, kept])
        if not self.later:
            return [roc_auc_score(sample.bad[at], p) for at, p in cross_validate(recipe, columns, sample)]
        found = []
        for before, rows, bad in self.later:
            model = fit(recipe, columns, sample.rows[before], sample.bad[before], sample.months[before])
            found.append(roc_auc_score(bad, model.predict_proba(rows[:, kept])[:, 1]))
        return found


def search(recipe: Recipe, candidates: int, seed: int = 0) -> str:
    """The recipe and random variations of its parameters, best first, as Markdown."""
    generator = np.random.default_rng(seed)
    trials = [recipe]
    for _ in range(candidates):
        drawn = {name: values[int(generator.integers(len(values)))] for name, values in SPACE.items()}
        half_life = HALF_LIVES[int(generator.integers(len(HALF_LIVES)))] if recipe.window else None
        trials.append(replace(recipe, parameters={**recipe.parameters, **drawn}, half_life=half_life))
    judge = Judge.of(recipe)
    found = [(judge.aucs(trial), trial) for trial in tqdm(trials, desc=f"{recipe.name}: candidates", disable=None)]
    names = list(SPACE)
    lines = [f"| AUC | each | {' | '.join(names)} | half-life | |", "| ---: | --- |" + " ---: |" * 8 + " --- |"]
    for aucs, trial in sorted(found, key=lambda pair: -float(np.mean(pair[0]))):
        cells = " | ".join(str(trial.parameters.get(name, "default")) for name in names)
        note = "as it stands" if trial is recipe else ""
        lines.append(f"| {figures(aucs)} | {cells} | {trial.half_life} | {note} |")
    return "\n".join(lines)


def choose(recipe: Recipe, without: Sequence[str] = ()) -> str:
    """What groups of columns are worth, as Markdown: the recipe as it stands, and without each of them.

    A group is a list of column names, or of patterns with "*", joined by commas; by default what each level of
    the history holds ("state.*"). All are trained with several seeds: what differs by less than these is noise.
    """
    judge = Judge.of(recipe)
    everything = np.ones(len(judge.columns), bool)
    trials = {"as it stands": (recipe, everything)}
    for group in without or levels(judge.columns):
        trials[f"without {group}"] = recipe, ~members(judge.columns, group)
    trials["without monotone constraints"] = replace(recipe, monotone={}), everything
    found = []
    for name, (trial, keep) in tqdm(trials.items(), desc=f"{recipe.name}: columns", disable=None):
        aucs = [auc for seed in range(SEEDS) for auc in judge.aucs(seeded(trial, seed), keep)]
        found.append((aucs, int(keep.sum()), name))
    lines = ["| AUC | each, seed by seed | columns | |", "| ---: | --- | ---: | --- |"]
    for aucs, count, name in sorted(found, key=lambda one: -float(np.mean(one[0]))):
        lines.append(f"| {figures(aucs)} | {count} | {name} |")
    return "\n".join(lines)


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed for its samples of loans and columns."""
    return replace(recipe, parameters={**recipe.parameters, "random_state": seed})


def levels(columns: Sequence[str]) -> list[str]:
    """A group a level of the history: "state|naics2.*" holds "state|naics2.index12"."""
    return list(dict.fromkeys(f"{column.partition('.')[0]}.*" for column in columns if "." in column))


def members(columns: Sequence[str], group: str) -> Mask:
    """The columns of a group."""
    patterns = group.split(",")
    found = np.array([any(fnmatchcase(column, pattern) for pattern in patterns) for column in columns])
    if not found.any():
        raise SystemExit(f"no column is named by {group!r}; there are {', '.join(columns)}")
    return found


def figures(aucs: Sequence[float]) -> str:
    """Their mean, and each."""
    return f"{np.mean(aucs):.4f} | {', '.join(f'{auc:.4f}' for auc in aucs)}"
