"""Numbers as people write them, in English and French: the one grammar of the page, the command line and files.

docs/numbers.md says it in words, with a table of what is read and what is asked about.
"""

import re
import unicodedata
from dataclasses import dataclass

from inference.units import Unit, currencies

Number = int | float
DECIMAL = {"en": ".", "fr": ","}
THOUSANDS = {"en": ",", "fr": "\u202f"}  # as they are written
LONGEST = 60  # characters of a text that is looked at
LONGEST_EXTRA = 20  # characters beside a number that a message repeats
IN_FULL = 1e15  # a number in short form is offered in full below this
# What looks alike becomes one mark: digits, separators, apostrophes, minus signs.
ALIKE = str.maketrans(
    {
        **{chr(zero + digit): str(digit) for zero in (0x660, 0x6F0, 0xFF10) for digit in range(10)},
        **dict.fromkeys("\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\u02bc\uff07", "'"),
        **dict.fromkeys("\N{MINUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{SMALL HYPHEN-MINUS}\u2011", "-"),
        "\uff0b": "+", "\uff0e": ".", "\uff0c": ",", "\N{ARABIC PERCENT SIGN}": "%",
    }
)  # fmt: skip
ARABIC_DECIMAL, ARABIC_THOUSANDS = "\u066b", "\u066c"
SEPARATORS = f".,' {ARABIC_DECIMAL}{ARABIC_THOUSANDS}"
SIGN_OF_MONEY = re.compile("[$\u00a2-\u00a5\u20a0-\u20cf]")
SPACE = re.compile(r"[^\S\r\n\v\f]")
CORE = re.compile(rf"[.,{ARABIC_DECIMAL}]?[0-9](?:[0-9{SEPARATORS}]*[0-9])?[.,]?")
SIGNED = re.compile(r"([+-]?) *([^+-]*?) *([+-]?)")
EXPONENT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]{1,4}")
SHORT_FORMS = frozenset({"k", "m", "mn", "mio", "bn", "md", "thousand", "million", "mille", "billion", "milliard"})
TROUBLES = {
    "not_a_number": "this is not a number",
    "ambiguous_number": "this can mean two numbers",
    "decimal_mark": "this is not the decimal mark of the language",
    "grouping": "put 3 digits between separators, or leave them out",
    "in_full": "write the number in full",
    "extra_before": "leave out what stands before the number",
    "extra_after": "leave out what stands after the number",
    "extra_within": "leave out what stands inside the number",
    "other_currency": "this is another currency than the field's",
}


@dataclass(frozen=True, slots=True)
class UnreadNumber:
    """A text that is not read as a number, and why.

    `kind` is one of `TROUBLES`, `extra` the part that has to go. `readings` are the numbers that the text can mean:
    two where only the person who wrote it knows, one where it breaks a rule and can mean nothing else.
    """

    text: str
    kind: str
    extra: str = ""
    readings: tuple[Number, ...] = ()


