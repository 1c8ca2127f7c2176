"""The page where people log in, and the way out."""

import asyncio
import math
import re
from dataclasses import dataclass
from functools import partial
from http.cookies import SimpleCookie
from typing import ClassVar
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.languages import Text
from web.pages.forms import form_value, read_form
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, mode_of, person_of
from web.security.accounts import ABSOLUTE, AccountError, Accounts
from web.security.entrance import COOKIE, session_cookie
from web.security.security_log import SecurityLog
from web.security.throttle import Throttle, tries

LONGEST_NAME = 40  # characters
DEVICE_COOKIE = "tenfold-device"
A_YEAR = 365 * 86_400
AT_ONCE = 2  # passwords that are checked at the same time: each takes 64 MB, on purpose
NEXT = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*/?")  # a path of ours, and nothing that leads elsewhere


@dataclass(frozen=True)
class LoginPage:
    """The form, with what went wrong."""

    template: ClassVar[str] = "security/login.html"
    name: str
    wanted: str  # the path to go on to, or nothing
    problem: str
    longest_name: int = LONGEST_NAME


class Login:
    """The routes, for one file of users."""

    def __init__(
        self,
        accounts: Accounts,
        title: Text,
        throttle: Throttle | None = None,
        security_log: SecurityLog | None = None,
    ) -> None:
        self._accounts, self._title, self._throttle = accounts, title, throttle or Throttle()
        self._log = security_log or SecurityLog(None, 0)
        self._checking = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            for name, function, method in (
                ("login", self.show, "GET"), ("login", self.enter, "POST"), ("logout", self.leave, "POST"),
            ):  # fmt: skip
                route = partial(function, texts=texts_in(language))
                router.add_route(f"{HOME[language]}{name}", route, methods=[method])
        return router

    async def show(self, request: Request, texts: Texts) -> Response:
        """The form; a visitor who is logged in, or needs no login, is sent on."""
        wanted = request.query_params.get("next", "")
        if person_of(request.scope) or mode_of(request.scope) != CLOSED:
            return self.onward(request, texts, wanted)
        return self.page(request, texts, wanted)

    async def enter(self, request: Request, texts: Texts) -> Response:
        """A session where name and password are right. Wrong ones are answered alike, whichever it was."""
        form = await read_form(request)
        if form is None:
            return Response("", 413, HEADERS)
        # A password is taken as it was typed: spaces count.
        name, password = form_value(form, "name", LONGEST_NAME).lower(), (form.get("password") or [""])[0]
        wanted = form_value(form, "next")
        address = request.client.host if request.client else ""
        try:
            device = request.cookies.get(DEVICE_COOKIE, "")
            tried = tries(name, address, device if self._accounts.knows_device(name, device) else None)
        except AccountError:
            return self.page(request, texts, wanted, name, texts("login.broken"), 503)
        if (left := self._throttle.wait(tried)) > 0:
            seconds = math.ceil(left)
            self._log.of(request.scope, "login_throttled", wait_s=seconds)
            answer = self.page(request, texts, wanted, name, texts("login.wait", seconds=seconds), 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        try:
            async with self._checking:
                cookie = await run_in_threadpool(self._accounts.log_in, name, password)
            if cookie is None:
                # Only a name that there is: passwords are typed into the wrong box.
                known = name if self._accounts.knows(name) else None
                self._log.of(request.scope, "login_failed", user=known)
                return self.page(request, texts, wanted, name, texts("login.wrong"), 401)
            self._throttle.forgive(tried)
            # Whatever session this browser had before is over: an id that somebody planted is worth nothing.
            self._log.of(request.scope, "login", user=name)
            if before := session_cookie(request.headers.get("cookie", "")):
                await run_in_threadpool(self._accounts.log_out, before)
        except AccountError:
            return self.page(request, texts, wanted, name, texts("login.broken"), 503)
        answer = self.onward(request, texts, wanted)
        answer.headers.append("Set-Cookie", set_cookie(request, cookie, ABSOLUTE))
        answer.headers.append("Set-Cookie", set_cookie(request, self._accounts.device(name), A_YEAR, DEVICE_COOKIE))
        return answer

    async def leave(self, request: Request, texts: Texts) -> Response:
        """The session is over, on the server too."""
        try:
            await run_in_threadpool(self._accounts.log_out, session_cookie(request.headers.get("cookie", "")))
        except AccountError:
            return self.page(request, texts, "", "", texts("login.broken"), 503)
        self._log.of(request.scope, "logout")
        root = request.scope.get("root_path", "")
        answer = RedirectResponse(f"{root}{HOME[texts.language]}login", 303, {"Cache-Control": "no-store"})
        answer.headers.append("Set-Cookie", set_cookie(request, "", 0))
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    def onward(self, request: Request, texts: Texts, wanted: str) -> Response:
        """To the page that was asked for, or to the desk. Only a path of ours is ever followed."""
        wanted = wanted if NEXT.fullmatch(wanted) else HOME[texts.language].lstrip("/")
        target = f"{request.scope.get('root_path', '')}/{quote(wanted, safe='/')}"
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})

    def page(
        self, request: Request, texts: Texts, wanted: str, name: str = "", said: str = "", status: int = 200
    ) -> Response:
        """The form, with what went wrong."""
        shown = LoginPage(name, wanted if NEXT.fullmatch(wanted) else "", said)
        around = frame(self._title[texts.language], texts, "login", scope=request.scope)
        return HTMLResponse(page(shown, texts, around), status, HEADERS)


def set_cookie(request: Request, value: str, seconds: int, name: str = COOKIE) -> str:
    """A cookie of ours: no script reads it, no other site sends it, and behind TLS nothing else carries it."""
    made = SimpleCookie({name: value})
    morsel = made[name]
    morsel["path"], morsel["max-age"] = request.scope.get("root_path", "") or "/", seconds
    morsel["httponly"], morsel["samesite"] = True, "Lax"
    if request.url.scheme == "https":
        morsel["secure"] = True
    return morsel.OutputString()
