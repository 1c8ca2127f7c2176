"""Where an application stands: among all past loans, among those with the same answers, and in money."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from inference.application import Application
from inference.fields import ChoiceField, Field, NumberField, write_number
from inference.release import Release
from web.form import choice_text
from web.numbers import write_percent
from web.scale import area, loans, mark, scale_of
from web.texts import Texts

Z = 1.959964  # of a 95 % interval


def in_words(pd: float, application: Application, release: Release, texts: Texts) -> list[str]:
    """The PD as counts: what the model expects of 1,000, what happened to loans like it, the rank among all; and what
    is at stake. Without a population, only what the model says."""
    language = texts.language
    population = release.manifest["population"]
    people = round(1000 * pd)
    sentences = [texts("result.expects", people=people) if people else texts("result.expects_few")]
    if population is not None and (bands := population.get("bands")):
        band = nearest_band(pd, bands)
        low, high = wilson(band["bad"], band["loans"])
        sentences.append(
            texts(
                "result.observed",
                loans=write_number(band["loans"], language),
                bad=write_number(band["bad"], language),
                low=write_percent(band["low"], language),
                high=write_percent(band["high"], language),
                rate=write_percent(band["bad"] / band["loans"], language),
                least=write_percent(low, language),
                most=write_percent(high, language),
            )
        )
    if population is not None:
        riskier = share_riskier(pd, population["pd_percentiles"])
        key = "result.rank_most" if riskier > 0.99 else "result.rank_least" if riskier < 0.01 else "result.rank"
        sentences.append(texts(key, share=write_percent(riskier, language, 0), loans=loans(release, texts)))
    exposure = release.policy.exposure(application)
    if exposure is not None and release.policy.amount_at is not None:
        amount = release.form.fields[release.policy.amount_at]
        sentences.append(
            texts(
                "stand.loss" if release.policy.guaranteed else "stand.loss_all",
                exposure=money(exposure, amount, language),
                loss=money(pd * release.policy.lgd * exposure, amount, language),
                lgd=write_percent(release.policy.lgd, language, 0),
            )
        )
    return sentences


def among_the_same(pd: float, application: Application, release: Release, texts: Texts) -> str:
    """A line for each answer that enough past loans gave too: the rank among them over how they spread."""
    population = release.manifest["population"]
    by = population.get("by", {}) if population is not None else {}
    scale, language = scale_of(release), texts.language
    rows = []
    for field, value in zip(release.form.fields, application.values, strict=True):
        if isinstance(field, NumberField) or math.isnan(value) or field.name not in by:
            continue
        assert isinstance(field, ChoiceField)  # noqa: S101 - for the type checker: there are two kinds
        code = field.group_of(value)
        group = by[field.name].get(code)
        if group is None:
            continue
        answer = choice_text(field.choices[field.index[code]], language)
        said = texts(
            "stand.rank",
            share=write_percent(share_riskier(pd, group["pd_percentiles"]), language, 0),
            loans=write_number(group["loans"], language),
            rate=write_percent(group["bad"] / group["loans"], language),
        )
        drawn = (
            '<svg class="spread" width="100%" height="28" aria-hidden="true">'
            '<svg width="100%" height="28" viewBox="0 0 100 100" preserveAspectRatio="none">'
            f'<path class="population" d="{area(tuple(group["pd_percentiles"]), scale.low, scale.high)}"/></svg>'
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


def wilson(bad: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    rate, z = bad / count, Z
    middle = rate + z * z / (2 * count)
    spread = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return max(0.0, (middle - spread) / (1 + z * z / count)), min(1.0, (middle + spread) / (1 + z * z / count))


def money(value: float, amount: Field, language: str) -> str:
    """A sum to three digits or whole, in the unit of the amount."""
    return amount.show(round(value, 0 if abs(value) >= 100 else 1), language)


def nearest_band(pd: float, bands: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The band that holds the PD, or the nearest one where it lies between or beyond them."""
    return min(bands, key=lambda band: max(band["low"] - pd, pd - band["high"], 0.0))


def share_riskier(pd: float, percentiles: Sequence[float]) -> float:
    """The share of a population with a higher PD; `percentiles` are evenly spaced, from the 0th to the 100th."""
    return 1.0 - float(np.interp(pd, percentiles, np.linspace(0.0, 1.0, len(percentiles))))
