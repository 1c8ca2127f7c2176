"""Turns rows into the model's probability. Only this file imports an engine's package."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from inference.errors import BadRelease, EngineUnavailable
from inference.extras import MissingExtra, how_to_install
from inference.release import MODEL, ONNX, Release

if TYPE_CHECKING:
    from xgboost import Booster

    from inference.bins.from_answers import FromAnswers

TOLERANCE = 1e-6  # of a PD: engines must agree within it; processors differ by less


class Engine(Protocol):
    """The interface of every engine."""

    name: str

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rows, (m, n_features) float32, C order -> uncalibrated probabilities of default, (m,) float32."""


class XGBoostEngine:
    """The default and the reference: `XGBClassifier.predict_proba`."""

    name = "xgboost"

    def __init__(self, release: Release, threads: int = 1) -> None:
        """Parse the release's model, after its digest has been checked: XGBoost does not sanitise model files.

        One thread is best for single rows (p99 0.5 ms, against 21 ms and more with two). The number is set once, here,
        because changing it during a prediction is not thread-safe.
        """
        from xgboost import XGBClassifier  # takes seconds; validation does not need it

        file = release.folder / MODEL
        self.classifier = XGBClassifier(n_jobs=threads)
        try:
            self.classifier.load_model(bytearray(release.model))
            booster = self.classifier.get_booster()
            booster.set_param({"nthread": threads})
            features = booster.num_features()
        except Exception as error:  # XGBoostError, or a Python error from decoding a message or an attribute
            raise BadRelease(file, "a model that XGBoost can read", first_line(error)) from None
        if features != len(release.rows.columns):
            raise BadRelease(file, f"{len(release.rows.columns)} features", features)

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.classifier.predict_proba(rows)[:, 1]

    def used_trees(self) -> "Booster":
        """The booster, without the trees after the best one of a training that was stopped early."""
        booster = self.classifier.get_booster()
        try:
            return booster[: booster.best_iteration + 1]
        except AttributeError:  # it was not
            return booster


