"""How long a call takes."""

import time
from collections.abc import Callable


def microseconds(call: Callable[[], object]) -> float:
    """One call's wall time."""
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1e3
