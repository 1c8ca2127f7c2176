"""Where an application stands: among all past loans, among those with the same answers, and in money."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from inference.fields import Field, NumberField
from inference.intervals import wilson
from inference.manifest import Band
from inference.number_format import write_number
from inference.release import Release
from inference.scorer import Score
from web.cards.scale import Scale, area, loans, mark
from web.pages.answers import choice_text
from web.pages.figures import Figures, write_exact_percent, write_share
from web.pages.texts import Texts


def in_words(score: Score, release: Release, texts: Texts, figures: Figures) -> list[str]:
    """The PD as counts: what the model expects of 1,000, what happened to loans like it, the rank among all. Without a
    population, only what the model says."""
    population = release.manifest.population
    sentences = [expected(score.pd, texts)]
    if population is not None and population.bands:
        sentences.append(observed(score.pd, population.bands, texts, figures))
    if population is not None:
        rank = Rank.among(score.pd, population.pd_percentiles)
        sentences.append(texts(f"result.{rank.key}", count=rank.in_100, loans=loans(release, texts)))
    return sentences


def at_stake(score: Score, release: Release, texts: Texts) -> str:
    """The expected loss, and on demand how it is computed; empty where no field is the amount."""
    exposure = release.policy.exposure(score.application)
    if exposure is None or release.policy.amount_at is None:
        return ""
    field = release.form.fields[release.policy.amount_at]
    loss = texts(
        "stand.loss" if release.policy.guaranteed else "stand.loss_all",
        exposure=money(exposure, field, texts.language),
        loss=money(score.pd * release.policy.lgd * exposure, field, texts.language),
    )
    how = texts("stand.computed", lgd=write_exact_percent(release.policy.lgd, texts.language))
    return f'<details class="how"><summary>{escape(loss)}</summary><p class="quiet">{escape(how)}</p></details>'


def expected(pd: float, texts: Texts) -> str:
    """How many of 1,000 loans with this PD the model expects to go bad: as the PD is shown, in tenths of a per cent."""
    people = round(10 * float(f"{100 * pd:.1f}"))
    special = {0: "result.expects_few", 1: "result.expects_one", 1000: "result.expects_most"}
    return texts(special.get(people, "result.expects"), people=people)


def observed(pd: float, bands: Sequence[Band], texts: Texts, figures: Figures) -> str:
    """What became of the past loans in the PD's band; where it lies in none, of those in the nearest, and says so."""
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
    """Where a PD stands among past loans, on the side of the middle that it lies on."""

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


def among_the_same(score: Score, scale: Scale, release: Release, texts: Texts) -> str:
    """A line for each answer that enough past loans gave too: the rank among them over how they spread."""
    population = release.manifest.population
    by = population.by if population is not None else {}
    pd, language = score.pd, texts.language
    rows = []
    for field, value in zip(release.form.fields, score.application.values, strict=True):
        if isinstance(field, NumberField) or math.isnan(value) or field.name not in by:
            continue
        code = field.group_of(value)
        group = by[field.name].get(code)
        if group is None:
            continue
        answer = choice_text(field.choices[field.index[code]], language)
        rank = Rank.among(pd, group.pd_percentiles)
        said = texts(
            f"stand.{rank.key}",
            count=rank.in_100,
            loans=write_number(group.loans, language),
            rate=write_share(group.bad / group.loans, language),
        )
        drawn = (
            '<svg class="spread" width="100%" height="28" aria-hidden="true">'
            '<svg width="100%" height="28" viewBox="0 0 100 100" preserveAspectRatio="none">'
            f'<path class="population" d="{area(group.pd_percentiles, scale.low, scale.high)}"/></svg>'
            f"{mark(scale.x(pd), 28)}</svg>"
        )
        rows.append(
            f'<tr><th scope="row">{escape(field.label[language])} <span>{escape(answer)}</span></th>'
            f"<td>{drawn}</td><td>{escape(said)}</td></tr>"
        )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(texts(f"stand.{name}"))}</th>' for name in ("answer", "spread", "place"))
    return (
        f"<details><summary>{escape(texts('stand.title'))}</summary>"
        f'<table class="effects standing"><thead class="visually-hidden"><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></details>"
    )


def money(value: float, field: Field, language: str) -> str:
    """An amount as its field writes it, whole; where it is small, to two figures."""
    digits = 0 if abs(value) >= 10 or value == 0 else 1 - math.floor(math.log10(abs(value)))
    return field.show(round(value, digits), language)


def nearest_band(pd: float, bands: Sequence[Band]) -> Band:
    """The band that holds the PD, or the nearest one where it lies between or beyond them."""
    return min(bands, key=lambda band: max(band.low - pd, pd - band.high, 0.0))
