"""What became of loans: by the decision that a release's policy would have suggested, and by score band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from typing import NamedTuple

import numpy as np

from inference.application import Application
from inference.intervals import wilson
from inference.policy import APPROVE, DECLINE, REFER, Points
from inference.release import Release
from models.evaluation import Report, Result
from models.metrics import Floats, Labels
from models.recipe import Loans
from models.train import Trained

SUGGESTIONS = (APPROVE, REFER, DECLINE)
TRAINING_YEARS = 3  # as many of the last training vintages are shown beside the later ones
FEW_BANDS = 6


class Group(NamedTuple):
    """Loans, and how many of them went bad. Averages over repeats need not be whole numbers."""

    loans: float
    bad: float

    @property
    def rate(self) -> float:
        """The bad rate; NaN for no loans."""
        return self.bad / self.loans if self.loans else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the bad rate; NaN for no loans."""
        return wilson(self.bad, self.loans)


@dataclass(frozen=True, slots=True)
class Book:
    """Loans with known outcome, as the policy would have decided them."""

    label: str
    in_training: bool  # the model has seen these loans: its PDs flatter it
    mean_pd: float
    groups: Mapping[str, Group]  # suggestion -> loans
    unusual: float  # loans referred because an answer is unusual, whatever their PD

    @property
    def all(self) -> Group:
        """All loans together."""
        return Group(sum(one.loans for one in self.groups.values()), sum(one.bad for one in self.groups.values()))

    def share(self, suggestion: str) -> float:
        """The share of loans that get this suggestion."""
        return self.groups[suggestion].loans / self.all.loans


def books(release: Release, trained: Trained, report: Report) -> list[Book]:
    """By vintage where loans are dated: the last training years, marked as such, then the later vintages.

    Undated loans are one book, with PDs by models that had not seen them.
    """
    recipe, sample = trained.recipe, trained.sample
    headline = [one for one in report.results if one.headline]
    if not recipe.later or recipe.window is None:
        values = sample.values[trained.unseen[0][0]]
        return [decide(release, f"not seen, {one.sample}", values, one.bad, one.pds) for one in headline]
    found = []
    years = np.unique(sample.months // 12)[-TRAINING_YEARS:]
    for year in years.tolist():
        at = sample.months // 12 == year
        p = trained.model.predict_proba(sample.rows[at])[:, 1].astype(np.float64)
        pds = [trained.calibration.pds(p)]
        found.append(decide(release, f"{year}", sample.values[at], sample.bad[at], pds, in_training=True))
    every = trained.loans
    for (name, (start, until)), one in zip(recipe.later.items(), headline, strict=True):
        values = trained.form.encode(vintage(every, start, until).answers)
        found.append(decide(release, name, values, one.bad, one.pds))
    return found


def vintage(loans: Loans, start: int, until: int) -> Loans:
    """Loans of the months from `start` until before `until`."""
    return loans.where((loans.months >= start) & (loans.months < until))


def decide(
    release: Release, label: str, values: Floats, bad: Labels, pds: Sequence[Floats], *, in_training: bool = False
) -> Book:
    """The policy applied to each loan, averaged over the repeats; `values` are encoded answers (m, n_fields)."""
    applications = [Application(tuple(row)) for row in values.tolist()]
    loans, went_bad = dict.fromkeys(SUGGESTIONS, 0), dict.fromkeys(SUGGESTIONS, 0)
    unusual = 0
    outcomes = bad.tolist()
    for repeat in pds:
        for pd, application, outcome in zip(repeat.tolist(), applications, outcomes, strict=True):
            decision = release.policy.decide(pd, application)
            loans[decision.suggestion] += 1
            went_bad[decision.suggestion] += outcome
            unusual += bool(decision.unusual)
    n = len(pds)
    return Book(
        label=label,
        in_training=in_training,
        mean_pd=float(np.mean(pds)),
        groups={name: Group(loans[name] / n, went_bad[name] / n) for name in SUGGESTIONS},
        unusual=unusual / n,
    )


def by_decile(result: Result) -> list[Group]:
    """Ten groups of equal size by PD, each loan counted once."""
    return [Group(one.loans / len(result.pds), one.bad / len(result.pds)) for one in result.deciles]


def by_band(points: Points, results: Sequence[Result], fewest: int) -> list[tuple[str, list[Group]]]:
    """Score bands from low to high: (label, one group a result).

    A band is as wide as the points that double the odds, or half of it where that gives few bands; bands at both
    ends are joined to the next until each result has at least `fewest` loans in them.
    """
    scores = [np.array([[points.of(pd) for pd in repeat.tolist()] for repeat in one.pds]) for one in results]
    together = np.concatenate([one.ravel() for one in scores])
    first, last = np.quantile(together, [0.01, 0.99])
    width = points.double if last - first >= FEW_BANDS * points.double else points.double / 2
    low, high = floor((together.min() - points.anchor) / width), floor((together.max() - points.anchor) / width) + 1
    edges = [points.anchor + width * step for step in range(low, high + 1)]

    def groups(start: float, end: float) -> list[Group]:
        found = []
        for one, score in zip(results, scores, strict=True):
            within = (score >= start) & (score < end)
            found.append(Group(within.sum() / len(score), (within & (one.bad == 1)).sum() / len(score)))
        return found

    while len(edges) > 2 and min(one.loans for one in groups(edges[0], edges[1])) < fewest:
        del edges[1]
    while len(edges) > 2 and min(one.loans for one in groups(edges[-2], edges[-1])) < fewest:
        del edges[-2]
    bands = []
    for start, end in pairwise(edges):
        label = f"{start:.0f}–{end:.0f}"
        if start == edges[0]:
            label = f"below {end:.0f}"
        elif end == edges[-1]:
            label = f"{start:.0f} and more"
        bands.append((label, groups(start, end)))
    return bands
