"""The card of a score, and the card shown before the first score. Pure functions.

The other states are in problem_card.py and notice_card.py.
"""

from dataclasses import dataclass
from typing import ClassVar

import orjson
from markupsafe import Markup

from inference.number_format import write_number
from inference.release import Release
from inference.scorer import Score
from web.cards.comparison import AmongTheSame, Stake, among_the_same, at_stake, in_words, nearest_band
from web.cards.questions import AskedQuestions, asked_questions
from web.cards.reasons import WhatMoved, what_moved
from web.cards.rulings import OfferView, RulingView, offer_view, ruling_view
from web.cards.scale import loans, scale_for
from web.cards.scale_picture import ScalePicture, describe, draw
from web.cards.suggestion import PolicyRow, SuggestionReason, policy_rows, reason
from web.lender import Lender
from web.pages.figures import figures_for
from web.pages.templates import View, render
from web.pages.texts import Texts
from web.recording import ScoredAnswer
from web.service_state import IN_SERVICE


@dataclass(frozen=True)
class ScoreCard:
    """The suggestion with its figures and reason, what moved the PD, the form for a decision, and the record."""

    template: ClassVar[str] = "cards/score.html"
    state: ClassVar[str] = "score"
    title: str
    questions: AskedQuestions | None  # about answers that are odd together
    decision: str  # approve, refer or decline: the outcome with the lender's rules
    suggestion: str  # in words
    pd: str
    points: str
    announced: str  # for screen readers
    answers: str  # JSON
    scale: ScalePicture
    sentences: tuple[str, ...]
    stake: Stake | None
    offer: OfferView | None  # the lender's grade and the instalment
    among: AmongTheSame | None
    ruling: RulingView | None  # what the lender's rules say
    reason: SuggestionReason
    moved: WhatMoved | None
    deciding: View | None
    policy: tuple[PolicyRow, ...]
    source: str
    not_in_service: str  # what the release is, if it does not serve for decisions


@dataclass(frozen=True)
class IntroCard:
    """What a card will show, and the cut-offs, which are known before any score."""

    template: ClassVar[str] = "cards/intro.html"
    state: ClassVar[str] = "intro"
    parts: tuple[tuple[str, str], ...]  # name, what it says
    scale: ScalePicture
    description: str  # the picture in sentences


def score_card(
    answer: ScoredAnswer, release: Release, texts: Texts, lender: Lender, deciding: View | None = None
) -> Markup:
    """The card of a score; `deciding` is the form for a decision, if the score is recorded."""
    score, seq, explanation, principal = answer[:4]
    cuts = score.cutoffs
    figures, scale = (
        figures_for(release, texts.language, pds_to_distinguish(score, release)),
        scale_for(release, cuts, score.pd),
    )
    outcome, ruling = answer.outcome, answer.ruling
    suggestion, pd, points = texts(f"decision.{outcome}"), figures.pd(score.pd), figures.points(score.pd)
    announced = "result.announce" if outcome == score.decision else "result.announce_outcome"
    source = texts("result.made", release=release.name, date=release.manifest.date, id=score.request_id)
    if seq is not None:
        source += " " + texts("result.recorded", seq=write_number(seq, texts.language))
    moved = None
    if explanation is not None:
        moved = what_moved(explanation, principal or [], outcome, score.application, release, texts, lender)
    view = ScoreCard(
        title=texts("result.title" if outcome == score.decision else "result.title_outcome"),
        questions=asked_questions(answer, release, texts, lender),
        decision=outcome,
        suggestion=suggestion,
        pd=pd,
        points=points,
        announced=texts(
            announced, decision=texts(f"decision.{score.decision}"), outcome=suggestion, pd=pd, points=points
        ),
        answers=orjson.dumps(release.form.answers(score.application)).decode(),
        scale=draw(release, scale, cuts, texts, figures, score.pd),
        sentences=tuple(in_words(score, release, texts, figures)),
        stake=at_stake(score, release, texts),
        offer=offer_view(ruling, release, texts),
        among=among_the_same(score, scale, release, texts),
        ruling=ruling_view(ruling, score.decision, release, texts, lender),
        reason=reason(score, cuts, release, texts, figures),
        moved=moved,
        deciding=deciding,
        policy=policy_rows(cuts, texts, figures),
        source=source,
        not_in_service="" if answer.state in ("", IN_SERVICE) else texts(f"result.{answer.state}"),
    )
    return render(view, texts)


def intro_card(release: Release, texts: Texts) -> Markup:
    """The card before the first score."""
    return render(intro(release, texts), texts)


def intro(release: Release, texts: Texts) -> IntroCard:
    """What a card will show, and the cut-offs, which are known before any score."""
    cuts = release.policy.cutoffs(release.form.parse(release.form.example))
    figures = figures_for(release, texts.language, [cuts.refer_from, cuts.decline_from])
    names = ["decision", "pd"] if release.manifest.population is None else ["decision", "pd", "rank"]
    known = loans(release, texts)
    return IntroCard(
        parts=tuple((texts(f"intro.{name}"), texts(f"intro.{name}_text", loans=known)) for name in names),
        scale=draw(release, scale_for(release, cuts, None), cuts, texts, figures, None),
        description=" ".join(describe(release, cuts, texts, figures, None)),
    )


def pds_to_distinguish(score: Score, release: Release) -> list[float]:
    """The PDs that must look different on a card unless they are equal: the PD, the cut-offs, and the nearest end of a
    band that does not contain the PD."""
    pds = [score.pd, score.refer_from, score.decline_from]
    population = release.manifest.population
    if population is not None and population.bands:
        band = nearest_band(score.pd, population.bands)
        if not band.low <= score.pd <= band.high:
            pds.append(min(band.low, band.high, key=lambda end: abs(end - score.pd)))
    return pds
