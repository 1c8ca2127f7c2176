"""Uvicorn's HTTP protocol with limits on connections, the size of request heads, and the time that a client takes.

uvicorn waits indefinitely for a request's head and body and for a client to read, accepts a head of any size, and
queues any number of pipelined requests. limits.py limits the size of bodies and the number of requests.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inference.errors import BadSetting

CONNECTIONS = 4096
FEWEST = 32  # connections; fewer could be used up by one or two browsers
SPARE_FILES = 200  # file descriptors for everything except connections
HEAD_BYTES = 64 << 10
HEAD_LINES = 100
SLICE = 8 << 10  # bytes of a head that are parsed at a time
URL_BYTES = 8 << 10
WAITING = 16  # requests that a client may pipeline before the first is answered
HEAD_SECONDS = 10.0  # from opening a connection, or the first byte of its next request, to a complete head
PIECE_SECONDS = 10.0  # until the next piece of a body
BODY_SECONDS = 30.0  # for a whole body
FILE_SECONDS = 3600.0  # for one that is a file, of /api/v1/book
SLOWEST = 16 << 10  # bytes of a body a second, on average, after PIECE_SECONDS
READ_SECONDS = 30.0  # for a client to read some of a response


def bound_connections() -> str:
    """Limit connections by the number of files that may be open, and return a warning for the operator, or "".

    Raises `BadSetting` if too few connections would be left.
    """
    files = open_files(CONNECTIONS + SPARE_FILES)
    Guarded.most = min(CONNECTIONS, files - SPARE_FILES)
    if Guarded.most < FEWEST:
        needed = SPARE_FILES + FEWEST
        raise BadSetting(
            f"a process may have {files} open files here (ulimit -n), and {needed} are needed. Allow more in the shell "
            "or service that starts it: ulimit -n 1024, or LimitNOFILE=1024 of systemd"
        )
    if Guarded.most < CONNECTIONS // 4:
        return f"at most {Guarded.most} connections, since a process may have {files} open files here (ulimit -n)"
    return ""


def open_files(wanted: int) -> int:
    """Raise the limit of open files to `wanted`, as far as that is allowed, and return how many may be open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


class TooMuch(Exception):
    """Ends the parsing of a request; the protocol's `_status` is the status of the response."""


class Guarded(HttpToolsProtocol):
    """A connection with limits.

    A request that arrives in one piece, as nearly all do, costs four short calls and no timer.
    """

    most = CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True  # waiting for a head, or in the middle of one; otherwise in a body
        self._fed = 0  # bytes since the last complete head or piece of a body
        self._began = self._moved = 0.0  # when the body began, and when its last piece arrived
        self._size = 0  # bytes of the body so far
        self._longest = BODY_SECONDS
        self._status = HTTPStatus.BAD_REQUEST
        self._late: TimerHandle | None = None  # set while something is incomplete
        self._unread: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most and not self._make_room():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _make_room(self) -> bool:
        """Close some of the connections that have been idle for longest; returns whether there were any.

        Clients send a request as soon as they connect; an attacker who opens thousands of connections sends none.
        """
        waiting = [
            other
            for other in self.connections
            if isinstance(other, Guarded) and other._late is not None and not other.transport.is_closing()
        ]
        waiting.sort(key=lambda other: other._late.when() if other._late else 0.0)
        oldest = waiting[: max(1, self.most // 16)]  # many at a time, since finding them takes a while
        for other in oldest:
            other._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        return bool(oldest)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_time()
        if self._unread is not None:
            self._unread.cancel()

    def data_received(self, data: bytes) -> None:
        while self._in_head and len(data) > SLICE:  # a head may have thousands of lines: stop early
            self._take(data[:SLICE])
            data = data[SLICE:]
            if self.transport.is_closing():
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        # An endless head, trailers, chunk extensions: bytes that complete neither a head nor a piece of a body.
        if self._fed > HEAD_BYTES or (self._fed and self.headers and len(self.headers) > HEAD_LINES):
            if not self.transport.is_closing():
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._late is None and not self._in_head:
            self._began = self._moved = self.loop.time()
            self._late = self.loop.call_later(PIECE_SECONDS, self._body_is_late)
        elif self._late is None and self._fed:
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def on_headers_complete(self) -> None:
        if len(self.url) > URL_BYTES:
            self._too_much(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(self.headers) > HEAD_LINES or (self._fed > HEAD_BYTES and size(self.headers) > HEAD_BYTES):
            self._too_much(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if len(self.pipeline) >= WAITING:
            self._too_much(HTTPStatus.TOO_MANY_REQUESTS)
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):  # RFC 9112, section 3.2
            self._too_much(HTTPStatus.BAD_REQUEST)
        self._in_head, self._fed, self._size = False, 0, 0
        self._longest = FILE_SECONDS if self.url.partition(b"?")[0].endswith(b"/api/v1/book") else BODY_SECONDS
        self._on_time()
        super().on_headers_complete()
        self.headers = []  # otherwise uvicorn would add trailers to the request's headers

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        self._size += len(body)
        if self._late is not None:
            self._moved = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._on_time()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when parsing fails, also by `TooMuch`."""
        self._refuse(self._status)

    def _too_much(self, status: HTTPStatus) -> None:
        self._status = status
        raise TooMuch

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # earlier requests are not answered yet
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif self._fed:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()  # without a response: a request that is just being sent could get it

    def _body_is_late(self) -> None:
        now = self.loop.time()
        slow = self._began + PIECE_SECONDS + self._size / SLOWEST
        left = min(self._moved + PIECE_SECONDS, self._began + self._longest, slow) - now
        if self.flow.read_paused:  # the delay is ours
            left, self._began, self._moved, self._size = PIECE_SECONDS, now, now, 0
        if left > 0:
            self._late = self.loop.call_later(left, self._body_is_late)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Close the connection, with a response unless it could be mistaken for that of another request."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not (self._in_head or self.pipeline or cycle.response_started):
            text = f"{status.phrase}\n"
            retry_after = "retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain\r\n{retry_after}"
            self.transport.write(f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode())
        self.transport.close()


def size(headers: list[tuple[bytes, bytes]]) -> int:
    """Bytes of all names and values."""
    return sum(len(name) + len(value) for name, value in headers)
