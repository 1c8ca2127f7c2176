"""Health checks, for load balancers, containers and people: is this process alive, and can it score?"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from inference.engines import TOLERANCE, golden_differences
from inference.scorer import Scorer
from inference.settings import Settings
from inference.version import VERSION
from ledger import queries
from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, cause
from ledger.ledger import Ledger
from web.person import OPEN, mode_of, person_of
from web.service_state import ServiceState

ELSEWHERE = "set TENFOLD_LOG to a file elsewhere, or to off"


def health_routes(scorer: Scorer, settings: Settings, ledger: Ledger | None = None) -> APIRouter:
    """`GET /livez` returns 200 while the process answers; `GET /readyz` returns 200, or 503 with the reasons.

    Neither uses the thread pool of the pages, so a busy pool does not delay them.
    """
    router = APIRouter()
    thread = ThreadPoolExecutor(1, thread_name_prefix="readyz")

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz(request: Request, response: Response) -> dict[str, Any]:
        state = await asyncio.get_running_loop().run_in_executor(thread, readiness, scorer, settings, ledger)
        response.status_code = 503 if state["problems"] else 200
        response.headers["Cache-Control"] = "no-store"
        # If login is required, only people who are logged in see paths and releases; a load balancer needs neither.
        may_see_details = mode_of(request.scope) == OPEN or person_of(request.scope) is not None
        return state if may_see_details else {"status": state["status"]}

    return router


def readiness(scorer: Scorer, settings: Settings, ledger: Ledger | None = None) -> dict[str, Any]:
    """The state of release, log and ledger; `problems` is empty if the process is ready."""
    release = scorer.release
    problems = golden_problems(scorer) + log_problems(settings.log) + ledger_problems(ledger)
    return {
        "status": "not ready" if problems else "ready",
        "problems": problems,
        "warnings": ledger_warnings(ledger),
        "version": VERSION,
        "release": release.name,
        "digest": release.digest,
        "state": ServiceState(release, ledger).now(),
        "engine": scorer.engine.name,
        "golden": len(release.manifest.golden),
        "log": "off" if settings.log is None else str(settings.log),
        "ledger": "off" if ledger is None else str(ledger.store.path),
        "log_lines_dropped": scorer.log.dropped if scorer.log else 0,
    }


def golden_problems(scorer: Scorer) -> list[str]:
    """Score the release's golden applications again, as one batch and without log lines; returns what is wrong."""
    try:
        differences = golden_differences(scorer.engine, scorer.release)
    except Exception as error:
        return [f"golden applications cannot be scored: {type(error).__name__}: {error}"]
    return [
        f"golden application {index}: the PD is off by {difference:.2g}"
        for index, difference in enumerate(differences.tolist())
        if not abs(difference) <= TOLERANCE
    ]


def log_problems(log: Path | None) -> list[str]:
    """Why the performance log cannot be written, found out without writing to it."""
    if log is None:
        return []
    folder = log.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent  # the first line creates it
    try:
        if not folder.is_dir():
            return [f"log: {folder} is not a folder; {ELSEWHERE}"]
        if not os.access(folder, os.W_OK | os.X_OK):
            return [f"log: {folder} cannot be written; {ELSEWHERE}"]
        if not os.statvfs(folder).f_bavail:
            return [f"log: the disk under {folder} is full; {ELSEWHERE}"]
    except OSError as error:
        return [f"log: {folder}: {error.strerror}; {ELSEWHERE}"]
    return []


def ledger_warnings(ledger: Ledger | None) -> list[str]:
    """What an administrator should look at, although scores are recorded."""
    if ledger is None:
        return []
    try:
        with ledger.store.reading() as connection:
            purged = queries.unclean(queries.driver(connection))
        endpoints = ledger.endpoint_states()
    except DATABASE_ERRORS:
        return []  # `ledger_problems` reports it
    warnings = [
        f"webhooks: {endpoint.failed:,} events for {endpoint.name} were given up: 'tenfold outbox' lists them"
        for endpoint in endpoints
        if endpoint.failed
    ]
    if purged is not None:
        warnings.append(f"ledger: what record {purged.seq} says was erased may still be in the file or its log")
    return warnings


def ledger_problems(ledger: Ledger | None) -> list[str]:
    """Why decisions cannot be recorded: the error of the last write, or a missing file; nothing is written."""
    if ledger is None:
        return []
    if ledger.problem:
        return [ledger.problem]
    try:
        ledger.store.check_usable()
        if not os.statvfs(ledger.store.path.parent).f_bavail:
            return [f"ledger: the disk under {ledger.store.path.parent} is full"]
    except LedgerUnavailable as error:
        return [f"ledger: {error}"]
    except DATABASE_ERRORS as error:
        return [f"ledger: {cause(error)}"]
    return []
