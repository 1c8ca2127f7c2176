"""Adoption of models as people keep them: every kind made here gives a release that predicts as it did, 0 differing."""

import hashlib
import json
import pickle
import re
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from adoptable import classifier, raw_table, table
from parts import training_of
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
from inference.fields import NumberField
from inference.reasons import Reasons
from inference.release import Release
from inference.scorer import Scorer
from models.__main__ import main
from models.adoption.adopt import Adoption, adopt
from models.adoption.checks import FAILS, PASSES, WARNS, Verdict
from models.adoption.fields_file import read_features
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
    text = file.read_text("utf-8").replace("ASK", "was asked")
    file.write_text(re.sub(r"^range = .*$", "range = [0, 10_000_000]", text, flags=re.MULTILINE), "utf-8")
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
    assert differing(found.release, answers_of(raw[0]), plain.predict_proba(table()[0])[:, 1]) == 0


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
    assert differing(found.release, answers_of(raw[0]), model.predict_proba(frame)[:, 1]) == 0


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
    assert differing(found.release, answers_of(raw[0]), plain.predict_proba(table()[0])[:, 1]) == 0
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
    assert differing(found.release, answers_of(raw[0]), model.predict_proba(frame)[:, 1]) == 0
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
    assert training_of(found.release)["adopted"]["steps"]
    records = found.release.form.fields[found.release.form.position("records")]
    answers = frame if isinstance(records, NumberField) else answers_of(frame)
    assert differing(found.release, answers, pipeline.predict_proba(frame)[:, 1]) == 0


# --- what is refused, and what is said ---


def refused() -> dict[str, Any]:
    """What people keep that no release can be made of, by what is said of it."""
    frame, bad = raw_table()
    numbers = frame[NUMBERS]
    return {
        "PolynomialFeatures is not one that can be told exactly": make_pipeline(
            PolynomialFeatures(2), classifier(n_estimators=2)
        ).fit(numbers, bad),
        "holds a dict with 2 XGBoost models": {
            "one": classifier(n_estimators=2).fit(numbers, bad),
            "two": classifier(n_estimators=2).fit(numbers, bad),
        },
        "sparse matrix, in which XGBoost takes the zeros of": make_pipeline(
            ColumnTransformer([("choices", OneHotEncoder(), CHOICES)], remainder="passthrough", sparse_threshold=1),
            classifier(),
        ).fit(frame, bad),
    }


@pytest.mark.parametrize("told", ["PolynomialFeatures is not", "holds a dict with 2", "sparse matrix, in which"])
def test_what_cannot_be_told_exactly_is_refused(told: str, tmp_path: Path) -> None:
    """With the step, the key or the column by name."""
    (held,) = (one for key, one in refused().items() if key.startswith(told))
    file = dumped(held, tmp_path)
    with pytest.raises(TenfoldError, match=told):
        adopt(file, None, file, digest(file), tmp_path)


