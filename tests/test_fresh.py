"""What a Space or a newcomer without make does: requirements.txt into a fresh environment, then app.py."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from web.space import SERVED

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 120  # seconds from start to ready; a machine that is busy otherwise needs many


def test_serves_from_a_fresh_environment(tmp_path: Path) -> None:
    """After `pip install -r requirements.txt` in an empty environment, `python app.py` comes up ready to score."""
    for name in SERVED:
        source, target = ROOT / name, tmp_path / "app" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.jsonl"))
        else:
            shutil.copyfile(source, target)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]
    subprocess.run(install, cwd=tmp_path / "app", check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TENFOLD_", "GRADIO_", "SPACE_", "PYTHON"))}
    with (tmp_path / "output.txt").open("w+") as output:
        server = subprocess.Popen(
            [python, "app.py"],
            cwd=tmp_path / "app",
            env=inherited | {"PORT": str(port), "HOST": "127.0.0.1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            state = wait_until_ready(server, f"http://127.0.0.1:{port}/readyz")
        finally:
            server.terminate()
            server.wait(20)
        output.seek(0)
        assert state.get("status") == "ready", output.read()


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> dict[str, object]:
    """What /readyz says once it says 200; empty where the server ended or the deadline passed."""
    deadline = time.monotonic() + DEADLINE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
                return json.load(answer)  # type: ignore[no-any-return]
        except OSError:
            time.sleep(0.2)
    return {}
