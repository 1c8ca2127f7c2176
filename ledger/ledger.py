"""The ledger: writes records to disk before they are reported, several in one commit if several are waiting.

One thread writes. It takes all drafts that have arrived, chains and commits them together, and only then answers each.
So a hundred waiting clients share one commit, and a single client waits only for its own.
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
from typing import NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger import errors, queries, store
from ledger.cleaning import Cleaner
from ledger.errors import LedgerUnavailable
from ledger.events import BEGUN
from ledger.outbox import EndpointState, Outbox, endpoint_states, has_outbox, make_outbox
from ledger.records import BEFORE_ALL, FORMAT, Draft, Key, Record, seal
from ledger.store import Store

logger = logging.getLogger(__name__)
MOST = 500  # drafts per commit
MOST_DELAY = 0.004  # seconds: longest wait of a commit for more drafts
CLEANING = 5.0  # seconds between checks for a purge that another program could not finish
IN_DOUBT = (*errors.DATABASE_ERRORS, LedgerUnavailable)  # other errors occur before anything is written
AnyFuture: TypeAlias = "Future[Record] | asyncio.Future[Record]"
SEARCHES = 2  # at once: SQLite searches without the GIL; a core must remain free for everything else
T = TypeVar("T")
Settled: TypeAlias = tuple[AnyFuture, Record | Exception]


class Change(NamedTuple):
    """A change of the outbox, and who waits for what it returns."""

    make: Callable[[sqlite3.Connection], object]
    future: "Future[object]"


class KeyReused(TenfoldError):
    """An Idempotency-Key was used before, for a different request."""


class CaseMoved(TenfoldError):
    """The last record of the case is not the one that the draft expects. Nothing was written."""


def settle(settled: Sequence[Settled]) -> None:
    """Give each future its result; futures that were cancelled meanwhile are skipped."""
    for future, outcome in settled:
        with suppress(InvalidStateError, asyncio.InvalidStateError):
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def first_record(clock: Clock) -> Record:
    """The record that every ledger begins with."""
    return seal(Draft(BEGUN, "begun", {"format": FORMAT}), 1, BEFORE_ALL, clock.utc())


class Ledger:
    """Appends to one ledger file. Thread-safe; several processes may each have one on the same file."""

    def __init__(self, path: Path, clock: Clock | None = None, outbox: Outbox | None = None) -> None:
        """Open or create the file; raises `LedgerUnavailable` if that fails. With `outbox`, the events that it wants
        are written with their records."""
        clock = clock or Clock()
        self._begin(Store(path, first_record(clock)), clock, outbox)
        if outbox is not None:
            try:
                with self.store.writing() as connection:
                    make_outbox(connection)
            except errors.DATABASE_ERRORS as error:
                self.store.close()
                raise LedgerUnavailable(f"{path}: {errors.cause(error)}{errors.full(self.store.path)}") from error
        self._cleaner, self._clean_at = Cleaner(self.store, "server", self._clock), 0.0
        self._drafts: queue.SimpleQueue[tuple[Draft, AnyFuture] | Change | None] = queue.SimpleQueue()
        self._wanted, self._enough = 0, threading.Event()  # drafts that the next commit waits for; 0 while none does
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def _begin(self, store: Store, clock: Clock, outbox: Outbox | None) -> None:
        """What every ledger has, whatever its store and whichever thread writes to it."""
        self.store, self._clock, self._outbox = store, clock, outbox
        self.problem: str | None = None  # why the last write failed; None once one succeeds
        self.commit_took: Callable[[float], None] | None = None  # is told the time of each commit, ms
        self._given_up, self._events = False, 0
        self._searches = ThreadPoolExecutor(SEARCHES, thread_name_prefix="search")
        self._closing, self._closed = threading.Lock(), False

    def submit(self, draft: Draft) -> "Future[Record]":
        """Write a draft. The future gets the record once it is on disk, or `LedgerUnavailable`, `KeyReused` or
        `CaseMoved`. If the draft's Idempotency-Key is known with the same digest, it gets the earlier record."""
        future: Future[Record] = Future()
        self._put((draft, future), future)
        return future

    def submit_in_loop(self, draft: Draft) -> "asyncio.Future[Record]":
        """`submit` for coroutines, and cheaper: all that share a commit wake their event loop once."""
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._put((draft, future), future)
        return future

    def change(self, make: Callable[[sqlite3.Connection], object]) -> "Future[object]":
        """Make a change of the outbox in the next commit, which records that wait share, so that they wait for no
        commit but their own. The future gets what it returns, its exception (and nothing was changed), or
        `LedgerUnavailable`."""
        future: Future[object] = Future()
        self._put(Change(make, future), future)
        return future

    def _put(self, item: "tuple[Draft, AnyFuture] | Change", future: "AnyFuture | Future[object]") -> None:
        with self._closing:
            if self._closed:
                future.set_exception(LedgerUnavailable(f"{self.store.path}: closed"))
            else:
                self._drafts.put(item)
                if self._wanted and self._drafts.qsize() >= self._wanted:
                    self._enough.set()

    def append(self, draft: Draft) -> Record:
        """Write a draft and wait for its record; raises what `submit` does."""
        return self.submit(draft).result()

    async def search(self, query: Callable[[sa.Connection], T]) -> T:
        """Run a query that may read every case, in one of a few threads reserved for such queries. Further searches
        wait their turn; other work does not."""

        def ask() -> T:
            with self.store.reading() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._searches, ask)

    def endpoint_states(self) -> list[EndpointState]:
        """How many events wait and failed, by endpoint; empty where none are sent."""
        with self.store.reading() as connection:
            driver = queries.driver(connection)
            return endpoint_states(driver) if has_outbox(driver) else []

    def head(self) -> tuple[int, str]:
        """Sequence and hash (hex) of the last record, to be kept elsewhere."""
        try:
            with self.store.reading() as connection:
                seq, digest = self._required(queries.last(connection))
            return seq, digest.hex()
        except errors.UNREADABLE as error:
            raise LedgerUnavailable(f"{self.store.path}: {errors.cause(error)}") from error

    def _required(self, head: tuple[int, bytes] | None) -> tuple[int, bytes]:
        if head is None:
            raise LedgerUnavailable(f"{self.store.path}: no record is left, not even the first")
        return head

    def close(self) -> None:
        """Write all submitted drafts, then close the file."""
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
            waiting: list[tuple[Draft, AnyFuture]] = []
            changes: list[Change] = []
            self._clean()
            try:
                item = self._drafts.get(timeout=CLEANING)
            except queue.Empty:
                continue
            # Clients of one commit tend to write again soon, and sharing the next commit saves them more time than
            # waiting for each other costs. A single writer never waits.
            self._wait_for(last - 1)
            while item is not None:
                if isinstance(item, Change):
                    changes.append(item)
                else:
                    waiting.append(item)
                if len(waiting) == MOST or self._drafts.empty():
                    break
                item = self._drafts.get()
            open_for_more = item is not None
            last = len(waiting)
            if waiting or changes:
                self._answer(waiting, changes)

    def _wait_for(self, drafts: int) -> None:
        """Wait until so many drafts have come, but not for long."""
        self._enough.clear()
        self._wanted = drafts
        if self._drafts.qsize() < drafts:
            self._enough.wait(MOST_DELAY)
        self._wanted = 0

    def _clean(self) -> None:
        """From time to time, finish a purge that was delayed by readers."""
        if self._given_up or time.monotonic() < self._clean_at:
            return
        self._clean_at = time.monotonic() + CLEANING
        try:
            self._cleaner.clean()
        except Exception as error:
            logger.error("ledger %s: a purge is not finished: %s", self.store.path, errors.cause(error))

    def _answer(self, waiting: Sequence[tuple[Draft, AnyFuture]], changes: Sequence[Change]) -> None:
        """Commit the drafts and changes, and settle their futures, also if anything fails."""
        outcomes: Sequence[Record | Exception]
        results: Sequence[object]
        started = time.perf_counter()
        try:
            outcomes, results = self._write([draft for draft, _ in waiting], changes)
            if self.commit_took is not None:
                self.commit_took(1000 * (time.perf_counter() - started))
        except Exception as error:
            failure = LedgerUnavailable(f"{self.store.path}: not recorded: {errors.cause(error)}")
            outcomes, results = [failure] * len(waiting), [failure] * len(changes)
        in_loops: dict[asyncio.AbstractEventLoop, list[Settled]] = {}
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if isinstance(future, asyncio.Future):
                in_loops.setdefault(future.get_loop(), []).append((future, outcome))
            else:
                settle([(future, outcome)])
        for loop, settled in in_loops.items():
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is waiting
                loop.call_soon_threadsafe(settle, settled)
        for change, result in zip(changes, results, strict=True):
            with suppress(InvalidStateError):
                if isinstance(result, Exception):
                    change.future.set_exception(result)
                else:
                    change.future.set_result(result)
        if self._outbox is not None and self._events:
            self._outbox.added()

    def _write(
        self, drafts: Sequence[Draft], changes: Sequence[Change]
    ) -> tuple[Sequence[Record | Exception], Sequence[object]]:
        """Write one commit. After an error that leaves unclear what is on disk, nothing more is written: a failed fsync
        must not be repeated, because the kernel has dropped the data that it could not write."""
        if self._given_up:
            raise LedgerUnavailable(f"{self.problem}; restart to go on")
        try:
            with self.store.writing() as connection:
                self.store.check_version(connection)
                self._events = 0
                outcomes, new, keys = self._chained(connection, drafts)
                if new:
                    self._insert(connection, new, keys)
                results = [outcome_of(connection, change) for change in changes]
            self.store.check_still_there()
        except Exception as error:
            self._given_up = isinstance(error, IN_DOUBT) and not errors.passing(error)
            if self.problem is None:
                logger.error("ledger %s: %s", self.store.path, errors.cause(error))
            self.problem = f"ledger: {errors.cause(error)}"
            raise
        self.problem = None
        return outcomes, results

    def _insert(
        self, connection: sqlite3.Connection, records: Sequence[Record], keys: Sequence[tuple[Key, int]]
    ) -> None:
        """Write records, and the events that they are."""
        store.insert(connection, records, keys)
        if self._outbox is not None:
            self._events += self._outbox.add(connection, records, self._clock.utc())

    def _chained(
        self, connection: sqlite3.Connection, drafts: Sequence[Draft]
    ) -> tuple[list[Record | Exception], list[Record], list[tuple[Key, int]]]:
        """The outcome of each draft, the new records that are not in the file yet, and their keys."""
        seq, before = self._required(queries.head(connection))
        outcomes: list[Record | Exception] = []
        new: list[Record] = []
        keys: list[tuple[Key, int]] = []
        draft_keys = [draft.key for draft in drafts if draft.key]
        earlier_by_key = queries.kept_keys(connection, draft_keys) if draft_keys else {}
        for draft in drafts:
            name = draft.key and (draft.key.client, draft.key.key)
            earlier = earlier_by_key.get(name) if name else None
            if earlier and draft.key and earlier[0] == draft.key.digest:
                outcomes.append(earlier[1])
                continue
            if draft.expects:
                if new:  # so that the query below sees what this commit has added to the case
                    self._insert(connection, new, keys)
                    new, keys = [], []
                seen = draft.expects
                if earlier or queries.last_of_case(connection, seen.case) != (seen.seq, seen.hash):
                    outcomes.append(CaseMoved(f"case {seen.case}: its last record is no longer number {seen.seq}"))
                    continue
            elif earlier:
                outcomes.append(KeyReused("this Idempotency-Key came with another request before"))
                continue
            seq += 1
            record = seal(draft, seq, before, self._clock.utc())
            before = record.hash
            new.append(record)
            outcomes.append(record)
            if draft.key and name:
                keys.append((draft.key, seq))
                earlier_by_key[name] = (draft.key.digest, record)
        return outcomes, new, keys


def outcome_of(connection: sqlite3.Connection, change: Change) -> object:
    """What a change returns, or its exception; then it has changed nothing, and records in this commit stay."""
    connection.execute("SAVEPOINT change")
    try:
        outcome = change.make(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite has undone all of it
            raise
        connection.execute("ROLLBACK TO change")
        outcome = error
    connection.execute("RELEASE change")
    return outcome


def open_ledger(
    path: Path | None, say: Callable[[str], None] = logger.info, outbox: Outbox | None = None
) -> Ledger | None:
    """Open the ledger of a setting (None for `off`) and log its head, so that an external log keeps it."""
    if path is None:
        return None
    try:
        ledger = Ledger(path, outbox=outbox)
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"ledger {error}. TENFOLD_LEDGER names another file, or off") from None
    seq, digest = ledger.head()
    say(f"ledger {path}: {seq:,} records, head {digest}")
    return ledger
