"""Limits per client: the size of a body, requests in progress, requests per minute.

This middleware comes directly after the access control, which needs only the head of a request: the body of a refused
request is never read. Here a body is read completely, up to a limit, before anything else runs, so slow senders do not
count as requests in progress and no route can forget the limit. Clients that are not logged in may send little, and
each of their networks has a share, so that they cannot use up what others need; what people and nearly all systems
send is small. connections.py limits heads, connections and times.
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
from web.security.security_log import log_event
from web.security.throttle import network

BODY = 64 << 10  # bytes, for paths that are not in BODIES
BODIES = {f"{PREFIX}/score:batch": 4 << 20}
STREAMED = f"{PREFIX}/book"  # bodies that are not held in memory: web/batch/jobs.py bounds their bytes
GRADIO_BODY = 16 << 10  # ten short answers
STRANGERS_BODY = 256 << 10  # bytes of a body from somebody who is not logged in; about a batch of 1,000
LOGIN_BODY = 4 << 10
SMALL = 8 << 10  # bytes of a body that is always read; the number of connections limits how many there are
HELD = 32 << 20  # bytes of all bodies in memory: those being read, and those of requests in progress
STRANGERS_HELD = 8 << 20  # bytes of these for everybody who is not logged in, together
SHARES = {True: 8 << 20, False: 1 << 20}  # bytes of these for one client: logged in, or a network
IN_PROGRESS = 256  # requests; a score takes a millisecond
ALWAYS = ("/livez", "/readyz")  # answered under any load
GRADIO = "/gradio_api/"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}  # a response of this middleware


class Rate:
    """A limit of requests per minute for each client. A minute starts with a client's first request.

    A fixed window stores two numbers per client; a sliding one would store the time of every request.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = limits.RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def wait(self, client: str) -> int:
        """Count a request. Returns 0 if it is allowed, else the seconds until the next one is."""
        if self._limiter.hit(self._item, client):
            return 0
        return max(1, math.ceil(self._limiter.get_window_stats(self._item, client).reset_time - time.time()))


class RequestRefused(Exception):
    """A request that is refused before it reaches the app."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", **headers: str) -> None:
        super().__init__(title)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Limits:
    """ASGI middleware: reads bodies up to a limit, and counts requests in progress."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._in_progress = self._bytes_held = self._bytes_of_strangers = 0
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
            if path == STREAMED and declared != 0:
                receive, send = streamed(receive, send, None if sender.known else STRANGERS_BODY)
            elif declared != 0:
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
            log_event(scope, "limited", why=refused.kind)
            await answer(refused, path, closing=declared != 0)(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self._hold(-len(body), sender)

    def _hold(self, size: int, sender: "Sender") -> None:
        """Add to the bytes in memory; a negative `size` releases them."""
        self._bytes_held += size
        if not sender.known:
            self._bytes_of_strangers += size
        if not sender.everybody:
            held_by_sender = self._shares.pop(sender.name, 0) + size
            if held_by_sender:
                self._shares[sender.name] = held_by_sender

    def _too_much(self, size: int, sender: "Sender") -> bool:
        """Whether `size` more bytes would exceed the total, or this client's share."""
        if self._bytes_held + size > HELD or (not sender.known and self._bytes_of_strangers + size > STRANGERS_HELD):
            return True
        return not sender.everybody and self._shares.get(sender.name, 0) + size > SHARES[sender.known]

    async def _read(self, receive: Receive, declared: int | None, most: int, sender: "Sender") -> bytes:
        """Read the whole body, and count its bytes. `declared` is its Content-Length; None if it comes in chunks."""
        if declared is not None and declared > most:
            raise RequestRefused(413, "too-large", f"The body may have {most:,} bytes")
        pieces: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientDisconnect
                piece, more = message.get("body", b""), message.get("more_body", False)
                if size + len(piece) > most:
                    raise RequestRefused(413, "too-large", f"The body may have {most:,} bytes")
                if size + len(piece) > SMALL and self._too_much(len(piece), sender):
                    raise RequestRefused(503, "busy", "Too much is being sent at once: try again", Retry_After="1")
                size += len(piece)
                self._hold(len(piece), sender)
                pieces.append(piece)
            return b"".join(pieces)
        except BaseException:
            self._hold(-size, sender)
            raise


class Sender(NamedTuple):
    """Who sends a request: a person or a token by name, otherwise a network. In mode OPEN all requests have the same
    sender, which counts as known."""

    name: str
    known: bool
    everybody: bool = False

    @classmethod
    def of(cls, scope: Scope) -> "Sender":
        person, client = person_of(scope), scope.get("client")
        if person is not None:
            return cls(person.name, True)
        if mode_of(scope) == OPEN:
            return EVERYBODY
        return cls(network(client[0]) if client else "", False)


EVERYBODY = Sender("", True, everybody=True)


def body_size(headers: list[tuple[bytes, bytes]]) -> int | None:
    """The Content-Length; 0 if there is no body; None if it comes in chunks or the length is invalid."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
        if name == b"transfer-encoding":
            return None
    return 0


def most_bytes(path: str, known: bool) -> int:
    """The limit of a body in bytes."""
    if path.endswith("/login"):
        return LOGIN_BODY
    most = BODIES.get(path) or (GRADIO_BODY if path.startswith(GRADIO) else BODY)
    return most if known else min(most, STRANGERS_BODY)


def streamed(receive: Receive, send: Send, most: int | None) -> tuple[Receive, Send]:
    """The same, with at most so many bytes of a body; a response before the body's end closes the connection."""
    size, is_complete = 0, False

    async def receive_some() -> Message:
        nonlocal size, is_complete
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if most is not None and size > most:
                raise RequestRefused(413, "too-large", f"The body may have {most:,} bytes")
        return message

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start" and not is_complete:
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return receive_some, send_closing


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body in one piece, and then the messages after it."""
    sent = False

    async def receive_body() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_body


def answer(refused: RequestRefused, path: str, *, closing: bool = False) -> Response:
    """The response to a refused request: a problem below the API's prefix, otherwise plain text. `closing`: its body
    was not read, so the connection must be closed."""
    headers = {**refused.headers, **HEADERS, **({"Connection": "close"} if closing else {})}
    if path.startswith(PREFIX + "/"):
        response = Refusal(refused.status, refused.kind, refused.title, refused.detail).response()
        response.headers.update(headers)
        return response
    text = f"{refused.title}. {refused.detail}".strip()
    return Response(f"{text}\n", refused.status, headers, "text/plain")
