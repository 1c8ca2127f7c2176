"""What the ledger costs: `python -m profiling.benchmarks.ledger`.

A million records verified by the real command; a page of the newest of them; what one writer waits for a record on this
disk, beside the same bytes appended to a file and synced, and how many records a second many writers get who share
their commits.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from inference.engines import open_engine
from inference.release import open_release
from inference.scorer import Scorer
from ledger import queries, store
from ledger.decisions import scored
from ledger.ledger import Ledger
from ledger.records import Draft, seal
from profiling import results
from profiling.benchmarks.log import run
from profiling.workload import applications, embedded

CHUNK = 5000


def drafts(count: int) -> Iterator[Draft]:
    """Records of real applications, each with an id of its own."""
    release = open_release(embedded()[0])
    scorer = Scorer(release, open_engine("xgboost", release))
    prepared = [
        scored(scorer.score(answers), release, answers, by="bench", channel="api", reference="A-2026-0001")
        for answers in applications(release, 500)
    ]
    for index in range(count):
        yield prepared[index % len(prepared)]._replace(id=f"bench-{index}")


def fill(file: Path, count: int) -> None:
    """A ledger of so many records, in a few large commits."""
    with closing(Ledger(file)) as ledger:
        waiting: list[Draft] = []
        for draft in drafts(count - 1):
            waiting.append(draft)
            if len(waiting) == CHUNK:
                commit(ledger, waiting)
        commit(ledger, waiting)


def commit(ledger: Ledger, waiting: list[Draft]) -> None:
    with ledger.store.writing() as connection:
        number, previous = queries.head(connection) or (0, bytes(32))
        records = []
        for draft in waiting:
            number += 1
            records.append(seal(draft, number, previous, time.time()))
            previous = records[-1].hash
        if records:
            store.insert(connection, records, [])
    waiting.clear()


def alone(folder: Path, count: int) -> tuple[float, float]:
    """ms a record waits when nobody else writes, and ms of an append with fdatasync of as many bytes: medians."""
    ours, bare = [], []
    descriptor = os.open(folder / "plain", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with closing(Ledger(folder / "alone.sqlite3")) as ledger:
        for draft in drafts(count):
            started = time.perf_counter()
            record = ledger.append(draft)
            between = time.perf_counter()
            os.write(descriptor, record.body.encode() + str(record.personal).encode())
            os.fdatasync(descriptor)
            ours.append((between - started) * 1e3)
            bare.append((time.perf_counter() - between) * 1e3)
    os.close(descriptor)
    return statistics.median(ours), statistics.median(bare)


def by_writers(folder: Path, count: int, writers: int) -> float:
    """Records a second of many threads that each wait for their own."""
    with closing(Ledger(folder / f"together-{writers}.sqlite3")) as ledger, ThreadPoolExecutor(writers) as pool:
        prepared = list(drafts(count))
        started = time.perf_counter()
        list(pool.map(ledger.append, prepared))
        return count / (time.perf_counter() - started)


def main() -> int:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to write: the disk that is measured (else the temporary one)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        wait, plain = alone(folder, 500)
        rates = {writers: by_writers(folder, 4000, writers) for writers in (1, 8, 64)}
        file = folder / "million.sqlite3"
        fill(file, options.records)
        text, seconds, rss = run([sys.executable, "-m", "ledger", "--ledger", str(file), "verify"])
        if f"{options.records:,} records are whole" not in text:
            print(text)
            return 1
        size = file.stat().st_size
        with closing(store.Store(file)) as opened, opened.reading() as connection:
            started = time.perf_counter()
            page = queries.newest(connection, 50, None)
            first_page = (time.perf_counter() - started) * 1e3
            started = time.perf_counter()
            queries.newest(connection, 50, page[-1].seq - options.records // 2)
            far_page = (time.perf_counter() - started) * 1e3
    print(
        f"a record alone {wait:.2f} ms; append and fdatasync of the same bytes {plain:.2f} ms: ratio {wait / plain:.2f}"
    )
    print("records a second: " + ", ".join(f"{writers} writers {rate:,.0f}" for writers, rate in rates.items()))
    print(f"verify: {options.records:,} records ({size / 1e6:.0f} MB) in {seconds:.1f} s, {rss:.0f} MB RSS")
    print(f"a page of 50: the newest {first_page:.1f} ms, in the middle {far_page:.1f} ms")
    figures = {
        "alone_ms": wait, "append_fdatasync_ms": plain, "rates": {str(k): v for k, v in rates.items()},
        "records": options.records, "bytes": size, "verify_s": seconds, "verify_rss_mb": rss,
        "first_page_ms": first_page,
    }  # fmt: skip
    results.merge("ledger", figures, {"ledger_over_append_fdatasync": wait / plain})
    return 0


if __name__ == "__main__":
    sys.exit(main())
