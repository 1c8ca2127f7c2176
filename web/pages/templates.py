"""HTML from Jinja2 templates: a page, or a part of one, is a view (a frozen dataclass) and the template that it names.

A view holds finished texts and numbers, and other views; the template says where they go. Every text is escaped, and a
name that a view lacks is an error. No module but this one makes HTML, of Markdown too.
"""

import json
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from web.pages.assets import asset_path
from web.pages.texts import Texts

FOLDER = Path(__file__).with_name("templates")
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(svg|png)")


class View(Protocol):
    """What one template shows."""

    template: ClassVar[str]  # its path below `FOLDER`


def render(view: View, texts: Texts, **more: object) -> Markup:
    """The view's HTML. The template knows `view`, `texts`, `part(view)` for a view within this one, `asset_path(name)`,
    and what else is given."""
    return Markup(TEMPLATES.get_template(view.template).render(view=view, texts=texts, **more))  # noqa: S704 - escaped


def as_html(text: str) -> Markup:
    """A text where HTML is taken and no template is around it."""
    return escape(text)


def for_script(facts: object) -> Markup:
    """JSON for a script element that runs nothing: no text can end the element."""
    return Markup(json.dumps(facts).replace("<", r"\u003c"))  # noqa: S704 - escaped


def markdown(source: str, pictures: str) -> Markup:
    """Markdown that anyone may have written. Markup in it is shown, not obeyed; pictures are those of the folder
    `pictures` alone, which ends with a slash; a link that leads to no other site is only its words.

    Headings are one lower than in the source, since the first of a page is its name; wide tables scroll; alignment is a
    class, since no inline style is allowed.
    """
    fitted: list[Token] = []
    for token in MARKDOWN.parse(source):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        elif token.type in ("th_open", "td_open"):
            aligned = str(token.attrs.pop("style", "")).removeprefix("text-align:")
            token.attrs |= {"class": aligned} if aligned else {}
        elif token.type == "table_open":
            fitted.append(Token("wide_open", "div", 1, {"class": "wide", "tabindex": "0"}, block=True))
        elif token.children:
            token.children = fitted_words(token.children, pictures)
        fitted.append(token)
        if token.type == "table_close":
            fitted.append(Token("wide_close", "div", -1, block=True))
    return Markup(MARKDOWN.renderer.render(fitted, MARKDOWN.options, {}))  # noqa: S704 - escaped


def fitted_words(tokens: list[Token], pictures: str) -> list[Token]:
    """What stands in one paragraph, cell or heading, with its links and pictures as `markdown` says."""
    fitted, only_words = [], False
    for token in tokens:
        if token.type == "link_open":
            only_words = not str(token.attrs["href"]).startswith(("https://", "http://"))
        elif token.type == "image" and PICTURE.fullmatch(str(token.attrs["src"])):
            token.attrs["src"] = f"{pictures}{token.attrs['src']}"
        elif token.type == "image":
            token = Token("text", "", 0, content=token.content)
        if token.type not in ("link_open", "link_close") or not only_words:
            fitted.append(token)
    return fitted


@pass_context
def part(context: Context, view: View | None) -> Markup:
    """A view within another one; nothing for None."""
    return Markup() if view is None else render(view, context["texts"])


def fixed(number: float, digits: int) -> str:
    """A number of a drawing, with so many decimals."""
    return f"{number:.{digits}f}"


class Templates(Environment):
    """Jinja's environment, whose globals are the same plain dict for every template: they never change, and Jinja reads
    its ChainMap anew for every part of a page, a sixth of the time of a score card."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        assert d is None  # noqa: S101 - no template here has globals of its own
        return self.globals


def environment() -> Environment:
    """The templates; each is compiled once, when it is first used."""
    made = Templates(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["fixed"] = fixed
    made.globals |= {"part": part, "asset_path": asset_path}
    return made


TEMPLATES = environment()
