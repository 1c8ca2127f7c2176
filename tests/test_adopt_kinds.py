"""Adoption of models as people keep them: every kind made here gives a release that predicts as it did, 0 differing."""

import gzip
import importlib.util
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from parts import training_of
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from xgboost import Booster, DMatrix, XGBClassifier, XGBRegressor, XGBRFClassifier

from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.reasons import Reasons
from inference.scorer import Scorer
from models.__main__ import main
from models.adoption.adopt import Adoption, adopt
from models.adoption.checks import FAILS, PASSES, WARNS, Verdict
from models.adoption.fields_file import read_features
from models.adoption.kinds import WrongKind, look
from models.adoption.trees import read_forest
from models.adoption.unpickle import PickleRefused, booster_of, folded, inputs_before, load, taken_apart
from models.export import as_onnx
from profiling.documents.adopt_loans import (
    CHOICES,
    NUMBERS,
    classifier,
    differing,
    digest,
    drafted,
    raw_table,
    released,
    scored,
    table,
)

pytestmark = pytest.mark.slow
ELSEWHERE = Path(__file__).with_name("models_elsewhere")


def verdict(found: Adoption, question: str) -> Verdict:
    return next(one for one in found.verdicts if one.question == question)


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
    assert training_of(found.release)["adopted"]["steps"]
    assert differing(found.release, frame, pipeline.predict_proba(frame)[:, 1]) == 0


# --- what is refused, and what is said ---


def refused() -> dict[str, Any]:
    """What people keep that no release can be made of, by what is said of it."""
    frame, bad = raw_table()
    numbers = frame[NUMBERS]
    return {
        "PolynomialFeatures is not one that can be told exactly": make_pipeline(
            PolynomialFeatures(2), classifier(n_estimators=2)
        ).fit(numbers, bad),
        "holds a dict or list with 2 XGBoost models": {
            "one": classifier(n_estimators=2).fit(numbers, bad),
            "two": classifier(n_estimators=2).fit(numbers, bad),
        },
        "sparse matrix, in which XGBoost takes the zeros of": make_pipeline(
            ColumnTransformer([("choices", OneHotEncoder(), CHOICES)], remainder="passthrough", sparse_threshold=1),
            classifier(),
        ).fit(frame, bad),
    }


@pytest.mark.parametrize(
    "told", ["PolynomialFeatures is not", "holds a dict or list with 2", "sparse matrix, in which"]
)
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
    assert np.abs(scored(turned.release, raw[0]) - expected).max() <= 1e-6


