"""What each column of a loan file is: a number, a choice, a day, an identifier, a code or a text, judged by its cells.

The name decides only what the cells cannot: postcodes without a leading zero, and numbers that merely count lines.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.loans_cells import numbers, unit
from models.loans_dates import EXCEL_DAYS, dates
from models.prohibited import words

Floats = npt.NDArray[np.float64]
NUMBER, CHOICE, DAY, IDENTIFIER, CODE, TEXT, LONG_LIST, CONSTANT = (
    "number", "choice", "date", "identifier", "code", "text", "long list", "constant",
)  # fmt: skip
MOST_CHOICES = 60
MOST_WORDS = 0.2  # share of the rows that may hold words in a column of numbers, and how many different words:
FEW_WORDS = 5
DATE_FORMS = (
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d-%b-%Y", "%d-%b-%y", "%b-%Y",
    "%b-%y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%m-%Y", "%Y%m%d", "%Y%m", "%YM%m", "%Y-M%m", "%YQ%Q",
    "%Y-Q%Q", "%Y Q%Q", "%YT%Q", "%Y-T%Q", "%d %b %Y", "%d. %b %Y", "%b %Y", "%Y %b", "%Y-%b", "%b/%Y", "%b %d, %Y",
    "%d%b%Y", "%b%Y", "%d/%b/%Y", "%d %b %y", "%b %y", "%y-%b", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f",
    "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
)  # fmt: skip
EXACT = {  # forms that numbers and versions would also fit: nearly all cells must look just like this
    "%Y%m%d": r"(19|20)\d\d(0[1-9]|1[0-2])[0-3]\d", "%Y%m": r"(19|20)\d\d(0[1-9]|1[0-2])",
    "%m.%Y": r"\d\d?\.(19|20)\d\d", "%Y-%m": r"\d{4}-\d\d", "%m-%Y": r"\d\d?-(19|20)\d\d", "%Y/%m": r"\d{4}/\d\d?",
}  # fmt: skip
DIGITS_ONLY = {"%Y%m%d", "%Y%m", EXCEL_DAYS}  # dates that could be numbers: asked
DATE_WORDS = set("date dates day datum tag data fecha dia jour giorno dt".split())
YEARS = "%Y"  # of a column that the analyst names as the day of application
EXCEL_YEARS = (20_000, 60_000)  # 1954 to 2064
SWAPPED = {form: form.translate(str.maketrans("dm", "md")) for form in DATE_FORMS if "%d" in form and "%m" in form}
PLACES = set("zip zipcode postcode postal plz postleitzahl cap cep cp postale".split())
PERSONAL = PLACES | set(
    "name firstname lastname surname vorname nachname nom prenom nombre apellido cognome phone telephone telefon "
    "email mail iban address adresse direccion indirizzo ssn passport".split()
)
IDENTIFIERS = set(
    "id ids nr no num number numero key index row ref reference dossier antragsnr kundennr kontonr".split()
)
CUSTOMERS = set(
    "customer cust client borrower member applicant kunde kunden kundennr kreditnehmer emprunteur cliente person "
    "household".split()
)
# The same in one word: Kundennummer, customerid, codcliente.
CUSTOMER = re.compile(
    r"(?:kunden?|kreditnehmer|darlehensnehmer|debitoren?|customer|cust|client|cliente|borrower|member|applicant|"
    r"emprunteur|prestatario|mutuatario|mutuario)s?(?:nummer|number|num|nr|no|id|code|key|ref)|(?:cod|id)(?:ice|igo)?client[ei]?"
)
NUMBERED = re.compile(r"(?:nummer|number|numero|nr|[ _.-](?:no|id|num|key|ref|code))\.?$", re.IGNORECASE)
YES_NO = (
    {"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"ja", "nein"}, {"j", "n"}, {"oui", "non"}, {"o", "n"},
    {"si", "no"}, {"sí", "no"}, {"s", "n"}, {"sim", "não"}, {"sim", "nao"}, {"sì", "no"}, {"1", "0"},
)  # fmt: skip
NO = {"no", "n", "false", "f", "nein", "non", "não", "nao", "0"}
YES = {"yes", "y", "true", "t", "ja", "j", "oui", "o", "si", "sí", "s", "sim", "sì", "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the loans."""

    name: str
    kind: str
    missing: float  # share of the loans
    distinct: int
    values: Floats  # (n,): the number, the position in `answers`, or the month; NaN where missing
    answers: tuple[str, ...] = ()  # of a choice or a list, the commonest first; as they stand in the file
    unit: str = ""
    integers: bool = False
    codes: tuple[float, ...] = ()  # numbers that do not mean an amount
    form: str = ""  # of dates
    doubt: str = ""  # another thing that its dates could mean, or why they cannot be read as dates; "" without one
    words: Mapping[str, int] = field(default_factory=dict)  # texts among numbers -> loans
    digits: bool = False  # few whole numbers, which may name things instead of counting them

    @property
    def clean(self) -> Floats:
        """The values with codes as missing."""
        return np.where(np.isin(self.values, self.codes), np.nan, self.values) if self.codes else self.values

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Floats:
        """Clean values of some loans."""
        return self.clean[chosen]


