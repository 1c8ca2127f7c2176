"""Verifies that no record is missing or changed: each record against the one before it, and all ways to find it.

Pages find records through indexes and keys, which the chain does not cover: editing those could hide a decision or
return somebody else's record. So verification compares the schema with the one that this program creates, every index
with its table, the table of cases with the records, and every Idempotency-Key with the record that was made for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from ledger import case_rows, cases, errors, queries
from ledger.events import BEGUN, CLEANED, PURGED, SCORED, Purged, UnreadableRecord
from ledger.records import BEFORE_ALL, FORMATS, Key, Record, commitment, key_digest, link
from ledger.schema import VERSION, schema_difference, version_of


class Readable(Protocol):
    """A `Store` or a `ReadOnlyStore`."""

    def reading(self) -> AbstractContextManager[sa.Connection]: ...


class Verification(NamedTuple):
    """The result of verifying a ledger. `problem` names the first bad record; None if all are good."""

    records: int
    head: str  # hash of the last good record, in hex
    erased: int  # personal parts that were erased at the end of their retention
    problem: str | None
    after_head: int | None  # records after the given head; None if no head was given
    since: str = ""  # time of the first record
    until: str = ""  # time of the last good record
    keyed: int = 0  # records with an Idempotency-Key in their personal part
    unclean: int | None = None  # the last purge, if erased data may still be in the file or its log
    hashes: Mapping[int, str] = {}  # sequence -> hash in hex, for the requested sequences


def verify(ledger: Readable, head: str | None = None, seqs: Iterable[int] = ()) -> Verification:
    """Read and check the whole ledger. `head` is a hash kept elsewhere, which must still be in the chain; `seqs` are
    sequences whose hashes are returned."""
    with ledger.reading() as connection:
        try:
            verification = chain(queries.records(connection), head, seqs)
            if verification.problem is None:
                verification = verification._replace(problem=around(connection, verification))
        except (sa.exc.DatabaseError, ValueError) as error:
            return Verification(0, "", 0, f"the file cannot be read to its end: {errors.cause(error)}", None)
    return verification


def around(connection: sa.Connection, verification: Verification) -> str | None:
    """The first problem in the file besides the chain, such as indexes and keys; None if all is well."""
    if stray := queries.stray_personal(connection):
        return f"record {stray[0]}: a personal part without a record; a record was removed"
    if key := wrong_key(connection, verification):
        return key
    if difference := schema_difference(queries.driver(connection)):
        return f"the records are whole, but {difference}: pages may not show all of them"
    if damage := queries.damage(connection):
        return f"the records are whole, but the file is damaged: {damage}"
    # In a file of an earlier version it is made anew before it is ever read.
    current = version_of(queries.driver(connection)) == VERSION
    if current and (seq := case_rows.wrong_case(queries.driver(connection))):
        return f"the records are whole, but the table of cases misstates the case of record {seq}: pages do too"
    return None


def chain(records: Iterable[Record], head: str | None, seqs: Iterable[int] = ()) -> Verification:
    """Check the chain of records, in the order of their sequences."""
    before, count, purged_through, head_at, since, until, keyed = BEFORE_ALL, 0, 0, None, "", "", 0
    # By sequence - 1: personal part missing; personal part present; a record says that it was erased.
    gone, present, recorded = bytearray(), bytearray(), bytearray()
    purged = cleaned = 0
    wanted, hashes = frozenset(seqs), {}
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
        header = record.header
        since, until = since or header.time, header.time
        gone.append(header.personal is not None and record.personal is None)
        present.append(record.personal is not None)
        recorded.append(False)
        if header.kind == PURGED:
            purged = count
            event = record.event
            assert isinstance(event, Purged)  # noqa: S101 - for the type checker
            purged_through = max(purged_through, min(event.through, count))
            for first, last in event.records:
                recorded[first - 1 : last] = bytes([1]) * len(recorded[first - 1 : last])
        elif header.kind == CLEANED:
            cleaned = count
        keyed += record.made_for_key is not None
    recorded[:purged_through] = bytes([1]) * purged_through
    missing = next((seq for seq, is_so in enumerate(gone, 1) if is_so and not recorded[seq - 1]), None)
    back = next((seq for seq, is_so in enumerate(present, 1) if is_so and recorded[seq - 1]), None)
    if problem is None and count == 0:
        problem = "record 1 is missing: the ledger is empty"
    if problem is None and missing is not None:
        problem = f"record {missing}: its personal part is missing, and no record says that it was erased"
    if problem is None and back is not None:
        problem = f"record {back}: its personal part is there, and a record says that it was erased"
    if problem is None and head is not None and head_at is None:
        problem = (
            f"the head {head} is not in the chain: records at its end are missing (the last one is {count}), "
            "or the chain was rewritten"
        )
    return Verification(
        count, before.hex(), sum(gone), problem, None if head_at is None else count - head_at, since, until, keyed,
        purged if purged > cleaned else None, hashes,
    )  # fmt: skip


def wrong(record: Record, expected: int, before: bytes) -> str | None:
    """What is wrong with a record at its place in the chain; None if it is good."""
    if record.seq != expected:
        return f"record {expected} is missing: after {expected - 1} comes {record.seq}"
    try:
        header = record.header
    except UnreadableRecord:
        return f"record {expected} was changed: it cannot be parsed"
    if header.seq != expected:
        return (
            f"record {expected} holds what was written as record {header.seq}: records before it were removed, "
            "inserted or put in another order"
        )
    if link(before, record.body) != record.hash:
        return f"record {expected} was changed, or does not follow record {expected - 1}"
    if expected == 1 and not can_begin(record):
        return f"record 1 is not the beginning of a ledger of a known format ({', '.join(map(str, FORMATS))})"
    if record.personal is not None and (
        record.salt is None or header.personal is None or commitment(record.salt, record.personal) != header.personal
    ):
        return f"record {expected}: its personal part was changed"
    return None


def can_begin(record: Record) -> bool:
    """Whether a ledger of a supported format can begin with this record."""
    return record.header.kind == BEGUN and record.body_json.get("format") in FORMATS


def wrong_key(connection: sa.Connection, verification: Verification) -> str | None:
    """The first Idempotency-Key at the wrong record, or record without its key; None if all match."""
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
    if matching == verification.keyed:
        return None
    seqs_with_key = {seq for _, seq, _ in queries.keys(connection)}
    for record in queries.records(connection):
        if record.made_for_key is not None and record.seq not in seqs_with_key:
            return f"record {record.seq}: its Idempotency-Key is missing, so the same request would be recorded again"
    return "an Idempotency-Key leads to a record twice"


def plausible(connection: sa.Connection, key: Key, record: Record) -> bool:
    """Whether a key can belong to a record of format 1, which does not name its key: by its client or its case."""
    header = record.header
    if header.personal is not None and record.personal is None:
        return False  # erased together with its key
    if header.kind == SCORED:
        return header.by == key.client
    case = cases.find(connection, header.id)
    return case is not None and case.first.id == key.key.partition(" ")[0]


def reports(verification: Verification) -> Iterator[str]:
    """The result in sentences."""
    if verification.problem:
        yield f"NOT WHOLE: {verification.problem}"
        yield f"{verification.records:,} records before it are whole, head {verification.head or '–'}"
        return
    erased = f"{verification.erased:,} personal parts erased, and recorded so"
    yield f"{verification.records:,} records are whole and in order; {erased}"
    yield f"from {verification.since} to {verification.until}"
    if verification.after_head is not None:
        yield f"the head that was kept is in the chain; {verification.after_head:,} records came after it"
    if verification.unclean is not None:
        yield (
            f"NOT YET CLEAN: what record {verification.unclean:,} says was erased may still be in the file or its log; "
            "'python -m ledger clean' finishes it, and so does a running server"
        )
    yield f"head {verification.head}"
