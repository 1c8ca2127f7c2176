"""How the model reacts when answers change: a curve, what would make it an approval, which amounts are approved.

How the model reacts, not cause and effect. Everything is predicted in batches, nothing is logged or recorded, and no
field or release is known by name: a release marks the answers that an applicant can change, with their direction.
"""

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.engines import Engine
from inference.fields import NOT_STATED, Choice, ChoiceField, NumberField
from inference.policy import APPROVE
from inference.release import Release
from inference.scorer import Score, Scorer

Floats = npt.NDArray[np.float64]
POINTS = 120  # of a curve, at most
STEPS = 3000  # of a search along one number, at most
PAIR_STEPS = 40  # of each number where two are changed together
KEPT = 8  # applications whose answers are kept, in memory alone
NEAR = 0.02  # of a number: how far around a proposal approval must hold
FIRST_TRIED = 8  # proposals whose neighbourhoods are predicted together; then twice as many, and so on
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


class Amounts(NamedTuple):
    """Which amounts would be approved with all else as it is, of those tried.

    Tried are the usual amounts from `low` to `high` in steps of `step`, and the application's own; other amounts are
    referred as unusual. An interval holds two or more neighbours of these that are approved, or one alone.
    """

    low: float
    high: float
    step: float
    intervals: tuple[tuple[float, float], ...]  # (first, last) approved, rising, apart by at least one not approved

    @property
    def highest(self) -> float | None:
        """The highest approved amount; None where none is."""
        return self.intervals[-1][1] if self.intervals else None

    @property
    def all(self) -> bool:
        """Whether every usual amount tried is approved."""
        return self.intervals == ((self.low, self.high),)


