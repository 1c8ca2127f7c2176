"""Users, API tokens, and links to set a password: adding, changing, removing and listing them."""

import re
import secrets
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from web.person import ROLES, TOKEN_ROLES
from web.security.accounts_file import AccountError
from web.security.authentication import Authentication, digest
from web.security.passwords import normalised, password_problem

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
RESERVED = frozenset({"api", "desk", "gradio"})  # names in records that were made without login
LINK_HOURS = 48  # that a link to set a password can be used
TOKEN_DAYS = 365  # lifetime of a token by default
LONGEST_TOKEN_DAYS = 3650
TOKEN = "tenfold_"  # prefix of tokens, by which secret scanners recognise them  # noqa: S105


class Account(NamedTuple):
    """A user or a token. Times in seconds since 1970; `used` is None if it never was, `expires` if it never does."""

    name: str
    role: str
    created: float
    used: float | None
    expires: float | None


class Accounts(Authentication):
    """The users, sessions and tokens of one file."""

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


LIST = "SELECT name, role, made, used, expires FROM accounts WHERE {} IS NOT NULL ORDER BY name"
KINDS = {"user": "password", "token": "token"}


def checked(name: str, role: str, roles: Sequence[str] = ROLES) -> str:
    """The name in lower case. Its characters are safe in records, headers and file names. Raises `AccountError`."""
    if not NAME.fullmatch(name.lower()):
        raise AccountError(f"{name[:60]!r}: a name has 1 to 40 of a-z, 0-9, dot, dash and underscore")
    if role not in roles:
        raise AccountError(f"{role[:60]!r}: a role is one of {', '.join(roles)}")
    return name.lower()
