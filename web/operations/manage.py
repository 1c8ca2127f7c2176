"""The page Manage: links to the pages that nobody needs all day, as far as the visitor may open them."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.types import Scope

from inference.languages import Text
from web.pages.frame import HEADERS, OVERRIDES, frame, page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, mode_of, person_of

HERE = "manage"


@dataclass(frozen=True)
class Way:
    """A link to a page, and what it is for."""

    path: str
    title: str
    what: str


@dataclass(frozen=True)
class ManagePage:
    """The list of pages."""

    template: ClassVar[str] = "operations/manage.html"
    ways: tuple[Way, ...]


def manage_routes(title: Text, ledger: bool) -> APIRouter:
    """`GET /manage`, and /fr/manage in French."""
    router = APIRouter()

    async def show(request: Request, texts: Texts) -> HTMLResponse:
        view = ManagePage(
            tuple(Way(path, texts(f"manage.{name}"), texts(f"manage.{name}_what"))
                  for name, path in ways(request.scope, ledger).items())
        )  # fmt: skip
        page_frame = frame(title[texts.language], texts, HERE, scope=request.scope, ledger=ledger)
        return HTMLResponse(page(view, texts, page_frame), headers=HEADERS)

    for language in LANGUAGES:
        router.add_route(f"{HOME[language]}{HERE}", partial(show, texts=texts_in(language)), methods=["GET"])
    return router


def ways(scope: Scope, ledger: bool) -> dict[str, str]:
    """The pages that the visitor may open: name -> path."""
    person = person_of(scope)
    is_manager = person is None or person.sees_all
    named = {"batch": "batch", "operations": "operations"}
    if is_manager:
        named |= {"overrides": OVERRIDES, "monitor": "monitor", "events": "events"} if ledger else {}
        named |= {"releases": "releases"}
    if mode_of(scope) == CLOSED and person is not None and not person.machine:
        named |= {"users": "users"} if is_manager else {}
        named |= {"password": "password"}
    return named
