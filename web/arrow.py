"""`score_in` with a lender's rules: an Arrow batch in, its rows with scores and outcomes out, for other engines."""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from inference.book.record_batch import both, score_batch
from inference.rules import LenderRules
from web.score import rules_of


def score_in(
    batch: pa.RecordBatch, folder: str | Path, lender: str | Path | None = None, engine: str = "xgboost"
) -> pa.RecordBatch:
    """`score_batch` with a release's folder and a lender's file (else TENFOLD_LENDER), each opened once a process: what
    a worker of another system calls. Raises `BadSetting` where the file names what the release does not have."""
    release, opened = both(str(folder), engine)
    return score_batch(batch, release, opened, rules_in(str(folder), None if lender is None else str(lender), engine))


@lru_cache(4)
def rules_in(folder: str, lender: str | None, engine: str) -> LenderRules | None:
    """A lender's rules for a release."""
    release, _ = both(folder, engine)
    return rules_of(None if lender is None else Path(lender), release)
