"""Giving a case to somebody, and notes on it. The rules and the views."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.cases import DONE, Case
from ledger.decisions import assigned, noted
from ledger.records import Draft
from web.cases.decision_form import CaseForms, Problems, Section, Sent, TextBox
from web.cases.rules import SHORTEST_TEXT, InvalidDecision, able, missing_name
from web.pages.forms import LONGEST_NAME, Form, form_value
from web.pages.texts import Texts
from web.person import Person

ASSIGN, NOTE = "assign", "note"  # the forms' actions
ACTIONS = (ASSIGN, NOTE)


@dataclass(frozen=True, kw_only=True)
class HandingForm:
    """The form: to whom, and a note; or the note alone."""

    template: ClassVar[str] = "cases/hand_on.html"
    sent: Sent
    lead: str
    to: TextBox | None
    note: TextBox
    button: str


@dataclass(frozen=True)
class HandingOn:
    """A form, folded under its title."""

    template: ClassVar[str] = "cases/handing_on.html"
    title: str
    section: Section
    open: bool


def draft(action: str, case: Case, form: Form, person: Person, users: Collection[str]) -> Draft:
    """The record that a form asks for. Raises `InvalidDecision`. `users` are all users; empty without login."""
    if not possible(action, case):
        raise InvalidDecision({"form": "not_now"})
    problems = missing_name(person)
    if action == NOTE:
        note = form_value(form, "case_note")
        if len(note) < SHORTEST_TEXT:
            problems["case_note"] = "sentence"
        if problems:
            raise InvalidDecision(problems)
        return case.continued(noted(case.first.id, by=person.name, note=note, reference=case.first.reference))
    to = form_value(form, "to", LONGEST_NAME)
    if not to:
        problems["to"] = "name"
    elif users and (to := to.lower()) not in users:
        problems["to"] = "unknown_person"
    elif to not in able(case, [to]):
        problems["to"] = "another_person"
    if problems:
        raise InvalidDecision(problems)
    note = form_value(form, "assign_note")
    return case.continued(
        assigned(case.first.id, by=person.name, to=to, note=note or None, reference=case.first.reference)
    )


def possible(action: str, case: Case) -> bool:
    """A note is always possible; a case is given to somebody only while something is expected of it."""
    return action == NOTE or case.state not in DONE


def handing_on(
    forms: CaseForms, case: Case, texts: Texts, users: Collection[str], sent: Mapping[str, tuple[Problems, Form]]
) -> tuple[HandingOn, ...]:
    """The forms that are possible now. `sent`: of the form that was sent last, what is wrong and its values."""
    folded = []
    for action in ACTIONS:
        if possible(action, case):
            problems, form = sent.get(action, ({}, {}))
            section = handing_section(forms, action, case, texts, users, problems, form)
            folded.append(HandingOn(texts(f"hand.{action}"), section, bool(problems)))
    return tuple(folded)


def handing_section(
    forms: CaseForms, action: str, case: Case, texts: Texts, users: Collection[str], problems: Problems, form: Form
) -> Section:
    """One of the forms alone."""
    is_note = action == NOTE
    view = HandingForm(
        sent=forms.sent(action, case, problems, form),
        lead=texts(f"hand.{action}_lead"),
        to=None if is_note else forms.line("to", form, problems, offered=tuple(able(case, users))),
        note=forms.box("case_note" if is_note else "assign_note", form, problems),
        button=texts(f"hand.{action}_record"),
    )
    return forms.section_with(case, view, problems)
