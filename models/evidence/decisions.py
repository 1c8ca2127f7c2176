"""What a release's policy would have decided of loans whose end is known, and what that earns or loses.

A loan of 1 earns the policy's margin if it is repaid. If it goes bad, it loses the loss given default of what no
guarantee covers. The same two assumptions set the break-even PD.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.policy import APPROVE, DECISIONS
from inference.release import Release
from models.evidence.figures import Rates, rates
from models.evidence.scored_loans import Mask, ScoredLoans
from models.metrics import Floats, Labels


@dataclass(frozen=True, slots=True)
class Decided:
    """Loans with one suggestion, and what granting them all would have earned; less than 0 is a loss."""

    rates: Rates
    lent: float  # the amounts, or the number of loans where the form asks for no amount
    earned: float


@dataclass(frozen=True, slots=True)
class Moved:
    """Loans that two releases decide in this way."""

    old: str
    new: str
    decided: Decided


@dataclass(frozen=True, slots=True)
class Swap:
    """Two releases on the same loans: every pair of suggestions, and what is approved by both, by one, by neither."""

    moved: Sequence[Moved]  # old and new in the order of DECISIONS
    both: Decided
    only_old: Decided  # swapped out
    only_new: Decided  # swapped in
    neither: Decided
    loans: int
    otherwise: int  # loans with another suggestion

    @property
    def approved_bad_rates(self) -> tuple[float, float]:
        """The bad rates of what the old and of what the new release approves."""
        totals = []
        for single in (self.only_old, self.only_new):
            loans = self.both.rates.loans + single.rates.loans
            totals.append((self.both.rates.bad + single.rates.bad) / loans if loans else float("nan"))
        return totals[0], totals[1]


def suggestions(scored: ScoredLoans) -> npt.NDArray[np.int8]:
    """Places in DECISIONS (m,)."""
    policy = scored.release.policy
    return policy.decide_many(scored.pds, scored.values, policy.unusual_of_many(scored.values))


def money(release: Release, values: Floats, bad: Labels) -> tuple[Floats, Floats]:
    """What was lent and what it earned (m,), by the policy's terms; 1 a loan where the form asks for no amount."""
    policy = release.policy
    lent = np.ones(len(values)) if policy.amount_at is None else values[:, policy.amount_at]
    if policy.amount_at is None or not policy.guaranteed:
        exposed = lent
    else:
        exposed = np.array([policy.exposure(Application(tuple(row))) for row in values.tolist()], np.float64)
    return lent, np.where(bad == 1, -policy.lgd * exposed, policy.margin * lent)


def decided(label: str, scored: ScoredLoans, mask: Mask, lent: Floats, earned: Floats) -> Decided:
    """The loans of a mask (m,)."""
    return Decided(rates(label, scored.bad[mask], scored.pds[mask]), float(lent[mask].sum()), float(earned[mask].sum()))


def by_decision(scored: ScoredLoans) -> list[Decided]:
    """Approve, refer and decline."""
    places, (lent, earned) = suggestions(scored), money(scored.release, scored.values, scored.bad)
    return [decided(name, scored, places == place, lent, earned) for place, name in enumerate(DECISIONS)]


def swap(old: ScoredLoans, new: ScoredLoans) -> Swap:
    """Both releases on the same loans, in the same order; money by the terms of the new one."""
    before, after = suggestions(old), suggestions(new)
    lent, earned = money(new.release, new.values, new.bad)

    def of(label: str, mask: Mask) -> Decided:
        return decided(label, new, mask, lent, earned)

    approve = DECISIONS.index(APPROVE)
    was, is_now = before == approve, after == approve
    moved = [
        Moved(was_name, name, of(f"{was_name} → {name}", (before == i) & (after == j)))
        for i, was_name in enumerate(DECISIONS)
        for j, name in enumerate(DECISIONS)
    ]
    return Swap(
        moved, of("approved by both", was & is_now), of("approved by the old one only", was & ~is_now),
        of("approved by the new one only", ~was & is_now), of("approved by neither", ~was & ~is_now),
        len(new), int((before != after).sum()),
    )  # fmt: skip
