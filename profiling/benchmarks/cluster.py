"""A book on a Dask cluster of this machine: `python -m profiling.benchmarks.cluster`.

CPU a row with two workers over one; wall time of two workers over two independent processes, each with half of the
rows, in the same run; CPU of scheduler and client a million rows, beyond what a client takes for one small part and to
read the input for its digest; memory of a worker. All ways take turns; the best of each counts, and of ratios and
differences the median. All bytes are compared with one process's. Then two workers score books of other lengths
(`--lengths`), once each.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow.parquet as pq

from inference.book.cluster_client import SELDOM
from inference.book.pieces import digest_of
from inference.release import open_release
from inference.settings import ROOT, default_release
from profiling.benchmarks.book import TAPES
from profiling.benchmarks.tapes import ROWS_A_GROUP, write_tape
from profiling.results import merge

ROWS_A_PART = 524_288  # as docs/scale.md advises: scheduler and client work by the part, whatever its rows
TURNS = 5
STARTS = 3
LENGTHS = (1_000_000, 50_000_000)  # rows
# As docs/scale.md has scheduler and workers started.
VARIABLES = {
    f"DASK_{setting.upper().replace('.', '__').replace('-', '_')}": str(value) for setting, value in SELDOM.items()
}


class Turn(NamedTuple):
    """What one way took: seconds, and CPU seconds of the processes that score, and of those that hand out, beyond
    `client_start`."""

    wall: float
    work: float
    overhead: float
    memory: int  # bytes of the largest worker


def tape(rows: int) -> Path:
    """Jittered applications of the release that serves; one that is there already is left alone."""
    release = open_release(default_release())
    return write_tape(release, rows, TAPES / f"{release.manifest.name}-{rows}.parquet")


def cpu(pid: int) -> float:
    """CPU seconds of a process that runs."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def command(book: Path, out: Path, *words: str) -> list[str]:
    common = ["--rows-a-part", str(ROWS_A_PART), "--release", str(default_release())]
    return [sys.executable, "-m", "inference", "book", str(book), str(out), *common, *words]


def run(commands: Sequence[list[str]]) -> tuple[float, float]:
    """Start all at once; wall seconds until all have ended, and the CPU seconds of all."""
    before, started = os.times(), time.perf_counter()
    running = [
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in commands
    ]
    statuses = [process.wait() for process in running]
    assert set(statuses) == {0}  # noqa: S101 - a run that failed has no figure
    after = os.times()
    wall = time.perf_counter() - started
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


@contextmanager
def dask(*words: str) -> Iterator[tuple[int, str]]:
    """A program of Dask's: its process and, of a scheduler, its address."""
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stderr=log, env=os.environ | VARIABLES)
        try:
            match = None
            while "dask_scheduler" in words[0] and match is None:
                assert process.poll() is None  # noqa: S101 - nothing to be measured then
                time.sleep(0.05)
                match = re.search(r"Scheduler at:\s+(tcp://\S+)", Path(log.name).read_text())
            yield process.pid, match[1] if match else ""
        finally:
            process.kill()
            process.wait()


