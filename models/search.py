"""A seeded search over a recipe's parameters, inside its training window: `python -m models search sba`.

Each candidate is judged as the recipe is calibrated: by loans of the window that its model had not seen (a later
part of it with frozen tables, or folds). No later vintage is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from inference.rows import RowBuilder
from models.evaluate import measures
from models.recipe import Recipe
from models.train import cross_validate, predict_later, prepared

SPACE: Mapping[str, Sequence[Any]] = {
    "n_estimators": (150, 250, 400),
    "max_depth": (3, 4, 5, 6),
    "learning_rate": (0.03, 0.05, 0.08),
    "min_child_weight": (10, 30, 100),
    "subsample": (0.6, 0.8, 1.0),
    "colsample_bytree": (0.2, 0.3, 0.5),
    "reg_lambda": (1.0, 5.0),
}
HALF_LIVES = (None, 6.0, 8.4, 12.0, 24.0)  # months; dated recipes only


def search(recipe: Recipe, candidates: int, seed: int = 0) -> list[tuple[float, Recipe]]:
    """The recipe and random variations of it with their AUC, best first."""
    generator = np.random.default_rng(seed)
    trials = [recipe]
    for _ in range(candidates):
        drawn = {name: values[int(generator.integers(len(values)))] for name, values in SPACE.items()}
        half_life = HALF_LIVES[int(generator.integers(len(HALF_LIVES)))] if recipe.window else None
        trials.append(replace(recipe, parameters={**recipe.parameters, **drawn}, half_life=half_life))
    _, form, history, sample = prepared(recipe)
    columns = RowBuilder(form, recipe.features, history.tables(recipe.window[2]) if history and recipe.window else {})
    found = []
    for trial in tqdm(trials, desc=f"{recipe.name}: candidates", disable=None):
        if recipe.window:
            unseen = [predict_later(trial, form, history, sample, recipe.window[1])]
        else:
            unseen = cross_validate(trial, columns.columns, sample)
        found.append((float(np.mean([measures(sample.bad[at], p)["auc"] for at, p in unseen])), trial))
    return sorted(found, key=lambda pair: -pair[0])


def table(found: Sequence[tuple[float, Recipe]], recipe: Recipe) -> str:
    """The candidates as Markdown; the recipe as it stands is marked."""
    names = list(SPACE)
    lines = [f"| AUC | {' | '.join(names)} | half-life | |", "| ---: |" + " ---: |" * (len(names) + 1) + " --- |"]
    for auc, trial in found:
        cells = " | ".join(str(trial.parameters.get(name, "default")) for name in names)
        lines.append(f"| {auc:.4f} | {cells} | {trial.half_life} | {'as it stands' if trial is recipe else ''} |")
    return "\n".join(lines)
