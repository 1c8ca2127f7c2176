"""Files that commands write: their owner's alone from the first byte, whole or not at all, never over a ledger."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from inference.errors import TenfoldError
from ledger import queries
from ledger.errors import LedgerUnavailable, cause
from ledger.sqlite_files import sync_folder

BESIDE = ("", "-wal", "-shm", "-journal")


class BadTarget(TenfoldError):
    """A file may not be written there; nothing was changed."""


@contextmanager
def replacing(target: Path, ledger: Path) -> Iterator[Path]:
    """An empty file (mode 0600) beside `target` that takes its place, on disk, once it is written.

    Raises `BadTarget` for a link, a folder, a device, a pipe, and for the ledger or the files beside it.
    """
    check(target, ledger)
    new = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(new)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        yield new
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        check(target, ledger)
        os.replace(new, target)
        sync_folder(target.absolute().parent)
    finally:
        remove(new)


def check(target: Path, ledger: Path) -> None:
    """Raise `BadTarget` where a file may not be written."""
    own = [ledger.with_name(f"{ledger.name}{end}") for end in BESIDE]
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
        what = kinds.get(stat.S_IFMT(mode), "a device, a pipe or a socket")
        raise BadTarget(f"{target}: {what}; name a file that is new or may be replaced")


def same(one: Path, other: Path) -> bool:
    """Whether two names lead to one file, by hard links too."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def remove(new: Path) -> None:
    """What a killed command left."""
    for end in BESIDE:
        new.with_name(f"{new.name}{end}").unlink(missing_ok=True)


def back_up(connection: sa.Connection, ledger: Path, target: Path) -> None:
    """A consistent copy of a ledger, while it is in use. It is written anew: no page holds what was erased."""
    try:
        with replacing(target, ledger) as new:
            driver = queries.driver(connection)
            driver.execute("COMMIT")  # VACUUM is a transaction of its own
            driver.execute("VACUUM INTO ?", (str(new),))
            driver.execute("BEGIN")
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailable(f"{target}: no backup was made: {cause(error)}") from error
