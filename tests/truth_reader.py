"""Reads a page's HTML as a person does: blocks of text, and the sentences in them by the templates of web/pages/texts.

A template's placeholders become groups, so that another wording needs no other reader. What no template makes, and what
no table or picture explains, is an unknown sentence: the test that reads it fails.
"""

import re
from collections.abc import Container, Iterator
from functools import cache
from html.parser import HTMLParser
from typing import NamedTuple

from web.pages.texts import LANGUAGES, texts_in

BLOCKS = {"h2", "h3", "h4", "p", "li", "dt", "dd", "th", "td", "caption", "summary", "title", "desc", "text", "option",
          "button", "strong", "b"}  # fmt: skip
SPANS = {"fresh", "stale-note", "figure"}  # that stand alone too, and abbreviations in them
SPOKEN = ("result.", "reason.", "why.", "stand.", "scale.", "policy.", "whatif.", "decision.")
NUMBER = r"[-+\u2212]?\d[\d.,\u202f\u00a0]*"
PERCENT = NUMBER + r"\s*%"
NEVER = "|".join(re.escape(texts_in(language).words["whatif.never"]) for language in LANGUAGES)
SHAPES = {
    **dict.fromkeys(("first", "last"), f"{PERCENT}|{NEVER}"),
    **dict.fromkeys("pd refer_from decline_from reference rate least most lgd band near".split(), PERCENT),
    **dict.fromkeys("points refer_points decline_points count loans bad people approved drawn factor".split(), NUMBER),
}  # fmt: skip


class Block(NamedTuple):
    """A piece of text that stands alone, and where."""

    tag: str
    within: tuple[str, ...]  # the tags around it with their classes, outermost first: "table.beside"
    text: str
    attributes: dict[str, str]


class Sentence(NamedTuple):
    """A text of the page, by its key, and what stands in its placeholders."""

    key: str
    values: dict[str, str]


class Reader(HTMLParser):
    """Collects the blocks of a page, and the attributes of every element."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(page)
        self.close()
        assert not self._open, f"not closed: {[one[0] for one in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        self._open.append((tag, given, []))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if not self._open:
            assert not data.strip(), f"text outside of every element: {data!r}"
            return
        self._open[-1][2].append(data)

    def handle_endtag(self, tag: str) -> None:
        opened, given, texts = self._open.pop()
        assert opened == tag, f"{opened} closed by {tag}"
        text = "".join(texts)
        if not text.strip():
            return
        in_span = bool(self._open) and self._open[-1][1].get("class") in SPANS
        if tag in BLOCKS or given.get("class") in SPANS or not self._open or (tag == "abbr" and in_span):
            within = tuple(f"{name}.{at.get('class', '')}" for name, at, _ in self._open)
            self.blocks.append(Block(tag, within, " ".join(re.split(r"[ \n]+", text.strip(" \n"))), given))
        else:  # a span within a sentence
            self._open[-1][2].append(text)


@cache
def pattern(template: str, **fixed: str) -> re.Pattern[str]:
    """What a template's texts look like; `fixed` placeholders hold just that."""
    made, seen = "", set()
    for part in re.split(r"(\{\w+\})", template):
        name = part[1:-1] if re.fullmatch(r"\{\w+\}", part) else None
        if name is None:
            made += re.escape(part)
        elif name in fixed:
            made += re.escape(fixed[name])
        else:
            made += f"(?P={name})" if name in seen else f"(?P<{name}>{SHAPES.get(name, '.+?')})"
            seen.add(name)
    return re.compile(made)


@cache
def spoken(language: str) -> dict[str, str]:
    """The templates that a card or a panel can be made of."""
    words = texts_in(language).words
    return {key: text for key, text in words.items() if key.startswith(SPOKEN)}


def readings(text: str, language: str, keys: Container[str]) -> Iterator[list[Sentence]]:
    """Every way to read a text as sentences of these keys, one after the other."""
    for key, template in spoken(language).items():
        if key not in keys:
            continue
        whole = pattern(template)
        if found := whole.fullmatch(text):
            yield [Sentence(key, found.groupdict())]
        if found := followed(whole.pattern).fullmatch(text):
            values = found.groupdict()
            for rest in readings(values.pop("rest_of_it"), language, keys):
                yield [Sentence(key, values), *rest]


@cache
def followed(sentence: str) -> re.Pattern[str]:
    """A sentence with more after it."""
    return re.compile(f"(?:{sentence}) (?P<rest_of_it>.+)")


def number(text: str, language: str) -> tuple[float, int]:
    """A written number, and its decimals. The language's own separators."""
    plain = re.sub(r"[\s%]", "", text).replace("\u2212", "-")
    plain = plain.replace(",", ".") if language == "fr" else plain.replace(",", "")
    return float(plain), len(plain.partition(".")[2])
