"""The history of cases, with search, filters and paging; and how often officers overrode the suggestion.

Searches are sent as POST, since a reference identifies an applicant and URLs end up in logs. A link to a search has the
other filters.
"""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from inference.number_format import write_number, write_percent
from inference.scorer import Scorer
from ledger import cases, queries
from ledger.cases import Case
from ledger.decisions import DECISIONS
from ledger.ledger import Ledger
from ledger.overrides import decision_counts
from web.cases.decision_form import Choice
from web.cases.export import CSV, TYPES, Search, exported
from web.cases.listed import IN_ADDRESS, NOT_DECIDED, address, filters_from, page_of_cases
from web.cases.overrides import last_months, overrides_page
from web.cases.routes import readable
from web.lender import Lender
from web.pages.answers import LONGEST_REFERENCE
from web.pages.forms import Form, form_value, read_form
from web.pages.frame import HEADERS, frame, page, problem_page
from web.pages.languages import HOME
from web.pages.templates import View
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import only_of, person_of
from web.work_settings import WorkSettings

NAMES = ("history.open", "history.waiting_all", "withdraw.done")  # of NOT_DECIDED
PAGE = 50  # cases
COLUMNS = ("seq", "time", "reference", "pd", "suggested", "decision", "by")


@dataclass(frozen=True)
class Question:
    """An input of the search form, or a list to choose from."""

    name: str
    label: str
    kind: str  # of the box
    value: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class CaseRow:
    """A case with the score that was decided on; `path` leads to its page."""

    path: str
    seq: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class HistoryPage:
    """A page of cases, the newest first."""

    template: ClassVar[str] = "cases/history.html"
    questions: tuple[Question, ...]
    columns: tuple[str, ...]
    rows: tuple[CaseRow, ...]
    filters: tuple[tuple[str, str], ...]  # sent again for the next page
    has_newer: bool
    older: int | None  # the next page has the records before this sequence number
    link: str  # to this search, without the reference; empty where nothing else is searched by, or found
    link_says: str
    sees_all: bool


