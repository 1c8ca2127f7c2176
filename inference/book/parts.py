"""The folder of a run: manifest first, then parts with a log each, `_SUCCESS` last. What is whole survives any kill.

    manifest.json                the input's digest, release, engine, mapping and reading: a run resumes only its own
    parts/part-000012.parquet    written under a hidden name; synced and renamed while the next part is scored
    rejected/part-000012.csv     the rows that were refused, with every bad field; not there where none was
    logs/part-000012.json        counts and digests of both; written last, so that a part with a log is whole
    rejected.csv                 all of rejected/
    _SUCCESS                     the counts of all parts

No file holds a time or anything else that differs between two runs: bytes are those of a run that nobody killed.
"""

import csv
import errno
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO, cast

import msgspec
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from msgspec import Struct

from inference.book.errors import BookStopped, OtherRun
from inference.book.pieces import ROWS_A_BATCH
from inference.book.sheets import sheet_writer
from inference.disk import sync
from inference.errors import Problem

UNPACKED = ("pd", "points")
REJECTED = ("file", "row", "field", "problem", "allowed", "got", "hint")


class PartLog(Struct, frozen=True, kw_only=True):
    """What a part's log says."""

    part: int
    rows: int
    scored: int
    rejected: int
    decisions: dict[str, int]
    sha256: str
    rejected_sha256: str | None


class Totals(Struct, frozen=True, kw_only=True):
    """The sum of all parts."""

    parts: int
    rows: int
    scored: int
    rejected: int
    decisions: dict[str, int]
    sha256: str  # of all logs, one after another


class Writer(Protocol):
    def write(self, batch: pa.RecordBatch) -> None: ...


