"""The ledger's file: SQLite, described and read by way of SQLAlchemy Core. The only module that knows SQL.

Write-ahead log and synchronous=FULL: once a commit has returned, its records are on disk. What the file is asked for by
column (kind, time, decision …) is computed by SQLite from the records' own text, so that no column can say otherwise.

Writing goes past SQLAlchemy to Python's own driver, and a commit's records in one statement a table: SQLAlchemy would
take longer than the disk, and the driver gives the interpreter away at each statement and must wait to get it back.
"""

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
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from inference.errors import TenfoldError
from ledger.records import AGREED, CONTESTED, DECIDED, SCORED, Key, Record

APPLICATION, VERSION = 0x54464C44, 1  # of the file, as `file` shows and as another version of this program knows
# The last: of a damaged file SQLite may say what is no text.
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError, UnicodeDecodeError)
UNREADABLE = (*DATABASE_ERRORS, AttributeError, LookupError, TypeError, ValueError)  # or a record is none any more
PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT)
WAIT = 5.0  # seconds for another process that is writing
TABLES = sa.MetaData()
ENTRIES = sa.Table(
    "entries",
    TABLES,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    *(
        sa.Column(name, sa.Text, sa.Computed(f"json_extract(body, '$.{name}')", persisted=False))
        for name in ("id", "time", "kind", "by", "of", "decision")
    ),
    sa.Index("entries_by_id", "id", unique=True),
    sa.Index("entries_by_kind", "kind", "seq"),
    sa.Index("entries_by_actor", "by", "seq"),
    sa.Index("entries_by_origin", "of", "seq"),
    sa.Index("entries_by_time", "time"),
)
PERSONAL = sa.Table(
    "personal",
    TABLES,
    sa.Column("seq", sa.Integer, sa.ForeignKey(ENTRIES.c.seq), primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, sa.Computed("json_extract(body, '$.reference')", persisted=False)),
    sa.Index("personal_by_reference", "reference"),
)
KEYS = sa.Table(
    "idempotency",
    TABLES,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("seq", sa.Integer, sa.ForeignKey(ENTRIES.c.seq), nullable=False),
    sqlite_with_rowid=False,
)
# Against slips; whoever can write the file can also drop them, and that is what the chain is for.
GUARDS = [
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'records of the ledger are never changed'); END"
    for table, verb in (("entries", "UPDATE"), ("entries", "DELETE"), ("personal", "UPDATE"))
]
WHOLE = sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.body, PERSONAL.c.salt, PERSONAL.c.body).select_from(
    ENTRIES.outerjoin(PERSONAL, ENTRIES.c.seq == PERSONAL.c.seq)
)


def as_text(statement: Any) -> str:
    """A statement as the driver takes it."""
    return str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


