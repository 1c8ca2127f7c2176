"""How the model reacts when answers change: a curve, what would make it an approval, the highest amount approved.

How the model reacts, not cause and effect. Everything is predicted in batches, nothing is logged or recorded, and no
field or release is known by name: a release marks the answers that an applicant can change, with their direction.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.engines import Engine
from inference.fields import ChoiceField, Field, NumberField
from inference.policy import APPROVE
from inference.release import Release
from inference.scorer import Score, Scorer

Floats = npt.NDArray[np.float64]
POINTS = 120  # of a curve, at most
STEPS = 3000  # of a search along one number, at most
PAIR_STEPS = 40  # of each number where two are changed together
SPREAD = 50  # a range whose ends differ by more is walked in equal ratios


class Curve(NamedTuple):
    """What the PD would be for other answers to one field; all arrays have shape (k,)."""

    values: Floats  # encoded answers, rising; the application's own is among them
    pds: Floats
    refer_from: Floats  # the cut-offs, which move where the field is the guaranteed share
    decline_from: Floats
    approves: npt.NDArray[np.bool_]


class Proposal(NamedTuple):
    """Changed answers, field position -> encoded value, and what they were scored with."""

    changes: Mapping[int, float]
    pd: float
    points: float


class Highest(NamedTuple):
    """The end of the approved amounts that begin at the lowest usual one, `low`; each `step` between was predicted."""

    low: float
    amount: float | None  # None: not even the lowest is approved
    step: float
    all: bool  # every usual amount is approved


class WhatIf:
    """What-ifs of one release by one engine. Thread-safe as these are."""

    def __init__(self, release: Release, engine: Engine) -> None:
        self._release = release
        self._fields = release.form.fields
        self._scorer = Scorer(release, engine)  # without a log

    def score(self, answers: Mapping[str, object]) -> Score:
        """A score that nobody hears of. Raises `InvalidApplication`."""
        return self._scorer.score(answers)

    def curve(self, application: Application, at: int) -> Curve:
        """The field at this position over its usual range, or over its choices; all else as it is."""
        field, own = self._fields[at], application.values[at]
        values = points(field, own) if isinstance(field, NumberField) else groups(field, own)
        changed = self._changed(application, {at: values})
        pds = self._scorer.pds(changed)
        break_even = self._release.policy.break_evens(changed)
        band = self._release.policy.refer_band
        approves = self._release.policy.approves(pds, changed)
        return Curve(values, pds, break_even * (1 - band), break_even * (1 + band), approves)

    def approvals(self, application: Application) -> list[Proposal]:
        """The nearest change that would make it an approval: one for each field alone; if there is none, for two.

        Only fields that the release marks as open to change, in their direction. Each is checked by a score of its own.
        """
        for together in (1, 2):
            found = []
            for ats in combinations([at for at, field in enumerate(self._fields) if field.actionable], together):
                proposal = self._nearest(application, ats)
                if proposal is not None:
                    found.append(proposal)
            if found:
                return found
        return []

    def _nearest(self, application: Application, ats: tuple[int, ...]) -> Proposal | None:
        """The smallest change of these fields that is approved, each move measured by the field's usual range."""
        most = STEPS if len(ats) == 1 else PAIR_STEPS
        axes = [self._moves(at, application.values[at], most) for at in ats]
        if any(len(axis) == 0 for axis in axes):
            return None
        grids = [grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]
        changes = dict(zip(ats, grids, strict=True))
        changed = self._changed(application, changes)
        approved = np.flatnonzero(self._release.policy.approves(self._scorer.pds(changed), changed))
        cost = sum(self._cost(at, application.values[at], grid) for at, grid in changes.items())
        for best in approved[np.argsort(np.asarray(cost)[approved], kind="stable")].tolist()[:3]:
            pd, suggestion = self._check(Application(tuple(changed[best].tolist())))
            if suggestion == APPROVE:
                points = self._release.points.of(pd)
                return Proposal({at: float(grid[best]) for at, grid in changes.items()}, pd, points)
        return None

    def _check(self, application: Application) -> tuple[float, str]:
        """PD and suggestion of one application by the way of a score: its own row, its own predict."""
        release = self._release
        probability = self._scorer.engine.predict_proba(release.rows.fill(application))
        pd = release.calibration.pd(float(probability[0]))
        return pd, release.policy.decide(pd, application).suggestion

    def _moves(self, at: int, own: float, most: int) -> Floats:
        """Other answers to this field that its direction allows."""
        field = self._fields[at]
        if isinstance(field, ChoiceField):
            codes = [i for i, choice in enumerate(field.choices) if field.digits in (None, len(choice.code))]
            others = np.array([i for i in codes if i != own], np.float64)
            if field.actionable == "up":
                return np.asarray(others[others > own])
            return np.asarray(others[others < own]) if field.actionable == "down" else others
        assert isinstance(field, NumberField)  # noqa: S101 - for the type checker: there are two kinds
        if math.isnan(own):
            return np.array([])
        low = own if field.actionable == "up" else max(field.minimum, min(field.usual[0], own))
        high = own if field.actionable == "down" else min(field.maximum, max(field.usual[1], own))
        found = walk(low, high, step_of(low, high, most, field.whole))
        if most == STEPS:  # within the usual range on the steps of `highest_amount`, so that both say the same
            usual = walk(*field.usual, step_of(*field.usual, most, field.whole))
            beyond = found[(found < field.usual[0]) | (found > field.usual[1])]
            found = np.union1d(usual[(usual >= low) & (usual <= high)], beyond)
        return np.asarray(found[found != own])

    def _cost(self, at: int, own: float, values: Floats) -> Floats:
        """How far answers are from this one: in usual ranges; another choice counts as a quarter of one."""
        field = self._fields[at]
        if isinstance(field, NumberField):
            return np.abs(values - own) / max(field.usual[1] - field.usual[0], 1e-9)
        return np.full(len(values), 0.25)

    def highest_amount(self, application: Application) -> Highest | None:
        """How much could be lent with all else as it is; None where no field says what is lent."""
        at = self._release.policy.amount_at
        if at is None:
            return None
        field = self._fields[at]
        assert isinstance(field, NumberField)  # noqa: S101 - the policy made sure
        step = step_of(*field.usual, STEPS, field.whole)
        values = walk(*field.usual, step)
        changed = self._changed(application, {at: values})
        approved = self._release.policy.approves(self._scorer.pds(changed), changed)
        count = len(values) if approved.all() else int(np.argmin(approved))
        while count:
            highest = float(values[count - 1])
            own = list(application.values)
            own[at] = highest
            if self._check(Application(tuple(own)))[1] == APPROVE:
                return Highest(float(values[0]), highest, step, count == len(values))
            count -= 1
        return Highest(float(values[0]), None, step, all=False)

    def _changed(self, application: Application, changes: Mapping[int, Floats]) -> Floats:
        """The application with other answers, (k, n_fields)."""
        count = len(next(iter(changes.values())))
        changed = np.tile(np.array(application.values, np.float64), (count, 1))
        for at, values in changes.items():
            changed[:, at] = values
        return changed


