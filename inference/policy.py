"""Turns a PD into points and a suggested decision. The model suggests, the officer decides.

A loan of 1 earns `margin` if it is repaid and loses `loss given default x unguaranteed share` if it is not. It breaks
even at PD* = margin / (margin + loss): Elkan 2001, "The foundations of cost-sensitive learning".
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from inference.application import Application, Form
from inference.fields import ChoiceField, Count, NumberField

APPROVE, REFER, DECLINE = DECISIONS = "approve", "refer", "decline"
Floats = npt.NDArray[np.float64]
PDs = TypeVar("PDs", float, Floats)  # one PD, or many


class Cutoffs(Struct, frozen=True):
    """The cut-offs of one application; all are PDs."""

    break_even: float  # PD*, 0..1
    refer_from: float  # refer from this PD on
    decline_from: float  # decline above this PD, which can exceed 1

    @classmethod
    def around(cls, break_even: float, refer_band: float) -> "Cutoffs":
        """Cut-offs at ± `refer_band` around break-even; 0.25 means ± 25 % of it."""
        refer_from, decline_from = _around(break_even, refer_band)
        return cls(break_even, refer_from, decline_from)

    @property
    def can_decline(self) -> bool:
        """False if a guarantee covers so much that no PD is high enough to decline."""
        return self.decline_from < 1.0

    def decision(self, pd: float) -> str:
        """The suggestion for a PD alone: approve below the refer band, decline above it, refer within it."""
        return APPROVE if pd < self.refer_from else DECLINE if pd > self.decline_from else REFER


def _around(break_even: PDs, refer_band: float) -> tuple[PDs, PDs]:
    return break_even * (1.0 - refer_band), break_even * (1.0 + refer_band)


class Decision(NamedTuple):
    """The policy's suggestion for one application, with its cut-offs and unusual answers."""

    suggestion: str  # approve, refer or decline
    cutoffs: Cutoffs
    unusual: tuple[str, ...]  # names of fields whose answer is rare among the training loans


class Points(Struct, frozen=True, forbid_unknown_fields=True):
    """The scorecard scale: `anchor` points mean good:bad odds of `odds`; `double` more points double the odds."""

    anchor: float
    odds: float
    double: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.anchor) and 0 < self.odds < math.inf and 0 < self.double < math.inf):
            raise ValueError(f"points need a finite anchor, odds > 0 and double > 0, got {self}")

    def of(self, pd: float) -> float:
        """Points of a PD in (0, 1); a higher PD has fewer points."""
        return self.anchor + self.double * math.log2((1.0 - pd) / pd / self.odds)


class PolicyTerms(Struct, frozen=True, kw_only=True):
    """A release's policy as the manifest describes it."""

    margin: float  # fraction of the amount
    lgd: float  # loss given default, fraction of the amount
    amount: str | None = None  # name of the field with the amount lent, or None
    guarantee: str | None  # name of the field with the guaranteed share in per cent, or None
    refer_band: float  # 0.25: ± 25 % of PD*
    rare_below: Count  # a choice with fewer training loans is unusual

    def __post_init__(self) -> None:
        if not (0 < self.margin < math.inf and 0 < self.lgd <= 1 and 0 <= self.refer_band < 1):
            raise ValueError("margin > 0, 0 < lgd <= 1 and 0 <= refer_band < 1 are needed")


