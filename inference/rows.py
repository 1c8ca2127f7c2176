"""From answers to the model's rows: the one feature code, in training and in serving.

A release lists its features as blocks. Each kind of block is one class here and nothing else anywhere: it
names its columns, and writes them for one application (`fill`, plain floats) and for many (`build`, arrays).
Both use only + − × ÷, comparisons and look-ups in float64 and cast to float32 once: equal bit for bit.

NaN means "not stated" or "undefined" (÷ 0) and spreads through arithmetic; in the row it is written as 0.
"""

from __future__ import annotations  # memoryview[float] is for the type checker: Python 3.11 cannot subscript it

import math
import operator
import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from inference.application import Application, Form
from inference.fields import ChoiceField, NumberField

Column = npt.NDArray[np.float64]  # (m,)
Matrix = npt.NDArray[np.float32]  # (m, n_features)

SMALLEST_DIVISOR = 1e-6  # below it a quotient is undefined: it would say nothing and could leave float32


class Table(NamedTuple):
    """A history table: one float32 row a key, and after them one row that stands for all keys together."""

    keys: tuple[str, ...]
    values: Matrix  # (len(keys) + 1, n_columns)


class Block(Protocol):
    """One kind of feature.

    `quantities` are the float64 values known so far, by slot: the ten answers, then what blocks append.
    """

    columns: tuple[str, ...]

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        """Write this block's columns of one application into `row`, n_features float32 that are all 0.

        A memoryview, since it writes a float in half of an array's time and a slice in a third.
        """

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        """Write this block's columns of m applications into `rows` (m, n_features)."""


class Plan:
    """What blocks are built from: the form, the tables, and where each name is found so far."""

    def __init__(self, form: Form, tables: Mapping[str, Table]) -> None:
        self.form, self.tables = form, tables
        self.slots = {name: slot for slot, name in enumerate(form.names)}  # name -> slot in quantities
        self.n_quantities = len(self.slots)
        self.columns: list[str] = []  # of the row, so far

    def take(self, columns: Sequence[str]) -> slice:
        """Reserve the next columns of the row."""
        for name in columns:
            if name in self.columns:
                raise ValueError(f"column {name} is made twice")
            self.columns.append(name)
        return slice(len(self.columns) - len(columns), len(self.columns))

    def append(self, name: str) -> int:
        """Reserve the next slot of the quantities."""
        self.slots.setdefault(name, self.n_quantities)
        self.n_quantities += 1
        return self.n_quantities - 1

    def number(self, name: str) -> int:
        """The slot of a number field."""
        if not isinstance(self.form.fields[self.form.names.index(name)], NumberField):
            raise ValueError(f"{name} is no number field")
        return self.slots[name]

    def choice(self, name: str) -> tuple[int, ChoiceField]:
        """Slot and field of a choice field."""
        field = self.form.fields[self.form.names.index(name)]
        if not isinstance(field, ChoiceField):
            raise ValueError(f"{name} is no choice field")
        return self.slots[name], field


class Numbers:
    """Number fields as they are: `{"kind": "numbers", "of": [field, …]}`."""

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.columns = tuple(spec["of"])
        self.pairs = list(enumerate([plan.number(name) for name in self.columns], plan.take(self.columns).start))

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        for at, source in self.pairs:
            value = quantities[source]
            if value == value:  # NaN alone differs from itself
                row[at] = value

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        for at, source in self.pairs:
            write(rows, at, quantities[source])


class NotStated:
    """1 where a number field is not stated: `{"kind": "not_stated", "of": [field, …]}`."""

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.columns = tuple(f"{name}=not_stated" for name in spec["of"])
        self.pairs = list(enumerate([plan.number(name) for name in spec["of"]], plan.take(self.columns).start))

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        for at, source in self.pairs:
            value = quantities[source]
            if value != value:
                row[at] = 1.0

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        for at, source in self.pairs:
            rows[:, at] = np.isnan(quantities[source])


class Arithmetic:
    """One operation a column: `{"kind": "arithmetic", "columns": [[name, left, "+-*/", right], …]}`.

    `left` and `right` are number fields or any earlier column of arithmetic or history.
    """

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.columns = tuple(name for name, *_ in spec["columns"])
        # A history column enters as the model sees it, float32 widened to float64.
        operands = {name for _, left, _, right in spec["columns"] for name in (left, right)}
        borrowed = [name for name in plan.columns if name in operands and name not in plan.slots]
        self.borrowed = [plan.columns.index(name) for name in borrowed]
        for name in borrowed:
            plan.append(name)
        self.steps: list[tuple[int, Callable[[float, float], float], Callable[..., Column], int, int]] = []
        for at, (name, left, sign, right) in enumerate(spec["columns"], plan.take(self.columns).start):
            one, many = OPERATIONS[sign]
            self.steps.append((at, one, many, self._slot(left, plan), self._slot(right, plan)))
            plan.append(name)

    @staticmethod
    def _slot(name: str, plan: Plan) -> int:
        return plan.number(name) if name in plan.form.names else plan.slots[name]

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        quantities.extend([row[at] for at in self.borrowed])
        for at, one, _, left, right in self.steps:
            value = one(quantities[left], quantities[right])
            quantities.append(value)
            if value == value:
                row[at] = value

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        quantities.extend(rows[:, at].astype(np.float64) for at in self.borrowed)
        for at, _, many, left, right in self.steps:
            quantities.append(many(quantities[left], quantities[right]))
            write(rows, at, quantities[-1])


