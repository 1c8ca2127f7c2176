"""What the server prints: each line with its time in UTC, and of an exception where it came up, never its values.

The message of an exception may hold an applicant's data: "could not convert string to float: …".
"""

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
logger = logging.getLogger(__name__)


class Lines(logging.Formatter):
    """Times in UTC; exceptions by kind and place."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(FORMAT, "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # shows the task with its exception, whose message may hold values
            record.msg, record.args = record.getMessage().partition("\n")[0], ()
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The calls that led there, and of each error in the chain its kind; what the system said of a file."""
        return "\n".join(line for error in reversed(list(chain(ei[1]))) for line in told(error))


def told(error: BaseException) -> Iterator[str]:
    """One error without its message."""
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    yield f"{type(error).__module__}.{type(error).__qualname__}{why}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def print_lines() -> None:
    """Let all loggers of this process write such lines to standard error, warnings and worse."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    threading.excepthook = lambda ended: logger.error(
        "a thread ended", exc_info=(ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback)
    )
