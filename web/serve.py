"""Serves until it is stopped; then answers the requests that have arrived, and ends with exit status 0."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from inference.settings import Settings
from web.carried import Carried
from web.handover import Replaceable
from web.listening import Listening, tell_supervisor
from web.operations.server_log import print_lines
from web.security.connections import Guarded
from web.security.trusted_header import NotePeer

ACCEPT = 0.05  # seconds for connections that the kernel has already accepted
LINGER = 2.5  # seconds, at most, for requests that are on their way over open connections
A_MINUTE = 10  # log lines with the same text
GRACE = 5  # seconds after LINGER for slow responses; most supervisors kill a process after ten
# The same where another server has taken the place of this one, and nobody waits for its end: by then every client has
# had an answer that closes its connection, or has left it unused for so long that it is closed in any case.
LINGER_REPLACED, GRACE_REPLACED = 35, 60


class Server(uvicorn.Server):
    """Uvicorn that can be replaced by another process, with a shutdown that answers every request that was sent."""

    def __init__(self, config: uvicorn.Config, settings: Settings, release: str, place: Listening, carried: Carried):
        super().__init__(config)
        self._place, self._carried, self._stopped = place, carried, False
        self.replaced = False
        self._replaceable = Replaceable(settings.host, settings.port, release, carried, self._end_replaced)

    def _end_replaced(self) -> None:
        self.replaced = self.should_exit = True
        self.config.timeout_graceful_shutdown = GRACE_REPLACED

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: somebody waits for the end."""
        self._stopped = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and then tell all who wait for it."""
        old = self._place.predecessor
        if old is not None:
            await old.take(self._carried, lambda: say(f"process {old.pid} has ended"))
        await super().startup(sockets)
        if self.should_exit:
            return
        try:
            self._replaceable.open([listener.fileno() for server in self.servers for listener in server.sockets])
        except OSError as error:
            say(f"serve --replace will not find this process: {error.strerror or error}")
        tell_supervisor(f"READY=1\nMAINPID={os.getpid()}")
        if old is not None:
            old.serving()
            say(f"process {old.pid} takes no new connections, and ends once it has answered")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no new connections, answer requests on open ones, and tell each client that its connection closes.

        Uvicorn would drop connections that the kernel has accepted but uvicorn has not, and requests that arrive on
        idle connections. It would also wait for clients that have sent half a request.
        """
        self._replaceable.close()
        await asyncio.sleep(ACCEPT)
        for listener in self.servers:
            listener.close()
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        began = time.monotonic()
        while state.connections and time.monotonic() < began + self._linger:
            await asyncio.sleep(0.02)
        for connection in list(state.connections):
            cycle = getattr(connection, "cycle", None)  # WebSocket connections have none
            if cycle is not None and cycle.more_body:
                connection.transport.close()
        await super().shutdown(sockets)

    @property
    def _linger(self) -> float:
        return LINGER_REPLACED if self.replaced and not self._stopped else LINGER


class Ending:
    """ASGI middleware: does not treat clients that disconnect, and requests cancelled at shutdown, as errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass  # the client has closed the connection
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            with suppress(RuntimeError):  # GRACE is over; a response that has begun is cut off
                await Response("The server is stopping", 503)(scope, receive, send)


def serve(app: ASGIApp, settings: Settings, release: str, place: Listening, carried: Carried) -> None:
    """Serve until stopped or replaced. Returns after Ctrl-C and when replaced; SIGTERM raises `SystemExit(0)`, so that
    callers can clean up. `release` is told to the server that replaces this one."""
    print_lines()
    logging.getLogger("uvicorn.error").addFilter(Sparing())
    config = uvicorn.Config(
        # Uvicorn's own place for the second of these would leave the connection's address unknown to the first.
        NotePeer(ProxyHeadersMiddleware(Ending(app), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"))),  # type: ignore[arg-type]
        proxy_headers=False,
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        http=Guarded,
        log_config=None,  # configured by web/operations/server_log.py
        log_level="warning",
        access_log=False,  # uvicorn would put together a line for every request, which that level leaves out
        timeout_graceful_shutdown=GRACE,
    )
    # Uvicorn raises the signal again after its shutdown, and the default handler would kill the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        sockets = None if place.sockets is None else list(place.sockets)
        Server(config, settings, release, place, carried).run(sockets)


def say(text: str) -> None:
    """A line for the operator."""
    print(f"Tenfold: {text}", flush=True)  # noqa: T201


class Sparing(logging.Filter):
    """Passes at most A_MINUTE lines with the same text per minute, so that clients cannot fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._minute, self._counts = -1, Counter[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(record.created // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        self._counts[str(record.msg)] += 1
        return self._counts[str(record.msg)] <= A_MINUTE
