"""Queries of the ledger, most in SQLAlchemy Core, a few in SQL on the driver's own connection.

Queries on `sa.Connection` are for readers; those on `sqlite3.Connection` run inside a write.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, timedelta, tzinfo

import sqlalchemy as sa

from ledger.events import CLEANED, PURGED, SCORED, WITHDRAWN, Object
from ledger.lender_time import day_end, day_start
from ledger.records import Key, Record
from ledger.schema import CASES, DIRECTION, ENTRIES, PERSONAL, as_text

WITH_PERSONAL = sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.body, PERSONAL.c.salt, PERSONAL.c.body).select_from(
    ENTRIES.outerjoin(PERSONAL, ENTRIES.c.seq == PERSONAL.c.seq)
)
HEAD = as_text(sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1))
LAST_OF_CASE = (
    'WITH RECURSIVE part(id) AS (VALUES (?) UNION SELECT e.id FROM entries e JOIN part ON e."of" = part.id) '
    "SELECT seq, hash FROM entries WHERE id IN part ORDER BY seq DESC LIMIT 1"
)
FIRST_OF = (
    'WITH RECURSIVE up(id, "of") AS (SELECT id, "of" FROM entries WHERE id = ? UNION '
    'SELECT e.id, e."of" FROM up JOIN entries e ON e.id = up."of") SELECT id FROM up WHERE "of" IS NULL'
)
DIRECTIONS = (
    f"SELECT {', '.join(DIRECTION)}, count(*) FROM entries INDEXED BY entries_by_direction "  # noqa: S608
    f"WHERE kind = 'decided' GROUP BY {', '.join(DIRECTION)}"
)
BETWEEN = (
    f"SELECT {', '.join(DIRECTION[1:])}, count(*) FROM entries INDEXED BY entries_by_time "  # noqa: S608
    f"WHERE kind = 'decided' AND time >= ? AND time < ? GROUP BY {', '.join(DIRECTION[1:])}"
)
LAST_OF_KIND = "SELECT seq, hash, body FROM entries WHERE kind = ? ORDER BY seq DESC LIMIT 1"


def head(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Sequence and hash of the last record."""
    row: tuple[int, bytes] | None = connection.execute(HEAD).fetchone()
    return row


def last_of_case(connection: sqlite3.Connection, first: str) -> tuple[int, bytes] | None:
    """Sequence and hash of the last record of the case that began with the score `first`."""
    row: tuple[int, bytes] | None = connection.execute(LAST_OF_CASE, (first,)).fetchone()
    return row


def count_cases(connection: sqlite3.Connection) -> int:
    """The number of all cases; for a ledger that holds few."""
    (count,) = connection.execute("SELECT count(*) FROM cases WHERE viewer = ''").fetchone()
    return int(count)


def kept_keys(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[tuple[str, str], tuple[bytes, Record]]:
    """(client, key) -> digest and record, for those of the keys that are known."""
    rows = connection.execute(
        "SELECT i.client, i.key, i.digest, e.seq, e.hash, e.body, p.salt, p.body FROM idempotency i "  # noqa: S608
        "JOIN entries e ON e.seq = i.seq LEFT JOIN personal p ON p.seq = i.seq "
        f"WHERE (i.client, i.key) IN (VALUES {', '.join(['(?, ?)'] * len(keys))})",
        [part for key in keys for part in key[:2]],
    )
    return {(row[0], row[1]): (row[2], Record(*row[3:])) for row in rows}


def by_id(connection: sa.Connection, ids: Sequence[str]) -> list[Record]:
    """Records with these ids, in ledger order."""
    rows = connection.execute(WITH_PERSONAL.where(ENTRIES.c.id.in_(ids)).order_by(ENTRIES.c.seq))
    return [Record(*row) for row in rows]


def first_of(connection: sa.Connection, id: str) -> str | None:
    """The id of the score with which the case of a record began."""
    first: str | None = connection.exec_driver_sql(FIRST_OF, (id,)).scalar()
    return first


def event_body(connection: sa.Connection, id: str) -> Object | None:
    """The body of a record, without its personal part; None if there is no such record."""
    row = connection.execute(sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.body).where(ENTRIES.c.id == id)).first()
    return None if row is None else Record(row[0], row[1], row[2], None, None).body_json


