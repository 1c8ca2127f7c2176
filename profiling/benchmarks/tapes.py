"""Tapes: files of as many applications as wanted, like the real loans of a release and not repeats of them.

`python -m profiling.benchmarks.tapes RELEASE ROWS OUT` writes a Parquet or a CSV file. Resampled loans alone would be
quicker to score than a lender's book, since the same rows come again and again: numbers are moved by some 15 %, and
15 % of the other answers are swapped for another loan's. The same release and number of rows give the same file.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from inference.application import Application
from inference.fields import NumberField
from inference.release import Release, open_release
from models.recipes import RECIPES
from profiling.workload import embedded

SEED = 7
ROWS_A_GROUP = 131_072
MOVED, SWAPPED = 0.15, 0.15
FEW = 60  # distinct numbers: such a field is an agreed one, such as a term in years, and swapped like a choice
FIRST_ID = 9_007_199_254_740_993  # a float cannot hold it
Floats = npt.NDArray[np.float64]


class Tape:
    """Batches of jittered applications of a release."""

    def __init__(self, release: Release) -> None:
        self._form = release.form
        loans = RECIPES[release.manifest.name].load()
        values = self._form.encode({name: loans.answers[name] for name in self._form.names})
        answers = [self._form.answers(Application(tuple(row))) for row in values[:1].tolist()]
        assert answers  # noqa: S101 - a release without loans has no tape
        self._values = values[self._stateable(values)]

    def _stateable(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Loans whose choices all have a code of their own that the form takes."""
        good = np.ones(len(values), bool)
        for position, field in enumerate(self._form.fields):
            if not isinstance(field, NumberField):
                column = values[:, position]
                codes = [field.digits is None or len(choice.code) == field.digits for choice in field.choices]
                good &= ~np.isnan(column)
                good &= np.array(codes)[np.nan_to_num(column).astype(int)]
        return good

    def values(self, chance: np.random.Generator, n: int) -> Floats:
        """Encoded answers, (n, n_fields) float64."""
        drawn = self._values[chance.integers(0, len(self._values), n)]
        for position, field in enumerate(self._form.fields):
            column, real = drawn[:, position], self._values[:, position]
            if isinstance(field, NumberField) and len(np.unique(real)) > FEW:
                moved = column * np.exp(chance.normal(0.0, MOVED, n))
                moved = np.where(np.abs(moved) > 1000, np.round(moved, -1), np.round(moved))
                column[:] = np.clip(moved, np.ceil(field.minimum), np.floor(field.maximum))
            else:
                swapped = chance.random(n) < SWAPPED
                column[swapped] = real[chance.integers(0, len(real), int(swapped.sum()))]
        return drawn

    def batch(self, chance: np.random.Generator, n: int, first: int) -> pa.Table:
        """Raw answers of n applications, with an id each from FIRST_ID + `first` on."""
        values = self.values(chance, n)
        columns = {"loan_id": pa.array(FIRST_ID + np.arange(first, first + n), pa.int64())}
        for position, field in enumerate(self._form.fields):
            column = values[:, position]
            if isinstance(field, NumberField):
                whole = np.array_equal(self._values[:, position], np.round(self._values[:, position]), equal_nan=True)
                numbers = pa.array(np.nan_to_num(column), pa.float64(), mask=np.isnan(column))
                columns[field.name] = numbers.cast(pa.int64()) if whole or field.whole else numbers
            else:
                codes = pa.array([choice.code for choice in field.choices])
                columns[field.name] = codes.take(pa.array(column.astype(np.int64)))
        return pa.table(columns)


def write_tape(release: Release, rows: int, file: Path) -> Path:
    """The tape as a file; one that is there already is left alone."""
    if file.exists():
        return file
    tape, chance = Tape(release), np.random.default_rng(SEED)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}")
    empty = tape.batch(np.random.default_rng(SEED), 0, 0)
    as_csv = file.suffix == ".csv"
    with pcsv.CSVWriter(str(new), empty.schema) if as_csv else pq.ParquetWriter(new, empty.schema) as writer:
        for first in range(0, rows, ROWS_A_GROUP):
            writer.write_table(tape.batch(chance, min(ROWS_A_GROUP, rows - first), first))
    new.replace(file)
    return file


def main() -> int:
    """Write one tape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", help="name of an embedded release")
    parser.add_argument("rows", type=int)
    parser.add_argument("file", type=Path, help=".parquet or .csv")
    given = parser.parse_args()
    folders = {folder.name.rpartition("-")[0]: folder for folder in embedded()}
    write_tape(open_release(folders[given.release]), given.rows, given.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
