"""Templates: every one is rendered from its view with markup in every text, and nothing of it becomes HTML."""

import re
from dataclasses import is_dataclass
from html.parser import HTMLParser
from importlib import import_module
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import StrictUndefined, UndefinedError
from markupsafe import escape
from planted_markup import MARKUP, Planted, sample_of
from test_architecture import MODULES

from inference.settings import ROOT
from web.pages.frame import Banner, frame
from web.pages.templates import FOLDER, View, markdown, render, templates_in
from web.pages.texts import LANGUAGES, Texts, texts_in

pytestmark = pytest.mark.slow  # the modules of all views bring Gradio
FILES = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.html")}


def views() -> dict[str, type[View]]:
    """Every view of web/, by the template that it names."""
    found: dict[str, type[View]] = {}
    for name in MODULES:
        if name.startswith("web."):
            for value in vars(import_module(name)).values():
                if isinstance(value, type) and is_dataclass(value) and hasattr(value, "template"):
                    view = cast(type[View], value)
                    assert found.setdefault(view.template, view) is view, f"two views name {view.template}"
    return found


VIEWS = views()
MADE_BY_HAND = re.compile(r"\bhtml import escape|(?<!re\.)\bescape\(|Markup\(.|<[a-z]+[ >]")


class Marked(Texts):
    """Every text of the page holds markup too."""

    def __call__(self, key: str, **values: object) -> str:
        return super().__call__(key, **values) + MARKUP


MARKED = {language: Marked(language, texts_in(language).words) for language in LANGUAGES}
TEMPLATES = templates_in(texts_in("en"))


def rendered(view: View, texts: Texts) -> str:
    around = frame(MARKUP, texts, "record/x")
    return str(render(view, texts, frame=around))


def test_every_template_has_a_view() -> None:
    """Whole pages and parts are named by a view; the others (a base, macros) are named by a template."""
    assert len(VIEWS) >= 5
    assert VIEWS.keys() <= FILES
    source = "".join((FOLDER / name).read_text("utf-8") for name in FILES)
    assert [name for name in FILES - VIEWS.keys() if f'"{name}"' not in source] == []


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("template", sorted(VIEWS))
def test_markup_in_any_text_stays_text(template: str, full: bool) -> None:
    """Of a view, and of the page's words, in elements and attributes; with all lists empty too."""
    for language in LANGUAGES:
        texts = MARKED[language] if full else texts_in(language)
        read = Planted()
        read.feed(rendered(sample_of(VIEWS[template], full), texts))
        read.close()
        assert not read.found
        assert not read.open
        assert read.texts > 0 or not full


def test_markup_would_be_seen() -> None:
    """The test of templates finds what is not escaped."""
    read = Planted()
    read.feed(MARKUP)
    assert read.found == ["b"]


class Elements(HTMLParser):
    """All elements, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


# What a hostile card may try, between other pieces of Markdown.
PIECES = (
    "# ", "> ", "- ", "1. ", "|a|b|\n|-|:-:|\n|", "|", "\n", "\n\n", "    ", "```\n", "`", "**", "_", "[", "]", "(",
    ")", "![", "](p.svg)", "](../x.svg)", "](//host/x.svg)", "](https://host/)", "](javascript:a())",
    "](data:text/html,x)", "](/logout)", "<https://host/>", "<javascript:a()>", "[x]: /y\n", "[x]", "&lt;",
    "&#60;script&#62;", "PD", "\\", MARKUP, "<img src=x onerror=a()>", "<!--", "words", " ", '"', "'", "style=", "\x00",
)  # fmt: skip
MADE = frozenset(
    "h2 h3 h4 h5 h6 p br hr ul ol li blockquote pre code em strong table thead tbody tr th td div a img abbr".split()
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
@example("![p](p.svg) ![q](../q.svg) [a](https://host/) [b](../DATA.md) <script>")
@example("|a|b|\n|-|-:|\n|1|2|")
def test_markdown_makes_no_more_than_it_may(source: str) -> None:
    """Elements of a text alone, pictures of one folder, links to other sites, no style, no script."""
    read = Elements()
    read.feed(markdown(source, "plots/", texts_in("en")))
    read.close()
    for tag, its in read.found:
        assert tag in MADE
        assert its.keys() <= {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"},
                                 "abbr": {"title"}, "div": {"class", "tabindex"},
                                 "code": {"class"}}.get(tag, {"class"})  # fmt: skip
        if tag == "img":
            assert re.fullmatch(r"plots/[A-Za-z0-9][A-Za-z0-9._-]*\.(svg|png)", its["src"] or "")
        if tag == "a":
            assert re.match("https?://", its["href"] or "")


def test_a_name_that_a_view_lacks_is_an_error() -> None:
    """Nothing is left out silently."""
    assert TEMPLATES.undefined is StrictUndefined
    with pytest.raises(UndefinedError):
        TEMPLATES.from_string("{{ view.nothing }}").render(view=Banner("open", ""))


def test_texts_are_put_in_place_when_a_template_is_compiled() -> None:
    """Escaped, in each language; a text with values is asked for when the template is rendered."""
    source = '<i title="{{ texts("form.score") }}">{{ texts("result.recorded", seq=view) }}</i>'
    for language in LANGUAGES:
        texts, marked = texts_in(language), MARKED[language]
        for these in (texts, marked):
            score, recorded = escape(these("form.score")), escape(these("result.recorded", seq="<7>"))
            template = templates_in(these).from_string(source)
            assert template.render(view="<7>") == f'<i title="{score}">{recorded}</i>'
        assert texts("form.score") in templates_in(texts).compile(source, raw=True)
        assert "result.recorded" in templates_in(texts).compile(source, raw=True)
    with pytest.raises(KeyError, match="nothing"):
        TEMPLATES.from_string('{{ texts("nothing") }}')


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("{{ view }}", "7"),
        ("{{ texts }}", "Texts("),
        ("{{ texts.language }}", "en"),
        ('{{ texts("form.score")|length }}', "5"),
        ('{{ [texts("form.score")]|length }}', "1"),
        ('{% if texts("form.score") %}yes{% endif %}', "yes"),
        ("{{ '{{ texts(1) }}' }}", "{{ texts(1) }}"),
    ],
)
def test_what_only_looks_like_a_text_is_left_alone(source: str, rendered: str) -> None:
    assert TEMPLATES.from_string(source).render(view=7).startswith(rendered)


def test_templates_switch_nothing_off() -> None:
    """No template marks a text as safe or turns escaping off."""
    assert TEMPLATES.autoescape is True
    for name in FILES:
        source = (FOLDER / name).read_text("utf-8")
        assert not any(word in source for word in ("|safe", "| safe", "autoescape", "Markup")), name


def test_html_is_made_in_one_place() -> None:
    """Only web/pages/templates.py makes markup of a text."""
    web = [name for name in MODULES if name.startswith("web.")]
    assert len(web) >= 50
    assert [name for name in web if MADE_BY_HAND.search(MODULES[name].read_text("utf-8"))] == ["web.pages.templates"]


def test_the_root_is_not_in_the_templates() -> None:
    """A template names no path of this machine and nothing outside."""
    for name in FILES:
        source = (FOLDER / name).read_text("utf-8")
        assert str(ROOT) not in source
        assert "//" not in source.replace("http://www.w3.org/", ""), name
