"""After a purge: erased parts leave the write-ahead log and the unused parts of pages, and a record says so.

SQLite zeroes what it deletes (secure_delete), but moves cells between pages without zeroing where they were: in a
ledger of 100,000 records 40 erased answers and references were still in the file. So the file is written anew
(VACUUM), and the log, which holds the pages as they were, is cut to nothing. A reader that began before prevents the
cut; nothing waits for it: the purge says so, and the next chance finishes it.
"""

import time

from inference.measure import Clock
from ledger import queries, store
from ledger.events import CLEANED
from ledger.records import BEFORE_ALL, Draft, Record, seal
from ledger.store import Store

PAUSE = 0.1  # seconds between tries to cut the log


class Cleaner:
    """Finishes purges of one ledger, as often as it is asked; each step may be repeated after a kill."""

    def __init__(self, ledger: Store, by: str, clock: Clock | None = None) -> None:
        self._ledger, self._by, self._clock = ledger, by, clock or Clock()
        self._written_anew = 0  # the last purge after which the file was

    def clean(self, seconds: float = 0.0) -> bool:
        """Whether nothing is left of what was erased, tried for so long. The write lock is never held while waiting."""
        until = time.monotonic() + seconds
        while (purged := self.unclean()) is not None:
            if self._try(purged):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(PAUSE)
        return True

    def unclean(self) -> Record | None:
        """The last purge, if erased parts may still be in the file or its log."""
        with self._ledger.reading() as connection:
            return queries.unclean(queries.driver(connection))

    def _try(self, purged: Record) -> bool:
        if self._written_anew != purged.seq:
            if not self._ledger.cut_log():  # else the file would be written anew at each try
                return False
            self._ledger.vacuum()
            self._written_anew = purged.seq
        if not self._ledger.cut_log():
            return False
        with self._ledger.writing() as connection:
            self._ledger.check_version(connection)
            last, digest = queries.head(connection) or (0, BEFORE_ALL)
            draft = Draft(CLEANED, f"cleaned-{last + 1}", {"by": self._by, "through": purged.seq})
            store.insert(connection, [seal(draft, last + 1, digest, self._clock.utc())], [])
        self._ledger.check_still_there()
        return True
