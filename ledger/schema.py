"""The ledger's schema: its tables, indexes, and triggers against accidental changes. Verify checks a file against it.

Columns to search by (kind, time, decision …) are computed by SQLite from the records' own text, so they cannot
contradict it. Only the table `cases`, which pages search, repeats data of records: one statement derives it from them,
both to write it and to verify it.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

APPLICATION = 0x54464C44  # application id of the file, which the `file` command shows
VERSION = 3  # 2: records of format 2 (ledger/records.py), the table of cases, indexes for lists; 3: states of cases
READABLE = (1, 2, VERSION)  # an older ledger is upgraded when it is first opened for writing
DIRECTION = ("substr(time, 1, 7)", "json_extract(body, '$.direction')", "json_extract(body, '$.reason_code')")
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
    # The columns after `seq` allow comparisons without reading the record.
    sa.Index("entries_by_person", "by", "seq", "kind", "decision"),
    sa.Index("entries_by_decision", "decision", "seq", "kind", sqlite_where=sa.text("decision IS NOT NULL")),
    sa.Index("entries_by_origin", "of", "seq"),
    sa.Index("entries_by_time", "time"),
    sa.Index("entries_by_direction", "kind", *map(sa.text, DIRECTION), sqlite_where=sa.text("kind = 'decided'")),
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
# Each case has a row for everybody who takes part in it, and one with an empty name for people who see all cases. So
# every list is a range of one viewer's rows, whatever the filters.
CASES = sa.Table(
    "cases",
    TABLES,
    sa.Column("viewer", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),  # of the case's first score
    sa.Column("day", sa.Text),  # of that score, in UTC
    sa.Column("decision", sa.Text),  # the last one
    sa.Column("decided_by", sa.Text),
    sa.Column("overridden", sa.Integer),
    sa.Column("state", sa.Text, nullable=False),  # as `ledger.cases.Case.state` has it
    sa.Column("mine", sa.Integer, nullable=False),  # whether it is the viewer's turn, `Case.turn`
    sa.Column("queue_day", sa.Text),  # by which lists of work are in order, `Case.queue_day`; null once it is done
    sa.Column("reference", sa.Text),  # until it is erased
    # What is done is not in it, so it stays small.
    sa.Index(
        "cases_by_queue", "viewer", "state", "queue_day", "seq", "mine", sqlite_where=sa.text("queue_day IS NOT NULL")
    ),
    sqlite_with_rowid=False,
)
# The rows of that table for cases whose first scores meet a condition. `ledger/cases.py` says the same of a `Case`.
CASE_ROWS = """
WITH RECURSIVE family(seq, id, person, named) AS (
  SELECT seq, id, "by", NULL FROM entries WHERE {which} AND kind = 'scored' AND "of" IS NULL
  UNION
  SELECT family.seq, e.id, e."by", CASE e.kind
    WHEN 'contested' THEN json_extract(e.body, '$.reviewer') WHEN 'assigned' THEN json_extract(e.body, '$.to') END
  FROM family JOIN entries e ON e."of" = family.id),
viewers(seq, name) AS (
  SELECT seq, '' FROM family UNION SELECT seq, person FROM family UNION SELECT seq, named FROM family),
parts AS MATERIALIZED (
  SELECT
    v.name AS viewer, f.seq, f.id, substr(f.time, 1, 10) AS day, f."by" AS person, d.seq AS decided, d.decision,
    d."by" AS decided_by, json_extract(d.body, '$.overridden') AS overridden, s.seq AS answered, o.seq AS contested,
    json_extract(o.body, '$.reviewer') AS reviewer, json_extract(o.body, '$.deadline') AS deadline,
    coalesce(json_extract(d.body, '$.needs_second'), 0) AND s.seq IS NULL AS waits,
    d.seq IS NOT NULL AND (NOT json_extract(d.body, '$.needs_second') OR coalesce(json_extract(s.body, '$.agrees'), 0))
      AS holds,
    o.seq IS NOT NULL AND json_extract(d.body, '$.contest') IS o.id AS settles,
    EXISTS (SELECT 1 FROM entries l WHERE l."of" = f.id AND l.kind = 'withdrawn') AS ended,
    json_extract(p.body, '$.reference') AS reference
  FROM viewers v CROSS JOIN entries f ON f.seq = v.seq
  LEFT JOIN entries d ON d.seq = (SELECT max(l.seq) FROM entries l WHERE l."of" = f.id AND l.kind = 'decided')
  LEFT JOIN entries s ON s.seq = (SELECT min(l.seq) FROM entries l WHERE l."of" = d.id AND l.kind = 'agreed')
  LEFT JOIN entries o ON o.seq = (
    SELECT max(l.seq) FROM entries e CROSS JOIN entries l ON l."of" = e.id
    WHERE e."of" = f.id AND +e.kind = 'decided' AND +l.kind = 'contested')
  LEFT JOIN personal p ON p.seq = v.seq
  WHERE v.name IS NOT NULL),
states AS MATERIALIZED (
  SELECT *, CASE
    WHEN ended THEN 'withdrawn' WHEN waits THEN 'waiting' WHEN contested IS NOT NULL AND NOT (holds AND settles) THEN
    'review' WHEN NOT holds THEN 'open' WHEN decision IN ('refer', 'incomplete') THEN 'pending' ELSE 'settled' END
    AS state
  FROM parts)
