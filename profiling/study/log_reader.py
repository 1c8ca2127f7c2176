"""Read JSON lines with a time and a duration: Tenfold's performance log, older ones, and logs of other programs.

A form says under which keys a line holds its values. A line that fits no form is counted by its problem, with the
place where that was first seen and without any of its content.
"""

import io
import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, AnyStr, NamedTuple

from inference.errors import TenfoldError
from inference.extras import extra
from inference.perflog_lines import FIGURES, LENGTHS, NAN, STAGES, interval_length, utc_seconds
from profiling.output import printable
from profiling.study.compression import DAMAGED, NotUnpacked, opened

UNITS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}  # in ms
PARTS = ("time", "duration", "cpu", "memory", "release", "engine")
TIMES = ("time", "timestamp", "ts", "@timestamp", "datetime", "asctime", "date")
DURATIONS = tuple(
    f"{name}{unit}"
    for unit in ("_ms", "_us", "_ns", "_s", "_seconds", "Ms", "")
    for name in ("duration", "latency", "elapsed", "took", "response_time", "request_time", "runtime")
)
CPUS, MEMORIES = ("cpu_percent", "cpu"), ("rss_mb", "memory_usage_MB", "memory_mb", "memory_usage_mb")
LOG = re.compile(r"[^.].*\.(?:jsonl|ndjson|json|log)(?:[.-].*)?", re.IGNORECASE)  # a.log, a.jsonl.2.gz, a.log-20261123
SECONDS = (1, 5, 15, *(60 * minutes for minutes in LENGTHS))  # of a stretch of time
LARGEST = 1e15  # of a figure: more is a mistake, and would make sums and axes infinite
LONGEST = 2**20  # bytes or characters of a line
MOST_NAMES = 500  # releases with their engines, and kinds of errors; others are counted together
OTHERS = "(others)"


class BadMap(TenfoldError):
    """A map of keys that cannot be used."""


class Form(NamedTuple):
    """Keys of a line's values; keys within objects are joined by dots. `unit` is that of the duration, in ms."""

    time: str
    duration: str
    unit: float
    cpu: str = ""
    memory: str = ""
    release: str = ""
    engine: str = ""


class Skipped(NamedTuple):
    """Lines that are not measurements: how many, and where the first was."""

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

    def ordered(self, name: str, indices: Iterable[int] | None = None) -> list[float]:
        """The known values of a column, sorted, of the chosen measurements or of all."""
        column = self.columns[name]
        values = column if indices is None else [column[index] for index in indices]
        return sorted(value for value in values if value == value)


