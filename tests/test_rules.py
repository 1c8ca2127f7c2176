"""A lender's own rules and grades: judged beside the model, one application as many, and again from a record."""

import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from parts import choice, form_of, number, some

from inference.application import Application, Form
from inference.grades import Grade, annuity, check_grades, instalments, places
from inference.policy import DECISIONS, Policy, PolicyTerms
from inference.rules import (
    BROKEN,
    KEPT,
    REASON,
    UNKNOWN,
    BadRule,
    LenderRules,
    Rulebook,
    Ruling,
    holds,
    principal_reasons,
)

TERMS = {"margin": 0.2, "lgd": 0.6, "amount": "amount", "guarantee": "covered", "refer_band": 0.25, "rare_below": 1}
SPEC: dict[str, Any] = {
    "rules": [
        {"kind": "number", "code": "years", "outcome": "decline", "field": "years", "at_least": 2},
        {"kind": "choice", "code": "home", "outcome": "refer", "field": "home", "none_of": ["tent"]},
        {"kind": "exposure", "code": "exposure", "outcome": "decline", "at_most": 500},
        {"kind": "affordability", "code": "budget", "outcome": "decline", "income": "income", "expenses": "expenses",
         "at_most": 0.4},
    ],
    "grades": [{"grade": "A", "pd_below": 0.1, "rate": 0.06}, {"grade": "B", "pd_below": 1, "rate": 0.12}],
    "instalment": {"term": "months"},
}  # fmt: skip


@pytest.fixture(scope="module")
def form() -> Form:
    return form_of(
        number("amount", 1, 10_000), number("covered", 0, 100), number("months", 1, 120, whole=True),
        number("income", 0, 1000, optional=True), number("expenses", 0, 1000), number("years", 0, 60),
        choice("home", "house", "tent", "not_stated"), choice("naics", "11", "111", "111110", "22", "222222", digits=6),
    )  # fmt: skip


@pytest.fixture(scope="module")
def policy(form: Form) -> Policy:
    return Policy(convert(TERMS, PolicyTerms), form)


@pytest.fixture(scope="module")
def rules(form: Form, policy: Policy) -> LenderRules:
    return LenderRules(convert(SPEC, Rulebook), form, policy)


GOOD = {"amount": 400, "covered": 50, "months": 40, "income": 100, "expenses": 40, "years": 5, "home": "house",
        "naics": "111110"}  # fmt: skip
