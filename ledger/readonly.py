"""A ledger opened without writing a byte: in use, left by a killed process, on read-only media, or a copy of these.

SQLite writes a little even as it reads: it makes the index of the write-ahead log (`-shm`) where it is missing, and
marks in it who reads. So the way to open depends on what lies beside the file.
https://www.sqlite.org/wal.html#read_only_databases
"""

import shutil
import sqlite3
import tempfile
from contextlib import AbstractContextManager, closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, another_version, cause, no_ledger
from ledger.schema import APPLICATION, READABLE
from ledger.sqlite_files import open_file, stated
from ledger.store import WAIT, look

SHARED = "mode=ro&readonly_shm=1"  # the index of processes that have the file open, or had


class ReadOnlyStore:
    """One ledger file to read. Nothing in its folder changes."""

    def __init__(self, path: Path) -> None:
        """`LedgerUnavailable` where the file is missing, not a ledger, or of a version that is not known."""
        self.path = path.absolute()
        look(self.path)
        if not self.path.is_file():
            what = "a folder, and a file is needed" if self.path.is_dir() else "there is no ledger"
            raise LedgerUnavailable(f"{self.path}: {what}")
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._before = self._state()
            self._file, self._how = self._way()
            with closing(self._connect()) as connection:
                self._check(connection)
        except DATABASE_ERRORS as error:
            self.close()
            raise LedgerUnavailable(f"{self.path}: {cause(error)}") from error
        except LedgerUnavailable:
            self.close()
            raise
        self._engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=1, hide_parameters=True
        )
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def _way(self) -> tuple[Path, str]:
        """Which file is opened, and how: as it lies there."""
        log, index, journal = (self._beside(end) for end in ("-wal", "-shm", "-journal"))
        if log.exists() and index.exists() and readable(self.path, SHARED):
            return self.path, SHARED
        if filled(log) or filled(journal):
            # The log is of use to SQLite only with an index, and none may be made here: read a copy, and remove it.
            self._copy = tempfile.TemporaryDirectory(prefix="tenfold-")
            copied = Path(self._copy.name, self.path.name)
            for file, end in ((self.path, ""), (log, "-wal"), (journal, "-journal")):
                if file.exists():
                    shutil.copyfile(file, f"{copied}{end}")
            return copied, "mode=rw"
        return self.path, "mode=ro&immutable=1"

    def _beside(self, end: str) -> Path:
        return self.path.with_name(f"{self.path.name}{end}")

    def _connect(self) -> sqlite3.Connection:
        return open_file(self._file, WAIT, self._how)

    def _check(self, connection: sqlite3.Connection) -> None:
        found = stated(connection)
        if found.application != APPLICATION:
            raise LedgerUnavailable(no_ledger(self.path))
        if found.version not in READABLE:
            raise LedgerUnavailable(another_version(self.path, found.version))

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees the file as it is now: a context manager with SQLAlchemy's connection."""
        return self._engine.begin()

    def changed(self) -> bool:
        """Whether somebody began to write to a file that was opened as one nobody writes to: read it again then."""
        return self._how != SHARED and self._state() != self._before

    def _state(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for end in ("", "-wal", "-journal"):
            try:
                status = self._beside(end).stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_size, status.st_mtime_ns))
        return found

    def close(self) -> None:
        """Close the file; a private copy is removed."""
        if hasattr(self, "_engine"):
            self._engine.dispose()
        if self._copy is not None:
            self._copy.cleanup()


def readable(file: Path, how: str) -> bool:
    """Whether SQLite can open a file so: not with an index that a killed process left half made."""
    try:
        with closing(open_file(file, WAIT, how)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def filled(file: Path) -> bool:
    """Whether a file is there and not empty."""
    return file.exists() and file.stat().st_size > 0
