"""The page of a case: the score as recorded, what happened since, and what can be done now. Views only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from markupsafe import Markup

from inference.number_format import localised, write_number, write_percent
from inference.release import Release
from ledger.cases import IN_FORCE, TO_DECIDE, Case
from ledger.events import (
    Agreed,
    Arranged,
    Assigned,
    Contested,
    Decided,
    Event,
    Held,
    Noted,
    Notified,
    Object,
    Released,
    Scored,
    Unknown,
    Withdrawn,
)
from ledger.events import Outcome as LoanOutcome
from ledger.replay import SAME, Replayed
from web.cards.score_card import score_card
from web.cases.decision_form import CaseForms, Outcome, Problems, Section
from web.cases.handing_on import HandingOn, handing_on
from web.cases.keeping_form import Keeping, keeping
from web.cases.letter import ARRANGE, Letter, letter
from web.cases.notice import Notice
from web.cases.opened import CaseReader, Opened
from web.cases.status import status
from web.cases.withdrawing import WITHDRAW, Withdrawing, withdrawing
from web.lender import Lender, reason_text
from web.pages.answers import answer_text, field_label
from web.pages.forms import Form
from web.pages.frame import root_from
from web.pages.texts import LANGUAGES, Texts
from web.person import Person
from web.recording import ScoredAnswer


@dataclass(frozen=True)
class Answer:
    """A field's answer, with the earlier one if it was corrected."""

    label: str
    answer: str
    was: str


@dataclass(frozen=True)
class Entry:
    """A record of the case in words."""

    head: str
    lines: tuple[str, ...]
    notice: str = ""  # the way to the notice that was handed over


@dataclass(frozen=True)
class Objection:
    """The folded section with the form to record an objection to a decision."""

    section: Section
    open: bool


@dataclass(frozen=True)
class CaseBody:
    """The content of the page: score, answers, history, forms."""

    template: ClassVar[str] = "cases/case.html"
    heading: str
    status: str  # what is expected, of whom, by when
    outcome: Outcome | None  # how it was decided or ended
    card: Markup | None  # the card of the recorded score
    figures: str  # the recorded figures, if the score cannot be computed again
    replay: str  # whether computing the score again gives the same result
    same: bool
    answers: tuple[Answer, ...] | None  # None: erased
    section: Section
    letter: Letter | None
    objection: Objection | None
    keeping: Keeping
    withdrawing: Withdrawing | None
    handing: tuple[HandingOn, ...]
    correct: str  # the link to the desk with these answers, or an empty string
    timeline: tuple[Entry, ...]


@dataclass(frozen=True)
class CasePage:
    """The whole page."""

    template: ClassVar[str] = "cases/case_page.html"
    title: str
    body: CaseBody


def case_body(
    opened: Opened, reader: CaseReader, lender: Lender, texts: Texts, person: Person | None, reviewers: Sequence[str],
    action: str = "", problems: Problems | None = None, values: Form | None = None, state: str = "",
    notices: Mapping[str, Notice] | None = None,
) -> CaseBody:  # fmt: skip
    """The content of a case's page. `state` is what the release was when it made the score. `problems` are why the last
    form, for `action`, was not recorded; `values` are that form's values. `notices` are those of the case by language.
    """
    case = opened.case
    forms = CaseForms(lender, texts, root_from("record/x", texts), person, reviewers)
    objecting = action == "contest" and case.state in IN_FORCE  # that form was sent, and is shown again
    arranging = action == ARRANGE and "form" not in (problems or {})  # `section` says that the case has moved
    section = forms.section(case, opened.release, opened.drafts, *((None, None) if objecting else (problems, values)))
    objection = None
    if case.state in IN_FORCE:
        objection = Objection(forms.contest(case, *((problems, values) if objecting else (None, None))), objecting)
    can_correct = case.state in TO_DECIDE and case.score.answers is not None
    card = recorded_card(opened, texts, lender, state)

    def told_with(event: Event) -> Release | None:
        """The release that has the texts of an event's reasons: that of its decision."""
        of = next((decision for decision in case.of_kind(Decided) if decision.id == event.of), event)
        return reader.decided_with(case, of if isinstance(event, Arranged) else event)

    return CaseBody(
        heading=heading(case, texts),
        status=status(case, lender.work, texts, lender.work.today()),
        outcome=forms.outcome(case),
        card=card,
        figures="" if card is not None else figures(case.score, texts),
        replay=texts(f"replay.{opened.replayed.outcome}", why="; ".join(findings(opened.replayed, texts))),
        same=opened.replayed.outcome == SAME,
        answers=answers(opened, lender, texts),
        section=section,
        letter=letter(forms, case, notices, texts, *((problems, values) if arranging else (None, None))),
        objection=objection,
        keeping=keeping(forms, case, person, texts),
        withdrawing=withdrawing(forms, case, texts, *((problems, values) if action == WITHDRAW else (None, None))),
        handing=handing_on(forms, case, texts, reviewers, {action: (problems or {}, values or {})}),
        correct=f"{forms.home}?of={quote(case.first.id)}" if can_correct else "",
        timeline=tuple(entry(event, case, told_with(event), lender, texts) for event in case.events),
    )


def heading(case: Case, texts: Texts) -> str:
    """The title: the reference, or the number of the record."""
    if case.first.reference:
        return texts("record.title", reference=case.first.reference)
    return texts("record.title_number", seq=write_number(case.first.seq, texts.language))


