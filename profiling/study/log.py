"""`python -m profiling log FILE…`: performance logs by day, release and engine, and before and after a date."""

import argparse
import gzip
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.extras import extra
from inference.perflog_reader import FIGURES, STAGES, LogReader, LogRecords, over_time, quantiles
from profiling.study.report import aligned

Q = (0.5, 0.9, 0.99, 1.0)
DRAWS, SEED = 4000, 0  # of the bootstrap
MINUTES = 24 * 60  # a day
MOST_DRAWN = 100  # stretches of time


class Change(NamedTuple):
    """A quantile of latency before and after a date, ms, and their ratio with its 95 % interval."""

    quantile: float
    before: float
    after: float
    ratio: float  # after over before
    low: float
    high: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines, .gz too; - for stdin")
    parser.add_argument("--split", type=date, metavar="DATE", help="compare before and from this UTC date or time on")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw latency, CPU and memory over time")


def date(text: str) -> int:
    """UTC minutes since 1970 of an ISO date or time."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() // 60)


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where a file cannot be opened; broken lines are shown and stop nothing."""
    reader = LogReader()
    for file in given.files:
        try:
            with opened(file) as lines:
                reader.read(lines, str(file))
        except OSError as error:
            print(f"{file}: {error.strerror or error}", file=sys.stderr)
            return 2
    records = reader.records
    if len(records):
        print(as_text(records))
    if given.split is not None and len(records):
        print(f"\n{split_as_text(records, given.split)}")
    print(f"\n{footnotes(reader)}")
    if given.plot and len(records):
        given.plot.write_text(plot(records), encoding="utf-8")
        print(f"{given.plot}: drawn")
    return 0


@contextmanager
def opened(file: Path) -> Iterator[Iterable[bytes]]:
    """A log for reading by lines."""
    if str(file) == "-":
        yield sys.stdin.buffer
    elif file.suffix == ".gz":
        with gzip.open(file) as stream:
            yield stream
    else:
        with file.open("rb") as stream:
            yield stream


def as_text(records: LogRecords) -> str:
    """A line for each day, release and engine."""
    heads = ("day", "release", "engine", "scores", "p50", "p90", "p99", "max", *STAGES, "CPU %", "RSS MB")
    rows = []
    days, groups = records.minutes // MINUTES, records.groups
    for day, group in sorted(set(zip(days.tolist(), groups.tolist(), strict=True))):
        part = records.where((days == day) & (groups == group))
        release, engine = records.names[group]
        middle = [quantiles(part.column(name), (0.5,))[0] for name in FIGURES]
        figures = [*quantiles(part.column("total"), Q), *middle[1 : 1 + len(STAGES)]]
        when = datetime.fromtimestamp(day * MINUTES * 60, UTC).strftime("%Y-%m-%d")
        rows.append(
            (when, release, engine, f"{len(part):,}", *(number(one, 3) for one in figures),
             number(middle[-2], 1), number(middle[-1], 1))
        )  # fmt: skip
    return f"Latency in ms (of the stages, CPU and memory the median)\n{aligned(heads, rows)}"


def number(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:,.{digits}f}"


def split(records: LogRecords, minute: int) -> list[Change]:
    """How the quantiles of the latency changed; empty where there is nothing on one side."""
    later = records.minutes >= minute
    total = records.column("total")
    before, after = np.sort(total[~later]), np.sort(total[later])
    if not len(before) or not len(after):
        return []
    random = np.random.default_rng(SEED)
    found = []
    for q in Q[:-1]:
        one, other = float(np.quantile(before, q)), float(np.quantile(after, q))
        ratios = resampled(after, q, random) / resampled(before, q, random)
        low, high = np.quantile(ratios, [0.025, 0.975])
        found.append(Change(q, one, other, other / one, float(low), float(high)))
    return found


def resampled(values: npt.NDArray[np.float32], q: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """The quantile of DRAWS bootstrap samples of sorted values (n,), without drawing any of them.

    The k-th of n values drawn with replacement is the value at rank n·u, where u is the k-th of n uniform numbers,
    and that has a Beta(k, n - k + 1) distribution. So a million values cost no more than ten.
    """
    n = len(values)
    k = max(1, round(q * n))
    ranks = np.ceil(n * random.beta(k, n - k + 1, DRAWS)).astype(np.intp) - 1
    return values[np.clip(ranks, 0, n - 1)].astype(np.float64)


def split_as_text(records: LogRecords, minute: int) -> str:
    """The change as a table."""
    when = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M")
    changes = split(records, minute)
    if not changes:
        return f"Nothing to compare: all scores lie on one side of {when} UTC."
    later = int((records.minutes >= minute).sum())
    rows = [
        (f"p{one.quantile * 100:.0f}", number(one.before, 3), number(one.after, 3),
         f"{one.ratio:.3f}", f"{one.low:.3f} to {one.high:.3f}")
        for one in changes
    ]  # fmt: skip
    heads = (
        "latency, ms",
        f"before ({len(records) - later:,})",
        f"after ({later:,})",
        "ratio",
        "95 % interval",
    )
    return f"Before and from {when} UTC on\n{aligned(heads, rows)}"


def footnotes(reader: LogReader) -> str:
    """What else was in the logs."""
    lines = [f"{len(reader.records):,} scores."]
    if reader.errors:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in reader.errors.most_common())
        lines.append(f"{reader.errors.total():,} refused: {kinds}.")
    if reader.dropped:
        lines.append(f"{reader.dropped:,} lines that the log could not write, by its own count.")
    if reader.broken:
        lines.append(f"{reader.broken:,} lines that cannot be read:")
        lines += [f"  {one.file}: line {one.line:,}: {one.what}" for one in reader.broken_lines]
        if reader.broken > len(reader.broken_lines):
            lines.append("  …")
    return "\n".join(lines)


PANELS = (
    ("total", "Latency, ms", {"median": 0.5, "p99": 0.99}),
    ("cpu_percent", "CPU, %", {"median": 0.5}),
    ("rss_mb", "Memory, MB", {"median": 0.5}),
)


def plot(records: LogRecords) -> str:
    """Three panels over time as SVG: latency, CPU, memory."""
    with extra("profile"):  # here, for it takes a second and 100 MB
        import matplotlib as mpl

        from models.model_card.plots import ACCENT, GREY, STYLE, canvas, svg

    _, parts = over_time(records, MOST_DRAWN)
    when = [datetime.fromtimestamp(minute * 60, UTC) for minute in parts]
    with mpl.rc_context(STYLE):
        figure, every = canvas(9.6, 3.2, len(PANELS))
        for axes, (name, title, lines) in zip(every, PANELS, strict=True):
            for (label, q), colour in zip(lines.items(), (ACCENT, GREY), strict=False):
                values = [quantiles(one.column(name), (q,))[0] for one in parts.values()]
                axes.plot(when, values, color=colour, marker=".", label=label)
            axes.set_title(title)
            axes.set_ylim(bottom=0)
            axes.tick_params(axis="x", rotation=45)
            axes.grid(axis="y")
        every[0].legend()
        return svg(figure, "Performance log")
