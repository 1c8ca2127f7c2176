"""Scores the parts of a book on other processes or machines, by Dask: `tenfold book IN OUT --cluster local:4`.

A task names the run's folder, its manifest's digest and a part: nothing else crosses the network. A worker opens the
release and the input once, refuses others than the manifest says, reads its part, and writes it in a folder of its own
attempt, from where it is renamed: a worker that finishes late writes the same bytes again, or fails. Resuming is
`score_book`'s. The folders of input, output and release have the same names everywhere, as on a shared disk.
"""

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt

from inference.book.batches import BatchScorer
from inference.book.cluster_messages import first_line
from inference.book.errors import BadBook, BookStopped, OtherRun
from inference.book.parts import PartLog, RunFolder
from inference.book.pieces import Part, Told
from inference.book.run import Book, versions
from inference.book.sources import FORMATS, Source, open_source
from inference.engines import check_name, open_engine
from inference.errors import TenfoldError
from inference.questions import Question
from inference.release import open_release
from inference.rules import LenderRules, Rulebook
from inference.settings import RELEASES

ATTEMPTS = ".attempts"  # in the run's folder: what workers are writing
WAIT = 60  # seconds for any worker to take a part
ASK = 5  # seconds between two looks at the workers
RESUME = "What is whole stays: the same command with --resume goes on with the rest"


class Task(NamedTuple):
    """One part, for a worker: names and digests."""

    folder: str  # of the run
    manifest: str  # SHA-256 of its manifest.json
    input: str
    release: str  # a folder
    rows_a_part: int
    part: int


class Submitted(Protocol):
    """What Dask says of a task; `result` waits for it."""

    def result(self, *, timeout: float) -> object: ...

    def cancel(self) -> object: ...


class Client(Protocol):
    """As much of `distributed.Client` as is needed here."""

    def submit(
        self, function: object, task: tuple[object, ...], *, key: str, pure: bool, retries: int
    ) -> Submitted: ...

    def nthreads(self) -> Mapping[str, int]: ...

    def scheduler_info(self, *, n_workers: int) -> Mapping[str, Mapping[str, Mapping[str, object]]]: ...


class WorkersEngine:
    """An engine by its name. Only workers predict and open it; a client would load it for its name alone."""

    def __init__(self, name: str) -> None:
        """Raises `EngineUnavailable` if there is no such engine."""
        check_name(name)
        self.name = name

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        raise NotImplementedError("only workers predict")


class Workers:
    """The workers of a Dask cluster, for `score_book(book, client=Workers(client, book, input))`."""

    def __init__(self, client: object, book: Book, path: str) -> None:
        """`client` is a `distributed.Client`; `path` the input's name. Raises `BadBook`."""
        self._client = cast(Client, client)
        check_parts_can_be_shared(book.source, path)
        self._book, self._input = book, path if "://" in path else str(Path(path).resolve())
        self._folder = book.folder.folder.resolve()
        self._digest = ""
        self._threads, self._count_again = 0, 0.0  # the second: a time

    @property
    def at_once(self) -> int:
        """How many parts are on their way: two for each thread, so that none waits. Threads are counted every `ASK`
        seconds, since each time the scheduler is asked."""
        if self._threads == 0 or time.monotonic() >= self._count_again:
            self._threads, self._count_again = sum(self._client.nthreads().values()), time.monotonic() + ASK
        return 2 * max(1, self._threads)

    def begin(self) -> None:
        """Once the manifest is written: what earlier attempts left is removed, and fails where it is still written."""
        shutil.rmtree(self._folder / ATTEMPTS, ignore_errors=True)
        (self._folder / ATTEMPTS).mkdir()
        self._digest = hashlib.sha256((self._folder / "manifest.json").read_bytes()).hexdigest()

    def submit(self, part: Part) -> "Waiting":
        """A part, to whichever worker is free."""
        release = self._book.scorer.release.folder.resolve()
        task = Task(
            str(self._folder), self._digest, self._input, str(release), self._book.source.rows_a_part, part.number
        )
        key = f"tenfold-{self._digest[:12]}-{part.number:06}-{uuid.uuid4().hex[:8]}"
        submitted = self._client.submit(score_part, tuple(task), key=key, pure=False, retries=0)
        return Waiting(submitted, part.number, self._statuses)

    def _statuses(self) -> list[str]:
        """Of each worker, as Dask has it: running, paused, closing_gracefully …"""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return [str(worker.get("status", "running")) for worker in workers.values()]

    def end(self) -> None:
        """Remove what attempts left. An attempt that is still written fails: its folder is gone."""
        shutil.rmtree(self._folder / ATTEMPTS, ignore_errors=True)


