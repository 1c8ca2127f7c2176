"""Uvicorn's protocol, with bounds on connections, heads, and the time that a client takes.

uvicorn waits for ever for a request's head and body and for a client to read, takes a head of any size, and holds any
number of requests that come behind one another on a connection. limits.py bounds the size of bodies, and requests.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inference.errors import BadSetting

CONNECTIONS = 4096
FEWEST = 32  # connections; with fewer a browser or two would take them all
SPARE_FILES = 200  # descriptors for all that is no connection
HEAD_BYTES = 64 << 10
HEAD_LINES = 100
SLICE = 8 << 10  # bytes of a head that are parsed at once
URL_BYTES = 8 << 10
WAITING = 16  # requests that a client may send before the first is answered
HEAD_SECONDS = 10.0  # from the opening of a connection, or the first byte of its next request, to a complete head
PIECE_SECONDS = 10.0  # until the next piece of a body
BODY_SECONDS = 30.0  # for a whole body
SLOWEST = 16 << 10  # bytes of a body a second, on average, after PIECE_SECONDS
READ_SECONDS = 30.0  # for a client to take some of what waits for it


def bound_connections() -> str:
    """As many as there may be open files, less what else needs some; and what the operator should know of that.

    Raises `BadSetting` where too few are left to serve anybody.
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
    """How many files may be open, after the limit was raised to what is wanted, as far as that is allowed."""
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
    """Ends the parsing of a request that is answered with `status`."""


class Guarded(HttpToolsProtocol):
    """One connection.

    What comes whole, as nearly all requests do, costs four short calls and no timer.
    """

    most = CONNECTIONS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head = True  # a head is awaited, or has begun; else there is more of a body to come
        self._fed = 0  # bytes since the last complete head or piece of a body
        self._began = self._moved = 0.0  # when the body did, and its last piece came
        self._size = 0  # bytes of the body so far
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
        """Close some of the connections that have waited longest for a request to be sent, and whether there were any.

        A client sends at once what it opened a connection for; who opens thousands and says nothing waits longest.
        """
        waiting = [
            one
            for one in self.connections
            if isinstance(one, Guarded) and one._late is not None and not one.transport.is_closing()
        ]
        waiting.sort(key=lambda one: one._late.when() if one._late else 0.0)
        some = waiting[: max(1, self.most // 16)]  # many at once: to look for them takes a while
        for one in some:
            one._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        return bool(some)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_time()
        if self._unread is not None:
            self._unread.cancel()

    def data_received(self, data: bytes) -> None:
        while self._in_head and len(data) > SLICE:  # it may be a head of many thousand lines: not all of them are read
            self._take(data[:SLICE])
            data = data[SLICE:]
            if self.transport.is_closing():
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        # A head that does not end, trailers, extensions of chunks: all that counts neither as a head nor as a body.
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
        self._on_time()
        super().on_headers_complete()
        self.headers = []  # uvicorn would add trailers to what the request has

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
        """What uvicorn calls when a request cannot be parsed, ours among them."""
        self._refuse(self._status)

    def _too_much(self, status: HTTPStatus) -> None:
        self._status = status
        raise TooMuch

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # the requests before it are not answered yet
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        elif self._fed:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()  # an answer to nothing could be taken for one to what is just being sent

    def _body_is_late(self) -> None:
        now = self.loop.time()
        slow = self._began + PIECE_SECONDS + self._size / SLOWEST
        left = min(self._moved + PIECE_SECONDS, self._began + BODY_SECONDS, slow) - now
        if self.flow.read_paused:  # it is we who do not take it
            left, self._began, self._moved, self._size = PIECE_SECONDS, now, now, 0
        if left > 0:
            self._late = self.loop.call_later(left, self._body_is_late)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Close the connection, with an answer where it could be taken for no other one's."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not (self._in_head or self.pipeline or cycle.response_started):
            text = f"{status.phrase}\n"
            again = "retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain\r\n{again}"
            self.transport.write(f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode())
        self.transport.close()


def size(headers: list[tuple[bytes, bytes]]) -> int:
    """Bytes of names and values."""
    return sum(len(name) + len(value) for name, value in headers)
