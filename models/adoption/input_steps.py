"""What a Pipeline does to its inputs, told step by step, so that the trees can be made to read raw answers instead.

This runs in the process that loaded the pickle. Only steps of scikit-learn whose effect on each column can be told
exactly are known; any other is refused by name. A model's column is a raw number behind linear steps, 1 for one code of
a raw column (OneHotEncoder), or a number a code (OrdinalEncoder).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.adoption.folding import Reads, as_it_is

Floats = npt.NDArray[np.float64]
NUMBER, FLAG, CODE = "number", "flag", "code"
KNOWN = (
    "StandardScaler, MinMaxScaler, RobustScaler, SimpleImputer, OneHotEncoder, OrdinalEncoder, ColumnTransformer, "
    "Pipeline"
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
        return all(one.kind == NUMBER and not one.done for one in self.columns) and self.raw == self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a release's rows: a number or code once, a column a flag."""
        return tuple(dict.fromkeys(name_of(one) for one in self.columns))

    def reads(self) -> list[Reads]:
        """For each column of the model, the release's column and what is done to it."""
        at = {name: index for index, name in enumerate(self.names)}
        return [Reads(at[name_of(one)], chained(one.done) if one.done else as_it_is) for one in self.columns]

    def given(self, rows: npt.NDArray[np.float32]) -> Any:
        """The raw table that the object takes, from rows of the release's columns (m, n)."""
        import pandas as pd

        at = {name: index for index, name in enumerate(self.names)}
        found: dict[str, Any] = {}
        for one in self.columns:
            values = rows[:, at[name_of(one)]].astype(np.float64)
            if one.kind == NUMBER:
                found[one.raw] = values
            elif one.kind == CODE:
                # a code that no answer sets is 0, which is the first of them
                found[one.raw] = np.array(one.codes, object)[
                    np.clip(np.nan_to_num(values), 0, len(one.codes) - 1).astype(int)
                ]
            else:
                told = [code for code in one.all_codes if name_of(replace(one, code=code)) not in at]
                column = found.setdefault(one.raw, np.full(len(rows), told[0] if told else UNKNOWN, object))
                column[values == 1] = one.code
        used = {name: found.get(name, np.zeros(len(rows))) for name in self.raw}
        if not self.frame:
            return np.stack(list(used.values()), axis=1)
        return pd.DataFrame(used).infer_objects()


UNKNOWN = "not one of the codes"


def name_of(one: Made) -> str:
    """As pandas.get_dummies names columns."""
    return f"{one.raw}_{plain(one.code)}" if one.kind == FLAG else one.raw


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
    for one in columns:
        name = name_of(one)
        if kinds.setdefault(name, f"{one.kind} {one.raw}") != f"{one.kind} {one.raw}":
            raise StepRefused(f"two of its columns would be called {name}")
    return inputs


def after(step: Any, columns: list[Made]) -> list[Made]:
    """The columns behind one fitted step."""
    kind = type(step).__name__
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    if kind == "FunctionTransformer" and step.func is None:  # "passthrough", once fitted
        return columns
    if not type(step).__module__.startswith("sklearn.") or kind not in STEPS:
        raise StepRefused(
            f"its step {kind} is not one that can be told exactly ({KNOWN}). Where it computes columns, compute them "
            "before the Pipeline, or train the model on the raw values: trees need no scaling"
        )
    return STEPS[kind](step, columns)


def standard(step: Any, columns: list[Made]) -> list[Made]:
    """(x − mean) ÷ scale, each in place and only where it was fitted, as scikit-learn computes it."""
    return [linear(one, minus(step.mean_, at) if step.with_mean else None,
                   over(step.scale_, at) if step.with_std else None) for at, one in enumerate(columns)]  # fmt: skip


def robust(step: Any, columns: list[Made]) -> list[Made]:
    """(x − centre) ÷ scale; unit_variance is within the scale."""
    return [linear(one, minus(step.center_, at) if step.with_centering else None,
                   over(step.scale_, at) if step.with_scaling else None) for at, one in enumerate(columns)]  # fmt: skip


def minmax(step: Any, columns: list[Made]) -> list[Made]:
    """x × scale + min, then clipped where it clips."""
    ends = step.feature_range
    return [
        linear(one, times(step.scale_, at), plus(step.min_, at),
               (lambda values: np.clip(values, *ends)) if step.clip else None)
        for at, one in enumerate(columns)
    ]  # fmt: skip


