"""Which case the scores of one form belong to: a key, made when the form is opened or emptied, ties them together.

Five clicks on Score are one case with five scores. Answers are never compared: the same answers in another form are
another case. A case that is decided, withdrawn or of another release takes no more scores: the form begins a new one.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from ledger import cases, queries
from ledger.cases import TO_DECIDE, Case
from ledger.errors import UNREADABLE, LedgerUnavailable, cause
from ledger.events import Scored
from ledger.ledger import Ledger
from ledger.records import Key
from web.cases.rules import case_at

FORM_KEY = re.compile(r"[0-9a-f]{32}")
SAME_FORM = bytes(32)  # digest in the key's row: whatever the answers were, the first record of the key counts
REMEMBERED = 500  # cases


class FormCase(NamedTuple):
    """The case of a form, None before its first score; and the key under which the ledger keeps that score."""

    key: Key
    case: Case | None


class FormCases:
    """The cases of the forms in use, for one release. What is remembered is only a guess that saves reading: the ledger
    writes a score only if the case has not changed since."""

    def __init__(self, ledger: Ledger, release: str, most: int = REMEMBERED) -> None:
        """`release` is its digest. With `most` 0 nothing is remembered: the ledgers of several visitors are one here,
        and each visitor's case is read from their own."""
        self._ledger, self._release, self._most = ledger, release, most
        self._remembered: dict[tuple[str, str], FormCase] = {}

    async def find(self, by: str, form: str) -> FormCase:
        """The case of somebody's form. Raises `LedgerUnavailable`."""
        remembered = self._remembered.get((by, form))
        if remembered is not None and self._goes_on(remembered.case):
            return remembered
        return (await run_in_threadpool(self._read, by, form))[-1]

    def remember(self, by: str, form: str, form_case: FormCase) -> None:
        """The case as it is after a score of this form."""
        self._remembered.pop((by, form), None)
        self._remembered[by, form] = form_case
        if len(self._remembered) > self._most:
            del self._remembered[next(iter(self._remembered))]

    def forget(self, by: str, form: str) -> None:
        """The case has changed: read it anew."""
        self._remembered.pop((by, form), None)

    async def decided(self, by: str, form: str) -> Case | None:
        """The last case of somebody's form, if it was decided. Raises `LedgerUnavailable`."""

        def read() -> Case | None:
            *before, last = self._read(by, form)
            case = last.case or (before[-1].case if before else None)
            return case if case is not None and case.decision is not None and case.withdrawn is None else None

        return await run_in_threadpool(read)

    def _goes_on(self, case: Case | None) -> bool:
        return case is not None and case.state in TO_DECIDE and case.first.release == self._release

    def _read(self, by: str, form: str) -> list[FormCase]:
        """The cases of a form, one after another; the last one goes on, or is not begun."""
        try:
            with self._ledger.store.reading() as connection:
                return list(self._cases_of(connection, by, form))
        except UNREADABLE as error:
            raise LedgerUnavailable(cause(error)) from None

    def _cases_of(self, connection: sa.Connection, by: str, form: str) -> Iterator[FormCase]:
        name = form
        while True:
            key = Key(f"form {by}", name, SAME_FORM)
            first = queries.kept_keys(queries.driver(connection), [key]).get((key.client, key.key))
            case = None if first is None else cases.find(connection, first[1].header.id)
            yield FormCase(key, case)
            if case is None or self._goes_on(case):
                return
            name = f"{form} after {case.first.id}"  # the next case of the same form


def only_own_scores_since(case: Case, seen: object, by: str) -> bool:
    """Whether nothing but this person's own scores was added to a case after the version that the page shows. Their
    answer may not have arrived."""
    shown = case_at(case, seen)
    later = case.events[len(shown.events) :] if shown else case.events
    return all(isinstance(event, Scored) and event.by == by for event in later)
