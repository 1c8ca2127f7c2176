"""For managers: does the release that serves still hold? What became of its loans, and drift of what comes in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from inference.application import Form
from inference.measure import Clock
from inference.number_format import localised, write_number, write_percent
from inference.release import Release
from inference.watch.expected import LEAST_BAD, LIMIT, Month, month_name
from inference.watch.series import SCORE
from ledger import queries
from ledger.daily_counts import LEAST as LEAST_SCORES
from ledger.daily_counts import MonthOfScores
from ledger.errors import UNREADABLE, LedgerUnavailable
from ledger.events import OUTCOME, PURGED
from ledger.ledger import Ledger
from ledger.monitor import ALARM, CANNOT_SAY, LEAST, Monitored, NothingToMonitor, Rate, Wanted, monitor
from web.pages.charts import Chart, Figure, Table, column, rounded_up
from web.pages.figures import integer
from web.pages.frame import HEADERS, frame, page, problem_page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.work_settings import WorkSettings

HERE = "monitor"
NEVER = "–"
NEWEST = 12  # months of drift that are shown at once


@dataclass(frozen=True)
class MonitorPage:
    """The page. `facts` are counts of cases that are no loans, and other notes."""

    template: ClassVar[str] = "operations/monitor.html"
    state: str  # alarm, holds, cannot_say
    conclusion: tuple[str, ...]
    facts: tuple[str, ...]
    figures: tuple[Figure, ...]
    months: Table | None
    no_months: str  # why there are no months
    rates: tuple[tuple[str, Table], ...]  # title, and the table
    drift_note: str
    drift: Table | None  # the newest months
    drift_before: Table | None


class MonitorPages:
    """The page in every language, by months of the lender's time zone. It is worked out once a day, and anew after
    outcomes and purges: what was scored and decided today is in no month that is judged yet."""

    def __init__(self, release: Release, ledger: Ledger, settings: WorkSettings, clock: Clock | None = None) -> None:
        self._release, self._ledger, self._settings, self._clock = release, ledger, settings, clock
        self._known: tuple[object, Monitored | None] = (None, None)

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            router.add_route(
                f"{HOME[language]}{HERE}", partial(self.show, texts=texts_in(language)), methods=["GET"]
            )  # fmt: skip
        return router

    async def show(self, request: Request, texts: Texts) -> Response:
        """The page, or that the ledger cannot be read."""
        title = self._release.manifest.title[texts.language]
        try:
            monitored = await self._ledger.search(self.monitored)
        except (LedgerUnavailable, *UNREADABLE):
            return HTMLResponse(problem_page("unreadable", texts, HERE, title, request.scope), 503, HEADERS)
        around = frame(title, texts, HERE, scope=request.scope)
        return HTMLResponse(page(monitor_page(monitored, self._release, texts), texts, around), headers=HEADERS)

    def monitored(self, connection: sa.Connection) -> Monitored | None:
        """What there is to say of the release; None if it has not scored."""
        today = self._settings.today(self._clock).isoformat()
        state = (today, queries.last_of(connection, OUTCOME), queries.last_of(connection, PURGED))
        if self._known[0] != state:
            try:
                measured = monitor(connection, today, self.form_of, Wanted(self._release.digest), self._settings.zone)
            except NothingToMonitor:
                measured = None
            self._known = (state, measured)
        return self._known[1]

    def form_of(self, digest: str) -> Form | None:
        """The form of the release that serves."""
        return self._release.form if digest == self._release.digest else None


def monitor_page(monitored: Monitored | None, release: Release, texts: Texts) -> MonitorPage:
    """The page's content; `monitored` is None if the release has not scored."""
    if monitored is None:
        return MonitorPage(CANNOT_SAY, (texts("monitor.no_scores"),), (), (), None, "", (), "", None, None)
    watched = monitored.watched
    later = [row for row in watched.months if not row.reference] if watched else []
    no_months = "" if later else texts(
        "monitor.no_months", least=LEAST_BAD, reference=months_of(monitored.reference, texts),
        bad=integer(monitored.reference_bad, texts),
    )  # fmt: skip
    return MonitorPage(
        monitored.state, conclusion(monitored, release, texts), facts(monitored, texts),
        figures(later, texts) if later else (), months_table(later, texts) if later else None, no_months,
        tuple(
            (texts(f"monitor.{name}"), rates_table(name, rows, texts))
            for name, rows in (
                ("bands", monitored.bands), ("quarters", monitored.quarters), ("overrides", monitored.overrides)
            )
            if rows
        ),
        drift_note(monitored, texts), *drift_tables(monitored, release, texts),
    )  # fmt: skip


