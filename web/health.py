"""Is this process alive, and can it score? For load balancers, containers and people."""

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from inference.engines import TOLERANCE, golden_differences
from inference.scorer import Scorer
from inference.settings import Settings


def health_routes(scorer: Scorer, settings: Settings) -> APIRouter:
    """`GET /livez` is 200 while the process answers; `GET /readyz` is 200 or 503, and says why."""
    router = APIRouter()

    @router.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    def readyz(response: Response) -> dict[str, Any]:
        state = readiness(scorer, settings)
        response.status_code = 503 if state["problems"] else 200
        response.headers["Cache-Control"] = "no-store"
        return state

    return router


def readiness(scorer: Scorer, settings: Settings) -> dict[str, Any]:
    """Digest, golden applications and log; `problems` is empty where all is well."""
    release = scorer.release
    golden = golden_problems(scorer)
    log = log_problems(settings.log)
    return {
        "status": "not ready" if golden or log else "ready",
        "problems": golden + log,
        "release": release.name,
        "digest": release.digest,
        "engine": scorer.engine.name,
        "golden": len(release.manifest["golden"]),
        "log": "off" if settings.log is None else str(settings.log),
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
            return [f"log: {folder} is no folder"]
        if not os.access(folder, os.W_OK | os.X_OK):
            return [f"log: {folder} cannot be written; set TENFOLD_LOG to a file elsewhere, or to off"]
        if not os.statvfs(folder).f_bavail:
            return [f"log: the disk under {folder} is full"]
    except OSError as error:
        return [f"log: {folder}: {error.strerror}"]
    return []
