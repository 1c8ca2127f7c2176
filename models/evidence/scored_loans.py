"""The loans that a release is judged on, with its PDs, and which of them it was trained on as far as that is known.

Loans come from the recipe of the release, from another file by the same recipe, or from a CSV whose columns are named
as the fields of the form.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from msgspec import to_builtins

from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.release import Release
from inference.scorer import Scorer
from inference.watch.expected import month_name, month_of
from models.adoption.past_loans import read_loans
from models.lender_loans import load_loans
from models.metrics import Floats, Labels
from models.own_loans import recipe_of
from models.recipe import Loans, Recipe
from models.recipe_file import read_recipe
from models.recipes import RECIPES
from models.train import FEWEST, cross_validate, prepared

Mask = npt.NDArray[np.bool_]
AT_ONCE = 50_000  # loans scored at once
LATER, FOLDS, GIVEN, SEEN = "later", "folds", "given", "seen"  # how it stands with what the release was trained on
STANDING = {
    LATER: "loans granted after those that the release was trained on",
    FOLDS: (
        "the loans that the release was trained on; each PD comes from a model of the same recipe that had not seen "
        "the loan"
    ),
    GIVEN: (
        "loans of a file; whether the release was trained on some of them is not known. If it was, these figures "
        "flatter it"
    ),
    SEEN: "the loans that the release was trained on: these figures flatter it",
}


class NoLoans(TenfoldError):
    """No loans that a release can be judged on; the message says what to give."""


@dataclass(frozen=True, slots=True)
class GivenLoans:
    """Loans as they were read, before any release scores them."""

    source: str  # where they come from
    loans: Loans | None  # None: a CSV by field names, which is read again for the form of each release
    file: Path | None
    recipe: Recipe | None  # that made a release of these very loans
    own: bool  # the loans that releases of the recipe are made of


@dataclass(frozen=True, slots=True)
class ScoredLoans:
    """Loans with a known outcome and a release's PDs. All arrays have one entry per loan (m,)."""

    release: Release
    source: str
    standing: str  # LATER, FOLDS, GIVEN or SEEN: of the loans that judge
    values: Floats  # (m, n_fields), encoded answers
    pds: Floats
    bad: Labels
    months: npt.NDArray[np.int32]  # since year 0; all 0 if the loans have no dates
    trained_on: Mask  # of dated loans: granted in the months of training, or of a customer of these
    looked_at: pd.DataFrame | None  # prohibited columns, only to measure by

    def __len__(self) -> int:
        return len(self.bad)

    @property
    def dated(self) -> bool:
        return bool(self.months.any())

    @property
    def span(self) -> str:
        """The months of the loans, from the first to the last; empty if they have no dates."""
        if not self.dated:
            return ""
        return f"{month_name(int(self.months.min()))} to {month_name(int(self.months.max()))}"

    def where(self, chosen: Mask) -> "ScoredLoans":
        """The loans chosen by a mask."""
        return replace(
            self, values=self.values[chosen], pds=self.pds[chosen], bad=self.bad[chosen], months=self.months[chosen],
            trained_on=self.trained_on[chosen], looked_at=None if self.looked_at is None else self.looked_at[chosen],
        )  # fmt: skip

    @property
    def judging(self) -> "ScoredLoans":
        """The loans that judge: later ones if there are any, else all."""
        return self.where(~self.trained_on) if self.standing == LATER else self


def given_loans(release: Release, recipe: Path | None, file: Path | None) -> GivenLoans:
    """Loans of a file, by a recipe or by field names; without a file those of the recipe, or of the embedded one.

    Raises `NoLoans`, or the errors of a recipe and its loans.
    """
    name = release.manifest.name
    if recipe is not None:
        recipe_file = read_recipe(recipe)
        own = file is None
        if file is not None:
            recipe_file = replace(recipe_file, loans=replace(recipe_file.loans, file=file, sha256=""))
        loaded = load_loans(recipe_file)
        trained_by = recipe_of(recipe_file, loaded) if own else None
        source = f"{recipe_file.loans.file.name} (sha256 {loaded.digest[:12]}), read by {recipe.name}"
        return GivenLoans(source, loaded.loans if trained_by is None else trained_by.load(), file, trained_by, own)
    if file is not None:
        return GivenLoans(f"{file.name}, columns named as the fields", None, file, None, False)
    if name not in RECIPES:
        raise NoLoans(
            f"{release.name}: its loans are not in this folder. Give its recipe by --recipe NAME.toml, or loans by "
            "--loans FILE.csv with a column for each field and a column bad (0 or 1)"
        )
    embedded = RECIPES[name]
    return GivenLoans(f"the loans of {embedded.data_card}", embedded.load(), None, embedded, True)


