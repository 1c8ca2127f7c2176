"""What the page Operations draws: each chart with its figures as a table, and the times and errors of the period."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference.perflog_lines import NAN, STAGES
from inference.perflog_reader import (
    PROBLEM,
    REFUSED,
    TOOK,
    LogCounts,
    LogRecords,
    counted_quantiles,
    in_intervals,
    known_quantiles,
    quantiles,
)
from web.operations.timed import API, COMMIT, DESK, PAGE
from web.operations.timeline import Timeline, written
from web.pages.charts import Chart, Figure, Table, column, rounded_up
from web.pages.figures import integer, measured
from web.pages.texts import Texts

REQUESTS = (API, DESK, PAGE)
DRAWN = 4  # quantiles of a chart: all of LEAST but the slowest
Row = list[float]  # values of an interval; NaN for what is not known


def figures(records: LogRecords, counts: LogCounts, when: Timeline, ledger: bool, texts: Texts) -> tuple[Figure, ...]:
    """All charts of the period, with the figures of each as a table."""
    parts = [
        records.scores[places] for places in in_intervals(records.minutes, when.start, when.length, when.intervals)
    ]
    scored = [len(part) for part in parts]
    requests = counts_in(counts.of(TOOK, REQUESTS), when)
    commits = counts_in(counts.of(TOOK, [COMMIT]), when)
    refused, problems = (sums(counts_in(counts.of(what), when)) for what in (REFUSED, PROBLEM))
    stages = [[quantiles(part[name], (0.5,))[0] for name in STAGES] for part in parts]
    traffic = [[float(number) for number in row] for row in zip(scored, refused, problems, strict=True)]
    drawn = [
        times_figure("score", scored, [known_quantiles(part["total"]) for part in parts], when, texts),
        times_figure("requests", sums(requests), [counted_quantiles(part) for part in requests], when, texts),
    ]
    if ledger:
        ends = [counted_quantiles(part) for part in commits]
        drawn.append(times_figure("commits", sums(commits), ends, when, texts))
    return (
        *drawn,
        figure("traffic", "traffic", traffic, "", [texts(f"operations.{name}") for name in TRAFFIC], when, texts),
        figure("stages", "stages", stages, "ms", [texts(f"stage.{name}") for name in STAGES], when, texts),
        figure("single", "cpu", medians(parts, "cpu_percent"), "%", [], when, texts),
        figure("single", "memory", medians(parts, "rss_mb"), "MB", [], when, texts),
    )


TRAFFIC = ("scored", "refused", "errors")


def counts_in(counts: npt.NDArray[np.void], when: Timeline) -> list[npt.NDArray[np.void]]:
    """The counts of each interval."""
    return [counts[places] for places in in_intervals(counts["minute"], when.start, when.length, when.intervals)]


def sums(parts: Sequence[npt.NDArray[np.void]]) -> list[int]:
    """How often it happened in each interval."""
    return [int(part["count"].sum()) for part in parts]


def medians(parts: Sequence[npt.NDArray[np.void]], name: str) -> list[Row]:
    """The median of a figure in each interval."""
    return [[quantiles(part[name], (0.5,))[0]] for part in parts]


def times_figure(key: str, numbers: Sequence[int], rows: Sequence[Row], when: Timeline, texts: Texts) -> Figure:
    """Quantiles of times as marks; `rows` have those of LEAST. The table has how many there were, and the slowest."""
    heads = quantile_heads(texts)
    marks = [row[:DRAWN] for row in rows]
    shown = figure("latency", key, marks, "ms", heads[:DRAWN], when, texts, marks=True)
    table = Table(
        (texts("operations.from"), texts("operations.count"), *heads),
        tuple(
            (when.begins(place), integer(number, texts), *(measured(value, "ms", texts) for value in row))
            for place, (number, row) in enumerate(zip(numbers, rows, strict=True))
            if number
        ),
    )
    return Figure(shown.title, shown.legend, shown.chart, table)


def figure(
    kind: str, key: str, rows: Sequence[Row], unit: str, names: Sequence[str], when: Timeline, texts: Texts,
    marks: bool = False,
) -> Figure:  # fmt: skip
    """A chart with its title, legend and table; intervals in which nothing happened are gaps."""
    title = texts(f"operations.{key}")
    happened = [any(value and value == value for value in row) for row in rows]
    heights = [max(known(row), default=0.0) if marks else sum(known(row)) for row in rows]
    top = rounded_up(max(heights, default=0.0))
    columns, cells = [], []
    for place, row in enumerate(rows):
        if not happened[place]:
            continue
        values = [value if value == value else None for value in row]
        texts_of = [measured(value, unit, texts) for value in values]
        named = [f"{name} {text}" for name, text in zip(names, texts_of, strict=True)] if names else texts_of
        says = f"{when.begins(place)}: {', '.join(named)}"
        columns.append(column(*when.place(place), top, [] if marks else values, values if marks else [], says))
        cells.append((when.begins(place), *texts_of))
    last = columns[-1].says if columns else texts("operations.nothing")
    label = "mark" if marks else "part"
    legend = tuple((f"{label}-{colour(kind, number)}", name) for number, name in enumerate(names))
    chart = Chart(
        kind, f"{title}. {last}", tuple(columns), measured(top, unit, texts) if columns else "", when.ends(),
        when.gaps(happened, texts),
    )  # fmt: skip
    heads = (texts("operations.from"), *(names or [title]))
    return Figure(title, legend, chart, Table(heads, tuple(cells)))


def colour(kind: str, number: int) -> str:
    """The end of the CSS class of a part's colour: errors have their own."""
    return f"error-{number}" if kind == "traffic" and number else str(number)


