"""The result panel's HTML, without a browser."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from parts import population_of, some

from inference.application import Form
from inference.errors import InvalidApplication, Problem
from inference.fields import ChoiceField, NumberField
from inference.intervals import wilson
from inference.manifest import Band, read_manifest
from inference.number_format import localised, write_percent
from inference.numbers import TROUBLES
from inference.policy import Cutoffs, Points
from inference.reasons import Reasons
from inference.release import Release
from inference.scorer import Score, Scorer, open_scorer
from inference.settings import Settings, default_release
from web.cards.comparison import Rank, expected, nearest_band, observed
from web.cards.notice_card import notice_card
from web.cards.problem_card import problem_card
from web.cards.reasons import SMALLEST
from web.cards.scale import scale_for, scale_of
from web.cards.scale_picture import draw
from web.cards.score_card import intro_card, score_card
from web.lender import read_lender
from web.pages.figures import Figures, figures_for, write_exact_percent, write_share
from web.pages.templates import render
from web.pages.texts import LANGUAGES, texts_in
from web.recording import ScoredAnswer
from web.service_state import IN_SERVICE, STATES

LENDER = read_lender(None)
MARKUP = "<script>alert('x')</script>\"&"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=default_release(), log=None))


@pytest.fixture(scope="module")
def score(scorer: Scorer) -> Score:
    return scorer.score(scorer.release.form.example)


def told(scorer: Scorer, score: Score) -> ScoredAnswer:
    """The score with its explanation, as the desk shows it."""
    reasons = Reasons(scorer.release, scorer.engine)
    explanation = reasons.explain(score.application)
    return ScoredAnswer(score, None, explanation, reasons.principal(explanation, score.application))


def parsed(html: str) -> ET.Element:
    """The card as XML: it must be well-formed, so that no text has ended an element or an attribute."""
    return ET.fromstring(html.replace("&nbsp;", " "))  # noqa: S314 - our own text


@pytest.mark.parametrize("language", LANGUAGES)
def test_score_card_holds_the_figures_in_the_language(scorer: Scorer, score: Score, language: str) -> None:
    """Decision in words, PD, points and release, written as the language writes numbers."""
    texts = texts_in(language)
    card = parsed(score_card(told(scorer, score), scorer.release, texts, LENDER))
    text = "".join(card.itertext())
    pd = f"{100 * score.pd:.1f}"
    assert texts(f"decision.{score.decision}") in text
    assert (pd.replace(".", ",") if language == "fr" else pd) in text
    assert f"{score.points:.0f}" in text
    assert scorer.release.name in text
    assert card.get("data-decision") == score.decision


def marked(value: Any) -> Any:
    """A manifest's part with markup in every text."""
    if isinstance(value, dict):
        return {
            key: value[key]
            if key in ("name", "code", "group", "kind", "actionable", "reference", "example")
            else marked(value[key])
            for key in value
        }
    if isinstance(value, list):
        return [marked(item) for item in value]
    return value + MARKUP if isinstance(value, str) else value


@pytest.fixture
def hostile(scorer: Scorer) -> Release:
    """The release with markup in every label, help, unit, title, notice and date."""
    manifest = json.loads((scorer.release.folder / "manifest.json").read_bytes())
    for part in ("fields", "title", "notice", "date"):
        manifest[part] = marked(manifest[part])
    made = read_manifest(json.dumps(manifest).encode())
    return replace(scorer.release, manifest=made, form=Form(made.fields))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_escaped(scorer: Scorer, score: Score, hostile: Release, language: str) -> None:
    """Markup in any text of the release, of the applicant or of the engine stays text in every card."""
    texts = texts_in(language)
    names = hostile.form.names
    odd = score._replace(unusual=names, request_id=MARKUP, engine=MARKUP)
    problems = [
        Problem(name, kind, MARKUP, repr(MARKUP), MARKUP, hint=MARKUP, extra=MARKUP, readings=(18, 18000))
        for name in (*names, MARKUP)
        for kind in (*KINDS, *TROUBLES)
    ]
    for html in (
        score_card(told(scorer, score), hostile, texts, LENDER),
        score_card(told(scorer, odd), hostile, texts, LENDER),
        intro_card(hostile, texts),
        problem_card(problems, hostile, texts),
        notice_card("gone", texts),
    ):
        assert "<script" not in html
        parsed(html)


KINDS = (
    "missing", "unknown_field", "not_a_number", "not_finite", "not_whole", "too_small", "too_large",
    "not_a_choice", "not_stated",
)  # fmt: skip


def test_unusual_answers_are_named_with_what_is_usual(scorer: Scorer) -> None:
    """A refer for an unusual answer names the field, the answer and the usual range."""
    form = scorer.release.form
    field = next(one for one in form.fields if isinstance(one, NumberField))
    high = field.maximum
    card = score_card(
        told(scorer, scorer.score({**form.example, field.name: high})), scorer.release, texts_in("en"), LENDER
    )
    assert f"{field.label['en']}: {field.show(high, 'en')} (usual: " in card


