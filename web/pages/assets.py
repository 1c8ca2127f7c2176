"""The pages' own style sheets and scripts, served at URLs that change with their content."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

FOLDER = Path(__file__).with_name("static")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def asset_routes() -> APIRouter:
    """`GET /desk/DIGEST/FILE`, served from memory."""
    router = APIRouter()

    @router.get("/desk/{digest}/{name}")
    def asset(digest: str, name: str) -> Response:
        if name not in assets() or asset_path(name) != f"desk/{digest}/{name}":
            raise HTTPException(404, "no such file")
        return Response(assets()[name], media_type=KINDS[Path(name).suffix], headers=FOREVER)

    return router


@cache
def assets() -> dict[str, bytes]:
    """File name -> content."""
    return {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix in KINDS}


@cache
def asset_path(name: str) -> str:
    """The URL path of a file, relative to the app's root."""
    return f"desk/{hashlib.sha256(assets()[name]).hexdigest()[:12]}/{name}"
