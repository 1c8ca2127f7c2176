"""What a cell of a loan file means as a number. Each text has one meaning for a given decimal sign.

Accepted: `1.234,56 €`, `83.70%`, `(1,200)`, `$(1,200)`, `1200-` (as SAP ends a negative), `36 months`, `60 mo.`,
`10+ years`, `5 et plus`. `10+` is 10, and `< 1 year` is 0: of "fewer than n", with n whole, n - 1.
"""

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

SPACES = r"\s\u00a0\u2007\u2009\u202f"
GROUPS = {".": ",", ",": "."}  # decimal sign -> the mark that groups thousands, beside spaces and apostrophes
CURRENCY = (
    r"\$|€|£|¥|₹|₺|₽|₩|₴|zł|Kč|kr|R\$|US\$|C\$|A\$|Ft|lei|USD|EUR|GBP|CHF|JPY|CNY|PLN|CZK|HUF|RON|SEK|NOK|DKK|BRL|MXN|"
    r"CAD|AUD|NZD|ZAR|TRY|INR|Rs|Fr\."
)
TIME = {  # unit in English -> its words in six languages
    "years": "years?|yrs?|ans?|années?|annees?|jahre?n?|años?|anos?|anni|anno",
    "months": "months?|mths?|mos?|mois|monate?n?|mes|meses|mesi|mese",
    "weeks": "weeks?|semaines?|wochen?|semanas?|settimane|settimana",
    "days": "days?|jours?|tage?n?|días?|dias?|giorni|giorno",
}
FEWER = r"<|less\sthan|under|fewer\sthan|below|moins\sde|unter|weniger\sals|menos\sde|meno\sdi"
MORE = r">=|≥|>|more\sthan|over|plus\sde|über|mehr\sals|más\sde|mais\sde|più\sdi"
AND_MORE = (
    r"\+|(?:and|or)\s(?:more|over|longer)|(?:et|ou)\splus|(?:und|oder)\s(?:mehr|länger)|[oy]\smás|ou\smais|[oe]\spiù"
)


class Numbers(NamedTuple):
    """A column as numbers. A missing cell is NaN and does not count as `unread`."""

    values: npt.NDArray[np.float64]  # (n,), NaN without one
    unread: npt.NDArray[np.bool_]  # (n,), whether there is a text that is not a number


@cache
def number_pattern(decimal: str) -> re.Pattern[str]:
    """The pattern of a number whose decimal sign is `decimal`."""
    point, mark = re.escape(decimal), re.escape(GROUPS[decimal])
    integer = rf"[1-9]\d{{0,2}}(?:(?P<mark>[{mark}'’{SPACES}])\d{{3}})(?:(?P=mark)\d{{3}})*|\d+"
    times = "|".join(rf"(?P<{unit}>{words})" for unit, words in TIME.items())
    return re.compile(
        rf"(?P<fewer>{FEWER})?(?:{MORE})?[{SPACES}]*(?:(?:{CURRENCY})[{SPACES}]*(?=\())?(?P<minus>[-−–(])?\+?(?:{CURRENCY})?"
        rf"[{SPACES}]*(?P<minus_2>[-−–])?"
        rf"(?P<whole>{integer})?(?:{point}(?P<part>\d*))?(?P<power>e[-+]?\d{{1,3}})?"
        rf"[{SPACES}]*(?P<minus_3>-|\))?(?:{AND_MORE})?[{SPACES}]*(?:(?P<percent>%)|{CURRENCY}|{times})?\.?"
        rf"(?:[{SPACES}]*(?:{AND_MORE}))?",
        re.IGNORECASE,
    )


def number(text: str, decimal: str) -> float:
    """The number that a text holds; NaN if it is not a number."""
    match = number_pattern(decimal).fullmatch(text.strip())
    if not match or not (match["whole"] or match["part"]):
        return np.nan
    digits = re.sub(r"\D", "", match["whole"] or "0")
    value = float(f"{digits}.{match['part'] or 0}{match['power'] or ''}")
    if match["fewer"] and value.is_integer():
        value = max(0.0, value - 1)
    negative = match["minus"] or match["minus_2"] or match["minus_3"]
    if (match["minus"] == "(") != (match["minus_3"] == ")"):
        return np.nan
    return -value if negative else value


def unit(text: str, decimal: str) -> str:
    """The unit that a text names beside its number: years, months, weeks, days, %, or none."""
    match = number_pattern(decimal).fullmatch(text.strip())
    if not match:
        return ""
    return next((name for name in TIME if match[name]), "%" if match["percent"] else "")


def numbers(texts: pd.Series, decimal: str) -> Numbers:
    """A column of texts, NaN where missing, as numbers."""
    codes, distinct = pd.factorize(texts)
    parsed = np.full(len(distinct) + 1, np.nan)  # the last one is for the code -1, missing
    if decimal == ".":  # plain numbers at once, without our own rules
        parsed[:-1] = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce").to_numpy(np.float64)
        parsed[np.isinf(parsed)] = np.nan
    for index in np.flatnonzero(np.isnan(parsed[:-1])):
        parsed[index] = number(str(distinct[index]), decimal)
    return Numbers(parsed[codes], (codes >= 0) & np.isnan(parsed[codes]))
