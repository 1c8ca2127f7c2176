"""The report on logs: tables, and plots over time as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from profiling.study.intervals import quantile
from profiling.study.log_reader import Scores
from profiling.study.verdicts import Change
from profiling.study.views import Table, Verdict, verdict_of

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 900.0, 170.0, 64.0, 26.0, 24.0  # of a panel, and the room around its plot
PANELS = (
    ("total", "Latency, ms", (("p50", 0.5), ("p99", 0.99))),
    ("cpu_percent", "CPU, % of one core", (("p50", 0.5),)),
    ("rss_mb", "Memory, MB", (("p50", 0.5),)),
)


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of time in a plot, and its tooltip."""

    x: float
    y: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """A quantile over time."""

    kind: str  # p50 or p99
    path: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    position: float
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure over time."""

    title: str
    top: float
    lines: Sequence[Line]
    across: Sequence[Tick]
    up: Sequence[Tick]


@dataclass(frozen=True, slots=True)
class Plot:
    """Panels under each other, on one axis of time."""

    template: ClassVar[str] = "plot.html"

    label: str
    width: float
    height: float
    left: float
    plot_height: float
    panels: Sequence[Panel]
    mark: float | None  # where before ends


@dataclass(frozen=True, slots=True)
class LogReport:
    """A report on logs."""

    template: ClassVar[str] = "log.html"

    title: str
    plot: Plot
    about: Sequence[tuple[str, str]]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()


def log_report(
    name: str,
    scores: Scores,
    parts: Mapping[int, Sequence[int]],
    table: Table,
    changes: Sequence[Change],
    notes: Sequence[str],
    moment: float | None,
) -> LogReport:
    """The report on the logs read; `parts` are stretches of time, by their first second."""
    first, last = (
        datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M") for time in (min(scores.times), max(scores.times))
    )
    return LogReport(
        name,
        plot(scores, parts, moment),
        [("from", f"{first} UTC"), ("to", f"{last} UTC"), ("scores", f"{len(scores):,}")],
        [verdict_of(change) for change in changes],
        notes,
        [table],
    )


def plot(scores: Scores, parts: Mapping[int, Sequence[int]], moment: float | None = None) -> Plot:
    """Quantiles over time, a panel for each figure that the logs have."""
    seconds = list(parts)
    first, span = seconds[0], max(seconds[-1] - seconds[0], 1)

    def across(second: float) -> float:
        share = (second - first) / span if len(seconds) > 1 else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - 30)

    panels: list[Panel] = []
    for name, title, quantiles in PANELS:
        values = [
            [(second, quantile(scores.ordered(name, places), q)) for second, places in parts.items()]
            for _, q in quantiles
        ]
        points = [[(second, value) for second, value in line if not math.isnan(value)] for line in values]
        if not any(points):
            continue
        top = len(panels) * HEIGHT + TOP
        ticks = round_ticks(max(value for line in points for _, value in line))
        height = HEIGHT - TOP - BOTTOM

        def up(value: float, top: float = top, most: float = ticks[-1], height: float = height) -> float:
            return top + height * (1 - value / most)

        panels.append(
            Panel(
                title,
                top,
                [line_of(kind, line, across, up) for (kind, _), line in zip(quantiles, points, strict=True) if line],
                [Tick(across(second), moment_text(second, span)) for second in times(seconds)],
                [Tick(up(value), f"{value:,g}") for value in ticks],
            )
        )
    mark = None
    if moment is not None and seconds[0] <= moment <= seconds[-1]:
        mark = across(moment)
    label = "; ".join(panel.title for panel in panels)
    return Plot(f"Over time: {label}", WIDTH, len(panels) * HEIGHT, LEFT, HEIGHT - TOP - BOTTOM, panels, mark)


def line_of(kind: str, line: Sequence[tuple[int, float]], across: object, up: object) -> Line:
    """A path through the points of a quantile."""
    assert callable(across)  # noqa: S101 - for the type checker
    assert callable(up)  # noqa: S101
    points = [
        Point(across(second), up(value), f"{moment_text(second, 0)} UTC: {kind} {value:,.3g}") for second, value in line
    ]
    return Line(kind, "M" + " L".join(f"{point.x:.1f} {point.y:.1f}" for point in points), points)


def round_ticks(most: float) -> list[float]:
    """0 and a few round numbers up to the largest value or a little over."""
    if most <= 0:
        return [0.0, 1.0]
    step = 10 ** math.floor(math.log10(most))
    step = next(width for width in (step / 5, step / 2, step, 2 * step, 5 * step) if most / width <= 4)
    return [number * step for number in range(math.ceil(most / step - 1e-9) + 1)]


def times(seconds: Sequence[int], most: int = 7) -> list[int]:
    """The stretches that are labelled on the axis."""
    step = math.ceil(len(seconds) / most)
    return [*seconds[::step]]


def moment_text(second: float, span: float) -> str:
    """A moment as text: only the day if the axis is long."""
    moment = datetime.fromtimestamp(second, UTC)
    day = 24 * 60 * 60
    if not span:
        return moment.strftime("%Y-%m-%d %H:%M" if second % 60 == 0 else "%Y-%m-%d %H:%M:%S")
    if span > 7 * day:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%m-%d %H:%M" if span > day else "%H:%M" if span > 15 * 60 else "%H:%M:%S")
