"""Books that tests read and write: real applications as files, and the runs of the command."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from parts import newest

from inference.application import Form
from inference.book.command import main
from inference.release import open_release
from models.recipes import RECIPES

NAME = "consumer"  # the release that files are made for


def applications(n: int, name: str = NAME) -> list[dict[str, object]]:
    """Canonical answers of n real loans, each with an id of twelve digits that begins with zeros."""
    loans = RECIPES[name].load()
    form = open_release(newest(name)).form
    length = len(next(iter(loans.answers.values())))
    found: list[dict[str, object]] = []
    for at in range(n):
        raw = {field: column[at % length] for field, column in loans.answers.items()}
        found.append({"loan_id": f"{at:012}", **form.answers(form.parse(raw))})
    return found


def parquet(file: Path, rows: Sequence[Mapping[str, object]], group: int = 1000) -> Path:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), file, row_group_size=group)
    return file


def csv_text(rows: Sequence[Mapping[str, object]], separator: str = ",", ending: str = "\n") -> str:
    """As Python's csv module writes it."""
    stream = io.StringIO()
    lines = csv.DictWriter(stream, list(rows[0]), delimiter=separator, lineterminator=ending)
    lines.writeheader()
    lines.writerows(rows)
    return stream.getvalue()


def score(*words: object, name: str = NAME) -> int:
    """The command, in this process."""
    return main([*map(str, words), "--release", str(newest(name)), "--workers", "2"])


def scores(folder: Path) -> pa.Table:
    """All parts of a folder, in order."""
    files = sorted((folder / "parts").glob("*.parquet"))
    assert files
    return pa.concat_tables([scores_in(file) for file in files])


def scores_in(file: Path) -> pa.Table:
    """A file of scores, its texts written out: two dictionaries may number equal texts otherwise."""
    table = pq.read_table(file)
    kinds = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema([field.with_type(kind) for field, kind in zip(table.schema, kinds, strict=True)]))


def scores_from_parquet(folder: Path, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """What the scores of these applications must be, however their file is written."""
    assert score(parquet(folder / "in.parquet", rows), folder / "out") == 0
    return scores(folder / "out")


def rejected(folder: Path) -> list[dict[str, str]]:
    """What the file of refused rows says."""
    with (folder / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the lock."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def form_of_release(name: str = NAME) -> Form:
    return open_release(newest(name)).form
