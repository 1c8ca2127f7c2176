"""Numbers as people type them, and shares in per cent, in the page's language."""

import re

from inference.fields import localised

# Thousands may be grouped, but then in threes: "1,5" typed in English is a slip, not fifteen.
SPACES = " \u00a0\u202f\u2009"
PATTERNS = {
    "en": (re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]*)?|[+-]?\.[0-9]+"), ","),
    "fr": (re.compile(rf"[+-]?([0-9]+|[0-9]{{1,3}}([{SPACES}][0-9]{{3}})+)(,[0-9]*)?|[+-]?,[0-9]+"), SPACES),
}
DECIMAL = {"en": ".", "fr": ","}
LONGEST = 30  # characters; no field of any release needs more
THIN = "\u202f"  # narrow no-break space, before %


def read_number(text: str, language: str) -> int | float | str:
    """What a person typed, as a number; a text that is none stays one, and the form refuses it.

    The separators are the language's own: "1,234.5" in English, "1 234,5" in French.
    """
    pattern, grouping = PATTERNS[language]
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    if len(text) > LONGEST or not pattern.fullmatch(text):
        return text
    plain = text.translate({ord(space): None for space in grouping}).replace(DECIMAL[language], ".")
    return float(plain) if "." in plain else int(plain)


def write_percent(share: float, language: str, digits: int = 1) -> str:
    """A share of one in per cent; below 1 % with one more digit, so that a small PD keeps its figures."""
    digits += 1 if 0 < abs(share) < 0.00995 else 0
    return localised(f"{100 * share:,.{digits}f}", language) + THIN + "%"
