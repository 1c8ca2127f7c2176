"""Numbers as people write them: the one grammar for the page, the command line and texts in files. docs/numbers.md.

A number is never guessed. What could be meant in two ways a thousand apart is no number here: both readings are named,
and whoever wrote it chooses.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

LONGEST = 40  # characters; no field of any release needs more
DECIMAL = {"en": ".", "fr": ","}
GROUP, POINT = "\x1f", "."  # inside this module: what can only group, and what can only be a decimal mark
APOSTROPHES = "'\u2019\u02bc\u2032"
ARABIC = {"\u066b": ",", "\u066c": GROUP}  # decimal and thousands; the first is read like any comma
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
MINUS = str.maketrans(dict.fromkeys("\u2212\uff0d\ufe63", "-"))
SIGNS = {  # what may stand for a currency that a field's unit names
    "$": {"$", "US$", "USD"}, "\u20ac": {"\u20ac", "EUR"}, "\u00a3": {"\u00a3", "GBP"},
    "\u00a5": {"\u00a5", "JPY", "CNY"}, "\u20b9": {"\u20b9", "INR"}, "CHF": {"CHF", "Fr.", "SFr."},
}  # fmt: skip
CODES = frozenset(
    "USD EUR GBP CHF JPY CNY INR CAD AUD NZD SEK NOK DKK ISK PLN CZK HUF RON BGN TRY BRL MXN ARS CLP COP ZAR MAD TND "
    "DZD EGP NGN KES GHS XOF XAF ILS AED SAR THB VND IDR MYR PHP SGD HKD KRW TWD RUB UAH".split()
)
CURRENCY_SIGNS = "$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9\u20ba\u20b4\u20a6\u20ab\u0e3f"
MONEY = re.compile(r"\bmoney\b", re.IGNORECASE)  # a unit that is money of no currency: "money units"


class Unreadable(NamedTuple):
    """A text that is no number, or not for certain.

    `kind`: `ambiguous_number` (both `readings` are possible), `decimal_mark` (one is, with another language's decimal
    mark), `grouping` (digits between separators that are not in threes), `other_currency`, `exponent`, `letters`, or
    `not_a_number`.
    """

    text: str
    kind: str
    readings: tuple[float, ...] = ()


class Unit(NamedTuple):
    """What a number counts: its unit in every language, and whether it is a sum of money or a whole number, in which
    three digits after a decimal mark are more likely thousands."""

    texts: Mapping[str, str]
    singular: Mapping[str, str]
    whole: bool

    @property
    def currency(self) -> frozenset[str]:
        """What may stand for the unit's currency; empty where it has none."""
        unit = self.texts["en"].split()[0] if self.texts["en"] else ""
        for names in SIGNS.values():
            if unit in names:
                return frozenset(names)
        return frozenset({unit}) if unit in CODES or (unit and unit in CURRENCY_SIGNS) else frozenset()

    @property
    def is_money(self) -> bool:
        return bool(self.currency or MONEY.search(self.texts["en"]))

    def trouble(self, affix: str) -> str:
        """What is wrong with a text beside a number; nothing where it is this unit, or a currency that fits."""
        affix = " ".join(affix.split())
        units = {text.casefold() for text in (*self.texts.values(), *self.singular.values()) if text}
        if not affix or affix.casefold() in units:
            return ""
        if affix == "%" or affix.strip(CURRENCY_SIGNS) == "" or affix.upper() in CODES or affix in sum_of_signs():
            if affix == "%" or not self.is_money:
                return "letters"
            fits = not self.currency or affix in self.currency or affix.upper() in self.currency
            return "" if fits else "other_currency"
        return "letters"


def sum_of_signs() -> frozenset[str]:
    """Every way to write a currency that is known here."""
    return frozenset(name for names in SIGNS.values() for name in names)


