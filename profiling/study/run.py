"""`python -m profiling run package.module:function`: time a function of yours, follow its memory, and profile it.

First without a profiler: a separate warm-up, n calls, their quantiles with intervals, CPU, memory, and whether the
same call gives the same result. Then under cProfile. A script (`run script.py …`) runs in processes of its own.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from inference.errors import TenfoldError
from profiling.output import counted, write_bytes
from profiling.study import calls as calling
from profiling.study import measuring, script_profile, verdicts
from profiling.study.equality import TOLERANCE
from profiling.study.intervals import quantile_interval
from profiling.study.names import read_groups
from profiling.study.pages import write_page
from profiling.study.prof_reader import Profile
from profiling.study.report import add_report_arguments, as_text, concluded, described, distinguished
from profiling.study.stacks import open_profile
from profiling.study.timings import Timings, beside, load, save
from profiling.study.verdicts import Change, ms
from profiling.study.views import Table, profile_report, waiting

CALLS = 200
QUANTILES = (0.5, 0.9, 0.99)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command. Everything after a script's name belongs to the script."""
    add_options(parser)
    parser.add_argument("target", metavar="TARGET", help="package.module:function, file.py:function, or script.py")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="more options, or a script's own arguments"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that may come before the target or after a function's name."""
    calling.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.prof", help="write the profile, with the timings beside it"
    )
    parser.add_argument("--against", type=Path, metavar="OLD.prof", help="compare with an earlier profile")
    parser.add_argument("--sample", action="store_true", help="sample true stacks too (pyinstrument must be installed)")
    parser.add_argument("--top", type=int, default=12, metavar="N", help="functions per table (%(default)s)")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of numbers in results (%(default)s)")
    parser.add_argument("--noise", type=float, default=verdicts.NOISE, metavar="PART", help=argparse.SUPPRESS)
    add_report_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 2 if something cannot be read or found, 1 if it is too slow."""
    try:
        if options.target.endswith(".py"):
            return conclude(options, *run_script(options))
        if options.arguments:
            remaining = argparse.ArgumentParser(prog="python -m profiling run TARGET")
            add_options(remaining)
            remaining.parse_args(options.arguments, options)
        return conclude(options, *run_function(options))
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2


def run_function(options: argparse.Namespace) -> tuple[Timings, list[Profile]]:
    """Time and profile a function, and sample it if asked."""
    target = calling.target(options.target)
    try:
        return run_target(options, target)
    finally:
        target.close()


def run_target(options: argparse.Namespace, target: calling.Target) -> tuple[Timings, list[Profile]]:
    """The same for a function that was found."""
    calls = calling.calls(options, [target.function])
    n = options.n or CALLS
    if n < 1:
        raise calling.BadTarget("-n: at least one call")
    (timings,), unlike = measuring.timed([target], calls, n, options.tolerance)
    memory = measuring.memory(target, calls, n)
    name = options.output.name if options.output else target.name
    profiler, profile, threads = measuring.profiled(name, target, calls, n)
    if options.output:
        keep(measuring.as_prof(profiler), options.output)
    notes = [*thread_notes(threads), *unlike]
    slower = profile.seconds / max(sum(timings.wall), 1e-9)
    if slower > 1.5:
        notes.append(
            f"cProfile made it {slower:.1f} times as slow: code with many calls looks slower in it than it is."
        )
    timings = Timings(
        timings.target, timings.wall, timings.cpu, timings.first, timings.warm_up, memory, timings.machine, notes
    )
    profiles = [profile]
    if options.sample:
        profiles.append(measuring.sampled(name, target, calls, n))
    return timings, profiles


def thread_notes(threads: measuring.Threads) -> list[str]:
    """Notes on what the profiler could not see."""
    notes = []
    if threads.unseen:
        notes.append(
            f"{threads.seen:,} of about {threads.seen + threads.unseen:,} calls are in the profile: the others ran in "
            f"{counted(threads.others, 'other thread')}, which cProfile does not see."
        )
    if threads.cpu > 0.1:
        notes.append(f"{threads.cpu:.0%} of the CPU time was other threads', which cProfile does not see.")
    return notes


def keep(content: bytes, file: Path) -> None:
    """Write a .prof, compressed where its name ends in .gz. Raises `CannotWrite`."""
    write_bytes(file, gzip.compress(content) if file.suffix == ".gz" else content)


def run_script(options: argparse.Namespace) -> tuple[Timings, list[Profile]]:
    """A script, n times by itself and once under cProfile, each in a process of its own."""
    script = Path(options.target)
    if not script.is_file():
        raise calling.BadTarget(f"{script}: no such file")
    if options.args or options.rows:
        raise calling.BadTarget("--args and --rows are for functions; a script's arguments follow its name")
    script_arguments = [str(script), *options.arguments]
    wall, cpu, notes = [], [], []
    peak = 0.0
    for _ in range(max(1, options.n or 1)):
        took, used, most, status = child([sys.executable, *script_arguments])
        wall.append(took)
        cpu.append(used)
        peak = max(peak, most)
        if status:
            notes = [f"The script ended with status {status}."]
    with tempfile.TemporaryDirectory() as folder:
        file, counts = Path(folder) / "script.prof", Path(folder) / "threads.json"
        child([sys.executable, script_profile.__file__, str(file), str(counts), *script_arguments])
        if not counts.exists():
            raise calling.BadTarget(f"{script}: ended without leaving a profile (a kill, or os._exit)")
        profile = open_profile(file)._replace(name=options.output.name if options.output else script.name)
        notes += thread_notes(measuring.threads_of(profile, json.loads(counts.read_text("utf-8"))))
        if options.output:
            keep(file.read_bytes(), options.output)
    if options.sample:
        notes.append("--sample is for functions: name one (script.py:function).")
    timings = Timings(str(script), wall, cpu, memory={"rss_peak_mb": peak}, machine=measuring.machine(), notes=notes)
    return timings, [profile]


# The most memory that a process has had includes what its parent had when it began, on Linux: it begins as a copy. So a
# script is begun by a process that has next to none.
LAUNCHER = """
import os, signal, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
started = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the script
_, status, used = os.wait4(process, 0)
took = time.perf_counter() - started
figures = took, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status)
os.write(report, " ".join(map(str, figures)).encode())
"""


def child(command: Sequence[str]) -> tuple[float, float, float, int]:
    """Run a process to its end: seconds, CPU seconds, largest resident memory in MB, exit status."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    with open(reading, "rb") as report:
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(writing), *command]
        process = subprocess.Popen(launcher, pass_fds=[writing])
        os.close(writing)
        process.wait()
        took, cpu, most, status = report.read().split()
    return float(took), float(cpu), int(most) / (2**20 if sys.platform == "darwin" else 2**10), int(status)


