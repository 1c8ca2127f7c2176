"""Serves until it is stopped; then answers the requests that have arrived, and ends with exit status 0."""

import asyncio
import logging
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import suppress

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.errors import BadSetting
from inference.settings import Settings
from web.operations.server_log import print_lines
from web.security.connections import Guarded

ACCEPT = 0.05  # seconds for connections that the kernel has already accepted
LINGER = 2.5  # seconds, at most, for requests that are on their way over open connections
A_MINUTE = 10  # log lines with the same text
GRACE = 5  # seconds after LINGER for slow responses; most supervisors kill a process after ten


class Server(uvicorn.Server):
    """Uvicorn with a shutdown that answers every request that was sent."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no new connections, answer requests on open ones, and tell each client that its connection closes.

        Uvicorn would drop connections that the kernel has accepted but uvicorn has not, and requests that arrive on
        idle connections. It would also wait for clients that have sent half a request.
        """
        await asyncio.sleep(ACCEPT)
        for listener in self.servers:
            listener.close()
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        until = time.monotonic() + LINGER
        while state.connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for connection in list(state.connections):
            cycle = getattr(connection, "cycle", None)  # WebSocket connections have none
            if cycle is not None and cycle.more_body:
                connection.transport.close()
        await super().shutdown(sockets)


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


def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve until stopped. Returns after Ctrl-C; SIGTERM raises `SystemExit(0)`, so that callers can clean up."""
    print_lines()
    logging.getLogger("uvicorn.error").addFilter(Sparing())
    config = uvicorn.Config(
        Ending(app),
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        http=Guarded,
        log_config=None,  # configured by web/operations/server_log.py
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
    )
    # Uvicorn raises the signal again after its shutdown, and the default handler would kill the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        Server(config).run()


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


def check_address(host: str, port: int) -> None:
    """Raises `BadSetting` if the address cannot be used, seconds before the server would notice."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise BadSetting(
            f"{host}:{port}: {error.strerror}. PORT names another port, HOST another address of this machine"
        ) from None