def test_weights_and_missing_values_are_said(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """scale_pos_weight with the intercept that mends it; a column trained with missing values, served with a number."""
    frame, bad = table()
    frame = frame.assign(income=frame["income"].where(frame["income"] > 0))
    classifier(scale_pos_weight=11).fit(frame, bad).save_model(tmp_path / "w.ubj")
    found = released(
        tmp_path / "w.ubj", tmp_path, edit=lambda text: re.sub('if_not_stated = "missing".*\n', "", text, count=1)
    )
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
    assert differing(found.release, raw[0], model.predict_proba(flat)[:, 1]) == 0


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
    steps = {"steps": tmp_path / "scaler.pkl"}
    given = ["--steps", str(steps["steps"]), "--steps-sha256", digest(steps["steps"])]
    assert main(["adopt", str(tmp_path / "model.json"), "--draft", "--into", str(tmp_path), *given]) == 0
    fields = tmp_path / "model.toml"
    text = re.sub(r"^range = .*$", "range = [0, 10_000_000]", fields.read_text("utf-8"), flags=re.MULTILINE)
    fields.write_text(text.replace("ASK", "was asked"), "utf-8")
    found = released(tmp_path / "model.json", tmp_path, fields=fields, steps=steps["steps"])
    assert found.release
    expected = model.predict_proba(scaler.transform(frame))[:, 1]
    assert differing(found.release, raw[0], expected) == 0


def test_lists_in_other_encodings_and_in_json(tmp_path: Path) -> None:
    """A byte order mark, UTF-16, and JSON give the same names."""
    made = {"b.txt": "a\nb\n".encode("utf-8-sig"), "w.txt": "a\r\nb\r\n".encode("utf-16"),
            "j.json": json.dumps({"features": ["a", "b"]}).encode()}  # fmt: skip
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
        assert read_features(tmp_path / name) == ["a", "b"]


def test_models_of_other_programs_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Files that LightGBM, CatBoost, skops and an old XGBoost wrote: said without a digest, with the way out."""
    says = {
        "lightgbm_4.7.0.pkl": "it holds LGBMClassifier, a LightGBM model",
        "lightgbm_4.7.0.txt": "a LightGBM model (text)",
        "catboost_1.2.10.cbm": "a CatBoost model",
        "catboost_1.2.10.json": "a CatBoost model (JSON)",
        "catboost_1.2.10.pkl": "it holds CatBoostClassifier, a CatBoost model",
        "model.skops": "save_model('model.json'), or dump it by joblib",
        "xgboost_1.4.2.pkl": "pip install xgboost==1.4.2",
    }
    for name, text in says.items():
        assert main(["adopt", str(ELSEWHERE / name)]) == 2
        assert text in capsys.readouterr().err, name


def test_other_ways_to_keep_a_model_are_named(plain: XGBClassifier, tmp_path: Path) -> None:
    """ONNX, PMML, dumps of trees, configurations, zips, gzip of a native file, TensorFlow's folders."""
    plain.save_model(tmp_path / "m.json")
    native = (tmp_path / "m.json").read_bytes()
    plain.get_booster().dump_model(tmp_path / "dump.txt")
    plain.get_booster().dump_model(tmp_path / "dump.json", dump_format="json")
    (tmp_path / "config.json").write_text(plain.get_booster().save_config())
    (tmp_path / "native.json.gz").write_bytes(gzip.compress(native))
    (tmp_path / "m.pmml").write_text('<?xml version="1.0"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_4"></PMML>')
    for_onnx = XGBClassifier(n_estimators=2).fit(table()[0].to_numpy(), table()[1])
    (tmp_path / "m.onnx").write_bytes(as_onnx(for_onnx))
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("model.json", native)
        archive.writestr("features.txt", "a")
    (tmp_path / "tf").mkdir()
    (tmp_path / "tf" / "saved_model.pb").write_bytes(b"")
    says = {
        "dump.txt": "a text of an XGBoost model's trees (dump_model)",
        "dump.json": "a list of an XGBoost model's trees (dump_model)",
        "config.json": "an XGBoost configuration (save_config), which holds no trees",
        "native.json.gz": "a native XGBoost model, compressed, not as it was saved: unpack it",
        "m.pmml": "a PMML document",
        "m.onnx": "an ONNX model",
        "both.zip": "a zip file of model.json, features.txt: unpack it",
        "tf": "TensorFlow saved a model there",
    }
    for name, text in says.items():
        with pytest.raises(WrongKind, match=re.escape(text)):
            look(tmp_path / name)


def test_what_an_old_xgboost_saved_natively_predicts_as_there(raw: tuple[pd.DataFrame, Any], tmp_path: Path) -> None:
    """The way out of its pickle: the JSON of XGBoost 1.4.2 gives the probabilities that it gave."""
    frame, _ = table()
    features = tmp_path / "features.txt"
    features.write_text("\n".join(frame.columns))
    found = released(ELSEWHERE / "xgboost_1.4.2.json", tmp_path, features=features)
    assert found.release
    expected = np.load(ELSEWHERE / "xgboost_1.4.2_pd.npy")
    assert np.abs(scored(found.release, raw[0].head(len(expected))) - expected).max() <= 1e-6


def searched() -> Any:
    return GridSearchCV(classifier(n_estimators=5), {"max_depth": [2, 3]}, cv=2).fit(*table())


# What is kept, by how: each with a column of probabilities a loan.
WAYS: dict[str, Any] = {
    "GridSearchCV": (searched, lambda model: model.predict_proba(table()[0])[:, 1]),
    "XGBRFClassifier": (
        lambda: XGBRFClassifier(n_estimators=20, max_depth=3, random_state=0).fit(*table()),
        lambda model: model.predict_proba(table()[0])[:, 1],
    ),
    "reg:logistic": (
        lambda: XGBRegressor(objective="reg:logistic", n_estimators=10, max_depth=3).fit(*table()),
        lambda model: model.predict(table()[0]),
    ),
    "bytes of save_raw": (
        lambda: classifier(n_estimators=5).fit(*table()).get_booster().save_raw("ubj"),
        lambda raw: Booster(model_file=raw).predict(DMatrix(table()[0])),
    ),
    "a tuple of model and names": (
        lambda: (classifier(n_estimators=5).fit(table()[0].to_numpy(), table()[1]), list(table()[0].columns)),
        lambda pair: pair[0].predict_proba(table()[0].to_numpy())[:, 1],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_ways_to_dump_a_model(way: str, raw: tuple[pd.DataFrame, Any]) -> None:
    """What chooses a model is that model; a regressor of reg:logistic gives probabilities; bytes are a native file."""
    make, predict = WAYS[way]
    model = make()
    parts = taken_apart(pickle.loads(pickle.dumps(model)))  # noqa: S301 - our own
    found = booster_of(parts.model).inplace_predict(table()[0].to_numpy())
    assert (found == predict(model).astype(np.float32)).all()
    read_forest(booster_of(parts.model))  # a plain sum of trees, as a release needs


def test_steps_that_only_training_takes_are_passed_by() -> None:
    """A Pipeline of imbalanced-learn is named with the way out where that is not installed."""
    file = ELSEWHERE / "imblearn_0.14.2.pkl"
    if importlib.util.find_spec("imblearn") is None:
        with pytest.raises(PickleRefused, match="not hasattr"):
            load(file.read_bytes())
        return
    parts = taken_apart(load(file.read_bytes()))
    inputs = inputs_before(parts, [f"f{index}" for index in range(18)])
    assert inputs is not None
    rows = table()[0].to_numpy()
    found = folded(booster_of(parts.model), inputs, [], sparse=False).inplace_predict(rows.astype(np.float32))
    assert (found == parts.model.predict_proba(parts.steps[0].transform(rows))[:, 1]).all()


def test_what_only_the_dumping_program_defines_is_said(tmp_path: Path) -> None:
    """A function of `__main__`, and a compression whose package is not here."""
    script = "import joblib, pickle, sys\nclass Own: pass\npickle.dump(Own(), open(sys.argv[1], 'wb'))"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "own.pkl")], check=True)
    with pytest.raises(PickleRefused, match="only the program that dumped it defines"):
        load((tmp_path / "own.pkl").read_bytes())
    if importlib.util.find_spec("lz4") is None:
        with pytest.raises(PickleRefused, match="pip install lz4"):
            load((ELSEWHERE / "xgboost_lz4.pkl").read_bytes())
