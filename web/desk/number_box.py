"""A number's box after it loses focus: the formatted number, or what is wrong with its text."""

from inference.fields import AnswerRefused, NumberField
from web.cards.problem_card import message
from web.pages.templates import render
from web.pages.texts import Texts


def read_box(field: NumberField, text: str, texts: Texts) -> dict[str, object]:
    """The number as its box shows it, with the texts before and after it; or what is wrong with its text."""
    try:
        value = field.parse(field.read(text, texts.language))
    except AnswerRefused as refused:
        return {"html": render(message(refused.problem, field, texts), texts)}
    return shown_in_box(field, value, texts.language)


def shown_in_box(field: NumberField, value: float, language: str) -> dict[str, object]:
    """A number without its unit, and the texts before and after it."""
    before, after = field.beside(value, language)
    return {"shown": field.write(value, language), "before": before, "after": after}
