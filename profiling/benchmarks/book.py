"""A whole book, side by side with other programs: `python -m profiling.benchmarks.book` (make bench-book).

Every program runs in a process of its own on the same processors, in turn, over the same tape; the best of the rounds
counts. PDs are compared before anything is timed. Also: a book beside the engine's bare predict on ready rows, part by
part in one process; a book beside pandas in chunks, the median of the rounds; the memory of 1 and 10 million rows over
a process that has only opened the release and its engine, and every row of a million beside `Scorer.score`. Peers score
the consumer book, each program written as its users write it. What is not wanted (`--only`, `--engines`) stays as it
was measured before, of as many rows.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.blocks import Matrix
from inference.book.batches import BatchScorer, rows_at_once
from inference.book.columns import check
from inference.book.command import use_little_memory
from inference.book.parts import RunFolder
from inference.book.run import Book
from inference.book.sources import Told, open_source
from inference.engines import ENGINES, TOLERANCE, Engine, open_engine
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import ROOT
from profiling import results
from profiling.benchmarks import peers_installed
from profiling.benchmarks.tapes import write_tape
from profiling.workload import embedded

TAPES = ROOT / "build" / "tapes"
PROGRAMS = "profiling.benchmarks.peers.book_programs"
PEERS = ("pandas_whole", "pandas_chunks", "polars_whole", "onnx_batches", "xgboost_dask", "duckdb_function")
LIBRARIES = {"polars_whole": "polars", "duckdb_function": "duckdb"}  # installed under build/peers
WANTED = ("engines", "peers", "pandas", "memory", "equal")
TOGETHER = 4  # parts: the disk settles one while the next is scored
SOME = 262_144  # ready rows for the bare predict
Figures = dict[str, float]


def run(program: str, release: str, source: Path, out: Path, engine: str, cores: int) -> Figures:
    """One program in a process of its own, with `wall` from its start to its end. Raises SystemExit where it fails."""
    for left in (out, out.with_name(out.name + ".parts")):
        shutil.rmtree(left, ignore_errors=True)
        left.unlink(missing_ok=True) if left.is_file() else None
    path = str(peers_installed.library(LIBRARIES[program])) if program in LIBRARIES else ""
    environment = {**os.environ, "PYTHONPATH": path, "TENFOLD_LEDGER": "off"}
    command = [sys.executable, "-m", PROGRAMS, program, release, str(source), str(out), engine, str(cores)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} {engine}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "wall": time.perf_counter() - began}


def scores_in(out: Path) -> pa.Table:
    """Ids and PDs that a program wrote: one file, or the parts of a folder."""
    files = sorted((out / "parts").glob("*.parquet")) if out.is_dir() else [out]
    return pa.concat_tables([pq.read_table(file, columns=["loan_id", "pd"]) for file in files])


def beside_engine(release: Release, source: Path, engine: str, folder: Path) -> Figures:
    """A book on one processor, and after every `TOGETHER` parts the engine alone on as many rows that are ready: the
    median of the pairs' ratios, since a pair has the same machine, however its speed changes. What comes before the
    first part and after the last is shared out among all."""
    use_little_memory()
    opened, at_once = open_engine(engine, release), rows_at_once(release)
    rows = release.rows.build(values_of(release, source))
    predict_ready(opened, rows, at_once)
    tape = open_source(str(source), release.form, {}, Told())
    book = Book(BatchScorer(release, opened), tape, {}, RunFolder(folder, "parquet"))
    began = time.perf_counter()
    logs = dict(book.folder.begin(book.manifest(), resume=False))
    around, pairs = time.perf_counter() - began, []
    parts = tape.parts(())
    with ThreadPoolExecutor(1) as disk:  # as `score_book` does
        while some := list(islice(parts, TOGETHER)):
            began = time.perf_counter()
            settling = [disk.submit(book.folder.settle, book.score(part)) for part in some]
            logs |= {log.part: log for log in (future.result() for future in settling)}
            scored = time.perf_counter()
            for part in some:
                predict_ready(opened, rows[: logs[part.number].rows], at_once)
            n = sum(logs[part.number].rows for part in some)
            pairs.append((n, scored - began, time.perf_counter() - scored))
    began = time.perf_counter()
    book.folder.end(logs, None)
    around += time.perf_counter() - began
    book.folder.close()
    around /= sum(n for n, _, _ in pairs)
    return {
        "bare_rows_per_second": statistics.median(n / bare for n, _, bare in pairs),
        "over_engine": statistics.median(bare / (taken + n * around) for n, taken, bare in pairs),
    }


def predict_ready(engine: Engine, rows: Matrix, at_once: int) -> None:
    for start in range(0, len(rows), at_once):
        engine.predict_proba(rows[start : start + at_once])


def values_of(release: Release, source: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The first applications of a tape, encoded."""
    with pq.ParquetFile(source) as file:
        batch = next(file.iter_batches(SOME, columns=list(release.form.names)))
    return check(batch, release.form).values