class OneHot:
    """One column a choice: `{"kind": "one_hot", "of": field}`; with `"prefix": n`, one a distinct prefix."""

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.source, field = plan.choice(spec["of"])
        prefix = spec.get("prefix")
        groups = [choice.code[:prefix] for choice in field.choices]
        if prefix is not None:  # a node shorter than the prefix belongs to no group
            groups = [group if len(group) == prefix else "" for group in groups]
        distinct = [group for group in dict.fromkeys(groups) if group]
        name = spec["of"] if prefix is None else f"{spec['of']}[{prefix}]"
        self.columns = tuple(f"{name}={group}" for group in distinct)
        position = {group: at for at, group in enumerate(distinct, plan.take(self.columns).start)}
        self.position = np.array([position.get(group, -1) for group in groups] + [-1])  # the last: unset
        # By the float that stands for a choice: a look-up takes a third of what int() and an index take.
        self.column_of = {float(i): at for i, at in enumerate(self.position[:-1].tolist()) if at >= 0}

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        at = self.column_of.get(quantities[self.source])
        if at is not None:
            row[at] = 1.0

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        at = self.position[indices(quantities[self.source])]
        known = np.flatnonzero(at >= 0)
        rows[known, at[known]] = 1.0


class Code:
    """A code's digits as one number: `{"kind": "code", "of": digit-code field}`; its neighbours are its relatives.

    A shorter prefix is filled up with zeros: 72 stands at 720000, where its sector begins.
    """

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.source, field = plan.choice(spec["of"])
        if field.digits is None or field.digits > 7:  # float32 holds every whole number of seven digits
            raise ValueError(f"{spec['of']} is no digit code of at most 7 digits")
        self.columns: tuple[str, ...] = (spec["of"],)
        self.at = plan.take(self.columns).start
        numbers = [float(choice.code.ljust(field.digits, "0")) for choice in field.choices]
        self.numbers = np.array([*numbers, 0.0])  # the last: unset
        self.number_of = {float(i): number for i, number in enumerate(numbers)}

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        row[self.at] = self.number_of.get(quantities[self.source], 0.0)

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        rows[:, self.at] = self.numbers[indices(quantities[self.source])]


class History:
    """A row of a table looked up by one or more keys.

    `{"kind": "history", "table": name, "key": [part, …], "columns": [name, …]}`; a part is `{"of": choice
    field}`, `{"of": choice field, "prefix": n}` or `{"of": number field, "edges": [e, …]}` (band i holds
    e[i-1] <= value < e[i]). Key texts are joined by "|"; where the last part is a digit code that the table
    lacks, its longest known prefix stands for it; whatever is unset or unknown takes the row of all.
    """

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.columns = tuple(spec["columns"])
        table = plan.tables[spec["table"]]
        if table.values.shape != (len(table.keys) + 1, len(self.columns)):
            raise ValueError(f"table {spec['table']} has shape {table.values.shape}")
        self.values = table.values
        self.at = plan.take(self.columns)
        self.parts = [KeyPart(part, plan) for part in spec["key"]]
        known = {key: at for at, key in enumerate(table.keys)}
        everything = len(table.keys)
        shortest = 1 if self.parts[-1].hierarchy else None
        rows_of_key = [
            everything if None in groups else find(known, [str(group) for group in groups], everything, shortest)
            for groups in product(*[[*part.groups, None] for part in self.parts])
        ]
        self.rows_of_key = np.array(rows_of_key)
        views = [memoryview(row) for row in np.ascontiguousarray(self.values)]
        self.view_of_key = [views[at] for at in rows_of_key]

    def fill(self, quantities: list[float], row: memoryview[float]) -> None:
        at = 0
        for part in self.parts:
            at = at * part.size + part.group(quantities[part.source], part.size - 1)
        row[self.at] = self.view_of_key[at]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        at = np.zeros(len(rows), np.intp)
        for part in self.parts:
            at = at * part.size + part.many(quantities[part.source])
        rows[:, self.at] = self.values[self.rows_of_key[at]]


