"""`tenfold book IN OUT`: a file of applications in, their scores out."""

import argparse
import ctypes
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from inference.book.batches import REASONS, BatchScorer
from inference.book.cluster import Workers, WorkersEngine, check_parts_can_be_shared
from inference.book.cluster_client import cluster_client
from inference.book.errors import BadBook
from inference.book.parts import PartLog, RunFolder, Totals
from inference.book.run import Book, score_book
from inference.book.scored import ScoredBook
from inference.book.sources import FORMATS, ROWS_A_PART, SEPARATORS, Source, Told, open_source
from inference.engines import ENGINES, open_engine
from inference.errors import TenfoldError
from inference.lender_option import OfLender, ReadLender, add_lender
from inference.release import open_release
from inference.settings import Settings

MALLOC = {-8: 1, -3: 1 << 20, -1: 8 << 20}  # of malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
STOPPED = 130  # as a shell has it after Ctrl-C
ENDINGS = (".parquet", ".csv", ".xlsx")  # of one file
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


Record = Callable[[ScoredBook], str | None]  # its id, where it is known yet


def main(arguments: list[str], record: Record | None = None, lender: ReadLender | None = None) -> int:
    """Exit status: 0 scored, though rows may be refused; 1 it stopped, and why; 130 after Ctrl-C.

    `record` keeps a record of the run; `lender` reads a lender's file.
    """
    options = parser()
    if lender is not None:
        add_lender(options)
    given = options.parse_args(arguments)
    try:
        return run(given, record, lender)
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What is whole stays: the same command with --resume goes on.", file=sys.stderr)
        return STOPPED


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tenfold book",
        description="Score a file of applications: one column a field, by name; all other columns are carried through.",
        epilog="Texts for numbers are read as 'tenfold numbers' lists. Rows that are refused go to rejected.csv.",
    )
    parser.add_argument(
        "input",
        metavar="IN",
        help="a .parquet, .csv (.csv.gz, .csv.zst), .arrow or .xlsx file, or a folder of .parquet; also an address "
        "that fsspec knows (s3://…)",
    )
    parser.add_argument(
        "output", metavar="OUT", help="a folder of parts; or one file, where it ends in .parquet, .csv or .xlsx"
    )
    parser.add_argument("--release", type=Path, help="a release folder (else TENFOLD_RELEASE, else the default)")
    parser.add_argument("--engine", choices=ENGINES, help="else TENFOLD_ENGINE, else xgboost")
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="the column of a field")
    parser.add_argument(
        "--separator", help=f"of a CSV file: a character, or {', '.join(NAMED)} (else found out, and said)"
    )
    parser.add_argument("--encoding", help="of a CSV file (else UTF-8, or what a byte order mark says)")
    parser.add_argument("--decimal", choices=[".", ","], help="the decimal mark of texts (else found out, and said)")
    parser.add_argument("--sheet", help="of a workbook that has several")
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet", help="of the parts in a folder")
    parser.add_argument("--resume", action="store_true", help="go on with what is whole in OUT")
    parser.add_argument(
        "--max-bad", type=int, metavar="N", help="stop, with status 1, when more rows than N are refused"
    )
    parser.add_argument("--reasons", choices=REASONS, default=REASONS[0], help="for which rows (default: none)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads (default: one a processor)")
    parser.add_argument(
        "--cluster",
        metavar="WHERE",
        help="score on a Dask cluster: local, local:N, or tcp://HOST:PORT of its scheduler",
    )
    parser.add_argument(
        "--rows-a-part", type=int, default=ROWS_A_PART, metavar="N", help=f"about how many (default: {ROWS_A_PART:,})"
    )
    parser.add_argument("--json", action="store_true", help="progress and counts as JSON lines")
    return parser


def use_little_memory() -> None:
    """Give back what was freed: one arena a thread and what lies freed between arrays of a megabyte or more keep some
    40 MB, and scoring is no faster with them. Arrow's own pool: inference/book/__init__.py."""
    with suppress(AttributeError):  # another C library than glibc
        for setting, number in MALLOC.items():
            ctypes.CDLL(None).mallopt(setting, number)


def run(given: argparse.Namespace, record: Record | None = None, lender: ReadLender | None = None) -> int:
    use_little_memory()
    settings = Settings.from_environment()
    if given.release:
        settings = replace(settings, release=given.release, release_digest=None)
    release = open_release(settings.release, settings.release_digest)
    if given.engine:
        settings = replace(settings, engine=given.engine)
    beside = OfLender() if lender is None else lender(given.lender, release)
    mapping = read_mapping(given.map, release.form.names)
    separator = NAMED.get(given.separator, given.separator)
    options = Told(separator, given.encoding, given.decimal, given.sheet, given.rows_a_part)
    if options.separator is not None and not (
        len(options.separator) == 1 and options.separator.isascii() and options.separator not in '\0\r\n"'
    ):
        raise BadBook(f"--separator {options.separator}: one ASCII character is needed, or {', '.join(NAMED)}")
    if given.workers < 1 or given.rows_a_part < 1:
        raise BadBook("--workers, --rows-a-part: one at least is needed")
    output = Path(given.output)
    ending = output.suffix in ENDINGS
    form = {".csv": "csv", "": given.format}.get(output.suffix if ending else "", "parquet")
    folder = RunFolder(output.with_name(output.name + ".parts") if ending else output, form)
    if ending and output.exists() and not given.resume:
        raise BadBook(f"{output} exists already")
    source = open_source(given.input, release.form, mapping, options)
    say = print_json if given.json else print_words
    say({"event": "reading", **source.reading()})
    engine = WorkersEngine(settings.engine) if given.cluster else open_engine(settings.engine, release)
    scorer = BatchScorer(release, engine, given.reasons, *beside)
    book = Book(scorer, source, mapping, folder)
    if given.reasons != REASONS[0]:
        coalitions = 2 ** len(release.form.fields)
        print(f"a row with reasons costs as much as up to {coalitions:,} rows without", file=sys.stderr)
    progress = Progress(source, as_json=given.json)
    with ExitStack() as stack:
        client = None
        if given.cluster is not None:
            check_parts_can_be_shared(source, given.input)  # before any worker is started
            client = Workers(stack.enter_context(cluster_client(given.cluster)), book, given.input)
        totals = score_book(
            book,
            resume=given.resume,
            max_bad=given.max_bad,
            workers=given.workers,
            joined=output if ending else None,
            progress=progress,
            client=client,
        )
    progress.end()
    id = None if record is None else record(ended(book, totals, options_of(book, given)))
    say(
        {
            "event": "done",
            **summary(totals),
            **({} if id is None else {"record": id}),
            "output": str(output),
            "rejected_file": str(folder.folder / "rejected.csv"),
        }
    )
    return 0


