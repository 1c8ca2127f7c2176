"""The form drawn anew, and what was typed comes along: the page was drawn for a release that another one has replaced,
or, where nobody has to log in, another language was chosen.

The page's script sends it in the body of a POST for the page itself, so that it is in no address and in no storage of
the browser, and the response has it in the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.fields import ChoiceField, Field, NumberField
from inference.numbers import LONGEST
from inference.release import Release
from web.desk.form import FormValues, optional, single_line
from web.pages.answers import labelled, offered
from web.pages.forms import Form, read_form
from web.pages.languages import page_language
from web.pages.templates import render
from web.pages.texts import Texts

KEY, KEPT = "tenfold.typed", "tenfold.kept"  # of a request's scope: for another release; in another language
MOST_FIELDS = 40
LONGEST_TYPED = 200  # characters of a label or an answer that is shown again


@dataclass(frozen=True)
class Redrawn:
    """What happened to the form, above it."""

    template: ClassVar[str] = "desk/redrawn.html"
    lead: str
    case: str
    lost: tuple[str, ...]  # answers that this form cannot have, each with its question
    added: str


class TypedBefore:
    """ASGI middleware: a POST for the desk's page is answered with the page; what was typed is in its scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        as_get = {**scope, "method": "GET"} if scope["type"] == "http" and scope["method"] == "POST" else scope
        if as_get is scope or page_language(as_get) is None:
            await self.app(scope, receive, send)
            return
        form = await read_form(Request(scope, receive)) or {}
        sent = {key: json_in(form, name) for key, name in ((KEY, "typed"), (KEPT, "kept"))}
        headers = [(name, value) for name, value in scope["headers"] if not name.startswith(b"content-")]

        async def nothing_more() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self.app({**as_get, "headers": headers, **sent}, nothing_more, send)


def json_in(form: Form, name: str) -> object:
    """The value of an input that holds JSON; None if it holds none."""
    try:
        return orjson.loads((form.get(name) or ["null"])[0])
    except ValueError:
        return None


def redrawn(typed: object, release: Release, form_values: FormValues, texts: Texts) -> dict[str, object]:
    """The widgets' values for what was typed into the form of another release, and the message about it.

    `typed` is what the page's script sent: `rows` with name, kind, unit, label, value and the answer's text for each
    field, `reference`, `applicant`, and `case`: whether answers of a case were being corrected.
    """
    content: dict[str, Any] = typed if isinstance(typed, dict) else {}
    sent = content.get("rows")
    rows = {
        row["name"]: row
        for row in (sent[:MOST_FIELDS] if isinstance(sent, list) else ())
        if isinstance(row, dict) and isinstance(row.get("name"), str)
    }
    values: list[object] = []
    ticked: set[str] = set()
    taken_over: set[str] = set()
    for field in release.form.fields:
        row = rows.get(field.name)
        value = None if row is None else kept_value(row, field, texts.language)
        if value is not None:
            taken_over.add(field.name)
        elif row is not None and stays_open(row, field):
            taken_over.add(field.name)
            ticked.add(field.name)
        values.append(("" if value is None else value) if isinstance(field, NumberField) else value)
    values += [field.name in ticked for field in optional(release.form)]
    if form_values.with_reference:
        values.append(form_values.reference(content.get("reference")) or "")
    lost = tuple(
        labelled(text_of(row, "label"), f"{text_of(row, 'text')} {text_of(row, 'unit')}".strip(), texts)
        for name, row in rows.items()
        if name not in taken_over and text_of(row, "text")
    )
    added = [
        field.label[texts.language]
        for field in release.form.fields
        if field.name not in taken_over and (field.name not in rows or text_of(rows[field.name], "text"))
    ]
    message = Redrawn(
        texts("redrawn.lead", release=release.name),
        texts("redrawn.case") if content.get("case") is True else "",
        lost,
        texts("redrawn.added", fields=", ".join(added)) if added else "",
    )
    applicant = single_line(content.get("applicant")) or ""
    return {"values": values, "applicant": applicant, "html": render(message, texts)}


def kept_value(row: Mapping[str, Any], field: Field, language: str) -> str | None:
    """The widget's value for what was typed for the field of that name; None if this form cannot have it. A number in
    another unit is another number."""
    value = row.get("value")
    if not isinstance(value, str) or row.get("unit", "") != field.unit[language]:
        return None
    if isinstance(field, NumberField):
        return value[:LONGEST] if row.get("kind") == "number" else None
    if row.get("kind") == "number" or not isinstance(field, ChoiceField):
        return None
    for text, code in offered(field, language):
        if value in ((code,) if row.get("kind") == "radio" else (code, text)):
            return str(code)
    return None


def stays_open(row: Mapping[str, Any], field: Field) -> bool:
    """Whether a number was marked as not stated, and may be here."""
    return "value" in row and row["value"] is None and isinstance(field, NumberField) and field.optional


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A text that the page sent, on one line."""
    value = row.get(name)
    return " ".join(value.split())[:LONGEST_TYPED] if isinstance(value, str) else ""
