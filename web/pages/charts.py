"""Small bar charts over time as inline SVG. All x are per cent of the width: words keep their size on a phone."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

HEIGHT, TOP, FOOT = 120, 18, 18  # px: the plot, above it, below it


class Column(NamedTuple):
    """One stretch of time: parts stacked from below, and marks; None where nothing is known."""

    at: float  # where it begins, 0..1 of the width
    width: float  # likewise
    parts: Sequence[float | None]
    marks: Sequence[float | None] = ()
    says: str = ""  # shown under the pointer


def chart(name: str, says: str, columns: Sequence[Column], top_label: str, top: float, ends: tuple[str, str]) -> str:
    """The picture: `top` is the value at its upper edge, `ends` the words under both ends, `says` it all in words."""
    base = TOP + HEIGHT
    drawn = []
    for column in columns:
        x, width = f"{100 * column.at:.2f}%", f"{max(0.3, 88 * column.width):.2f}%"
        y = float(base)
        shapes = []
        for number, part in enumerate(column.parts):
            height = HEIGHT * (part or 0) / top
            y -= height
            shapes.append(f'<rect class="part-{number}" x="{x}" width="{width}" y="{y:.1f}" height="{height:.1f}"/>')
        for number, mark in enumerate(column.marks):
            if mark is not None:
                y = base - HEIGHT * mark / top
                shapes.append(f'<rect class="mark-{number}" x="{x}" width="{width}" y="{y - 1:.1f}" height="3"/>')
        drawn.append(f"<g>{''.join(shapes)}<title>{escape(column.says)}</title></g>")
    return (
        f'<svg class="chart {name}" role="img" aria-label="{escape(says)}" width="100%" height="{base + FOOT}">'
        f'<line class="grid" x1="0" x2="100%" y1="{TOP}" y2="{TOP}"/>'
        f'<line class="grid" x1="0" x2="100%" y1="{base}" y2="{base}"/>{"".join(drawn)}'
        f'<text x="0" y="{TOP - 5}">{escape(top_label)}</text>'
        f'<text x="0" y="{base + FOOT - 4}">{escape(ends[0])}</text>'
        f'<text x="100%" y="{base + FOOT - 4}" text-anchor="end">{escape(ends[1])}</text></svg>'
    )


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
