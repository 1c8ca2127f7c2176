"""Columns that a model's owner computed of the answers: `[[features]]` of a fields file.

Arithmetic of several answers is computed in the release's row, as for every recipe. What is made of a single number
(its logarithm, the band that it lies in) needs no column there: the trees read the number itself, at other thresholds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.blocks import OPERATIONS, SMALLEST_DIVISOR
from models.adoption.input_steps import FUNCTIONS, has_value
from models.form_file import check_keys
from models.toml_file import Key, TomlFile

Floats = npt.NDArray[np.float64]
ARITHMETIC, BANDS = "arithmetic", "bands"
KINDS = (ARITHMETIC, BANDS, *FUNCTIONS)
ZERO, MISSING = "zero", "missing"
SIDES = ("right", "left")


class Band(NamedTuple):
    """What a column says of a number's band, among those between `edges`."""

    field: str
    edges: tuple[float, ...]  # rising
    right: bool  # whether an edge belongs to the band below it, as pandas.cut has it
    number: int | None  # the column is 1 in this band, from 0; None: it holds the band's number

    def of(self, values: Floats) -> Floats:
        """The column for these numbers; NaN gives NaN for a band's number, else 0."""
        numbers = np.searchsorted(self.edges, values, side="left" if self.right else "right")
        if self.number is not None:
            flags: Floats = ((numbers == self.number) & ~np.isnan(values)).astype(np.float64)
            return flags
        return np.where(np.isnan(values), np.nan, numbers.astype(np.float64))

    def ends(self) -> tuple[float, float]:
        """The smallest float32 in the band, and the smallest above it."""
        ends = [-np.inf, *map(self.first_above, self.edges), np.inf]
        if self.number is None:
            raise ValueError("a band's number has no ends")
        return ends[self.number], ends[self.number + 1]

    def first_above(self, edge: float) -> float:
        """The smallest float32 beyond an edge; the edge itself is one that rows hold rounded."""
        rounded = np.float32(edge)
        return float(np.nextafter(rounded, np.float32(np.inf)) if self.right else rounded)


class Span(NamedTuple):
    """The numbers that a column can hold."""

    low: float
    high: float
    undefined: bool  # whether it may have none: an answer left open, or a division by 0


@dataclass(frozen=True, slots=True)
class Computed:
    """What a fields file says of computed columns."""

    steps: tuple[tuple[str, str, str, str], ...] = ()  # of arithmetic: column, left, sign, right
    undefined: Mapping[str, str] = field(default_factory=dict)  # column of arithmetic -> ZERO or MISSING in the model
    functions: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # model's column -> function, field
    bands: Mapping[str, Band] = field(default_factory=dict)  # model's column -> its band

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of arithmetic, in their order."""
        return tuple(name for name, *_ in self.steps)

    @property
    def read_from(self) -> set[str]:
        """Fields whose own number the trees read for a function or a band."""
        return {name for _, name in self.functions.values()} | {band.field for band in self.bands.values()}

    @property
    def operands(self) -> set[str]:
        """What arithmetic is made of."""
        return {name for _, left, _, right in self.steps for name in (left, right)}

    def spans(self, fields: Mapping[str, Span]) -> dict[str, Span]:
        """What the columns of arithmetic can hold, given what the number fields can."""
        spans = dict(fields)
        for name, left, sign, right in self.steps:
            spans[name] = combined(spans[left], sign, spans[right])
        return {name: spans[name] for name in self.columns}

    def values(self, fields: Mapping[str, Floats]) -> dict[str, Floats]:
        """The columns of arithmetic for many applications, NaN where undefined, as a release's row computes them."""
        columns = dict(fields)
        for name, left, sign, right in self.steps:
            columns[name] = OPERATIONS[sign][1](columns[left], columns[right])
        return {name: columns[name] for name in self.columns}


