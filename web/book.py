"""`tenfold book`, with the lender's rules and questions: from the file that `--lender` or TENFOLD_LENDER names."""

from ledger import books
from web.score import read_file


def main(words: list[str]) -> int:
    """Exit status as `ledger.books` has it; nothing is scored where the lender's file cannot be used."""
    return books.main(words, read_file)
