"""Scores a book: parts read, checked, scored and written by a few threads, each part whole or not there."""

import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from threading import Event
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from inference.book.batches import BatchScorer
from inference.book.columns import Checked, Floats, check, room
from inference.book.errors import BadBook, BookStopped, TooManyBad
from inference.book.parts import PartLog, RunFolder, Totals, can_hold, rejected_lines
from inference.book.pieces import ROWS_A_BATCH, Piece
from inference.book.sources import Part, Source
from inference.engines import missing
from inference.policy import DECISIONS

FORMAT = 3  # since parts count ragged records of CSV
NAMES = {"csv": "CSV", "parquet": "Parquet"}  # of parts
MODULES = {  # what makes a book's bits, by engine; beside NumPy and pyarrow
    "xgboost": ("xgboost",),
    "onnx": ("onnxruntime",),
    "onedal": ("xgboost", "daal4py"),
    "bins": ("xgboost", "numba"),
}
# Of modules, where they have other names. daal4py itself states no version.
PACKAGES = {"daal4py": ("scikit-learn-intelex",), "xgboost": ("xgboost-cpu", "xgboost")}


class Book:
    """What is to be done with each part."""

    def __init__(self, scorer: BatchScorer, source: Source, mapping: Mapping[str, str], folder: RunFolder) -> None:
        """`mapping`: field -> the column that holds it, where it has another name. Raises `BadBook`."""
        self.scorer, self.source, self.folder = scorer, source, folder
        self._thread = threading.local()
        form = scorer.release.form
        self._fields = {name: mapping.get(name, name) for name in form.names}
        self.mapping = {name: column for name, column in self._fields.items() if name != column}
        self.carried = [name for name in source.schema.names if name not in self._fields.values()]
        clash = [name for name in self.carried if name in scorer.added]
        if clash:
            raise BadBook(f"column {clash[0]!r} would be there twice, from the file and from the scores: rename it")
        for name in self.carried:
            if not can_hold(folder.form, source.schema.field(name)):
                kind = source.schema.field(name).type
                raise BadBook(f"column {name!r} holds {kind}, which {NAMES[folder.form]} cannot hold")

    def manifest(self) -> dict[str, object]:
        """All that decides what bytes come out."""
        release, rules, questions = self.scorer.release, self.scorer.rules, self.scorer.lender_questions
        return {
            "format": FORMAT,
            "input": {"reading": self.source.reading(), "files": self.source.files()},
            "release": {"name": release.name, "digest": release.digest},
            "engine": self.scorer.engine.name,
            "mapping": self.mapping,
            "carried": self.carried,
            "output": {
                "format": self.folder.form,
                "rows_a_part": self.source.rows_a_part,
                "reasons": self.scorer.reasons,
                **({"questions": names} if (names := self.scorer.question_names) else {}),
            },
            "versions": versions(self.scorer.engine.name),
            **({} if rules is None else {"lender": msgspec.to_builtins(rules.book)}),
            **({"questions": msgspec.to_builtins(questions)} if questions else {}),
        }

    def score(self, part: Part) -> PartLog:
        """Read, check, score and write one part, which is there once its folder has settled the log that this gives."""
        form, rows = self.scorer.release.form, 0
        decisions: Counter[str] = Counter(dict.fromkeys(DECISIONS, 0))
        rejected: list[tuple[object, ...]] = []
        pieces = part.read()
        first = next(pieces)
        no_values = np.zeros((0, len(form.fields)))
        schema = self.scorer.batch(first.batch.slice(0, 0).select(self.carried), no_values).schema
        pieces = chain([first], pieces)
        del first
        with self.folder.writer(part.number, schema) as writer:
            for piece in pieces:
                checked = self.checked(piece)
                carried, values = piece.batch.select(self.carried), checked.values
                if checked.refused:
                    carried, values = carried.filter(pa.array(checked.good)), values[checked.good]
                bad = [(int(piece.rows[index]), problems) for index, problems in checked.refused]
                lines = [(row, rejected_lines(piece.file, row, problems)) for row, problems in bad]
                lines += [(ragged.row, [ragged_line(piece.file, *ragged)]) for ragged in piece.ragged]
                rejected += [line for _, several in sorted(lines, key=lambda row: row[0]) for line in several]
                rows += piece.batch.num_rows + len(piece.ragged)
                del piece  # its answers take as much memory as the scores will
                scored = self.scorer.batch(carried, values)
                writer.write(scored)
                counted = np.bincount(scored["decision"].indices.to_numpy(), minlength=len(DECISIONS))
                decisions.update(dict(zip(DECISIONS, counted.tolist(), strict=True)))
        return self.folder.finish(part.number, rows, decisions, rejected)

    def checked(self, piece: Piece) -> Checked:
        """The answers of a piece, whose values the next piece of this thread overwrites: new memory of that size takes
        time before it is used."""
        answers, form = piece.batch.select(list(self._fields.values())), self.scorer.release.form
        values: Floats | None = getattr(self._thread, "values", None)
        if values is None or len(values) < len(answers):
            values = self._thread.values = room(max(len(answers), ROWS_A_BATCH), form)
        return check(answers.rename_columns(list(self._fields)), form, self.source.language, values)


