"""Reads JSON lines with a time and a duration: Tenfold's performance log, older ones, anybody's.

A form says under which keys a line has what; a line that fits none is counted by what is wrong with it, with the place
where that was first seen, and without anything that is in it.
"""

import io
import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from inference.errors import TenfoldError
from inference.extras import extra
from profiling.study.compression import DAMAGED, opened

STAGES = ("validate", "row", "predict", "policy")  # of our own lines
FIGURES = ("total", *STAGES, "thread_cpu", "cpu_percent", "rss_mb")  # ms, ms …, ms, % of one core, MB
UNITS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}  # in ms
PARTS = ("time", "duration", "cpu", "memory", "release", "engine")
TIMES = ("time", "timestamp", "ts", "@timestamp", "datetime", "asctime", "date")
DURATIONS = tuple(
    f"{name}{unit}"
    for unit in ("_ms", "_us", "_ns", "_s", "_seconds", "Ms", "")
    for name in ("duration", "latency", "elapsed", "took", "response_time", "request_time", "runtime")
)
CPUS, MEMORIES = ("cpu_percent", "cpu"), ("rss_mb", "memory_usage_MB", "memory_mb", "memory_usage_mb")
LOGS = (".jsonl", ".ndjson", ".json", ".log")
LENGTHS = (1, 5, 15, 60, 4 * 60, 24 * 60, 7 * 24 * 60, 28 * 24 * 60)  # of a stretch of time, minutes
NAN = math.nan


class BadMap(TenfoldError):
    """A map of keys that cannot be used."""


class Form(NamedTuple):
    """Under which keys lines have what; keys within objects are joined by dots. `unit`: of the duration, in ms."""

    time: str
    duration: str
    unit: float
    cpu: str = ""
    memory: str = ""
    release: str = ""
    engine: str = ""


class Skipped(NamedTuple):
    """Lines that are no measurement: how many, and where the first was."""

    lines: int
    file: str
    line: int


class Scores(NamedTuple):
    """Measurements, n of them, in columns; `times` are seconds since 1970."""

    times: Sequence[float]
    groups: Sequence[int]  # places in `names`
    columns: Mapping[str, Sequence[float]]  # by FIGURES; NaN for what is not known
    names: Sequence[tuple[str, str]]  # release and engine

    def __len__(self) -> int:
        return len(self.times)

    def ordered(self, name: str, at: Iterable[int] | None = None) -> list[float]:
        """A column's values that are known, sorted; of the chosen measurements, or all."""
        column = self.columns[name]
        values = column if at is None else [column[one] for one in at]
        return sorted(one for one in values if one == one)


