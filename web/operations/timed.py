"""Counts how long requests take until their answer begins, and the errors answered; nothing of a request is kept."""

import re
from collections.abc import Awaitable
from functools import lru_cache

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.measure import Clock
from inference.minutes import MinuteCounts

API, DESK, PAGE = "api", "desk", "page"  # what requests are for
COMMIT = "commit"  # of the ledger, counted beside them
# Neither people nor systems wait for these: health, metrics, what browsers keep, and the page that shows the counts.
UNCOUNTED = re.compile(
    r"/livez|/readyz|/metrics|(?:/fr)?/(?:operations|theme\.css|assets/.*|static/.*)|/desk/[0-9a-f]{12}/.*|/model-card/.*"
    r"|/config|/gradio_api/info"
)
OF_DESK = re.compile(r"(?:/fr)?/desk/[a-z]+")
PROBLEM = b"application/problem+json"
URN = "urn:tenfold:"


class Timed:
    """ASGI middleware, the outermost, so that refused requests count too."""

    def __init__(self, app: ASGIApp, minutes: MinuteCounts, clock: Clock | None = None) -> None:
        self.app, self._minutes, self._wall = app, minutes, (clock or Clock()).wall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        what = kind_of(scope["path"].removeprefix(scope.get("root_path", ""))) if scope["type"] == "http" else None
        if what is None:
            await self.app(scope, receive, send)
            return
        started = self._wall()
        status = 0  # of an answer that has begun
        is_problem = False

        def send_timed(message: Message) -> Awaitable[None]:  # without a coroutine of its own
            nonlocal status, is_problem
            if message["type"] == "http.response.start":
                status = message["status"]
                self._minutes.took(what, (self._wall() - started) / 1e6)
                is_problem = status >= 400 and (b"content-type", PROBLEM) in message["headers"]
                if status >= 400 and not is_problem:
                    self._minutes.problem(f"http-{status}")
            elif is_problem:
                is_problem = False
                self._minutes.problem(problem_kind(message.get("body", b""), status))
            return send(message)

        try:
            await self.app(scope, receive, send_timed)
        except Exception:
            if not status:  # the server answers with this, outside of all middleware
                self._minutes.problem("http-500")
            raise


@lru_cache(256)
def kind_of(path: str) -> str | None:
    """What a request for a path is for; None if it is not counted."""
    if UNCOUNTED.fullmatch(path):
        return None
    if path.startswith(("/api/", "/gradio_api/")):
        return API
    return DESK if OF_DESK.fullmatch(path) else PAGE


def problem_kind(body: bytes, status: int) -> str:
    """The kind of an RFC 9457 problem of ours, from its type; the status of any other."""
    try:
        kind = orjson.loads(body)["type"]
    except (ValueError, LookupError, TypeError):
        kind = None
    return kind.removeprefix(URN) if isinstance(kind, str) and kind.startswith(URN) else f"http-{status}"