class HistoryPages:
    """The routes of the history and of the overrides."""

    def __init__(self, scorer: Scorer, ledger: Ledger, lender: Lender) -> None:
        self._ledger, self._lender, self._title = ledger, lender, scorer.release.manifest.title
        amount = scorer.release.policy.amount_at
        self._amount = None if amount is None else scorer.release.form.names[amount]

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            texts = texts_in(language)
            path = f"{HOME[language]}history"
            router.add_route(path, readable(self.cases_page, texts, self._title), methods=["GET", "POST"])
            router.add_route(f"{path}/export", readable(self.export, texts, self._title), methods=["POST"])
            router.add_route(f"{path}/overrides", readable(self.overrides, texts, self._title), methods=["GET"])
        return router

    async def cases_page(self, request: Request, texts: Texts) -> Response:
        """A page of cases, the newest first."""
        form: Form | None
        if request.method == "POST":
            form = await read_form(request)
        else:
            form = {name: [text] for name, text in request.query_params.items() if name in IN_ADDRESS}
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        filters, person, zone = filters_from(form), person_of(request.scope), self._lender.work.zone
        before = form_value(form, "before")
        before_seq = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None

        found_cases = await self._ledger.search(
            lambda connection: page_of_cases(connection, PAGE + 1, before_seq, filters, only_of(person), zone)
        )
        view = HistoryPage(
            questions=questions(form, texts),
            columns=tuple(texts(f"history.{name}", zone=zone.key) for name in COLUMNS),
            rows=tuple(row(case, texts, self._lender.work) for case in found_cases[:PAGE]),
            filters=tuple(filters.items()),
            has_newer=before_seq is not None,
            older=found_cases[PAGE - 1].first.seq if len(found_cases) > PAGE else None,
            # Where nothing matches, what was typed may be no officer's name, and has no place in an address.
            link=f"history?{query}" if found_cases and (query := address(filters)) else "",
            link_says=texts("history.link_without" if "reference" in filters else "history.link"),
            sees_all=person is None or person.sees_all,
        )
        return self._page(request, view, texts, "history")

    async def export(self, request: Request, texts: Texts) -> Response:
        """All cases of a search as a file: those that the page would show, page after page."""
        form = await read_form(request)
        if form is None or (kind := form_value(form, "format")) not in TYPES:
            return HTMLResponse("", 413 if form is None else 422, HEADERS)
        search = Search(filters_from(form), only_of(person_of(request.scope)), self._lender.work.zone)
        # Before anything is sent: a ledger that cannot be read is a page, not a file that ends early.
        fits = kind == CSV or await self._ledger.search(search.fits_a_sheet)
        await self._ledger.search(lambda connection: page_of_cases(connection, 1, None, *search))
        if not fits:
            content = problem_page("sheet_full", texts, "history", self._title[texts.language], request.scope)
            return HTMLResponse(content, 422, HEADERS)
        name = f'attachment; filename="cases.{kind}"'
        content_of_file = exported(self._ledger, search, kind, request.scope)
        return StreamingResponse(content_of_file, 200, {**HEADERS, "Content-Disposition": name}, TYPES[kind])

    async def overrides(self, request: Request, texts: Texts) -> Response:
        """What was decided over time, and how often against the suggestion, by months of the lender's time zone."""
        zone = self._lender.work.zone
        months = last_months(self._lender.work.today())
        directions = await self._ledger.search(lambda connection: queries.directions(connection, zone))
        counts = await self._ledger.search(
            lambda connection: decision_counts(connection, months[0], self._amount, zone)
        )
        view = overrides_page(directions, counts, months, self._lender, texts)
        return self._page(request, view, texts, "history/overrides")

    def _page(self, request: Request, view: View, texts: Texts, path: str) -> Response:
        page_frame = frame(self._title[texts.language], texts, path, scope=request.scope)
        return HTMLResponse(page(view, texts, page_frame), headers=HEADERS)


def questions(form: Form, texts: Texts) -> tuple[Question, ...]:
    """The search form, filled with the values that were sent."""

    def box(name: str, kind: str = "search") -> Question:
        return Question(name, texts(f"history.{name}"), kind, form_value(form, name, LONGEST_REFERENCE))

    def choose(name: str, options: dict[str, str]) -> Question:
        pairs = {"": texts("history.any"), **options}.items()
        choices = tuple(Choice(value, text, value == form_value(form, name)) for value, text in pairs)
        return Question(name, texts(f"history.{name}"), "", "", choices)

    decisions = dict(zip(NOT_DECIDED, map(texts, NAMES), strict=True)) | {
        name: texts(f"decided.{name}") for name in DECISIONS
    }
    return (
        box("reference"), box("since", "date"), box("until", "date"), box("by"), choose("decision", decisions),
        choose("overridden", {name: texts(f"history.{name}") for name in ("yes", "no")}),
    )  # fmt: skip


def row(case: Case, texts: Texts, settings: WorkSettings) -> CaseRow:
    """A case as a row of the table."""
    first, score, decision = case.first, case.score, case.decision
    outcome, by = texts("history.open"), ""
    if case.withdrawn is not None:
        by, outcome = case.withdrawn.by, texts("withdraw.done")
    elif decision is not None:
        by, outcome = decision.by, texts(f"decided.{decision.decision}")
        if not cases.in_force(decision, case.second):
            outcome = texts("history.not_agreed" if case.second else "history.waiting", decision=outcome)
        elif decision.overridden:
            outcome = texts("history.other", decision=outcome)
    cells = (
        settings.moment(first.time), first.reference or "", write_percent(score.pd, texts.language),
        texts(f"decision.{score.suggested}"), outcome, by,
    )  # fmt: skip
    return CaseRow(f"record/{quote(first.id)}", write_number(first.seq, texts.language), cells)
