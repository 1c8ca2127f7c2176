"""Adoption of models as people keep them: every kind made here gives a release that predicts as it did, 0 differing."""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from adoptable import classifier, raw_table, table
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from xgboost import XGBClassifier

from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.release import Release
from inference.scorer import Scorer
from models.__main__ import main
from models.adoption.adopt import Adoption, adopt
from models.adoption.checks import FAILS, PASSES, WARNS, Verdict
from models.adoption.kinds import WrongKind, look
from models.data import loans

pytestmark = pytest.mark.slow
NUMBERS = ["amount", "price", "time", "income", "expenses", "assets", "seniority", "records"]
CHOICES = ["job", "home"]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def drafted(model: Path, folder: Path, features: Path | None = None) -> Path:
    """The fields file that `--draft` writes, its open questions answered."""
    given = [str(model), *([str(features)] if features else []), "--draft", "--into", str(folder)]
    if model.suffix == ".pkl":
        given += ["--sha256", digest(model)]
    assert main(["adopt", *given]) == 0
    (file,) = folder.glob("*.toml")
    file.write_text(file.read_text("utf-8").replace("ASK", "was asked"), "utf-8")
    return file


def released(model: Path, folder: Path, **more: Any) -> Adoption:
    """The release of a model, by its drafted form; made in spite of verdicts that only other answers would mend."""
    fields = more.pop("fields", None) or drafted(model, folder, more.get("features"))
    sha256 = digest(model) if model.suffix == ".pkl" else None
    return adopt(model, more.pop("features", None), fields, sha256, folder / "out", force=True, **more)


def scored(release: Release, answers: pd.DataFrame) -> np.ndarray[Any, Any]:
    """What its engine says of these answers, a column a field of the form."""
    form = release.form
    table_of = answers.astype(object).where(answers.notna(), None)
    values = form.encode({name: table_of[name].tolist() for name in form.names})
    return XGBoostEngine(release).predict_proba(release.rows.build(values))


def differing(release: Release, answers: pd.DataFrame, expected: Any) -> int:
    """How many of all committed loans get another probability, to the last bit of float32."""
    found = scored(release, answers)
    assert len(found) == len(loans.consumer()) == len(expected)
    return int((found != np.asarray(expected, np.float32)).sum())


def verdict(found: Adoption, question: str) -> Verdict:
    return next(one for one in found.verdicts if one.question == question)


