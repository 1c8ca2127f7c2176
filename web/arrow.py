"""`score_in` with a lender's rules and questions: an Arrow batch in, its rows with scores out."""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from inference.book.record_batch import both, score_batch
from inference.lender_option import OfLender
from web.score import read_file


def score_in(
    batch: pa.RecordBatch, folder: str | Path, lender: str | Path | None = None, engine: str = "xgboost"
) -> pa.RecordBatch:
    """`score_batch` with a release's folder and a lender's file (else TENFOLD_LENDER), each opened once a process: what
    a worker of another system calls. Raises `BadSetting` where the file names what the release does not have."""
    release, opened = both(str(folder), engine)
    return score_batch(batch, release, opened, lender_in(str(folder), None if lender is None else str(lender), engine))


@lru_cache(4)
def lender_in(folder: str, lender: str | None, engine: str) -> OfLender:
    """What a lender's file has for a release."""
    release, _ = both(folder, engine)
    return read_file(None if lender is None else Path(lender), release)
