"""Clocks, and CPU and memory of this process. Code that reads the time takes a `Clock`, so that tests can set it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import psutil


@dataclass(frozen=True, slots=True)
class Clock:
    """Four clocks: wall time and this thread's CPU time in ns, UTC in seconds since 1970, and a monotonic clock in
    seconds."""

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.thread_time_ns
    utc: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class ProcessSampler:
    """The latest CPU % and resident memory of this process, from psutil.

    Measured around a tenth of a millisecond of work, `cpu_percent` is 0 or in the thousands. So a background thread
    samples it at a sensible interval, and a score reads the latest sample at no cost. CPU % covers all threads: 200
    means two busy cores. It is None until the first interval has passed.
    """

    def __init__(self, interval: float = 0.5) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent(None)  # the first call only sets the starting point
        self.cpu_percent: float | None = None
        self.rss_mb = self._resident()
        self._stop = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._run, name="process-sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.cpu_percent = self._process.cpu_percent(None)
            self.rss_mb = self._resident()

    def _resident(self) -> float:
        return round(float(self._process.memory_info().rss) / 2**20, 1)

    def close(self) -> None:
        """Stop sampling and wait for the thread."""
        self._stop.set()
        self._thread.join()


@cache
def process_sampler() -> ProcessSampler:
    """The sampler that this process shares."""
    return ProcessSampler()
