"""A lender's own rules beside the model: knock-outs, exposure, affordability. A broken rule never changes the PD.

The model's decision stays what `Scorer.score` says. The `outcome` is the strictest of that decision and of what broken
rules lead to; a rule that cannot be judged, because an answer is not stated, leads to a person. One application and
many take the same way, so that a form and a file have the same outcome. Where rules come from, and their texts, is the
caller's.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from inference.application import Application, Form
from inference.fields import NOT_STATED, ChoiceField, NumberField
from inference.grades import Grade, Offer, Repayment, annuity, check_grades, instalments, places
from inference.policy import APPROVE, DECISIONS, DECLINE, REFER, Policy

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Judged: TypeAlias = tuple[Floats, Flags, Flags]
Judge: TypeAlias = Callable[[Floats, Floats], Judged]  # encoded answers (m, n_fields), instalments (m,)
KEPT, BROKEN, UNKNOWN = VERDICTS = "kept", "broken", "unknown"
KEPT_AT, BROKEN_AT, UNKNOWN_AT = range(3)
LED_TO = {KEPT: APPROVE, BROKEN: None, UNKNOWN: REFER}  # None: what the rule says
REASON = "lender.rules"  # before the code of a rule among principal reasons; no field can have this name
MOST_REASONS = 4  # that a notice gives


class BadRule(ValueError):
    """Rules that this release cannot have; the message begins with the path of what is wrong."""


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has: its code, and the outcome where it is broken."""

    code: str
    outcome: Literal["refer", "decline"]


class NumberRule(Named, frozen=True, kw_only=True, tag="number"):
    """The answer to a number field has a bound: `at_least` or `at_most`, inclusive."""

    field: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("either at_least or at_most is needed")
        if not math.isfinite(self.limit):
            raise ValueError("at_least, at_most: a finite number is needed")

    @property
    def limit(self) -> float:
        return self.at_most if self.at_most is not None else self.at_least  # type: ignore[return-value]


class ChoiceRule(Named, frozen=True, kw_only=True, tag="choice"):
    """The answer to a choice field is `none_of` these codes; of digit codes, begins with none of them."""

    field: str
    none_of: tuple[str, ...]

    @property
    def limit(self) -> tuple[str, ...]:
        return self.none_of


class AtMost(Named, frozen=True, kw_only=True):
    """A rule with a figure that must not be exceeded."""

    at_most: float

    def __post_init__(self) -> None:
        if not 0 <= self.at_most < math.inf:
            raise ValueError("at_most: a finite number from 0 up is needed")

    @property
    def limit(self) -> float:
        return self.at_most


class ExposureRule(AtMost, frozen=True, kw_only=True, tag="exposure"):
    """What no guarantee covers of the amount, in its unit."""


class AffordabilityRule(AtMost, frozen=True, kw_only=True, tag="affordability"):
    """The instalment as a share of what is left of the `income` after `expenses`, both a month and in the unit of the
    amount. Where nothing is left the rule is broken, and there is no figure."""

    income: str
    expenses: str | None = None


Rule: TypeAlias = NumberRule | ChoiceRule | ExposureRule | AffordabilityRule


class Rulebook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules and grades of a lender, as data; equal rulebooks give equal outcomes."""

    rules: tuple[Rule, ...] = ()
    grades: tuple[Grade, ...] = ()
    instalment: Repayment | None = None

    def __post_init__(self) -> None:
        codes = [rule.code for rule in self.rules]
        for place, code in enumerate(codes):
            if code in codes[:place]:
                raise BadRule(f"rules[{place}].code: {code} is there twice")
            if isinstance(self.rules[place], AffordabilityRule) and not (self.grades and self.instalment):
                raise BadRule(f"rules[{place}].kind: an instalment is needed: add [instalment] and [[grades]]")
        if self.instalment is not None and not self.grades:
            raise BadRule("instalment: a rate is needed: add [[grades]]")
        check_grades(self.grades)

    @property
    def is_empty(self) -> bool:
        return not self.rules and not self.grades

    @property
    def digest(self) -> str:
        """SHA-256 of the rulebook as JSON, in hex."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule says of one application. `value` is None where the answer is not stated, or there is no figure."""

    rule: Rule
    value: float | str | None
    verdict: str  # one of VERDICTS

    @property
    def led_to(self) -> str:
        """What the rule alone would suggest."""
        return LED_TO[self.verdict] or self.rule.outcome


