"""Which loans went bad, by the values of the outcome column or by its name; failing both, the analyst is asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.errors import TenfoldError
from models.draft.columns import YES
from models.prohibited import words

# Whole answers, in small letters.
BAD = set(
    "bad default defaulted delinquent late loss nok schlecht ausfall ausgefallen mauvais défaut defaut impayé impaye "
    "impagado impago moroso inadimplente insolvente cattivo b".split()
)
GOOD = set(
    "good paid repaid performing ok gut bon payé paye remboursé pagado bueno bom pago buono pagato g bezahlt".split()
)
# Answers to what the column's name asks: whether yes is bad, only the name can say.
YES_ANSWERS = YES - {"1"}
NO_ANSWERS = set("no n false f nein non não nao".split())
# Parts of answers that say how a loan ended …
ENDED_BADLY = re.compile(
    r"charge[ds]?.{0,2}off|chgoff|written?.?off|write.?off|default|foreclos|repossess|bankrupt|collection|uneinbringlich|"
    r"ausfall|ausgefallen|gekündigt|abgeschrieben|notleidend|inkasso|zwangs|passé en perte|contentieux|impay|douteux|"
    r"irrécouvrable|recouvrement|fallido|castigad|incobrable|impagad|moros|en mora|prejuízo|inadimpl|sofferenza|"
    r"insolut|insolven|deteriorat|non.?performing"
)
ENDED_WELL = re.compile(
    r"fully paid|paid (in full|off|up)|p ?i ?f|repaid|prepaid|settled in full|zurückgezahlt|zurückbezahlt|getilgt|"
    r"abbezahlt|soldé|remboursé|liquidad|quitad|reembolsad|pagad[oa]|estint|saldat|rimborsat"
)
NOT = re.compile(r"\b(not|un|nicht|non|no|não|pas)\b|^un")  # "not fully paid", "nicht zurückgezahlt", "unpaid"
# … and that it has not ended.
OPEN = re.compile(
    r"current|in grace|grace period|issued|open|active|ongoing|late \(|days late|in arrears|laufend|offen|en cours|"
    r"vigente|em aberto|in corso|approved|pending|in progress|reperforming"
)
NAMES_BAD = set(
    "bad default defaulted defaulter dflt dlq delinq delinquent delinquency dlqin loss chargeoff chgoff arrears late "
    "serious npl nonperforming badflag badloan ausfall ausgefallen schlecht zahlungsausfall impaye defaut defaillance "
    "impago mora moroso inadimplencia inadimplente insolvenza sofferenza".split()
)
NAMES_GOOD = set("good goodloan repaid paid performing gut zurueckgezahlt bonus_malus rembourse pagado pago".split())
DECISION = re.compile(
    r"approv|grant|accept|decision|eligib|reject|bewillig|genehmig|accord|aprob|approvat", re.IGNORECASE
)
FEW = 0.001  # share of loans with unknown outcome that is left out without a question


class NoOutcome(TenfoldError):
    """The column named as the outcome is not there; the message says what is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of each loan, and how sure that is."""

    target: str
    bad: tuple[str, ...]  # values, as they stand in the file
    good: tuple[str, ...]
    undecided: Mapping[str, int]  # values that are neither -> loans, "" for missing ones
    said_by: str  # what says which value is bad; "" if nothing does
    doubt: str  # why it must be asked; "" if it need not be
    warning: str  # "" or why it may not be an outcome at all
    values: npt.NDArray[np.float64]  # (n,): 1 bad, 0 good, NaN undecided

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.values)

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """Bad (1) or good (0) of the loans with a known outcome."""
        return self.values[self.known].astype(np.int8)

    @property
    def bad_rate(self) -> float:
        return float(np.nanmean(self.values))


def find_outcome(target: str, texts: pd.Series, given_bad: Sequence[str] = ()) -> Outcome:
    """The outcome in a column of texts; `given_bad` are the values that the analyst says are bad."""
    counts = {str(value): int(loans) for value, loans in texts.value_counts().items()}
    # A value of hardly any loans is a stray cell, such as the sum in a line of totals.
    enough = FEW * sum(counts.values()) if len(counts) > 2 else 0
    values = {value: value.lower() for value, loans in counts.items() if loans > enough}
    if given_bad:
        if unknown := [value for value in given_bad if value not in counts]:
            raise NoOutcome(f"--bad: {target} has no {', '.join(unknown)}; it has {listed(counts)}")
        bad = list(given_bad)
        good = [value for value, text in values.items() if value not in bad and not OPEN.search(text)]
        return outcome(target, texts, counts, bad, good, "the command line", "")
    if (different := len(values) or len(counts)) > 20:
        raise NoOutcome(
            f"{target} has {different:,} different values, such as {listed(values or counts)}: name the bad ones with "
            "--bad"
        )
    if len(values) < 2:
        raise NoOutcome(f"{target} has only one value, {listed(values)}: nothing can be learnt from it")
    answers = [[value for value, text in values.items() if text in words] for words in (NO_ANSWERS, YES_ANSWERS)]
    if all(len(values_of_word) == 1 for values_of_word in answers):
        return by_name(target, texts, counts, [value for values_of_word in answers for value in values_of_word])
    bad = [value for value, text in values.items() if text in BAD or ENDED_BADLY.search(text) or unpaid(text)]
    good = [value for value, text in values.items() if (text in GOOD or ENDED_WELL.search(text)) and not unpaid(text)]
    both = set(bad) & set(good)
    if bad and good and not both:
        unclear = [value for value, text in values.items() if value not in {*bad, *good} and not OPEN.search(text)]
        doubt = f"{listed(unclear)} is neither good nor bad as far as its words say" if unclear else ""
        return outcome(target, texts, counts, bad, good, "its words", doubt)
    if len(values) > 2:
        raise NoOutcome(
            f"{target} has the values {listed(values)}, and no word says which are bad: name them with --bad"
        )
    return by_name(target, texts, counts, sorted(values, key=lambda value: (numeric(value), value)))


def unpaid(text: str) -> bool:
    """Whether a small text says that a loan was not repaid."""
    return bool(NOT.search(text) and re.search(r"paid|pay|zahlt|tilgt|rembours|pagad|pagat|rimbors|saldat", text))


def by_name(target: str, texts: pd.Series, counts: Mapping[str, int], two: list[str]) -> Outcome:
    """Two values without words, or no and yes: the target's name says what the second one means, or the analyst is
    asked."""
    low, high = two
    named = {*words(target), *re.findall(r"[a-z]+", target.lower())}
    joined = re.sub(r"[^a-z]", "", target.lower())
    names_bad = bool(
        named & NAMES_BAD
        or re.search(r"bad|default|dlq|delinq|impay|ausfall", joined)
        or ENDED_BADLY.search(target.lower())
    )
    names_good = bool(named & NAMES_GOOD or re.search(r"good|repaid|nondefault|notdefault", joined))
    if names_bad != names_good and (numeric(high) != np.inf or high.lower() in YES_ANSWERS):
        bad, good = (high, low) if names_bad else (low, high)
        share = counts[bad] / (counts[low] + counts[high])
        doubt = f"the name says that {bad} is bad, but then {share:.0%} went bad" if share > 0.5 else ""
        return outcome(target, texts, counts, [bad], [good], f"the name {target}", doubt)
    rarer = min(two, key=lambda value: counts[value])
    commoner = high if rarer == low else low
    share = counts[rarer] / (counts[low] + counts[high])
    doubt = f"neither {low} and {high} nor the name {target} say which is bad; {rarer} is the rarer ({share:.1%})"
    return outcome(target, texts, counts, [rarer], [commoner], "", doubt)


def outcome(
    target: str,
    texts: pd.Series,
    counts: Mapping[str, int],
    bad: Sequence[str],
    good: Sequence[str],
    said_by: str,
    doubt: str,
) -> Outcome:
    values = np.select([texts.isin(bad), texts.isin(good)], [1.0, 0.0], np.nan)
    undecided = {value: loans for value, loans in counts.items() if value not in {*bad, *good}}
    if empty := int(texts.isna().sum()):
        undecided[""] = empty
    warning = ""
    if DECISION.search(target) and not said_by.startswith("the command"):
        warning = "its name sounds like a decision: a model of decisions repeats them, and knows nothing of repayment"
    if not np.any(values == 1) or not np.any(values == 0):
        raise NoOutcome(f"{target}: loans that went bad and loans that did not are needed")
    return Outcome(
        target=target, bad=tuple(bad), good=tuple(good), undecided=undecided, said_by=said_by, doubt=doubt,
        warning=warning, values=values,
    )  # fmt: skip


def numeric(value: str) -> float:
    try:
        return float(value.replace(",", "."))
    except ValueError:
        return np.inf


def listed(values: Sequence[str] | Mapping[str, object]) -> str:
    names = [repr(value) for value in list(values)[:6]]
    return ", ".join(names) + (", …" if len(values) > 6 else "")
