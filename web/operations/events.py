"""For managers: the events that go to other systems, what waits at which endpoint, and sending one again or a test."""

import time
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.languages import Words
from ledger import outbox, queries
from ledger.endpoints import Webhooks
from ledger.errors import UNREADABLE, LedgerUnavailable
from ledger.ledger import Ledger
from ledger.outbox import STATES, Delivery, EndpointState
from ledger.records import iso_time
from ledger.webhooks import send_test
from web.pages.forms import LONGEST_NAME, form_value, page_with_form, read_form
from web.pages.frame import HEADERS, Link, frame, page, problem_page, root_from
from web.pages.languages import HOME
from web.pages.texts import Texts
from web.work_settings import WorkSettings

HERE = "events"
LISTED = 50  # deliveries on a page
SEND, SEND_FAILED, TEST = "send", "failed", "test"  # what a form asks for


@dataclass(frozen=True)
class EndpointCard:
    """One endpoint. `facts` are pairs of a name and a value."""

    name: str
    facts: tuple[tuple[str, str], ...]
    warning: str
    can_test: bool
    can_send_failed: bool


@dataclass(frozen=True)
class DeliveryRow:
    """One delivery. `problem` is in English if `status` is empty: words for what went wrong with the network."""

    number: int
    added: str
    endpoint: str
    event: str
    case: str  # the path of the case's page, or nothing
    state: str
    tries: int
    status: str
    problem: str
    next: str
    can_send: bool


@dataclass(frozen=True)
class EventsPage:
    """The endpoints, and deliveries, the newest first."""

    template: ClassVar[str] = "operations/events.html"
    message: str  # how what was asked for went
    went_wrong: bool
    endpoints: tuple[EndpointCard, ...]  # empty where the settings name none, and none was ever sent to
    filters: tuple[Link, ...]
    rows: tuple[DeliveryRow, ...]
    older: str  # the path of the next page, or nothing


