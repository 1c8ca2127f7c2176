"""Files that commands write: readable only by their owner, complete or not at all, and never over a ledger."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from inference.disk import sync
from inference.errors import TenfoldError
from ledger import queries
from ledger.errors import LedgerUnavailable, cause

SUFFIXES = ("", "-wal", "-shm", "-journal")


class BadTarget(TenfoldError):
    """A file must not be written there; nothing was changed."""


@contextmanager
def replacing(target: Path, ledger: Path) -> Iterator[Path]:
    """An empty file (mode 0600) beside `target`, which replaces it, synced to disk, once it is written.

    Raises `BadTarget` for a link, a folder, a device, a pipe, the ledger and the files that belong to it.
    """
    check(target, ledger)
    new = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(new)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        yield new
        sync(new)
        check(target, ledger)
        os.replace(new, target)
        sync(target.absolute().parent)
    finally:
        remove(new)


def check(target: Path, ledger: Path) -> None:
    """Raise `BadTarget` if a file must not be written there."""
    own = [ledger.with_name(f"{ledger.name}{end}") for end in SUFFIXES]
    if any(target.absolute() == file.absolute() or same(target, file) for file in own):
        raise BadTarget(f"{target}: this is the ledger itself, or a file that belongs to it; name another file")
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadTarget(f"{target}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(mode), "a device, a pipe or a socket")
        raise BadTarget(f"{target}: {kind}; name a file that is new or may be replaced")


def same(first: Path, second: Path) -> bool:
    """Whether two paths are the same file, also by hard links."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def remove(new: Path) -> None:
    """Remove files that a killed command left."""
    for end in SUFFIXES:
        new.with_name(f"{new.name}{end}").unlink(missing_ok=True)


def back_up(connection: sa.Connection, ledger: Path, target: Path) -> None:
    """Make a consistent copy of a ledger that may be in use. It is written from scratch, without erased data."""
    try:
        with replacing(target, ledger) as new:
            driver = queries.driver(connection)
            driver.execute("COMMIT")  # VACUUM is a transaction of its own
            driver.execute("VACUUM INTO ?", (str(new),))
            driver.execute("BEGIN")
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailable(f"{target}: no backup was made: {cause(error)}") from error
