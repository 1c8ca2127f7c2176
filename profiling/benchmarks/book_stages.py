"""Where the time of a book on bits goes, and its reasons: `python -m profiling.benchmarks.book_stages`.

One processor, Parquet and CSV in, Parquet out; CPU time of each stage, the least of the rounds. Beside it XGBoost's
bare predict on rows that are ready. Reasons are first compared with those of `Scorer.score`, row by row.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from inference.application import Application
from inference.book.batches import ALL_ROWS, BatchScorer, rows_at_once
from inference.book.command import use_little_memory
from inference.book.parts import RunFolder
from inference.book.run import Book
from inference.book.sources import Told, open_source
from inference.engines import BinsEngine, Engine, open_engine
from inference.reasons import Reasons
from inference.release import Release, open_release
from inference.scorer import Scorer
from profiling import results
from profiling.benchmarks.book import TAPES, predict_ready, values_of
from profiling.benchmarks.tapes import write_tape
from profiling.workload import embedded

Floats = npt.NDArray[np.float64]
STAGES = ("read", "check", "predict", "decide", "write")
KINDS = ("parquet", "csv")
Result = TypeVar("Result")


class Stopwatch:
    """CPU seconds by stage; what is called within another call counts for itself alone."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._within = 0.0

    def __call__(self, stage: str, call: Callable[[], Result]) -> Result:
        before, self._within = self._within, 0.0
        began = time.process_time()
        result = call()
        taken = time.process_time() - began
        self.seconds[stage] += taken - self._within
        self._within = before + taken
        return result


class TimedScorer(BatchScorer):
    """A scorer that says how long its model takes."""

    timed: Stopwatch

    def probabilities(self, values: Floats) -> npt.NDArray[np.float32]:
        return self.timed("predict", lambda: super(TimedScorer, self).probabilities(values))


def stages(release: Release, engine: Engine, tape: Path, folder: Path) -> dict[str, float]:
    """ns a row by stage of a whole book. `decide` is all that comes between the model's probability and writing."""
    scorer, timed, rows = TimedScorer(release, engine), Stopwatch(), 0
    scorer.timed = timed
    book = Book(scorer, open_source(str(tape), release.form, {}, Told()), {}, RunFolder(folder, "parquet"))
    book.folder.begin(book.manifest(), resume=False)
    parts = book.source.parts(set())
    while (part := timed("read", partial(next, parts, None))) is not None:
        pieces = part.read()
        with ExitStack() as stack:
            writer = None
            while (piece := timed("read", partial(next, pieces, None))) is not None:
                checked = timed("check", partial(book.checked, piece))
                carried = piece.batch.select(book.carried)
                scored = timed("decide", partial(scorer.batch, carried, checked.values))
                writer = writer or stack.enter_context(book.folder.writer(part.number, scored.schema))
                timed("write", partial(writer.write, scored))
                rows += len(scored)
            timed("write", stack.close)
        log = timed("write", partial(book.folder.finish, part.number, rows, {}, []))
        timed("write", partial(book.folder.settle, log))
    book.folder.close()
    return {stage: 1e9 * seconds / rows for stage, seconds in timed.seconds.items()}


def bare(release: Release, values: Floats) -> float:
    """ns a row of XGBoost alone on rows that are ready, as many at once as a book has."""
    engine, rows = open_engine("xgboost", release), release.rows.build(values)
    began = time.process_time()
    predict_ready(engine, rows, rows_at_once(release))
    return 1e9 * (time.process_time() - began) / len(rows)


def reasons_differing(
    release: Release, engine: Engine, values: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> int:
    """Of how many rows the reasons in a book are not those of `Scorer.score` and its explanation."""
    scorer, reasons = Scorer(release, engine), Reasons(release, engine)
    book = BatchScorer(release, engine, ALL_ROWS).batch(pa.record_batch({"id": np.arange(len(values))}), values)
    different = 0
    for row, text in zip(values.tolist(), book["reasons"].to_pylist(), strict=True):
        score = scorer.score(release.form.answers(Application(tuple(row))))
        explained = reasons.explain(score.application)
        different += text != " ".join(reasons.principal(explained, score.application))
    return different


def reasons_rate(release: Release, engine: Engine, values: Floats) -> float:
    """Rows a second of CPU time of a batch with the reasons of all its rows."""
    scorer, ids = BatchScorer(release, engine, ALL_ROWS), pa.record_batch({"id": np.arange(len(values))})
    began = time.process_time()
    scorer.batch(ids, values)
    return len(values) / (time.process_time() - began)


def main() -> int:
    """Print and keep the figures; exit status 1 where a row's reasons differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of a tape (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--equal-rows", type=int, default=20_000, help="whose reasons are compared (%(default)s)")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    use_little_memory()
    figures: dict[str, object] = {"rows": given.rows}
    ratios: dict[str, float] = {}
    for folder in embedded():
        release = open_release(folder)
        name, engine = release.manifest.name, open_engine(BinsEngine.name, release)
        tapes = {kind: write_tape(release, given.rows, TAPES / f"{name}-{given.rows}.{kind}") for kind in KINDS}
        values = values_of(release, tapes["parquet"])
        different = reasons_differing(release, engine, values[: given.equal_rows])
        rate = max(reasons_rate(release, engine, values[:40_000]) for _ in range(given.rounds))
        alone = min(bare(release, values) for _ in range(given.rounds))
        print(f"\n{name}: ns a row on one processor; XGBoost's bare predict {alone:.0f}\n")
        print(f"| | {' | '.join(STAGES)} | all | XGBoost over it |\n| --- |{' ---: |' * (len(STAGES) + 2)}")
        for kind, tape in tapes.items():
            least = dict.fromkeys(STAGES, np.inf)
            for _ in range(given.rounds):
                with tempfile.TemporaryDirectory() as out:
                    taken = stages(release, engine, tape, Path(out) / "run")
                least = {stage: min(least[stage], taken[stage]) for stage in STAGES}
            together = sum(least.values())
            cells = [f"{least[stage]:.0f}" for stage in STAGES] + [f"{together:.0f}", f"{alone / together:.1f}"]
            print(f"| {kind} | {' | '.join(cells)} |")
            figures[f"{name}_{kind}"] = least
            ratios[f"xgboost_bare_over_book_stages_{name}_{kind}"] = alone / together
        compared = min(given.equal_rows, len(values))
        print(
            f"\nreasons of every row: {rate:,.0f} rows a second; {different:,} of {compared:,} rows differ", flush=True
        )
        ratios |= {f"book_reasons_rows_per_second_{name}": rate, f"book_reasons_differing_{name}": different}
    results.merge("book_stages", figures, ratios)
    return int(any(ratios[name] for name in ratios if name.startswith("book_reasons_differing")))


if __name__ == "__main__":
    sys.exit(main())
