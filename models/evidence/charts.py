"""Charts of shares as points in a picture's units, which a template draws: no script, no picture file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640.0, 300.0, 52.0, 14.0, 12.0, 46.0
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)  # between the marks of an axis of shares
MARKS = 6  # at most
LABELS = 8  # at most, below the places of a row


@dataclass(frozen=True, slots=True)
class Dot:
    """A share with its interval, in the picture's units."""

    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, and how it looks: `model`, `seen` or `even`."""

    look: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with marks on both axes."""

    title: str  # for people who do not see it
    across: str  # what the axes are
    up: str
    marks_across: Sequence[tuple[float, str]]
    marks_up: Sequence[tuple[float, str]]
    lines: Sequence[Line]
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Axis:
    """Shares from 0 to `top` on both axes, or places in a row across."""

    top: float
    places: int = 0  # of a row; 0: shares

    def across(self, value: float) -> float:
        low, high = LEFT, WIDTH - RIGHT
        share = value / self.top if not self.places else (value + 0.5) / self.places
        return round(low + share * (high - low), 1)

    def up(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - value / self.top * (HEIGHT - BOTTOM - TOP), 1)

    @property
    def marks(self) -> list[float]:
        """Round shares from 0 to the top."""
        step = next((step for step in STEPS if self.top / step <= MARKS), STEPS[-1])
        return [round(step * number, 4) for number in range(int(self.top / step + 1e-9) + 1)]


def share(value: float) -> str:
    """A share in whole per cent, as the marks show it."""
    return f"{100 * value:.0f}\u202f%"


def line(look: str, axis: Axis, points: Sequence[tuple[float, float]]) -> Line:
    """A line through points given as values of both axes."""
    return Line(look, " ".join(f"{axis.across(x)},{axis.up(y)}" for x, y in points))


def dot(axis: Axis, x: float, rate: float, low: float, high: float, text: str) -> Dot:
    """A dot given as values of both axes; its interval ends at the top of the picture."""
    return Dot(axis.across(x), axis.up(rate), axis.up(low), axis.up(min(high, axis.top)), text)


def top_of(values: Sequence[float]) -> float:
    """The end of an axis that holds all values: a little more than the largest, at most 1."""
    known = [value for value in values if not np.isnan(value)]
    return min(1.0, 1.05 * max(known, default=1.0)) or 1.0


def of_shares(title: str, across: str, up: str, axis: Axis, lines: Sequence[Line], dots: Sequence[Dot]) -> Chart:
    """A chart with shares on both axes."""
    marks = axis.marks
    return Chart(
        title, across, up, [(axis.across(mark), share(mark)) for mark in marks],
        [(axis.up(mark), share(mark)) for mark in marks], lines, dots,
    )  # fmt: skip


def of_row(title: str, up: str, axis: Axis, names: Sequence[str], lines: Sequence[Line], dots: Sequence[Dot]) -> Chart:
    """A chart of shares over places in a row, such as quarters; not every place has its name below it."""
    every = -(-len(names) // LABELS)
    below = [(axis.across(place), name) for place, name in enumerate(names) if place % every == 0]
    return Chart(title, "", up, below, [(axis.up(mark), share(mark)) for mark in axis.marks], lines, dots)
