"""Ending a case without a decision: it was entered twice, or the applicant withdrew it. The rules and the view."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.cases import CAN_BE_WITHDRAWN, Case
from ledger.decisions import WITHDRAWALS, withdrawal
from ledger.records import Draft
from web.cases.decision_form import CaseForms, Choice, Problems, Section, Sent, TextBox
from web.cases.rules import InvalidDecision, missing_name
from web.pages.forms import Form, form_value
from web.pages.texts import Texts
from web.person import Person

WITHDRAW = "withdraw"  # the form's action


@dataclass(frozen=True, kw_only=True)
class WithdrawalForm:
    """The form: why, and a note."""

    template: ClassVar[str] = "cases/withdraw.html"
    sent: Sent
    choices: tuple[Choice, ...]
    choice_problem: str
    note: TextBox


@dataclass(frozen=True)
class Withdrawing:
    """The form, folded under its title."""

    template: ClassVar[str] = "cases/withdrawing.html"
    section: Section
    open: bool


def draft(case: Case, form: Form, person: Person) -> Draft:
    """The record that a case ends without a decision. Raises `InvalidDecision`."""
    if case.state not in CAN_BE_WITHDRAWN:
        raise InvalidDecision({"form": "not_now"})
    problems, reason = missing_name(person), form_value(form, "withdrawal")
    if reason not in WITHDRAWALS:
        problems["withdrawal"] = "choose"
    if problems:
        raise InvalidDecision(problems)
    note = form_value(form, "withdrawal_note") or None
    return case.continued(
        withdrawal(case.first.id, reason, by=person.name, note=note, reference=case.first.reference)
    )  # fmt: skip


def withdrawing(
    forms: CaseForms, case: Case, texts: Texts, problems: Problems | None = None, form: Form | None = None
) -> Withdrawing | None:
    """The form with the values that were sent and what is wrong with them; None once it is too late."""
    if case.state not in CAN_BE_WITHDRAWN:
        return None
    return Withdrawing(withdrawal_section(forms, case, texts, problems or {}, form or {}), bool(problems))


def withdrawal_section(forms: CaseForms, case: Case, texts: Texts, problems: Problems, form: Form) -> Section:
    """The form alone."""
    chosen = form_value(form, "withdrawal")
    view = WithdrawalForm(
        sent=forms.sent(WITHDRAW, case, problems, form),
        choices=tuple(Choice(name, texts(f"withdraw.{name}_why"), name == chosen) for name in WITHDRAWALS),
        choice_problem=forms.problem("withdrawal", problems),
        note=forms.box("withdrawal_note", form, problems),
    )
    return forms.section_with(case, view, problems)
