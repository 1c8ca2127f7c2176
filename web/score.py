"""`tenfold score`, with the lender's rules: from the file that `--lender` or TENFOLD_LENDER names."""

from pathlib import Path

from inference import __main__ as inference_commands
from inference.release import Release
from inference.rules import LenderRules
from inference.settings import Settings


def main(words: list[str]) -> int:
    """Exit status as `inference.__main__` has it; nothing is scored where the lender's file cannot be used."""
    return inference_commands.main(["score", *words], rules_of)


def rules_of(file: Path | None, release: Release) -> LenderRules | None:
    """The lender's rules for a release; None where it has neither rules nor grades. Raises `BadSetting`."""
    file = file or Settings.from_environment().lender
    if file is None:
        return None  # the examples have none
    from web.lender import read_lender, rules_for  # takes a third of a second: one score is often all that is asked

    return rules_for(read_lender(file), release)
