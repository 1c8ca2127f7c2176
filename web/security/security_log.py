"""The security log: logins, refusals, records read, changes of users. One JSON line per event.

OWASP ASVS 5.0, chapter 16. It contains no secret and no applicant's data: no unknown user names (people type passwords
there), and not the requested path but only the rule that matched it. It has a file per day and the retention of the
performance log, and never stops a request. Each kind of event is limited to A_MINUTE lines per minute, so that nobody
can fill the disk; one more line then counts the rest.
"""

import threading
from pathlib import Path

from starlette.types import Scope

from inference.measure import Clock
from inference.perflog import PerformanceLog
from ledger.cases import Case
from web.person import may_see, mode_of, person_of

A_MINUTE = 120  # lines per kind of event; a line has about 150 bytes
KEY = "security-log"  # of the log in a request's scope


class SecurityLog:
    """A log file, which the commands that change users write too. Thread-safe; with `path` None nothing is written."""

    def __init__(self, path: Path | None, keep_days: int, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._log = None if path is None else PerformanceLog(path, keep_days, self._clock, "security log", 0o600)
        self._lock = threading.Lock()
        self._minute = -1
        self._counts: dict[str, int] = {}  # events of this minute, by kind

    def write(self, event: str, **facts: object) -> None:
        """Write an event. `facts` are JSON values; those that are None are omitted."""
        if self._log is None:
            return
        minute = int(self._clock.utc() // 60)
        with self._lock:
            if minute != self._minute:
                self._begin(self._log, minute)
            self._counts[event] = self._counts.get(event, 0) + 1
            if self._counts[event] <= A_MINUTE:
                self._log.write({"event": event, **{name: fact for name, fact in facts.items() if fact is not None}})

    def _begin(self, log: PerformanceLog, minute: int) -> None:
        """Start a minute; write how many lines of the previous one were omitted."""
        for kind, count in self._counts.items():
            if count > A_MINUTE:
                log.write({"event": kind, "left_out": count - A_MINUTE})
        self._minute, self._counts = minute, {}

    def write_for(self, scope: Scope, event: str, **facts: object) -> None:
        """Write an event of a request, with who sent it and from which address."""
        person = person_of(scope)
        self.write(event, by=person.name if person else None, address=address(scope), **facts)

    def close(self) -> None:
        """Write how many lines were omitted, and close the file."""
        if self._log is not None:
            with self._lock:
                self._begin(self._log, -1)
            self._log.close()


def allowed(scope: Scope, case: Case) -> bool:
    """Whether the person who sends a request may see a case. If not, the response says that there is no such case; only
    the security log records that somebody requested another person's."""
    seen = may_see(person_of(scope), case)
    if not seen:
        log_event(scope, "record_refused", record=case.first.id)
    return seen


def log_event(scope: Scope, event: str, **facts: object) -> None:
    """Write an event of a request, if the app has a security log."""
    log: SecurityLog | None = scope.get(KEY)
    if log is not None:
        log.write_for(scope, event, **facts, mode=mode_of(scope))


def address(scope: Scope) -> str | None:
    """The client's address as the server sees it."""
    client = scope.get("client")
    return client[0] if client else None
