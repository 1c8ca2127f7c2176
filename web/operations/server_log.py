"""The server's log on standard error: times in UTC; exceptions with their type and stack, but without their message.

The message of an exception may contain an applicant's data: "could not convert string to float: …".
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
    """Formats times in UTC, and exceptions by type and stack."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(FORMAT, "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # shows the task with its exception, whose message may hold values
            record.msg, record.args = record.getMessage().partition("\n")[0], ()
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The stack and the type of each exception in the chain; of an `OSError` also the system's message."""
        return "\n".join(line for error in reversed(list(chain(ei[1]))) for line in without_message(error))


def without_message(error: BaseException) -> Iterator[str]:
    """The lines of an exception without its message."""
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    system_message = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    yield f"{type(error).__module__}.{type(error).__qualname__}{system_message}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def print_lines() -> None:
    """Configure logging: all loggers of this process write warnings and errors to standard error in this format."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    threading.excepthook = lambda ended: logger.error(
        "a thread ended", exc_info=(ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback)
    )
