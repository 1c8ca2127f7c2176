"""The Performance page: what the live performance log says, drawn on the server; nothing of an applicant is in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from inference.number_format import localised, write_number
from inference.perflog_reader import STAGES, LogReader, LogRecords, over_time, quantiles
from inference.scorer import Scorer
from inference.settings import Settings
from web.operations.log_tail import MOST_SCORES, LogTail
from web.pages.charts import Chart, column, rounded_up
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in

HERE = "performance"
STRETCHES = 60  # at most, from left to right
Q = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Table:
    """Texts in rows, under their heads."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A titled chart; its legend has the colour's class and the name of each part or mark."""

    title: str
    legend: tuple[tuple[str, str], ...]
    chart: Chart


@dataclass(frozen=True)
class Latency:
    """All that the log says of scores."""

    note: str
    headline: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    over_time: Table
    by_engine: Table


@dataclass(frozen=True)
class PerformancePage:
    """What the page shows; performance.js puts the part that changes in place again every few seconds."""

    template: ClassVar[str] = "operations/performance.html"
    warnings: tuple[str, ...]
    empty: str  # why there are no figures, where that is so
    latency: Latency | None


def performance_routes(scorer: Scorer, settings: Settings, ledger: bool) -> APIRouter:
    """`GET /performance`, in French at /fr/performance. Reading the log leaves the event loop to the scores. `ledger`
    says whether there are cases, and so their page in the header."""
    router = APIRouter()
    tail = LogTail(settings.log) if settings.log else None
    title = scorer.release.manifest.title

    def page_in(texts: Texts) -> Callable[[Request], HTMLResponse]:
        def show(request: Request) -> HTMLResponse:
            if tail is None:
                shown = PerformancePage((), texts("performance.off"), None)
            else:
                with tail.lock:
                    shown = read(tail.follow(), scorer, texts)
            around = frame(title[texts.language], texts, HERE, scope=request.scope, ledger=ledger)
            return HTMLResponse(page(shown, texts, around), headers=HEADERS)

        return show

    for language in LANGUAGES:
        path = f"{HOME[language]}{HERE}"
        router.add_api_route(path, page_in(texts_in(language)), response_class=HTMLResponse)
    return router


def read(reader: LogReader, scorer: Scorer, texts: Texts) -> PerformancePage:
    """All that the log says now."""
    warnings = []
    dropped = max(reader.dropped, scorer.log.dropped if scorer.log else 0)
    if dropped:
        warnings.append(texts("performance.dropped", count=whole(dropped, texts)))
    if reader.broken:
        warnings.append(texts("performance.broken", count=whole(reader.broken, texts)))
    if not len(reader.records):
        return PerformancePage(tuple(warnings), texts("performance.none"), None)
    return PerformancePage(tuple(warnings), "", latency(reader, texts))


