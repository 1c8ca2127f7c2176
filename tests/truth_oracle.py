"""What is true of one application, by brute force: small loops over `Scorer.pds`, each winner scored by itself.

Nothing here calls what it is the judge of: no what-if, no card, no policy function. The rules are written out once
more, from the manifest's figures.
"""

import json
import math
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np

from inference.fields import NOT_STATED, ChoiceField, NumberField
from inference.scorer import Scorer

ALONE, TOGETHER, DRAWN = 3000, 40, 120  # steps along one number: searched alone, by two, drawn
NEAR = 0.02  # a proposal must hold so far around


class Oracle:
    """The truth about one set of encoded answers."""

    def __init__(self, scorer: Scorer, values: tuple[float, ...]) -> None:
        self.scorer, self.release, self.values = scorer, scorer.release, values
        self.fields = scorer.release.form.fields
        # Read by nothing of ours: what is judged reads it too.
        self.manifest: dict[str, Any] = json.loads((scorer.release.folder / "manifest.json").read_bytes())
        self.policy: dict[str, Any] = self.manifest["policy"]
        self.names = [field.name for field in self.fields]
        self._drawn: dict[int, list[tuple[float, float]]] = {}

    # --- one application ---

    def cuts(self, values: tuple[float, ...]) -> tuple[float, float, float]:
        """Break-even, where referral begins, and where decline does."""
        covered = values[self.names.index(self.policy["guarantee"])] if self.policy["guarantee"] else 0.0
        margin, band = self.policy["margin"], self.policy["refer_band"]
        even = margin / (margin + self.policy["lgd"] * (1 - covered / 100))
        return even, even * (1 - band), even * (1 + band)

    @cached_property
    def limits(self) -> list[tuple[int, float, float, frozenset[float]]]:
        """Of each field: the usual range of a number, or the choices that too few loans gave."""
        found = []
        for at, field in enumerate(self.fields):
            low, high, rare = -math.inf, math.inf, frozenset[float]()
            if isinstance(field, NumberField):
                low, high = field.usual
            elif isinstance(field, ChoiceField):
                few = [one for one, choice in enumerate(field.choices) if choice.count < self.policy["rare_below"]]
                rare = frozenset(map(float, few))
            found.append((at, low, high, rare))
        return found

    def unusual(self, values: tuple[float, ...]) -> list[int]:
        """Positions of the answers that refer whatever the PD; one that is not stated is usual."""
        return [at for at, low, high, rare in self.limits
                if values[at] < low or values[at] > high or values[at] in rare]  # fmt: skip

    def by_pd(self, pd: float, values: tuple[float, ...]) -> str:
        """The decision by the PD alone."""
        _, refer, decline = self.cuts(values)
        return "approve" if pd < refer else "decline" if pd > decline else "refer"

    def decision(self, pd: float, values: tuple[float, ...]) -> str:
        return "refer" if self.unusual(values) else self.by_pd(pd, values)

    def pds(self, many: list[tuple[float, ...]]) -> list[float]:
        return self.scorer.pds(np.array(many, np.float64)).tolist() if many else []

    @cached_property
    def pd(self) -> float:
        return self.pds([self.values])[0]

    def scored(self, values: tuple[float, ...]) -> tuple[float, str]:
        """PD and decision by `Scorer.score` itself."""
        answers = {field.name: field.answer(value) for field, value in zip(self.fields, values, strict=True)}
        for field in self.fields:
            if isinstance(field, ChoiceField) and field.digits and len(str(answers[field.name])) < field.digits:
                answers[field.name] = str(answers[field.name]).ljust(field.digits, "0")  # stands for its prefix
        score = self.scorer.score(answers)
        assert score.application.values == values or any(map(math.isnan, values)), "another application was scored"
        return score.pd, score.decision

    def changed(self, changes: dict[int, float]) -> tuple[float, ...]:
        found = list(self.values)
        for at, value in changes.items():
            found[at] = value
        return tuple(found)

    def approved(self, many: list[dict[int, float]]) -> list[bool]:
        """Which of these changes of the application are approved."""
        changed = [self.changed(one) for one in many]
        return [self.decision(pd, one) == "approve" for pd, one in zip(self.pds(changed), changed, strict=True)]

    # --- amounts ---

    @cached_property
    def amount_at(self) -> int | None:
        return None if self.policy.get("amount") is None else self.names.index(self.policy["amount"])

    @cached_property
    def amounts(self) -> list[tuple[float, bool]]:
        """Every amount to try, rising, and whether it is approved."""
        at = self.amount_at
        assert at is not None
        field = self.fields[at]
        assert isinstance(field, NumberField)
        tried = sorted({*steps(field, ALONE), self.values[at]})
        return list(zip(tried, self.approved([{at: one} for one in tried]), strict=True))

    @cached_property
    def intervals(self) -> list[tuple[float, float]]:
        """Runs of approved amounts; both ends are scored by themselves."""
        found: list[list[float]] = []
        before = False
        for amount, yes in self.amounts:
            if yes and before:
                found[-1][1] = amount
            elif yes:
                found.append([amount, amount])
            before = yes
        for end in (end for ends in found for end in ends):
            assert self.scored(self.changed({self.amount_at or 0: end}))[1] == "approve"
        return [(low, high) for low, high in found]

    # --- proposals ---

    @cached_property
    def movable(self) -> list[int]:
        """Positions of fields that the release marks as open to change."""
        return [at for at, field in enumerate(self.fields) if field.actionable]

    def moves(self, at: int, most: int) -> list[float]:
        """Other answers in the field's direction."""
        field, own = self.fields[at], self.values[at]
        if math.isnan(own):
            return []
        if isinstance(field, NumberField):
            found = steps(field, most)
        else:
            assert isinstance(field, ChoiceField)
            whole = [one for one, choice in enumerate(field.choices)
                     if choice.code != NOT_STATED and field.digits in (None, len(choice.code))]  # fmt: skip
            found = [float(one) for one in whole]
        return [
            one for one in found if one != own
            and not (field.actionable == "down" and one > own) and not (field.actionable == "up" and one < own)
        ]  # fmt: skip

    def near(self, at: int, value: float) -> list[float]:
        """The value, every step within ± 2 % of it, one step to each side, and the applicant's own within ± 2 %."""
        field = self.fields[at]
        if not isinstance(field, NumberField):
            return [value]
        every, reach = steps(field, ALONE), NEAR * abs(value) * (1 + 1e-9)
        found = {value, *(one for one in [*every, self.values[at]] if abs(one - value) <= reach)}
        below, above = [one for one in every if one < value], [one for one in every if one > value]
        return sorted({*found, *below[-1:], *above[:1]})

    def holds(self, change: dict[int, float]) -> bool:
        """Whether all around a change is approved, of two every pair."""
        around = product(*(self.near(at, value) for at, value in change.items()))
        return all(self.approved([dict(zip(change, one, strict=True)) for one in around]))

    def cost(self, change: dict[int, float]) -> float:
        """How far a change goes: in usual ranges, another choice a quarter of one."""
        total = 0.0
        for at, value in change.items():
            field = self.fields[at]
            if isinstance(field, NumberField):
                total += abs(value - self.values[at]) / max(field.usual[1] - field.usual[0], 1e-9)
            else:
                total += 0.25
        return total

    def cheapest(self, ats: tuple[int, ...]) -> float | None:
        """What the nearest change of these fields that holds costs; None where none does."""
        most = ALONE if len(ats) == 1 else TOGETHER
        every = [dict(zip(ats, one, strict=True)) for one in product(*(self.moves(at, most) for at in ats))]
        approved = [one for one, yes in zip(every, self.approved(every), strict=True) if yes]
        for change in sorted(approved, key=self.cost):
            if self.holds(change):
                assert self.scored(self.changed(change))[1] == "approve"
                return self.cost(change)
        return None

    @cached_property
    def proposals(self) -> dict[tuple[int, ...], float]:
        """The fields of each proposal and what it costs: one field alone; two only where none is enough alone."""
        for together in (1, 2):
            costs = {ats: self.cheapest(ats) for ats in combinations(self.movable, together)}
            found = {ats: cost for ats, cost in costs.items() if cost is not None}
            if found:
                return found
        return {}

    # --- curves and reasons ---

    def drawn(self, at: int) -> list[tuple[float, float]]:
        """The values that a field's curve is drawn at, with their PDs."""
        if at not in self._drawn:
            self._drawn[at] = self._draw(at)
        return self._drawn[at]

    def _draw(self, at: int) -> list[tuple[float, float]]:
        field, own = self.fields[at], self.values[at]
        if isinstance(field, ChoiceField):
            shortest = min(len(choice.code) for choice in field.choices)
            values = {float(one) for one, choice in enumerate(field.choices)
                      if field.digits is None or len(choice.code) == shortest}  # fmt: skip
        else:
            assert isinstance(field, NumberField)
            low, high = field.usual
            if not math.isnan(own):
                low, high = min(low, own), max(high, own)
            if low > 0 and high / low > 50:
                spread = np.geomspace(low, high, DRAWN).tolist()
                values = {round(one, 2 - math.floor(math.log10(one))) for one in spread}
                values = {float(round(one)) for one in values} if field.whole else values
            else:
                values = set(between(low, high, step(low, high, DRAWN, field.whole)))
            values = {one for one in values if low <= one <= high} | {low, high}
        values |= set() if math.isnan(own) else {own}
        ordered = sorted(values)
        return list(zip(ordered, self.pds([self.changed({at: one}) for one in ordered]), strict=True))

    @cached_property
    def effects(self) -> tuple[float, list[float]]:
        """The reference applicant's PD, and each field's effect against it."""
        return self.effects_against(tuple(field.reference for field in self.fields))

    def effects_against(self, reference: tuple[float, ...]) -> tuple[float, list[float]]:
        """The PD of other answers, and each field's exact Shapley value against them in log-odds, from its
        definition."""
        count = len(self.fields)
        same = [a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(self.values, reference, strict=True)]
        players = [at for at in range(count) if not same[at]]
        teams = [frozenset(team) for size in range(len(players) + 1) for team in combinations(players, size)]
        many = [tuple(self.values[at] if at in team else reference[at] for at in range(count)) for team in teams]
        pds = self.pds(many)
        worth = {team: math.log(pd / (1 - pd)) for team, pd in zip(teams, pds, strict=True)}
        found = [0.0] * count
        for team in teams:
            for at in team:
                before, others = team - {at}, len(players)
                weight = math.factorial(len(before)) * math.factorial(others - len(team)) / math.factorial(others)
                found[at] += weight * (worth[team] - worth[before])
        return pds[0], found


def step(low: float, high: float, most: int, whole: bool) -> float:
    """The smallest of … 0.1, 0.2, 0.5, 1, 2, 5, 10 … with which a range has at most so many steps."""
    if high <= low:
        return 1.0
    tried = [digit * 10.0**power for power in range(-9, 13) for digit in (1, 2, 5)]
    return min(one for one in tried if (high - low) / one <= most * (1 + 1e-9) and (one >= 1 or not whole))


def between(low: float, high: float, by: float) -> list[float]:
    """Both ends of a range, and the multiples of a step between them."""
    found, count = {low, high}, math.floor(low / by)
    while count * by < high:
        if count * by > low:
            found.add(round(count * by, 10) if by < 1 else count * by)
        count += 1
    return sorted(found)


_STEPS: dict[tuple[str, int, tuple[float, float]], list[float]] = {}


def steps(field: NumberField, most: int) -> list[float]:
    """Where a number is tried."""
    key = (field.name, most, field.usual)
    if key not in _STEPS:
        low, high = field.usual
        if field.whole:
            low, high = float(math.ceil(low)), float(max(math.ceil(low), math.floor(high)))
        _STEPS[key] = between(low, high, step(low, high, most, field.whole))
    return _STEPS[key]
