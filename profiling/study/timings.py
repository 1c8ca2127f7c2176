"""Times of calls without a profiler, kept in a JSON file beside the profile."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from profiling.output import write_text
from profiling.study.prof_reader import MOST_SECONDS

FORMAT = "tenfold timings 1"


class BadTimings(TenfoldError):
    """A timings file that cannot be used."""


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
    """The file with the timings of a profile: old.prof → old.timings.json."""
    return profile.with_name(profile.name.removesuffix(".gz").removesuffix(".prof") + ".timings.json")


def save(file: Path, timings: Timings) -> None:
    """Write timings."""
    write_text(file, json.dumps({"format": FORMAT, **asdict(timings)}) + "\n")


def load(file: Path) -> Timings:
    """Read timings. Raises `BadTimings` for any other content."""
    try:
        content: Any = json.loads(file.read_text("utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError
        timings = Timings(**content)
        times = [*timings.wall, *timings.cpu]
        if not all(type(seconds) in (int, float) and 0 <= seconds <= MOST_SECONDS for seconds in times):
            raise ValueError
    except OSError as error:
        raise BadTimings(f"{file}: {error.strerror or error}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BadTimings(f"{file}: not timings as `profile run -o` writes them ({FORMAT})") from None
    return timings
