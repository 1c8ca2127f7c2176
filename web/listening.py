"""Where the server listens: at HOST and PORT, on sockets that a supervisor holds, or on those of a server it replaces.

With systemd's socket activation (sd_listen_fds(3)) the supervisor holds the socket while a server is stopped and
another started: connections wait, and none is refused.
"""

import os
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from inference.errors import BadSetting
from inference.settings import Settings
from web.handover import Predecessor, predecessor
from web.security.access_mode import is_local

FIRST = 3  # the first descriptor that a supervisor passes on


@dataclass(frozen=True)
class Listening:
    """`sockets` that listen already, and the server that uses them until this one does; None: those of HOST and PORT
    are still to be opened."""

    sockets: Sequence[socket.socket] | None = None
    predecessor: Predecessor | None = None


def listening(
    settings: Settings, replaces: bool, pid: int | None, environ: MutableMapping[str, str] = os.environ
) -> tuple[Settings, Listening]:
    """The settings with host and port as they are, and the sockets. Raises `BadSetting`.

    Who may enter depends on the host, so it must be that of the sockets, whatever HOST says.
    """
    sockets = passed_on(environ)
    if replaces:
        if sockets:
            raise BadSetting("--replace: a supervisor passed sockets on (LISTEN_FDS): let it start the next server")
        old = predecessor(pid, settings.port)
        return replace(settings, host=old.host, port=old.port), Listening(old.sockets, old)
    if sockets:
        addresses = [(str(address[0]), int(address[1])) for address in (opened.getsockname() for opened in sockets)]
        host, port = next((address for address in addresses if not is_local(address[0])), addresses[0])
        return replace(settings, host=host, port=port), Listening(sockets)
    check_address(settings.host, settings.port)
    return settings, Listening()


def passed_on(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that a supervisor passed on to this process. Processes started from here do not get them."""
    process, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()):  # those of a process that started this one
        return []
    if not (count.isascii() and count.isdigit() and len(count) < 4):
        raise BadSetting(f"LISTEN_FDS: a number of sockets is needed, got {count[:20]!r}")
    sockets = []
    for descriptor in range(FIRST, FIRST + int(count)):
        try:
            os.set_inheritable(descriptor, False)
            opened = socket.socket(fileno=descriptor)
            ready = opened.family in (socket.AF_INET, socket.AF_INET6) and opened.type == socket.SOCK_STREAM
            ready = ready and bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        except OSError as error:
            raise BadSetting(f"LISTEN_FDS: descriptor {descriptor}: {error.strerror}") from None
        if not ready:
            raise BadSetting(
                f"LISTEN_FDS: descriptor {descriptor} is not a TCP socket that listens. ListenStream= of the socket "
                "unit names an address and a port, and Accept=no"
            )
        sockets.append(opened)
    return sockets


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


def tell_supervisor(state: str) -> None:
    """Tell systemd how this service is (sd_notify(3)), if it wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