def conclusion(monitored: Monitored, release: Release, texts: Texts) -> tuple[str, ...]:
    """What a manager reads first."""
    if monitored.state != ALARM:
        return (texts(f"monitor.{monitored.state}"),)
    sentences = []
    if monitored.first_alarm:
        sentences.append(texts("monitor.alarm_bad", month=monitored.first_alarm))
    if monitored.drift_alarms:
        names = ", ".join(series_label(name, release, texts) for name in monitored.drift_alarms)
        sentences.append(texts("monitor.alarm_drift", series=names))
    return tuple(sentences)


def facts(monitored: Monitored, texts: Texts) -> tuple[str, ...]:
    """How many loans there are, and which cases are no loans."""
    lines = [texts("monitor.lent", count=integer(monitored.loans, texts))]
    if monitored.until:
        lines.append(texts("monitor.until", month=monitored.until))
    lines += [
        texts(f"monitor.not_lent.{reason}", count=integer(count, texts))
        for reason, count in sorted(monitored.not_lent.items())
    ]
    if monitored.other_cases:
        lines.append(texts("monitor.other_cases", count=integer(monitored.other_cases, texts)))
    if monitored.erased:
        lines.append(texts("monitor.erased", count=integer(monitored.erased, texts)))
    return tuple(lines)


def figures(rows: Sequence[Month], texts: Texts) -> tuple[Figure, ...]:
    """Bad loans with what was expected, and the CUSUM with its limit."""
    names = [texts("monitor.observed"), texts("monitor.expected")]
    observed = chart(
        "single observed", texts("monitor.bad_expected"), rows, [row.observed for row in rows],
        [row.expected for row in rows], names, texts,
    )  # fmt: skip
    sums = chart(
        "single cusum", texts("monitor.cusum"), rows, [row.cusum for row in rows], [LIMIT for _ in rows],
        [texts("monitor.cusum"), texts("monitor.limit")], texts,
    )  # fmt: skip
    return observed, sums


def chart(
    kind: str, title: str, rows: Sequence[Month], parts: Sequence[float], marks: Sequence[float], names: Sequence[str],
    texts: Texts,
) -> Figure:  # fmt: skip
    """A chart of months: bars, each with a mark."""
    top = rounded_up(max(*parts, *marks))
    columns = tuple(
        column(place / len(rows), 1 / len(rows), top, [part], [mark],
               f"{month_name(row.month)}: {names[0]} {decimal(part, texts)}, {names[1]} {decimal(mark, texts)}")
        for place, (row, part, mark) in enumerate(zip(rows, parts, marks, strict=True))
    )  # fmt: skip
    ends = (month_name(rows[0].month), month_name(rows[-1].month))
    drawn = Chart(kind, f"{title}. {columns[-1].says}", columns, write_number(top, texts.language), ends)
    return Figure(title, (("part-2", names[0]), ("mark-0", names[1])), drawn)


def months_table(rows: Sequence[Month], texts: Texts) -> Table:
    """The charts' figures, the newest first."""
    heads = ("month", "observed", "expected", "ratio", "cusum", "alarm")
    return Table(
        tuple(texts(f"monitor.{head}") for head in heads),
        tuple(
            (
                month_name(row.month), decimal(row.observed, texts, 0), decimal(row.expected, texts),
                decimal(row.observed / row.expected, texts, 2) if row.expected else NEVER, decimal(row.cusum, texts),
                texts("monitor.alarm") if row.alarm else "",
            )
            for row in reversed(rows)
        ),
    )  # fmt: skip


