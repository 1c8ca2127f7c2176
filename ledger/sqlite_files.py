"""SQLite files that several processes share."""

import os
import sqlite3
import time
from pathlib import Path


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
