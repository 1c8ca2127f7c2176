"""What a server does besides scoring, counted by the minute: times of requests and commits, problems it answered with.

A minute is one line of the performance log, however many requests it had, and the counts of one minute are all that is
in memory. Times are counted in buckets, an eighth of a power of two wide: what is read from them is right within 5 %.
"""

import threading
from collections.abc import Mapping

from inference.measure import Clock
from inference.perflog import PerformanceLog
from inference.perflog_lines import bucket_of

MOST_KINDS = 50  # of problems in a minute; more are counted together
OTHERS = "others"


class MinuteCounts:
    """Counts of the minute that runs. Thread-safe; the line of a minute is written with the first count after it."""

    def __init__(self, log: PerformanceLog | None, clock: Clock | None = None) -> None:
        """Without a log all that is counted is this minute."""
        self._log, self._clock = log, clock or Clock()
        self._lock = threading.Lock()
        self._minute = 0  # UTC, since 1970
        self._took: dict[str, dict[int, int]] = {}
        self._problems: dict[str, int] = {}

    def took(self, what: str, ms: float) -> None:
        """Count something that was done, and how long it took."""
        bucket = bucket_of(ms)
        with self._lock:
            self._turn()
            counts = self._took.get(what)
            if counts is None:
                counts = self._took[what] = {}
            counts[bucket] = counts.get(bucket, 0) + 1

    def problem(self, kind: str) -> None:
        """Count an error that was answered. `kind` is one of ours, and holds nothing of a request."""
        with self._lock:
            self._turn()
            kind = kind if kind in self._problems or len(self._problems) < MOST_KINDS else OTHERS
            self._problems[kind] = self._problems.get(kind, 0) + 1

    def unwritten(self) -> Mapping[str, object] | None:
        """What would be written now, as a line has it; None if nothing was counted."""
        with self._lock:
            return self._entry()

    def close(self) -> None:
        """Write what was counted so far."""
        with self._lock:
            self._write()

    def _turn(self) -> None:
        minute = int(self._clock.utc() // 60)
        if minute != self._minute:
            self._write()
            self._minute = minute

    def _write(self) -> None:
        entry = self._entry()
        if entry is not None and self._log is not None:
            self._log.write(entry)
        self._took, self._problems = {}, {}

    def _entry(self) -> dict[str, object] | None:
        if not self._took and not self._problems:
            return None
        took = {what: {str(bucket): count for bucket, count in counts.items()} for what, counts in self._took.items()}
        return {"minute": self._minute, "took": took, "problems": dict(self._problems)}
