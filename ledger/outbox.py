"""The outbox: events that are still to be sent, or were, to each endpoint. Their rows are written with their record.

A row holds ids, times and what went wrong, never anything of an applicant: what is sent is made from the record's body
when it is sent (ledger/webhooks.py). The tables are there once a server with endpoints has opened the ledger. They are
not records: `verify` checks that the tables are as they should be, not what is in them.
"""

import random
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ledger.events import AGREED, CONTESTED, DECIDED, SCORED
from ledger.records import Record, iso_time
from ledger.schema import OUTBOX

WAITING_FOR_SECOND, OBJECTION, DUE, TEST = "waiting", "objection", "due", "test"
KINDS = (SCORED, DECIDED, WAITING_FOR_SECOND, OBJECTION, DUE)  # an event of the kind `test` goes to any endpoint
# Seconds from each failed try of an event to the next one, as Standard Webhooks has them; then it is given up.
RETRIES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
RESTS = (1, 2, 5, 10, 30, 60, 120, 300)  # seconds that an endpoint is left alone after so many failures in a row
LONGEST_REST = 86_400.0  # that a receiver may ask for
JITTER = 0.2  # part of a pause, at random, so that many senders do not come back together
LEASE = 40.0  # seconds that an endpoint belongs to one process, from its last turn; longer than a turn and a try take
AT_ONCE = 50  # events of a turn
FAR = 2 * 86_400.0  # seconds; a time further ahead was written while a clock was, and is over
SENT_DAYS, FAILED_DAYS = 30, 180  # that rows are kept
A_DAY = 86_400
COLUMNS = "number, endpoint, id, kind, record, day, added, attempts, next, tried, status, problem, delivered"


class Event(NamedTuple):
    """What happened. `id` is its webhook-id, made from the record's, so that it is the same whenever it is made."""

    id: str
    kind: str
    record: str
    day: str | None
    added: str
    next: float


class Delivery(NamedTuple):
    """An event for an endpoint, as its row has it."""

    number: int
    endpoint: str
    id: str
    kind: str
    record: str  # id of the record that it tells of; of a `due` event the case or the objection
    day: str | None  # ISO date on which a `due` event's case is due
    added: str  # ISO, UTC
    attempts: int
    next: float | None  # when it is tried next, in seconds since 1970; None once it is delivered or given up
    tried: str | None
    status: int | None  # of the last answer
    problem: str | None  # of the last try; never a word of the receiver's
    delivered: str | None

    @property
    def state(self) -> str:
        """`delivered`, `waiting` or `failed`."""
        return "delivered" if self.delivered else "failed" if self.next is None else "waiting"


class Outcome(NamedTuple):
    """How a try went."""

    number: int
    delivered: bool
    status: int | None = None
    problem: str | None = None
    pause: float | None = None  # seconds that the receiver asked for


class EndpointState(NamedTuple):
    """How it stands with an endpoint."""

    name: str
    waiting: int
    oldest: str | None  # when the oldest event that waits was added
    failed: int
    delivered: str | None  # when an event was delivered last
    rests_until: float
    failures: int  # in a row


class Outbox:
    """Which endpoints want which events, for the ledger that writes records."""

    def __init__(self, names_by_kind: Mapping[str, Sequence[str]]) -> None:
        self._names_by_kind = names_by_kind
        self.added: Callable[[], None] = lambda: None  # called after the commit of new rows

    def add(self, connection: sqlite3.Connection, records: Iterable[Record], now: float) -> int:
        """Write the events of new records, in their transaction; returns the number of rows. One statement."""
        return self.add_events(connection, [
            Event(f"{kind}_{record.header.id}", kind, record.header.id, None, record.header.time, now)
            for record in records
            if (kind := kind_of(record)) is not None
        ])  # fmt: skip

    def add_events(self, connection: sqlite3.Connection, events: Iterable[Event]) -> int:
        """Write events for all endpoints that want them; returns the number of new rows."""
        return add_rows(
            connection, [(name, *event) for event in events for name in self._names_by_kind.get(event.kind, ())]
        )


def kind_of(record: Record) -> str | None:
    """The event that a record is. A decision that needs a second person is `waiting`; it is `decided` once that person
    has agreed."""
    kind = record.header.kind
    if kind == DECIDED:
        return WAITING_FOR_SECOND if record.body_json.get("needs_second") is True else DECIDED
    if kind == AGREED:
        return DECIDED if record.body_json.get("agrees") is True else None
    return {SCORED: SCORED, CONTESTED: OBJECTION}.get(kind)


