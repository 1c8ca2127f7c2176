"""Units: how to write a number with its unit, and which texts may stand beside a typed number."""

import unicodedata
from dataclasses import dataclass, field

from inference.languages import Text

NO_BREAK, THIN = "\u00a0", "\u202f"  # before a currency in French; before % in both languages
PER_CENT = frozenset({"%", "per cent", "percent", "pour cent", "pourcent"})
ANY_MONEY = "money unit"  # prefix of units that are money in an unknown currency
# ISO 4217: the codes in use, and those of a few former currencies found in old loans.
CODES = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND
    VUV WST XAF XCD XOF XPF YER ZAR ZMW ATS BEF DEM ESP FRF GRD IEP ITL LUF NLG PTE""".split()
)
# The currencies that a sign or name can stand for. As a field's unit it means the first.
SIGNS = {
    "$": "USD CAD AUD NZD SGD HKD TWD MXN ARS CLP COP UYU JMD TTD BSD BBD BZD BMD FJD GYD KYD LRD NAD SBD SRD XCD",
    "us$": "USD", "$us": "USD", "ca$": "CAD", "$ca": "CAD", "c$": "CAD", "can$": "CAD", "a$": "AUD", "au$": "AUD",
    "nz$": "NZD", "s$": "SGD", "hk$": "HKD", "nt$": "TWD", "mx$": "MXN", "r$": "BRL",
    "€": "EUR", "£": "GBP EGP LBP SYP GIP FKP SHP IEP", "¥": "JPY CNY", "₹": "INR", "₺": "TRY", "₽": "RUB", "₩": "KRW",
    "₪": "ILS", "₫": "VND", "฿": "THB", "₴": "UAH", "₦": "NGN", "₱": "PHP", "₵": "GHS", "₸": "KZT", "₾": "GEL",
    "fr": "CHF FRF BEF LUF XPF", "sfr": "CHF", "fcfa": "XOF XAF", "cfa": "XOF XAF", "kr": "SEK NOK DKK ISK",
    "zl": "PLN", "zł": "PLN", "kc": "CZK", "ft": "HUF", "lei": "RON", "rs": "INR PKR LKR NPR MUR",
    "dollar": "USD CAD AUD NZD SGD HKD TWD", "usdollar": "USD", "euro": "EUR", "pound": "GBP EGP LBP SYP",
    "livre": "GBP", "franc": "CHF FRF BEF LUF XOF XAF XPF", "yen": "JPY", "yuan": "CNY", "peseta": "ESP",
    "rupee": "INR PKR LKR NPR MUR", "roupie": "INR PKR LKR NPR MUR", "peso": "MXN ARS CLP COP PHP UYU", "rand": "ZAR",
    "rouble": "RUB", "lira": "TRY ITL", "lire": "TRY ITL", "dirham": "AED MAD", "dinar": "DZD TND RSD KWD JOD",
}  # fmt: skip


def currencies(text: str) -> tuple[str, ...]:
    """ISO codes of the currencies that a sign, a code or a name can stand for; empty if it is not a currency."""
    name = folded(text)
    if name.upper() in CODES:
        return (name.upper(),)
    return tuple((SIGNS.get(name.replace(" ", "")) or SIGNS.get(name.removesuffix("s")) or "").split())


def folded(text: str) -> str:
    """A unit in lower case, without accents and final point, its words separated by single spaces."""
    flat = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    return " ".join(flat.casefold().split()).removesuffix(".")


def without_plural(text: str) -> str:
    """`folded`, without the plural s of each word: the form in which units are compared."""
    return " ".join(word.removesuffix("s") if len(word) > 2 else word for word in folded(text).split())


@dataclass(frozen=True, slots=True)
class Unit:
    """A field's unit by language.

    `currency` is the ISO code if the unit begins with a currency; `is_money` says whether it is any kind of money.
    """

    plural: Text
    singular: Text
    currency: str | None = field(init=False)
    is_money: bool = field(init=False)
    _accepted: frozenset[str] = field(init=False)  # forms allowed beside a number, as `without_plural` writes them

    def __post_init__(self) -> None:
        codes = currencies(self.plural.en.partition(" ")[0])
        forms = [self.plural.en, self.plural.fr, self.singular.en, self.singular.fr]
        words = [word for form in forms for word in form.split()]
        accepted = {without_plural(form) for form in forms}
        if codes:
            accepted |= {without_plural(form.partition(" ")[2]) for form in forms}
        if accepted & PER_CENT:
            accepted |= PER_CENT
        of_money = any((word.upper() == word and currencies(word)) or is_sign(word) for word in words)
        named = any(currencies(word) and len(word) > 3 for word in words)
        object.__setattr__(self, "currency", codes[0] if codes else None)
        object.__setattr__(self, "is_money", of_money or named or self._is_any_money())
        object.__setattr__(self, "_accepted", frozenset(accepted - {""}))

    def _is_any_money(self) -> bool:
        return without_plural(self.plural.en).startswith(ANY_MONEY)

    def form(self, value: float, language: str) -> str:
        """Singular or plural: English uses the singular for 1, French below 2."""
        size = abs(float(f"{value:.10g}"))  # as displayed
        return (self.singular if size == 1 or (language == "fr" and size < 2) else self.plural)[language]

    def sign(self, language: str) -> str:
        """The text before a number: a currency sign in English, otherwise empty."""
        first = self.plural[language].partition(" ")[0]
        return first if language == "en" and is_sign(first) and currencies(first) else ""

    def after(self, value: float, language: str) -> str:
        """The text after a number, without the space."""
        form = self.form(value, language)
        return form.partition(" ")[2] if self.sign(language) else form

    def beside(self, number: str, value: float, language: str) -> str:
        """A formatted number with its unit: "-$5", "1 month", "75 %"; in French "150 000 $"."""
        sign, after = self.sign(language), self.after(value, language)
        if sign:
            number = f"-{sign}{number[1:]}" if number.startswith("-") else sign + number
        if not after:
            return number
        return number + (THIN if after.startswith("%") else NO_BREAK if is_sign(after) else " ") + after

    def trouble(self, text: str) -> str | None:
        """What is wrong with the text beside a number: `extra`, `other_currency`, or None."""
        if without_plural(text) in self._accepted:
            return None
        first, _, rest = folded(text).partition(" ")
        codes = currencies(text) or (currencies(first) if without_plural(rest) in self._accepted else ())
        if not codes or not (self.currency or self._is_any_money()):
            return "extra"
        return None if self.currency is None or self.currency in codes else "other_currency"


def is_sign(text: str) -> bool:
    """Whether a text contains a currency sign: it is then written without a space, or with a no-break space."""
    return any(unicodedata.category(mark) == "Sc" for mark in text)
