"""The kinds of features in a row. Training and serving share this code.

A release lists its features as blocks. Each kind of block is two classes, both defined here: its description in the
manifest (`…Spec`) and the block itself. A block names its columns and computes them for one application (`source`,
plain floats) and for many (`build`, arrays). Both use only + − × ÷, comparisons and look-ups in float64 and cast to
float32 once, so they agree bit for bit.

Model cards show the first line of a block's docstring, up to a colon: changing it changes them.

NaN means "not stated" or "undefined" (÷ 0) and propagates through arithmetic; in the row it becomes 0.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Annotated, Literal, NamedTuple, Protocol, assert_never

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct, convert

from inference.application import Form
from inference.fields import Bound, ChoiceField, Count, NumberField

Column = npt.NDArray[np.float64]  # (m,)
Matrix = npt.NDArray[np.float32]  # (m, n_features)
SMALLEST_DIVISOR = 1e-6  # below it a quotient is undefined: it would be meaningless and could overflow float32


class Table(NamedTuple):
    """A history table: one float32 row per key, then one row for all keys together."""

    keys: tuple[str, ...]
    values: Matrix  # (len(keys) + 1, n_columns)


class Block(Protocol):
    """One kind of feature.

    Quantities are the values computed so far, by slot: the ten answers as float64, then what blocks append.
    """

    columns: tuple[str, ...]

    def source(self, constant: Callable[[object], str]) -> list[str]:
        """Python statements that write this block's columns for one application; `q0`, `q1`, … are the quantities.

        They assign to `row`, a memoryview of n_features float32 zeros, or to `raw`, the same memory as bytes.
        `constant` gives an object a name that statements can use. Otherwise statements contain only numbers computed
        here, no text of the manifest.
        """

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        """Write this block's columns for m applications into `rows` (m, n_features)."""


Sign = Literal["+", "-", "*", "/"]
Step = tuple[str, str, Sign, str]  # of arithmetic: column name, left, sign, right


