"""Visits of a demonstration: what a visitor scores and decides is kept for them in memory, for an hour after its last
use, and for nobody else.

A visit is known by a token. The server makes it for a visitor's first score or look at the history; the page keeps it
in the tab's memory and sends it in a header. It is in no cookie, which would fail in another site's frame, in no
storage and in no address, so that a page that is loaded anew has none. Requests that carry a token are answered by the
pages that a ledger brings along, over the visitor's own ledger (ledger/memory.py); all others as ever.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.measure import Clock
from ledger.memory import CURRENT, MOST_VISITS, MemoryLedgers, MemoryStore
from web.pages.languages import HOME

HEADER = "Tenfold-Visit"
NEW = "new"  # in the header: a visit is wanted; a token after it is that of one that ends
SECONDS = 3600.0  # after its last use
BEGINNING = frozenset(f"{home}{page}" for home in HOME.values() for page in ("desk/score", "history"))
HEADERS = {"Cache-Control": "no-store"}


@dataclass
class Visit:
    """One visitor's ledger, and when it was last used."""

    store: MemoryStore
    used: float


class Visits:
    """All visits, the one used last at the end. Used on the event loop only."""

    def __init__(self, ledgers: MemoryLedgers, clock: Clock | None = None) -> None:
        self._ledgers, self._clock = ledgers, clock or Clock()
        self._visits: dict[str, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    async def begin(self) -> tuple[str, MemoryStore]:
        """A new visit: its token, which cannot be guessed, and its ledger's store."""
        store, token = await run_in_threadpool(self._ledgers.new_store), secrets.token_hex(16)
        self.sweep()
        if not self._visits:
            asyncio.get_running_loop().call_later(SECONDS, self._sweep_again)
        self._visits[token] = Visit(store, self._clock.monotonic())
        while len(self._visits) > MOST_VISITS:  # the one used the longest time ago goes
            del self._visits[next(iter(self._visits))]
        return token, store

    def store(self, token: str) -> MemoryStore | None:
        """The ledger's store of a visit, which is used now; None if there is no such visit, or not any longer."""
        self.sweep()
        visit = self._visits.pop(token, None)
        if visit is None:
            return None
        self._visits[token] = Visit(visit.store, self._clock.monotonic())
        return visit.store

    def end(self, token: str) -> None:
        """Forget a visit; its database goes with the last request that uses it."""
        self._visits.pop(token, None)

    def sweep(self) -> None:
        """Forget what was not used for an hour."""
        while self._visits:
            oldest = next(iter(self._visits))
            if self._clock.monotonic() - self._visits[oldest].used < SECONDS:
                return
            del self._visits[oldest]

    def _sweep_again(self) -> None:
        """Sweep although nobody comes, and once more when the next visit is over."""
        self.sweep()
        if self._visits:
            left = next(iter(self._visits.values())).used + SECONDS - self._clock.monotonic()
            asyncio.get_running_loop().call_later(max(left, 1.0), self._sweep_again)


class VisitPages:
    """ASGI middleware: requests of a visit are answered over its ledger, as far as these routes go."""

    def __init__(self, app: ASGIApp, visits: Visits, routes: Iterable[BaseRoute]) -> None:
        self._app, self._visits, self._routes = app, visits, tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route, named = (None, "") if scope["type"] != "http" else (self._route(scope), header(scope))
        begins = named.partition(" ")[0] == NEW
        if not named or route is None or (begins and path_of(scope) not in BEGINNING):
            await self._app(scope, receive, send)
            return
        if begins:
            self._visits.end(named.partition(" ")[2])
            token, store = await self._visits.begin()
        else:
            token, current = named, self._visits.store(named)
            if current is None:
                await Response("", 410, HEADERS)(scope, receive, send)
                return
            store = current

        async def send_with_token(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = token
            await send(message)

        before = CURRENT.set(store)
        try:
            _, matched = route.matches(scope)
            await route.handle({**scope, **matched}, receive, send_with_token if begins else send)
        except HTTPException as error:
            await Response("", error.status_code, HEADERS)(scope, receive, send)
        finally:
            CURRENT.reset(before)

    def _route(self, scope: Scope) -> BaseRoute | None:
        """The route for a request; None if it is not one of these."""
        return next((route for route in self._routes if route.matches(scope)[0] == Match.FULL), None)


def path_of(scope: Scope) -> str:
    """The path below the app's root."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def header(scope: Scope) -> str:
    """The visit that a request names; empty if none."""
    name = HEADER.lower().encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
