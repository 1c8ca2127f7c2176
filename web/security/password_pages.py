"""Setting a password: one's own, or by a link that a manager made, which can be used once.

The link's secret stands behind `#`, which a browser sends to no server, so it is in no log; the page's script puts it
into the form.
"""

import asyncio
import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.languages import Text
from web.pages.forms import form_value, read_form
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, mode_of, person_of
from web.security.accounts import Accounts
from web.security.accounts_file import AccountError
from web.security.authentication import ABSOLUTE
from web.security.login import AT_ONCE, set_cookie
from web.security.passwords import LONGEST, SHORTEST, password_problem
from web.security.security_log import SecurityLog
from web.security.throttle import Throttle, tries

OWN, INVITED = "password", "invitation"
LONGEST_SECRET = 100  # characters


@dataclass(frozen=True)
class PasswordPage:
    """The form: the present password where it is one's own, and the new one twice; or that it is done."""

    template: ClassVar[str] = "security/password.html"
    own: bool
    lead: str
    problem: str
    done: bool


class PasswordPages:
    """The routes of both pages."""

    def __init__(
        self, accounts: Accounts, title: Text, throttle: Throttle, security_log: SecurityLog | None, ledger: bool
    ) -> None:
        self._accounts, self._title, self._throttle, self._ledger = accounts, title, throttle, ledger
        self._log = security_log or SecurityLog(None, 0)
        self._checking = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            for here, send in ((OWN, self.change), (INVITED, self.accept)):
                texts, path = texts_in(language), f"{HOME[language]}{here}"
                router.add_route(path, partial(self.show, texts=texts, here=here), methods=["GET"])
                router.add_route(path, partial(send, texts=texts), methods=["POST"])
        return router

    async def show(self, request: Request, texts: Texts, here: str) -> Response:
        """The empty form."""
        return self._page(request, texts, here)

    async def change(self, request: Request, texts: Texts) -> Response:
        """One's own password: the present one must be right. Other sessions end; this browser gets a new one."""
        form, person = await read_form(request), person_of(request.scope)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        if person is None or person.machine or mode_of(request.scope) != CLOSED:
            return HTMLResponse("", 403, HEADERS)
        present, wanted = typed(form, "present"), typed(form, "password")
        if problem := self._problem(person.name, wanted, typed(form, "again"), texts):
            return self._page(request, texts, OWN, problem, 422)
        attempts = tries(person.name, request.client.host if request.client else "", None)
        if (delay := self._throttle.wait(attempts)) > 0:
            return self._page(request, texts, OWN, texts("login.wait", seconds=math.ceil(delay)), 429)
        try:
            async with self._checking:
                if not await run_in_threadpool(self._accounts.is_password, person.name, present):
                    self._log.write_for(request.scope, "password_refused")
                    return self._page(request, texts, OWN, texts("password.wrong"), 401)
                self._throttle.forgive(attempts)
                await run_in_threadpool(self._accounts.set_password, person.name, wanted)
                cookie = await run_in_threadpool(self._accounts.log_in, person.name, wanted)
        except AccountError:
            return self._page(request, texts, OWN, texts("login.broken"), 503)
        self._log.write_for(request.scope, "user_password_changed", name=person.name)
        answer = self._page(request, texts, OWN, done=True)
        answer.headers.append("Set-Cookie", set_cookie(request, cookie or "", ABSOLUTE))
        return answer

    async def accept(self, request: Request, texts: Texts) -> Response:
        """The password of whom a link is for. What is wrong with a link is not told: it is not valid."""
        form = await read_form(request)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        secret, wanted = form_value(form, "link", LONGEST_SECRET), typed(form, "password")
        try:
            name = await run_in_threadpool(self._accounts.by_link, secret)
            if name is None:
                self._log.write_for(request.scope, "link_refused")
                return self._page(request, texts, INVITED, texts("password.no_link"), 404)
            if problem := self._problem(name, wanted, typed(form, "again"), texts):
                return self._page(request, texts, INVITED, problem, 422)
            async with self._checking:
                if await run_in_threadpool(self._accounts.use_link, secret, wanted) is None:
                    return self._page(request, texts, INVITED, texts("password.no_link"), 404)
        except AccountError:
            return self._page(request, texts, INVITED, texts("login.broken"), 503)
        self._log.write_for(request.scope, "link_used", name=name)
        return self._page(request, texts, INVITED, done=True)

    def _problem(self, name: str, password: str, again: str, texts: Texts) -> str:
        """Why this password cannot be set, in words; an empty string if it can."""
        if password != again:
            return texts("password.differ")
        if not SHORTEST <= len(password) <= LONGEST:
            return texts("password.length", shortest=SHORTEST, longest=LONGEST)
        return texts("password.guessed") if password_problem(name, password) else ""

    def _page(
        self, request: Request, texts: Texts, here: str, problem: str = "", status: int = 200, done: bool = False
    ) -> Response:
        own = here == OWN
        view = PasswordPage(own, texts(f"{here}.lead", shortest=SHORTEST), problem, done)
        around = frame(self._title[texts.language], texts, here, scope=request.scope, ledger=self._ledger)
        return HTMLResponse(page(view, texts, around), status, HEADERS)


def typed(form: dict[str, list[str]], name: str) -> str:
    """A password as it was typed: spaces count."""
    return (form.get(name) or [""])[0]
