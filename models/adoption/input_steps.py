"""What a Pipeline does to its inputs, told step by step, so that the trees can be made to read raw answers instead.

This runs in the process that loaded the pickle. Only steps of scikit-learn whose effect on each column can be told
exactly are known; any other is refused by name. A model's column is a raw number behind linear steps, 1 for one code of
a raw column (OneHotEncoder), or a number a code (OrdinalEncoder).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.adoption.folding import Reads

Floats = npt.NDArray[np.float64]
NUMBER, FLAG, CODE = "number", "flag", "code"
# Functions that never fall, by NumPy's name: the smallest number that each takes, and whether it takes that one too.
FUNCTIONS: dict[str, tuple[np.ufunc, float, bool]] = {
    "log": (np.log, 0.0, False),
    "log2": (np.log2, 0.0, False),
    "log10": (np.log10, 0.0, False),
    "log1p": (np.log1p, -1.0, False),
    "sqrt": (np.sqrt, 0.0, True),
}
KNOWN = (
    "StandardScaler, MinMaxScaler, RobustScaler, SimpleImputer, OneHotEncoder, OrdinalEncoder, FunctionTransformer of "
    "log, log1p, log2, log10 or sqrt, ColumnTransformer, Pipeline"
)


class StepRefused(Exception):
    """A step whose effect no release can hold; the message names it."""


@dataclass(frozen=True)
class Made:
    """A column on its way to the model."""

    raw: str  # the column that it is made of
    kind: str = NUMBER
    code: Any = None  # of a flag: for which it is 1
    codes: tuple[Any, ...] = ()  # of codes: 0, 1, 2, … in this order
    all_codes: tuple[Any, ...] = ()  # of a flag: all that its column may hold
    done: tuple[Callable[[Floats], Floats], ...] = ()  # one after the other
    fill: float | None = None  # what stands for a raw number that is missing
    function: str = ""  # of FUNCTIONS, where it is applied to the raw number itself

    def then(self, step: Callable[[Floats], Floats]) -> "Made":
        return replace(self, done=(*self.done, step))


@dataclass(frozen=True)
class Inputs:
    """What the model reads, and the raw columns of the object that was pickled."""

    raw: tuple[str, ...]  # in its order
    columns: tuple[Made, ...]  # the model's
    frame: bool  # whether the object knows its columns' names

    @property
    def plain(self) -> bool:
        """Whether nothing is done to any."""
        return all(entry.kind == NUMBER and not entry.done for entry in self.columns) and self.raw == self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a release's rows: a number or code once, a column a flag."""
        return tuple(dict.fromkeys(name_of(entry) for entry in self.columns))

    def reads(self, computed: Collection[str] = ()) -> list[Reads]:
        """For each column of the model, the release's column and what is done to it.

        `computed` names raw columns that are computed of several answers.
        """
        places = {name: index for index, name in enumerate(self.names)}
        return [
            Reads(places[name_of(entry)], chained(entry.done) if entry.done else None, computed=entry.raw in computed)
            for entry in self.columns
        ]

    def given(self, rows: Floats) -> Any:
        """The raw table that the object takes, from rows of the release's columns (m, n)."""
        import pandas as pd

        places = {name: index for index, name in enumerate(self.names)}
        table: dict[str, Any] = {}
        for entry in self.columns:
            values = rows[:, places[name_of(entry)]]
            if entry.kind == NUMBER:
                table[entry.raw] = values
            elif entry.kind == CODE:
                # a code that no answer sets is 0, which is the first of them
                table[entry.raw] = np.array(entry.codes, object)[
                    np.clip(np.nan_to_num(values), 0, len(entry.codes) - 1).astype(int)
                ]
            else:
                without = [code for code in entry.all_codes if name_of(replace(entry, code=code)) not in places]
                column = table.setdefault(entry.raw, np.full(len(rows), without[0] if without else UNKNOWN, object))
                column[values == 1] = entry.code
        used = {name: table.get(name, np.zeros(len(rows))) for name in self.raw}
        if not self.frame:
            return np.stack(list(used.values()), axis=1)
        return pd.DataFrame(used).infer_objects()


UNKNOWN = "not one of the codes"


def name_of(entry: Made) -> str:
    """As pandas.get_dummies names columns."""
    return f"{entry.raw}_{plain(entry.code)}" if entry.kind == FLAG else entry.raw


