"""Many clients at once against a running server, each answer compared: `load_client.py` with its orders on stdin.

A process of its own, so that it shares no interpreter lock with anybody. First it asks for each application once, one
after another: those are the serial answers. Then every client keeps one connection and asks on; what it is told must be
those same bytes, but for the id and the place on record. Orders and outcome are one JSON object each.
"""

import asyncio
import json
import sys
import time
from array import array
from functools import partial
from typing import Any

import psutil

ID, RECORDED = b'{"id":"', b',"recorded":'
LONGEST_WAIT = 60.0  # seconds for one answer
LONGEST_CLOSE = 10.0  # seconds until the server has closed all connections


def request(body: bytes) -> bytes:
    """One score asked for, as bytes on the wire."""
    head = "POST /api/v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return head.encode() + b"%d\r\n\r\n" % len(body) + body


def parts(body: bytes) -> tuple[bytes, bytes]:
    """Of an answer its id, and all that must be the same however it was asked for."""
    end = body.index(b'"', len(ID))
    if not body.startswith(ID):
        raise ValueError(f"no score: {body[:200]!r}")
    return body[len(ID) : end], body[end : body.rindex(RECORDED)]


class Load:
    """What all clients share."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.port, self.clients = orders["port"], orders["clients"]
        self.each, self.seconds = orders.get("each"), orders.get("seconds")
        self.requests = [request(json.dumps({"answers": one}).encode()) for one in orders["applications"]]
        self.serial: list[bytes] = []  # body of each serial answer, and what of it must be the same
        self.expected: list[bytes] = []
        self.answered = self.differing = self.errors = 0
        self.complaints: list[str] = []
        self.ids: set[bytes] = set()
        self.waits = array("f")  # ms, of the whole run, and since the last sample
        self.lately = array("f")
        self.until = float("inf")

    def wrong(self, said: str) -> None:
        """An error; the first few are kept."""
        self.errors += 1
        if len(self.complaints) < 5:
            self.complaints.append(said)


class Client(asyncio.Protocol):
    """One connection that asks, compares and asks again."""

    def __init__(self, load: Load, number: int, done: "asyncio.Future[None]", serial: bool = False) -> None:
        self._load, self.done, self._serial = load, done, serial
        # Neighbours ask for other applications, and each starts elsewhere: an answer of somebody else's shows.
        self._at = 0 if serial else number * 97 % len(load.requests)
        self._left = len(load.requests) if serial else load.each
        self._buffer = b""
        self._asked = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._load.requests[self._at])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._buffer.find(b"content-length: ")
        if not 0 <= at < end:
            self._end(f"no length: {self._buffer[:200]!r}")
            return
        whole = end + 4 + int(self._buffer[at + 16 : self._buffer.index(b"\r", at)])
        if len(self._buffer) < whole:
            return
        if len(self._buffer) > whole or not self._buffer.startswith(b"HTTP/1.1 200 "):
            self._end(f"no plain 200: {self._buffer[:300]!r}")
            return
        body, self._buffer = self._buffer[end + 4 : whole], b""
        if self._serial:
            self._keep(body)
        else:
            self._compare(body)
        self._at = (self._at + 1) % len(self._load.requests)
        if self._left is not None:
            self._left -= 1
        if self._left == 0 or time.monotonic() > self._load.until:
            self._end()
        else:
            self.ask()

    def _keep(self, body: bytes) -> None:
        self._load.serial.append(body)
        self._load.expected.append(parts(body)[1])

    def _compare(self, body: bytes) -> None:
        load = self._load
        waited = (time.perf_counter() - self._asked) * 1e3
        load.waits.append(waited)
        load.lately.append(waited)
        load.answered += 1
        name, same = parts(body)
        load.ids.add(name)
        if same != load.expected[self._at]:
            load.differing += 1

    def _end(self, wrong: str = "") -> None:
        if wrong:
            self._load.wrong(wrong)
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._end(f"connection lost: {error}")


def same(client: Client) -> Client:
    """A protocol that is there already, where asyncio would make one."""
    return client


def quantile(values: Any, q: float) -> float:
    """Of a sequence that is not empty."""
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(q * len(ordered)))])


async def sample(load: Load, server: psutil.Process, interval: float, samples: list[dict[str, float]]) -> None:
    """Note each interval's waits, and the server's memory and descriptors."""
    started = last = time.monotonic()
    stuck = 0.0
    while True:
        await asyncio.sleep(interval)
        now = time.monotonic()
        waits, load.lately = load.lately, array("f")
        stuck = 0.0 if waits else stuck + now - last
        if stuck > LONGEST_WAIT:
            raise TimeoutError(f"no answer for {LONGEST_WAIT:.0f} s")
        samples.append(
            {
                "at": now - started,
                "a_second": len(waits) / (now - last),
                "p50": quantile(waits, 0.5) if waits else 0.0,
                "p99": quantile(waits, 0.99) if waits else 0.0,
                "rss": server.memory_info().rss,
                "descriptors": server.num_fds(),
            }
        )
        last = now


async def run(orders: dict[str, Any]) -> dict[str, Any]:
    """The serial answers, then the load."""
    load, loop = Load(orders), asyncio.get_running_loop()
    server = psutil.Process(orders["pid"])

    async def connected(count: int, serial: bool) -> "asyncio.Future[Any]":
        """All ask at once, once all are connected."""
        clients = [Client(load, number, loop.create_future(), serial) for number in range(count)]
        for client in clients:
            await loop.create_connection(partial(same, client), "127.0.0.1", load.port)
        for client in clients:
            client.ask()
        return asyncio.gather(*(client.done for client in clients))

    await (await connected(1, serial=True))
    if load.errors:
        raise SystemExit(f"serial answers: {load.complaints}")
    samples: list[dict[str, float]] = []
    if load.seconds:
        load.until = time.monotonic() + load.seconds
    before = server.num_fds()
    sampling = asyncio.create_task(sample(load, server, orders["interval"], samples))
    clients = await connected(load.clients, serial=False)
    await asyncio.wait({sampling, clients}, return_when=asyncio.FIRST_COMPLETED)
    if sampling.done():
        load.wrong(f"sampling ended: {sampling.exception()!r}")
    sampling.cancel()
    until = time.monotonic() + LONGEST_CLOSE
    while server.num_fds() > before and time.monotonic() < until:
        await asyncio.sleep(0.05)
    return {
        "serial": [body.decode() for body in load.serial],
        "answered": load.answered,
        "differing": load.differing,
        "errors": load.errors,
        "complaints": load.complaints,
        "ids": len(load.ids),
        "p50": quantile(load.waits, 0.5),
        "p99": quantile(load.waits, 0.99),
        "descriptors_before": before,
        "descriptors_after": server.num_fds(),
        "samples": samples,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