class Ruling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of one application, with every rule's verdict, and its grade if the lender has grades."""

    outcome: str  # approve, refer or decline
    checks: tuple[Check, ...] = ()
    offer: Offer | None = None

    @property
    def reasons(self) -> list[str]:
        """The rules that led to a decline, as principal reasons: `lender.rules/CODE`."""
        return [f"{REASON}/{check.rule.code}" for check in self.checks if check.led_to == DECLINE]


def principal_reasons(ruling: Ruling | None, of_model: Sequence[str]) -> list[str]:
    """Principal reasons, the rules' before the model's, empty where the model approves."""
    return [*(ruling.reasons if ruling is not None else ()), *of_model][:MOST_REASONS]


def ruled(ruling: Ruling | None, decision: str) -> dict[str, object]:
    """A ruling as answers in JSON have it, beside the model's decision; without rules the outcome is that decision."""
    if ruling is None:
        return {"outcome": decision, "rules": [], "offer": None}
    rules = [
        {
            "code": check.rule.code, "verdict": check.verdict, "value": check.value,
            "limit": msgspec.to_builtins(check.rule.limit), "outcome": check.rule.outcome,
        }
        for check in ruling.checks
    ]  # fmt: skip
    return {"outcome": ruling.outcome, "rules": rules, "offer": msgspec.to_builtins(ruling.offer)}


class Rulings(NamedTuple):
    """Rulings of m applications, as arrays. NaN: no figure."""

    outcomes: Codes  # (m,): places in policy.DECISIONS
    figures: Floats  # (m, n_rules); a choice as its place in its field's list
    verdicts: Codes  # (m, n_rules): places in VERDICTS
    grades: npt.NDArray[np.intp]  # (m,): places in the rulebook's grades; zeros where it has none
    months: Floats  # (m,)
    instalments: Floats  # (m,), in the unit of the amount


