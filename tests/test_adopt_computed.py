"""Columns computed of the answers, and answers left open: every loan's probability as the source has it, to the bit."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from inference.application import Form
from inference.blocks import Matrix
from models.adoption.adopt import applications, rewritten
from models.adoption.checks import not_stated
from models.adoption.fields_file import BadFields, FieldsFile, read_fields
from models.adoption.folding import decimals, thresholds
from models.adoption.unpickle import Parts, booster_of, folded, inputs_before
from profiling.documents.adopt_kinds import ARITHMETIC, BANDS, banded, computed_frame, label_codes
from profiling.documents.adopt_loans import classifier, raw_table, table

pytestmark = pytest.mark.slow  # classifiers are trained

TOP = 'name = "computed"\ntitle = "Computed"\ndate = 2026-11-01\nthreshold = 0.3\n'


def number(name: str, low: float = 0, more: str = "") -> str:
    """A field of numbers."""
    return (
        f'\n[fields.{name}]\nlabel = "{name}"\nrange = [{low}, 1_000_000]\nusual = [{low}, 5_000]\nexample = {low}\n'
        f'reasons = {{ high = "High {name}", low = "Low {name}", not_stated = "No {name}" }}\n{more}'
    )


NUMBERS = {name: number(name, low) for name, low in {
    "amount": 10, "price": 10, "time": 1, "income": 0, "expenses": 0, "assets": 0, "seniority": 0, "records": 0,
}.items()}  # fmt: skip


def form_of(folder: Path, features: list[str], *parts: str) -> FieldsFile:
    file = folder / "fields.toml"
    file.write_text("".join([TOP, *parts]), "utf-8")
    return read_fields(file, features)


def rows_of(form: FieldsFile, answers: pd.DataFrame) -> Matrix:
    texts = answers.astype(object).where(answers.notna(), None)
    return form.builder.build(form.form.encode({name: texts[name].tolist() for name in form.form.names}))


def served(model: Any, form: FieldsFile, features: list[str], answers: pd.DataFrame) -> npt.NDArray[np.float32]:
    """What a release would say of the answers: its rows, its trees."""
    booster, _ = rewritten(booster_of(model), form, features)
    found: npt.NDArray[np.float32] = booster.inplace_predict(rows_of(form, answers))
    return found


def test_arithmetic_by_pandas_is_the_rows_own(tmp_path: Path) -> None:
    """Ratios of ratios and differences; undefined without income, and missing there as in training."""
    frame = computed_frame().drop(columns=["job", "home"])
    _, bad = raw_table()
    assert frame["burden"].isna().sum() > 100
    model = classifier(n_estimators=80, max_depth=4).fit(frame, bad)
    form = form_of(tmp_path, list(frame.columns), *NUMBERS.values(), ARITHMETIC)
    assert form.builder.columns[-3:] == ("instalment", "burden", "surplus")
    assert (served(model, form, list(frame.columns), frame) == model.predict_proba(frame)[:, 1]).all()


def test_undefined_as_zero(tmp_path: Path) -> None:
    """An owner who wrote 0 for what was undefined says so, and 0 is in the row."""
    frame = computed_frame().drop(columns=["job", "home"]).fillna({"burden": 0})
    model = classifier().fit(frame, raw_table()[1])
    form = form_of(tmp_path, list(frame.columns), *NUMBERS.values(), ARITHMETIC.replace('"missing"', '"zero"'))
    assert (served(model, form, list(frame.columns), frame) == model.predict_proba(frame)[:, 1]).all()


def test_a_number_that_only_arithmetic_takes_has_no_column(tmp_path: Path) -> None:
    """The model has the ratio alone."""
    frame = computed_frame()[["instalment", "income"]]
    model = classifier().fit(frame, raw_table()[1])
    step = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["instalment", "amount", "/", "time"]]\n'
    form = form_of(tmp_path, list(frame.columns), NUMBERS["amount"], NUMBERS["time"], NUMBERS["income"], step)
    assert form.builder.columns == ("income", "instalment")
    assert (served(model, form, list(frame.columns), raw_table()[0]) == model.predict_proba(frame)[:, 1]).all()


def test_bands_and_logarithms_need_no_column(tmp_path: Path) -> None:
    """pandas.cut as a column a band and as a number, and NumPy's log: the trees read the answer itself."""
    frame, bad = banded()
    frame = frame.drop(columns=["job", "home"])
    model = classifier(n_estimators=80, max_depth=5).fit(frame, bad)
    form = form_of(tmp_path, list(frame.columns), *NUMBERS.values(), BANDS)
    assert not {"log_amount", "seniority_new", "seniority_band"} & set(form.builder.columns)
    booster, _ = rewritten(booster_of(model), form, list(frame.columns))
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    assert np.isfinite([number for tree in trees for number in tree["split_conditions"]]).all()  # as ONNX needs it
    raw, _ = raw_table()
    assert (served(model, form, list(frame.columns), raw) == model.predict_proba(frame)[:, 1]).all()
    at_edges = raw.head(200).assign(seniority=np.tile([1, 2, 3, 5, 10, 11, 0, 4], 25))
    flags = pd.cut(at_edges["seniority"], [-1, 2, 5, 10, 1000], labels=["new", "some", "long", "longest"])
    other = frame.head(200).assign(seniority_band=flags.cat.codes)
    for code in flags.cat.categories:
        other[f"seniority_{code}"] = (flags == code).astype(float)
    assert (served(model, form, list(frame.columns), at_edges) == model.predict_proba(other)[:, 1]).all()


