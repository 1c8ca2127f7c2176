"""The rival of every recipe: a scorecard as a careful lender builds one, with optbinning.

Answers and their ratios are cut into bins whose bad rates rise or fall throughout (Navas-Palencia 2020, "Optimal
binning: mathematical programming formulation", arXiv 2001.08025), a bin is coded by its weight of evidence, and a
logistic regression weighs them. "Not stated" and special codes have bins of their own.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression

from inference.application import Form
from inference.blocks import ArithmeticSpec, Feature, Step
from inference.fields import ChoiceField, NumberField
from inference.rows import RowBuilder
from models.metrics import Floats, Labels

BINS = 20  # at most, before similar ones are joined
SMALLEST, FEWEST = 0.01, 100  # a first bin holds at least this share of the loans, and so many
DIGITS = 4  # of a digit code: industries, not sectors


class Scorecard:
    """Encoded answers (m, n_fields) in, probabilities of bad (m,) out."""

    def __init__(
        self,
        form: Form,
        features: Sequence[Feature] = (),
        special: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """The fields of `form`, and what the arithmetic among `features` computes from number fields alone.

        `special` names the values of number fields that are codes and no quantities, such as 98 for "refused".
        """
        self._form = form
        self._special = special or {}
        self._ratios = ratios(form, features)
        columns = [step for step, _ in self._ratios.values()]
        self._builder = RowBuilder(form, (ArithmeticSpec(columns=tuple(columns)),))
        self._binning: Any = None
        self._weights = LogisticRegression(C=math.inf, max_iter=1000)

    def fit(self, values: Floats, bad: Labels) -> "Scorecard":
        """Bin and weigh on `values` (m, n_fields) and `bad` (m,)."""
        from optbinning import BinningProcess  # takes seconds to import, and only training has it

        choices = [field.name for field in self._form.fields if isinstance(field, ChoiceField)]
        answers = self._frame(values)
        how: dict[str, dict[str, Any]] = {
            name: {"monotonic_trend": "auto_asc_desc"} for name in answers if name not in choices
        }
        for name, codes in self._special.items():
            how[name]["special_codes"] = list(codes)
        self._binning = BinningProcess(
            list(answers),
            max_n_prebins=BINS,
            min_prebin_size=min(0.5, max(SMALLEST, FEWEST / len(bad))),
            categorical_variables=choices,
            binning_fit_params=how,
        )
        with warnings.catch_warnings():  # of how optbinning uses pandas and scikit-learn
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            self._binning.fit(answers, bad)
        self._weights.fit(self._evidence(answers), bad)
        return self

    def pds(self, values: Floats) -> Floats:
        """The probability of bad (m,) of each row of `values` (m, n_fields), not calibrated."""
        return np.asarray(self._weights.predict_proba(self._evidence(self._frame(values)))[:, 1], np.float64)

    def _evidence(self, answers: pd.DataFrame) -> Floats:
        """Weights of evidence (m, n); those of special codes and "not stated" as found, where the default is 0."""
        evidence = self._binning.transform(
            answers, metric="woe", metric_special="empirical", metric_missing="empirical"
        )
        return np.asarray(evidence, np.float64)

    def _frame(self, values: Floats) -> pd.DataFrame:
        """The answers and their ratios by name: numbers with NaN for "not stated", choices as texts."""
        columns: dict[str, npt.NDArray[Any]] = {}
        for index, field in enumerate(self._form.fields):
            columns[field.name] = values[:, index]
            if isinstance(field, ChoiceField):
                codes = np.array([choice.code[:DIGITS] if field.digits else choice.code for choice in field.choices])
                columns[field.name] = codes.astype(object)[values[:, index].astype(np.intp)]
        rows = self._builder.build(values).astype(np.float64)
        for index, (name, (_, fields)) in enumerate(self._ratios.items()):
            stated = ~np.isnan(values[:, [self._form.names.index(field) for field in fields]]).any(axis=1)
            columns[name] = np.where(stated, rows[:, index], np.nan)
        return pd.DataFrame(columns)


def ratios(form: Form, features: Sequence[Feature]) -> dict[str, tuple[Step, tuple[str, ...]]]:
    """Name -> (the arithmetic step, the number fields that it comes from); steps that need history are left out."""
    sources: dict[str, tuple[str, ...]] = {
        field.name: (field.name,) for field in form.fields if isinstance(field, NumberField)
    }
    by_name: dict[str, tuple[Step, tuple[str, ...]]] = {}
    for spec in features:
        for step in spec.columns if isinstance(spec, ArithmeticSpec) else ():
            name, left, _, right = step
            if left in sources and right in sources:
                sources[name] = tuple(dict.fromkeys(sources[left] + sources[right]))
                by_name[name] = step, sources[name]
    return by_name
