"""Units: how a number is written with its unit, and what may stand beside a number that somebody typed."""

import unicodedata
from dataclasses import dataclass, field

from inference.languages import Text

NO_BREAK, THIN = "\u00a0", "\u202f"  # before a currency in French; before % in both languages
PER_CENT = frozenset({"%", "per cent", "percent", "pour cent", "pourcent"})
ANY_MONEY = "money unit"  # a unit that begins so is money whose currency nobody named
# ISO 4217: the codes in use, and those of a few currencies that old loans are in.
CODES = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND
    VUV WST XAF XCD XOF XPF YER ZAR ZMW ATS BEF DEM ESP FRF GRD IEP ITL LUF NLG PTE""".split()
)
# What one sign or name may stand for. The first is meant where it is a field's unit.
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
    """The ISO codes of the currencies that a sign, a code or a name may stand for; none where it is no currency."""
    name = folded(text)
    if name.upper() in CODES:
        return (name.upper(),)
    return tuple((SIGNS.get(name.replace(" ", "")) or SIGNS.get(name.removesuffix("s")) or "").split())


def folded(text: str) -> str:
    """A unit without case, accents, a final point and how it is spaced."""
    flat = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    return " ".join(flat.casefold().split()).removesuffix(".")


def same(text: str) -> str:
    """A unit as it is compared: the plural's s of each word counts for nothing."""
    return " ".join(word.removesuffix("s") if len(word) > 2 else word for word in folded(text).split())


@dataclass(frozen=True, slots=True)
class Unit:
    """A field's unit by language: `many` beside most numbers, `one` where the language takes the singular.

    `currency` is the ISO code of a unit that begins with a currency, `is_money` true of any unit that speaks of money.
    """

    many: Text
    one: Text
    currency: str | None = field(init=False)
    is_money: bool = field(init=False)
    _own: frozenset[str] = field(init=False)  # all forms that may stand beside a number, as `same` writes them

    def __post_init__(self) -> None:
        found = currencies(self.many.en.partition(" ")[0])
        forms = [self.many.en, self.many.fr, self.one.en, self.one.fr]
        words = [word for form in forms for word in form.split()]
        own = {same(form) for form in forms}
        if found:
            own |= {same(form.partition(" ")[2]) for form in forms}
        if own & PER_CENT:
            own |= PER_CENT
        of_money = any((word.upper() == word and currencies(word)) or is_sign(word) for word in words)
        named = any(currencies(word) and len(word) > 3 for word in words)
        object.__setattr__(self, "currency", found[0] if found else None)
        object.__setattr__(self, "is_money", of_money or named or self._is_any_money())
        object.__setattr__(self, "_own", frozenset(own - {""}))

    def _is_any_money(self) -> bool:
        return same(self.many.en).startswith(ANY_MONEY)

    def form(self, value: float, language: str) -> str:
        """The singular or the plural: English has the singular for one, French below two."""
        size = abs(float(f"{value:.10g}"))  # as it is shown
        return (self.one if size == 1 or (language == "fr" and size < 2) else self.many)[language]

    def sign(self, language: str) -> str:
        """What stands before a number: a currency's sign in English, else nothing."""
        first = self.many[language].partition(" ")[0]
        return first if language == "en" and is_sign(first) and currencies(first) else ""

    def after(self, value: float, language: str) -> str:
        """What stands after a number, without the space between."""
        form = self.form(value, language)
        return form.partition(" ")[2] if self.sign(language) else form

    def beside(self, number: str, value: float, language: str) -> str:
        """A written number with its unit: "-$5", "1 month" and "75 %"; in French "150 000 $"."""
        sign, after = self.sign(language), self.after(value, language)
        if sign:
            number = f"-{sign}{number[1:]}" if number.startswith("-") else sign + number
        if not after:
            return number
        return number + (THIN if after.startswith("%") else NO_BREAK if is_sign(after) else " ") + after

    def trouble(self, text: str) -> str | None:
        """What is wrong with a text that stands beside a number: `extra`, `other_currency`, or nothing."""
        if same(text) in self._own:
            return None
        first, _, rest = folded(text).partition(" ")
        found = currencies(text) or (currencies(first) if same(rest) in self._own else ())
        if not found or not (self.currency or self._is_any_money()):
            return "extra"
        return None if self.currency is None or self.currency in found else "other_currency"


def is_sign(text: str) -> bool:
    """Whether a text has a currency's sign in it, and so is written against the number."""
    return any(unicodedata.category(mark) == "Sc" for mark in text)
