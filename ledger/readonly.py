"""Opens a ledger without writing a byte: in use, left by a killed process, on read-only media, or a copy of these.

SQLite writes even when it only reads: it creates the index of the write-ahead log (`-shm`) if it is missing, and marks
readers in it. So how the file is opened depends on which files are beside it.
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
from ledger.sqlite_files import file_identity, open_file
from ledger.store import WAIT, refuse_foreign_file

SHARED = "mode=ro&readonly_shm=1"  # with the index of processes that have, or had, the file open


class ReadOnlyStore:
    """A ledger file, read-only. Nothing in its folder changes."""

    def __init__(self, path: Path) -> None:
        """Raises `LedgerUnavailable` if the file is missing, not a ledger, or of an unknown version."""
        self.path = path.absolute()
        refuse_foreign_file(self.path)
        if not self.path.is_file():
            problem = "this is a folder, and a file is needed" if self.path.is_dir() else "there is no ledger"
            raise LedgerUnavailable(f"{self.path}: {problem}")
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
        """Which file to open, and how, given the files beside it."""
        log, index, journal = (self._beside(end) for end in ("-wal", "-shm", "-journal"))
        if log.exists() and index.exists() and readable(self.path, SHARED):
            return self.path, SHARED
        if filled(log) or filled(journal):
            # SQLite needs an index to read the log, and must not create one here: read a temporary copy.
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
        identity = file_identity(connection)
        if identity.application != APPLICATION:
            raise LedgerUnavailable(no_ledger(self.path))
        if identity.version not in READABLE:
            raise LedgerUnavailable(another_version(self.path, identity.version))

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A read transaction, as a context manager that gives SQLAlchemy's connection."""
        return self._engine.begin()

    def changed(self) -> bool:
        """Whether another program started to write to a file that was opened as not in use: it must be read again."""
        return self._how != SHARED and self._state() != self._before

    def _state(self) -> list[tuple[int, int] | None]:
        states: list[tuple[int, int] | None] = []
        for end in ("", "-wal", "-journal"):
            try:
                status = self._beside(end).stat()
            except OSError:
                states.append(None)
            else:
                states.append((status.st_size, status.st_mtime_ns))
        return states

    def close(self) -> None:
        """Close the file; remove a temporary copy."""
        if hasattr(self, "_engine"):
            self._engine.dispose()
        if self._copy is not None:
            self._copy.cleanup()


def readable(file: Path, how: str) -> bool:
    """Whether SQLite can open a file this way; it cannot with an incomplete index left by a killed process."""
    try:
        with closing(open_file(file, WAIT, how)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def filled(file: Path) -> bool:
    """Whether a file exists and is not empty."""
    return file.exists() and file.stat().st_size > 0
