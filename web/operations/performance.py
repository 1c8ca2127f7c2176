"""The Performance page: charts of the live performance log, drawn on the server; no applicant's data is in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from inference.number_format import localised, write_number
from inference.perflog_lines import STAGES
from inference.perflog_reader import LogReader, LogRecords, over_time, quantiles
from inference.scorer import Scorer
from inference.settings import Settings
from web.operations.log_tail import MOST_SCORES, LogTail
from web.pages.charts import Chart, column, rounded_up
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import person_of

HERE = "performance"
STRETCHES = 60  # intervals from left to right, at most
Q = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Table:
    """A table: column heads, and rows of texts."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A chart with its title; `legend` has the CSS class of the colour and the name of each part or mark."""

    title: str
    legend: tuple[tuple[str, str], ...]
    chart: Chart


@dataclass(frozen=True)
class Latency:
    """The latency figures of the scores in the log."""

    note: str
    headline: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    over_time: Table
    by_engine: Table


@dataclass(frozen=True)
class PerformancePage:
    """The page; performance.js replaces the part that changes every few seconds."""

    template: ClassVar[str] = "operations/performance.html"
    warnings: tuple[str, ...]
    empty: str  # the reason for the lack of figures, or an empty string
    latency: Latency | None
    events: bool = False  # whether the way to the events for other systems is shown


def performance_routes(scorer: Scorer, settings: Settings, ledger: bool) -> APIRouter:
    """`GET /performance`, and /fr/performance in French. The log is read in another thread than the event loop's.
    `ledger`: whether there is a ledger, and so a link to the history in the header."""
    router = APIRouter()
    tail = LogTail(settings.log) if settings.log else None
    title = scorer.release.manifest.title

    def page_in(texts: Texts) -> Callable[[Request], HTMLResponse]:
        def show(request: Request) -> HTMLResponse:
            if tail is None:
                view = PerformancePage((), texts("performance.off"), None)
            else:
                with tail.lock:
                    view = performance_page(tail.follow(), scorer, texts)
            person = person_of(request.scope)
            view = replace(view, events=settings.webhooks is not None and (person is None or person.sees_all))
            page_frame = frame(title[texts.language], texts, HERE, scope=request.scope, ledger=ledger)
            return HTMLResponse(page(view, texts, page_frame), headers=HEADERS)

        return show

    for language in LANGUAGES:
        path = f"{HOME[language]}{HERE}"
        router.add_api_route(path, page_in(texts_in(language)), response_class=HTMLResponse)
    return router


def performance_page(reader: LogReader, scorer: Scorer, texts: Texts) -> PerformancePage:
    """The page for the present state of the log."""
    warnings = []
    dropped = max(reader.dropped, scorer.log.dropped if scorer.log else 0)
    if dropped:
        warnings.append(texts("performance.dropped", count=integer(dropped, texts)))
    if reader.broken:
        warnings.append(texts("performance.broken", count=integer(reader.broken, texts)))
    if not len(reader.records):
        return PerformancePage(tuple(warnings), texts("performance.none"), None)
    return PerformancePage(tuple(warnings), "", latency(reader, texts))