class BoundRules:
    """Rules for one release. Raises `BadRule`, with the path of what the release does not have."""

    def __init__(self, rules: tuple[Rule, ...], form: Form, policy: Policy) -> None:
        self.rules, self._form, self._policy = rules, form, policy
        self._judges = [self._bound(rule, f"rules[{place}]") for place, rule in enumerate(rules)]

    def judge(self, values: Floats, instalments: Floats) -> tuple[Floats, Codes]:
        """Encoded answers (m, n_fields) and instalments (m,) -> figures and verdicts, both (m, n_rules)."""
        shape = len(values), len(self.rules)
        figures, verdicts = np.empty(shape), np.empty(shape, np.int8)
        for index, judge in enumerate(self._judges):
            figures[:, index], broken, unknown = judge(values, instalments)
            verdicts[:, index] = np.where(unknown, UNKNOWN_AT, np.where(broken, BROKEN_AT, KEPT_AT))
        return figures, verdicts

    def outcomes(self, decisions: Codes, verdicts: Codes) -> Codes:
        """The strictest of the model's decisions (m,) and of what verdicts (m, n_rules) lead to."""
        outcomes = decisions.astype(np.int8)
        for index, rule in enumerate(self.rules):
            led_to = [DECISIONS.index(LED_TO[verdict] or rule.outcome) for verdict in VERDICTS]
            outcomes = np.maximum(outcomes, np.array(led_to, np.int8)[verdicts[:, index]])
        return outcomes

    def checks(self, figures: Floats, verdicts: Codes) -> tuple[Check, ...]:
        """Of one application: its figures and verdicts, (n_rules,) each."""
        return tuple(
            Check(rule=rule, value=self._shown(rule, figure), verdict=VERDICTS[verdict])
            for rule, figure, verdict in zip(self.rules, figures.tolist(), verdicts.tolist(), strict=True)
        )

    def _bound(self, rule: Rule, path: str) -> Judge:
        """The function that judges by a rule; answers that it needs are found once, here."""
        match rule:
            case NumberRule():
                place = number_field(self._form, rule.field, f"{path}.field")
                return lambda values, _: limited(values[:, place], rule.at_least, rule.at_most)
            case ChoiceRule():
                place, refused, unknown = self._choices(rule, path)
                return lambda values, _: chosen(values[:, place], refused, unknown)
            case ExposureRule():
                if self._policy.amount_at is None:
                    raise BadRule(f"{path}.kind: this release has no field with the amount, so no exposure is known")
                return lambda values, _: limited(self._policy.exposures(values), None, rule.at_most)
            case AffordabilityRule():
                income = number_field(self._form, rule.income, f"{path}.income")
                if rule.expenses is None:
                    return lambda values, paid: affordable(paid, values[:, income], rule.at_most)
                expenses = number_field(self._form, rule.expenses, f"{path}.expenses")
                return lambda values, paid: affordable(paid, values[:, income] - values[:, expenses], rule.at_most)

    def _choices(self, rule: ChoiceRule, path: str) -> tuple[int, list[float], list[float]]:
        """Where the answer is, which choices break the rule, and which leave it unknown."""
        field = self._form.fields[position(self._form, rule.field, f"{path}.field")]
        if not isinstance(field, ChoiceField):
            raise BadRule(f"{path}.field: {rule.field} is a number; a rule of kind number bounds it")
        if not rule.none_of:
            raise BadRule(f"{path}.none_of: at least one choice is needed")
        refused = set()
        for index, code in enumerate(rule.none_of):
            known = [
                other
                for other in field.choices
                if other.code == code or (field.digits and code and other.code.startswith(code))
            ]
            if not known:
                raise BadRule(f"{path}.none_of[{index}]: {rule.field} has no choice {code!r}; it is {field.allowed}")
            refused |= {choice.code for choice in known}
        unknown = {NOT_STATED} & set(field.index) - refused
        return (
            self._form.names.index(rule.field),
            [float(field.index[code]) for code in refused],
            [float(field.index[code]) for code in unknown],
        )

    def _shown(self, rule: Rule, figure: float) -> float | str | None:
        if math.isnan(figure):
            return None
        field = self._form.fields[self._form.names.index(rule.field)] if isinstance(rule, ChoiceRule) else None
        return field.choices[int(figure)].code if isinstance(field, ChoiceField) else figure


class LenderRules:
    """A lender's rules and grades for one release. Raises `BadRule`, with the path of what cannot be."""

    def __init__(self, book: Rulebook, form: Form, policy: Policy) -> None:
        self.book, self._form, self._policy = book, form, policy
        self.rules = BoundRules(book.rules, form, policy)
        self._term: int | None = None
        if book.instalment is not None:
            if policy.amount_at is None:
                raise BadRule("instalment: this release has no field with the amount")
            if book.instalment.term is not None:
                self._term = number_field(form, book.instalment.term, "instalment.term")
                if not form.fields[self._term].minimum > 0:  # type: ignore[union-attr]
                    raise BadRule(f"instalment.term: {book.instalment.term} can be 0; months from 1 up are needed")

    def judge(self, application: Application, pd: float, decision: str) -> Ruling:
        """The ruling on one application, its PD and the model's decision."""
        values, place = np.array([application.values]), DECISIONS.index(decision)
        return self.ruling(values[0], self.judge_many(values, np.array([pd]), np.array([place], np.int8)), 0)

    def judge_many(self, values: Floats, pds: Floats, decisions: Codes) -> Rulings:
        """Rulings on many: encoded answers (m, n_fields), PDs (m,) and the model's decisions (m,)."""
        m, grades = len(values), self.book.grades
        graded = places(grades, pds) if grades else np.zeros(m, np.intp)
        months = paid = np.full(m, np.nan)
        if grades and self.book.instalment is not None and self._policy.amount_at is not None:
            months = (
                np.full(m, float(self.book.instalment.months or 0)) if self._term is None else values[:, self._term]
            )
            rates = np.array([grade.rate for grade in grades])[graded]
            paid = instalments(values[:, self._policy.amount_at], rates, months)
        figures, verdicts = self.rules.judge(values, paid)
        return Rulings(self.rules.outcomes(decisions, verdicts), figures, verdicts, graded, months, paid)

    def ruling(self, values: Floats, rulings: Rulings, row: int) -> Ruling:
        """One of many rulings; `values` are its encoded answers (n_fields,)."""
        checks = self.rules.checks(rulings.figures[row], rulings.verdicts[row])
        offer = self._offer(values, rulings, row) if self.book.grades else None
        return Ruling(outcome=DECISIONS[rulings.outcomes[row]], checks=checks, offer=offer)

    def _offer(self, values: Floats, rulings: Rulings, row: int) -> Offer:
        place, paid = int(rulings.grades[row]), float(rulings.instalments[row])
        grade, known = self.book.grades[place], not math.isnan(paid)
        return Offer(
            grade=grade.grade,
            pd_from=self.book.grades[place - 1].pd_below if place else 0.0,
            pd_below=grade.pd_below,
            rate=grade.rate,
            amount=float(values[self._policy.amount_at or 0]) if known else None,
            months=float(rulings.months[row]) if known else None,
            instalment=paid if known else None,
        )


