"""Listens until it is told to stop; then answers what has come in, and ends with exit status 0."""

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

ACCEPT = 0.05  # seconds for connections that the kernel has made already
LINGER = 2.5  # seconds at most for requests that are on their way over connections that are open
A_MINUTE = 10  # log lines of one text
GRACE = 5  # seconds after that for answers that take long; most supervisors kill after ten


class Server(uvicorn.Server):
    """Uvicorn with a stop at which nobody who has asked is left without an answer."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, and answer on those there are, telling each client that its connection ends.

        Uvicorn by itself loses what the kernel has taken already: connections that were made and not yet seen here, and
        requests over connections that are between two of them. It would also wait for clients with half a request sent.
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
            cycle = getattr(connection, "cycle", None)  # a web socket has none
            if cycle is not None and cycle.more_body:
                connection.transport.close()
        await super().shutdown(sockets)


class Ending:
    """An app around which two ends of a request are no faults of the program: no stack trace, no status 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass  # the sender has gone
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            with suppress(RuntimeError):  # GRACE is over; where an answer has begun, it ends here
                await Response("The server is stopping", 503)(scope, receive, send)


def serve(app: ASGIApp, settings: Settings) -> None:
    """Returns after Ctrl-C; SIGTERM ends it by `SystemExit(0)`, so that callers can close what they opened."""
    print_lines()
    logging.getLogger("uvicorn.error").addFilter(Sparing())
    config = uvicorn.Config(
        Ending(app),
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        http=Guarded,
        log_config=None,  # web/operations/server_log.py has done it
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
    )
    # Uvicorn raises a signal again once it has stopped, and the default is death on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        Server(config).run()


class Sparing(logging.Filter):
    """Lets so many lines of one text through a minute: strangers can cause some, and must not fill the disk."""

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
    """`BadSetting` where nobody can listen there; seconds before the server would find out."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
    except OSError as error:
        raise BadSetting(
            f"{host}:{port}: {error.strerror}. PORT names another port, HOST another address of this machine"
        ) from None
