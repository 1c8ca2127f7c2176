"""One server takes the place of another under load, with another release: `python -m profiling.benchmarks.restart`.

Clients of every kind ask all the time: on connections they keep, with and without pauses, on a new one a request, and
in Gradio's two steps, of which the second may reach the other server. A request fails if it has no whole answer with
status 200, or one that differs from that release's first answer.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inference.fields import ANY, ChoiceField, without_reason
from inference.release import Release, open_release
from inference.settings import RELEASES, ROOT
from profiling import results
from profiling.benchmarks.serving import START, STOP, running
from profiling.workload import embedded

API, CALL = "/api/v1/score", "/gradio_api/call/predict_credit_score"
KEEPING, PAUSING, CHANGING, CALLING = 6, 4, 3, 2  # clients of each kind
PAUSE = 4.0  # seconds, at most; shorter than a server keeps an unused connection
PATIENCE = 60.0  # seconds for an answer
EARLIER = "consumer-9e127c0ee47d"  # another model for the same form


@dataclass
class Restart:
    """What came of it; times in seconds, the slowest answer in ms."""

    requests: int = 0
    failed: int = 0
    slowest_ms: float = 0.0
    start_s: float = 0.0  # from the command to the first answer of the new server
    both_s: float = 0.0  # from the command to the end of the old server
    by_release: dict[str, int] = field(default_factory=dict)  # scores of the API
    status: int | None = None  # exit status of the old server
    complaints: list[str] = field(default_factory=list)  # the first few
    first_of_new: float = 0.0


class Load:
    """What all clients share."""

    def __init__(self, port: int, old: Release, new: Release) -> None:
        self.port, self.new = port, new
        self.example = dict(old.form.example)
        self.outcome, self.stopping = Restart(), False
        self._pds: dict[str, object] = {}

    async def client(self, pause: float, keeps: bool, calls: bool) -> None:
        """One client, until the load stops."""
        chance, connection = random.Random(0), None  # noqa: S311
        while not self.stopping:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PATIENCE):
                    connection = connection or await asyncio.open_connection("127.0.0.1", self.port)
                    closes = await (self._call(*connection) if calls else self._score(*connection))
            except (OSError, ValueError, KeyError, EOFError, TimeoutError) as error:
                self._failed(f"{type(error).__name__}: {error}")
                closes = True
            self.outcome.requests += 1
            self.outcome.slowest_ms = max(self.outcome.slowest_ms, (time.perf_counter() - began) * 1e3)
            if connection and (closes or not keeps):
                connection[1].close()
                connection = None
            await asyncio.sleep(chance.uniform(0, pause))
        if connection:
            connection[1].close()

    def _failed(self, why: str) -> None:
        self.outcome.failed += 1
        self.outcome.complaints = [*self.outcome.complaints, why][:5]

    async def _score(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body, closes = await exchange(reader, writer, "POST", API, {"answers": self.example})
        answer = json.loads(body)
        name = answer["release_name"]
        if self._pds.setdefault(name, answer["pd"]) != answer["pd"]:
            raise ValueError(f"{name}: another PD than before")
        counts = self.outcome.by_release
        if name == self.new.name and name not in counts:
            self.outcome.first_of_new = time.perf_counter()
        counts[name] = counts.get(name, 0) + 1
        return closes

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Gradio's API: the score is asked for on one connection, and fetched on another."""
        body, closes = await exchange(reader, writer, "POST", CALL, {"data": list(self.example.values())})
        fetching = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            stream, _ = await exchange(*fetching, "GET", f"{CALL}/{json.loads(body)['event_id']}")
        finally:
            fetching[1].close()
        if b"event: complete" not in stream or b'"pd"' not in stream:
            raise ValueError(f"no answer to a call: {stream[:200]!r}")
        return closes


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, content: object = None
) -> tuple[bytes, bool]:
    """Ask, and the answer's body, and whether the server closes the connection. Raises `ValueError` unless it is a
    200, `EOFError` if the connection is closed instead."""
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    came = (await reader.readuntil(b"\r\n\r\n")).lower()
    if length := re.search(rb"content-length: (\d+)", came):
        answer = await reader.readexactly(int(length[1]))
    else:  # a stream, in chunks
        answer = b""
        while size := int(await reader.readline(), 16):
            answer += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    if not came.startswith(b"http/1.1 200 "):
        raise ValueError(f"{path}: {came[:60]!r} {answer[:200]!r}")
    return answer, b"connection: close" in came


