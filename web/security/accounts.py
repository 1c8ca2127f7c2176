"""Users, sessions and API tokens, in one SQLite file beside the ledger. Only this module uses the file.

Passwords are stored only as argon2id hashes (RFC 9106), sessions and tokens, which are random, only as SHA-256.
Changes by another process (`python -m web users …`) take effect with the next request, and so does a replaced file:
every query first checks whether the path still leads to the open file.
"""

import hashlib
import ipaddress
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from itsdangerous import BadSignature, Signer

from inference.errors import BadSetting, TenfoldError
from inference.measure import Clock
from inference.settings import Settings
from ledger import queries
from ledger.ledger import Ledger
from ledger.sqlite_files import file_identity, mark, open_file, transaction, write_ahead
from web.person import CLOSED, DEMO, OPEN, ROLES, TOKEN_ROLES, Person
from web.security.passwords import LONGEST, normalised, password_problem

APPLICATION, VERSION = 0x54465553, 3  # of the file
WAIT = 2.0  # seconds that a change waits while another process writes
NO_WAIT = 0.0  # seconds that a query waits: it runs on the event loop and must not block it
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
RESERVED = frozenset({"api", "desk", "gradio"})  # names in records that were made without login
IDLE, ABSOLUTE = 30 * 60, 12 * 3600  # seconds: a session's longest time without use, and its longest life
DEVICE = "device"  # purpose of a device cookie's signature
NOTED_EVERY = 60  # seconds between two updates of when a session or a token was last used
LINK_HOURS = 48  # that a link to set a password can be used
TOKEN_DAYS = 365  # lifetime of a token by default
LONGEST_TOKEN_DAYS = 3650
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})  # hosts that only this computer can reach
TOKEN = "tenfold_"  # prefix of tokens, by which secret scanners recognise them  # noqa: S105
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


class Account(NamedTuple):
    """A user or a token. Times in seconds since 1970; `used` is None if it never was, `expires` if it never does."""

    name: str
    role: str
    created: float
    used: float | None
    expires: float | None


class Session(NamedTuple):
    """A session of somebody who is logged in. Times in seconds since 1970."""

    name: str
    created: float
    used: float


