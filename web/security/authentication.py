"""Who a password, a session's cookie, a token or a proxy's header belongs to; and logging in and out.

Passwords are stored only as argon2id hashes (RFC 9106), sessions and tokens, which are random, only as SHA-256.
"""

import hashlib
import secrets
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from itsdangerous import BadSignature, Signer

from inference.measure import Clock
from web.person import Person
from web.security.accounts_file import AccountError, AccountsFile
from web.security.passwords import LONGEST, normalised

IDLE, ABSOLUTE = 30 * 60, 12 * 3600  # seconds: a session's longest time without use, and its longest life
DEVICE = "device"  # purpose of a device cookie's signature
NOTED_EVERY = 60  # seconds between two updates of when a session or a token was last used


class Session(NamedTuple):
    """A session of somebody who is logged in. Times in seconds since 1970."""

    name: str
    created: float
    used: float


class Authentication(AccountsFile):
    """Logins, sessions and tokens of the file's users."""

    def __init__(self, path: Path | None, clock: Clock | None = None, hasher: PasswordHasher | None = None) -> None:
        self._clock, self._hasher = clock or Clock(), hasher or PasswordHasher()
        super().__init__(path)

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


def digest(secret: str) -> bytes:
    """The SHA-256 under which a random secret is stored."""
    return hashlib.sha256(secret.encode()).digest()
