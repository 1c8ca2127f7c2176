"""Daily counts of scores and answers, in the bins of a reference: what drift is measured from.

A day's counts hold nothing of an applicant. Answers are counted while they are there: after a purge only the score is,
in whole per cent, and so it is from the beginning, lest a purge look like drift.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import sqlalchemy as sa

from inference.application import Form
from inference.errors import BadRelease, InvalidApplication
from inference.release import open_release
from inference.watch.drift import Drift, Floats, Ints
from inference.watch.expected import month
from inference.watch.series import SCORE, Reference, reference, summed
from ledger.decisions import rounded
from ledger.events import SCORED
from ledger.lender_time import local_day
from ledger.replay import release_folder

LEAST = 50  # scores, of a reference and of a month: with fewer nothing is said
SCORES = """
SELECT e.time, json_extract(e.body, '$.pd'), json_extract(p.body, '$.answers')
FROM entries e LEFT JOIN personal p ON p.seq = e.seq
WHERE e.kind = ? AND e."of" IS NULL AND json_extract(e.body, '$.release') = ? ORDER BY e.seq"""
Row = tuple[str, float, tuple[object, ...] | None]  # day, PD, answers in the form's order


class MonthOfScores(NamedTuple):
    """A month's drift, by series; nothing where there are too few scores."""

    month: int  # since year 0
    scores: int
    drift: dict[str, Drift]

    @property
    def alarm(self) -> bool:
        return any(series.alarm for series in self.drift.values())


class Drifted(NamedTuple):
    """The months after the reference's."""

    reference: str  # its name
    scores: int  # in it
    months: tuple[MonthOfScores, ...]
    erased: int  # scores whose answers are erased, so that they count for the score alone
    form: bool  # whether the release is here, and its form's fields are counted

    @property
    def too_few(self) -> bool:
        return self.scores < LEAST or not any(month_of.drift for month_of in self.months)


def form_of(folders: Iterable[Path], digest: str) -> Form | None:
    """The form of the release with a digest; None if none of these folders is that release."""
    folder = release_folder(folders, digest)
    try:
        return None if folder is None else open_release(folder, digest).form
    except BadRelease:
        return None


def rows_of(connection: sa.Connection, release: str, form: Form | None, zone: tzinfo) -> Iterator[Row]:
    """The first scores of a release's cases, with their days in `zone`. Not by their events: a page waits for all."""
    names = () if form is None else form.names
    for time, pd, text in connection.exec_driver_sql(SCORES, (SCORED, release)):
        answers: dict[str, object] = orjson.loads(text) if form is not None and text is not None else {}
        known = bool(answers) and all(name in answers for name in names)
        yield local_day(time, zone), rounded(pd), tuple(answers[name] for name in names) if known else None


def encoded(form: Form | None, rows: list[Row]) -> tuple[Floats, Floats]:
    """PDs (m,) of all rows, and the encoded answers (k, n_fields) of those that have any."""
    pds = np.array([pd for _, pd, _ in rows], np.float64)
    stated = [answers for _, _, answers in rows if answers is not None]
    if form is None or not stated:
        return pds, np.empty((0, 0 if form is None else len(form.names)))
    columns = dict(zip(form.names, zip(*stated, strict=True), strict=True))
    return pds, form.encode(columns)


def drifted(
    connection: sa.Connection, release: str, form: Form | None, months: tuple[int, int], end: int, name: str,
    zone: tzinfo = UTC,
) -> Drifted:  # fmt: skip
    """Drift by month of `zone`, from the end of the reference's `months` to before `end`; months since year 0."""
    by_day: dict[str, list[Row]] = {}
    try:
        for row in rows_of(connection, release, form, zone):
            by_day.setdefault(row[0], []).append(row)
        calm = [row for day, rows in by_day.items() if months[0] <= month(day) < months[1] for row in rows]
        against = reference_of(name, form, calm)
        days = {day: counted(against, form, rows) for day, rows in by_day.items() if months[1] <= month(day) < end}
    except InvalidApplication:  # a form that no longer reads its own answers: the release was tampered with
        return drifted(connection, release, None, months, end, name, zone)
    erased = sum(answers is None for rows in by_day.values() for _, _, answers in rows) if form is not None else 0
    of_months = []
    for calendar in range(months[1], end):
        of_month = {day: counts for day, counts in days.items() if month(day) == calendar}
        total = summed(of_month)
        scores = int(total[SCORE].sum()) if total else 0
        enough = len(calm) >= LEAST and scores >= LEAST
        drift = {
            series: of_series
            for series, of_series in against.drift(total).items()
            if of_series.n >= LEAST and int(against.counts[series].sum()) >= LEAST
        } if enough else {}  # fmt: skip
        of_months.append(MonthOfScores(calendar, scores, drift))
    return Drifted(name, len(calm), tuple(of_months), erased, form is not None)


def reference_of(name: str, form: Form | None, rows: list[Row]) -> Reference:
    """The reference that some scores are."""
    pds, values = encoded(form, rows)
    return reference(name, form, values, pds)


def counted(against: Reference, form: Form | None, rows: list[Row]) -> dict[str, Ints]:
    """A day's counts."""
    pds, values = encoded(form, rows)
    return against.counted(form, values, pds)