class LogReader:
    """Reads any number of logs."""

    def __init__(self, form: Form | None = None) -> None:
        with extra("profile"):
            import orjson
        self._loads: Callable[[bytes | str], Any] = orjson.loads
        self.form = form
        self.errors: Counter[str] = Counter()  # refused scores in Tenfold's logs, by kind
        self.dropped = 0  # lines that Tenfold's log says it could not write
        self.skipped: dict[str, Skipped] = {}  # by problem
        self.files = 0
        self.forms: Counter[Form] = Counter()  # forms found in lines of other programs
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
        """Read one log. Raises OSError if it cannot be opened; a damaged file is read up to the damage."""
        self.files += 1
        number = 0
        try:
            with opened(file) as stream:
                for number, line in enumerate(lines(stream), 1):
                    if len(line) < LONGEST:
                        self.take(line, str(file), number)
                    else:
                        self.skip(f"longer than {LONGEST:,} bytes", str(file), number)
        except NotUnpacked as error:
            self.skip(str(error), str(file), 1)
        except (*DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            self.skip("compressed content that is damaged or cut short: the rest of the file", str(file), number + 1)

    def count(self, error: Any) -> None:
        """Count a refused score by its kind."""
        kind = text(error)
        self.errors[kind if kind in self.errors or len(self.errors) < MOST_NAMES else OTHERS] += 1

    def take(self, line: bytes | str, file: str = "", number: int = 0) -> None:
        """Read one line."""
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
        if self.form is None and "minute" in entry and "took" in entry:
            return  # Tenfold's counts of a minute: no measurement of its own
        problem = self._ours(entry) if self.form is None and "ms" in entry and "time" in entry else self._any(entry)
        if problem:
            self.skip(problem, file, number)

    def skip(self, reason: str, file: str, line: int) -> None:
        """Count a line that is no measurement."""
        known = self.skipped.get(reason)
        self.skipped[reason] = known._replace(lines=known.lines + 1) if known else Skipped(1, file, line)

    def _ours(self, entry: dict[str, Any]) -> str | None:
        """Read a line of Tenfold's log; returns its problem, or None."""
        when = seconds(entry["time"])
        if when is None:
            return "a time that cannot be read"
        if "dropped" in entry:
            return self._drop(entry["dropped"])
        if "error" in entry:
            self.count(entry["error"])
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
        """Read a line of another program's log; returns its problem, or None."""
        form = self.form or self._form(entry)
        if form is None and "dropped" in entry:
            return self._drop(entry["dropped"])
        if form is None:
            return self._lacking(entry)
        moment = value_at(entry, form.time)
        if moment is None:
            return f"no time under {form.time!r}" if self.form else "no time"
        when = seconds(moment)
        if when is None:
            return "a time that cannot be read"
        duration = figure(value_at(entry, form.duration)) * form.unit
        if not math.isfinite(duration):
            missing = value_at(entry, form.duration) is None
            return f"no duration under {form.duration!r}" if missing else "a duration that is no number"
        if duration < 0:
            return "a duration below zero"
        self.forms[form] += 1
        cells = (value_at(entry, key) if key else None for key in (form.cpu, form.memory, form.release, form.engine))
        self._add(when, duration, *cells)
        return None

    def _drop(self, lines: Any) -> str | None:
        number = figure(lines)
        if not number >= 0:
            return "a count of dropped lines that is no number"
        self.dropped += int(number)
        return None

    def _lacking(self, entry: dict[str, Any]) -> str:
        if not any(key in entry for key in TIMES):
            return "no time that was recognised: name its key with --map time=KEY,duration=KEY"
        if "error" in entry:
            return "no duration, but an error"
        return "no duration that was recognised: name its key with --map time=KEY,duration=KEY"

    def _add(self, when: float, total: float, cpu: Any, memory: Any, release: Any, engine: Any) -> None:
        names = (text(release), text(engine))
        if len(self._names) >= MOST_NAMES and names not in self._names:
            names = (OTHERS, "–")
        self._times.append(when)
        self._groups.append(self._names.setdefault(names, len(self._names)))
        for column in self._columns.values():
            column.append(NAN)
        self._columns["total"][-1] = total
        self._columns["cpu_percent"][-1] = figure(cpu)
        self._columns["rss_mb"][-1] = figure(memory)

    def _form(self, entry: dict[str, Any]) -> Form | None:
        """The form of a line, by its keys; None if they are not recognised."""
        keys = tuple(entry)
        if keys not in self._form_of:
            if len(self._form_of) > MOST_NAMES:
                self._form_of.clear()  # of lines that all have other keys, memory would hold every key
            key_names = [
                next((key for key in names if key in entry), "") for names in (TIMES, DURATIONS, CPUS, MEMORIES)
            ]
            when, duration, cpu, memory = key_names
            release = next((key for key in ("release", "version", "model") if key in entry), "")
            engine = "engine" if "engine" in entry else ""
            complete = bool(when and duration)
            self._form_of[keys] = (
                Form(when, duration, UNITS[unit_of(duration)], cpu, memory, release, engine) if complete else None
            )
        return self._form_of[keys]


def lines(stream: IO[bytes]) -> Iterator[bytes | str]:
    """The lines of a log in UTF-8, with or without a byte order mark, or in UTF-16 or 32, recognised by its zeros."""
    beginning = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    if beginning in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        yield from decoded(stream, "utf-32")
    elif beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from decoded(stream, "utf-16")
    elif beginning[1:2] == b"\0" or beginning[:1] == b"\0":
        yield from decoded(stream, "utf-16-le" if beginning[1:2] == b"\0" else "utf-16-be")
    else:
        if beginning[:3] == b"\xef\xbb\xbf":
            stream.read(3)
        yield from limited(stream)


def decoded(stream: IO[bytes], encoding: str) -> Iterator[str]:
    """The lines of a file as text, with marks for what is no text; the file stays open."""
    wrapper = io.TextIOWrapper(stream, encoding, errors="replace")
    try:
        yield from limited(wrapper)
    finally:
        wrapper.detach()


def limited(stream: IO[AnyStr]) -> Iterator[AnyStr]:
    """Lines; of one longer than LONGEST only the beginning, so that a file without line ends takes no memory."""
    while line := stream.readline(LONGEST):
        rest = line
        while len(rest) == LONGEST and rest[-1:] not in (b"\n", "\n"):
            rest = stream.readline(LONGEST)
        yield line


def value_at(entry: dict[str, Any], key: str) -> Any:
    """The value of a key, or of keys within objects joined by dots; None if missing."""
    if key in entry:
        return entry[key]
    value: Any = entry
    for part in key.split("."):
        if type(value) is not dict:
            return None
        value = value.get(part)
    return value


def figure(value: Any) -> float:
    """Return a number, also from text that holds one; NaN for anything else, and for one that is too large."""
    kind = type(value)
    if kind is str:
        try:
            value = float(value)
        except ValueError:
            return NAN
    elif kind is not float and kind is not int:
        return NAN
    return float(value) if abs(value) <= LARGEST else NAN


def seconds(value: Any) -> float | None:
    """Seconds since 1970 of a time: ISO 8601 (UTC by default), or a number of s, ms, µs or ns; None if not a time."""
    if type(value) is str:
        try:
            return utc_seconds(value)
        except ValueError:
            pass
    return number_of_seconds(value)


def number_of_seconds(value: Any) -> float | None:
    """Seconds from a number, by its size: a current time is near 1.8e9 s."""
    try:
        number = float(value) if type(value) in (str, int, float) else NAN
    except (ValueError, OverflowError):
        return None
    for unit in (1.0, 1e3, 1e6, 1e9):
        if 1e8 <= number / unit < 1e10:
            return number / unit
    return None


def text(value: Any) -> str:
    """A name for tables and terminals: of no more than 80 characters, without any that move the cursor."""
    return "–" if value is None else printable(str(value)[:80])


def unit_of(key: str) -> str:
    """The unit of a duration, by the end of its key; seconds by default."""
    end = key.rpartition(".")[2]
    for unit in ("ms", "us", "µs", "ns"):
        if end == unit or end.endswith(f"_{unit}") or end.endswith(unit.capitalize()):
            return unit
    return "s" if not key.startswith("ms.") else "ms"


def form(text: str) -> Form:
    """A map as people write it: `time=ts,duration=took:ms,cpu=…,memory=…,release=…`; raises `BadMap`."""
    keys: dict[str, str] = {}
    unit = ""
    for part in text.split(","):
        name, _, key = part.strip().partition("=")
        if name not in PARTS or not key:
            raise BadMap(f"--map {text}: write time=KEY,duration=KEY[:UNIT] and, if there are, {', '.join(PARTS[2:])}")
        if name == "duration" and ":" in key:
            key, _, unit = key.rpartition(":")
            if unit not in UNITS:
                raise BadMap(f"--map {text}: the unit of a duration is one of {', '.join(UNITS)}, not {unit!r}")
        keys[name] = key
    if not {"time", "duration"} <= keys.keys():
        raise BadMap(f"--map {text}: both time and duration are needed")
    return Form(unit=UNITS[unit or unit_of(keys["duration"])], **keys)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files to read: those given, and those in folders that look like logs; each once, also if linked."""
    files: dict[object, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if looks_like_a_log(file.relative_to(path)))
            if not inside:
                raise FileNotFoundError(
                    2, "a folder without a log (.jsonl, .ndjson, .json, .log, compressed too)", str(path)
                )
        for file in inside:
            key: object = str(file) if str(file) == "-" else (file.stat().st_dev, file.stat().st_ino)
            files.setdefault(key, file)
    return list(files.values())


def looks_like_a_log(file: Path) -> bool:
    """Whether a file below a folder is read: scores.jsonl, scores.jsonl.1, 2026-11/app.log-20261123.gz; none hidden."""
    return not any(part.startswith(".") for part in file.parts) and LOG.fullmatch(file.name) is not None


def stretches(scores: Scores, most: int) -> tuple[int, dict[int, list[int]]]:
    """Measurements by stretches of time, the shortest of which there are at most `most`.

    The length in seconds, and for each stretch with measurements its first second since 1970 and their places.
    """
    times = [int(time) for time in scores.times]
    length = interval_length(min(times), max(times), most, SECONDS)
    by_start: dict[int, list[int]] = {}
    for place, time in enumerate(times):
        by_start.setdefault(time - time % length, []).append(place)
    return length, dict(sorted(by_start.items()))
