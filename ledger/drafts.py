"""Drafts: forms that people who are logged in have begun, in a file beside the ledger, erased after some days.

A draft is what somebody typed, as they typed it. It is not a record: nothing is decided on it or chained to it. It is
erased once its case is decided, once its owner discards it, or some days after its last change. Then no byte of it is
left: SQLite overwrites it, and its log is emptied.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from inference.measure import Clock
from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, cause
from ledger.sqlite_files import file_identity, mark, open_file, transaction, write_ahead

APPLICATION, VERSION = 0x54464446, 1  # "TFDF"
DAYS = 7  # that a draft is kept after its last change
MOST = 50  # drafts of one person; the oldest goes first
LONGEST = 30_000  # characters of a draft
WAIT = 2.0  # seconds that a change waits for another process
A_DAY = 86_400
SCHEMA = """
CREATE TABLE IF NOT EXISTS drafts (
    owner TEXT NOT NULL, id TEXT NOT NULL, changed REAL NOT NULL, content TEXT NOT NULL, PRIMARY KEY (owner, id)
) WITHOUT ROWID
"""


class FormDraft(NamedTuple):
    """A form that somebody has begun."""

    id: str  # the form's key, which also ties its scores to one case
    changed: float  # seconds since 1970
    content: str  # JSON, as the desk's script sent it


class Drafts:
    """The drafts of everybody, in one file that is made with the first one. Thread-safe; the file is open only while it
    is read or written, so that a command can erase drafts while the app runs."""

    def __init__(self, ledger: Path, days: int = DAYS, clock: Clock | None = None) -> None:
        """`ledger` is the ledger's file, beside which the drafts are kept; with `days` 0 none are."""
        self.path, self._days, self._clock = drafts_beside(ledger), days, clock or Clock()
        self._lock = threading.Lock()

    def keep(self, owner: str, id: str, content: str) -> bool:
        """Write a draft in the place of the one before it; False where none are kept, or it is too long. Raises
        `LedgerUnavailable`."""
        if not self._days or len(content) > LONGEST:
            return False
        with self._opened(make=True) as connection:
            assert connection is not None  # noqa: S101 - it was made
            with transaction(connection):
                values = (owner, id, self._clock.utc(), content)
                connection.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?)", values)
                connection.execute(
                    "DELETE FROM drafts WHERE owner = ?1 AND id NOT IN "
                    "(SELECT id FROM drafts WHERE owner = ?1 ORDER BY changed DESC LIMIT ?2)",
                    (owner, MOST),
                )
            self._erase_old(connection)
        return True

    def of(self, owner: str) -> list[FormDraft]:
        """Somebody's drafts, the last changed first. Raises `LedgerUnavailable`."""
        with self._opened() as connection:
            if connection is None:
                return []
            self._erase_old(connection)
            rows = connection.execute(
                "SELECT id, changed, content FROM drafts WHERE owner = ? ORDER BY changed DESC", (owner,)
            )
            return [FormDraft(*row) for row in rows]

    def discard(self, owner: str, id: str) -> None:
        """Erase one draft. Raises `LedgerUnavailable`."""
        with self._opened() as connection:
            if connection is not None:
                erase(connection, "owner = ? AND id = ?", owner, id)

    def erase_old(self) -> int:
        """Erase the drafts whose days are over; returns their number. Raises `LedgerUnavailable`."""
        with self._opened() as connection:
            return 0 if connection is None else self._erase_old(connection)

    def _erase_old(self, connection: sqlite3.Connection) -> int:
        return erase(connection, "changed < ?", self._clock.utc() - self._days * A_DAY)

    @contextmanager
    def _opened(self, make: bool = False) -> Iterator[sqlite3.Connection | None]:
        """The open file; None if it does not exist and is not to be made."""
        with self._lock:
            try:
                if not self.path.exists():
                    if not make:
                        yield None
                        return
                    os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
                with closing(open_file(self.path, WAIT)) as connection:
                    self._prepare(connection)
                    yield connection
            except DATABASE_ERRORS as error:
                raise LedgerUnavailable(f"{self.path}: {cause(error)}") from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Create the table in an empty file; refuse any other file."""
        identity = file_identity(connection)
        if not identity.empty and (identity.application, identity.version) != (APPLICATION, VERSION):
            raise LedgerUnavailable(f"{self.path}: this is not a file of drafts of this version; move it away")
        write_ahead(connection, WAIT)
        connection.execute("PRAGMA secure_delete=ON")
        if identity.empty:
            with transaction(connection):
                connection.execute(SCHEMA)
                mark(connection, APPLICATION, VERSION)


def erase(connection: sqlite3.Connection, condition: str, *values: object) -> int:
    """Erase drafts and every byte of them; `condition` is never outside text."""
    with transaction(connection):
        erased = connection.execute(f"DELETE FROM drafts WHERE {condition}", values).rowcount  # noqa: S608
    if erased:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return erased


def drafts_beside(ledger: Path) -> Path:
    """The file of drafts of a ledger."""
    return ledger.absolute().with_name(f"{ledger.name}-drafts")