def latency(reader: LogReader, texts: Texts) -> Latency:
    """What the log says of at least one score."""
    records = reader.records
    length, parts = over_time(records, STRETCHES)
    when = Timeline(length, min(parts), max(parts) + length)
    note = texts(
        "performance.note", count=whole(len(records), texts), most=whole(MOST_SCORES, texts), since=when.first(),
        length=texts("performance.minutes", n=length) if length < 60 else texts("performance.hours", n=length // 60),
    )  # fmt: skip
    return Latency(
        note, headline(records, reader, texts), figures(parts, reader, when, texts),
        table(parts, when, texts), by_engine(records, texts),
    )  # fmt: skip


class Timeline(NamedTuple):
    """From the first stretch to the end of the last, in minutes since 1970; UTC, as the log is."""

    length: int
    start: int
    end: int

    def place(self, minute: int) -> tuple[float, float]:
        """Where a stretch begins and how wide it is, of the whole."""
        return (minute - self.start) / (self.end - self.start), self.length / (self.end - self.start)

    def first(self) -> str:
        return self.write(self.start)

    def write(self, minute: int) -> str:
        return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M")


def headline(records: LogRecords, reader: LogReader, texts: Texts) -> tuple[tuple[str, str], ...]:
    """The figures that somebody in a hurry reads, each with its name."""
    p50, p90, p99, most = quantiles(records.column("total"), (*Q, 1.0))
    cpu, rss = (quantiles(records.column(name)[-100:], (0.5,))[0] for name in ("cpu_percent", "rss_mb"))
    return (
        (texts("performance.p50"), ms(p50, texts)),
        ("p90", ms(p90, texts)),
        ("p99", ms(p99, texts)),
        (texts("performance.max"), ms(most, texts)),
        (texts("performance.cpu_now"), measured(cpu, "%", texts)),
        (texts("performance.memory_now"), measured(rss, "MB", texts)),
        (texts("performance.refused"), whole(reader.errors.total(), texts)),
    )


def figures(parts: dict[int, LogRecords], reader: LogReader, when: Timeline, texts: Texts) -> tuple[Figure, ...]:
    """Where a score's time goes; latency; CPU; memory; traffic."""
    errors = dict.fromkeys(parts, 0)
    for minute in reader.error_minutes:
        start = minute - minute % when.length
        if when.start <= start < when.end:
            errors[start] = errors.get(start, 0) + 1

    def of(name: str, q: float = 0.5) -> list[list[float | None]]:
        return [[known(quantiles(part.column(name), (q,))[0])] for part in parts.values()]

    stages = [[known(quantiles(part.column(name), (0.5,))[0]) for name in STAGES] for part in parts.values()]
    latency = [[known(one) for one in quantiles(part.column("total"), Q)] for part in parts.values()]
    names = [texts(f"stage.{name}") for name in STAGES]
    traffic: list[list[float | None]] = [[len(parts[at]) if at in parts else 0, n] for at, n in sorted(errors.items())]
    every, drawn = list(parts), sorted(errors)
    return (
        figure("stages", texts("performance.stages"), every, stages, [], "ms", names, when, texts),
        figure("latency", texts("performance.latency"), every, [], latency, "ms", ["p50", "p90", "p99"], when, texts),
        figure("single cpu", texts("performance.cpu"), every, of("cpu_percent"), [], "%", [], when, texts),
        figure("single memory", texts("performance.memory"), every, of("rss_mb"), [], "MB", [], when, texts),
        figure(
            "traffic", texts("performance.traffic"), drawn, traffic, [], "",
            [texts("performance.scored"), texts("performance.refused")], when, texts,
        ),
    )  # fmt: skip


def figure(
    kind: str, title: str, at: Sequence[int], parts: Sequence[Sequence[float | None]],
    marks: Sequence[Sequence[float | None]], unit: str, names: Sequence[str], when: Timeline, texts: Texts,
) -> Figure:  # fmt: skip
    """A titled chart with its legend."""
    heights = [sum(one or 0 for one in row) for row in parts] + [one or 0 for row in marks for one in row]
    top = rounded_up(max(heights))
    columns = []
    for number, start in enumerate(at):
        row = parts[number] if parts else []
        spots = marks[number] if marks else []
        words = [measured(one, unit, texts) for one in (*row, *spots)]
        said = ", ".join(f"{name} {word}" for name, word in zip(names, words, strict=True)) if names else words[0]
        columns.append(column(*when.place(start), top, row, spots, f"{when.write(start)}: {said}"))
    label = "mark" if marks else "part"
    keys = ["error" if kind == "traffic" and number else str(number) for number in range(len(names))]
    legend = tuple((f"{label}-{key}", name) for key, name in zip(keys, names, strict=True))
    summary, ends = f"{title}. {columns[-1].says}", (when.first(), when.write(when.end))
    return Figure(title, legend, Chart(kind, summary, tuple(columns), measured(top, unit, texts), ends))


def table(parts: dict[int, LogRecords], when: Timeline, texts: Texts) -> Table:
    """The charts' figures, for people who cannot see them or want to copy them."""
    heads = [texts("performance.from"), texts("performance.scores"), "p50", "p90", "p99"]
    heads += [texts(f"stage.{name}") for name in STAGES] + ["CPU %", "MB"]
    rows = []
    for start, part in parts.items():
        middle = [quantiles(part.column(name), (0.5,))[0] for name in (*STAGES, "cpu_percent", "rss_mb")]
        values = [*quantiles(part.column("total"), Q), *middle]
        rows.append((when.write(start), whole(len(part), texts), *(measured(one, "", texts) for one in values)))
    return Table(tuple(heads), tuple(rows))


def by_engine(records: LogRecords, texts: Texts) -> Table:
    """Releases and engines beside each other."""
    heads = (texts("footer.release"), texts("performance.engine"), texts("performance.scores"), "p50", "p90", "p99")
    rows = []
    for number, (release, engine) in enumerate(records.names):
        part = records.where(records.groups == number)
        if len(part):
            latency = [ms(one, texts) for one in quantiles(part.column("total"), Q)]
            rows.append((release, engine, whole(len(part), texts), *latency))
    return Table(heads, tuple(rows))


def known(value: float) -> float | None:
    """None for NaN."""
    return value if value == value else None


def whole(number: int, texts: Texts) -> str:
    return write_number(number, texts.language)


def ms(value: float, texts: Texts) -> str:
    return measured(value, "ms", texts)


def measured(value: float | None, unit: str, texts: Texts) -> str:
    """A figure of about three digits with its unit; a dash if it is missing."""
    if value is None or value != value:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 1 else 3
    return localised(f"{value:,.{digits}f}", texts.language) + (f"\u202f{unit}" if unit else "")
