"""Reads performance logs into arrays: ours, and those of the older format (`inference/perflog_lines.py`).

A line that cannot be read is counted and reported with its position and what is wrong, without its content.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from inference.perflog_lines import FIGURES, NAN, Line, interval_length, stage_times, utc_seconds

RECORD = np.dtype([("minute", "<i8"), ("group", "<i4"), *((name, "<f4") for name in FIGURES)])
pack = struct.Struct(f"<qi{len(FIGURES)}f").pack  # one RECORD as bytes
UNNAMED = ("(older log)", "(older log)")  # the older format names neither release nor engine
MOST_SHOWN = 20  # broken lines that are listed; the rest are only counted


class Broken(NamedTuple):
    """A line that cannot be read."""

    file: str
    line: int  # counted from 1
    what: str


class LogRecords(NamedTuple):
    """n scores, in the order in which they were read."""

    scores: npt.NDArray[np.void]  # (n,) of RECORD: UTC minute since 1970, index into `names`, FIGURES or NaN
    names: list[tuple[str, str]]  # release and engine

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def minutes(self) -> npt.NDArray[np.int64]:
        """Times of the scores, (n,): UTC minutes since 1970."""
        return self.scores["minute"]

    @property
    def groups(self) -> npt.NDArray[np.int32]:
        """Indices into `names`, (n,)."""
        return self.scores["group"]

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One of FIGURES for all scores, (n,) float32."""
        return self.scores[name]

    def where(self, chosen: npt.NDArray[np.bool_]) -> "LogRecords":
        """The scores selected by a mask, (n,) bool."""
        return LogRecords(self.scores[chosen], self.names)


class LogReader:
    """Collects the lines of any number of logs; needs 44 bytes per score."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()  # refused scores by kind
        self.error_minutes: list[int] = []
        self.dropped = 0  # lines that a log reports as not written
        self.broken = 0
        self.broken_lines: list[Broken] = []  # the first MOST_SHOWN
        self._scores = bytearray()
        self._group_of: dict[tuple[str, str], int] = {}
        self._minute_of: dict[str, int] = {}  # cache: parsing times would take a third of the reading

    def read(self, lines: Iterable[bytes], file: str = "") -> None:
        """Read the lines of one log."""
        for number, line in enumerate(lines, 1):
            try:
                self._take(orjson.loads(line))
            except (LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
                if not line.strip():
                    continue
                self.broken += 1
                if len(self.broken_lines) < MOST_SHOWN:
                    self.broken_lines.append(Broken(file, number, reason(error)))

    @property
    def records(self) -> LogRecords:
        """The scores read so far."""
        return LogRecords(np.frombuffer(bytes(self._scores), RECORD), list(self._group_of))

    def keep_last(self, count: int) -> None:
        """Keep only the last `count` scores and the times of the last `count` errors."""
        del self._scores[: max(0, len(self._scores) - count * RECORD.itemsize)]
        del self.error_minutes[: max(0, len(self.error_minutes) - count)]

    def _take(self, entry: Line) -> None:
        """Add one line's object. A missing or invalid part raises an error, and nothing of the line is kept."""
        if "duration" in entry:
            self._take_older(entry)
            return
        minute = self._minute(entry["time"])
        if "dropped" in entry:
            self.dropped += int(entry["dropped"])
            return
        ms = entry["ms"]
        if "error" in entry:
            self.errors[str(entry["error"])] += 1
            self.error_minutes.append(minute)
            return
        cpu, rss = entry["cpu_percent"], entry["rss_mb"]
        self._scores += pack(
            minute, self._group((entry["release"], entry["engine"])),
            *stage_times(ms), entry["thread_cpu_ms"], NAN if cpu is None else cpu, NAN if rss is None else rss,
        )  # fmt: skip

    def _take_older(self, entry: Line) -> None:
        when, ms = entry["timestamp"], entry["duration"] * 1e3
        minute = self._minute(when) if isinstance(when, str) else int(utc_seconds(when) // 60)
        unknown = [NAN] * (len(FIGURES) - 3)
        if not math.isfinite(ms):
            raise ValueError("duration")
        cpu, rss = entry["cpu_percent"], entry["memory_usage_MB"]
        self._scores += pack(
            minute, self._group(UNNAMED), ms, *unknown, NAN if cpu is None else cpu, NAN if rss is None else rss
        )

    def _group(self, names: tuple[str, str]) -> int:
        number = self._group_of.get(names)
        if number is None:
            if not all(isinstance(name, str) for name in names):
                raise TypeError("release and engine")
            number = self._group_of[names] = len(self._group_of)
        return number

    def _minute(self, time: str) -> int:
        """An ISO time as UTC minutes since 1970; a time without a zone is UTC."""
        if len(time) == len("2026-01-01T00:00:00.000000Z") and time[-1] == "Z" and time[:16] in self._minute_of:
            return self._minute_of[time[:16]]
        minute = int(utc_seconds(time) // 60)
        if time[-1] == "Z":
            self._minute_of[time[:16]] = minute
        return minute


def over_time(records: LogRecords, most: int) -> tuple[int, dict[int, LogRecords]]:
    """Group scores into at most `most` time intervals, of the shortest possible length.

    Returns the length in minutes, and for every interval with scores, in order: its first minute since 1970 -> scores.
    """
    minutes = records.minutes
    length = interval_length(int(minutes.min()), int(minutes.max()), most)
    starts = minutes - minutes % length
    return length, {int(start): records.where(starts == start) for start in np.unique(starts)}


def reason(error: Exception) -> str:
    """What is wrong with a line, without quoting it."""
    if isinstance(error, orjson.JSONDecodeError):
        return "no JSON: cut short, or two lines in one"
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return "a figure or a time that cannot be read"


def quantiles(values: npt.NDArray[np.float32], q: Iterable[float]) -> list[float]:
    """Quantiles of the values that are not NaN; NaN if all are."""
    values = values[~np.isnan(values)]
    return [float(value) for value in np.quantile(values, list(q))] if len(values) else [NAN for _ in q]