def test_problems_are_told_with_bounds_and_unit(scorer: Scorer) -> None:
    """Each problem stands with its field's label and bound in the page's language."""
    form = scorer.release.form
    field = next(one for one in form.fields if isinstance(one, NumberField) and one.maximum >= 1000)
    with pytest.raises(InvalidApplication) as caught:
        scorer.score({**form.example, field.name: field.maximum * 2})
    text = "".join(parsed(problem_card(caught.value.problems, scorer.release, texts_in("fr"))).itertext())
    assert field.label["fr"] in text
    assert field.show(field.maximum, "fr") in text


def test_percentile_and_band() -> None:
    """How many of 100 surely lie below or above, from the percentiles; a PD between bands belongs to the nearest."""
    percentiles = [at / 100 for at in range(101)]
    assert Rank.among(0.255, percentiles) == ("rank_safer", 74)
    assert Rank.among(0.885, percentiles) == ("rank_riskier", 88)
    assert Rank.among(0.25, percentiles) == ("rank_safer", 74)
    assert Rank.among(2.0, percentiles) == ("rank_riskiest", 100)
    assert Rank.among(-0.1, percentiles) == ("rank_safest", 100)
    assert Rank.among(0.995, percentiles) == ("rank_riskier", 99)
    twentieths = [at / 20 for at in range(21)]
    assert Rank.among(0.53, twentieths) == ("rank_riskier", 50)
    bands = [Band(low=0.1, high=0.2, loans=1, bad=0), Band(low=0.3, high=0.4, loans=1, bad=0)]
    assert nearest_band(0.15, bands) is bands[0]
    assert nearest_band(0.29, bands) is bands[1]
    assert nearest_band(0.99, bands) is bands[1]


