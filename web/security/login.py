"""The login page, and logging out."""

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
from web.security.accounts import Accounts
from web.security.accounts_file import AccountError
from web.security.authentication import ABSOLUTE
from web.security.entrance import COOKIE, session_cookie
from web.security.security_log import SecurityLog
from web.security.throttle import Throttle, tries

LONGEST_NAME = 40  # characters
DEVICE_COOKIE = "tenfold-device"
A_YEAR = 365 * 86_400
AT_ONCE = 2  # passwords that are checked at the same time: argon2id needs 64 MB for each
# A path of this app, or a search in its history with the filters; it cannot lead to another site.
NEXT = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*/?|(?:fr/)?history\?[A-Za-z0-9._~%&=+-]+")


@dataclass(frozen=True)
class LoginPage:
    """The login form, with an error message if the last attempt failed."""

    template: ClassVar[str] = "security/login.html"
    name: str
    next_path: str  # where to go after logging in, or empty
    problem: str
    longest_name: int = LONGEST_NAME


class Login:
    """The routes to log in and out."""

    def __init__(
        self,
        accounts: Accounts,
        title: Text,
        throttle: Throttle | None = None,
        security_log: SecurityLog | None = None,
        first_page: str = "",
    ) -> None:
        """`first_page` is the path below a language's root that a login leads to; empty for the desk."""
        self._first_page = first_page
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
        """Show the form; somebody who is logged in or needs no login is redirected."""
        next_path = request.query_params.get("next", "")
        if person_of(request.scope) or mode_of(request.scope) != CLOSED:
            return self.onward(request, texts, next_path)
        return self.page(request, texts, next_path)

    async def enter(self, request: Request, texts: Texts) -> Response:
        """Start a session if name and password are right. The response does not tell which of them was wrong."""
        form = await read_form(request)
        if form is None:
            return Response("", 413, HEADERS)
        # A password is used as typed: spaces count.
        name, password = form_value(form, "name", LONGEST_NAME).lower(), (form.get("password") or [""])[0]
        next_path = form_value(form, "next")
        address = request.client.host if request.client else ""
        try:
            device = request.cookies.get(DEVICE_COOKIE, "")
            attempts = tries(name, address, device if self._accounts.knows_device(name, device) else None)
        except AccountError:
            return self.page(request, texts, next_path, name, texts("login.broken"), 503)
        if (delay := self._throttle.wait(attempts)) > 0:
            seconds = math.ceil(delay)
            self._log.write_for(request.scope, "login_throttled", wait_s=seconds)
            answer = self.page(request, texts, next_path, name, texts("login.wait", seconds=seconds), 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        try:
            async with self._checking:
                cookie = await run_in_threadpool(self._accounts.log_in, name, password)
            if cookie is None:
                # Log only existing names, since people type passwords into the wrong box.
                known = name if self._accounts.knows(name) else None
                self._log.write_for(request.scope, "login_failed", user=known)
                return self.page(request, texts, next_path, name, texts("login.wrong"), 401)
            self._throttle.forgive(attempts)
            # End the browser's previous session, against session fixation.
            self._log.write_for(request.scope, "login", user=name)
            if before := session_cookie(request.headers.get("cookie", "")):
                await run_in_threadpool(self._accounts.log_out, before)
        except AccountError:
            return self.page(request, texts, next_path, name, texts("login.broken"), 503)
        answer = self.onward(request, texts, next_path)
        answer.headers.append("Set-Cookie", set_cookie(request, cookie, ABSOLUTE))
        answer.headers.append("Set-Cookie", set_cookie(request, self._accounts.device(name), A_YEAR, DEVICE_COOKIE))
        return answer

    async def leave(self, request: Request, texts: Texts) -> Response:
        """End the session, on the server and in the browser."""
        try:
            await run_in_threadpool(self._accounts.log_out, session_cookie(request.headers.get("cookie", "")))
        except AccountError:
            return self.page(request, texts, "", "", texts("login.broken"), 503)
        self._log.write_for(request.scope, "logout")
        root = request.scope.get("root_path", "")
        answer = RedirectResponse(f"{root}{HOME[texts.language]}login", 303, {"Cache-Control": "no-store"})
        answer.headers.append("Set-Cookie", set_cookie(request, "", 0))
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    def onward(self, request: Request, texts: Texts, next_path: str) -> Response:
        """Redirect to the requested page, or to the first one; never to another site."""
        if not NEXT.fullmatch(next_path):
            next_path = HOME[texts.language].lstrip("/") + self._first_page
        target = f"{request.scope.get('root_path', '')}/{quote(next_path, safe='/?&=%+')}"
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})

    def page(
        self, request: Request, texts: Texts, next_path: str, name: str = "", problem: str = "", status: int = 200
    ) -> Response:
        """The login page, with an error message if there is one."""
        view = LoginPage(name, next_path if NEXT.fullmatch(next_path) else "", problem)
        page_frame = frame(self._title[texts.language], texts, "login", scope=request.scope)
        return HTMLResponse(page(view, texts, page_frame), status, HEADERS)


def set_cookie(request: Request, value: str, seconds: int, name: str = COOKIE) -> str:
    """A Set-Cookie header: HttpOnly, SameSite=Lax, and Secure if the request came over TLS."""
    cookies = SimpleCookie({name: value})
    morsel = cookies[name]
    morsel["path"], morsel["max-age"] = request.scope.get("root_path", "") or "/", seconds
    morsel["httponly"], morsel["samesite"] = True, "Lax"
    if request.url.scheme == "https":
        morsel["secure"] = True
    return morsel.OutputString()
