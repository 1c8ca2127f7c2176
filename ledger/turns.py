"""Processes that write to one ledger take turns: a client of one does not wait for all clients of the other.

SQLite's own lock is not fair: who finds it taken sleeps, longer at each try, and a process that writes all the time
takes it again meanwhile. Here a process that waits is let in as soon as the other has written. It is fairness and no
more: a process that has waited for `PATIENCE` goes on without a turn, and SQLite's lock decides. The system gives a
lock back when its holder ends, however that happens.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 1.0  # seconds: the process whose turn it is may have been stopped
PAUSE = 0.0005


class Turns:
    """A lock on an empty file beside the ledger, between processes; threads of one have a lock of their own."""

    def __init__(self, file: Path) -> None:
        """Open the file or make it, its owner's alone; `OSError` for a link or anything else that is not a file."""
        try:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OSError(error.errno, f"{file.name} beside it: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise OSError(errno.EINVAL, f"{file.name} beside it is not a file: remove it")

    @contextmanager
    def one(self) -> Iterator[None]:
        """One turn."""
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
