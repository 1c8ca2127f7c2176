"""The ledger's file: SQLite, described and read by way of SQLAlchemy Core. The only module that knows SQL.

Write-ahead log and synchronous=FULL: once a commit has returned, its records are on disk.

Writing goes past SQLAlchemy to Python's own driver, and a commit's records in one statement a table: SQLAlchemy would
take longer than the disk, and the driver gives the interpreter away at each statement and must wait to get it back.
"""

import json
import logging
import os
import sqlite3
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from inference.errors import TenfoldError
from ledger.records import CLEANED, PURGED, SCORED, Key, Record
from ledger.schema import (
    APPLICATION,
    CASE_ROWS,
    CASES,
    DIRECTION,
    ENTRIES,
    IN_RANGE,
    PERSONAL,
    READABLE,
    THAT_HOLD,
    VERSION,
    as_text,
    make_tables,
    raise_tables,
    version_of,
)
from ledger.turns import Turns

logger = logging.getLogger(__name__)
# The last: of a damaged file SQLite may say what is no text.
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError, UnicodeDecodeError)
UNREADABLE = (*DATABASE_ERRORS, AttributeError, LookupError, TypeError, ValueError)  # or a record is none any more
PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT)
WAIT = 5.0  # seconds for another process that is writing
WHOLE = sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.body, PERSONAL.c.salt, PERSONAL.c.body).select_from(
    ENTRIES.outerjoin(PERSONAL, ENTRIES.c.seq == PERSONAL.c.seq)
)
HEAD = as_text(sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1))
LAST_OF_CASE = (
    'WITH RECURSIVE part(id) AS (VALUES (?) UNION SELECT e.id FROM entries e JOIN part ON e."of" = part.id) '
    "SELECT seq, hash FROM entries WHERE id IN part ORDER BY seq DESC LIMIT 1"
)
CASES_AT_ONCE = 10_000  # records whose cases are derived in one statement
LIST_CASES = "INSERT OR REPLACE INTO cases " + CASE_ROWS
WRONG_CASES = f"""
SELECT r.seq, (r.day, r.decision, r.decided_by, r.overridden, r.waiting, r.reference)
  IS (c.day, c.decision, c.decided_by, c.overridden, c.waiting, c.reference) AND c.seq IS NOT NULL
FROM ({CASE_ROWS.format(which=IN_RANGE)}) r LEFT JOIN cases c ON c.viewer = r.viewer AND c.seq = r.seq
"""  # noqa: S608 - all of it is ours
DIRECTIONS = (
    f"SELECT {', '.join(DIRECTION)}, count(*) FROM entries INDEXED BY entries_by_direction "  # noqa: S608
    f"WHERE kind = 'decided' GROUP BY {', '.join(DIRECTION)}"
)
LAST_OF_KIND = "SELECT seq, hash, body FROM entries WHERE kind = ? ORDER BY seq DESC LIMIT 1"


class LedgerUnavailable(TenfoldError):
    """The ledger cannot be opened, read or written: what happened, where, and what to do."""


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Turn a database to its write-ahead log; `sqlite3.OperationalError` where others hold it for that long.

    SQLite's own time-out does not hold here: of two processes that open a new file at once, one would be refused.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


