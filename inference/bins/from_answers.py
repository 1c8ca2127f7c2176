"""From answers to margins without rows: only columns that trees ask for are written, and history is bytes.

The statements are those that write a row (inference/row_compiler.py), in a loop that Numba compiles; what they write is
kept column by column. A row of a history table is not copied: it meets the same conditions for every applicant.
They are a column against thresholds that rise, so one byte a column says how many of them are met, and the loop notes
only where the bytes of the row begin. A condition of 64 applications is then a comparison of 64 bytes, not floats.
"""

import re
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.bins.conditions import Conditions
from inference.bins.forest import LARGE, Forest
from inference.bins.many_rows import COPY, FLOAT, HEAD, READ, Array, compiled, looked_up
from inference.blocks import Block

Floats = npt.NDArray[np.float32]
Answers = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int32]
AT_ONCE = 4 * 64 * LARGE  # applications, so that their columns stay in the processor's cache
SPREAD = 16  # further numbers a column: those of columns a power of two apart would drive each other out of the cache
WIDTH = 16  # so many bytes of a table's row are read at a time
MOST = 255  # conditions that a byte counts
WRITE = re.compile(r"\brow\[(\d+)\] = ")  # row[3] = q0
SET = "row[column] = "


class Run(NamedTuple):
    """Conditions of one column whose thresholds rise: who meets one meets those before it."""

    column: int
    first: int  # the number of the first
    length: int  # at most MOST


class FromAnswers:
    """What a forest says of encoded answers: to the last bit what it says of the rows made of them. Thread-safe."""

    def __init__(self, forest: Forest, features: Sequence[Block], n_answers: int) -> None:
        """`features`: the blocks of the rows that the forest predicts. Compiling takes seconds the first time."""
        lines, arrays = looked_up(features)
        self._forest, self._arrays, self._n_answers = forest, tuple(arrays.values()), n_answers
        conditions = forest.conditions
        tables = [
            Table(conditions, arrays[copied[3]], *copied.groups()) for line in lines if (copied := COPY.match(line))
        ]
        in_table = {column for table in tables for column in range(table.begin, table.end)}
        own_places = [place for place, column in enumerate(conditions.columns.tolist()) if column not in in_table]
        slot_of = {column: slot for slot, column in enumerate(conditions.columns[own_places].tolist())}
        for line in lines:
            if (read := READ.search(line)) and int(read[1]) not in in_table:
                slot_of.setdefault(int(read[1]), len(slot_of))
        self._slots = np.full(forest.n_features, len(slot_of), np.int32)  # those that nobody asks for share the last
        self._slots[list(slot_of)] = list(slot_of.values())
        self._write = compiled(loop_of(lines, tables, slot_of, n_answers, list(arrays)))
        counts = np.concatenate([np.zeros(0, np.uint8), *[table.counts.reshape(-1) for table in tables]])
        runs = [run for table in tables for run in table.runs]
        self._of_tables = (
            counts,
            np.array([table.counts.shape[1] for table in tables], np.int32),
            np.array([run.first for run in runs], np.int32),
            np.array([run.length for run in runs], np.int32),
        )
        ends = conditions.begins[1:]
        self._of_columns = conditions.begins[:-1][own_places], conditions.middles[own_places], ends[own_places]
        self._sizes = len(slot_of) + 1, len(tables)
        self._room = threading.local()

    def margins(self, values: Answers) -> Floats:
        """Encoded answers (m, n_answers) float64 -> log-odds (m,) float32."""
        if values.ndim != 2 or values.shape[1] != self._n_answers:
            raise ValueError(f"answers: (m, {self._n_answers}) float64 expected, got {values.shape} {values.dtype}")
        by_field, margins = np.ascontiguousarray(values.T, np.float64), np.empty(len(values), np.float32)
        columns, places = self._columns()
        compared = columns[: len(self._of_columns[0])]
        for words, some in self._forest.blocks(len(values)):
            for first in range(some.start, some.stop, AT_ONCE):
                count = min(AT_ONCE, some.stop - first)
                columns[:, :count] = 0.0
                self._write(by_field, first, count, columns, places, self._slots, *self._arrays)
                out = margins[first : first + count]
                self._forest.margins_by_columns(words, compared, places, self._of_tables, self._of_columns, out)
        return margins

    def predict_proba(self, values: Answers) -> Floats:
        """The same -> probabilities (m,) float32."""
        return self._forest.logistic(self.margins(values))

    def _columns(self) -> tuple[Floats, Integers]:
        """This thread's room: columns, and where the bytes of tables' rows begin."""
        room: tuple[Floats, Integers]
        try:
            room = self._room.columns
        except AttributeError:
            columns, tables = (np.zeros((size, AT_ONCE + SPREAD), np.int32) for size in self._sizes)
            room = self._room.columns = columns.view(np.float32), tables
        return room