def test_other_files_are_named_before_anything_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No digest, no features and no form are needed to hear what a file is."""
    old = b'\x80\x04\x8c\x0fxgboost.sklearn\x8c\rXGBClassifier\x93"version":[1,4,2]}'
    kinds = {
        "it holds LogisticRegression, a linear model of scikit-learn": pickle.dumps(LogisticRegression()),
        "a LightGBM model (text)": b"tree\nversion=v4\n",
        "a CatBoost model": b"CBM1\x00\x00",
        "pickled by XGBoost 1.4.2": old,
        "it is a text, and no model": b"amount,bad\n1200,0\n",
        "it is empty": b"",
    }
    for told, content in kinds.items():
        file = tmp_path / "model.pkl"
        file.write_bytes(content)
        assert main(["adopt", str(file)]) == 2
        assert told in capsys.readouterr().err


def test_a_model_where_1_means_good_is_turned_round(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """With stated directions that is said, and `positive = "good"` gives 1 - p."""
    frame, bad = table()
    model = classifier().fit(frame, 1 - bad)
    model.save_model(tmp_path / "good.json")
    fields = drafted(tmp_path / "good.json", tmp_path)
    text = fields.read_text("utf-8")
    for name, way in {"income": "down", "amount": "up", "seniority": "down"}.items():
        text = text.replace(f"[fields.{name}]\n", f'[fields.{name}]\ndirection = "{way}"\n')
    fields.write_text(text, "utf-8")
    found = verdict(released(tmp_path / "good.json", tmp_path, fields=fields), "directions")
    assert found.outcome == FAILS
    assert "3 of 3 stated directions are reversed, as if 1 meant good" in found.text
    fields.write_text(text.replace('positive = "bad"', 'positive = "good"'), "utf-8")
    turned = released(tmp_path / "good.json", tmp_path, fields=fields)
    assert verdict(turned, "directions").figures["reversed"] == 0
    assert turned.release
    expected = model.predict_proba(frame)[:, 0]
    assert np.abs(scored(turned.release, answers_of(raw[0])) - expected).max() <= 1e-6


def test_weights_and_missing_values_are_said(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """scale_pos_weight with the intercept that mends it; a column trained with missing values, served with a number."""
    frame, bad = table()
    frame = frame.assign(income=frame["income"].where(frame["income"] > 0))
    classifier(scale_pos_weight=11).fit(frame, bad).save_model(tmp_path / "w.ubj")
    found = released(tmp_path / "w.ubj", tmp_path)
    weighted, missing = verdict(found, "level of the PDs"), verdict(found, "missing values")
    assert weighted.outcome == missing.outcome == verdict(found, "directions").outcome == WARNS
    assert weighted.figures["intercept"] == pytest.approx(-np.log(11))
    assert "calibration = { intercept = -2.3979 }" in weighted.text
    assert missing.figures["optional"] == ["income"]
    assert verdict(found, "names of the features").outcome == PASSES


def test_columns_that_nobody_is_asked_may_be_missing_or_constant(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """Then the release gives what the model gives for rows with that in them, to the bit; what 0 means is said."""
    frame, bad = table()
    holes = frame.assign(assets=frame["assets"].where(frame["assets"] > 0))
    model = classifier().fit(holes, bad)
    model.save_model(tmp_path / "m.json")
    fields = drafted(tmp_path / "m.json", tmp_path)
    text = re.sub(r"\n\[fields\.assets\]\n(?:[^\[\n].*\n)+", "\n", fields.read_text("utf-8"))
    text = re.sub(r"\n\[fields\.job\]\n(?:[^\[\n].*\n)+", "\n", text)
    fields.write_text(text, "utf-8")
    zeros = verdict(released(tmp_path / "m.json", tmp_path, fields=fields), "features never set").text
    assert "every applicant is one of no job that these name" in zeros
    fields.write_text(
        text.replace("\n[fields", '\nunasked = { assets = "missing", job_fixed = 1 }\n[fields', 1), "utf-8"
    )
    found = released(tmp_path / "m.json", tmp_path, fields=fields)
    assert found.release
    flat = holes.assign(assets=np.nan, job_fixed=1.0, job_part_time=0.0, job_freelance=0.0, job_other=0.0)
    assert differing(found.release, answers_of(raw[0]), model.predict_proba(flat)[:, 1]) == 0


def test_seventeen_fields_are_served(tmp_path: Path) -> None:
    """A form of more than sixteen fields scores with its reasons, which add up."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(2000, 17)), columns=[f"f{at}" for at in range(17)])
    model = classifier().fit(frame, (frame.sum(axis=1) > 1).astype(int))
    model.save_model(tmp_path / "wide.json")
    fields = drafted(tmp_path / "wide.json", tmp_path)
    fields.write_text(fields.read_text("utf-8").replace("range = [0,", "range = [-10_000_000,"), "utf-8")
    found = released(tmp_path / "wide.json", tmp_path, fields=fields)
    assert found.release
    scorer = Scorer(found.release, XGBoostEngine(found.release))
    assert len(found.release.form.fields) == 17
    answers = dict.fromkeys(found.release.form.names, -0.7)
    explained = Reasons(found.release, scorer.engine).explain(found.release.form.parse(answers))
    moved = np.log(explained.pd / (1 - explained.pd)) - np.log(explained.reference_pd / (1 - explained.reference_pd))
    assert sum(explained.effects) == pytest.approx(moved, abs=1e-5)


def test_a_scaler_in_a_file_of_its_own(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """`--steps` names it, with its own digest; its columns have the names of the list."""
    frame, bad = table()
    scaler = StandardScaler().fit(frame)
    model = classifier().fit(scaler.transform(frame), bad)
    model.save_model(tmp_path / "model.json")
    joblib.dump(scaler, tmp_path / "scaler.pkl")
    steps = {"steps": tmp_path / "scaler.pkl", "steps_sha256": digest(tmp_path / "scaler.pkl")}
    given = ["--steps", str(steps["steps"]), "--steps-sha256", str(steps["steps_sha256"])]
    assert main(["adopt", str(tmp_path / "model.json"), "--draft", "--into", str(tmp_path), *given]) == 0
    fields = tmp_path / "model.toml"
    text = re.sub(r"^range = .*$", "range = [0, 10_000_000]", fields.read_text("utf-8"), flags=re.MULTILINE)
    fields.write_text(text.replace("ASK", "was asked"), "utf-8")
    found = released(tmp_path / "model.json", tmp_path, fields=fields, **steps)
    assert found.release
    expected = model.predict_proba(scaler.transform(frame))[:, 1]
    assert differing(found.release, answers_of(raw[0]), expected) == 0


def test_lists_in_other_encodings_and_in_json(tmp_path: Path) -> None:
    """A byte order mark, UTF-16, and JSON give the same names."""
    made = {"b.txt": "a\nb\n".encode("utf-8-sig"), "w.txt": "a\r\nb\r\n".encode("utf-16"),
            "j.json": json.dumps({"features": ["a", "b"]}).encode()}  # fmt: skip
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
        assert read_features(tmp_path / name) == ["a", "b"]