class OnnxEngine:
    """ONNX Runtime with the release's `model.onnx`: the fastest for single rows."""

    name = "onnx"

    def __init__(self, release: Release, threads: int = 1) -> None:
        """Parse the release's bytes, after their digest has been checked."""
        try:
            from onnxruntime import InferenceSession, OrtValue, SessionOptions
        except ImportError:
            raise missing(self.name) from None
        if release.onnx is None:
            raise EngineUnavailable(
                f"release {release.name} has no {ONNX}: use TENFOLD_ENGINE=xgboost, or train it again with 'make train'"
            )
        options = SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # log errors only; they are raised as exceptions too
        try:
            session = InferenceSession(release.onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has many exception classes
            raise BadRelease(release.folder / ONNX, "a model that ONNX Runtime can read", error) from None
        (rows,) = session.get_inputs()
        if rows.shape[1] != len(release.rows.columns):
            raise BadRelease(release.folder / ONNX, f"{len(release.rows.columns)} features", rows.shape[1])
        self._session, self._input, self._output = session, rows.name, session.get_outputs()[-1].name
        self._tensor, self._thread = OrtValue.ortvalue_from_numpy, threading.local()

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if len(rows) == 1:
            return self._predict_one(rows)
        return self._session.run([self._output], {self._input: rows})[0][:, 1]  # type: ignore[no-any-return]

    def _predict_one(self, row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Predict with arrays bound once per thread: a quarter faster than `run`, which creates tensors each time."""
        try:
            binding, bound, probabilities = self._thread.bound
        except AttributeError:
            bound, probabilities = np.zeros_like(row), np.zeros((1, 2), np.float32)
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(self._input, self._tensor(bound))
            binding.bind_ortvalue_output(self._output, self._tensor(probabilities))
            self._thread.bound = binding, bound, probabilities
        bound[:] = row
        self._session.run_with_iobinding(binding)
        return probabilities[:, 1].copy()  # type: ignore[no-any-return]  # thread-local attributes are untyped


class OneDalEngine:
    """oneDAL (Intel), with trees converted from the release's model on opening: the fastest for many rows."""

    name = "onedal"

    def __init__(self, release: Release, threads: int = 1) -> None:
        try:
            import daal4py
            from daal4py.mb import convert_model
        except ImportError:
            raise missing(self.name) from None
        daal4py.daalinit(threads)  # for the whole process: oneDAL has no setting per model
        booster = XGBoostEngine(release).classifier.get_booster()
        try:
            self._model = convert_model(booster)
        except Exception as error:  # it parses XGBoost's text dump and raises whatever its parser does
            raise BadRelease(release.folder / MODEL, "a model that oneDAL can convert", first_line(error)) from None
        with suppress(MissingExtra):  # it predicts a row in little more time than NumPy takes to build one
            release.rows.compile_loop()

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._model.predict_proba(rows)[:, 1].astype(np.float32)  # type: ignore[no-any-return]


class BinsEngine:
    """The release's trees on bits (inference/bins): margins equal to XGBoost's to the last bit, and quickest."""

    name = "bins"

    def __init__(self, release: Release, threads: int = 1) -> None:
        """Read the trees, and compare with XGBoost on rows at every threshold and beside it."""
        from inference.bins import Forest, UnfitForest

        booster = XGBoostEngine(release).used_trees()
        try:
            self.forest = Forest(booster)
        except MissingExtra:
            raise missing(self.name) from None
        except UnfitForest as unfit:
            raise EngineUnavailable(
                f"engine {self.name} cannot have release {release.name}: {unfit}. Use TENFOLD_ENGINE=xgboost"
            ) from None
        release.rows.compile_loop()
        from xgboost import DMatrix

        self._release, self._opening = release, threading.Lock()
        self._from_answers: FromAnswers | None = None
        rows = self.forest.edges()
        margins = np.concatenate([self.forest.margins(part) for part in np.split(rows, self.forest.SIZES)])
        different = margins != booster.predict(DMatrix(rows), output_margin=True)
        if different.any():
            raise EngineUnavailable(
                f"engine {self.name} is refused: {different.sum()} of {len(rows)} margins of release {release.name} "
                "are not XGBoost's. Use TENFOLD_ENGINE=xgboost"
            )

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.forest.predict_proba(rows)

    def predict_answers(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Encoded answers, (m, n_fields) float64 -> what `predict_proba` gives for their rows, (m,) float32."""
        return (self._from_answers or self._without_rows()).predict_proba(values)

    def _without_rows(self) -> "FromAnswers":
        """Opened when it is first asked for, so that a start need not wait; compared with rows before it is used."""
        with self._opening:
            if self._from_answers is None:
                opened = self._release.rows.to_forest(self.forest)
                values = golden_values(self._release)
                if not np.array_equal(opened.margins(values), self.forest.margins(self._release.rows.build(values))):
                    raise EngineUnavailable(
                        f"engine {self.name}: answers of release {self._release.name} give other margins than their "
                        "rows. Use TENFOLD_ENGINE=xgboost"
                    )
                self._from_answers = opened
        return self._from_answers

    def compile(self) -> None:
        """Compile what is not compiled yet, or read what was, of all that this engine may need."""
        values = golden_values(self._release)[:1]
        for words in self.forest.WORDS:
            self.predict_answers(np.repeat(values, 64 * words, axis=0))


KINDS: dict[str, Callable[[Release, int], Engine]] = {
    kind.name: kind for kind in (XGBoostEngine, OnnxEngine, OneDalEngine, BinsEngine)
}
ENGINES = tuple(KINDS)


def first_line(error: Exception) -> str:
    """An error's class and the first line of its message: XGBoost appends a stack trace."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"


def missing(name: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"engine {name} is not installed: run {how_to_install('engines')}, or set TENFOLD_ENGINE=xgboost"
    )


def check_name(name: str) -> None:
    """Raises `EngineUnavailable` if there is no such engine."""
    if name not in KINDS:
        raise EngineUnavailable(f"engine {name!r} is not known; TENFOLD_ENGINE takes one of {', '.join(ENGINES)}")


def open_engine(name: str, release: Release, threads: int = 1) -> Engine:
    """Open the engine of this name with the release's model.

    It must predict the release's golden applications; engines other than xgboost must reproduce their PDs within
    TOLERANCE. Raises `EngineUnavailable` if the engine is unknown, not installed or off, `BadRelease` if it cannot read
    the model.
    """
    check_name(name)
    engine = KINDS[name](release, threads)
    try:
        differences = golden_differences(engine, release)
    except Exception as error:  # a model with other inputs, or one that gives no probability
        raise BadRelease(release.folder, f"a model that {name} can predict with", first_line(error)) from None
    if name != XGBoostEngine.name:
        difference = float(np.abs(differences).max(initial=0.0 if release.manifest.golden else np.inf))
        if not difference <= TOLERANCE:
            raise EngineUnavailable(
                f"engine {name} is refused: a golden PD of release {release.name} is off by {difference:.2g}, "
                f"more than {TOLERANCE:g}. Use TENFOLD_ENGINE=xgboost"
            )
    return engine


def predict_answers(
    engine: Engine, release: Release, values: npt.NDArray[np.float64], into: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """The engine's probabilities for many applications: encoded answers, (m, n_fields) float64 -> (m,) float32. Where
    the engine needs rows, they are built `into` the caller's, if there are."""
    if isinstance(engine, BinsEngine):
        return engine.predict_answers(values)
    return engine.predict_proba(release.rows.build(values, into))


def golden_differences(engine: Engine, release: Release) -> npt.NDArray[np.float64]:
    """For each golden application: the engine's PD minus the PD in the manifest, (n,) float64."""
    p = engine.predict_proba(release.rows.build(golden_values(release)))
    pds = release.calibration.pds(p.astype(np.float64))
    return np.asarray(pds - [application.pd for application in release.manifest.golden])


def golden_values(release: Release) -> npt.NDArray[np.float64]:
    """The golden applications, encoded, (n, n_fields)."""
    golden = release.manifest.golden
    return release.form.encode(
        {name: [application.answers[name] for application in golden] for name in release.form.names}
    )