def points(field: NumberField, own: float) -> Floats:
    """Where a curve is drawn: over the usual range and as far as the answer itself, in round numbers."""
    low, high = field.usual
    if not math.isnan(own):
        low, high = min(low, own), max(high, own)
    if low > 0 and high / low > SPREAD:
        spread = np.geomspace(low, high, POINTS)
        digits = 2 - np.floor(np.log10(spread))
        found = np.array([round(value, int(digit)) for value, digit in zip(spread, digits, strict=True)])
        found = np.round(found) if field.whole else found
    else:
        found = walk(low, high, step_of(low, high, POINTS, field.whole))
    found = np.append(found, [low, high] + ([] if math.isnan(own) else [own]))
    return np.asarray(np.unique(found[(found >= low) & (found <= high)]))


def groups(field: Field, own: float) -> Floats:
    """The choices that a curve compares: all; of a hierarchy of digit codes its shortest ones, and the answer."""
    assert isinstance(field, ChoiceField)  # noqa: S101 - for the type checker: there are two kinds
    found = [float(field.index[code]) for code in field.groups]
    return np.array(sorted({*found, *([] if math.isnan(own) else [own])}), np.float64)


def step_of(low: float, high: float, most: int, whole: bool) -> float:
    """The smallest of 1, 2, 5, 10, 20 … (or tenths, hundredths) that walks a range in at most so many steps."""
    if high <= low:
        return 1.0
    return next(step for step in round_steps((high - low) / most) if step >= 1 or not whole)


def round_steps(least: float) -> Iterator[float]:
    """Round numbers from `least` up."""
    power = math.floor(math.log10(least))
    while True:
        for digit in (1, 2, 5):
            step = digit * 10.0**power
            if step >= least * (1 - 1e-9):
                yield step
        power += 1


def walk(low: float, high: float, step: float) -> Floats:
    """The ends of a range and the multiples of a step between them, rising."""
    between = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    between = between[(between > low) & (between < high)]
    if step < 1:
        between = np.round(between, 10)
    return np.asarray(np.unique(np.concatenate([[low], between, [high]])))
