"""The door for whole columns: Arrow columns in, encoded answers out, exactly as `Form.parse` would have them.

The quick check may refuse too much and never accepts too much. A row that it does not pass goes to `Form.parse` as
Python values, which accepts it or lists its problems: so both doors agree as long as the quick check is sound. A choice
is parsed once a distinct text, and so is a number written in a way that the quick check does not know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from inference.application import Form
from inference.errors import InvalidApplication, Problem
from inference.fields import NOT_STATED, AnswerRefused, ChoiceField, Field, NumberField
from inference.numbers import DECIMAL

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
EXACT = 2.0**53  # every whole number up to here is a float64: beyond it, a bound and a number could be rounded together
# Digits that every reader takes for the same number. Exactly three after the decimal mark are left to the grammar,
# which may ask about them; so is all that leaves out a digit on either side of the mark.
SIMPLE = r"^-?[0-9]{1,15}(\%s([0-9]{1,2}|[0-9]{4,17}))?$"


@dataclass(frozen=True, slots=True)
class Checked:
    """What the door says of a batch of m rows."""

    values: Floats  # (m, n_fields), encoded as inference/fields.py says; a refused row's are undefined
    good: Flags  # (m,): which rows are applications
    refused: tuple[tuple[int, tuple[Problem, ...]], ...]  # the other rows, each with every bad field


def check(batch: pa.RecordBatch, form: Form, language: str = "en", into: Floats | None = None) -> Checked:
    """Validate the columns of a batch that are named as the form's fields; others are not looked at.

    Numbers that are texts are read by the page's grammar in `language`, null is not stated, NaN is not finite. The
    values are new ones, or the first m rows of `into`.
    """
    columns = [batch.column(name) for name in form.names]
    values = room(batch.num_rows, form) if into is None else into[: batch.num_rows]
    good = np.ones(batch.num_rows, bool)
    for position, (field, column) in enumerate(zip(form.fields, columns, strict=True)):
        match field:
            case NumberField():
                good &= numbers(field, column, language, values[:, position])
            case ChoiceField():
                good &= choices(field, column, values[:, position])
    refused = []
    doubtful = np.flatnonzero(~good)
    raw = [column.take(pa.array(doubtful)).to_pylist() for column in columns] if len(doubtful) else []
    for row, answers in zip(doubtful.tolist(), zip(*raw, strict=True), strict=True):
        named = {
            field.name: raw_answer(field, answer, language) for field, answer in zip(form.fields, answers, strict=True)
        }
        try:
            values[row] = form.parse(named).values
            good[row] = True
        except InvalidApplication as error:
            refused.append((row, error.problems))
    return Checked(values, good, tuple(refused))


def room(rows: int, form: Form) -> Floats:
    """For the values of so many rows, field by field: each is then read as a whole."""
    return np.empty((len(form.names), rows)).T


def raw_answer(field: Field, cell: object, language: str) -> object:
    """A cell of a file as a raw answer for `field.parse`: a text for a number is read first, a decimal is a float."""
    if isinstance(cell, Decimal) and isinstance(field, NumberField):
        return float(cell)
    if isinstance(field, NumberField) and isinstance(cell, str) and cell != NOT_STATED:
        return field.read(cell, language, exponents=True)
    return cell


def numbers(field: NumberField, column: pa.Array, language: str, out: Floats) -> Flags:
    """Write values (m,); which of them the field is certain to accept as they are."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        if pa.types.is_string_view(column.type):  # of which Arrow matches no patterns
            column = column.cast(pa.string())
        return written_numbers(field, column, language, out)
    if pa.types.is_decimal(column.type):  # by way of texts: Arrow's own cast to a float is not rounded correctly
        column = column.cast(pa.string()).cast(pa.float64())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return nothing_passes(column)
    return in_bounds(field, column, out)


def in_bounds(field: NumberField, column: pa.Array, out: Floats) -> Flags:
    """Of a column of integers or floats."""
    out[:] = column.to_numpy(zero_copy_only=False)  # NaN for null
    low, high = max(float(field.minimum), -EXACT), min(float(field.maximum), EXACT)
    passed: Flags = out >= low
    passed &= out <= high
    if not pa.types.is_integer(column.type):
        if field.whole:
            passed &= out == np.floor(out)
        out += 0.0  # turns -0.0 into 0.0
    if column.null_count and field.optional:
        # A null must not become the NaN that a file may hold itself: NaN is refused, null may be allowed.
        passed |= column.is_null().to_numpy(zero_copy_only=False)
    return passed


def written_numbers(field: NumberField, column: pa.Array, language: str, out: Floats) -> Flags:
    """Of a column of texts: plain digits at once, each distinct text of another form through the grammar."""
    mark = DECIMAL[language]
    simple = pc.fill_null(pc.match_substring_regex(column, SIMPLE % mark), True)
    pointed = pc.replace_substring(column, mark, ".") if mark != "." else column
    if pc.all(simple).as_py() is not False:
        return in_bounds(field, pointed.cast(pa.float64()), out)
    passed = in_bounds(field, pc.if_else(simple, pointed, None).cast(pa.float64()), out)
    others = np.flatnonzero(~simple.to_numpy(zero_copy_only=False))
    values = np.empty(len(others))
    passed[others] = distinct(
        lambda text: field.parse(raw_answer(field, text, language)), column.take(pa.array(others)), values
    )
    out[others] = values
    return passed


def choices(field: ChoiceField, column: pa.Array, out: Floats) -> Flags:
    """Write values (m,); which of them are choices of the field."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_text(kind):
        return nothing_passes(column)
    return distinct(field.parse, column, out, field.listed)


def distinct(
    parse: Callable[[object], float], column: pa.Array, out: Floats, known: Mapping[str, float] = MappingProxyType({})
) -> Flags:
    """Each distinct text of a column parsed once, or not at all where its value is known."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts: list[str | None] = [*encoded.dictionary.to_pylist(), None]
    values = [known.get(text) if text is not None else None for text in texts]
    good = [True] * len(values)
    for place, text in enumerate(texts):
        if values[place] is None:
            try:
                values[place] = parse(text)
            except AnswerRefused:
                values[place], good[place] = np.nan, False
    indices = encoded.indices.fill_null(len(values) - 1) if encoded.indices.null_count else encoded.indices
    places = indices.to_numpy(zero_copy_only=False)
    out[:] = np.array(values, np.float64).take(places)
    passed: Flags = np.array(good).take(places)
    return passed


def nothing_passes(column: pa.Array) -> Flags:
    """Of a type that the quick check does not know: every row goes to `Form.parse`."""
    return np.zeros(len(column), bool)


def is_text(kind: pa.DataType) -> bool:
    """Whether Arrow holds texts in columns of this type."""
    is_text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return is_text
