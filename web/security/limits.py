"""What one client may cost: the size of a body, requests in progress, requests a minute.

Just inside the entrance, which has found out who asks by the head alone: of those who may not enter no body is read. A
body is read here, whole and bounded, before anything else runs: who sends slowly holds no place among the requests in
progress, and no route can forget a limit. Strangers, where there are any, may send little, and each address has its
share: they cannot take what others need, for what people and nearly all systems send is small. connections.py bounds
heads, connections and times.
"""

import math
import time
from typing import NamedTuple

import limits
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.person import OPEN, mode_of, person_of
from web.problems import PREFIX, Refusal
from web.security.security_log import tell
from web.security.throttle import network

BODY = 64 << 10  # bytes, where BODIES says nothing else
BODIES = {f"{PREFIX}/score:batch": 4 << 20}
GRADIO_BODY = 16 << 10  # ten short answers
STRANGERS_BODY = 256 << 10  # bytes of any body of somebody who is not known; a batch of 1,000 has that many
LOGIN_BODY = 4 << 10
SMALL = 8 << 10  # bytes of a body that is read however much others hold: connections bound how many there are
HELD = 32 << 20  # bytes of all bodies that are being read or answered
STRANGERS_HELD = 8 << 20  # of these what strangers may hold together
SHARES = {True: 8 << 20, False: 1 << 20}  # what one client may hold: somebody who is known, and a stranger's network
IN_PROGRESS = 256  # requests that are being answered; a score takes a millisecond
ALWAYS = ("/livez", "/readyz")  # however much there is to do
GRADIO = "/gradio_api/"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}  # what is refused here passes no entrance


class Rate:
    """At most so many requests a minute and client. A minute is counted from a client's first request.

    Windows that are fixed keep two numbers a client; a moving one would keep the time of every request.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = limits.RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def wait(self, client: str) -> int:
        """Count a request: 0 where it may go on, else the seconds until one may."""
        if self._limiter.hit(self._item, client):
            return 0
        return max(1, math.ceil(self._limiter.get_window_stats(self._item, client).reset_time - time.time()))


class RequestRefused(Exception):
    """A request that gets no further."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", **headers: str) -> None:
        super().__init__(title)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Limits:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._in_progress = self._held = self._strangers = 0
        self._shares: dict[str, int] = {}  # client -> bytes held now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        declared = body_size(scope["headers"])
        sender = Sender.of(scope)
        body = b""
        try:
            if declared != 0:
                body = await self._read(receive, declared, most_bytes(path, sender.known), sender)
                receive = replayed(body, receive)
            if self._in_progress >= IN_PROGRESS and path not in ALWAYS:
                raise RequestRefused(503, "busy", f"{IN_PROGRESS} requests are in progress: try again", Retry_After="1")
            self._in_progress += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._in_progress -= 1
        except RequestRefused as refused:
            tell(scope, "limited", why=refused.kind)
            await answer(refused, path, closing=declared != 0)(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self._hold(-len(body), sender)

    def _hold(self, size: int, sender: "Sender") -> None:
        """Count bytes of a body that are held from now on, or no longer."""
        self._held += size
        if not sender.known:
            self._strangers += size
        if not sender.everybody:
            left = self._shares.pop(sender.name, 0) + size
            if left:
                self._shares[sender.name] = left

    def _too_much(self, size: int, sender: "Sender") -> bool:
        """Whether so many bytes more are more than there is, or than this client's share."""
        if self._held + size > HELD or (not sender.known and self._strangers + size > STRANGERS_HELD):
            return True
        return not sender.everybody and self._shares.get(sender.name, 0) + size > SHARES[sender.known]

    async def _read(self, receive: Receive, declared: int | None, most: int, sender: "Sender") -> bytes:
        """The whole body, counted as held. `declared` is what Content-Length says; None: it comes in chunks."""
        if declared is not None and declared > most:
            raise RequestRefused(413, "too-large", f"The body may have {most:,} bytes")
        pieces: list[bytes] = []
        held, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientDisconnect
                piece, more = message.get("body", b""), message.get("more_body", False)
                if held + len(piece) > most:
                    raise RequestRefused(413, "too-large", f"The body may have {most:,} bytes")
                if held + len(piece) > SMALL and self._too_much(len(piece), sender):
                    raise RequestRefused(503, "busy", "Too much is being sent at once: try again", Retry_After="1")
                held += len(piece)
                self._hold(len(piece), sender)
                pieces.append(piece)
            return b"".join(pieces)
        except BaseException:
            self._hold(-held, sender)
            raise


class Sender(NamedTuple):
    """Who sends a body: a person or a token by name, else a network. Of a server that is open to its own computer alone
    all senders are one, and known."""

    name: str
    known: bool
    everybody: bool = False

    @classmethod
    def of(cls, scope: Scope) -> "Sender":
        person, client = person_of(scope), scope.get("client")
        if person is not None:
            return cls(person.name, True)
        if mode_of(scope) == OPEN:
            return cls("", True, everybody=True)
        return cls(network(client[0]) if client else "", False)


def body_size(headers: list[tuple[bytes, bytes]]) -> int | None:
    """What Content-Length says; 0 where there is no body; None where it comes in chunks or says what no length is."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
        if name == b"transfer-encoding":
            return None
    return 0


def most_bytes(path: str, known: bool) -> int:
    """The limit of a body."""
    if path.endswith("/login"):
        return LOGIN_BODY
    most = BODIES.get(path) or (GRADIO_BODY if path.startswith(GRADIO) else BODY)
    return most if known else min(most, STRANGERS_BODY)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body in one piece, and then what comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def answer(refused: RequestRefused, path: str, *, closing: bool = False) -> Response:
    """What a refused request is told: a problem below the API's prefix, else plain text; `closing` where its body was
    not read."""
    headers = {**refused.headers, **HEADERS, **({"Connection": "close"} if closing else {})}
    if path.startswith(PREFIX + "/"):
        response = Refusal(refused.status, refused.kind, refused.title, refused.detail).response()
        response.headers.update(headers)
        return response
    text = f"{refused.title}. {refused.detail}".strip()
    return Response(f"{text}\n", refused.status, headers, "text/plain")
