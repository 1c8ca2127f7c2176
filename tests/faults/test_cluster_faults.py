"""A book on a cluster of real processes: a worker and the scheduler killed, a stray writer, another release, no room.

Whatever happens, the bytes are those of one machine, or the run says why it stopped and resumes.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_files import NAME, applications, csv_text
from parts import newest
from workbooks import sheet_of, write_xlsx

from inference.book import cluster_client
from inference.book.errors import BookStopped
from inference.engines import ENGINES
from inference.errors import TenfoldError
from inference.settings import ROOT
from profiling.benchmarks.cluster import VARIABLES

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
    """A program of Dask's, whose standard error can be read. A nanny's workers end with its process group."""
    running = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


class Cluster:
    """A scheduler and workers, each a process of its own on this machine."""

    def __init__(self, stack: ExitStack, folder: Path, workers: int = 2, more: tuple[str, ...] = ()) -> None:
        """`more` words for both of Dask's programs."""
        self.more = more
        protocol = ("--protocol", "tls") if more else ()
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", *protocol, *more)
        self.scheduler = stack.enter_context(process("distributed.cli.dask_scheduler", *words))
        assert self.scheduler.stderr is not None
        match = None
        while match is None:
            line = self.scheduler.stderr.readline()
            assert line, "the scheduler ended"
            match = re.search(r"Scheduler at:\s+(\w+://\S+)", line)
        self.address = match[1]
        self.folder = folder
        self.workers = [self.worker(stack, number) for number in range(workers)]

    def worker(self, stack: ExitStack, number: int, *words: str) -> "subprocess.Popen[str]":
        """One that dies with its process; with other words than that as they say."""
        place = self.folder / f"worker-{number}"
        place.mkdir(exist_ok=True)
        words = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(place), *(words or ("--no-nanny",)))
        return stack.enter_context(process("distributed.cli.dask_worker", self.address, *words, *self.more))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def only_line(error: str) -> str:
    """What a command says beside how it reads its input: one line, and none of Dask's."""
    reading, *lines = error.splitlines()
    assert reading.startswith("read as "), error
    (line,) = lines
    return line


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
        assert "The scheduler is gone" in only_line(error)
        assert "--resume" in error
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


def test_a_client_loads_no_engine(cluster: Cluster, tmp_path: Path) -> None:
    """It states the versions that an engine which is loaded states: the manifest and all else is one machine's."""
    program = (
        "import sys\nfrom inference.book.command import main\nstatus = main(sys.argv[1:])\n"
        "assert not {'xgboost', 'onnxruntime', 'daal4py', 'numba'} & sys.modules.keys()\nsys.exit(status)"
    )
    short = tmp_path / "short.parquet"
    pq.write_table(pa.Table.from_pylist(applications(ROWS_A_PART)), short)
    for engine in ENGINES:
        far, here = tmp_path / f"far-{engine}", tmp_path / f"here-{engine}"
        words = command(short, far, "--engine", engine, "--cluster", cluster.address)
        done = run_to_its_end([sys.executable, "-c", program, *words[4:]])
        assert done.returncode == 0, done.stderr
        done = run_to_its_end(command(short, here, "--engine", engine))
        assert done.returncode == 0, done.stderr
        assert content(far) == content(here)


def test_an_engine_that_there_is_not_is_said_before_workers_are_asked(book: Path, tmp_path: Path) -> None:
    words = command(book, tmp_path / "out", "--cluster", "tcp://127.0.0.1:1")
    done = run_to_its_end(words, TENFOLD_ENGINE="steam")
    assert done.returncode == 1
    assert "engine 'steam' is not known; TENFOLD_ENGINE takes one of xgboost" in done.stderr.splitlines()[-1]


def run_to_its_end(words: list[str], **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, env=os.environ | more)


