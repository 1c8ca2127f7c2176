"""Small bar charts over time: where their bars stand, in per cent of the width, so that words keep their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

HEIGHT, TOP, FOOT = 120, 18, 18  # px: the plot, above it, below it
MARK = 3  # px: the height of a mark


class Column(NamedTuple):
    """One stretch of time: parts stacked from below, and marks; None where nothing is known."""

    at: float  # where it begins, 0..1 of the width
    width: float  # likewise
    parts: Sequence[float | None]
    marks: Sequence[float | None] = ()
    says: str = ""  # shown under the pointer


class Bar(NamedTuple):
    """A part or a mark, as it is drawn."""

    kind: str
    y: float  # px, of its upper edge
    height: float  # px


class Stretch(NamedTuple):
    """A column as it is drawn."""

    x: float  # per cent of the width
    width: float  # likewise
    bars: tuple[Bar, ...]
    says: str


@dataclass(frozen=True)
class Chart:
    """The picture."""

    template: ClassVar[str] = "chart.html"
    name: str
    says: str  # all of it in words
    columns: tuple[Stretch, ...]
    top_label: str
    ends: tuple[str, str]  # the words under both ends
    top: int = TOP
    base: int = TOP + HEIGHT
    height: int = TOP + HEIGHT + FOOT


def chart(name: str, says: str, columns: Sequence[Column], top_label: str, top: float, ends: tuple[str, str]) -> Chart:
    """The picture: `top` is the value at its upper edge, `ends` the words under both ends, `says` it all in words."""
    drawn = [
        Stretch(100 * column.at, max(0.3, 88 * column.width), tuple(bars(column, top)), column.says)
        for column in columns
    ]
    return Chart(name, says, tuple(drawn), top_label, ends)


def bars(column: Column, top: float) -> list[Bar]:
    """The parts of a column, one on the other, then its marks."""
    base = y = float(TOP + HEIGHT)
    found = []
    for number, part in enumerate(column.parts):
        height = HEIGHT * (part or 0) / top
        y -= height
        found.append(Bar(f"part-{number}", y, height))
    for number, mark in enumerate(column.marks):
        if mark is not None:
            found.append(Bar(f"mark-{number}", base - HEIGHT * mark / top - 1, MARK))
    return found


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … at or above a value: an axis that ends on a number people read."""
    if not value > 0:
        return 1.0
    power = 1e-6
    while True:
        for step in (1, 2, 5):
            if step * power >= value * (1 - 1e-9):
                return step * power
        power *= 10
