"""Cases written into a ledger at given times, as the desk writes them, for tests of what happens to them later."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from inference.measure import Clock
from ledger import cases
from ledger.cases import Case
from ledger.decisions import agreed, contested, decided, hold_placed, hold_released, notified
from ledger.events import SCORED, Object
from ledger.ledger import Ledger
from ledger.records import Draft, Key
from ledger.retention import PurgeResult, purge
from ledger.store import Store

TODAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
# What the body of a score says, whatever was scored.
SCORE: Object = {
    "by": "api", "channel": "api", "release": "0" * 64, "release_name": "none", "engine": "xgboost", "pd": 0.12,
    "points": 600.0, "decision": "refer", "break_even": 0.1, "refer_from": 0.075, "decline_from": 0.125, "unusual": [],
}  # fmt: skip
Day = str  # such as 2023-06-01


def at(day: Day) -> datetime:
    return datetime.fromisoformat(day).replace(hour=9, tzinfo=UTC)


def clock_at(moment: datetime) -> Clock:
    return Clock(utc=moment.timestamp)


class Writer:
    """Appends to one ledger on any day."""

    def __init__(self, ledger: Ledger, now: list[datetime]) -> None:
        self.ledger, self._now = ledger, now

    def add(self, day: Day, draft: Draft) -> str:
        """The id of the record."""
        self._now[0] = at(day)
        return str(self.ledger.append(draft).header.id)

    def score(self, day: Day, name: str) -> str:
        """A case begins; its answers and reference hold its name as a canary."""
        personal: Object = {
            "answers": {"purpose": f"answer-{name}"},
            "reference": f"reference-{name}",
            "pd": 0.123456789,
        }
        key = Key("api", f"/api/v1/score key-{name}", bytes(32))
        return self.add(day, Draft(SCORED, name, SCORE, personal, key))

    def decide(self, day: Day, of: str, decision: str = "approve", **rest: object) -> str:
        said = decided(of, decision, "refer", by="ann", justification=f"justification-{of}", **rest)  # type: ignore[arg-type]
        return self.add(day, said)

    def agree(self, day: Day, of: str, agrees: bool = True) -> str:
        return self.add(day, agreed(of, by="ben", agrees=agrees))

    def contest(self, day: Day, of: str) -> str:
        return self.add(day, contested(of, by="ann", reviewer="ben", deadline=day, objection=f"objection-{of}"))

    def notify(self, day: Day, of: str, handed_over: Day | None = None) -> str:
        return self.add(day, notified(of, by="ann", day=handed_over or day, text="{}"))

    def hold(self, day: Day, of: str) -> str:
        return self.add(day, hold_placed(of, by="max", reason=f"hold-{of}"))

    def release(self, day: Day, of: str) -> str:
        return self.add(day, hold_released(of, by="max", reason=f"release-{of}"))


@contextmanager
def writing_to(file: Path) -> Iterator[Writer]:
    """A ledger whose clock shows what is wanted."""
    now = [at("2019-01-01")]
    with closing(Ledger(file, Clock(utc=lambda: now[0].timestamp()))) as ledger:
        ledger._clean_at = float("inf")  # a purge is finished by the test, or by the server it starts
        yield Writer(ledger, now)


def purged(file: Path, before: Day, today: datetime = TODAY, **rest: object) -> PurgeResult:
    """A purge on a day."""
    with closing(Store(file)) as opened:
        return purge(opened, at(before), clock=clock_at(today), **rest)  # type: ignore[arg-type]


def kept(file: Path) -> set[str]:
    """The names of cases that still have a personal part."""
    with closing(Store(file)) as opened, opened.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT e.id FROM entries e JOIN personal p ON p.seq = e.seq WHERE e.kind = 'scored' AND e.of IS NULL"
        )
        return set(rows.scalars())


def case_of(file: Path, id: str) -> Case:
    with closing(Store(file)) as opened, opened.reading() as connection:
        found = cases.find(connection, id)
    assert found is not None
    return found


def bytes_of(file: Path) -> bytes:
    """Everything that is on disk of a ledger: the file, its log and the log's index."""
    return b"".join(one.read_bytes() for one in sorted(file.parent.glob(f"{file.name}*")))
