"""How long a case is kept, on its page: what is recorded of it, and the forms. Views only."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.cases import Case
from ledger.retention import handed_over, on_hold
from web.cases.decision_form import CaseForms, Choice, Problems, Section, Sent, TextBox
from web.cases.keeping import ACTIONS, possible
from web.pages.forms import Form, form_value
from web.pages.texts import LANGUAGES, Texts
from web.person import Person


@dataclass(frozen=True, kw_only=True)
class KeepingForm:
    """A notice was handed over; a manager holds a case, or ends the hold."""

    template: ClassVar[str] = "cases/keep.html"
    sent: Sent
    lead: str
    button: str
    day: TextBox | None  # of the notice, with the language that it was in
    languages: tuple[Choice, ...]
    language_problem: str
    reason: TextBox | None


@dataclass(frozen=True)
class Folded:
    """A form that opens under its title."""

    title: str
    section: Section


@dataclass(frozen=True)
class Keeping:
    """All that can be done now, and what is recorded."""

    template: ClassVar[str] = "cases/keeping.html"
    status: str
    forms: tuple[Folded, ...]


def keeping(forms: CaseForms, case: Case, person: Person | None, texts: Texts) -> Keeping:
    """All forms that this person may use now."""
    offered = [action for action in ACTIONS if possible(action, case)]
    if person is not None and not person.sees_all:
        offered = [action for action in offered if action == "notified"]
    folded = [Folded(texts(f"keeping.{action}"), keeping_section(forms, action, case, texts)) for action in offered]
    return Keeping(status(case, texts), tuple(folded))


def status(case: Case, texts: Texts) -> str:
    """What is recorded of how long the case is kept."""
    notice, hold = handed_over(case), on_hold(case)
    said = []
    if notice is not None:
        said.append(texts("entry.notified", day=texts.day(notice.day)))
    if hold is not None:
        said.append(texts("keeping.on_hold", by=hold.by))
    return " ".join(said)


def keeping_section(
    forms: CaseForms, action: str, case: Case, texts: Texts, problems: Problems | None = None, form: Form | None = None
) -> Section:
    """One form, with what was typed and what is wrong with it."""
    problems, form = problems or {}, form or {}
    notified = action == "notified"
    chosen = form_value(form, "language") or texts.language
    made = KeepingForm(
        sent=forms.sent(action, case, problems, form),
        lead=texts(f"keeping.{action}_lead"),
        button=texts(f"keeping.{action}_record"),
        day=forms.line("day", form, problems, kind="date") if notified else None,
        languages=tuple(Choice(name, name.upper(), name == chosen) for name in LANGUAGES),
        language_problem=forms.problem("language", problems),
        reason=None if notified else forms.box("hold_reason", form, problems),
    )
    return forms.around(case, made, {})
