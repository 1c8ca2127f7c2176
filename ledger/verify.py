"""Is nothing missing and nothing changed? Every record, against the one before it, and all that leads to it.

Pages find records by way of indexes and keys, which the chain does not cover: an edit of those hides a decision or
returns another's record. So the schema is compared with the one this program writes, every index with its table, the
table of cases with the records, and every Idempotency-Key with the record that was made for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from ledger import case_rows, cases, errors, queries
from ledger.events import BEGUN, CLEANED, PURGED, SCORED, Purged, UnreadableRecord
from ledger.records import BEFORE_ALL, FORMATS, Key, Record, commitment, key_digest, link
from ledger.schema import schema_difference, version_of


class Readable(Protocol):
    """A `Store` or a `ReadOnlyStore`."""

    def reading(self) -> AbstractContextManager[sa.Connection]: ...


class Found(NamedTuple):
    """What a verification found. `problem` names the first bad record; None if all are good."""

    records: int
    head: str  # hash of the last good record, in hex
    erased: int  # personal parts that were erased at the end of their retention
    problem: str | None
    after_head: int | None  # records after the head that was asked for; None where none was
    since: str = ""  # time of the first record
    until: str = ""  # time of the last good record
    keyed: int = 0  # records whose personal part names an Idempotency-Key
    unclean: int | None = None  # the last purge, if erased parts may still be in the file or its log
    hashes: Mapping[int, str] = {}  # of the sequences that were asked for, in hex


def verify(ledger: Readable, head: str | None = None, at: Iterable[int] = ()) -> Found:
    """Read the whole ledger. `head` is a hash that somebody kept: it must still be in the chain. `at`: sequences whose
    hashes are wanted."""
    with ledger.reading() as connection:
        try:
            found = chain(queries.records(connection), head, at)
            if found.problem is None:
                found = found._replace(problem=around(connection, found))
        except (sa.exc.DatabaseError, ValueError) as error:
            return Found(0, "", 0, f"the file cannot be read to its end: {errors.cause(error)}", None)
    return found


def around(connection: sa.Connection, found: Found) -> str | None:
    """What is wrong in the file around a whole chain."""
    if stray := queries.stray_personal(connection):
        return f"record {stray[0]}: a personal part without a record; one was removed"
    if key := wrong_key(connection, found):
        return key
    if difference := schema_difference(queries.driver(connection)):
        return f"the records are whole, but {difference}: pages may not show all of them"
    if damage := queries.damage(connection):
        return f"the records are whole, but the file is damaged: {damage}"
    if version_of(queries.driver(connection)) > 1 and (seq := case_rows.wrong_case(queries.driver(connection))):
        return f"the records are whole, but the table of cases misstates the case of record {seq}: pages do too"
    return None


def chain(records: Iterable[Record], head: str | None, at: Iterable[int] = ()) -> Found:
    """The same over records in the order of their sequences."""
    before, count, purged_through, head_at, since, until, keyed = BEFORE_ALL, 0, 0, None, "", "", 0
    # By sequence: its personal part is missing; it is there; a record says that it was erased.
    gone, there, told = bytearray(), bytearray(), bytearray()
    purged = cleaned = 0
    wanted, hashes = frozenset(at), {}
    problem = None
    for record in records:
        problem = wrong(record, count + 1, before)
        if problem is not None:
            break
        before, count = record.hash, record.seq
        if head is not None and before.hex() == head.lower():
            head_at = count
        if count in wanted:
            hashes[count] = before.hex()
        said = record.header
        since, until = since or said.time, said.time
        gone.append(said.personal is not None and record.personal is None)
        there.append(record.personal is not None)
        told.append(False)
        if said.kind == PURGED:
            purged = count
            event = record.event
            assert isinstance(event, Purged)  # noqa: S101 - for the type checker: its kind says so
            purged_through = max(purged_through, min(event.through, count))
            for first, last in event.records:
                told[first - 1 : last] = bytes([1]) * len(told[first - 1 : last])
        elif said.kind == CLEANED:
            cleaned = count
        keyed += record.made_for_key is not None
    told[:purged_through] = bytes([1]) * purged_through
    missing = next((seq for seq, one in enumerate(gone, 1) if one and not told[seq - 1]), None)
    back = next((seq for seq, one in enumerate(there, 1) if one and told[seq - 1]), None)
    if problem is None and count == 0:
        problem = "record 1 is missing: the ledger is empty"
    if problem is None and missing is not None:
        problem = f"record {missing}: its personal part is missing, and no record says that it was erased"
    if problem is None and back is not None:
        problem = f"record {back}: its personal part is there, and a record says that it was erased"
    if problem is None and head is not None and head_at is None:
        problem = (
            f"the head {head} is not in the chain: records at its end are missing (the last one is {count}), "
            "or the chain was written anew"
        )
    return Found(
        count, before.hex(), sum(gone), problem, None if head_at is None else count - head_at, since, until, keyed,
        purged if purged > cleaned else None, hashes,
    )  # fmt: skip


def wrong(record: Record, expected: int, before: bytes) -> str | None:
    """What is wrong with a record at its place in the chain."""
    if record.seq != expected:
        return f"record {expected} is missing: after {expected - 1} comes {record.seq}"
    try:
        said = record.header
    except UnreadableRecord:
        return f"record {expected} was changed: it cannot be parsed"
    if said.seq != expected:
        return (
            f"record {expected} holds what was written as record {said.seq}: records before it were removed, inserted "
            "or put in another order"
        )
    if link(before, record.body) != record.hash:
        return f"record {expected} was changed, or does not follow record {expected - 1}"
    if expected == 1 and not begins(record):
        return f"record 1 is not the beginning of a ledger of a known format ({', '.join(map(str, FORMATS))})"
    if record.personal is not None and (
        record.salt is None or said.personal is None or commitment(record.salt, record.personal) != said.personal
    ):
        return f"record {expected}: its personal part was changed"
    return None


def begins(record: Record) -> bool:
    """Whether a ledger of a known format can begin with this record."""
    return record.header.kind == BEGUN and record.body_json.get("format") in FORMATS


def wrong_key(connection: sa.Connection, found: Found) -> str | None:
    """The first Idempotency-Key that leads to a record it was not made for, or a record whose key is missing."""
    matching = 0
    for key, seq, record in queries.keys(connection):
        if record is None:
            return f"an Idempotency-Key leads to record {seq}, which is missing"
        made_for = record.made_for_key
        if made_for is None and not plausible(connection, key, record):
            return f"record {seq}: an Idempotency-Key leads to it that was not made for it"
        if made_for is not None and made_for != key_digest(*key):
            return f"record {seq}: an Idempotency-Key leads to it that was not made for it, or was changed"
        matching += made_for is not None
    if matching == found.keyed:
        return None
    kept = {seq for _, seq, _ in queries.keys(connection)}
    for record in queries.records(connection):
        if record.made_for_key is not None and record.seq not in kept:
            return f"record {record.seq}: its Idempotency-Key is missing, so the same request would be recorded again"
    return "an Idempotency-Key leads to a record twice"


def plausible(connection: sa.Connection, key: Key, record: Record) -> bool:
    """Whether a key may belong to a record of format 1, which does not name it: by its client or its case."""
    said = record.header
    if said.personal is not None and record.personal is None:
        return False  # erased together with its key
    if said.kind == SCORED:
        return said.by == key.client
    case = cases.find(connection, said.id)
    return case is not None and case.first.id == key.key.partition(" ")[0]


def reports(found: Found) -> Iterator[str]:
    """What was found, in sentences."""
    if found.problem:
        yield f"NOT WHOLE: {found.problem}"
        yield f"{found.records:,} records before it are whole, head {found.head or '–'}"
        return
    yield f"{found.records:,} records are whole and in order; {found.erased:,} personal parts erased, and recorded so"
    yield f"from {found.since} to {found.until}"
    if found.after_head is not None:
        yield f"the head that was kept is in the chain; {found.after_head:,} records came after it"
    if found.unclean is not None:
        yield (
            f"NOT YET CLEAN: what record {found.unclean:,} says was erased may still be in the file or its log; "
            "'python -m ledger clean' finishes it, and so does a running server"
        )
    yield f"head {found.head}"
