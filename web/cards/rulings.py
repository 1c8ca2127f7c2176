"""What the lender's own rules say of an application, and its grade with the instalment. Views only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from inference.fields import ChoiceField
from inference.number_format import write_number
from inference.release import Release
from inference.rules import (
    BROKEN,
    KEPT,
    AffordabilityRule,
    Check,
    ChoiceRule,
    ExposureRule,
    NumberRule,
    Rule,
    Ruling,
)
from web.lender import Lender
from web.pages.figures import write_exact_percent, write_share
from web.pages.texts import Texts


@dataclass(frozen=True)
class RuleLine:
    """A rule that leads to a decline or to a person: which, its text, and the figure with its limit."""

    led_to: str  # refer or decline
    verdict: str  # in words
    text: str
    figure: str


@dataclass(frozen=True)
class RulingView:
    """What the rules say, before the model's own reason: those that lead anywhere, and those that are met."""

    template: ClassVar[str] = "cards/ruling.html"
    model: str  # what the model alone suggests, where the outcome is another one
    lines: tuple[RuleLine, ...]
    met: str


@dataclass(frozen=True)
class OfferView:
    """The grade and its instalment, and how that is computed."""

    template: ClassVar[str] = "cards/offer.html"
    grade: str
    instalment: str  # empty where it is not known
    computed: str


def ruling_view(
    ruling: Ruling | None, decision: str, release: Release, texts: Texts, lender: Lender
) -> RulingView | None:
    """What the rules say beside the model's `decision`; None without rules."""
    if ruling is None or not ruling.checks:
        return None
    leading = [check for check in ruling.checks if check.verdict != KEPT]
    lines = tuple(
        RuleLine(
            check.led_to,
            texts(f"rules.{check.rule.outcome}" if check.verdict == BROKEN else "rules.unknown"),
            lender.rule_text(check.rule.code, texts.language),
            figure(check, release, texts),
        )
        for check in leading
    )
    met = [check for check in ruling.checks if check.verdict == KEPT]
    return RulingView(
        "" if ruling.outcome == decision else texts("rules.model", decision=texts(f"decision.{decision}")),
        lines,
        texts("rules.met", rules=f"{texts('mark.semicolon')} ".join(figure(check, release, texts) for check in met))
        if met
        else "",
    )


def offer_view(ruling: Ruling | None, release: Release, texts: Texts) -> OfferView | None:
    """The grade with its rate, and the instalment; None without grades."""
    if ruling is None or ruling.offer is None:
        return None
    offer, language = ruling.offer, texts.language
    bounds = {"low": write_share(offer.pd_from, language), "high": write_share(offer.pd_below, language)}
    rate = write_exact_percent(offer.rate, language)
    grade = texts("rules.grade", grade=offer.grade, rate=rate)
    band = texts("rules.band", grade=offer.grade, **bounds)
    if offer.instalment is None or offer.amount is None or offer.months is None or release.policy.amount is None:
        return OfferView(grade, "", band)
    amount, months = release.policy.amount, write_number(offer.months, language)
    unit = amount.show(round_money(offer.instalment), language)
    values = {"amount": amount.show(offer.amount, language), "months": months, "instalment": unit, "rate": rate}
    computed = texts("rules.computed" if offer.rate else "rules.computed_free", **values)
    return OfferView(grade, texts("rules.instalment", instalment=unit, months=months), f"{band} {computed}")


def figure(check: Check, release: Release, texts: Texts) -> str:
    """The figure of a rule with its limit, such as "Income: 90 (at least 100)"."""
    rule, language = check.rule, texts.language
    name = named(rule, release, texts)
    if isinstance(rule, AffordabilityRule):
        none = "rules.no_income" if check.verdict == BROKEN else "rules.not_known"
        value = texts(none) if check.value is None else write_share(float(check.value), language)
        limit = texts("rules.at_most", limit=write_exact_percent(rule.at_most, language))
    elif isinstance(rule, ChoiceRule):
        field = release.form.fields[release.form.names.index(rule.field)]
        value, limit = answer(field, check.value, texts), choices(field, rule.none_of, texts)
    else:
        field = release.form.fields[place_of(rule, release)]
        value = texts("rules.not_known") if check.value is None else field.show(float(check.value), language)
        is_least = isinstance(rule, NumberRule) and rule.at_least is not None
        limit = texts("rules.at_least" if is_least else "rules.at_most", limit=field.show(rule.limit, language))
    return texts("rules.figure", name=name, value=value, limit=limit)


def named(rule: Rule, release: Release, texts: Texts) -> str:
    """What a rule's figure is."""
    if isinstance(rule, ExposureRule):
        return texts("rules.exposure" if release.policy.guaranteed else "rules.exposure_all")
    if isinstance(rule, AffordabilityRule):
        return texts("rules.affordability")
    return release.form.fields[place_of(rule, release)].label[texts.language]


def place_of(rule: NumberRule | ChoiceRule | ExposureRule, release: Release) -> int:
    """The position of the field in whose unit a rule's figure is."""
    if isinstance(rule, ExposureRule):
        return release.policy.amount_at or 0
    return release.form.names.index(rule.field)


def answer(field: object, code: float | str | None, texts: Texts) -> str:
    """A choice in words."""
    if not isinstance(field, ChoiceField) or not isinstance(code, str):
        return texts("rules.not_known")
    return field.choices[field.index[code]].label[texts.language] or code


def choices(field: object, codes: Sequence[str], texts: Texts) -> str:
    """Which choices a rule does not accept; of digit codes also beginnings that are no choices themselves."""
    known = field.index if isinstance(field, ChoiceField) else {}
    return texts(
        "rules.none_of", choices=", ".join(answer(field, code, texts) if code in known else code for code in codes)
    )


def round_money(value: float) -> float:
    """To a hundredth, as instalments are paid."""
    return round(value, 2)
