"""Reads the ledger for the API, in another thread."""

import logging
from typing import Any

from starlette.concurrency import run_in_threadpool

from ledger import errors
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from web.problems import Refusal

logger = logging.getLogger(__name__)


async def read(ledger: Ledger | None, query: Any, searching: bool = False) -> Any:
    """What a query of the ledger gives; searches run one at a time. 404 without a ledger. Raises `Refusal`, or
    `LedgerUnavailable`."""
    if ledger is None:
        raise Refusal(404, "no-ledger", "This server keeps no ledger")

    def ask() -> Any:
        with ledger.store.reading() as connection:
            return query(connection)

    try:
        return await (ledger.search(query) if searching else run_in_threadpool(ask))
    except errors.UNREADABLE as error:
        logger.error("ledger: %s", errors.cause(error))
        raise LedgerUnavailable(errors.cause(error)) from None
