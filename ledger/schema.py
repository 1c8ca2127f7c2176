"""The ledger's tables, their indexes and the triggers that stop slips: what a file must hold, and what verify expects.

What the file is asked for by column (kind, time, decision …) is computed by SQLite from the records' own text, so
that no column can say otherwise.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

APPLICATION = 0x54464C44  # of the file, as `file` shows it
# 2: records of format 2 (ledger/records.py). The tables are those of version 1.
VERSION = 2
READABLE = (1, VERSION)  # a ledger of an older version is raised by the first program that opens it for writing
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


def as_text(statement: Any) -> str:
    """A statement as the driver takes it."""
    return str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


SCHEMA = [as_text(CreateTable(table)) for table in TABLES.sorted_tables]
SCHEMA += [as_text(CreateIndex(one)) for table in TABLES.sorted_tables for one in sorted(table.indexes, key=str)]

Objects = Mapping[tuple[str, str], str]  # (kind, name) -> SQL, as sqlite_master holds it


def make_tables(connection: sqlite3.Connection) -> None:
    """All tables, indexes and triggers of an empty file."""
    for statement in [*SCHEMA, *GUARDS]:
        connection.execute(statement)


@cache
def expected() -> Objects:
    """What sqlite_master of a ledger holds."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        make_tables(made)
        return objects(made)


def objects(connection: sqlite3.Connection) -> Objects:
    """What sqlite_master of a file holds, without what SQLite keeps there for itself."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {(kind, name): " ".join(str(sql).split()) for kind, name, sql in rows}


def schema_difference(connection: sqlite3.Connection) -> str | None:
    """The first table, index or trigger that is missing, changed or unknown."""
    found, known = objects(connection), expected()
    for kind, name in sorted(known.keys() | found.keys()):
        if (kind, name) not in found:
            return f"the {kind} {name} is missing"
        if (kind, name) not in known:
            return f"the {kind} {name} is unknown"
        if found[kind, name] != known[kind, name]:
            return f"the {kind} {name} was changed"
    return None
