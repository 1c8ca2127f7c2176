"""Clocks and the process's own figures. Whatever reads time takes a `Clock`, so that tests can set it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import psutil


@dataclass(frozen=True, slots=True)
class Clock:
    """Three clocks: elapsed wall time and CPU time of this thread in ns, and UTC in seconds since 1970."""

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.thread_time_ns
    utc: Callable[[], float] = time.time


class Stopwatch:
    """Wall time from lap to lap, and CPU time of the whole. A lap only notes the time: sums come afterwards."""

    __slots__ = ("_clock", "_cpu", "_started", "_ticks", "_wall")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.wall
        self._ticks: list[tuple[str, int]] = []
        self._cpu = clock.cpu()
        self._started = clock.wall()

    def lap(self, stage: str) -> None:
        """End the stage that ran since the last lap."""
        self._ticks.append((stage, self._wall()))

    def milliseconds(self) -> dict[str, float]:
        """Wall ms: `total` from the start to the last lap, then each stage."""
        last = self._started
        found = {"total": (self._ticks[-1][1] - last) / 1e6}
        for stage, tick in self._ticks:
            found[stage] = (tick - last) / 1e6
            last = tick
        return found

    def cpu_ms(self) -> float:
        """CPU ms of this thread since the start."""
        return (self._clock.cpu() - self._cpu) / 1e6


class ProcessSampler:
    """The latest CPU % and resident memory of this process, from psutil.

    `cpu_percent` around a tenth of a millisecond of work says 0 or thousands, so one background thread
    samples it at an interval that means something, and a score reads the latest sample for nothing.
    CPU % counts all threads: 200 is two busy cores. None until the first interval has passed.
    """

    def __init__(self, interval: float = 0.5) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent(None)  # the first call only sets the starting point
        self.cpu_percent: float | None = None
        self.rss_mb = self._process.memory_info().rss / 2**20
        self._stop = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._run, name="process-sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.cpu_percent = self._process.cpu_percent(None)
            self.rss_mb = self._process.memory_info().rss / 2**20

    def close(self) -> None:
        """Stop sampling and wait for the thread."""
        self._stop.set()
        self._thread.join()


@cache
def process_sampler() -> ProcessSampler:
    """The one sampler of this process."""
    return ProcessSampler()
