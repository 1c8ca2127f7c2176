"""Who sends a request: an officer or a manager who is logged in, or another system with a token."""

from typing import NamedTuple

from starlette.types import Scope

from ledger.cases import Case
from ledger.events import Assigned, Contested

OPEN, DEMO, CLOSED = "open", "demo", "closed"  # how open the app is: see web/security/entrance.py
OFFICER, MANAGER, METRICS = "officer", "manager", "metrics"
ROLES = (OFFICER, MANAGER)
TOKEN_ROLES = (METRICS, *ROLES)  # `metrics` reads /metrics and nothing else


class Person(NamedTuple):
    """An authenticated person or system. Without login there is no `Person`, and names are not checked."""

    name: str
    role: str
    machine: bool = False  # authenticated by a token: it may score and read, but not decide

    @property
    def sees_all(self) -> bool:
        """Managers see all records, officers only their own."""
        return self.role == MANAGER


def person_of(scope: Scope) -> Person | None:
    """Who sends the request, as web/security/entrance.py determined; None if no login is needed."""
    person: Person | None = scope.get("person")
    return person


def mode_of(scope: Scope) -> str:
    """How open the app is (OPEN, DEMO or CLOSED), as web/security/entrance.py determined."""
    return str(scope.get("mode", OPEN))


def until_restart(scope: Scope) -> bool:
    """Whether all that is recorded is lost when the server starts anew: a Space without storage."""
    return bool(scope.get("until_restart"))


def only_of(person: Person | None) -> str | None:
    """The name to which visible records are restricted; None if all may be seen."""
    return None if person is None or person.sees_all else person.name


def may_see(person: Person | None, case: Case) -> bool:
    """Whether this person may see a case: they wrote one of its records, were given it, or are its reviewer."""
    name = only_of(person)
    if name is None:
        return True
    named = {event.reviewer for event in case.of_kind(Contested)} | {event.to for event in case.of_kind(Assigned)}
    return name in named or any(event.by == name for event in case.events)
