"""Clocks and the process's own figures."""

import threading
import time
from collections.abc import Callable

import psutil
import pytest

from inference.measure import Clock, ProcessSampler, process_sampler


def until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something comes to hold before a deadline."""
    deadline, tick = time.monotonic() + seconds, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            return False
        tick.wait(0.005)
    return True


def test_the_real_clock_counts_this_threads_work() -> None:
    """By default wall time passes, CPU time is this thread's own, and UTC is the system's."""
    clock = Clock()
    wall, cpu = clock.wall(), clock.cpu()
    other = threading.Thread(target=lambda: sum(range(3_000_000)))
    other.start()
    other.join()
    assert clock.wall() - wall > 2 * (clock.cpu() - cpu) > 0
    assert clock.utc() == pytest.approx(time.time(), abs=5)


def test_the_sampler_knows_memory_at_once_and_cpu_after_an_interval() -> None:
    """Resident memory is there from the start; CPU % is None until an interval has passed, then what was used."""
    sampler = ProcessSampler(interval=0.1)
    try:
        first = sampler.cpu_percent
        assert first is None
        assert sampler.rss_mb == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.2)
        work = threading.Event()
        busy = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(work.is_set, True)])
        busy.start()
        try:
            assert until(lambda: (sampler.cpu_percent or 0) > 5)
        finally:
            work.set()
            busy.join()
        assert sampler.cpu_percent is not None
        assert sampler.cpu_percent < 100 * (psutil.cpu_count() or 1) * 1.5
    finally:
        sampler.close()


def test_a_closed_sampler_has_no_thread() -> None:
    """Closing ends the background thread, at once even in the middle of an interval."""
    before = threading.active_count()
    sampler = ProcessSampler(interval=3600)
    assert threading.active_count() == before + 1
    sampler.close()
    assert threading.active_count() == before


def test_a_process_has_one_sampler() -> None:
    """Every scorer of a process reads the same sampler, whose thread does not keep the process alive."""
    assert process_sampler() is process_sampler()
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "process-sampler"] == [True]