def measured_beside(name: str, source: Path, engine: str, folder: Path) -> Figures:
    """`beside_engine` in a process of its own, on the processor that books have."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "profiling.benchmarks.book", "--beside", name, str(source), engine, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def engines_table(
    name: str, tape: Path, rows: int, rounds: int, folder: Path, engines: Sequence[str]
) -> dict[str, Any]:
    """Our rate by engine, the best of the rounds, and beside the engine's own."""
    figures: dict[str, Any] = {}
    for engine in engines:
        out = folder / f"{name}-{engine}"
        taken = min((run("ours", name, tape, out, engine, 1) for _ in range(rounds)), key=lambda took: took["seconds"])
        rate = {"rows_per_second": rows / taken["seconds"]}
        figures[engine] = {**taken, **rate, **measured_beside(name, tape, engine, out)}
    return figures


def engine_ratios(name: str, figures: dict[str, Any]) -> dict[str, float]:
    """Of our rate by engine over the engine's own; and of bits over XGBoost's own."""
    ratios = {f"book_rate_over_engine_{name}_{engine}": row["over_engine"] for engine, row in figures.items()}
    if {"bins", "xgboost"} <= figures.keys():
        bits = figures["bins"]["rows_per_second"] / figures["xgboost"]["bare_rows_per_second"]
        ratios[f"book_bins_over_xgboost_bare_{name}"] = bits
    return ratios


def compared(expected: pa.Table, out: Path) -> float:
    """How far the PDs of a program are from ours at most; raises SystemExit beyond TOLERANCE or for other rows."""
    written = scores_in(out)
    if not written["loan_id"].equals(expected["loan_id"]):
        raise SystemExit(f"{out.name}: other rows, or in another order; nothing was timed")
    off = float(np.abs(written["pd"].to_numpy() - expected["pd"].to_numpy()).max())
    if not off <= TOLERANCE:
        raise SystemExit(f"{out.name}: a PD is off by {off:.2g}; nothing was timed")
    return off


