"""Opens and writes the ledger's SQLite file. ledger/queries.py reads it.

With a write-ahead log and synchronous=FULL, a commit's records are on disk once it has returned.

Writes use Python's own driver, with one statement per table and commit. SQLAlchemy would take longer than the disk, and
the driver releases the GIL for every statement and must wait to get it back.
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

from inference.disk import sync
from ledger import queries
from ledger.case_rows import is_listed, list_all_cases, list_cases_of
from ledger.cases import OPEN
from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, another_version, cause, full, no_ledger
from ledger.events import SCORED
from ledger.records import Key, Record
from ledger.schema import APPLICATION, READABLE, VERSION, make_tables, raise_tables, version_of
from ledger.sqlite_files import file_identity, mark, open_file, transaction, write_ahead
from ledger.turns import Turns

logger = logging.getLogger(__name__)
Cell: TypeAlias = int | str | bytes | None
WAIT = 5.0  # seconds to wait for another process that is writing


class Store:
    """A ledger file. Thread-safe; other processes may read and write it at the same time."""

    def __init__(self, path: Path, first: Record | None = None) -> None:
        """Open a file. If it is missing or empty and a first record is given, create it."""
        self.path = path.absolute()
        refuse_foreign_file(self.path)
        # SQLite uses temporary files to sort and vacuum; applicants' data must stay in the ledger's folder.
        os.environ.setdefault("SQLITE_TMPDIR", str(self.path.parent))
        try:
            if first and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            if self.path.is_dir():
                raise LedgerUnavailable(f"{self.path}: this is a folder, and a file is needed")
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
                sync(self.path.parent)
        except DATABASE_ERRORS as error:
            self.close()
            raise LedgerUnavailable(f"{self.path}: {cause(error)}{full(self.path)}") from error
        except LedgerUnavailable:
            self.close()
            raise
        self._names = [str(self.path), f"{self.path}-wal"]  # as `os.stat` takes them, at every commit
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
        """Create the tables and first record in an empty file, or upgrade an older ledger; refuse any other file."""
        identity = file_identity(connection)
        if first and identity.empty and not identity.application:
            make_tables(connection)
            mark(connection, APPLICATION, VERSION)
            insert(connection, [first], [])
        elif identity.application != APPLICATION:
            raise LedgerUnavailable(no_ledger(self.path))
        elif identity.version in READABLE and identity.version != VERSION:
            # Logged first, because a million records take a minute.
            logger.warning("ledger %s: raised from version %d to %d", self.path, identity.version, VERSION)
            raise_tables(connection)
            list_all_cases(connection)
            mark(connection, APPLICATION, VERSION)  # from now on older programs refuse it
        self.check_version(connection)

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Raise `LedgerUnavailable` if another version of this program has upgraded the file since it was opened."""
        if (version := version_of(connection)) != VERSION:
            raise LedgerUnavailable(another_version(self.path, version))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start, so that the chain's head cannot change."""
        with self._writing, self._turns.turn(), transaction(self._writer) as connection:
            yield connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A read transaction, as a context manager that gives SQLAlchemy's connection."""
        return self._engine.begin()

    def check_usable(self) -> None:
        """Raise an error if the next record could not be written, as far as that is known without writing."""
        self.check_still_there()
        with self.reading() as connection:
            self.check_version(queries.driver(connection))

    def check_still_there(self) -> None:
        """Raise an error if the file was moved or deleted: SQLite would go on writing to it, unnoticed."""
        if self._identities() != self._files:
            raise LedgerUnavailable(f"{self.path}: the file was replaced, moved or deleted while it was in use")

    def _identities(self) -> list[tuple[int, int]]:
        """Device and inode of the database and of its write-ahead log."""
        identities = []
        for name in self._names:
            try:
                status = os.stat(name)
            except OSError:
                identities.append((0, 0))
            else:
                identities.append((status.st_dev, status.st_ino))
        return identities

    def cut_log(self) -> bool:
        """Move the write-ahead log's content into the file and truncate the log; returns whether that was possible.

        Never waits: SQLite would hold the write lock while a reader needs the log, and every score would wait.
        """
        with self._writing:
            self._writer.execute("PRAGMA busy_timeout=0")
            try:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of the work, while others can write
                busy, left, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout={int(WAIT * 1000)}")
        return not busy and not left

    def vacuum(self) -> None:
        """Rewrite the file, through the log, without the old data in unused parts of pages."""
        with self._writing:
            self._writer.execute("VACUUM")

    def close(self) -> None:
        """Close all connections; the last process to do so moves the write-ahead log into the file."""
        self._engine.dispose()
        self._writer.close()
        self._turns.close()


def refuse_foreign_file(path: Path) -> None:
    """Refuse a file that is not a ledger by its first bytes, because SQLite writes to a file as it opens it.

    A ledger whose first commit is still in its log cannot be recognised yet; it is checked again once it is open.
    https://www.sqlite.org/fileformat.html
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(100)
    except OSError:
        return  # opening it will report the error
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    logged = header[18:20] == b"\2\2"
    if application == APPLICATION and version not in READABLE:
        raise LedgerUnavailable(another_version(path, version))
    if application not in (APPLICATION, 0) or (not application and not logged):
        raise LedgerUnavailable(no_ledger(path))


def insert(connection: sqlite3.Connection, records: Sequence[Record], keys: Sequence[tuple[Key, int]]) -> None:
    """Write records, their idempotency keys, and the rows of their cases."""
    personal = [record for record in records if record.personal is not None]
    insert_rows(connection, "entries (seq, hash, body)", [(record.seq, record.hash, record.body) for record in records])
    insert_rows(
        connection, "personal (seq, salt, body)", [(record.seq, record.salt, record.personal) for record in personal]
    )
    insert_rows(connection, "idempotency (client, key, digest, seq)", [(*key, seq) for key, seq in keys])
    case_rows: list[tuple[Cell, ...]] = []
    followers = []
    for record in records:
        body = record.body_json  # not its header, whose checks a record made here does not need
        by, of, is_score = str(body.get("by", "")), body.get("of"), body["kind"] == SCORED
        if of:
            # One more score of somebody who takes part in the case already changes no row of it.
            if not (is_score and is_listed(connection, str(of), by)):
                followers.append(record.seq)
        elif is_score:  # same result as CASE_ROWS, in a tenth of the time
            day = str(body["time"])[:10]
            case_rows += [
                (viewer, record.seq, day, OPEN, int(viewer != ""), day, record.reference) for viewer in {"", by}
            ]
    insert_rows(connection, "cases (viewer, seq, day, state, mine, queue_day, reference)", case_rows)
    list_cases_of(connection, followers)


def insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Cell, ...]]) -> None:
    """Insert all rows in one statement; `table` includes the columns and is never outside text."""
    if rows:
        values = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
        connection.execute(f"INSERT INTO {table} VALUES {values}", [cell for row in rows for cell in row])  # noqa: S608


def erase_personal(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Erase the personal parts and idempotency keys of some records, and update the rows of their cases; returns the
    number of parts."""
    connection.executemany("DELETE FROM idempotency WHERE seq = ?", [(seq,) for seq in seqs])
    erased = connection.executemany("DELETE FROM personal WHERE seq = ?", [(seq,) for seq in seqs]).rowcount
    list_cases_of(connection, seqs)
    return erased
