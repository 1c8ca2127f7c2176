"""Which language a browser gets: its choice, kept in a cookie, else what it prefers."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.pages.texts import LANGUAGES

HOME = {"en": "/", "fr": "/fr/"}
UP = {"en": "", "fr": "../"}  # from a language's page to the app's root, so that no path needs to be known
COOKIE = "lang"
YEAR = 365 * 86_400


class LanguageChoice:
    """Sends a browser that opens a page to its language's own page, and remembers an explicit choice.

    `?lang=fr` on a page is such a choice; it wins over the cookie, and the cookie over Accept-Language.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = page_language(scope)
        if page is None:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        chosen = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[-1]
        chosen = chosen if chosen in LANGUAGES else ""
        wanted = chosen or (kept(headers) or preferred(headers) if page == "en" else "") or page

        async def send_with_choice(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Accept-Language, Cookie")
                answer["Cache-Control"] = "no-store"
                if chosen:
                    answer.append("Set-Cookie", f"{COOKIE}={chosen}; Max-Age={YEAR}; Path=/; SameSite=Lax; HttpOnly")
            await send(message)

        if wanted != page or scope["path"] == "/fr":
            target = scope.get("root_path", "") + HOME[wanted]
            await RedirectResponse(target, status_code=307)(scope, receive, send_with_choice)
            return
        await self.app(scope, receive, send_with_choice)


def page_language(scope: Scope) -> str | None:
    """The language of the page that a browser asks for; None where the request is no browser's for a page."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    if "text/html" not in Headers(scope=scope).get("accept", ""):
        return None
    return {"/": "en", "/fr": "fr", "/fr/": "fr"}.get(scope["path"].removeprefix(scope.get("root_path", "")))


def kept(headers: Headers) -> str:
    """The language of the cookie, or nothing."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel and morsel.value in LANGUAGES else ""


def preferred(headers: Headers) -> str:
    """Of our languages the one that Accept-Language weighs most, or nothing."""
    weights: dict[str, float] = {}
    for part in headers.get("accept-language", "").split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        name, _, value = parameters.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if language in LANGUAGES and 0 < weight <= 1:
            weights[language] = max(weight, weights.get(language, 0.0))
    return max(weights, key=lambda language: weights[language], default="")
