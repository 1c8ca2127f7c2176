"""`python -m profiling log FILE…`: logs by day, release and engine; before and after a date or a release."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from inference.errors import TenfoldError
from profiling.output import write_text
from profiling.study.intervals import quantile, ratio
from profiling.study.log_reader import FIGURES, STAGES, LogReader, Scores, files_of, form, stretches
from profiling.study.log_views import log_report, plot
from profiling.study.pages import render, write_page
from profiling.study.report import aligned, concluded
from profiling.study.verdicts import Change
from profiling.study.views import Table

Q = (0.5, 0.9, 0.99, 1.0)
DAY = 24 * 60 * 60
MOST_DRAWN = 100  # stretches of time


class BadSplit(TenfoldError):
    """Neither a date nor a release of the logs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="JSON lines or folders of them; gz, bz2, xz, UTF-16 too; - for stdin",
    )
    parser.add_argument(
        "--map",
        metavar="…",
        help="keys of other logs: time=ts,duration=took:ms,cpu=…,memory=…,release=… (a.b within a)",
    )
    parser.add_argument(
        "--split", metavar="WHEN", help="compare before and from a UTC date or time on, or a release with all others"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with plots over time, all in one file"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw latency, CPU and memory over time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the change with its intervals for programs")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write it for people")
    parser.add_argument(
        "--fail-over", type=float, metavar="TIMES", help="exit status 1 where p50, p90 or p99 is slower"
    )


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where a file cannot be opened; lines that are no measurement are counted and stop nothing."""
    try:
        reader = LogReader(form(given.map) if given.map else None)
        for file in files_of(given.files):
            reader.read(file)
        scores = reader.scores
        changes, moment = split(scores, given.split) if given.split is not None else ([], None)
    except OSError as error:
        print(f"{error.filename}: {error.strerror or error}", file=sys.stderr)
        return 2
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    if len(scores):
        table = days(scores)
        print(f"{table.title}\n{aligned(table.heads, table.rows)}")
    print(f"\n{footnotes(reader)}")
    if len(scores) and (given.html or given.plot):
        _, parts = stretches(scores, MOST_DRAWN)
        if given.html:
            name = ", ".join(one.name or str(one) for one in given.files[:3])
            page = log_report(name, scores, parts, table, changes, footnotes(reader).splitlines(), moment)
            write_page(given.html, page)
            print(f"{given.html}: the same with plots over time")
        if given.plot:
            write_text(given.plot, render(plot(scores, parts, moment)))
            print(f"{given.plot}: drawn")
    elif given.html or given.plot:
        print("nothing to draw", file=sys.stderr)
    return concluded(given, changes, f"before and after {given.split}")


def days(scores: Scores) -> Table:
    """A line for each day, release and engine."""
    heads = ("day", "release", "engine", "scores", "p50", "p90", "p99", "max", *STAGES, "CPU %", "RSS MB")
    by_day: dict[tuple[int, int], list[int]] = {}
    for place, (when, group) in enumerate(zip(scores.times, scores.groups, strict=True)):
        by_day.setdefault((int(when // DAY), group), []).append(place)
    rows = []
    for (day, group), places in sorted(by_day.items()):
        total = scores.ordered("total", places)
        middle = [quantile(scores.ordered(name, places), 0.5) for name in FIGURES]
        rows.append(
            (datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d"), *scores.names[group], f"{len(places):,}",
             *(number(quantile(total, q), 3) for q in Q), *(number(one, 3) for one in middle[1 : 1 + len(STAGES)]),
             number(middle[-2], 1), number(middle[-1], 1))
        )  # fmt: skip
    empty = [at for at in range(len(heads)) if at > 7 and all(row[at] == "–" for row in rows)]
    kept = [at for at in range(len(heads)) if at not in empty]
    return Table(
        "Latency in ms (of the stages, CPU and memory the median)",
        [heads[at] for at in kept],
        [[row[at] for at in kept] for row in rows],
    )


def number(value: float, digits: int) -> str:
    return "–" if value != value else f"{value:,.{digits}f}"


def split(scores: Scores, where: str) -> tuple[list[Change], float | None]:
    """How latency, CPU and memory changed, and when, in seconds since 1970, where a date was given.

    Raises `BadSplit` where it is neither a date nor a release, or nothing is on one side.
    """
    moment: float | None = None
    try:
        found = datetime.fromisoformat(where)
        moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        later = [when >= moment for when in scores.times]
    except ValueError:
        chosen = {group for group, (release, _) in enumerate(scores.names) if release.startswith(where)}
        if not chosen:
            releases = ", ".join(sorted({release for release, _ in scores.names})) or "none"
            raise BadSplit(f"--split {where}: neither a date nor a release; releases are: {releases}") from None
        later = [group in chosen for group in scores.groups]
    sides = [[at for at, one in enumerate(later) if one is side] for side in (False, True)]
    if not all(sides):
        raise BadSplit(f"--split {where}: nothing to compare, all {len(scores):,} scores lie on one side")
    basis = f"{len(sides[0]):,} and {len(sides[1]):,} lines, 95 % intervals that take lines as independent"
    changes = []
    for q in Q[:-1]:
        before, after = (scores.ordered("total", side) for side in sides)
        change = ratio(before, after, q)
        changes.append(Change(f"p{q * 100:.0f}", quantile(before, q) / 1e3, quantile(after, q) / 1e3, change, basis))
    for what, name, unit in (("CPU", "thread_cpu", "s"), ("CPU load", "cpu_percent", "%"), ("memory", "rss_mb", "MB")):
        before, after = (scores.ordered(name, side) for side in sides)
        if before and after and max(before) > 0:
            scale = 1e-3 if unit == "s" else 1.0
            figures = quantile(before, 0.5) * scale, quantile(after, 0.5) * scale
            changes.append(Change(what, *figures, ratio(before, after), basis, unit))
    return changes, moment


def footnotes(reader: LogReader) -> str:
    """What else was in the logs."""
    scores, files = reader.scores, reader.files
    lines = [f"{len(scores):,} scores." if files == 1 else f"{len(scores):,} scores, in {files:,} files."]
    for one, count in reader.forms.most_common(3):
        keys = ", ".join(f"{part} {key!r}" for part, key in zip(("time", "duration"), one[:2], strict=True))
        unit = {1e3: "s", 1.0: "ms", 1e-3: "µs", 1e-6: "ns"}[one.unit]
        lines.append(f"{count:,} of them by the keys {keys} in {unit}.")
    if reader.errors:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in reader.errors.most_common())
        lines.append(f"{reader.errors.total():,} refused: {kinds}.")
    if reader.dropped:
        lines.append(f"{reader.dropped:,} lines that the log could not write, by its own count.")
    if reader.skipped:
        lines.append(f"{sum(one.lines for one in reader.skipped.values()):,} lines that are no score:")
        lines += [
            f"  {one.lines:,}: {what} (first in {one.file}, line {one.line:,})"
            for what, one in sorted(reader.skipped.items(), key=lambda item: -item[1].lines)
        ]
    return "\n".join(lines)
