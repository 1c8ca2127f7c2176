"""Whose file it is: everybody sees their own, managers too."""

from starlette.types import Scope

from web.batch.jobs import Job, Jobs
from web.person import DEMO, mode_of, person_of
from web.security.security_log import log_event
from web.security.throttle import network


def owner_of(scope: Scope) -> str:
    """A person or a token by name; in a public demonstration the network, of which only the number of files is known;
    the same for everybody where the server is open to this computer."""
    person, client = person_of(scope), scope.get("client")
    if person is not None:
        return f"{'token' if person.machine else 'person'} {person.name}"
    return f"network {network(client[0]) if client else ''}" if mode_of(scope) == DEMO else "everybody"


def job_of(jobs: Jobs, id: str, scope: Scope) -> Job | None:
    """A job that this client may see."""
    job = jobs.get(id, owner_of(scope))
    if job is None and id in jobs:
        log_event(scope, "record_refused", record=id)
    return job
