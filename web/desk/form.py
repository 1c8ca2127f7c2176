"""The form: one widget for each field of the release, and the conversion of their values to raw answers.

Nothing here depends on the name of a release or a field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from inference.application import Form
from inference.fields import NOT_STATED, ChoiceField, Field, NumberField
from inference.manifest import Group
from inference.number_format import write_number
from inference.numbers import LONGEST
from web.desk.gradio_import import gr
from web.pages.answers import LONGEST_REFERENCE, RADIO_UP_TO, kind_of, offered, row_id
from web.pages.templates import as_html, render
from web.pages.texts import Texts


class FormValues:
    """Converts the form's values to raw answers, and back.

    The page's script sends field name -> the text of a number or a list, the code of a radio button, or None if "not
    stated" is checked. Widgets are filled with a list of values: the fields in order, then the checkboxes.
    """

    def __init__(self, form: Form, language: str, with_reference: bool = False) -> None:
        self.form, self._language, self.with_reference = form, language, with_reference
        # A list shows texts; if two choices have the same text, the first is used.
        self._codes = {
            field.name: dict(reversed(offered(field, language)))
            for field in form.fields
            if isinstance(field, ChoiceField) and kind_of(field) == "list"
        }

    def answers(self, contents: object) -> dict[str, object]:
        """Raw answers by field name, without empty ones."""
        values = contents if isinstance(contents, dict) else {}
        answers: dict[str, object] = {}
        for field in self.form.fields:
            raw = values.get(field.name, "")
            if raw is None:
                answers[field.name] = NOT_STATED
            elif isinstance(raw, str) and isinstance(field, NumberField):
                if raw.strip():
                    answers[field.name] = field.read(raw, self._language)
            elif raw != "":
                codes = self._codes.get(field.name, {})
                answers[field.name] = codes.get(raw, raw) if isinstance(raw, str) else raw
        return answers

    def reference(self, typed: object) -> str | None:
        """The reference as a single line; None if it is empty."""
        return single_line(typed) if self.with_reference else None

    def values(self, answers: Mapping[str, object], reference: str = "") -> list[object]:
        """The widgets' values for these answers."""
        return [
            *(shown(field, answers.get(field.name), self._language) for field in self.form.fields),
            *(answers.get(field.name) in (None, NOT_STATED) for field in optional(self.form)),
            *([reference] if self.with_reference else []),
        ]

    @property
    def example(self) -> list[object]:
        """The widgets' values for the release's example."""
        return self.values(self.form.example)

    @property
    def empty(self) -> list[object]:
        """The widgets' values for an empty form."""
        return [
            *("" if isinstance(field, NumberField) else None for field in self.form.fields),
            *(False for _ in optional(self.form)),
            *([""] if self.with_reference else []),
        ]


def single_line(typed: object) -> str | None:
    """A text that stands beside the answers, such as the reference, as a single line; None if it is empty."""
    if not isinstance(typed, str):
        return None
    shown = "".join(mark if mark.isprintable() else " " for mark in typed)
    return " ".join(shown.split())[:LONGEST_REFERENCE] or None


def optional(form: Form) -> list[NumberField]:
    """The number fields that may be not stated."""
    return [field for field in form.fields if isinstance(field, NumberField) and field.optional]


@dataclass(frozen=True)
class GroupName:
    """The name of a group of fields."""

    template: ClassVar[str] = "desk/group_name.html"
    name: str


@dataclass(frozen=True)
class Widgets:
    """The widgets of a form."""

    boxes: dict[str, gr.Textbox | gr.Radio | gr.Dropdown]  # one for each field
    not_stated: dict[str, gr.Checkbox]  # one for each optional number
    reference: gr.Textbox | None = None  # the officer's own number of the application, if there is a ledger

    @property
    def all(self) -> list[Any]:
        """In the order of `FormValues.values`."""
        return [*self.boxes.values(), *self.not_stated.values(), *([self.reference] if self.reference else [])]


