"""SQLite files shared by several processes: opening, identifying and writing them."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote


class FileIdentity(NamedTuple):
    """How a file identifies itself."""

    application: int  # application id
    version: int
    empty: bool  # has no tables


def open_file(path: Path | str, seconds: float, how: str = "mode=rw") -> sqlite3.Connection:
    """Open an existing file, for any thread; without BEGIN each statement is a transaction of its own.

    `seconds` is how long it waits for other processes. `how`: https://www.sqlite.org/uri.html
    """
    uri = f"file:{quote(str(path))}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=seconds, check_same_thread=False, isolation_level=None)


def file_identity(connection: sqlite3.Connection) -> FileIdentity:
    """How an open file identifies itself."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return FileIdentity(application, version, not objects)


def mark(connection: sqlite3.Connection, application: int, version: int) -> None:
    """Write the application id and version into a file."""
    connection.execute(f"PRAGMA application_id={application}")
    connection.execute(f"PRAGMA user_version={version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A transaction that holds the write lock from its start; rolled back if anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Switch a database to write-ahead logging; `sqlite3.OperationalError` if others lock it for `seconds`.

    SQLite's own time-out does not apply here: of two processes that open a new file at once, one would fail.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)