class Store:
    """One ledger file. Thread-safe; other processes may read and write it at the same time."""

    def __init__(self, path: Path, first: Record | None = None) -> None:
        """Open a file; or make it, where a first record is given and no file is there, or an empty one."""
        self.path = path.absolute()
        look(self.path)
        # SQLite sorts and vacuums by way of files; applicants' data stays in the ledger's own folder.
        os.environ.setdefault("SQLITE_TMPDIR", str(self.path.parent))
        try:
            if first and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            if self.path.is_dir():
                raise LedgerUnavailable(f"{self.path}: a folder, and a file is needed")
            if not self.path.exists():
                raise LedgerUnavailable(f"{self.path}: there is no ledger")
            self._engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=8)
            event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
            self._turns = Turns(self.path.with_name(f"{self.path.name}-turns"))
            self._writer, self._writing = self._connect(), threading.Lock()
        except (FileExistsError, NotADirectoryError) as error:
            raise LedgerUnavailable(f"{self.path}: {error.filename} is not a folder") from error
        except DATABASE_ERRORS as error:
            raise LedgerUnavailable(f"{self.path}: {cause(error)}{full(self.path)}") from error
        try:
            with self.writing() as connection:
                self._prepare(connection, first)
            if first:
                sync_folder(self.path.parent)
        except DATABASE_ERRORS as error:
            self.close()
            raise LedgerUnavailable(f"{self.path}: {cause(error)}{full(self.path)}") from error
        except LedgerUnavailable:
            self.close()
            raise
        self._files = self._identities()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=WAIT,
            check_same_thread=False,
            isolation_level=None,
        )
        write_ahead(connection, WAIT)
        for pragma in (
            "synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON", "foreign_keys=ON", "secure_delete=ON",
            "cell_size_check=ON",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _prepare(self, connection: sqlite3.Connection, first: Record | None) -> None:
        """Make the tables in an empty file, with the first record; refuse any other that is not of this version."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if first and not tables and not application:
            make_tables(connection)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            insert(connection, [first], [])
        elif application != APPLICATION:
            raise LedgerUnavailable(no_ledger(self.path))
        elif (version := version_of(connection)) in READABLE and version != VERSION:
            # Said before, for a million records take a minute.
            logger.warning("ledger %s: raised from version %d to %d", self.path, version, VERSION)
            raise_tables(connection)
            list_all_cases(connection)
            connection.execute(f"PRAGMA user_version={VERSION}")  # older programs refuse it from here on
        self.check_version(connection)

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Another version of this program may have changed the file since it was opened."""
        if (version := version_of(connection)) != VERSION:
            raise LedgerUnavailable(another_version(self.path, version))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its start, to read the chain's head under it."""
        with self._writing, self._turns.one():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def reading(self) -> Any:
        """A transaction that sees the file as it is now: a context manager with SQLAlchemy's connection."""
        return self._engine.begin()

    def check_usable(self) -> None:
        """Whether the next record could be written, as far as can be seen without writing one."""
        self.check_still_there()
        with self.reading() as connection:
            self.check_version(connection.connection.driver_connection)

    def check_still_there(self) -> None:
        """SQLite would go on writing into a file that was moved away or deleted, and nobody would ever read it."""
        if self._identities() != self._files:
            raise LedgerUnavailable(f"{self.path}: the file was replaced, moved or deleted while it was in use")

    def _identities(self) -> list[tuple[int, int]]:
        """Device and inode of the database and of its write-ahead log."""
        found = []
        for name in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            try:
                status = name.stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_dev, status.st_ino))
        return found

    def cut_log(self) -> bool:
        """Move the write-ahead log's content into the file and cut the log to nothing; whether that was possible now.

        Never waits: SQLite would hold the write lock for as long as a reader needs the log, and every score would wait.
        """
        with self._writing:
            self._writer.execute("PRAGMA busy_timeout=0")
            try:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of the work, beside writers
                busy, left, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._writer.execute(f"PRAGMA busy_timeout={int(WAIT * 1000)}")
        return not busy and not left

    def vacuum(self) -> None:
        """Write the file anew, by way of the log, without what SQLite left in unused parts of pages."""
        with self._writing:
            self._writer.execute("VACUUM")

    def close(self) -> None:
        """Give all connections back; the last one of all processes empties the write-ahead log into the file."""
        self._engine.dispose()
        self._writer.close()
        self._turns.close()


