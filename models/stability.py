"""How often a suggested decision changes with a small change of one answer: `python -m models stability [release …]`.

One answer changes, all others stay: a whole number by 1, a share in per cent by a point, any other number by 1 %. The
decision may change because the PD moves, or because the new answer is unusual and is referred: both count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application, Form
from inference.engines import XGBoostEngine
from inference.fields import NumberField
from inference.policy import Policy, PolicyTerms
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import RELEASES
from models.recipe import Recipe
from models.train import Trained

Floats = npt.NDArray[np.float64]

LOANS = 3_000
WHOLE, POINT, HUNDREDTH = "1", "1 point", "1 %"


class Tried(NamedTuple):
    """Applications as they are, m of them."""

    values: Floats  # (m, n_fields), encoded answers
    pds: Floats
    decisions: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Step:
    """What one small change of a field does to loans."""

    field: str
    step: str  # "+1", "-1 %", …, or "±1": whether either of the two changes the decision
    loans: int  # loans that state the field and whose changed answer the form accepts
    changed: float  # share of these whose suggested decision changes
    unusual: float  # share of these whose decision changes only where the answer leaves the usual range
    largest: float  # change of a PD, 0..1


def stability(form: Form, policy: Policy, pds: Callable[[Floats], Floats], values: Floats) -> list[Step]:
    """Three rows a number field (up, down, either) over encoded applications (m, n_fields).

    `pds` gives the PDs (m,) of encoded applications.
    """
    asked_pds = Tried(values, *judged(policy, pds, values))
    steps = []
    for index, field in enumerate(form.fields):
        if isinstance(field, NumberField):
            steps += of_field(policy, pds, asked_pds, index, field)
    return steps


def of_field(
    policy: Policy, pds: Callable[[Floats], Floats], original: Tried, index: int, field: NumberField
) -> list[Step]:
    """The rows of one number field: up, down and either. None where no loan states it."""
    size = step_of(field)
    either = np.zeros((3, len(original.values)), bool)  # tried, changed, changed with the answer still usual
    steps = []
    for sign, mark in ((+1, "+"), (-1, "-")):
        values = original.values.copy()
        values[:, index] = moved(field, values[:, index], sign)
        # False for NaN too: what is not stated has no neighbour.
        in_range = (values[:, index] >= field.minimum) & (values[:, index] <= field.maximum)
        if not in_range.any():
            continue
        after, decisions = judged(policy, pds, values[in_range])
        changed = decisions != original.decisions[in_range]
        unusual = changed & usual(field, original.values[in_range, index]) & ~usual(field, values[in_range, index])
        largest = float(np.abs(after - original.pds[in_range]).max())
        steps.append(Step(field.name, mark + size, len(changed), float(changed.mean()), float(unusual.mean()), largest))
        either[:, in_range] |= np.stack([np.ones_like(changed), changed, changed & ~unusual])
    if steps:
        tried, changed, still_usual = either
        largest = max(step.largest for step in steps)
        loans = int(tried.sum())
        steps.append(
            Step(field.name, f"±{size}", loans, changed.sum() / loans, (changed & ~still_usual).sum() / loans, largest)
        )
    return steps


def step_of(field: NumberField) -> str:
    """How far a field is moved: one for whole numbers, a point for a share, a hundredth of anything else."""
    if field.whole:
        return WHOLE
    return POINT if field.unit["en"] == "%" else HUNDREDTH


def moved(field: NumberField, answers: Floats, sign: int) -> Floats:
    """The answers (m,) moved one step up (+1) or down (-1)."""
    return answers * (1 + sign / 100) if step_of(field) == HUNDREDTH else answers + sign


def usual(field: NumberField, answers: Floats) -> npt.NDArray[np.bool_]:
    low, high = field.usual
    return (answers >= low) & (answers <= high)


def judged(policy: Policy, pds: Callable[[Floats], Floats], values: Floats) -> tuple[Floats, npt.NDArray[np.str_]]:
    """PDs and suggested decisions of encoded applications, (m,) each."""
    risk = pds(values)
    answers = map(Application, map(tuple, values.tolist()))
    suggestions = [policy.decide(pd, answer).suggestion for pd, answer in zip(risk.tolist(), answers, strict=True)]
    return risk, np.array(suggestions)


def sample(recipe: Recipe, form: Form, loans: int = LOANS, seed: int = 0) -> tuple[str, Floats]:
    """Loans to try a release on: which they are, and their encoded answers (m, n_fields).

    Of later vintages where the loans are dated; else of those that it was trained on: there are no others.
    """
    every = recipe.load()
    candidates = np.ones(len(every), bool)
    sample_name = "loans that it was trained on (the source has no later ones)"
    if recipe.later:
        candidates = np.zeros(len(every), bool)
        for start, until in recipe.later.values():
            candidates |= (every.months >= start) & (every.months < until)
        sample_name = f"loans of {' and '.join(recipe.later)}, none of which it was trained on"
    chosen = np.zeros(len(every), bool)
    chosen[np.random.default_rng(seed).permutation(np.flatnonzero(candidates))[:loans]] = True
    return f"{int(chosen.sum()):,} {sample_name}", form.encode(every.where(chosen).answers)


def measured(recipe: Recipe, form: Form, policy: Policy, pds: Callable[[Floats], Floats]) -> dict[str, Any]:
    """For the manifest: which loans were tried, and the effect of each step."""
    sample_name, values = sample(recipe, form)
    return {"of": sample_name, "steps": [asdict(step) for step in stability(form, policy, pds, values)]}


def of_trained(trained: Trained) -> dict[str, Any]:
    """The same for a recipe that was just trained."""

    def pds(values: Floats) -> Floats:
        rows = trained.builder.build(values)
        return trained.calibration.pds(trained.model.predict_proba(rows)[:, 1].astype(np.float64))

    recipe = trained.recipe
    policy = Policy(PolicyTerms(**recipe.policy, rare_below=recipe.rare_below), trained.form)
    return measured(recipe, trained.form, policy, pds)


def of_release(recipe: Recipe, release: Release) -> dict[str, Any]:
    """The same for a release, by its own engine."""
    return measured(recipe, release.form, release.policy, Scorer(release, XGBoostEngine(release)).pds)


def compare(recipes: Mapping[str, Recipe], folders: Sequence[Path]) -> str:
    """Markdown: one table per recipe, its releases side by side in the given order."""
    by_recipe: dict[str, list[Release]] = {}
    for folder in folders:
        release = open_release(folder)
        by_recipe.setdefault(release.manifest.name, []).append(release)
    if unknown := [name for name in by_recipe if name not in recipes]:
        raise SystemExit(f"no recipe has the loans of {', '.join(unknown)}; there are {', '.join(recipes)}")
    parts = []
    for name, releases in by_recipe.items():
        results = [of_release(recipes[name], release) for release in releases]
        parts.append(f"{name}: {results[0]['of']}\n\n{table(results, [release.name for release in releases])}")
    return "\n\n".join(parts)


def embedded() -> list[Path]:
    """The folders of the releases that come with the code."""
    return sorted(file.parent for file in RELEASES.glob("[!.]*/manifest.json"))


def section(result: Mapping[str, Any]) -> str:
    """The section of the model card, from what `measured` found."""
    return (
        f"How often the suggestion changes when one answer moves a little, all else as it is, on {result['of']}. Whole "
        "numbers move by one, shares by a point, other numbers by 1 %. An application with an answer outside the usual "
        "range is referred whatever its PD: “with the answer still usual” leaves out the suggestions that changed as "
        "the answer left that range.\n\n"
        f"{table([result], [''])}"
    )


def table(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """A Markdown table: what `measured` found of one release, or of several of one recipe side by side."""
    head = ["field", "step", "loans"]
    for name in names:
        prefix = f"{name}: " if len(names) > 1 else ""
        head += [f"{prefix}suggestions that change", "with the answer still usual", "largest change of the PD"]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- | {' | '.join(['---:'] * (len(head) - 2))} |"]
    for steps in zip(*[result["steps"] for result in results], strict=True):
        first = steps[0]
        cells = [f"`{first['field']}`", first["step"].replace("-", "−"), f"{first['loans']:,}"]
        for step in steps:
            cells += [
                f"{step['changed']:.1%}",
                f"{step['changed'] - step['unusual']:.1%}",
                f"{100 * step['largest']:.1f} points",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