def test_bands_closed_on_the_left_as_numpy_has_them(tmp_path: Path) -> None:
    """numpy.digitize, with an edge that float32 does not hold: the answer 0.1 lies in the upper band, not the lower."""
    random = np.random.default_rng(0)
    share = np.round(random.random(4000), 1)
    frame = pd.DataFrame({"band": np.digitize(share, [0.1, 0.3]), "amount": random.random(4000).astype(np.float32)})
    model = classifier().fit(frame, ((share >= 0.1) & (share < 0.3)).astype(int))
    table_of = '\n[[features]]\nkind = "bands"\nof = "share"\nedges = [0.1, 0.3]\nclosed = "left"\ncolumn = "band"\n'
    form = form_of(tmp_path, ["band", "amount"], number("share"), number("amount"), table_of)
    answers = pd.DataFrame({"share": share, "amount": frame["amount"].astype(float)})
    assert (served(model, form, ["band", "amount"], answers) == model.predict_proba(frame)[:, 1]).all()


def test_answers_left_open_are_missing_as_in_training(tmp_path: Path) -> None:
    """Trained with NaN, and `if_not_stated = "missing"`: the row holds a number below the range, and the trees know."""
    frame, bad = table()
    frame = frame[["amount", "income", "assets", "time"]]
    holes = frame.assign(income=frame["income"].where(frame["income"] > 0),
                         assets=frame["assets"].where(frame["assets"] > 500))  # fmt: skip
    model = classifier(n_estimators=80, max_depth=5).fit(holes, bad)
    missing = 'optional = true\nif_not_stated = "missing"\n'
    optional = [number("income", 0, missing), number("assets", 0, missing)]
    form = form_of(tmp_path, list(frame.columns), NUMBERS["amount"], NUMBERS["time"], *optional)
    assert form.unstated == {"income": -1, "assets": -1}
    assert (served(model, form, list(frame.columns), holes) == model.predict_proba(holes)[:, 1]).all()
    _, forest = rewritten(booster_of(model), form, list(frame.columns))
    assert not_stated(form, forest).outcome == "passes"
    plainly = [part.replace('if_not_stated = "missing"\n', "") for part in optional]
    zeros = form_of(tmp_path, list(frame.columns), NUMBERS["amount"], NUMBERS["time"], *plainly)
    _, forest = rewritten(booster_of(model), zeros, list(frame.columns))
    warned = not_stated(zeros, forest)
    assert warned.figures["optional"] == ["assets", "income"]
    assert (served(model, zeros, list(frame.columns), holes) != model.predict_proba(holes)[:, 1]).any()


def test_scaled_decimals_lose_nothing() -> None:
    """A threshold is a value of the training loans: 1234.56 is on the same side as float32 and as float64."""
    frame, bad = table()
    random = np.random.default_rng(0)
    frame = frame.assign(income=np.round(frame["income"] * 1.2345 + random.random(len(frame)), 2),
                         amount=np.round(frame["amount"] / 7, 2))  # fmt: skip
    for scaler in (StandardScaler(), MinMaxScaler()):
        scaler.fit(frame)
        model = classifier(n_estimators=200, max_depth=5).fit(scaler.transform(frame), bad)
        parts = Parts(model, (scaler,), tuple(frame.columns))
        inputs = inputs_before(parts, None)
        assert inputs is not None
        new = folded(booster_of(model), inputs, [], sparse=False)
        expected = model.predict_proba(scaler.transform(frame))[:, 1]
        assert (new.inplace_predict(frame.to_numpy().astype(np.float32)) == expected).all()


def test_thresholds_are_the_smallest_numbers_that_get_there() -> None:
    """Of a function that never falls, over all of float32."""
    old = np.array([0.5, 1.0, 2.0], np.float32)
    found = thresholds(np.sqrt, old)
    below = np.nextafter(found, np.float32(-np.inf))
    assert (np.sqrt(decimals(found)).astype(np.float32) >= old).all()
    assert (np.sqrt(decimals(below)).astype(np.float32) < old).all()