def conclude(options: argparse.Namespace, timings: Timings, profiles: Sequence[Profile]) -> int:
    """Print, write, compare."""
    group = read_groups(options.groups)
    profile = profiles[0]
    if options.output:
        save(beside(options.output), timings)
    changes: list[Change] = []
    compared = [profile]
    if options.against:
        old = open_profile(options.against)
        compared = distinguished([old, profile], [options.against, options.output or Path(profile.name)])
        timing_file = beside(options.against)
        if timing_file.is_file() and options.function is None:
            changes = verdicts.of_timings(load(timing_file), timings)
        else:
            changes = [verdicts.of_profiles([old], [profile], options.function, options.noise)]
    table = quantile_table(timings)
    print(f"{timings.target}, {timings.machine}\n\n{table.title}\n{plain(table)}")
    for line in lines(timings):
        print(line)
    print(f"\n{as_text(compared, options.top, group)}")
    notes = [*timings.notes, *waiting(compared)]
    for note in notes:
        print(f"\n{note}")
    if options.html:
        about = [
            ("target", timings.target),
            ("machine", timings.machine),
            *((result.name, described(result)) for result in compared),
        ]
        notes_shown = [*lines(timings), *timings.notes]
        pictures = [*compared, *profiles[1:]] if len(compared) == 1 else compared
        page = profile_report(
            pictures, group, title=timings.target, changes=changes, notes=notes_shown, tables=[table], about=about
        )
        write_page(options.html, page)
        print(f"\n{options.html}: the same with pictures")
        if len(profiles) > 1 and len(compared) > 1:
            sampled_page = options.html.with_name(f"{options.html.stem}-sampled.html")
            write_page(
                sampled_page, profile_report(profiles[1:], group, title=f"{timings.target}, sampled", about=about)
            )
            print(f"{sampled_page}: the sampled stacks")
    if options.output:
        print(f"\n{options.output} and {beside(options.output)}: kept, for --against")
    return concluded(options, changes, timings.target)


def quantile_table(timings: Timings) -> Table:
    """The time of a call, with 95 % intervals."""
    few = len(timings.wall) < 5
    rows = []
    for name, values in (("wall", timings.wall), ("CPU", timings.cpu)):
        cells = []
        for q in QUANTILES:
            interval = quantile_interval(values, q)
            cells.append(ms(interval.value) + ("" if few else f" ({ms(interval.low)} to {ms(interval.high)})"))
        rows.append((name, *cells))
    unit = "run" if len(timings.wall) == 1 else "runs" if timings.warm_up == 0 else "calls"
    says = f"{len(timings.wall):,} {unit} without a profiler; in brackets 95 % intervals." if not few else (
        f"{len(timings.wall):,} {unit} without a profiler: too few for an interval."
    )  # fmt: skip
    return Table("Without a profiler", ("", *(f"p{q * 100:.0f}" for q in QUANTILES)), rows, says)


def plain(table: Table) -> str:
    """A table for a terminal, with what it says."""
    from profiling.study.report import aligned

    return f"{aligned(table.heads, table.rows)}\n{table.says}"


def lines(timings: Timings) -> list[str]:
    """Other measurements, one sentence each."""
    sentences = []
    if timings.warm_up:
        sentences.append(
            f"The first call took {ms(timings.first)}; it and {timings.warm_up - 1} more warmed up and are not counted."
        )
    memory = timings.memory
    if "rss_before_mb" in memory:
        sentences.append(
            f"Memory: {memory['rss_before_mb']:,.1f} MB resident before, {memory['rss_after_mb']:,.1f} after, "
            f"{memory['rss_peak_mb']:,.1f} at most; a call takes {memory['most_in_a_call_kb']:,.1f} KB and leaves "
            f"{memory['kept_a_call_kb']:,.2f} KB (Python's own memory, by tracemalloc)."
        )
    elif memory:
        sentences.append(f"Memory: {memory['rss_peak_mb']:,.1f} MB resident at most.")
    return sentences