class EventsPages:
    """The pages, in English and French, for a ledger and the endpoints of the settings."""

    def __init__(self, ledger: Ledger, hooks: Webhooks | None, release_title: Words, settings: WorkSettings) -> None:
        self._ledger, self._hooks, self._title = ledger, hooks or Webhooks("", ()), release_title
        self._settings = settings

    def routes(self) -> APIRouter:
        return page_with_form(HERE, self.show, self.act)

    async def show(self, request: Request, texts: Texts) -> Response:
        """The list."""
        return await self._page(request, texts)

    async def act(self, request: Request, texts: Texts) -> Response:
        """Send something again, or a test; then the list, with how it went."""
        form = await read_form(request)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        asked_for, name = form_value(form, "do"), form_value(form, "endpoint", LONGEST_NAME)
        number, now = form_value(form, "number", 18), time.time()
        endpoint = self._hooks.endpoint(name)
        try:
            if asked_for == TEST and endpoint is not None:
                _, outcome = await send_test(endpoint, now)
                result = "delivered" if outcome.delivered else "not_delivered"
                why = answered(outcome.status, texts) or outcome.problem or ""
                message = texts(f"events.test_{result}", name=name, why=why)
                return await self._page(request, texts, message, not outcome.delivered)
            if asked_for == SEND_FAILED and name:
                count = await self._write(partial(outbox.send_failed_again, endpoint=name, now=now))
                return await self._page(request, texts, texts("events.sent_failed", count=count, name=name))
            if asked_for == SEND and number.isascii() and number.isdigit():
                known = await self._write(partial(outbox.send_again, number=int(number), now=now))
                key = "events.sent" if known else "events.unknown"
                return await self._page(request, texts, texts(key, number=number), not known)
        except (LedgerUnavailable, *UNREADABLE):
            return self._unreadable(request, texts)
        return await self._page(request, texts, texts("events.unknown", number=number or "–"), went_wrong=True)

    async def _write(self, change: "partial[int] | partial[bool]") -> object:
        """Make a change of the outbox, in the ledger's next commit."""
        return await run_in_threadpool(self._ledger.change(change).result)

    async def _page(self, request: Request, texts: Texts, message: str = "", went_wrong: bool = False) -> Response:
        state, before = request.query_params.get("state", ""), request.query_params.get("before", "")
        state = state if state in STATES else ""
        last = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
        try:
            shown = await run_in_threadpool(self.view, texts, message, went_wrong, state, last)
        except UNREADABLE:
            return self._unreadable(request, texts)
        around = frame(self._title[texts.language], texts, HERE, scope=request.scope)
        return HTMLResponse(page(shown, texts, around), headers=HEADERS)

    def _unreadable(self, request: Request, texts: Texts) -> Response:
        text = problem_page("unreadable", texts, HERE, self._title[texts.language], request.scope)
        return HTMLResponse(text, 503, HEADERS)

    def view(self, texts: Texts, message: str, went_wrong: bool, state: str, before: int | None) -> EventsPage:
        """The page."""
        states = {known.name: known for known in self._ledger.endpoint_states()}
        with self._ledger.store.reading() as connection:
            driver = queries.driver(connection)
            there = outbox.has_outbox(driver)
            deliveries = outbox.listed(driver, LISTED + 1, state=state, before=before) if there else []
        names = sorted({*states, *(endpoint.name for endpoint in self._hooks.endpoints)})
        home = root_from(HERE, texts) + HOME[texts.language].lstrip("/")
        filters = tuple(
            Link(
                f"{HERE}?{urlencode({'state': name})}" if name else HERE,
                texts(f"events.{name or 'all'}"),
                name == state,
            )
            for name in ("", *STATES)
        )
        older = {"before": str(deliveries[LISTED - 1].number)} if len(deliveries) > LISTED else {}
        return EventsPage(
            message, went_wrong, tuple(self.endpoint_card(name, states.get(name), texts) for name in names), filters,
            tuple(self.delivery_row(delivery, home, texts) for delivery in deliveries[:LISTED]),
            f"{HERE}?{urlencode({**({'state': state} if state else {}), **older})}" if older else "",
        )  # fmt: skip

    def endpoint_card(self, name: str, state: EndpointState | None, texts: Texts) -> EndpointCard:
        """One endpoint: what it gets, what waits, what failed."""
        endpoint = self._hooks.endpoint(name)
        facts = [(texts("events.waiting"), str(state.waiting if state else 0))]
        if endpoint:
            kinds = ", ".join(texts(f"events.kind.{kind}") for kind in endpoint.kinds)
            facts.insert(0, (texts("events.kinds"), kinds))
        if state and state.oldest:
            facts.append((texts("events.oldest"), self.moment(state.oldest)))
        facts.append((texts("events.failed"), str(state.failed if state else 0)))
        if state and state.delivered:
            facts.append((texts("events.last"), self.moment(state.delivered)))
        warning = "" if endpoint else texts("events.not_in_settings")
        if endpoint and state and state.rests_until > time.time():
            again = self.moment(iso_time(state.rests_until))
            warning = texts("events.rests", count=state.failures, time=again)
        return EndpointCard(
            name, tuple(facts), warning, endpoint is not None, bool(endpoint and state and state.failed)
        )

    def delivery_row(self, delivery: Delivery, home: str, texts: Texts) -> DeliveryRow:
        """One delivery as a row."""
        return DeliveryRow(
            number=delivery.number,
            added=self.moment(delivery.added),
            endpoint=delivery.endpoint,
            event=texts(f"events.kind.{delivery.kind}"),
            case=f"{home}record/{delivery.record}",
            state=texts(f"events.{delivery.state}"),
            tries=delivery.attempts,
            status=answered(delivery.status, texts) if delivery.problem else "",
            problem="" if delivery.status else delivery.problem or "",
            next=self.moment(iso_time(delivery.next)) if delivery.next is not None and delivery.attempts else "",
            can_send=delivery.state != "waiting" or delivery.attempts > 0,
        )

    def moment(self, time: str) -> str:
        """A record's time to the minute, in the lender's time zone, which it names."""
        return f"{self._settings.moment(time)} {self._settings.zone.key}"


def answered(status: int | None, texts: Texts) -> str:
    """An HTTP status in words; nothing if there was no answer."""
    return "" if status is None else texts("events.answered", status=status)
