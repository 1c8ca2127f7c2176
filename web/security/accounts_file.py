"""The SQLite file of users, sessions and API tokens: its tables, opening it, reading it and changing it.

Changes by another process (`python -m web users …`) take effect with the next request, and so does a replaced file:
every query first checks whether the path still leads to the open file.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from itsdangerous import Signer

from inference.errors import TenfoldError
from ledger.sqlite_files import file_identity, mark, open_file, transaction, write_ahead

APPLICATION, VERSION = 0x54465553, 3  # of the file
WAIT = 2.0  # seconds that a change waits while another process writes
NO_WAIT = 0.0  # seconds that a query waits: it runs on the event loop and must not block it
SCHEMA = """
CREATE TABLE accounts (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT, token BLOB UNIQUE, made REAL NOT NULL, used REAL,
    expires REAL
) WITHOUT ROWID;
CREATE TABLE sessions (
    id BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, made REAL NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE secret (key BLOB NOT NULL);
CREATE TABLE retired (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE links (
    id BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, expires REAL NOT NULL
) WITHOUT ROWID;
"""
# Upgrades version 1, in which tokens did not expire and a removed name could be reused.
FROM_1 = """
ALTER TABLE accounts ADD COLUMN expires REAL;
CREATE TABLE retired (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
# Upgrades version 2, which had no links to set a password.
FROM_2 = """
CREATE TABLE links (
    id BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, expires REAL NOT NULL
) WITHOUT ROWID;
"""


class AccountError(TenfoldError):
    """A change of users or tokens that is refused, or a file of users that cannot be used; the message says why."""


class AccountsFile:
    """The file. Thread-safe; the app and the command line may use it at the same time."""

    def __init__(self, path: Path | None) -> None:
        """Open the file if it exists; it is created with the first change. `path` None: there is none."""
        self.path = None if path is None else path.absolute()
        self._name = "" if self.path is None else str(self.path)  # as `os.stat` takes it, at every request
        self._reading: sqlite3.Connection | None = None
        self._changes: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # device and inode of the open file
        self._signs: dict[str, Signer] = {}  # by purpose, with the key in the open file
        self._writing = threading.RLock()
        with suppress(AccountError):  # the next query raises it
            self._open(wait=WAIT)

    def _open(self, make: bool = False, wait: float = NO_WAIT) -> bool:
        """Open the file if there is one, and return whether there is. Raises `AccountError` if the open file was
        deleted, or was replaced and the new one is locked for longer than `wait` seconds."""
        if not self._name:
            return False
        try:
            status = os.stat(self._name)
        except FileNotFoundError:
            if self._identity is None:
                return False
            raise AccountError(f"{self.path}: the file of users is gone. Put it back, or restart") from None
        except OSError as error:
            raise AccountError(f"{self.path}: the file of users cannot be read: {error.strerror}") from None
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity:
            if not self._writing.acquire(timeout=wait):
                raise AccountError(f"{self.path}: the file of users is being opened or changed: try again")
            try:
                if identity != self._identity:
                    self._close()
                    self._changes = self._connect(make, wait)
                    self._reading = open_file(self._name, NO_WAIT)
                    self._reading.execute("PRAGMA synchronous=NORMAL")  # a time of use may be lost; no wait for fsync
                    self._identity = identity
            finally:
                self._writing.release()
        return True

    def _connect(self, make: bool, wait: float) -> sqlite3.Connection:
        """Open the file. With `make`, create the tables if it is empty; otherwise an empty file is an error, since a
        file that was truncated by accident must not look like one without users."""
        connection = open_file(self._name, wait)
        try:
            write_ahead(connection, wait)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")
            with transaction(connection):
                self._prepare(connection, make)
            connection.execute(f"PRAGMA busy_timeout={1000 * WAIT:.0f}")  # changes do not run on the event loop
        except (sqlite3.Error, AccountError) as error:
            connection.close()
            if isinstance(error, AccountError):
                raise
            raise AccountError(f"{self.path}: the file of users cannot be used: {error}") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, make: bool) -> None:
        identity = file_identity(connection)
        if make and identity.empty and not identity.application:
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute("INSERT INTO secret VALUES (?)", [secrets.token_bytes(32)])
            mark(connection, APPLICATION, VERSION)
        elif identity.application == APPLICATION and identity.version in (1, 2):
            raising = FROM_1 + FROM_2 if identity.version == 1 else FROM_2
            for statement in filter(str.strip, raising.split(";")):
                connection.execute(statement)
            mark(connection, APPLICATION, VERSION)
        elif (identity.application, identity.version) != (APPLICATION, VERSION):
            raise AccountError(f"{self.path}: no file of users that this version of Tenfold knows")

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._close()

    def _close(self) -> None:
        for connection in (self._reading, self._changes):
            if connection is not None:
                connection.close()
        self._reading = self._changes = self._identity = None
        self._signs = {}

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query. Fails closed: any error raises `AccountError` instead of returning no rows."""
        try:
            if not self._open() or self._reading is None:
                return []
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise AccountError(f"{self.path}: the file of users cannot be read: {error}") from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; a missing file is created, readable and writable only by its owner."""
        if self.path is None:
            raise AccountError("TENFOLD_USERS is off: name a file for users and tokens, or leave it unset")
        try:
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._writing:
                self._open(make=True, wait=WAIT)
                connection = self._changes
                assert connection is not None  # noqa: S101 - the file is there
                with transaction(connection):
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise AccountError(f"{self.path}: the file of users cannot be written: {error}") from None

    def _note(self, change: str, *values: Any) -> None:
        """Record when something was last used. This neither waits nor fails: if another process is writing, it is
        skipped and done at the next request."""
        with suppress(sqlite3.Error):
            if self._reading is not None:
                self._reading.execute(change, values)
