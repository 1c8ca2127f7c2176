"""Forms as a browser sends them."""

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import parse_qs

from fastapi import Request

LONGEST_NAME = 60  # characters
LONGEST_TEXT = 2000  # characters
Form = Mapping[str, Sequence[str]]  # as a browser sends one


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """A form as a browser sends it; None where it has more fields than any of ours."""
    try:
        return parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=50)
    except ValueError:
        return None


def one(form: Form, name: str, longest: int = LONGEST_TEXT) -> str:
    """A single value of a form, on printable characters; line ends stay."""
    values = form.get(name, [""])
    kept = "".join(mark for mark in (values[0] if values else "") if mark.isprintable() or mark == "\n")
    return kept.strip()[:longest]


def day(text: str) -> date | None:
    """An ISO date; None for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