APPLICATIONS = st.lists(
    st.tuples(
        st.floats(1, 10_000), st.floats(0, 100), st.integers(1, 120), st.one_of(st.just(math.nan), st.floats(0, 1000)),
        st.floats(0, 1000), st.floats(0, 60), st.integers(0, 2), st.integers(0, 4),
        st.floats(1e-9, 1 - 1e-9) | st.sampled_from([0.1]), st.integers(0, 2),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


def judged(rules: LenderRules, form: Form, pd: float = 0.05, decision: str = "approve", **answers: object) -> Ruling:
    return rules.judge(form.parse({**GOOD, **answers}), pd, decision)


def verdicts(ruling: Ruling) -> dict[str, str]:
    return {check.rule.code: check.verdict for check in ruling.checks}


def test_rules_that_are_met_leave_the_decision(rules: LenderRules, form: Form) -> None:
    """Whatever the model says; the figures are those that somebody would work out by hand."""
    for decision in DECISIONS:
        ruling = judged(rules, form, decision=decision)
        assert (ruling.outcome, set(verdicts(ruling).values()), ruling.reasons) == (decision, {KEPT}, [])
    values = {check.rule.code: check.value for check in ruling.checks}
    instalment = 400 * 0.005 / (1 - 1.005**-40)
    assert values == {"years": 5, "home": "house", "exposure": 200, "budget": pytest.approx(instalment / 60)}
    assert ruling.offer is not None
    assert (ruling.offer.grade, ruling.offer.rate, ruling.offer.months) == ("A", 0.06, 40)
    assert ruling.offer.instalment == pytest.approx(instalment)


@pytest.mark.parametrize(
    ("answers", "broken", "outcome"),
    [
        ({"years": 1.99}, "years", "decline"),
        ({"home": "tent"}, "home", "refer"),
        ({"amount": 1000, "covered": 49, "months": 120}, "exposure", "decline"),
        ({"income": 60}, "budget", "decline"),
        ({"income": 40}, "budget", "decline"),  # nothing is left
        ({"income": 0}, "budget", "decline"),
    ],
)
def test_a_broken_rule(rules: LenderRules, form: Form, answers: Any, broken: str, outcome: str) -> None:
    """It leads to its own outcome or a stricter one, is named where it declines, and leaves the PD's grade alone."""
    ruling = judged(rules, form, **answers)
    assert [code for code, verdict in verdicts(ruling).items() if verdict != KEPT] == [broken]
    assert ruling.outcome == outcome
    assert ruling.reasons == ([f"{REASON}/{broken}"] if outcome == "decline" else [])
    assert judged(rules, form, decision="decline", **answers).outcome == "decline"


def test_at_the_limit_a_rule_is_met(rules: LenderRules, form: Form) -> None:
    assert verdicts(judged(rules, form, years=2))["years"] == KEPT
    assert verdicts(judged(rules, form, amount=1000, months=120))["exposure"] == KEPT


@pytest.mark.parametrize(("answers", "code"), [({"income": None}, "budget"), ({"home": "not_stated"}, "home")])
def test_what_is_not_stated_goes_to_a_person(rules: LenderRules, form: Form, answers: Any, code: str) -> None:
    """A rule that cannot be judged neither declines nor lets through, and is no reason."""
    ruling = judged(rules, form, **answers)
    assert verdicts(ruling)[code] == UNKNOWN
    assert (ruling.outcome, ruling.reasons) == ("refer", [])
    (check,) = [check for check in ruling.checks if check.rule.code == code]
    assert check.value in (None, "not_stated")


@pytest.mark.slow
@given(APPLICATIONS)
def test_one_is_judged_as_many(rules: LenderRules, form: Form, policy: Policy, rows: list[tuple[float, ...]]) -> None:
    """Bit for bit; the outcome is never more lenient than the model; and each ruling holds again as it is recorded."""
    values, pds = np.array([row[:8] for row in rows], np.float64), np.array([row[8] for row in rows])
    decisions = np.array([row[9] for row in rows], np.int8)
    many = rules.judge_many(values, pds, decisions)
    for place, row in enumerate(rows):
        application, decision = Application(tuple(values[place].tolist())), DECISIONS[int(row[9])]
        alone = rules.judge(application, row[8], decision)
        assert alone == rules.ruling(values[place], many, place)
        led_to = [DECISIONS.index(check.led_to) for check in alone.checks]
        assert DECISIONS.index(alone.outcome) == max(int(row[9]), *led_to)
        again = convert(msgspec.json.decode(msgspec.json.encode(alone)), Ruling)
        assert again == alone
        assert holds(again, form, policy, application, row[8], decision)


def test_a_record_that_does_not_follow_does_not_hold(rules: LenderRules, form: Form, policy: Policy) -> None:
    """An outcome, a figure, a verdict, a grade or an instalment that somebody changed."""
    application = form.parse({**GOOD, "years": 1})
    ruling = rules.judge(application, 0.05, "approve")
    offer, replace = ruling.offer, msgspec.structs.replace
    assert offer is not None
    assert offer.instalment is not None
    assert holds(ruling, form, policy, application, 0.05, "approve")
    years = replace(ruling.checks[0], verdict=KEPT)
    changed = [
        replace(ruling, outcome="approve"),
        replace(ruling, checks=(years, *ruling.checks[1:])),
        replace(ruling, checks=(replace(ruling.checks[0], value=3.0), *ruling.checks[1:])),
        replace(ruling, offer=replace(offer, pd_below=0.05)),
        replace(ruling, offer=replace(offer, instalment=offer.instalment * 2)),
        replace(ruling, offer=replace(offer, amount=1.0)),
    ]
    for other in changed:
        assert not holds(other, form, policy, application, 0.05, "approve")
    assert not holds(ruling, form, policy, form.parse({**GOOD, "years": 1.5}), 0.05, "approve")
    other_form = form_of(number("amount", 1, 10_000), number("covered", 0, 100))
    assert not holds(ruling, other_form, policy, Application((1.0, 1.0)), 0.05, "approve")


def test_reasons_of_rules_come_first_and_are_four_at_most() -> None:
    checks = [
        {
            "rule": {"kind": "exposure", "code": f"r{n}", "outcome": "decline", "at_most": 1},
            "value": 2.0,
            "verdict": BROKEN,
        }
        for n in range(3)
    ]
    ruling = convert({"outcome": "decline", "checks": checks}, Ruling)
    own = [f"{REASON}/r0", f"{REASON}/r1", f"{REASON}/r2"]
    assert principal_reasons(ruling, ["a/high", "b/low"]) == [*own, "a/high"]
    assert principal_reasons(None, ["a/high"]) == ["a/high"]


# --- what a release has not, with its path ---


@pytest.mark.parametrize(
    ("place", "change", "problem"),
    [
        (0, {"field": "yeers"}, "rules[0].field: this release has no field 'yeers'; it has amount, covered"),
        (0, {"field": "home"}, "rules[0].field: home is a choice"),
        (1, {"field": "years"}, "rules[1].field: years is a number"),
        (1, {"none_of": ["house", "van"]}, "rules[1].none_of[1]: home has no choice 'van'"),
        (1, {"none_of": []}, "rules[1].none_of: at least one"),
        (1, {"field": "naics", "none_of": ["33"]}, "rules[1].none_of[0]: naics has no choice '33'"),
        (3, {"income": "pay"}, "rules[3].income: this release has no field 'pay'"),
        (3, {"expenses": "home"}, "rules[3].expenses: home is a choice"),
        (3, {"code": "home"}, "rules[3].code: home is there twice"),
    ],
)
def test_a_rule_for_another_release(form: Form, policy: Policy, place: int, change: Any, problem: str) -> None:
    listed = [rule | (change if place == number else {}) for number, rule in enumerate(SPEC["rules"])]
    with pytest.raises((BadRule, msgspec.ValidationError)) as refused:
        LenderRules(convert({**SPEC, "rules": listed}, Rulebook), form, policy)
    assert str(refused.value).startswith(problem)


def test_what_an_instalment_needs(form: Form, policy: Policy) -> None:
    """A rate, a number of months and an amount."""
    for content in ({**SPEC, "grades": []}, {**SPEC, "instalment": None}):
        with pytest.raises(msgspec.ValidationError, match=r"rules\[3\].kind: an instalment is needed"):
            convert(content, Rulebook)
    with pytest.raises(BadRule, match=r"instalment\.term: covered can be 0"):
        LenderRules(convert({**SPEC, "instalment": {"term": "covered"}}, Rulebook), form, policy)
    without = Policy(convert({**TERMS, "amount": None}, PolicyTerms), form)
    with pytest.raises(BadRule, match="no field with the amount"):
        LenderRules(convert(SPEC, Rulebook), form, without)


def test_a_beginning_of_a_code_stands_for_all_codes_with_it(form: Form, policy: Policy) -> None:
    rule = {"kind": "choice", "code": "farm", "outcome": "decline", "field": "naics", "none_of": ["11"]}
    rules = LenderRules(convert({"rules": [rule]}, Rulebook), form, policy)
    assert judged(rules, form, naics="111110").outcome == "decline"
    assert judged(rules, form, naics="119999").outcome == "decline"  # known as 11 alone
    assert judged(rules, form, naics="222222").outcome == "approve"


# --- grades and instalments ---


@given(st.floats(0, 10), st.integers(1, 1200), st.floats(1, 1e7))
def test_the_instalments_repay_the_loan(rate: float, months: int, amount: float) -> None:
    """The present value of all instalments is the loan, and no instalment is less than without interest."""
    paid = amount * annuity(rate, months)
    discount = 1 / (1 + rate / 12)
    worth = paid * math.fsum(discount**month for month in range(1, months + 1))
    assert worth == pytest.approx(amount, rel=1e-9)
    assert paid >= amount / months * (1 - 1e-12)


@given(st.floats(0, 10), st.integers(2, 1200))
def test_a_longer_term_has_smaller_instalments(rate: float, months: int) -> None:
    assert annuity(rate, months) <= annuity(rate, months - 1)


def test_months_that_are_not_stated_have_no_instalment() -> None:
    paid = instalments(np.array([100.0, 100.0]), np.array([0.0, 0.06]), np.array([10.0, math.nan]))
    assert paid[0] == 10.0
    assert math.isnan(paid[1])


@given(st.lists(st.floats(1e-6, 0.999), min_size=0, max_size=8, unique=True), st.floats(1e-9, 1.0))
def test_every_pd_has_one_grade(edges: list[float], pd: float) -> None:
    """A PD at an edge belongs to the grade above; a higher PD never has an earlier grade."""
    grades = tuple(Grade(grade=f"G{n}", pd_below=edge, rate=0.1) for n, edge in enumerate([*sorted(edges), 1.0]))
    check_grades(grades)
    place = int(places(grades, np.array([pd]))[0])
    assert pd < grades[place].pd_below or place == len(grades) - 1
    assert place == 0 or pd >= grades[place - 1].pd_below
    in_order = places(grades, np.array(sorted([*edges, pd]))).tolist()
    assert in_order == sorted(in_order)


@pytest.mark.parametrize(
    ("grades", "problem"),
    [
        ([("A", 0.2), ("B", 0.1), ("C", 1)], "grades[1].pd_below: more than 0.2"),
        ([("A", 0.2), ("B", 0.9)], "grades[1].pd_below: the last grade ends at 1"),
        ([("A", 0.2), ("A", 1)], "grades[1].grade: A is there twice"),
    ],
)
def test_grades_that_leave_a_gap(grades: list[tuple[str, float]], problem: str) -> None:
    listed = tuple(Grade(grade=grade, pd_below=edge, rate=0.1) for grade, edge in some(grades))
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_grades(listed)
