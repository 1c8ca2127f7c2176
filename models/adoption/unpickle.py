"""Turns a model into XGBoost's native format, in a process of its own: `python -m models.adoption.unpickle FOLDER`.

Loading a pickle runs whatever code is in it. `inference.confined` keeps a crash, an endless loop, a runaway output and
processes that would stay away from the caller; it is no sandbox. Load only what you trust. A native file has no code in
it, but XGBoost does not check it either, so that a broken one may crash: it is read here too.
"""

import importlib.util
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference import confined
from inference.errors import TenfoldError
from inference.release import LARGEST, MODEL
from models.adoption.folding import LARGEST as INFINITE
from models.adoption.folding import LEAF, refold
from models.adoption.input_steps import CODE, FLAG, Floats, Inputs, StepRefused, inputs_of, is_sampler, name_of

# In the folder that parent and child share, beside MODEL:
PICKLE, STEPS, NATIVE, NAMES, ROWS = "pickle", "steps", "native", "names.json", "rows.npy"
PROBABILITIES, ABOUT, REFUSED, OUTPUT = "probabilities.npy", "about.json", "refused.txt", "output.txt"
LZ4 = b"\x04\x22\x4d\x18"  # how its files begin
DISK = 4 * LARGEST  # bytes that it may write, beside the pickle itself
ABOUT_LARGEST = 1 << 24
REMEDIES = {
    "CalibratedClassifierCV": "its sigmoids or steps are fitted to p and not to its log-odds, and it averages several "
    "models. Train one XGBClassifier, and give two numbers as `calibration` in the fields file: --loans computes them",
    "XGBRanker": "it gives an order and no probability; train an XGBClassifier",
}
# What chooses a model and then predicts with that one alone: where it keeps it.
CHOOSERS = {
    "GridSearchCV": "best_estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "TunedThresholdClassifierCV": "estimator_",
    "FixedThresholdClassifier": "estimator_",
}
Rows = npt.NDArray[np.floating[Any]]
NAMELESS = "its columns have no names: give a features file, with the raw columns in the order that it takes them"


class About(NamedTuple):
    """What the child found out about a model; a stranger's code may have written it."""

    names: tuple[str, ...] | None  # of the columns of its rows; None: nobody knows them
    folded: bool = False  # whether input steps went into its trees
    steps: tuple[str, ...] = ()  # of its Pipeline, by class
    choices: Mapping[str, Mapping[str, str]] = {}  # raw column -> code -> the column that is 1 for it ("" for none)
    codes: Mapping[str, Mapping[str, float]] = {}  # raw column -> code -> its number
    fills: Mapping[str, float] = {}  # raw column -> what stands for a missing number
    functions: Mapping[str, Sequence[str]] = {}  # raw column -> the functions that steps apply to it (FUNCTIONS)


class BadPickle(TenfoldError):
    """A pickle that gave no model; the message says why."""


class Converted(NamedTuple):
    """What came out of a model's file."""

    model: bytes  # XGBoost's UBJ format, with the trees that the pickled object predicts with
    probabilities: npt.NDArray[np.float32] | None  # of the rows, by the object itself; None: it has other columns
    about: About = About(None)


def convert(
    content: bytes,
    rows: Rows | None,
    seconds: float,
    *,
    native: bool = False,
    steps: bytes | None = None,
    names: Sequence[str] | None = None,
    computed: Sequence[str] = (),
) -> Converted:
    """Load a model in a child process, save it natively, and let it predict `rows` (m, n_features).

    `steps` is a pickle of what stands before the model, `names` are those of the raw columns where the file has none,
    `computed` those of raw columns that are computed of several answers.
    Raises `BadPickle` where the child refuses, crashes, or takes longer than `seconds`.
    """
    with TemporaryDirectory(prefix="adopt-") as name:
        folder = Path(name)
        (folder / (NATIVE if native else PICKLE)).write_bytes(content)
        if steps is not None:
            (folder / STEPS).write_bytes(steps)
        known_before = {"names": None if names is None else list(names), "computed": list(computed)}
        (folder / NAMES).write_text(json.dumps(known_before), "utf-8")
        if rows is not None:
            np.save(folder / ROWS, rows)
        ended = run_child(folder, seconds)
        if (folder / REFUSED).is_file():
            raise BadPickle(printable(folder / REFUSED, 900))
        if ended.status != 0 or not (folder / MODEL).is_file():
            raise BadPickle(f"the process that loaded it {ending(ended)}\n{printable(folder / OUTPUT, 1200)}".rstrip())
        if (folder / MODEL).stat().st_size > LARGEST:
            raise BadPickle(f"its model is larger than {LARGEST} bytes, more than a release may hold")
        predicted = folder / PROBABILITIES
        probabilities = np.load(predicted, allow_pickle=False) if predicted.is_file() else None
        return Converted((folder / MODEL).read_bytes(), probabilities, read_about(folder / ABOUT))


