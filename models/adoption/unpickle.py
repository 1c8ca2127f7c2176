"""Turns a pickle into XGBoost's native format, in a process of its own: `python -m models.adoption.unpickle FOLDER`.

Loading a pickle runs whatever code is in it. `inference.confined` keeps a crash, an endless loop, a runaway output and
processes that would stay away from the caller; it is no sandbox. Load only what you trust.
"""

import io
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference import confined
from inference.blocks import Matrix
from inference.errors import TenfoldError
from inference.release import LARGEST, MODEL

# In the folder that parent and child share, beside MODEL:
PICKLE, ROWS, PROBABILITIES, REFUSED, OUTPUT = "pickle", "rows.npy", "probabilities.npy", "refused.txt", "output.txt"
DISK = 4 * LARGEST  # bytes that it may write, beside the pickle itself
REMEDIES = {
    "Pipeline": "what its earlier steps do to the inputs (scaling, filling, encoding) is no part of a release, and "
    "without them the last step would misread every answer. Train the XGBClassifier on the raw values: trees need "
    "no scaling",
    "CalibratedClassifierCV": "dump the XGBClassifier within, and give two numbers as `calibration` in the fields file",
    "GridSearchCV": "dump its best_estimator_",
    "RandomizedSearchCV": "dump its best_estimator_",
    "dict": "dump the XGBClassifier alone",
}


class BadPickle(TenfoldError):
    """A pickle that gave no model; the message says why."""


class Converted(NamedTuple):
    """What came out of a pickle."""

    model: bytes  # XGBoost's UBJ format, with the trees that the pickled object predicts with
    probabilities: npt.NDArray[np.float32] | None  # of the rows, by the pickled object; None: it has other columns


def convert(content: bytes, rows: Matrix, seconds: float) -> Converted:
    """Load a pickle in a child process, save its model natively, and let it predict `rows` (m, n_features) float32.

    Raises `BadPickle` where the child refuses, crashes, or takes longer than `seconds`.
    """
    with TemporaryDirectory(prefix="adopt-") as name:
        folder = Path(name)
        (folder / PICKLE).write_bytes(content)
        np.save(folder / ROWS, rows)
        ended = run_child(folder, seconds)
        if (folder / REFUSED).is_file():
            raise BadPickle(printable(folder / REFUSED, 600))
        if ended.status != 0 or not (folder / MODEL).is_file():
            raise BadPickle(f"the process that loaded it {ending(ended)}\n{printable(folder / OUTPUT, 1200)}".rstrip())
        if (folder / MODEL).stat().st_size > LARGEST:
            raise BadPickle(f"its model is larger than {LARGEST} bytes, more than a release may hold")
        predicted = folder / PROBABILITIES
        probabilities = np.load(predicted, allow_pickle=False) if predicted.is_file() else None
        return Converted((folder / MODEL).read_bytes(), probabilities)


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
    model = load((folder / PICKLE).read_bytes())
    booster = booster_of(model)
    rows = np.load(folder / ROWS)
    if booster.num_features() == rows.shape[1]:
        np.save(folder / PROBABILITIES, probabilities(model, rows))
    (folder / MODEL).write_bytes(booster.save_raw("ubj"))


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
