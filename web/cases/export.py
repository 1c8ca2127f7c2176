"""The cases of a search as CSV or XLSX, sent as they are read: memory does not grow with their number."""

import csv
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import tzinfo
from io import StringIO
from typing import NamedTuple, Protocol

import sqlalchemy as sa
from starlette.types import Scope

from inference.book.sheets import MOST_ROWS, Pieces, sheet_writer
from ledger import queries
from ledger.export import guarded
from ledger.ledger import Ledger
from web.cases.listed import FIELDS, listed, page_of_cases
from web.security.security_log import log_event

CASES_A_PART = 500
CSV, XLSX = "csv", "xlsx"
TYPES = {CSV: "text/csv; charset=utf-8", XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
Row = tuple[object, ...]


class Search(NamedTuple):
    """Which cases: the filters, who sees only their own (None: all), and the time zone of the filters' days."""

    filters: Mapping[str, str]
    viewer: str | None
    zone: tzinfo

    def part(self, connection: sa.Connection, before: int | None) -> list[Row]:
        """The next cases as rows of FIELDS, the newest first."""
        cases = page_of_cases(connection, CASES_A_PART, before, *self)
        return [tuple(listed(case, self.zone).values()) for case in cases]

    def fits_a_sheet(self, connection: sa.Connection) -> bool:
        return queries.case_at(connection, MOST_ROWS - 1, *self) is None


class CaseFile(Protocol):
    """A file that is written row by row; each method returns the bytes that are ready to be sent."""

    def rows(self, rows: Iterable[Row]) -> bytes: ...

    def end(self) -> bytes: ...


class CsvCases:
    """RFC 4180 in UTF-8, with a byte order mark, without which spreadsheets misread accents. No text is a formula."""

    def __init__(self) -> None:
        self._text = StringIO("\ufeff", newline="")
        self._text.seek(0, 2)
        self._writer = csv.writer(self._text)
        self._writer.writerow(FIELDS)

    def rows(self, rows: Iterable[Row]) -> bytes:
        self._writer.writerows([guarded(value) for value in row] for row in rows)  # type: ignore[arg-type]
        return self.end()

    def end(self) -> bytes:
        ready = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return ready


class XlsxCases:
    """One sheet, `cases`. Its texts are stored as texts, so none is a formula."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._open = sheet_writer(self._pieces, FIELDS, "cases")
        self._sheet = self._open.__enter__()

    def rows(self, rows: Iterable[Row]) -> bytes:
        for row in rows:
            self._sheet.line(row)
        return self._pieces.take()

    def end(self) -> bytes:
        self._open.__exit__(None, None, None)
        return self._pieces.take()


def case_file(kind: str) -> CaseFile:
    return CsvCases() if kind == CSV else XlsxCases()


async def exported(ledger: Ledger, search: Search, kind: str, scope: Scope) -> AsyncIterator[bytes]:
    """The bytes of the file. However it ends, the security log says who had how many cases sent, and which filters were
    set, without their values: a reference is one."""
    file, count, finished = case_file(kind), 0, False
    before: int | None = None
    try:
        while rows := await ledger.search(lambda connection, before=before: search.part(connection, before)):  # type: ignore[misc]
            count, before = count + len(rows), int(str(rows[-1][0]))  # FIELDS begins with the sequence number
            yield file.rows(rows)
        yield file.end()
        finished = True
    finally:
        if not finished:
            file.end()
        facts = {"format": kind, "filters": list(search.filters), "cases": count, "finished": finished}
        log_event(scope, "history_exported", **facts)