def following(connection: sa.Connection, *of: str) -> list[Record]:
    """Records that refer to any of these ids, such as decisions on a score or objections to a decision."""
    return [
        Record(*row) for row in connection.execute(WITH_PERSONAL.where(ENTRIES.c.of.in_(of)).order_by(ENTRIES.c.seq))
    ]


def records(connection: sa.Connection, kinds: Sequence[str] = ()) -> Iterator[Record]:
    """All records, or those of some kinds, in order, read a part at a time."""
    query = WITH_PERSONAL.order_by(ENTRIES.c.seq)
    if kinds:
        query = query.where(ENTRIES.c.kind.in_(kinds))
    for row in connection.execution_options(yield_per=5000).execute(query):
        yield Record(*row)


def newest(connection: sa.Connection, limit: int, before: int | None, **equal: str) -> list[Record]:
    """A page of records, newest first, before sequence `before`; `equal` filters by column, or by `reference`."""
    return [Record(*row) for row in connection.execute(newest_query(limit, before, equal))]


def newest_query(
    limit: int, before: int | None, equal: Mapping[str, str]
) -> sa.Select[int, bytes, str, bytes | None, str | None]:
    """The query of `newest`. The first filter chooses the index, the others are compared within it: SQLite cannot
    know which filter is the most selective."""
    query = WITH_PERSONAL.order_by(ENTRIES.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(ENTRIES.c.seq < before)
    for index, name in enumerate(name for name in ("reference", "by", "decision", "kind") if name in equal):
        column = PERSONAL.c.reference if name == "reference" else ENTRIES.c[name]
        query = query.where((sa.literal_column(f'+entries."{name}"') if index else column) == equal[name])
    return query


def cases(
    connection: sa.Connection,
    limit: int,
    before: int | None = None,
    filters: Mapping[str, str] | None = None,
    only_of: str | None = None,
    zone: tzinfo = UTC,
) -> list[Record]:
    """A page of cases, newest first, each given by its first score.

    `filters`: `reference` (a part of it), `since` and `until` (ISO dates in `zone`, inclusive), `by` (who decided),
    `decision` (a decision, `open`, `waiting` or `withdrawn`), `overridden` (`yes` or `no`). `before` is the sequence of
    the last score seen. With `only_of`, only cases in which this person wrote a record or has an objection to review.
    """
    seqs = connection.execute(cases_query(limit, before, filters or {}, only_of, zone)).scalars().all()
    return [
        Record(*row)
        for row in connection.execute(WITH_PERSONAL.where(ENTRIES.c.seq.in_(seqs)).order_by(ENTRIES.c.seq.desc()))
    ]


def cases_query(
    limit: int, before: int | None, filters: Mapping[str, str], only_of: str | None, zone: tzinfo = UTC
) -> sa.Select[int]:
    """The query of `cases`, for sequences of first scores."""
    query = sa.select(CASES.c.seq).where(CASES.c.viewer == (only_of or ""))
    if before is not None:
        query = query.where(CASES.c.seq < before)
    for name, value in filters.items():
        query = query.where(condition(name, value, zone))
    return query.order_by(CASES.c.seq.desc()).limit(limit)


def case_at(
    connection: sa.Connection, place: int, filters: Mapping[str, str], only_of: str | None, zone: tzinfo = UTC
) -> int | None:
    """The sequence of the first score of the case at a place, counted from 0, in the list of `cases`; None beyond."""
    return connection.execute(cases_query(1, None, filters, only_of, zone).offset(place)).scalar()


def condition(name: str, value: str, zone: tzinfo = UTC) -> sa.ColumnElement[bool]:
    """The condition of one filter of `cases`."""
    if name == "reference":
        like = "%" + "".join(f"\\{mark}" if mark in "%_\\" else mark for mark in value) + "%"
        return CASES.c.reference.like(like, escape="\\")
    if name == "since":
        return sa.not_(scored_before(day_start(date.fromisoformat(value), zone)))
    if name == "until":
        return scored_before(day_end(date.fromisoformat(value), zone))
    if name == "by":
        return CASES.c.decided_by == value
    if name == "overridden":
        return CASES.c.overridden == (1 if value == "yes" else 0)
    if name == "decision" and value in ("waiting", WITHDRAWN):
        return CASES.c.state == value
    if name == "decision" and value == "open":
        return sa.and_(CASES.c.decision.is_(None), CASES.c.state == "open")
    if name == "decision":  # what was decided before a case was withdrawn is not how it ended
        return sa.and_(CASES.c.decision == value, CASES.c.state != WITHDRAWN)
    raise ValueError(f"cases cannot be filtered by {name}")


def scored_before(time: str) -> sa.ColumnElement[bool]:
    """Whether a case's first score has an earlier time. The table has its day in UTC; only on that day itself is the
    record read, and where a day begins as it does in UTC no record is."""
    if time[10:].strip("T0:.Z") == "":
        return CASES.c.day < time[:10]
    scored = sa.select(ENTRIES.c.time).where(ENTRIES.c.seq == CASES.c.seq).scalar_subquery()
    return sa.or_(CASES.c.day < time[:10], sa.and_(CASES.c.day == time[:10], scored < time))


def work(
    connection: sa.Connection, state: str, viewer: str, limit: int, after: tuple[str, int] | None = None,
    mine: bool = False,
) -> list[tuple[str, Record]]:  # fmt: skip
    """Cases in a state in which something is still expected, those due first: (queue day, first score).

    `viewer` sees them (empty for those who see all); `mine`: only those whose turn is the viewer's; `after` is the
    queue day and the sequence of the last one seen.
    """
    days = {seq: day for day, seq in connection.execute(work_query(state, viewer, limit, after, mine))}
    rows = connection.execute(WITH_PERSONAL.where(ENTRIES.c.seq.in_(days)))
    records = {record.seq: record for record in (Record(*row) for row in rows)}
    return [(day, records[seq]) for seq, day in days.items()]


def work_query(
    state: str, viewer: str, limit: int, after: tuple[str, int] | None, mine: bool
) -> sa.Select[str, int]:  # fmt: skip
    """The query of `work`: a range of one index, in its order."""
    query = sa.select(CASES.c.queue_day, CASES.c.seq).where(CASES.c.viewer == viewer, CASES.c.state == state)
    query = query.where(CASES.c.queue_day >= (after[0] if after else ""))  # also tells SQLite that the index has all
    if after is not None:
        query = query.where(sa.or_(CASES.c.queue_day > after[0], CASES.c.seq > after[1]))
    if mine:
        query = query.where(CASES.c.mine == 1)
    return query.order_by(CASES.c.queue_day, CASES.c.seq).limit(limit)


def work_count(connection: sa.Connection, states: Collection[str], viewer: str, most: int, mine: bool = False) -> int:
    """The number of cases of `work` in some states, counted up to `most`."""
    counted = 0
    for state in states:
        rows = work_query(state, viewer, most - counted, None, mine).order_by(None).subquery()
        counted += connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
        if counted >= most:
            break
    return counted


def directions(connection: sa.Connection, zone: tzinfo = UTC) -> list[tuple[str, str, str | None, int]]:
    """How decisions differ from suggestions: (month in `zone`, direction, reason code, count), newest month first."""
    counts: Counter[tuple[str, str, str | None]] = Counter()
    for month, direction, code, count in connection.exec_driver_sql(DIRECTIONS):
        counts[month, direction, code] = count
    # The index has months in UTC. What lies between the beginning of a month there and in the zone is moved.
    firsts = {date.fromisoformat(f"{month}-01") for month, _, _ in counts}
    for first in firsts | {(first + timedelta(days=31)).replace(day=1) for first in firsts}:
        utc, start = day_start(first, UTC), day_start(first, zone)
        month, before = first.isoformat()[:7], (first - timedelta(days=1)).isoformat()[:7]
        source, target = (before, month) if start < utc else (month, before)
        for direction, code, count in connection.exec_driver_sql(BETWEEN, (min(utc, start), max(utc, start))):
            counts[source, direction, code] -= count
            counts[target, direction, code] += count
    return sorted(((*names, count) for names, count in counts.items() if count), key=lambda row: row[0], reverse=True)


def damage(connection: sa.Connection) -> str | None:
    """The first error that SQLite finds in the file's pages, or between a table and its indexes, or None."""
    answer = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
    return None if answer == "ok" else answer


def stray_personal(connection: sa.Connection) -> list[int]:
    """Sequences of personal parts without a record."""
    query = sa.select(PERSONAL.c.seq).where(PERSONAL.c.seq.not_in(sa.select(ENTRIES.c.seq)))
    return list(connection.execute(query.order_by(PERSONAL.c.seq)).scalars())


def keys(connection: sa.Connection) -> Iterator[tuple[Key, int, Record | None]]:
    """Every Idempotency-Key with its sequence and the record there, None if it is missing."""
    rows = connection.execution_options(yield_per=5000).exec_driver_sql(
        "SELECT i.client, i.key, i.digest, i.seq, e.seq, e.hash, e.body, p.salt, p.body FROM idempotency i "
        "LEFT JOIN entries e ON e.seq = i.seq LEFT JOIN personal p ON p.seq = i.seq"
    )
    for row in rows:
        yield Key(*row[:3]), row[3], None if row[4] is None else Record(*row[4:])


def times(connection: sa.Connection) -> Iterator[tuple[int, str]]:
    """Sequence and time of every record, in order."""
    yield from (tuple(row) for row in connection.exec_driver_sql("SELECT seq, time FROM entries ORDER BY seq"))


def with_personal(connection: sa.Connection) -> list[int]:
    """Sequences of first scores that still have a personal part."""
    query = (
        "SELECT e.seq FROM entries e JOIN personal p ON p.seq = e.seq WHERE e.kind = ? AND e.of IS NULL ORDER BY e.seq"
    )
    return list(connection.exec_driver_sql(query, (SCORED,)).scalars())


def partly_erased(connection: sa.Connection) -> list[str]:
    """Ids of erased records to which records refer that are not erased, as purges of version 1 left them."""
    query = (
        "SELECT DISTINCT up.id FROM personal p JOIN entries e ON e.seq = p.seq JOIN entries up ON up.id = e.of "
        "LEFT JOIN personal q ON q.seq = up.seq WHERE q.seq IS NULL"
    )
    return list(connection.exec_driver_sql(query).scalars())


def by_seq(connection: sa.Connection, seqs: Sequence[int]) -> list[Record]:
    """Records with these sequences, in the given order."""
    rows = (connection.execute(WITH_PERSONAL.where(ENTRIES.c.seq == seq)).first() for seq in seqs)
    return [Record(*row) for row in rows if row is not None]


def families(connection: sqlite3.Connection, firsts: Sequence[int]) -> Iterator[tuple[int, Record]]:
    """All records that refer to some records, directly or indirectly: (sequence of the first, record), in order."""
    rows = connection.execute(
        "WITH RECURSIVE family(first, seq, id) AS ("  # noqa: S608 - only question marks are inserted
        f"SELECT seq, seq, id FROM entries WHERE seq IN ({', '.join('?' * len(firsts))}) UNION "
        "SELECT family.first, e.seq, e.id FROM family JOIN entries e ON e.of = family.id) "
        "SELECT f.first, e.seq, e.hash, e.body, p.salt, p.body FROM family f JOIN entries e ON e.seq = f.seq "
        "LEFT JOIN personal p ON p.seq = f.seq ORDER BY 1, 2",
        list(firsts),
    )
    for first, *record in rows:
        yield first, Record(*record)


def driver(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's connection that SQLAlchemy uses, in the same transaction."""
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, sqlite3.Connection)  # noqa: S101 - SQLAlchemy's type allows a closed one
    return driver_connection


def unclean(connection: sqlite3.Connection) -> Record | None:
    """The last purge, unless a record says that the file was cleaned after it."""
    purged = connection.execute(LAST_OF_KIND, (PURGED,)).fetchone()
    cleaned = connection.execute(LAST_OF_KIND, (CLEANED,)).fetchone()
    return (
        None
        if purged is None or (cleaned and cleaned[0] > purged[0])
        else Record(purged[0], purged[1], purged[2], None, None)
    )


def scored_by_others_than(connection: sa.Connection, names: Collection[str]) -> bool:
    """Whether anybody but these people made a score. Steps from name to name in the index, as there are few names."""
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


def last_of(connection: sa.Connection, kind: str) -> int:
    """Sequence of the last record of a kind; 0 if there is no such record."""
    last_seq = connection.execute(sa.select(sa.func.max(ENTRIES.c.seq)).where(ENTRIES.c.kind == kind)).scalar()
    return last_seq or 0
