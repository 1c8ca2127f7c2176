"""After a purge: removes erased data from the write-ahead log and unused parts of pages, and records that it did.

SQLite zeroes what it deletes (secure_delete), but moves cells between pages without zeroing the old place: in a ledger
of 100,000 records 40 erased answers and references were still in the file. So the file is rewritten (VACUUM), and the
log, which holds the old pages, is truncated. A reader that started earlier prevents the truncation. Nothing waits for
it: the purge reports that it is not clean yet, and a later attempt finishes it.
"""

import time

from inference.measure import Clock
from ledger import queries, store
from ledger.events import CLEANED
from ledger.records import BEFORE_ALL, Draft, Record, seal
from ledger.store import Store

PAUSE = 0.1  # seconds between attempts to truncate the log


class Cleaner:
    """Finishes purges of one ledger; every step can be repeated after a kill."""

    def __init__(self, ledger: Store, by: str, clock: Clock | None = None) -> None:
        self._ledger, self._by, self._clock = ledger, by, clock or Clock()
        self._rewritten_for = 0  # sequence of the last purge after which the file was rewritten

    def clean(self, seconds: float = 0.0) -> bool:
        """Try for `seconds` to remove all erased data; returns whether it is gone. Never waits holding the lock."""
        until = time.monotonic() + seconds
        while (purged := self.unclean()) is not None:
            if self._try(purged):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(PAUSE)
        return True

    def unclean(self) -> Record | None:
        """The last purge, if erased data may still be in the file or its log."""
        with self._ledger.reading() as connection:
            return queries.unclean(queries.driver(connection))

    def _try(self, purged: Record) -> bool:
        if self._rewritten_for != purged.seq:
            if not self._ledger.cut_log():  # otherwise every attempt would rewrite the file
                return False
            self._ledger.vacuum()
            self._rewritten_for = purged.seq
        if not self._ledger.cut_log():
            return False
        with self._ledger.writing() as connection:
            self._ledger.check_version(connection)
            last, digest = queries.head(connection) or (0, BEFORE_ALL)
            draft = Draft(CLEANED, f"cleaned-{last + 1}", {"by": self._by, "through": purged.seq})
            store.insert(connection, [seal(draft, last + 1, digest, self._clock.utc())], [])
        self._ledger.check_still_there()
        return True
