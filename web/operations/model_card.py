"""The release's model card as a plain page, with its plots."""

import re
from html import escape

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from markdown_it import MarkdownIt
from starlette.types import Scope

from inference.release import Release
from web.pages.assets import asset_path, icon
from web.pages.frame import who
from web.pages.texts import texts_in

CARD = "MODEL_CARD.md"
PLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(svg|png)")
# What the renderer writes -> what fits this page: wide tables scroll, alignment is a class since no inline style is
# allowed, and links into the repository, which is not served, are only their words.
FITTED = [
    (re.compile(r"<table>(.*?)</table>", re.S), r'<div class="wide" tabindex="0"><table>\1</table></div>'),
    (re.compile(r'(<t[hd]) style="text-align:(left|right|center)"'), r'\1 class="\2"'),
    (re.compile(r'<a href="(?!https?://|#)[^"]*">(.*?)</a>', re.S), r"\1"),
]
# Nothing in a card runs or calls out: anyone may have written it.
CARD_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
PLOT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:; sandbox"


def model_card_routes(release: Release) -> APIRouter:
    """`GET /model-card`, and its plots beside it."""
    router = APIRouter()

    @router.get("/model-card", response_class=HTMLResponse)
    def model_card(request: Request) -> HTMLResponse:
        page, found = render(release, request.scope)
        # It names the person who is logged in.
        headers = {"Content-Security-Policy": CARD_POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(page, 200 if found else 404, headers)

    @router.get("/model-card/{name}")
    def plot(name: str) -> FileResponse:
        file = release.folder / name
        if not PLOT.fullmatch(name) or not file.is_file():
            raise HTTPException(404, "no such plot")
        return FileResponse(file, headers={"Content-Security-Policy": PLOT_POLICY})

    return router


def render(release: Release, scope: Scope) -> tuple[str, bool]:
    """The page, and whether the release has a card. Markup in the card is shown, not obeyed."""
    texts = texts_in("en")
    try:
        source = (release.folder / CARD).read_text("utf-8")
        body = MarkdownIt("commonmark", {"html": False}).enable("table").render(source)
        found = True
    except (OSError, UnicodeDecodeError):
        body, found = f"<p>{escape(texts('card.missing'))}</p>", False
    for pattern, replacement in FITTED:
        body = pattern.sub(replacement, body)
    title = escape(f"{release.manifest.title['en']} · {texts('footer.model_card')}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><base href="model-card/">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · Tenfold</title>{icon('../')}"
        f'<link rel="stylesheet" href="../{asset_path("card.css")}"></head>'
        f'<body><nav><a href="../">{escape(texts("card.back"))}</a> {who(scope, texts, "../")}</nav>'
        f"<main>{body}</main></body></html>"
    ), found