def rates_table(name: str, rows: Sequence[Rate], texts: Texts) -> Table:
    """Bad rates beside PDs."""
    heads = ("loans", "known", "bad", "mean_pd", "rate", "interval", "verdict")
    return Table(
        (texts(f"monitor.{name}_head"), *(texts(f"monitor.{head}") for head in heads)),
        tuple(
            (
                rate_name(name, row, texts), *(integer(count, texts) for count in (row.loans, row.known, row.bad)),
                write_percent(row.mean_pd, texts.language),
                texts("monitor.at_least", share=write_percent(row.at_least, texts.language))
                if math.isnan(row.rate) else write_percent(row.rate, texts.language),
                NEVER if math.isnan(row.rate) else
                f"{write_percent(row.low, texts.language)} – {write_percent(row.high, texts.language)}",
                texts(f"monitor.verdict.{row.verdict}", least=LEAST),
            )
            for row in rows
        ),
    )  # fmt: skip


def rate_name(kind: str, row: Rate, texts: Texts) -> str:
    """What a row of rates is called."""
    if kind == "overrides":
        return texts(f"monitor.direction.{row.name}")
    if kind == "quarters":
        year, _, quarter = row.name.partition(" Q")
        return texts("monitor.quarter", year=year, quarter=quarter)
    return localised(row.name, texts.language)


def drift_note(monitored: Monitored, texts: Texts) -> str:
    """Against what drift is measured, or why it is not."""
    drift = monitored.drift
    if drift.too_few:
        return texts("monitor.drift_too_few", least=LEAST_SCORES, reference=months_of(drift.reference, texts))
    note = texts(
        "monitor.drift_note", reference=months_of(drift.reference, texts), count=integer(drift.scores, texts)
    )  # fmt: skip
    return f"{note} {texts('monitor.drift_erased', count=integer(drift.erased, texts))}" if drift.erased else note


def drift_tables(monitored: Monitored, release: Release, texts: Texts) -> tuple[Table | None, Table | None]:
    """The months, the newest first: the score's PSI, and what lies above its limit; first a year, then the rest."""
    drift = monitored.drift
    if drift.too_few:
        return None, None
    heads = tuple(texts(f"monitor.{head}") for head in ("month", "scores", "score_psi", "score_limit", "drifted"))
    rows = tuple(drift_row(row, release, texts) for row in reversed(drift.months))
    return Table(heads, rows[:NEWEST]), Table(heads, rows[NEWEST:]) if rows[NEWEST:] else None


def drift_row(row: MonthOfScores, release: Release, texts: Texts) -> tuple[str, ...]:
    """A month of scores."""
    if not row.drift:
        return month_name(row.month), integer(row.scores, texts), NEVER, NEVER, texts("monitor.too_few_scores")
    above = [
        f"{series_label(name, release, texts)} {decimal(series.psi, texts, 2)}"
        for name, series in row.drift.items()
        if series.alarm
    ]
    score = row.drift.get(SCORE)
    figures = ("psi", "limit") if score else ()
    return (
        month_name(row.month), integer(row.scores, texts),
        *(decimal(getattr(score, figure), texts, 2) for figure in figures), *([] if score else [NEVER, NEVER]),
        ", ".join(above) or texts("monitor.nothing_drifted"),
    )  # fmt: skip


def series_label(name: str, release: Release, texts: Texts) -> str:
    """What a series is called on the form."""
    if name == SCORE:
        return texts("monitor.score")
    field = release.form.fields[release.form.names.index(name)]
    return field.label[texts.language]


def months_of(reference: str, texts: Texts) -> str:
    """A reference's months in the page's language."""
    first, _, last = reference.partition(" to ")
    return texts("monitor.months", first=first, last=last)


def decimal(value: float, texts: Texts, digits: int = 1) -> str:
    """A number with so many decimals."""
    return localised(f"{value:,.{digits}f}", texts.language)
