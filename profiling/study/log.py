"""`python -m profiling log FILE…`: logs by day, release and engine; before and after a date or a release."""

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from inference.errors import TenfoldError
from inference.perflog_lines import FIGURES, STAGES
from profiling.output import counted, write_text
from profiling.study.intervals import quantile, ratio
from profiling.study.log_reader import UNITS, LogReader, Scores, files_of, form, stretches
from profiling.study.log_views import log_report, plot
from profiling.study.pages import render, write_page
from profiling.study.report import aligned, concluded
from profiling.study.verdicts import Change
from profiling.study.views import Table

Q = (0.5, 0.9, 0.99, 1.0)
DAY = 24 * 60 * 60
MOST_DRAWN = 100  # stretches of time
MOST_KINDS = 10  # of refused scores, by name
UNIT_OF = {milliseconds: unit for unit, milliseconds in UNITS.items() if unit != "us"}


class BadSplit(TenfoldError):
    """The argument of --split is neither a date nor a release of the logs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
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


def run(options: argparse.Namespace) -> int:
    """Exit status 2 if a file cannot be opened; lines that are not measurements are counted and skipped."""
    try:
        reader = LogReader(form(options.map) if options.map else None)
        for file in files_of(options.files):
            reader.read(file)
        scores = reader.scores
        changes, moment = split(scores, options.split) if options.split is not None else ([], None)
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
    if len(scores) and (options.html or options.plot):
        _, parts = stretches(scores, MOST_DRAWN)
        if options.html:
            name = ", ".join(file.name or str(file) for file in options.files[:3])
            page = log_report(name, scores, parts, table, changes, footnotes(reader).splitlines(), moment)
            write_page(options.html, page)
            print(f"{options.html}: the same with plots over time")
        if options.plot:
            write_text(options.plot, render(plot(scores, parts, moment)))
            print(f"{options.plot}: drawn")
    elif options.html or options.plot:
        print("nothing to draw", file=sys.stderr)
    return concluded(options, changes, f"before and after {options.split}")


def days(scores: Scores) -> Table:
    """A row for each day, release and engine."""
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
             *(number(quantile(total, q), 3) for q in Q), *(number(stage, 3) for stage in middle[1 : 1 + len(STAGES)]),
             number(middle[-2], 1), number(middle[-1], 1))
        )  # fmt: skip
    empty = [column for column in range(len(heads)) if column > 7 and all(row[column] == "–" for row in rows)]
    columns = [column for column in range(len(heads)) if column not in empty]
    return Table(
        "Latency in ms (of the stages, CPU and memory the median)",
        [heads[column] for column in columns],
        [[row[column] for column in columns] for row in rows],
    )


def number(value: float, digits: int) -> str:
    return "–" if value != value else f"{value:,.{digits}f}"


def split(scores: Scores, place: str) -> tuple[list[Change], float | None]:
    """How latency, CPU and memory changed, and when, in seconds since 1970: at the date, or where the release begins.

    None for a release that was in use beside others.

    Raises `BadSplit` if it is neither a date nor a release, or if one side is empty.
    """
    moment: float | None = None
    try:
        boundary = datetime.fromisoformat(place)
        moment = (boundary if boundary.tzinfo else boundary.replace(tzinfo=UTC)).timestamp()
        later = [when >= moment for when in scores.times]
    except ValueError:
        chosen = {group for group, (release, _) in enumerate(scores.names) if release.startswith(place)}
        if not chosen:
            releases = ", ".join(sorted({release for release, _ in scores.names})) or "none"
            raise BadSplit(f"--split {place}: neither a date nor a release; releases are: {releases}") from None
        later = [group in chosen for group in scores.groups]
    sides = [[index for index, is_later in enumerate(later) if is_later is side] for side in (False, True)]
    if not all(sides):
        raise BadSplit(f"--split {place}: nothing to compare, all {len(scores):,} scores lie on one side")
    if moment is None:
        ends, begins = max(scores.times[index] for index in sides[0]), min(scores.times[index] for index in sides[1])
        moment = begins if ends <= begins else None
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
    """What else the logs contain, as text."""
    scores, files = reader.scores, reader.files
    read = counted(len(scores), "score")
    lines = [f"{read}." if files == 1 else f"{read}, in {files:,} files."]
    keys: Counter[tuple[str, str, float]] = Counter()
    for line_form, count in reader.forms.items():
        keys[line_form[:3]] += count
    for (time, duration, unit), count in keys.most_common(3):
        lines.append(f"{count:,} of them by the keys time {time!r}, duration {duration!r} in {UNIT_OF[unit]}.")
    if reader.errors:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in reader.errors.most_common(MOST_KINDS))
        lines.append(f"{reader.errors.total():,} refused: {kinds}.")
    if reader.dropped:
        lines.append(f"{counted(reader.dropped, 'line')} that the log could not write, by its own count.")
    if reader.skipped:
        lines.append(f"{counted(sum(skipped.lines for skipped in reader.skipped.values()), 'line')} without a score:")
        lines += [
            f"  {skipped.lines:,}: {what} (first in {skipped.file}, line {skipped.line:,})"
            for what, skipped in sorted(reader.skipped.items(), key=lambda item: -item[1].lines)
        ]
    return "\n".join(lines)
