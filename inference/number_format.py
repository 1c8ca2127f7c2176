"""Numbers and shares as they are written for people, in English and French. inference/numbers.py reads them again."""

from decimal import Decimal

from inference.numbers import DECIMAL, LONGEST, THOUSANDS, plain

THIN = "\u202f"  # narrow no-break space, before %


def write_number(value: float, language: str) -> str:
    """A number with its thousands apart, to ten digits and without an exponent."""
    return localised(f"{Decimal(f'{value:.10g}'):,f}", language)


def write_exactly(value: float, language: str) -> str:
    """All digits that it takes to read the same float64 again; to ten where that is longer than anybody types."""
    text = f"{Decimal(repr(plain(value))):,f}"
    return localised(text, language) if len(text) <= LONGEST else write_number(value, language)


def write_percent(share: float, language: str, digits: int = 1) -> str:
    """A share of one in per cent; below 1 % with one more digit, so that a small PD keeps its figures."""
    digits += 1 if 0 < abs(share) < 0.00995 else 0
    return localised(f"{100 * share:,.{digits}f}", language) + THIN + "%"


def localised(text: str, language: str) -> str:
    """Python's separators changed into the language's: in French a narrow no-break space and a decimal comma."""
    return text.translate({ord(","): THOUSANDS["fr"], ord("."): DECIMAL["fr"]}) if language == "fr" else text
