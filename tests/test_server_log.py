"""What a server prints of what goes wrong: when and where, and no value of anybody."""

import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from canaries import ALL, left_in

from inference.settings import ROOT
from profiling.benchmarks.serving import free_port

pytestmark = pytest.mark.slow

# Served as ours is; fails as a program does that meets an applicant's data where it expects something else.
FAILING = f"""
import asyncio, sys, threading
from pathlib import Path
from inference.settings import Settings
from web.carried import Carried
from web.desk.waiting_answers import UnreadAnswers
from web.listening import Listening
from web.security.throttle import Throttle
from web.serve import serve
WORD = {ALL!r}
def thread():
    raise KeyError(WORD)
async def task():
    raise ValueError(WORD)
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    if path == "/thread":
        one = threading.Thread(target=thread); one.start(); one.join()
    elif path == "/task":
        one = asyncio.create_task(task()); await asyncio.sleep(0); del one
        import gc; gc.collect()
    elif path == "/file":
        open("/there/is/no/such/file")
    elif path == "/float":
        try:
            float(WORD)
        except ValueError as error:
            raise RuntimeError(WORD) from error
    await send({{"type": "http.response.start", "status": 204, "headers": []}})
    await send({{"type": "http.response.body", "body": b""}})
settings = Settings(release=Path(), port=int(sys.argv[1]))
serve(app, settings, "none", Listening(), Carried(Throttle(), UnreadAnswers()))
"""


@pytest.fixture
def said(tmp_path: Path) -> str:
    """What such a server prints when all of that has happened."""
    port = free_port()
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", FAILING, str(port)], cwd=ROOT, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/").status_code == 204:
                        break
                time.sleep(0.05)
            for path, status in (("thread", 204), ("task", 204), ("file", 500), ("float", 500)):
                assert httpx.get(f"http://127.0.0.1:{port}/{path}").status_code == status
            process.send_signal(signal.SIGTERM)
            process.wait()
        finally:
            process.kill()
            process.wait()
    return (tmp_path / "output.txt").read_text("utf-8")


def test_an_exception_is_told_without_its_values(said: str) -> None:
    """In a request, in a thread, in a task that nobody waits for; with the kinds of all, and what a system says."""
    assert left_in(said.encode()) == []
    for kind in ("builtins.KeyError", "builtins.ValueError", "builtins.RuntimeError"):
        assert re.search(f"^{re.escape(kind)}$", said, re.MULTILINE), said
    assert "builtins.FileNotFoundError: No such file or directory" in said
    assert "float(WORD)" in said or "in app" in said  # where it was
    assert said.count("Traceback (most recent call last):") == 5


def test_every_event_has_its_time_in_utc(said: str) -> None:
    """One line begins each."""
    events = re.findall(r"^(\S+) (?:ERROR|WARNING) \S+: ", said, re.MULTILINE)
    assert len(events) == 4
    assert [one for one in events if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one)] == []
