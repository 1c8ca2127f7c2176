"""`tenfold book`, with the lender's rules: from the file that `--lender` or TENFOLD_LENDER names."""

from pathlib import Path

from inference.release import Release
from inference.rules import LenderRules
from inference.settings import Settings
from ledger import books
from web.lender import read_lender, rules_for


def main(words: list[str]) -> int:
    """Exit status as `ledger.books` has it; nothing is scored where the lender's file cannot be used."""
    return books.main(words, rules_of)


def rules_of(file: Path | None, release: Release) -> LenderRules | None:
    """The lender's rules for a release; None where it has neither rules nor grades. Raises `BadSetting`."""
    return rules_for(read_lender(file or Settings.from_environment().lender), release)
