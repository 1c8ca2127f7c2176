"""Turns a model into XGBoost's native format, in a process of its own: `python -m models.adoption.unpickle FOLDER`.

Loading a pickle runs whatever code is in it. `inference.confined` keeps a crash, an endless loop, a runaway output and
processes that would stay away from the caller; it is no sandbox. Load only what you trust. A native file has no code in
it, but XGBoost does not check it either, so that a broken one may crash: it is read here too.
"""

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
from inference.blocks import Matrix
from inference.errors import TenfoldError
from inference.release import LARGEST, MODEL
from models.adoption.folding import LARGEST as INFINITE
from models.adoption.folding import LEAF, refold
from models.adoption.input_steps import CODE, FLAG, Inputs, StepRefused, inputs_of, name_of

# In the folder that parent and child share, beside MODEL:
PICKLE, STEPS, NATIVE, NAMES, ROWS = "pickle", "steps", "native", "names.json", "rows.npy"
PROBABILITIES, ABOUT, REFUSED, OUTPUT = "probabilities.npy", "about.json", "refused.txt", "output.txt"
DISK = 4 * LARGEST  # bytes that it may write, beside the pickle itself
ABOUT_LARGEST = 1 << 24
REMEDIES = {
    "CalibratedClassifierCV": "dump the XGBClassifier within, and give two numbers as `calibration` in the fields file",
    "GridSearchCV": "dump its best_estimator_",
    "RandomizedSearchCV": "dump its best_estimator_",
}
NAMELESS = "its columns have no names: give a features file, with the raw columns in the order that it takes them"


class About(NamedTuple):
    """What the child found out about a model; a stranger's code may have written it."""

    names: tuple[str, ...] | None  # of the columns of its rows; None: nobody knows them
    folded: bool = False  # whether input steps went into its trees
    steps: tuple[str, ...] = ()  # of its Pipeline, by class
    choices: Mapping[str, Mapping[str, str]] = {}  # raw column -> code -> the column that is 1 for it ("" for none)
    codes: Mapping[str, Mapping[str, float]] = {}  # raw column -> code -> its number
    fills: Mapping[str, float] = {}  # raw column -> what stands for a missing number


class BadPickle(TenfoldError):
    """A pickle that gave no model; the message says why."""


class Converted(NamedTuple):
    """What came out of a model's file."""

    model: bytes  # XGBoost's UBJ format, with the trees that the pickled object predicts with
    probabilities: npt.NDArray[np.float32] | None  # of the rows, by the object itself; None: it has other columns
    about: About = About(None)


