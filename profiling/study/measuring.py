"""Measure calls: first without a profiler, then for memory, then under cProfile; sampled stacks on request."""

import cProfile
import marshal
import platform
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from inference.errors import TenfoldError
from profiling.peak_memory import most_resident
from profiling.study.calls import Call, Target
from profiling.study.equality import TOLERANCE, equal
from profiling.study.prof_reader import Profile, entries_from
from profiling.study.script_profile import profiled_with_threads
from profiling.study.stacks import of_stacks, stacks_of
from profiling.study.timings import Timings

WARM_UP = 0.1  # of the calls, at most 20, at least one
TRACED = 50  # calls whose memory is followed: tracemalloc makes them several times slower


class NoSampler(TenfoldError):
    """pyinstrument is not installed."""


class Threads(NamedTuple):
    """The calls in the profile, about how many are missing, and the CPU share of other threads."""

    seen: int
    unseen: int
    others: int  # threads
    cpu: float  # of all CPU time, how much was other threads'; 0 to 1


def timed(
    targets: Sequence[Target], calls: Sequence[Call], n: int, tolerance: float = TOLERANCE
) -> tuple[list[Timings], list[str]]:
    """n calls of each target, in turn on the same rows; and a sentence for each target with unrepeatable results.

    Some calls warm up before the clock counts; the first of each is reported apart, since it fills caches.
    """
    warm_up = max(1, min(20, round(WARM_UP * n)))
    firsts = []
    for target in targets:
        started = time.perf_counter()
        target.call(calls[0])
        firsts.append(time.perf_counter() - started)
    for index in range(1, warm_up):
        for target in targets:
            target.call(calls[index % len(calls)])
    clocks = cost_of_clocks()
    wall: list[list[float]] = [[] for _ in targets]
    cpu: list[list[float]] = [[] for _ in targets]
    results: dict[tuple[int, int], Any] = {}  # by row and target, the first
    unlike: dict[str, int] = {}
    for index in range(n):
        row = index % len(calls)
        for number, target in enumerate(targets):
            used, started = time.process_time_ns(), time.perf_counter_ns()
            result = target.call(calls[row])
            stopped, used = time.perf_counter_ns(), time.process_time_ns() - used
            wall[number].append(max(0, stopped - started - clocks[0]) / 1e9)
            cpu[number].append(max(0, used - clocks[1]) / 1e9)
            if not equal(results.setdefault((row, number), result), result, tolerance):
                unlike.setdefault(target.name, row)
    timings = [
        Timings(target.name, wall[number], cpu[number], firsts[number], warm_up, machine=machine())
        for number, target in enumerate(targets)
    ]
    return timings, [
        f"{name}: the same call gave another result, first on row {row + 1}" for name, row in unlike.items()
    ]  # fmt: skip


def cost_of_clocks() -> tuple[int, int]:
    """Wall and CPU ns that measuring adds to an empty call: the minimum of many."""
    least = [1 << 60, 1 << 60]
    for _ in range(200):
        used, started = time.process_time_ns(), time.perf_counter_ns()
        stopped, used = time.perf_counter_ns(), time.process_time_ns() - used
        least = [min(least[0], stopped - started), min(least[1], used)]
    return least[0], least[1]


def unlike(targets: Sequence[Target], calls: Sequence[Call], tolerance: float) -> str | None:
    """A sentence on where two targets give different results; each is called once per row."""
    different = [
        row for row, call in enumerate(calls, 1) if not equal(targets[0].call(call), targets[1].call(call), tolerance)
    ]
    if not different:
        return None
    names = f"{targets[0].name} and {targets[1].name}"
    return f"{names} differ on {len(different):,} of {len(calls):,} rows, first on row {different[0]}"


def machine() -> str:
    """A description of this machine."""
    import os

    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def memory(target: Target, calls: Sequence[Call], n: int) -> dict[str, float]:
    """MB: resident before and after, the most so far; KB a call: kept after it, and the most in one."""
    import psutil

    process = psutil.Process()
    at_start = process.memory_info().rss / 2**20
    count = max(2, min(TRACED, n))
    most = 0.0
    tracemalloc.start()
    try:
        target.call(calls[0])  # what is made once
        start = tracemalloc.get_traced_memory()[0]
        for index in range(count):
            traced = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            target.call(calls[index % len(calls)])
            most = max(most, tracemalloc.get_traced_memory()[1] - traced)
        growth = (tracemalloc.get_traced_memory()[0] - start) / count
    finally:
        tracemalloc.stop()
    at_end = process.memory_info().rss / 2**20
    peak = most_resident() / 2**20
    return {
        "rss_before_mb": at_start,
        "rss_after_mb": at_end,
        "rss_peak_mb": max(peak, at_start, at_end),  # Linux counts in batches, and its peak can lag behind
        "kept_a_call_kb": growth / 1024,
        "most_in_a_call_kb": most / 1024,
    }


def profiled(name: str, target: Target, calls: Sequence[Call], n: int) -> tuple[cProfile.Profile, Profile, Threads]:
    """n calls under cProfile, in a loop of its own; and what other threads did meanwhile."""
    profiler = cProfile.Profile()
    others = profiled_with_threads(profiler, lambda: profiler.runcall(repeated, target.call, calls, n))
    profile = Profile(name, entries_from(dict(profiler.stats))[0])
    return profiler, profile, threads_of(profile, others)


def as_prof(profiler: cProfile.Profile) -> bytes:
    """What `Profile.dump_stats` writes."""
    return marshal.dumps(profiler.stats)


def threads_of(profile: Profile, others: Mapping[str, float]) -> Threads:
    """What a profile saw, beside what the counts of other threads say."""
    return Threads(profile.calls, int(others["calls"]), int(others["threads"]), others["cpu"])


def repeated(call: Callable[[Call], object], calls: Sequence[Call], n: int) -> None:
    """The loop under the profiler."""
    for index in range(n):
        call(calls[index % len(calls)])


def sampled(name: str, target: Target, calls: Sequence[Call], n: int, interval: float = 0.001) -> Profile:
    """n calls sampled by pyinstrument: true stacks. Raises `NoSampler`."""
    try:
        from pyinstrument import Profiler  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        raise NoSampler("--sample takes its stacks from pyinstrument: run pip install pyinstrument") from None
    profiler = Profiler(interval=interval)
    profiler.start()
    try:
        repeated(target.call, calls, n)
    finally:
        session = profiler.stop()
    stacks = stacks_of(session.to_json()["frame_records"])
    samples: dict[Any, float] = {}
    for stack, seconds in stacks.items():  # from the loop on: the frames around it are this command's
        names = [frame.name for frame in stack]
        if repeated.__name__ in names:
            inner = stack[names.index(repeated.__name__) :]
            samples[inner] = samples.get(inner, 0.0) + seconds
    if not samples:
        raise NoSampler(f"{target.name}: too quick to be sampled every {interval * 1e3:g} ms; take more calls (-n)")
    return of_stacks(f"{name}, sampled", samples)
