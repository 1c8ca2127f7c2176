"""The engine gives what XGBoost gives, and the model behind it is monotone where its manifest says so."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from parts import RealLoans

from inference.engines import XGBoostEngine, open_engine
from inference.errors import BadRelease, EngineUnavailable
from inference.fields import ChoiceField, NumberField
from inference.release import MODEL, Release
from inference.scorer import Scorer

APPLICANTS, STEPS = 250, 12
# What an analyst expects of a release's fields: +1 never lowers the PD, -1 never raises it.
EXPECTED = {
    "consumer": {
        "amount": +1, "price": -1, "income": -1, "expenses": +1, "assets": -1, "seniority": -1, "prior_record": +1
    }
}  # fmt: skip


def real_rows(release: Release, real: RealLoans) -> Any:
    return release.rows.build(release.form.encode(real.loans.answers))


# --- against XGBoost itself ---


def test_xgboosts_classifier_is_the_oracle(release: Release, engine: XGBoostEngine, real: RealLoans) -> None:
    """One row at a time and all at once give exactly what a fresh XGBClassifier reads from the release's file."""
    oracle = xgboost.XGBClassifier(n_jobs=1)
    oracle.load_model(release.folder / MODEL)
    rows = real_rows(release, real)
    expected = oracle.predict_proba(rows)[:, 1]
    assert engine.predict_proba(rows).tobytes() == expected.tobytes()
    singles = np.concatenate([engine.predict_proba(rows[at : at + 1]) for at in range(500)])
    assert singles.tobytes() == expected[:500].tobytes()


def test_an_engine_returns_one_probability_a_row(release: Release, engine: XGBoostEngine, real: RealLoans) -> None:
    """(m, n_features) rows give (m,) probabilities of default, and do not change."""
    rows = real_rows(release, real)
    before = rows.tobytes()
    p = engine.predict_proba(rows)
    assert p.shape == (len(rows),)
    assert ((p > 0) & (p < 1)).all()
    assert rows.tobytes() == before
    assert p[real.loans.bad == 1].mean() > p[real.loans.bad == 0].mean()


def test_an_engine_predicts_with_one_thread(engine: XGBoostEngine) -> None:
    """The number of threads is set when the model is opened."""
    assert json.loads(engine.classifier.get_booster().save_config())["learner"]["generic_param"]["nthread"] == "1"


def test_the_model_opened_is_the_bytes_that_were_checked(release: Release, real: RealLoans) -> None:
    """The engine reads the release's verified bytes, never the file again."""
    elsewhere = replace(release, folder=release.folder / "gone")
    assert XGBoostEngine(elsewhere).predict_proba(real_rows(release, real)[:1]).shape == (1,)


def test_an_unknown_engine_is_refused(release: Release) -> None:
    """An engine that is not known is named, with the setting and what it takes."""
    with pytest.raises(EngineUnavailable, match=r"'lightgbm'.*TENFOLD_ENGINE.*xgboost"):
        open_engine("lightgbm", release)


@pytest.mark.parametrize("model", [b"{}", b"no model", b'{"learner": 1}'])
def test_a_model_that_xgboost_cannot_read_is_a_bad_release(release: Release, model: bytes) -> None:
    """Bytes that are no model are refused by the file's name."""
    with pytest.raises(BadRelease) as caught:
        XGBoostEngine(replace(release, model=model))
    assert caught.value.file.endswith(MODEL)


def test_a_model_of_other_features_is_a_bad_release(release: Release) -> None:
    """A model with fewer features than the release has columns is refused, with both numbers."""
    rows = np.eye(4, 3, dtype=np.float32)
    small = xgboost.XGBClassifier(n_estimators=1, n_jobs=1).fit(rows, [0, 1, 0, 1])
    with pytest.raises(BadRelease) as caught:
        XGBoostEngine(replace(release, model=bytes(small.get_booster().save_raw("ubj"))))
    assert (caught.value.expected, caught.value.found) == (f"{len(release.rows.columns)} features", "3")


# --- monotone ---


def sweeps(release: Release, real: RealLoans, name: str) -> Any:
    """Encoded answers (APPLICANTS, steps, n_fields): real applicants with one field moved over all it accepts."""
    at = release.form.names.index(name)
    field = release.form.fields[at]
    if isinstance(field, NumberField):
        low, high = field.usual
        steps = np.unique([field.minimum, *np.linspace(low, high, STEPS - 2), field.maximum])
        steps = np.unique(np.round(steps)) if field.whole else steps
    else:
        assert isinstance(field, ChoiceField)
        steps = np.arange(len(field.choices), dtype=float)[:STEPS]
    chosen = np.random.default_rng(3).permutation(len(real.loans))[:APPLICANTS]
    values = np.repeat(release.form.encode(real.loans.answers)[chosen, None], len(steps), axis=1)
    values[:, :, at] = steps
    return values


@pytest.mark.parametrize(
    ("folder", "name", "sign"),
    [(source, name, sign) for source, fields in EXPECTED.items() for name, sign in fields.items()],
    indirect=["folder"],
)
def test_a_field_moves_the_pd_one_way(scorer: Scorer, real: RealLoans, name: str, sign: int) -> None:
    """Over 250 real applicants: more income, assets, years or price never raises the PD; more debt never lowers it."""
    values = sweeps(scorer.release, real, name)
    pds = scorer.pds(values.reshape(-1, values.shape[-1])).reshape(values.shape[:2])
    steps = np.diff(pds, axis=1) * sign
    assert (steps >= 0).all()
    assert (steps > 0).any(axis=1).mean() > 0.5  # and it does move


def test_a_constrained_column_moves_the_pd_one_way(scorer: Scorer, real: RealLoans) -> None:
    """In every release, a constrained column moved by itself in real rows moves p its way or not at all."""
    release, engine = scorer.release, scorer.engine
    rows = real_rows(release, real)[:: len(real.loans) // APPLICANTS][:APPLICANTS]
    before = engine.predict_proba(rows)
    constrained = [column for column in release.manifest["columns"] if column["monotone"]]
    assert constrained
    moved = 0
    for column in constrained:
        for quantile in (0.0, 0.5, 1.0):
            changed = rows.copy()
            changed[:, column["index"]] = np.quantile(rows[:, column["index"]], quantile, method="inverted_cdf")
            raised = np.sign(changed[:, column["index"]] - rows[:, column["index"]])
            step = (engine.predict_proba(changed) - before) * raised * column["monotone"]
            assert (step >= 0).all(), column["name"]
            moved += int((step > 0).sum())
    assert moved > APPLICANTS