def answers_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Raw columns as answers: as a drafted form names its fields and codes."""
    answers = frame.copy()
    answers["records"] = answers["records"].map({0: "no", 1: "yes"}) if "records" in answers else None
    return answers


def dumped(model: Any, folder: Path) -> Path:
    file = folder / "best.pkl"
    joblib.dump(model, file)
    return file


@pytest.fixture(scope="module")
def raw() -> tuple[pd.DataFrame, Any]:
    return raw_table()


@pytest.fixture(scope="module")
def plain() -> XGBClassifier:
    return classifier().fit(*table())


# --- files without code ---


@pytest.mark.parametrize("ending", ["json", "ubj"])
def test_a_native_file_needs_no_digest_and_no_list(
    plain: XGBClassifier, raw: tuple[pd.DataFrame, Any], tmp_path: Path, ending: str
) -> None:
    """It holds no code and names its columns: the model and a form are enough."""
    file = tmp_path / f"best.{ending}"
    plain.save_model(file)
    found = released(file, tmp_path)
    assert found.source.startswith(f"native model ({ending.upper()}): XGBClassifier")
    assert found.release
    assert differing(found.release, raw[0], plain.predict_proba(table()[0])[:, 1]) == 0


def test_a_native_file_that_stopped_early_predicts_as_its_classifier(
    raw: tuple[pd.DataFrame, Any], tmp_path: Path
) -> None:
    """The trees behind the best iteration are left out, as load_model and predict_proba do."""
    frame, bad = table()
    model = classifier(n_estimators=300, early_stopping_rounds=5)
    model.fit(frame[:3000], bad[:3000], eval_set=[(frame[3000:], bad[3000:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    model.save_model(tmp_path / "best.json")
    found = released(tmp_path / "best.json", tmp_path)
    assert found.release
    assert differing(found.release, raw[0], model.predict_proba(frame)[:, 1]) == 0


def test_a_broken_native_file_is_a_clear_error(plain: XGBClassifier, tmp_path: Path) -> None:
    """It is read in the child, and cut or changed it ends as an error."""
    plain.save_model(tmp_path / "best.json")
    whole = (tmp_path / "best.json").read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TenfoldError, match=r"cut.json: (XGBoost cannot read it|the process)"):
        adopt(tmp_path / "cut.json", None, tmp_path / "cut.json", None, tmp_path)


def test_an_mlflow_folder(plain: XGBClassifier, raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """The file that its MLmodel names is taken; a folder of another flavour is refused by name."""
    folder = tmp_path / "model"
    folder.mkdir()
    plain.save_model(folder / "model.ubj")
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.xgboost\n  xgboost:\n    code: null\n"
        "    data: model.ubj\n    model_class: xgboost.sklearn.XGBClassifier\n    model_format: ubj\n"
    )
    assert look(folder).file == folder / "model.ubj"
    found = released(folder, tmp_path)
    assert found.release
    assert differing(found.release, raw[0], plain.predict_proba(table()[0])[:, 1]) == 0
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n  lightgbm:\n    data: m\n")
    with pytest.raises(WrongKind, match="MLflow saved lightgbm there"):
        look(folder)


# --- pickles ---


def test_a_dict_of_a_model_and_its_features(
    raw: tuple[pd.DataFrame, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names beside a model that was trained on an array are its columns'."""
    frame, bad = table()
    model = classifier().fit(frame.to_numpy(), bad)
    held = {"model": model, "features": list(frame.columns), "threshold": 0.4}
    found = released(dumped(held, tmp_path), tmp_path)
    assert found.release
    assert differing(found.release, raw[0], model.predict_proba(frame)[:, 1]) == 0
    assert "ASK" not in capsys.readouterr().err


def scaled(*steps: Any) -> Any:
    """Numbers through the steps, choices one-hot."""
    return ColumnTransformer(
        [("numbers", make_pipeline(*steps), NUMBERS), ("choices", OneHotEncoder(sparse_output=False), CHOICES)]
    )


PIPELINES: dict[str, Any] = {
    "StandardScaler": lambda: scaled(StandardScaler()),
    "MinMaxScaler": lambda: scaled(MinMaxScaler()),
    "RobustScaler": lambda: scaled(RobustScaler()),
    "two scalers": lambda: scaled(StandardScaler(), MinMaxScaler((-1, 1))),
    "filled and scaled": lambda: scaled(SimpleImputer(strategy="median"), StandardScaler()),
    "one-hot alone": lambda: ColumnTransformer(
        [("choices", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CHOICES)], remainder="passthrough"
    ),
    "first one dropped": lambda: ColumnTransformer(
        [("choices", OneHotEncoder(drop="first", sparse_output=False), CHOICES)], remainder=StandardScaler()
    ),
    "codes": lambda: ColumnTransformer([("choices", OrdinalEncoder(), CHOICES)], remainder="passthrough"),
    "codes, all scaled": lambda: make_pipeline(
        ColumnTransformer([("choices", OrdinalEncoder(), CHOICES)], remainder="passthrough"), StandardScaler()
    ),
    "one-hot, all scaled": lambda: make_pipeline(
        ColumnTransformer([("choices", OneHotEncoder(sparse_output=False), CHOICES)], remainder="passthrough"),
        StandardScaler(),
    ),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_predicts_as_before(kind: str, raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """Its steps go into the trees' thresholds and the form: on all loans no probability differs by a bit."""
    frame, bad = raw
    pipeline = Pipeline([("inputs", PIPELINES[kind]()), ("model", classifier())]).fit(frame, bad)
    found = released(dumped(pipeline, tmp_path), tmp_path)
    assert verdict(found, "same as the source").figures["difference"] == 0
    assert found.release
    assert found.release.manifest.training["adopted"]["steps"]
    number = found.release.form.fields[found.release.form.position("records")].kind == "number"
    answers = frame if number else answers_of(frame)
    assert differing(found.release, answers, pipeline.predict_proba(frame)[:, 1]) == 0
