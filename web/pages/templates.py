"""HTML from Jinja2 templates: a page, or a part of one, is a view (a frozen dataclass) and the template it names.

A view holds formatted texts, numbers and other views; the template arranges them. Every text is escaped, and a name
that a view lacks is an error. Each language has templates of its own, compiled with its texts in place. Only this
module makes HTML, from Markdown too.
"""

import json
import re
from collections.abc import Iterator, MutableMapping
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from jinja2.lexer import Token as Piece
from jinja2.lexer import TokenStream
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from web.pages.assets import asset_path
from web.pages.texts import Texts

FOLDER = Path(__file__).with_name("templates")
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
# Not in a formula, nor in brackets, where its term would be in brackets within brackets.
ABBREVIATION = re.compile(r"(?<![\w(])PD(?![\w*])")
PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(svg|png)")


class View(Protocol):
    """The data of one template."""

    template: ClassVar[str]  # its path below `FOLDER`


def render(view: View, texts: Texts, **more: object) -> Markup:
    """The view's HTML. The template can use `view`, `texts`, `part(view)` to render a view within this one,
    `asset_path(name)` and the names in `more`."""
    template = templates_in(texts).get_template(view.template)
    return Markup(template.render(view=view, **more))  # noqa: S704 - escaped


def as_html(text: str) -> Markup:
    """Escape a text for a parameter that takes HTML, outside a template."""
    return escape(text)


def for_script(facts: object) -> Markup:
    """JSON for a script element of data, escaped so that no text can close the element."""
    return Markup(json.dumps(facts).replace("<", r"\u003c"))  # noqa: S704 - escaped


def spelt(text: str, texts: Texts) -> Markup:
    """A heading or a label, in HTML, in which the first "PD" is an abbreviation with its term. The term shows when it
    is pointed at; on paper, and where nothing can point, the page's style shows it beside or below (desk.css)."""
    return Markup(ABBREVIATION.sub(lambda _: abbreviation(texts), escape(text), 1))  # noqa: S704 - escaped


def abbreviation(texts: Texts) -> Markup:
    """ "PD", with its term."""
    return Markup('<abbr title="{}">{}</abbr>').format(texts("result.pd_long"), texts("result.pd"))


def markdown(source: str, pictures: str, texts: Texts) -> Markup:
    """Render Markdown that anyone may have written. HTML in it is shown as text; pictures come only from the folder
    `pictures`, which ends with a slash; a link that is not to http or https is reduced to its text. The first "PD" of
    each heading, paragraph and cell is spelt out (`spelt`); `texts` are in the language of the source.

    Headings are one level lower than in the source, since the page's own heading is the first; wide tables scroll;
    alignment is a class, since the policy forbids inline styles.
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
            token.children = with_term(fitted_words(token.children, pictures), texts)
        fitted.append(token)
        if token.type == "table_close":
            fitted.append(Token("wide_close", "div", -1, block=True))
    return Markup(MARKDOWN.renderer.render(fitted, MARKDOWN.options, {}))  # noqa: S704 - escaped


def fitted_words(tokens: list[Token], pictures: str) -> list[Token]:
    """The content of a paragraph, cell or heading, with its links and pictures changed as `markdown` says."""
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


def with_term(tokens: list[Token], texts: Texts) -> list[Token]:
    """The content of a paragraph, cell or heading, with its first "PD" as an abbreviation."""
    for place, token in enumerate(tokens):
        if token.type == "text" and (match := ABBREVIATION.search(token.content)):
            before, after = token.content[: match.start()], token.content[match.end() :]
            parts = ("text", before), ("html_inline", abbreviation(texts)), ("text", after)
            return [*tokens[:place], *(Token(kind, "", 0, content=part) for kind, part in parts), *tokens[place + 1 :]]
    return tokens


def fixed(number: float, digits: int) -> str:
    """A coordinate of a drawing with a fixed number of decimals."""
    return f"{number:.{digits}f}"


class TextsInPlace(Extension):
    """Replaces `{{ texts("key") }}` by the escaped text when a template is compiled: most texts of a page never change,
    and calling for them and escaping them again took a quarter of the time of a score card."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Piece]:
        """The pieces of a template, where six in a row may become one."""
        texts = cast(Texts, self.environment.globals["texts"])
        waiting: list[Piece] = []
        for piece in stream:
            waiting.append(piece)
            if not fits(waiting):
                yield from waiting
                waiting = []
            elif len(waiting) == len(CALL):
                yield Piece(piece.lineno, "data", escape(texts(waiting[3].value)))
                waiting = []
        yield from waiting


CALL = ("variable_begin", "name", "lparen", "string", "rparen", "variable_end")


def fits(pieces: list[Piece]) -> bool:
    """Whether the pieces are the beginning of `{{ texts("key") }}`, or all of it."""
    named = len(pieces) < 2 or pieces[1].value == "texts"
    return named and all(piece.type == kind for piece, kind in zip(pieces, CALL, strict=False))


class Templates(Environment):
    """Jinja's environment, with the same plain dict of globals for every template. They never change, and Jinja would
    otherwise build a ChainMap for every part of a page, which took a sixth of the time of a score card."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        assert d is None  # noqa: S101 - no template here has globals of its own
        return self.globals


@cache
def templates_in(texts: Texts) -> Templates:
    """The templates with these texts; each is compiled once, when first used."""

    def part(view: View | None) -> Markup:
        """Render a view within another one; None renders nothing."""
        return Markup() if view is None else render(view, texts)

    jinja = Templates(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {"fixed": fixed, "spelt": partial(spelt, texts=texts)}
    jinja.globals |= {"texts": texts, "part": part, "asset_path": asset_path}
    jinja.add_extension(TextsInPlace)
    return jinja
