"""`python -m profiling run package.module:function`: a function of yours, timed, followed in memory, and profiled.

First without a profiler: a warm-up told apart, n calls, their quantiles with intervals, CPU, memory, whether the same
call gives the same result. Then under cProfile. A script (`run script.py …`) runs in processes of its own.
"""

import argparse
import cProfile
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inference.errors import TenfoldError
from profiling.output import CannotWrite
from profiling.study import calls as calling
from profiling.study import measuring, verdicts
from profiling.study.equality import TOLERANCE
from profiling.study.intervals import quantile_interval
from profiling.study.names import read_groups
from profiling.study.pages import write_page
from profiling.study.prof_reader import Profile
from profiling.study.report import add_report_arguments, as_text, concluded, described, told_apart
from profiling.study.stacks import open_profile
from profiling.study.timings import Timings, beside, load, save
from profiling.study.verdicts import Change, ms
from profiling.study.views import Table, profile_report, waiting

CALLS = 200
QUANTILES = (0.5, 0.9, 0.99)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes. After a script's name everything is the script's."""
    add_options(parser)
    parser.add_argument("target", metavar="TARGET", help="package.module:function, file.py:function, or script.py")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="more options, or a script's own arguments"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that may stand before the target or after a function's name."""
    calling.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.prof", help="keep the profile; the timings beside it"
    )
    parser.add_argument("--against", type=Path, metavar="OLD.prof", help="compare with a profile that was kept")
    parser.add_argument("--sample", action="store_true", help="sample true stacks too (pyinstrument must be installed)")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions a table (%(default)s)")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of numbers in results (%(default)s)")
    parser.add_argument("--noise", type=float, default=verdicts.NOISE, metavar="PART", help=argparse.SUPPRESS)
    add_report_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Exit status 2 where something cannot be read or found, 1 where it is too slow."""
    try:
        if given.target.endswith(".py"):
            return conclude(given, *run_script(given))
        if given.arguments:
            after = argparse.ArgumentParser(prog="python -m profiling run TARGET")
            add_options(after)
            after.parse_args(given.arguments, given)
        return conclude(given, *run_function(given))
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2


def run_function(given: argparse.Namespace) -> tuple[Timings, list[Profile]]:
    """Its timings, its profile, and where asked for the sampled one."""
    target = calling.target(given.target)
    try:
        return run_target(given, target)
    finally:
        target.close()


def run_target(given: argparse.Namespace, target: calling.Target) -> tuple[Timings, list[Profile]]:
    """The same, of a function that was found."""
    calls = calling.calls(given, [target.function])
    n = given.n or CALLS
    if n < 1:
        raise calling.BadTarget("-n: at least one call")
    (timings,), unlike = measuring.timed([target], calls, n, given.tolerance)
    held = measuring.memory(target, calls, n)
    name = given.output.name if given.output else target.name
    profiler, profile, threads = measuring.profiled(name, target, calls, n)
    if given.output:
        keep(profiler, given.output)
    notes = [*thread_notes(threads), *unlike]
    slower = profile.seconds / max(sum(timings.wall), 1e-9)
    if slower > 1.5:
        notes.append(
            f"cProfile made it {slower:.1f} times as slow: what makes many calls looks dearer in it than it is."
        )
    timings = Timings(
        timings.target, timings.wall, timings.cpu, timings.first, timings.warm_up, held, timings.machine, notes
    )
    profiles = [profile]
    if given.sample:
        profiles.append(measuring.sampled(name, target, calls, n))
    return timings, profiles


def thread_notes(threads: measuring.Threads) -> list[str]:
    """What the profiler could not see."""
    notes = []
    if threads.unseen:
        notes.append(
            f"{threads.seen:,} of about {threads.seen + threads.unseen:,} calls are in the profile: the others ran in "
            f"{threads.others} other threads, which cProfile does not see."
        )
    if threads.cpu > 0.1:
        notes.append(f"{threads.cpu:.0%} of the CPU time was other threads', which cProfile does not see.")
    return notes


def keep(profiler: cProfile.Profile, file: Path) -> None:
    """Write a .prof, compressed where its name ends in .gz."""
    try:
        profiler.dump_stats(file)
    except OSError as error:
        raise CannotWrite(f"{file}: cannot be written: {error.strerror or error}") from None
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(file.read_bytes()))


def run_script(given: argparse.Namespace) -> tuple[Timings, list[Profile]]:
    """A script, n times by itself and once under cProfile, each in a process of its own."""
    script = Path(given.target)
    if not script.is_file():
        raise calling.BadTarget(f"{script}: no such file")
    if given.args or given.rows:
        raise calling.BadTarget("--args and --rows are for functions; a script's arguments follow its name")
    own = [str(script), *given.arguments]
    wall, cpu, notes = [], [], []
    peak = 0.0
    for _ in range(max(1, given.n or 1)):
        took, used, most, status = child([sys.executable, *own])
        wall.append(took)
        cpu.append(used)
        peak = max(peak, most)
        if status:
            notes = [f"The script ended with status {status}."]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.prof"
        child([sys.executable, "-m", "cProfile", "-o", str(file), *own])
        if not file.exists():
            raise calling.BadTarget(f"{script}: ended without leaving a profile (a kill, or os._exit)")
        profile = open_profile(file)._replace(name=given.output.name if given.output else script.name)
        if given.output:
            content = file.read_bytes()
            given.output.write_bytes(gzip.compress(content) if given.output.suffix == ".gz" else content)
    if given.sample:
        notes.append("--sample is for functions: name one (script.py:function).")
    timings = Timings(str(script), wall, cpu, memory={"rss_peak_mb": peak}, machine=measuring.machine(), notes=notes)
    return timings, [profile]


def child(command: Sequence[str]) -> tuple[float, float, float, int]:
    """A process run to its end: seconds, CPU seconds, largest resident memory in MB, exit status."""
    sys.stdout.flush()
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    most = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return took, used.ru_utime + used.ru_stime, most, process.returncode


def conclude(given: argparse.Namespace, timings: Timings, profiles: Sequence[Profile]) -> int:
    """Print, write, compare."""
    group = read_groups(given.groups)
    profile = profiles[0]
    if given.output:
        save(beside(given.output), timings)
    changes: list[Change] = []
    shown = [profile]
    if given.against:
        old = open_profile(given.against)
        shown = told_apart([old, profile], [given.against, given.output or Path(profile.name)])
        kept = beside(given.against)
        if kept.is_file() and given.function is None:
            changes = verdicts.of_timings(load(kept), timings)
        else:
            changes = [verdicts.of_profiles([old], [profile], given.function, given.noise)]
    table = quantile_table(timings)
    print(f"{timings.target}, {timings.machine}\n\n{table.title}\n{plain(table)}")
    for line in lines(timings):
        print(line)
    print(f"\n{as_text(shown, given.top, group)}")
    notes = [*timings.notes, *waiting(shown)]
    for note in notes:
        print(f"\n{note}")
    if given.html:
        about = [
            ("target", timings.target),
            ("machine", timings.machine),
            *((one.name, described(one)) for one in shown),
        ]
        notes_shown = [*lines(timings), *timings.notes]
        pictures = [*shown, *profiles[1:]] if len(shown) == 1 else shown
        page = profile_report(
            pictures, group, title=timings.target, changes=changes, notes=notes_shown, tables=[table], about=about
        )
        write_page(given.html, page)
        print(f"\n{given.html}: the same with pictures")
        if len(profiles) > 1 and len(shown) > 1:
            other = given.html.with_name(f"{given.html.stem}-sampled.html")
            write_page(other, profile_report(profiles[1:], group, title=f"{timings.target}, sampled", about=about))
            print(f"{other}: the sampled stacks")
    if given.output:
        print(f"\n{given.output} and {beside(given.output)}: kept, for --against")
    return concluded(given, changes, timings.target)


def quantile_table(timings: Timings) -> Table:
    """What a call took, with 95 % intervals."""
    few = len(timings.wall) < 5
    rows = []
    for name, values in (("wall", timings.wall), ("CPU", timings.cpu)):
        cells = []
        for q in QUANTILES:
            found = quantile_interval(values, q)
            cells.append(ms(found.value) + ("" if few else f" ({ms(found.low)} to {ms(found.high)})"))
        rows.append((name, *cells))
    what = "run" if len(timings.wall) == 1 else "runs" if timings.warm_up == 0 else "calls"
    says = f"{len(timings.wall):,} {what} without a profiler; in brackets 95 % intervals." if not few else (
        f"{len(timings.wall):,} {what} without a profiler: too few for an interval."
    )  # fmt: skip
    return Table("Without a profiler", ("", *(f"p{q * 100:.0f}" for q in QUANTILES)), rows, says)


def plain(table: Table) -> str:
    """A table for a terminal, with what it says."""
    from profiling.study.report import aligned

    return f"{aligned(table.heads, table.rows)}\n{table.says}"


def lines(timings: Timings) -> list[str]:
    """What else was measured, a sentence each."""
    found = []
    if timings.warm_up:
        found.append(
            f"The first call took {ms(timings.first)}; it and {timings.warm_up - 1} more warmed up and are not counted."
        )
    held = timings.memory
    if "rss_before_mb" in held:
        found.append(
            f"Memory: {held['rss_before_mb']:,.1f} MB resident before, {held['rss_after_mb']:,.1f} after, "
            f"{held['rss_peak_mb']:,.1f} at most; a call takes {held['most_in_a_call_kb']:,.1f} KB and leaves "
            f"{held['kept_a_call_kb']:,.2f} KB (Python's own memory, by tracemalloc)."
        )
    elif held:
        found.append(f"Memory: {held['rss_peak_mb']:,.1f} MB resident at most.")
    return found
