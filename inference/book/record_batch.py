"""`score_batch`: one Arrow batch in, the same rows with their scores out. For other engines that hold batches.

Spark's `mapInArrow`, Ray Data, DuckDB and Polars call it as docs/recipes.md shows. Nothing is written.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from inference.book.batches import BatchScorer
from inference.book.columns import check
from inference.book.errors import BadBook
from inference.book.pieces import check_columns
from inference.engines import Engine, open_engine
from inference.lender_option import OfLender
from inference.release import Release, open_release

PROBLEMS = "problems"
NO_LENDER = OfLender()


def score_batch(
    batch: pa.RecordBatch, release: Release, engine: Engine, lender: OfLender | None = None
) -> pa.RecordBatch:
    """The batch, n rows, with pd, points, decision, unusual, release, engine and problems beside its columns, in the
    same order. With a lender's rules also outcome, rules_broken, rules_unknown, and grade, rate and instalment where
    it has them; with questions, of the release or the lender, also questions: as `tenfold book` gives them.

    A row that the form would refuse has nulls and, in `problems`, every bad field; of a good one that is null. Columns
    are named as the form's fields; texts for numbers are read in English. Raises `BadBook` for missing columns and for
    those that would be there twice.
    """
    form = release.form
    check_columns("the batch", batch.schema, form, {})
    book = scorer(release, engine, lender or NO_LENDER)
    if clash := [name for name in batch.schema.names if name in (*book.added, PROBLEMS) and name != "reasons"]:
        raise BadBook(f"column {clash[0]!r} would be there twice, from the batch and from the scores: rename it")
    checked = check(batch.select(list(form.names)), form)
    scored = book.batch(batch.select([]), checked.values[checked.good])
    places = np.full(batch.num_rows, -1, np.int64)
    places[checked.good] = np.arange(len(scored))
    indices = pa.array(places, mask=~checked.good)
    texts: list[str | None] = [None] * batch.num_rows
    for row, problems in checked.refused:
        texts[row] = "; ".join(str(problem) for problem in problems)
    added = [plain(column).take(indices) for column in scored.columns]
    names = [*batch.schema.names, *scored.schema.names, PROBLEMS]
    return pa.record_batch([*batch.columns, *added, pa.array(texts, pa.string())], names=names)


def score_in(batch: pa.RecordBatch, folder: str | Path, engine: str = "xgboost") -> pa.RecordBatch:
    """`score_batch` with a release's folder, opened once a process: what a worker of another system calls."""
    release, opened = both(str(folder), engine)
    return score_batch(batch, release, opened)


@lru_cache(4)
def both(folder: str, engine: str) -> tuple[Release, Engine]:
    """A release and its engine."""
    release = open_release(folder)
    return release, open_engine(engine, release)


def scorer(release: Release, engine: Engine, lender: OfLender) -> BatchScorer:
    """One for each release, engine and lender's file. It holds what the key names: no id becomes another's."""
    key = (id(release), id(engine), id(lender.rules), id(lender.questions))
    if key not in SCORERS:
        SCORERS.clear()
        SCORERS[key] = BatchScorer(release, engine, rules=lender.rules, questions=lender.questions)
    return SCORERS[key]


SCORERS: dict[tuple[int, int, int, int], BatchScorer] = {}


def plain(column: pa.Array) -> pa.Array:
    """Dictionaries written out: other engines expect the same type in every batch, and texts are that."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