def column(name: str, texts: pd.Series, decimal: str, *, as_number: bool = False, as_day: bool = False) -> Column:
    """What a column is, from its cells; codes are found later. The analyst may say that digits are numbers, or days."""
    counts = texts.value_counts()
    stated, distinct = int(counts.sum()), len(counts)
    missing = 1 - stated / max(1, len(texts))
    described = Column(name=name, kind=CONSTANT, missing=missing, distinct=distinct, values=np.full(len(texts), np.nan))
    if distinct <= 1:
        return described
    answers = counts.index.to_series().astype(str).reset_index(drop=True)
    form = day_form(answers)
    if not form and as_day and answers.str.fullmatch(r"(19|20)\d\d").mean() > 0.95:
        form = YEARS
    if not form and (as_day or set(words(name)) & DATE_WORDS) and excel_days(answers):
        form = EXCEL_DAYS
    if form and not (as_number and form in DIGITS_ONLY):
        days = dates(texts, form)
        month = (days.dt.year * 12 + days.dt.month - 1).to_numpy(np.float64, na_value=np.nan)
        return replace(described, kind=DAY, values=month, form=form, doubt=doubt_of(form, answers))
    if is_code(name, answers, counts):
        kind = IDENTIFIER if is_key(distinct, stated) and not set(words(name)) & PLACES else CODE
        return replace(described, kind=kind, values=positions(texts, counts), answers=tuple(answers[:MOST_CHOICES]))
    parsed = numbers(texts, decimal)
    unread = texts[parsed.unread].value_counts()
    if unread.sum() <= 0.01 * stated or (unread.sum() <= MOST_WORDS * stated and len(unread) <= FEW_WORDS):
        words_in = {str(text): int(loans) for text, loans in unread.items()}
        return number_column(replace(described, values=parsed.values, words=words_in), texts, counts, decimal)
    if is_key(distinct, stated):
        return replace(described, kind=IDENTIFIER)
    kind = CHOICE if distinct <= MOST_CHOICES else TEXT if distinct > 0.5 * stated or distinct > 2000 else LONG_LIST
    if kind != CHOICE and len(forms := forms_together(answers)) > 1:
        described = replace(described, doubt=f"dates written in several ways ({', '.join(forms)}): write all in one")
    return replace(described, kind=kind, values=positions(texts, counts), answers=tuple(answers[:MOST_CHOICES]))


def names_each(described: Column, distinct: pd.Series) -> bool:
    """Whether a column names each loan, when lines that repeat an earlier one are left out."""
    if described.kind not in (NUMBER, CODE, TEXT, LONG_LIST) or not distinct.is_unique:
        return False
    return described.kind != NUMBER or column(described.name, distinct.reset_index(drop=True), ".").kind == IDENTIFIER


def number_column(described: Column, texts: pd.Series, counts: pd.Series, decimal: str) -> Column:
    """A column of numbers: yes and no in digits, identifiers in digits, and numbers proper."""
    samples = [str(value) for value in counts.index[:200]]
    units = {unit(text, decimal) for text in samples} - {""}
    values = described.values[np.isfinite(described.values)]
    integers, distinct = bool(np.all(values == np.floor(values))), len(np.unique(values))
    described = replace(described, integers=integers, distinct=distinct)
    if distinct <= 1:
        return described
    one_of_two = distinct == 2 and not described.words and set(samples) <= {"0", "1", "0.0", "1.0", "0,0", "1,0"}
    if one_of_two or len(units) > 1:  # months and years in one column: keep the texts as answers
        kind = CHOICE if len(counts) <= MOST_CHOICES else LONG_LIST
        described = replace(described, values=positions(texts, counts), distinct=len(counts), words={})
        return replace(described, kind=kind, answers=tuple(samples[:MOST_CHOICES]))
    if integers and distinct == len(values) > 50 and counts_lines(described.name, values):
        return replace(described, kind=IDENTIFIER)
    if integers and distinct > MOST_CHOICES and (names_customer(described.name) or NUMBERED.search(described.name)):
        lengths = pd.Series(samples).str.len().value_counts(normalize=True)
        if lengths.index[0] >= 4 and lengths.iloc[0] > 0.9:  # numbers of one length that the name calls a number
            return replace(described, kind=CODE, values=positions(texts, counts), answers=tuple(samples[:MOST_CHOICES]))
    if may_be_list(values) and not units and not described.words:
        positioned = positions(texts, counts)
        return replace(
            described, kind=CHOICE, values=positioned, answers=tuple(samples), distinct=len(counts), digits=True
        )
    return replace(described, kind=NUMBER, unit=next(iter(units), ""))


def names_customer(name: str) -> bool:
    """Whether a name is that of a customer's number."""
    plain = "".join(words(name))
    return bool(set(words(name)) & CUSTOMERS or CUSTOMER.fullmatch(plain))


