"""Figures of an evaluation beside those of fairlearn and optbinning, on the committed loans:
`python -m profiling.documents.evidence_peers`.

fairlearn is installed into build/peers, as packages that benchmarks compare with are; optbinning comes with training.
"""

import sys
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from optbinning import OptimalBinning
from optbinning.binning.metrics import jeffrey

from inference.fields import ChoiceField
from inference.policy import APPROVE, DECISIONS
from inference.release import open_release
from inference.settings import current_releases
from inference.watch.drift import bins_of, psi
from inference.watch.series import SCORE, reference
from models.evidence.decisions import suggestions
from models.evidence.figures import rates
from models.evidence.groups import Group, GroupTable, shares
from models.evidence.scored_loans import ScoredLoans, given_loans, score_loans
from models.metrics import measures
from models.own_loans import FEWEST_OF_GROUP
from profiling.benchmarks.peers_installed import library

RELEASES = {"consumer": "home", "sba": "new_business"}  # and the answer by which groups are made
TENTHS = 10


class Beside(NamedTuple):
    """One figure, by us and by the other package."""

    release: str
    figure: str
    ours: float
    theirs: float
    package: str


def main() -> None:
    print(*table([row for name in RELEASES for row in figures(name, scored_by(name))]), sep="\n")


def scored_by(name: str) -> ScoredLoans:
    """The loans of a recipe, with the PDs of its release as it serves."""
    release = open_release(current_releases()[name])
    return score_loans(release, given_loans(release, None, None), folds=False)


def table(rows: list[Beside]) -> Iterator[str]:
    """The figures as Markdown."""
    yield "| loans | figure | here | there | by |"
    yield "| --- | --- | ---: | ---: | --- |"
    for row in rows:
        yield f"| {row.release} | {row.figure} | {row.ours:.6f} | {row.theirs:.6f} | {row.package} |"


def figures(name: str, scored: ScoredLoans) -> Iterator[Beside]:
    """All figures of a release that another package has too."""
    judging = scored.judging
    yield from by_optbinning(name, scored, judging)
    yield from by_fairlearn(name, judging)


def by_optbinning(name: str, scored: ScoredLoans, judging: ScoredLoans) -> Iterator[Beside]:
    """Information value, Gini and KS of tenths of PD; PSI of every series between the halves of the file."""
    package, bad, pds = "optbinning", judging.bad, judging.pds
    edges = bins_of(pds, TENTHS).edges
    tenths = np.searchsorted(edges, pds, side="right")
    counts = [np.bincount(tenths[bad == outcome], minlength=len(edges) + 1) for outcome in (1, 0)]
    bins = binned(pds, bad, edges)
    yield Beside(name, "information value of tenths", psi(counts[0], counts[1]), float(bins.iv), package)
    of_tenths = measures(bad, tenths / TENTHS)
    yield Beside(name, "Gini of tenths", 2 * of_tenths["auc"] - 1, float(bins.gini), package)
    yield Beside(name, "KS of tenths", of_tenths["ks"], float(bins.ks), package)

    form, half = scored.release.form, len(scored) // 2
    first, second = (scored.where(mask) for mask in (np.arange(len(scored)) < half, np.arange(len(scored)) >= half))
    against = reference("first half", form, first.values, first.pds)
    counted = against.counted(form, second.values, second.pds)
    for series in (SCORE, *form.names):
        now, then = counted[series], against.counts[series]
        known = (now > 0) & (then > 0)  # without our half counts: an empty bin has no logarithm there
        theirs = jeffrey(now[known] / now[known].sum(), then[known] / then[known].sum(), return_sum=True)
        yield Beside(name, f"PSI of {series}, file halved", psi(now[known], then[known]), float(theirs), package)


def binned(pds: Any, bad: Any, edges: Any) -> Any:
    """optbinning's table of the PDs (m,) in bins with these edges."""
    with warnings.catch_warnings():  # of how optbinning uses scikit-learn
        warnings.simplefilter("ignore")
        binning = OptimalBinning(user_splits=edges, user_splits_fixed=[True] * len(edges), monotonic_trend=None)
        binning.fit(pds, bad)
        made = binning.binning_table
        made.build()
        made.analysis(print_output=False)
    return made


def by_fairlearn(name: str, judging: ScoredLoans) -> Iterator[Beside]:
    """Approval ratio and difference of equal opportunity between the groups of an answer."""
    sys.path.insert(0, str(library("fairlearn")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fairlearn.metrics import demographic_parity_ratio, equal_opportunity_difference, selection_rate

    form, asked = judging.release.form, RELEASES[name]
    field, column = form.fields[form.position(asked)], judging.values[:, form.position(asked)]
    assert isinstance(field, ChoiceField)  # noqa: S101 - for the type checker
    codes = np.array([choice.code for choice in field.choices])
    approved = suggestions(judging) == DECISIONS.index(APPROVE)
    groups = {
        str(codes[int(value)]): column == value
        for value in np.unique(column[~np.isnan(column)])
        if (column == value).sum() >= FEWEST_OF_GROUP
    }
    nan = float("nan")
    ours = GroupTable(asked, [
        Group(rates(label, judging.bad[mask], judging.pds[mask]), *shares(approved[mask], judging.bad[mask]), nan, nan)
        for label, mask in groups.items()
    ], [])  # fmt: skip
    kept = np.any(list(groups.values()), axis=0)
    repaid, said = 1 - judging.bad[kept], approved[kept].astype(int)
    member = codes[column[kept].astype(int)]
    for group in ours.groups:
        inside = member == group.rates.label
        theirs = float(selection_rate(repaid[inside], said[inside]))
        yield Beside(name, f"approved, {asked} {group.rates.label}", group.approved, theirs, "fairlearn")
    ratio = float(demographic_parity_ratio(repaid, said, sensitive_features=member))
    yield Beside(name, f"approval ratio by {asked}", ours.approval_ratio, ratio, "fairlearn")
    difference = float(equal_opportunity_difference(repaid, said, sensitive_features=member))
    yield Beside(name, f"equal opportunity by {asked}", ours.opportunity_difference, difference, "fairlearn")


if __name__ == "__main__":
    main()
