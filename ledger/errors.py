"""Errors of the ledger's file, and their messages, which contain no data of applicants."""

import os
import sqlite3
import traceback
from pathlib import Path

import sqlalchemy as sa

from inference.errors import TenfoldError
from ledger.events import UnreadableRecord
from ledger.schema import VERSION

# UnicodeDecodeError: SQLite's message about a corrupt file may not be UTF-8.
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError, UnicodeDecodeError)
UNREADABLE = (
    *DATABASE_ERRORS,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)  # the rest: a record cannot be parsed
PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT)


class LedgerUnavailable(TenfoldError):
    """The ledger cannot be opened, read or written: what happened, where, and what to do."""


class LedgerFull(LedgerUnavailable):
    """A visitor's ledger in memory (ledger/memory.py) takes no more. Nothing was written."""


def another_version(path: Path, version: int) -> str:
    """The message for a ledger of another version."""
    return (
        f"{path}: a ledger of version {version}, and this program writes version {VERSION}. "
        "Nothing was changed; use the program that belongs to it"
    )


def no_ledger(path: Path) -> str:
    """The message for another program's database."""
    return f"{path}: a database, but not a ledger of Tenfold; nothing was changed"


def cause(error: Exception) -> str:
    """The message of a database error, without the statement and its values, which can be an applicant's answers.

    For a record that cannot be parsed, only the error's class and where it was raised.
    """
    if not isinstance(error, (*DATABASE_ERRORS, LedgerUnavailable, UnreadableRecord)):
        places = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" at {Path(place.filename).name}:{place.lineno}" for place in places)
        return f"a record cannot be parsed ({type(error).__name__}{where})"
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorname", "")
    text = original.strerror if isinstance(original, OSError) and original.strerror else str(original)
    text = text.partition(" with text ")[0]  # then follows the text that is not UTF-8
    return f"{text} ({code})" if code else text


def full(path: Path) -> str:
    """A hint if the disk is full: SQLite has a dozen error codes for that."""
    try:
        return "" if os.statvfs(path.parent).f_bavail else f"; the disk under {path.parent} is full, make room"
    except OSError:
        return ""


def passing(error: Exception) -> bool:
    """Whether a failed write left the file unchanged, so that a later one may be tried."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in PASSING
