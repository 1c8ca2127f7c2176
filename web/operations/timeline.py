"""The period that the page Operations shows: an hour, a day, a week, or all that the log holds, cut into intervals."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from inference.perflog_lines import interval_length
from web.pages.charts import Gap
from web.pages.texts import Texts

ALL, DEFAULT = "all", "day"
PERIODS = {"hour": 60, "day": 24 * 60, "week": 7 * 24 * 60}  # minutes
MOST = 60  # intervals


class Timeline(NamedTuple):
    """`intervals` of `length` minutes from `start` on, in minutes since 1970 (UTC)."""

    length: int
    start: int
    intervals: int

    @property
    def end(self) -> int:
        return self.start + self.length * self.intervals

    def place(self, number: int) -> tuple[float, float]:
        """Where an interval begins and how wide it is, as shares of the timeline."""
        return number / self.intervals, 1 / self.intervals

    def begins(self, number: int) -> str:
        """When an interval begins."""
        return written(self.start + number * self.length)

    def ends(self) -> tuple[str, str]:
        """The labels of both ends."""
        return written(self.start), written(self.end)

    def gaps(self, happened: Sequence[bool], texts: Texts) -> tuple[Gap, ...]:
        """Stretches of intervals in which nothing happened."""
        gaps, first = [], 0
        for number, something in enumerate((*happened, True)):
            if something:
                if number > first:
                    says = texts("operations.idle", start=self.begins(first), end=self.begins(number))
                    gaps.append(Gap(100 * first / self.intervals, 100 * (number - first) / self.intervals, says))
                first = number + 1
        return tuple(gaps)


def timeline(period: str, now: int, first: int, last: int) -> Timeline:
    """The timeline of a period that ends now; of all that the log holds if the period is ALL. In minutes since 1970:
    `first` and `last` are the minutes of the oldest and the newest that the log holds."""
    start, last_minute = (first, last) if period == ALL else (now - PERIODS[period] + 1, now)
    length = interval_length(start, last_minute, MOST)
    start -= start % length
    return Timeline(length, start, (last_minute - start) // length + 1)


def written(minute: int) -> str:
    """A minute since 1970 as people read it, in UTC."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M")
