"""From rows to the model's probability. Only this file imports an engine's package."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.errors import BadRelease, EngineUnavailable
from inference.release import MODEL, Release

ENGINES = ("xgboost",)


class Engine(Protocol):
    """What every engine offers."""

    name: str

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rows (m, n_features) float32, C order -> the model's probability of default (m,), uncalibrated."""


class XGBoostEngine:
    """The default and the reference: `XGBClassifier.predict_proba`."""

    name = "xgboost"

    def __init__(self, release: Release, threads: int = 1) -> None:
        """Parse the release's model, whose digest has matched: XGBoost does not sanitise model files.

        One thread is right for single rows (p99 0.5 ms, against 21 ms and more with two). It is set here,
        once, because setting it beside a running prediction is not thread-safe.
        """
        from xgboost import XGBClassifier  # seconds; whoever only validates does not pay for it
        from xgboost.core import XGBoostError

        file = release.folder / MODEL
        self.classifier = XGBClassifier(n_jobs=threads)
        try:
            self.classifier.load_model(bytearray(release.model))
        except XGBoostError as error:
            raise BadRelease(file, "a model that XGBoost can read", str(error).splitlines()[0]) from None
        booster = self.classifier.get_booster()
        booster.set_param({"nthread": threads})
        if booster.num_features() != len(release.rows.columns):
            raise BadRelease(file, f"{len(release.rows.columns)} features", booster.num_features())

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.classifier.predict_proba(rows)[:, 1]


def open_engine(name: str, release: Release, threads: int = 1) -> Engine:
    """The engine of that name with the release's model; `EngineUnavailable` where there is none."""
    if name != "xgboost":
        raise EngineUnavailable(f"engine {name!r} is not known; TENFOLD_ENGINE takes one of {', '.join(ENGINES)}")
    return XGBoostEngine(release, threads)
