"""Hands the listening sockets of a running server to the one that replaces it, over a Unix socket of this user's.

The new server connects, gets the sockets, and opens its release while the old one answers. Once it is ready it takes on
what the old one holds in memory, accepts connections, and says so; the old one then accepts no more and ends what it
has. Both accept from one queue of the kernel, so none of its connections is lost. (With SO_REUSEPORT each server has a
queue of its own, and whatever is in that of the one that ends is reset.) If the new one ends before, nothing happens.
"""

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psutil

from inference.errors import BadSetting
from web.carried import Carried

VERSION = 1  # of what the two servers say to each other
PATIENCE = 10.0  # seconds for a running server to say a line
LONGEST_FACTS = 4096  # bytes of the line that comes with the sockets
MOST_SOCKETS = 16
TAKE, SERVING = b"take", b"serving"


def meeting_place() -> Path:
    """The folder of the Unix sockets, which only this user can enter. Raises `OSError`."""
    folder = Path(tempfile.gettempdir()) / f"tenfold-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise OSError(f"{folder} is not a folder of this user alone: remove it")
    return folder


class Lines(asyncio.Protocol):
    """A connection of lines. What has arrived is acted upon before the event loop begins another request."""

    def __init__(self, act: Callable[[bytes], None], ended: Callable[[], None], begun: bytes = b"") -> None:
        self._act, self._ended, self._rest = act, ended, begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has all its methods, and is none by type
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._act(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()

    def say(self, line: bytes) -> None:
        """Send a line."""
        self._transport.write(line + b"\n")


class Replaceable:
    """The running server's side. Used on the event loop only."""

    def __init__(self, host: str, port: int, release: str, carried: Carried, end: Callable[[], None]) -> None:
        """`end` is called once another server has taken the place of this one."""
        self._facts = {"version": VERSION, "pid": os.getpid(), "host": host, "port": port, "release": release}
        self._carried, self._end = carried, end
        self._door: socket.socket | None = None
        self._file: Path | None = None
        self._successor: Lines | None = None
        self._greeting: asyncio.Task[object] | None = None

    def open(self, listeners: Sequence[int]) -> None:
        """Wait for a successor, which gets the `listeners` (file descriptors). Raises `OSError` if none could come."""
        self._file = meeting_place() / f"{os.getpid()}-{self._facts['port']}"
        self._file.unlink(missing_ok=True)  # of an earlier process with this number, which was killed
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.bind(str(self._file))
        self._door.listen()
        self._door.setblocking(False)
        asyncio.get_running_loop().add_reader(self._door, self._meet, self._door, listeners)

    def _meet(self, door: socket.socket, listeners: Sequence[int]) -> None:
        with suppress(OSError):  # it has gone already
            connection, _ = door.accept()
            if self._successor is not None or self._greeting is not None:
                with connection:
                    connection.sendall(json.dumps({**self._facts, "busy": True}).encode() + b"\n")
                return
            socket.send_fds(connection, [json.dumps(self._facts).encode() + b"\n"], listeners)
            self._greeting = asyncio.get_running_loop().create_task(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        self._successor = lines = Lines(self._asked, self._left)
        connection.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: lines, connection)

    def _asked(self, line: bytes) -> None:
        assert self._successor is not None  # noqa: S101 - it has just sent a line
        if line == TAKE:
            self._successor.say(json.dumps(self._carried.give(self._tell)).encode())
        elif line == SERVING:
            self._shut()
            self._end()

    def _tell(self, more: Mapping[str, Any]) -> None:
        if self._successor is not None:
            self._successor.say(json.dumps(more).encode())

    def _left(self) -> None:
        self._carried.keep()
        self._successor = self._greeting = None

    def _shut(self) -> None:
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()
        if self._file is not None:
            self._file.unlink(missing_ok=True)
        self._door = self._file = None

    def close(self) -> None:
        """Let nobody in any longer. A successor that is there is told by the end of this process."""
        self._shut()


class Predecessor:
    """The new server's side: the server that it replaces, and its listening sockets."""

    def __init__(self, connection: socket.socket, facts: Mapping[str, Any], sockets: Sequence[socket.socket]) -> None:
        self._connection = connection
        self.pid, self.host, self.port, self.release = (facts[name] for name in ("pid", "host", "port", "release"))
        self.sockets = sockets
        self._lines: Lines | None = None

    async def take(self, carried: Carried, ended: Callable[[], None]) -> None:
        """Take on what it holds in memory, now and while it lives; `ended` is called when it has ended. To be called
        before the first connection is accepted, so that nothing is asked for that has not arrived. Raises `BadSetting`
        if it runs and does not answer: it would go on beside this server."""
        state = b""
        with suppress(OSError):
            self._connection.sendall(TAKE + b"\n")
            while b"\n" not in state and (piece := self._connection.recv(1 << 16)):
                state += piece
        if b"\n" not in state and psutil.pid_exists(self.pid):  # stopped meanwhile, it has left nothing to take on
            raise BadSetting(f"--replace: process {self.pid} goes on, since it does not answer: stop it")
        self._connection.setblocking(False)
        self._lines = lines = Lines(lambda line: carried.take(json.loads(line)), ended, state)
        await asyncio.get_running_loop().create_unix_connection(lambda: lines, sock=self._connection)

    def serving(self) -> None:
        """This server accepts connections: the other may end."""
        if self._lines is not None:
            self._lines.say(SERVING)


def predecessor(pid: int | None, port: int) -> Predecessor:
    """The running server of this user with that process number; None is the one on `port`. Raises `BadSetting` if it
    cannot be replaced."""
    which = f"process {pid}" if pid is not None else f"PORT {port}"
    try:
        files = sorted(meeting_place().glob(f"{pid}-*" if pid is not None else f"*-{port}"))
    except OSError as error:
        raise BadSetting(f"--replace: {error.strerror or error}") from None
    connections = {file.name.partition("-")[0]: connection for file in files if (connection := connected(file))}
    if len(connections) > 1:
        for connection in connections.values():
            connection.close()
        raise BadSetting(f"--replace: several servers use {which}: name the process, one of {', '.join(connections)}")
    if not connections:
        raise BadSetting(
            f"--replace: no server of this user to replace: {which}. Its own user must run this, with the same TMPDIR"
        )
    (connection,) = connections.values()
    return introduced(connection, which)


def connected(file: Path) -> socket.socket | None:
    """A connection to the server that waits there; None if it was killed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(str(file))
    except OSError:
        connection.close()
        return None
    return connection


def introduced(connection: socket.socket, which: str) -> Predecessor:
    """The server at the other end of a connection, which says who it is and passes its sockets on."""
    try:
        line, descriptors, _, _ = socket.recv_fds(connection, LONGEST_FACTS, MOST_SOCKETS)
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        facts = json.loads(line)
    except (OSError, ValueError):
        connection.close()
        raise BadSetting(f"--replace: the server does not answer: {which}. Stop it, and start another") from None
    if facts.get("busy"):
        connection.close()
        raise BadSetting(f"--replace: {which} is being replaced already")
    if facts.get("version") != VERSION or not sockets:
        connection.close()
        raise BadSetting(f"--replace: {which} is a version of Tenfold that this one cannot replace: stop it first")
    return Predecessor(connection, facts, sockets)
