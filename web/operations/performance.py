"""The Performance page: what the live performance log says, drawn on the server; nothing of an applicant is in it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.types import Scope

from inference.fields import localised
from inference.perflog_reader import STAGES, LogReader, LogRecords, over_time, quantiles
from inference.scorer import Scorer
from inference.settings import Settings
from web.operations.log_tail import MOST_SCORES, LogTail
from web.pages.assets import asset_path, icon
from web.pages.charts import Column, chart, rounded_up
from web.pages.frame import who
from web.pages.languages import HOME, UP
from web.pages.templates import render
from web.pages.texts import LANGUAGES, Texts, texts_in

STRETCHES = 60  # at most, from left to right
Q = (0.5, 0.9, 0.99)
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


def performance_routes(scorer: Scorer, settings: Settings) -> APIRouter:
    """`GET /performance`, in French at /fr/performance. Reading the log leaves the event loop to the scores."""
    router = APIRouter()
    tail = LogTail(settings.log) if settings.log else None

    def page_in(texts: Texts) -> Callable[[Request], HTMLResponse]:
        def show(request: Request) -> HTMLResponse:
            if tail is None:
                body = f"<p>{escape(texts('performance.off'))}</p>"
            else:
                with tail.lock:
                    body = live(tail.follow(), scorer, texts)
            return HTMLResponse(page(texts, body, request.scope), headers=HEADERS)

        return show

    for language in LANGUAGES:
        path = f"{HOME[language]}performance"
        router.add_api_route(path, page_in(texts_in(language)), response_class=HTMLResponse)
    return router


def page(texts: Texts, body: str, scope: Scope) -> str:
    """The frame around what changes."""
    up, title = UP[texts.language], escape(texts("performance.title"))
    return (
        f'<!doctype html><html lang="{texts.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Tenfold</title>'
        f'{icon(up)}<link rel="stylesheet" href="{up}{asset_path("card.css")}">'
        f'<link rel="stylesheet" href="{up}{asset_path("performance.css")}">'
        f'<script src="{up}{asset_path("performance.js")}" defer></script></head>'
        f'<body><nav><a href="./">{escape(texts("card.back"))}</a> {who(scope, texts, up)}</nav><main><h1>{title}</h1>'
        f'<div id="live">{body}</div></main></body></html>'
    )


def live(reader: LogReader, scorer: Scorer, texts: Texts) -> str:
    """All that the log says now."""
    records = reader.records
    warnings = []
    dropped = max(reader.dropped, scorer.log.dropped if scorer.log else 0)
    if dropped:
        warnings.append(texts("performance.dropped", count=whole(dropped, texts)))
    if reader.broken:
        warnings.append(texts("performance.broken", count=whole(reader.broken, texts)))
    said = "".join(f'<p class="warning">{escape(one)}</p>' for one in warnings)
    if not len(records):
        return f"{said}<p>{escape(texts('performance.none'))}</p>"
    length, parts = over_time(records, STRETCHES)
    when = Timeline(length, min(parts), max(parts) + length)
    note = texts(
        "performance.note", count=whole(len(records), texts), most=whole(MOST_SCORES, texts), since=when.first(),
        length=texts("performance.minutes", n=length) if length < 60 else texts("performance.hours", n=length // 60),
    )  # fmt: skip
    return (
        f'{said}<p class="muted">{escape(note)}</p>{headline(records, reader, texts)}'
        f'<div class="charts">{"".join(charts(parts, reader, when, texts))}</div>{table(parts, when, texts)}'
        f"{by_engine(records, texts)}"
    )


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


def headline(records: LogRecords, reader: LogReader, texts: Texts) -> str:
    """The figures that somebody in a hurry reads."""
    p50, p90, p99, most = quantiles(records.column("total"), (*Q, 1.0))
    cpu, rss = (quantiles(records.column(name)[-100:], (0.5,))[0] for name in ("cpu_percent", "rss_mb"))
    figures = [
        (texts("performance.p50"), ms(p50, texts)),
        ("p90", ms(p90, texts)),
        ("p99", ms(p99, texts)),
        (texts("performance.max"), ms(most, texts)),
        (texts("performance.cpu_now"), measured(cpu, "%", texts)),
        (texts("performance.memory_now"), measured(rss, "MB", texts)),
        (texts("performance.refused"), whole(reader.errors.total(), texts)),
    ]
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    return f'<dl class="figures">{rows}</dl>'


def charts(parts: dict[int, LogRecords], reader: LogReader, when: Timeline, texts: Texts) -> list[str]:
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
    return [
        figure("stages", texts("performance.stages"), every, stages, [], "ms", names, when, texts),
        figure("latency", texts("performance.latency"), every, [], latency, "ms", ["p50", "p90", "p99"], when, texts),
        figure("single cpu", texts("performance.cpu"), every, of("cpu_percent"), [], "%", [], when, texts),
        figure("single memory", texts("performance.memory"), every, of("rss_mb"), [], "MB", [], when, texts),
        figure(
            "traffic", texts("performance.traffic"), drawn, traffic, [], "",
            [texts("performance.scored"), texts("performance.refused")], when, texts,
        ),
    ]  # fmt: skip


def figure(
    kind: str, title: str, at: Sequence[int], parts: Sequence[Sequence[float | None]],
    marks: Sequence[Sequence[float | None]], unit: str, names: Sequence[str], when: Timeline, texts: Texts,
) -> str:  # fmt: skip
    """A titled chart with its legend."""
    heights = [sum(one or 0 for one in row) for row in parts] + [one or 0 for row in marks for one in row]
    top = rounded_up(max(heights))
    columns = []
    for number, start in enumerate(at):
        row = parts[number] if parts else []
        spots = marks[number] if marks else []
        words = [measured(one, unit, texts) for one in (*row, *spots)]
        said = ", ".join(f"{name} {word}" for name, word in zip(names, words, strict=True)) if names else words[0]
        columns.append(Column(*when.place(start), row, spots, f"{when.write(start)}: {said}"))
    label = "mark" if marks else "part"
    keys = [("error" if kind == "traffic" and number else str(number), name) for number, name in enumerate(names)]
    legend = "".join(f'<span><i class="{label}-{key}"></i>{escape(name)}</span>' for key, name in keys)
    summary = f"{title}. {columns[-1].says}"
    ends = (when.first(), when.write(when.end))
    drawn = render(chart(kind, summary, columns, measured(top, unit, texts), top, ends), texts)
    return f'<figure><figcaption>{escape(title)}<span class="legend">{legend}</span></figcaption>{drawn}</figure>'


def table(parts: dict[int, LogRecords], when: Timeline, texts: Texts) -> str:
    """The charts' figures, for people who cannot see them or want to copy them."""
    heads = [texts("performance.from"), texts("performance.scores"), "p50", "p90", "p99"]
    heads += [texts(f"stage.{name}") for name in STAGES] + ["CPU %", "MB"]
    rows = []
    for start, part in parts.items():
        middle = [quantiles(part.column(name), (0.5,))[0] for name in (*STAGES, "cpu_percent", "rss_mb")]
        values = [*quantiles(part.column("total"), Q), *middle]
        rows.append([when.write(start), whole(len(part), texts), *(measured(one, "", texts) for one in values)])
    return f"<details><summary>{escape(texts('performance.table'))}</summary>{html_table(heads, rows)}</details>"


def by_engine(records: LogRecords, texts: Texts) -> str:
    """Releases and engines beside each other."""
    heads = [texts("footer.release"), texts("performance.engine"), texts("performance.scores"), "p50", "p90", "p99"]
    rows = []
    for number, (release, engine) in enumerate(records.names):
        part = records.where(records.column("group") == number)
        if len(part):
            latency = [ms(one, texts) for one in quantiles(part.column("total"), Q)]
            rows.append([release, engine, whole(len(part), texts), *latency])
    return f"<h2>{escape(texts('performance.by_engine'))}</h2>{html_table(heads, rows)}"


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(one)}</td>' for one in row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def known(value: float) -> float | None:
    """None for NaN."""
    return value if value == value else None


def whole(number: int, texts: Texts) -> str:
    return localised(f"{number:,}", texts.language)


def ms(value: float, texts: Texts) -> str:
    return measured(value, "ms", texts)


def measured(value: float | None, unit: str, texts: Texts) -> str:
    """A figure of about three digits with its unit; a dash if it is missing."""
    if value is None or value != value:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 1 else 3
    return localised(f"{value:,.{digits}f}", texts.language) + (f"\u202f{unit}" if unit else "")