@pytest.mark.parametrize("limit", ["100MB", "300MB"])
def test_workers_without_enough_memory_are_said_and_larger_ones_go_on(
    book: Path, expected: dict[str, bytes], tmp_path: Path, limit: str
) -> None:
    """Real workers under Dask's nanny, which ends them at 95 % of their limit, and pauses them at 80 %: the run stops
    with status 1, says that it is the memory, and goes on with larger ones to the same bytes."""
    folder = tmp_path / "out"
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, workers=0)
        cluster.worker(stack, 0, "--nanny", "--memory-limit", limit)
        done = run_to_its_end(command(book, folder, "--cluster", cluster.address))
        assert done.returncode == 1, done.stderr
        last = done.stderr.splitlines()[-1]
        assert "--memory-limit" in last
        assert "--resume" in last
        assert len(logs(folder)) < PARTS
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, workers=0)
        cluster.worker(stack, 0, "--nanny", "--memory-limit", "2GB")
        done = run_to_its_end(command(book, folder, "--cluster", cluster.address, "--resume"))
        assert done.returncode == 0, done.stderr
    assert content(folder) == expected


def test_no_worker_left_is_said(book: Path, expected: dict[str, bytes], cluster: Cluster, tmp_path: Path) -> None:
    """Both are killed, and the scheduler waits for others: the run does not wait for ever, and resumes without them."""
    folder = tmp_path / "out"
    with begun(book, folder, cluster) as run:
        for worker in cluster.workers:
            worker.kill()
        _, error = run.communicate(timeout=PATIENCE)
        assert run.returncode == 1
        assert "no worker is left" in error.splitlines()[-1]
    done = run_to_its_end(command(book, folder, "--resume"))
    assert done.returncode == 0, done.stderr
    assert content(folder) == expected


def certificate(folder: Path, name: str) -> dict[str, str]:
    """An authority of this name, and a certificate for this machine by it: as `dask` is told of them."""
    files = {part: folder / f"{name}-{part}.pem" for part in ("ca", "ca-key", "key", "request", "cert")}
    new: list[str | Path] = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    sign: list[str | Path] = [
        "openssl",
        "x509",
        "-req",
        "-in",
        files["request"],
        "-CA",
        files["ca"],
        "-CAkey",
        files["ca-key"],
    ]
    commands: tuple[list[str | Path], ...] = (
        [
            *new,
            "-subj",
            f"/CN={name} authority",
            "-x509",
            "-days",
            "2",
            "-keyout",
            files["ca-key"],
            "-out",
            files["ca"],
        ],
        [*new, "-subj", f"/CN={name}", "-keyout", files["key"], "-out", files["request"]],
        [*sign, "-CAcreateserial", "-days", "2", "-out", files["cert"]],
    )
    for words in commands:
        subprocess.run(words, check=True, capture_output=True)
    return {"ca-file": str(files["ca"]), "cert": str(files["cert"]), "key": str(files["key"])}


def of_client(files: dict[str, str]) -> dict[str, str]:
    """What docs/scale.md says of the client's variables."""
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    return {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
        f"{tls}CA_FILE": files["ca-file"],
        f"{tls}CLIENT__CERT": files["cert"],
        f"{tls}CLIENT__KEY": files["key"],
    }


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed, which makes the certificates")
def test_tls_as_dask_is_configured(book: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    """Real certificates: who has one of the cluster's authority scores; who has none, one of another, or no TLS where
    the cluster has it, is told so in one line, without Dask's own messages, and sends nothing."""
    own, other = (certificate(tmp_path, name) for name in ("own", "other"))
    words = tuple(word for name, file in own.items() for word in (f"--tls-{name}", file))
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, more=words)
        assert cluster.address.startswith("tls://")
        folder = tmp_path / "refused"
        plain = Cluster(stack, tmp_path, workers=0)
        nowhere = str(tmp_path / "nowhere.pem")
        not_set = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE is not set: docs/scale.md"
        no_file = f"DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY names {nowhere}, where no file is"
        check = "Check DASK_DISTRIBUTED__COMM__TLS__… of this machine"
        for address, settings, advice in (
            (cluster.address, {}, not_set),
            (cluster.address, of_client(other), check),
            (cluster.address, of_client(other | {"ca-file": own["ca-file"]}), check),
            (cluster.address, of_client(own | {"key": nowhere}), no_file),
            (cluster.address.replace("tls", "tcp"), of_client(own), check),
            (plain.address.replace("tcp", "tls"), of_client(own), check),
            (cluster.address.replace("tls", "tcp"), {}, "is it tls:// instead?"),
            ("local:1", {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}, not_set),
        ):
            refused = run_to_its_end(command(book, folder, "--cluster", address), **settings)
            assert refused.returncode == 1
            line = only_line(refused.stderr)
            assert line.startswith(f"--cluster {address}: no workers answer there ("), line
            assert advice in line
            assert not folder.exists()
        done = run_to_its_end(command(book, tmp_path / "out", "--cluster", cluster.address), **of_client(own))
        assert done.returncode == 0, done.stderr
    assert content(tmp_path / "out") == expected