def combined(left: Span, sign: str, right: Span) -> Span:
    """The span of one operation: rounding never falls, so its ends are those of the corners."""
    undefined = left.undefined or right.undefined
    divisors = [(right.low, right.high)]
    if sign == "/":
        undefined = undefined or (right.low < SMALLEST_DIVISOR and right.high > -SMALLEST_DIVISOR)
        divisors = [(max(right.low, SMALLEST_DIVISOR), right.high), (right.low, min(right.high, -SMALLEST_DIVISOR))]
    corners = [
        operated(left_end, sign, right_end)
        for low, high in divisors
        if low <= high
        for left_end in (left.low, left.high)
        for right_end in (low, high)
    ]
    return Span(min(corners, default=0.0), max(corners, default=0.0), undefined)


def operated(left: float, sign: str, right: float) -> float:
    return float(OPERATIONS[sign][1](np.array([left]), np.array([right]))[0])


def read_computed(toml: TomlFile, tables: Any, numbers: Mapping[str, Span], features: Sequence[str]) -> Computed:
    """What `[[features]]` says; notes every problem. `numbers` are the number fields and what they accept."""
    computed = Computed(undefined={}, functions={}, bands={})
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        toml.wrong(("features",), f"tables are needed: [[features]] with kind = {', '.join(KINDS)}")
        return computed
    steps: list[tuple[str, str, str, str]] = []
    undefined: dict[str, str] = {}
    functions: dict[str, tuple[str, str]] = {}
    bands: dict[str, Band] = {}
    for index, table in enumerate(tables):
        key, kind = ("features", index), table.get("kind")
        if kind == ARITHMETIC:
            steps += steps_of(toml, key, table, numbers, [name for name, *_ in steps], undefined)
        elif kind == BANDS:
            bands |= bands_of(toml, key, table, numbers)
        elif kind in FUNCTIONS:
            functions |= functions_of(toml, key, table, kind, numbers)
        else:
            toml.wrong((*key, "kind"), f"one of {', '.join(KINDS)} is needed, got {kind!r}")
    for name in (*functions, *bands):
        if name not in features:
            toml.wrong(("features",), f"the model has no feature {name}")
    used = [*(name for name, *_ in steps), *functions, *bands]
    for name in sorted({name for name in used if used.count(name) > 1 or name in numbers}):
        toml.wrong(("features",), f"{name} is computed, and a field or another column has that name")
    if steps and not any(name in features for name, *_ in steps):
        toml.wrong(("features",), f"the model has none of the features {', '.join(name for name, *_ in steps)}")
    return Computed(tuple(steps), undefined, functions, bands)


def steps_of(
    toml: TomlFile,
    key: Key,
    table: Mapping[str, Any],
    numbers: Mapping[str, Span],
    before: Sequence[str],
    undefined: dict[str, str],
) -> list[tuple[str, str, str, str]]:
    """The operations of one table, as in a recipe: columns = [[name, left, sign, right], …]."""
    steps: list[tuple[str, str, str, str]] = []
    listed = table.get("columns")
    check_keys(toml, key, table, ("kind", "columns", "undefined"), ("columns",))
    choice = table.get("undefined", "")
    if choice not in ("", ZERO, MISSING):
        toml.wrong((*key, "undefined"), f"{ZERO} or {MISSING} is needed, got {choice!r}")
    if not isinstance(listed, list) or not listed:
        toml.wrong((*key, "columns"), f"a list of [name, left, sign, right] is needed, got {listed!r}")
        return steps
    for index, step in enumerate(listed):
        place = (*key, "columns", index)
        if not (isinstance(step, list) and len(step) == 4 and all(isinstance(part, str) for part in step)):
            toml.wrong(place, f"[name, left, sign, right] is needed, got {step!r}")
            continue
        name, left, sign, right = step
        if sign not in OPERATIONS:
            toml.wrong(place, f"the sign is one of {' '.join(OPERATIONS)}, got {sign!r}")
            continue
        known_names = [*numbers, *before, *(earlier for earlier, *_ in steps)]
        if strange := [operand for operand in (left, right) if operand not in known_names]:
            toml.wrong(place, f"{', '.join(strange)} is neither a number field nor an earlier column")
            continue
        steps.append((name, left, sign, right))
        undefined[name] = choice
    return steps


