"""One's own sessions: where somebody is logged in, and ending any of them. Managers end others' on the page Users."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.languages import Text
from web.pages.forms import form_value, page_with_form, read_form
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import Texts
from web.person import CLOSED, Person, mode_of, person_of
from web.security.accounts import Accounts
from web.security.entrance import session_cookie
from web.security.security_log import SecurityLog
from web.work_settings import WorkSettings

HERE, OTHERS = "sessions", "others"


@dataclass(frozen=True)
class SessionRow:
    """A session; times in the lender's time zone."""

    mark: str  # that the form sends
    created: str
    used: str
    is_this: bool  # whether the page was asked for with it


@dataclass(frozen=True)
class SessionsPage:
    """The sessions of who looks, the newest first."""

    template: ClassVar[str] = "security/sessions.html"
    rows: tuple[SessionRow, ...]
    others: bool  # whether there are others than this one


class SessionsPages:
    """The routes."""

    def __init__(
        self, accounts: Accounts, title: Text, security_log: SecurityLog | None, settings: WorkSettings, ledger: bool
    ) -> None:
        self._accounts, self._title, self._settings, self._ledger = accounts, title, settings, ledger
        self._log = security_log or SecurityLog(None, 0)

    def routes(self) -> APIRouter:
        return page_with_form(HERE, self.show, self.end)

    async def show(self, request: Request, texts: Texts) -> Response:
        """The list."""
        person = self._person(request)
        rows = () if person is None else await run_in_threadpool(self._rows, request, person)
        view = SessionsPage(rows, any(not row.is_this for row in rows))
        around = frame(self._title[texts.language], texts, HERE, scope=request.scope, ledger=self._ledger)
        return HTMLResponse(page(view, texts, around), headers=HEADERS)

    async def end(self, request: Request, texts: Texts) -> Response:
        """End one session, or all but this one; then the list, or the login for whom it was this one."""
        form, person = await read_form(request), self._person(request)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        if person is None:
            return HTMLResponse("", 403, HEADERS)
        wanted = form_value(form, "session")
        rows = await run_in_threadpool(self._rows, request, person)
        marks = [row.mark for row in rows if (not row.is_this if wanted == OTHERS else row.mark == wanted)]
        if await run_in_threadpool(self._accounts.end_own_sessions, person.name, marks):
            self._log.write_for(request.scope, "user_logged_out", name=person.name)
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}{HOME[texts.language]}{HERE}", 303, {"Cache-Control": "no-store"})

    def _person(self, request: Request) -> Person | None:
        """Who looks, if it is somebody who can have sessions."""
        person = person_of(request.scope)
        return None if person is None or person.machine or mode_of(request.scope) != CLOSED else person

    def _rows(self, request: Request, person: Person) -> tuple[SessionRow, ...]:
        sessions = self._accounts.own_sessions(person.name)
        this = self._accounts.session_mark(session_cookie(request.headers.get("cookie", "")))
        return tuple(
            SessionRow(mark, self._moment(session.created), self._moment(session.used), mark == this)
            for mark, session in sessions.items()
        )

    def _moment(self, time: float) -> str:
        return self._settings.moment(datetime.fromtimestamp(time, UTC).isoformat())