def ended(book: Book, totals: Totals, options: tuple[str, ...]) -> ScoredBook:
    """What a record says of a run."""
    release, files = book.scorer.release, book.source.files()
    return ScoredBook(
        release=release.digest,
        release_name=release.name,
        engine=book.scorer.engine.name,
        input=digest_of_all(files),
        output=totals.sha256,
        rows=totals.rows,
        scored=totals.scored,
        rejected=totals.rejected,
        options=options,
        files=tuple(str(file["name"]) for file in files),
        folder=str(book.folder.folder),
        lender=OfLender(book.scorer.rules, book.scorer.lender_questions).digest,
    )


def digest_of_all(files: Sequence[Mapping[str, object]]) -> str:
    """Of one file its SHA-256; of several that of the lines that `sha256sum` prints for them, in their order."""
    if len(files) == 1:
        return str(files[0]["sha256"])
    lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def options_of(book: Book, given: argparse.Namespace) -> tuple[str, ...]:
    """The words that repeat a run, whatever the environment and the file's beginning say."""
    reading = book.source.reading()
    words = ["--engine", book.scorer.engine.name]
    for field, column in book.mapping.items():
        words += ["--map", f"{field}={column}"]
    for name in ("separator", "encoding", "decimal", "sheet"):
        words += [f"--{name}", str(reading[name])] if name in reading else []
    words += ["--format", book.folder.form, "--rows-a-part", str(book.source.rows_a_part)]
    return (*words, "--reasons", given.reasons)


def summary(totals: Totals) -> dict[str, object]:
    return {
        "rows": totals.rows, "scored": totals.scored, "rejected": totals.rejected,
        **totals.decisions, "parts": totals.parts,
    }  # fmt: skip


def read_mapping(words: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """field=column, each field and each column once."""
    mapping: dict[str, str] = {}
    for word in words:
        field, sign, column = word.partition("=")
        if not sign or field not in names:
            raise BadBook(f"--map {word}: FIELD=COLUMN is needed, with one of {', '.join(names)}")
        if field in mapping:
            raise BadBook(f"--map {word}: {field} is mapped twice")
        mapping[field] = column
    columns = [mapping.get(name, name) for name in names]
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise BadBook(f"--map: column {twice!r} would be read for two fields")
    return mapping


def print_json(event: Mapping[str, object]) -> None:
    print(json.dumps(event), flush=True)


def print_words(event: Mapping[str, object]) -> None:
    if event["event"] == "reading":
        separator = str(event.get("separator", ""))
        sentences = [f"read as {FORMATS[str(event['format'])]}"]
        sentences += [f"sheet {event['sheet']}"] if "sheet" in event else []
        sentences += (
            [f"encoding {event['encoding']}", f"separator {SEPARATORS.get(separator, separator)}"] if separator else []
        )
        print(", ".join([*sentences, f"decimal mark {event['decimal']} in texts"]), file=sys.stderr)
        return
    counts = {name: value for name, value in event.items() if isinstance(value, int)}
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    print(event["output"])
    if counts["rejected"]:
        print(f"refused rows: {event['rejected_file']}")
    if "record" in event:
        print(f"record in the ledger: {event['record']}")


class Progress:
    """Rows, rate and time left, on a terminal's last line or as JSON lines."""

    def __init__(self, source: Source, *, as_json: bool) -> None:
        self._total, self._json = source.rows, as_json
        self._started: float | None = None
        self._before = 0  # rows that were whole already
        self._shown = not as_json and sys.stderr.isatty()

    def __call__(self, logs: Mapping[int, PartLog]) -> None:
        rows, now = sum(log.rows for log in logs.values()), time.monotonic()
        rejected = sum(log.rejected for log in logs.values())
        if self._started is None:
            self._started, self._before = now, rows
        rate = (rows - self._before) / (now - self._started) if now > self._started else None
        left = (self._total - rows) / rate if rate and self._total is not None else None
        if self._json:
            event = {"event": "part", "parts": len(logs), "rows": rows, "rejected": rejected, "of": self._total}
            print_json(event | {"rows_per_second": rate and round(rate), "seconds_left": left and round(left)})
        elif self._shown:
            of = f" of {self._total:,}" if self._total is not None else ""
            speed = f", {rate:,.0f} rows/s" if rate else ""
            remaining = f", {left:.0f} s left" if left is not None else ""
            print(f"\r{rows:,}{of} rows, {rejected:,} refused{speed}{remaining}\x1b[K", end="", file=sys.stderr)

    def end(self) -> None:
        if self._shown:
            print(file=sys.stderr)
