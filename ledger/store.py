"""The ledger's file: SQLite, opened and written. ledger/queries.py reads it.

Write-ahead log and synchronous=FULL: once a commit has returned, its records are on disk.

Writing goes past SQLAlchemy to Python's own driver, and a commit's records in one statement a table: SQLAlchemy would
take longer than the disk, and the driver gives the interpreter away at each statement and must wait to get it back.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from ledger import queries
from ledger.case_rows import list_all_cases, list_cases_of
from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, another_version, cause, full, no_ledger
from ledger.events import SCORED
from ledger.records import Key, Record
from ledger.schema import APPLICATION, READABLE, VERSION, make_tables, raise_tables, version_of
from ledger.sqlite_files import mark, open_file, stated, sync_folder, transaction, write_ahead
from ledger.turns import Turns

logger = logging.getLogger(__name__)
Cell: TypeAlias = int | str | bytes | None
WAIT = 5.0  # seconds for another process that is writing


class Store:
    """One ledger file. Thread-safe; other processes may read and write it at the same time."""

    def __init__(self, path: Path, first: Record | None = None) -> None:
        """Open a file; or make it, where a first record is given and no file is there, or an empty one."""
        self.path = path.absolute()
        look(self.path)
        # SQLite sorts and vacuums by way of files; applicants' data stays in the ledger's own folder.
        os.environ.setdefault("SQLITE_TMPDIR", str(self.path.parent))
        try:
            if first and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            if self.path.is_dir():
                raise LedgerUnavailable(f"{self.path}: a folder, and a file is needed")
            if not self.path.exists():
                raise LedgerUnavailable(f"{self.path}: there is no ledger")
            self._engine = sa.create_engine(
                "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=8, hide_parameters=True
            )
            event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
            self._turns = Turns(self.path.with_name(f"{self.path.name}-turns"))
            self._writer, self._writing = self._connect(), threading.Lock()
        except (FileExistsError, NotADirectoryError) as error:
            raise LedgerUnavailable(f"{self.path}: {error.filename} is not a folder") from error
        except DATABASE_ERRORS as error:
            raise LedgerUnavailable(f"{self.path}: {cause(error)}{full(self.path)}") from error
        try:
            with self.writing() as connection:
                self._prepare(connection, first)
            if first:
                sync_folder(self.path.parent)
        except DATABASE_ERRORS as error:
            self.close()
            raise LedgerUnavailable(f"{self.path}: {cause(error)}{full(self.path)}") from error
        except LedgerUnavailable:
            self.close()
            raise
        self._files = self._identities()

    def _connect(self) -> sqlite3.Connection:
        connection = open_file(self.path, WAIT)
        write_ahead(connection, WAIT)
        for pragma in (
            "synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON", "foreign_keys=ON", "secure_delete=ON",
            "cell_size_check=ON",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _prepare(self, connection: sqlite3.Connection, first: Record | None) -> None:
        """Make the tables in an empty file, with the first record; refuse any other that is not of this version."""
        found = stated(connection)
        if first and found.empty and not found.application:
            make_tables(connection)
            mark(connection, APPLICATION, VERSION)
            insert(connection, [first], [])
        elif found.application != APPLICATION:
            raise LedgerUnavailable(no_ledger(self.path))
        elif found.version in READABLE and found.version != VERSION:
            # Said before, for a million records take a minute.
            logger.warning("ledger %s: raised from version %d to %d", self.path, found.version, VERSION)
            raise_tables(connection)
            list_all_cases(connection)
            mark(connection, APPLICATION, VERSION)  # older programs refuse it from here on
        self.check_version(connection)

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Another version of this program may have changed the file since it was opened."""
        if (version := version_of(connection)) != VERSION:
            raise LedgerUnavailable(another_version(self.path, version))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its start, to read the chain's head under it."""
        with self._writing, self._turns.one(), transaction(self._writer) as connection:
            yield connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees the file as it is now: a context manager with SQLAlchemy's connection."""
        return self._engine.begin()

    def check_usable(self) -> None:
        """Whether the next record could be written, as far as can be seen without writing one."""
        self.check_still_there()
        with self.reading() as connection:
            self.check_version(queries.driver(connection))

    def check_still_there(self) -> None:
        """SQLite would go on writing into a file that was moved away or deleted, and nobody would ever read it."""
        if self._identities() != self._files:
            raise LedgerUnavailable(f"{self.path}: the file was replaced, moved or deleted while it was in use")

    def _identities(self) -> list[tuple[int, int]]:
        """Device and inode of the database and of its write-ahead log."""
        found = []
        for name in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                status = name.stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_dev, status.st_ino))
        return found

    def cut_log(self) -> bool:
        """Move the write-ahead log's content into the file and cut the log to nothing; whether that was possible now.

        Never waits: SQLite would hold the write lock for as long as a reader needs the log, and every score would wait.
        """
        with self._writing:
            self._writer.execute("PRAGMA busy_timeout=0")
            try:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of the work, beside writers
                busy, left, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout={int(WAIT * 1000)}")
        return not busy and not left

    def vacuum(self) -> None:
        """Write the file anew, by way of the log, without what SQLite left in unused parts of pages."""
        with self._writing:
            self._writer.execute("VACUUM")

    def close(self) -> None:
        """Give all connections back; the last one of all processes empties the write-ahead log into the file."""
        self._engine.dispose()
        self._writer.close()
        self._turns.close()