SCHEMA = [as_text(CreateTable(table)) for table in TABLES.sorted_tables]
SCHEMA += [as_text(CreateIndex(one)) for table in TABLES.sorted_tables for one in sorted(table.indexes, key=str)]
HEAD = as_text(sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1))
LAST_OF_CASE = (
    'WITH RECURSIVE part(id) AS (VALUES (?) UNION SELECT e.id FROM entries e JOIN part ON e."of" = part.id) '
    "SELECT seq, hash FROM entries WHERE id IN part ORDER BY seq DESC LIMIT 1"
)
FIRST_AT = "SELECT min(seq) FROM entries WHERE time >= ?"


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
        self._look()
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
            self._writer, self._writing = self._connect(), threading.Lock()
        except (FileExistsError, NotADirectoryError) as error:
            raise LedgerUnavailable(f"{self.path}: {error.filename} is no folder") from error
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

    def _look(self) -> None:
        """Refuse what is none of ours by the file's first bytes, since SQLite would write some as it opens a file.

        Where they say nothing yet, for a ledger's first commit may still be in its log, `_prepare` looks again.
        https://www.sqlite.org/fileformat.html
        """
        try:
            with self.path.open("rb") as stream:
                header = stream.read(100)
        except OSError:
            return  # what is wrong with it is said below
        if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
            return
        version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
        logged = header[18:20] == b"\2\2"
        if application == APPLICATION and version != VERSION:
            raise LedgerUnavailable(self._another_version(version))
        if application not in (APPLICATION, 0) or (not application and not logged):
            raise LedgerUnavailable(f"{self.path}: a database, but no ledger of Tenfold; nothing was changed")

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
            for statement in [*SCHEMA, *GUARDS]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            insert(connection, [first], [])
        elif application != APPLICATION:
            raise LedgerUnavailable(f"{self.path}: a database, but no ledger of Tenfold; nothing was changed")
        self.check_version(connection)

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Another version of this program may have changed the file since it was opened."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise LedgerUnavailable(self._another_version(version))

    def _another_version(self, version: int) -> str:
        return (
            f"{self.path}: a ledger of version {version}, and this program writes version {VERSION}. "
            "Nothing was changed; use the program that belongs to it"
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its start, to read the chain's head under it."""
        with self._writing:
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

    def backup(self, target: Path) -> None:
        """A consistent copy, while the ledger is in use; it replaces `target` only when it is whole and on disk."""
        new = target.with_name(f".{target.name}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            copy = sqlite3.connect(new)
            with self._engine.connect() as connection:
                connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without its -wal
            copy.close()
            os.chmod(new, 0o600)
            with new.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(new, target)
            sync_folder(target.parent)
        except (OSError, sqlite3.Error) as error:
            raise LedgerUnavailable(f"{target}: no backup was made: {error}") from error
        finally:
            new.unlink(missing_ok=True)

    def empty_log(self) -> None:
        """Move the write-ahead log's content into the file and cut it to nothing."""
        with self._writing:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give all connections back; the last one of all processes empties the write-ahead log into the file."""
        self._engine.dispose()
        self._writer.close()


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
    """Write records and the idempotency keys that belong to them."""
    personal = [one for one in records if one.personal is not None]
    insert_rows(connection, "entries (seq, hash, body)", [(one.seq, one.hash, one.body) for one in records])
    insert_rows(connection, "personal (seq, salt, body)", [(one.seq, one.salt, one.personal) for one in personal])
    insert_rows(connection, "idempotency (client, key, digest, seq)", [(*key, seq) for key, seq in keys])


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
    query = WHOLE.order_by(ENTRIES.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(ENTRIES.c.seq < before)
    for name, value in equal.items():
        column = PERSONAL.c.reference if name == "reference" else ENTRIES.c[name]
        query = query.where(column == value)
    return [Record(*row) for row in connection.execute(query)]


def cases(
    connection: sa.Connection,
    limit: int,
    before: int | None = None,
    asked: Mapping[str, str] | None = None,
    only_of: str | None = None,
) -> list[tuple[Record, Record | None, Record | None]]:
    """A page of cases, the newest first: the score that each began with, its last decision, what a second person said.

    `asked`: `reference` (a part of it), `since` and `until` (ISO dates, both included), `by` (who decided), `decision`
    (one of them, `open` or `waiting`), `overridden` (`yes` or `no`). `before` is the sequence of the last score seen.
    `only_of` leaves those in which this person scored, decided, agreed or took down an objection, or has one to review.
    """
    first, decided, second = (ENTRIES.alias(name) for name in ("first", "decided", "second"))
    personal = [PERSONAL.alias(f"{one.name}_personal") for one in (first, decided, second)]
    query = sa.select(
        *(column for pair in zip((first, decided, second), personal, strict=True) for column in whole(*pair))
    )
    source = first.outerjoin(decided, decided.c.seq == last_of(first, DECIDED))
    source = source.outerjoin(second, second.c.seq == last_of(decided, AGREED))
    for entry, part in zip((first, decided, second), personal, strict=True):
        source = source.outerjoin(part, part.c.seq == entry.c.seq)
    query = query.select_from(source).where(first.c.kind == SCORED, first.c.of.is_(None))
    if before is not None:
        query = query.where(first.c.seq < before)
    for name, value in (asked or {}).items():
        query = query.where(condition(name, value, first, decided, second))
    if only_of is not None:
        query = query.where(sa.or_(first.c.by == only_of, first.c.id.in_(cases_of(only_of))))
    found = connection.execute(query.order_by(first.c.seq.desc()).limit(limit))
    return [(Record(*row[:5]), optional(row[5:10]), optional(row[10:])) for row in found]


def whole(entry: Any, personal: Any) -> list[Any]:
    """The columns of a record."""
    return [entry.c.seq, entry.c.hash, entry.c.body, personal.c.salt, personal.c.body]


def optional(row: Sequence[Any]) -> Record | None:
    """A record of an outer join."""
    return None if row[0] is None else Record(*row)


def last_of(entry: Any, kind: str) -> Any:
    """The sequence of the last record of a kind that refers to an entry."""
    later = ENTRIES.alias(f"later_{kind}")
    found = sa.select(sa.func.max(later.c.seq)).where(later.c.of == entry.c.id, later.c.kind == kind)
    return found.correlate(entry).scalar_subquery()


def cases_of(name: str) -> Any:
    """The ids of the scores that cases began with in which somebody had a part later on."""
    own, above = ENTRIES.alias("own"), ENTRIES.alias("above")
    reviewer = sa.func.json_extract(own.c.body, "$.reviewer")
    part = sa.or_(own.c.by == name, sa.and_(own.c.kind == CONTESTED, reviewer == name))
    # A correction or a decision refers to the first score; an agreement or an objection to a decision.
    direct = sa.select(own.c.of).where(part, own.c.kind.in_((SCORED, DECIDED)), own.c.of.is_not(None))
    by_decision = sa.select(above.c.of).join(own, own.c.of == above.c.id)
    return direct.union(by_decision.where(part, own.c.kind.in_((AGREED, CONTESTED))))


def condition(name: str, value: str, first: Any, decided: Any, second: Any) -> Any:
    """One thing that is asked of cases."""
    if name == "reference":
        like = "%" + "".join(f"\\{mark}" if mark in "%_\\" else mark for mark in value) + "%"
        return first.c.seq.in_(sa.select(PERSONAL.c.seq).where(PERSONAL.c.reference.like(like, escape="\\")))
    if name == "since":
        return first.c.time >= value
    if name == "until":
        return first.c.time < f"{value}~"  # sorts after every time of that day
    if name == "by":
        return decided.c.by == value
    if name == "overridden":
        return sa.func.json_extract(decided.c.body, "$.overridden") == (value == "yes")
    if name == "decision" and value == "waiting":
        needed = sa.func.json_extract(decided.c.body, "$.needs_second") == sa.true()
        return sa.and_(needed, second.c.seq.is_(None))
    if name == "decision":
        return decided.c.seq.is_(None) if value == "open" else decided.c.decision == value
    raise ValueError(f"cases cannot be asked for their {name}")


def directions(connection: sa.Connection) -> list[tuple[str, str, str | None, int]]:
    """How decisions departed from suggestions: (month, direction, reason code, how many), the newest month first."""
    month = sa.func.substr(ENTRIES.c.time, 1, 7)
    parts = [sa.func.json_extract(ENTRIES.c.body, f"$.{name}") for name in ("direction", "reason_code")]
    query = sa.select(month, *parts, sa.func.count()).where(ENTRIES.c.kind == DECIDED).group_by(month, *parts)
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query.order_by(month.desc()))]


def damage(connection: sa.Connection) -> str | None:
    """What SQLite finds wrong with the file's pages, indexes included."""
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    return None if found == "ok" else found


def stray_personal(connection: sa.Connection) -> list[int]:
    """Personal parts that belong to no record."""
    query = sa.select(PERSONAL.c.seq).where(PERSONAL.c.seq.not_in(sa.select(ENTRIES.c.seq)))
    return list(connection.execute(query.order_by(PERSONAL.c.seq)).scalars())


def first_at(connection: sqlite3.Connection, time: str) -> int | None:
    """The first record, by sequence, that is not older than a time."""
    (found,) = connection.execute(FIRST_AT, (time,)).fetchone()
    return None if found is None else int(found)


def erase_personal(connection: sqlite3.Connection, through: int) -> int:
    """Erase the personal parts, and the idempotency keys, of all records up to a sequence; how many parts."""
    connection.execute("DELETE FROM idempotency WHERE seq <= ?", (through,))
    return connection.execute("DELETE FROM personal WHERE seq <= ?", (through,)).rowcount


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