class _Trouble(Exception):
    """Ends the reading of one text; becomes an `UnreadNumber`."""

    def __init__(self, kind: str, extra: str = "", readings: tuple[Number, ...] = ()) -> None:
        self.kind, self.extra, self.readings = kind, extra, readings
        super().__init__(kind)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How numbers of one field are read in one language.

    In a field of money or whole numbers three digits after a lone decimal mark are always asked about, in any other
    only where `maximum` leaves both readings possible. `exponents` reads plain ASCII ones, as files have them.
    """

    language: str
    unit: Unit
    whole: bool
    maximum: float
    exponents: bool = False

    def read(self, text: str) -> Number | UnreadNumber:
        """What a person or a file wrote, as a number, or why it is not read as one."""
        given = text.strip()
        try:
            return self._exponent(given) if EXPONENT.fullmatch(given) else self._with_unit(given)
        except _Trouble as trouble:
            return UnreadNumber(given, trouble.kind, trouble.extra, trouble.readings)

    def _exponent(self, given: str) -> Number:
        value = float(given)
        if self.exponents:
            return value
        raise _Trouble("in_full", readings=(plain(value),) if 1e-6 <= abs(value) < IN_FULL else ())

    def _with_unit(self, given: str) -> Number:
        """A sign, digits with separators, and the unit or a currency on either side."""
        visible = "".join(mark for mark in given if unicodedata.category(mark) != "Cf")
        text = SPACE.sub(" ", visible.translate(ALIKE)).strip()
        core = CORE.search(text) if len(given) <= LONGEST else None
        if core is None:
            raise _Trouble("not_a_number")
        before, after = text[: core.start()].strip(), text[core.end() :].strip()
        signed = SIGNED.fullmatch(before)
        if signed is None or (signed[1] and signed[3]):
            raise _Trouble("not_a_number")
        sign = -1 if "-" in signed.group(1, 3) else 1
        trouble = self._beside(signed[2], after)
        try:
            number = sign * self._digits(core[0])
        except _Trouble as found:
            raise trouble or _Trouble(found.kind, "", tuple(sign * one for one in found.readings)) from None
        if trouble is None:
            return number
        if trouble.kind == "in_full" and trouble.extra == "k" and 0 < abs(number) < IN_FULL:
            trouble.readings = (plain(round(1000.0 * number, 6)),)
        raise trouble

    def _beside(self, before: str, after: str) -> _Trouble | None:
        """What is wrong with the texts on both sides of the digits."""
        sides = (("before", before), ("after", after))
        wrong = [(side, text, kind) for side, text in sides if text and (kind := self.unit.trouble(text))]
        if not wrong:
            both = [set(currencies(text)) for text in (before, after)]
            return _Trouble("extra_after", after) if all(both) and both[0].isdisjoint(both[1]) else None
        side, text, kind = wrong[0]
        if kind == "other_currency":
            return _Trouble("other_currency", text)
        if side == "after":
            if text[0] == "_":
                return _Trouble("extra_within", "_")
            short = SIGN_OF_MONEY.sub("", text.lower()).split()[:1]
            if short and short[0].removesuffix("s") in SHORT_FORMS and (self.unit.is_money or short[0] == "k"):
                return _Trouble("in_full", short[0])
        if len(wrong) > 1 or len(text) > LONGEST_EXTRA or any(mark.isnumeric() or mark in "+-" for mark in text):
            return _Trouble("not_a_number")
        return _Trouble(f"extra_{side}", text)

    def _digits(self, text: str) -> Number:
        """Digits with separators: the last of two kinds is the decimal mark; of one kind, groups have three digits."""
        parts = re.split(f"[{SEPARATORS}]", text)
        marks = re.findall(f"[{SEPARATORS}]", text)
        if not marks:
            return int(text)
        last, kinds = marks[-1], set(marks)
        if len(marks) == 1 and last in ".,":
            return self._lone(last, *parts)
        if last == ARABIC_DECIMAL or len(kinds) > 1:
            groups = set(marks[:-1])
            if last not in f".,{ARABIC_DECIMAL}" or last in groups or len(groups) > 1 or ARABIC_DECIMAL in groups:
                raise _Trouble("grouping")
            whole = joined(parts[:-1]) if groups else parts[0]
            return decimal(whole, parts[-1])
        return int(joined(parts))

    def _lone(self, mark: str, whole: str, after: str) -> Number:
        """One point or comma: the language's decimal mark, its separator of thousands, or the other language's."""
        is_decimal = mark == DECIMAL[self.language]
        reading = decimal(whole, after)
        if len(after) == 3 and whole[:1] not in ("", "0"):
            grouped = int(whole + after)
            if mark == THOUSANDS[self.language] and len(whole) <= 3:
                return grouped
            if self.unit.is_money or self.whole or grouped <= self.maximum:
                raise _Trouble("ambiguous_number", readings=(plain(reading), grouped))
        if is_decimal:
            return reading
        if not after or (self.whole and reading % 1) or (len(after) > 3 and mark == THOUSANDS[self.language]):
            raise _Trouble("grouping")
        raise _Trouble("decimal_mark", readings=(plain(reading),))


def joined(groups: list[str]) -> str:
    """Groups of thousands as one row of digits: the first has one to three and no leading 0, all others three."""
    first, *others = groups
    if not 1 <= len(first) <= 3 or first[0] == "0" or any(len(group) != 3 for group in others):
        raise _Trouble("grouping")
    return "".join(groups)


def decimal(whole: str, after: str) -> float:
    return float(f"{whole or '0'}.{after or '0'}")


def plain(value: Number) -> Number:
    """A whole number as an int."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
