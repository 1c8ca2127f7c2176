"""A book on a cluster of real processes: a worker and the scheduler killed, a stray writer, another release, no room.

Whatever happens, the bytes are those of one machine, or the run says why it stopped and resumes.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_files import NAME, applications
from parts import newest

from inference.errors import TenfoldError
from inference.settings import ROOT

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
PATIENCE = 300  # seconds
ROWS_A_PART = 4000
PARTS = 40


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tape of many parts."""
    file = tmp_path_factory.mktemp("tape") / "tape.parquet"
    table = pa.Table.from_pylist(applications(ROWS_A_PART))
    with pq.ParquetWriter(file, table.schema) as writer:
        for _ in range(PARTS):
            writer.write_table(table, row_group_size=ROWS_A_PART)
    return file


@pytest.fixture(scope="module")
def expected(book: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes of it."""
    folder = tmp_path_factory.mktemp("expected") / "out"
    done = subprocess.run(command(book, folder, "--workers", "1"), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return content(folder)


def command(book: Path, folder: Path, *words: str) -> list[str]:
    common = ["--release", str(newest(NAME)), "--rows-a-part", str(ROWS_A_PART)]
    return [sys.executable, "-m", "inference", "book", str(book), str(folder), *common, *words]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a run, but the lock."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    files.pop(".lock")
    return files


@contextmanager
def process(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """A program of Dask's, whose standard error can be read."""
    running = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


class Cluster:
    """A scheduler and two workers, each a process of its own on this machine."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.scheduler = stack.enter_context(
            process("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        )
        assert self.scheduler.stderr is not None
        match = None
        while match is None:
            line = self.scheduler.stderr.readline()
            assert line, "the scheduler ended"
            match = re.search(r"Scheduler at:\s+(tcp://\S+)", line)
        self.address = match[1]
        self.folder = folder
        self.workers = [self.worker(stack, number) for number in range(2)]

    def worker(self, stack: ExitStack, number: int) -> "subprocess.Popen[str]":
        place = self.folder / f"worker-{number}"
        place.mkdir(exist_ok=True)
        words = (self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(place))
        return stack.enter_context(process("distributed.cli.dask_worker", *words))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def logs(folder: Path) -> list[Path]:
    return list((folder / "logs").glob("*.json"))


@contextmanager
def begun(book: Path, folder: Path, cluster: Cluster) -> Iterator["subprocess.Popen[str]"]:
    """A run on the cluster that has some parts."""
    words = command(book, folder, "--cluster", cluster.address)
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        try:
            wait_for(lambda: len(logs(folder)) >= 3 or run.poll() is not None)
            yield run
        finally:
            run.kill()


def test_a_killed_worker_changes_nothing(
    book: Path, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    """Its part is done again by the other one; the bytes are those of one machine."""
    with begun(book, tmp_path / "out", cluster) as run:
        assert len(logs(tmp_path / "out")) < PARTS
        cluster.workers[0].kill()
        _, error = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, error
        assert content(tmp_path / "out") == expected


def test_a_killed_scheduler_is_said_and_the_rest_resumes(
    book: Path, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    """The client stops with status 1 and names --resume, which does only what is missing."""
    folder = tmp_path / "out"
    with begun(book, folder, cluster) as run:
        cluster.scheduler.kill()
        _, error = run.communicate(timeout=PATIENCE)
        assert run.returncode == 1
        assert "--resume" in error
        assert "Traceback" not in error.splitlines()[-1]
        for worker in cluster.workers:
            worker.kill()
            worker.wait()
        times = {file.name: file.stat().st_mtime_ns for file in logs(folder)}
        assert 3 <= len(times) < PARTS
        done = subprocess.run(command(book, folder, "--resume"), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert {name: (folder / "logs" / name).stat().st_mtime_ns for name in times} == times
        assert content(folder) == expected


def test_a_stray_writer_that_finishes_late_harms_nothing(
    book: Path, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    """A worker that is stopped (SIGSTOP) in the middle of a part is taken for dead, and its part done again; when it
    wakes up after the run, it changes no byte."""
    folder = tmp_path / "out"
    with begun(book, folder, cluster) as run:
        attempts = folder / ".attempts"
        wait_for(lambda: attempts.is_dir() and len(list(attempts.glob("*/parts/.*"))) > 0)
        stray = cluster.workers[0]
        stray.send_signal(signal.SIGSTOP)
        from distributed import Client

        async def drop(dask_scheduler: object, address: str) -> None:  # within, so that its code is sent, not its name
            """Take a worker for dead, as the scheduler does after a silence."""
            await dask_scheduler.remove_worker(address, stimulus_id="test")  # type: ignore[attr-defined]

        with Client(cluster.address) as client:  # type: ignore[no-untyped-call]
            (address,) = [
                name for name, worker in client.scheduler_info(n_workers=-1)["workers"].items() if listens(stray, name)
            ]
            client.run_on_scheduler(drop, address=address)
        _, error = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, error
        stray.send_signal(signal.SIGCONT)
        time.sleep(3)
        assert content(folder) == expected
        assert not attempts.exists()


def listens(process: "subprocess.Popen[str]", address: str) -> bool:
    """Whether a process listens on an address of this machine."""
    port = int(address.rpartition(":")[2])
    inodes = {link.name: os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    sockets = {text[8:-1] for text in inodes.values() if text.startswith("socket:[")}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port and words[9] in sockets:
            return True
    return False


def test_workers_refuse_another_release_and_another_input(book: Path, tmp_path: Path) -> None:
    """By its digest, or by the size of the file; and what belongs to a run that is no longer there."""
    from inference.book.cluster import ATTEMPTS, Task, score_part

    folder = tmp_path / "out"
    done = subprocess.run(command(book, folder), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    import hashlib

    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    task = Task(str(folder), digest, str(book), str(newest(NAME)), ROWS_A_PART, 0)
    with pytest.raises(TenfoldError, match="this run has ended"):
        score_part(tuple(task))
    (folder / ATTEMPTS).mkdir()
    before = content(folder)
    score_part(tuple(task))
    assert content(folder) == before
    other = tmp_path / "other"
    shutil.copytree(newest(NAME), other)
    (other / "manifest.json").write_bytes((other / "manifest.json").read_bytes() + b"\n")
    with pytest.raises(TenfoldError, match="expected sha256"):
        score_part(tuple(task._replace(release=str(other))))
    with pytest.raises(TenfoldError, match="holds another run"):
        score_part(tuple(task._replace(manifest="0" * 64)))
    shorter = tmp_path / "shorter.parquet"
    pq.write_table(pq.read_table(book).slice(0, 100), shorter)
    with pytest.raises(TenfoldError, match="bytes here"):
        score_part(tuple(task._replace(input=str(shorter))))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["versions"]["numpy"] = "0.1"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    changed = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    with pytest.raises(TenfoldError, match="install the same"):
        score_part(tuple(task._replace(manifest=changed)))


def test_no_cluster_there_and_a_csv_file_are_said(book: Path, tmp_path: Path) -> None:
    """With status 1, in one line, before anything is scored."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    from inference.book.cluster import ADDRESS

    assert not ADDRESS.fullmatch("localhost:8786")
    done = subprocess.run(
        command(book, tmp_path / "out", "--cluster", "localhost:8786"), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "tcp://HOST:PORT" in done.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
