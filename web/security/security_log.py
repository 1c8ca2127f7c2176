"""The security log: who logged in, who was refused, who read which record, who changed whom. One JSON line an event.

OWASP ASVS 5.0, chapter 16. No secret and no applicant's data is in it: not what was typed as a name where there is no
such user (people type passwords there), not the path that was asked for, only the rule that it fell under. It has its
own file, with a file a day and the retention of the performance log, and never stops a request. What strangers can
cause is bounded: of each kind of event so many lines a minute, then one line that counts the rest.
"""

import threading
from pathlib import Path

from starlette.types import Scope

from inference.measure import Clock
from inference.perflog import PerformanceLog
from ledger.cases import Case
from web.person import may_see, mode_of, person_of

A_MINUTE = 120  # lines of one kind of event; a line has some 150 bytes
KEY = "security-log"  # in a request's scope


class SecurityLog:
    """One file, shared with the commands that change users. Thread-safe; `path` None writes nothing."""

    def __init__(self, path: Path | None, keep_days: int, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._log = None if path is None else PerformanceLog(path, keep_days, self._clock, "security log", 0o600)
        self._lock = threading.Lock()
        self._minute = -1
        self._counts: dict[str, int] = {}  # events of this minute, by kind

    def write(self, event: str, **facts: object) -> None:
        """One event. `facts` hold what JSON can hold; whatever is None is left out."""
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
        """Say how much of the minute before was left out."""
        for kind, count in self._counts.items():
            if count > A_MINUTE:
                log.write({"event": kind, "left_out": count - A_MINUTE})
        self._minute, self._counts = minute, {}

    def of(self, scope: Scope, event: str, **facts: object) -> None:
        """One event of a request: with who asked, from where."""
        person = person_of(scope)
        self.write(event, by=person.name if person else None, address=address(scope), **facts)

    def close(self) -> None:
        """Write the counts of what was left out, and give the file back."""
        if self._log is not None:
            with self._lock:
                self._begin(self._log, -1)
            self._log.close()


def allowed(scope: Scope, case: Case) -> bool:
    """Whether the person who asks may see a case. The answer to a refusal is that there is no such case; only the
    security log says that somebody asked for another person's."""
    seen = may_see(person_of(scope), case)
    if not seen:
        tell(scope, "record_refused", record=case.first.id)
    return seen


def tell(scope: Scope, event: str, **facts: object) -> None:
    """One event of a request, where the app writes a security log."""
    log: SecurityLog | None = scope.get(KEY)
    if log is not None:
        log.of(scope, event, **facts, mode=mode_of(scope))


def address(scope: Scope) -> str | None:
    """Where a request comes from, as the server sees it."""
    client = scope.get("client")
    return client[0] if client else None
