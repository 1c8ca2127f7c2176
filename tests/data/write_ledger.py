"""Writes a ledger of today's version, for tests/faults/test_versions.py: `python -m tests.data.write_ledger`.

To be run once when the version is raised, before anything else is changed: what it has written stays as it is, for
later programs are held to read it. It prints the head, which the test pins.
"""

import gzip
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from inference.engines import open_engine
from inference.measure import Clock
from inference.release import open_release
from inference.scorer import Scorer
from inference.settings import current_releases
from ledger.cleaning import Cleaner
from ledger.decisions import agreed, assigned, contested, decided, hold_placed, noted, notified, scored
from ledger.ledger import Ledger
from ledger.records import Key
from ledger.retention import purge
from ledger.schema import VERSION
from ledger.store import Store
from ledger.verify import verify

DAY = 86_400.0
START = datetime(2023, 1, 31, 9, tzinfo=UTC).timestamp()


def main() -> None:
    target = Path(__file__).with_name(f"ledger-{VERSION}.sqlite3.gz")
    if target.exists():
        raise SystemExit(f"{target} is there already, and stays as it is")
    now = [START]
    clock = Clock(utc=lambda: now[0])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.sqlite3"
        ledger = Ledger(file, clock)
        cases(ledger, "erased")
        now[0] += 900 * DAY
        cases(ledger, "kept")
        ledger.close()
        store = Store(file)
        purge(store, datetime.fromtimestamp(START + 30 * DAY, UTC), clock=clock, by="Meg")
        Cleaner(store, "Meg", clock).clean()
        print(verify(store))
        store.close()
        target.write_bytes(gzip.compress(file.read_bytes(), mtime=0))


def cases(ledger: Ledger, name: str) -> None:
    """A case of every release that serves, with a record of every kind."""
    for folder in current_releases().values():
        release = open_release(folder)
        scorer = Scorer(release, open_engine("xgboost", release))
        example, reference = release.form.example, f"{name} é {release.manifest.name}"
        score = scorer.score(example)
        key = Key("api", f"/api/v1/score {reference}", bytes(32))
        said: Callable[..., str] = lambda draft: str(ledger.append(draft).header.id)  # noqa: E731
        first = said(scored(score, release, example, by="api", channel="api", reference=reference, reasons=[], key=key))
        said(assigned(first, by="Meg", to="Ann", note="Yours.", reference=reference))
        said(noted(first, by="Ann", note="A note.", reference=reference))
        decision = said(
            decided(
                first, "decline", score.decision, by="Ann", reference=reference, reason_code="other",
                justification="A sentence.", reasons=[release.form.names[0]], needs_second=True,
            )
        )  # fmt: skip
        said(agreed(decision, by="Ben", agrees=True, note="Seen.", reference=reference))
        objection = said(
            contested(decision, by="Ann", reviewer="Cyd", deadline="2030-01-01", objection="No.", reference=reference)
        )
        settled = said(
            decided(
                first, "approve", score.decision, by="Cyd", reference=reference, reason_code="other",
                justification="Another sentence.", contest=objection,
            )
        )  # fmt: skip
        said(notified(settled, by="Cyd", day="2023-01-31", text="{}", reference=reference))
        if name == "kept":
            said(hold_placed(first, by="Meg", reason="A reason."))


if __name__ == "__main__":
    main()