def convert(
    content: bytes,
    rows: Matrix | None,
    seconds: float,
    *,
    native: bool = False,
    steps: bytes | None = None,
    names: Sequence[str] | None = None,
) -> Converted:
    """Load a model in a child process, save it natively, and let it predict `rows` (m, n_features) float32.

    `steps` is a pickle of what stands before the model, `names` are those of the raw columns where the file has none.
    Raises `BadPickle` where the child refuses, crashes, or takes longer than `seconds`.
    """
    with TemporaryDirectory(prefix="adopt-") as name:
        folder = Path(name)
        (folder / (NATIVE if native else PICKLE)).write_bytes(content)
        if steps is not None:
            (folder / STEPS).write_bytes(steps)
        if names is not None:
            (folder / NAMES).write_text(json.dumps(list(names)), "utf-8")
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
        said = json.loads(file.read_text("utf-8"))
        names = None if said["names"] is None else tuple(clean(one) for one in said["names"])
        return About(
            names, bool(said["folded"]), tuple(clean(one) for one in said["steps"]),
            {clean(raw): {clean(code): clean(one) for code, one in of.items()} for raw, of in said["choices"].items()},
            {clean(raw): {clean(code): float(one) for code, one in of.items()} for raw, of in said["codes"].items()},
            {clean(raw): float(one) for raw, one in said["fills"].items()},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadPickle("the process that loaded it left no account of its columns") from None


def clean(text: Any) -> str:
    """A name without what could command a terminal."""
    if not isinstance(text, str):
        raise TypeError("no text")
    return "".join(one for one in text if one.isprintable())


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
    return "".join(one for one in text if one.isprintable() or one == "\n").strip()


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
    given = json.loads((folder / NAMES).read_text("utf-8")) if (folder / NAMES).is_file() else None
    if (folder / NATIVE).is_file():
        held = load_native((folder / NATIVE).read_bytes())
    else:
        held = load((folder / PICKLE).read_bytes())
    kept = taken_apart(held)
    if (folder / STEPS).is_file():
        before = load((folder / STEPS).read_bytes())
        kept = kept._replace(steps=(before, *kept.steps))
    booster = booster_of(kept.model)
    inputs = inputs_before(kept, given)
    if inputs is not None and not inputs.plain:
        booster = folded(booster, inputs, is_sparse(kept, inputs))
    about = account(kept, booster, inputs)
    (folder / ABOUT).write_text(json.dumps(about._asdict()), "utf-8")
    if (folder / ROWS).is_file():
        rows = np.load(folder / ROWS)
        if booster.num_features() == rows.shape[1]:
            np.save(folder / PROBABILITIES, predicted(kept, inputs, rows))
    (folder / MODEL).write_bytes(booster.save_raw("ubj"))


class Parts(NamedTuple):
    """What a pickled object is made of."""

    model: Any  # an XGBClassifier or a Booster
    steps: tuple[Any, ...] = ()  # what stands before it, fitted
    names: tuple[str, ...] | None = None  # of the raw columns, where they are kept beside it


def taken_apart(held: Any) -> Parts:
    """A model, the steps before it, and the names of its columns, from what people pickle."""
    if type(held).__name__ == "Pipeline" and hasattr(held, "steps"):
        *before, (_, last) = held.steps
        inner = taken_apart(last)
        return inner._replace(steps=(*(step for _, step in before), *inner.steps))
    if isinstance(held, dict):
        return of_dict(held)
    return Parts(held)


def of_dict(held: dict[Any, Any]) -> Parts:
    """A dict that holds a model, and perhaps one transformer and the names of the columns."""
    from xgboost import Booster, XGBClassifier

    ends = (Booster, XGBClassifier)
    models = {key: one for key, one in held.items() if isinstance(one, ends) or type(one).__name__ == "Pipeline"}
    if len(models) > 1:  # a Pipeline that does not end in a model is what stands before it
        models = {key: one for key, one in models.items() if isinstance(one, ends) or isinstance(one[-1], ends)}
    keys = ", ".join(f"{key!r} ({type(one).__name__})" for key, one in list(held.items())[:20])
    if len(models) != 1:
        raise PickleRefused(
            f"it holds a dict with {len(models)} XGBoost models, and exactly one is needed: {keys}. Dump that one, or "
            "a dict of it and its features"
        )
    ((at, model),) = models.items()
    steps = {key: one for key, one in held.items() if key != at and hasattr(one, "transform")}
    if len(steps) > 1:
        raise PickleRefused(f"it holds a dict with several steps before the model, in no order that it tells: {keys}")
    parts = taken_apart(model)
    parts = parts._replace(steps=(*steps.values(), *parts.steps))
    width = getattr(parts.steps[0], "n_features_in_", None) if parts.steps else booster_width(parts.model)
    listed = [
        tuple(map(str, one)) for key, one in held.items()
        if isinstance(one, list | tuple | np.ndarray) or type(one).__name__ == "Index"
        if len(one) == width and all(isinstance(name, str) for name in one)
    ]  # fmt: skip
    return parts._replace(names=listed[0] if listed else None)


def booster_width(model: Any) -> int | None:
    try:
        return int((model if hasattr(model, "num_features") else model.get_booster()).num_features())
    except Exception:
        return None  # not fitted: booster_of says so


def inputs_before(kept: Parts, given: Sequence[str] | None) -> Inputs | None:
    """What the steps make of the raw columns; None without steps."""
    if not kept.steps:
        return None
    known = getattr(kept.steps[0], "feature_names_in_", None)
    names = tuple(map(str, known)) if known is not None else kept.names or given
    if names is None:
        raise PickleRefused(NAMELESS)
    if len(names) != kept.steps[0].n_features_in_:
        raise PickleRefused(f"its first step takes {kept.steps[0].n_features_in_} columns, and {len(names)} are named")
    try:
        inputs = inputs_of(kept.steps, names, frame=known is not None)
    except StepRefused as refusal:
        raise PickleRefused(str(refusal)) from None
    if len(inputs.columns) != booster_width(kept.model):
        raise PickleRefused(
            f"its steps give {len(inputs.columns)} columns, and its model takes {booster_width(kept.model)}"
        )
    return inputs


def is_sparse(kept: Parts, inputs: Inputs) -> bool:
    """Whether the model is given a sparse matrix, in which XGBoost takes zeros for missing."""
    table = inputs.given(sample(inputs))
    for step in kept.steps:
        table = step.transform(table)
    return not isinstance(table, np.ndarray) and hasattr(table, "tocsr")


def sample(inputs: Inputs) -> Matrix:
    """A row with one code of each raw column that has codes."""
    row = np.zeros((1, len(inputs.names)), np.float32)
    seen = set()
    for one in inputs.columns:
        if one.kind == FLAG and one.raw not in seen:
            seen.add(one.raw)
            row[0, inputs.names.index(name_of(one))] = 1
    return row


def folded(booster: Any, inputs: Inputs, sparse: bool) -> Any:
    """The booster that gives for raw columns what it gives behind the steps."""
    from xgboost import Booster

    attributes = booster.attributes()
    model = json.loads(booster.save_raw("json"))
    if sparse:
        without_missing(model, inputs)
    refold(model, inputs.reads(), inputs.names)
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
            zero, one = bool(tree["default_left"][node]), values[node] > 1
            column = inputs.columns[tree["split_indices"][node]]
            if column.kind == FLAG and not column.done:
                values[node] = 1.0 if zero != one else INFINITE if zero else -INFINITE
                if one and not zero:
                    left[node], right[node] = right[node], left[node]
            elif zero != (values[node] > 0):
                raise PickleRefused(
                    f"its steps give a sparse matrix, in which XGBoost takes the zeros of {column.raw} for missing. "
                    "Train it with sparse_threshold=0 and sparse_output=False"
                )


def account(kept: Parts, booster: Any, inputs: Inputs | None) -> About:
    if inputs is None:
        names = booster.feature_names or kept.names
        if kept.names and booster.feature_names and list(kept.names) != list(booster.feature_names):
            raise PickleRefused("the features beside its model are not those that the model itself names")
        return About(None if names is None else tuple(names))
    choices: dict[str, dict[str, str]] = {}
    for one in inputs.columns:
        if one.kind == FLAG:
            found = choices.setdefault(one.raw, {str(code): "" for code in one.all_codes})
            found[str(one.code)] = name_of(one)
    codes = {
        one.raw: {str(code): float(at) for at, code in enumerate(one.codes)}
        for one in inputs.columns
        if one.kind == CODE
    }
    fills = {one.raw: one.fill for one in inputs.columns if one.fill is not None}
    steps = tuple(type(step).__name__ for step in kept.steps)
    return About(inputs.names, not inputs.plain, steps, choices, codes, fills)


def predicted(kept: Parts, inputs: Inputs | None, rows: Matrix) -> npt.NDArray[np.float32]:
    """What the pickled object itself says of these rows of the release."""
    if inputs is None:
        return probabilities(kept.model, rows)
    try:
        table = inputs.given(rows)
        for step in kept.steps:
            table = step.transform(table)
        return probabilities(kept.model, table)
    except Exception as error:
        text = str(error).partition("\n")[0][:300]
        raise PickleRefused(f"it cannot predict what the form asks ({type(error).__name__}: {text})") from None


def load_native(content: bytes) -> Any:
    """What `save_model` wrote: an XGBClassifier where one did, which stops at its best iteration; else a Booster."""
    from xgboost import Booster, XGBClassifier

    try:
        booster = Booster(model_file=bytearray(content))
        if booster.attr("scikit_learn") is None:
            return booster
        model = XGBClassifier()
        model.load_model(bytearray(content))
    except Exception as error:
        text = str(error).partition("\n")[0][:200]
        raise PickleRefused(f"XGBoost cannot read it ({type(error).__name__}: {text}). Is it whole?") from None
    return model


def load(content: bytes) -> Any:
    """The pickled object: here its code runs."""
    import joblib  # reads what joblib.dump and pickle.dump write, compressed or not

    try:
        return joblib.load(io.BytesIO(content))
    except ModuleNotFoundError as error:
        raise PickleRefused(f"it needs a module that is not here: {error}. Dump a plain XGBClassifier") from None
    except Exception as error:
        text = str(error).partition("\n")[0][:200]
        raise PickleRefused(
            f"it cannot be loaded ({type(error).__name__}: {text}). Is it whole, and was it written by joblib.dump "
            "or pickle.dump?"
        ) from None


def booster_of(model: Any) -> Any:
    """The booster with exactly the trees that the object predicts with, and a note of where it came from.

    An XGBClassifier stops at its best iteration, a Booster takes all trees. Cut so, both ways agree.
    """
    from xgboost import Booster, XGBClassifier

    kind = type(model).__name__
    if not isinstance(model, Booster | XGBClassifier):
        remedy = REMEDIES.get(kind, "train an XGBClassifier with objective binary:logistic")
        raise PickleRefused(f"it holds a {kind}, and only an XGBClassifier or a Booster can be adopted: {remedy}")
    if isinstance(model, Booster):
        booster, best = model, None
    else:
        if not model.__sklearn_is_fitted__():
            raise PickleRefused("its classifier is not fitted: dump it after fit")
        if not math.isnan(model.missing):
            raise PickleRefused(
                f"its classifier takes {model.missing!r} for missing (missing={model.missing!r}), and a release's rows "
                "have no missing values. Train it without that setting"
            )
        booster = model.get_booster()
        best = booster.attr("best_iteration")
    rounds = booster.num_boosted_rounds()
    kept = rounds if best is None else int(best) + 1
    booster = booster[:kept] if kept < rounds else booster.copy()  # the object itself has yet to predict
    booster.set_attr(best_iteration=None, best_score=None, source=f"{kind}, {kept} of {rounds} rounds")
    return booster


def probabilities(model: Any, rows: Matrix) -> npt.NDArray[np.float32]:
    """What the pickled object itself says of these rows."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), np.float32)[:, 1]
    return np.asarray(model.inplace_predict(rows), np.float32).reshape(len(rows), -1)[:, 0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
