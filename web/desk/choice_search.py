"""Finds choices of a long list of codes by words of their titles, in any order and form, and by codes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from inference.fields import ChoiceField
from web.pages.answers import alphabetical, offered
from web.pages.texts import Texts

MOST_SHOWN = 12
LONGEST_QUERY = 100  # characters
WORD = re.compile(r"[a-z0-9]+")
SHORTEST_STEM = 3  # letters
# The longest ending that leaves a stem goes: what is left of "bakery", "bakeries" and "baked" is "bak".
ENDINGS = {
    language: sorted(endings.split(), key=len, reverse=True)
    for language, endings in {
        "en": "eries ings ing ery ers ies er ed es y s e",
        "fr": "eries erie ers iers ieres ier iere eurs eur aux al ees ee es er s x e",
    }.items()
}


class Entry(NamedTuple):
    """A choice, with the words of its title and their stems."""

    text: str
    code: str
    words: tuple[str, ...]
    stems: frozenset[str]


@dataclass(frozen=True)
class FoundChoice:
    """A choice in the list."""

    text: str
    code: str


@dataclass(frozen=True)
class FoundChoices:
    """The list: `heading` names it, `more` says what is not shown."""

    template: ClassVar[str] = "desk/choices.html"
    heading: str
    choices: tuple[FoundChoice, ...]
    more: str


class ChoiceSearch:
    """The search in one field's choices, in one language. Thread-safe."""

    def __init__(self, field: ChoiceField, texts: Texts) -> None:
        self._field, self._texts = field, texts

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        """Made with the first search."""
        language = self._texts.language
        entries = []
        for text, code in offered(self._field, language):
            words = words_of(text)
            entries.append(Entry(text, code, words, frozenset(stem(word, language) for word in words)))
        return tuple(entries)

    def search(self, typed: str) -> list[Entry]:
        """All choices with every word of the text: the same word in another form, or the beginning of one; the best
        first."""
        wanted = [(word, stem(word, self._texts.language)) for word in words_of(typed[:LONGEST_QUERY])]
        ranked = []
        for entry in self._entries:
            ranks = [rank(word, word_stem, entry) for word, word_stem in wanted]
            if wanted and None not in ranks:
                ranked.append((sum(value or 0 for value in ranks), len(entry.words), entry.code, entry))
        return [entry for *_, entry in sorted(ranked, key=lambda ranked_entry: ranked_entry[:3])]

    def view(self, typed: str, last_used: Sequence[str]) -> FoundChoices | None:
        """What is shown for a text; for none the choices that were used last, or None if there were none."""
        if not words_of(typed):
            entries = {entry.code: entry for entry in self._entries}
            used = [entries[code] for code in dict.fromkeys(last_used) if code in entries][:MOST_SHOWN]
            heading = self._texts("search.last_used")
            return FoundChoices(heading, shown(used), "") if used else None
        matching = self.search(typed)
        more = len(matching) - MOST_SHOWN
        heading = self._texts("search.found" if matching else "search.nothing")
        return FoundChoices(
            heading, shown(matching[:MOST_SHOWN]), self._texts("search.more", count=more) if more > 0 else ""
        )


def shown(entries: Sequence[Entry]) -> tuple[FoundChoice, ...]:
    return tuple(FoundChoice(entry.text, entry.code) for entry in entries)


def rank(word: str, word_stem: str, entry: Entry) -> int | None:
    """How well a word matches a choice, 0 the best; None if it does not."""
    if word_stem in entry.stems or entry.code.startswith(word):
        return 0
    return 1 if any(other.startswith(word) for other in entry.words) else None


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without case and accents."""
    return tuple(WORD.findall(alphabetical(text)))


def stem(word: str, language: str) -> str:
    """A word without its ending, so that forms of one word are equal. Meant for searching: a few other words are equal
    too."""
    if word.isdigit():
        return word
    for ending in ENDINGS[language]:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word
