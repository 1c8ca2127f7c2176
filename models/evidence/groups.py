"""How a release treats groups that it does not know: approvals, equal opportunity, calibration, and whether the answers
of the form tell who belongs to one.

Approval ratio and difference of equal opportunity are fairlearn's demographic_parity_ratio and
equal_opportunity_difference, with an approval as the selection and a repaid loan as the true outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.fields import ChoiceField
from inference.policy import APPROVE, DECISIONS
from models.draft.judging import Table, unseen
from models.evidence.decisions import suggestions
from models.evidence.figures import Rates, auc, rates
from models.evidence.scored_loans import Mask, ScoredLoans
from models.metrics import Floats, Labels
from models.own_loans import FEWEST_OF_GROUP, groups_of

MOST = 30_000  # loans by which it is judged whether the answers tell a group


@dataclass(frozen=True, slots=True)
class Group:
    """Loans of one group."""

    rates: Rates
    approved: float  # share
    good_approved: float  # share of the repaid loans that is approved; NaN without any
    auc: float  # of the PD inside of the group
    telling: float  # AUC with which the answers of the form tell the group from all others, on unseen loans; 0.5: not


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The groups of one column."""

    column: str
    groups: Sequence[Group]
    few: Sequence[str]  # groups with too few loans for a figure

    @property
    def approval_ratio(self) -> float:
        """The smallest share that is approved over the largest."""
        shares = [group.approved for group in self.groups]
        return min(shares) / max(shares) if max(shares) else float("nan")

    @property
    def opportunity_difference(self) -> float:
        """The largest share of repaid loans that is approved, less the smallest."""
        shares = [group.good_approved for group in self.groups]
        return max(shares) - min(shares)


def group_tables(scored: ScoredLoans) -> list[GroupTable]:
    """A table for each column to look at, of those with at least two groups that are large enough."""
    if scored.looked_at is None:
        return []
    approved = suggestions(scored) == DECISIONS.index(APPROVE)
    tables = []
    for name in scored.looked_at.columns:
        groups, few = [], []
        for label, mask in groups_of(scored.looked_at[name].tolist()):
            if mask.sum() < FEWEST_OF_GROUP:
                few.append(label)
            else:
                groups.append(group_of(label, scored, mask, approved))
        if len(groups) > 1:
            tables.append(GroupTable(name, groups, few))
    return tables


def group_of(label: str, scored: ScoredLoans, mask: Mask, approved: Mask) -> Group:
    """The figures of one group."""
    bad, pds = scored.bad[mask], scored.pds[mask]
    return Group(rates(label, bad, pds), *shares(approved[mask], bad), auc(bad, pds), telling(scored, mask))


def shares(approved: Mask, bad: Labels) -> tuple[float, float]:
    """The share of loans (m,) that is approved, and of the repaid ones; NaN without any of these."""
    good = approved[bad == 0]
    return float(approved.mean()), float(good.mean()) if len(good) else float("nan")


def telling(scored: ScoredLoans, mask: Mask) -> float:
    """AUC of small trees on the form's answers that tell the loans of a mask from all others, judged by folds."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(scored))[:MOST])
    member = mask[chosen].astype(np.int8)
    fields = scored.release.form.fields
    kinds = tuple("c" if isinstance(field, ChoiceField) else "q" for field in fields)
    values = folded_choices(scored, scored.values[chosen])
    table = Table(scored.release.form.names, values.astype(np.float32), kinds, member)
    return auc(member, unseen(table, number=3, rounds=80))


def folded_choices(scored: ScoredLoans, values: Floats) -> Floats:
    """Encoded answers (m, n_fields), long lists by their groups: XGBoost takes categories by the thousand badly."""
    folded = values.copy()
    for index, field in enumerate(scored.release.form.fields):
        if isinstance(field, ChoiceField) and field.digits is not None:
            places = {group: place for place, group in enumerate(field.groups)}
            of_choice = np.array([places[field.group_of(choice)] for choice in range(len(field.choices))], np.float64)
            stated = ~np.isnan(values[:, index])
            folded[stated, index] = of_choice[values[stated, index].astype(np.intp)]
    return folded
