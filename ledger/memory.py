"""Ledgers in memory, one for each visitor of a demonstration: written and read as one in a file, and gone with it.

All of them are one `Ledger` for its callers. Which visitor's it is that a call reads or writes is a context variable,
which the middleware that knows the visitor sets for a request (web/visits.py).
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from inference.measure import Clock
from ledger import queries
from ledger.errors import LedgerFull, LedgerUnavailable
from ledger.events import SCORED
from ledger.ledger import AnyFuture, Change, Ledger, T, first_record
from ledger.records import Draft, Key, Record, write
from ledger.schema import APPLICATION, VERSION, make_tables
from ledger.sqlite_files import mark, transaction
from ledger.store import Store, insert

MOST_VISITS = 200  # visitors who have a ledger
MOST_CASES = 20  # of one visitor
PAGE = 1024  # bytes: SQLite's own 4096 would leave most of a small database empty
MOST_BYTES = 128 << 10  # of one visitor's database: 20 decided cases take about half of it
ROOM = 16 << 10  # bytes that indexes and half-filled pages may take beside a record
STATEMENTS = 4  # compiled ones that a connection keeps: each takes as much memory as a case


class Kept(sqlite3.Connection):
    """A connection that SQLAlchemy does not close when it gives it back: the database would be gone."""

    def close(self) -> None:
        """The database ends with the last reference to its store."""


LENT: ContextVar[Kept] = ContextVar("tenfold_lent")
# One engine for all: each would take as much memory as five cases.
ENGINE = sa.create_engine("sqlite://", creator=LENT.get, poolclass=NullPool, hide_parameters=True)
event.listen(ENGINE, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


class MemoryStore(Store):
    """One visitor's database. Thread-safe: it has one connection, which is used by one thread at a time."""

    def __init__(self, first: Record) -> None:
        self.path = Path(":memory:")
        self._lock = threading.RLock()
        self._writer: Kept = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, cached_statements=STATEMENTS, factory=Kept
        )
        for pragma in (f"page_size={PAGE}", f"max_page_count={MOST_BYTES // PAGE}", "temp_store=MEMORY"):
            self._writer.execute(f"PRAGMA {pragma}")  # the last one: nothing is sorted on disk either
        with self.writing() as connection:
            make_tables(connection)
            mark(connection, APPLICATION, VERSION)
            insert(connection, [first], [])

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; nobody else reads meanwhile."""
        with self._lock, transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read transaction; nobody else reads or writes meanwhile."""
        with self._lock:
            before = LENT.set(self._writer)
            try:
                with ENGINE.begin() as connection:
                    yield connection
            finally:
                LENT.reset(before)

    def check_still_there(self) -> None:
        """Memory cannot be moved or deleted by another program."""

    @property
    def bytes(self) -> int:
        """The size of the database."""
        with self._lock:
            (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        return int(pages) * PAGE


CURRENT: ContextVar[MemoryStore | None] = ContextVar("tenfold_visit", default=None)


class CurrentStore(Store):
    """The store of the visitor whose request this is."""

    def __init__(self) -> None:
        self.path = Path(":memory:")

    @property
    def current(self) -> MemoryStore:
        """Raises `LedgerUnavailable` outside a visitor's request."""
        if (store := CURRENT.get()) is None:
            raise LedgerUnavailable("no visitor's request is answered here, and so there is no ledger")
        return store

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with self.current.writing() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.current.reading() as connection:
            yield connection

    def check_still_there(self) -> None:
        """Memory cannot be moved or deleted by another program."""

    def close(self) -> None:
        """A visitor's database ends with the last reference to it."""


class MemoryLedgers(Ledger):
    """The ledgers of all visitors. One thread writes for all of them, and a few search."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._begin(CurrentStore(), clock or Clock(), None)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="visits")

    def new_store(self) -> MemoryStore:
        """The store of a new visitor, with the first record of every ledger."""
        return MemoryStore(first_record(self._clock))

    def _put(self, item: "tuple[Draft, AnyFuture] | Change", future: "AnyFuture | Future[object]") -> None:
        with self._closing:
            if self._closed:
                future.set_exception(LedgerUnavailable("the demonstration ends: closed"))
                return
            drafts, changes = ([], [item]) if isinstance(item, Change) else ([item], [])
            self._writer.submit(copy_context().run, self._answer, drafts, changes)

    def _write(
        self, drafts: Sequence[Draft], changes: Sequence[Change]
    ) -> tuple[Sequence[Record | Exception], Sequence[object]]:
        try:
            return super()._write(drafts, changes)
        finally:  # in memory a failed write leaves nothing in doubt, and is no other visitor's problem
            self._given_up, self.problem = False, None

    def _chained(
        self, connection: sqlite3.Connection, drafts: Sequence[Draft]
    ) -> tuple[list[Record | Exception], list[Record], list[tuple[Key, int]]]:
        if problem := too_much(connection, drafts):
            return [LedgerFull(problem)] * len(drafts), [], []
        return super()._chained(connection, drafts)

    async def search(self, query: Callable[[sa.Connection], T]) -> T:
        def ask() -> T:
            with self.store.reading() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self._searches, copy_context().run, ask)

    def close(self) -> None:
        """Write all submitted drafts, then stop the threads."""
        with self._closing:
            self._closed = True
        self._writer.shutdown()
        self._searches.shutdown(cancel_futures=True)


def too_much(connection: sqlite3.Connection, drafts: Sequence[Draft]) -> str:
    """Why these drafts do not fit into a visitor's ledger; empty if they do."""
    new = sum(draft.kind == SCORED and not draft.fields.get("of") for draft in drafts)
    if new and queries.count_cases(connection) + new > MOST_CASES:
        return f"a visitor's ledger holds {MOST_CASES} cases"
    sizes = sum(len(write({**draft.fields, **(draft.personal or {})}).encode()) for draft in drafts)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages * PAGE + sizes + ROOM > MOST_BYTES:
        return f"a visitor's ledger holds {MOST_BYTES:,} bytes"
    return ""
