"""The table in docs/numbers.md: how the grammar reads each text in a field of a given unit."""

import re
import unicodedata

from inference.languages import Text
from inference.number_format import write_number
from inference.numbers import TROUBLES, Grammar, UnreadNumber
from inference.units import Unit


def unit_of(en: str, fr: str, singular: tuple[str, str] | None = None) -> Unit:
    texts = singular or (en, fr)
    return Unit(Text(en, fr), Text(*texts))


UNITS = {
    "$": (unit_of("$", "$"), False, 5_000_000.0),
    "€ a month": (unit_of("€ a month", "€ par mois"), False, 100_000.0),
    "money units": (unit_of("money units", "unités monétaires", ("money unit", "unité monétaire")), False, 50_000.0),
    "months": (unit_of("months", "mois", ("month", "mois")), True, 120.0),
    "%": (unit_of("%", "%"), False, 100.0),
}
FORMS = {
    "$": (
        "50000", "50,000", "50 000", "50\u00a0000", "50\u202f000", "50\u2009000", "50'000", "50\u2019000", "1.234.567",
        "1,234,567", "1,234.56", "1.234,56", "1 234,56", "1'234.50", "$50,000", "$ 50000", "50000 $", "US$50000",
        "USD 50000", "50000 usd", "50000 dollars", "-$5", "$-5", "\N{MINUS SIGN}5 $", "50000 EUR", "\u20ac50000",
        "50000 CAD", "18.000", "18,000", "1.5", "1,5", "0.384", "0,384", "1234.567", "18.0000", ".5", ",5", "12.",
        "12,", "1,0000", "1,23,456", "10 00", "1 234 56", "0,123,456", "\uff11\uff12", "\u0661\u0662",
        "\u06f1\u06f2", "\u0661\u066c\u0662\u0663\u0664\u066b\u0665", "1e5", "1E+05", "50k", "2 million", "1_0",
        "1_000", "12abc", "about 12", "50%", "1-2", "10\N{SUPERSCRIPT TWO}", "\N{VULGAR FRACTION ONE HALF}", "0x10",
        "nan", "inf", "--1", "(5)", "abc",
    ),
    "\u20ac a month": (
        "\u20ac1,200", "1200 \u20ac", "1200 \u20ac a month", "\u20ac1,200 a month", "1200 \u20ac par mois", "EUR 1200",
        "1200 $",
    ),
    "money units": (
        "1000 EUR", "$1000", "1000 money units", "1 unit\u00e9 mon\u00e9taire", "1000 unites monetaires", "18.000",
    ),
    "months": ("48 months", "1 month", "48 mois", "48 Months", "48.000", "48,000", "48 years", "$48", "1,5"),
    "%": ("75%", "75\u202f%", "75 per cent", "75 percent", "75 pour cent", "75\uff05", "12.375", "12,375", "75 $"),
}  # fmt: skip


def rows() -> list[tuple[str, str, str, str]]:
    """(text, unit of the field, outcome in English, outcome in French) for every form."""
    return [
        (text, name, outcome(text, name, "en"), outcome(text, name, "fr")) for name in FORMS for text in FORMS[name]
    ]


def outcome(text: str, name: str, language: str) -> str:
    """The number as the language writes it, the question that is asked, or the error."""
    unit, integer, maximum = UNITS[name]
    read = Grammar(language, unit, integer, maximum).read(text)
    if not isinstance(read, UnreadNumber):
        return write_number(read, language).replace("\u202f", " ")
    numbers = " or ".join(write_number(number, language).replace("\u202f", " ") for number in read.readings)
    return f"*asks: {numbers}?*" if numbers else f"*refused: {TROUBLES[read.kind]}*"


def visible(text: str) -> str:
    """A text, followed by the names of its characters that are easy to confuse or invisible."""
    odd = dict.fromkeys(mark for mark in text if not mark.isascii() and not mark.isalpha() and mark not in "€½")
    names = [re.sub(r"digit \w+", "digits", unicodedata.name(mark).lower()) for mark in odd]
    return f"`{text}`" + (f" ({', '.join(dict.fromkeys(names))})" if names else "")


def table() -> str:
    """All forms as a Markdown table."""
    lines = ["| typed | field in | on the English page | on the French page |", "| --- | --- | --- | --- |"]
    lines += [f"| {visible(text)} | {name} | {english} | {french} |" for text, name, english, french in rows()]
    return "\n".join(lines)
