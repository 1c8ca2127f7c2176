"""Is this process alive, and can it score? For load balancers, containers and people."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from inference.engines import TOLERANCE, golden_differences
from inference.scorer import Scorer
from inference.settings import Settings
from ledger import queries
from ledger.errors import DATABASE_ERRORS, LedgerUnavailable, cause
from ledger.ledger import Ledger
from web.person import OPEN, mode_of, person_of
from web.service_state import ServiceState

ELSEWHERE = "set TENFOLD_LOG to a file elsewhere, or to off"


def health_routes(scorer: Scorer, settings: Settings, ledger: Ledger | None = None) -> APIRouter:
    """`GET /livez` is 200 while the process answers; `GET /readyz` is 200 or 503, and says why.

    Neither waits for the threads that pages share, however busy those are.
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
        # Where people log in, paths and releases are for them; a load balancer needs neither.
        known = mode_of(request.scope) == OPEN or person_of(request.scope) is not None
        return state if known else {"status": state["status"]}

    return router


def readiness(scorer: Scorer, settings: Settings, ledger: Ledger | None = None) -> dict[str, Any]:
    """Digest, golden applications, log and ledger; `problems` is empty where all is well."""
    release = scorer.release
    problems = golden_problems(scorer) + log_problems(settings.log) + ledger_problems(ledger)
    return {
        "status": "not ready" if problems else "ready",
        "problems": problems,
        "warnings": ledger_warnings(ledger),
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
    """The release's golden applications, scored again as one batch; no log line is written."""
    try:
        differences = golden_differences(scorer.engine, scorer.release)
    except Exception as error:
        return [f"golden applications cannot be scored: {type(error).__name__}: {error}"]
    return [
        f"golden application {at}: the PD is off by {off:.2g}"
        for at, off in enumerate(differences.tolist())
        if not abs(off) <= TOLERANCE
    ]


def log_problems(log: Path | None) -> list[str]:
    """Why no line could be written to the performance log; nothing is written to find out."""
    if log is None:
        return []
    folder = log.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent  # it will be made with the first line
    try:
        if not folder.is_dir():
            return [f"log: {folder} is no folder; {ELSEWHERE}"]
        if not os.access(folder, os.W_OK | os.X_OK):
            return [f"log: {folder} cannot be written; {ELSEWHERE}"]
        if not os.statvfs(folder).f_bavail:
            return [f"log: the disk under {folder} is full; {ELSEWHERE}"]
    except OSError as error:
        return [f"log: {folder}: {error.strerror}; {ELSEWHERE}"]
    return []


def ledger_warnings(ledger: Ledger | None) -> list[str]:
    """What somebody should look at although scores are recorded."""
    if ledger is None:
        return []
    try:
        with ledger.store.reading() as connection:
            purged = queries.unclean(queries.driver(connection))
    except DATABASE_ERRORS:
        return []  # `ledger_problems` says so
    if purged is None:
        return []
    return [f"ledger: what record {purged.seq} says was erased may still be in the file or its log"]


def ledger_problems(ledger: Ledger | None) -> list[str]:
    """Why no decision could be recorded: what the last write said, or a file that is gone; nothing is written."""
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
