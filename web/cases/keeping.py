"""How long a case is kept, on its page: when its notice was handed over, and a manager's hold. Rules and HTML."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

import orjson

from inference.measure import Clock
from ledger.cases import IN_FORCE, Case
from ledger.decisions import held, notified, released
from ledger.records import Draft
from ledger.retention import handed_over, on_hold
from web.cases.decision_form import DecideForm
from web.cases.notice import Notice
from web.cases.rules import SHORTEST_TEXT, InvalidDecision, named
from web.pages.forms import Form, day, one
from web.pages.texts import LANGUAGES, Texts
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
    make = held if action == "hold" else released
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


def forms(made: DecideForm, case: Case, person: Person | None, texts: Texts) -> str:
    """All forms that this person may use now, folded."""
    offered = [action for action in ACTIONS if possible(action, case)]
    if person is not None and not person.sees_all:
        offered = [action for action in offered if action == "notified"]
    said = status(case, texts)
    parts = [f'<p class="quiet">{escape(said)}</p>'] if said else []
    for action in offered:
        summary = escape(texts(f"keeping.{action}"))
        body = section(made, action, case, texts)
        parts.append(f'<details class="contest"><summary>{summary}</summary>{body}</details>')
    return "".join(parts)


def status(case: Case, texts: Texts) -> str:
    """What is recorded of how long the case is kept."""
    notice, hold = handed_over(case), on_hold(case)
    said = []
    if notice is not None:
        said.append(texts("entry.notified", day=texts.day(notice.day)))
    if hold is not None:
        said.append(texts("keeping.on_hold", by=hold.by))
    return " ".join(said)


def section(
    made: DecideForm, action: str, case: Case, texts: Texts, problems: Mapping[str, str] | None = None,
    form: Form | None = None,
) -> str:  # fmt: skip
    """One form, with what was typed and what is wrong with it."""
    problems, form = problems or {}, form or {}
    if action == "notified":
        chosen = one(form, "language") or texts.language
        options = "".join(
            f'<option value="{language}"{" selected" if language == chosen else ""}>{language.upper()}</option>'
            for language in LANGUAGES
        )
        body = (
            f"{made.short('day', form, problems, kind='date')}"
            f'<label>{escape(texts("decide.language"))}<select name="language">{options}</select></label>'
            f"{made.error('language', problems)}"
        )
    else:
        body = made.long("hold_reason", form, problems)
    lead = f"<p class='quiet'>{escape(texts(f'keeping.{action}_lead'))}</p>"
    content = f"{lead}{body}{made.name(problems, form)}"
    return made.around(case, made.form(case, action, content, f"keeping.{action}_record", problems))