class KeyPart:
    """One part of a history key: an answer -> the index of its group; the last index means unset.

    `group(value, otherwise)` does it for one answer, `many` for a column.
    """

    __slots__ = ("edges", "group", "group_of", "groups", "hierarchy", "size", "source")

    def __init__(self, spec: Mapping[str, Any], plan: Plan) -> None:
        self.edges: list[float] = []
        self.hierarchy = False  # whether a prefix stands for every code that begins with it
        self.group_of: npt.NDArray[np.intp] | None = None  # of a choice; the last: unset
        self.group: Callable[[float, int], int]
        if "edges" in spec:
            self.source = plan.number(spec["of"])
            self.edges = [float(edge) for edge in spec["edges"]]
            if self.edges != sorted(set(self.edges)):
                raise ValueError(f"edges of {spec['of']} must rise, got {self.edges}")
            self.groups = [str(band) for band in range(len(self.edges) + 1)]
            self.group = self.band
        else:
            self.source, field = plan.choice(spec["of"])
            self.hierarchy = field.digits is not None
            codes = [choice.code[: spec.get("prefix")] for choice in field.choices]
            self.groups = list(dict.fromkeys(codes))
            number = {group: at for at, group in enumerate(self.groups)}
            self.group_of = np.array([number[code] for code in codes] + [len(self.groups)])
            self.group = {float(i): number[code] for i, code in enumerate(codes)}.get
        self.size = len(self.groups) + 1

    def band(self, value: float, otherwise: int) -> int:
        return bisect_right(self.edges, value) if value == value else otherwise

    def many(self, values: Column) -> npt.NDArray[np.intp]:
        if self.group_of is not None:
            return self.group_of[indices(values)]
        bands = np.searchsorted(self.edges, values, side="right")
        return np.where(np.isnan(values), self.size - 1, bands)


def find(known: Mapping[str, int], key: list[str], otherwise: int, shortest: int | None) -> int:
    """The table row of a key, or of the key with its last code cut to its longest known prefix.

    With `shortest` None nothing is cut: band 10 is no part of band 1, and "not_stated" none of "no".
    """
    *before, last = key
    for length in range(len(last), (shortest or len(last)) - 1, -1):
        found = known.get("|".join([*before, last[:length]]))
        if found is not None:
            return found
    return otherwise


def indices(values: Column) -> npt.NDArray[np.intp]:
    return np.where(np.isnan(values), -1.0, values).astype(np.intp)


def write(rows: Matrix, at: int, values: Column) -> None:
    rows[:, at] = np.where(np.isnan(values), 0.0, values)


def divide(left: float, right: float) -> float:
    return left / right if abs(right) >= SMALLEST_DIVISOR else math.nan


def divide_columns(left: Column, right: Column) -> Column:
    quotient: Column = np.full(len(left), np.nan)
    return np.divide(left, right, out=quotient, where=np.abs(right) >= SMALLEST_DIVISOR)


OPERATIONS: dict[str, tuple[Callable[[float, float], float], Callable[..., Column]]] = {
    "+": (operator.add, np.add),
    "-": (operator.sub, np.subtract),
    "*": (operator.mul, np.multiply),
    "/": (divide, divide_columns),
}
KINDS: dict[str, Callable[[Mapping[str, Any], Plan], Block]] = {
    "numbers": Numbers,
    "not_stated": NotStated,
    "arithmetic": Arithmetic,
    "one_hot": OneHot,
    "code": Code,
    "history": History,
}


class RowBuilder:
    """Turns applications into rows of float32, at indices computed once.

    Raises KeyError, TypeError or ValueError where the feature list does not fit the form or the tables.
    """

    def __init__(
        self, form: Form, features: Sequence[Mapping[str, Any]], tables: Mapping[str, Table] | None = None
    ) -> None:
        plan = Plan(form, tables or {})
        self._blocks = [KINDS[spec["kind"]](spec, plan) for spec in features]
        self.columns = tuple(plan.columns)
        self._zeros: memoryview[float] = memoryview(np.zeros(len(self.columns), np.float32))  # type: ignore[arg-type]
        self._thread = threading.local()

    def fill(self, application: Application) -> Matrix:
        """Write one application into this thread's own row and return it.

        Shape (1, n_features), float32, C order. The next `fill` of the same thread overwrites it: copy to
        keep. One row a thread, since a shared one gives wrong answers under load.
        """
        try:
            row, flat = self._thread.row
        except AttributeError:
            row = np.zeros((1, len(self.columns)), np.float32)
            flat = memoryview(row[0])
            self._thread.row = row, flat
        flat[:] = self._zeros
        quantities = list(application.values)
        for block in self._blocks:
            block.fill(quantities, flat)
        return row  # type: ignore[no-any-return]  # what a thread holds has no type

    def build(self, values: npt.NDArray[np.float64]) -> Matrix:
        """Encoded answers (m, n_fields) float64 -> new rows (m, n_features) float32.

        Each row equals what `fill` writes for the same answers, bit for bit.
        """
        rows = np.zeros((len(values), len(self.columns)), np.float32)
        quantities = [np.ascontiguousarray(values[:, at]) for at in range(values.shape[1])]
        for block in self._blocks:
            block.build(quantities, rows)
        return rows