def score_loans(release: Release, given: GivenLoans, *, folds: bool = True) -> ScoredLoans:
    """Score the loans. Undated loans of the release's own recipe are scored by folds, unless `folds` is false.

    Raises `NoLoans` where there are too few of either outcome, or the loans lack a field of the form.
    """
    if given.loans is None:
        if given.file is None:
            raise NoLoans(f"{given.source}: no file to read")
        past = read_loans(given.file, release.form)
        none = np.zeros(len(past.bad), np.int32)
        scored = ScoredLoans(
            release, given.source, GIVEN, past.values, serving(release)(past.values), past.bad, none,
            none.astype(bool), None,
        )  # fmt: skip
        return enough(scored)
    loans = given.loans
    if lacking := [name for name in release.form.names if name not in loans.answers]:
        raise NoLoans(f"{given.source}: no answers for {', '.join(lacking)}, which {release.name} asks")
    values = release.form.encode(loans.answers)
    trained_on = months_trained_on(release, loans)
    if trained_on.any() and not trained_on.all():
        standing = LATER
    elif not given.own:
        standing = GIVEN
    else:
        standing = SEEN
    folded = None
    if folds and standing == SEEN and not loans.months.any() and given.recipe is not None:
        folded = by_folds(release, given.recipe, loans)
    return enough(ScoredLoans(
        release, given.source, standing if folded is None else FOLDS, values,
        serving(release)(values) if folded is None else folded, loans.bad, loans.months, trained_on, loans.looked_at,
    ))  # fmt: skip


def enough(scored: ScoredLoans) -> ScoredLoans:
    """The same loans; raises `NoLoans` if too few of them judge."""
    judging = scored.judging
    bad = int(judging.bad.sum())
    if min(bad, len(judging) - bad) < FEWEST:
        raise NoLoans(
            f"{scored.source}: {len(judging):,} loans to judge by, {bad:,} of them bad; {FEWEST} of each outcome "
            "are needed"
        )
    return scored


def serving(release: Release) -> Callable[[Floats], Floats]:
    """From encoded applications (m, n_fields) to PDs (m,), as the release serves."""
    scorer = Scorer(release, XGBoostEngine(release))

    def pds(values: Floats) -> Floats:
        parts = [scorer.pds(values[start : start + AT_ONCE]) for start in range(0, len(values), AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    return pds


def months_trained_on(release: Release, loans: Loans) -> Mask:
    """(m,): dated loans of the release's months of training, and later ones of customers of these."""
    first, last = release.manifest.training.get("from"), release.manifest.training.get("to")
    if not (isinstance(first, str) and isinstance(last, str) and loans.months.any()):
        return np.zeros(len(loans), bool)
    trained_on = (loans.months >= month_of(first)) & (loans.months <= month_of(last))
    if loans.people is not None and trained_on.any():
        trained_on |= np.isin(loans.people, loans.people[trained_on])
    return np.asarray(trained_on)


def by_folds(release: Release, recipe: Recipe, loans: Loans) -> Floats | None:
    """PDs (m,) by models of the recipe that had not seen the loan; None if the recipe no longer makes this release."""
    manifest = release.manifest
    columns = {column.name: column.monotone for column in manifest.columns}
    same = (
        manifest.training.get("parameters") == to_builtins(recipe.parameters)
        and manifest.training.get("loans") == len(loans)
        and to_builtins(manifest.features) == to_builtins(recipe.features)
        and all(recipe.constraint(name) == sign for name, sign in columns.items())
    )
    if not same:
        return None
    *_, sample = prepared(recipe, loans)
    ((_, p),) = cross_validate(recipe, release.rows.columns, sample, 1)
    return release.calibration.pds(p)
