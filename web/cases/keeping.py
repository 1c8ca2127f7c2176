"""How long a case is kept: recording when its notice was handed over, and a manager's hold. The rules of both."""

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
from web.cases.rules import SHORTEST_TEXT, InvalidDecision, missing_name
from web.pages.forms import Form, day, form_value
from web.person import Person

ACTIONS = ("notified", "hold", "release")


def draft(
    action: str, case: Case, form: Form, person: Person, notices: Mapping[str, Notice], clock: Clock | None = None
) -> Draft:
    """The record that a form asks for. Raises `InvalidDecision`. `notices` by the applicant's language.

    web/security/entrance.py checks who may hold a case.
    """
    if not possible(action, case):
        raise InvalidDecision({"form": "not_now"})
    problems = missing_name(person)
    if action == "notified":
        return handing_over(case, form, person, problems, notices, clock or Clock())
    reason = form_value(form, "hold_reason")
    if len(reason) < SHORTEST_TEXT:
        problems["hold_reason"] = "sentence"
    if problems:
        raise InvalidDecision(problems)
    make = hold_placed if action == "hold" else hold_released
    return case.continued(make(case.first.id, by=person.name, reason=reason))


def handing_over(
    case: Case, form: Form, person: Person, problems: dict[str, str], notices: Mapping[str, Notice], clock: Clock
) -> Draft:
    """The record that the notice of the last decision was handed over, on a day between the decision and today."""
    assert case.decision is not None  # noqa: S101 - checked by `possible`
    today = datetime.fromtimestamp(clock.utc(), UTC).date()
    handed_over_on = day(form_value(form, "day")) if form_value(form, "day") else today
    if handed_over_on is None or not case.decision.time[:10] <= handed_over_on.isoformat() <= today.isoformat():
        problems["day"] = "handed_over"
    language = form_value(form, "language")
    if language not in notices:
        problems["language"] = "choose"
    if problems or handed_over_on is None:
        raise InvalidDecision(problems)
    return case.continued(
        notified(
            case.decision.id,
            by=person.name,
            day=handed_over_on.isoformat(),
            notice=digest(notices[language]),
            reference=case.first.reference,
        )
    )


def possible(action: str, case: Case) -> bool:
    """Whether an action is possible in the case's current state."""
    if action == "notified":
        return case.state in IN_FORCE
    return (on_hold(case) is None) == (action == "hold")


def digest(notice: Notice) -> str:
    """SHA-256 of a notice's parts as JSON; the page and the PDF show the same parts."""
    return hashlib.sha256(orjson.dumps(notice._asdict(), option=orjson.OPT_SORT_KEYS)).hexdigest()