class WhatIf:
    """What-ifs of one release by one engine. Thread-safe as these are."""

    def __init__(self, release: Release, engine: Engine) -> None:
        self._release = release
        self._fields = release.form.fields
        self._scorer = Scorer(release, engine)  # without a log
        # The panel asks again for the same application with every answer that is tried in the form.
        self.approvals = lru_cache(maxsize=KEPT)(self._approvals)
        self.amounts = lru_cache(maxsize=KEPT)(self._amounts)

    def score(self, answers: Mapping[str, object]) -> Score:
        """A score that nobody hears of. Raises `InvalidApplication`."""
        return self._scorer.score(answers)

    def curve(self, application: Application, at: int) -> Curve:
        """The field at this position over its usual range, or over its choices; all else as it is."""
        field, own = self._fields[at], application.values[at]
        values = points(field, own) if isinstance(field, NumberField) else groups(field, own)
        changed = self._changed(application, {at: values})
        pds = self._scorer.pds(changed)
        policy = self._release.policy
        return Curve(values, pds, *policy.cutoffs_of_many(changed), policy.approves(pds, changed))

    def _approvals(self, application: Application) -> list[Proposal]:
        """The nearest change that would make it an approval: one for each field alone, or else one of two fields.

        Only fields that the release marks as open to change, in their direction, to usual numbers. A number that is
        proposed holds in its neighbourhood: every step within ± 2 % of it, and the next step to each side, is approved
        too; of two numbers, every pair of these. Each proposal is checked by a score of its own.
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
        """The smallest change of these fields that holds, each move measured by the field's usual range."""
        most = STEPS if len(ats) == 1 else PAIR_STEPS
        axes = [self._moves(at, application.values[at], most) for at in ats]
        if any(len(axis) == 0 for axis in axes):
            return None
        grids = [grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]
        changes = dict(zip(ats, grids, strict=True))
        approved = np.flatnonzero(self._approves(application, changes))
        cost = sum(self._cost(at, application.values[at], grid) for at, grid in changes.items())
        nearest = approved[np.argsort(np.asarray(cost)[approved], kind="stable")]
        first, count = 0, FIRST_TRIED
        while first < len(nearest):  # the nearest ones often do not hold: they lie where approval ends
            tried = nearest[first : first + count]
            holding = self._hold(application, {at: grid[tried] for at, grid in changes.items()})
            for best in tried[holding].tolist():
                change = {at: float(grid[best]) for at, grid in changes.items()}
                values = [change.get(at, own) for at, own in enumerate(application.values)]
                pd, suggestion = self._check(Application(tuple(values)))
                if suggestion == APPROVE:
                    return Proposal(change, pd, self._release.points.of(pd))
            first, count = first + count, 2 * count
        return None

    def _hold(self, application: Application, changes: Mapping[int, Floats]) -> npt.NDArray[np.bool_]:
        """Which of these changes are approved in their whole neighbourhood, (k,); predicted together."""
        sizes, rows = [], []
        for candidate in zip(*changes.values(), strict=True):
            axes = [
                self._neighbours(at, application.values[at], value)
                for at, value in zip(changes, candidate, strict=True)
            ]
            rows.append(np.stack([grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]))
            sizes.append(rows[-1].shape[1])
        together = dict(zip(changes, np.concatenate(rows, axis=1), strict=True))
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return np.logical_and.reduceat(self._approves(application, together), starts)

    def _neighbours(self, at: int, own: float, value: float) -> Floats:
        """A number, every step within ± 2 % of it, the next one to each side, and the own answer if it is so near.

        A choice has no neighbours.
        """
        field = self._fields[at]
        if not isinstance(field, NumberField):
            return np.array([value])
        steps, near = usual_steps(field, STEPS), NEAR * abs(value) * (1 + 1e-9)
        below, above = int(np.searchsorted(steps, value, "left")) - 1, int(np.searchsorted(steps, value, "right"))
        first = min(below, int(np.searchsorted(steps, value - near, "left")))
        last = max(above, int(np.searchsorted(steps, value + near, "right")) - 1)
        found = steps[max(first, 0) : last + 1]
        return np.union1d(found, [value, own] if abs(own - value) <= near else [value])

    def _approves(self, application: Application, changes: Mapping[int, Floats]) -> npt.NDArray[np.bool_]:
        """Whether the policy would approve the application with each of these other answers, (k,)."""
        changed = self._changed(application, changes)
        return self._release.policy.approves(self._scorer.pds(changed), changed)

    def _check(self, application: Application) -> tuple[float, str]:
        """PD and suggestion of one application by the way of a score: its own row, its own predict."""
        release = self._release
        probability = self._scorer.engine.predict_proba(release.rows.fill(application))
        pd = release.calibration.pd(float(probability[0]))
        return pd, release.policy.decide(pd, application).suggestion

    def _moves(self, at: int, own: float, most: int) -> Floats:
        """Other answers that the direction of a field allows: usual numbers, or choices that say something."""
        field = self._fields[at]
        if isinstance(field, ChoiceField):
            others = np.array([i for i, one in enumerate(field.choices) if i != own and is_advice(field, one)], float)
            if field.actionable == "up":
                return np.asarray(others[others > own])
            return np.asarray(others[others < own]) if field.actionable == "down" else others
        if math.isnan(own):
            return np.array([])
        found = usual_steps(field, most)
        if field.actionable == "up":
            return np.asarray(found[found > own])
        return np.asarray(found[found < own]) if field.actionable == "down" else found[found != own]

    def _cost(self, at: int, own: float, values: Floats) -> Floats:
        """How far answers are from this one: in usual ranges; another choice counts as a quarter of one."""
        field = self._fields[at]
        if isinstance(field, NumberField):
            return np.abs(values - own) / max(field.usual[1] - field.usual[0], 1e-9)
        return np.full(len(values), 0.25)

    def _amounts(self, application: Application) -> Amounts | None:
        """Which amounts would be approved with all else as it is; None where no field says what is lent.

        Every step is predicted; the ends of each interval are checked by a score of their own.
        """
        at, field = self._release.policy.amount_at, self._release.policy.amount
        if at is None or field is None:
            return None
        steps = usual_steps(field, STEPS)
        tried = np.union1d(steps, [application.values[at]])
        approved = self._approves(application, {at: tried})
        edges = np.flatnonzero(np.diff(np.concatenate([[False], approved, [False]]).astype(np.int8)))
        intervals = []
        for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            values = list(application.values)
            ends = []
            for numbers in (range(first, after), range(after - 1, first - 1, -1)):
                for number in numbers:
                    values[at] = float(tried[number])
                    if self._check(Application(tuple(values)))[1] == APPROVE:
                        ends.append(values[at])
                        break
            if ends:
                intervals.append((ends[0], ends[1]))
        return Amounts(float(steps[0]), float(steps[-1]), step_of(*field.usual, STEPS, field.whole), tuple(intervals))

    def _changed(self, application: Application, changes: Mapping[int, Floats]) -> Floats:
        """The application with other answers, (k, n_fields)."""
        count = len(next(iter(changes.values())))
        changed = np.tile(np.array(application.values, np.float64), (count, 1))
        for at, values in changes.items():
            changed[:, at] = values
        return changed


def is_advice(field: ChoiceField, choice: Choice) -> bool:
    """Whether a choice can be proposed: not stating an answer is no change, and a group of codes is no answer."""
    return choice.code != NOT_STATED and field.digits in (None, len(choice.code))


@lru_cache(maxsize=64)
def steps_between(low: float, high: float, most: int, whole: bool) -> Floats:
    """The steps of a range, read-only, as they are asked for again and again."""
    if whole:
        low, high = math.ceil(low), max(math.ceil(low), math.floor(high))
    found = walk(low, high, step_of(low, high, most, whole))
    found.flags.writeable = False
    return found


def usual_steps(field: NumberField, most: int) -> Floats:
    """Where a number is tried: its usual range, since other answers are never approved, in at most so many steps."""
    return steps_between(*field.usual, most, field.whole)


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


def groups(field: ChoiceField, own: float) -> Floats:
    """The choices that a curve compares: all; of a hierarchy of digit codes its shortest ones, and the answer."""
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
