"""What-ifs: curves are scores, proposals are approved when scored, the highest amount is the end of an interval."""

import math

import numpy as np
import pytest
from parts import RealLoans, some

from inference.application import Application
from inference.fields import ChoiceField, NumberField
from inference.policy import APPROVE
from inference.scorer import Score, Scorer
from inference.whatif import POINTS, WhatIf, step_of, walk

LOANS = 40


@pytest.fixture(scope="module")
def whatif(scorer: Scorer) -> WhatIf:
    return WhatIf(scorer.release, scorer.engine)


def decided(scorer: Scorer, values: tuple[float, ...] | list[float]) -> tuple[float, str]:
    """PD and suggestion of encoded answers, by the batch way and the policy for one."""
    application = Application(tuple(values))
    pd = float(scorer.pds(np.array([values]))[0])
    return pd, scorer.release.policy.decide(pd, application).suggestion


def not_approved(scorer: Scorer, real: RealLoans) -> list[Score]:
    """Real loans that the policy does not approve."""
    scores = [scorer.score(real.answers(at)) for at in range(200)]
    return [score for score in scores if score.decision != APPROVE][:LOANS]


def test_a_curve_is_made_of_scores(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Every point of every field's curve is what a score of its own says; the application's own point is there."""
    for loan in range(3):
        score = scorer.score(real.answers(loan))
        for at, field in enumerate(scorer.release.form.fields):
            curve = whatif.curve(score.application, at)
            assert len(curve.values) == len({*curve.values.tolist()})
            assert (np.diff(curve.values) > 0).all()
            if isinstance(field, NumberField):
                assert len(curve.values) <= POINTS + 5
            own = score.application.values[at]
            if not math.isnan(own):
                mine = int(np.flatnonzero(curve.values == own)[0])
                assert curve.pds[mine] == pytest.approx(score.pd, abs=1e-6)
                assert curve.refer_from[mine] == pytest.approx(score.refer_from)
            for number in range(0, len(curve.values), 17):
                values = list(score.application.values)
                values[at] = float(curve.values[number])
                pd, suggestion = decided(scorer, values)
                assert pd == pytest.approx(curve.pds[number], abs=1e-6)
                assert (suggestion == APPROVE) == curve.approves[number]


def test_every_proposal_is_an_approval(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Scored by itself; only fields open to change are moved, in their direction; two only where one is not enough."""
    proposals = nothing = 0
    fields = scorer.release.form.fields
    for score in not_approved(scorer, real):
        found = whatif.approvals(score.application)
        nothing += not found
        assert len({len(one.changes) for one in found}) <= 1
        for one in found:
            proposals += 1
            values = list(score.application.values)
            for at, value in one.changes.items():
                assert fields[at].actionable
                if fields[at].actionable == "down":
                    assert value < values[at]
                if fields[at].actionable == "up":
                    assert value > values[at]
                values[at] = value
            pd, suggestion = decided(scorer, values)
            assert suggestion == APPROVE
            assert pd == pytest.approx(one.pd, abs=1e-6)
    assert proposals > 3
    assert nothing > 3  # some have a record that no amount makes good


def test_a_proposal_is_the_nearest(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Of one number alone: no round number between it and the answer is approved."""
    looked = 0
    for score in not_approved(scorer, real):
        for one in whatif.approvals(score.application):
            (at, *more) = one.changes
            field = scorer.release.form.fields[at]
            if more or not isinstance(field, NumberField):
                continue
            own, found = score.application.values[at], one.changes[at]
            between = walk(*sorted((own, found)), step_of(*sorted((own, found)), 300, field.whole))[1:-1]
            changed = np.tile(score.application.values, (len(between), 1))
            changed[:, at] = between
            grid = walk(*field.usual, step_of(*field.usual, 3000, field.whole))
            on_grid = np.isin(between, grid)
            approved = scorer.release.policy.approves(scorer.pds(changed), changed)
            assert not (approved & on_grid).any()
            looked += 1
    assert looked


def test_the_highest_amount_ends_an_approved_interval(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """All steps from the lowest usual amount to it are approved, the next is not; some have none, some have all."""
    at = scorer.release.policy.amount_at
    assert at is not None
    field = scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    outcomes = set()
    for loan in range(80):
        score = scorer.score(real.answers(loan))
        found = whatif.highest_amount(score.application)
        assert found is not None
        assert found.low == field.usual[0]
        grid = walk(*field.usual, step_of(*field.usual, 3000, field.whole))
        changed = np.tile(score.application.values, (len(grid), 1))
        changed[:, at] = grid
        approved = [decided(scorer, row)[1] == APPROVE for row in changed[:: len(grid) // 60].tolist()]
        below = grid[:: len(grid) // 60] <= (found.amount if found.amount is not None else -1)
        assert all(yes or not low for yes, low in some(zip(approved, below, strict=True)))
        outcomes.add("none" if found.amount is None else "all" if found.all else "some")
        if found.amount is not None and not found.all:
            beyond = changed[int(np.flatnonzero(grid == found.amount)[0]) + 1]
            assert decided(scorer, beyond.tolist())[1] != APPROVE
    assert "none" in outcomes
    assert "some" in outcomes or "all" in outcomes


def test_the_nearest_and_the_highest_amount_agree(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Where a lower amount alone is proposed and the approved amounts end below the one applied for, both are one."""
    at = scorer.release.policy.amount_at
    assert at is not None
    field = scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    compared = 0
    for loan in range(600):
        score = scorer.score(real.answers(loan))
        highest = whatif.highest_amount(score.application) if score.decision != APPROVE and compared < 3 else None
        alone = [one.changes[at] for one in whatif.approvals(score.application) if set(one.changes) == {at}]
        if highest is None or highest.amount is None or not alone or highest.amount > score.application.values[at]:
            continue
        # Approved again above an interval that is not: the nearest may be higher, and never lower.
        assert alone[0] >= highest.amount
        assert alone[0] in walk(*field.usual, highest.step)
        compared += 1
    assert compared or scorer.release.manifest["name"] != "consumer"  # sba: none in 600


def test_whatifs_are_not_logged(scorer: Scorer, whatif: WhatIf) -> None:
    """Its scorer has no log to write to."""
    assert whatif._scorer.log is None
    assert whatif.score(scorer.release.form.example).decision


@pytest.mark.parametrize(
    ("low", "high", "most", "whole", "step"),
    [(0, 100, 100, True, 1), (0, 100, 10, True, 10), (0, 1, 10, False, 0.1), (0, 3, 100, True, 1), (5, 5, 3, True, 1)],
)
def test_walks_in_round_steps(low: float, high: float, most: int, whole: bool, step: float) -> None:
    assert step_of(low, high, most, whole) == pytest.approx(step)
    walked = walk(low, high, step)
    assert walked[0] == low
    assert walked[-1] == high
    assert len(walked) <= most + 2


def test_groups_of_a_hierarchy_are_its_shortest_codes(scorer: Scorer) -> None:
    """What answers are compared by is what the population is counted by."""
    by = scorer.release.manifest["population"]["by"]
    assert by
    for name, found in by.items():
        field = scorer.release.form.fields[scorer.release.form.names.index(name)]
        assert isinstance(field, ChoiceField)
        assert found.keys() <= set(field.groups)
        assert sum(one["loans"] for one in found.values()) <= scorer.release.manifest["population"]["loans"]
        for index in range(0, len(field.choices), 40):
            assert field.group_of(float(index)) in field.groups
