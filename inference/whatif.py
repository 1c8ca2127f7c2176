"""What-if analysis: PD curves, the smallest changes that lead to approval, and the amounts that would be approved.

It shows how the model reacts, not cause and effect. Everything is predicted in batches, nothing is logged or recorded.
No field or release is hard-coded: the release marks the answers that an applicant can change, with their direction.
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
POINTS = 120  # at most, per curve
STEPS = 3000  # at most, in a search along one number
PAIR_STEPS = 40  # per number if two are changed together
CACHED = 8  # applications whose results are cached, in memory only
NEAR = 0.02  # relative distance around a proposed number within which everything must be approved
FIRST_TRIED = 8  # candidates whose neighbourhoods are predicted together at first; doubled each time
SPREAD = 50  # a range whose ends differ by a larger factor gets geometric steps


class Curve(NamedTuple):
    """The PD for other answers to one field; all arrays have shape (k,)."""

    values: Floats  # encoded answers, ascending, including the application's own
    pds: Floats
    refer_from: Floats  # the cut-offs, which vary if the field is the guaranteed share
    decline_from: Floats
    approves: npt.NDArray[np.bool_]


class Proposal(NamedTuple):
    """Changed answers, field position -> encoded value, with the resulting PD and points."""

    changes: Mapping[int, float]
    pd: float
    points: float


class Amounts(NamedTuple):
    """Which of the tested amounts would be approved, all else unchanged.

    Tested are the usual amounts from `low` to `high` in steps of `step`, and the application's own; other amounts are
    referred as unusual. An interval covers consecutive tested amounts that are approved, or a single one.
    """

    low: float
    high: float
    step: float
    intervals: tuple[
        tuple[float, float], ...
    ]  # (first, last), ascending, with an amount between them that is not approved

    @property
    def highest(self) -> float | None:
        """The highest approved amount; None if no amount is approved."""
        return self.intervals[-1][1] if self.intervals else None

    @property
    def all(self) -> bool:
        """Whether every tested usual amount is approved."""
        return self.intervals == ((self.low, self.high),)


class WhatIf:
    """What-if analysis of one release with one engine. Thread-safe, like these."""

    def __init__(self, release: Release, engine: Engine) -> None:
        self._release = release
        self._fields = release.form.fields
        self._scorer = Scorer(release, engine)  # without a log
        # The panel asks for the same application again whenever an answer is changed in the form.
        self.approvals = lru_cache(maxsize=CACHED)(self._approvals)
        self.amounts = lru_cache(maxsize=CACHED)(self._amounts)

    def score(self, answers: Mapping[str, object]) -> Score:
        """A score that is neither logged nor recorded. Raises `InvalidApplication`."""
        return self._scorer.score(answers)

    def curve(self, application: Application, position: int) -> Curve:
        """Vary the field at this position over its usual range or its choices, all else unchanged."""
        field, own = self._fields[position], application.values[position]
        values = points(field, own) if isinstance(field, NumberField) else groups(field, own)
        changed = self._changed(application, {position: values})
        pds = self._scorer.pds(changed)
        policy = self._release.policy
        return Curve(values, pds, *policy.cutoffs_of_many(changed), policy.approves(pds, changed))

    def _approvals(self, application: Application) -> list[Proposal]:
        """The smallest change that leads to approval: one proposal per field, or if no field suffices, per pair.

        Only fields that the release marks as changeable are changed, in their direction, to usual numbers. The
        neighbourhood of a proposed number is approved too: every step within ± 2 % and the next step on each side; for
        two numbers, every pair of these. Each proposal is confirmed by scoring it on its own.
        """
        for together in (1, 2):
            proposals = []
            for positions in combinations(
                [position for position, field in enumerate(self._fields) if field.actionable], together
            ):
                proposal = self._nearest(application, positions)
                if proposal is not None:
                    proposals.append(proposal)
            if proposals:
                return proposals
        return []

    def _nearest(self, application: Application, positions: tuple[int, ...]) -> Proposal | None:
        """The smallest change of these fields whose neighbourhood is approved, measured in their usual ranges."""
        max_steps = STEPS if len(positions) == 1 else PAIR_STEPS
        axes = [self._moves(position, application.values[position], max_steps) for position in positions]
        if any(len(axis) == 0 for axis in axes):
            return None
        grids = [grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]
        changes = dict(zip(positions, grids, strict=True))
        approved = np.flatnonzero(self._approves(application, changes))
        cost = sum(self._cost(position, application.values[position], grid) for position, grid in changes.items())
        nearest = approved[np.argsort(np.asarray(cost)[approved], kind="stable")]
        first, count = 0, FIRST_TRIED
        while first < len(nearest):  # the nearest often fail: they lie at the border of approval
            candidates = nearest[first : first + count]
            holding = self._hold(application, {position: grid[candidates] for position, grid in changes.items()})
            for best in candidates[holding].tolist():
                change = {position: float(grid[best]) for position, grid in changes.items()}
                values = [change.get(position, own) for position, own in enumerate(application.values)]
                pd, suggestion = self._check(Application(tuple(values)))
                if suggestion == APPROVE:
                    return Proposal(change, pd, self._release.points.of(pd))
            first, count = first + count, 2 * count
        return None

    def _hold(self, application: Application, changes: Mapping[int, Floats]) -> npt.NDArray[np.bool_]:
        """Which of these changes are approved in their whole neighbourhood, (k,) bool; predicted together."""
        sizes, rows = [], []
        for candidate in zip(*changes.values(), strict=True):
            axes = [
                self._neighbours(position, application.values[position], value)
                for position, value in zip(changes, candidate, strict=True)
            ]
            rows.append(np.stack([grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]))
            sizes.append(rows[-1].shape[1])
        together = dict(zip(changes, np.concatenate(rows, axis=1), strict=True))
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return np.logical_and.reduceat(self._approves(application, together), starts)

    def _neighbours(self, position: int, own: float, value: float) -> Floats:
        """A number, the steps within ± 2 % of it, the next step on each side, and the applicant's own answer if within.

        A choice has no neighbours.
        """
        field = self._fields[position]
        if not isinstance(field, NumberField):
            return np.array([value])
        steps, near = usual_steps(field, STEPS), NEAR * abs(value) * (1 + 1e-9)
        below, above = int(np.searchsorted(steps, value, "left")) - 1, int(np.searchsorted(steps, value, "right"))
        first = min(below, int(np.searchsorted(steps, value - near, "left")))
        last = max(above, int(np.searchsorted(steps, value + near, "right")) - 1)
        near_steps = steps[max(first, 0) : last + 1]
        return np.union1d(near_steps, [value, own] if abs(own - value) <= near else [value])

    def _approves(self, application: Application, changes: Mapping[int, Floats]) -> npt.NDArray[np.bool_]:
        """Whether the policy approves the application with each of these changes, (k,) bool."""
        changed = self._changed(application, changes)
        return self._release.policy.approves(self._scorer.pds(changed), changed)

    def _check(self, application: Application) -> tuple[float, str]:
        """PD and suggestion of one application, computed as a score is: with `fill` and a single prediction."""
        release = self._release
        probability = self._scorer.engine.predict_proba(release.rows.fill(application))
        pd = release.calibration.pd(float(probability[0]))
        return pd, release.policy.decide(pd, application).suggestion

    def _moves(self, position: int, own: float, max_steps: int) -> Floats:
        """Other answers in the direction that a field allows: usual numbers, or choices that can be proposed."""
        field = self._fields[position]
        if isinstance(field, ChoiceField):
            others = np.array(
                [i for i, choice in enumerate(field.choices) if i != own and is_advice(field, choice)], float
            )
            if field.actionable == "up":
                return np.asarray(others[others > own])
            return np.asarray(others[others < own]) if field.actionable == "down" else others
        if math.isnan(own):
            return np.array([])
        steps = usual_steps(field, max_steps)
        if field.actionable == "up":
            return np.asarray(steps[steps > own])
        return np.asarray(steps[steps < own]) if field.actionable == "down" else steps[steps != own]

    def _cost(self, position: int, own: float, values: Floats) -> Floats:
        """Distance of answers from the current one, in usual ranges of the field; another choice counts as 0.25."""
        field = self._fields[position]
        if isinstance(field, NumberField):
            return np.abs(values - own) / max(field.usual[1] - field.usual[0], 1e-9)
        return np.full(len(values), 0.25)

    def _amounts(self, application: Application) -> Amounts | None:
        """Which amounts would be approved, all else unchanged; None if the form does not ask for the amount.

        Every step is predicted; the ends of each interval are confirmed by scoring them on their own.
        """
        position, field = self._release.policy.amount_at, self._release.policy.amount
        if position is None or field is None:
            return None
        steps = usual_steps(field, STEPS)
        amounts = np.union1d(steps, [application.values[position]])
        approved = self._approves(application, {position: amounts})
        edges = np.flatnonzero(np.diff(np.concatenate([[False], approved, [False]]).astype(np.int8)))
        intervals = []
        for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            values = list(application.values)
            ends = []
            for numbers in (range(first, after), range(after - 1, first - 1, -1)):
                for number in numbers:
                    values[position] = float(amounts[number])
                    if self._check(Application(tuple(values)))[1] == APPROVE:
                        ends.append(values[position])
                        break
            if ends:
                intervals.append((ends[0], ends[1]))
        return Amounts(float(steps[0]), float(steps[-1]), step_of(*field.usual, STEPS, field.whole), tuple(intervals))

    def _changed(self, application: Application, changes: Mapping[int, Floats]) -> Floats:
        """The encoded application with each of the changes, (k, n_fields) float64."""
        count = len(next(iter(changes.values())))
        changed = np.tile(np.array(application.values, np.float64), (count, 1))
        for position, values in changes.items():
            changed[:, position] = values
        return changed


def is_advice(field: ChoiceField, choice: Choice) -> bool:
    """Whether a choice can be proposed: not "not stated", and not a group of codes."""
    return choice.code != NOT_STATED and field.digits in (None, len(choice.code))


@lru_cache(maxsize=64)
def steps_between(low: float, high: float, max_steps: int, integer: bool) -> Floats:
    """The steps of a range; read-only, because they are cached."""
    if integer:
        low, high = math.ceil(low), max(math.ceil(low), math.floor(high))
    steps = walk(low, high, step_of(low, high, max_steps, integer))
    steps.flags.writeable = False
    return steps


def usual_steps(field: NumberField, max_steps: int) -> Floats:
    """The steps of a field's usual range, at most `max_steps`; other answers are never approved."""
    return steps_between(*field.usual, max_steps, field.whole)