def look(path: Path) -> None:
    """Refuse a file that is not ours by its first bytes, since SQLite would write some as it opens it.

    Where they say nothing yet, because a ledger's first commit is still in its log, an opened file is checked again.
    https://www.sqlite.org/fileformat.html
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(100)
    except OSError:
        return  # opening says what is wrong with it
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    logged = header[18:20] == b"\2\2"
    if application == APPLICATION and version not in READABLE:
        raise LedgerUnavailable(another_version(path, version))
    if application not in (APPLICATION, 0) or (not application and not logged):
        raise LedgerUnavailable(no_ledger(path))


def another_version(path: Path, version: int) -> str:
    """Why a ledger is refused that another program wrote."""
    return (
        f"{path}: a ledger of version {version}, and this program writes version {VERSION}. "
        "Nothing was changed; use the program that belongs to it"
    )


def no_ledger(path: Path) -> str:
    """Why another program's database is refused."""
    return f"{path}: a database, but no ledger of Tenfold; nothing was changed"


def cause(error: Exception) -> str:
    """What a database error says, without the statement and its values: an applicant's answers may be among them.

    Of an error that a record gave which is no record any more, only its kind and where it came up.
    """
    if not isinstance(error, (*DATABASE_ERRORS, LedgerUnavailable)):
        places = traceback.extract_tb(error.__traceback__)[-1:]
        where = "".join(f" at {Path(place.filename).name}:{place.lineno}" for place in places)
        return f"a record is none any more ({type(error).__name__}{where})"
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorname", "")
    text = original.strerror if isinstance(original, OSError) and original.strerror else str(original)
    text = text.partition(" with text ")[0]  # what is no UTF-8 is shown there
    return f"{text} ({code})" if code else text


def full(path: Path) -> str:
    """What SQLite may not have said of a failure: it has a dozen codes for a disk without room."""
    try:
        return "" if os.statvfs(path.parent).f_bavail else f"; the disk under {path.parent} is full, make room"
    except OSError:
        return ""


