"""The page Users, for managers: who may log in and with which role, links to set a password, sessions, API tokens."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.languages import Text
from web.pages.forms import Form, form_value, page_with_form, read_form
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.texts import Texts
from web.person import CLOSED, ROLES, Person, mode_of, person_of
from web.security.accounts import LINK_HOURS, NAME, Account, Accounts
from web.security.accounts_file import AccountError
from web.security.password_pages import INVITED
from web.security.security_log import SecurityLog, log_event
from web.work_settings import WorkSettings

HERE = "users"
LONGEST_NAME = 40  # characters
LOGGED = {  # action -> event in the security log, as `python -m web` writes it
    "add": "user_added", "role": "user_role_changed", "link": "user_link_made", "logout": "user_logged_out",
    "remove": "user_removed", "revoke": "token_revoked",
}  # fmt: skip


@dataclass(frozen=True)
class UserRow:
    """A user or a token; times in the lender's time zone."""

    name: str
    role: str
    role_text: str
    used: str
    note: str  # sessions, or a link that waits; of a token its end
    is_self: bool


@dataclass(frozen=True)
class NewLink:
    """A link to set a password, shown this once; the page's language is that of who will use it too."""

    name: str
    path: str
    lead: str


@dataclass(frozen=True)
class UsersPage:
    """Users, tokens and the forms; without login only how to make the first user."""

    template: ClassVar[str] = "security/users.html"
    closed: bool
    users: tuple[UserRow, ...]
    tokens: tuple[UserRow, ...]
    roles: tuple[tuple[str, str], ...]
    link: NewLink | None
    problem: str
    typed: str
    longest: int = LONGEST_NAME


class Refused(Exception):
    """A change that is not made; the message is a key of `users.problem.` in the texts."""


class UserPages:
    """The routes."""

    def __init__(
        self, accounts: Accounts, title: Text, security_log: SecurityLog | None, settings: WorkSettings, ledger: bool
    ) -> None:
        self._accounts, self._title, self._settings, self._ledger = accounts, title, settings, ledger
        self._log = security_log or SecurityLog(None, 0)

    def routes(self) -> APIRouter:
        return page_with_form(HERE, self.show, self.change)

    async def show(self, request: Request, texts: Texts) -> Response:
        """The lists."""
        return await self._page(request, texts)

    async def change(self, request: Request, texts: Texts) -> Response:
        """One change; a link that it makes is on the page that answers, and on no other."""
        form, person = await read_form(request), person_of(request.scope)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        if person is None or person.machine or mode_of(request.scope) != CLOSED:
            log_event(request.scope, "role_refused", route=HERE, why="managers-change-users")
            return HTMLResponse("", 403, HEADERS)
        action, name = form_value(form, "action"), form_value(form, "name", LONGEST_NAME).lower()
        try:
            secret = await run_in_threadpool(self._apply, action, name, form, person)
        except Refused as refused:
            return await self._page(request, texts, str(refused), name)
        except AccountError:
            return await self._page(request, texts, "broken", name)
        self._log.write_for(request.scope, LOGGED[action], name=name, role=form_value(form, "role") or None)
        if secret is None:
            root = request.scope.get("root_path", "")
            return RedirectResponse(f"{root}{HOME[texts.language]}{HERE}", 303, {"Cache-Control": "no-store"})
        path = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
        link = f"{path}{HOME[texts.language]}{INVITED}#{secret}"
        lead = texts("users.link_lead", name=name, hours=LINK_HOURS)
        return await self._page(request, texts, link=NewLink(name, link, lead))

    def _apply(self, action: str, name: str, form: Form, person: Person) -> str | None:
        """Make a change; the secret of a link if it makes one. Raises `Refused` or `AccountError`."""
        role = form_value(form, "role")
        if action not in LOGGED:
            raise Refused("moved")
        if action == "add":
            if not NAME.fullmatch(name):
                raise Refused("name")
            if role not in ROLES:
                raise Refused("role")
            try:
                return self._accounts.invite(name, role)
            except AccountError as error:
                raise Refused("taken") from error
        if action == "revoke":
            if name not in {token.name for token in self._accounts.tokens()}:
                raise Refused("moved")
            self._accounts.remove(name, "token")
            return None
        if not self._accounts.knows(name):
            raise Refused("moved")
        if action == "link":
            return self._accounts.add_link(name)
        if action == "logout":
            self._accounts.end_sessions(name)
            return None
        if name == person.name:
            raise Refused("yourself")  # so a manager is always left
        if action == "remove":
            self._accounts.remove(name, "user")
        elif role in ROLES:
            self._accounts.set_role(name, role)
        else:
            raise Refused("role")
        return None

    async def _page(
        self, request: Request, texts: Texts, problem: str = "", typed: str = "", link: NewLink | None = None
    ) -> Response:
        person = person_of(request.scope)
        closed = mode_of(request.scope) == CLOSED
        users, tokens = await run_in_threadpool(self._rows, texts, person) if closed else ((), ())
        view = UsersPage(
            closed, users, tokens, tuple((role, texts(f"role.{role}")) for role in ROLES), link,
            texts(f"users.problem.{problem}") if problem else "", typed,
        )  # fmt: skip
        around = frame(self._title[texts.language], texts, HERE, scope=request.scope, ledger=self._ledger)
        return HTMLResponse(page(view, texts, around), 422 if problem else 200, HEADERS)

    def _rows(self, texts: Texts, person: Person | None) -> tuple[tuple[UserRow, ...], tuple[UserRow, ...]]:
        sessions, links = self._accounts.sessions(), self._accounts.links()
        users = []
        for account in self._accounts.users():
            count = sum(session.name == account.name for session in sessions)
            notes = [texts("users.sessions_one" if count == 1 else "users.sessions", count=count)] if count else []
            if account.name in links:
                notes.append(texts("users.link_waits", until=self._moment(links[account.name])))
            is_self = person is not None and person.name == account.name
            users.append(self._row(account, texts, "; ".join(notes), is_self))
        tokens = [
            self._row(token, texts, texts("users.ends", day=self._moment(token.expires)) if token.expires else "")
            for token in self._accounts.tokens()
        ]
        return tuple(users), tuple(tokens)

    def _row(self, account: Account, texts: Texts, note: str, is_self: bool = False) -> UserRow:
        used = texts("users.never") if account.used is None else self._moment(account.used)
        role = texts(f"role.{account.role}")
        return UserRow(account.name, account.role, role, used, note, is_self)

    def _moment(self, time: float) -> str:
        return self._settings.moment(datetime.fromtimestamp(time, UTC).isoformat())