def recorded_card(opened: Opened, texts: Texts, lender: Lender, state: str) -> Markup | None:
    """The card of the recorded score; None if the score cannot be computed again."""
    score, release, recorded = opened.score, opened.release, opened.case.score
    if score is None or release is None:
        return None
    as_it_was = score._replace(request_id=recorded.id)
    answer = ScoredAnswer(
        as_it_was,
        opened.case.first.seq,
        opened.explanation,
        opened.drafts,
        state=state,
        ruling=opened.ruling,
        questions=opened.questions,
    )
    return score_card(answer, release, texts, lender)


def figures(score: Scored, texts: Texts) -> str:
    """The recorded figures of a score, in words."""
    return texts(
        "record.figures",
        decision=texts(f"decision.{score.decision}"),
        pd=write_percent(score.pd, texts.language),
        points=f"{score.points:.0f}",
        release=score.release_name,
    )


def findings(replayed: Replayed, texts: Texts) -> list[str]:
    """The differences that a replay found, in the page's language, without what only an administrator needs."""
    sentences = []
    for finding in replayed.findings:
        values = dict(finding.values)
        if finding.kind == "decision":
            values = {name: texts(f"decision.{decision}") for name, decision in values.items()}
        elif finding.kind == "pd":
            values["off"] = localised(values["off"], texts.language)
        sentences.append(texts(f"replayed.{finding.kind}", **values))
    return sentences


def answers(opened: Opened, lender: Lender, texts: Texts) -> tuple[Answer, ...] | None:
    """Who applies, where that is recorded, and the answers in the form's order; None if they were erased."""
    recorded, release = opened.case.score.answers, opened.release
    if recorded is None:
        return None
    before: Object = opened.case.first.answers or recorded
    order = [name for name in release.form.names if name in recorded] if release else []
    applicant, labels = opened.case.score.applicant, lender.work.applicant
    label = labels[texts.language] if labels is not None else texts("work.applicant")
    rows = [] if applicant is None else [Answer(label, applicant, "")]
    for name in [*order, *(name for name in recorded if name not in order)]:
        field = release.form.fields[release.form.names.index(name)] if release and name in release.form.names else None
        label = field_label(name, field, texts.language)
        answer, was = recorded[name], before.get(name)
        corrected = "" if was == answer else texts("record.was", answer=answer_text(was, field, texts.language))
        rows.append(Answer(label, answer_text(answer, field, texts.language), corrected))
    return tuple(rows)


def entry(event: Event, case: Case, release: Release | None, lender: Lender, texts: Texts) -> Entry:
    """A record of a case in words; `release` has the texts of a decision's reasons."""
    moment = lender.work.local(event.time)
    head = texts("entry.head", time=f"{moment:%Y-%m-%d %H:%M}", zone=f"{moment:%Z}", by=event.by)
    lines = [*event_sentences(event, release, lender, texts), *free_texts(event)]
    has_text = isinstance(event, Notified) and event.text is not None
    way = f"{quote(case.first.id)}/notice?handed={quote(event.id)}" if has_text else ""
    return Entry(head, tuple(line for line in lines if line), way)


def event_sentences(event: Event, release: Release | None, lender: Lender, texts: Texts) -> list[str]:
    """Sentences about a record, by its kind."""
    match event:
        case Scored():
            return [
                texts(
                    "entry.corrected" if event.of else "entry.scored",
                    decision=texts(f"decision.{event.decision}"),
                    pd=write_percent(event.pd, texts.language),
                    release=event.release_name,
                ),
                texts("entry.outcome", outcome=texts(f"decision.{event.outcome}")) if event.outcome else "",
            ]
        case Decided():
            decision, suggested = texts(f"decided.{event.decision}"), texts(f"decision.{event.suggested}")
            confirmed = [reason_text(reason, release, lender, texts.language) for reason in event.reasons or ()]
            return [
                texts("entry.decided", decision=decision, suggested=suggested),
                lender.reason(event.direction, event.reason_code, texts.language) if event.reason_code else "",
                texts("entry.needs_second") if event.needs_second else "",
                texts("entry.reasons", reasons="; ".join(confirmed)) if confirmed else "",
            ]
        case Agreed():
            return [texts("entry.agreed" if event.agrees else "entry.not_agreed")]
        case Contested():
            return [texts("entry.contested", reviewer=event.reviewer, deadline=texts.day(event.deadline))]
        case Arranged():
            ordered = [reason_text(reason, release, lender, texts.language) for reason in event.reasons or ()]
            return [
                texts("entry.arranged", language=texts(f"letter.{event.language}")) if event.language in LANGUAGES
                else texts("entry.arranged_erased"),
                texts("entry.ordered", reasons="; ".join(ordered)) if len(ordered) > 1 else "",
            ]  # fmt: skip
        case Notified():
            return [texts("entry.notified", day=texts.day(event.day))]
        case Held() | Released():
            return [texts(f"entry.{event.kind}")]
        case Withdrawn():
            return [texts("entry.withdrawn", reason=texts(f"withdraw.{event.reason}"))]
        case Assigned():
            return [texts("entry.assigned", to=event.to)]
        case Noted():
            return [texts("entry.noted")]
        case LoanOutcome():
            return [texts(f"entry.outcome_{event.outcome}", day=texts.day(event.day))]
        case _:  # a record of a later version of Tenfold
            return [texts("entry.other", kind=event.kind)]


def free_texts(event: Event) -> list[str | None]:
    """The texts that somebody wrote into a record."""
    match event:
        case Decided():
            return [event.justification, event.conditions]
        case Agreed() | Withdrawn() | Assigned() | Noted():
            return [event.note]
        case Contested():
            return [event.objection]
        case Held() | Released():
            return [event.reason]
        case Unknown():
            texts_of = ("justification", "conditions", "note", "objection", "reason")
            return [str(event.content[name]) for name in texts_of if event.content.get(name)]
        case _:
            return []