def latency(reader: LogReader, texts: Texts) -> Latency:
    """The latency figures; the log has at least one score."""
    records = reader.records
    length, parts = over_time(records, STRETCHES)
    when = Timeline(length, min(parts), max(parts) + length)
    note = texts(
        "performance.note", count=integer(len(records), texts), most=integer(MOST_SCORES, texts), since=when.first(),
        length=texts("performance.minutes", n=length) if length < 60 else texts("performance.hours", n=length // 60),
    )  # fmt: skip
    return Latency(
        note, headline(records, reader, texts), figures(parts, reader, when, texts),
        table(parts, when, texts), by_engine(records, texts),
    )  # fmt: skip


class Timeline(NamedTuple):
    """From the first interval to the end of the last, in minutes since 1970 (UTC); `length` is one interval's."""

    length: int
    start: int
    end: int

    def place(self, minute: int) -> tuple[float, float]:
        """Where an interval begins and how wide it is, as shares of the timeline."""
        return (minute - self.start) / (self.end - self.start), self.length / (self.end - self.start)

    def first(self) -> str:
        return self.write(self.start)

    def write(self, minute: int) -> str:
        return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M")


def headline(records: LogRecords, reader: LogReader, texts: Texts) -> tuple[tuple[str, str], ...]:
    """The most important figures, each with its name."""
    p50, p90, p99, most = quantiles(records.column("total"), (*Q, 1.0))
    cpu, rss = (quantiles(records.column(name)[-100:], (0.5,))[0] for name in ("cpu_percent", "rss_mb"))
    return (
        (texts("performance.p50"), ms(p50, texts)),
        ("p90", ms(p90, texts)),
        ("p99", ms(p99, texts)),
        (texts("performance.max"), ms(most, texts)),
        (texts("performance.cpu_now"), measured(cpu, "%", texts)),
        (texts("performance.memory_now"), measured(rss, "MB", texts)),
        (texts("performance.refused"), integer(reader.errors.total(), texts)),
    )


def figures(parts: dict[int, LogRecords], reader: LogReader, when: Timeline, texts: Texts) -> tuple[Figure, ...]:
    """The charts: time by stage; latency; CPU; memory; traffic."""
    errors = dict.fromkeys(parts, 0)
    for minute in reader.error_minutes:
        start = minute - minute % when.length
        if when.start <= start < when.end:
            errors[start] = errors.get(start, 0) + 1

    def medians(name: str, q: float = 0.5) -> list[list[float | None]]:
        return [[none_if_nan(quantiles(part.column(name), (q,))[0])] for part in parts.values()]

    stages = [[none_if_nan(quantiles(part.column(name), (0.5,))[0]) for name in STAGES] for part in parts.values()]
    latency = [[none_if_nan(value) for value in quantiles(part.column("total"), Q)] for part in parts.values()]
    names = [texts(f"stage.{name}") for name in STAGES]
    traffic: list[list[float | None]] = [
        [len(parts[start]) if start in parts else 0, count] for start, count in sorted(errors.items())
    ]
    starts, with_errors = list(parts), sorted(errors)
    return (
        figure("stages", texts("performance.stages"), starts, stages, [], "ms", names, when, texts),
        figure("latency", texts("performance.latency"), starts, [], latency, "ms", ["p50", "p90", "p99"], when, texts),
        figure("single cpu", texts("performance.cpu"), starts, medians("cpu_percent"), [], "%", [], when, texts),
        figure("single memory", texts("performance.memory"), starts, medians("rss_mb"), [], "MB", [], when, texts),
        figure(
            "traffic", texts("performance.traffic"), with_errors, traffic, [], "",
            [texts("performance.scored"), texts("performance.refused")], when, texts,
        ),
    )  # fmt: skip


def figure(
    kind: str, title: str, starts: Sequence[int], parts: Sequence[Sequence[float | None]],
    marks: Sequence[Sequence[float | None]], unit: str, names: Sequence[str], when: Timeline, texts: Texts,
) -> Figure:  # fmt: skip
    """A chart with its title and legend."""
    heights = [sum(value or 0 for value in row) for row in parts] + [value or 0 for row in marks for value in row]
    top = rounded_up(max(heights))
    columns = []
    for number, start in enumerate(starts):
        row = parts[number] if parts else []
        spots = marks[number] if marks else []
        written = [measured(value, unit, texts) for value in (*row, *spots)]
        if names:
            written = [f"{name} {text}" for name, text in zip(names, written, strict=True)]
        columns.append(column(*when.place(start), top, row, spots, f"{when.write(start)}: {', '.join(written)}"))
    label = "mark" if marks else "part"
    keys = ["error" if kind == "traffic" and number else str(number) for number in range(len(names))]
    legend = tuple((f"{label}-{key}", name) for key, name in zip(keys, names, strict=True))
    summary, ends = f"{title}. {columns[-1].says}", (when.first(), when.write(when.end))
    return Figure(title, legend, Chart(kind, summary, tuple(columns), measured(top, unit, texts), ends))


def table(parts: dict[int, LogRecords], when: Timeline, texts: Texts) -> Table:
    """The charts' figures as a table, for people who cannot see the charts or want to copy them."""
    heads = [texts("performance.from"), texts("performance.scores"), "p50", "p90", "p99"]
    heads += [texts(f"stage.{name}") for name in STAGES] + ["CPU %", "MB"]
    rows = []
    for start, part in parts.items():
        middle = [quantiles(part.column(name), (0.5,))[0] for name in (*STAGES, "cpu_percent", "rss_mb")]
        values = [*quantiles(part.column("total"), Q), *middle]
        rows.append((when.write(start), integer(len(part), texts), *(measured(value, "", texts) for value in values)))
    return Table(tuple(heads), tuple(rows))


def by_engine(records: LogRecords, texts: Texts) -> Table:
    """The latency by release and engine."""
    heads = (texts("footer.release"), texts("performance.engine"), texts("performance.scores"), "p50", "p90", "p99")
    rows = []
    for number, (release, engine) in enumerate(records.names):
        part = records.where(records.groups == number)
        if len(part):
            latency = [ms(value, texts) for value in quantiles(part.column("total"), Q)]
            rows.append((release, engine, integer(len(part), texts), *latency))
    return Table(heads, tuple(rows))


def none_if_nan(value: float) -> float | None:
    """None for NaN."""
    return value if value == value else None


def integer(number: int, texts: Texts) -> str:
    return write_number(number, texts.language)


def ms(value: float, texts: Texts) -> str:
    return measured(value, "ms", texts)


def measured(value: float | None, unit: str, texts: Texts) -> str:
    """A value with about three digits and its unit; a dash if it is missing."""
    if value is None or value != value:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 1 else 3
    return localised(f"{value:,.{digits}f}", texts.language) + (f"\u202f{unit}" if unit else "")