def known(row: Row) -> list[float]:
    """The values that are known."""
    return [value for value in row if value == value]


def quantile_heads(texts: Texts) -> list[str]:
    """Names of the quantiles of LEAST."""
    return [texts("operations.p50"), "p90", "p99", texts("operations.p999"), texts("operations.max")]


def times_table(records: LogRecords, counts: LogCounts, ledger: bool, texts: Texts) -> Table:
    """How long scores, requests and commits took in the period."""
    totals = records.column("total")
    rows = [times_row("score_itself", len(totals), known_quantiles(totals), texts)] if len(totals) else []
    for what in (*REQUESTS, *([COMMIT] if ledger else [])):
        counted = counts.of(TOOK, [what])
        if len(counted):
            rows.append(times_row(what, int(counted["count"].sum()), counted_quantiles(counted), texts))
    heads = (texts("operations.what"), texts("operations.count"), *quantile_heads(texts))
    return Table(heads, tuple(rows))


def times_row(what: str, count: int, times: Sequence[float], texts: Texts) -> tuple[str, ...]:
    return (texts(f"operations.of_{what}"), integer(count, texts), *(measured(time, "ms", texts) for time in times))


def errors_table(counts: LogCounts, texts: Texts) -> Table | None:
    """Errors by kind, the most frequent first; None if there were none."""
    rows = []
    for what in (PROBLEM, REFUSED):
        counted = counts.of(what)
        for number in np.unique(counted["kind"]):
            of_kind = counted[counted["kind"] == number]
            rows.append((int(of_kind["count"].sum()), counts.kinds[number][1], what, int(of_kind["minute"].max())))
    if not rows:
        return None
    rows.sort(key=lambda row: (-row[0], row[1]))
    heads = tuple(texts(f"operations.{name}") for name in ("kind", "where", "count", "last"))
    return Table(
        heads,
        tuple(
            (kind, texts(f"operations.where_{what}"), integer(count, texts), written(minute))
            for count, kind, what, minute in rows
        ),
    )


def engines_table(records: LogRecords, texts: Texts) -> Table:
    """The time of scores by release and engine."""
    heads = (texts("footer.release"), texts("operations.engine"), texts("operations.count"), *quantile_heads(texts))
    rows = []
    for number, (release, engine) in enumerate(records.names):
        totals = records.column("total")[records.groups == number]
        if len(totals):
            times = [measured(value, "ms", texts) for value in known_quantiles(totals)]
            rows.append((release, engine, integer(len(totals), texts), *times))
    return Table(heads, tuple(rows))


def now_of(records: LogRecords, name: str) -> float:
    """The median of the last hundred values; NaN without any."""
    return quantiles(records.column(name)[-100:], (0.5,))[0] if len(records) else NAN
