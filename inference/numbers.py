"""Reads numbers as people write them, in English and French, for the page, the command line and files.

docs/numbers.md describes the grammar, with a table of which texts are read and which are asked about.
"""

import re
import unicodedata
from dataclasses import dataclass

from inference.units import Unit, currencies

Number = int | float
DECIMAL = {"en": ".", "fr": ","}
THOUSANDS = {"en": ",", "fr": "\u202f"}  # as number_format writes them
LONGEST = 60  # longer texts are refused unread
LONGEST_EXTRA = 20  # longest text beside a number that a message repeats
IN_FULL = 1e15  # below this a number in short form is offered written in full
# Characters that look alike become one: digits, separators, apostrophes, minus signs.
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
    """A text that cannot be read as a number, and why.

    `kind` is one of `TROUBLES`, `extra` the part to remove. `readings` are the numbers that the text can mean: two if
    only the writer knows which, one if the text breaks a rule but has a single meaning.
    """

    text: str
    kind: str
    extra: str = ""
    readings: tuple[Number, ...] = ()


class _Trouble(Exception):
    """Stops reading a text; becomes an `UnreadNumber`."""

    def __init__(self, kind: str, extra: str = "", readings: tuple[Number, ...] = ()) -> None:
        self.kind, self.extra, self.readings = kind, extra, readings
        super().__init__(kind)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How numbers of one field are read in one language.

    Three digits after a lone decimal mark are ambiguous. In a field of money or integers they are always asked about,
    in others only if `maximum` allows both readings. `exponents` accepts plain ASCII exponents, as in files.
    """

    language: str
    unit: Unit
    integer: bool
    maximum: float
    exponents: bool = False

    def read(self, text: str) -> Number | UnreadNumber:
        """The number that a person or a file wrote, or why it cannot be read."""
        stripped = text.strip()
        try:
            return self._exponent(stripped) if EXPONENT.fullmatch(stripped) else self._with_unit(stripped)
        except _Trouble as trouble:
            return UnreadNumber(stripped, trouble.kind, trouble.extra, trouble.readings)

    def _exponent(self, text: str) -> Number:
        value = float(text)
        if self.exponents:
            return value
        raise _Trouble("in_full", readings=(plain(value),) if 1e-6 <= abs(value) < IN_FULL else ())

    def _with_unit(self, written: str) -> Number:
        """Read a sign, digits with separators, and a unit or currency on either side."""
        visible = "".join(mark for mark in written if unicodedata.category(mark) != "Cf")
        text = SPACE.sub(" ", visible.translate(ALIKE)).strip()
        core = CORE.search(text) if len(written) <= LONGEST else None
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
        except _Trouble as digits_trouble:
            raise trouble or _Trouble(
                digits_trouble.kind, "", tuple(sign * reading for reading in digits_trouble.readings)
            ) from None
        if trouble is None:
            return number
        if trouble.kind == "in_full" and trouble.extra == "k" and 0 < abs(number) < IN_FULL:
            trouble.readings = (plain(round(1000.0 * number, 6)),)
        raise trouble

    def _beside(self, before: str, after: str) -> _Trouble | None:
        """What is wrong with the texts before and after the digits."""
        sides = (("before", before), ("after", after))
        wrong = [(side, text, kind) for side, text in sides if text and (kind := self.unit.trouble(text))]
        if not wrong:
            if not (before and after):
                return None
            codes = [set(currencies(text)) for text in (before, after)]
            return _Trouble("extra_after", after) if all(codes) and codes[0].isdisjoint(codes[1]) else None
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
        """Read digits with separators. Of two kinds the last is the decimal mark; groups have three digits."""
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
            integer_part = joined(parts[:-1]) if groups else parts[0]
            return decimal(integer_part, parts[-1])
        return int(joined(parts))

    def _lone(self, mark: str, integer_part: str, decimals: str) -> Number:
        """Read digits with one point or comma: this language's decimal mark or thousands separator, or the other's."""
        is_decimal = mark == DECIMAL[self.language]
        reading = decimal(integer_part, decimals)
        if len(decimals) == 3 and integer_part[:1] not in ("", "0"):
            grouped = int(integer_part + decimals)
            if mark == THOUSANDS[self.language] and len(integer_part) <= 3:
                return grouped
            if self.unit.is_money or self.integer or grouped <= self.maximum:
                raise _Trouble("ambiguous_number", readings=(plain(reading), grouped))
        if is_decimal:
            return reading
        if not decimals or (self.integer and reading % 1) or (len(decimals) > 3 and mark == THOUSANDS[self.language]):
            raise _Trouble("grouping")
        raise _Trouble("decimal_mark", readings=(plain(reading),))


def joined(groups: list[str]) -> str:
    """Join groups of thousands: the first has one to three digits and no leading 0, all others have three."""
    first, *others = groups
    if not 1 <= len(first) <= 3 or first[0] == "0" or any(len(group) != 3 for group in others):
        raise _Trouble("grouping")
    return "".join(groups)


def decimal(integer_part: str, decimals: str) -> float:
    return float(f"{integer_part or '0'}.{decimals or '0'}")


def plain(value: Number) -> Number:
    """The number as an int if it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
