"""Servers of our own for benchmarks and tests: started on a free port of this machine, and stopped again."""

import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from inference.settings import ROOT

START = 120  # seconds that a server may take to come up
STOP = 20  # and to end


@contextmanager
def running(
    command: list[str], path: str, environment: Mapping[str, str], folder: Path = ROOT, seconds: float = START
) -> Iterator[tuple[str, psutil.Process]]:
    """The address and the process of a server started in `folder`, from when `path` answers until no longer needed.

    Its port replaces PORT in words of the command, but for `PORT=` itself, and in values of `environment`. The server's
    output is shown if it does not come up.
    """
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    variables = {name: value.replace("PORT", port) for name, value in environment.items()}
    command = [re.sub("PORT(?!=)", port, part) for part in command]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PORT": port, **variables}, stdout=output, stderr=output
        )
        try:
            until = time.monotonic() + seconds
            while not answers(url + path):
                if process.poll() is not None or time.monotonic() > until:
                    output.seek(0)
                    raise SystemExit(f"{' '.join(command)} did not come up:\n{output.read()[-2000:]}")
                time.sleep(0.05)
            yield url, psutil.Process(process.pid)
        finally:
            stop(process)


@contextmanager
def served(command: list[str], path: str, environment: Mapping[str, str], folder: Path = ROOT) -> Iterator[str]:
    """The address alone."""
    with running(command, path, environment, folder) as (url, _):
        yield url


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server and its workers, gracefully if possible."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.terminate()
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET of the address is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a server of our own
            return bool(answer.status == 200)
    except OSError:
        return False
