"""What a line of a performance log holds, for both readers of logs: keys, figures, units, times. Needs no package.

`inference/perflog.py` writes our lines. The older format, of the study that preceded this project, is JSON lines with
`timestamp`, `duration` in seconds, `cpu_percent`, `memory_usage_MB`, `prediction` and `input`; the last holds an
applicant's answers and is not read.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import TypedDict

NAN = math.nan
STAGES = ("validate", "row", "predict", "policy")
FIGURES = ("total", *STAGES, "thread_cpu", "cpu_percent", "rss_mb")  # ms, ms …, ms, % of one core, MB
stage_times = itemgetter("total", *STAGES)  # of Milliseconds: those of FIGURES, in their order
LENGTHS = (1, 5, 15, 60, 4 * 60, 24 * 60, 7 * 24 * 60, 28 * 24 * 60)  # of a time interval, minutes
PER_DOUBLING = 8  # buckets of times that are counted
FASTEST, SLOWEST = -80, 160  # buckets: a microsecond, and 17 minutes
LATEST = 253_402_300_800  # seconds from 1970 to the year 10000, which no date can name


class Milliseconds(TypedDict):
    """The time of each stage of a score."""

    total: float
    validate: float
    row: float
    predict: float
    policy: float


class Line(TypedDict, total=False):
    """A valid line."""

    time: str
    release: str
    engine: str
    ms: Milliseconds
    thread_cpu_ms: float
    cpu_percent: float | None
    rss_mb: float | None
    error: str
    dropped: int
    # of a minute: inference/minutes.py
    minute: int  # UTC, since 1970
    took: dict[str, dict[str, int]]  # what was done -> bucket of its time -> how often
    problems: dict[str, int]  # kind -> how often
    # the older format
    timestamp: float | str
    duration: float  # seconds
    memory_usage_MB: float | None


def bucket_of(ms: float) -> int:
    """The number of the bucket that counts a time."""
    bucket = math.floor(PER_DOUBLING * math.log2(ms)) if ms > 0 else FASTEST
    return FASTEST if bucket < FASTEST else SLOWEST if bucket > SLOWEST else bucket


def time_in(bucket: int) -> float:
    """The time in the middle of a bucket, ms."""
    return float(2 ** ((bucket + 0.5) / PER_DOUBLING))


def utc_seconds(time: str | float) -> float:
    """Seconds since 1970 of a time in ISO 8601, in UTC where it names no zone, or of such a number of seconds.

    Raises ValueError for any other text, and for a time before 1970 or after 9999.
    """
    if isinstance(time, str):
        moment = datetime.fromisoformat(time.replace(",", "."))  # Python's own logs write a comma
        time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= time < LATEST:
        raise ValueError("a time outside of 1970 to 9999")
    return time


def interval_length(first: int, last: int, most: int, lengths: Sequence[int] = LENGTHS) -> int:
    """The shortest of the lengths, or of twice the longest and so on, that cuts a time into at most `most` intervals.

    `first` and `last` count from 1970, in the unit of the lengths: minutes for LENGTHS.
    """
    length, *longer = lengths
    while last // length - first // length >= most:
        length = longer.pop(0) if longer else 2 * length
    return length
