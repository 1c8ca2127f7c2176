"""Files that wait for their scores, and the scores: in a folder, bounded in number and bytes, removed when their time
is over. The page and the API share them.

    batch/SERVER/.lock            held by the server as long as it lives
    batch/SERVER/JOB/job.json     who sent it, and what came of it
    batch/SERVER/JOB/input/FILE   as it was sent
    batch/SERVER/JOB/result/      what `tenfold book` wrote

A file is read only by web/batch/worker.py, in a confined process. One file is scored at a time, and one is checked
beside it, so that the desk keeps the rest of the machine.
"""

import asyncio
import fcntl
import logging
import re
import secrets
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from inference.book.scored import ScoredBook
from inference.confined import run, used
from inference.extras import is_installed
from inference.questions import Question
from inference.rules import Rulebook
from inference.settings import Settings
from ledger.books import book_scored
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from web.batch.exchange import Check, Order, Outcome, Progress
from web.batch.json_files import last_event, read_json, write_json
from web.batch.mappings import Mappings

logger = logging.getLogger(__name__)
RECEIVING, CHECKING, READY, WAITING, SCORING, DONE, FAILED = STATES = (
    "receiving", "checking", "ready", "waiting", "scoring", "done", "failed",
)  # fmt: skip
UNFINISHED = (RECEIVING, CHECKING, WAITING, SCORING)
MOST_JOBS, MOST_OF_OWNER, MOST_UNFINISHED = 200, 20, 3  # of all; of one client; of one client in work
PAGE_ROWS, DEMO_ROWS = 50_000, 500
DEMO_SECONDS = 600  # that a file is there in a public demonstration
CHECK_SECONDS, SCORE_SECONDS = 120, 6 * 3600
SHARE = 4  # a file with its scores may take this part of all bytes
ENDINGS = {"csv": "text/csv", "tsv": "text/csv", "txt": "text/csv",
           "parquet": "application/vnd.apache.parquet",
           "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}  # fmt: skip
BUFFER = 1 << 20  # bytes that are written at once


class NoRoom(Exception):
    """Too many files or bytes; `key` names the limit."""

    def __init__(self, key: str, status: int) -> None:
        super().__init__(key)
        self.key, self.status = key, status


class Job(Struct):
    """A file and what came of it."""

    id: str
    owner: str  # who sent it: web/batch/access.py
    name: str  # of the file as it was sent
    created: float  # UTC, in seconds since 1970
    order: Order
    state: str = RECEIVING
    error: str = ""
    size: int = 0  # bytes of the file
    by_page: bool = False
    record: str = ""  # its id in the ledger, once it is scored

    @property
    def ending(self) -> str:
        return self.order.file.rpartition(".")[2]


class Jobs:
    """All jobs of this server. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        release: Path,
        digest: str,
        engine: str,
        rulebook: Rulebook | None = None,
        ledger: Ledger | None = None,
        questions: tuple[Question, ...] = (),
    ) -> None:
        """Nothing is written before the first file comes. `rulebook`, `questions`: the lender's, for files sent now;
        `ledger` records each file that was scored, but none of a public demonstration."""
        self.rulebook, self.questions = rulebook or Rulebook(), questions
        self._settings, self._release, self._digest, self._engine = settings, release, digest, engine
        self.is_demo = settings.public_demo
        self._ledger = None if self.is_demo else ledger
        self.mappings = Mappings(None if self.is_demo else settings.batch, digest)
        self.keep_seconds = DEMO_SECONDS if self.is_demo else settings.batch_hours * 3600
        self.bytes = settings.batch_megabytes << 20
        self.largest = self.bytes // SHARE // 2
        self.page_rows = DEMO_ROWS if self.is_demo else PAGE_ROWS
        self._jobs: dict[str, Job] = {}
        self._cancelled: set[str] = set()
        self._active: set[str] = set()  # with a process
        self._lock = threading.RLock()
        self._folder: Path | None = None
        self._locked: TextIO | None = None
        self._checks = ThreadPoolExecutor(1, "tenfold-check")
        self._scores = ThreadPoolExecutor(1, "tenfold-book")
        self._closing = threading.Event()
        self._cleaner: threading.Thread | None = None

    # --- whether there is room ---

    @property
    def missing(self) -> str:
        """Why no file can be taken, as a text's key; empty where one can."""
        if self._settings.batch is None:
            return "off"
        return "" if is_installed("book") else "extra"

    @property
    def now(self) -> float:
        return time.time()

    def ends(self, job: Job) -> float:
        """When a job is removed, UTC in seconds since 1970."""
        return job.created + self.keep_seconds

    def begin(self) -> Path:
        """The folder of this server. What earlier ones left is taken over where it is finished, and else removed."""
        with self._lock:
            if self._folder is not None:
                return self._folder
            root = self._settings.batch
            assert root is not None  # noqa: S101 - `missing` says so before
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = root / secrets.token_hex(8)
            folder.mkdir(mode=0o700)
            self._locked = (folder / ".lock").open("w")
            fcntl.flock(self._locked, fcntl.LOCK_EX)
            self._folder = folder
            self._take_over_all()
            self._cleaner = threading.Thread(target=self._clean_again_and_again, name="tenfold-batch", daemon=True)
            self._cleaner.start()
            return folder

    def recover(self) -> None:
        """At the start of a server: clean up after earlier ones, if there are any."""
        root = self._settings.batch
        if not self.missing and root is not None and root.is_dir() and any(root.iterdir()):
            self.begin()

    def _take_over_all(self) -> None:
        """What servers have left that are gone; one that this one replaces may have gone just now."""
        with self._lock:
            root, folder = self._settings.batch, self._folder
            if root is not None and folder is not None:
                for left in root.iterdir():
                    if left != folder and left.is_dir():
                        self._take_over(left, folder)

    def _take_over(self, left: Path, folder: Path) -> None:
        """Of a server that is gone the finished jobs; the rest is removed. One that is alive holds its lock."""
        with (left / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for saved in left.glob("*/job.json"):
                with suppress(msgspec.DecodeError, OSError):
                    job = msgspec.json.decode(saved.read_bytes(), type=Job)
                    if job.state in (READY, DONE, FAILED) and self.ends(job) > self.now and not self.is_demo:
                        saved.parent.rename(folder / job.id)
                        self._jobs[job.id] = job
            shutil.rmtree(left, ignore_errors=True)

    def _clean_again_and_again(self) -> None:
        while not self._closing.wait(min(60, self.keep_seconds / 10)):
            self.clean()
            self._take_over_all()

    def clean(self) -> None:
        """Remove the jobs whose time is over."""
        for job in list(self._jobs.values()):
            if self.ends(job) <= self.now:
                self.delete(job.id)

    def close(self) -> None:
        """Stop what is running. In a public demonstration nothing stays."""
        self._closing.set()
        for pool in (self._checks, self._scores):
            pool.shutdown(wait=True, cancel_futures=True)
        if self.is_demo and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._locked is not None:
            self._locked.close()

    # --- asking ---

    def get(self, id: str, owner: str) -> Job | None:
        """A job of this owner. In a public demonstration nobody has a name: who knows the id, which nobody can guess,
        may see it."""
        job = self._jobs.get(id)
        if job is None or self.ends(job) <= self.now:
            return None
        return job if self.is_demo or job.owner == owner else None

    def __contains__(self, id: object) -> bool:
        return id in self._jobs

    def of(self, owner: str) -> list[Job]:
        """The jobs of an owner, the newest first; none in a public demonstration."""
        if self.is_demo:
            return []
        jobs = [job for job in self._jobs.values() if job.owner == owner and self.ends(job) > self.now]
        return sorted(jobs, key=lambda job: -job.created)

    def folder(self, job: Job) -> Path:
        return self.begin() / job.id

    def check_of(self, job: Job) -> Check | None:
        """What the first reading said; None where there was none."""
        return read_json(self.folder(job) / "check.json", Check)

    def outcome_of(self, job: Job) -> Outcome | None:
        """What came of it; None before it is scored."""
        outcome = read_json(self.folder(job) / "outcome.json", Outcome)
        event = last_event(self.folder(job) / "output", "done")
        if outcome is None and event and job.state == DONE:
            decisions = {name: int(event[name]) for name in ("approve", "refer", "decline")}
            return Outcome(rows=event["rows"], scored=event["scored"], rejected=event["rejected"], decisions=decisions)
        return outcome

    def progress_of(self, job: Job) -> Progress:
        """How far the scoring is."""
        event = last_event(self.folder(job) / "output", "part") or {}
        check = self.check_of(job)
        return Progress(
            event.get("rows", 0), event.get("rejected", 0), event.get("of") or (check.rows if check else None)
        )

    def result_of(self, job: Job) -> Path | None:
        """The file with the scores."""
        files = [file for file in (self.folder(job) / "result").glob("*") if file.is_file() and file.name[0] != "."]
        return files[0] if files and job.state == DONE else None

    def rejected_of(self, job: Job) -> Path | None:
        """The file with the refused rows."""
        return next((self.folder(job) / "result").glob("*.parts/rejected.csv"), None) if job.state == DONE else None

    # --- doing ---

    async def receive(self, owner: str, name: str, ending: str, pieces: AsyncIterator[bytes], size: int | None,
                      order: Order, by_page: bool) -> Job:  # fmt: skip
        """Keep a file that is being sent, and begin with it: check it for the page, else score it. `size`: as the
        client says. Raises `NoRoom`."""
        try:
            folder = await asyncio.to_thread(self.begin)
        except OSError as error:
            logger.error("batch: %s cannot be written: %s", self._settings.batch, error.strerror)
            raise NoRoom("folder", 503) from None
        job = self._enter(owner, name, ending, size, order, by_page)
        place = folder / job.id
        try:
            await asyncio.to_thread((place / "input").mkdir, 0o700, True)
            with (place / "input" / job.order.file).open("wb") as file:
                waiting = bytearray()
                async for piece in pieces:
                    job.size += len(piece)
                    if job.size > self.largest:
                        raise NoRoom("too_large", 413)
                    waiting += piece
                    if len(waiting) >= BUFFER:
                        await asyncio.to_thread(file.write, bytes(waiting))
                        waiting.clear()
                        if await asyncio.to_thread(self.used) > self.bytes:
                            raise NoRoom("disk", 507)
                await asyncio.to_thread(file.write, bytes(waiting))
            if not job.size:
                raise NoRoom("empty", 422)
        except BaseException:
            self.delete(job.id)
            raise
        if by_page:
            self.check(job, job.order)
        else:
            self.score(job, job.order)
        return job

    def _enter(self, owner: str, name: str, ending: str, size: int | None, order: Order, by_page: bool) -> Job:
        self.clean()
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.owner == owner]
            if len(self._jobs) >= MOST_JOBS or len(jobs) >= MOST_OF_OWNER:
                raise NoRoom("number", 429)
            if sum(job.state in UNFINISHED for job in jobs) >= MOST_UNFINISHED:
                raise NoRoom("unfinished", 429)
            if size is not None and size > self.largest:
                raise NoRoom("too_large", 413)
            if self.used() + (size or 0) > self.bytes:
                raise NoRoom("disk", 507)
            id = secrets.token_hex(16)
            order = msgspec.structs.replace(
                order, file=safe_name(name, ending), lists_rows=by_page, rulebook=self.rulebook,
                questions=self.questions,
                most_rows=self.page_rows if by_page or self.is_demo else None,
            )  # fmt: skip
            job = Job(id=id, owner=owner, name=name, created=self.now, order=order, by_page=by_page)
            self._jobs[id] = job
            return job

    def used(self) -> int:
        """Bytes of all jobs: on disk, and of files that are being sent."""
        return sum(max(job.size, used(self.begin() / job.id)) for job in list(self._jobs.values()))

    def check(self, job: Job, order: Order) -> None:
        """Read the file with this mapping; the job is READY afterwards, or FAILED."""
        self._set(job, CHECKING, order)
        self._checks.submit(self._guarded, job, CHECKING, self._check)

    def score(self, job: Job, order: Order) -> None:
        """Score the file once its turn comes."""
        self._set(job, WAITING, order)
        self._scores.submit(self._guarded, job, WAITING, self._score)

    def cancel(self, job: Job) -> None:
        """Stop the scoring; the file stays, and can be scored again."""
        with self._lock:
            if job.state == WAITING:
                self._set(job, READY)
            elif job.state == SCORING:
                self._cancelled.add(job.id)

    def delete(self, id: str) -> None:
        """Remove a job with all its files; one that is running is stopped first."""
        with self._lock:
            job = self._jobs.pop(id, None)
            if job is None:
                return
            running = id in self._active
        if not running:
            shutil.rmtree(self.begin() / id, ignore_errors=True)
        # Of a running one the thread that waits for it removes the files once its process is gone.

    def _set(self, job: Job, state: str, order: Order | None = None, error: str = "") -> None:
        with self._lock:
            job.state, job.order, job.error = state, order or job.order, error
            self._cancelled.discard(job.id)
            folder = self.begin() / job.id
            if job.id in self._jobs and folder.is_dir():
                write_json(folder / "order.json", job.order)
                write_json(folder / "job.json", job)

    def _guarded(self, job: Job, state: str, work: Callable[[Job, Path], None]) -> None:
        """Run one step of a job that is still in this state, and remove its files if it was deleted meanwhile."""
        folder = self.begin() / job.id
        with self._lock:
            if job.state != state or self._is_stopped(job) or job.id in self._active:
                return
            self._active.add(job.id)
        try:
            work(job, folder)
        except Exception:
            logger.exception("batch")
            self._set(job, FAILED, error="broken")
        with self._lock:
            self._active.discard(job.id)
            is_deleted = job.id not in self._jobs
            if job.id in self._cancelled:
                shutil.rmtree(folder / "result", ignore_errors=True)
                self._set(job, READY)
        if is_deleted:
            shutil.rmtree(folder, ignore_errors=True)

    def _is_stopped(self, job: Job) -> bool:
        return self._closing.is_set() or job.id not in self._jobs or job.id in self._cancelled

    def _check(self, job: Job, folder: Path) -> None:
        (folder / "check.json").unlink(missing_ok=True)
        error = self._work("check", job, folder, CHECK_SECONDS)
        if not self._is_stopped(job):
            self._set(job, FAILED if error else READY, error=error)

    def _score(self, job: Job, folder: Path) -> None:
        shutil.rmtree(folder / "result", ignore_errors=True)
        for name in ("outcome.json", "scored.json"):
            (folder / name).unlink(missing_ok=True)
        self._set(job, SCORING)
        error = self._work("score", job, folder, SCORE_SECONDS)
        if not error and not self._is_stopped(job):
            error = self._record(job, folder)
        if not self._is_stopped(job):
            self._set(job, FAILED if error else DONE, error=error)

    def _record(self, job: Job, folder: Path) -> str:
        """One record of a file that was scored, before anybody sees a score. Returns what went wrong, or an empty
        text."""
        if self._ledger is None:
            return ""
        scored = read_json(folder / "scored.json", ScoredBook)
        if scored is None:
            return "broken"
        scored = msgspec.structs.replace(scored, folder=f"batch/{job.id}")  # the server's own is nobody's business
        try:
            job.record = self._ledger.append(book_scored(scored, by=name_in_records(job))).header.id
        except LedgerUnavailable as error:
            logger.error("batch: a file's record could not be written: %s", error)
            return "ledger"
        return ""

    def _work(self, what: str, job: Job, folder: Path, seconds: float) -> str:
        """Run web/batch/worker.py. Returns what went wrong, or an empty text."""
        environment = {
            "TENFOLD_RELEASE": str(self._release.resolve()), "TENFOLD_RELEASE_DIGEST": self._digest,
            "TENFOLD_ENGINE": self._engine, "TENFOLD_LEDGER": "off", "TENFOLD_LOG": "off",
            "NUMBA_CACHE_DIR": str(folder.resolve() / "numba"),  # beside the code nothing can be written
        }  # fmt: skip
        room = self.bytes // SHARE
        with (folder / "output").open("wb") as output:
            ended = run(
                [sys.executable, "-m", "web.batch.worker", what, str(folder.resolve())],
                environment=environment, output=output, seconds=seconds, file_size=room, folder=folder.resolve(),
                disk=room, stop=lambda: self._is_stopped(job),
            )  # fmt: skip
        if ended.status == 0:
            return ""
        if ended.stopped_by in ("time", "disk"):
            return ended.stopped_by
        words = [line for line in (folder / "output").read_text("utf-8", "replace").splitlines() if line[:1] != "{"]
        if ended.status == 1 and words and not any(line.startswith("Traceback") for line in words):
            return words[-1].replace(f"{folder.resolve()}/", "").replace("input/", "").replace("result/", "")
        logger.error("batch: %s of a file ended with %s: %s", what, ended.signal or ended.status, words[-1:])
        return "broken"


def name_in_records(job: Job) -> str:
    """Who sent a file, as records have it: a person or a token by name, else which way it came."""
    kind, _, name = job.owner.partition(" ")
    return name if kind in ("person", "token") else "desk" if job.by_page else "api"


def safe_name(name: str, ending: str) -> str:
    """A file's name as it can be on any disk."""
    stem = name.rpartition(".")[0] or name
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', stem)[:60].strip('_') or 'applications'}.{ending}"
