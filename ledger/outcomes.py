"""`tenfold outcomes FILE`: what became of loans, joined to their cases and recorded; no decision is changed by it.

A line names its case by the id of any of its records, or by its reference: the one that the ledger holds, or after a
purge the keyed digest of it (ledger/references.py). Either all lines can be recorded, or none is. A line that was
recorded before is not recorded again; another outcome of the same case, or on another day, is, and holds from then on.
Of a loan that still runs nothing is recorded: that is what the ledger says of every loan without an outcome.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, tzinfo
from typing import NamedTuple

from inference.measure import Clock
from ledger import queries, store
from ledger.decisions import new_id
from ledger.events import OUTCOME, PURGED, Purged
from ledger.lender_time import local_day
from ledger.outcome_file import RUNNING, BadOutcomes, Line, OutcomeFile
from ledger.records import BEFORE_ALL, Draft, Record, seal
from ledger.references import digest, erased, key_beside
from ledger.store import Store

AT_ONCE = 1_000  # records per transaction, so that scores wait for a fraction of a second
MOST_ASKED = 5_000  # ids or references per query
# For each record asked about the first score of its case; a record without a case leads nowhere.
FIRST_SCORES = """
WITH RECURSIVE up(record, id, "of", kind) AS (
  SELECT e.seq, e.id, e."of", e.kind FROM entries e WHERE e.seq IN (SELECT value FROM json_each(?))
  UNION SELECT up.record, e.id, e."of", e.kind FROM up JOIN entries e ON e.id = up."of")
SELECT record, e.seq, e.id, e.time FROM up JOIN entries e ON e.id = up.id
WHERE up.kind = 'scored' AND up."of" IS NULL"""
BY_ID = "SELECT id, seq FROM entries WHERE id IN (SELECT value FROM json_each(?))"
BY_REFERENCE = "SELECT reference, seq FROM personal WHERE reference IN (SELECT value FROM json_each(?))"


class First(NamedTuple):
    """The first score of a case."""

    seq: int
    id: str
    day: str  # ISO date, in the lender's time zone


class Recorded(NamedTuple):
    """What was recorded of a file."""

    new: int  # cases that had no outcome before
    changed: int  # cases that had another one
    before: int  # lines that were recorded already
    by_digest: int  # lines whose reference is erased, and was found by its digest
    running: int  # lines of loans that still run
    running_despite: int  # of these with an outcome in the ledger, which stays


class Joined(NamedTuple):
    """Each case's line, and how many lines were found by a digest."""

    lines: tuple[tuple[First, Line], ...]
    by_digest: int


def record_outcomes(
    ledger: Store, outcomes: OutcomeFile, *, by: str, clock: Clock | None = None, zone: tzinfo = UTC
) -> Recorded:
    """Record a file; its dates are days in `zone`, the lender's. Raises `BadOutcomes` with every bad line; then nothing
    was recorded."""
    clock = clock or Clock()
    joined = join(ledger, outcomes, zone)
    new = changed = before = 0
    running = [first.id for first, line in joined.lines if line.outcome == RUNNING]
    ended = [(first, line) for first, line in joined.lines if line.outcome != RUNNING]
    with ledger.reading() as connection:
        despite = len(recorded_of(queries.driver(connection), running))
    for start in range(0, len(ended), AT_ONCE):
        part = ended[start : start + AT_ONCE]
        with ledger.writing() as writer:
            ledger.check_version(writer)
            known = recorded_of(writer, [first.id for first, _ in part])
            seq, head = queries.head(writer) or (0, BEFORE_ALL)
            records: list[Record] = []
            for first, line in part:
                earlier = known.get(first.id, set())
                if (line.outcome, line.day) in earlier:
                    before += 1
                    continue
                changed, new = changed + bool(earlier), new + (not earlier)
                fields = {
                    "by": by, "of": first.id, "outcome": line.outcome, "day": line.day, "file": outcomes.sha256,
                }  # fmt: skip
                record = seal(Draft(OUTCOME, new_id(), fields), seq + 1, head, clock.utc())
                seq, head = record.seq, record.hash
                records.append(record)
            store.insert(writer, records, [])
        ledger.check_still_there()
    return Recorded(new, changed, before, joined.by_digest, len(running), despite)