class PendingLog(Protocol):
    """A part that is being scored."""

    def result(self) -> PartLog:
        """Waits for it."""

    def cancel(self) -> object:
        """It is not wanted."""


class OnDisk(NamedTuple):
    """A part that a thread scores and another one then settles: the next part is scored while the disk works."""

    scored: Future[Future[PartLog]]

    def result(self) -> PartLog:
        return self.scored.result().result()

    def cancel(self) -> bool:
        return self.scored.cancel()


class Elsewhere(Protocol):
    """What scores parts in other processes: `inference.book.cluster.Workers`."""

    @property
    def at_once(self) -> int:
        """How many parts may be on their way."""

    def begin(self) -> None:
        """The manifest is written."""

    def submit(self, part: Part) -> PendingLog: ...

    def end(self) -> None:
        """All parts are there, or the run stops."""


def ragged_line(file: str, row: int, expected: int, actual: int) -> tuple[object, ...]:
    return (file, row, "", "columns", f"{expected} columns", f"{actual} columns", "")


def score_book(
    book: Book,
    *,
    resume: bool = False,
    max_bad: int | None = None,
    workers: int = 1,
    joined: Path | None = None,
    progress: Callable[[Mapping[int, PartLog]], None] = lambda logs: None,
    client: Elsewhere | None = None,
) -> Totals:
    """Score all parts that are not whole yet, and end the run.

    `client` scores the parts elsewhere; without one, `workers` threads do. `progress` hears of all parts that are
    whole, at the beginning and after each. Raises `BookStopped` (what is whole stays), `TooManyBad` among it,
    `OtherRun` where the folder holds another run, `BadBook` where the input cannot be read.
    """
    folder = book.folder
    logs: dict[int, PartLog] = {}
    stopped = Event()

    def finished(future: PendingLog) -> None:
        log = future.result()
        logs[log.part] = log
        progress(logs)
        bad = sum(log.rejected for log in logs.values())
        if max_bad is not None and bad > max_bad:
            rejected = folder.folder / "rejected"
            allowed = f"more than --max-bad {max_bad:,}: see {rejected}"
            raise TooManyBad(f"{bad:,} rows are refused, {allowed}")

    def score(part: Part) -> Future[PartLog]:
        if stopped.is_set():
            raise BookStopped("stopped")
        return disk.submit(folder.settle, book.score(part))

    try:
        logs |= folder.begin(book.manifest(), resume=resume)
        progress(logs)
        if not folder.success.exists():
            pending: deque[PendingLog] = deque()
            if client is not None:
                client.begin()
            with ThreadPoolExecutor(1) as disk, ThreadPoolExecutor(workers) as pool:
                try:
                    for part in book.source.parts(logs.keys()):
                        pending.append(OnDisk(pool.submit(score, part)) if client is None else client.submit(part))
                        # Of threads: one part more than they score, ready for the next that ends.
                        while len(pending) > (workers if client is None else client.at_once):
                            finished(pending.popleft())
                    while pending:
                        finished(pending.popleft())
                except BaseException:
                    stopped.set()
                    for future in pending:
                        future.cancel()
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise
                finally:
                    if client is not None:
                        client.end()
        return folder.end(logs, joined)
    finally:
        folder.close()


def versions(engine: str) -> dict[str, str]:
    """Of all that makes a book's bits. Raises `EngineUnavailable` where it is not installed."""
    return {name: version_of(name, engine) for name in ("numpy", "pyarrow", *MODULES[engine])}


def version_of(module: str, engine: str) -> str:
    """As a module that is loaded states it, else as its package does: a cluster's client loads no engine."""
    stated = getattr(sys.modules.get(module), "__version__", None)
    if stated is not None:
        return str(stated)
    for package in PACKAGES.get(module, (module,)):
        with suppress(PackageNotFoundError):
            return version(package)
    raise missing(engine)
