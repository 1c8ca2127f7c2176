"""The engine gives what XGBoost gives, and the model behind it is monotone where its manifest says so."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from msgspec import structs
from parts import RealLoans, sampler

from inference.engines import ENGINES, TOLERANCE, Engine, OnnxEngine, XGBoostEngine, open_engine
from inference.errors import BadRelease, EngineUnavailable
from inference.fields import ChoiceField, NumberField
from inference.manifest import Golden
from inference.release import MODEL, ONNX, Release
from inference.scorer import Scorer
from models.export import as_onnx

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


@pytest.mark.slow
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
    assert (caught.value.expected, caught.value.actual) == (f"{len(release.rows.columns)} features", "3")


def test_what_xgboost_says_in_no_text_is_a_bad_release_too(release: Release) -> None:
    """A damaged name in a model comes back in XGBoost's message, which Python then cannot decode."""
    spoiled = release.model.replace(b"binary:logistic", b"binary:\xfflogisti")
    assert spoiled != release.model
    with pytest.raises(BadRelease) as caught:
        XGBoostEngine(replace(release, model=spoiled))
    assert caught.value.file.endswith(MODEL)


def test_golden_applications_that_are_none_are_a_bad_release(release: Release) -> None:
    """Answers that the form refuses, or that are missing. What is no application at all does not open: test_release."""
    first, *others = release.manifest.golden
    for answers in ({}, {**first.answers, "amount": -1}, {**first.answers, "amount": [1]}):
        golden = (Golden(answers=answers, pd=first.pd), *others)
        with pytest.raises(BadRelease):
            open_engine("xgboost", replace(release, manifest=structs.replace(release.manifest, golden=golden)))


# --- the other engines, beside XGBoost ---

OTHERS = [name for name in ENGINES if name != "xgboost"]


@pytest.fixture(scope="session", params=OTHERS)
def other(request: pytest.FixtureRequest, release: Release) -> Engine:
    """Each engine that is not the reference; opening it has already compared the golden PDs."""
    return open_engine(request.param, release)


def at_thresholds(release: Release, engine: XGBoostEngine) -> Any:
    """The example's row with one feature moved onto each split threshold of the model, and one ulp to either side."""
    trees = engine.classifier.get_booster().trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    pairs = {(int(name[1:]), np.float32(at)) for name, at in zip(splits["Feature"], splits["Split"], strict=True)}
    feature, threshold = (np.array(part) for part in zip(*sorted(pairs), strict=True))
    low, high = (np.nextafter(threshold, np.float32(side)) for side in (-np.inf, np.inf))
    rows = np.repeat(release.rows.fill(release.form.parse(release.form.example)), 3 * len(pairs), axis=0)
    rows[np.arange(len(rows)), np.tile(feature, 3)] = np.concatenate([threshold, low, high])
    return rows


@pytest.mark.slow
def test_engines_agree_at_every_threshold(
    release: Release, engine: XGBoostEngine, other: Engine, record_property: Any
) -> None:
    """On every split threshold of the model and one ulp to either side: within 1e-6 of XGBoost."""
    rows = at_thresholds(release, engine)
    np.testing.assert_allclose(other.predict_proba(rows), engine.predict_proba(rows), rtol=0, atol=TOLERANCE)
    record_property(f"rows at thresholds, {other.name} against xgboost", len(rows))


@pytest.mark.slow
def test_engines_agree_on_odd_rows(release: Release, engine: XGBoostEngine, other: Engine) -> None:
    """Zeros, denormals, the largest floats and random rows of all magnitudes: within 1e-6 of XGBoost."""
    random = np.random.default_rng(5)
    n = len(release.rows.columns)
    ends = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 3.4e38, -3.4e38]
    rows = np.vstack(
        [
            np.outer(ends, np.ones(n)),
            random.choice([-1, 1], (5000, n)) * 10.0 ** random.uniform(-12, 12, (5000, n)),
            random.choice(ends, (1000, n)),
        ]
    ).astype(np.float32)
    np.testing.assert_allclose(other.predict_proba(rows), engine.predict_proba(rows), rtol=0, atol=TOLERANCE)


