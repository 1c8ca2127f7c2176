"""Fit models in parallel threads (XGBoost releases the GIL) that end soon after one of them fails."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event


class Stopped(Exception):
    """Raised in a thread whose result is no longer needed."""


@contextmanager
def threads(workers: int, tick: Callable[[], None]) -> Iterator[tuple[ThreadPoolExecutor, Callable[[], None]]]:
    """A pool, and the tick that its tasks call. After an error they end at their next tick."""
    stop = Event()

    def checked() -> None:
        if stop.is_set():
            raise Stopped
        tick()

    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool, checked
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
