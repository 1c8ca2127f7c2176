"""Models as twenty public repositories keep them, made and adopted: `python -m profiling.documents.adopt_kinds`.

What each of twenty public XGBoost credit models needed was counted: 4 nothing, 9 input steps, 5 codes as numbers,
5 more than sixteen fields, 4 a native file or a way out of an old pickle, 4 computed columns, 3 columns that nobody is
asked, 1 a dict of model and features. Which needs met in one repository was not recorded: here they are spread over
twenty kinds so that the counts are those. Every kind is trained on the committed consumer loans, dumped as its owner
would, adopted through a drafted fields file, and compared with its source on all loans, bit by bit.
"""

import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from inference.errors import TenfoldError
from profiling.documents.adopt_loans import (
    CHOICES,
    NUMBERS,
    classifier,
    differing,
    raw_table,
    released,
    table,
    without_fields,
)

ELSEWHERE = Path("tests") / "models_elsewhere"  # files that other programs wrote
PLAIN, STEPS, CODES, WIDE, NATIVE = "nothing", "input steps", "codes as numbers", "more than 16 fields", "native or old"
COMPUTED, UNASKED, DICT = "computed columns", "columns not asked", "a dict"
NEEDED = {PLAIN: 4, STEPS: 9, CODES: 5, WIDE: 5, NATIVE: 4, COMPUTED: 4, UNASKED: 3, DICT: 1}
EDGES = [2, 5, 10]  # of bands of years in the job


class Dumped(NamedTuple):
    """A model in a folder, and what it says of all loans."""

    model: Path
    answers: pd.DataFrame  # a column a field
    expected: Any  # (m,) float32
    edit: Callable[[str], str] = str  # of the drafted fields file
    features: Path | None = None
    steps: Path | None = None
    fields: str | None = None  # in place of a drafted one


class Kind(NamedTuple):
    """One way in which a model is kept."""

    title: str
    needs: Sequence[str]
    make: Callable[[Path], Dumped]


class Outcome(NamedTuple):
    """What adopting gave."""

    kind: Kind
    differ: int | None  # loans with another probability; None: no release
    text: str  # the verdicts that do not pass, or why it was refused

    @property
    def faithful(self) -> bool:
        """Whether there is a release that gives every loan the source's probability."""
        return self.differ == 0


def dumped(model: Any, folder: Path) -> Path:
    """A pickle by joblib."""
    file = folder / "best.pkl"
    joblib.dump(model, file)
    return file


def saved(model: Any, folder: Path, ending: str) -> Path:
    """A native file."""
    file = folder / f"best.{ending}"
    model.save_model(file)
    return file


def of_table(model: Any, file: Path, **more: Any) -> Dumped:
    """A model of the plain table of numbers and dummies."""
    return Dumped(file, raw_table()[0], model.predict_proba(table()[0])[:, 1], **more)


def plain(folder: Path) -> Dumped:
    model = classifier().fit(*table())
    return of_table(model, dumped(model, folder))


def plain_pickle(folder: Path) -> Dumped:
    model = classifier(max_depth=4).fit(*table())
    file = folder / "model.pkl"
    file.write_bytes(pickle.dumps(model))
    return of_table(model, file)


def array_and_list(folder: Path) -> Dumped:
    frame, bad = table()
    model = classifier().fit(frame.to_numpy(), bad)
    (folder / "features.txt").write_text("\n".join(frame.columns), "utf-16")
    return of_table(model, dumped(model, folder), features=folder / "features.txt")


def booster(folder: Path) -> Dumped:
    model = classifier().fit(*table())
    return of_table(model, dumped(model.get_booster(), folder))


def pipeline(inputs: Any, folder: Path, frame: pd.DataFrame | None = None, **more: Any) -> Dumped:
    """A Pipeline of steps and a model, trained on the raw table."""
    raw, bad = raw_table()
    frame = raw if frame is None else frame
    model = Pipeline([("inputs", inputs), ("model", classifier())]).fit(frame, bad)
    return Dumped(dumped(model, folder), raw, model.predict_proba(frame)[:, 1], **more)


def by_columns(*steps: Any, numbers: Sequence[str] = tuple(NUMBERS)) -> Any:
    """Numbers through the steps, choices one-hot."""
    return ColumnTransformer(
        [("numbers", make_pipeline(*steps), list(numbers)), ("choices", OneHotEncoder(sparse_output=False), CHOICES)]
    )


def scaled(folder: Path) -> Dumped:
    return pipeline(by_columns(StandardScaler()), folder)


