"""The option `--lender` of commands that score: rules and questions beside the model, from a file that callers read."""

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from inference.questions import Question
from inference.release import Release
from inference.rules import LenderRules


class OfLender(NamedTuple):
    """What a lender's file has beside the model: rules and grades, if any, and questions about odd answers."""

    rules: LenderRules | None = None
    questions: tuple[Question, ...] = ()

    @property
    def digest(self) -> str | None:
        """SHA-256 of rules and questions as JSON, in hex: of the rulebook alone where there are no questions; None
        where there is neither."""
        book = None if self.rules is None else self.rules.book
        if not self.questions:
            return None if book is None else book.digest
        return hashlib.sha256(msgspec.json.encode([book, self.questions])).hexdigest()


# What a lender's file has for a release: the file that --lender names, or else TENFOLD_LENDER.
ReadLender: TypeAlias = Callable[[Path | None, Release], OfLender]


def add_lender(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--lender", type=Path, metavar="FILE",
        help="a lender's rules, grades and questions, whose outcome stands beside the decision (else TENFOLD_LENDER)",
    )  # fmt: skip
