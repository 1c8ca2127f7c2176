"""Small bar charts over time as inline SVG. All x are per cent of the width, so that text keeps its size on a phone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

HEIGHT, TOP, FOOT = 120, 18, 18  # px: the plot, above it, below it
BASE = TOP + HEIGHT
FIGURE = re.compile(r"–?|[-−]?\d[\d.,\s]*(?:%|[kMG]?B|[mµn]?s)?")  # a number, maybe with its unit; a dash; nothing


@dataclass(frozen=True)
class Bar:
    """A rectangle of a column: part-0, part-1 … are stacked from below, mark-0, mark-1 … sit at their value. In px."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One interval of time. In per cent of the width."""

    x: float
    width: float
    bars: tuple[Bar, ...]
    says: str  # the tooltip


@dataclass(frozen=True)
class Gap:
    """A stretch of time in which nothing happened. In per cent of the width."""

    x: float
    width: float
    says: str  # the tooltip


@dataclass(frozen=True)
class Chart:
    """A chart. `top_label` is the value at the upper edge, `ends` the labels below both ends, `says` a description."""

    template: ClassVar[str] = "chart.html"
    name: str
    says: str
    columns: tuple[Column, ...]
    top_label: str
    ends: tuple[str, str]
    gaps: tuple[Gap, ...] = ()
    top: int = TOP
    base: int = BASE
    height: int = BASE + FOOT


@dataclass(frozen=True)
class Table:
    """A table: column heads, and rows of texts."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def right(self) -> tuple[bool, ...]:
        """Which columns hold figures alone, and so end at the same place on the right."""
        return tuple(all(FIGURE.fullmatch(cell) for cell in column) for column in zip(*self.rows, strict=True))


@dataclass(frozen=True)
class Figure:
    """A chart with its title; `legend` has the CSS class of the colour and the name of each part or mark; `table` the
    chart's figures, where no other table of the page has them."""

    title: str
    legend: tuple[tuple[str, str], ...]
    chart: Chart
    table: Table | None = None


def column(
    start: float, width: float, top: float, parts: Sequence[float | None], marks: Sequence[float | None], says: str
) -> Column:
    """The column that begins at `start`; `start` and `width` are shares of the chart's width, 0..1. `top` is the value
    at the chart's upper edge. A part or mark that is None is missing."""
    bars, y = [], float(BASE)
    for number, part in enumerate(parts):
        height = HEIGHT * (part or 0) / top
        y -= height
        bars.append(Bar(f"part-{number}", y, height))
    for number, mark in enumerate(marks):
        if mark is not None:
            bars.append(Bar(f"mark-{number}", BASE - HEIGHT * mark / top - 1, 3))
    return Column(100 * start, max(0.3, 88 * width), tuple(bars), says)


def rounded_up(value: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below a value: an axis that ends at a round number."""
    if not value > 0:
        return 1.0
    power = 1e-6
    while True:
        for step in (1, 2, 5):
            if step * power >= value * (1 - 1e-9):
                return step * power
        power *= 10
