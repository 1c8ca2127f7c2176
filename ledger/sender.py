"""Sends the outbox of one ledger, in a thread of the server: each endpoint in turn with its own connection.

A score never waits for a receiver: its record is committed with its events, and this thread notices them afterwards.
How tries went is noted in the ledger's own commits. Of several servers on a ledger one sends to an endpoint at a time.
If a process is killed between a try and its note, the event is sent again, with the same webhook-id.
"""

import asyncio
import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from inference.measure import Clock
from ledger import errors, queries, webhooks
from ledger.due import LATE, DueDays, add_due, due_between
from ledger.endpoints import Endpoint, Webhooks
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.outbox import DUE, Delivery, Outbox, Outcome, end_turns, erase_old, something_is_due, take_turn

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)
GATHER = 0.2  # seconds from news to a turn
LOOK = 2.0  # seconds between looks at what other processes have added, or what is due again
TURN = 5.0  # seconds after which a turn ends and is noted, whatever is left of it
ENDING = 3.0  # seconds for the try in progress when the server stops
AFTER_PROBLEM = 30.0  # seconds until the next try to read or write the ledger
DAILY_LOOK = 3_600.0  # seconds between looks for cases that are due and rows of long ago
PROBLEMS = (*errors.UNREADABLE, LedgerUnavailable)
T = TypeVar("T")


class Sender:
    """Sends to all endpoints until it is closed."""

    def __init__(
        self, ledger: Ledger, outbox: Outbox, hooks: Webhooks, days: DueDays | None = None, clock: Clock | None = None
    ) -> None:
        self._ledger, self._outbox, self._hooks, self._clock = ledger, outbox, hooks, clock or Clock()
        self._days = days
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._news = {endpoint.name: asyncio.Event() for endpoint in hooks.endpoints}
        self._logged: dict[str, str] = {}  # the last problem of each endpoint, so that it is logged once
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        outbox.added = self.look
        self._thread.start()

    def look(self) -> None:
        """Look for events now; from any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Finish the tries in progress, for `ENDING` at most, note how they went, and stop."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
            self.look()
        self._thread.join()

    def _wake(self) -> None:
        for news in self._news.values():
            news.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        tasks = [self._kept_up(self._deliver(endpoint)) for endpoint in self._hooks.endpoints]
        await asyncio.gather(*tasks, self._kept_up(self._look_daily()))

    async def _kept_up(self, work: Coroutine[None, None, None]) -> None:
        """Log what ends a task, which nothing should."""
        try:
            await work
        except Exception as error:
            logger.error("webhooks: a task ended: %s", type(error).__name__, exc_info=error)

    async def _deliver(self, endpoint: Endpoint) -> None:
        """Send to one endpoint."""
        outcomes: list[Outcome] = []
        name, holder = endpoint.name, self._holder
        async with webhooks.client_for(endpoint) as client:
            while not self._stopping.is_set():
                try:
                    batch = await self._turn(name, outcomes)
                    outcomes = []
                    bodies = self._bodies(batch)
                except PROBLEMS as error:
                    self._log(name, f"ledger: {errors.cause(error)}")
                    await self._pause(AFTER_PROBLEM)
                    continue
                outcomes = await self._try(client, endpoint, batch, bodies)
                if not batch:
                    await self._wait(name)
        now = self._clock.utc()
        with suppress(*PROBLEMS):  # what is not noted is sent again
            await self._change(lambda connection: end_turns(connection, name, holder, now, outcomes))

    async def _change(self, make: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change in the ledger's next commit."""
        return cast(T, await asyncio.wrap_future(self._ledger.change(make)))

    async def _turn(self, name: str, outcomes: list[Outcome]) -> list[Delivery]:
        """Note how tries went, and take the next ones, in a commit of the ledger; without a commit if there is nothing
        to note or to send."""
        now, holder = self._clock.utc(), self._holder
        if not outcomes:
            with self._ledger.store.reading() as connection:
                if not something_is_due(queries.driver(connection), name, holder, now):
                    return []
        return await self._change(lambda connection: take_turn(connection, name, holder, now, outcomes))

    def _bodies(self, batch: list[Delivery]) -> list[bytes]:
        if not batch:
            return []
        with self._ledger.store.reading() as connection:
            return [webhooks.payload(delivery, self._hooks, connection) for delivery in batch]

    async def _try(
        self, client: "httpx.AsyncClient", endpoint: Endpoint, batch: list[Delivery], bodies: list[bytes]
    ) -> list[Outcome]:
        """Try deliveries one after the other, until one fails, the turn is over, or the server stops."""
        outcomes: list[Outcome] = []
        until = time.monotonic() + TURN
        for delivery, body in zip(batch, bodies, strict=True):
            if self._stopping.is_set() or time.monotonic() > until:
                break
            now = int(self._clock.utc())
            sending = asyncio.create_task(webhooks.send(client, endpoint, delivery.number, delivery.id, body, now))
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait((sending, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not sending.done():
                await asyncio.wait((sending,), timeout=ENDING)
            if not sending.done():
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
                break
            outcomes.append(sending.result())
            self._log(endpoint.name, outcomes[-1].problem)
            if not outcomes[-1].delivered:
                break
        return outcomes

    def _log(self, name: str, problem: str | None) -> None:
        """Log the problem of an endpoint when it begins, and its end."""
        if problem == self._logged.get(name):
            return
        if problem is None:
            logger.warning("webhooks: %s takes events again", name)
            del self._logged[name]
        else:
            logger.warning("webhooks: %s: %s. 'tenfold outbox' lists what waits", name, problem)
            self._logged[name] = problem

    async def _wait(self, name: str) -> None:
        """Wait for news, or for the next look. After news a moment more, so that scores in a row share a turn."""
        news = self._news[name]
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await news.wait()
        if news.is_set():
            await self._pause(GATHER)
        news.clear()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _look_daily(self) -> None:
        """Find what falls due, also what did while no server ran, and erase rows of long ago."""
        first: date | None = None  # the first day whose decisions were not looked for yet
        while not self._stopping.is_set():
            now = self._clock.utc()
            today = (self._days or DueDays()).today(now)
            first = first or today - timedelta(days=LATE)
            try:
                await self._remind(first, today, now)
                await self._change(partial(erase_old, now=now))
                first = today + timedelta(days=1)
            except PROBLEMS as error:
                logger.error("webhooks: due cases cannot be found: %s", errors.cause(error))
            await self._pause(DAILY_LOOK)

    async def _remind(self, first: date, last: date, now: float) -> None:
        if self._days is None or not self._hooks.names_by_kind[DUE]:
            return
        days = self._days
        due = await self._ledger.search(lambda connection: list(due_between(connection, days, first, last)))
        added = await self._change(lambda connection: add_due(connection, self._outbox, due, now)) if due else 0
        if added:
            self._wake()
