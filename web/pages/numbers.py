"""Shares in per cent, in the page's language."""

from inference.fields import localised

THIN = "\u202f"  # narrow no-break space, before %


def write_percent(share: float, language: str, digits: int = 1) -> str:
    """A share of one in per cent; below 1 % with one more digit, so that a small PD keeps its figures."""
    digits += 1 if 0 < abs(share) < 0.00995 else 0
    return localised(f"{100 * share:,.{digits}f}", language) + THIN + "%"
