"""From a PD to points and a decision."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from parts import RealLoans, choice, form_of, number

from inference.application import Application, Form
from inference.policy import APPROVE, DECLINE, REFER, Cutoffs, Points, Policy, PolicyTerms
from inference.scorer import Scorer

SEVERITY = {APPROVE: 0, REFER: 1, DECLINE: 2}
SPEC: dict[str, Any] = {"margin": 0.05, "lgd": 0.6, "guarantee": "covered", "refer_band": 0.25, "rare_below": 30}
PDS = st.floats(1e-6, 1 - 1e-6)


@pytest.fixture(scope="module")
def guaranteed() -> Form:
    """A loan with a guaranteed share, an income of which 100 to 900 is usual, and a state that is rare."""
    state = choice("state", "CA", "GU")
    state["choices"][1]["count"] = 29
    income = number("income", usual=[100, 900], optional=True)
    return form_of(number("covered", 0, 100), income, state)


def policy_of(terms: dict[str, Any], form: Form) -> Policy:
    return Policy(convert(terms, PolicyTerms), form)


def applicant(covered: float = 75.0, income: float = 500.0, state: float = 0.0) -> Application:
    return Application((covered, income, state))


# --- break-even ---


@pytest.mark.parametrize(
    ("covered", "break_even"), [(0.0, 0.05 / 0.65), (50.0, 0.05 / 0.35), (75.0, 0.25), (100.0, 1.0)]
)
def test_break_even_counts_only_the_loss_that_no_guarantee_covers(
    guaranteed: Form, covered: float, break_even: float
) -> None:
    """PD* = margin / (margin + loss given default x unguaranteed share)."""
    assert policy_of(SPEC, guaranteed).cutoffs(applicant(covered)).break_even == pytest.approx(break_even)


def test_without_a_guarantee_the_whole_loss_counts(guaranteed: Form) -> None:
    """Five to one breaks even at one sixth."""
    policy = policy_of({**SPEC, "margin": 0.2, "lgd": 1, "guarantee": None}, guaranteed)
    assert policy.cutoffs(applicant()).break_even == pytest.approx(1 / 6)


@pytest.mark.slow
def test_the_cutoffs_of_one_are_those_of_many(scorer: Scorer, real: RealLoans) -> None:
    """Each loan of a book has the cut-offs that it has alone, bit for bit."""
    policy, values = scorer.release.policy, scorer.release.form.encode(real.loans.answers)
    alone = [policy.cutoffs(Application(tuple(row))) for row in values.tolist()]
    refer_from, decline_from = policy.cutoffs_of_many(values)
    assert refer_from.tobytes() == np.array([one.refer_from for one in alone]).tobytes()
    assert decline_from.tobytes() == np.array([one.decline_from for one in alone]).tobytes()


# --- decisions ---


@pytest.mark.parametrize(
    ("pd", "suggestion"),
    [(0.187, APPROVE), (0.1875, REFER), (0.25, REFER), (0.3125, REFER), (0.313, DECLINE), (1e-6, APPROVE)],
)
def test_the_refer_band_lies_around_break_even(guaranteed: Form, pd: float, suggestion: str) -> None:
    """At a break-even of 0.25: approve below 0.1875, decline above 0.3125, refer from one to the other."""
    decision = policy_of(SPEC, guaranteed).decide(pd, applicant())
    assert decision == (suggestion, Cutoffs(0.25, 0.1875, 0.3125), ())


@pytest.mark.parametrize(
    ("changes", "unusual"),
    [
        ({"income": 99.0}, ("income",)),
        ({"income": 901.0}, ("income",)),
        ({"state": 1.0}, ("state",)),
        ({"income": 1.0, "state": 1.0}, ("income", "state")),
        ({"income": 100.0}, ()),
        ({"income": 900.0}, ()),
        ({"income": math.nan}, ()),
        ({"state": math.nan}, ()),
    ],
)
@pytest.mark.parametrize("pd", [1e-6, 0.9])
def test_an_unusual_answer_refers(
    guaranteed: Form, changes: dict[str, float], unusual: tuple[str, ...], pd: float
) -> None:
    """A value beyond the usual range or a rare choice refers at any PD and is named; not stated is usual."""
    decision = policy_of(SPEC, guaranteed).decide(pd, applicant(**changes))
    assert decision.unusual == unusual
    assert (decision.suggestion == REFER) is bool(unusual)


@given(PDS, st.floats(0.001, 2), st.floats(0.001, 2), st.floats(0, 100), st.sampled_from([50.0, 500.0]))
def test_a_larger_margin_is_never_more_severe(
    guaranteed: Form, pd: float, one: float, two: float, covered: float, income: float
) -> None:
    """Who is approved at a margin is approved at any larger one, and who is referred is not declined."""
    small, large = sorted((one, two))
    decisions = [
        policy_of({**SPEC, "margin": margin}, guaranteed).decide(pd, applicant(covered, income)).suggestion
        for margin in (small, large)
    ]
    assert SEVERITY[decisions[1]] <= SEVERITY[decisions[0]]


@given(PDS, PDS, st.floats(0, 100))
def test_a_higher_pd_is_never_less_severe(guaranteed: Form, one: float, two: float, covered: float) -> None:
    """With equal answers, more risk never gives a milder decision."""
    policy, (low, high) = policy_of(SPEC, guaranteed), sorted((one, two))
    mild, severe = (policy.decide(pd, applicant(covered)).suggestion for pd in (low, high))
    assert SEVERITY[mild] <= SEVERITY[severe]


@pytest.mark.slow
def test_real_loans_reach_every_decision(scorer: Scorer, real: RealLoans) -> None:
    """Of a release's own loans at least 2 % each are approved, referred and declined."""
    values = scorer.release.form.encode(real.loans.answers)
    decide = scorer.release.policy.decide
    pds = scorer.pds(values).tolist()
    found = Counter(
        decide(pd, Application(tuple(row))).suggestion for pd, row in zip(pds, values.tolist(), strict=True)
    )
    assert found.keys() == SEVERITY.keys()
    assert min(found.values()) > 0.02 * len(values)


