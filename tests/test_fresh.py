"""What a Space or a newcomer without make does: requirements.txt into a fresh environment, then app.py."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from profiling.benchmarks.serving import served
from web.shipping.files import chosen_releases, copy_served

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def install(python: str, folder: Path) -> None:
    """The folder's requirements.txt: by uv, which `make setup` leaves beside this Python, as it keeps what it has
    fetched; by pip where uv is missing or cannot install."""
    wanted = ["--quiet", "-r", "requirements.txt"]
    uv = Path(sys.executable).with_name("uv")
    if uv.exists() and not subprocess.run([uv, "pip", "install", "--python", python, *wanted], cwd=folder).returncode:
        return
    pip = [python, "-m", "pip", "install", "--no-compile", "--disable-pip-version-check", *wanted]
    subprocess.run(pip, cwd=folder, check=True)


def test_serves_from_a_fresh_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `pip install -r requirements.txt` in an empty environment, `python app.py` comes up ready to score; what
    needs more names the extra that has it."""
    copy_served(tmp_path / "app", chosen_releases(None))
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install(python, tmp_path / "app")
    for name in os.environ:
        if name.startswith(("TENFOLD_", "GRADIO_", "SPACE_", "PYTHON")):
            monkeypatch.delenv(name)
    kept = {"HOST": "127.0.0.1", "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3")}
    with (
        served([python, "app.py"], "/readyz", kept, tmp_path / "app") as url,
        urllib.request.urlopen(f"{url}/readyz", timeout=20) as answer,  # noqa: S310 - our own server
    ):
        assert json.load(answer)["status"] == "ready"
    log, ledger = tmp_path / "predictions.jsonl", kept["TENFOLD_LEDGER"]
    score = [python, "-m", "inference", "score", "--example"]
    subprocess.run(score, cwd=ROOT, env={**os.environ, "TENFOLD_LOG": str(log)}, check=True, capture_output=True)
    for words, environment, name in (
        (["models", "train"], {}, "train"),
        (["inference", "check"], {"TENFOLD_ENGINE": "onnx"}, "engines"),
        (["ledger", "--ledger", ledger, "export", str(tmp_path / "records.parquet")], {}, "book"),
    ):
        done = subprocess.run(
            [python, "-m", *words], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
        )
        assert done.returncode in (1, 2)
        assert (
            f"is not installed: run 'make setup', which installs all extras (or pip install -e '.[{name}]')"
            in done.stderr
        )
        assert "Traceback" not in done.stderr
    plot = [python, "-m", "profiling", "log", str(log), "--plot", str(tmp_path / "log.svg")]
    subprocess.run(plot, cwd=ROOT, check=True, capture_output=True)  # what serving needs is enough for this one
    assert "<svg" in (tmp_path / "log.svg").read_text()
