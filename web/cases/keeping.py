"""How long a case is kept: when its notice was handed over, and a manager's hold. The rules, and why not."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from inference.measure import Clock
from ledger.cases import IN_FORCE, Case
from ledger.decisions import hold_placed, hold_released, notified
from ledger.records import Draft
from ledger.retention import on_hold
from web.cases.notice import Notice
from web.cases.rules import SHORTEST_TEXT, InvalidDecision, named
from web.pages.forms import Form, day, one
from web.person import Person

ACTIONS = ("notified", "hold", "release")


def draft(
    action: str, case: Case, form: Form, person: Person, notices: Mapping[str, Notice], clock: Clock | None = None
) -> Draft:
    """What one of the forms asks to be recorded. Raises `InvalidDecision`. `notices` by the applicant's language.

    Who may hold a case is the entrance's rule.
    """
    if not possible(action, case):
        raise InvalidDecision({"form": "not_now"})
    problems = named(person)
    if action == "notified":
        return handing_over(case, form, person, problems, notices, clock or Clock())
    reason = one(form, "hold_reason")
    if len(reason) < SHORTEST_TEXT:
        problems["hold_reason"] = "sentence"
    if problems:
        raise InvalidDecision(problems)
    make = hold_placed if action == "hold" else hold_released
    return case.continued(make(case.first.id, by=person.name, reason=reason))


def handing_over(
    case: Case, form: Form, person: Person, problems: dict[str, str], notices: Mapping[str, Notice], clock: Clock
) -> Draft:
    """The notice of the last decision was handed over, on a day from the decision to today."""
    assert case.decision is not None  # noqa: S101 - `possible` has looked
    today = datetime.fromtimestamp(clock.utc(), UTC).date()
    found = day(one(form, "day")) if one(form, "day") else today
    if found is None or not case.decision.time[:10] <= found.isoformat() <= today.isoformat():
        problems["day"] = "handed_over"
    language = one(form, "language")
    if language not in notices:
        problems["language"] = "choose"
    if problems or found is None:
        raise InvalidDecision(problems)
    return case.continued(
        notified(
            case.decision.id,
            by=person.name,
            day=found.isoformat(),
            notice=digest(notices[language]),
            reference=case.first.reference,
        )
    )


def possible(action: str, case: Case) -> bool:
    """Whether a form makes sense for a case as it is now."""
    if action == "notified":
        return case.state in IN_FORCE
    return (on_hold(case) is None) == (action == "hold")


def digest(made: Notice) -> str:
    """SHA-256 of a notice's parts as JSON: the page and the PDF are two prints of them."""
    return hashlib.sha256(orjson.dumps(made._asdict(), option=orjson.OPT_SORT_KEYS)).hexdigest()
