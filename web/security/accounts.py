"""Users, sessions and API tokens, in one SQLite file beside the ledger. The only module that knows this file.

Passwords are kept as argon2id (RFC 9106) and nothing else; of sessions and tokens, which are random, only SHA-256 is.
What another process changes (`python -m web users …`) holds from the next request on, and so does another file put in
the place of this one: each question first looks whether the file is still the one that is open.
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

APPLICATION, VERSION = 0x54465553, 2  # of the file
WAIT = 2.0  # seconds that a change waits for another process that is writing
NO_WAIT = 0.0  # seconds that a question waits: it is asked on the event loop, and must hold up nobody
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
RESERVED = frozenset({"api", "desk", "gradio"})  # what records name where nobody had to log in
IDLE, ABSOLUTE = 30 * 60, 12 * 3600  # seconds that a session lasts without use, and at all
DEVICE = "device"  # what its signature is for
NOTED_EVERY = 60  # seconds between two notes of when a session or a token was last used
TOKEN_DAYS = 365  # that a token lasts where nobody says otherwise
LONGEST_TOKEN_DAYS = 3650
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})  # names of this machine alone
TOKEN = "tenfold_"  # what tokens begin with, so that scanners for secrets know one  # noqa: S105
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
"""
# From version 1: tokens had no end, and a removed name could be given to somebody else.
FROM_1 = """
ALTER TABLE accounts ADD COLUMN expires REAL;
CREATE TABLE retired (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class AccountError(TenfoldError):
    """What cannot be done with users or tokens, and why; or a file of them that cannot be used."""


class Account(NamedTuple):
    """One line of a list. Times in seconds since 1970; `used` is None where it never was, `expires` where it has no
    end."""

    name: str
    role: str
    made: float
    used: float | None
    expires: float | None


class Session(NamedTuple):
    """Somebody who is logged in. Times in seconds since 1970."""

    name: str
    made: float
    used: float


class Accounts:
    """One file. Thread-safe; the app and the command line may use it at the same time."""

    def __init__(self, path: Path | None, clock: Clock | None = None, hasher: PasswordHasher | None = None) -> None:
        """A file that is there is opened; without users no file is needed. None: no users."""
        self.path = None if path is None else path.absolute()
        self._name = "" if self.path is None else str(self.path)  # looked for at every request
        self._clock, self._hasher = clock or Clock(), hasher or PasswordHasher()
        self._reading: sqlite3.Connection | None = None
        self._changes: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # device and inode of the file that is open
        self._signs: dict[str, Signer] = {}
        self._writing = threading.RLock()
        with suppress(AccountError):  # what cannot be used says so when it is asked
            self._open(wait=WAIT)

    # ---- the file ----------------------------------------------------------------------------------------------

    def _open(self, make: bool = False, wait: float = NO_WAIT) -> bool:
        """Whether there is a file, which is open then. Raises `AccountError` where one was open and is gone, or where
        another is in its place and somebody holds that for longer than `wait` seconds."""
        if not self._name:
            return False
        try:
            found = os.stat(self._name)
        except FileNotFoundError:
            if self._identity is None:
                return False
            raise AccountError(f"{self.path}: the file of users is gone. Put it back, or restart") from None
        except OSError as error:
            raise AccountError(f"{self.path}: the file of users cannot be read: {error.strerror}") from None
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity:
            if not self._writing.acquire(timeout=wait):
                raise AccountError(f"{self.path}: the file of users is being opened or changed: try again")
            try:
                if identity != self._identity:
                    self._close()
                    self._changes = self._connect(make, wait)
                    self._reading = open_file(self._name, NO_WAIT)
                    self._reading.execute("PRAGMA synchronous=NORMAL")  # a note may be lost, and no fsync waited for
                    self._identity = identity
            finally:
                self._writing.release()
        return True

    def _connect(self, make: bool, wait: float) -> sqlite3.Connection:
        """Open the file, and make its tables in an empty one where that is wanted: what was emptied by accident must
        not look like a file without users."""
        connection = open_file(self._name, wait)
        try:
            write_ahead(connection, wait)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")
            with transaction(connection):
                self._prepare(connection, make)
            connection.execute(f"PRAGMA busy_timeout={1000 * WAIT:.0f}")  # for changes, which no event loop makes
        except (sqlite3.Error, AccountError) as error:
            connection.close()
            if isinstance(error, AccountError):
                raise
            raise AccountError(f"{self.path}: the file of users cannot be used: {error}") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, make: bool) -> None:
        found = file_identity(connection)
        if make and found.empty and not found.application:
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute("INSERT INTO secret VALUES (?)", [secrets.token_bytes(32)])
            mark(connection, APPLICATION, VERSION)
        elif (found.application, found.version) == (APPLICATION, 1):
            for statement in filter(str.strip, FROM_1.split(";")):
                connection.execute(statement)
            mark(connection, APPLICATION, VERSION)
        elif (found.application, found.version) != (APPLICATION, VERSION):
            raise AccountError(f"{self.path}: no file of users that this version of Tenfold knows")

    def close(self) -> None:
        """Give the file back."""
        with self._writing:
            self._close()

    def _close(self) -> None:
        for connection in (self._reading, self._changes):
            if connection is not None:
                connection.close()
        self._reading = self._changes = self._identity = None
        self._signs = {}

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows. Fails closed: whatever goes wrong is an `AccountError`, never an empty answer."""
        try:
            if not self._open() or self._reading is None:
                return []
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise AccountError(f"{self.path}: the file of users cannot be read: {error}") from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; a missing file is made, for its owner alone."""
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
        """Whether there is a user. Tokens alone do not count: nobody could log in."""
        return bool(self._ask("SELECT 1 FROM accounts WHERE password IS NOT NULL LIMIT 1"))

    def users(self) -> list[Account]:
        """All users, by name."""
        return [Account(*row) for row in self._ask(LIST.format("password"))]

    def tokens(self) -> list[Account]:
        """All tokens, by name, with when each was last used."""
        return [Account(*row) for row in self._ask(LIST.format("token"))]

    def add_user(self, name: str, role: str, password: str) -> None:
        """Raises `AccountError` where the name is taken or one of them will not do."""
        name = checked(name, role)
        hashed = self._hashed(name, password)
        with self._changing() as connection:
            self._insert(connection, name, role, password=hashed)

    def add_token(self, name: str, role: str, days: int = TOKEN_DAYS) -> str:
        """The token, which nobody can see again. It is worth nothing once so many days are over."""
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
        # Users and tokens share their names, and a name is never given twice: records name people by it for years.
        if name in RESERVED:
            raise AccountError(f"{name}: this name is reserved; records use it where nobody had to log in")
        if connection.execute("SELECT 1 FROM accounts WHERE name = ?", [name]).fetchone():
            raise AccountError(f"{name}: a user or a token has this name already")
        if connection.execute("SELECT 1 FROM retired WHERE name = ?", [name]).fetchone():
            raise AccountError(f"{name}: somebody had this name before, and records keep it; choose another")
        made = self._clock.utc()
        connection.execute(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, NULL, ?)", [name, role, password, token, made, expires]
        )

    def set_password(self, name: str, password: str) -> None:
        """A new password ends all sessions."""
        name = name.lower()
        hashed = self._hashed(name, password)
        with self._changing() as connection:
            changed = connection.execute(
                "UPDATE accounts SET password = ? WHERE name = ? AND password IS NOT NULL", [hashed, name]
            ).rowcount
            connection.execute("DELETE FROM sessions WHERE name = ?", [name])
        if not changed:
            raise AccountError(f"{name}: no such user")

    def sessions(self) -> list[Session]:
        """All sessions that have not ended, by name, the newest first."""
        now = self._clock.utc()
        found = self._ask(
            "SELECT name, made, used FROM sessions WHERE made >= ? AND used >= ? ORDER BY name, made DESC",
            now - ABSOLUTE, now - IDLE,
        )  # fmt: skip
        return [Session(*row) for row in found]

    def end_sessions(self, name: str | None) -> int:
        """End all sessions of one user, or with None of everybody; how many there were. Raises `AccountError` where
        there is no such user."""
        if name is not None and not self.knows(name):
            raise AccountError(f"{name}: no such user")
        ended = self.sessions()
        with self._changing() as connection:
            if name is None:
                connection.execute("DELETE FROM sessions")
                return len(ended)
            connection.execute("DELETE FROM sessions WHERE name = ?", [name.lower()])
        return sum(one.name == name.lower() for one in ended)

    def set_role(self, name: str, role: str) -> None:
        """Holds from the next request on."""
        name = checked(name, role, TOKEN_ROLES)
        with self._changing() as connection:
            found = connection.execute("SELECT token IS NULL FROM accounts WHERE name = ?", [name]).fetchone()
            if found is None:
                raise AccountError(f"{name}: no such user or token")
            if found[0]:
                checked(name, role)
            connection.execute("UPDATE accounts SET role = ? WHERE name = ?", [role, name])

    def remove(self, name: str, kind: str) -> None:
        """A user with all sessions, or a token: `kind` says which. The name is not given to anybody again."""
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

    # ---- who asks ----------------------------------------------------------------------------------------------

    def log_in(self, name: str, password: str) -> str | None:
        """A new session's cookie, or None. Takes as long whether or not there is such a user."""
        nobody = self._nobody
        found = self._ask("SELECT password FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower())
        try:
            self._hasher.verify(found[0][0] if found else nobody, normalised(password))
        except VerificationError:
            return None
        if not found:
            return None
        id, now = secrets.token_urlsafe(32), self._clock.utc()
        with self._changing() as connection:
            if self._hasher.check_needs_rehash(found[0][0]):
                again = self._hasher.hash(normalised(password))
                connection.execute("UPDATE accounts SET password = ? WHERE name = ?", [again, name.lower()])
            connection.execute("UPDATE accounts SET used = ? WHERE name = ?", [now, name.lower()])
            connection.execute("DELETE FROM sessions WHERE made < ? OR used < ?", [now - ABSOLUTE, now - IDLE])
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", [digest(id), name.lower(), now, now])
        return self._signer().sign(id).decode()

    @cached_property
    def _nobody(self) -> str:
        """What the password of somebody who does not exist is checked against, so that it takes as long."""
        return self._hasher.hash(secrets.token_urlsafe(16))

    def device(self, name: str) -> str:
        """What a browser keeps from which this name has logged in, signed: it opens nothing (throttle.py)."""
        return self._signer(DEVICE).sign(f"{name.lower()}.{secrets.token_hex(8)}").decode()

    def knows_device(self, name: str, device: str) -> bool:
        """Whether this name has logged in with that browser before."""
        try:
            found = self._signer(DEVICE).unsign(device).decode() if len(device) < LONGEST else ""
        except (BadSignature, ValueError):
            return False
        return found.rpartition(".")[0] == name.lower()

    def log_out(self, cookie: str) -> None:
        """End a session; an unknown one has ended already."""
        id = self._session(cookie)
        if id is not None:
            with self._changing() as connection:
                connection.execute("DELETE FROM sessions WHERE id = ?", [digest(id)])

    def by_cookie(self, cookie: str, *, in_use: bool = True) -> Person | None:
        """Whose session a cookie is; `in_use` says that a person did something, which keeps it from idling out."""
        id = self._session(cookie)
        if id is None:
            return None
        found = self._ask(
            "SELECT a.name, a.role, s.made, s.used FROM sessions s JOIN accounts a ON a.name = s.name WHERE s.id = ?",
            digest(id),
        )
        now = self._clock.utc()
        if not found or now - found[0][2] > ABSOLUTE or now - found[0][3] > IDLE:
            return None
        if in_use and now - found[0][3] > NOTED_EVERY:
            self._note("UPDATE sessions SET used = ? WHERE id = ?", now, digest(id))
        return Person(found[0][0], found[0][1])

    def by_token(self, token: str) -> Person | None:
        """Whose token it is; None for one that nobody has, or whose end has come."""
        found = self._ask("SELECT name, role, used, expires FROM accounts WHERE token = ?", digest(token))
        now = self._clock.utc()
        if not found or (found[0][3] is not None and now >= found[0][3]):
            return None
        name, role, used, _ = found[0]
        if used is None or now - used > NOTED_EVERY:
            self._note("UPDATE accounts SET used = ? WHERE name = ?", now, name)
        return Person(name, role, machine=True)

    def knows(self, name: str) -> bool:
        """Whether there is a user of this name."""
        return bool(self._ask("SELECT 1 FROM accounts WHERE name = ? AND password IS NOT NULL", name.lower()))

    def _note(self, change: str, *values: Any) -> None:
        """When something was last used. Nobody waits for it, and nobody is turned away because it cannot be written:
        where another process is writing it is left out, and noted at the next request."""
        with suppress(sqlite3.Error):
            if self._reading is not None:
                self._reading.execute(change, values)

    def _session(self, cookie: str) -> str | None:
        """A session's id, if the cookie is one that we signed: most that are not cost no look into the file."""
        try:
            return self._signer().unsign(cookie).decode() if len(cookie) < LONGEST else None
        except (BadSignature, ValueError):
            return None

    def _signer(self, what: str = "session") -> Signer:
        self._open()  # a file put in the place of this one has another key
        if what not in self._signs:
            found = self._ask("SELECT key FROM secret")
            if not found:
                raise BadSignature("no file of users")
            self._signs[what] = Signer(found[0][0], salt=what, digest_method=hashlib.sha256)
        return self._signs[what]


LIST = "SELECT name, role, made, used, expires FROM accounts WHERE {} IS NOT NULL ORDER BY name"
KINDS = {"user": "password", "token": "token"}


def checked(name: str, role: str, roles: Sequence[str] = ROLES) -> str:
    """A name as it is kept. What it may hold can stand in a record, a header and a file's name."""
    if not NAME.fullmatch(name.lower()):
        raise AccountError(f"{name[:60]!r}: a name has 1 to 40 of a-z, 0-9, dot, dash and underscore")
    if role not in roles:
        raise AccountError(f"{role[:60]!r}: a role is one of {', '.join(roles)}")
    return name.lower()


def digest(secret: str) -> bytes:
    """What is kept of a random secret."""
    return hashlib.sha256(secret.encode()).digest()


def mode(settings: Settings, accounts: Accounts) -> str:
    """How open the app is. Raises `BadSetting` where it would be open to those it should not be open to."""
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
    if not is_local(settings.host):
        raise BadSetting(
            f"HOST is {settings.host}, which others can reach, and nobody has to log in. Either create a user: "
            "python -m web users add NAME --role manager; or set TENFOLD_PUBLIC_DEMO=on, and nothing is kept"
        )
    return OPEN


MODES = {CLOSED: "login required", OPEN: "this computer only, no login", DEMO: "public demonstration, nothing is kept"}


def check_ledger_may_be_open(ledger: Ledger, settings: Settings) -> None:
    """Raises `BadSetting` where nobody has to log in and the ledger holds records of people who did: the file of users
    may be lost, and everybody would read and decide what was theirs."""
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
    """Whether an address is of this machine alone."""
    try:
        return host in LOCAL or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
