"""The release's model card as a page, with its plots. The card is in English; the rest of the page is translated."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from markupsafe import Markup

from inference.languages import Text
from inference.release import Release
from web.pages.frame import frame, page
from web.pages.languages import HOME, UP
from web.pages.templates import PICTURE, markdown
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import person_of

CARD = "MODEL_CARD.md"
HERE = "model-card"
# Anyone may have written a card, so nothing in it may run or contact a server. The header's own script may run.
CARD_POLICY = (
    "default-src 'none'; script-src 'self'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": CARD_POLICY, "Cache-Control": "no-store"}  # it names the person who is logged in
PLOT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:; sandbox"


@dataclass(frozen=True)
class ModelCardPage:
    """The card, or the message that there is no card."""

    template: ClassVar[str] = "operations/model_card.html"
    title: str
    language: str  # the note that the card is in English, on a page in another language
    card: Markup | None
    releases: bool = False  # whether the way to all releases is shown


def model_card_routes(release: Release, ledger: bool) -> APIRouter:
    """`GET /model-card`, /fr/model-card with a French header, and the plots below /model-card/. `ledger`: whether there
    is a ledger, and so a link to the history in the header."""
    router = APIRouter()

    def page_in(texts: Texts) -> Callable[[Request], HTMLResponse]:
        def show(request: Request) -> HTMLResponse:
            person = person_of(request.scope)
            view = model_card(
                release.folder, release.manifest.title, texts, f"{UP[texts.language]}{HERE}/",
                ledger and (person is None or person.sees_all),
            )  # fmt: skip
            page_frame = frame(release.manifest.title[texts.language], texts, HERE, scope=request.scope, ledger=ledger)
            return HTMLResponse(page(view, texts, page_frame), 404 if view.card is None else 200, HEADERS)

        return show

    for language in LANGUAGES:
        path = f"{HOME[language]}{HERE}"
        router.add_api_route(path, page_in(texts_in(language)), response_class=HTMLResponse)

    @router.get(f"/{HERE}/{{name}}")
    def one_plot(name: str) -> FileResponse:
        return plot(release.folder, name)

    return router


def plot(folder: Path, name: str) -> FileResponse:
    """A picture of a release's folder."""
    file = folder / name
    if not PICTURE.fullmatch(name) or not file.is_file():
        raise HTTPException(404, "no such plot")
    return FileResponse(file, headers={"Content-Security-Policy": PLOT_POLICY})


def model_card(folder: Path, release_title: Text, texts: Texts, pictures: str, releases: bool = False) -> ModelCardPage:
    """What the page shows of a release's folder; `pictures` is the way to its plots, and ends with a slash."""
    title = f"{release_title[texts.language]} · {texts('footer.model_card')}"
    try:
        card = markdown((folder / CARD).read_text("utf-8"), pictures, texts_in("en"))
    except (OSError, UnicodeDecodeError):
        return ModelCardPage(title, "", None, releases)
    return ModelCardPage(title, "" if texts.language == "en" else texts("card.in_english"), card, releases)
