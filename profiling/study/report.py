"""`python -m profiling report A.prof [B.prof]`: one profile, or two side by side, from any program and Python."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError
from profiling.output import printable
from profiling.study import verdicts
from profiling.study.names import Group, groups, package, read_groups, title
from profiling.study.pages import write_page
from profiling.study.prof_reader import BadProfile, Profile, summed
from profiling.study.stacks import open_profile
from profiling.study.timings import beside, load
from profiling.study.verdicts import Change
from profiling.study.views import profile_report, waiting


class Mover(NamedTuple):
    """A function whose own time differs between two profiles. Seconds."""

    function: str
    before: float
    after: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    accepted = "a profile (.gz too), or a folder of several of one program"
    parser.add_argument("before", type=Path, metavar="A.prof", help=accepted)
    parser.add_argument("after", type=Path, metavar="B.prof", nargs="?", help="another, to compare with it")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions per table (%(default)s)")
    add_report_arguments(parser)
    parser.add_argument(
        "--noise",
        type=float,
        default=verdicts.NOISE,
        metavar="PART",
        help="assumed noise of a single profile (%(default)s)",
    )


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that reports on profiles."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with pictures, all in one file, too")
    parser.add_argument("--groups", type=Path, metavar="FILE.toml", help="names of groups and regular expressions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the change with its intervals for programs")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write it for a pull request")
    parser.add_argument(
        "--fail-over", type=float, metavar="TIMES", help="exit status 1 if it is certainly slower by more than this"
    )
    parser.add_argument("--function", metavar="NAME", help="judge this function instead of everything")


def run(options: argparse.Namespace) -> int:
    """Exit status 2 if a file is not a profile, 1 if the second is too slow."""
    try:
        group = read_groups(options.groups)
        sides = [read_side(text) for text in (options.before, options.after) if text is not None]
        profiles = distinguished([summed(side) for side in sides], [options.before, options.after])
        changes = compared(options, sides) if len(sides) == 2 else []
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    print(as_text(profiles, options.top, group))
    for note in waiting(profiles):
        print(f"\n{note}")
    if options.html:
        about = [(profile.name, described(profile)) for profile in profiles]
        write_page(options.html, profile_report(profiles, group, changes=changes, about=about))
        print(f"\n{options.html}: the same with pictures")
    return concluded(options, changes, " and ".join(profile.name for profile in profiles))


def distinguished(profiles: list[Profile], files: Sequence[Path]) -> list[Profile]:
    """The same profiles; if both have the same name, with their folders."""
    if len({profile.name for profile in profiles}) == len(profiles):
        return profiles
    names = [f"{file.resolve().parent.name}/{profile.name}" for profile, file in zip(profiles, files, strict=False)]
    if len(set(names)) < len(names):
        names = [f"{profile.name} ({side})" for profile, side in zip(profiles, ("before", "after"), strict=True)]
    return [profile._replace(name=name) for profile, name in zip(profiles, names, strict=True)]


def concluded(options: argparse.Namespace, changes: Sequence[Change], name: str) -> int:
    """Print and write what changed; exit status 1 if it is too slow."""
    if changes:
        print(f"\n{verdicts.as_text(changes)}")
    for file, write in ((options.json, verdicts.write_json), (options.markdown, verdicts.write_markdown)):
        if file and changes:
            write(file, changes, name, options.fail_over)
            print(f"{file}: written")
    wanted = [("--json", options.json), ("--markdown", options.markdown), ("--fail-over", options.fail_over)]
    lacking = [option for option, given in wanted if given is not None]
    if lacking and not changes:
        print(f"{lacking[0]} needs something to compare with", file=sys.stderr)
        return 2
    if options.fail_over is None:
        return 0
    failed = verdicts.too_slow(changes, options.fail_over)
    for change in failed:
        print(f"too slow: {change.what} is {change.verdict}; the limit is {options.fail_over:g} times", file=sys.stderr)
    return 1 if failed else 0


def compared(options: argparse.Namespace, sides: Sequence[Sequence[Profile]]) -> list[Change]:
    """Compare by the timings beside both profiles, unless missing or a function is given; else by the profiles."""
    timing_files = [beside(file) for file in (options.before, options.after)]
    if options.function is None and all(file.is_file() for file in timing_files):
        return verdicts.of_timings(load(timing_files[0]), load(timing_files[1]))
    return [verdicts.of_profiles(sides[0], sides[1], options.function, options.noise)]


def read_side(file: Path) -> list[Profile]:
    """The profile in a file, or those in a folder. Raises `BadProfile`."""
    if not file.is_dir():
        return [open_profile(file)]
    files = sorted(
        entry for entry in file.iterdir() if entry.is_file() and ".prof" in entry.name and entry.suffix != ".json"
    )
    if not files:
        raise BadProfile(f"{file}: a folder without a .prof")
    return [open_profile(file) for file in files]


def described(profile: Profile) -> str:
    """A profile in one line of text."""
    unit = "samples" if profile.sampled else "calls"
    return f"{profile.calls:,} {unit} of {len(profile.entries):,} functions, {verdicts.ms(profile.seconds)} of own time"


def top(profile: Profile, count: int) -> list[tuple[str, int, float, float]]:
    """Function, calls, own and cumulative seconds: the first `count` by cumulative time."""
    entries = sorted(profile.entries.items(), key=lambda item: -item[1].cost.cumulative)[:count]
    return [(title(function), entry.cost.calls, entry.cost.own, entry.cost.cumulative) for function, entry in entries]


def movers(before: Profile, after: Profile, count: int) -> list[Mover]:
    """Functions whose own time differs most. Functions match by file, from the package on, and name."""
    own: dict[str, list[float]] = {}
    for side, profile in enumerate((before, after)):
        for function, entry in profile.entries.items():
            own.setdefault(title(function), [0.0, 0.0])[side] += entry.cost.own
    moved = [Mover(name, *seconds) for name, seconds in own.items()]
    return sorted(moved, key=lambda mover: -abs(mover.after - mover.before))[:count]


def by_group(profiles: Sequence[Profile], group: Group) -> list[tuple[str, list[float]]]:
    """Own seconds by group in each, the largest first."""
    by_profile = [groups(profile, group) for profile in profiles]
    names = sorted(
        {name for seconds in by_profile for name in seconds},
        key=lambda name: -max(seconds.get(name, 0.0) for seconds in by_profile),
    )
    return [(name, [seconds.get(name, 0.0) for seconds in by_profile]) for name in names]


Rows = tuple[str, Sequence[str], list[Sequence[str]]]  # a title, heads, lines


def tables(profiles: Sequence[Profile], group: Group, count: int) -> Iterable[Rows]:
    """All tables on one profile or two."""
    names = [profile.name for profile in profiles]
    two = len(profiles) == 2
    unit = "samples" if all(profile.sampled for profile in profiles) else "calls"
    totals: list[tuple[str, Sequence[float], list[str]]] = [
        ("own time of all", [profile.seconds for profile in profiles], [ms(profile.seconds) for profile in profiles]),
        (unit, [profile.calls for profile in profiles], [f"{profile.calls:,}" for profile in profiles]),
        (
            "functions",
            [len(profile.entries) for profile in profiles],
            [f"{len(profile.entries):,}" for profile in profiles],
        ),
    ]
    rows: list[Sequence[str]] = []
    for name, values, texts in totals:
        rows.append((name, *texts, ratio(*values)) if two else (name, *texts))
    yield "Totals", ("", *names, *(["ratio"] if two else [])), rows
    rows = []
    for name, seconds in by_group(profiles, group)[:count]:
        cells = [(ms(own), share(own, profile.seconds)) for profile, own in zip(profiles, seconds, strict=True)]
        rows.append((name, *(cell for pair in cells for cell in pair)))
    yield "Own time by group", ("group", *(head for name in names for head in (name, "share"))), rows
    if two:
        yield (
            "Biggest movers, by own time",
            ("function", *names, "difference"),
            [(mover.function, ms(mover.before), ms(mover.after), f"{(mover.after - mover.before) * 1e3:+,.1f} ms")
             for mover in movers(profiles[0], profiles[1], count)],
        )  # fmt: skip
    for profile in profiles:
        yield (
            f"{profile.name}: most cumulative time",
            ("function", "samples" if profile.sampled else "calls", "own", "cumulative"),
            [(name, f"{calls:,}", ms(own), ms(cumulative)) for name, calls, own, cumulative in top(profile, count)],
        )


def as_text(profiles: Sequence[Profile], count: int, group: Group = package) -> str:
    """All of it for a terminal."""
    return "\n\n".join(f"{name}\n{aligned(heads, rows)}" for name, heads, rows in tables(profiles, group, count))


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], widest: int = 64) -> str:
    """Columns under their heads: the first to the left, figures to the right."""
    cells = [[shortened(printable(cell), widest) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )


def shortened(text: str, widest: int) -> str:
    return text if len(text) <= widest else f"…{text[1 - widest :]}"


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"


def ratio(before: float, after: float) -> str:
    return f"{before / after:.2f}" if after else "–"


def share(part: float, total: float) -> str:
    return f"{part / total:.1%}" if total else "–"
