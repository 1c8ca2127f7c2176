"""An application compared: with all past loans, with past loans that have the same answers, and in money."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from inference.fields import Field, NumberField
from inference.intervals import wilson
from inference.manifest import Band
from inference.number_format import write_number
from inference.release import Release
from inference.scorer import Score
from web.cards.scale import Scale, area, loans
from web.pages.answers import choice_text
from web.pages.figures import Figures, write_exact_percent, write_share
from web.pages.texts import Texts


@dataclass(frozen=True)
class Stake:
    """The expected loss, and how it is computed."""

    template: ClassVar[str] = "cards/stake.html"
    loss: str
    computed: str


@dataclass(frozen=True)
class AnswerRank:
    """An answer, and the application's rank among past loans with the same answer."""

    label: str
    answer: str
    area: str  # the distribution of these loans, as the d of a path in a box of 100 by 100
    x: float  # the application's place, in per cent of the width
    text: str


@dataclass(frozen=True)
class AmongTheSame:
    """A line for each answer that enough past loans have."""

    template: ClassVar[str] = "cards/among_the_same.html"
    ranks: tuple[AnswerRank, ...]


def in_words(score: Score, release: Release, texts: Texts, figures: Figures) -> list[str]:
    """The PD as counts: the expected bad loans in 1,000, the outcome of similar loans, the rank among all past loans.
    Without a population, only the first."""
    population = release.manifest.population
    sentences = [expected(score.pd, texts)]
    if population is not None and population.bands:
        sentences.append(observed(score.pd, population.bands, texts, figures))
    if population is not None:
        rank = Rank.among(score.pd, population.pd_percentiles)
        sentences.append(texts(f"result.{rank.key}", count=rank.in_100, loans=loans(release, texts)))
    return sentences


def at_stake(score: Score, release: Release, texts: Texts) -> Stake | None:
    """The expected loss; None if no field is the amount."""
    exposure = release.policy.exposure(score.application)
    if exposure is None or release.policy.amount_at is None:
        return None
    field = release.form.fields[release.policy.amount_at]
    loss = texts(
        "stand.loss" if release.policy.guaranteed else "stand.loss_all",
        exposure=money(exposure, field, texts.language),
        loss=money(score.pd * release.policy.lgd * exposure, field, texts.language),
    )
    return Stake(loss, texts("stand.computed", lgd=write_exact_percent(release.policy.lgd, texts.language)))


def expected(pd: float, texts: Texts) -> str:
    """How many of 1,000 loans with this PD are expected to go bad; rounded like the PD on the page, to 0.1 %."""
    people = round(10 * float(f"{100 * pd:.1f}"))
    special = {0: "result.expects_few", 1: "result.expects_one", 1000: "result.expects_most"}
    return texts(special.get(people, "result.expects"), people=people)


def observed(pd: float, bands: Sequence[Band], texts: Texts, figures: Figures) -> str:
    """The outcome of past loans in the PD's band, or if it is in none, in the nearest band, which the text mentions."""
    language, band = texts.language, nearest_band(pd, bands)
    low, high = wilson(band.bad, band.loans)
    return texts(
        "result.observed" if band.low <= pd <= band.high else "result.observed_near",
        loans=write_number(band.loans, language),
        bad=write_number(band.bad, language),
        low=figures.pd(band.low),
        high=figures.pd(band.high),
        rate=write_share(band.bad / band.loans, language),
        least=write_share(low, language),
        most=write_share(high, language),
    )


class Rank(NamedTuple):
    """The rank of a PD among past loans, counted from the nearer end."""

    key: str  # of the text: riskier or less risky than so many in 100, than all, or as risky as nearly all
    in_100: int

    @classmethod
    def among(cls, pd: float, percentiles: Sequence[float]) -> "Rank":
        """From evenly spaced percentiles of PDs, the 0th to the 100th; loans with the same PD count on neither side."""
        last = len(percentiles) - 1
        below = 100 * (bisect_left(percentiles, pd) - 1) // last
        above = 100 * (last - bisect_right(percentiles, pd)) // last
        if max(below, above) <= 0:
            return cls("rank_same", 0)
        if max(below, above) == 100:
            return cls("rank_riskiest" if below == 100 else "rank_safest", 100)
        return cls("rank_riskier", below) if below >= above else cls("rank_safer", above)


def among_the_same(score: Score, scale: Scale, release: Release, texts: Texts) -> AmongTheSame | None:
    """The ranks among past loans with the same answers; None if no answer has enough of them."""
    population = release.manifest.population
    by = population.by if population is not None else {}
    language = texts.language
    ranks = []
    for field, value in zip(release.form.fields, score.application.values, strict=True):
        if isinstance(field, NumberField) or math.isnan(value) or field.name not in by:
            continue
        code = field.group_of(value)
        group = by[field.name].get(code)
        if group is None:
            continue
        rank = Rank.among(score.pd, group.pd_percentiles)
        rank_text = texts(
            f"stand.{rank.key}",
            count=rank.in_100,
            loans=write_number(group.loans, language),
            rate=write_share(group.bad / group.loans, language),
        )
        spread = area(group.pd_percentiles, scale.low, scale.high)
        answer = choice_text(field.choices[field.index[code]], language)
        ranks.append(AnswerRank(field.label[language], answer, spread, scale.x(score.pd), rank_text))
    return AmongTheSame(tuple(ranks)) if ranks else None


def money(value: float, field: Field, language: str) -> str:
    """An amount as its field writes it, rounded to an integer, or to two significant figures if it is below 10."""
    digits = 0 if abs(value) >= 10 or value == 0 else 1 - math.floor(math.log10(abs(value)))
    return field.show(round(value, digits), language)


def nearest_band(pd: float, bands: Sequence[Band]) -> Band:
    """The band that contains the PD, or else the nearest one."""
    return min(bands, key=lambda band: max(band.low - pd, pd - band.high, 0.0))
