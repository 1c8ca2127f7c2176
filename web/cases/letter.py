"""The letter to the applicant beside its case: a preview in each language, and the choice of language and of the order
of its reasons, which is recorded. The rules and the views."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ledger.cases import IN_FORCE, Case
from ledger.decisions import arranged
from ledger.records import Draft
from web.cases.decision_form import CaseForms, Choice, Problems, Sent
from web.cases.notice import Notice, chosen_language, principal
from web.cases.notice_page import Unprintable, unprintable
from web.cases.rules import InvalidDecision, missing_name
from web.pages.forms import Form, form_value
from web.pages.texts import LANGUAGES, Texts
from web.person import Person

ARRANGE = "arrange"  # the form's action


@dataclass(frozen=True)
class Sheet:
    """The letter in one language; `missing`: what its PDF cannot show."""

    notice: Notice
    page: str  # path
    pdf: str
    missing: tuple[Unprintable, ...]


@dataclass(frozen=True)
class Reason:
    """A principal reason, with the labels of the buttons that move it."""

    code: str
    text: str
    up: str
    down: str


@dataclass(frozen=True, kw_only=True)
class ArrangeForm:
    """The form: the language, and the reasons in their order; none where there is nothing to order."""

    template: ClassVar[str] = "cases/arrange.html"
    sent: Sent
    languages: tuple[Choice, ...]
    language_problem: str
    reasons: tuple[Reason, ...]
    reasons_problem: str
    moved: str  # what is read out after a move; # stands for the place
    button: str


@dataclass(frozen=True)
class Letter:
    """The section of the letter. The page's script sends its form and replaces it with the response."""

    template: ClassVar[str] = "cases/letter.html"
    path: str  # of the case's page
    problem: str  # why nothing was recorded, if the case has changed
    by: str  # who arranged it
    form: ArrangeForm | None  # None: no letter can be made yet
    sheets: tuple[Sheet, ...]


def draft(case: Case, form: Form, person: Person) -> Draft:
    """The record of the language and the order that a form asks for. Raises `InvalidDecision`."""
    if case.state not in IN_FORCE or case.decision is None:
        raise InvalidDecision({"form": "not_now"})
    problems, language = missing_name(person), form_value(form, "language")
    if language not in LANGUAGES:
        problems["language"] = "choose"
    reasons = tuple(form.get("order", ()))
    if sorted(reasons) != sorted(principal(case)):
        problems["order"] = "order"
    if problems:
        raise InvalidDecision(problems)
    record = arranged(
        case.decision.id, by=person.name, language=language, reasons=reasons, reference=case.first.reference
    )  # fmt: skip
    return case.continued(record)


def letter(
    forms: CaseForms, case: Case, notices: Mapping[str, Notice] | None, texts: Texts,
    problems: Problems | None = None, form: Form | None = None,
) -> Letter | None:  # fmt: skip
    """The section with the values that were sent and what is wrong with them; None without a decision in force.
    `notices` by language; empty where the lender's own words are missing, None where they cannot be drawn."""
    if case.state not in IN_FORCE or notices is None:
        return None
    problems, form = problems or {}, form or {}
    path = forms.path(case)
    problem = forms.problem("form", problems)
    by = "" if case.arranged is None else texts("letter.by", by=case.arranged.by)
    if not notices:
        return Letter(path, problem, by, None, ())
    recorded = principal(case)
    places = order_of(recorded, tuple(form.get("order", ())))
    labels = notices[texts.language]
    sheets = []
    for language, notice in notices.items():
        shown = replace(notice, reasons=tuple(notice.reasons[place] for place in places)) if recorded else notice
        page, pdf = (f"{path}/{name}?lang={language}" for name in ("notice", "notice.pdf"))
        sheets.append(Sheet(shown, page, pdf, unprintable(notice, labels, texts)))
    chosen = form_value(form, "language") or chosen_language(case, texts)
    reasons = tuple(
        Reason(
            recorded[place],
            labels.reasons[place],
            texts("letter.up", reason=labels.reasons[place]),
            texts("letter.down", reason=labels.reasons[place]),
        )
        for place in places
    )
    view = ArrangeForm(
        sent=forms.sent(ARRANGE, case, problems, form),
        languages=tuple(Choice(name, texts(f"letter.{name}"), name == chosen) for name in LANGUAGES),
        language_problem=forms.problem("language", problems),
        reasons=reasons,
        reasons_problem=forms.problem("order", problems),
        moved=texts("letter.moved", place="#"),
        button=texts("letter.record" if len(reasons) > 1 else "letter.record_language"),
    )
    return Letter(path, problem, by, view, tuple(sheets))


def order_of(recorded: tuple[str, ...], sent: tuple[str, ...]) -> tuple[int, ...]:
    """The places of the recorded reasons in the order that was sent, if it has each of them once."""
    order = sent if sorted(sent) == sorted(recorded) else recorded
    return tuple(recorded.index(reason) for reason in order)
