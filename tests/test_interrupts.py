"""Ctrl-C: a command ends at once, with status 130, and nothing is written half."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from threading import Thread

import messy_loans
import pytest
from lenders import frame, written

from inference.settings import ROOT
from models.interrupts import run, temporary_folder

PROMPT = 5.0  # seconds; far less than any of these commands would still work

# Runs a command of models/ that interrupts itself while XGBoost builds a matrix: in a callback from C.
WHILE_BUILDING = """
import os, signal, sys
from xgboost.data import SingleBatchInternalIter

after = int(sys.argv.pop(1))
batch, built = SingleBatchInternalIter.next, []

def next_batch(self, take):
    built.append(self)
    if len(built) == after:
        os.kill(os.getpid(), signal.SIGINT)
    return batch(self, take)

SingleBatchInternalIter.next = next_batch

from models.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


def started(*command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # a shell may have it ignored
    )  # fmt: skip


def everything(folder: Path) -> dict[Path, bytes]:
    """All files and folders below, hidden ones too."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    """A file of loans, and a recipe for one of the two commands."""
    messy_loans.loans(4000).to_csv(tmp_path / "loans.csv", index=False)
    written(tmp_path, frame(), name="own.csv")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "after"),
    [
        ("new {folder}/loans.csv --target bad --out {folder}/out", 1),
        ("accept {folder} --only loans.csv", 3),
        ("train {folder}/own.toml --out {folder}/out", 2),
        ("search consumer", 5),
        ("search {folder}/own.toml", 4),
        ("choose consumer --without-fields job", 1),
    ],
)
def test_ctrl_c_while_a_matrix_is_built(loans: Path, command: str, after: int) -> None:
    """XGBoost calls back into Python as it builds a matrix; Ctrl-C right there is not lost, and damages nothing."""
    before = everything(loans)
    with started("-c", WHILE_BUILDING, str(after), *command.format(folder=loans).split()) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("\nStopped; nothing was written half.\n")
    assert "Traceback" not in errors
    assert everything(loans).items() - before.items() <= {(loans / "out", b"")}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_ctrl_c_at_any_moment(loans: Path, seed: int) -> None:
    """Stopped while it chooses, a draft ends at once and has written nothing."""
    before = everything(loans)
    command = ["new", str(loans / "loans.csv"), "--target", "bad", "--out", str(loans / "out")]
    with started("-m", "models", *command) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("First questions"):
                break
        time.sleep(random.Random(seed).uniform(0, 0.5))
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert time.monotonic() - sent < PROMPT
    assert everything(loans) == before


IN_A_FOLDER = """
import sys, time
from pathlib import Path
from joblib import Parallel, delayed
from models.interrupts import run, temporary_folder

def work():
    with temporary_folder(Path(sys.argv[1]), ".new."):
        Parallel(n_jobs=2)([delayed(print)("built", flush=True), delayed(time.sleep)(60)])
    return 0

sys.exit(run(work))
"""


@pytest.mark.slow
def test_no_folder_and_no_process_stay(tmp_path: Path) -> None:
    """What was being built is removed, and processes that work in parallel end too."""
    with started("-c", IN_A_FOLDER, str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "built\n"
        assert [path.name[:5] for path in tmp_path.iterdir()] == [".new."]
        process.send_signal(signal.SIGINT)
        # The pipes end only when every process that has them has ended.
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert not list(tmp_path.iterdir())


def test_what_a_command_gives_is_given(tmp_path: Path) -> None:
    """A status, an error, an exit; and from another thread the command just runs."""
    assert run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)
    with pytest.raises(SystemExit, match="2"):
        run(partial(sys.exit, 2))
    statuses: list[int] = []
    thread = Thread(target=lambda: statuses.append(run(lambda: 3)))
    thread.start()
    thread.join()
    assert statuses == [3]
    with temporary_folder(tmp_path, ".x") as folder:
        (folder / "a").write_text("a")
    assert not list(tmp_path.iterdir())