def positions(texts: pd.Series, counts: pd.Series) -> Floats:
    """Each cell's place among the answers, the commonest first; NaN where missing."""
    places = counts.index.get_indexer(texts).astype(np.float64)
    places[places < 0] = np.nan
    return np.asarray(places, np.float64)


def day_form(samples: pd.Series) -> str:
    """The form of nearly all distinct cells; "" if they are no dates."""
    sample = samples if len(samples) <= 2000 else samples.sample(2000, random_state=0)
    if not sample.str.contains(r"\d", regex=True).mean() > 0.95 or len(sample) < 2:
        return ""
    exact = {form for form, pattern in EXACT.items() if sample.str.fullmatch(pattern).mean() > 0.95}
    plain = sample.str.fullmatch(r"-?\d{1,7}|-?\d{9,}|-?\d*[.,]\d{3,}").mean() > 0.5  # plainly numbers, else
    for form in DATE_FORMS:
        if (form in exact or (form not in EXACT and not plain)) and fits(sample, form):
            return form
    return ""


def fits(sample: pd.Series, form: str) -> bool:
    if dates(sample.head(20), form).notna().mean() < 0.5:
        return False
    return bool(dates(sample, form).notna().mean() > 0.95)


def forms_together(samples: pd.Series) -> list[str]:
    """Forms that only together fit nearly all cells: dates of several programs in one column; else an empty list."""
    rest = samples if len(samples) <= 500 else samples.sample(500, random_state=0)
    if rest.str.contains(r"\d[./ -]|[./ -]\d", regex=True).mean() < 0.95:
        return []
    enough, forms = 0.05 * len(rest), list[str]()
    while len(rest) > enough and len(forms) < 3:
        fitting = {form: dates(rest, form).notna().to_numpy(bool) for form in DATE_FORMS if form not in EXACT}
        form = max(fitting, key=lambda form: fitting[form].sum())
        if fitting[form].sum() < max(2, enough):
            return []
        forms, rest = [*forms, form], rest[~fitting[form]]
    return forms if len(rest) <= enough else []


def excel_days(samples: pd.Series) -> bool:
    """Whether numbers can be days as a spreadsheet counts them: nearly all of 1954 to 2064."""
    return len(samples) >= 10 and bool(pd.to_numeric(samples, errors="coerce").between(*EXCEL_YEARS).mean() > 0.95)


def doubt_of(form: str, samples: pd.Series) -> str:
    """What else dates of this form could mean, as a question to the analyst."""
    shown = str(samples.iloc[0])
    if form in SWAPPED and fits(samples, SWAPPED[form]):
        return "write the day or the month first"
    if form in ("%b-%y", "%y-%b", "%b %y"):
        return f"mean a month of a year by {shown}, and no day of a month"
    if form in DIGITS_ONLY:
        day = dates(samples.head(1), form).iloc[0]
        read = f"{day:%Y-%m}" if form == "%Y%m" else f"{day:%Y-%m-%d}"
        return f"mean {read} by {shown}, and no number"
    return ""


def is_code(name: str, samples: pd.Series, counts: pd.Series) -> bool:
    """Digits that are not an amount: some begin with 0, as postcodes do, or the name says that they are a place."""
    if samples.head(2000).str.fullmatch(r"\d{3,}").mean() < 0.95:
        return False
    zeros = samples.str.fullmatch(r"0\d+")
    one_length = samples.str.len().nunique() == 1
    leading = counts.to_numpy()[zeros.to_numpy(bool)].sum() / counts.sum()
    return leading > (0.01 if one_length else 0.05) or bool(set(words(name)) & PLACES)


def is_key(distinct: int, stated: int) -> bool:
    return stated > 50 and distinct > 0.98 * stated


def counts_lines(name: str, values: Floats) -> bool:
    """Whether distinct whole numbers are a key: in order, nearly without gaps, or named like a key."""
    gapless = np.ptp(values) < 1.5 * len(values)
    return bool(gapless or np.all(np.diff(values) > 0) or set(words(name)) & IDENTIFIERS)


def may_be_list(values: Floats) -> bool:
    """Few small whole numbers, none of them a count of nothing: 1 to 4 may name four things."""
    distinct, n = np.unique(values, return_counts=True)
    if (
        not 2 <= len(distinct) <= 12
        or distinct.min() < 0
        or distinct.max() > 20
        or (distinct != np.floor(distinct)).any()
    ):
        return False
    counting = distinct[0] == 0 and bool(np.all(np.diff(n[:4]) < 0))  # 0 is the commonest, then 1, 2, 3: a count
    return not counting


def yes_no(answers: Sequence[str]) -> bool:
    """Whether answers are yes and no, in one language or, as words, in several."""
    plain = {answer.casefold() for answer in answers}
    return plain in YES_NO or (bool(plain & YES) and bool(plain & NO) and plain <= (YES | NO) - {"1", "0"})
