"""The card for invalid answers: what is wrong with each, and which numbers an ambiguous text can mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from inference.errors import Problem
from inference.fields import Field, NumberField
from inference.number_format import write_number
from inference.release import Release
from web.pages.answers import row_id
from web.pages.templates import render
from web.pages.texts import Texts


@dataclass(frozen=True)
class Message:
    """What is wrong with an answer, and the numbers that its text can mean, each a button that fills the input."""

    template: ClassVar[str] = "cards/message.html"
    text: str
    row: str  # the id of the element around the field's widget; empty for an unknown field
    readings: tuple[str, ...]


@dataclass(frozen=True)
class ProblemItem:
    """A field with its message."""

    field: str
    message: Message


@dataclass(frozen=True)
class ProblemCard:
    """All invalid answers."""

    template: ClassVar[str] = "cards/problems.html"
    state: ClassVar[str] = "problems"
    title: str
    items: tuple[ProblemItem, ...]


def problem_card(problems: Sequence[Problem], release: Release, texts: Texts) -> Markup:
    """The card of all invalid answers; the page's script also shows each message under its field."""
    fields = {field.name: field for field in release.form.fields}
    items = []
    for problem in problems:
        field = fields.get(problem.field)
        name = field.label[texts.language] if field else problem.field
        items.append(ProblemItem(name, message(problem, field, texts)))
    title = texts("problems.one") if len(problems) == 1 else texts("problems.many", count=len(problems))
    return render(ProblemCard(title, tuple(items)), texts)


def message(problem: Problem, field: Field | None, texts: Texts) -> Message:
    """What is wrong with an answer, with the numbers that its text can mean."""
    readings: tuple[str, ...] = ()
    if isinstance(field, NumberField):
        readings = tuple(field.write(number, texts.language) for number in problem.readings)
    return Message(explain(problem, field, texts), row_id(field) if field else "", readings)


def explain(problem: Problem, field: Field | None, texts: Texts) -> str:
    """A problem in the page's language: what is wrong, what is allowed, and an example."""
    language = texts.language
    if isinstance(field, NumberField):
        unit = field.unit[language]
        values = {
            "low": field.show(field.minimum, language),
            "high": field.show(field.maximum, language),
            "got": quoted(problem.got.strip("'\""), language),
            "extra": quoted(problem.extra, language),
            "unit": unit,
            "counted": texts("problem.counted", unit=unit) if unit else "",
            "example": field.show(field.typical_answer, language),
            "readings": texts("mark.or").join(field.write(number, language) for number in problem.readings),
        }
        if problem.kind != "too_small" and not field.beside(0, language)[0]:
            values["low"] = write_number(field.minimum, language)  # the unit follows the other bound
        kind = "missing_optional" if problem.kind == "missing" and field.optional else problem.kind
        return texts(f"problem.{kind}", **values)
    if field is None:
        return texts("problem.unknown_field")
    return texts("problem.missing_choice" if problem.kind in ("missing", "not_stated") else "problem.not_a_choice")


def quoted(text: str, language: str) -> str:
    return f"«\u00a0{text}\u00a0»" if language == "fr" else f"“{text}”"
