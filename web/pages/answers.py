"""Answers as text, and the ids and classes of their elements on a page."""

import re
import unicodedata

from inference.fields import NOT_STATED, AnswerRefused, Choice, ChoiceField, Field, NumberField
from web.pages.texts import Texts

LONGEST_REFERENCE = 100  # characters
RADIO_UP_TO = 6  # choices; more are shown as a searchable list


def row_id(field: Field) -> str:
    """The id of the element around a field's widget."""
    return "field-" + re.sub(r"[^a-zA-Z0-9_-]", "-", field.name)


def kind_of(field: Field) -> str:
    """The CSS class that tells the page's style and script which kind of widget it is."""
    if isinstance(field, NumberField):
        return "number"
    return "radio" if len(offered(field, "en")) <= RADIO_UP_TO else "list"


def is_searched(field: Field) -> bool:
    """Whether it is a long list of codes, in which the server searches: web/desk/choice_search.py."""
    return isinstance(field, ChoiceField) and field.digits is not None and kind_of(field) == "list"


def choice_text(choice: Choice, language: str) -> str:
    """The title, preceded by the code if that is a public one such as 722511 or CA."""
    title = choice.label[language]
    is_public = choice.code.isdigit() or (choice.code.isupper() and choice.code != title)
    return f"{choice.code} — {title}" if is_public and title else title or choice.code


def offered(field: ChoiceField, language: str) -> list[tuple[str, str]]:
    """(text, code) of the choices that a person can select.

    A hierarchy of digit codes offers only complete codes, sorted by code. A long list is sorted by title; a short one
    keeps its order.
    """
    choices = [choice for choice in field.choices if field.digits is None or len(choice.code) == field.digits]
    pairs = [(choice_text(choice, language), choice.code) for choice in choices]
    if field.digits is not None:
        return sorted(pairs, key=lambda pair: pair[1])
    if len(pairs) > RADIO_UP_TO:
        return sorted(pairs, key=lambda pair: (pair[1] == NOT_STATED, alphabetical(pair[0])))
    return pairs


def alphabetical(text: str) -> str:
    """A sort key that ignores accents and case."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()


def labelled(label: str, text: str, texts: Texts) -> str:
    """Such as "Amount: 9,000"; French has a space before the colon."""
    return f"{label}{texts('mark.colon')} {text}"


def field_label(name: str, field: Field | None, language: str) -> str:
    """The field's label; its name if its release is missing."""
    return name if field is None else field.label[language]


def answer_text(raw: object, field: Field | None, language: str) -> str:
    """A recorded answer as text; the raw value if its release is missing or does not accept it."""
    if field is None:
        return str(raw)
    try:
        return field.show(field.parse(raw), language)
    except AnswerRefused:
        return str(raw)
