"""The ledger: records that are on disk before anybody hears of them, many a commit when many wait.

One thread writes. It takes all drafts that have come in meanwhile, chains and commits them together, and only then
answers each: so a hundred clients that wait share one commit, and a single one waits for its own alone.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger import errors, queries, store
from ledger.cleaning import Cleaner
from ledger.errors import LedgerUnavailable
from ledger.events import BEGUN
from ledger.records import BEFORE_ALL, FORMAT, Draft, Key, Record, seal
from ledger.store import Store

logger = logging.getLogger(__name__)
MOST = 500  # drafts a commit
MOST_DELAY, LOOK_AGAIN = 0.004, 0.0003  # seconds that a commit waits for more
CLEANING = 5.0  # seconds between looks for a purge that another program could not finish
IN_DOUBT = (*errors.DATABASE_ERRORS, LedgerUnavailable)  # whatever else fails, fails before the disk is asked
AnyFuture: TypeAlias = "Future[Record] | asyncio.Future[Record]"
SEARCHES = 2  # at once: SQLite searches beside the interpreter, and must leave it time for everybody else
T = TypeVar("T")
Settled: TypeAlias = tuple[AnyFuture, Record | Exception]


class KeyReused(TenfoldError):
    """An Idempotency-Key came with another request than before."""


class CaseMoved(TenfoldError):
    """A draft expects a record to be the last of its case, and another one is. Nothing was written."""


def settle(settled: Sequence[Settled]) -> None:
    """Tell each future what became of its draft; one that was cancelled meanwhile does not want to know."""
    for future, outcome in settled:
        with suppress(InvalidStateError, asyncio.InvalidStateError):
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class Ledger:
    """Appends to one ledger file. Thread-safe; several processes may each have one on the same file."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Open the file, or make it; `LedgerUnavailable` where that cannot be done."""
        self._clock = clock or Clock()
        self.store = Store(path, seal(Draft(BEGUN, "begun", {"format": FORMAT}), 1, BEFORE_ALL, self._clock.utc()))
        self.problem: str | None = None  # why the last write failed; None once one succeeds
        self._cleaner, self._clean_at = Cleaner(self.store, "server", self._clock), 0.0
        self._given_up = False
        self._drafts: queue.SimpleQueue[tuple[Draft, AnyFuture] | None] = queue.SimpleQueue()
        self._searches = ThreadPoolExecutor(SEARCHES, thread_name_prefix="search")
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, draft: Draft) -> "Future[Record]":
        """The record, once it is on disk; or `LedgerUnavailable`, `KeyReused` or `CaseMoved`. Where the draft's
        Idempotency-Key is known with the same digest, the record that was written then."""
        future: Future[Record] = Future()
        self._put(draft, future)
        return future

    def submit_in_loop(self, draft: Draft) -> "asyncio.Future[Record]":
        """The same for a coroutine, and cheaper: all that share a commit wake their event loop once."""
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._put(draft, future)
        return future

    def _put(self, draft: Draft, future: AnyFuture) -> None:
        with self._closing:
            if self._closed:
                future.set_exception(LedgerUnavailable(f"{self.store.path}: closed"))
            else:
                self._drafts.put((draft, future))

    def append(self, draft: Draft) -> Record:
        """The same, waited for."""
        return self.submit(draft).result()

    async def search(self, query: Callable[[sa.Connection], T]) -> T:
        """What a query finds that may look at every case. The others wait for one of few threads, each in its turn, and
        no other thread waits for them."""

        def ask() -> T:
            with self.store.reading() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._searches, ask)

    def head(self) -> tuple[int, str]:
        """Sequence and hash, in hex, of the last record: to be kept by somebody else."""
        try:
            with self.store.reading() as connection:
                seq, digest = self._found(queries.last(connection))
            return seq, digest.hex()
        except errors.UNREADABLE as error:
            raise LedgerUnavailable(f"{self.store.path}: {errors.cause(error)}") from error

    def _found(self, found: tuple[int, bytes] | None) -> tuple[int, bytes]:
        if found is None:
            raise LedgerUnavailable(f"{self.store.path}: no record is left, not even the first")
        return found

    def close(self) -> None:
        """Write what was submitted, then close the file."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._drafts.put(None)
        self._thread.join()
        self._searches.shutdown(cancel_futures=True)
        self.store.close()

    def _run(self) -> None:
        last = 1
        open_for_more = True
        while open_for_more:
            waiting = []
            self._clean()
            try:
                item = self._drafts.get(timeout=CLEANING)
            except queue.Empty:
                continue
            # Whoever was answered together will soon ask again: a commit shared by as many costs each of them less than
            # it makes them wait. One writer alone never waits.
            until = time.monotonic() + MOST_DELAY
            while last > 1 and self._drafts.qsize() < last - 1 and time.monotonic() < until:
                time.sleep(LOOK_AGAIN)
            while item is not None:
                waiting.append(item)
                if len(waiting) == MOST or self._drafts.empty():
                    break
                item = self._drafts.get()
            open_for_more = item is not None
            last = len(waiting)
            if waiting:
                self._answer(waiting)

    def _clean(self) -> None:
        """Now and then finish a purge that readers held up."""
        if self._given_up or time.monotonic() < self._clean_at:
            return
        self._clean_at = time.monotonic() + CLEANING
        try:
            self._cleaner.clean()
        except Exception as error:
            logger.error("ledger %s: a purge is not finished: %s", self.store.path, errors.cause(error))

    def _answer(self, waiting: Sequence[tuple[Draft, AnyFuture]]) -> None:
        """Commit the drafts and settle their futures. Whatever goes wrong, no future is left hanging."""
        outcomes: Sequence[Record | Exception]
        try:
            outcomes = self._write([draft for draft, _ in waiting])
        except Exception as error:
            failure = LedgerUnavailable(f"{self.store.path}: not recorded: {errors.cause(error)}")
            outcomes = [failure] * len(waiting)
        in_loops: dict[asyncio.AbstractEventLoop, list[Settled]] = {}
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if isinstance(future, asyncio.Future):
                in_loops.setdefault(future.get_loop(), []).append((future, outcome))
            else:
                settle([(future, outcome)])
        for loop, settled in in_loops.items():
            with suppress(RuntimeError):  # a loop that was closed meanwhile has nobody waiting
                loop.call_soon_threadsafe(settle, settled)

    def _write(self, drafts: Sequence[Draft]) -> Sequence[Record | Exception]:
        """One commit. After an error that leaves in doubt what is on disk, nothing more is written: a failed fsync
        must not be tried again, for the kernel forgets what it could not write."""
        if self._given_up:
            raise LedgerUnavailable(f"{self.problem}; restart to go on")
        try:
            with self.store.writing() as connection:
                self.store.check_version(connection)
                outcomes, new, keys = self._chained(connection, drafts)
                if new:
                    store.insert(connection, new, keys)
            self.store.check_still_there()
        except Exception as error:
            self._given_up = isinstance(error, IN_DOUBT) and not errors.passing(error)
            if self.problem is None:
                logger.error("ledger %s: %s", self.store.path, errors.cause(error))
            self.problem = f"ledger: {errors.cause(error)}"
            raise
        self.problem = None
        return outcomes

    def _chained(
        self, connection: sqlite3.Connection, drafts: Sequence[Draft]
    ) -> tuple[list[Record | Exception], list[Record], list[tuple[Key, int]]]:
        """What becomes of each draft; the new records that are not in the file yet; and their keys."""
        at, before = self._found(queries.head(connection))
        outcomes: list[Record | Exception] = []
        new: list[Record] = []
        keys: list[tuple[Key, int]] = []
        asked = [draft.key for draft in drafts if draft.key]
        known = queries.kept_keys(connection, asked) if asked else {}
        for draft in drafts:
            name = draft.key and (draft.key.client, draft.key.key)
            kept = known.get(name) if name else None
            if kept and draft.key and kept[0] == draft.key.digest:
                outcomes.append(kept[1])
                continue
            if draft.expects:
                if new:  # what this commit has added to the case counts too
                    store.insert(connection, new, keys)
                    new, keys = [], []
                seen = draft.expects
                if kept or queries.last_of_case(connection, seen.case) != (seen.seq, seen.hash):
                    outcomes.append(CaseMoved(f"case {seen.case}: its last record is no longer number {seen.seq}"))
                    continue
            elif kept:
                outcomes.append(KeyReused("this Idempotency-Key came with another request before"))
                continue
            at += 1
            record = seal(draft, at, before, self._clock.utc())
            before = record.hash
            new.append(record)
            outcomes.append(record)
            if draft.key and name:
                keys.append((draft.key, at))
                known[name] = (draft.key.digest, record)
        return outcomes, new, keys


def open_ledger(path: Path | None, say: Callable[[str], None] = logger.info) -> Ledger | None:
    """The ledger of a setting, None for `off`; its head is said, so that a log elsewhere keeps it."""
    if path is None:
        return None
    try:
        ledger = Ledger(path)
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"ledger {error}. TENFOLD_LEDGER names another file, or off") from None
    seq, digest = ledger.head()
    say(f"ledger {path}: {seq:,} records, head {digest}")
    return ledger
