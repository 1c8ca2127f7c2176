"""`python -m profiling before-after A B`: two functions on the same rows, checked, timed in turn, profiled.

Each is `package.module:function` or `file.py:function`. In turn means that both see the same machine: what else it does
slows both.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.errors import TenfoldError
from profiling.study import calls as calling
from profiling.study import measuring, verdicts
from profiling.study.calls import Call, Target
from profiling.study.equality import TOLERANCE
from profiling.study.names import Group, package, read_groups
from profiling.study.pages import write_page
from profiling.study.prof_reader import Profile
from profiling.study.report import add_report_arguments, aligned, as_text, concluded, described
from profiling.study.run import CALLS, QUANTILES, keep, thread_notes
from profiling.study.timings import Timings, beside, save
from profiling.study.verdicts import Change, ms
from profiling.study.views import Table, profile_report, waiting


class UnlikeResults(TenfoldError):
    """Two functions do not give the same: nothing is timed that is not the same work."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two functions measured on the same calls, the earlier one first."""

    timings: Sequence[Timings]
    profiles: Sequence[Profile]
    changes: Sequence[Change]
    notes: Sequence[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("before", metavar="A", help="package.module:function or file.py:function")
    parser.add_argument("after", metavar="B", help="the function to compare with it")
    calling.add_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep before.prof and after.prof, and their timings")
    parser.add_argument("--unequal", action="store_true", help="go on where results differ")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of numbers in results (%(default)s)")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions a table (%(default)s)")
    add_report_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where a function is not there, or results differ; 1 where B is too slow."""
    try:
        group = read_groups(given.groups)
        targets = [calling.target(text) for text in (given.before, given.after)]
        calls = calling.calls(given, [one.function for one in targets])
        unlike = measuring.unlike(targets, calls, given.tolerance)
        if unlike and not given.unequal:
            raise UnlikeResults(f"{unlike}; nothing was timed (--unequal goes on)")
        found = compared(targets, calls, given.n or CALLS, [unlike] if unlike else [], out=given.out)
        for one in targets:
            one.close()
        changes = [*found.changes]
        if given.function:
            changes = [verdicts.of_profiles(found.profiles[:1], found.profiles[1:], given.function)]
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    about = [(name, target.name) for name, target in zip(("before", "after"), targets, strict=True)]
    about += [("calls", f"{given.n or CALLS:,} each, over {len(calls):,} rows")]
    told(found, about, group, given.top, given.html)
    return concluded(given, changes, f"{given.before} and {given.after}")


def compared(
    targets: Sequence[Target],
    calls: Sequence[Call],
    n: int,
    notes: Sequence[str] = (),
    *,
    out: Path | None = None,
    suffix: str = "",
) -> Comparison:
    """Time both in turn, then profile one after the other. That they give the same is for the caller to see to.

    With `out`, before.prof and after.prof are left there, and their timings.
    """
    timings, _ = measuring.timed(targets, calls, n)
    profiles, notes = [], [*notes]
    for name, target, one in zip(("before", "after"), targets, timings, strict=True):
        profiler, profile, threads = measuring.profiled(f"{name}{suffix}", target, calls, n)
        profiles.append(profile)
        notes += [f"{name}: {note}" for note in thread_notes(threads)]
        if out:
            out.mkdir(parents=True, exist_ok=True)
            keep(profiler, out / f"{name}{suffix}.prof")
            save(beside(out / f"{name}{suffix}.prof"), one)
    return Comparison(timings, profiles, verdicts.of_timings(timings[0], timings[1]), notes)


def told(
    found: Comparison, about: Sequence[tuple[str, str]], group: Group = package, top: int = 12, html: Path | None = None
) -> None:
    """Print what was found; write the report with pictures."""
    table = quantiles(found)
    print("\n".join(f"{term}: {text}" for term, text in about))
    print(f"\n{table.title}\n{aligned(table.heads, table.rows)}")
    print(f"\n{as_text(found.profiles, top, group)}")
    for note in [*found.notes, *waiting(found.profiles)]:
        print(f"\n{note}")
    if html:
        lines = [*about, ("machine", found.timings[0].machine), *((one.name, described(one)) for one in found.profiles)]
        page = profile_report(
            found.profiles, group, changes=found.changes, notes=found.notes, tables=[table], about=lines
        )
        write_page(html, page)
        print(f"\n{html}: the same with pictures")


def quantiles(found: Comparison) -> Table:
    """A call's time and CPU in both."""
    rows = []
    for q in QUANTILES:
        changes = verdicts.of_timings(found.timings[0], found.timings[1], q=q)
        for one in changes[: 2 if q == 0.5 else 1]:  # CPU has its own line, once
            what = one.what if one.what.startswith("p") else "CPU, p50"
            rows.append((what, ms(one.before), ms(one.after), one.said))
    heads = ("a call, without a profiler", "before", "after", "change")
    return Table("Without a profiler", heads, rows, "In turn on the same rows; 95 % intervals.")