class Waiting(NamedTuple):
    """A part that is on its way."""

    submitted: Submitted
    number: int
    statuses: Callable[[], list[str]]  # of all workers

    def result(self) -> PartLog:
        """The part's log. Raises `BookStopped` where the cluster failed, and what the worker raised."""
        try:
            return msgspec.convert(self._answer(), PartLog)
        except TenfoldError:
            raise
        except Exception as error:  # Dask's have no common base
            name = type(error).__name__
            raise BookStopped(
                f"part {self.number}: the cluster gave no answer ({name}: {first_line(error)}). {advice(name)} {RESUME}"
            ) from None

    def _answer(self) -> object:
        """What the worker answers. Dask waits for ever where no worker is left, and where all have too little memory to
        take a part: then this gives up."""
        idle = 0
        while True:
            try:
                return self.submitted.result(timeout=ASK)
            except TimeoutError:
                statuses = self.statuses()
                idle = 0 if "running" in statuses else idle + ASK
            if idle >= WAIT:
                raise BookStopped(f"{no_worker(statuses)} {RESUME}")

    def cancel(self) -> None:
        """Not wanted: one that is running finishes into an attempt's folder that is gone."""
        self.submitted.cancel()


def no_worker(statuses: Sequence[str]) -> str:
    """Why no part is taken, and what to do."""
    if paused := statuses.count("paused"):
        return (
            f"the cluster takes no parts: {paused} workers are paused, since the memory that they may use "
            "(--memory-limit of dask worker) is nearly full. Start them with more."
        )
    return "the cluster takes no parts: no worker is left. Start some."


def check_parts_can_be_shared(source: Source, path: str) -> None:
    """Only Parquet says where each part begins. Raises `BadBook`."""
    form = str(source.reading()["format"])
    if form != "parquet":
        raise BadBook(
            f"{path}: a cluster reads Parquet, of which each worker opens its own part, and this is {FORMATS[form]}. "
            "Without --cluster it is scored here; docs/recipes.md has the line that makes Parquet of it"
        )


def advice(name: str) -> str:
    """What to do about an error of Dask's."""
    if name == "KilledWorker":
        return "Several workers died with it: mostly their memory was too small (--memory-limit of dask worker)."
    if name in ("FutureCancelledError", "CancelledError", "CommClosedError", "TimeoutError"):
        return "The scheduler is gone, or was restarted."
    return ""


# --- on a worker ---


def score_part(words: tuple[object, ...]) -> dict[str, object]:
    """Read, check, score and write one part; its log."""
    task = Task(*words)  # type: ignore[arg-type]
    folder, attempt = Path(task.folder), Path(task.folder) / ATTEMPTS / uuid.uuid4().hex
    book, parts = opened(task[:-1])
    if not (folder / ATTEMPTS).is_dir():
        raise OtherRun(f"{folder}: this run has ended, or another one began")
    own = RunFolder(attempt, book.folder.form)
    for name in ("parts", "rejected", "logs"):
        (attempt / name).mkdir(parents=True)
    try:
        log = Book(book.scorer, book.source, book.mapping, own).score(parts[task.part])
        check_manifest(folder, task.manifest)  # another run may have begun meanwhile
        own.settle(log, RunFolder(folder, book.folder.form))
    except (FileNotFoundError, BookStopped):
        if attempt.is_dir():
            raise
        raise OtherRun(f"{folder}: this run has ended, or another one began") from None
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    builtins: dict[str, object] = msgspec.to_builtins(log)
    return builtins


def check_manifest(folder: Path, digest: str) -> bytes:
    """The manifest, which must be that of the run. Raises `OtherRun`."""
    content = (folder / "manifest.json").read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise OtherRun(f"{folder} holds another run than this part belongs to")
    return content


@lru_cache(2)
def opened(words: tuple[str, str, str, str, int]) -> tuple[Book, dict[int, Part]]:
    """The book as its manifest says, opened once a worker. Raises `BadRelease`, `BadBook`, `OtherRun`."""
    folder, digest, path, release_folder, rows_a_part = words
    manifest = json.loads(check_manifest(Path(folder), digest))
    # A worker has the release where the client has it, or among its own.
    places = (Path(release_folder), RELEASES / Path(release_folder).name)
    release = open_release(
        next((place for place in places if place.is_dir()), places[0]), manifest["release"]["digest"]
    )
    output = manifest["output"]
    decimal = manifest["input"]["reading"]["decimal"]
    rules = None
    if "lender" in manifest:
        rules = LenderRules(msgspec.convert(manifest["lender"], Rulebook), release.form, release.policy)
    questions = msgspec.convert(manifest.get("questions", []), tuple[Question, ...])
    scorer = BatchScorer(release, open_engine(manifest["engine"], release), output["reasons"], rules, questions)
    source = open_source(path, release.form, manifest["mapping"], Told(decimal=decimal, rows_a_part=rows_a_part))
    book = Book(scorer, source, manifest["mapping"], RunFolder(Path(folder), output["format"]))
    check_sizes(path, manifest["input"]["files"])
    here = versions(manifest["engine"])
    if here != manifest["versions"]:
        raise OtherRun(f"this worker has {here}, and the run began with {manifest['versions']}: install the same")
    return book, {part.number: part for part in source.parts(())}


def check_sizes(path: str, files: list[Mapping[str, object]]) -> None:
    """The input here has the files of the run, as far as names and sizes tell. Raises `BadBook`."""
    if "://" in path:
        return
    root = Path(path)
    for file in files:
        place = root / str(file["name"]) if root.is_dir() else root
        size = place.stat().st_size if place.exists() else None
        if size != file["bytes"]:
            raise BadBook(f"{place} has {size} bytes here, and {file['bytes']} where the run began")
