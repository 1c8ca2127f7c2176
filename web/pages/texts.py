"""All texts of the pages, by key: one file per language in web/pages/texts/."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "fr")
FOLDER = Path(__file__).with_name("texts")


@dataclass(frozen=True, eq=False)  # compared as itself: templates are kept for each
class Texts:
    """The texts in one language: `texts("form.score")`, `texts("problem.too_large", high="10")`."""

    language: str
    words: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        return self.words[key].format(**values)

    def day(self, iso: str) -> str:
        """Format an ISO date as people write it: 25 December 2026."""
        year, month, day = (int(part) for part in iso.split("-"))
        name = self("date.months").split()[month - 1]
        return self("date.first" if day == 1 else "date.day", day=day, month=name, year=year)


@cache
def texts_in(language: str) -> Texts:
    """The texts in one of `LANGUAGES`, read once."""
    return Texts(language, json.loads((FOLDER / f"{language}.json").read_text("utf-8")))
