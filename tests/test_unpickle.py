"""Pickles of strangers: none runs here, and whatever one does in its process becomes a clear error."""

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from adoptable import classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from xgboost import XGBClassifier, XGBRanker, XGBRegressor

from models.adoption.unpickle import BadPickle, PickleRefused, booster_of, convert, probabilities, taken_apart

pytestmark = pytest.mark.slow  # classifiers are trained

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(600, 5)).astype(np.float32)
Y = (X[:, 0] + RANDOM.normal(size=600) > 0).astype(int)
ROWS = X[:50]


class Calls:
    """Its pickle calls a function when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


@pytest.fixture(scope="module")
def stopped() -> XGBClassifier:
    """A classifier that stopped early, some rounds after its best one."""
    model = classifier(n_estimators=100, early_stopping_rounds=5)
    model.fit(X[:400], Y[:400], eval_set=[(X[400:], Y[400:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds() < 100
    return model


def read(booster: Any) -> XGBClassifier:
    """The booster as a release's engine reads it."""
    model = XGBClassifier(n_jobs=1)
    model.load_model(booster.save_raw("ubj"))
    return model


def test_a_pickle_is_converted_in_a_child(stopped: XGBClassifier, tmp_path: Path) -> None:
    """Compressed by joblib: the native model predicts what the pickled one does, to the bit, and says whence."""
    joblib.dump(stopped, tmp_path / "model.pkl", compress=3)
    expected = stopped.predict_proba(ROWS)[:, 1]
    found = convert((tmp_path / "model.pkl").read_bytes(), ROWS, 60)
    booster = xgboost.Booster(model_file=bytearray(found.model))
    assert found.probabilities is not None
    assert found.probabilities.tobytes() == expected.tobytes()
    assert booster.inplace_predict(ROWS).tobytes() == expected.tobytes()
    rounds = stopped.get_booster().num_boosted_rounds()
    assert booster.attr("source") == f"XGBClassifier, {stopped.best_iteration + 1} of {rounds} rounds"


def test_an_early_stopped_classifier_is_cut_at_its_best(stopped: XGBClassifier) -> None:
    """XGBClassifier stops at the best iteration and Booster does not: cut there, both ways agree."""
    expected = stopped.predict_proba(ROWS)[:, 1]
    assert np.abs(stopped.get_booster().inplace_predict(ROWS) - expected).max() > 1e-4
    cut = booster_of(stopped)
    assert cut.inplace_predict(ROWS).tobytes() == expected.tobytes()
    assert read(cut).predict_proba(ROWS)[:, 1].tobytes() == expected.tobytes()
    assert probabilities(stopped, ROWS).tobytes() == expected.tobytes()  # itself as it was


def test_an_early_stopped_booster_keeps_all_trees() -> None:
    """A Booster predicts with all its trees, whatever its best iteration: so does what is made of it."""
    train, later = xgboost.DMatrix(X[:400], Y[:400]), xgboost.DMatrix(X[400:], Y[400:])
    model = xgboost.train(
        {"objective": "binary:logistic"},
        train,
        60,
        evals=[(later, "later")],
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    assert model.best_iteration + 1 < model.num_boosted_rounds()
    expected = model.predict(xgboost.DMatrix(ROWS))
    assert probabilities(model, ROWS).tobytes() == expected.tobytes()
    assert read(booster_of(model)).predict_proba(ROWS)[:, 1].tobytes() == expected.tobytes()


def unfit() -> dict[str, Any]:
    """Objects that people pickle, and what they are told."""
    return {
        "a LogisticRegression": LogisticRegression().fit(X, Y),
        "CalibratedClassifierCV, .* `calibration`": CalibratedClassifierCV(classifier()),
        "GridSearchCV keeps no model": GridSearchCV(classifier(), {}),
        "XGBRegressor is not fitted": XGBRegressor(objective="reg:logistic"),
        "a XGBRanker, .* an order": XGBRanker(),
        "a ndarray": X,
        "missing=0.0": classifier(missing=0.0, n_estimators=2).fit(X, Y),
        "not fitted": classifier(),
    }


@pytest.mark.parametrize("told", unfit())
def test_what_is_no_plain_classifier_is_refused_by_name(told: str) -> None:
    """With the reason, and what to do instead."""
    with pytest.raises(PickleRefused, match=told):
        booster_of(taken_apart(unfit()[told]).model)


def test_code_in_a_pickle_is_not_told_what_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in another process, which has a few variables alone."""
    monkeypatch.setenv("PASSWORD_OF_THIS_TEST", "secret")
    code = "import os; raise RuntimeError(f'{os.getpid()} {sorted(os.environ)}')"
    with pytest.raises(BadPickle, match=r"RuntimeError: \d+ \[.*'PATH'.*\]") as told:
        convert(pickle.dumps(Calls(exec, code)), ROWS, 60)
    assert f"RuntimeError: {os.getpid()} " not in str(told.value)
    assert "PASSWORD_OF_THIS_TEST" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (pickle.dumps(Calls(os._exit, 0)), "ended with status 0 and left no model"),
        (pickle.dumps(Calls(os._exit, 7)), "ended with status 7"),
        (pickle.dumps(Calls(os.abort)), "died of SIGABRT"),
        (pickle.dumps(Calls(exec, "raise SystemExit('gone\\x1b[2J')")), r"status 1 and left no model\ngone\[2J$"),
        (pickle.dumps(Calls(exec, "raise ValueError('on purpose')")), r"cannot be loaded \(ValueError: on purpose\)"),
        (pickle.dumps(Calls(exec, "while True: print('x' * 2**24)")), r"cannot be loaded \(OSError: .*too large"),
        (b"cposix_gone\nmodel\n.", "needs the module posix_gone, which is not installed here"),
        (b"", r"cannot be loaded \(EOFError"),
        (b"amount,bad\n1200,0\n", "cannot be loaded"),
        (pickle.dumps(X)[:-500], "cannot be loaded .* Is it whole"),
    ],
    ids=["exit 0", "exit 7", "abort", "SystemExit", "raises", "endless output", "module", "empty", "text", "cut"],
)
def test_a_pickle_that_gives_no_model_is_a_clear_error(content: bytes, told: str) -> None:
    """Whatever happens in the child, the parent lives and says what happened, in printable letters."""
    with pytest.raises(BadPickle, match=told):
        convert(content, ROWS, 60)


def test_a_pickle_that_never_ends_is_ended() -> None:
    """After its time; tests/test_confined.py looks for what it started."""
    with pytest.raises(BadPickle, match=r"not loaded within 3 s; --timeout allows more"):
        convert(pickle.dumps(Calls(exec, "import signal; signal.pause()")), ROWS, 3)
