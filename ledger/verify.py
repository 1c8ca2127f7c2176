"""Is nothing missing and nothing changed? Every record of a ledger, against the one before it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from ledger import store
from ledger.records import BEFORE_ALL, BEGUN, FORMAT, PURGED, Record, commitment, link
from ledger.store import Store


class Found(NamedTuple):
    """What a verification found. `problem` names the first bad record, None where there is none."""

    records: int
    head: str  # hash of the last good record, in hex
    erased: int  # personal parts that were erased at the end of their retention
    problem: str | None
    after_head: int | None  # records after the head that was asked for; None where none was


def verify(ledger: Store, head: str | None = None) -> Found:
    """Read the whole ledger. `head` is a hash that somebody kept: it must still be in the chain."""
    with ledger.reading() as connection:
        try:
            found = chain(store.records(connection), head)
            if found.problem is None and (damage := store.damage(connection)):
                return found._replace(problem=f"the records are whole, and the file is damaged: {damage}")
            stray = store.stray_personal(connection) if found.problem is None else []
        except (sa.exc.DatabaseError, ValueError) as error:
            return Found(0, "", 0, f"the file cannot be read to its end: {store.cause(error)}", None)
    if stray:
        return found._replace(problem=f"record {stray[0]}: a personal part without a record; one was removed")
    return found


def chain(records: Iterable[Record], head: str | None) -> Found:
    """The same over records in the order of their sequences."""
    before, count, erased, purged_through, head_at = BEFORE_ALL, 0, [], 0, None
    problem = None
    for record in records:
        problem = wrong(record, count + 1, before)
        if problem is not None:
            break
        before, count = record.hash, record.seq
        if head is not None and before.hex() == head.lower():
            head_at = count
        fields = record.fields()
        if fields["kind"] == PURGED:
            purged_through = max(purged_through, fields["through"])
        if fields["personal"] and record.personal is None:
            erased.append(count)
    if problem is None and count == 0:
        problem = "record 1 is missing: the ledger is empty"
    left = [seq for seq in erased if seq > purged_through]
    if problem is None and left:
        problem = f"record {left[0]}: its personal part is missing, and no record says that it was erased"
    if problem is None and head is not None and head_at is None:
        problem = (
            f"the head {head} is not in the chain: records at its end are missing (the last one is {count}), "
            "or the chain was written anew"
        )
    return Found(count, before.hex(), len(erased), problem, None if head_at is None else count - head_at)


def wrong(record: Record, expected: int, before: bytes) -> str | None:
    """What is wrong with a record at its place in the chain."""
    if record.seq != expected:
        return f"record {expected} is missing: after {expected - 1} comes {record.seq}"
    try:
        fields = record.fields()
        stated = fields["seq"], fields["kind"], fields["id"], fields["personal"]
    except (ValueError, KeyError, TypeError):
        return f"record {expected} was changed: it is no record"
    if stated[0] != expected:
        return (
            f"record {expected} holds what was written as record {stated[0]}: records before it were removed, inserted "
            "or put in another order"
        )
    if link(before, record.body) != record.hash:
        return f"record {expected} was changed, or does not follow record {expected - 1}"
    if expected == 1 and (stated[1] != BEGUN or fields.get("format") != FORMAT):
        return f"record 1 is not the beginning of a ledger of format {FORMAT}"
    if record.personal is not None and (
        record.salt is None or stated[3] is None or commitment(record.salt, record.personal) != stated[3]
    ):
        return f"record {expected}: its personal part was changed"
    return None


def reports(found: Found) -> Iterator[str]:
    """What was found, in sentences."""
    if found.problem:
        yield f"NOT WHOLE: {found.problem}"
        yield f"{found.records:,} records before it are whole, head {found.head or '–'}"
        return
    yield f"{found.records:,} records are whole and in order; {found.erased:,} personal parts erased, and recorded so"
    if found.after_head is not None:
        yield f"the head that was kept is in the chain; {found.after_head:,} records came after it"
    yield f"head {found.head}"