def points(field: NumberField, own: float) -> Floats:
    """The x values of a curve: round numbers over the usual range, extended to the answer itself."""
    low, high = field.usual
    if not math.isnan(own):
        low, high = min(low, own), max(high, own)
    if low > 0 and high / low > SPREAD:
        spread = np.geomspace(low, high, POINTS)
        digits = 2 - np.floor(np.log10(spread))
        values = np.array([round(value, int(digit)) for value, digit in zip(spread, digits, strict=True)])
        values = np.round(values) if field.whole else values
    else:
        values = walk(low, high, step_of(low, high, POINTS, field.whole))
    values = np.append(values, [low, high] + ([] if math.isnan(own) else [own]))
    return np.asarray(np.unique(values[(values >= low) & (values <= high)]))


def groups(field: ChoiceField, own: float) -> Floats:
    """The choices of a curve: all, or the shortest codes of a hierarchy of digit codes, plus the answer."""
    values = [float(field.index[code]) for code in field.groups]
    return np.array(sorted({*values, *([] if math.isnan(own) else [own])}), np.float64)


def step_of(low: float, high: float, max_steps: int, integer: bool) -> float:
    """The smallest of 1, 2, 5, 10, 20 … (or tenths, hundredths) that covers a range in at most `max_steps` steps."""
    if high <= low:
        return 1.0
    return next(step for step in round_steps((high - low) / max_steps) if step >= 1 or not integer)


def round_steps(least: float) -> Iterator[float]:
    """Round numbers, ascending from `least`."""
    power = math.floor(math.log10(least))
    while True:
        for digit in (1, 2, 5):
            step = digit * 10.0**power
            if step >= least * (1 - 1e-9):
                yield step
        power += 1


def walk(low: float, high: float, step: float) -> Floats:
    """The ends of a range and the multiples of a step between them, ascending."""
    between = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    between = between[(between > low) & (between < high)]
    if step < 1:
        between = np.round(between, 10)
    return np.asarray(np.unique(np.concatenate([[low], between, [high]])))
