"""Who asks: an officer or a manager who logged in, or another system with a token."""

from typing import NamedTuple

from starlette.types import Scope

from ledger.cases import Case
from ledger.events import Contested

OPEN, DEMO, CLOSED = "open", "demo", "closed"  # how open the app is: see web/security/entrance.py
OFFICER, MANAGER, METRICS = "officer", "manager", "metrics"
ROLES = (OFFICER, MANAGER)
TOKEN_ROLES = (METRICS, *ROLES)  # the least of them reads /metrics and nothing else


class Person(NamedTuple):
    """Somebody who proved the name. Where nobody has to, there is no `Person`, and names are taken on trust."""

    name: str
    role: str
    machine: bool = False  # a token's holder: it scores and reads, and decides nothing

    @property
    def sees_all(self) -> bool:
        """Managers see everybody's records, officers their own."""
        return self.role == MANAGER


def person_of(scope: Scope) -> Person | None:
    """Who asks, as the entrance found out; None where nobody has to log in."""
    found: Person | None = scope.get("person")
    return found


def mode_of(scope: Scope) -> str:
    """How open the app is, as the entrance found out."""
    return str(scope.get("mode", OPEN))


def only_of(person: Person | None) -> str | None:
    """The name whose records alone may be seen; None for all."""
    return None if person is None or person.sees_all else person.name


def may_see(person: Person | None, case: Case) -> bool:
    """Whether a case is one's own: scored, decided, agreed to or contested by this person, or given to review."""
    name = only_of(person)
    if name is None:
        return True
    return any(event.by == name or (isinstance(event, Contested) and event.reviewer == name) for event in case.events)
