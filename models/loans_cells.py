"""What a cell of a loan file means as a number or a date. Each text has one meaning under a given decimal sign.

Read are `1.234,56 €`, `83.70%`, `(1,200)`, `1200-` (as SAP ends a negative), `36 months`, `10+ years`, `5 et plus`.
`10+` is 10, and `< 1 year` is 0: of "fewer than n", with n whole, n - 1.
"""

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

SPACES = r"\s\u00a0\u2007\u2009\u202f"
GROUPS = {".": ",", ",": "."}  # decimal sign -> the mark that groups thousands, beside spaces and apostrophes
CURRENCY = r"\$|€|£|¥|zł|Kč|kr|R\$|US\$|USD|EUR|GBP|CHF|JPY|PLN|CZK|SEK|NOK|DKK|BRL|CAD|AUD|INR|Rs"
TIME = {  # unit in English -> its words in six languages
    "years": "years?|yrs?|ans?|années?|annees?|jahre?n?|años?|anos?|anni|anno",
    "months": "months?|mths?|mois|monate?n?|mes|meses|mesi|mese",
    "weeks": "weeks?|semaines?|wochen?|semanas?|settimane|settimana",
    "days": "days?|jours?|tage?n?|días?|dias?|giorni|giorno",
}
FEWER = r"<|less\sthan|under|fewer\sthan|below|moins\sde|unter|weniger\sals|menos\sde|meno\sdi"
MORE = r">=|≥|>|more\sthan|over|plus\sde|über|mehr\sals|más\sde|mais\sde|più\sdi"
AND_MORE = (
    r"\+|(?:and|or)\s(?:more|over|longer)|(?:et|ou)\splus|(?:und|oder)\s(?:mehr|länger)|[oy]\smás|ou\smais|[oe]\spiù"
)


class Numbers(NamedTuple):
    """A column as numbers. A cell that is missing is NaN and not `unread`."""

    values: npt.NDArray[np.float64]  # (n,), NaN without one
    unread: npt.NDArray[np.bool_]  # (n,), there is a text, and it is no number


@cache
def number_pattern(decimal: str) -> re.Pattern[str]:
    """What is read as a number where `decimal` is the decimal sign."""
    point, mark = re.escape(decimal), re.escape(GROUPS[decimal])
    whole = rf"[1-9]\d{{0,2}}(?:(?P<mark>[{mark}'’{SPACES}])\d{{3}})(?:(?P=mark)\d{{3}})*|\d+"
    times = "|".join(rf"(?P<{unit}>{words})" for unit, words in TIME.items())
    return re.compile(
        rf"(?P<fewer>{FEWER})?(?:{MORE})?[{SPACES}]*(?P<minus>[-−–(])?\+?(?:{CURRENCY})?[{SPACES}]*(?P<minus_2>[-−–])?"
        rf"(?P<whole>{whole})?(?:{point}(?P<part>\d*))?(?P<power>e[-+]?\d{{1,3}})?"
        rf"[{SPACES}]*(?P<minus_3>-|\))?(?:{AND_MORE})?[{SPACES}]*(?:(?P<percent>%)|{CURRENCY}|{times})?\.?"
        rf"(?:[{SPACES}]*(?:{AND_MORE}))?",
        re.IGNORECASE,
    )


def number(text: str, decimal: str) -> float:
    """The number that a text writes, NaN for none."""
    found = number_pattern(decimal).fullmatch(text.strip())
    if not found or not (found["whole"] or found["part"]):
        return np.nan
    whole = re.sub(r"\D", "", found["whole"] or "0")
    value = float(f"{whole}.{found['part'] or 0}{found['power'] or ''}")
    if found["fewer"] and value.is_integer():
        value = max(0.0, value - 1)
    negative = found["minus"] or found["minus_2"] or found["minus_3"]
    if (found["minus"] == "(") != (found["minus_3"] == ")"):
        return np.nan
    return -value if negative else value


def unit(text: str, decimal: str) -> str:
    """The unit that a text names beside its number: years, months, weeks, days, %, or none."""
    found = number_pattern(decimal).fullmatch(text.strip())
    if not found:
        return ""
    return next((name for name in TIME if found[name]), "%" if found["percent"] else "")


def numbers(texts: pd.Series, decimal: str) -> Numbers:
    """A column of texts, NaN where missing, as numbers."""
    codes, distinct = pd.factorize(texts)
    meant = np.full(len(distinct) + 1, np.nan)  # the last one is for the code -1, missing
    if decimal == ".":  # what needs no rule of ours, at once
        meant[:-1] = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce").to_numpy(np.float64)
        meant[np.isinf(meant)] = np.nan
    for at in np.flatnonzero(np.isnan(meant[:-1])):
        meant[at] = number(str(distinct[at]), decimal)
    return Numbers(meant[codes], (codes >= 0) & np.isnan(meant[codes]))


def dates(texts: pd.Series, form: str) -> pd.Series:
    """A column of texts as days (datetime64), NaT where missing or not of this form, one of `strptime`'s."""
    codes, distinct = pd.factorize(texts)
    days = pd.to_datetime(pd.Series(distinct, dtype=object), format=form, errors="coerce")
    return days.reindex(pd.Index(codes).where(codes >= 0, len(distinct))).reset_index(drop=True)


def months(days: pd.Series) -> npt.NDArray[np.int32]:
    """Days as months since year 0 (12 · year + month - 1), 0 for NaT, as `models.recipe.Loans` has them."""
    return np.asarray((days.dt.year * 12 + days.dt.month - 1).fillna(0), np.int32)
