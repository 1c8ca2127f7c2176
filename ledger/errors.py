"""What can go wrong with the ledger's file, and what is said of it without an applicant's data."""

import os
import sqlite3
import traceback
from pathlib import Path

import sqlalchemy as sa

from inference.errors import TenfoldError
from ledger.events import UnreadableRecord
from ledger.schema import VERSION

# The last: of a damaged file SQLite may say what is no text.
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError, UnicodeDecodeError)
UNREADABLE = (*DATABASE_ERRORS, AttributeError, LookupError, TypeError, ValueError)  # or a record cannot be parsed
PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT)


class LedgerUnavailable(TenfoldError):
    """The ledger cannot be opened, read or written: what happened, where, and what to do."""


def another_version(path: Path, version: int) -> str:
    """Why a ledger is refused that another program wrote."""
    return (
        f"{path}: a ledger of version {version}, and this program writes version {VERSION}. "
        "Nothing was changed; use the program that belongs to it"
    )


def no_ledger(path: Path) -> str:
    """Why another program's database is refused."""
    return f"{path}: a database, but no ledger of Tenfold; nothing was changed"


def cause(error: Exception) -> str:
    """What a database error says, without the statement and its values: an applicant's answers may be among them.

    Of an error from a record that cannot be parsed, only its kind and where it was raised.
    """
    if not isinstance(error, (*DATABASE_ERRORS, LedgerUnavailable, UnreadableRecord)):
        places = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" at {Path(place.filename).name}:{place.lineno}" for place in places)
        return f"a record cannot be parsed ({type(error).__name__}{where})"
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorname", "")
    text = original.strerror if isinstance(original, OSError) and original.strerror else str(original)
    text = text.partition(" with text ")[0]  # what is no UTF-8 is shown there
    return f"{text} ({code})" if code else text


def full(path: Path) -> str:
    """What SQLite may not have said of a failure: it has a dozen codes for a disk without room."""
    try:
        return "" if os.statvfs(path.parent).f_bavail else f"; the disk under {path.parent} is full, make room"
    except OSError:
        return ""


def passing(error: Exception) -> bool:
    """Whether a failed write left the file as it was, so that a later one may be tried."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in PASSING
