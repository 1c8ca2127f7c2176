"""Reads performance logs into arrays: ours, and those of the older format (`inference/perflog_lines.py`).

A line that cannot be read is counted and reported with its position and what is wrong, without its content.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import orjson

from inference.perflog_lines import FIGURES, LATEST, NAN, Line, stage_times, time_in, utc_seconds

RECORD = np.dtype([("minute", "<i8"), ("group", "<i4"), *((name, "<f4") for name in FIGURES)])
pack = struct.Struct(f"<qi{len(FIGURES)}f").pack  # one RECORD as bytes
COUNT = np.dtype([("minute", "<i8"), ("kind", "<i4"), ("bucket", "<i2"), ("count", "<i4")])
pack_count = struct.Struct("<qihi").pack  # one COUNT as bytes
TOOK, PROBLEM, REFUSED = "took", "problem", "refused"  # what is counted: times, errors answered, refused scores
COUNTS_PER_SCORE = 10  # of those kept: a minute has about 20 counts, of 18 bytes
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


class LogCounts(NamedTuple):
    """What was counted by minutes, n counts, in the order in which they were read."""

    counts: npt.NDArray[
        np.void
    ]  # (n,) of COUNT: UTC minute since 1970, index into `kinds`, bucket of a time, how often
    kinds: list[tuple[str, str]]  # TOOK, PROBLEM or REFUSED, and of what

    def between(self, start: int, end: int) -> "LogCounts":
        """The counts of the minutes from `start` up to `end`, which is not one of them."""
        minutes = self.counts["minute"]
        return LogCounts(self.counts[(minutes >= start) & (minutes < end)], self.kinds)

    def of(self, what: str, names: Iterable[str] | None = None) -> npt.NDArray[np.void]:
        """The counts of a kind, (m,) of COUNT: all of TOOK, PROBLEM or REFUSED, or those of some names."""
        wanted = None if names is None else set(names)
        numbers = [
            number
            for number, (kind, name) in enumerate(self.kinds)
            if kind == what and (wanted is None or name in wanted)
        ]
        return self.counts[np.isin(self.counts["kind"], numbers)]


class LogReader:
    """Collects the lines of any number of logs; needs 44 bytes per score, and 18 for each count of a minute."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()  # refused scores by kind
        self.dropped = 0  # lines that a log reports as not written
        self.broken = 0
        self.broken_lines: list[Broken] = []  # the first MOST_SHOWN
        self._scores = bytearray()
        self._group_of: dict[tuple[str, str], int] = {}
        self._counts = bytearray()
        self._kind_of: dict[tuple[str, str], int] = {}
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

    @property
    def counts(self) -> LogCounts:
        """The counts by minutes read so far."""
        return LogCounts(np.frombuffer(bytes(self._counts), COUNT), list(self._kind_of))

    def counts_with(self, entry: Mapping[str, object] | None) -> LogCounts:
        """The same, with those of a minute that no log has yet."""
        kinds = dict(self._kind_of)
        more = b"" if entry is None else packed(cast(Line, entry), kinds)
        return LogCounts(np.frombuffer(bytes(self._counts) + more, COUNT), list(kinds))

    def keep_last(self, count: int) -> bool:
        """Keep only the last `count` scores, and a multiple of that of the counts; returns whether there were more."""
        scores = max(0, len(self._scores) - count * RECORD.itemsize)
        counts = max(0, len(self._counts) - COUNTS_PER_SCORE * count * COUNT.itemsize)
        del self._scores[:scores], self._counts[:counts]
        return bool(scores or counts)

    def _take(self, entry: Line) -> None:
        """Add one line's object. A missing or invalid part raises an error, and nothing of the line is kept."""
        if "duration" in entry:
            self._take_older(entry)
            return
        minute = self._minute(entry["time"])
        if "minute" in entry:
            self._counts += packed(entry, self._kind_of)
            return
        if "dropped" in entry:
            self.dropped += int(entry["dropped"])
            return
        ms = entry["ms"]
        if "error" in entry:
            self.errors[str(entry["error"])] += 1
            kind = (REFUSED, str(entry["error"]))
            self._counts += pack_count(minute, self._kind_of.setdefault(kind, len(self._kind_of)), 0, 1)
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


def packed(entry: Line, kinds: dict[tuple[str, str], int]) -> bytes:
    """The counts of a minute as bytes; adds to `kinds` what it lacks. Raises an error for an invalid part."""
    took = [
        ((TOOK, what), int(bucket), count)
        for what, buckets in entry["took"].items()
        for bucket, count in buckets.items()
    ]
    problems = [((PROBLEM, kind), 0, count) for kind, count in entry["problems"].items()]
    if not 0 <= entry["minute"] < LATEST // 60:
        raise ValueError("a minute outside of 1970 to 9999")
    return b"".join(
        pack_count(entry["minute"], kinds.setdefault(kind, len(kinds)), bucket, count)
        for kind, bucket, count in (*took, *problems)
    )


def in_intervals(minutes: npt.NDArray[np.int64], start: int, length: int, count: int) -> list[npt.NDArray[np.intp]]:
    """For each of `count` intervals of `length` minutes from `start` on: the places of the minutes that lie in it."""
    intervals = (minutes - start) // length
    order = np.argsort(intervals, kind="stable")
    edges = np.searchsorted(intervals[order], np.arange(count + 1))
    return [order[low:high] for low, high in pairwise(edges)]


def reason(error: Exception) -> str:
    """What is wrong with a line, without quoting it."""
    if isinstance(error, orjson.JSONDecodeError):
        return "no JSON: cut short, or two lines in one"
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    return "a figure or a time that cannot be read"


LEAST = {0.5: 1, 0.9: 10, 0.99: 100, 0.999: 1000, 1.0: 2}  # values from which a quantile says something of its own


def known_quantiles(values: npt.NDArray[np.float32], q: Iterable[float] = LEAST) -> list[float]:
    """Quantiles of the values that are not NaN; NaN where there are fewer than LEAST."""
    values = values[~np.isnan(values)]
    known = quantiles(values, q)
    return [value if len(values) >= LEAST[share] else NAN for share, value in zip(q, known, strict=True)]


def counted_quantiles(counts: npt.NDArray[np.void], q: Iterable[float] = LEAST) -> list[float]:
    """Quantiles of counted times, (m,) of COUNT, in ms and right within 5 %; NaN where there are fewer than LEAST."""
    counts = np.sort(counts, order="bucket")
    ranks = np.cumsum(counts["count"], dtype=np.int64)
    total = int(ranks[-1]) if len(ranks) else 0
    return [
        NAN if total < LEAST[share] else time_in(int(counts["bucket"][np.searchsorted(ranks, max(1, share * total))]))
        for share in q
    ]


def quantiles(values: npt.NDArray[np.float32], q: Iterable[float]) -> list[float]:
    """Quantiles of the values that are not NaN; NaN if all are."""
    values = values[~np.isnan(values)]
    return [float(value) for value in np.quantile(values, list(q))] if len(values) else [NAN for _ in q]