def build_form(form: Form, groups: Sequence[Group], texts: Texts) -> Widgets:
    """Draw the form, group by group, inside the current Gradio layout."""
    language = texts.language
    boxes: dict[str, Any] = {}
    not_stated: dict[str, gr.Checkbox] = {}
    named = {group.name: group.label[language] for group in groups}
    used = dict.fromkeys(field.group for field in form.fields)
    for name in [*(name for name in named if name in used), *(name for name in used if name not in named)]:
        with gr.Column(elem_classes="group", min_width=0):
            if name in named:
                gr.HTML(render(GroupName(named[name]), texts), js_on_load=None, elem_classes="group-name")
            for field in form.fields:
                if field.group != name:
                    continue
                with gr.Column(elem_id=row_id(field), elem_classes=["field", kind_of(field)], min_width=0):
                    boxes[field.name] = widget(field, texts)
                    if isinstance(field, NumberField) and field.optional:
                        not_stated[field.name] = gr.Checkbox(
                            is_open(field),
                            label=texts("form.not_stated"),
                            interactive=True,
                            container=False,
                            elem_classes="not-stated",
                        )
    ticks = {field.name: not_stated[field.name] for field in optional(form)}
    return Widgets({name: boxes[name] for name in form.names}, ticks)


def reference_box(texts: Texts) -> gr.Textbox:
    """The officer's own reference of the application; recorded with the score, never sent to the model."""
    with (
        gr.Column(elem_classes="group", min_width=0),
        gr.Column(elem_id="reference", elem_classes=["field", "text"], min_width=0),
    ):
        return gr.Textbox(
            "",
            label=texts("form.reference"),
            info=texts("form.reference_help"),
            lines=1,
            max_lines=1,
            max_length=LONGEST_REFERENCE,
            interactive=True,
            elem_classes="answer",
            min_width=0,
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, enterkeyhint="go"),
        )


def widget(field: Field, texts: Texts) -> gr.Textbox | gr.Radio | gr.Dropdown:
    """The widget of a field, filled with its example."""
    language = texts.language
    common: dict[str, Any] = {
        "label": field.label[language],
        "info": as_html(help_text(field, texts)),
        "value": shown(field, field.example, language),
        "elem_classes": "answer",
        "interactive": not is_open(field),
        "min_width": 0,
    }
    if isinstance(field, ChoiceField):
        choices = offered(field, language)
        if len(choices) <= RADIO_UP_TO:
            return gr.Radio(choices, **common)
        return gr.Dropdown(choices, filterable=True, **common)
    # A text box, since a browser's number input drops text that it cannot read, changes with the mouse wheel, and does
    # not support thousands separators.
    return gr.Textbox(
        lines=1,
        max_lines=1,
        max_length=LONGEST,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, enterkeyhint="go"),
        **common,
    )


def is_open(field: Field) -> bool:
    """Whether this number is not stated in the example."""
    return isinstance(field, NumberField) and field.example in (None, NOT_STATED)


def help_text(field: Field, texts: Texts) -> str:
    """The field's help, with the typical range or how to search."""
    parts = [field.help[texts.language]]
    if isinstance(field, NumberField):
        low, high = (write_number(value, texts.language) for value in field.typical)
        parts.append(texts("form.typical", low=low, high=high))
    elif kind_of(field) == "list":
        parts.append(texts("form.search" if isinstance(field, ChoiceField) and field.digits else "form.search_words"))
    return f"{texts('mark.semicolon')} ".join(part for part in parts if part)


def shown(field: Field, answer: object, language: str) -> str | None:
    """An answer as its widget's value; empty or None if the field cannot have it."""
    if isinstance(field, NumberField):
        return field.write(float(answer), language) if type(answer) in (int, float) else ""  # type: ignore[arg-type]
    codes = [code for _, code in offered(field, language)]
    return str(answer) if answer in codes else None
