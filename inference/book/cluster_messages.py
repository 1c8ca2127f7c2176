"""What Dask logs while a book is scored on a cluster: one line each, and none beside the error that ends a run.

Of a connection that fails, or that a scheduler's end breaks, Dask's own tasks log tracebacks, before or after the
exception that is raised here; the run's last line says what happened and what to do. In between, a worker that is
restarted or lost is news.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")


class OneLine(logging.Formatter):
    """The first line of a message, and of the exception that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        words = [first_line(record.getMessage())]
        if error is not None:
            words.append(f"{type(error).__name__}: {first_line(error)}")
        return f"Dask: {' - '.join(word for word in words if word)}"


class News(logging.StreamHandler):  # type: ignore[type-arg]  # a class for type checkers alone
    """Writes what is logged to standard error, while there is a run to tell of."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(OneLine())
        self.setLevel(logging.WARNING)
        self._is_shown = False
        self.addFilter(lambda record: self._is_shown)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within, messages are written."""
        self._is_shown = True
        try:
            yield
        finally:
            self._is_shown = False


@contextmanager
def news_of_dask() -> Iterator[News]:
    """Take the place of what writes Dask's log to standard error; a file that Dask is configured to log to stays."""
    # In a program that says where its own messages go, those of its asyncio go there too.
    names = LOGGERS if logging.getLogger().handlers else (*LOGGERS, "asyncio")
    news, before = News(), []
    for logger in map(logging.getLogger, names):
        before.append((logger, logger.handlers[:], logger.propagate))
        others = [handler for handler in logger.handlers if getattr(handler, "stream", None) is not sys.stderr]
        logger.handlers, logger.propagate = [*others, news], False
    try:
        yield news
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def first_line(value: object) -> str:
    """Of a message or an exception."""
    return next(iter(str(value).strip().splitlines()), "")[:300]
