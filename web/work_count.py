"""How many cases wait for the person who sends a request, for the header of every page."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ledger import queries
from ledger.cases import OPEN, REVIEW, WAITING
from ledger.errors import UNREADABLE
from ledger.ledger import Ledger
from web.person import Person, person_of

MOST = 100  # are counted; more are "99+"
KEY = "tenfold.work_count"  # of a request's scope


class TellCount:
    """ASGI middleware: what draws a page can ask how many cases wait for its visitor."""

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self.app, self._ledger = app, ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[KEY] = self._count
        await self.app(scope, receive, send)

    def _count(self, person: Person) -> int:
        try:
            with self._ledger.store.reading() as connection:
                return queries.work_count(connection, (REVIEW, WAITING, OPEN), person.name, MOST, mine=True)
        except UNREADABLE:
            return 0  # the page itself says that the ledger cannot be read


def count_for(scope: Scope) -> str:
    """The number of cases whose turn is that of the person who is logged in; empty for 0."""
    count: Callable[[Person], int] | None = scope.get(KEY)
    person = person_of(scope)
    number = 0 if count is None or person is None or person.machine else count(person)
    return "" if not number else str(number) if number < MOST else f"{MOST - 1}+"