def test_no_cluster_there_and_other_files_are_said(book: Path, tmp_path: Path) -> None:
    """With status 1, in one line, before anything is scored and before any worker is started."""
    from inference.book.cluster_client import ADDRESS

    assert not ADDRESS.fullmatch("localhost:8786")
    done = run_to_its_end(command(book, tmp_path / "out", "--cluster", "localhost:8786"))
    assert done.returncode == 1
    assert "tcp://HOST:PORT" in done.stderr
    rows = applications(3)
    (tmp_path / "a.csv").write_text(csv_text(rows))
    write_xlsx(tmp_path / "a.xlsx", {"loans": sheet_of(rows)})
    for name, kind in (("a.csv", "CSV"), ("a.xlsx", "a workbook")):
        # A scheduler that is not there would be waited for.
        done = run_to_its_end(command(tmp_path / name, tmp_path / "out", "--cluster", "tcp://127.0.0.1:1"))
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert f"a cluster reads Parquet, of which each worker opens its own part, and this is {kind}." in last
        assert "docs/recipes.md" in last
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_what_is_no_scheduler_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that takes connections and never speaks; Dask's client waits for its first words without an end."""
    monkeypatch.setattr(cluster_client, "WAIT", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        said = f"{address}: no workers answer there .*nothing there speaks as Dask does"
        with pytest.raises(BookStopped, match=said), cluster_client.cluster_client(address):
            pass


def test_news_of_a_cluster_of_our_own_is_a_line(book: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    """A worker process is killed: that it is started again is said, in a line, and all parts are there."""
    folder = tmp_path / "out"
    words = command(book, folder, "--cluster", "local:2")
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        wait_for(lambda: len(logs(folder)) >= 3 or run.poll() is not None)
        os.kill(worker_of(run.pid), signal.SIGKILL)
        _, error = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, error
    assert content(folder) == expected
    reading, *lines = error.splitlines()
    assert [line for line in lines if not line.startswith("Dask: ")] == [], reading
    assert any("Restarting worker" in line for line in lines), error


def worker_of(parent: int) -> int:
    """A process that Dask's nanny started in this one."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            is_child = int(file.read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and b"spawn_main" in file.with_name("cmdline").read_bytes():
                return int(file.parent.name)
    raise AssertionError("no worker")


def test_dasks_processes_look_at_themselves_seldom_unless_a_user_says_otherwise() -> None:
    """As the documents have schedulers and workers started; in a process of its own, since settings are a process's."""
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"\b(DASK_DISTRIBUTED__(?:ADMIN|WORKER)__\w+)=(\S+)", text))
    program = (
        "import dask.config\nfrom inference.book.cluster_client import SELDOM, cluster_client\n"
        "with cluster_client('local:1') as client:\n"
        "    print([dask.config.get(name) for name in SELDOM], client.run(\n"
        "        lambda dask_worker: dask_worker.periodic_callbacks['tick'].callback_time))\n"
    )
    for more, tick in (({}, "'1s'"), ({"DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "70ms"}, "'70ms'")):
        done = run_to_its_end([sys.executable, "-c", program], **more)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"[{tick}, '5s', False]"), done.stdout
        assert f": {1000 if not more else 70}" in done.stdout, done.stdout
    assert documented == VARIABLES
