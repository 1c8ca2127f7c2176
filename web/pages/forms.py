"""HTML forms as a browser sends them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from functools import partial
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, texts_in

LONGEST_NAME = 60  # characters
LONGEST_TEXT = 2000  # characters
Form = Mapping[str, Sequence[str]]  # name -> values
Handler = Callable[..., Awaitable[Response]]  # takes the request, and the texts by name


def page_with_form(path: str, show: Handler, send: Handler) -> APIRouter:
    """The routes of a page with a form of its own, in each language: `show` answers GET, and `send` POST."""
    router = APIRouter()
    for language in LANGUAGES:
        texts = texts_in(language)
        router.add_route(HOME[language] + path, partial(show, texts=texts), methods=["GET"])
        router.add_route(HOME[language] + path, partial(send, texts=texts), methods=["POST"])
    return router


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """The form in a request's body; None if it has more fields than any of our forms."""
    try:
        return parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=50)
    except ValueError:
        return None


def form_value(form: Form, name: str, longest: int = LONGEST_TEXT) -> str:
    """The first value of a name, without unprintable characters other than newlines, at most `longest` characters."""
    values = form.get(name, [""])
    printable = "".join(mark for mark in (values[0] if values else "") if mark.isprintable() or mark == "\n")
    return printable.strip()[:longest]


def day(text: str) -> date | None:
    """Parse an ISO date; None for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
