"""Hostile clients, in a process of their own: `python attacks.py NAME PORT SECONDS` says in JSON how it went.

Each attack is a coroutine of one client; so many of them run at once, and begin anew, until the time is over. Slow
clients have an address each, as on Linux all of 127.0.0.0/8 is this computer.
"""

import asyncio
import gzip
import io
import json
import math
import resource
import socket
import struct
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
SCORE = b"POST /api/v1/score HTTP/1.1\r\n" + HOST + JSON
BATCH = b"POST /api/v1/score:batch HTTP/1.1\r\n" + HOST + JSON
UPLOAD = b"POST /gradio_api/upload HTTP/1.1\r\n" + HOST
RUN = b"POST /gradio_api/run/predict_credit_score HTTP/1.1\r\n" + HOST + JSON
GIGABYTE = 1 << 30
PIECE = b"x" * (64 << 10)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
found: Counter[str] = Counter()  # "tries", and every status that came back


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


async def tell(streams: Streams, pieces: Iterator[bytes], every: float = 0) -> None:
    """Send pieces until the server closes; note what it answers."""
    reader, writer = streams
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if every:
                await asyncio.sleep(every)
            if reader.at_eof():
                break
    except ConnectionError:
        pass
    try:
        head = await reader.readline()
    except ConnectionError:
        head = b""
    found[head[9:12].decode() or "closed"] += 1


async def slow_heads(streams: Streams) -> None:
    await tell(streams, iter(bytes([byte]) for byte in SCORE + b"X: " + b"y" * 500), 1)


async def slow_bodies(streams: Streams) -> None:
    await tell(streams, iter([SCORE + b"Content-Length: 500\r\n\r\n", *[b" "] * 499]), 1)


async def slow_uploads(streams: Streams) -> None:
    """4 MB at 1 MB a second, without a login."""
    pieces = (PIECE for _ in range(64))
    await tell(streams, chained(BATCH + b"Content-Length: %d\r\n\r\n" % (64 * len(PIECE)), pieces), len(PIECE) / 1e6)


async def slow_permitted(streams: Streams) -> None:
    """As much as a stranger may send in a demonstration, and as slowly as anybody may: some KB a second."""
    size = 256 << 10
    await tell(streams, chained(BATCH + b"Content-Length: %d\r\n\r\n" % size, slowly(size)), 0.2)


def slowly(size: int) -> Iterator[bytes]:
    """Nearly all of it at once, and the rest in small pieces."""
    yield b" " * (size - 4000)
    yield from (b" " * 40 for _ in range(100))


async def slow_logins(streams: Streams) -> None:
    """The one body that everybody may send, a byte at a time."""
    head = b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
    await tell(streams, chained(head + b"Content-Length: 4000\r\n\r\n", (b"x" for _ in range(4000))), 0.5)


async def vanishing(streams: Streams) -> None:
    """Half of a request, and then a reset or a plain close."""
    _, writer = streams
    writer.write(SCORE + b"Content-Length: 60000\r\n\r\n" + b" " * 30_000)
    if found["tries"] % 2:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.01)
    writer.transport.abort()


async def idle(streams: Streams) -> None:
    """Nothing at all."""
    await tell(streams, iter(()))


async def unread(streams: Streams) -> None:
    """Large answers asked for, and none read."""
    _, writer = streams
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(b"GET /api/v1/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def gigabyte(streams: Streams) -> None:
    """A body of 1 GB, its length said before."""
    pieces = (PIECE for _ in range(GIGABYTE // len(PIECE)))
    await tell(streams, chained(SCORE + b"Content-Length: %d\r\n\r\n" % GIGABYTE, pieces))


async def gigabyte_in_chunks(streams: Streams) -> None:
    """The same, and nobody knows how long it will be."""
    pieces = (b"%x\r\n" % len(PIECE) + PIECE + b"\r\n" for _ in range(GIGABYTE // len(PIECE)))
    await tell(streams, chained(BATCH + b"Transfer-Encoding: chunked\r\n\r\n", pieces))


def chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def bomb() -> list[bytes]:
    """A zip archive as an upload, as it is and compressed once more; a compressed body for the API."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(32 << 20))
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.zip"\r\n\r\n'
    form = head + archive.getvalue() + b"\r\n--b--\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
    packed = b"Content-Encoding: gzip\r\n"
    score = gzip.compress(b'{"answers": {}}' + bytes(32 << 20))
    return [
        UPLOAD + kind + length(form),
        UPLOAD + kind + packed + length(gzip.compress(form)),
        SCORE + packed + length(score),
    ]


async def zip_bomb(streams: Streams) -> None:
    await tell(streams, iter([BOMBS[found["tries"] % len(BOMBS)]]))


async def huge_batch(streams: Streams) -> None:
    """A thousand items, each as large as the body's limit lets them be."""
    await tell(streams, iter([BATCH + length(HUGE)]))


async def nested(streams: Streams) -> None:
    """JSON within JSON, deeper than any parser goes."""
    start = (SCORE, RUN, BATCH)[found["tries"] % 3]
    await tell(streams, iter([start + length(b'{"answers":' + b"[" * 30_000 + b"]" * 30_000 + b"}")]))


async def many_headers(streams: Streams) -> None:
    lines = b"".join(b"X-%d: y\r\n" % at for at in range(10_000))
    await tell(streams, iter([b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n"]))


BOMBS = bomb()
HUGE = json.dumps({"items": [{"answers": {"amount": "9" * 4000}}] * 1000}).encode()
CLIENTS: dict[str, tuple[Callable[[Streams], Awaitable[None]], int]] = {
    "slow_heads": (slow_heads, 200),
    "slow_bodies": (slow_bodies, 200),
    "slow_uploads": (slow_uploads, 50),
    "slow_permitted": (slow_permitted, 50),
    "slow_logins": (slow_logins, 50),
    "vanishing": (vanishing, 50),
    "idle": (idle, 1000),
    "unread": (unread, 100),
    "gigabyte": (gigabyte, 4),
    "gigabyte_in_chunks": (gigabyte_in_chunks, 4),
    "zip_bomb": (zip_bomb, 4),
    "huge_batch": (huge_batch, 2),
    "nested": (nested, 4),
    "many_headers": (many_headers, 4),
}


async def attack(name: str, port: int, seconds: float) -> None:
    """All clients of one attack, until the time is over; it begins once each has connected."""
    one, count = CLIENTS[name]
    addresses = (f"127.0.1.{number}" for number in range(1, count + 1)) if name.startswith("slow_") else repeat(None)
    until, everybody = math.inf, asyncio.Event()
    connected = 0

    async def again(address: str | None) -> None:
        nonlocal connected
        while time.monotonic() < until:
            found["tries"] += 1
            try:
                own = None if address is None else (address, 0)
                streams = await asyncio.open_connection("127.0.0.1", port, local_addr=own)
            except ConnectionError:
                found["not connected"] += 1
                continue
            connected += 1
            if connected >= count:
                everybody.set()
            try:
                await one(streams)
            except ConnectionError:
                found["closed"] += 1
            finally:
                streams[1].transport.abort()

    clients = [asyncio.create_task(again(address)) for _, address in zip(range(count), addresses, strict=False)]
    await asyncio.wait_for(everybody.wait(), 50)
    until = time.monotonic() + seconds
    await asyncio.sleep(seconds)
    for client in clients:
        client.cancel()
    for outcome in await asyncio.gather(*clients, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(attack(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
    print(json.dumps(found))