class Spec(Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """A block as the manifest describes it; `kind` selects the class."""


class KeyPartSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`{"of": choice field}`, `{"of": choice field, "prefix": n}` or `{"of": number field, "edges": [e, …]}`.

    With edges, band i holds e[i-1] <= value < e[i].
    """

    of: str
    prefix: Count | None = None
    edges: tuple[Bound, ...] | None = None


class Plan:
    """What blocks are built from: the form, the tables, and the slots and columns assigned so far."""

    def __init__(self, form: Form, tables: Mapping[str, Table]) -> None:
        self.form, self.tables = form, tables
        self.slots = {name: slot for slot, name in enumerate(form.names)}  # name -> slot in quantities
        self.n_quantities = len(self.slots)
        self.groups: dict[str, tuple[int, KeyPart]] = {}  # parts of history keys so far, with their slots
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
        if not isinstance(self.form.fields[self.form.position(name)], NumberField):
            raise ValueError(f"{name} is not a number field")
        return self.slots[name]

    def choice(self, name: str) -> tuple[int, ChoiceField]:
        """The slot of a choice field, and the field."""
        field = self.form.fields[self.form.position(name)]
        if not isinstance(field, ChoiceField):
            raise ValueError(f"{name} is not a choice field")
        return self.slots[name], field


class NumbersSpec(Spec, frozen=True, tag="numbers"):
    """`{"kind": "numbers", "of": [field, …]}`"""

    of: tuple[str, ...]


class Numbers:
    """Number fields as they are."""

    def __init__(self, spec: NumbersSpec, plan: Plan) -> None:
        self.columns = spec.of
        slots = [plan.number(name) for name in self.columns]
        self.span = plan.take(self.columns)
        self.pairs = list(enumerate(slots, self.span.start))

    def source(self, constant: Callable[[object], str]) -> list[str]:
        return [unless_nan(column, slot) for column, slot in self.pairs]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        write(rows, self.span, [quantities[slot] for _, slot in self.pairs])


class NotStatedSpec(Spec, frozen=True, tag="not_stated"):
    """`{"kind": "not_stated", "of": [field, …]}`"""

    of: tuple[str, ...]


class NotStated:
    """1 where a number field is not stated."""

    def __init__(self, spec: NotStatedSpec, plan: Plan) -> None:
        self.columns = tuple(f"{name}=not_stated" for name in spec.of)
        self.pairs = list(enumerate([plan.number(name) for name in spec.of], plan.take(self.columns).start))

    def source(self, constant: Callable[[object], str]) -> list[str]:
        return [f"if q{slot} != q{slot}: row[{column}] = 1.0" for column, slot in self.pairs]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        for column, slot in self.pairs:
            rows[:, column] = np.isnan(quantities[slot])


class ArithmeticSpec(Spec, frozen=True, tag="arithmetic"):
    """`{"kind": "arithmetic", "columns": [[name, left, "+-*/", right], …]}`"""

    columns: tuple[Step, ...]


class Arithmetic:
    """One operation a column.

    `left` and `right` are number fields or earlier columns of arithmetic or history.
    """

    def __init__(self, spec: ArithmeticSpec, plan: Plan) -> None:
        self.columns = tuple(name for name, *_ in spec.columns)
        # A history column is used as the model sees it: float32, widened to float64.
        operands = {name for _, left, _, right in spec.columns for name in (left, right)}
        borrowed = [name for name in plan.columns if name in operands and name not in plan.slots]
        self.borrowed = [(plan.append(name), plan.columns.index(name)) for name in borrowed]
        self.steps: list[tuple[int, int, str, int, int]] = []  # (slot, column, sign, left slot, right slot)
        self.span = plan.take(self.columns)
        for column, (name, left, sign, right) in enumerate(spec.columns, self.span.start):
            operand_slots = self._slot(left, plan), self._slot(right, plan)
            self.steps.append((plan.append(name), column, sign, *operand_slots))

    @staticmethod
    def _slot(name: str, plan: Plan) -> int:
        if name not in plan.slots:
            raise ValueError(f"{name} is neither a number field nor an earlier column")
        return plan.number(name) if name in plan.form.names else plan.slots[name]

    def source(self, constant: Callable[[object], str]) -> list[str]:
        statements = [f"q{slot} = row[{column}]" for slot, column in self.borrowed]
        for slot, column, sign, left, right in self.steps:
            expression, _ = OPERATIONS[sign]
            statements += [f"q{slot} = {expression.format(f'q{left}', f'q{right}')}", unless_nan(column, slot)]
        return statements

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        quantities.extend(rows[:, column].astype(np.float64) for _, column in self.borrowed)
        for _, _, sign, left, right in self.steps:
            _, operation = OPERATIONS[sign]
            quantities.append(operation(quantities[left], quantities[right]))
        write(rows, self.span, quantities[len(quantities) - len(self.steps) :])


class OneHotSpec(Spec, frozen=True, tag="one_hot"):
    """`{"kind": "one_hot", "of": field}`; with `"prefix": n`, one column per distinct prefix."""

    of: str
    prefix: Count | None = None


class OneHot:
    """One column a choice, or one a distinct prefix of the codes."""

    def __init__(self, spec: OneHotSpec, plan: Plan) -> None:
        self.slot, field = plan.choice(spec.of)
        prefix = spec.prefix
        groups = [choice.code[:prefix] for choice in field.choices]
        if prefix is not None:  # a code shorter than the prefix belongs to no group
            groups = [group if len(group) == prefix else "" for group in groups]
        distinct = [group for group in dict.fromkeys(groups) if group]
        name = spec.of if prefix is None else f"{spec.of}[{prefix}]"
        self.columns = tuple(f"{name}={group}" for group in distinct)
        column_of_group = {group: column for column, group in enumerate(distinct, plan.take(self.columns).start)}
        self.column_of_choice = np.array([column_of_group.get(group, -1) for group in groups] + [-1])  # last: unset
        # Keyed by the encoded choice, a float: a look-up takes a third of the time of int() and an index.
        self.column_of = {
            float(i): column for i, column in enumerate(self.column_of_choice[:-1].tolist()) if column >= 0
        }

    def source(self, constant: Callable[[object], str]) -> list[str]:
        return [f"column = {constant(self.column_of.get)}(q{self.slot}, -1)", "if column >= 0: row[column] = 1.0"]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        columns = self.column_of_choice[indices(quantities[self.slot])]
        cells = np.arange(0, rows.size, rows.shape[1]) + columns  # in the flat matrix, which is quicker to index
        known = columns >= 0
        rows.reshape(-1)[cells if known.all() else cells[known]] = 1.0


class CodeSpec(Spec, frozen=True, tag="code"):
    """`{"kind": "code", "of": digit-code field}`"""

    of: str


class Code:
    """A code's digits as one number: related codes are close to each other.

    A shorter prefix is padded with zeros: 72 becomes 720000, where its sector begins.
    """

    def __init__(self, spec: CodeSpec, plan: Plan) -> None:
        self.slot, field = plan.choice(spec.of)
        if field.digits is None or field.digits > 7:  # float32 represents every integer of seven digits
            raise ValueError(f"{spec.of} is not a digit code of at most 7 digits")
        self.columns: tuple[str, ...] = (spec.of,)
        self.column = plan.take(self.columns).start
        numbers = [float(choice.code.ljust(field.digits, "0")) for choice in field.choices]
        self.numbers = np.array([*numbers, 0.0])  # last: unset
        self.number_of = {float(i): number for i, number in enumerate(numbers)}

    def source(self, constant: Callable[[object], str]) -> list[str]:
        return [f"row[{self.column}] = {constant(self.number_of.get)}(q{self.slot}, 0.0)"]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        rows[:, self.column] = self.numbers[indices(quantities[self.slot])]


class CodedSpec(Struct, frozen=True, kw_only=True):
    """The column of a model made elsewhere that holds a choice as a number, and the number of each code."""

    column: str
    numbers: dict[str, float]


class PlacedSpec(Spec, frozen=True, tag="placed"):
    """`{"kind": "placed", "columns": [name, …], "numbers": {number field: column}, "choices": {choice field: {code:
    column}}, "codes": {choice field: {"column": column, "numbers": {code: number}}}, "not_stated": {number field:
    number}}`; the last two may be left out."""

    columns: tuple[str, ...]
    numbers: dict[str, str]
    choices: dict[str, dict[str, str]]
    codes: dict[str, CodedSpec] = {}
    not_stated: dict[str, float] = {}


class Placed:
    """Columns of a model made elsewhere, in its order, each 0 unless an answer sets it.

    A number is written unchanged, or as another where it is not stated; a choice as 1 in its column, or as its number.
    A code without a column or number sets nothing.
    """

    def __init__(self, spec: PlacedSpec, plan: Plan) -> None:
        self.columns = spec.columns
        start = plan.take(self.columns).start
        column_of = {name: start + i for i, name in enumerate(self.columns)}
        targets = [*spec.numbers.values(), *(target for codes in spec.choices.values() for target in codes.values())]
        targets += [coded.column for coded in spec.codes.values()]
        if strange := sorted(set(targets) - column_of.keys()):
            raise ValueError(f"no such columns: {', '.join(strange)}")
        if twice := sorted({name for name in targets if targets.count(name) > 1}):
            raise ValueError(f"set by two answers: {', '.join(twice)}")
        if strange := sorted(spec.not_stated.keys() - spec.numbers.keys()):
            raise ValueError(f"no number fields: {', '.join(strange)}")
        self.pairs = [(column_of[target], plan.number(name)) for name, target in spec.numbers.items()]
        # What is written where a number is not stated: (column, slot, the number)
        self.unstated = [
            (column_of[spec.numbers[name]], plan.number(name), number) for name, number in spec.not_stated.items()
        ]
        self.flags: list[tuple[int, int, float]] = []  # (column, slot, encoded choice)
        for name, codes in spec.choices.items():
            slot, field = plan.choice(name)
            if strange := sorted(codes.keys() - field.index.keys()):
                raise ValueError(f"{name} has no choices {', '.join(strange)}")
            self.flags += [(column_of[target], slot, float(field.index[code])) for code, target in codes.items()]
        self.coded: list[tuple[int, int, float, float]] = []  # the same, and the number
        for name, coded in spec.codes.items():
            slot, field = plan.choice(name)
            if strange := sorted(coded.numbers.keys() - field.index.keys()):
                raise ValueError(f"{name} has no choices {', '.join(strange)}")
            column = column_of[coded.column]
            self.coded += [(column, slot, float(field.index[code]), number) for code, number in coded.numbers.items()]

    def source(self, constant: Callable[[object], str]) -> list[str]:
        statements = [unless_nan(column, slot) for column, slot in self.pairs]
        statements += [
            f"if q{slot} != q{slot}: row[{column}] = {float(number)!r}" for column, slot, number in self.unstated
        ]
        statements += [f"if q{slot} == {choice!r}: row[{column}] = 1.0" for column, slot, choice in self.flags]
        return statements + [
            f"if q{slot} == {choice!r}: row[{column}] = {float(number)!r}"
            for column, slot, choice, number in self.coded
        ]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        for column, slot in self.pairs:
            write(rows, slice(column, column + 1), [quantities[slot]])
        for column, slot, number in self.unstated:
            rows[np.isnan(quantities[slot]), column] = number
        for column, slot, choice in self.flags:
            rows[:, column] = quantities[slot] == choice
        for column, slot, choice, number in self.coded:
            rows[quantities[slot] == choice, column] = number


class HistorySpec(Spec, frozen=True, tag="history"):
    """`{"kind": "history", "table": name, "key": [part, …], "columns": [name, …]}`"""

    table: str
    key: Annotated[tuple[KeyPartSpec, ...], Meta(min_length=1)]
    columns: tuple[str, ...]


class History:
    """A row of a table looked up by one or more keys.

    The parts are joined by "|". If the last part is a digit code that the table lacks, its longest known prefix is
    used. An unset or unknown part selects the row for all keys together.
    """

    def __init__(self, spec: HistorySpec, plan: Plan) -> None:
        self.columns = spec.columns
        if spec.table not in plan.tables:
            raise ValueError(f"table {spec.table} is missing")
        table = plan.tables[spec.table]
        if table.values.shape != (len(table.keys) + 1, len(self.columns)):
            raise ValueError(f"table {spec.table} has shape {table.values.shape}")
        self.values = np.ascontiguousarray(table.values)
        self.slices = self.values.view(f"V{self.values.itemsize * len(self.columns)}").ravel()  # copied as bytes
        self.span = plan.take(self.columns)
        self.new: list[tuple[int, KeyPart]] = []  # parts that no earlier block computes, with their slots
        parts = []
        self.key: list[tuple[int, int]] = []  # per part: its slot, number of groups
        for part_spec in spec.key:
            name = repr(part_spec)
            if name not in plan.groups:
                plan.groups[name] = plan.append(name), KeyPart(part_spec, plan)
                self.new.append(plan.groups[name])
            slot, part = plan.groups[name]
            parts.append(part)
            self.key.append((slot, part.size))
        row_of = {key: row for row, key in enumerate(table.keys)}
        everything = len(table.keys)
        shortest = 1 if parts[-1].hierarchy else None
        rows_of_key = [
            everything if None in groups else find_row(row_of, [str(group) for group in groups], everything, shortest)
            for groups in product(*[[*part.groups, None] for part in parts])
        ]
        self.rows_of_key = np.array(rows_of_key)
        # Copying bytes touches a third of the memory that copying between memoryviews does, and after a predict_proba
        # none of it is in the processor's cache.
        copies = [row.tobytes() for row in self.values]
        self.bytes_of_key = [copies[row] for row in rows_of_key]

    def source(self, constant: Callable[[object], str]) -> list[str]:
        statements = [f"q{slot} = {constant(part.group)}(q{part.slot}, {part.size - 1})" for slot, part in self.new]
        index = "0"
        for slot, size in self.key:
            index = f"({index} * {size} + q{slot})" if index != "0" else f"q{slot}"
        size = self.values.itemsize
        rows = constant(self.bytes_of_key)
        return [*statements, f"raw[{size * self.span.start}:{size * self.span.stop}] = {rows}[{index}]"]

    def build(self, quantities: list[Column], rows: Matrix) -> None:
        quantities.extend(part.many(quantities[part.slot]) for _, part in self.new)  # type: ignore[misc]
        keys = np.zeros(len(rows), np.intp)
        for slot, size in self.key:
            keys = keys * size + quantities[slot].astype(np.intp, copy=False)
        if len(rows):
            place = self.span.start * rows.itemsize
            as_bytes = np.ndarray(len(rows), self.slices.dtype, rows, place, rows.strides[:1])
            as_bytes[:] = self.slices[self.rows_of_key[keys]]


class KeyPart:
    """One part of a history key: maps an answer to the index of its group; the last index means unset.

    `group(value, otherwise)` maps one answer, `many` a column.
    """

    __slots__ = ("edges", "group", "group_of", "groups", "hierarchy", "size", "slot")

    def __init__(self, spec: KeyPartSpec, plan: Plan) -> None:
        self.edges: list[float] = []
        self.hierarchy = False  # whether a prefix can replace every code that begins with it
        self.group_of: npt.NDArray[np.intp] | None = None  # by choice; last: unset
        self.group: Callable[[float, int], int]
        if spec.edges is not None:
            self.slot = plan.number(spec.of)
            self.edges = [float(edge) for edge in spec.edges]
            if self.edges != sorted(set(self.edges)):
                raise ValueError(f"edges of {spec.of} must rise, got {self.edges}")
            self.groups = [str(band) for band in range(len(self.edges) + 1)]
            self.group = self.band
        else:
            self.slot, field = plan.choice(spec.of)
            self.hierarchy = field.digits is not None
            codes = [choice.code[: spec.prefix] for choice in field.choices]
            self.groups = list(dict.fromkeys(codes))
            index_of = {group: index for index, group in enumerate(self.groups)}
            self.group_of = np.array([index_of[code] for code in codes] + [len(self.groups)])
            self.group = {float(i): index_of[code] for i, code in enumerate(codes)}.get
        self.size = len(self.groups) + 1

    def band(self, value: float, otherwise: int) -> int:
        return bisect_right(self.edges, value) if value == value else otherwise

    def many(self, values: Column) -> npt.NDArray[np.intp]:
        if self.group_of is not None:
            return self.group_of[indices(values)]
        bands = np.zeros(len(values), np.intp)
        for edge in self.edges:  # they are few, and then this is quicker than a search
            bands += values >= edge
        bands[np.isnan(values)] = self.size - 1
        return bands


def find_row(row_of: Mapping[str, int], key: list[str], otherwise: int, shortest: int | None) -> int:
    """The table row of a key, or of the key with its last code shortened to its longest known prefix.

    With `shortest` None nothing is shortened: band 10 is not part of band 1, nor "not_stated" of "no".
    """
    *before, last = key
    for length in range(len(last), (shortest or len(last)) - 1, -1):
        row = row_of.get("|".join([*before, last[:length]]))
        if row is not None:
            return row
    return otherwise


def unless_nan(column: int, slot: int) -> str:
    """The statement that writes a quantity to a column; NaN, which alone is unequal to itself, leaves it 0."""
    return f"if q{slot} == q{slot}: row[{column}] = q{slot}"


def indices(values: Column) -> npt.NDArray[np.intp]:
    """Places of choices; -1, the last one, where nothing is stated."""
    return np.fmax(values, -1.0).astype(np.intp)  # NaN gives way


def write(rows: Matrix, span: slice, columns: Sequence[Column]) -> None:
    """Write quantities to columns that stand side by side, 0 for NaN: a row's cells are in the cache once, and not once
    a column."""
    cells = np.empty((len(columns), len(rows)), np.float32)
    for place, column in enumerate(columns):
        cells[place] = column
    cells[np.isnan(cells)] = 0.0
    rows[:, span] = cells.T


def divide_columns(left: Column, right: Column) -> Column:
    return left / np.where(np.abs(right) >= SMALLEST_DIVISOR, right, np.nan)  # what is divided by NaN is NaN


# Sign -> expression for two quantities, and the function for two columns.
OPERATIONS: dict[str, tuple[str, Callable[..., Column]]] = {
    "+": ("{0} + {1}", np.add),
    "-": ("{0} - {1}", np.subtract),
    "*": ("{0} * {1}", np.multiply),
    "/": (
        f"{{0}} / {{1}} if {{1}} >= {SMALLEST_DIVISOR!r} or {{1}} <= {-SMALLEST_DIVISOR!r} else nan",
        divide_columns,
    ),
}
Feature = NumbersSpec | NotStatedSpec | ArithmeticSpec | OneHotSpec | CodeSpec | PlacedSpec | HistorySpec


def features_from_json(specs: Sequence[Mapping[str, object]]) -> tuple[Feature, ...]:
    """Features from a manifest's JSON; `msgspec.ValidationError` names the part that is wrong."""
    return convert(specs, tuple[Feature, ...])


def block_of(spec: Feature, plan: Plan) -> Block:
    """Build the block that a feature describes.

    Raises ValueError if it does not fit the form, the tables or the blocks before it.
    """
    match spec:
        case NumbersSpec():
            return Numbers(spec, plan)
        case NotStatedSpec():
            return NotStated(spec, plan)
        case ArithmeticSpec():
            return Arithmetic(spec, plan)
        case OneHotSpec():
            return OneHot(spec, plan)
        case CodeSpec():
            return Code(spec, plan)
        case PlacedSpec():
            return Placed(spec, plan)
        case HistorySpec():
            return History(spec, plan)
    assert_never(spec)
