"""The figures of a book in docs/book.md and docs/scale.md: what was measured, and what follows from it."""

import pytest

from profiling.documents import book_figures

CLUSTER = {
    "rows": 4_000_000, "rows_a_part": 500_000, "cpu_ns_a_row_one_process": 2000.0, "cpu_ns_a_row_one_worker": 2050.0,
    "cpu_ns_a_row_two_workers": 2100.0, "two_workers_over_one_cpu": 1.0244, "wall_share_of_two_processes": 0.95,
    "overhead_cpu_seconds_a_million_rows": 0.04, "megabytes_a_worker": 415.2, "machine": "2 cores",
    "lengths": {"50000000": {"rows_per_second": 8e5, "cpu_ns_a_row": 2345.0, "megabytes_a_worker": 420.0,
                             "overhead_cpu_seconds_a_million_rows": 0.0312}},
}  # fmt: skip
ENGINE = {"rows_per_second": 450_000.0, "over_engine": 0.9, "peak_mb": 301.0, "lines": 1.0}
BOOK = {
    "rows": 5_000_000, "consumer": {"xgboost": ENGINE}, "peers": {"pandas_chunks": ENGINE}, "machine": "2 cores",
    "memory": {
        "parquet": {"peak_mb": {"1000000": 300.0, "10000000": 303.0}, "above_opened_mb": 120.0},
        "csv": {"peak_mb": {"1000000": 350.0, "10000000": 351.0}, "above_opened_mb": 171.0},
    },
}  # fmt: skip


def test_before_anything_was_measured() -> None:
    """The command to run, and no figure."""
    assert book_figures.book({}) == "`make bench-book` has not run here yet."
    assert book_figures.scale({}) == "`make bench-cluster` has not run here yet."


@pytest.mark.parametrize(
    "line",
    [
        "| measured | 4,000,000 rows, 500,000 a part |",
        "| CPU a row, two workers | 2,100 ns, 1.02 times one worker's |",
        "| scheduler and client, CPU a million rows, beyond a run of one small part | 0.040 s |",
        "| memory of a worker | 415 MB |",
        "| 50,000,000 | 800,000 | 2,345 ns | 0.031 s | 420 MB |",
        "| parts of a billion rows | 2,000 |",
        "| a billion rows, work | 0.6 core hours |",  # 2,100 s
        "| cores that score a billion rows within an hour | 1 |",
        "| a billion rows, scheduler and client | 40 CPU s |",
        "| a core of theirs hands out | 25.0 million rows a second |",
        "| workers that it keeps busy, with such parts | 52 |",  # 25 million × 2.1 µs
    ],
)
def test_a_billion_rows_follow_from_what_was_measured(line: str) -> None:
    """By hand from the figures above."""
    assert line in book_figures.scale({"cluster": CLUSTER}).splitlines()


def test_rates_and_memory_of_a_book() -> None:
    """Each engine beside its own rate, other programs, both kinds of files."""
    lines = book_figures.book({"book": BOOK}).splitlines()
    assert "| consumer | xgboost | 450,000 | 0.90 | 301 MB |" in lines
    assert "| pandas chunks | 450,000 | 301 MB | 1 |" in lines
    assert "Peak memory, CSV: 1,000,000 rows 350 MB, 10,000,000 rows 351 MB; 171 MB above an opened release." in lines