def plain(code: Any) -> str:
    """A code as text: 3.0 is 3."""
    return str(int(code)) if isinstance(code, float) and code == int(code) else str(code)


def chained(steps: Sequence[Callable[[Floats], Floats]]) -> Callable[[Floats], Floats]:
    def together(values: Floats) -> Floats:
        for step in steps:
            values = step(values)
        return values

    return together


def inputs_of(steps: Sequence[Any], raw: Sequence[str], *, frame: bool) -> Inputs:
    """What the model behind the fitted steps reads. Raises `StepRefused`."""
    columns = [Made(name) for name in raw]
    for step in steps:
        columns = after(step, columns)
    inputs = Inputs(tuple(raw), tuple(columns), frame)
    kinds: dict[str, str] = {}
    for entry in columns:
        name = name_of(entry)
        if kinds.setdefault(name, f"{entry.kind} {entry.raw}") != f"{entry.kind} {entry.raw}":
            raise StepRefused(f"two of its columns would be called {name}")
    return inputs


def is_sampler(step: Any) -> bool:
    """Whether a step changes only which loans are trained on (imbalanced-learn): predictions pass it by."""
    return hasattr(step, "fit_resample")


def after(step: Any, columns: list[Made]) -> list[Made]:
    """The columns behind one fitted step."""
    kind = type(step).__name__
    if step is None or (isinstance(step, str) and step == "passthrough") or is_sampler(step):
        return columns
    if not type(step).__module__.startswith(("sklearn.", "imblearn.pipeline")) or kind not in STEPS:
        raise StepRefused(
            f"its step {kind} is not one that can be told exactly ({KNOWN}). Where it computes columns, compute them "
            "before the Pipeline, or train the model on the raw values: trees need no scaling"
        )
    return STEPS[kind](step, columns)


def function(step: Any, columns: list[Made]) -> list[Made]:
    """A function of NumPy that never falls, on each column; without a function they pass unchanged."""
    if step.func is None:
        return columns
    name = getattr(step.func, "__name__", "")
    if name not in FUNCTIONS or FUNCTIONS[name][0] is not step.func or step.kw_args:
        raise StepRefused(
            f"its FunctionTransformer runs {name or 'a function'} of its own, which no release can hold ({KNOWN}). "
            "Compute such columns before the Pipeline: `[[features]]` in the fields file says arithmetic of answers"
        )
    if any(entry.kind != NUMBER or entry.done for entry in columns):
        raise StepRefused(f"its FunctionTransformer takes the {name} of what another step has made")
    return [replace(entry.then(FUNCTIONS[name][0]), function=name) for entry in columns]


def standard(step: Any, columns: list[Made]) -> list[Made]:
    """(x − mean) ÷ scale, each in place and only where it was fitted, as scikit-learn computes it."""
    return [
        linear(entry, minus(step.mean_, index) if step.with_mean else None,
               over(step.scale_, index) if step.with_std else None)
        for index, entry in enumerate(columns)
    ]  # fmt: skip


def robust(step: Any, columns: list[Made]) -> list[Made]:
    """(x − centre) ÷ scale; unit_variance is within the scale."""
    return [
        linear(entry, minus(step.center_, index) if step.with_centering else None,
               over(step.scale_, index) if step.with_scaling else None)
        for index, entry in enumerate(columns)
    ]  # fmt: skip


def minmax(step: Any, columns: list[Made]) -> list[Made]:
    """x × scale + min, then clipped where it clips."""
    ends = step.feature_range
    return [
        linear(entry, times(step.scale_, index), plus(step.min_, index),
               (lambda values: np.clip(values, *ends)) if step.clip else None)
        for index, entry in enumerate(columns)
    ]  # fmt: skip


def linear(entry: Made, *steps: Callable[[Floats], Floats] | None) -> Made:
    for step in steps:
        if step is not None:
            entry = entry.then(step)
    return entry


def minus(numbers: Any, index: int) -> Callable[[Floats], Floats]:
    number = float(numbers[index])
    return lambda values: values - number


def plus(numbers: Any, index: int) -> Callable[[Floats], Floats]:
    number = float(numbers[index])
    return lambda values: values + number


def times(numbers: Any, index: int) -> Callable[[Floats], Floats]:
    number = float(numbers[index])
    return lambda values: values * number


