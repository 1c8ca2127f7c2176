"""What calls took without a profiler, kept in a JSON file beside the profile."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from profiling.output import write_text

FORMAT = "tenfold timings 1"


class BadTimings(TenfoldError):
    """A file of timings that cannot be used."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Measured calls of one function, or runs of one program. Seconds, MB."""

    target: str
    wall: Sequence[float]
    cpu: Sequence[float]  # of the whole process, all threads
    first: float = 0.0  # the first call, in which caches fill
    warm_up: int = 0  # calls before the clock counted
    memory: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    notes: Sequence[str] = ()


def beside(profile: Path) -> Path:
    """Where the timings of a profile are: old.prof → old.timings.json."""
    return profile.with_name(profile.name.removesuffix(".gz").removesuffix(".prof") + ".timings.json")


def save(file: Path, timings: Timings) -> None:
    """Write them."""
    write_text(file, json.dumps({"format": FORMAT, **asdict(timings)}) + "\n")


def load(file: Path) -> Timings:
    """Read them; `BadTimings` where the file holds others."""
    try:
        found: Any = json.loads(file.read_text("utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError
        timings = Timings(**found)
        [float(one) for one in (*timings.wall, *timings.cpu)]
    except OSError as error:
        raise BadTimings(f"{file}: {error.strerror or error}") from None
    except (ValueError, TypeError, LookupError, AttributeError):
        raise BadTimings(f"{file}: not timings as `profile run -o` writes them ({FORMAT})") from None
    return timings
