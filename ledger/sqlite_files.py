"""SQLite files that several processes share: how they are opened, what they say of themselves, how they are written."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote


class Stated(NamedTuple):
    """What a file says of itself."""

    application: int  # whose it is
    version: int
    empty: bool  # no table is in it


def open_file(path: Path | str, seconds: float, how: str = "mode=rw") -> sqlite3.Connection:
    """A file that is there, for any thread; each statement is a transaction of its own unless one is begun.

    It waits so long for other processes. `how`: https://www.sqlite.org/uri.html
    """
    uri = f"file:{quote(str(path))}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=seconds, check_same_thread=False, isolation_level=None)


def stated(connection: sqlite3.Connection) -> Stated:
    """What an open file says of itself."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return Stated(application, version, not objects)


def mark(connection: sqlite3.Connection, application: int, version: int) -> None:
    """Have a file say whose it is, and of which version."""
    connection.execute(f"PRAGMA application_id={application}")
    connection.execute(f"PRAGMA user_version={version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Holds the file's write lock from its start; undone where anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Turn a database to its write-ahead log; `sqlite3.OperationalError` where others hold it for that long.

    SQLite's own time-out does not hold here: of two processes that open a new file at once, one would be refused.
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


def sync_folder(folder: Path) -> None:
    """A new name is on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
