"""What a release is compared with, and how well the ends of its PDs are calibrated: report, manifest and model card."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from inference.intervals import wilson
from models.evaluation import FREE, RELEASE, SCORECARD, Report, Result, report
from models.export import export
from models.model_card.card import card_files
from models.recipes.consumer import RECIPE
from models.stability import of_trained
from models.train import Trained, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained() -> Trained:
    """The consumer recipe on a few loans, with few trees, judged by one repeat of the folds."""
    loans = RECIPE.load()
    few = loans.where(np.arange(len(loans)) % 6 == 0)
    found = train(replace(RECIPE, parameters={**RECIPE.parameters, "n_estimators": 30}), few)
    return replace(found, unseen=found.unseen[:1])


@pytest.fixture(scope="module")
def found(trained: Trained) -> Report:
    return report(trained)


def test_rivals_see_the_same_loans_and_are_calibrated(trained: Trained, found: Report) -> None:
    """The release, the same without constraints, and the scorecard: all loans once, mean PD as observed."""
    assert [row["model"] for row in found.rows] == [RELEASE, FREE, SCORECARD]
    assert {row["sample"] for row in found.rows} == {"1 × 5 folds"}
    assert {row["loans"] for row in found.rows} == {len(trained.sample.bad)}
    for row in found.rows[1:]:
        assert row["mean_pd"] == pytest.approx(trained.sample.bad.mean(), abs=1e-4)
        assert 0.7 < row["auc"] < 0.95
    assert len({row["auc"] for row in found.rows}) == 3


def test_the_ends_are_told_in_manifest_and_card(trained: Trained, found: Report, tmp_path: Path) -> None:
    """Every row has its lowest and highest tenth; the card shows the same table, and says who the rivals are."""
    metrics = {**found.metrics, "stability": of_trained(trained)}
    release = export(trained, metrics, tmp_path, partial(card_files, trained=trained, report=found))
    table = json.loads((release.folder / "manifest.json").read_bytes())["training"]["metrics"]["table"]
    assert len(table) == 3
    for row in table:
        lowest, highest = row["tenths"]["lowest"], row["tenths"]["highest"]
        assert lowest["mean_pd"] < row["mean_pd"] < highest["mean_pd"]
        for end in (lowest, highest):
            assert end["interval"][0] <= end["bad_rate"] <= end["interval"][1]
    card = (release.folder / "MODEL_CARD.md").read_text("utf-8")
    assert Report([], table).tenths() in card
    assert f"“{SCORECARD}” is" in card
    assert f"“{FREE}” shows" in card


def test_tenths_count_each_loan_once() -> None:
    """5 bad among the 100 loans of the lowest tenth: the interval of 100 loans, although there are two repeats."""
    pd = np.linspace(0.001, 0.999, 1000)
    bad = (np.arange(1000) >= 500).astype(np.int8)
    bad[:5] = 1
    tenths = Result("m", "s", bad, [pd, pd]).tenths
    assert tenths["lowest"]["bad_rate"] == pytest.approx(0.05)
    assert tenths["lowest"]["interval"] == pytest.approx([0.0215, 0.1118], abs=0.0001)
    assert tenths["lowest"]["mean_pd"] == pytest.approx(pd[:100].mean())
    assert tenths["highest"]["bad_rate"] == 1.0
    assert tenths["highest"]["interval"] == pytest.approx([0.9630, 1.0], abs=0.0001)


def test_no_loans_have_no_rate() -> None:
    """NaN, and no division by zero."""
    assert np.isnan(wilson(0, 0)).all()