def linear(one: Made, *steps: Callable[[Floats], Floats] | None) -> Made:
    for step in steps:
        if step is not None:
            one = one.then(step)
    return one


def minus(numbers: Any, at: int) -> Callable[[Floats], Floats]:
    number = float(numbers[at])
    return lambda values: values - number


def plus(numbers: Any, at: int) -> Callable[[Floats], Floats]:
    number = float(numbers[at])
    return lambda values: values + number


def times(numbers: Any, at: int) -> Callable[[Floats], Floats]:
    number = float(numbers[at])
    return lambda values: values * number


def over(numbers: Any, at: int) -> Callable[[Floats], Floats]:
    number = float(numbers[at])
    if number <= 0:
        raise StepRefused("a scaler divides by a number that is not above 0")
    return lambda values: values / number


def imputed(step: Any, columns: list[Made]) -> list[Made]:
    """What stands for a missing number; texts always have an answer."""
    if step.add_indicator:
        raise StepRefused("its SimpleImputer adds indicators (add_indicator): what is missing has no column in a form")
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise StepRefused(f"its SimpleImputer takes {step.missing_values!r} for missing")
    found = []
    for one, value in zip(columns, step.statistics_, strict=True):
        if isinstance(value, str) or one.kind != NUMBER:
            found.append(one)
            continue
        if np.isnan(value):
            raise StepRefused(f"its SimpleImputer saw no value of {one.raw} and drops it: leave it out before")
        if one.done and one.fill is None:
            raise StepRefused(f"its SimpleImputer comes after a scaler, for {one.raw}: fill before scaling")
        found.append(one if one.fill is not None else replace(one, fill=float(value)))
    return found


def one_hot(step: Any, columns: list[Made]) -> list[Made]:
    if getattr(step, "_infrequent_enabled", False):
        raise StepRefused("its OneHotEncoder puts rare codes together (min_frequency, max_categories)")
    found = []
    for at, (one, codes) in enumerate(zip(columns, step.categories_, strict=True)):
        if one.kind != NUMBER or one.done:
            raise StepRefused(f"its OneHotEncoder takes what another step has made of {one.raw}")
        dropped = None if step.drop_idx_ is None else step.drop_idx_[at]
        kept = [code for index, code in enumerate(codes) if dropped is None or index != dropped]
        found += [Made(one.raw, FLAG, code=native(code), all_codes=tuple(map(native, codes))) for code in kept]
    return found


def ordinal(step: Any, columns: list[Made]) -> list[Made]:
    if getattr(step, "_infrequent_enabled", False):
        raise StepRefused("its OrdinalEncoder puts rare codes together (min_frequency, max_categories)")
    if any(one.done or one.kind != NUMBER for one in columns):
        raise StepRefused("its OrdinalEncoder takes what another step has made")
    return [
        Made(one.raw, CODE, codes=tuple(map(native, codes)))
        for one, codes in zip(columns, step.categories_, strict=True)
    ]


def by_columns(step: Any, columns: list[Made]) -> list[Made]:
    """Each of its parts on its own columns, side by side."""
    found = []
    names = [one.raw for one in columns]
    for _, part, which in step.transformers_:
        if part == "drop":
            continue
        taken = [columns[at] for at in chosen(which, names)]
        found += after(part, taken) if taken else []
    return found


def chosen(which: Any, names: Sequence[str]) -> list[int]:
    """The positions of a ColumnTransformer's columns."""
    if isinstance(which, slice):
        if isinstance(which.start, str) or isinstance(which.stop, str):
            raise StepRefused("its ColumnTransformer takes a slice of names: list them")
        return list(range(len(names)))[which]
    if isinstance(which, str | int):
        which = [which]
    listed = np.asarray(which).tolist()
    if listed and all(isinstance(one, bool) for one in listed):
        return [at for at, taken in enumerate(listed) if taken]
    try:
        return [names.index(one) if isinstance(one, str) else range(len(names))[int(one)] for one in listed]
    except (ValueError, IndexError, TypeError):
        raise StepRefused("its ColumnTransformer takes columns that it does not have") from None


def in_order(step: Any, columns: list[Made]) -> list[Made]:
    """A Pipeline within."""
    for _, part in step.steps:
        columns = after(part, columns)
    return columns


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
    "ColumnTransformer": by_columns,
    "Pipeline": in_order,
}
