"""The rival: a scorecard with monotone bins, better than the one of eight quantiles that stood there before."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from parts import choice, form_of, number
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from inference.blocks import features_from_json
from inference.rows import RowBuilder
from models.evaluation import plain_features
from models.metrics import Floats, Labels
from models.recipes.consumer import RECIPE
from models.scorecard import Scorecard, ratios
from models.train import folds, prepared

RANDOM = np.random.default_rng(3)
LOANS = 4000


def drawn(risk: Floats) -> Labels:
    """Bad with these probabilities."""
    return (RANDOM.random(len(risk)) < risk).astype(np.int8)


@pytest.mark.slow
def test_it_beats_the_scorecard_of_eight_quantiles(record_property: Any) -> None:
    """On the real consumer loans, same folds."""
    _, form, _, sample = prepared(RECIPE)
    plain = RowBuilder(form, plain_features(RECIPE))
    rows = plain.build(sample.values)
    well_made, quantiles = np.empty(len(sample.bad)), np.empty(len(sample.bad))
    for seen, unseen in folds(sample, 0):
        card = Scorecard(form, RECIPE.features).fit(sample.values[seen], sample.bad[seen])
        well_made[unseen] = card.pds(sample.values[unseen])
        old = eight_quantiles(plain.columns, form.names).fit(rows[seen], sample.bad[seen])
        quantiles[unseen] = old.predict_proba(rows[unseen])[:, 1]
    found, before = (float(roc_auc_score(sample.bad, p)) for p in (well_made, quantiles))
    record_property("AUC of the scorecard, and of eight quantiles", f"{found:.4f} and {before:.4f}")
    assert found > before + 0.003
    assert len(np.unique(well_made)) > 1000


def eight_quantiles(columns: tuple[str, ...], numbers: tuple[str, ...]) -> Any:
    """The former scorecard: numbers in eight bins of equal size, one weight a bin, logistic."""
    warnings.filterwarnings("ignore", "Bins whose width are too small", UserWarning)
    at = [at for at, name in enumerate(columns) if name in numbers]
    bins = KBinsDiscretizer(
        8, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf", random_state=0
    )
    return make_pipeline(
        ColumnTransformer([("bins", bins, at)], remainder="passthrough"), LogisticRegression(C=1.0, max_iter=500)
    )


@pytest.mark.slow
def test_bins_are_monotone() -> None:
    """The PD falls or stays as income rises, although the loans drawn have dips."""
    form = form_of(number("income", 0, 1000))
    income = RANDOM.uniform(0, 1000, LOANS)
    card = Scorecard(form).fit(income[:, None], drawn(0.4 - 0.0003 * income + 0.05 * np.sin(income / 40)))
    curve = card.pds(np.linspace(0, 1000, 501)[:, None])
    assert (np.diff(curve) <= 0).all()
    assert len(np.unique(curve)) >= 4


@pytest.mark.slow
def test_special_codes_and_not_stated_have_bins_of_their_own() -> None:
    """98 means "refused" and is no large number; nobody's answer is taken for an average one."""
    form = form_of(number("late", 0, 98, optional=True))
    late = RANDOM.integers(0, 12, LOANS).astype(np.float64)
    risk = 0.05 + 0.03 * late
    late[:400], risk[:400] = 98, 0.02
    late[400:800], risk[400:800] = np.nan, 0.7
    bad, values = drawn(risk), late[:, None]
    told = Scorecard(form, special={"late": [98.0]}).fit(values, bad)
    asked = np.array([[98.0], [np.nan], [11.0], [0.0]])
    refused, not_stated, often, never = told.pds(asked)
    assert refused == pytest.approx(bad[:400].mean(), abs=0.02)
    assert not_stated == pytest.approx(bad[400:800].mean(), abs=0.05)
    assert never < 0.12 < 0.25 < often < not_stated
    untold = Scorecard(form).fit(values, bad)
    assert roc_auc_score(bad, told.pds(values)) > roc_auc_score(bad, untold.pds(values)) + 0.01


@pytest.mark.slow
def test_choices_have_bins_and_unknown_ones_are_average() -> None:
    """A choice that no training loan gave is scored, between the others."""
    form = form_of(choice("home", "owner", "rent", "boat"))
    home = RANDOM.integers(0, 2, LOANS).astype(np.float64)
    card = Scorecard(form).fit(home[:, None], drawn(np.where(home == 0, 0.1, 0.5)))
    owner, rent, boat = card.pds(np.array([[0.0], [1.0], [2.0]]))
    assert owner < boat < rent


def test_ratios_of_answers_are_found_and_those_of_history_are_not() -> None:
    """Also a ratio of a ratio; "not stated" in any of its fields makes it not stated."""
    form = form_of(number("amount"), number("term", 1), number("income", optional=True), choice("job", "a", "b"))
    steps = [
        ["instalment", "amount", "/", "term"],
        ["burden", "instalment", "/", "income"],
        ["to_industry", "amount", "/", "naics.amount12"],
        ["beyond", "to_industry", "*", "term"],
    ]
    arithmetic = features_from_json([{"kind": "arithmetic", "columns": steps}])
    found = ratios(form, [*features_from_json([{"kind": "numbers", "of": ["amount"]}]), *arithmetic])
    assert {name: fields for name, (_, fields) in found.items()} == {
        "instalment": ("amount", "term"),
        "burden": ("amount", "term", "income"),
    }
    values: npt.NDArray[np.float64] = np.array([[120.0, 12.0, 40.0, 0.0], [120.0, 12.0, np.nan, 1.0]])
    frame = Scorecard(form, arithmetic)._frame(values)
    assert frame["instalment"].tolist() == [10.0, 10.0]
    assert frame["burden"][0] == 0.25
    assert np.isnan(frame["burden"][1])
    assert frame["job"].tolist() == ["a", "b"]