SELECT
  viewer, seq, day, decision, decided_by, overridden, state,
  viewer <> '' AND state NOT IN ('settled', 'withdrawn') AND viewer IS coalesce(
    (SELECT json_extract(l.body, '$.to') FROM entries l WHERE l."of" = states.id AND +l.kind = 'assigned'
      AND l.seq > CASE state WHEN 'review' THEN contested ELSE coalesce(answered, decided, states.seq) END
      ORDER BY l.seq DESC LIMIT 1),
    CASE state WHEN 'review' THEN reviewer WHEN 'waiting' THEN NULL ELSE coalesce(decided_by, person) END) AS mine,
  CASE WHEN state IN ('settled', 'withdrawn') THEN NULL WHEN state = 'review' THEN deadline ELSE day END AS queue_day,
  reference
FROM states
"""
IN_RANGE = "seq BETWEEN ? AND ?"
# The cases to which some records belong; their sequences are a JSON array.
HOLDING = """seq IN (
  WITH RECURSIVE up(seq, "of") AS (
    SELECT seq, "of" FROM entries WHERE seq IN (SELECT value FROM json_each(?))
    UNION SELECT e.seq, e."of" FROM up JOIN entries e ON e.id = up."of")
  SELECT seq FROM up)"""
# Against accidents. Anyone who can write the file can drop triggers; the chain protects against that.
GUARDS = [
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, 'records of the ledger are never changed'); END"
    for table, verb in (("entries", "UPDATE"), ("entries", "DELETE"), ("personal", "UPDATE"))
]


def as_text(statement: sa.ClauseElement) -> str:
    """A statement as SQL text for the driver."""
    return str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


SCHEMA = [as_text(CreateTable(table)) for table in TABLES.sorted_tables]
SCHEMA += [as_text(CreateIndex(index)) for table in TABLES.sorted_tables for index in sorted(table.indexes, key=str)]

# Version 1 had an index that is dropped now, and lacked those below; version 2 had another table of cases.
DROPPED = {("index", "entries_by_actor"): 'CREATE INDEX entries_by_actor ON entries ("by", seq)'}
ADDED = [
    ("table", "cases"), ("index", "cases_by_queue"), ("index", "entries_by_person"), ("index", "entries_by_decision"),
    ("index", "entries_by_direction"),
]  # fmt: skip
CASES_OF_2 = {
    ("table", "cases"): "CREATE TABLE cases ( viewer TEXT NOT NULL, seq INTEGER NOT NULL, day TEXT, decision TEXT, "
    "decided_by TEXT, overridden INTEGER, waiting INTEGER NOT NULL, reference TEXT, PRIMARY KEY (viewer, seq) ) "
    "WITHOUT ROWID"
}

Objects = Mapping[tuple[str, str], str]  # (kind, name) -> SQL, as sqlite_master holds it

# Only in ledgers whose events are sent (ledger/outbox.py): all of these, or none.
OUTBOX: Objects = {
    ("table", "outbox"): "CREATE TABLE outbox (number INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, id TEXT NOT NULL, "
    "kind TEXT NOT NULL, record TEXT NOT NULL, day TEXT, added TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, "
    "next REAL, tried TEXT, status INTEGER, problem TEXT, delivered TEXT, UNIQUE (endpoint, id))",
    ("index", "outbox_by_next"): "CREATE INDEX outbox_by_next ON outbox (endpoint, next) WHERE next IS NOT NULL",
    ("index", "outbox_failed"): "CREATE INDEX outbox_failed ON outbox (endpoint) "
    "WHERE next IS NULL AND delivered IS NULL",
    ("table", "senders"): "CREATE TABLE senders (endpoint TEXT PRIMARY KEY, holder TEXT NOT NULL, "
    "held_until REAL NOT NULL, rests_until REAL NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, "
    "delivered TEXT)",
}


def make_tables(connection: sqlite3.Connection) -> None:
    """Create all tables, indexes and triggers in an empty file."""
    for statement in [*SCHEMA, *GUARDS]:
        connection.execute(statement)


def raise_tables(connection: sqlite3.Connection) -> None:
    """Upgrade the schema of a file of version 1 or 2; its table of cases is still empty then."""
    there = objects(connection)
    for kind, name in DROPPED:
        connection.execute(f"DROP {kind} IF EXISTS {name}")
    connection.execute("DROP TABLE IF EXISTS cases")
    for key in ADDED:
        if key not in there or key[1].startswith("cases"):
            connection.execute(expected(VERSION)[key])


@cache
def expected(version: int) -> Objects:
    """The content of sqlite_master in a ledger of a version."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        make_tables(connection)
        schema = objects(connection)
    if version == VERSION:
        return schema
    if version > 1:
        return {**{key: sql for key, sql in schema.items() if key != ("index", "cases_by_queue")}, **CASES_OF_2}
    return {**{key: sql for key, sql in schema.items() if key not in ADDED}, **DROPPED}


def objects(connection: sqlite3.Connection) -> Objects:
    """The content of sqlite_master in a file, without SQLite's internal objects."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {(kind, name): " ".join(str(sql).split()) for kind, name, sql in rows}


def version_of(connection: sqlite3.Connection) -> int:
    """The version in a file's header."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def schema_difference(connection: sqlite3.Connection) -> str | None:
    """The first table, index or trigger that is missing, changed or unknown; None if all are right."""
    actual, required = objects(connection), expected(version_of(connection))
    if not OUTBOX.keys().isdisjoint(actual):
        required = {**required, **OUTBOX}
    for kind, name in sorted(required.keys() | actual.keys()):
        if (kind, name) not in actual:
            return f"the {kind} {name} is missing"
        if (kind, name) not in required:
            return f"the {kind} {name} is unknown"
        if actual[kind, name] != required[kind, name]:
            return f"the {kind} {name} was changed"
    return None