@pytest.mark.slow
def test_engines_score_real_loans_alike(scorer: Scorer, real: RealLoans, other: Engine, record_property: Any) -> None:
    """Real loans: PDs within 1e-6 of XGBoost's, and another decision only that close to a cut-off."""
    there = Scorer(scorer.release, other, process=sampler())
    for at in range(len(real.loans)):
        one, two = scorer.score(real.answers(at)), there.score(real.answers(at))
        assert two.engine == other.name
        assert abs(one.pd - two.pd) <= TOLERANCE
        nearest = min(abs(one.pd - one.refer_from), abs(one.pd - one.decline_from))
        assert one.decision == two.decision or nearest <= TOLERANCE
    record_property(f"real loans scored by {other.name} and xgboost", len(real.loans))


@pytest.mark.slow
def test_an_engine_predicts_a_batch_as_its_rows(release: Release, real: RealLoans, other: Engine) -> None:
    """Many at once are what each is by itself, within 1e-6, as float32 of shape (m,)."""
    rows = real_rows(release, real)[:300]
    singles = np.concatenate([other.predict_proba(rows[at : at + 1]) for at in range(len(rows))])
    together = other.predict_proba(rows)
    assert (together.dtype, together.shape) == (np.dtype(np.float32), (300,))
    np.testing.assert_allclose(together, singles, rtol=0, atol=TOLERANCE)


@pytest.mark.slow
def test_threads_share_an_engine(release: Release, real: RealLoans, other: Engine) -> None:
    """8 threads on one engine get exactly what one thread gets."""
    rows = real_rows(release, real)[:400]
    serial = [float(other.predict_proba(rows[at : at + 1])[0]) for at in range(len(rows))]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            together = list(pool.map(lambda at: float(other.predict_proba(rows[at : at + 1])[0]), range(len(rows))))
            assert together == serial


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_that_is_off_is_refused(release: Release, name: str) -> None:
    """An engine must give the release's golden PDs within 1e-6, else it is refused with the difference."""
    golden = tuple(Golden(answers=one.answers, pd=one.pd + 5e-6) for one in release.manifest.golden)
    with pytest.raises(EngineUnavailable, match=rf"{name} is refused.*off by [45]\.?\d*e-06"):
        open_engine(name, replace(release, manifest=structs.replace(release.manifest, golden=golden)))


def test_onnx_needs_the_releases_own_model(release: Release) -> None:
    """A release without model.onnx, or with one that is broken or of other features, does not open with onnx."""
    with pytest.raises(EngineUnavailable, match=r"no model\.onnx.*make train"):
        OnnxEngine(replace(release, onnx=None))
    small = xgboost.XGBClassifier(n_estimators=1, n_jobs=1).fit(np.eye(4, 3, dtype=np.float32), [0, 1, 0, 1])
    for model in (b"", b"no model", as_onnx(small)):
        with pytest.raises(BadRelease) as caught:
            OnnxEngine(replace(release, onnx=model))
        assert caught.value.file.endswith(ONNX)


@pytest.mark.slow
def test_the_onnx_model_is_an_export_of_the_model(release: Release, engine: XGBoostEngine) -> None:
    """model.onnx is, byte for byte, what exporting the release's model gives."""
    assert release.onnx == as_onnx(engine.classifier)


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("onedal", "daal4py")])
def test_a_missing_package_is_told_with_the_command(
    release: Release, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine whose package is not installed is refused, with what to run."""
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed: import raises ImportError
    with pytest.raises(EngineUnavailable, match=rf"engine {name} is not installed.*\[engines\]"):
        open_engine(name, release)


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


@pytest.mark.slow
def test_a_constrained_column_moves_the_pd_one_way(scorer: Scorer, real: RealLoans) -> None:
    """In every release, a constrained column moved by itself in real rows moves p its way or not at all."""
    release, engine = scorer.release, scorer.engine
    rows = real_rows(release, real)[:: len(real.loans) // APPLICANTS][:APPLICANTS]
    before = engine.predict_proba(rows)
    constrained = [column for column in release.manifest.columns if column.monotone]
    assert constrained
    moved = 0
    for column in constrained:
        for quantile in (0.0, 0.5, 1.0):
            changed = rows.copy()
            changed[:, column.index] = np.quantile(rows[:, column.index], quantile, method="inverted_cdf")
            raised = np.sign(changed[:, column.index] - rows[:, column.index])
            step = (engine.predict_proba(changed) - before) * raised * column.monotone
            assert (step >= 0).all(), column.name
            moved += int((step > 0).sum())
    assert moved > APPLICANTS
