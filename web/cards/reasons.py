"""What moved the PD: a bar for each field, in log-odds compared with the reference applicant, with its odds factor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from inference.application import Application
from inference.fields import Field
from inference.number_format import localised, write_percent
from inference.policy import APPROVE
from inference.reasons import Explanation
from inference.release import Release
from inference.rules import REASON
from web.lender import Lender, reason_text
from web.pages.texts import Texts

SMALLEST = 0.005  # log-odds; a smaller effect has a factor of 1.00
ERRORS = 1.96  # standard errors on each side of an estimated effect: a 95 % interval
NARROWEST = 0.6  # per cent of the width: the narrowest visible bar


@dataclass(frozen=True)
class Effect:
    """A field's answer, its bar to the left (lowers) or right (raises) of the middle, and its odds factor."""

    label: str
    answer: str
    kind: str  # raises or lowers
    x: float  # where the bar begins, per cent of the width
    width: float  # likewise
    factor: str
    interval: str  # of an estimated factor; "" if it is exact


@dataclass(frozen=True)
class Effects:
    """The fields that moved the PD, the strongest first, and a sentence with those that did not."""

    template: ClassVar[str] = "cards/effects.html"
    moving: tuple[Effect, ...]
    still: str


@dataclass(frozen=True)
class WhatMoved:
    """The section: an introduction, the bars, and draft reasons unless the suggestion is an approval."""

    template: ClassVar[str] = "cards/what_moved.html"
    lead: str
    estimated: str  # that the effects are estimates, from which no reasons are drawn; "" if they are exact
    effects: Effects
    drafts: tuple[str, ...] | None  # up to four principal reasons, which somebody must confirm
    confirm: str  # what the drafts are


def what_moved(
    explanation: Explanation,
    principal: Sequence[str],
    outcome: str,
    application: Application,
    release: Release,
    texts: Texts,
    lender: Lender,
) -> WhatMoved:
    """The section; it has draft reasons unless the `outcome` is an approval."""
    language = texts.language
    lead = texts(
        "why.lead",
        pd=write_percent(explanation.pd, language),
        reference=write_percent(explanation.reference_pd, language),
    )
    drafts = tuple(reason_text(code, release, lender, language) for code in principal)
    estimated = "" if explanation.is_exact else texts("why.estimated")
    by_rules = any(code.startswith(f"{REASON}/") for code in principal)
    return WhatMoved(
        lead,
        estimated,
        effects(explanation, application, release, texts),
        None if outcome == APPROVE or (estimated and not drafts) else drafts,
        texts("why.confirm_rules" if by_rules else "why.confirm"),
    )


def effects(explanation: Explanation, application: Application, release: Release, texts: Texts) -> Effects:
    """A bar for each field that moved the PD, the strongest first, and the fields that did not."""
    language = texts.language
    errors = explanation.errors or (0.0,) * len(explanation.effects)
    ranked = sorted(
        zip(explanation.effects, errors, release.form.fields, application.values, strict=True),
        key=lambda row: -abs(row[0]),
    )
    moving = [row for row in ranked if abs(row[0]) >= SMALLEST]
    still = [field.label[language] for effect, _, field, _ in ranked if abs(effect) < SMALLEST]
    longest = max((abs(effect) for effect, *_ in moving), default=1.0)
    return Effects(
        tuple(bar(effect, error, longest, field, value, texts) for effect, error, field, value in moving),
        texts("why.still", fields=", ".join(still)) if still else "",
    )


def bar(effect: float, error: float, longest: float, field: Field, value: float, texts: Texts) -> Effect:
    """A field's bar, in proportion to the longest one; an estimated effect has the interval of its factor beside it."""
    language = texts.language
    width = 50 * abs(effect) / longest
    kind = "raises" if effect > 0 else "lowers"
    return Effect(
        label=field.label[language],
        answer=field.show(value, language),
        kind=kind,
        x=50.0 if effect > 0 else 50.0 - width,
        width=max(width, NARROWEST),
        factor=texts(f"why.{kind}", factor=in_figures(effect, language)),
        interval=interval(effect, error, texts),
    )


def in_figures(effect: float, language: str) -> str:
    """An effect as a factor of the odds."""
    return localised(f"{math.exp(effect):.2f}", language)


def interval(effect: float, error: float, texts: Texts) -> str:
    """The 95 % interval of an estimated effect, as factors; "" for an exact one."""
    if not error:
        return ""
    low, high = (in_figures(effect + side * ERRORS * error, texts.language) for side in (-1, 1))
    return texts("why.between", low=low, high=high)