class LogReader:
    """Takes logs, any number of them."""

    def __init__(self, form: Form | None = None) -> None:
        with extra("profile"):
            import orjson
        self._loads: Callable[[bytes | str], Any] = orjson.loads
        self.form = form
        self.errors: Counter[str] = Counter()  # refused scores of ours, by kind
        self.dropped = 0  # lines that a log of ours says it could not write
        self.skipped: dict[str, Skipped] = {}  # by what is wrong
        self.files = 0
        self.forms: Counter[Form] = Counter()  # found in lines that are not ours
        self._times = array("d")
        self._groups = array("l")
        self._columns = {name: array("d") for name in FIGURES}
        self._names: dict[tuple[str, str], int] = {}
        self._form_of: dict[tuple[str, ...], Form | None] = {}

    @property
    def scores(self) -> Scores:
        """What was read so far."""
        return Scores(self._times, self._groups, self._columns, list(self._names))

    def read(self, file: Path) -> None:
        """One log. Raises OSError where it cannot be opened; what is damaged is read up to there, and said."""
        self.files += 1
        number = 0
        with opened(file) as stream:
            try:
                for number, line in enumerate(lines(stream), 1):
                    self.take(line, str(file), number)
            except UnicodeError:
                self.skip("text in no encoding that was recognised: the rest of the file", str(file), number + 1)
            except (*DAMAGED, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                self.skip(
                    "compressed content that is damaged or cut short: the rest of the file", str(file), number + 1
                )

    def take(self, line: bytes | str, file: str = "", number: int = 0) -> None:
        """One line."""
        try:
            entry = self._loads(line)
        except ValueError:
            if not line.strip():
                return
            try:
                entry = json.loads(line)  # NaN, which Python writes and JSON has not
            except (ValueError, RecursionError):
                self.skip("not JSON: cut short, two lines in one, or other text", file, number)
                return
        if type(entry) is not dict:
            self.skip("JSON, but no object", file, number)
            return
        problem = self._ours(entry) if self.form is None and "ms" in entry and "time" in entry else self._any(entry)
        if problem:
            self.skip(problem, file, number)

    def skip(self, what: str, file: str, line: int) -> None:
        """Count a line that is no measurement."""
        before = self.skipped.get(what)
        self.skipped[what] = before._replace(lines=before.lines + 1) if before else Skipped(1, file, line)

    def _ours(self, entry: dict[str, Any]) -> str | None:
        """A line of Tenfold's; what is wrong with it, or None."""
        when = seconds(entry["time"])
        if when is None:
            return "a time that cannot be read"
        if "dropped" in entry:
            self.dropped += int(entry["dropped"])
            return None
        if "error" in entry:
            self.errors[str(entry["error"])] += 1
            return None
        ms = entry["ms"]
        total = figure(ms.get("total")) if type(ms) is dict else NAN
        if not math.isfinite(total):
            return "a duration that is no number"
        self._add(when, total, entry.get("cpu_percent"), entry.get("rss_mb"), entry.get("release"), entry.get("engine"))
        for name in STAGES:
            self._columns[name][-1] = figure(ms.get(name))
        self._columns["thread_cpu"][-1] = figure(entry.get("thread_cpu_ms"))
        return None

    def _any(self, entry: dict[str, Any]) -> str | None:
        """A line of anybody's; what is wrong with it, or None."""
        if "dropped" in entry and "duration" not in entry:
            self.dropped += int(figure(entry["dropped"]))
            return None
        form = self.form or self._form(entry)
        if form is None:
            return self._lacking(entry)
        given = at(entry, form.time)
        if given is None:
            return f"no time under {form.time!r}" if self.form else "no time"
        when = seconds(given)
        if when is None:
            return "a time that cannot be read"
        duration = figure(at(entry, form.duration)) * form.unit
        if not math.isfinite(duration):
            missing = at(entry, form.duration) is None
            return f"no duration under {form.duration!r}" if missing else "a duration that is no number"
        if duration < 0:
            return "a duration below zero"
        self.forms[form] += 1
        cells = (at(entry, key) if key else None for key in (form.cpu, form.memory, form.release, form.engine))
        self._add(when, duration, *cells)
        return None

    def _lacking(self, entry: dict[str, Any]) -> str:
        if not any(key in entry for key in TIMES):
            return "no time that was recognised: name its key with --map time=KEY,duration=KEY"
        if "error" in entry:
            return "no duration, but an error"
        return "no duration that was recognised: name its key with --map time=KEY,duration=KEY"

    def _add(self, when: float, total: float, cpu: Any, memory: Any, release: Any, engine: Any) -> None:
        names = (text(release), text(engine))
        self._times.append(when)
        self._groups.append(self._names.setdefault(names, len(self._names)))
        for column in self._columns.values():
            column.append(NAN)
        self._columns["total"][-1] = total
        self._columns["cpu_percent"][-1] = figure(cpu)
        self._columns["rss_mb"][-1] = figure(memory)

    def _form(self, entry: dict[str, Any]) -> Form | None:
        """The form of a line, by its keys; None where they are not recognised."""
        keys = tuple(entry)
        if keys not in self._form_of:
            found = [next((key for key in names if key in entry), "") for names in (TIMES, DURATIONS, CPUS, MEMORIES)]
            when, duration, cpu, memory = found
            release = next((key for key in ("release", "version", "model") if key in entry), "")
            engine = "engine" if "engine" in entry else ""
            known = bool(when and duration)
            self._form_of[keys] = (
                Form(when, duration, UNITS[unit_of(duration)], cpu, memory, release, engine) if known else None
            )
        return self._form_of[keys]


def lines(stream: IO[bytes]) -> Iterator[bytes | str]:
    """The lines of a log: of UTF-8, with a mark before it or not, or of UTF-16, which zeros give away."""
    beginning = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    if beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from decoded(stream, "utf-16")
    elif beginning[1:2] == b"\0" or beginning[:1] == b"\0":
        yield from decoded(stream, "utf-16-le" if beginning[1:2] == b"\0" else "utf-16-be")
    else:
        if beginning[:3] == b"\xef\xbb\xbf":
            stream.read(3)
        yield from stream


def decoded(stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Its lines as text; it stays open."""
    wrapper = io.TextIOWrapper(stream, encoding)
    try:
        yield from wrapper
    finally:
        wrapper.detach()


def at(entry: dict[str, Any], key: str) -> Any:
    """What stands under a key, or under keys within objects, joined by dots; None for nothing."""
    if key in entry:
        return entry[key]
    found: Any = entry
    for part in key.split("."):
        if type(found) is not dict:
            return None
        found = found.get(part)
    return found


def figure(value: Any) -> float:
    """A number; NaN for any other value. Text that is a number counts."""
    kind = type(value)
    if kind is float or kind is int:
        return float(value) if abs(value) < 1e300 else NAN
    if kind is str:
        try:
            return float(value)
        except ValueError:
            return NAN
    return NAN


def seconds(value: Any) -> float | None:
    """Seconds since 1970 of a time: ISO 8601 (without a zone UTC), or a number of s, ms, µs or ns; None for no time."""
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value.replace(",", "."))
        except ValueError:
            return number_of_seconds(figure(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return number_of_seconds(figure(value))


def number_of_seconds(value: float) -> float | None:
    """By size: a time of our days is near 1.8e9 s."""
    for unit in (1.0, 1e3, 1e6, 1e9):
        if 1e8 <= value / unit < 1e10:
            return value / unit
    return None


def text(value: Any) -> str:
    return value if type(value) is str else "–" if value is None else str(value)[:80]


def unit_of(key: str) -> str:
    """The unit of a duration, by how its key ends; seconds where that says nothing."""
    end = key.rpartition(".")[2]
    for unit in ("ms", "us", "µs", "ns"):
        if end == unit or end.endswith(f"_{unit}") or end.endswith(unit.capitalize()):
            return unit
    return "s" if not key.startswith("ms.") else "ms"


def form(given: str) -> Form:
    """A map as people write it: `time=ts,duration=took:ms,cpu=…,memory=…,release=…`; raises `BadMap`."""
    found: dict[str, str] = {}
    unit = ""
    for part in given.split(","):
        name, _, key = part.strip().partition("=")
        if name not in PARTS or not key:
            raise BadMap(f"--map {given}: write time=KEY,duration=KEY[:UNIT] and, if there are, {', '.join(PARTS[2:])}")
        if name == "duration" and ":" in key:
            key, _, unit = key.rpartition(":")
            if unit not in UNITS:
                raise BadMap(f"--map {given}: the unit of a duration is one of {', '.join(UNITS)}, not {unit!r}")
        found[name] = key
    if not {"time", "duration"} <= found.keys():
        raise BadMap(f"--map {given}: both time and duration are needed")
    return Form(unit=UNITS[unit or unit_of(found["duration"])], **found)


def files_of(given: Sequence[Path]) -> list[Path]:
    """The files to read: those given, and of folders those that look like logs; each once, links to one too."""
    found: dict[object, Path] = {}
    for one in given:
        inside = [one]
        if one.is_dir():
            inside = [file for file in sorted(one.iterdir()) if file.is_file() and looks_like_a_log(file.name)]
            if not inside:
                raise FileNotFoundError(
                    2, "a folder without a log (.jsonl, .ndjson, .json, .log, compressed too)", str(one)
                )
        for file in inside:
            key: object = str(file) if str(file) == "-" else (file.stat().st_dev, file.stat().st_ino)
            found.setdefault(key, file)
    return list(found.values())


def looks_like_a_log(name: str) -> bool:
    """scores.jsonl, scores.jsonl.1, scores-2026-11-23.jsonl.gz."""
    return any(name.endswith(end) or f"{end}." in name for end in LOGS) and not name.startswith(".")


def stretches(scores: Scores, most: int) -> tuple[int, dict[int, list[int]]]:
    """Measurements by stretches of time of one of LENGTHS, minutes: the shortest by which there are at most `most`.

    The length, and for each stretch with measurements its first minute since 1970 and which they are, in order.
    """
    minutes = [int(one // 60) for one in scores.times]
    first, last = min(minutes), max(minutes)
    length = next((one for one in LENGTHS if last // one - first // one < most), LENGTHS[-1])
    found: dict[int, list[int]] = {}
    for place, minute in enumerate(minutes):
        found.setdefault(minute - minute % length, []).append(place)
    return length, dict(sorted(found.items()))