def read_about(file: Path) -> About:
    """What the child noted, checked: texts that can be printed, and numbers."""
    try:
        if file.stat().st_size > ABOUT_LARGEST:
            raise ValueError("too long")
        noted = json.loads(file.read_text("utf-8"))
        names = None if noted["names"] is None else tuple(map(clean, noted["names"]))
        return About(
            names,
            bool(noted["folded"]),
            tuple(map(clean, noted["steps"])),
            {clean(raw): {clean(code): clean(column) for code, column in codes.items()}
             for raw, codes in noted["choices"].items()},
            {clean(raw): {clean(code): float(number) for code, number in codes.items()}
             for raw, codes in noted["codes"].items()},
            {clean(raw): float(number) for raw, number in noted["fills"].items()},
            {clean(raw): tuple(map(clean, applied)) for raw, applied in noted["functions"].items()},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadPickle("the process that loaded it left no account of its columns") from None


def clean(text: Any) -> str:
    """A name without what could command a terminal."""
    if not isinstance(text, str):
        raise TypeError("no text")
    return "".join(letter for letter in text if letter.isprintable())


def run_child(folder: Path, seconds: float) -> confined.Ended:
    """How this module ended on the folder, where it was not stopped; what it prints goes into a file."""
    with (folder / OUTPUT).open("wb") as output:
        ended = confined.run(
            [sys.executable, "-m", "models.adoption.unpickle", str(folder)],
            environment={"TMPDIR": str(folder)}, output=output, seconds=seconds,
            file_size=2 * LARGEST, folder=folder, disk=confined.used(folder) + DISK,
        )  # fmt: skip
    if ended.stopped_by == "disk":
        raise BadPickle(f"loading it wrote more than {DISK:,} bytes")
    if ended.status is None:
        raise BadPickle(f"it was not loaded within {seconds:g} s; --timeout allows more")
    return ended


def ending(ended: confined.Ended) -> str:
    """How a process ended that left no model."""
    return f"died of {ended.signal}" if ended.signal else f"ended with status {ended.status} and left no model"


def printable(file: Path, length: int) -> str:
    """The end of a text that a stranger wrote, without what could command a terminal."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - length))
        text = stream.read().decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n").strip()


# --- in the child ---


class PickleRefused(Exception):
    """The pickle holds what cannot be adopted."""


def main(folder: Path) -> int:
    """Status 0 with the model written, 1 with the reason why not."""
    try:
        adopt(folder)
    except PickleRefused as refusal:
        (folder / REFUSED).write_text(str(refusal), encoding="utf-8")
        return 1
    return 0


def adopt(folder: Path) -> None:
    known_before = json.loads((folder / NAMES).read_text("utf-8"))
    if (folder / NATIVE).is_file():
        loaded = load_native((folder / NATIVE).read_bytes())
    else:
        loaded = load((folder / PICKLE).read_bytes())
    parts = taken_apart(loaded)
    if (folder / STEPS).is_file():
        before = load((folder / STEPS).read_bytes())
        parts = parts._replace(steps=(before, *parts.steps))
    booster = booster_of(parts.model)
    inputs = inputs_before(parts, known_before["names"])
    if inputs is not None and not inputs.plain:
        booster = folded(booster, inputs, known_before["computed"], sparse=is_sparse(parts, inputs))
    about = account(parts, booster, inputs)
    (folder / ABOUT).write_text(json.dumps(about._asdict()), "utf-8")
    if (folder / ROWS).is_file():
        rows = np.load(folder / ROWS)
        if booster.num_features() == rows.shape[1]:
            np.save(folder / PROBABILITIES, predicted(parts, inputs, rows))
    (folder / MODEL).write_bytes(booster.save_raw("ubj"))


class Parts(NamedTuple):
    """What a pickled object is made of."""

    model: Any  # an XGBClassifier, an XGBRegressor or a Booster
    steps: tuple[Any, ...] = ()  # what stands before it, fitted
    names: tuple[str, ...] | None = None  # of the raw columns, where they are kept beside it


def taken_apart(loaded: Any) -> Parts:
    """A model, the steps before it, and the names of its columns, from what people pickle."""
    kind = type(loaded).__name__
    if kind in CHOOSERS:
        chosen_model = getattr(loaded, CHOOSERS[kind], None)
        if chosen_model is None:
            raise PickleRefused(f"its {kind} keeps no model (refit=False, or not fitted): fit the best one and dump it")
        return taken_apart(chosen_model)
    if isinstance(loaded, bytes | bytearray):  # what Booster.save_raw gives
        return Parts(load_native(bytes(loaded)))
    if kind == "Pipeline" and hasattr(loaded, "steps"):
        *before, (_, last) = loaded.steps
        inner = taken_apart(last)
        return inner._replace(steps=(*(step for _, step in before), *inner.steps))
    if isinstance(loaded, dict):
        return of_dict(loaded)
    if isinstance(loaded, list | tuple):
        return of_dict(dict(enumerate(loaded)))
    return Parts(loaded)


def ends_in_model(value: Any) -> bool:
    """Whether a value is an XGBoost model, or chooses one, or ends in one."""
    from xgboost import Booster, XGBModel

    kind = type(value).__name__
    if kind in CHOOSERS:
        return ends_in_model(getattr(value, CHOOSERS[kind], None))
    if kind == "Pipeline" and hasattr(value, "steps"):
        return ends_in_model(value.steps[-1][1])
    return isinstance(value, Booster | XGBModel)


def of_dict(table: dict[Any, Any]) -> Parts:
    """A dict or list that holds a model, and perhaps one transformer and the names of the columns."""
    models = {key: value for key, value in table.items() if ends_in_model(value)}
    keys = ", ".join(f"{key!r} ({type(value).__name__})" for key, value in list(table.items())[:20])
    if len(models) != 1:
        raise PickleRefused(
            f"it holds a dict or list with {len(models)} XGBoost models, and exactly one is needed: {keys}. Dump that "
            "one, or a dict of it and its features"
        )
    ((model_key, model),) = models.items()
    steps = {key: value for key, value in table.items() if key != model_key and hasattr(value, "transform")}
    if len(steps) > 1:
        raise PickleRefused(
            f"it holds several steps beside the model, and nothing says in which order they come: {keys}. Dump a "
            "Pipeline of them and the model"
        )
    parts = taken_apart(model)
    parts = parts._replace(steps=(*steps.values(), *parts.steps))
    width = getattr(parts.steps[0], "n_features_in_", None) if parts.steps else booster_width(parts.model)
    listed = [
        tuple(map(str, value)) for value in table.values()
        if isinstance(value, list | tuple | np.ndarray) or type(value).__name__ == "Index"
        if len(value) == width and all(isinstance(name, str) for name in value)
    ]  # fmt: skip
    return parts._replace(names=listed[0] if listed else None)


def booster_width(model: Any) -> int | None:
    try:
        return int((model if hasattr(model, "num_features") else model.get_booster()).num_features())
    except Exception:
        return None  # not fitted: booster_of says so


def inputs_before(parts: Parts, given: Sequence[str] | None) -> Inputs | None:
    """What the steps make of the raw columns; None without steps."""
    if not parts.steps:
        return None
    first = next((step for step in parts.steps if not is_sampler(step)), None)
    names_known = getattr(first, "feature_names_in_", None)
    names = tuple(map(str, names_known)) if names_known is not None else parts.names or given
    if names is None:
        names = booster_names(parts.model)
    if names is None:
        raise PickleRefused(NAMELESS)
    width = getattr(first, "n_features_in_", len(names))
    if len(names) != width:
        raise PickleRefused(f"its first step takes {width} columns, and {len(names)} are named")
    try:
        inputs = inputs_of(parts.steps, names, frame=names_known is not None)
    except StepRefused as refusal:
        raise PickleRefused(str(refusal)) from None
    if len(inputs.columns) != booster_width(parts.model):
        raise PickleRefused(
            f"its steps give {len(inputs.columns)} columns, and its model takes {booster_width(parts.model)}"
        )
    return inputs


def booster_names(model: Any) -> tuple[str, ...] | None:
    """The columns as the model names them, where steps name none."""
    names = (model if hasattr(model, "num_features") else model.get_booster()).feature_names
    return None if names is None else tuple(names)


def transformed(parts: Parts, table: Any) -> Any:
    """The table behind all steps."""
    for step in parts.steps:
        if not is_sampler(step) and step is not None and step != "passthrough":
            table = step.transform(table)
    return table


def is_sparse(parts: Parts, inputs: Inputs) -> bool:
    """Whether the model is given a sparse matrix, in which XGBoost takes zeros for missing."""
    table = transformed(parts, inputs.given(sample(inputs)))
    return not isinstance(table, np.ndarray) and hasattr(table, "tocsr")


def sample(inputs: Inputs) -> Floats:
    """A row with one code of each raw column that has codes."""
    row = np.zeros((1, len(inputs.names)))
    seen = set()
    for entry in inputs.columns:
        if entry.kind == FLAG and entry.raw not in seen:
            seen.add(entry.raw)
            row[0, inputs.names.index(name_of(entry))] = 1
    return row


def folded(booster: Any, inputs: Inputs, computed: Sequence[str], *, sparse: bool) -> Any:
    """The booster that gives for raw columns what it gives behind the steps."""
    from xgboost import Booster

    attributes = booster.attributes()
    model = json.loads(booster.save_raw("json"))
    if sparse:
        without_missing(model, inputs)
    refold(model, inputs.reads(computed), inputs.names)
    new = Booster(model_file=bytearray(json.dumps(model).encode()))
    new.set_attr(**attributes)
    return new


def without_missing(model: dict[str, Any], inputs: Inputs) -> None:
    """Let a zero go where, as missing, it went."""
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        left, right, values = tree["left_children"], tree["right_children"], tree["split_conditions"]
        for node, child in enumerate(left):
            if child == LEAF:
                continue
            zero_left, one_left = bool(tree["default_left"][node]), values[node] > 1
            column = inputs.columns[tree["split_indices"][node]]
            if column.kind == FLAG and not column.done:
                values[node] = 1.0 if zero_left != one_left else INFINITE if zero_left else -INFINITE
                if one_left and not zero_left:
                    left[node], right[node] = right[node], left[node]
            elif zero_left != (values[node] > 0):
                raise PickleRefused(
                    f"its steps give a sparse matrix, in which XGBoost takes the zeros of {column.raw} for missing. "
                    "Train it with sparse_threshold=0 and sparse_output=False"
                )


def account(parts: Parts, booster: Any, inputs: Inputs | None) -> About:
    if inputs is None:
        names = booster.feature_names or parts.names
        if parts.names and booster.feature_names and list(parts.names) != list(booster.feature_names):
            raise PickleRefused("the features beside its model are not those that the model itself names")
        return About(None if names is None else tuple(names))
    choices: dict[str, dict[str, str]] = {}
    functions: dict[str, list[str]] = {}
    for entry in inputs.columns:
        if entry.kind == FLAG:
            codes_of = choices.setdefault(entry.raw, {str(code): "" for code in entry.all_codes})
            codes_of[str(entry.code)] = name_of(entry)
        if entry.function:
            functions.setdefault(entry.raw, []).append(entry.function)
    codes = {
        entry.raw: {str(code): float(number) for number, code in enumerate(entry.codes)}
        for entry in inputs.columns
        if entry.kind == CODE
    }
    fills = {entry.raw: entry.fill for entry in inputs.columns if entry.fill is not None}
    steps = tuple(type(step).__name__ for step in parts.steps)
    return About(inputs.names, not inputs.plain, steps, choices, codes, fills, functions)


def predicted(parts: Parts, inputs: Inputs | None, rows: Rows) -> npt.NDArray[np.float32]:
    """What the pickled object itself says of these rows of the release."""
    if inputs is None:
        return probabilities(parts.model, rows)
    try:
        return probabilities(parts.model, transformed(parts, inputs.given(rows.astype(np.float64))))
    except Exception as error:
        text = str(error).partition("\n")[0][:300]
        raise PickleRefused(f"it cannot predict what the form asks ({type(error).__name__}: {text})") from None


def load_native(content: bytes) -> Any:
    """What `save_model` or `save_raw` wrote: an estimator, which stops at its best iteration, where one did; else a
    Booster."""
    from xgboost import Booster, XGBClassifier, XGBRegressor

    try:
        booster = Booster(model_file=bytearray(content))
        notes = json.loads(booster.attr("scikit_learn") or "{}")
        estimator = {"classifier": XGBClassifier, "regressor": XGBRegressor}.get(notes.get("_estimator_type"))
        if estimator is None:
            return booster
        model = estimator()
        model.load_model(bytearray(content))
    except Exception as error:
        text = str(error).partition("\n")[0][:200]
        raise PickleRefused(f"XGBoost cannot read it ({type(error).__name__}: {text}). Is it whole?") from None
    return model


def load(content: bytes) -> Any:
    """The pickled object: here its code runs."""
    import joblib  # reads what joblib.dump and pickle.dump write, compressed or not

    if content.startswith(LZ4) and importlib.util.find_spec("lz4") is None:
        raise PickleRefused(
            "joblib compressed it with lz4, which is not installed here: pip install lz4, or dump it again with "
            "joblib.dump(model, file, compress=3)"
        )
    try:
        return joblib.load(io.BytesIO(content))
    except ModuleNotFoundError as error:
        raise PickleRefused(without_module(str(error.name or error))) from None
    except AttributeError as error:
        text = str(error).partition("\n")[0][:200]
        if "__main__" in text:
            raise PickleRefused(
                f"it needs what only the program that dumped it defines ({text}). Dump the fitted XGBClassifier alone"
            ) from None
        raise PickleRefused(f"it was dumped with other versions of its packages than are here ({text})") from None
    except Exception as error:
        text = str(error).partition("\n")[0][:200]
        raise PickleRefused(
            f"it cannot be loaded ({type(error).__name__}: {text}). Is it whole, and was it written by joblib.dump "
            "or pickle.dump?"
        ) from None


def without_module(name: str) -> str:
    """What to do about a pickle that needs a package which is not here."""
    package = name.partition(".")[0]
    if package == "imblearn":
        return (
            "it is a Pipeline of imbalanced-learn (imblearn), which is not installed here. Install it, or dump what "
            "predicts: sklearn.pipeline.Pipeline([(name, step) for name, step in model.steps if not hasattr(step, "
            "'fit_resample')])"
        )
    return f"it needs the module {name}, which is not installed here. Install it, or dump a plain XGBClassifier"


def booster_of(model: Any) -> Any:
    """The booster with exactly the trees that the object predicts with, and a note of where it came from.

    An XGBClassifier stops at its best iteration, a Booster takes all trees. Cut so, both ways agree.
    """
    from xgboost import Booster, XGBClassifier, XGBRegressor

    kind = type(model).__name__
    if not isinstance(model, Booster | XGBClassifier | XGBRegressor):
        remedy = REMEDIES.get(kind, "train an XGBClassifier with objective binary:logistic")
        raise PickleRefused(f"it holds a {kind}, and only an XGBClassifier or a Booster can be adopted: {remedy}")
    if isinstance(model, Booster):
        booster, best = model, None
    else:
        if not model.__sklearn_is_fitted__():
            raise PickleRefused(f"its {kind} is not fitted: dump it after fit")
        if not math.isnan(model.missing):
            raise PickleRefused(
                f"its {kind} takes {model.missing!r} for missing (missing={model.missing!r}), and a release's rows "
                "have no missing values. Train it without that setting"
            )
        booster = model.get_booster()
        best = booster.attr("best_iteration")
    rounds = booster.num_boosted_rounds()
    used = rounds if best is None else int(best) + 1
    booster = booster[:used] if used < rounds else booster.copy()  # the object itself has yet to predict
    booster = as_classifier(booster)
    booster.set_attr(best_iteration=None, best_score=None, source=f"{kind}, {used} of {rounds} rounds")
    return booster


def as_classifier(booster: Any) -> Any:
    """The booster with binary:logistic in place of reg:logistic, whose trees and probabilities are the same."""
    from xgboost import Booster

    model = json.loads(booster.save_raw("json"))
    if model["learner"]["objective"]["name"] != "reg:logistic":
        return booster
    attributes = booster.attributes()
    model["learner"]["objective"]["name"] = "binary:logistic"
    new = Booster(model_file=bytearray(json.dumps(model).encode()))
    new.set_attr(**attributes)
    return new


def probabilities(model: Any, rows: Rows) -> npt.NDArray[np.float32]:
    """What the pickled object itself says of these rows."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), np.float32)[:, 1]
    if hasattr(model, "get_booster"):  # a regressor: its prediction is the probability
        return np.asarray(model.predict(rows), np.float32).reshape(-1)
    return np.asarray(model.inplace_predict(rows), np.float32).reshape(len(rows), -1)[:, 0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
