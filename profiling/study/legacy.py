"""The old path, as the study that this project grew out of found it: a dict, a DataFrame, predict_proba.

Its model knew its columns by name, for it was trained on a DataFrame; so this one has column names too. The applicant's
feature values are computed before the clock starts: only the form of the row differs from `predict_credit_score`.
"""

from collections.abc import Mapping

import pandas as pd

from inference.engines import XGBoostEngine
from inference.release import Release


class Legacy:
    """A release, scored by way of pandas."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._classifier = XGBoostEngine(release).classifier
        # XGBoost refuses names with brackets or "<" in a DataFrame.
        self.columns = [name.translate({ord("["): "(", ord("]"): ")", ord("<"): "("}) for name in release.rows.columns]
        self._classifier.get_booster().feature_names = self.columns

    def features(self, answers: Mapping[str, object]) -> dict[str, float]:
        """The applicant's feature values by column, those that are not 0."""
        row = self._release.rows.fill(self._release.form.parse(answers))[0].tolist()
        return {name: value for name, value in zip(self.columns, row, strict=True) if value}

    def predict(self, features: Mapping[str, float]) -> float:
        """The model's probability, uncalibrated: every feature at zero, the applicant's put in, one row, predict."""
        input_data = dict.fromkeys(self.columns, 0.0)
        input_data.update(features)
        frame = pd.DataFrame([input_data], columns=self.columns)
        return float(self._classifier.predict_proba(frame)[0, 1])