class RunFolder:
    """One run's folder, for one process at a time."""

    def __init__(self, folder: Path, form: str) -> None:
        """`form` of the parts: parquet or csv."""
        self.folder, self.form = folder, form
        self.success = folder / "_SUCCESS"
        self._lock: TextIO | None = None

    def begin(self, manifest: Mapping[str, object], *, resume: bool) -> dict[int, PartLog]:
        """Write the manifest, or compare it with the one that is there; the logs of parts that are whole."""
        file = self.folder / "manifest.json"
        if self.folder.exists() and any(entry.name != ".lock" for entry in self.folder.iterdir()) and not resume:
            raise OtherRun(f"{self.folder} is not empty: --resume goes on with what is whole, or name another")
        for name in ("parts", "rejected", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OtherRun(f"{self.folder}: another process is writing to it") from None
        for left in self.folder.rglob(".*.tmp"):
            left.unlink()
        if file.exists():
            log = json.loads(file.read_bytes())
            if log.get("format") != manifest.get("format"):
                raise OtherRun(
                    f"{self.folder} was begun by another version of Tenfold, whose parts differ. Name another folder"
                )
            different = first_difference(log, json.loads(json.dumps(manifest)))
            if different:
                raise OtherRun(f"{self.folder} holds another run: {different}. Name another folder")
        elif any((self.folder / "logs").iterdir()):
            raise OtherRun(f"{self.folder} has parts and no manifest.json. Name another folder")
        else:
            write_text(file, json.dumps(manifest, indent=1) + "\n")
        return self._complete()

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def part(self, number: int) -> Path:
        return self.folder / "parts" / f"part-{number:06}.{self.form}"

    def rejected(self, number: int) -> Path:
        return self.folder / "rejected" / f"part-{number:06}.csv"

    def log(self, number: int) -> Path:
        return self.folder / "logs" / f"part-{number:06}.json"

    def _complete(self) -> dict[int, PartLog]:
        """Of parts whose files are what their logs say, or are joined already."""
        complete = {}
        for file in sorted((self.folder / "logs").glob("part-*.json")):
            log = msgspec.json.decode(file.read_bytes(), type=PartLog)
            files = {self.part(log.part): log.sha256, self.rejected(log.part): log.rejected_sha256}
            if self.success.exists() or all(sha256(path) == digest for path, digest in files.items()):
                complete[log.part] = log
            else:
                file.unlink()
        return complete

    @contextmanager
    def writer(self, number: int, schema: pa.Schema) -> Iterator[Writer]:
        """What takes the batches of a part, under its hidden name."""
        with writing(self.part(number)) as file, batch_writer(file, schema, self.form) as writer:
            yield writer

    def finish(
        self, number: int, rows: int, decisions: Mapping[str, int], problems: list[tuple[object, ...]]
    ) -> PartLog:
        """Write the rejected rows of a part, under their hidden name; what its log is to say, for `settle`."""
        bad = len({row[:2] for row in problems})
        file = self.rejected(number)
        if problems:
            with writing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
                lines = csv.writer(stream, lineterminator="\n")
                lines.writerow(REJECTED)
                lines.writerows(problems)
        return PartLog(
            part=number,
            rows=rows,
            scored=rows - bad,
            rejected=bad,
            decisions=dict(decisions),
            sha256=sha256(hidden(self.part(number))) or "",
            rejected_sha256=sha256(hidden(file)) if problems else None,
        )

    def settle(self, log: PartLog, run: "RunFolder | None" = None) -> PartLog:
        """Sync the files of a part and rename them to those of the run, this one or another, the log last: a part with
        a log is whole. Twice the same part has twice the same bytes. It waits for the disk and computes nothing."""
        run, number = run or self, log.part
        if log.rejected_sha256 is None:
            run.rejected(number).unlink(missing_ok=True)
        else:
            publish(hidden(self.rejected(number)), run.rejected(number))
        publish(hidden(self.part(number)), run.part(number))
        with writing(self.log(number)) as temporary:
            temporary.write_bytes(msgspec.json.encode(log) + b"\n")
        publish(hidden(self.log(number)), run.log(number))
        return log

    def end(self, logs: Mapping[int, PartLog], joined: Path | None) -> Totals:
        """Join what is to be joined, and write `_SUCCESS`."""
        digest = hashlib.sha256()
        decisions: dict[str, int] = {}
        for number in sorted(logs):
            digest.update(self.log(number).read_bytes())
            for decision, count in logs[number].decisions.items():
                decisions[decision] = decisions.get(decision, 0) + count
        totals = Totals(
            parts=len(logs),
            rows=sum(log.rows for log in logs.values()),
            scored=sum(log.scored for log in logs.values()),
            rejected=sum(log.rejected for log in logs.values()),
            decisions=decisions,
            sha256=digest.hexdigest(),
        )
        if not self.success.exists():
            self._join_rejected(logs)
            if joined is not None:
                self._join_parts(logs, joined)
            write_text(self.success, msgspec.json.encode(totals).decode() + "\n")
        if joined is not None:
            shutil.rmtree(self.folder / "parts", ignore_errors=True)
            shutil.rmtree(self.folder / "rejected", ignore_errors=True)
        return totals

    def _join_rejected(self, logs: Mapping[int, PartLog]) -> None:
        with written(self.folder / "rejected.csv") as temporary, temporary.open("wb") as stream:
            stream.write((",".join(REJECTED) + "\n").encode())
            for number in sorted(number for number, log in logs.items() if log.rejected_sha256):
                append(self.rejected(number), stream, skip=len(",".join(REJECTED)) + 1)

    def _join_parts(self, logs: Mapping[int, PartLog], joined: Path) -> None:
        with written(joined) as temporary:
            parts = [self.part(number) for number in sorted(logs)]
            if self.form == "parquet":
                with batch_writer(temporary, pq.read_schema(parts[0]), joined.suffix.removeprefix(".")) as writer:
                    for part in parts:
                        with pq.ParquetFile(part, pre_buffer=False) as file:
                            for batch in file.iter_batches(1 << 16, use_threads=False):
                                writer.write(batch)
                return
            with temporary.open("wb") as stream:
                for number, part in enumerate(parts):
                    with part.open("rb") as content:
                        heading = len(content.readline())
                    append(part, stream, skip=heading if number else 0)


def append(file: Path, stream: BinaryIO, skip: int) -> None:
    with file.open("rb") as source:
        source.seek(skip)
        shutil.copyfileobj(source, stream, 1 << 20)


@contextmanager
def batch_writer(file: Path | pa.NativeFile, schema: pa.Schema, form: str) -> Iterator[Writer]:
    """Writes batches into a file: CSV or XLSX for people and old programs, else Parquet."""
    if form == "csv":
        plain = pa.schema([(field.name, decoded(field.type)) for field in schema])
        with pcsv.CSVWriter(file, plain, write_options=pcsv.WriteOptions(quoting_style="needed")) as lines:
            yield CsvLines(lines, plain)
        return
    if form == "xlsx":
        with sheet_writer(cast(Path, file), schema.names) as sheet:
            yield sheet
        return
    few = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    # The digits of probabilities are noise: Zstandard takes a quarter of all writing to save a fifteenth of the bytes.
    packed = [name for name in schema.names if name not in UNPACKED]
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]  # ids, which rise, above all
    with pq.ParquetWriter(
        file,
        schema,
        compression={name: "zstd" if name in packed else "none" for name in schema.names},
        compression_level=dict.fromkeys(packed, 1),
        use_dictionary=few or False,
        column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED") or None,
        write_statistics=False,
        write_batch_size=ROWS_A_BATCH,
    ) as batches:
        yield ParquetBatches(batches)