def cluster(book: Path, out: Path, workers: int) -> Turn:
    """One run on a fresh cluster; imports and starts are part of none of the figures but the client's."""
    with ExitStack() as stack:
        scheduler, address = stack.enter_context(
            dask("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        pids = [
            stack.enter_context(
                dask("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                     "--local-directory", f"{folder}/{number}")
            )[0]
            for number in range(workers)
        ]  # fmt: skip
        warm = Path(folder) / "warm"
        run([command(book.with_name("warm.parquet"), warm, "--cluster", address)])  # imports, release, first parts
        before = [cpu(pid) for pid in pids]
        scheduler_before = cpu(scheduler)
        wall, client = run([command(book, out, "--cluster", address)])
        work = sum(cpu(pid) - start for pid, start in zip(pids, before, strict=True))
        overhead = cpu(scheduler) - scheduler_before + client - client_start(book, address, Path(folder))
        return Turn(wall, work, overhead, max(psutil.Process(pid).memory_info().rss for pid in pids))


def halves(book: Path, folder: Path) -> list[Path]:
    """The book in two files, of whole row groups."""
    files = [folder / "half-0.parquet", folder / "half-1.parquet"]
    with pq.ParquetFile(book) as source:
        groups = source.num_row_groups
        for number, file in enumerate(files):
            with pq.ParquetWriter(file, source.schema_arrow) as writer:
                for group in range(number * groups // 2, (number + 1) * groups // 2):
                    writer.write_table(source.read_row_group(group), row_group_size=ROWS_A_GROUP)
    return files


def content(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((out / "parts").iterdir())}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m profiling.benchmarks.cluster", description=__doc__)
    parser.add_argument("--rows", type=int, default=16 * ROWS_A_PART, help="%(default)s")
    parser.add_argument("--tape", type=Path, help="a Parquet file to score instead of one that is made")
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS, help="rows of other books (%(default)s)")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--json", action="store_true", help="write the figures into bench.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book = folder / "book.parquet"
        book.symlink_to(given.tape.resolve() if given.tape else tape(given.rows))
        (folder / "warm.parquet").symlink_to(tape(4 * 4096))
        with pq.ParquetFile(book) as file:
            rows = file.metadata.num_rows
        parts = halves(book, folder)
        single: list[tuple[float, float]] = []
        independent: list[float] = []
        turns: dict[int, list[Turn]] = {1: [], 2: []}
        for number in range(given.turns):
            single.append(run([command(book, folder / f"one-{number}", "--workers", "1")]))
            independent.append(
                run([command(half, folder / f"{half.stem}-{number}", "--workers", "1") for half in parts])[0]
            )
            for workers in (1, 2):
                turns[workers].append(cluster(book, folder / f"cluster-{workers}-{number}", workers))
                same = content(folder / f"cluster-{workers}-{number}") == content(folder / f"one-{number}")
                assert same, "the bytes differ from one process's"  # noqa: S101 - nothing to be measured then
            for left in folder.glob(f"*-{number}"):
                shutil.rmtree(left)
        lengths = {}
        for length in given.lengths:
            long = folder / f"{length}.parquet"
            long.symlink_to(tape(length))
            turn = cluster(long, folder / f"out-{length}", 2)
            lengths[str(length)] = {
                "rows_per_second": length / turn.wall, "cpu_ns_a_row": 1e9 * turn.work / length,
                "overhead_cpu_seconds_a_million_rows": turn.overhead / (length / 1e6),
                "megabytes_a_worker": turn.memory / 2**20,
            }  # fmt: skip
            print(f"{length:,} rows, two workers: {lengths[str(length)]}", flush=True)
            shutil.rmtree(folder / f"out-{length}")
    work = {workers: min(turn.work for turn in several) / rows for workers, several in turns.items()}
    overhead = statistics.median(turn.overhead for turn in turns[2]) / (rows / 1e6)
    pairs = list(zip(turns[1], turns[2], independent, strict=True))
    wall = statistics.median(separate / second.wall for _, second, separate in pairs)
    figures = {
        "rows": rows,
        "rows_a_part": ROWS_A_PART,
        "cpu_ns_a_row_one_process": 1e9 * min(used for _, used in single) / rows,
        "cpu_ns_a_row_one_worker": 1e9 * work[1],
        "cpu_ns_a_row_two_workers": 1e9 * work[2],
        "two_workers_over_one_cpu": statistics.median(second.work / first.work for first, second, _ in pairs),
        "wall_share_of_two_processes": wall,
        "overhead_cpu_seconds_a_million_rows": overhead,
        "megabytes_a_worker": max(turn.memory for turn in turns[2]) / 2**20,
    }
    for key, value in figures.items():
        print(f"{key:40} {value:,.4g}")
    print("aims: two_workers_over_one_cpu <= 1.08, wall_share_of_two_processes >= 0.93, overhead <= 0.05")
    if given.json:
        merge(
            "cluster",
            {**figures, "lengths": lengths},
            {"book_two_workers_speedup": statistics.median(first.wall / second.wall for first, second, _ in pairs)},
        )


def client_start(book: Path, address: str, folder: Path) -> float:
    """CPU seconds of a client whatever the rows: a whole run of one small part, and reading the book for its digest.
    Each the median of several."""
    small, runs, digests = book.with_name("warm.parquet"), [], []
    for number in range(STARTS):
        runs.append(run([command(small, folder / f"start-{number}", "--cluster", address)])[1])
        before = time.process_time()
        digest_of(str(book))
        digests.append(time.process_time() - before)
    return statistics.median(runs) + statistics.median(digests)


if __name__ == "__main__":
    main()