def test_loans_with_the_same_pd_are_on_neither_side() -> None:
    """Many past loans may have one PD, of a model with few leaves: the application is not riskier than these."""
    tied = [0.1] * 30 + [0.2] * 41 + [0.3] * 30
    assert Rank.among(0.2, tied) == ("rank_riskier", 29)
    assert Rank.among(0.1, tied) == ("rank_safer", 70)
    assert Rank.among(0.3, tied) == ("rank_riskier", 70)
    assert Rank.among(0.5, [0.5] * 101) == ("rank_same", 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_band_is_said_to_hold_a_pd_that_it_does_not(language: str) -> None:
    """Beyond the bands and between them the nearest group is named as that."""
    texts, figures = texts_in(language), Figures(language, Points(600, 3, 20))
    bands = [Band(low=0.1, high=0.2, loans=50, bad=5), Band(low=0.3, high=0.4, loans=50, bad=0)]
    inside = texts.words["result.observed"].split("{")[0]
    for pd, holds in ((0.05, False), (0.1, True), (0.2, True), (0.25, False), (0.4, True), (0.5, False)):
        assert observed(pd, bands, texts, figures).startswith(inside) == holds


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_are_those_of_the_pd_shown(language: str) -> None:
    """Fewer than one, one, as many as the PD in tenths of a per cent, and never all of 1,000."""
    texts = texts_in(language)
    for pd, key in ((0.0004, "few"), (0.001, "one"), (0.0009, "one"), (0.9996, "most")):
        assert expected(pd, texts) == texts(f"result.expects_{key}")
    for pd in (0.0016, 0.1785, 0.17850001, 0.5, 0.9985):
        shown = float(f"{100 * pd:.1f}")
        assert expected(pd, texts) == texts("result.expects", people=round(10 * shown))


def test_figures_tell_apart_what_differs(scorer: Scorer) -> None:
    """A PD just beside a cut-off has as many decimals as it takes, and so have the cut-off and both points."""
    cut = 0.125
    for pd, shown, at in ((0.1249, "12.49", "12.50"), (0.12499999, "12.499999", "12.500000"), (cut, "12.5", "12.5")):
        figures = figures_for(scorer.release, "en", [pd, cut])
        assert (figures.pd(pd), figures.pd(cut)) == (f"{shown}\u202f%", f"{at}\u202f%")
        assert (figures.points(pd) == figures.points(cut)) == (pd == cut)
    figures = figures_for(scorer.release, "fr", [0.0000004, 0.9999])
    assert figures.pd(0.0000004) == "0,00004\u202f%"
    assert figures.pd(0.9999) == "99,9900\u202f%"
    assert write_share(0.0, "en") == "0.0\u202f%"
    assert write_share(0.99996, "en") == "99.996\u202f%"
    assert write_exact_percent(0.625, "en") == "62.5\u202f%"
    assert write_exact_percent(0.005, "fr") == "0,5\u202f%"
    assert write_exact_percent(0.02, "en") == "2\u202f%"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cut_off_beyond_certainty_is_not_shown(scorer: Scorer, score: Score, language: str) -> None:
    """Where no PD is high enough to decline, the reason of a referral names no upper limit."""
    texts = texts_in(language)
    high = score._replace(pd=0.8, decision="refer", break_even=0.9, refer_from=0.7, decline_from=1.1, unusual=())
    card = "".join(parsed(score_card(told(scorer, high), scorer.release, texts, LENDER)).itertext())
    figures = {"pd": write_percent(0.8, language), "refer_from": write_percent(0.7, language)}
    assert texts("reason.refer_open", **figures) in card
    assert "110" not in card


def test_scale_keeps_order_and_limits(scorer: Scorer) -> None:
    """Along the axis a higher PD never lies further left, and nothing lies off it."""
    scale = scale_of(scorer.release)
    places = [scale.x(pd) for pd in (1e-9, 0.01, 0.1, 0.5, 0.9, 1.0, 1.2)]
    assert places == sorted(places)
    assert all(0 <= x <= 100 for x in some(places))


def test_no_decline_where_a_guarantee_covers_nearly_all(scorer: Scorer) -> None:
    """A cut-off beyond certainty is not drawn, and the text says that no PD declines."""
    cuts = Cutoffs(0.9, 0.7, 1.1)
    figures = Figures("en", scorer.release.points)
    picture = draw(scorer.release, scale_for(scorer.release, cuts, 0.8), cuts, texts_in("en"), figures, 0.8)
    svg = render(picture, texts_in("en"))
    parsed(svg)
    assert "no PD is high enough" in svg
    assert ">Decline<" not in svg


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_moved_the_pd_is_told(scorer: Scorer, language: str) -> None:
    """Each field with an effect has a row with its factor, the strongest first; the others are named as without."""
    texts = texts_in(language)
    release = scorer.release
    fields = release.form.fields
    numbers = {one.name: one.usual[1] for one in fields if isinstance(one, NumberField)}
    choices = {one.name: one.answer(len(one.choices) - 1) for one in fields if isinstance(one, ChoiceField)}
    found = told(scorer, scorer.score({**numbers, **choices}))
    assert found.explanation
    card = parsed(score_card(found, release, texts, LENDER))
    table = next(one for one in card.iter("table") if one.get("class") == "effects")
    rows = ["".join(row.itertext()) for row in table.iter("tr")][1:]
    effects = sorted(zip(found.explanation.effects, release.form.fields, strict=True), key=lambda one: -abs(one[0]))
    moving = [(effect, field) for effect, field in effects if abs(effect) >= SMALLEST]
    assert len(rows) == len(moving) > 3
    for row, (effect, field) in zip(rows, moving, strict=True):
        factor = localised(f"{np.exp(effect):.2f}", language)
        assert row.startswith(field.label[language])
        assert row.endswith(texts("why.raises" if effect > 0 else "why.lowers", factor=factor))


def test_draft_reasons_are_for_what_is_no_approval(scorer: Scorer) -> None:
    """A score that refers has draft reasons to confirm; the same one as an approval has none."""
    texts = texts_in("en")
    found = told(scorer, scorer.score(scorer.release.form.example))
    for decision in ("refer", "decline"):
        card = score_card(found._replace(score=found.score._replace(decision=decision)), scorer.release, texts, LENDER)
        assert texts("why.draft") in card
        assert texts("why.confirm") in card or texts("why.no_reason") in card
        assert card.count("<ol>") == bool(found.principal)
    approval = score_card(found._replace(score=found.score._replace(decision="approve")), scorer.release, texts, LENDER)
    assert texts("why.draft") not in approval


def test_the_interval_of_a_rate() -> None:
    """Wilson's, by his formula's known values; it stays within 0 and 1."""
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == pytest.approx(1.0, abs=1e-12)
    assert wilson(1, 10) == pytest.approx((0.01788, 0.40415), abs=1e-4)
    assert wilson(65, 445) == pytest.approx((0.1163, 0.1819), abs=2e-4)


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_it_stands(scorer: Scorer, score: Score, language: str) -> None:
    """What is at stake, from amount and PD; and the rank among loans with the same answer, by the manifest."""
    texts = texts_in(language)
    card = "".join(parsed(score_card(told(scorer, score), scorer.release, texts, LENDER)).itertext())
    policy, application = scorer.release.policy, score.application
    exposure = policy.exposure(application)
    assert exposure is not None
    assert policy.amount_at is not None
    field = scorer.release.form.fields[policy.amount_at]
    assert field.show(round(score.pd * policy.lgd * exposure), language) in card
    by = population_of(scorer.release).by
    found = 0
    for name, groups in by.items():
        at = scorer.release.form.names.index(name)
        field = scorer.release.form.fields[at]
        assert isinstance(field, ChoiceField)
        group = groups.get(field.group_of(application.values[at]))
        if group:
            found += 1
            assert localised(f"{group.loans:,}", language) in card
    assert found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_says_what_its_release_is(scorer: Scorer, score: Score, language: str) -> None:
    """A draft, a demonstration and one that was replaced say so first; one in service says nothing."""
    texts, answer = texts_in(language), told(scorer, score)
    for state in STATES:
        card = parsed(score_card(answer._replace(state=state), scorer.release, texts, LENDER))
        notes = [part.text for part in card.iter("p") if part.get("class") == "not-in-service"]
        assert notes == ([] if state == IN_SERVICE else [texts(f"result.{state}")])