def can_hold(form: str, field: pa.Field) -> bool:
    """Whether a format can hold a column of this type: tried with nothing in it."""
    try:
        with batch_writer(pa.BufferOutputStream(), pa.schema([field]), form) as writer:
            writer.write(pa.record_batch([pa.nulls(1, field.type)], schema=pa.schema([field])))
    except pa.ArrowException:
        return False
    return True


class ParquetBatches:
    def __init__(self, batches: pq.ParquetWriter) -> None:
        self._batches = batches

    def write(self, batch: pa.RecordBatch) -> None:
        self._batches.write_batch(batch)


class CsvLines:
    """Arrow writes no dictionaries as CSV: their texts are written out."""

    def __init__(self, lines: pcsv.CSVWriter, schema: pa.Schema) -> None:
        self._lines, self._schema = lines, schema

    def write(self, batch: pa.RecordBatch) -> None:
        self._lines.write_batch(batch.cast(self._schema))


def decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def rejected_lines(file: str, row: int, problems: Iterable[Problem]) -> list[tuple[object, ...]]:
    """One line a bad field."""
    return [
        (file, row, problem.field, problem.kind, problem.allowed, problem.got, problem.hint) for problem in problems
    ]


def hidden(file: Path) -> Path:
    """The name of a file that is not whole yet."""
    return file.with_name(f".{file.name}.tmp")


@contextmanager
def writing(file: Path) -> Iterator[Path]:
    """The hidden file to write; it is removed where that fails. Raises `BookStopped`."""
    try:
        with stopped_by_disk(file):
            yield hidden(file)
    except BaseException:
        hidden(file).unlink(missing_ok=True)
        raise


def publish(temporary: Path, file: Path) -> None:
    """Sync what was written, and give it its name. Raises `BookStopped`."""
    try:
        with stopped_by_disk(file):
            sync(temporary)
            temporary.replace(file)
            sync(file.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """`writing` and `publish`: the file is there when the block ends without an error, and not before."""
    with writing(file) as temporary:
        yield temporary
    publish(temporary, file)


@contextmanager
def stopped_by_disk(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "there is no room left: make room, then --resume goes on" if full else error.strerror or error
        raise BookStopped(f"{file} cannot be written: {why}") from None


def write_text(file: Path, text: str) -> None:
    with written(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(file: Path) -> str | None:
    """In hex; None where there is no such file."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def first_difference(there: object, now: object, path: str = "") -> str:
    """The first value that two manifests do not share, or an empty text."""
    if isinstance(there, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*there, *now]):
            difference = first_difference(there.get(name), now.get(name), f"{path}.{name}".strip("."))
            if difference:
                return difference
        return ""
    if isinstance(there, list) and isinstance(now, list) and len(there) == len(now):
        pairs = enumerate(zip(there, now, strict=True))
        return next(
            (difference for index, (a, b) in pairs if (difference := first_difference(a, b, f"{path}[{index}]"))), ""
        )
    return "" if there == now else f"{path} is {json.dumps(there)} there and {json.dumps(now)} now"