def scaler_beside(folder: Path) -> Dumped:
    frame, bad = table()
    scaler = MinMaxScaler().fit(frame)
    model = classifier().fit(scaler.transform(frame), bad)
    joblib.dump(scaler, folder / "scaler.pkl")
    expected = model.predict_proba(scaler.transform(frame))[:, 1]
    return Dumped(
        saved(model, folder, "json"), raw_table()[0], expected, steps=folder / "scaler.pkl"
    )  # fmt: skip


def filled_and_scaled(folder: Path) -> Dumped:
    return pipeline(by_columns(SimpleImputer(strategy="median"), StandardScaler()), folder)


def computed_frame() -> pd.DataFrame:
    """The raw loans and what their owner computed of them with pandas."""
    frame, _ = raw_table()
    frame["instalment"] = frame["amount"] / frame["time"]
    frame["burden"] = frame["instalment"] / frame["income"].where(frame["income"] > 0)
    frame["surplus"] = frame["income"] - frame["expenses"]
    return frame


ARITHMETIC = """
[[features]]
kind = "arithmetic"
undefined = "missing"
columns = [["instalment", "amount", "/", "time"], ["burden", "instalment", "/", "income"], ["surplus", "income", "-", "expenses"]]
"""  # noqa: E501


def with_arithmetic(text: str) -> str:
    """The drafted fields file, its computed columns as arithmetic of the other answers."""
    text = without_fields(text, "instalment", "burden", "surplus")
    for name, least in (("amount", 10), ("time", 1)):
        text = text.replace(f"[fields.{name}]", f"[fields.{name}]\n", 1)
        head, _, rest = text.partition(f"[fields.{name}]\n")
        text = (
            head
            + f"[fields.{name}]\n"
            + rest.replace("range = [0,", f"range = [{least},", 1).replace("usual = [0,", f"usual = [{least},", 1)
        )
    return text + ARITHMETIC


def robust_and_arithmetic(folder: Path) -> Dumped:
    frame = computed_frame().drop(columns="burden")
    inputs = by_columns(RobustScaler(), numbers=[*NUMBERS, "instalment", "surplus"])

    def edit(text: str) -> str:
        text = with_arithmetic(text.replace("[fields.surplus]", "[fields.burden]\n\n[fields.surplus]", 1))
        return text.replace(', ["burden", "instalment", "/", "income"]', "").replace('undefined = "missing"\n', "")

    return pipeline(inputs, folder, frame, edit=edit)


def ordinal(folder: Path) -> Dumped:
    inputs = ColumnTransformer([("choices", OrdinalEncoder(), CHOICES)], remainder="passthrough")
    return pipeline(inputs, folder)


def wide_fields(columns: Sequence[str]) -> str:
    """A form that asks every column as a number."""
    head = 'name = "wide"\ntitle = "Wide"\ndate = 2026-11-01\nthreshold = 0.3\n'
    return head + "".join(
        f'\n[fields.{name}]\nlabel = "{name}"\nrange = [0, 10_000_000]\nusual = [0, 5_000]\nexample = 0\n'
        f'reasons.high = "{name} is high"\nreasons.low = "{name} is low"\n'
        for name in columns
    )


def wide_pipeline(folder: Path) -> Dumped:
    frame, bad = table()
    model = make_pipeline(StandardScaler(), classifier()).fit(frame, bad)
    expected = model.predict_proba(frame)[:, 1]
    return Dumped(dumped(model, folder), frame, expected, fields=wide_fields(list(frame.columns)))


def scaled_not_all_asked(folder: Path) -> Dumped:
    raw, bad = raw_table()
    model = Pipeline([("inputs", by_columns(StandardScaler())), ("model", classifier())]).fit(raw, bad)
    expected = model.predict_proba(raw.assign(assets=3000))[:, 1]

    def edit(text: str) -> str:
        text = without_fields(text, "assets")
        return text.replace("\n[fields", "\nunasked = { assets = 3_000 }\n[fields", 1)

    return Dumped(dumped(model, folder), raw, expected, edit)


def logarithms(folder: Path) -> Dumped:
    inputs = ColumnTransformer(
        [
            ("large", make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), ["amount", "price", "assets"]),
            ("small", StandardScaler(), ["time", "income", "expenses", "seniority", "records"]),
            ("choices", OneHotEncoder(sparse_output=False), CHOICES),
        ]
    )
    return pipeline(inputs, folder)


def dict_with_scaler(folder: Path) -> Dumped:
    frame, bad = table()
    scaler = StandardScaler().fit(frame.to_numpy())
    model = classifier().fit(scaler.transform(frame.to_numpy()), bad)
    expected = model.predict_proba(scaler.transform(frame.to_numpy()))[:, 1]
    parts = {"model": model, "scaler": scaler, "features": list(frame.columns), "threshold": 0.4}
    return Dumped(dumped(parts, folder), raw_table()[0], expected)


