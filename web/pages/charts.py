"""Small bar charts over time as inline SVG. All x are per cent of the width: words keep their size on a phone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

HEIGHT, TOP, FOOT = 120, 18, 18  # px: the plot, above it, below it
BASE = TOP + HEIGHT


@dataclass(frozen=True)
class Bar:
    """One rectangle of a column: part-0 and on are stacked from below, mark-0 and on stand at their value. Px."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One stretch of time. Per cent of the width."""

    x: float
    width: float
    bars: tuple[Bar, ...]
    says: str  # shown under the pointer


@dataclass(frozen=True)
class Chart:
    """The picture. `top_label` is the value at the upper edge, `ends` the words below both ends, `says` all."""

    template: ClassVar[str] = "chart.html"
    name: str
    says: str
    columns: tuple[Column, ...]
    top_label: str
    ends: tuple[str, str]
    top: int = TOP
    base: int = BASE
    height: int = BASE + FOOT


def column(
    at: float, width: float, top: float, parts: Sequence[float | None], marks: Sequence[float | None], says: str
) -> Column:
    """The column that begins at `at` and is so wide, 0..1 of the whole; `top` is the value at the chart's upper edge.
    Of a part or mark that is None nothing is known."""
    bars, y = [], float(BASE)
    for number, part in enumerate(parts):
        height = HEIGHT * (part or 0) / top
        y -= height
        bars.append(Bar(f"part-{number}", y, height))
    for number, mark in enumerate(marks):
        if mark is not None:
            bars.append(Bar(f"mark-{number}", BASE - HEIGHT * mark / top - 1, 3))
    return Column(100 * at, max(0.3, 88 * width), tuple(bars), says)


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
