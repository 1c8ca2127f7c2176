"""Gradio's page in our dress: language, title, style and script in the HTML itself, before Gradio starts.

Gradio adds `head` and `css` with a script once it runs, which is too late for the language that it picks its
own words by, and shows an unstyled page first.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.fields import NumberField
from inference.numbers import THOUSANDS
from inference.release import Release
from web.cards.score_card import shown_in_box
from web.pages.answers import kind_of, row_id
from web.pages.frame import Banner, Visitor, banner, visitor
from web.pages.languages import UP, page_language
from web.pages.templates import for_script, render
from web.pages.texts import texts_in

# Gradio makes functions of texts ('unsafe-eval') and styles elements one by one; the rest of the web needs nothing from
# this page, nor it from the web.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self' https://huggingface.co https://*.hf.space"
)
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)
OPENING = '<html\n\tlang="en"'


@dataclass(frozen=True)
class OnTheDesk:
    """What the desk's script puts into its header: who looks at it, and how open the app is."""

    template: ClassVar[str] = "desk/visitor_now.html"
    visitor: Visitor | None
    banner: Banner | None


@dataclass(frozen=True)
class DeskHead:
    """What the page needs before Gradio starts."""

    template: ClassVar[str] = "desk/head.html"
    title: str
    up: str
    facts: Markup  # JSON


class PageDress:
    """Rewrites the HTML of the desk's pages on its way out, and adds the headers that keep it at home."""

    def __init__(self, app: ASGIApp, release: Release) -> None:
        self.app = app
        self.heads = {language: head(release, language) for language in ("en", "fr")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        language = page_language(scope)
        if language is None:
            await self.app(scope, receive, send)
            return
        # Ask for the plain page, since a compressed one cannot be rewritten.
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
                page = self.rewrite(content.decode(), language, scope)
                content = page.encode()
                headers["Content-Length"] = str(len(content))
                headers["Content-Security-Policy"] = policy(page)
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, dress)

    def rewrite(self, page: str, language: str, scope: Scope) -> str:
        """The page with its language on the first line, our head at the end of its own, and who looks at it."""
        page = page.replace(OPENING, f'<html\n\tlang="{language}"', 1)
        texts, up = texts_in(language), UP[language]
        shown = render(OnTheDesk(visitor(scope, texts, up), banner(scope, texts)), texts)
        return page.replace("</head>", self.heads[language] + shown + "</head>", 1)


class WithoutQuery:
    """Gradio's app, which is told nothing of what stands behind a question mark: it knows parameters that our pages do
    not have, and one of them, `page`, raises."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "query_string": b""} if scope["type"] == "http" else scope, receive, send)


def policy(page: str) -> str:
    """The page's policy: of scripts those from here, and those that stand in the page as it is now, by their hash."""
    inline = (content for attributes, content in SCRIPT.findall(page) if "src=" not in attributes)
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inline)
    return POLICY.format(hashes=hashes)


def head(release: Release, language: str) -> Markup:
    """What the page needs before Gradio starts: its title, its language, its style, and what the script must know."""
    texts = texts_in(language)
    up = UP[language]
    title = f"Tenfold · {release.manifest.title[language]}"
    known = {
        "language": language,
        "thousands": THOUSANDS[language],
        "rows": [
            {
                "name": field.name,
                "id": row_id(field),
                "kind": kind_of(field),
                "unit": field.unit[language],
                **(shown_in_box(field, field.typical_answer, language) if isinstance(field, NumberField) else {}),
            }
            for field in release.form.fields
        ],
    }
    return render(DeskHead(title, up, for_script(known)), texts)