def passing(error: Exception) -> bool:
    """Whether a failed write left the file as it was, so that a later one may be tried."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in PASSING


def sync_folder(folder: Path) -> None:
    """A new name is on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def head(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Sequence and hash of the last record."""
    found: tuple[int, bytes] | None = connection.execute(HEAD).fetchone()
    return found


def last_of_case(connection: sqlite3.Connection, first: str) -> tuple[int, bytes] | None:
    """Sequence and hash of the last record of the case that began with the score `first`."""
    found: tuple[int, bytes] | None = connection.execute(LAST_OF_CASE, (first,)).fetchone()
    return found


def insert(connection: sqlite3.Connection, records: Sequence[Record], keys: Sequence[tuple[Key, int]]) -> None:
    """Write records, the idempotency keys that belong to them, and what pages search of their cases."""
    personal = [one for one in records if one.personal is not None]
    insert_rows(connection, "entries (seq, hash, body)", [(one.seq, one.hash, one.body) for one in records])
    insert_rows(connection, "personal (seq, salt, body)", [(one.seq, one.salt, one.personal) for one in personal])
    insert_rows(connection, "idempotency (client, key, digest, seq)", [(*key, seq) for key, seq in keys])
    listed: list[tuple[Any, ...]] = []
    moved = []
    for one in records:
        fields = one.fields()
        if fields.get("of"):
            moved.append(one.seq)
        elif fields["kind"] == SCORED:  # as CASE_ROWS would say, in a tenth of the time
            reference = (one.personal_fields() or {}).get("reference")
            viewers = {"", fields.get("by") or ""}
            listed += [(viewer, one.seq, fields["time"][:10], 0, reference) for viewer in viewers]
    insert_rows(connection, "cases (viewer, seq, day, waiting, reference)", listed)
    list_cases_of(connection, moved)


def list_cases_of(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Derive anew what pages search of the cases that some records belong to."""
    if seqs:
        connection.execute(LIST_CASES.format(which=THAT_HOLD), (json.dumps(list(seqs)),))


def list_all_cases(connection: sqlite3.Connection) -> None:
    """The same of every case."""
    last, _ = head(connection) or (0, b"")
    for first in range(1, last + 1, CASES_AT_ONCE):
        connection.execute(LIST_CASES.format(which=IN_RANGE), (first, first + CASES_AT_ONCE - 1))


def wrong_case(connection: sqlite3.Connection) -> int | None:
    """The sequence of the first case that pages would not find as the records say, or would find without a record."""
    last, _ = head(connection) or (0, b"")
    right = 0
    for first in range(1, last + 1, CASES_AT_ONCE):
        for seq, same in connection.execute(WRONG_CASES, (first, first + CASES_AT_ONCE - 1)):
            if not same:
                return int(seq)
            right += 1
    if right == connection.execute("SELECT count(*) FROM cases").fetchone()[0]:
        return None
    for viewer, seq in connection.execute("SELECT viewer, seq FROM cases ORDER BY seq"):
        rows = connection.execute(CASE_ROWS.format(which=IN_RANGE), (seq, seq))
        if viewer not in {row[0] for row in rows}:
            return int(seq)
    return None


def insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """All rows in one statement; `table` with its columns is ours."""
    if rows:
        values = ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
        connection.execute(f"INSERT INTO {table} VALUES {values}", [cell for row in rows for cell in row])  # noqa: S608


def kept_keys(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[tuple[str, str], tuple[bytes, Record]]:
    """The digests and records that are known by (client, key)."""
    rows = connection.execute(
        "SELECT i.client, i.key, i.digest, e.seq, e.hash, e.body, p.salt, p.body FROM idempotency i "  # noqa: S608
        "JOIN entries e ON e.seq = i.seq LEFT JOIN personal p ON p.seq = i.seq "
        f"WHERE (i.client, i.key) IN (VALUES {', '.join(['(?, ?)'] * len(keys))})",
        [part for key in keys for part in key[:2]],
    )
    return {(row[0], row[1]): (row[2], Record(*row[3:])) for row in rows}


def by_id(connection: sa.Connection, ids: Sequence[str]) -> list[Record]:
    """Records by their ids, in the order of the ledger."""
    rows = connection.execute(WHOLE.where(ENTRIES.c.id.in_(ids)).order_by(ENTRIES.c.seq))
    return [Record(*row) for row in rows]


def following(connection: sa.Connection, *of: str) -> list[Record]:
    """Records that refer to any of these: decisions on a score, contests of a decision."""
    return [Record(*row) for row in connection.execute(WHOLE.where(ENTRIES.c.of.in_(of)).order_by(ENTRIES.c.seq))]


def records(connection: sa.Connection, kinds: Sequence[str] = ()) -> Iterator[Record]:
    """All records, or those of some kinds, in order, without holding them."""
    query = WHOLE.order_by(ENTRIES.c.seq)
    if kinds:
        query = query.where(ENTRIES.c.kind.in_(kinds))
    for row in connection.execution_options(yield_per=5000).execute(query):
        yield Record(*row)


def newest(connection: sa.Connection, limit: int, before: int | None, **equal: str) -> list[Record]:
    """A page of records, the newest first; `before` a sequence; `equal` by column, and `reference` of the answers."""
    return [Record(*row) for row in connection.execute(newest_query(limit, before, equal))]


def newest_query(limit: int, before: int | None, equal: Mapping[str, str]) -> Any:
    """Records, as `newest` says. The first one asked for chooses the index, and the others are compared in it: SQLite
    could not know which is rare."""
    query = WHOLE.order_by(ENTRIES.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(ENTRIES.c.seq < before)
    for at, name in enumerate(name for name in ("reference", "by", "decision", "kind") if name in equal):
        column = PERSONAL.c.reference if name == "reference" else ENTRIES.c[name]
        query = query.where((sa.literal_column(f'+entries."{name}"') if at else column) == equal[name])
    return query


def cases(
    connection: sa.Connection,
    limit: int,
    before: int | None = None,
    asked: Mapping[str, str] | None = None,
    only_of: str | None = None,
) -> list[Record]:
    """A page of cases, the newest first: the score that each began with.

    `asked`: `reference` (a part of it), `since` and `until` (ISO dates, both included), `by` (who decided), `decision`
    (one of them, `open` or `waiting`), `overridden` (`yes` or `no`). `before` is the sequence of the last score seen.
    `only_of` leaves those in which this person wrote a record, or has an objection to review.
    """
    found = connection.execute(cases_query(limit, before, asked or {}, only_of)).scalars().all()
    return [
        Record(*row) for row in connection.execute(WHOLE.where(ENTRIES.c.seq.in_(found)).order_by(ENTRIES.c.seq.desc()))
    ]


def cases_query(limit: int, before: int | None, asked: Mapping[str, str], only_of: str | None) -> Any:
    """Sequences of first scores, as `cases` says."""
    query = sa.select(CASES.c.seq).where(CASES.c.viewer == (only_of or ""))
    if before is not None:
        query = query.where(CASES.c.seq < before)
    for name, value in asked.items():
        query = query.where(condition(name, value))
    return query.order_by(CASES.c.seq.desc()).limit(limit)


def optional(row: Sequence[Any]) -> Record | None:
    """A record of an outer join."""
    return None if row[0] is None else Record(*row)


def condition(name: str, value: str) -> Any:
    """One thing that is asked of cases."""
    if name == "reference":
        like = "%" + "".join(f"\\{mark}" if mark in "%_\\" else mark for mark in value) + "%"
        return CASES.c.reference.like(like, escape="\\")
    if name == "since":
        return CASES.c.day >= value
    if name == "until":
        return CASES.c.day <= value
    if name == "by":
        return CASES.c.decided_by == value
    if name == "overridden":
        return CASES.c.overridden == (1 if value == "yes" else 0)
    if name == "decision" and value == "waiting":
        return CASES.c.waiting == 1
    if name == "decision":
        return CASES.c.decision.is_(None) if value == "open" else CASES.c.decision == value
    raise ValueError(f"cases cannot be asked for their {name}")


def directions(connection: sa.Connection) -> list[tuple[str, str, str | None, int]]:
    """How decisions departed from suggestions: (month, direction, reason code, how many), the newest month first."""
    rows = [(row[0], row[1], row[2], row[3]) for row in connection.exec_driver_sql(DIRECTIONS)]
    return sorted(rows, key=lambda row: row[0], reverse=True)


def damage(connection: sa.Connection) -> str | None:
    """What SQLite finds wrong with the file's pages, or between a table and its indexes."""
    found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
    return None if found == "ok" else found


def stray_personal(connection: sa.Connection) -> list[int]:
    """Personal parts that belong to no record."""
    query = sa.select(PERSONAL.c.seq).where(PERSONAL.c.seq.not_in(sa.select(ENTRIES.c.seq)))
    return list(connection.execute(query.order_by(PERSONAL.c.seq)).scalars())


def keys(connection: sa.Connection) -> Iterator[tuple[Key, int, Record | None]]:
    """Every Idempotency-Key, the sequence it leads to, and the record there."""
    rows = connection.execution_options(yield_per=5000).exec_driver_sql(
        "SELECT i.client, i.key, i.digest, i.seq, e.seq, e.hash, e.body, p.salt, p.body FROM idempotency i "
        "LEFT JOIN entries e ON e.seq = i.seq LEFT JOIN personal p ON p.seq = i.seq"
    )
    for row in rows:
        yield Key(*row[:3]), row[3], optional(row[4:])


def times(connection: sa.Connection) -> Iterator[tuple[int, str]]:
    """Sequence and time of every record, in order."""
    yield from (tuple(row) for row in connection.exec_driver_sql("SELECT seq, time FROM entries ORDER BY seq"))


def with_personal(connection: sa.Connection) -> list[int]:
    """The first scores of cases that still have a personal part somewhere, by sequence."""
    query = (
        "SELECT e.seq FROM entries e JOIN personal p ON p.seq = e.seq WHERE e.kind = ? AND e.of IS NULL ORDER BY e.seq"
    )
    return list(connection.exec_driver_sql(query, (SCORED,)).scalars())


def partly_erased(connection: sa.Connection) -> list[str]:
    """Ids of records that were erased while something that refers to them was not, as purges of version 1 did."""
    query = (
        "SELECT DISTINCT up.id FROM personal p JOIN entries e ON e.seq = p.seq JOIN entries up ON up.id = e.of "
        "LEFT JOIN personal q ON q.seq = up.seq WHERE q.seq IS NULL"
    )
    return list(connection.exec_driver_sql(query).scalars())


def by_seq(connection: sa.Connection, seqs: Sequence[int]) -> list[Record]:
    """Records by their sequences."""
    rows = (connection.execute(WHOLE.where(ENTRIES.c.seq == seq)).first() for seq in seqs)
    return [Record(*row) for row in rows if row is not None]


def families(connection: sqlite3.Connection, firsts: Sequence[int]) -> Iterator[tuple[int, Record]]:
    """All that refers to some records, to these, and so on: (sequence of the first, record), in order."""
    rows = connection.execute(
        "WITH RECURSIVE family(first, seq, id) AS ("  # noqa: S608 - question marks only
        f"SELECT seq, seq, id FROM entries WHERE seq IN ({', '.join('?' * len(firsts))}) UNION "
        "SELECT family.first, e.seq, e.id FROM family JOIN entries e ON e.of = family.id) "
        "SELECT f.first, e.seq, e.hash, e.body, p.salt, p.body FROM family f JOIN entries e ON e.seq = f.seq "
        "LEFT JOIN personal p ON p.seq = f.seq ORDER BY 1, 2",
        list(firsts),
    )
    for first, *record in rows:
        yield first, Record(*record)


def erase_personal(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Erase the personal parts, and the idempotency keys, of some records, and what pages search of them; how many
    parts."""
    connection.executemany("DELETE FROM idempotency WHERE seq = ?", [(seq,) for seq in seqs])
    erased = connection.executemany("DELETE FROM personal WHERE seq = ?", [(seq,) for seq in seqs]).rowcount
    list_cases_of(connection, seqs)
    return erased


def driver(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's own connection under SQLAlchemy's, in the same transaction."""
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)  # noqa: S101 - SQLAlchemy's type allows a closed one
    return found


def unclean(connection: sqlite3.Connection) -> Record | None:
    """The last purge, if no record says that the file was cleaned after it."""
    purged = connection.execute(LAST_OF_KIND, (PURGED,)).fetchone()
    cleaned = connection.execute(LAST_OF_KIND, (CLEANED,)).fetchone()
    return (
        None
        if purged is None or (cleaned and cleaned[0] > purged[0])
        else Record(purged[0], purged[1], purged[2], None, None)
    )


def scored_by_others_than(connection: sa.Connection, names: Collection[str]) -> bool:
    """Whether there is a score by anybody but these. From name to name by the index, for there are few."""
    name: str | None = ""
    while True:
        name = connection.execute(sa.select(sa.func.min(ENTRIES.c.by)).where(ENTRIES.c.by > name)).scalar()
        if name is None:
            return False
        by_name = sa.select(ENTRIES.c.seq).where(ENTRIES.c.by == name, ENTRIES.c.kind == SCORED).limit(1)
        if name not in names and connection.execute(by_name).first() is not None:
            return True


def last(connection: sa.Connection) -> tuple[int, bytes] | None:
    """`head`, for readers."""
    row = connection.exec_driver_sql(HEAD).first()
    return None if row is None else (row[0], row[1])
