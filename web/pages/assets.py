"""The pages' own style sheets and scripts, served at URLs that change with their content."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.datastructures import Headers

from web.pages.modules import joined

FOLDER = Path(__file__).with_name("static")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
VARIES = {"Vary": "Accept-Encoding"}
GZIPPED = {**VARIES, "Content-Encoding": "gzip"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def asset_routes() -> APIRouter:
    """`GET /desk/DIGEST/FILE`, served from memory."""
    router = APIRouter()

    @router.get("/desk/{digest}/{name}")
    def asset(request: Request, digest: str, name: str) -> Response:
        if name not in assets() or asset_path(name) != f"desk/{digest}/{name}":
            raise HTTPException(404, "no such file")
        small = takes_gzip(request.headers)
        content, headers = (compressed(name), FOREVER | GZIPPED) if small else (assets()[name], FOREVER | VARIES)
        return Response(content, media_type=KINDS[Path(name).suffix], headers=headers)

    return router


@cache
def assets() -> dict[str, bytes]:
    """File name -> content; a folder of modules is one script."""
    files = {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix in KINDS}
    scripts = {f"{folder.name}.js": joined(folder).encode() for folder in sorted(FOLDER.iterdir()) if folder.is_dir()}
    return files | scripts


@cache
def compressed(name: str) -> bytes:
    """A file's content by gzip, made when it is first asked for."""
    return gzip.compress(assets()[name], 9, mtime=0)


def takes_gzip(headers: Headers) -> bool:
    """Whether a client accepts content compressed by gzip."""
    for offer in headers.get("accept-encoding", "").split(","):
        coding, _, weight = offer.strip().partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@cache
def asset_path(name: str) -> str:
    """The URL path of a file, relative to the app's root."""
    return f"desk/{hashlib.sha256(assets()[name]).hexdigest()[:12]}/{name}"