def over(numbers: Any, index: int) -> Callable[[Floats], Floats]:
    number = float(numbers[index])
    if number <= 0:
        raise StepRefused("a scaler divides by a number that is not above 0")
    return lambda values: values / number


def imputed(step: Any, columns: list[Made]) -> list[Made]:
    """What stands for a missing number; texts always have an answer."""
    if step.add_indicator:
        raise StepRefused("its SimpleImputer adds indicators (add_indicator): what is missing has no column in a form")
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise StepRefused(f"its SimpleImputer takes {step.missing_values!r} for missing")
    filled = []
    for entry, value in zip(columns, step.statistics_, strict=True):
        if isinstance(value, str) or entry.kind != NUMBER:
            filled.append(entry)
            continue
        if np.isnan(value):
            raise StepRefused(f"its SimpleImputer saw no value of {entry.raw} and drops it: leave it out before")
        if entry.done and entry.fill is None:
            raise StepRefused(f"its SimpleImputer comes after another step, for {entry.raw}: fill before scaling")
        filled.append(entry if entry.fill is not None else replace(entry, fill=float(value)))
    return filled


def one_hot(step: Any, columns: list[Made]) -> list[Made]:
    if getattr(step, "_infrequent_enabled", False):
        raise StepRefused("its OneHotEncoder puts rare codes together (min_frequency, max_categories)")
    flags = []
    for index, (entry, codes) in enumerate(zip(columns, step.categories_, strict=True)):
        if entry.kind != NUMBER or entry.done:
            raise StepRefused(f"its OneHotEncoder takes what another step has made of {entry.raw}")
        dropped = None if step.drop_idx_ is None else step.drop_idx_[index]
        encoded = [code for place, code in enumerate(codes) if dropped is None or place != dropped]
        flags += [Made(entry.raw, FLAG, code=native(code), all_codes=tuple(map(native, codes))) for code in encoded]
    return flags


def ordinal(step: Any, columns: list[Made]) -> list[Made]:
    if getattr(step, "_infrequent_enabled", False):
        raise StepRefused("its OrdinalEncoder puts rare codes together (min_frequency, max_categories)")
    if any(entry.done or entry.kind != NUMBER for entry in columns):
        raise StepRefused("its OrdinalEncoder takes what another step has made")
    return [
        Made(entry.raw, CODE, codes=tuple(map(native, codes)))
        for entry, codes in zip(columns, step.categories_, strict=True)
    ]


def by_columns(step: Any, columns: list[Made]) -> list[Made]:
    """Each of its parts on its own columns, side by side."""
    side_by_side = []
    names = [entry.raw for entry in columns]
    for _, part, which in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        taken = [columns[index] for index in chosen(which, names)]
        side_by_side += after(part, taken) if taken else []
    return side_by_side


def chosen(which: Any, names: Sequence[str]) -> list[int]:
    """The positions of a ColumnTransformer's columns."""
    if isinstance(which, slice):
        if isinstance(which.start, str) or isinstance(which.stop, str):
            raise StepRefused("its ColumnTransformer takes a slice of names: list them")
        return list(range(len(names)))[which]
    if isinstance(which, str | int):
        which = [which]
    listed = np.asarray(which).tolist()
    if listed and all(isinstance(taken, bool) for taken in listed):
        return [index for index, taken in enumerate(listed) if taken]
    try:
        return [names.index(column) if isinstance(column, str) else range(len(names))[int(column)] for column in listed]
    except (ValueError, IndexError, TypeError):
        raise StepRefused("its ColumnTransformer takes columns that it does not have") from None


def in_order(step: Any, columns: list[Made]) -> list[Made]:
    """A Pipeline within."""
    for _, part in step.steps:
        columns = after(part, columns)
    return columns


def has_value(function: str, number: float) -> bool:
    """Whether one of FUNCTIONS has a value for a number."""
    _, least, included = FUNCTIONS[function]
    return number > least or (included and number == least)


def native(code: Any) -> Any:
    """Without NumPy's types."""
    return code.item() if isinstance(code, np.generic) else code


STEPS: dict[str, Callable[[Any, list[Made]], list[Made]]] = {
    "StandardScaler": standard,
    "MinMaxScaler": minmax,
    "RobustScaler": robust,
    "SimpleImputer": imputed,
    "OneHotEncoder": one_hot,
    "OrdinalEncoder": ordinal,
    "FunctionTransformer": function,
    "ColumnTransformer": by_columns,
    "Pipeline": in_order,
}
