"""One case on a page: the score as it was, all that followed, and what can be done now. Views only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from markupsafe import Markup

from inference.number_format import localised, write_number, write_percent
from inference.release import Release
from ledger.cases import IN_FORCE, TO_DECIDE, Case
from ledger.events import Agreed, Contested, Decided, Event, Held, Notified, Object, Released, Scored, Unknown
from ledger.replay import SAME, Replayed
from web.cards.score_card import score_card
from web.cases.decision_form import CaseForms, Problems, Section
from web.cases.keeping_form import Keeping, keeping
from web.cases.opened import CaseReader, Opened
from web.lender import Lender, reason_text
from web.pages.answers import answer_text, field_label
from web.pages.forms import Form
from web.pages.frame import root_from
from web.pages.texts import Texts
from web.person import Person
from web.recording import ScoredAnswer


@dataclass(frozen=True)
class Answer:
    """A field's answer; where it was corrected, with the earlier one."""

    label: str
    answer: str
    was: str


@dataclass(frozen=True)
class Entry:
    """One record in words."""

    head: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Objection:
    """Where an objection to a decision is written down."""

    section: Section
    open: bool


@dataclass(frozen=True)
class CaseBody:
    """Score, answers, what happened, what can be done."""

    template: ClassVar[str] = "cases/case.html"
    heading: str
    decided: str  # the last decision in words, or nothing
    card: Markup | None  # the score as it was
    figures: str  # what was recorded of it, where it cannot be made again
    replay: str  # whether it comes out the same today
    same: bool
    answers: tuple[Answer, ...] | None  # None: erased
    section: Section
    objection: Objection | None
    keeping: Keeping
    correct: str  # the way to the desk with these answers, or nothing
    timeline: tuple[Entry, ...]


@dataclass(frozen=True)
class CasePage:
    """The whole page."""

    template: ClassVar[str] = "cases/case_page.html"
    title: str
    body: CaseBody


def case_body(
    opened: Opened, reader: CaseReader, lender: Lender, texts: Texts, person: Person | None, reviewers: Sequence[str],
    action: str = "", problems: Problems | None = None, held: Form | None = None,
) -> CaseBody:  # fmt: skip
    """`problems` are why the last form, for `action`, was not recorded, `held` is what it held."""
    case = opened.case
    forms = CaseForms(lender, texts, root_from("record/x", texts), person, reviewers)
    objecting = action == "contest" and case.state in IN_FORCE  # that form was sent, and comes back
    section = forms.section(case, opened.release, opened.drafts, *((None, None) if objecting else (problems, held)))
    objection = None
    if case.state in IN_FORCE:
        objection = Objection(forms.contest(case, *((problems, held) if objecting else (None, None))), objecting)
    can_correct = case.state in TO_DECIDE and case.score.answers is not None
    card = score_of(opened, texts, lender)
    return CaseBody(
        heading=heading(case, texts),
        decided=forms.told(case),
        card=card,
        figures="" if card is not None else figures(case.score, texts),
        replay=texts(f"replay.{opened.replayed.outcome}", why="; ".join(findings(opened.replayed, texts))),
        same=opened.replayed.outcome == SAME,
        answers=answers(opened, texts),
        section=section,
        objection=objection,
        keeping=keeping(forms, case, person, texts),
        correct=f"{forms.home}?of={quote(case.first.id)}" if can_correct else "",
        timeline=tuple(entry(event, reader.decided_with(case, event), lender, texts) for event in case.events),
    )


def heading(case: Case, texts: Texts) -> str:
    """The reference, or the number of the record."""
    if case.first.reference:
        return texts("record.title", reference=case.first.reference)
    return texts("record.title_number", seq=write_number(case.first.seq, texts.language))


def score_of(opened: Opened, texts: Texts, lender: Lender) -> Markup | None:
    """The card of the score as it was; None where it cannot be made again."""
    score, release, recorded = opened.score, opened.release, opened.case.score
    if score is None or release is None:
        return None
    as_it_was = score._replace(request_id=recorded.id)
    return score_card(
        ScoredAnswer(as_it_was, recorded.seq, opened.explanation, opened.drafts), release, texts, lender
    )  # fmt: skip


def figures(score: Scored, texts: Texts) -> str:
    """What was recorded of a score."""
    return texts(
        "record.figures",
        decision=texts(f"decision.{score.decision}"),
        pd=write_percent(score.pd, texts.language),
        points=f"{score.points:.0f}",
        release=score.release_name,
    )


def findings(replayed: Replayed, texts: Texts) -> list[str]:
    """What a replay found, in the page's language; what only an administrator can use stays out."""
    found = []
    for finding in replayed.findings:
        values = dict(finding.values)
        if finding.kind == "decision":
            values = {name: texts(f"decision.{decision}") for name, decision in values.items()}
        elif finding.kind == "pd":
            values["off"] = localised(values["off"], texts.language)
        found.append(texts(f"replayed.{finding.kind}", **values))
    return found


def answers(opened: Opened, texts: Texts) -> tuple[Answer, ...] | None:
    """What was answered, in the form's order; None where it is erased."""
    given, release = opened.case.score.answers, opened.release
    if given is None:
        return None
    before: Object = opened.case.first.answers or given
    order = [name for name in release.form.names if name in given] if release else []
    rows = []
    for name in [*order, *(name for name in given if name not in order)]:
        field = release.form.fields[release.form.names.index(name)] if release and name in release.form.names else None
        label = field_label(name, field, texts.language)
        answer, was = given[name], before.get(name)
        corrected = "" if was == answer else texts("record.was", answer=answer_text(was, field, texts.language))
        rows.append(Answer(label, answer_text(answer, field, texts.language), corrected))
    return tuple(rows)


def entry(event: Event, release: Release | None, lender: Lender, texts: Texts) -> Entry:
    """One record in words; `release` has those of a decision's reasons."""
    head = texts(
        "entry.head", seq=write_number(event.seq, texts.language), time=event.time[:16].replace("T", " "), by=event.by
    )
    lines = [*said_of(event, release, lender, texts), *written(event)]
    return Entry(head, tuple(line for line in lines if line))


def said_of(event: Event, release: Release | None, lender: Lender, texts: Texts) -> list[str]:
    """What a record of each kind says, in sentences of ours."""
    match event:
        case Scored():
            return [
                texts(
                    "entry.corrected" if event.of else "entry.scored",
                    decision=texts(f"decision.{event.decision}"),
                    pd=write_percent(event.pd, texts.language),
                    release=event.release_name,
                )
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
        case Notified():
            return [texts("entry.notified", day=texts.day(event.day))]
        case Held() | Released():
            return [texts(f"entry.{event.kind}")]
        case _:  # of a later program
            return [texts("entry.other", kind=event.kind)]


def written(event: Event) -> list[str | None]:
    """What somebody wrote into a record."""
    match event:
        case Decided():
            return [event.justification, event.conditions]
        case Agreed():
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