def label_codes() -> tuple[pd.DataFrame, Any]:
    """The raw loans with their texts as numbers, in alphabetical order, as LabelEncoder gives them."""
    frame, bad = raw_table()
    for name in CHOICES:
        frame[name] = frame[name].astype("category").cat.codes.astype(int)
    return frame, bad


def with_codes(text: str) -> str:
    """The drafted fields file, whose numbers of codes are asked as choices."""
    raw, _ = raw_table()
    text = without_fields(text, *CHOICES)
    for name in CHOICES:
        codes = sorted(raw[name].unique())
        choices = ", ".join(f'"{code}" = "{code}"' for code in codes)
        numbers = ", ".join(f'"{code}" = {number}' for number, code in enumerate(codes))
        text += (
            f'\n[fields.{name}]\nlabel = "{name}"\nexample = "{codes[0]}"\nchoices = {{ {choices} }}\n'
            f'codes = {{ {numbers} }}\nreasons.any = "{name}"\n'
        )
    return text


def codes_not_all_asked(folder: Path) -> Dumped:
    frame, bad = label_codes()
    holes = frame.assign(assets=frame["assets"].where(frame["assets"] > 0))
    model = classifier().fit(holes, bad)
    expected = model.predict_proba(holes.assign(assets=np.nan))[:, 1]

    def edit(text: str) -> str:
        text = with_codes(without_fields(text, "assets"))
        return text.replace("\n[fields", '\nunasked = { assets = "missing" }\n[fields', 1)

    return Dumped(dumped(model, folder), raw_table()[0], expected, edit)


def wide_codes(folder: Path) -> Dumped:
    frame, bad = table()
    frame["home"] = label_codes()[0]["home"].to_numpy()
    model = classifier().fit(frame, bad)
    return Dumped(
        dumped(model, folder), frame, model.predict_proba(frame)[:, 1], fields=wide_fields(list(frame.columns))
    )  # fmt: skip


def native_codes(folder: Path) -> Dumped:
    frame, bad = label_codes()
    model = classifier().fit(frame, bad)
    file = saved(model, folder, "json")
    return Dumped(file, raw_table()[0], model.predict_proba(frame)[:, 1], with_codes)


BANDS = f"""
[[features]]
kind = "bands"
of = "seniority"
edges = {EDGES}
columns = ["seniority_new", "seniority_some", "seniority_long", "seniority_longest"]
column = "seniority_band"

[[features]]
kind = "log"
of = {{ log_amount = "amount" }}
"""


def banded() -> tuple[pd.DataFrame, Any]:
    """Codes as numbers, the logarithm of the amount, and years in the job as bands, both ways."""
    frame, bad = label_codes()
    bands = pd.cut(frame["seniority"], [-1, *EDGES, 1000], labels=["new", "some", "long", "longest"])
    flags = pd.get_dummies(bands, prefix="seniority").astype(float)
    frame = pd.concat([frame, flags], axis=1)
    frame["seniority_band"] = bands.cat.codes
    frame["log_amount"] = np.log(frame["amount"])
    return frame.drop(columns=["seniority", "amount"]), bad


def with_bands(text: str) -> str:
    """The drafted fields file, its bands and logarithm made of the answers themselves."""
    text = with_codes(text)
    drawn = [
        line for line in text.splitlines() if line.startswith("[fields.seniority") or line == "[fields.log_amount]"
    ]
    text = without_fields(text, *(line.removeprefix("[fields.").removesuffix("]") for line in drawn))
    for name, least in (("seniority", 0), ("amount", 10)):
        text += (
            f'\n[fields.{name}]\nlabel = "{name}"\nrange = [{least}, 10_000_000]\nusual = [{least}, 5_000]\n'
            f'example = {least}\nreasons.high = "{name} is high"\nreasons.low = "{name} is low"\n'
        )
    return text + BANDS


def codes_and_bands(folder: Path) -> Dumped:
    frame, bad = banded()
    model = classifier().fit(frame, bad)
    return Dumped(dumped(model, folder), raw_table()[0], model.predict_proba(frame)[:, 1], with_bands)


def wide_native(folder: Path) -> Dumped:
    frame, bad = table()
    model = classifier(n_estimators=60).fit(frame, bad)
    names = [name for name in frame.columns if name != "home_not_stated"]
    expected = model.predict_proba(frame.assign(home_not_stated=0.0))[:, 1]
    return Dumped(saved(model, folder, "ubj"), frame, expected, fields=wide_fields(names))


def old_pickle(folder: Path) -> Dumped:
    frame, _ = table()
    return Dumped(ELSEWHERE / "xgboost_1.4.2.pkl", frame, np.zeros(len(frame)), fields=wide_fields(list(frame.columns)))


