"""The page Work: what waits to be decided, approved or looked at again, due first; and forms that were begun."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar
from urllib.parse import quote

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.number_format import write_number, write_percent
from inference.release import Release
from ledger.cases import Case
from ledger.drafts import Drafts
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from web.cases.routes import readable
from web.cases.status import age, due
from web.cases.waiting import MOST, amount, lists_of, waiting
from web.lender import Lender
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import Person, person_of

AT_ONCE = 10  # cases of each list on the page Work
PAGE = 50  # cases of a list's own page
EMPTY_FORM = "./?draft=new"  # of a new application: no form has that key


@dataclass(frozen=True)
class Cell:
    """A cell of a row; `mark` says that it is overdue or soon due."""

    column: str
    text: str
    more: str = ""
    mark: str = ""


@dataclass(frozen=True)
class WorkRow:
    """A case; `path` leads to its page."""

    path: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class WorkList:
    """A list of cases, due first."""

    name: str
    title: str
    count: str
    rows: tuple[WorkRow, ...]
    more: str  # the way to the rest, or an empty string


@dataclass(frozen=True)
class DraftRow:
    """A form that was begun; `path` leads to it."""

    path: str
    name: str
    changed: str


@dataclass(frozen=True)
class WorkPage:
    """All lists that have something, and the drafts; or one list with all its pages."""

    template: ClassVar[str] = "cases/work.html"
    title: str
    columns: tuple[tuple[str, str], ...]  # name and heading
    lists: tuple[WorkList, ...]
    drafts: tuple[DraftRow, ...]
    back: bool  # whether it is a list's own page
    new: str  # the way to a new application


class WorkPages:
    """The routes, for the cases of one ledger."""

    def __init__(self, ledger: Ledger, lender: Lender, release: Release, drafts: Drafts | None) -> None:
        self._ledger, self._settings, self._release, self._drafts = ledger, lender.work, release, drafts
        self._title = release.manifest.title

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            texts = texts_in(language)
            path = f"{HOME[language]}work"
            router.add_route(path, readable(self.all_lists, texts, self._title), methods=["GET"])
            router.add_route(path + "/{name}", readable(self.one_list, texts, self._title), methods=["GET"])
        return router

    async def all_lists(self, request: Request, texts: Texts) -> Response:
        """The first cases of every list."""
        person = person_of(request.scope)
        names = lists_of(person)
        lists = await self._ledger.search(
            lambda connection: [self._list(connection, name, person, texts, AT_ONCE, "", "work/") for name in names]
        )
        drafts = await run_in_threadpool(self._begun, person, texts)
        return self._page(request, texts, "work", tuple(lists), drafts)

    async def one_list(self, request: Request, texts: Texts) -> Response:
        """A page of one list."""
        name, person = request.path_params["name"], person_of(request.scope)
        after = request.query_params.get("after", "")
        if name not in lists_of(person):
            raise HTTPException(404, "no such list")
        listed = await self._ledger.search(
            lambda connection: self._list(connection, name, person, texts, PAGE, after, "")
        )
        return self._page(request, texts, f"work/{name}", (listed,), ())

    def _page(
        self, request: Request, texts: Texts, here: str, lists: tuple[WorkList, ...], drafts: tuple[DraftRow, ...]
    ) -> Response:
        columns = tuple((name, self._heading(name, texts)) for name in self._settings.columns)
        back = here != "work"
        view = WorkPage(lists[0].title if back else texts("work.title"), columns, lists, drafts, back, EMPTY_FORM)
        page_frame = frame(self._title[texts.language], texts, here, scope=request.scope)
        return HTMLResponse(page(view, texts, page_frame), headers=HEADERS)

    def _heading(self, column: str, texts: Texts) -> str:
        if column == "applicant" and self._settings.applicant is not None:
            return self._settings.applicant[texts.language]
        return texts(f"work.{column}")

    def _list(
        self, connection: sa.Connection, name: str, person: Person | None, texts: Texts, most: int,
        after: str, way: str,
    ) -> WorkList:  # fmt: skip
        """One list as this visitor sees it, from `after` on."""
        shown, today = waiting(connection, name, person, most, after), self._settings.today()
        more = "" if not shown.after else f"{way}{name}" if way else f"{name}?after={shown.after}"
        count = shown.count
        return WorkList(
            name=name,
            title=texts(f"work.list_{name}"),
            count=write_number(count, texts.language) if count < MOST else f"{write_number(MOST - 1, texts.language)}+",
            rows=tuple(self._row(case, "" if way else "../", texts, today) for case in shown.cases),
            more=more,
        )

    def _row(self, case: Case, up: str, texts: Texts, today: date) -> WorkRow:
        cells = tuple(self._cell(name, case, texts, today) for name in self._settings.columns)
        return WorkRow(f"{up}record/{quote(case.first.id)}", cells)

    def _cell(self, column: str, case: Case, texts: Texts, today: date) -> Cell:
        score, decision = case.score, case.decision
        match column:
            case "reference":
                number = texts("work.number", seq=write_number(case.first.seq, texts.language))
                return Cell(column, case.first.reference or number)
            case "applicant":
                return Cell(column, score.applicant or "")
            case "amount":
                lent = amount(case, self._release)
                return Cell(column, "" if lent is None else write_number(lent, texts.language))
            case "age":
                return Cell(column, age(case, self._settings, texts, today))
            case "pd":
                return Cell(column, write_percent(score.pd, texts.language))
            case "decision":
                suggested = texts("work.suggested", decision=texts(f"decision.{score.suggested}"))
                return Cell(column, suggested if decision is None else texts(f"decided.{decision.decision}"))
            case "by":
                by, turn = (decision or case.first).by, case.turn
                return Cell(column, by, "" if turn in (None, by) else texts("work.turn", name=turn))
        when = due(case, self._settings, texts, today)
        return Cell(column, when.day, when.left, when.mark)

    def _begun(self, person: Person | None, texts: Texts) -> tuple[DraftRow, ...]:
        """Forms that this person has begun and not scored as they are now, for the release that serves."""
        if self._drafts is None or person is None or person.machine:
            return ()
        try:
            drafts = self._drafts.of(person.name)
        except LedgerUnavailable:
            return ()
        rows = []
        for draft in drafts:
            content = orjson.loads(draft.content)
            if not isinstance(content, dict) or content.get("release") != self._release.digest:
                continue
            if content.get("case") and not content.get("stale"):
                continue  # it is scored, and so in one of the lists
            reference = str(content.get("reference") or "").strip() or texts("drafts.no_reference")
            changed = datetime.fromtimestamp(draft.changed, UTC).isoformat()
            rows.append(DraftRow(f"./?draft={draft.id}", reference, self._settings.moment(changed)))
        return tuple(rows)
