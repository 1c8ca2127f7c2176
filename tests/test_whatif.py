"""What-ifs: curves are scores, proposals are approved and so is all around them, approved amounts are all there are."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from msgspec import structs
from parts import RealLoans, population_of

from inference.application import Application, Form
from inference.fields import NOT_STATED, ChoiceField, NumberField
from inference.policy import APPROVE, REFER, Decision, Policy
from inference.scorer import Score, Scorer
from inference.whatif import POINTS, STEPS, Floats, WhatIf, step_of, walk

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_proposal_holds_in_its_neighbourhood(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Every step within ± 2 % of each number, alone or both moved, is scored as an approval too."""
    looked = pairs = 0
    for score in not_approved(scorer, real):
        for one in whatif.approvals(score.application):
            values = list(score.application.values)
            near = []
            for at, value in one.changes.items():
                field = scorer.release.form.fields[at]
                if isinstance(field, NumberField):
                    steps = walk(*field.usual, step_of(*field.usual, STEPS, field.whole))
                    near.append([value, *(step for step in steps.tolist() if abs(step - value) <= 0.02 * value)])
                else:
                    near.append([value])
            for changed in product(*near):
                for at, value in zip(one.changes, changed, strict=True):
                    values[at] = value
                assert decided(scorer, values)[1] == APPROVE
            looked += 1
            pairs += len(near) > 1
    assert looked > 3
    assert pairs or scorer.release.manifest.name != "consumer"


@pytest.mark.slow
def test_an_approval_at_one_number_alone_is_not_proposed(scorer: Scorer, real: RealLoans) -> None:
    """Of a policy that approves one amount and a far range, the range is proposed, and both are told as approved."""
    at = scorer.release.policy.amount_at
    assert at is not None
    amount_at = at  # known to be there also within the class below
    field = scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    steps = walk(*field.usual, step_of(*field.usual, STEPS, field.whole))
    score = not_approved(scorer, real)[0]
    values = list(score.application.values)
    values[at] = float(steps[-1])
    lone, low, high = float(steps[len(steps) * 3 // 4]), float(steps[len(steps) // 3]), float(steps[len(steps) // 2])

    class Odd(Policy):
        """The release's policy, but for which amounts it approves."""

        def _approves(self, amount: float) -> bool:
            return amount == lone or low <= amount <= high

        def decide(self, pd: float, application: Application) -> Decision:
            suggestion = APPROVE if self._approves(application.values[amount_at]) else REFER
            return super().decide(pd, application)._replace(suggestion=suggestion)

        def approves(self, pds: Floats, values: Floats) -> npt.NDArray[np.bool_]:
            return np.array([self._approves(amount) for amount in values[:, at].tolist()])

    policy = Odd(scorer.release.manifest.policy, scorer.release.form)
    fields = list(scorer.release.form.fields)
    fields[at] = structs.replace(fields[at], actionable="down")  # whatever the release says of it
    whatif = WhatIf(replace(scorer.release, policy=policy, form=Form(tuple(fields))), scorer.engine)
    amounts = whatif.amounts(Application(tuple(values)))
    assert amounts is not None
    assert amounts.intervals == ((low, high), (lone, lone))
    assert amounts.highest == lone
    (found,) = (one for one in whatif.approvals(Application(tuple(values))) if set(one.changes) == {at})
    assert low < found.changes[at] <= high / 1.02 + amounts.step


@pytest.mark.slow
def test_the_approved_amounts_are_those_of_scores(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Every step tried lies in an interval or is not approved, the application's own amount too; ends by a score."""
    at = scorer.release.policy.amount_at
    assert at is not None
    field = scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    steps = walk(*field.usual, step_of(*field.usual, STEPS, field.whole))
    outcomes = set()
    for loan in range(80):
        score = scorer.score(real.answers(loan))
        found = whatif.amounts(score.application)
        assert found is not None
        assert (found.low, found.high) == (steps[0], steps[-1])
        inside = [any(low <= one <= high for low, high in found.intervals) for one in steps.tolist()]
        for number in range(loan % 7, len(steps), len(steps) // 40):
            values = list(score.application.values)
            values[at] = float(steps[number])
            assert inside[number] == (decided(scorer, values)[1] == APPROVE)
        own = score.application.values[at]
        assert any(low <= own <= high for low, high in found.intervals) == (score.decision == APPROVE)
        for end in (end for ends in found.intervals for end in ends):
            answers = scorer.release.form.answers(score.application)
            assert scorer.score({**answers, field.name: end}).decision == APPROVE
        assert found.highest == max((high for _, high in found.intervals), default=None)
        outcomes.add("none" if not found.intervals else "all" if found.all else "some")
    assert {"none", "some"} <= outcomes


@pytest.mark.slow
def test_a_choice_that_states_nothing_is_not_proposed(scorer: Scorer, whatif: WhatIf, real: RealLoans) -> None:
    """Leaving an answer out is no change that an applicant could make."""
    fields = scorer.release.form.fields
    loose = [
        structs.replace(field, actionable="either") if isinstance(field, ChoiceField) else field for field in fields
    ]
    free = WhatIf(replace(scorer.release, form=Form(tuple(loose))), scorer.engine)
    looked = 0
    for score in not_approved(scorer, real):
        for one in free.approvals(score.application):
            for at, value in one.changes.items():
                field = fields[at]
                if isinstance(field, ChoiceField):
                    looked += 1
                    assert field.choices[int(value)].code != NOT_STATED
                    assert field.digits in (None, len(field.choices[int(value)].code))
    assert looked


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
    by = population_of(scorer.release).by
    assert by
    for name, found in by.items():
        field = scorer.release.form.fields[scorer.release.form.names.index(name)]
        assert isinstance(field, ChoiceField)
        assert found.keys() <= set(field.groups)
        assert sum(one.loans for one in found.values()) <= population_of(scorer.release).loans
        for index in range(0, len(field.choices), 40):
            assert field.group_of(float(index)) in field.groups
