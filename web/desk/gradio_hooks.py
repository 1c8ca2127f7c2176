"""Everything undocumented that the desk relies on in Gradio, each with the reason, and what breaks without it.

tests/test_gradio_contract.py checks each with the installed Gradio. The names of Gradio's elements that the page's
style and script use (web/pages/static/desk.css, desk.js) are listed here too.
"""

import inspect
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

import gradio.events
import orjson
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from web.desk.gradio_import import gr

# ---- the queue -------------------------------------------------------------------------------------------------------
IDLE = 0.1  # seconds between two polls of a queue that nothing uses


class DeskBlocks(gr.Blocks):
    """Blocks with a slow queue.

    Gradio calls `queue` when it creates the Blocks; calling it later would build the whole Gradio app again. Its queue
    polls for work every millisecond for as long as the server runs. `_queue` and its two intervals are not public.
    Without this an idle desk uses a few per cent of a core.
    """

    def queue(self, *_: Any, **__: Any) -> gr.Blocks:
        super().queue(max_size=1)
        self._queue.sleep_when_free = self._queue.progress_update_sleep_when_free = IDLE
        return self


# ---- the page --------------------------------------------------------------------------------------------------------
# How Gradio's page begins. Gradio chooses its own texts by the page's language before any script of ours can set it;
# without this screen readers announce a French page as English.
OPENING = '<html\n\tlang="en"'
HEAD_END = "</head>"
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)
# Gradio makes functions of texts ('unsafe-eval') and styles elements one by one, and has scripts in the page whose text
# changes with it; the rest of the web needs nothing from this page, nor it from the web.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self' https://huggingface.co https://*.hf.space"
)
# What the page's style and script look for in what Gradio draws: without it the form looks like Gradio's, and units,
# errors and labels do not find their place.
ELEMENTS = (
    "block-info", "info-text", "option-list", "html-container", "input-container", "wrap-inner", "secondary-wrap",
    "gradio-container", "fillable",
)  # fmt: skip


def rewritten(page: str, language: str, head: str) -> str:
    """Gradio's page with the given language, and with `head` added to its head element."""
    page = page.replace(OPENING, f'<html\n\tlang="{language}"', 1)
    return page.replace(HEAD_END, f"{head}{HEAD_END}", 1)  # as an f-string: + would escape what is added to markup


def policy(page: str) -> str:
    """The page's Content-Security-Policy: it allows scripts from this server, and the page's inline scripts by hash."""
    inline = (content for attributes, content in SCRIPT.findall(page) if "src=" not in attributes)
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inline)
    return POLICY.format(hashes=hashes)


class WithoutQuery:
    """Gradio's app without query strings. Gradio supports parameters that our pages do not need, and one of them,
    `page`, raises. Without this any visitor can cause a server error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "query_string": b""} if scope["type"] == "http" else scope, receive, send)


# ---- events ----------------------------------------------------------------------------------------------------------
# The JavaScript of an event returns this to change a widget's properties, like `gr.update` in Python. Without
# `__type__` the object would become the widget's value.
SHUT_WHILE_TICKED = "(on) => ({__type__: 'update', interactive: !on, ...(on ? {value: ''} : {})})"


# ---- the API ---------------------------------------------------------------------------------------------------------
PROTOCOL = "sse_v3"  # what `/config` promises to Gradio's clients, which then read the messages below


def add_endpoint(
    function: Callable[..., Awaitable[Any]], name: str, description: str, kinds: Mapping[str, Any]
) -> None:
    """Add a function to the Blocks under construction, with parameters of these names and types.

    Gradio reads a function's signature and annotations, and its clients use these names. Without them clients would
    have to send a list, and would not know the types.
    """
    dressed: Any = function
    dressed.__annotations__ = {**kinds, "return": dict}
    dressed.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kinds[name]) for name in kinds],
        return_annotation=dict,
    )
    gradio.events.api(dressed, api_name=name, api_description=description, queue=False)


def completed_call(answer: bytes) -> bytes:
    """The event of `GET /gradio_api/call/NAME/EVENT` that delivers an answer (JSON)."""
    return b"event: complete\ndata: [" + answer + b"]\n\n"


def completed_join(event: str, answer: bytes) -> bytes:
    """The message of `GET /gradio_api/queue/data` that delivers an answer (JSON); see gradio/server_messages.py."""
    output = {"data": [orjson.Fragment(answer)], "is_generating": False}
    return message(msg="process_completed", event_id=event, output=output, success=True)


def closed_join() -> bytes:
    """The last message of a stream; without it a client waits forever."""
    return message(msg="close_stream", event_id=None)


def message(**parts: object) -> bytes:
    """An event of a stream."""
    return b"data: " + orjson.dumps(parts) + b"\n\n"


# ---- the mount -------------------------------------------------------------------------------------------------------
LARGEST_UPLOAD = "1mb"  # web/security/entrance.py refuses uploads anyway
# For the app on which Gradio is mounted. It allows no other origin, but must exist and be Starlette's own class;
# otherwise Gradio adds one that allows any site, with cookies.
NO_OTHER_ORIGIN = Middleware(CORSMiddleware)


def mount(app: FastAPI, desk: gr.Blocks, path: str) -> None:
    """Mount a desk, with Gradio's additional features turned off."""
    gr.mount_gradio_app(
        app,
        desk,
        path,
        footer_links=[],
        run_history=False,  # it would keep what was typed in the browser
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        max_file_size=LARGEST_UPLOAD,
        theme=theme(),
        app_kwargs={"middleware": [Middleware(WithoutQuery)]},
    )


def theme() -> gr.themes.Base:
    """System fonts only, since Gradio would download a named font; the rest is in web/pages/static/desk.css."""
    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SF Mono", "Consolas", "monospace"]
    return gr.themes.Base(font=sans, font_mono=mono)
