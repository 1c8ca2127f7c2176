"""The table of cases, which pages search: derived from the records, and checked against them."""

import json
import sqlite3
from collections.abc import Sequence

from ledger.queries import head
from ledger.schema import CASE_ROWS, HOLDING, IN_RANGE

CASES_AT_ONCE = 10_000  # records per statement when all cases are derived
LIST_CASES = "INSERT OR REPLACE INTO cases " + CASE_ROWS
LISTED = "SELECT 1 FROM entries e JOIN cases c ON c.seq = e.seq AND c.viewer = ? WHERE e.id = ?"
WRONG_CASES = f"""
SELECT r.seq, (r.day, r.decision, r.decided_by, r.overridden, r.state, r.mine, r.queue_day, r.reference)
  IS (c.day, c.decision, c.decided_by, c.overridden, c.state, c.mine, c.queue_day, c.reference) AND c.seq IS NOT NULL
FROM ({CASE_ROWS.format(which=IN_RANGE)}) r LEFT JOIN cases c ON c.viewer = r.viewer AND c.seq = r.seq
"""  # noqa: S608 - no outside text


def list_cases_of(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Update the rows of the cases to which some records belong."""
    if seqs:
        connection.execute(LIST_CASES.format(which=HOLDING), (json.dumps(list(seqs)),))


def is_listed(connection: sqlite3.Connection, first: str, viewer: str) -> bool:
    """Whether the case that began with the score `first` has a row for somebody."""
    return connection.execute(LISTED, (viewer, first)).fetchone() is not None


def list_all_cases(connection: sqlite3.Connection) -> None:
    """Update the rows of every case."""
    last, _ = head(connection) or (0, b"")
    for first in range(1, last + 1, CASES_AT_ONCE):
        connection.execute(LIST_CASES.format(which=IN_RANGE), (first, first + CASES_AT_ONCE - 1))


def wrong_case(connection: sqlite3.Connection) -> int | None:
    """The sequence of the first case whose row differs from the records, is missing, or has no record; else None."""
    last, _ = head(connection) or (0, b"")
    correct = 0
    for first in range(1, last + 1, CASES_AT_ONCE):
        for seq, same in connection.execute(WRONG_CASES, (first, first + CASES_AT_ONCE - 1)):
            if not same:
                return int(seq)
            correct += 1
    if correct == connection.execute("SELECT count(*) FROM cases").fetchone()[0]:
        return None
    for viewer, seq in connection.execute("SELECT viewer, seq FROM cases ORDER BY seq"):
        rows = connection.execute(CASE_ROWS.format(which=IN_RANGE), (seq, seq))
        if viewer not in {row[0] for row in rows}:
            return int(seq)
    return None
