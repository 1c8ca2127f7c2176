"""The performance log: one JSON line per score, one file per UTC day. It contains no answers of applicants.

A line is appended by one `os.write` on an O_APPEND descriptor: several processes can share the file, and kill -9 loses
no acknowledged line, where a buffered handler would lose dozens. A kill or a full disk can cut a write short, and the
next process would continue in the middle of that line. So a line begins with its newline instead of ending with it,
and the file begins with an empty line. The log never stops a score: lines that cannot be written are counted in
`dropped`, and their number is logged once the log can be written again.
"""

import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from inference.measure import Clock

logger = logging.getLogger(__name__)


def as_line(entry: Mapping[str, object]) -> bytes:
    """One JSON line, newline first. json.dumps would take twenty times as long as orjson: a tenth of a whole score."""
    return b"\n" + orjson.dumps(entry)


class PerformanceLog:
    """Appends to `<stem>-<UTC day><suffix>` beside `path`, and makes `path` a link to today's file.

    Files older than `keep_days` days are removed when a new day begins; 0 keeps all. Thread-safe. `name` is the log's
    name in warnings, `mode` the permissions of its files.
    """

    def __init__(
        self,
        path: Path,
        keep_days: int,
        clock: Clock | None = None,
        name: str = "performance log",
        mode: int = 0o640,
    ) -> None:
        self._path, self._keep_days, self._name, self._mode = path, keep_days, name, mode
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._second = -1  # the UTC second for which the fields below are valid
        self._stamp = ""  # this second in ISO 8601
        self._day = ""
        self._unreported = 0  # dropped lines that the log does not mention yet
        self.dropped = 0

    def write(self, entry: Mapping[str, object]) -> bool:
        """Append an entry, with the UTC time as its first key; returns False if it had to be dropped."""
        with self._lock:
            try:
                now = self._clock.utc()
                if int(now) != self._second:
                    self._turn_to(now)
                if self._descriptor is None:
                    return self._drop()
                time = f"{self._stamp}.{int(now % 1 * 1e6):06d}Z"
                data = as_line({"time": time, **entry})
                if self._unreported:
                    data = as_line({"time": time, "dropped": self._unreported}) + data
                if os.write(self._descriptor, data) < len(data):
                    return self._drop()
                self._unreported = 0
            except (OSError, TypeError, ValueError) as error:
                return self._drop(error)
        return True

    def _drop(self, error: Exception | None = None) -> bool:
        if error and not self._unreported:
            logger.warning("%s %s: %s; lines are dropped until it can be written", self._name, self._path, error)
        self.dropped += 1
        self._unreported += 1
        return False

    def _turn_to(self, now: float) -> None:
        """Once a second: update the time stamp, switch files at midnight UTC, and notice a file that was moved away."""
        self._second = int(now)
        moment = datetime.fromtimestamp(self._second, UTC)
        self._stamp = moment.strftime("%Y-%m-%dT%H:%M:%S")
        day = self._stamp[:10]
        file = self._file(day)
        if self._descriptor is not None and day == self._day and self._holds(self._descriptor, file):
            return
        self._close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Non-blocking: a pipe without a reader would block every score.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        self._descriptor = os.open(file, flags, self._mode)
        if day != self._day:
            self._day = day
            self._point_at(file)
            self._remove_before(moment.date() - timedelta(days=self._keep_days))

    def _file(self, day: str) -> Path:
        return self._path.with_name(f"{self._path.stem}-{day}{self._path.suffix}")

    @staticmethod
    def _holds(descriptor: int, file: Path) -> bool:
        """Whether the open file still has this name; another process may have created a new file with it."""
        try:
            return os.path.samestat(os.fstat(descriptor), file.stat())
        except FileNotFoundError:
            return False

    def _point_at(self, file: Path) -> None:
        """Link `path` to a file, for `tail -F`; skipped where links are not possible."""
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            if self._path.is_symlink() or not self._path.exists():
                new.symlink_to(file.name)
                new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)

    def _remove_before(self, oldest: date) -> None:
        if not self._keep_days:
            return
        for file in self._path.parent.glob(f"{self._path.stem}-????-??-??{self._path.suffix}"):
            try:
                if date.fromisoformat(file.stem[-10:]) < oldest:
                    file.unlink(missing_ok=True)
            except (OSError, ValueError) as error:
                logger.warning("%s: %s stays: %s", self._name, file, error)

    def close(self) -> None:
        """Close the file, after a line that another thread may be writing; a later write opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._second = -1