class Table:
    """A history table as bytes."""

    def __init__(self, conditions: Conditions, values: Array, begin: str, end: str, name: str, key: str) -> None:
        """`values` (n_keys, n_columns), and the parts of the statement that copies one of its rows."""
        self.begin, self.end, self.name, self.key = int(begin) // FLOAT, int(end) // FLOAT, name, key
        runs = [run for column in range(self.begin, self.end) for run in runs_of(conditions, column)]
        width = -(-len(runs) // WIDTH) * WIDTH
        self.counts = np.zeros((len(values), width), np.uint8)  # of each run, how many conditions a row meets
        for position, (column, first, length) in enumerate(runs):
            own = values[:, column - self.begin]
            met = np.searchsorted(conditions.thresholds[first : first + length], own, side="right")
            missing = length if conditions.when_missing[first] else 0
            self.counts[:, position] = np.where(np.isnan(own), missing, met)
        self.runs = [*runs, *[Run(0, 0, 0)] * (width - len(runs))]


def runs_of(conditions: Conditions, column: int) -> list[Run]:
    """The conditions of a column: those that a missing value does not meet, then those that it meets."""
    place = int(np.searchsorted(conditions.columns, column))
    if place == len(conditions.columns) or conditions.columns[place] != column:
        return []
    begin, middle, end = (int(ends[place]) for ends in (conditions.begins, conditions.middles, conditions.begins[1:]))
    return [
        Run(column, first, min(MOST, last - first))
        for start, last in ((begin, middle), (middle, end))
        for first in range(start, last, MOST)
    ]


def loop_of(
    lines: Sequence[str], tables: Sequence[Table], slot_of: dict[int, int], n_answers: int, names: Sequence[str]
) -> str:
    """The text of the loop: from answers to `columns` (n_slots, at_once) and, for each table, `places` in its bytes."""
    table_of = {
        column: (number, table) for number, table in enumerate(tables) for column in range(table.begin, table.end)
    }
    sizes = [table.counts.size for table in tables]
    body = [f"q{slot} = values[{slot}, first + i]" for slot in range(n_answers)]
    for line in lines:
        if copied := COPY.match(line):
            number, table = table_of[int(copied[1]) // FLOAT]
            body.append(f"key{number} = {table.key}")
            line = f"places[{number}, i] = {sum(sizes[:number])} + key{number} * {table.counts.shape[1]}"
        elif (read := READ.search(line)) and int(read[1]) in table_of:
            number, table = table_of[int(read[1])]
            line = READ.sub(f"= np.float64({table.name}[key{number}, {int(read[1]) - table.begin}])", line)
        elif read:
            line = READ.sub(f"= np.float64(columns[{slot_of[int(read[1])]}, i])", line)
        elif written := WRITE.search(line):
            if int(written[1]) not in slot_of:
                continue
            line = WRITE.sub(f"columns[{slot_of[int(written[1])]}, i] = ", line)
        body.append(line.replace(SET, "columns[slots[column], i] = "))
    given = "".join(f"{name}, " for name in names)
    head = f"{HEAD}def write(values, first, count, columns, places, slots, {given}):\n for i in range(count):\n  "
    return head + "\n  ".join(body) + "\n"
