"""Effects in forms with many fields and features made of several answers: estimated, and no reasons drawn."""

from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lenders import MODEL, written
from parts import sampler, some
from test_tree_reasons import FIELDS, fields, loans

from inference.application import Application
from inference.calibration import logit
from inference.engines import XGBoostEngine, open_engine
from inference.policy import DECLINE
from inference.reasons import MOST_FIELDS, Explanation, Reasons
from inference.release import Release
from inference.sampled_reasons import estimate
from inference.scorer import Scorer
from models.own_loans import train_file
from models.recipe_file import read_recipe
from models.toml_file import BadFile
from web.cards.score_card import score_card
from web.lender import read_lender
from web.pages.texts import texts_in
from web.recording import ScoredAnswer

RATIO = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["ratio", "x0", "/", "x1"]]\n'
CHOSEN = 'reasons = "estimated"\n'


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Any]:
    """A release with twenty fields and a ratio of two of them, and the encoded answers of its loans."""
    folder = tmp_path_factory.mktemp("wide")
    made = train_file(written(folder, loans(), fields=fields(), model=MODEL + CHOSEN, more=RATIO), folder / "out")
    return made.release, made.trained.sample.values


def moved(release: Release, answers: Any) -> int:
    reference = np.array(release.form.reference.values)
    return int((~((answers == reference) | (np.isnan(answers) & np.isnan(reference)))).sum())


@pytest.mark.slow
def test_estimates_are_near_all_coalitions(wide: tuple[Release, Any]) -> None:
    """Of twelve answers that differ: within four standard errors of the exact effects, which coalitions give."""
    release, values = wide
    reasons = Reasons(release, XGBoostEngine(release))
    reference = np.array(release.form.reference.values)
    chance = np.random.default_rng(1)
    beyond, compared = 0, 0
    for answers in some(values[:10]):
        mixed = reference.copy()
        chosen = chance.permutation(FIELDS)[:12]
        mixed[chosen] = answers[chosen]
        exact = reasons.explain(Application(tuple(mixed.tolist())))
        assert exact.is_exact
        differing = [
            at for at in range(FIELDS) if mixed[at] != reference[at] and not (mixed[at] != mixed[at] and at == 3)
        ]
        effects, errors = estimate(reference, mixed, differing, reasons._log_odds)
        gap = np.abs(effects - np.array(exact.effects))[differing]
        assert (gap < 0.1).all()
        beyond += int((gap > 4 * errors[differing] + 1e-5).sum())
        compared += len(differing)
    assert compared > 80
    assert beyond <= 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["xgboost", "bins"])
def test_many_applications_as_each_alone(wide: tuple[Release, Any], engine: str) -> None:
    """In a file as in a form: the same effects, estimated or exact, and no reasons where they are estimated."""
    release, values = wide
    reasons = Reasons(release, open_engine(engine, release))
    answers = values[:12].copy()
    answers[::2, 8:] = np.array(release.form.reference.values)[8:]  # at most eight differ: exact
    alone = [reasons.explain(Application(tuple(row))) for row in answers.tolist()]
    assert {explained.is_exact for explained in alone} == {True, False}
    assert reasons.effects_of_many(answers).tolist() == [list(explained.effects) for explained in alone]
    principal = [
        reasons.principal(explained, Application(tuple(row)))
        for explained, row in zip(alone, answers.tolist(), strict=True)
    ]
    assert reasons.principal_of_many(answers) == principal
    assert any(principal[::2])


@pytest.mark.slow
def test_many_answers_are_estimated_and_give_no_reasons(wide: tuple[Release, Any]) -> None:
    """More than sixteen that differ: errors beside the effects, an exact sum, the same again, nothing for a notice."""
    release, values = wide
    reasons = Reasons(release, XGBoostEngine(release))
    tried = 0
    for answers in some(values[:30]):
        application = Application(tuple(answers.tolist()))
        explained = reasons.explain(application)
        assert explained.is_exact == (moved(release, answers) <= MOST_FIELDS)
        step = logit(np.array([explained.pd, explained.reference_pd]))
        assert sum(explained.effects) == pytest.approx(step[0] - step[1], abs=1e-5)
        if explained.is_exact:
            continue
        tried += 1
        assert len(explained.errors) == FIELDS
        assert max(explained.errors) > 0
        assert reasons.principal(explained, application) == []
        assert reasons.explain(application) == explained
    assert tried > 15


def test_what_adds_up_has_no_error() -> None:
    """Where every answer adds its own number, each order gives the same: by hand."""
    weights = np.array([1.0, -2.0, 0.5, 0.0])
    effects, errors = estimate(np.zeros(4), np.array([1.0, 1.0, 4.0, 0.0]), [0, 1, 2], lambda rows: rows @ weights)
    assert effects.tolist() == pytest.approx([1.0, -2.0, 2.0, 0.0])
    assert errors.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-12)


def test_two_that_only_work_together_share() -> None:
    """A product of two answers: a half each, and an order gives all of it to the one that comes last."""
    effects, errors = estimate(np.zeros(3), np.ones(3), [0, 1, 2], lambda rows: rows[:, 0] * rows[:, 1])
    assert effects.tolist() == pytest.approx([0.5, 0.5, 0.0])  # forwards and backwards, so exactly
    assert errors.tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_card_shows_the_intervals_and_no_reason(wide: tuple[Release, Any], language: str) -> None:
    """A decline whose effects are estimates: each factor with its interval, why, and no proposed reasons."""
    release, values = wide
    scorer = Scorer(release, XGBoostEngine(release), process=sampler())
    reasons, texts = Reasons(release, scorer.engine), texts_in(language)
    shown = 0
    for answers in some(values[:200]):
        application = Application(tuple(answers.tolist()))
        score = scorer.score(release.form.answers(application))
        explained: Explanation = reasons.explain(application)
        if score.decision != DECLINE or explained.is_exact:
            continue
        answer = ScoredAnswer(score, None, explained, reasons.principal(explained, application))
        html = unescape(str(score_card(answer, release, texts, read_lender(None))))
        assert texts("why.estimated") in html
        assert texts("why.draft") not in html
        assert texts("why.no_reason") not in html
        assert html.count("–") > 10
        shown += 1
        if shown == 3:
            break
    assert shown == 3


@pytest.mark.slow
def test_the_model_card_says_how_often(wide: tuple[Release, Any]) -> None:
    """How many declines have no reason to name, since their effects are estimates."""
    card = (wide[0].folder / "MODEL_CARD.md").read_text("utf-8")
    assert "their effects are estimates, shown with intervals, and no reason is drawn from them" in card


def test_a_recipe_has_to_choose_it(tmp_path: Path) -> None:
    """Without a word in the recipe such features are refused, with what the word would mean."""
    some_loans = loans(10)
    with pytest.raises(BadFile, match=r'line \d+: features: .*model\.reasons = "estimated".*no notice names reasons'):
        read_recipe(written(tmp_path, some_loans, fields=fields(), more=RATIO))
    assert read_recipe(written(tmp_path, some_loans, fields=fields(), model=MODEL + CHOSEN, more=RATIO)).features
    wrong = MODEL + 'reasons = "guessed"\n'
    with pytest.raises(BadFile, match=r"model\.reasons: exact or estimated is needed, got 'guessed'"):
        read_recipe(written(tmp_path, some_loans, fields=fields(), model=wrong, more=RATIO))