def holds(ruling: Ruling, form: Form, policy: Policy, application: Application, pd: float, decision: str) -> bool:
    """Whether a recorded ruling follows from its own rules and grade, and from the answers, PD and decision: a lender
    may have other rules today. False too where the release does not have what they name."""
    values, paid, offer = np.array([application.values]), math.nan, ruling.offer
    if offer is not None:
        if not (offer.pd_from <= pd and (pd < offer.pd_below or offer.pd_below == 1)):
            return False
        if offer.instalment is not None and offer.months is not None and policy.amount_at is not None:
            paid = application.values[policy.amount_at] * annuity(offer.rate, offer.months)
            if (paid, application.values[policy.amount_at]) != (offer.instalment, offer.amount):
                return False
    try:
        bound = BoundRules(tuple(check.rule for check in ruling.checks), form, policy)
    except BadRule:
        return False
    figures, verdicts = bound.judge(values, np.array([paid]))
    outcome = bound.outcomes(np.array([DECISIONS.index(decision)], np.int8), verdicts)[0]
    return (bound.checks(figures[0], verdicts[0]), DECISIONS[outcome]) == (ruling.checks, ruling.outcome)


# --- one rule, many applications: figures, whether each is broken, whether that is unknown ---


def limited(figures: Floats, at_least: float | None, at_most: float | None) -> Judged:
    """A figure with a bound, inclusive; NaN is not stated."""
    broken = figures > at_most if at_most is not None else figures < (at_least or 0.0)
    return figures, broken, np.isnan(figures)


def chosen(figures: Floats, refused: list[float], unknown: list[float]) -> Judged:
    """A choice that must not be one of `refused`."""
    return figures, np.isin(figures, refused), np.isin(figures, unknown) | np.isnan(figures)


def affordable(paid: Floats, free: Floats, at_most: float) -> Judged:
    """The instalment as a share of the free income; without free income it is broken, and has no figure."""
    unknown = np.isnan(free) | np.isnan(paid)
    share = np.full(len(paid), np.nan)
    np.divide(paid, free, out=share, where=free > 0)
    return share, (free <= 0) | (share > at_most), unknown


def position(form: Form, name: str, path: str) -> int:
    """The position of a field that a rule names."""
    if name not in form.names:
        raise BadRule(f"{path}: this release has no field {name!r}; it has {', '.join(form.names)}")
    return form.names.index(name)


def number_field(form: Form, name: str, path: str) -> int:
    """The position of a field that must be a number."""
    place = position(form, name, path)
    if not isinstance(form.fields[place], NumberField):
        raise BadRule(f"{path}: {name} is a choice, and a number is needed")
    return place
