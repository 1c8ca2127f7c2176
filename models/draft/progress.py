"""How far a draft is: one bar a stage, with the time left, on a terminal; elsewhere a line a stage."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm


class Bars:
    """Bars on the standard error stream. `stage` may be called from one thread, its ticks from several."""

    def __init__(self) -> None:
        self.bar: tqdm[None] | None = None
        self.lock = threading.Lock()

    def stage(self, name: str, ticks: int) -> Callable[[], None]:
        self.end()
        if not sys.stderr.isatty():
            print(f"{name} …", file=sys.stderr, flush=True)
        self.bar = tqdm(
            total=ticks, desc=name, file=sys.stderr, leave=False, dynamic_ncols=True, disable=None, smoothing=0.05,
            bar_format="{desc}: {percentage:3.0f}% |{bar}| {remaining} left",
        )  # fmt: skip

        def tick() -> None:
            with self.lock:
                if self.bar is not None:
                    self.bar.update()

        return tick

    def end(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()


class Silent:
    """No bars."""

    def stage(self, name: str, ticks: int) -> Callable[[], None]:
        return lambda: None
