"""Other parameters for a lender's own recipe: `tenfold search my.toml`. Only if asked; nothing is written.

Candidates are drawn with a seed and judged inside the training loans, by their last part where the loans are dated,
else by folds. The loans that judge a dated release take no part: a search that looked at them would make their figure
flatter.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.lender_loans import load_loans
from models.own_loans import Refused, recipe_of
from models.recipe import Recipe
from models.recipe_file import read_recipe
from models.recipe_toml.content import PARAMETERS, SCORECARD
from models.search import SPACE, Trial, as_table, tried
from models.toml_file import BadFile

REPEATS = 2  # of folds; a difference that is not in both is noise
CLEAR = 0.002  # of AUC: what is less changes no decision


def search_file(file: Path, candidates: int, seed: int = 0) -> str:
    """What was tried, the best first, and the lines to paste into the recipe where something is clearly better.

    Raises `BadFile` if the recipe is wrong or has open questions, and `Refused` if its loans are too few.
    """
    recipe_file = read_recipe(file)
    if recipe_file.open:
        raise BadFile(file, recipe_file.open)
    if recipe_file.kind == SCORECARD:
        raise Refused(f"{file}: model.kind: a scorecard has no parameters to search")
    recipe = replace(recipe_of(recipe_file, load_loans(recipe_file)), repeats=REPEATS)
    trials = tried(recipe, candidates, seed)
    return f"{as_table(trials, recipe)}\n\n{advice(trials, recipe, file)}"


def advice(trials: Sequence[Trial], recipe: Recipe, file: Path) -> str:
    """What to do with it, in words."""
    best = trials[0]
    now = next(trial for trial in trials if trial.recipe is recipe)
    gain = best.mean - now.mean
    each = [other - own for other, own in zip(best.aucs, now.aucs, strict=True)]
    if gain < CLEAR or min(each) <= 0:
        return (
            f"Nothing is clearly better than {file.name} as it stands (AUC {now.mean:.4f}, best {best.mean:.4f}): that "
            f"takes a gain of {CLEAR:g}, and some gain in every part. Leave the recipe as it is."
        )
    return (
        f"Better by {gain:.4f} of AUC, in every part, on loans inside the training loans. The best of "
        f"{len(trials)} flatters itself a little; train again to see what later or left-out loans say. In [model] of "
        f"{file.name} replace or add these lines{without(best.recipe, recipe)}:\n\n{lines(best.recipe)}"
    )


def lines(recipe: Recipe) -> str:
    """The parameters as a recipe has them."""
    parameters = [
        f"{name} = {recipe.parameters[theirs]}"
        for name, (theirs, *_) in PARAMETERS.items()
        if theirs in SPACE and theirs in recipe.parameters
    ]
    return "\n".join([*parameters, *([] if recipe.half_life is None else [f"half_life = {recipe.half_life}"])])


def without(best: Recipe, now: Recipe) -> str:
    """What has to be deleted, if anything."""
    return " and delete half_life" if now.half_life is not None and best.half_life is None else ""
