"""A number's box once it is left: the number as the page writes it, or what is wrong with its text."""

from inference.fields import AnswerRefused, NumberField
from web.cards.problem_card import message
from web.pages.templates import render
from web.pages.texts import Texts


def read_box(field: NumberField, text: str, texts: Texts) -> dict[str, object]:
    """A number as its box shows it once it is left, and what stands beside it; or what is wrong with its text."""
    try:
        value = field.parse(field.read(text, texts.language))
    except AnswerRefused as refused:
        return {"html": render(message(refused.problem, field, texts), texts)}
    return shown_in_box(field, value, texts.language)


def shown_in_box(field: NumberField, value: float, language: str) -> dict[str, object]:
    """A number without its unit, and what stands before and after it."""
    before, after = field.beside(value, language)
    return {"shown": field.write(value, language), "before": before, "after": after}
