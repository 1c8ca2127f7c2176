"""From what stands in the widgets to raw answers, and the numbers that people write."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from msgspec import structs
from parts import NAMES, newest, some

from inference.fields import NOT_STATED, ChoiceField, field_from_json
from inference.number_format import write_percent
from inference.release import open_release
from inference.settings import default_release
from web.desk.form import FormValues, Widgets, build_form, optional, reference_box
from web.desk.gradio_import import gr
from web.pages.answers import kind_of, offered, row_id
from web.pages.texts import FOLDER, LANGUAGES, texts_in

pytestmark = pytest.mark.slow  # the form brings Gradio


def test_percentages() -> None:
    """One digit; two below 1 %."""
    assert write_percent(0.1423, "en") == "14.2\u202f%"
    assert write_percent(0.0043, "fr") == "0,43\u202f%"
    assert write_percent(0.25, "en", 0) == "25\u202f%"


def held_in(language: str = "en", with_reference: bool = False) -> FormValues:
    """The default release's form."""
    return FormValues(open_release(default_release()).form, language, with_reference)


def sent(held: FormValues, values: list[object], language: str) -> dict[str, object]:
    """What the page's script sends of widgets that were filled with these values."""
    fields = held.form.fields
    ticks = dict(zip([one.name for one in optional(held.form)], values[len(fields) :], strict=False))
    found: dict[str, object] = {}
    for field, value in zip(fields, values, strict=False):
        listed = isinstance(field, ChoiceField) and kind_of(field) == "list"
        texts = {code: text for text, code in offered(field, language)} if listed else {}  # type: ignore[arg-type]
        found[field.name] = None if ticks.get(field.name) else texts.get(str(value), value or "")
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_example_travels_through_the_widgets(name: str, language: str) -> None:
    """The example as the widgets hold it comes back as an application equal to the example's own."""
    form = open_release(newest(name)).form
    held = FormValues(form, language)
    assert form.parse(held.answers(sent(held, held.example, language))) == form.parse(form.example)


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_of_a_list_is_known_by_its_text(name: str) -> None:
    """No two choices of a list show the same text, in either language; each comes back as its code."""
    form = open_release(newest(name)).form
    for language in LANGUAGES:
        held = FormValues(form, language)
        for field in form.fields:
            if isinstance(field, ChoiceField):
                pairs = offered(field, language)
                assert len({text for text, _ in pairs}) == len(pairs)
                for text, code in pairs if kind_of(field) == "list" else []:
                    assert held.answers({field.name: text}) == {field.name: code}


def test_widgets_stand_in_the_order_of_their_values() -> None:
    """What fills them has one value each: fields, ticks, reference."""

    async def within() -> Widgets:
        release = open_release(default_release())
        with gr.Blocks():
            texts = texts_in("en")
            return replace(build_form(release.form, release.manifest.groups, texts), reference=reference_box(texts))

    widgets, held = asyncio.run(within()), held_in(with_reference=True)
    assert list(widgets.boxes) == list(held.form.names)
    assert list(widgets.not_stated) == [one.name for one in optional(held.form)]
    assert len(widgets.all) == len(held.example) == len(held.empty)
    assert all(
        box.interactive is not None for box in some(widgets.all)
    )  # else Gradio shuts what no event of its own reads


def test_what_is_left_open_is_missing() -> None:
    """An empty form gives no answers; a ticked "not stated" gives that one."""
    held = held_in()
    assert held.answers(sent(held, held.empty, "en")) == {}
    assert held.answers({one.name: None for one in optional(held.form)}) == {
        one.name: NOT_STATED for one in optional(held.form)
    }


def test_a_reference_is_one_line() -> None:
    """The text of its box; nothing for an unknown field."""
    assert held_in(with_reference=True).reference("  A-1\n2\t3 ") == "A-1 2 3"
    assert len(str(held_in(with_reference=True).reference("x" * 500))) == 100
    nothings: tuple[object, ...] = ("", "  ", None, 7, [])
    for nothing in nothings:
        assert held_in(with_reference=True).reference(nothing) is None
    assert held_in().reference("A-1") is None


def test_hostile_values_reach_only_the_form() -> None:
    """Whatever a client sends in place of a widget's value, it is refused as an answer and breaks nothing."""
    held = held_in()
    for value in ({"a": 1}, [1], True, float("nan"), 10**400, "9" * 5000, "\x00", "<b>", None):
        answers = held.answers(dict.fromkeys(held.form.names, value))
        with pytest.raises(ValueError, match=r".*"):
            held.form.parse(answers)
        assert held.answers(value) == {}


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
    assert row_id(structs.replace(field, name='x" onclick="y')) == "field-x--onclick--y"


def test_languages_have_the_same_keys_and_placeholders() -> None:
    """Every text exists in every language, with the same values to fill in."""
    files = {language: json.loads((FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}
    keys = {language: set(words) for language, words in files.items()}
    assert keys["en"] == keys["fr"]
    for key, text in files["en"].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", files["fr"][key])), key


def test_french_marks_never_begin_a_line() -> None:
    """What stands before : ; ? ! and between guillemets is no plain space, at which a line may end."""
    words = json.loads((FOLDER / "fr.json").read_text("utf-8"))
    assert [key for key, text in words.items() if re.search(r" [:;?!»]|« ", text)] == []
