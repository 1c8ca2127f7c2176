"""What ends the scoring of a book, each with what the reader can do about it."""

from inference.errors import TenfoldError


class BadBook(TenfoldError):
    """A file that cannot be read without guessing, or that lacks what the release asks: which file, where, and why."""


class BookStopped(TenfoldError):
    """A run that ended before its last part; what is whole stays, and --resume goes on."""


class TooManyBad(BookStopped):
    """More rows are refused than --max-bad allows."""


class OtherRun(TenfoldError):
    """The folder holds the parts of another input, release or reading: what differs first."""
