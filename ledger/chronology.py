"""Finds records with an odd date: written while a clock was wrong, or before it was set back."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

DIGITS = 20  # of a time as an integer: year to microsecond
HOUR = 10**10  # as such an integer; smaller clock errors are not reported
NOT_DIGITS = str.maketrans("", "", "-:.TZ +")


class Chronology(NamedTuple):
    """For each record the latest time at which it can have been written, and the records with an odd time."""

    latest: list[int]  # by sequence - 1, as `number` encodes a time
    odd: list[int]  # sequences
    now: int

    def of(self, seq: int) -> int:
        """The latest time of a record; for records added since, the time of reading."""
        return self.latest[seq - 1] if seq <= len(self.latest) else self.now


def number(time: str) -> int:
    """Encode an ISO time in UTC as an integer with the same order; 0 for text that is not a time."""
    digits = time.translate(NOT_DIGITS)[:DIGITS]
    return int(digits.ljust(DIGITS, "0")) if digits.isdecimal() else 0


def chronology(times: Iterable[str], now: str) -> Chronology:
    """Date the records of a chain; `times` are ISO, UTC, in chain order.

    As many records as possible keep their own date: a longest non-decreasing subsequence, by patience sorting from the
    end. A date after `now` is never part of it; of two contradicting dates the later record's is. A record outside it
    gets the next date in order, or its own if that is later. So no record is taken for older than it is, and no wrong
    date delays other records.
    """
    dates, limit = [number(time) for time in times], number(now)
    tails: list[int] = []  # by length - 1: minus the largest first date of a run
    starts: list[int] = []  # the record of that date
    after = [-1] * len(dates)
    for index in range(len(dates) - 1, -1, -1):
        if dates[index] > limit:
            continue
        length = bisect_right(tails, -dates[index])
        after[index] = starts[length - 1] if length else -1
        if length == len(tails):
            tails.append(-dates[index])
            starts.append(index)
        else:
            tails[length], starts[length] = -dates[index], index
    in_order = bytearray(len(dates))
    index = starts[-1] if starts else -1
    while index >= 0:
        in_order[index] = True
        index = after[index]
    latest, odd, following = [0] * len(dates), [], limit
    for index in range(len(dates) - 1, -1, -1):
        if in_order[index]:
            following = dates[index]
        elif dates[index] // HOUR != following // HOUR:
            odd.append(index + 1)
        latest[index] = max(dates[index], following) if dates[index] <= limit else following
    return Chronology(latest, odd[::-1], limit)
