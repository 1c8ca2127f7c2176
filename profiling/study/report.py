"""`python -m profiling report A.prof B.prof`: two profiles side by side, of whatever programs and Pythons."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from profiling.study.html_report import ms, write_html
from profiling.study.prof_reader import BadProfile, Function, Profile, read_profile

Group = Callable[[Function], str | None]  # the group of a function; None leaves it to its callers
LIBRARY = re.compile(r"(?:site|dist)-packages[/\\]([^/\\]+)")
STANDARD = re.compile(r"(?:^<frozen|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]Lib[/\\])")
BUILTIN = "built into Python"


class Mover(NamedTuple):
    """A function whose own time differs between two profiles. Seconds."""

    function: str
    before: float
    after: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("before", type=Path, metavar="A.prof")
    parser.add_argument("after", type=Path, metavar="B.prof")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions a table (%(default)s)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with pictures, all in one file, too")


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where a file is no profile."""
    try:
        before, after = read_profile(given.before), read_profile(given.after)
    except BadProfile as error:
        print(error, file=sys.stderr)
        return 2
    print(as_text(before, after, given.top))
    if given.html:
        sections = [(title, heads, rows) for title, heads, rows in tables(before, after, package, given.top)]
        write_html(given.html, before, after, bars(before, after, package), sections)
        print(f"\n{given.html}: the same with pictures")
    return 0


def package(function: Function) -> str | None:
    """The package of a function: of what is installed its name, of all else the folder of its file."""
    if function.file == "~":
        # <method 'reduce' of 'numpy.ufunc' objects>, <built-in method numpy.array>
        found = re.search(r"(?:of '|method )([a-z_]\w*)\.\w", function.name)
        return found[1] if found and found[1] != "builtins" else None
    if found := LIBRARY.search(function.file):
        return found[1].removesuffix(".py")
    if STANDARD.search(function.file):
        return "standard library"
    return Path(function.file.replace("\\", "/")).parent.name or function.file


def groups(profile: Profile, group: Group = package) -> dict[str, float]:
    """Own seconds by group, the largest first.

    What a function in C took, that says nothing of its package, is its callers': by their shares of its time.
    """
    found: dict[str, float] = {}
    for function, entry in profile.entries.items():
        for name, part in shares(profile, function, group, frozenset()).items():
            found[name] = found.get(name, 0.0) + part * entry.cost.own
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def shares(profile: Profile, function: Function, group: Group, under: frozenset[Function]) -> dict[str, float]:
    """How a function's own time spreads over groups, summing to 1."""
    if (named := group(function)) is not None:
        return {named: 1.0}
    callers = profile.entries[function].callers if function in profile.entries else {}
    weights = {caller: cost.own or 1e-9 * cost.calls for caller, cost in callers.items() if caller not in under}
    total = sum(weights.values())
    if not total or len(under) > 4:
        return {BUILTIN: 1.0}
    found: dict[str, float] = {}
    for caller, weight in weights.items():
        for name, part in shares(profile, caller, group, under | {function}).items():
            found[name] = found.get(name, 0.0) + part * weight / total
    return found


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


def title(function: Function) -> str:
    """A function for people, the same from any machine and version: no folder of an installation, no line."""
    if function.file == "~":
        return re.sub(r" at 0x[0-9a-fA-F]+", "", function.name)
    file = re.sub(
        r".*(?:site|dist)-packages/|.*/lib(?:64)?/python\d[^/]*/|.*/Lib/", "", function.file.replace("\\", "/")
    )
    return f"{'/'.join(file.split('/')[-3:])}: {function.name}"


def bars(before: Profile, after: Profile, group: Group) -> list[tuple[str, float, float]]:
    """Own seconds by group in both, the largest first."""
    one, other = groups(before, group), groups(after, group)
    names = sorted({*one, *other}, key=lambda name: -max(one.get(name, 0), other.get(name, 0)))
    return [(name, one.get(name, 0.0), other.get(name, 0.0)) for name in names]


def tables(
    before: Profile, after: Profile, group: Group, count: int
) -> Iterable[tuple[str, Sequence[str], list[Sequence[str]]]]:
    """Title, heads and rows of all that is said about two profiles."""
    yield (
        "Totals",
        ("", before.name, after.name, "ratio"),
        [
            ("own time of all", ms(before.seconds), ms(after.seconds), ratio(before.seconds, after.seconds)),
            ("calls", f"{before.calls:,}", f"{after.calls:,}", ratio(before.calls, after.calls)),
            ("functions", f"{len(before.entries):,}", f"{len(after.entries):,}",
             ratio(len(before.entries), len(after.entries))),
        ],
    )  # fmt: skip
    yield (
        "Own time by group",
        ("group", before.name, "share", after.name, "share"),
        [
            (name, ms(one), share(one, before.seconds), ms(other), share(other, after.seconds))
            for name, one, other in bars(before, after, group)[:count]
        ],
    )
    yield (
        "Biggest movers, by own time",
        ("function", before.name, after.name, "difference"),
        [(one.function, ms(one.before), ms(one.after), f"{(one.after - one.before) * 1e3:+,.1f} ms")
         for one in movers(before, after, count)],
    )  # fmt: skip
    for profile in (before, after):
        yield (
            f"{profile.name}: most cumulative time",
            ("function", "calls", "own", "cumulative"),
            [(name, f"{calls:,}", ms(own), ms(cumulative)) for name, calls, own, cumulative in top(profile, count)],
        )


def as_text(before: Profile, after: Profile, count: int, group: Group = package) -> str:
    """All of it for a terminal."""
    return "\n\n".join(f"{name}\n{aligned(heads, rows)}" for name, heads, rows in tables(before, after, group, count))


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


def ratio(before: float, after: float) -> str:
    return f"{before / after:.2f}" if after else "–"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