def recorded_of(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
    """Case -> every (outcome, day) that was ever recorded of it."""
    rows = connection.execute(
        "SELECT e.\"of\", json_extract(e.body, '$.outcome'), json_extract(e.body, '$.day') FROM entries e "
        'WHERE e."of" IN (SELECT value FROM json_each(?)) AND e.kind = ?',
        (json.dumps(list(ids)), OUTCOME),
    )
    known: dict[str, set[tuple[str, str]]] = {}
    for id, outcome, day in rows:
        known.setdefault(id, set()).add((outcome, day))
    return known


def join(ledger: Store, outcomes: OutcomeFile, zone: tzinfo) -> Joined:
    """Find the case of each line. Raises `BadOutcomes` with every bad line."""
    key = key_beside(ledger.path)
    with ledger.reading() as connection:
        purges = [record.event for record in queries.records(connection, [PURGED])]
        digests, other_keys = erased((purge for purge in purges if isinstance(purge, Purged)), key)
        driver = queries.driver(connection)
        by_id = seqs_of(driver, BY_ID, {line.id for line in outcomes.lines if line.id})
        by_reference = seqs_of(driver, BY_REFERENCE, {line.reference for line in outcomes.lines if line.reference})
        named, by_digest = [], 0
        for line in outcomes.lines:
            living = by_reference.get(line.reference, set())
            gone = digests.get(digest(key, line.reference), set()) if key is not None and line.reference else set()
            named.append((by_id.get(line.id, set()), living | gone))
            by_digest += bool(gone and not living and not line.id)
        firsts = first_scores(driver, {seq for both in named for seqs in both for seq in seqs}, zone)
    problems, lines = list(outcomes.problems), dict[First, Line]()
    hint = f" ({other_keys:,} erased references have digests under a key that is not here)" if other_keys else ""
    for line, both in zip(outcomes.lines, named, strict=True):
        of_id, of_reference = ({firsts[seq] for seq in seqs if seq in firsts} for seqs in both)
        cases = of_id if line.id else of_reference
        if line.id and of_id and of_reference and not of_id & of_reference:
            problems.append(f"line {line.number:,}: the id and the reference belong to different cases")
        elif problem := wrong(line, cases, lines, hint):
            problems.append(problem)
        else:
            (first,) = cases
            lines[first] = line
    if problems:
        raise BadOutcomes(outcomes.file, sorted(problems, key=line_number))
    return Joined(tuple(sorted(lines.items())), by_digest)


def wrong(line: Line, cases: set[First], before: Mapping[First, Line], hint: str) -> str:
    """What is wrong with a line, given the cases that it names and the lines before it; nothing where it is right."""
    named = "id" if line.id else "reference"
    if not cases:
        return f"line {line.number:,}: no case has this {named}{hint if named == 'reference' else ''}"
    if len(cases) > 1:
        return f"line {line.number:,}: {len(cases)} cases have this reference. Give the id of one's first score"
    (first,) = cases
    if line.day and line.day < first.day:
        return f"line {line.number:,}: the date lies before the case's first score, {first.day}"
    other = before.get(first)
    both_run = other is not None and other.outcome == line.outcome == RUNNING
    if other is not None and not both_run and (other.outcome, other.day) != (line.outcome, line.day):
        return f"line {line.number:,}: line {other.number:,} says otherwise of the same case"
    return ""


def line_number(problem: str) -> int:
    """The line that a problem names."""
    digits = problem.removeprefix("line ").partition(":")[0].replace(",", "")
    return int(digits)


def seqs_of(connection: sqlite3.Connection, query: str, names: set[str]) -> dict[str, set[int]]:
    """Name -> sequences of the records that have it."""
    seqs: dict[str, set[int]] = {}
    for part in parts(sorted(names)):
        with closing(connection.execute(query, (json.dumps(part),))) as rows:
            for name, seq in rows:
                seqs.setdefault(name, set()).add(seq)
    return seqs


def first_scores(connection: sqlite3.Connection, seqs: set[int], zone: tzinfo) -> dict[int, First]:
    """Sequence of a record -> the first score of its case, for records that belong to one."""
    firsts: dict[int, First] = {}
    for part in parts(sorted(seqs)):
        with closing(connection.execute(FIRST_SCORES, (json.dumps(part),))) as rows:
            firsts |= {record: First(seq, id, local_day(time, zone)) for record, seq, id, time in rows}
    return firsts


def parts(names: Sequence[str] | Sequence[int]) -> Iterable[Sequence[str] | Sequence[int]]:
    """So many names at once."""
    return (names[start : start + MOST_ASKED] for start in range(0, len(names), MOST_ASKED))
