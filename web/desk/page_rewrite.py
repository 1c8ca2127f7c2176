"""Rewrites Gradio's page: language, title, style and script are in the HTML itself, before Gradio starts.

Gradio adds `head` and `css` with a script when it runs, which is too late for the language of its own texts, and shows
an unstyled page first.
"""

import gzip
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.fields import NumberField
from inference.numbers import THOUSANDS
from inference.release import Release
from web.desk.form import FormValues
from web.desk.gradio_hooks import policy, rewritten
from web.desk.number_box import shown_in_box
from web.desk.redrawn import KEPT, KEY, redrawn
from web.pages.answers import is_searched, kind_of, row_id
from web.pages.assets import takes_gzip
from web.pages.frame import Banner, Visitor, banner, visitor
from web.pages.languages import UP, page_language
from web.pages.templates import for_script, render
from web.pages.texts import LANGUAGES, texts_in
from web.work_count import count_for

LEVEL = 6  # of gzip: a fifth of the page remains, after a millisecond or two


@dataclass(frozen=True)
class OnTheDesk:
    """What the desk's script inserts: into the header, who is logged in or that no login is needed; into the form, what
    was typed into the form of another release, if this page is drawn in its place."""

    template: ClassVar[str] = "desk/visitor_now.html"
    visitor: Visitor | None
    banner: Banner | None
    count: str  # of cases that wait for who is logged in
    typed: Markup | None  # JSON
    carried: Markup | None  # JSON: what was typed before another language was chosen, as the page's script sent it


@dataclass(frozen=True)
class DeskHead:
    """What the page needs before Gradio starts."""

    template: ClassVar[str] = "desk/head.html"
    title: str
    up: str
    facts: Markup  # JSON
    searches: bool  # whether a field has a long list of codes
    visits: bool  # whether each visitor has a ledger of their own


class PageDress:
    """ASGI middleware: rewrites the HTML of the desk, and adds its Content-Security-Policy."""

    def __init__(self, app: ASGIApp, release: Release, recorded: bool, visits: bool = False) -> None:
        self.app, self._release = app, release
        self.heads = {language: head(release, language, visits) for language in LANGUAGES}
        self._form_values = {language: FormValues(release.form, language, recorded) for language in LANGUAGES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        language = page_language(scope)
        if language is None:
            await self.app(scope, receive, send)
            return
        # Request an uncompressed page, since a compressed one cannot be rewritten.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        body = bytearray()

        async def dress(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = MutableHeaders(scope=start)
            content = bytes(body)
            if start["status"] == 200 and content and headers.get("content-type", "").startswith("text/html"):
                page = rewritten(content.decode(), language, self.head(language, scope))
                content = page.encode()
                # The page holds no secret that a guess in a request could be compressed with.
                if takes_gzip(Headers(scope=scope)):
                    content = await run_in_threadpool(gzip.compress, content, LEVEL, mtime=0)
                    headers["Content-Encoding"] = "gzip"
                headers.add_vary_header("Accept-Encoding")
                headers["Content-Length"] = str(len(content))
                headers["Content-Security-Policy"] = policy(page)
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, dress)

    def head(self, language: str, scope: Scope) -> str:
        """What is added to the page's head: what it needs before Gradio starts, and who is logged in."""
        texts, up = texts_in(language), UP[language]
        typed = None
        if scope.get(KEY) is not None:
            typed = for_script(redrawn(scope[KEY], self._release, self._form_values[language], texts))
        carried = for_script(scope[KEPT]) if isinstance(scope.get(KEPT), dict) else None
        now = OnTheDesk(visitor(scope, texts, up), banner(scope, texts), count_for(scope), typed, carried)
        return self.heads[language] + render(now, texts)


def head(release: Release, language: str, visits: bool = False) -> Markup:
    """What the page needs before Gradio starts: title, language, style, and the data for its script."""
    texts = texts_in(language)
    up = UP[language]
    title = f"Tenfold · {release.manifest.title[language]}"
    known = {
        "release": release.digest,
        "language": language,
        "thousands": THOUSANDS[language],
        "untouched": texts("form.untouched", count="{count}"),
        "rows": [
            {
                "name": field.name,
                "id": row_id(field),
                "kind": kind_of(field),
                "unit": field.unit[language],
                "searched": is_searched(field),
                **(shown_in_box(field, field.typical_answer, language) if isinstance(field, NumberField) else {}),
            }
            for field in release.form.fields
        ],
    }
    searches = any(map(is_searched, release.form.fields))
    return render(DeskHead(title, up, for_script(known), searches, visits), texts)
