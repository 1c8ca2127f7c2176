"""Markup in every text of a view, and a parser that finds what became of it, for tests of pages and reports."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from markupsafe import Markup

from web.pages.frame import Banner
from web.pages.templates import View

MARKUP = """<b id="planted">'&"</b><script>planted()</script>"""


def sample(hint: Any, full: bool) -> Any:
    """A value of a type, with markup in all its texts; lists and what may be left out are there where it is `full`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        options = [one for one in inner if one is not type(None)]
        return sample(options[0], full) if full or len(options) == len(inner) else None
    if origin is Literal:
        return inner[-1] if full else inner[0]
    if origin in (tuple, list, Sequence):
        if origin is tuple and Ellipsis not in inner:
            return tuple(sample(one, full) for one in inner)
        return tuple(sample(inner[0], full) for _ in range(2 if full else 0))
    if origin in (dict, Mapping):
        return {sample(inner[0], full): sample(inner[1], full)} if full else {}
    if hint is View:
        return Banner("open", MARKUP)
    if hint is Markup:
        return Markup("<i>made elsewhere</i>")
    if hint is bool:
        return full
    if hint in (int, float):
        return hint(3)
    if hint is str:
        return MARKUP if full else ""
    if isinstance(hint, type) and is_dataclass(hint):
        return sample_of(hint, full)
    if isinstance(hint, type) and hasattr(hint, "_fields"):  # a NamedTuple
        return hint(*(sample(one, full) for one in get_type_hints(hint).values()))
    raise AssertionError(f"no sample of {hint}: a view holds texts, numbers, and other views")


def sample_of(kind: type[Any], full: bool) -> Any:
    hints = get_type_hints(kind)
    return kind(**{field.name: sample(hints[field.name], full) for field in fields(kind) if field.init})


class Planted(HTMLParser):
    """Looks for what must not have become an element or an attribute; and for elements that nobody closes."""

    VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.texts = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert len(given) == len(attributes), f"<{tag}> has an attribute twice"
        if given.get("id") == "planted" or any(name.startswith(("planted", "'", '"', "&")) for name in given):
            self.found.append(tag)
        self.texts += sum("planted" in (value or "") for value in given.values())
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += "planted" in data