def test_what_the_source_gets_is_what_the_row_holds(tmp_path: Path) -> None:
    """The 512 applications that are compared: the model's own columns, answers left open among them."""
    frame = computed_frame().drop(columns=["job", "home"])
    optional = number("income", 0, "optional = true\n")
    parts = [optional if name == "income" else text for name, text in NUMBERS.items()]
    steps = ARITHMETIC.replace(', ["surplus", "income", "-", "expenses"]', "")
    frame = frame.drop(columns="surplus")
    form = form_of(tmp_path, list(frame.columns), *parts, steps)
    values = applications(form)
    rows = pd.DataFrame(form.model_rows(list(frame.columns), values), columns=list(frame.columns))
    left_open = np.isnan(values[:, form.form.position("income")])
    assert 20 < left_open.sum() < 100
    assert (rows["income"][left_open] == 0).all()
    assert rows["burden"][left_open].isna().all()
    assert (rows["instalment"] == rows["amount"] / rows["time"]).all()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('undefined = "missing"\n', "", 'burden is undefined where .* undefined = "zero" or "missing"'),
        ('"missing"', '"none"', "features.*undefined: zero or missing is needed, got 'none'"),
        ('"/", "time"', '"%", "time"', "the sign is one of"),
        ('"/", "time"', '"/", "tme"', "tme is neither a number field nor an earlier column"),
        ('"instalment", "amount"', '"amount", "amount"', "amount is computed, and a field or another column has"),
        ('kind = "arithmetic"', 'kind = "modulo"', "one of arithmetic, bands, log, .* is needed, got 'modulo'"),
        ('columns = [[', 'colums = [[', "colums means nothing here"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_computed_columns_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    """With its line."""
    features = list(computed_frame().drop(columns=["job", "home"]).columns)
    assert old in ARITHMETIC
    with pytest.raises(BadFields, match=says) as caught:
        form_of(tmp_path, features, *NUMBERS.values(), ARITHMETIC.replace(old, new, 1))
    assert re.search(r"fields.toml: line \d+: features", str(caught.value))


def test_zero_cannot_stand_for_missing_where_it_is_an_answer(tmp_path: Path) -> None:
    """A ratio that may itself be 0."""
    step = (
        '\n[[features]]\nkind = "arithmetic"\nundefined = "missing"\ncolumns = [["share", "assets", "/", "income"]]\n'
    )
    with pytest.raises(BadFields, match="0 cannot stand for missing"):
        form_of(tmp_path, ["share"], NUMBERS["assets"], NUMBERS["income"], step)


def test_a_logarithm_of_what_has_none_is_refused(tmp_path: Path) -> None:
    """A range from 0, and an answer that may be left open and is 0 then."""
    table_of = '\n[[features]]\nkind = "log"\nof = { log_income = "income" }\n'
    with pytest.raises(BadFields, match="takes the log of it, which 0 has none of: begin the range above 0"):
        form_of(tmp_path, ["log_income"], NUMBERS["income"], table_of)
    with pytest.raises(BadFields, match="say such a number in `if_not_stated`"):
        form_of(tmp_path, ["log_income"], number("income", 1, "optional = true\n"), table_of)
    form_of(tmp_path, ["log_income"], number("income", 1, 'optional = true\nif_not_stated = "missing"\n'), table_of)


def test_open_questions_and_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Each with its line and key; a file with an ASK in it is not adopted."""
    text = TOP.replace("threshold = 0.3", "threshold = 0.3   # ASK the PD at which a loan breaks even")
    text += NUMBERS["income"].replace('label = "income"', 'label = "ASK what is it called"')
    text += NUMBERS["amount"].replace("example = 10", "example = 1")
    file = tmp_path / "fields.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadFields) as caught:
        read_fields(file, ["income", "amount"])
    lines = str(caught.value).splitlines()
    assert [re.sub(r"^.*fields.toml: ", "", line) for line in lines[:3]] == [
        "line 4: threshold: ASK the PD at which a loan breaks even",
        "line 7: fields.income.label: what is it called",
        "line 17: fields.amount.example: an answer that the form takes is needed, from 10 to 1e+06, got 1",
    ]
    file.write_text(text.replace("ASK", "was asked").replace("example = 1\n", "example = 10\n"), "utf-8")
    assert isinstance(read_fields(file, ["income", "amount"]).form, Form)


def test_more_than_sixteen_fields_with_arithmetic_are_refused(tmp_path: Path) -> None:
    """Reasons would not be exact."""
    names = [f"f{index}" for index in range(17)]
    step = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["sum", "f0", "+", "f1"]]\n'
    with pytest.raises(BadFields, match="with more than 16 fields every feature must come from one answer"):
        form_of(tmp_path, [*names, "sum"], *map(number, names), step)


def test_codes_are_those_of_label_encoder() -> None:
    """The loans' texts as LabelEncoder numbers them: the check of the kinds' own data."""
    frame, _ = label_codes()
    assert sorted(frame["job"].unique()) == [0, 1, 2, 3]
