"""The option `--lender` of commands that score: a file of rules beside the model, which the caller reads."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from inference.release import Release
from inference.rules import LenderRules

# A lender's rules for a release, from the file that --lender names, or else from TENFOLD_LENDER; None: it has no rules.
ReadRules: TypeAlias = Callable[[Path | None, Release], LenderRules | None]


def add_lender(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--lender", type=Path, metavar="FILE",
        help="a lender's rules and grades, whose outcome stands beside the decision (else TENFOLD_LENDER)",
    )  # fmt: skip
