"""`python -m profiling report A.prof [B.prof]`: one profile, or two side by side, of whatever programs and Pythons."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError
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
    """What the command takes."""
    what = "a profile (.gz too), or a folder of several of one program"
    parser.add_argument("before", type=Path, metavar="A.prof", help=what)
    parser.add_argument("after", type=Path, metavar="B.prof", nargs="?", help="another, to compare with it")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions a table (%(default)s)")
    add_report_arguments(parser)
    parser.add_argument(
        "--noise",
        type=float,
        default=verdicts.NOISE,
        metavar="PART",
        help="what one profile alone may be off (%(default)s)",
    )


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command takes that reports on profiles."""
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with pictures, all in one file, too")
    parser.add_argument("--groups", type=Path, metavar="FILE.toml", help="names of groups and regular expressions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the change with its intervals for programs")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write it for a pull request")
    parser.add_argument(
        "--fail-over", type=float, metavar="TIMES", help="exit status 1 where it is slower by more for certain"
    )
    parser.add_argument("--function", metavar="NAME", help="judge this function instead of everything")


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where a file is no profile, 1 where the second is too slow."""
    try:
        group = read_groups(given.groups)
        sides = [read_side(one) for one in (given.before, given.after) if one is not None]
        profiles = told_apart([summed(side) for side in sides], [given.before, given.after])
        changes = compared(given, sides) if len(sides) == 2 else []
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    print(as_text(profiles, given.top, group))
    for note in waiting(profiles):
        print(f"\n{note}")
    if given.html:
        about = [(one.name, described(one)) for one in profiles]
        write_page(given.html, profile_report(profiles, group, changes=changes, about=about))
        print(f"\n{given.html}: the same with pictures")
    return concluded(given, changes, " and ".join(one.name for one in profiles))


def told_apart(profiles: list[Profile], files: Sequence[Path]) -> list[Profile]:
    """The same; where both have one name, with the folder that it is in."""
    if len({one.name for one in profiles}) == len(profiles):
        return profiles
    names = [f"{file.resolve().parent.name}/{one.name}" for one, file in zip(profiles, files, strict=False)]
    if len(set(names)) < len(names):
        names = [f"{one.name} ({what})" for one, what in zip(profiles, ("before", "after"), strict=True)]
    return [one._replace(name=name) for one, name in zip(profiles, names, strict=True)]


def concluded(given: argparse.Namespace, changes: Sequence[Change], name: str) -> int:
    """Print and write what changed; exit status 1 where it is too much."""
    if changes:
        print(f"\n{verdicts.as_text(changes)}")
    for file in (given.json, given.markdown):
        if file and changes:
            verdicts.write(file, changes, name, given.fail_over)
            print(f"{file}: written")
    if given.fail_over is None:
        return 0
    if not changes:
        print("--fail-over needs something to compare with", file=sys.stderr)
        return 2
    failed = verdicts.too_slow(changes, given.fail_over)
    for one in failed:
        print(f"too slow: {one.what} is {one.said}; the limit is {given.fail_over:g} times", file=sys.stderr)
    return 1 if failed else 0


def compared(given: argparse.Namespace, sides: Sequence[Sequence[Profile]]) -> list[Change]:
    """By the timings beside both profiles, where there are and no function is asked for; else by the profiles."""
    kept = [beside(file) for file in (given.before, given.after)]
    if given.function is None and all(file.is_file() for file in kept):
        return verdicts.of_timings(load(kept[0]), load(kept[1]))
    return [verdicts.of_profiles(sides[0], sides[1], given.function, given.noise)]


def read_side(file: Path) -> list[Profile]:
    """The profile in a file, or those in a folder. Raises `BadProfile`."""
    if not file.is_dir():
        return [open_profile(file)]
    files = sorted(one for one in file.iterdir() if one.is_file() and ".prof" in one.name and one.suffix != ".json")
    if not files:
        raise BadProfile(f"{file}: a folder without a .prof")
    return [open_profile(one) for one in files]


def described(profile: Profile) -> str:
    """A profile in a line."""
    what = "samples" if profile.sampled else "calls"
    return f"{profile.calls:,} {what} of {len(profile.entries):,} functions, {verdicts.ms(profile.seconds)} of own time"


def top(profile: Profile, count: int) -> list[tuple[str, int, float, float]]:
    """Function, calls, own and cumulative seconds: the first `count` by cumulative time."""
    entries = sorted(profile.entries.items(), key=lambda item: -item[1].cost.cumulative)[:count]
    return [(title(function), one.cost.calls, one.cost.own, one.cost.cumulative) for function, one in entries]


def movers(before: Profile, after: Profile, count: int) -> list[Mover]:
    """Functions whose own time differs most. One is the same in both if file, from its package on, and name agree."""
    own: dict[str, list[float]] = {}
    for at, profile in enumerate((before, after)):
        for function, entry in profile.entries.items():
            own.setdefault(title(function), [0.0, 0.0])[at] += entry.cost.own
    found = [Mover(name, *seconds) for name, seconds in own.items()]
    return sorted(found, key=lambda one: -abs(one.after - one.before))[:count]


def by_group(profiles: Sequence[Profile], group: Group) -> list[tuple[str, list[float]]]:
    """Own seconds by group in each, the largest first."""
    found = [groups(profile, group) for profile in profiles]
    names = sorted({name for one in found for name in one}, key=lambda name: -max(one.get(name, 0.0) for one in found))
    return [(name, [one.get(name, 0.0) for one in found]) for name in names]


Rows = tuple[str, Sequence[str], list[Sequence[str]]]  # a title, heads, lines


def tables(profiles: Sequence[Profile], group: Group, count: int) -> Iterable[Rows]:
    """All that is said about one profile or two."""
    names = [profile.name for profile in profiles]
    two = len(profiles) == 2
    what = "samples" if all(one.sampled for one in profiles) else "calls"
    totals: list[tuple[str, Sequence[float], list[str]]] = [
        ("own time of all", [one.seconds for one in profiles], [ms(one.seconds) for one in profiles]),
        (what, [one.calls for one in profiles], [f"{one.calls:,}" for one in profiles]),
        ("functions", [len(one.entries) for one in profiles], [f"{len(one.entries):,}" for one in profiles]),
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
            [(one.function, ms(one.before), ms(one.after), f"{(one.after - one.before) * 1e3:+,.1f} ms")
             for one in movers(profiles[0], profiles[1], count)],
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
    cells = [tuple(cell if len(cell) <= widest else f"…{cell[1 - widest :]}" for cell in row) for row in (heads, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heads))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"


def ratio(before: float, after: float) -> str:
    return f"{before / after:.2f}" if after else "–"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