def look(path: Path) -> None:
    """Refuse a file that is not ours by its first bytes, since SQLite would write some as it opens it.

    Where they say nothing yet, because a ledger's first commit is still in its log, an opened file is checked again.
    https://www.sqlite.org/fileformat.html
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(100)
    except OSError:
        return  # opening says what is wrong with it
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    logged = header[18:20] == b"\2\2"
    if application == APPLICATION and version not in READABLE:
        raise LedgerUnavailable(another_version(path, version))
    if application not in (APPLICATION, 0) or (not application and not logged):
        raise LedgerUnavailable(no_ledger(path))


def insert(connection: sqlite3.Connection, records: Sequence[Record], keys: Sequence[tuple[Key, int]]) -> None:
    """Write records, the idempotency keys that belong to them, and what pages search of their cases."""
    personal = [one for one in records if one.personal is not None]
    insert_rows(connection, "entries (seq, hash, body)", [(one.seq, one.hash, one.body) for one in records])
    insert_rows(connection, "personal (seq, salt, body)", [(one.seq, one.salt, one.personal) for one in personal])
    insert_rows(connection, "idempotency (client, key, digest, seq)", [(*key, seq) for key, seq in keys])
    listed: list[tuple[Cell, ...]] = []
    moved = []
    for one in records:
        said = one.header
        if said.of:
            moved.append(one.seq)
        elif said.kind == SCORED:  # as CASE_ROWS would say, in a tenth of the time
            listed += [(viewer, one.seq, said.time[:10], 0, one.reference) for viewer in {"", said.by}]
    insert_rows(connection, "cases (viewer, seq, day, waiting, reference)", listed)
    list_cases_of(connection, moved)


def insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Cell, ...]]) -> None:
    """All rows in one statement; `table` with its columns is ours."""
    if rows:
        values = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
        connection.execute(f"INSERT INTO {table} VALUES {values}", [cell for row in rows for cell in row])  # noqa: S608


def erase_personal(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Erase the personal parts, and the idempotency keys, of some records, and what pages search of them; how many
    parts."""
    connection.executemany("DELETE FROM idempotency WHERE seq = ?", [(seq,) for seq in seqs])
    erased = connection.executemany("DELETE FROM personal WHERE seq = ?", [(seq,) for seq in seqs]).rowcount
    list_cases_of(connection, seqs)
    return erased
