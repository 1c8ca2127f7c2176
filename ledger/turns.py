"""Lets processes that write to one ledger take turns, so that a client of one does not wait for all of the other's.

SQLite's own lock is not fair: a process that finds it taken sleeps, longer each time, while a process that writes all
the time takes it again. Here a waiting process gets its turn as soon as the other has written. This adds only fairness:
after `PATIENCE` a process continues without a turn, and SQLite's lock decides. The operating system releases a lock
when its holder ends, however that happens.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 1.0  # seconds; the process whose turn it is may be suspended
PAUSE = 0.0005


class Turns:
    """A lock between processes, on an empty file beside the ledger; threads of a process use another lock."""

    def __init__(self, file: Path) -> None:
        """Open or create the file, for its owner only; `OSError` for a link or anything else that is not a file."""
        try:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OSError(error.errno, f"{file.name} beside it: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise OSError(errno.EINVAL, f"{file.name} beside it is not a file: remove it")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a turn, or give up waiting for it after `PATIENCE`."""
        taken = self._take()
        try:
            yield
        finally:
            if taken:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _take(self) -> bool:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE)
            else:
                return True
        return False

    def close(self) -> None:
        os.close(self._file)