def add_rows(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> int:
    """Add rows of (endpoint, id, kind, record, day, added, next); those that are there already are left as they are."""
    if not rows:
        return 0
    values = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(rows))
    return connection.execute(
        f"INSERT OR IGNORE INTO outbox (endpoint, id, kind, record, day, added, next) VALUES {values}",  # noqa: S608
        [cell for row in rows for cell in row],
    ).rowcount


def make_outbox(connection: sqlite3.Connection) -> None:
    """Create the tables if they are not there."""
    if not has_outbox(connection):
        for statement in OUTBOX.values():
            connection.execute(statement)


def has_outbox(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox'").fetchone() is not None


def take_turn(
    connection: sqlite3.Connection, endpoint: str, holder: str, now: float, outcomes: Sequence[Outcome]
) -> list[Delivery]:
    """Note how tries went, and take what is to be sent next: nothing while another process has the endpoint, it rests,
    or nothing is due. Of several processes one has an endpoint, until it has nothing to send or its lease has ended."""
    for outcome in outcomes:
        settle(connection, endpoint, outcome, now)
    connection.execute(
        "INSERT INTO senders (endpoint, holder, held_until) VALUES (?1, ?2, ?3) ON CONFLICT (endpoint) DO UPDATE "
        "SET holder = ?2, held_until = ?3 WHERE holder = ?2 OR held_until NOT BETWEEN ?4 AND ?3",
        (endpoint, holder, now + LEASE, now),
    )
    held_by, rests_until = connection.execute(
        "SELECT holder, rests_until FROM senders WHERE endpoint = ?", (endpoint,)
    ).fetchone()
    if held_by != holder:
        return []
    due = [] if now < rests_until < now + FAR else due_now(connection, endpoint, now, AT_ONCE)
    if not due:
        leave(connection, endpoint, holder)
    return due


def end_turns(
    connection: sqlite3.Connection, endpoint: str, holder: str, now: float, outcomes: Sequence[Outcome]
) -> None:
    """Note how tries went, and leave the endpoint to other processes."""
    for outcome in outcomes:
        settle(connection, endpoint, outcome, now)
    leave(connection, endpoint, holder)


def leave(connection: sqlite3.Connection, endpoint: str, holder: str) -> None:
    """End a lease."""
    connection.execute("UPDATE senders SET held_until = 0 WHERE endpoint = ? AND holder = ?", (endpoint, holder))


def due_now(connection: sqlite3.Connection, endpoint: str, now: float, limit: int) -> list[Delivery]:
    """Events of an endpoint whose time has come, the longest waiting first."""
    for when, moment in (("next <= ?", now), ("next >= ?", now + FAR)):
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM outbox WHERE endpoint = ? AND {when} ORDER BY next, number LIMIT ?",  # noqa: S608
            (endpoint, moment, limit),
        ).fetchall()
        if rows:
            return [Delivery(*row) for row in rows]
    return []


def something_is_due(connection: sqlite3.Connection, endpoint: str, holder: str, now: float) -> bool:
    """Whether a turn would give anything; reads only."""
    row = connection.execute(
        "SELECT holder = ?2 OR held_until NOT BETWEEN ?3 AND ?4, rests_until <= ?3 OR rests_until >= ?5 "
        "FROM senders WHERE endpoint = ?1",
        (endpoint, holder, now, now + LEASE, now + FAR),
    ).fetchone()
    return (row is None or all(row)) and bool(due_now(connection, endpoint, now, 1))


def settle(connection: sqlite3.Connection, endpoint: str, outcome: Outcome, now: float) -> None:
    """Note how a try went: delivered, tried again later, or given up; and how long the endpoint rests."""
    values = {"number": outcome.number, "endpoint": endpoint, "status": outcome.status, "tried": iso_time(now)}
    if outcome.delivered:
        connection.execute(
            "UPDATE outbox SET delivered = :tried, tried = :tried, attempts = attempts + 1, next = NULL, "
            "status = :status, problem = NULL WHERE number = :number",
            values,
        )
        connection.execute(
            "UPDATE senders SET failures = 0, rests_until = 0, delivered = :tried WHERE endpoint = :endpoint", values
        )
        return
    row = connection.execute(
        "SELECT o.attempts, coalesce(s.failures, 0) FROM outbox o LEFT JOIN senders s ON s.endpoint = o.endpoint "
        "WHERE o.number = :number AND o.delivered IS NULL",
        values,
    ).fetchone()
    if row is None:
        return  # dropped meanwhile, or delivered by the process that had the endpoint after this one
    attempts, failures = row
    pause = min(outcome.pause or 0.0, LONGEST_REST)
    again = None if attempts >= len(RETRIES) else now + max(jittered(RETRIES[attempts]), pause)
    rest = now + max(jittered(RESTS[min(failures, len(RESTS) - 1)]), pause)
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, tried = :tried, next = :next, status = :status, "
        "problem = :problem WHERE number = :number",
        {**values, "next": again, "problem": outcome.problem},
    )
    connection.execute(
        "UPDATE senders SET failures = failures + 1, rests_until = :rest WHERE endpoint = :endpoint",
        {**values, "rest": rest},
    )


