"""The figures of docs/book.md and docs/scale.md: what was measured of a book, and what follows for a billion rows."""

from math import ceil
from typing import Any

BILLION = 1e9
NOT_YET = "`make {command}` has not run here yet."
ROW = "| {} | {} |"


def book(results: dict[str, Any]) -> str:
    """Rates of `tenfold book` by engine and of other programs, and its memory (make bench-book)."""
    figures = results.get("book")
    if figures is None:
        return NOT_YET.format(command="bench-book")
    lines = []
    engines = {name: by_engine for name in ("consumer", "sba") if (by_engine := figures.get(name))}
    if engines:
        lines += [
            "| release | engine | rows a second | of the engine's own rate | peak memory |",
            "| --- | --- | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {release} | {engine} | {row['rows_per_second']:,.0f} "
            f"| {row['over_engine']:.2f} | {row['peak_mb']:,.0f} MB |"
            for release, by_engine in engines.items()
            for engine, row in by_engine.items()
        ]
    if "peers" in figures:
        lines += ["", "| program (consumer, XGBoost) | rows a second | peak memory | lines |"]
        lines += ["| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {name.replace('_', ' ')} | {row['rows_per_second']:,.0f} "
            f"| {row['peak_mb']:,.0f} MB | {row['lines']:.0f} |"
            for name, row in figures["peers"].items()
        ]
    if "memory" in figures:
        lines.append("")
        for kind, name in (("parquet", "Parquet"), ("csv", "CSV")):
            row = figures["memory"][kind]
            peaks = ", ".join(f"{int(rows):,} rows {peak:,.0f} MB" for rows, peak in row["peak_mb"].items())
            lines.append(f"Peak memory, {name}: {peaks}; {row['above_opened_mb']:,.0f} MB above an opened release.")
    return "\n".join([*lines, "", f"{figures['rows']:,} rows, one processor, on {figures['machine']}."])


def scale(results: dict[str, Any]) -> str:
    """What a row costs on a cluster of this machine, and what follows for a billion (make bench-cluster)."""
    figures = results.get("cluster")
    if figures is None:
        return NOT_YET.format(command="bench-cluster")
    row, overhead = figures["cpu_ns_a_row_two_workers"], figures["overhead_cpu_seconds_a_million_rows"]
    hours = row * BILLION / 1e9 / 3600
    rows_a_second = 1e6 / overhead  # that one core of scheduler and client can hand out
    measured = [
        ("CPU a row, one process without a cluster", f"{figures['cpu_ns_a_row_one_process']:,.0f} ns"),
        ("CPU a row, one worker", f"{figures['cpu_ns_a_row_one_worker']:,.0f} ns"),
        ("CPU a row, two workers", f"{row:,.0f} ns, {figures['two_workers_over_one_cpu']:.2f} times one worker's"),
        ("wall time of two processes that share nothing, over that of two workers",
         f"{figures['wall_share_of_two_processes']:.2f}"),
        ("scheduler and client, CPU a million rows, beyond a run of one small part",
         f"{overhead:.3f} s"),
        ("memory of a worker", f"{figures['megabytes_a_worker']:,.0f} MB"),
    ]  # fmt: skip
    others = [
        f"| {int(length):,} | {row['rows_per_second']:,.0f} | {row['cpu_ns_a_row']:,.0f} ns "
        f"| {row['overhead_cpu_seconds_a_million_rows']:.3f} s | {row['megabytes_a_worker']:,.0f} MB |"
        for length, row in figures["lengths"].items()
    ]
    derived = [
        ("parts of a billion rows", f"{BILLION / figures['rows_a_part']:,.0f}"),
        ("a billion rows, work", f"{hours:.1f} core hours"),
        ("cores that score a billion rows within an hour", f"{ceil(hours):,}"),
        ("a billion rows, scheduler and client", f"{overhead * BILLION / 1e6:,.0f} CPU s"),
        ("a core of theirs hands out", f"{rows_a_second / 1e6:,.1f} million rows a second"),
        ("workers that it keeps busy, with such parts", f"{rows_a_second * row / 1e9:,.0f}"),
    ]  # fmt: skip
    return "\n".join([
        ROW.format("measured", f"{figures['rows']:,} rows, {figures['rows_a_part']:,} a part"), "| --- | --- |",
        *(ROW.format(*pair) for pair in measured), "",
        "| rows, with two workers | rows a second | CPU a row | scheduler and client, CPU a million rows "
        "| memory of a worker |",
        "| ---: | ---: | ---: | ---: | ---: |", *others, "",
        ROW.format("follows", ""), "| --- | --- |", *(ROW.format(*pair) for pair in derived), "",
        f"Measured on {figures['machine']}.",
    ])  # fmt: skip
