"""What a cell of a loan file means as a day. A form says how dates are written; each text has one meaning for a form.

Forms are those of `strptime`, with names of months in six languages (`15 févr. 2019`, `Mär-2020`), and three more:
`%Q` for a quarter (`2015Q1` by `%YQ%Q`), and `excel` for the numbers of a spreadsheet's days (43831 is 2020-01-01).
"""

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

EXCEL_DAYS = "excel"
FIRST_DAY = pd.Timestamp("1899-12-30")  # day 0 of Excel, which takes 1900 for a leap year
LAST = 2_958_465  # the year 9999, where Excel ends
MONTHS = {  # English abbreviation -> how months begin or are named, without accents; no text names two months
    "Jan": "january januar jaenner janner janvier enero ene janeiro gennaio gen jan janv",
    "Feb": "february februar fevrier fevr fev febrero febr feb fevereiro febbraio",
    "Mar": "march marz maerz mars marzo marco mar mrz",
    "Apr": "april avril avr abril abr aprile apr",
    "May": "may mai mayo maio maggio mag",
    "Jun": "june juni juin junio jun junho giugno giu",
    "Jul": "july juli juillet juil julio jul julho luglio lug",
    "Aug": "august aug aout agosto ago",
    "Sep": "september septembre sept sep septiembre setiembre setembro set settembre",
    "Oct": "october oktober okt octobre octubre oct outubro out ottobre ott",
    "Nov": "november novembre noviembre novembro nov",
    "Dec": "december dezember dez decembre dec diciembre dic dezembro dicembre",
}
ENGLISH = {name: month for month, names in MONTHS.items() for name in names.split()}
WORD = re.compile(r"[^\W\d_]+\.?")
QUARTER = re.compile(r"(.*?)([1-4])$", re.DOTALL)


def dates(texts: pd.Series, form: str) -> pd.Series:
    """A column of texts as days (datetime64), NaT where missing or not of this form; a month is its first day."""
    codes, distinct = pd.factorize(texts)
    days = parsed(pd.Series(distinct, dtype=object), form)
    return days.reindex(pd.Index(codes).where(codes >= 0, len(distinct))).reset_index(drop=True)


def parsed(distinct: pd.Series, form: str) -> pd.Series:
    if form == EXCEL_DAYS:
        numbers = pd.to_numeric(distinct, errors="coerce")
        return FIRST_DAY + pd.to_timedelta(numbers.where(numbers.between(1, LAST)), unit="D")
    if "%Q" in form:
        distinct, form = distinct.map(first_month), form.replace("%Q", "%m")
    if "%b" in form or "%B" in form:
        distinct, form = distinct.map(in_english), in_english(form).replace("%B", "%b")
    return pd.to_datetime(distinct, format=form, errors="coerce")


@cache
def in_english(text: str) -> str:
    """Names of months as English abbreviations: `15. März 2019` is `15. Mar 2019`; also drops `de` of `15 de mayo`."""
    plain = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode()
    plain = re.sub(r"\s+de[l]?\s+", " ", plain)
    return WORD.sub(lambda word: ENGLISH.get(word[0].rstrip(".").lower(), word[0]), plain)


def first_month(text: str) -> str:
    """A quarter at the end of a text as its first month: `2015Q2` is `2015Q4`."""
    return QUARTER.sub(lambda match: f"{match[1]}{3 * int(match[2]) - 2}", str(text))


def months(days: pd.Series) -> npt.NDArray[np.int32]:
    """Days as months since year 0 (12 · year + month - 1), 0 for NaT, as `models.recipe.Loans` has them."""
    return np.asarray((days.dt.year * 12 + days.dt.month - 1).fillna(0), np.int32)
