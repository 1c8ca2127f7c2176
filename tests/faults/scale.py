"""How often each fault is tried: a little in `make test`, in full in `make faults`, which keeps the figures."""

import os
from typing import Any

from profiling import results

FULL = os.environ.get("FAULTS") == "full"


def times(few: int, full: int) -> int:
    """The number of tries."""
    return full if FULL else few


def report(name: str, record: Any, **figures: float | str) -> None:
    """Show the figures at the end of the test run, and keep those of a full one."""
    record("fault", f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()))
    if FULL:
        results.merge(f"faults_{name}", figures)
