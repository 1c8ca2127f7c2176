"""From what stands in the widgets to raw answers, and the numbers that people write."""

import asyncio
import json
import re

import gradio as gr
import pytest

from inference.fields import NOT_STATED, ChoiceField, NumberField, field_from_json, write_number
from inference.release import open_release
from inference.settings import default_release
from web.form import Widgets, build_form, offered, row_id
from web.numbers import read_number, write_percent
from web.texts import FOLDER, LANGUAGES, texts_in


@pytest.mark.parametrize(
    ("text", "language", "number"),
    [
        ("1000", "en", 1000),
        ("1,000", "en", 1000),
        ("1,234,567.5", "en", 1234567.5),
        (" 12. ", "en", 12.0),
        (".5", "en", 0.5),
        ("\N{MINUS SIGN}3", "en", -3),
        ("1 000", "fr", 1000),
        ("1\u202f234,5", "fr", 1234.5),
        ("1\u00a0000", "fr", 1000),
        (",5", "fr", 0.5),
    ],
)
def test_numbers_are_read_as_the_language_writes_them(text: str, language: str, number: float) -> None:
    """Separators of the page's own language, grouped in threes or not at all."""
    assert read_number(text, language) == number


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("1,5", "en"), ("1 000", "en"), ("1,0000", "en"), ("1.2.3", "en"), ("1e5", "en"), ("nan", "en"), ("inf", "en"),
        ("0x10", "en"), ("１２", "en"), ("1.5", "fr"), ("1.000", "fr"), ("10 00", "fr"), ("9" * 31, "en"),
        ("--1", "en"), ("1_000", "en"), ("12abc", "fr"),
    ],
)  # fmt: skip
def test_what_is_no_number_stays_a_text(text: str, language: str) -> None:
    """A slip such as "1,5" in English is not taken for fifteen; the form refuses it by name."""
    assert read_number(text, language) == text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("value", [0, 5, 1234, 1234567, 0.5, 1234.25, -3])
def test_a_written_number_reads_back(language: str, value: float) -> None:
    """What the page writes, it reads."""
    assert read_number(write_number(value, language), language) == value


def test_percentages() -> None:
    """One digit; two below 1 %."""
    assert write_percent(0.1423, "en") == "14.2\u202f%"
    assert write_percent(0.0043, "fr") == "0,43\u202f%"
    assert write_percent(0.25, "en", 0) == "25\u202f%"


def build(language: str = "en") -> Widgets:
    """The default release's form, made as the server makes it: within an event loop."""

    async def within() -> Widgets:
        release = open_release(default_release())
        with gr.Blocks():
            return build_form(release.form, release.manifest["groups"], texts_in(language))

    return asyncio.run(within())


def test_example_travels_through_the_widgets() -> None:
    """The example as the widgets hold it comes back as an application equal to the example's own."""
    for language in LANGUAGES:
        widgets = build(language)
        form = widgets.form
        assert list(widgets.boxes) == list(form.names)
        assert form.parse(widgets.answers(widgets.example)) == form.parse(form.example)


def test_what_is_left_open_is_missing() -> None:
    """An empty form gives no answers; a ticked "not stated" gives that one."""
    widgets = build()
    assert widgets.answers(widgets.empty) == {}
    ticked = [*widgets.empty[: len(widgets.boxes)], *(True for _ in widgets.not_stated)]
    assert widgets.answers(ticked) == dict.fromkeys(widgets.not_stated, NOT_STATED)
    assert set(widgets.not_stated) == {f.name for f in widgets.form.fields if isinstance(f, NumberField) and f.optional}


def test_hostile_values_reach_only_the_form() -> None:
    """Whatever a client sends in place of a widget's value, it is refused as an answer and breaks nothing."""
    widgets = build()
    for value in ({"a": 1}, [1], True, float("nan"), 10**400, "9" * 5000, "\x00", "<b>", None):
        answers = widgets.answers([value] * len(widgets.all))
        with pytest.raises(ValueError, match=r".*"):
            widgets.form.parse(answers)
    assert widgets.answers([]) == {}


def choice_field(codes: dict[str, str], digits: int | None = None) -> ChoiceField:
    texts = {"en": "x", "fr": "x"}
    field = field_from_json(
        {
            "kind": "choice", "name": "industry", "group": "g", "label": texts, "help": texts, "unit": texts,
            "actionable": None, "notice": True, "example": next(iter(codes)), "reference": None, "digits": digits,
            "choices": [{"code": c, "label": {"en": t, "fr": t}, "count": 1} for c, t in codes.items()],
        }
    )  # fmt: skip
    assert isinstance(field, ChoiceField)
    return field


def test_a_hierarchy_offers_whole_codes_only() -> None:
    """Prefixes of a digit hierarchy are known to the model and not on offer to a person; order is by code."""
    field = choice_field({"72": "Food", "722511": "Restaurants", "111110": "Soybeans", "7225": "Eating"}, digits=6)
    assert offered(field, "en") == [("111110 — Soybeans", "111110"), ("722511 — Restaurants", "722511")]


def test_long_lists_are_sorted_and_short_ones_are_not() -> None:
    """Public codes stand before their title, our own words do not; "not stated" comes last."""
    states = {"NY": "New York", "CA": "California", "not_stated": "Not stated", "WA": "Washington", "OR": "Oregon",
              "TX": "Texas", "AZ": "Arizona"}  # fmt: skip
    assert [text for text, _ in offered(choice_field(states), "en")][::6] == ["AZ — Arizona", "Not stated"]
    assert offered(choice_field({"yes": "Yes", "no": "No"}), "en") == [("Yes", "yes"), ("No", "no")]


def test_row_ids_are_safe() -> None:
    """A field's name cannot leave its attribute."""
    field = choice_field({"a": "A"})
    object.__setattr__(field, "name", 'x" onclick="y')
    assert row_id(field) == "field-x--onclick--y"


def test_languages_have_the_same_keys_and_placeholders() -> None:
    """Every text exists in every language, with the same values to fill in."""
    files = {language: json.loads((FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}
    keys = {language: set(words) for language, words in files.items()}
    assert keys["en"] == keys["fr"]
    for key, text in files["en"].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", files["fr"][key])), key
