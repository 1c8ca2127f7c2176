"""Ledgers of loans whose outcomes are known, as months of work would leave them, written in one go."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from inference.application import Form
from inference.watch.expected import month_name
from ledger.decisions import decided, rounded
from ledger.events import BAD, OUTCOME, REPAID, SCORED, Object
from ledger.ledger import Ledger
from ledger.records import Draft, Record, seal
from ledger.store import insert

FIRST = 2023 * 12  # January 2023
DAYS = 5  # of a month on which there is work
OVER = 12  # months over which loans go bad


def write(
    file: Path, months: int, a_month: int, form: Form, digest: str, factor: float = 1.0, changed: int = 30
) -> None:
    """Loans of so many months; from month `changed` on `factor` times as many go bad. Every tenth is an override."""
    generator = np.random.default_rng(7)
    drafts: list[tuple[str, Draft]] = []
    for number in range(months * a_month):
        born = number // a_month
        pd = float(generator.uniform(0.02, 0.18))
        id, day = f"case{number}", f"{month_name(FIRST + born)}-{2 + 2 * (number % DAYS):02d}"
        suggestion = "refer" if number % 10 == 0 else "approve"
        drafts += [
            (f"{day}T09", scored(id, pd, suggestion, form, digest, generator)),
            (f"{day}T10", decided(id, "approve", suggestion, by="ann")),
        ]
        age = int(generator.integers(OVER))
        when = FIRST + born + age
        odds = factor if born + age >= changed else 1.0
        outcome = BAD if generator.random() < pd * odds else REPAID
        when = when if outcome == BAD else FIRST + born + OVER
        if when < FIRST + months:
            fields: Object = {
                "of": id, "by": "ann", "outcome": outcome, "day": f"{month_name(when)}-28", "file": "0" * 64,
            }  # fmt: skip
            drafts.append((f"{month_name(when)}-28T12", Draft(OUTCOME, f"{id}-outcome", fields)))
    put(file, drafts)


def scored(id: str, pd: float, suggestion: str, form: Form, digest: str, generator: np.random.Generator) -> Draft:
    """A score of the form's example, with one number of it moved about."""
    answers = {**form.answers(form.parse(form.example)), "amount": int(generator.integers(500, 2_000))}
    body: Object = {
        "by": "api", "channel": "api", "release": digest, "release_name": "consumer", "engine": "xgboost",
        "pd": rounded(pd), "points": 600.0, "decision": suggestion, "break_even": 0.1, "refer_from": 0.075,
        "decline_from": 0.125, "unusual": [],
    }  # fmt: skip
    return Draft(SCORED, id, body, {"answers": answers, "reference": f"reference-{id}", "pd": pd})


def put(file: Path, drafts: list[tuple[str, Draft]]) -> None:
    """Write drafts at their times, in order."""
    with closing(Ledger(file)) as ledger, ledger.store.writing() as connection:
        seq, head = connection.execute("SELECT seq, hash FROM entries").fetchone()
        records: list[Record] = []
        for hour, draft in sorted(drafts, key=lambda pair: pair[0]):
            moment = datetime.fromisoformat(f"{hour}:00:00").replace(tzinfo=UTC)
            records.append(seal(draft, seq + 1, head, moment.timestamp()))
            seq, head = records[-1].seq, records[-1].hash
        for start in range(0, len(records), 1_000):
            insert(connection, records[start : start + 1_000], [])