def peers_table(tape: Path, small: Path, rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Rates, memory and lines of every program that can be run here; equal PDs first, on a small tape."""
    run("ours", "consumer", small, folder / "ours", "xgboost", 1)
    expected = scores_in(folder / "ours")
    programs = []
    for program in PEERS:
        try:
            run(program, "consumer", small, folder / f"{program}.parquet", "xgboost", 1)
        except (SystemExit, subprocess.CalledProcessError) as error:
            print(f"{program} is left out: {str(error).strip().splitlines()[-1]}", flush=True)
            continue
        compared(expected, folder / f"{program}.parquet")
        programs.append(program)
    figures: dict[str, Any] = {}
    for _ in range(rounds):
        for program in programs:
            taken = run(program, "consumer", tape, folder / f"{program}.parquet", "xgboost", 1)
            if taken["seconds"] < figures.get(program, {}).get("seconds", np.inf):
                figures[program] = {**taken, "rows_per_second": rows / taken["seconds"]}
    return figures


def over_pandas(tape: Path, rounds: int, folder: Path, engines: Sequence[str]) -> dict[str, float]:
    """Our rate by engine over that of pandas in chunks. Each run of ours has one of pandas before it, since the
    machine's speed changes within minutes; the median of the rounds."""
    taken: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            theirs = run("pandas_chunks", "consumer", tape, folder / "pandas.parquet", "xgboost", 1)["seconds"]
            ours = run("ours", "consumer", tape, folder / "beside-pandas", engine, 1)["seconds"]
            taken[engine].append(theirs / ours)
    return {f"book_over_pandas_{engine}": statistics.median(several) for engine, several in taken.items()}


def memory(tapes: dict[tuple[int, str], Path], folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Peak memory of books of two lengths over a process that has only opened the release and its engine."""
    base = run("opened", "consumer", Path("-"), folder / "nothing", "xgboost", 1)["peak_mb"]
    figures: dict[str, Any] = {"opened_mb": base}
    ratios = {}
    few, many = sorted({rows for rows, _ in tapes})
    for kind in ("parquet", "csv"):
        peaks = {
            rows: run("ours", "consumer", tapes[rows, kind], folder / "memory", "xgboost", 2)["peak_mb"]
            for rows in (few, many)
        }
        figures[kind] = {
            "peak_mb": {str(rows): peak for rows, peak in peaks.items()},
            "above_opened_mb": peaks[many] - base,
        }
        ratios["book_peak_10m_over_1m" if kind == "parquet" else "book_peak_10m_over_1m_csv"] = peaks[many] / peaks[few]
    return figures, ratios


@cache
def scorer_of(folder: Path) -> Scorer:
    release = open_release(folder)
    return Scorer(release, open_engine("xgboost", release))


def differing(folder: Path, batch: pa.RecordBatch, scored: pa.Table) -> int:
    """How many rows of a file of scores are not `Scorer.score`'s, PD, points and decision, to the last bit."""
    scorer = scorer_of(folder)
    columns = [scored[name].to_pylist() for name in ("pd", "points", "decision")]
    different = 0
    for answers, *row in zip(batch.to_pylist(), *columns, strict=True):
        alone = scorer.score(answers)
        different += row != [alone.pd, alone.points, alone.decision]
    return different


def pieces(release: Release, tape: Path, out: Path, rows: int) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
    files = sorted((out / "parts").glob("*.parquet"))
    scored = pa.concat_tables([pq.read_table(file, columns=["pd", "points", "decision"]) for file in files])
    start = 0
    for batch in pq.ParquetFile(tape).iter_batches(16_384, columns=list(release.form.names)):
        batch = batch.slice(0, rows - start)
        yield batch, scored.slice(start, batch.num_rows)
        start += batch.num_rows
        if start >= rows:
            return


def rows_differing(release: Release, tape: Path, out: Path, rows: int) -> int:
    """Of the first `rows` rows, on all processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(differing, release.folder, *piece) for piece in pieces(release, tape, out, rows)]
        return sum(future.result() for future in waiting)


def table(title: str, figures: dict[str, Any]) -> str:
    lines = [
        f"\n{title}",
        "| program | rows a second | seconds | with its start | peak MB | lines |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, of_program in figures.items():
        seconds = f"{of_program['seconds']:.1f} | {of_program['wall']:.1f}"
        rate, peak, length = of_program["rows_per_second"], of_program["peak_mb"], of_program["lines"]
        lines.append(f"| {name} | {rate:,.0f} | {seconds} | {peak:,.0f} | {length:.0f} |")
    return "\n".join(lines)


def main() -> int:
    """Print and keep the figures; exit status 1 where a row differs from `Scorer.score`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="of a tape (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--equal-rows", type=int, default=1_000_000, help="compared with Scorer.score (%(default)s)")
    parser.add_argument("--memory-rows", type=int, nargs=2, default=[1_000_000, 10_000_000], metavar=("FEW", "MANY"))
    parser.add_argument("--only", choices=WANTED, nargs="*")
    parser.add_argument("--engines", choices=ENGINES, nargs="*", default=ENGINES)
    parser.add_argument("--beside", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    folders = {folder.name.rpartition("-")[0]: folder for folder in embedded()}
    if given.beside:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
        name, source, engine, folder = given.beside
        print(json.dumps(beside_engine(open_release(folders[name]), Path(source), engine, Path(folder))))
        return 0
    wanted = given.only or WANTED
    figures: dict[str, Any] = {"rows": given.rows}
    ratios: dict[str, float] = {}

    def tape(name: str, rows: int, kind: str = "parquet") -> Path:
        return write_tape(open_release(folders[name]), rows, TAPES / f"{name}-{rows}.{kind}")

    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        for name, folder in folders.items():
            if "engines" in wanted:
                by_engine = engines_table(name, tape(name, given.rows), given.rows, given.rounds, out, given.engines)
                figures[name], ratios = by_engine, ratios | engine_ratios(name, by_engine)
                print(table(f"{name}, {given.rows:,} rows, one processor", by_engine), flush=True)
            if "equal" in wanted:
                source = tape(name, given.equal_rows)
                run("ours", name, source, out / "equal", "xgboost", 1)
                different = rows_differing(open_release(folder), source, out / "equal", given.equal_rows)
                print(f"{name}: {different:,} of {given.equal_rows:,} rows differ from Scorer.score", flush=True)
                ratios[f"book_rows_differing_{name}"] = different
        if "equal" in wanted:
            ratios["book_rows_differing"] = sum(ratios[f"book_rows_differing_{name}"] for name in folders)
        if "peers" in wanted:
            small = tape("consumer", min(200_000, given.rows))
            figures["peers"] = peers_table(tape("consumer", given.rows), small, given.rows, given.rounds, out)
            print(table(f"peers, consumer, {given.rows:,} rows, one processor", figures["peers"]), flush=True)
        if "pandas" in wanted:
            ratios |= over_pandas(tape("consumer", given.rows), given.rounds, out, given.engines)
        if "memory" in wanted:
            tapes = {
                (rows, kind): tape("consumer", rows, kind) for rows in given.memory_rows for kind in ("parquet", "csv")
            }
            figures["memory"], more = memory(tapes, out)
            ratios |= more
            print(f"\nmemory: {json.dumps(figures['memory'])}")
    print("\n" + ", ".join(f"{name} {value:.3g}" for name, value in ratios.items()))
    earlier = results.read().get("book", {})
    if earlier.get("rows") == given.rows:
        engines = {name: {**earlier.get(name, {}), **figures[name]} for name in folders if name in figures}
        figures = {**earlier, **figures, **engines}
    results.merge("book", figures, ratios)
    return int(ratios.get("book_rows_differing", 0) > 0)


if __name__ == "__main__":
    sys.exit(main())
