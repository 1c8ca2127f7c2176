"""How long a case is kept, on its page: the state, and the forms. Views only."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.cases import Case
from ledger.retention import handed_over, on_hold
from web.cases.decision_form import CaseForms, Choice, Problems, Section, Sent, TextBox
from web.cases.keeping import ACTIONS, possible
from web.cases.notice import chosen_language
from web.pages.forms import Form, form_value
from web.pages.texts import LANGUAGES, Texts
from web.person import Person


@dataclass(frozen=True, kw_only=True)
class KeepingForm:
    """The form to record that a notice was handed over, or to hold a case or end the hold."""

    template: ClassVar[str] = "cases/keep.html"
    sent: Sent
    lead: str
    button: str
    day: TextBox | None  # when the notice was handed over
    languages: tuple[Choice, ...]
    language_problem: str
    reason: TextBox | None


@dataclass(frozen=True)
class Folded:
    """A form that is folded under its title."""

    title: str
    section: Section


@dataclass(frozen=True)
class Keeping:
    """The state, and the forms that can be used now."""

    template: ClassVar[str] = "cases/keeping.html"
    status: str
    forms: tuple[Folded, ...]


def keeping(forms: CaseForms, case: Case, person: Person | None, texts: Texts) -> Keeping:
    """The state, and the forms that this person may use now."""
    offered = [action for action in ACTIONS if possible(action, case)]
    if person is not None and not person.sees_all:
        offered = [action for action in offered if action == "notified"]
    folded = [Folded(texts(f"keeping.{action}"), keeping_section(forms, action, case, texts)) for action in offered]
    return Keeping(status(case, texts), tuple(folded))


def status(case: Case, texts: Texts) -> str:
    """What is recorded about how long the case is kept."""
    notice, hold = handed_over(case), on_hold(case)
    sentences = []
    if notice is not None:
        sentences.append(texts("entry.notified", day=texts.day(notice.day)))
    if hold is not None:
        sentences.append(texts("keeping.on_hold", by=hold.by))
    return " ".join(sentences)


def keeping_section(
    forms: CaseForms, action: str, case: Case, texts: Texts, problems: Problems | None = None, form: Form | None = None
) -> Section:
    """A form, with the values that were sent and what is wrong with them."""
    problems, form = problems or {}, form or {}
    notified = action == "notified"
    chosen = form_value(form, "language") or chosen_language(case, texts)
    view = KeepingForm(
        sent=forms.sent(action, case, problems, form),
        lead=texts(f"keeping.{action}_lead"),
        button=texts(f"keeping.{action}_record"),
        day=forms.line("day", form, problems, kind="date") if notified else None,
        languages=tuple(Choice(name, name.upper(), name == chosen) for name in LANGUAGES),
        language_problem=forms.problem("language", problems),
        reason=None if notified else forms.box("hold_reason", form, problems),
    )
    return forms.section_with(case, view, problems)
