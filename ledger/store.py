"""The ledger's file: SQLite by way of SQLAlchemy Core. The only module that knows SQL.

Write-ahead log and synchronous=FULL: once a commit has returned, its records are on disk. What the file is asked for by
column (kind, time, decision …) is computed by SQLite from the records' own text, so that no column can say otherwise.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from inference.errors import TenfoldError
from ledger.records import Key, Record

APPLICATION, VERSION = 0x54464C44, 1  # of the file, as `file` shows and as another version of this program knows
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError)
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


class LedgerUnavailable(TenfoldError):
    """The ledger cannot be opened, read or written: what happened, where, and what to do."""


class Store:
    """One ledger file. Thread-safe; other processes may read and write it at the same time."""

    def __init__(self, path: Path, first: Record | None = None) -> None:
        """Open a file; or make it, where a first record is given and no file is there, or an empty one."""
        self.path = path.absolute()
        try:
            if first and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            if not self.path.exists():
                raise LedgerUnavailable(f"{self.path}: there is no ledger")
            self._engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=8)
            event.listen(self._engine, "begin", begin)
            with self.writing() as connection:
                self._prepare(connection, first)
            if first:
                sync_folder(self.path.parent)
        except DATABASE_ERRORS as error:
            raise LedgerUnavailable(f"{self.path}: {cause(error)}") from error
        self._files = self._identities()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=WAIT,
            check_same_thread=False,
            isolation_level=None,
        )
        for pragma in (
            "journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON", "foreign_keys=ON",
            "secure_delete=ON", "cell_size_check=ON",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _prepare(self, connection: sa.Connection, first: Record | None) -> None:
        """Make the tables in an empty file, with the first record; refuse any other that is not of this version."""
        application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if first and not tables and not application:
            TABLES.create_all(connection)
            for guard in GUARDS:
                connection.exec_driver_sql(guard)
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION}")
            connection.exec_driver_sql(f"PRAGMA user_version={VERSION}")
            insert(connection, [first], [])
        elif application != APPLICATION:
            raise LedgerUnavailable(f"{self.path}: a database, but no ledger of Tenfold; nothing was changed")
        self.check_version(connection)

    def check_version(self, connection: sa.Connection) -> None:
        """Another version of this program may have changed the file since it was opened."""
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version != VERSION:
            raise LedgerUnavailable(
                f"{self.path}: a ledger of version {version}, and this program writes version {VERSION}. "
                "Nothing was changed; use the program that belongs to it"
            )

    def writing(self) -> Any:
        """A transaction that holds the file's write lock from its start: a context manager with its connection."""
        return self._engine.execution_options(writing=True).begin()

    def reading(self) -> Any:
        """A transaction that sees the file as it is now."""
        return self._engine.begin()

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
        with self._engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]

    def close(self) -> None:
        """Give all connections back; the last one of all processes empties the write-ahead log into the file."""
        self._engine.dispose()


def begin(connection: sa.Connection) -> None:
    """Python's driver would begin only at the first write, too late to read the chain's head under the lock."""
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def cause(error: Exception) -> str:
    """What a database error says, without the statement and its values: an applicant's answers may be among them."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorname", "")
    text = original.strerror if isinstance(original, OSError) and original.strerror else str(original)
    return f"{text} ({code})" if code else text


def passing(error: Exception) -> bool:
    """Whether a failed write left the file as it was, so that a later one may be tried."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def sync_folder(folder: Path) -> None:
    """A new name is on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def head(connection: sa.Connection) -> tuple[int, bytes] | None:
    """Sequence and hash of the last record."""
    row = connection.execute(sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1)).first()
    return None if row is None else (row[0], row[1])


def insert(connection: sa.Connection, records: Sequence[Record], keys: Sequence[tuple[Key, int]]) -> None:
    """Write records and the idempotency keys that belong to them."""
    connection.execute(sa.insert(ENTRIES), [{"seq": one.seq, "hash": one.hash, "body": one.body} for one in records])
    if personal := [one for one in records if one.personal is not None]:
        values = [{"seq": one.seq, "salt": one.salt, "body": one.personal} for one in personal]
        connection.execute(sa.insert(PERSONAL), values)
    if keys:
        connection.execute(sa.insert(KEYS), [{**key._asdict(), "seq": seq} for key, seq in keys])


def kept_keys(connection: sa.Connection, keys: Sequence[Key]) -> dict[tuple[str, str], tuple[bytes, Record]]:
    """The digests and records that are known by (client, key)."""
    wanted = sa.tuple_(KEYS.c.client, KEYS.c.key).in_([(key.client, key.key) for key in keys])
    rows = connection.execute(
        WHOLE.join(KEYS, KEYS.c.seq == ENTRIES.c.seq)
        .add_columns(KEYS.c.client, KEYS.c.key, KEYS.c.digest)
        .where(wanted)
    )
    return {(row[5], row[6]): (row[7], Record(*row[:5])) for row in rows}


def by_id(connection: sa.Connection, ids: Sequence[str]) -> list[Record]:
    """Records by their ids, in the order of the ledger."""
    rows = connection.execute(WHOLE.where(ENTRIES.c.id.in_(ids)).order_by(ENTRIES.c.seq))
    return [Record(*row) for row in rows]


def following(connection: sa.Connection, of: str) -> list[Record]:
    """Records that refer to another: decisions on a score, contests of a decision."""
    return [Record(*row) for row in connection.execute(WHOLE.where(ENTRIES.c.of == of).order_by(ENTRIES.c.seq))]


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


def damage(connection: sa.Connection) -> str | None:
    """What SQLite finds wrong with the file's pages, indexes included."""
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    return None if found == "ok" else found


def stray_personal(connection: sa.Connection) -> list[int]:
    """Personal parts that belong to no record."""
    query = sa.select(PERSONAL.c.seq).where(PERSONAL.c.seq.not_in(sa.select(ENTRIES.c.seq)))
    return list(connection.execute(query.order_by(PERSONAL.c.seq)).scalars())


def first_at(connection: sa.Connection, time: str) -> int | None:
    """The first record, by sequence, that is not older than a time."""
    found: int | None = connection.execute(
        sa.select(sa.func.min(ENTRIES.c.seq)).where(ENTRIES.c.time >= time)
    ).scalar_one()
    return found


def erase_personal(connection: sa.Connection, through: int) -> int:
    """Erase the personal parts, and the idempotency keys, of all records up to a sequence; how many parts."""
    connection.execute(sa.delete(KEYS).where(KEYS.c.seq <= through))
    return int(connection.execute(sa.delete(PERSONAL).where(PERSONAL.c.seq <= through)).rowcount)