def functions_of(
    toml: TomlFile, key: Key, table: Mapping[str, Any], function: str, numbers: Mapping[str, Span]
) -> dict[str, tuple[str, str]]:
    """of = { column = field }: the column is the function of the field's number."""
    listed = table.get("of")
    check_keys(toml, key, table, ("kind", "of"), ("of",))
    if not isinstance(listed, Mapping):
        toml.wrong((*key, "of"), f"a table is needed, column = number field, got {listed!r}")
        return {}
    functions = {}
    for column, name in listed.items():
        if name not in numbers:
            toml.wrong((*key, "of", column), f"a number field is needed, got {name!r}")
            continue
        functions[column] = (function, name)
    return functions


def bands_of(toml: TomlFile, key: Key, table: Mapping[str, Any], numbers: Mapping[str, Span]) -> dict[str, Band]:
    """of = field, edges = […], and column (the band's number) or columns (a name a band, "" for none), or both."""
    check_keys(toml, key, table, ("kind", "of", "edges", "closed", "column", "columns"), ("of", "edges"))
    name, edges, side = table.get("of"), table.get("edges"), table.get("closed", "right")
    before = len(toml.problems)
    if name not in numbers:
        toml.wrong((*key, "of"), f"a number field is needed, got {name!r}")
    if not (
        isinstance(edges, list) and edges and all(type(edge) in (int, float) for edge in edges)
        and edges == sorted(set(edges))
    ):  # fmt: skip
        toml.wrong((*key, "edges"), f"rising numbers are needed, the edges between bands, got {edges!r}")
        edges = []
    if side not in SIDES:
        toml.wrong((*key, "closed"), f"right (as pandas.cut) or left (as numpy.digitize) is needed, got {side!r}")
    listed, column = table.get("columns", []), table.get("column")
    if not isinstance(listed, list) or not all(isinstance(part, str) for part in listed):
        toml.wrong((*key, "columns"), f"a list of names is needed, got {listed!r}")
    elif listed and len(listed) != len(edges) + 1:
        toml.wrong((*key, "columns"), f"{len(edges)} edges make {len(edges) + 1} bands, and {len(listed)} are named")
    elif not listed and not isinstance(column, str):
        toml.wrong(key, "`columns` (a name a band) or `column` (the band's number) is needed")
    if len(toml.problems) > before:
        return {}
    ends = tuple(float(edge) for edge in edges)
    bands = {part: Band(str(name), ends, side == "right", number) for number, part in enumerate(listed) if part}
    return bands | ({column: Band(str(name), ends, side == "right", None)} if column else {})


def check_domains(toml: TomlFile, key: Key, applied: Sequence[str], span: Span, otherwise: float | None) -> None:
    """Refuse a range that a function cannot take all of; `otherwise` is what stands for an answer left open."""
    for function in applied:
        _, least, included = FUNCTIONS[function]
        beyond = [number for number in (span.low, otherwise) if number is not None and not has_value(function, number)]
        if beyond:
            toml.wrong(
                key,
                f"the model takes the {function} of it, which {beyond[0]:g} has none of: begin the range "
                f"{'at' if included else 'above'} {least:g}"
                + (", and say such a number in `if_not_stated`" if otherwise in beyond else ""),
            )


def step_function(band: Band) -> Callable[[Floats], Floats]:
    """The band's number, for thresholds: edges as rows hold them."""
    firsts = np.array([band.first_above(edge) for edge in band.edges])
    return lambda values: np.searchsorted(firsts, values.astype(np.float32), side="right").astype(np.float64)