def jittered(seconds: float) -> float:
    """A pause, made up to `JITTER` longer."""
    return seconds * (1 + JITTER * random.random())  # noqa: S311 - no secret


def listed(
    connection: sqlite3.Connection, limit: int, *, endpoint: str = "", state: str = "", before: int | None = None
) -> list[Delivery]:
    """Deliveries, the newest first; `state` is `waiting`, `failed` or `delivered`."""
    conditions = ["number < ?"]
    parameters: list[object] = [2**62 if before is None else before]
    if endpoint:
        conditions.append("endpoint = ?")
        parameters.append(endpoint)
    if state:
        conditions.append(STATES[state])
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM outbox WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?",  # noqa: S608
        (*parameters, limit),
    )
    return [Delivery(*row) for row in rows]


def delivery(connection: sqlite3.Connection, number: int) -> Delivery | None:
    """The delivery of this number."""
    row = connection.execute(f"SELECT {COLUMNS} FROM outbox WHERE number = ?", (number,)).fetchone()  # noqa: S608
    return None if row is None else Delivery(*row)


STATES = {
    "waiting": "next IS NOT NULL",
    "failed": "next IS NULL AND delivered IS NULL",
    "delivered": "delivered IS NOT NULL",
}


def endpoint_states(connection: sqlite3.Connection) -> list[EndpointState]:
    """What waits and failed for each endpoint, by name. Reads what waits or failed, and none of what was delivered."""
    waiting = {
        name: (count, oldest)
        for name, count, oldest in connection.execute(
            f"SELECT endpoint, count(*), min(added) FROM outbox WHERE {STATES['waiting']} GROUP BY endpoint"  # noqa: S608
        )
    }
    failed = dict(
        connection.execute(f"SELECT endpoint, count(*) FROM outbox WHERE {STATES['failed']} GROUP BY endpoint")  # noqa: S608
    )
    senders = {row[0]: row[1:] for row in connection.execute(
        "SELECT endpoint, delivered, rests_until, failures FROM senders"
    )}  # fmt: skip
    return [
        EndpointState(
            name, *waiting.get(name, (0, None)), failed.get(name, 0), *senders.get(name, (None, 0.0, 0))
        )
        for name in sorted({*waiting, *failed, *senders})
    ]  # fmt: skip


def send_again(connection: sqlite3.Connection, number: int, now: float) -> bool:
    """Have a delivery tried at once, with the webhook-id that it had; False if no row has this number."""
    row = connection.execute("SELECT endpoint FROM outbox WHERE number = ?", (number,)).fetchone()
    if row is None:
        return False
    connection.execute("UPDATE outbox SET next = ?, attempts = 0, delivered = NULL WHERE number = ?", (now, number))
    wake_endpoint(connection, row[0])
    return True


def send_failed_again(connection: sqlite3.Connection, endpoint: str, now: float) -> int:
    """Have all that failed for an endpoint tried at once; returns how many."""
    changed = connection.execute(
        f"UPDATE outbox SET next = ?, attempts = 0 WHERE endpoint = ? AND {STATES['failed']}",  # noqa: S608
        (now, endpoint),
    ).rowcount
    wake_endpoint(connection, endpoint)
    return changed


def wake_endpoint(connection: sqlite3.Connection, endpoint: str) -> None:
    """End an endpoint's rest."""
    connection.execute("UPDATE senders SET rests_until = 0, failures = 0 WHERE endpoint = ?", (endpoint,))


def drop(connection: sqlite3.Connection, *, endpoint: str) -> int:
    """Remove all that waits or failed for an endpoint; returns how many. For one that no longer exists."""
    return connection.execute("DELETE FROM outbox WHERE endpoint = ? AND delivered IS NULL", (endpoint,)).rowcount


def erase_old(connection: sqlite3.Connection, now: float) -> int:
    """Remove rows of long ago: delivered ones after `SENT_DAYS`, failed ones after `FAILED_DAYS`."""
    return connection.execute(
        f"DELETE FROM outbox WHERE delivered < ? OR ({STATES['failed']} AND tried < ?)",  # noqa: S608
        (iso_time(now - SENT_DAYS * A_DAY), iso_time(now - FAILED_DAYS * A_DAY)),
    ).rowcount
