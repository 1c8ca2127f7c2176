"""Formats numbers and percentages for people, in English and French. inference/numbers.py reads them back."""

from decimal import Decimal

from inference.numbers import DECIMAL, LONGEST, THOUSANDS, plain

THIN = "\u202f"  # narrow no-break space, before %


def write_number(value: float, language: str) -> str:
    """A number with thousands separators, rounded to ten digits, without an exponent."""
    return localised(f"{Decimal(f'{value:.10g}'):,f}", language)


def write_exactly(value: float, language: str) -> str:
    """All digits needed to read the same float64 back; ten digits where the text would be longer than `LONGEST`."""
    text = f"{Decimal(repr(plain(value))):,f}"
    return localised(text, language) if len(text) <= LONGEST else write_number(value, language)


def write_percent(share: float, language: str, digits: int = 1) -> str:
    """A fraction as a percentage; below 1 % with one more digit, so that a small PD keeps its precision."""
    digits += 1 if 0 < abs(share) < 0.00995 else 0
    return localised(f"{100 * share:,.{digits}f}", language) + THIN + "%"


def localised(text: str, language: str) -> str:
    """Replace Python's separators with the language's: French has a narrow no-break space and a decimal comma."""
    return text.translate({ord(","): THOUSANDS["fr"], ord("."): DECIMAL["fr"]}) if language == "fr" else text
