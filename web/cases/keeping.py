"""How long a case is kept: recording when its notice was handed over, and a manager's hold. The rules of both."""

from collections.abc import Mapping

from ledger.cases import IN_FORCE, Case
from ledger.decisions import hold_placed, hold_released, notified
from ledger.records import Draft
from ledger.retention import on_hold
from web.cases.notice import Notice, as_text
from web.cases.rules import SHORTEST_TEXT, InvalidDecision, missing_name
from web.pages.forms import Form, day, form_value
from web.pages.texts import LANGUAGES
from web.person import Person
from web.work_settings import WorkSettings

ACTIONS = ("notified", "hold", "release")


def draft(
    action: str, case: Case, form: Form, person: Person, notices: Mapping[str, Notice], settings: WorkSettings
) -> Draft:
    """The record that a form asks for. Raises `InvalidDecision`. `notices` by the applicant's language, empty where the
    lender's own words are missing, so that none was made here; `settings` say which day it is.

    web/security/entrance.py checks who may hold a case.
    """
    if not possible(action, case):
        raise InvalidDecision({"form": "not_now"})
    problems = missing_name(person)
    if action == "notified":
        return handing_over(case, form, person, problems, notices, settings)
    reason = form_value(form, "hold_reason")
    if len(reason) < SHORTEST_TEXT:
        problems["hold_reason"] = "sentence"
    if problems:
        raise InvalidDecision(problems)
    make = hold_placed if action == "hold" else hold_released
    return case.continued(make(case.first.id, by=person.name, reason=reason))


def handing_over(
    case: Case,
    form: Form,
    person: Person,
    problems: dict[str, str],
    notices: Mapping[str, Notice],
    settings: WorkSettings,
) -> Draft:
    """The record that the notice of the last decision was handed over, on a day between the decision and today."""
    assert case.decision is not None  # noqa: S101 - checked by `possible`
    today = settings.today()
    handed_over_on = day(form_value(form, "day")) if form_value(form, "day") else today
    if handed_over_on is None or not settings.local(case.decision.time).date() <= handed_over_on <= today:
        problems["day"] = "handed_over"
    language = form_value(form, "language")
    if language not in LANGUAGES:
        problems["language"] = "choose"
    if problems or handed_over_on is None:
        raise InvalidDecision(problems)
    return case.continued(
        notified(
            case.decision.id,
            by=person.name,
            day=handed_over_on.isoformat(),
            text=as_text(notices[language]) if language in notices else None,
            reference=case.first.reference,
        )
    )


def possible(action: str, case: Case) -> bool:
    """Whether an action is possible in the case's current state."""
    if action == "notified":
        return case.state in IN_FORCE
    return (on_hold(case) is None) == (action == "hold")
