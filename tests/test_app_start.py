"""`python app.py`: the address that it prints is the one that it answers at, and what it lacks is said at the start."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.settings import ROOT
from profiling.benchmarks.serving import answers, free_port, stop

pytestmark = pytest.mark.slow


def environment(tmp_path: Path, host: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TENFOLD_", "SPACE_"))}
    own = {"HOST": host, "PORT": str(free_port()), "TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": "off"}
    return {**inherited, **own, "TENFOLD_USERS": "off", "TENFOLD_SECURITY_LOG": "off"}


def has(host: str) -> bool:
    """Whether this computer has an address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.bind((host, 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
def test_the_address_that_is_printed_can_be_opened(tmp_path: Path, host: str, shown: str) -> None:
    """An IPv6 address stands in brackets; another address of this computer is open to it as well."""
    if not has(host):
        pytest.skip(f"this computer has no address {host}")
    own, said = environment(tmp_path, host), tmp_path / "said"
    with said.open("wb") as output:
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=own, stdout=output, stderr=output)
        try:
            until = time.monotonic() + 120
            while not (found := re.search(r" on (http://\S+) \(", said.read_text())):
                assert time.monotonic() < until, said.read_text()
                assert server.poll() is None, said.read_text()
                time.sleep(0.05)
            assert found[1] == f"http://{shown}:{own['PORT']}"
            while not answers(f"{found[1]}/livez"):
                assert time.monotonic() < until, said.read_text()
                time.sleep(0.05)
            assert answers(f"{found[1]}/api/v1/release")
        finally:
            stop(server)


def test_too_few_open_files_stop_the_start(tmp_path: Path) -> None:
    """What `ulimit -n` allows, what is needed, and what to do; before anything that takes seconds."""
    command = ["sh", "-c", 'ulimit -n 150 && exec "$0" app.py', sys.executable]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(tmp_path, "127.0.0.1"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "150 open files" in done.stderr
    assert "ulimit -n 1024" in done.stderr
    assert "Traceback" not in done.stderr
