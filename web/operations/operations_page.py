"""The page Operations: how long scores, requests and commits take, errors by kind; from the live performance log.

The charts are drawn on the server, and no applicant's data is in them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from inference.measure import Clock
from inference.minutes import MinuteCounts
from inference.perflog_reader import PROBLEM, REFUSED, LogReader
from inference.scorer import Scorer
from inference.settings import Settings
from web.operations.log_tail import MOST_SCORES, LogTail
from web.operations.operations_figures import engines_table, errors_table, figures, now_of, times_table
from web.operations.timeline import ALL, DEFAULT, PERIODS, Timeline, timeline, written
from web.pages.charts import Figure, Table
from web.pages.figures import integer, measured
from web.pages.frame import HEADERS, Link, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import person_of

HERE, FORMER = "operations", "performance"


@dataclass(frozen=True)
class Measured:
    """The figures of a period."""

    note: str
    headline: tuple[tuple[str, str], ...]
    times: Table
    figures: tuple[Figure, ...]
    errors: Table | None
    by_engine: Table


@dataclass(frozen=True)
class OperationsPage:
    """The page; operations.js replaces the part that changes every few seconds."""

    template: ClassVar[str] = "operations/operations.html"
    periods: tuple[Link, ...]
    warnings: tuple[str, ...]
    empty: str  # the reason for the lack of figures, or an empty string
    measured: Measured | None
    events: bool  # whether the way to the events for other systems is shown


class OperationsPages:
    """The page in English and French. The log is read in another thread than the event loop's."""

    def __init__(
        self, scorer: Scorer, settings: Settings, minutes: MinuteCounts, ledger: bool, clock: Clock | None = None
    ) -> None:
        """`ledger`: whether there is one, and so its commits, and a link to the history in the header."""
        self._scorer, self._settings, self._minutes, self._ledger = scorer, settings, minutes, ledger
        self._utc = (clock or Clock()).utc
        self._tail = LogTail(settings.log) if settings.log else None

    def routes(self) -> APIRouter:
        """`GET /operations`, and /fr/operations in French; the path of earlier versions leads there."""
        router = APIRouter()
        for language in LANGUAGES:
            texts, path = texts_in(language), HOME[language]
            router.add_api_route(f"{path}{HERE}", self.page_in(texts), response_class=HTMLResponse)
            router.add_route(f"{path}{FORMER}", partial(moved, path=f"{path}{HERE}"), methods=["GET"])
        return router

    def page_in(self, texts: Texts) -> Callable[[Request], HTMLResponse]:
        """The route in a language; not a coroutine, so that it runs in a thread."""

        def show(request: Request) -> HTMLResponse:
            period = request.query_params.get("period", "")
            period = period if period in (*PERIODS, ALL) else DEFAULT
            person = person_of(request.scope)
            events = self._settings.webhooks is not None and (person is None or person.sees_all)
            title = self._scorer.release.manifest.title[texts.language]
            page_frame = frame(title, texts, HERE, scope=request.scope, ledger=self._ledger)
            return HTMLResponse(page(self.view(period, events, texts), texts, page_frame), headers=HEADERS)

        return show

    def view(self, period: str, events: bool, texts: Texts) -> OperationsPage:
        """The page for the present state of the log."""
        links = tuple(
            Link(f"{HERE}?{urlencode({'period': name})}", texts(f"operations.period_{name}"), name == period)
            for name in (*PERIODS, ALL)
        )
        if self._tail is None:
            return OperationsPage((), (), texts("operations.off"), None, events)
        with self._tail.lock:
            reader = self._tail.follow()
            shown = self.measured(reader, period, texts)
            warnings = self.warnings(reader, texts)
        if shown is None:
            return OperationsPage((), warnings, texts("operations.none"), None, events)
        return OperationsPage(links, warnings, "", shown, events)

    def warnings(self, reader: LogReader, texts: Texts) -> tuple[str, ...]:
        """Lines of the log that are missing or cannot be read."""
        log = self._scorer.log
        counts = {"dropped": max(reader.dropped, log.dropped if log else 0), "broken": reader.broken}
        return tuple(texts(f"operations.{name}", count=integer(n, texts)) for name, n in counts.items() if n)

    def measured(self, reader: LogReader, period: str, texts: Texts) -> Measured | None:
        """The figures of a period; None if the log holds nothing yet."""
        counts, records = reader.counts_with(self._minutes.unwritten()), reader.records
        minutes = [values for values in (records.minutes, counts.counts["minute"]) if len(values)]
        if not minutes:
            return None
        first, last = int(min(values.min() for values in minutes)), int(max(values.max() for values in minutes))
        when = timeline(period, int(self._utc() // 60), first, last)
        records = records.where((records.minutes >= when.start) & (records.minutes < when.end))
        counts = counts.between(when.start, when.end)
        refused, problems = (int(counts.of(what)["count"].sum()) for what in (REFUSED, PROBLEM))
        return Measured(
            self.note(when, first, texts),
            (
                (texts("operations.scored"), integer(len(records), texts)),
                (texts("operations.refused"), integer(refused, texts)),
                (texts("operations.errors"), integer(problems, texts)),
                (texts("operations.cpu_now"), measured(now_of(records, "cpu_percent"), "%", texts)),
                (texts("operations.memory_now"), measured(now_of(records, "rss_mb"), "MB", texts)),
            ),
            times_table(records, counts, self._ledger, texts),
            figures(records, counts, when, self._ledger, texts),
            errors_table(counts, texts),
            engines_table(records, texts),
        )

    def note(self, when: Timeline, first: int, texts: Texts) -> str:
        """What is shown; and that the log holds more, where it does."""
        length = when.length
        bar = texts("operations.minutes", n=length) if length < 60 else texts("operations.hours", n=length // 60)
        note = texts("operations.note", start=when.ends()[0], end=when.ends()[1], length=bar)
        if self._tail is not None and self._tail.left_out and when.start < first:
            more = texts("operations.left_out", since=written(first), most=integer(MOST_SCORES, texts))
            return f"{note} {more}"
        return note


async def moved(request: Request, path: str) -> RedirectResponse:
    """To where the page is now."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 308, {"Cache-Control": "no-store"})