class Accounts:
    """The users, sessions and tokens of one file. Thread-safe; the app and the command line may use it at the same
    time."""

    def __init__(self, path: Path | None, clock: Clock | None = None, hasher: PasswordHasher | None = None) -> None:
        """Open the file if it exists; it is created with the first user. `path` None: there are no users."""
        self.path = None if path is None else path.absolute()
        self._name = "" if self.path is None else str(self.path)  # as `os.stat` takes it, at every request
        self._clock, self._hasher = clock or Clock(), hasher or PasswordHasher()
        self._reading: sqlite3.Connection | None = None
        self._changes: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # device and inode of the open file
        self._signs: dict[str, Signer] = {}
        self._writing = threading.RLock()
        with suppress(AccountError):  # the next query raises it
            self._open(wait=WAIT)

    # ---- the file ----------------------------------------------------------------------------------------------

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

    # ---- users and tokens --------------------------------------------------------------------------------------

    def anybody(self) -> bool:
        """Whether there is a user. Tokens do not count: nobody can log in with one."""
        return bool(self._ask("SELECT 1 FROM accounts WHERE password IS NOT NULL LIMIT 1"))

    def was_anybody(self) -> bool:
        """Whether there is a user, or a name that was removed: then this file has had its first user."""
        return self.anybody() or bool(self._ask("SELECT 1 FROM retired LIMIT 1"))

    def users(self) -> list[Account]:
        """All users, by name."""
        return [Account(*row) for row in self._ask(LIST.format("password"))]

    def tokens(self) -> list[Account]:
        """All tokens, by name."""
        return [Account(*row) for row in self._ask(LIST.format("token"))]

    def add_user(self, name: str, role: str, password: str) -> None:
        """Add a user. Raises `AccountError` if the name is taken, or an argument is invalid."""
        name = checked(name, role)
        hashed = self._hashed(name, password)
        with self._changing() as connection:
            self._insert(connection, name, role, password=hashed)

    def add_token(self, name: str, role: str, days: int = TOKEN_DAYS) -> str:
        """Add a token that expires after `days`, and return it; it is not stored and cannot be shown again."""
        if not 1 <= days <= LONGEST_TOKEN_DAYS:
            raise AccountError(f"a token lasts from 1 to {LONGEST_TOKEN_DAYS:,} days, got {days}")
        name, token = checked(name, role, TOKEN_ROLES), TOKEN + secrets.token_urlsafe(32)
        expires = self._clock.utc() + 86_400 * days
        with self._changing() as connection:
            self._insert(connection, name, role, token=digest(token), expires=expires)
        return token

    def _insert(
        self,
        connection: sqlite3.Connection,
        name: str,
        role: str,
        *,
        password: str | None = None,
        token: bytes | None = None,
        expires: float | None = None,
    ) -> None:
        # Users and tokens share one set of names, and a name is never reused: records identify people by it for years.
        if name in RESERVED:
            raise AccountError(f"{name}: this name is reserved; records use it where nobody had to log in")
        if connection.execute("SELECT 1 FROM accounts WHERE name = ?", [name]).fetchone():
            raise AccountError(f"{name}: a user or a token has this name already")
        if connection.execute("SELECT 1 FROM retired WHERE name = ?", [name]).fetchone():
            raise AccountError(f"{name}: somebody had this name before, and records keep it; choose another")
        now = self._clock.utc()
        connection.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, NULL, ?)", [name, role, password, token, now, expires]
        )

    def set_password(self, name: str, password: str) -> None:
        """Set a user's password and end all their sessions."""
        name = name.lower()
        hashed = self._hashed(name, password)
        with self._changing() as connection:
            changed = connection.execute(
                "UPDATE accounts SET password = ? WHERE name = ? AND password IS NOT NULL", [hashed, name]
            ).rowcount
            connection.execute("DELETE FROM sessions WHERE name = ?", [name])
            connection.execute("DELETE FROM links WHERE name = ?", [name])
        if not changed:
            raise AccountError(f"{name}: no such user")

    # ---- links to set a password -------------------------------------------------------------------------------

    def add_link(self, name: str) -> str:
        """A secret with which somebody can set this user's password, once, for `LINK_HOURS`; it takes the place of an
        earlier one, is not stored and cannot be shown again. Raises `AccountError` if there is no such user."""
        if not self.knows(name):
            raise AccountError(f"{name}: no such user")
        secret = secrets.token_urlsafe(32)
        with self._changing() as connection:
            connection.execute("DELETE FROM links WHERE name = ?", [name.lower()])
            values = [digest(secret), name.lower(), self._clock.utc() + 3600 * LINK_HOURS]
            connection.execute("INSERT INTO links VALUES (?, ?, ?)", values)
        return secret

    def invite(self, name: str, role: str) -> str:
        """Add a user who has no password yet, and return the secret of the link to set it. Raises `AccountError`."""
        self.add_user(name, role, secrets.token_urlsafe(32))
        return self.add_link(name)

    def by_link(self, secret: str) -> str | None:
        """The user whose password a link can set; None if it is unknown, was used or has expired."""
        rows = self._ask("SELECT name FROM links WHERE id = ? AND expires > ?", digest(secret), self._clock.utc())
        return rows[0][0] if rows else None

    def use_link(self, secret: str, password: str) -> str | None:
        """Set the password and end the user's sessions; the link is used up. The user's name; None if the link was used
        meanwhile. Raises `AccountError` for a password that is refused, and then the link can be used again."""
        name = self.by_link(secret)
        if name is None:
            return None
        hashed = self._hashed(name, password)
        with self._changing() as connection:
            if not connection.execute("DELETE FROM links WHERE id = ?", [digest(secret)]).rowcount:
                return None
            connection.execute("UPDATE accounts SET password = ? WHERE name = ?", [hashed, name])
            connection.execute("DELETE FROM sessions WHERE name = ?", [name])
        return name

    def links(self) -> dict[str, float]:
        """By user: until when a link can set the password, in seconds since 1970."""
        return dict(self._ask("SELECT name, expires FROM links WHERE expires > ?", self._clock.utc()))

    def sessions(self) -> list[Session]:
        """All sessions that have not expired, by name, the newest first."""
        now = self._clock.utc()
        rows = self._ask(
            "SELECT name, made, used FROM sessions WHERE made >= ? AND used >= ? ORDER BY name, made DESC",
            now - ABSOLUTE, now - IDLE,
        )  # fmt: skip
        return [Session(*row) for row in rows]

    def end_sessions(self, name: str | None) -> int:
        """End all sessions of a user, or of everybody if `name` is None; returns how many. Raises `AccountError` if
        there is no such user."""
        if name is not None and not self.knows(name):
            raise AccountError(f"{name}: no such user")
        ended = self.sessions()
        with self._changing() as connection:
            if name is None:
                connection.execute("DELETE FROM sessions")
                return len(ended)
            connection.execute("DELETE FROM sessions WHERE name = ?", [name.lower()])
        return sum(session.name == name.lower() for session in ended)

    def set_role(self, name: str, role: str) -> None:
        """Change the role of a user or a token, from the next request on."""
        name = checked(name, role, TOKEN_ROLES)
        with self._changing() as connection:
            row = connection.execute("SELECT token IS NULL FROM accounts WHERE name = ?", [name]).fetchone()
            if row is None:
                raise AccountError(f"{name}: no such user or token")
            if row[0]:
                checked(name, role)
            connection.execute("UPDATE accounts SET role = ? WHERE name = ?", [role, name])

    def remove(self, name: str, kind: str) -> None:
        """Remove a user with all sessions, or a token; `kind` is `user` or `token`. The name cannot be reused."""
        with self._changing() as connection:
            removed = connection.execute(
                f"DELETE FROM accounts WHERE name = ? AND {KINDS[kind]} IS NOT NULL",  # noqa: S608 - our own word
                [name.lower()],
            ).rowcount
            if removed:
                connection.execute("INSERT OR IGNORE INTO retired VALUES (?)", [name.lower()])
        if not removed:
            raise AccountError(f"{name}: no such {kind}")

    def _hashed(self, name: str, password: str) -> str:
        if problem := password_problem(name, password):
            raise AccountError(problem)
        return self._hasher.hash(normalised(password))

    # ---- authentication ----------------------------------------------------------------------------------------

    def log_in(self, name: str, password: str) -> str | None:
        """The cookie of a new session; None if name or password is wrong. Takes the same time for unknown names."""
        hash_of_nobody = self._nobody
        rows = self._ask("SELECT password FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower())
        try:
            self._hasher.verify(rows[0][0] if rows else hash_of_nobody, normalised(password))
        except VerificationError:
            return None
        if not rows:
            return None
        id, now = secrets.token_urlsafe(32), self._clock.utc()
        with self._changing() as connection:
            if self._hasher.check_needs_rehash(rows[0][0]):
                rehashed = self._hasher.hash(normalised(password))
                connection.execute("UPDATE accounts SET password = ? WHERE name = ?", [rehashed, name.lower()])
            connection.execute("UPDATE accounts SET used = ? WHERE name = ?", [now, name.lower()])
            connection.execute("DELETE FROM sessions WHERE made < ? OR used < ?", [now - ABSOLUTE, now - IDLE])
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", [digest(id), name.lower(), now, now])
        return self._signer().sign(id).decode()

    def is_password(self, name: str, password: str) -> bool:
        """Whether this is the password of a user."""
        rows = self._ask("SELECT password FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower())
        try:
            return bool(rows) and self._hasher.verify(rows[0][0], normalised(password))
        except VerificationError:
            return False

    @cached_property
    def _nobody(self) -> str:
        """The hash that passwords of unknown names are checked against, so that this takes the same time."""
        return self._hasher.hash(secrets.token_urlsafe(16))

    def device(self, name: str) -> str:
        """A signed cookie for a browser from which this name has logged in. It grants no access: see throttle.py."""
        return self._signer(DEVICE).sign(f"{name.lower()}.{secrets.token_hex(8)}").decode()

    def knows_device(self, name: str, device: str) -> bool:
        """Whether a device cookie shows that this name has logged in from that browser."""
        try:
            signed = self._signer(DEVICE).unsign(device).decode() if len(device) < LONGEST else ""
        except (BadSignature, ValueError):
            return False
        return signed.rpartition(".")[0] == name.lower()

    def log_out(self, cookie: str) -> None:
        """End a session; an unknown one is ignored."""
        id = self._session(cookie)
        if id is not None:
            with self._changing() as connection:
                connection.execute("DELETE FROM sessions WHERE id = ?", [digest(id)])

    def by_cookie(self, cookie: str, *, in_use: bool = True) -> Person | None:
        """The person whose session a cookie belongs to; None if it has expired. `in_use`: somebody did something, so
        the time without use starts again."""
        id = self._session(cookie)
        if id is None:
            return None
        rows = self._ask(
            "SELECT a.name, a.role, s.made, s.used FROM sessions s JOIN accounts a ON a.name = s.name WHERE s.id = ?",
            digest(id),
        )
        now = self._clock.utc()
        if not rows or now - rows[0][2] > ABSOLUTE or now - rows[0][3] > IDLE:
            return None
        if in_use and now - rows[0][3] > NOTED_EVERY:
            self._note("UPDATE sessions SET used = ? WHERE id = ?", now, digest(id))
        return Person(rows[0][0], rows[0][1])

    def by_token(self, token: str) -> Person | None:
        """The person that a token authenticates; None if it is unknown or has expired."""
        rows = self._ask("SELECT name, role, used, expires FROM accounts WHERE token = ?", digest(token))
        now = self._clock.utc()
        if not rows or (rows[0][3] is not None and now >= rows[0][3]):
            return None
        name, role, used, _ = rows[0]
        if used is None or now - used > NOTED_EVERY:
            self._note("UPDATE accounts SET used = ? WHERE name = ?", now, name)
        return Person(name, role, machine=True)

    def by_name(self, name: str) -> Person | None:
        """The user of this name, for whom a trusted proxy vouches; None if nobody has it."""
        rows = self._ask("SELECT name, role, used FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower())
        if not rows:
            return None
        now = self._clock.utc()
        if rows[0][2] is None or now - rows[0][2] > NOTED_EVERY:
            self._note("UPDATE accounts SET used = ? WHERE name = ?", now, rows[0][0])
        return Person(rows[0][0], rows[0][1])

    def knows(self, name: str) -> bool:
        """Whether there is a user of this name."""
        return bool(self._ask("SELECT 1 FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower()))

    def _note(self, change: str, *values: Any) -> None:
        """Record when something was last used. This neither waits nor fails: if another process is writing, it is
        skipped and done at the next request."""
        with suppress(sqlite3.Error):
            if self._reading is not None:
                self._reading.execute(change, values)

    def _session(self, cookie: str) -> str | None:
        """A session's id; None if we did not sign the cookie, so that forged ones cost no query."""
        try:
            return self._signer().unsign(cookie).decode() if len(cookie) < LONGEST else None
        except (BadSignature, ValueError):
            return None

    def _signer(self, purpose: str = "session") -> Signer:
        self._open()  # if the file was replaced, the key changes
        if purpose not in self._signs:
            rows = self._ask("SELECT key FROM secret")
            if not rows:
                raise BadSignature("no file of users")
            self._signs[purpose] = Signer(rows[0][0], salt=purpose, digest_method=hashlib.sha256)
        return self._signs[purpose]


LIST = "SELECT name, role, made, used, expires FROM accounts WHERE {} IS NOT NULL ORDER BY name"
KINDS = {"user": "password", "token": "token"}


def checked(name: str, role: str, roles: Sequence[str] = ROLES) -> str:
    """The name in lower case. Its characters are safe in records, headers and file names. Raises `AccountError`."""
    if not NAME.fullmatch(name.lower()):
        raise AccountError(f"{name[:60]!r}: a name has 1 to 40 of a-z, 0-9, dot, dash and underscore")
    if role not in roles:
        raise AccountError(f"{role[:60]!r}: a role is one of {', '.join(roles)}")
    return name.lower()


def digest(secret: str) -> bytes:
    """The SHA-256 under which a random secret is stored."""
    return hashlib.sha256(secret.encode()).digest()


def mode(settings: Settings, accounts: Accounts) -> str:
    """How open the app is: OPEN, DEMO or CLOSED. Raises `BadSetting` if the settings would let in the wrong people."""
    users = accounts.anybody()
    if settings.users_named and not settings.public_demo and not (accounts.path and accounts.path.exists()):
        raise BadSetting(
            f"TENFOLD_USERS names {accounts.path}, and there is no such file. Put it back, create it by "
            "python -m web users add NAME --role manager, or set TENFOLD_USERS=off"
        )
    if settings.public_demo:
        if users:
            raise BadSetting(
                f"TENFOLD_PUBLIC_DEMO is on, which lets everybody in, and there are users in {accounts.path}. "
                "Set TENFOLD_PUBLIC_DEMO=off to let only these in, or name another TENFOLD_USERS"
            )
        if settings.ledger is not None:
            raise BadSetting(
                "TENFOLD_PUBLIC_DEMO is on, which promises that nothing is kept, and TENFOLD_LEDGER names a file. "
                "Leave one of them out"
            )
        return DEMO
    if users:
        return CLOSED
    if settings.trusted_header:
        raise BadSetting(
            "TENFOLD_TRUSTED_HEADER is set, and there is no user whom it could name. Create one by the name that the "
            "proxy sends: python -m web users add NAME --role manager"
        )
    if not is_local(settings.host):
        raise BadSetting(
            f"HOST is {settings.host}, which others can reach, and nobody has to log in. Either create a user: "
            "python -m web users add NAME --role manager, or where there is no shell the secret TENFOLD_FIRST_MANAGER; "
            "or set TENFOLD_PUBLIC_DEMO=on, and nothing is kept"
        )
    return OPEN


MODES = {CLOSED: "login required", OPEN: "this computer only, no login", DEMO: "public demonstration, nothing is kept"}


def check_ledger_may_be_open(ledger: Ledger, settings: Settings) -> None:
    """Raises `BadSetting` if no login is needed but the ledger has records of people who had logged in: the file of
    users may be lost, and everybody could then read and decide their cases."""
    if settings.no_login:
        return
    with ledger.store.reading() as connection:
        if queries.scored_by_others_than(connection, RESERVED):
            raise BadSetting(
                f"nobody has to log in, and {ledger.store.path} holds records of people who did. Put the file of users "
                f"({settings.users}) back, name another TENFOLD_LEDGER, or set TENFOLD_NO_LOGIN=on to open it to "
                "everybody on this computer all the same"
            )


def is_local(host: str) -> bool:
    """Whether a host or an address can only be reached from this computer."""
    try:
        return host in LOCAL or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
