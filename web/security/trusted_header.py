"""Who a trusted proxy says has logged in: one header, from the addresses of that proxy only.

The address is that of the connection (`PEER`), never one that `X-Forwarded-For` states: that header can be written by
anybody who reaches a proxy which passes it on, and would otherwise make any sender a trusted one.
"""

from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from inference.measure import Clock
from inference.settings import Settings
from web.person import Person
from web.security.accounts import Accounts
from web.security.authentication import IDLE
from web.security.security_log import SecurityLog

PEER = "tenfold.peer"  # in a request's scope: the address of the other end of its connection


UNKNOWN = Person("", "")  # the proxy names nobody who may enter, and then nothing else lets its sender in


class NotePeer:
    """ASGI middleware, the outermost of all: notes the connection's address before others state the client's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope[PEER] = client[0] if client else None
        await self._app(scope, receive, send)


class TrustedHeader:
    """The header of TENFOLD_TRUSTED_HEADER. Used on the event loop only."""

    def __init__(self, settings: Settings, accounts: Accounts, log: SecurityLog, clock: Clock | None = None) -> None:
        self._name = settings.trusted_header.encode("ascii")
        self._networks = [ip_network(text) for text in settings.trusted_addresses]
        self._accounts, self._log, self._clock = accounts, log, clock or Clock()
        self._seen: dict[str, float] = {}  # by user: when a request last came, by the monotonic clock

    def person(self, scope: Scope) -> Person | None:
        """Whom the proxy names; None where the header is not there or not from the proxy, so that other ways to log in
        count; `UNKNOWN` where it names nobody who may enter. One that comes twice names nobody: a proxy that adds its
        own to the sender's does not say which is its own. Raises `AccountError`."""
        values = [value for name, value in scope["headers"] if name == self._name]
        if not self._name or not values:
            return None
        if not self.from_proxy(scope):
            self._log.write_for(scope, "header_refused", why="address", peer=scope.get(PEER))
            return None
        person = self._accounts.by_name(values[0].decode("latin-1").strip()) if len(values) == 1 else None
        if person is None:
            why = "no such user" if len(values) == 1 else "sent twice"
            self._log.write_for(scope, "header_refused", why=why, peer=scope.get(PEER))
            return UNKNOWN
        now = self._clock.monotonic()
        if now - self._seen.get(person.name, -IDLE) >= IDLE:
            self._log.write_for(scope, "login", user=person.name, how="header", peer=scope.get(PEER))
        self._seen[person.name] = now
        return person

    def from_proxy(self, scope: Scope) -> bool:
        """Whether a request's connection is from one of TENFOLD_TRUSTED_ADDRESSES."""
        try:
            address = ip_address(scope.get(PEER) or "")
        except ValueError:  # no address, as of a Unix socket
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