class Policy:
    """A release's policy: margin, loss given default, refer band, and which answers are unusual.

    Raises ValueError if the terms name a field that is not suitable.
    """

    def __init__(self, terms: PolicyTerms, form: Form) -> None:
        self.margin, self.lgd, self.refer_band = terms.margin, terms.lgd, terms.refer_band
        amount, guarantee = terms.amount, terms.guarantee
        self.amount_at = None if amount is None else position_of(form, "amount", amount)
        self.amount: NumberField | None = None  # the field at that position
        if self.amount_at is not None:
            lent = form.fields[self.amount_at]
            if not isinstance(lent, NumberField) or lent.optional or lent.minimum < 0:
                raise ValueError(f"policy.amount: {amount} must be a number from 0 up that is always stated")
            self.amount = lent
        self._guarantee = None if guarantee is None else position_of(form, "guarantee", guarantee)
        if self._guarantee is not None:
            share = form.fields[self._guarantee]
            if not isinstance(share, NumberField) or share.optional or share.minimum < 0 or share.maximum > 100:
                raise ValueError(f"policy.guarantee: {guarantee} must be a number from 0 to 100 that is always stated")
        self._ranges: list[tuple[int, str, float, float]] = []
        self._rare: list[tuple[int, str, frozenset[float]]] = []
        self._rare_many: list[npt.NDArray[np.bool_]] = []  # of those fields, by the choice; last: unset
        for position, field in enumerate(form.fields):
            match field:
                case NumberField():
                    self._ranges.append((position, field.name, *field.usual))
                case ChoiceField():
                    rare = frozenset(
                        float(i) for i, choice in enumerate(field.choices) if choice.count < terms.rare_below
                    )
                    if rare:
                        self._rare.append((position, field.name, rare))
                        self._rare_many.append(np.isin(np.arange(len(field.choices) + 1.0), list(rare)))

    @property
    def guaranteed(self) -> bool:
        """Whether the form asks how much of the loan a guarantee covers."""
        return self._guarantee is not None

    def exposure(self, application: Application) -> float | None:
        """The unguaranteed amount, in the amount's unit; None if the form does not ask for the amount."""
        if self.amount_at is None:
            return None
        covered = 0.0 if self._guarantee is None else application.values[self._guarantee]
        return application.values[self.amount_at] * (1.0 - covered / 100.0)

    def exposures(self, values: Floats) -> Floats:
        """`exposure` of many: encoded answers (m, n_fields) -> (m,); NaN where no field is the amount."""
        if self.amount_at is None:
            return np.full(len(values), np.nan)
        return values[:, self.amount_at] * (1.0 - self._covered(values) / 100.0)

    def cutoffs(self, application: Application) -> Cutoffs:
        """The cut-offs of this application: only the unguaranteed share counts as loss."""
        covered = 0.0 if self._guarantee is None else application.values[self._guarantee]
        return Cutoffs.around(self._break_even(covered), self.refer_band)

    def cutoffs_of_many(self, values: Floats) -> tuple[Floats, Floats]:
        """`refer_from` and `decline_from` of many: encoded answers (m, n_fields) float64 -> (m,) and (m,) float64."""
        return _around(self._break_even(self._covered(values)), self.refer_band)

    def _covered(self, values: Floats) -> Floats:
        """The guaranteed shares of many, in per cent: (m, n_fields) -> (m,)."""
        return np.zeros(len(values)) if self._guarantee is None else values[:, self._guarantee]

    def _break_even(self, guaranteed: PDs) -> PDs:
        loss = self.lgd * (1.0 - guaranteed / 100.0)
        return self.margin / (self.margin + loss)

    def unusual(self, application: Application) -> tuple[str, ...]:
        """Names of fields whose answer is outside the usual range or a rare choice. Not stated counts as usual."""
        values = application.values
        names = [
            name for position, name, low, high in self._ranges if values[position] < low or values[position] > high
        ]
        names += [name for position, name, rare in self._rare if values[position] in rare]
        return tuple(names)

    def decide(self, pd: float, application: Application) -> Decision:
        """Approve below the refer band, decline above it, refer within it or if any answer is unusual."""
        cutoffs, unusual = self.cutoffs(application), self.unusual(application)
        return Decision(REFER if unusual else cutoffs.decision(pd), cutoffs, unusual)

    @property
    def watched(self) -> tuple[str, ...]:
        """The fields that can be unusual, in the order in which `unusual` names them."""
        return (*(name for _, name, _, _ in self._ranges), *(name for _, name, _ in self._rare))

    def unusual_of_many(self, values: Floats) -> npt.NDArray[np.bool_]:
        """`unusual` of many: encoded answers (m, n_fields) -> (m, len(watched)) flags."""
        flags = np.empty((len(self.watched), len(values)), bool)
        for place, (position, _, low, high) in enumerate(self._ranges):
            column = values[:, position]
            np.logical_or(column < low, column > high, out=flags[place])
        for place, ((position, *_), rare) in enumerate(
            zip(self._rare, self._rare_many, strict=True), len(self._ranges)
        ):
            flags[place] = rare[np.nan_to_num(values[:, position], nan=len(rare) - 1.0).astype(np.intp)]
        return flags.T

    def decide_many(self, pds: Floats, values: Floats, unusual: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
        """The suggestions of `decide` as places in DECISIONS: PDs (m,), encoded answers (m, n_fields) and their
        `unusual_of_many` -> (m,)."""
        refer_from, decline_from = self.cutoffs_of_many(values)
        # A sum, as the band never ends before it begins.
        decisions = np.add(pds >= refer_from, pds > decline_from, dtype=np.int8)
        decisions[unusual.any(axis=1)] = 1
        return decisions

    def approves(self, pds: Floats, values: Floats) -> npt.NDArray[np.bool_]:
        """Which of many applications it approves: PDs (m,) and encoded answers (m, n_fields) -> (m,) bool."""
        return np.equal(self.decide_many(pds, values, self.unusual_of_many(values)), 0)


def position_of(form: Form, term: str, name: str) -> int:
    """The position of the field that a policy term names."""
    try:
        return form.position(name)
    except ValueError as error:
        raise ValueError(f"policy.{term}: {error}") from None
