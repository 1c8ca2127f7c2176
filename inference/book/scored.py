"""What is said of a book that was scored, for a record of it: digests, counts and the words that repeat it; no row."""

from msgspec import Struct


class ScoredBook(Struct, frozen=True, kw_only=True):
    """A run that has ended. Digests are SHA-256 in hex."""

    release: str  # its digest
    release_name: str
    engine: str
    input: str
    output: str  # `sha256` of the run's _SUCCESS
    rows: int
    scored: int
    rejected: int
    options: tuple[str, ...]  # of the command, all that decide the bytes beside the release and the rules
    files: tuple[str, ...]  # names
    folder: str  # the run's, with _SUCCESS
    lender: str | None = None  # digest of the lender's rules and questions; None without any
