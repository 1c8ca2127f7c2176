"""HTML forms as a browser sends them."""

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import parse_qs

from fastapi import Request

LONGEST_NAME = 60  # characters
LONGEST_TEXT = 2000  # characters
Form = Mapping[str, Sequence[str]]  # name -> values


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