@pytest.mark.slow
def test_decisions_sort_the_real_loans(scorer: Scorer, real: RealLoans) -> None:
    """Approved loans went bad less often than referred ones, and those less often than declined ones."""
    values = scorer.release.form.encode(real.loans.answers)
    decide = scorer.release.policy.decide
    suggested = np.array(
        [
            decide(pd, Application(tuple(row))).suggestion
            for pd, row in zip(scorer.pds(values).tolist(), values.tolist(), strict=True)
        ]
    )
    approved, referred, declined = (real.loans.bad[suggested == decision].mean() for decision in SEVERITY)
    assert approved < referred < declined


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 0}, {"margin": math.nan}, {"margin": math.inf}, {"lgd": 0}, {"lgd": 1.1}, {"refer_band": 1},
        {"refer_band": -0.1}, {"guarantee": "state"}, {"guarantee": "income"}, {"guarantee": "nothing"},
        {"margin": "much"}, {"rare_below": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(guaranteed: Form, change: dict[str, Any]) -> None:
    """No margin, no loss, a band of everything, or a guarantee that is no stated percentage: no policy."""
    with pytest.raises(ValueError, match=r"margin|lgd|refer_band|rare_below|guarantee"):
        policy_of({**SPEC, **change}, guaranteed)


# --- points ---


@given(st.floats(-15, 15), st.floats(-15, 15))
def test_points_fall_as_the_pd_rises(one: float, two: float) -> None:
    """A PD with higher log-odds has strictly fewer points."""
    points, (low, high) = Points(600.0, 5.0, 20.0), sorted((one, two))
    low_pd, high_pd = (1 / (1 + math.exp(-z)) for z in (low, high))
    assert points.of(low_pd) >= points.of(high_pd)
    if high - low > 1e-6:
        assert points.of(low_pd) > points.of(high_pd)


def test_the_anchor_has_its_odds_and_20_points_double_them() -> None:
    """600 points at odds of 5 good to 1 bad, 620 at 10 to 1, 580 at 2.5 to 1."""
    points = Points(600.0, 5.0, 20.0)
    assert [points.of(1 / (1 + odds)) for odds in (2.5, 5, 10)] == pytest.approx([580, 600, 620])


@pytest.mark.slow
def test_points_of_real_loans_rank_as_their_pds(scorer: Scorer, real: RealLoans) -> None:
    """On each release's scale the points of its loans, by rising PD, fall strictly."""
    pds = np.unique(scorer.pds(scorer.release.form.encode(real.loans.answers)))
    points = [scorer.release.points.of(pd) for pd in pds.tolist()]
    assert len(pds) > 500
    assert (np.diff(points) < 0).all()


@pytest.mark.parametrize("values", [(math.nan, 5, 20), (600, 0, 20), (600, -1, 20), (600, 5, 0), (600, 5, -20)])
def test_a_scale_that_turns_the_order_is_refused(values: tuple[float, float, float]) -> None:
    """Points need a finite anchor, odds above 0 and a positive number that doubles them."""
    with pytest.raises(ValueError, match="points need"):
        Points(*values)
