"""Lets processes that write to one ledger take turns, so that a client of one does not wait for all of the other's.

SQLite's own lock is not fair: a process that finds it taken sleeps, longer each time, while a process that writes all
the time takes it again. Here a process stands in line: it holds the place next in line until its turn comes, so that
the process that has just written comes after it. This adds only fairness: after `PATIENCE` a process continues without
a turn, and SQLite's lock decides. The operating system releases a lock when its holder ends, however that happens.
"""

import ctypes
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 1.0  # seconds; the process whose turn it is may be suspended
# `fcntl.flock` lets go of the interpreter, and a writer then waits until other threads let go of it. This does not: it
# is for calls that never wait.
FLOCK = ctypes.PyDLL(None, use_errno=True).flock


class Turns:
    """Two locks between processes, on empty files beside the ledger; threads of a process use another lock."""

    def __init__(self, file: Path) -> None:
        """Open or create the files, for their owner only; `OSError` for a link or anything else that is not a file."""
        self._turn = open_lock(file)
        try:
            self._next = open_lock(file.with_name(f"{file.name}-next"))
        except OSError:
            os.close(self._turn)
            raise
        self._in_line: threading.Thread | None = None  # still waits for a turn that nobody needs any more

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a turn, or give up waiting for it after `PATIENCE`."""
        taken = self._take()
        try:
            yield
        finally:
            if taken:
                unlock(self._turn)

    def _take(self) -> bool:
        if self._in_line is not None and self._in_line.is_alive():
            return False  # a process is suspended: no write waits for it again
        if self._take_at_once():
            return True
        turn: Future[None] = Future()
        thread = threading.Thread(target=self._stand_in_line, args=(turn,), name="turn", daemon=True)
        thread.start()  # since a lock that is waited for has no time limit
        try:
            turn.result(PATIENCE)
        except TimeoutError:
            if turn.cancel():
                self._in_line = thread
                return False
        return True

    def _take_at_once(self) -> bool:
        """Take the turn if nobody has it or stands in line."""
        if not lock_at_once(self._next):
            return False
        try:
            return lock_at_once(self._turn)
        finally:
            unlock(self._next)

    def _stand_in_line(self, turn: "Future[None]") -> None:
        """Wait for the place next in line, then for the turn; give it back if it is no longer wanted."""
        try:
            fcntl.flock(self._next, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
        except OSError as error:
            if turn.set_running_or_notify_cancel():
                turn.set_exception(error)
            return
        if turn.set_running_or_notify_cancel():
            turn.set_result(None)
        else:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, unless a thread still uses them."""
        if self._in_line is None or not self._in_line.is_alive():
            os.close(self._turn)
            os.close(self._next)


def lock_at_once(lock: int) -> bool:
    """Lock a file, if nobody has locked it; returns whether that was possible. Raises `OSError` for anything else."""
    return call_flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock(lock: int) -> None:
    """Give a lock back."""
    call_flock(lock, fcntl.LOCK_UN)


def call_flock(lock: int, operation: int) -> bool:
    """Whether an operation that never waits succeeded; False if somebody else has the lock."""
    while FLOCK(lock, operation):
        number = ctypes.get_errno()
        if number == errno.EWOULDBLOCK:
            return False
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return True


def open_lock(file: Path) -> int:
    """A descriptor of the file, which is created if it is missing; `OSError`, with its name, for anything else."""
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OSError(error.errno, f"{file.name} beside it: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        os.close(lock)
        raise OSError(errno.EINVAL, f"{file.name} beside it is not a file: remove it")
    return lock