def lender_of(release: Release, folder: Path) -> Path:
    """Lender settings with a text for each reason that a release of an older format has none for."""
    texts = (ROOT / "web" / "lender.toml").read_text("utf-8")
    for entry in release.form.fields:
        codes = without_reason(entry)
        for code in [ANY] if codes and isinstance(entry, ChoiceField) else codes:
            texts += f'\n[reason_texts.{entry.name}.{code}]\nen = "{entry.label["en"]}"\nfr = "{entry.label["fr"]}"\n'
    file = folder / f"{release.name}.toml"
    file.write_text(texts, "utf-8")
    return file


async def replaced(load: Load, requests: int, pid: int, old_ended: "asyncio.Future[int]", folder: Path) -> None:
    """The load, and in the middle of it the new server, which is stopped in the end."""
    ways = [(0.0, True, False)] * KEEPING + [(PAUSE, True, False)] * PAUSING
    ways += [(0.0, False, False)] * CHANGING + [(0.05, True, True)] * CALLING
    outcome = load.outcome
    clients = [asyncio.create_task(load.client(*way)) for way in ways]
    await enough(lambda: outcome.requests >= requests // 5)
    environment = environment_of(load.new, folder)
    with (folder / "new.txt").open("wb") as output:
        began = time.perf_counter()
        new = await asyncio.create_subprocess_exec(
            sys.executable, "app.py", "--replace", str(pid), cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            await asyncio.wait([asyncio.ensure_future(new.wait()), old_ended], return_when=asyncio.FIRST_COMPLETED)
            if new.returncode is not None:
                raise SystemExit(f"no new server: {(folder / 'new.txt').read_text()[-2000:]}")
            outcome.status, outcome.both_s = await old_ended, time.perf_counter() - began
            outcome.start_s = outcome.first_of_new - began
            after = outcome.requests
            await enough(lambda: outcome.requests >= max(requests, after + requests // 5))
            load.stopping = True
            await asyncio.gather(*clients)
        finally:
            if new.returncode is None:
                new.terminate()
                await asyncio.wait_for(new.wait(), STOP)
        if b"Traceback" in (folder / "new.txt").read_bytes():
            raise SystemExit((folder / "new.txt").read_text()[-2000:])


async def enough(reached: Callable[[], bool]) -> None:
    """Wait until so much has happened."""
    async with asyncio.timeout(10 * START):
        while not reached():
            await asyncio.sleep(0.02)


def environment_of(release: Release, folder: Path) -> dict[str, str]:
    """Of a server of that release; both write the same ledger and logs."""
    files = {"TENFOLD_LOG": "p.jsonl", "TENFOLD_SECURITY_LOG": "s.jsonl", "TENFOLD_LEDGER": "ledger.sqlite3"}
    return {
        **os.environ, "TENFOLD_RELEASE": str(release.folder), "TENFOLD_RATE": "0", "TMPDIR": str(folder),
        "TENFOLD_USERS": "off", "TENFOLD_LENDER": str(lender_of(release, folder)),
        **{name: str(folder / file) for name, file in files.items()},
    }  # fmt: skip


def restart(requests: int, folder: Path, old: Release, new: Release) -> Restart:
    """A server of `old` under at least so many requests, replaced by one of `new`, which has the same form."""
    with running([sys.executable, "app.py"], "/readyz", environment_of(old, folder)) as (url, process):
        load = Load(int(url.rpartition(":")[2]), old, new)

        async def measured() -> None:
            ended = asyncio.ensure_future(asyncio.to_thread(process.wait))
            await replaced(load, requests, process.pid, ended, folder)

        asyncio.run(measured())
    return load.outcome


def main() -> int:
    """Print and keep the figures. Exit status 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    old, new = open_release(embedded()[0]), open_release(RELEASES / EARLIER)
    with tempfile.TemporaryDirectory() as folder:
        outcome = restart(options.requests, Path(folder), old, new)
    print(
        f"{outcome.requests:,} requests, {outcome.failed} failed, slowest {outcome.slowest_ms:,.0f} ms; "
        f"{', '.join(f'{count:,} scores by {name}' for name, count in outcome.by_release.items())}\n"
        f"new server: first answer after {outcome.start_s:.1f} s; both alive for {outcome.both_s:.1f} s; "
        f"the old one ended with status {outcome.status}"
    )
    for complaint in outcome.complaints:
        print(complaint, file=sys.stderr)
    results.merge("restart", asdict(outcome))
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