def read_number(text: str, language: str, unit: Unit, *, exponents: bool = False) -> int | float | Unreadable:
    """A number as somebody wrote it in a language, or why it is none.

    `exponents`: whether 1e+05 is read, as R and Excel write it into files.
    """
    if len(text) > LONGEST:
        return Unreadable(text, "not_a_number")
    plain = normalised(text.replace(GROUP, "?"))
    if re.fullmatch(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)[eE][+-]?[0-9]{1,3}", plain):
        if exponents and "," not in plain:
            return float(plain)
        return Unreadable(text, "exponent")
    found = re.fullmatch(r"([^0-9]*?)([.,]?[0-9].*[0-9][.,]?|[.,]?[0-9][.,]?)([^0-9]*)", plain)
    if found is None:
        return Unreadable(text, "not_a_number")
    before, core, after = found.groups()
    sign, before = ("-" if before.count("-") == 1 else ""), before.replace("-", "", 1).replace("+", "", 1)
    for affix in (before, after):
        if kind := unit.trouble(affix):
            return Unreadable(text, kind)
    core = re.sub(f"[{APOSTROPHES}\\s]", GROUP, core)
    if not re.fullmatch(f"[0-9.,{GROUP}]+", core):
        return Unreadable(text, "letters")
    readings = list(readings_of(core, language, thousands=unit.whole or unit.is_money))
    numbers = [number(one, sign) for one in readings]
    if not numbers:
        return Unreadable(text, "grouping")
    if len(numbers) > 1:
        return Unreadable(text, "ambiguous_number", tuple(numbers))
    if readings[0].endswith("?"):
        return Unreadable(text, "decimal_mark", tuple(numbers))
    return numbers[0]


def normalised(text: str) -> str:
    """Digits of any script as ASCII, full-width marks as plain ones, one minus sign, nothing invisible, no ends."""
    text = INVISIBLE.sub("", text).translate(MINUS)
    made = []
    for mark in text:
        digit = unicodedata.decimal(mark, None)
        made.append(str(digit) if digit is not None else ARABIC.get(mark) or unicodedata.normalize("NFKC", mark))
    return "".join(made).replace("\u066a", "%").strip()


def readings_of(core: str, language: str, *, thousands: bool) -> Iterator[str]:
    """What digits with separators can mean, as plain digits with at most one point.

    `thousands`: three digits after a lone decimal mark may be thousands too. A reading that ends in "?" is one that the
    language's own marks do not have, and that nobody should be taken to mean without being asked.
    """
    own = DECIMAL[language]
    other = "," if own == "." else "."
    marks = [mark for mark in core if mark in ".,"]
    if core.endswith((".", ",")) and len(marks) == 1 and GROUP not in core:
        if marks[0] == own:
            yield core[:-1] + POINT
        return
    if len(set(marks)) == 2:  # 1,234.56 and 1.234,56: the last is the decimal mark
        last = marks[-1]
        if marks.count(last) == 1 and GROUP not in core:
            yield from joined(core, marks[0], last)
        return
    if len(marks) > 1:  # 1.234.567
        if GROUP not in core:
            yield from joined(core, marks[0], "")
        return
    if GROUP in core:  # 1 234,5 and 1'234.50: a lone mark beside spaces is the decimal one
        yield from joined(core, GROUP, marks[0] if marks else "")
        return
    if not marks:
        yield core
        return
    whole, _, after = core.partition(marks[0])
    groups = re.fullmatch("[1-9][0-9]{0,2}", whole) is not None and len(after) == 3
    as_decimal, as_thousands = whole + POINT + after, whole + after
    if marks[0] == own:
        yield as_decimal
        if groups and thousands:
            yield as_thousands
    elif groups and other == ",":  # 18,000 in English
        yield as_thousands
    elif groups:  # 18.000 in French: the way of others to group, or another keyboard's decimal mark
        yield as_decimal
        yield as_thousands
    elif other == ".":  # 1.5 in French, as keyboards have it beside the digits
        yield as_decimal
    else:  # 1,5 in English: most likely another language's one and a half
        yield as_decimal + "?"


def joined(core: str, group: str, decimal: str) -> Iterator[str]:
    """Groups put together, where all but the first have three digits."""
    whole, _, after = core.partition(decimal) if decimal else (core, "", "")
    first, *rest = whole.split(group)
    in_threes = re.fullmatch("[1-9][0-9]{0,2}", first) and all(re.fullmatch("[0-9]{3}", one) for one in rest)
    if in_threes and (not after or after.isdigit()):
        yield whole.replace(group, "") + (POINT + after if decimal else "")


def number(reading: str, sign: str) -> int | float:
    """A reading as a number."""
    digits = sign + reading.rstrip("?")
    return float(digits) if POINT in digits else int(digits)
