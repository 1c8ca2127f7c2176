"""`python -m profiling before-after A B`: two functions on the same rows, checked, timed in turn, profiled.

Each is `package.module:function` or `file.py:function`. They are timed in turn, so that other load on the
machine slows both.
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
    """Two functions give different results, so their times cannot be compared."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two functions measured on the same calls, the old one first."""

    timings: Sequence[Timings]
    profiles: Sequence[Profile]
    changes: Sequence[Change]
    notes: Sequence[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("before", metavar="A", help="package.module:function or file.py:function")
    parser.add_argument("after", metavar="B", help="the function to compare with it")
    calling.add_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep before.prof and after.prof, and their timings")
    parser.add_argument("--unequal", action="store_true", help="continue even if results differ")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of numbers in results (%(default)s)")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions per table (%(default)s)")
    add_report_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 2 if a function is missing or results differ, 1 if B is too slow."""
    try:
        group = read_groups(options.groups)
        targets = [calling.target(text) for text in (options.before, options.after)]
        calls = calling.calls(options, [target.function for target in targets])
        unlike = measuring.unlike(targets, calls, options.tolerance)
        if unlike and not options.unequal:
            raise UnlikeResults(f"{unlike}; nothing was timed (--unequal goes on)")
        comparison = compared(targets, calls, options.n or CALLS, [unlike] if unlike else [], out=options.out)
        for target in targets:
            target.close()
        changes = [*comparison.changes]
        if options.function:
            changes = [verdicts.of_profiles(comparison.profiles[:1], comparison.profiles[1:], options.function)]
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    about = [(name, target.name) for name, target in zip(("before", "after"), targets, strict=True)]
    about += [("calls", f"{options.n or CALLS:,} each, over {len(calls):,} rows")]
    print_comparison(comparison, about, group, options.top, options.html)
    return concluded(options, changes, f"{options.before} and {options.after}")


def compared(
    targets: Sequence[Target],
    calls: Sequence[Call],
    n: int,
    notes: Sequence[str] = (),
    *,
    out: Path | None = None,
    suffix: str = "",
) -> Comparison:
    """Time both in turn, then profile one after the other. The caller must check that both give the same results.

    With `out`, before.prof and after.prof are left there, and their timings.
    """
    timings, _ = measuring.timed(targets, calls, n)
    profiles, notes = [], [*notes]
    for name, target, timing in zip(("before", "after"), targets, timings, strict=True):
        profiler, profile, threads = measuring.profiled(f"{name}{suffix}", target, calls, n)
        profiles.append(profile)
        notes += [f"{name}: {note}" for note in thread_notes(threads)]
        if out:
            out.mkdir(parents=True, exist_ok=True)
            keep(measuring.as_prof(profiler), out / f"{name}{suffix}.prof")
            save(beside(out / f"{name}{suffix}.prof"), timing)
    return Comparison(timings, profiles, verdicts.of_timings(timings[0], timings[1]), notes)


def print_comparison(
    comparison: Comparison,
    about: Sequence[tuple[str, str]],
    group: Group = package,
    top: int = 12,
    html: Path | None = None,
) -> None:
    """Print the comparison and write the report with pictures."""
    table = quantiles(comparison)
    print("\n".join(f"{term}: {text}" for term, text in about))
    print(f"\n{table.title}\n{aligned(table.heads, table.rows)}")
    print(f"\n{as_text(comparison.profiles, top, group)}")
    for note in [*comparison.notes, *waiting(comparison.profiles)]:
        print(f"\n{note}")
    if html:
        lines = [
            *about,
            ("machine", comparison.timings[0].machine),
            *((profile.name, described(profile)) for profile in comparison.profiles),
        ]
        page = profile_report(
            comparison.profiles, group, changes=comparison.changes, notes=comparison.notes, tables=[table], about=lines
        )
        write_page(html, page)
        print(f"\n{html}: the same with pictures")


def quantiles(comparison: Comparison) -> Table:
    """A call's time and CPU in both."""
    rows = []
    for q in QUANTILES:
        changes = verdicts.of_timings(comparison.timings[0], comparison.timings[1], q=q)
        for change in changes[: 2 if q == 0.5 else 1]:  # CPU has its own line, once
            what = change.what if change.what.startswith("p") else "CPU, p50"
            rows.append((what, ms(change.before), ms(change.after), change.verdict))
    heads = ("a call, without a profiler", "before", "after", "change")
    return Table("Without a profiler", heads, rows, "In turn on the same rows; 95 % intervals.")
