"""The end of the retention: personal parts are erased, the chain of what was decided stays."""

from datetime import UTC, datetime

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger import store
from ledger.records import BEFORE_ALL, PURGED, Draft, Record, seal
from ledger.store import Store

MONTHS = 25  # that the US Regulation B asks of consumer credit; a lender's own setting may be longer


class TooEarly(TenfoldError):
    """Personal data may not be erased before its retention has ended."""


def purge(ledger: Store, before: datetime, months: int = MONTHS, clock: Clock | None = None) -> tuple[Record, int]:
    """Erase the personal parts of all records older than `before`; the record of it, and how many parts there were.

    Records keep their order: it ends at the first record that is not older, so that a clock that was set back for a day
    makes nothing too old too soon. Refuses a date within the last `months`.
    """
    now = (clock or Clock()).utc()
    floor = months_before(datetime.fromtimestamp(now, UTC), months)
    before = before if before.tzinfo else before.replace(tzinfo=UTC)
    if before > floor:
        raise TooEarly(
            f"{before:%Y-%m-%d} is too early: records are kept for {months} months, so {floor:%Y-%m-%d} at the latest "
            "(--months sets another retention, for who knows that it is enough)"
        )
    time = before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with ledger.writing() as connection:
        ledger.check_version(connection)
        last, digest = store.head(connection) or (0, BEFORE_ALL)
        first_kept = store.first_at(connection, time)
        through = last if first_kept is None else first_kept - 1
        erased = store.erase_personal(connection, through)
        draft = Draft(PURGED, f"purged-{last + 1}", {"through": through, "before": time, "erased": erased})
        record = seal(draft, last + 1, digest, now)
        store.insert(connection, [record], [])
    ledger.check_still_there()
    ledger.empty_log()  # what was erased stands there still
    return record, erased


def months_before(moment: datetime, months: int) -> datetime:
    """The same day so many months ago; the last of a shorter month."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)
