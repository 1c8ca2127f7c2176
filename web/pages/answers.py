"""Answers in words, and where a page has them."""

import re
import unicodedata

from inference.fields import NOT_STATED, AnswerRefused, Choice, ChoiceField, Field, NumberField
from web.pages.texts import Texts

LONGEST_REFERENCE = 100  # characters
RADIO_UP_TO = 6  # choices; more go into a list to search


def row_id(field: Field) -> str:
    """The id of the element around a field's widget."""
    return "field-" + re.sub(r"[^a-zA-Z0-9_-]", "-", field.name)


def kind_of(field: Field) -> str:
    """The class by which the page's style and script know what kind of widget it is."""
    if isinstance(field, NumberField):
        return "number"
    return "radio" if len(offered(field, "en")) <= RADIO_UP_TO else "list"


def choice_text(choice: Choice, language: str) -> str:
    """The title, after the code where that is a public one such as 722511 or CA and not a word of ours."""
    title = choice.label[language]
    is_public = choice.code.isdigit() or (choice.code.isupper() and choice.code != title)
    return f"{choice.code} — {title}" if is_public and title else title or choice.code


def offered(field: ChoiceField, language: str) -> list[tuple[str, str]]:
    """(text, code) of the choices that a person can pick.

    Of a hierarchy of digit codes only whole codes, by code; of a long list by title; short ones as they are.
    """
    choices = [choice for choice in field.choices if field.digits is None or len(choice.code) == field.digits]
    pairs = [(choice_text(choice, language), choice.code) for choice in choices]
    if field.digits is not None:
        return sorted(pairs, key=lambda pair: pair[1])
    if len(pairs) > RADIO_UP_TO:
        return sorted(pairs, key=lambda pair: (pair[1] == NOT_STATED, alphabetical(pair[0])))
    return pairs


def alphabetical(text: str) -> str:
    """A sort key without accents and case."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()


def labelled(label: str, text: str, texts: Texts) -> str:
    """Such as "Amount: 9,000": in French with a space before the colon."""
    return f"{label}{texts('mark.colon')} {text}"


def field_label(name: str, field: Field | None, language: str) -> str:
    """What a field is called; its name where its release is gone."""
    return name if field is None else field.label[language]


def answer_text(raw: object, field: Field | None, language: str) -> str:
    """A recorded answer in words; as it was recorded where the release is gone or would refuse it."""
    if field is None:
        return str(raw)
    try:
        return field.show(field.parse(raw), language)
    except AnswerRefused:
        return str(raw)
