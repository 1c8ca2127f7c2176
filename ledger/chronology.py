"""Which records carry an odd date: a clock was ahead or behind when they were written, or was set back after them."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

DIGITS = 20  # of a time as a whole number: year to microsecond
HOUR = 10**10  # in it; what a clock is off by less is not worth a word
NOT_DIGITS = str.maketrans("", "", "-:.TZ +")


class Chronology(NamedTuple):
    """The latest time at which each record can have been written, and the records whose own time is odd."""

    latest: list[int]  # by sequence - 1, as `number` writes a time
    odd: list[int]  # sequences
    now: int

    def of(self, seq: int) -> int:
        """Of a record that came since, the time at which the others were read."""
        return self.latest[seq - 1] if seq <= len(self.latest) else self.now


def number(time: str) -> int:
    """An ISO time in UTC as a whole number that sorts as it does; 0 for text that is not a time."""
    digits = time.translate(NOT_DIGITS)[:DIGITS]
    return int(digits.ljust(DIGITS, "0")) if digits.isdecimal() else 0


def chronology(times: Iterable[str], now: str) -> Chronology:
    """Dates (ISO, UTC) in the order of the chain. As many as can be are in order, so that none of these goes back.

    A longest non-decreasing subsequence, by patience sorting from the end; a date after `now` is never in it, and of
    two that contradict each other the later one is. A record out of order counts as written at the next date in
    order, or at its own if that is later: nothing is taken for older than it is, and no date holds up other records.
    """
    own, limit = [number(time) for time in times], number(now)
    tails: list[int] = []  # minus the largest first date of a run of each length
    starts: list[int] = []  # the record that it belongs to
    after = [-1] * len(own)
    for at in range(len(own) - 1, -1, -1):
        if own[at] > limit:
            continue
        length = bisect_right(tails, -own[at])
        after[at] = starts[length - 1] if length else -1
        if length == len(tails):
            tails.append(-own[at])
            starts.append(at)
        else:
            tails[length], starts[length] = -own[at], at
    in_order = bytearray(len(own))
    at = starts[-1] if starts else -1
    while at >= 0:
        in_order[at] = True
        at = after[at]
    latest, odd, following = [0] * len(own), [], limit
    for at in range(len(own) - 1, -1, -1):
        if in_order[at]:
            following = own[at]
        elif own[at] // HOUR != following // HOUR:
            odd.append(at + 1)
        latest[at] = max(own[at], following) if own[at] <= limit else following
    return Chronology(latest, odd[::-1], limit)
