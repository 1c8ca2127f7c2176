"""Questions on a card about answers that are odd together, and how they were answered. Views only."""

from dataclasses import dataclass
from typing import ClassVar

from inference.questions import CONFIRMED
from inference.release import Release
from web.lender import Lender
from web.pages.answers import labelled, row_id
from web.pages.texts import Texts
from web.recording import ScoredAnswer


@dataclass(frozen=True)
class AskedQuestion:
    """A question, and the two answers that raise it. `row` is the element around the widget of the first one."""

    name: str
    text: str
    answers: str
    row: str
    confirmed: bool


@dataclass(frozen=True)
class AskedQuestions:
    """A question with the answers that raise it. `row` is the element around the widget of the first one."""

    template: ClassVar[str] = "cards/questions.html"
    questions: tuple[AskedQuestion, ...]


def asked_questions(answer: ScoredAnswer, release: Release, texts: Texts, lender: Lender) -> AskedQuestions | None:
    """The questions that the answers raise; None if they raise none, or none that is known."""
    language, form, values = texts.language, release.form, answer.score.application.values
    views = []
    for question in (*release.manifest.questions, *lender.questions):
        if question.name not in answer.questions or not {question.field, question.above} <= set(form.names):
            continue
        fields = [form.names.index(name) for name in (question.field, question.above)]
        shown = f"{texts('mark.semicolon')} ".join(
            labelled(form.fields[place].label[language], form.fields[place].show(values[place], language), texts)
            for place in fields
        )
        confirmed = answer.questions[question.name] == CONFIRMED
        views.append(
            AskedQuestion(question.name, question.text[language], shown, row_id(form.fields[fields[0]]), confirmed)
        )
    return AskedQuestions(tuple(views)) if views else None