def wide_arithmetic(folder: Path) -> Dumped:
    frame, bad = table()
    frame["share"] = frame["amount"] / frame["price"]
    model = classifier().fit(frame, bad)
    fields = wide_fields([name for name in frame.columns if name != "share"])
    fields += '\n[[features]]\nkind = "arithmetic"\nundefined = "zero"\ncolumns = [["share", "amount", "/", "price"]]\n'
    return Dumped(dumped(model, folder), frame, model.predict_proba(frame)[:, 1], fields=fields)


KINDS = (
    Kind("pickle of a classifier, by joblib", [PLAIN], plain),
    Kind("the same by pickle", [PLAIN], plain_pickle),
    Kind("trained on an array, and a list of names in UTF-16", [PLAIN], array_and_list),
    Kind("pickle of a Booster", [PLAIN], booster),
    Kind("Pipeline: StandardScaler, OneHotEncoder", [STEPS], scaled),
    Kind("native JSON, MinMaxScaler in a file of its own", [STEPS, NATIVE], scaler_beside),
    Kind("Pipeline: SimpleImputer, StandardScaler, OneHotEncoder", [STEPS], filled_and_scaled),
    Kind("Pipeline with RobustScaler behind arithmetic by pandas", [STEPS, COMPUTED], robust_and_arithmetic),
    Kind("Pipeline: OrdinalEncoder", [STEPS, CODES], ordinal),
    Kind("Pipeline: StandardScaler over 18 columns, all asked", [STEPS, WIDE], wide_pipeline),
    Kind("Pipeline with a column that nobody is asked, constant", [STEPS, UNASKED], scaled_not_all_asked),
    Kind("Pipeline: log1p, StandardScaler, OneHotEncoder", [STEPS, COMPUTED], logarithms),
    Kind("a dict of model, scaler and features", [STEPS, DICT], dict_with_scaler),
    Kind("texts as numbers, a column missing for everyone", [CODES, UNASKED], codes_not_all_asked),
    Kind("texts as numbers, 19 columns", [CODES, WIDE], wide_codes),
    Kind("native JSON, texts as numbers", [CODES, NATIVE], native_codes),
    Kind("texts as numbers, bands by pandas.cut, log", [CODES, COMPUTED], codes_and_bands),
    Kind("native UBJ, 18 columns, one not asked", [WIDE, NATIVE, UNASKED], wide_native),
    Kind("pickle by XGBoost 1.4.2", [WIDE, NATIVE], old_pickle),
    Kind("18 columns and arithmetic of them", [WIDE, COMPUTED], wide_arithmetic),
)


def adopted(kind: Kind, folder: Path) -> Outcome:
    """Make a model of this kind in the folder, adopt it, and compare it with its source on all loans."""
    source = kind.make(folder)
    fields = None
    if source.fields is not None:
        fields = folder / "fields.toml"
        fields.write_text(source.fields, "utf-8")
    try:
        adoption = released(
            source.model, folder, features=source.features, edit=source.edit, fields=fields, steps=source.steps
        )
    except TenfoldError as error:
        return Outcome(kind, None, "refused: " + " ".join(str(error).replace(str(folder), "").split()))
    release = adoption.release
    if release is None:
        raise ValueError("a release is made in spite of verdicts")
    differ = differing(release, source.answers, source.expected)
    noted = [f"{verdict.question} {verdict.outcome}" for verdict in adoption.verdicts if verdict.outcome != "passes"]
    return Outcome(kind, differ, "; ".join(noted))


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """A line a kind, and the counts."""
    lines = ["| kept as | needs | loans that differ | verdicts that do not pass |", "| --- | --- | ---: | --- |"]
    for outcome in outcomes:
        differ = "no release" if outcome.differ is None else f"{outcome.differ:,}"
        text = outcome.text if len(outcome.text) <= 160 else outcome.text[:159] + "…"
        lines.append(f"| {outcome.kind.title} | {', '.join(outcome.kind.needs)} | {differ} | {text} |")
    count = sum(outcome.faithful for outcome in outcomes)
    by_need = "; ".join(
        f"{need} {sum(outcome.faithful for outcome in outcomes if need in outcome.kind.needs)} of {of}"
        for need, of in NEEDED.items()
    )
    return "\n".join([*lines, "", f"{count} of {len(outcomes)} become a faithful release. By need: {by_need}."])


def main() -> int:
    """Adopt all kinds, or those whose titles hold a word given."""
    words = sys.argv[1:]
    kinds = [kind for kind in KINDS if not words or any(word in kind.title for word in words)]
    outcomes = []
    for kind in kinds:
        with TemporaryDirectory(prefix="adopt-kinds-") as folder:
            outcomes.append(adopted(kind, Path(folder)))
        print(f"{kind.title}: {outcomes[-1].differ} differ; {outcomes[-1].text}", file=sys.stderr)
    print(as_markdown(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
