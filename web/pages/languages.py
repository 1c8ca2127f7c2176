"""Which language a browser gets: the choice in its cookie, else the one it prefers."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.pages.texts import LANGUAGES

HOME = {"en": "/", "fr": "/fr/"}
UP = {"en": "", "fr": "../"}  # relative path from a language's desk to the app's root
COOKIE = "lang"
YEAR = 365 * 86_400


class LanguageChoice:
    """Redirects a browser that opens the desk to the desk in its language, and remembers an explicit choice.

    `?lang=fr` is such a choice; it takes precedence over the cookie, and the cookie over Accept-Language.
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
        language = chosen or (cookie_language(headers) or accepted_language(headers) if page == "en" else "") or page

        async def send_with_choice(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Accept-Language, Cookie")
                answer["Cache-Control"] = "no-store"
                if chosen:
                    answer.append("Set-Cookie", f"{COOKIE}={chosen}; Max-Age={YEAR}; Path=/; SameSite=Lax; HttpOnly")
            await send(message)

        if language != page or scope["path"] == "/fr":
            # The choice goes along: in another site's frame the cookie may be refused.
            target = scope.get("root_path", "") + HOME[language] + (f"?lang={chosen}" if chosen else "")
            await RedirectResponse(target, status_code=307)(scope, receive, send_with_choice)
            return
        await self.app(scope, receive, send_with_choice)


def page_language(scope: Scope) -> str | None:
    """The language of the desk that a browser asks for; None if the request is for anything else."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    if "text/html" not in Headers(scope=scope).get("accept", ""):
        return None
    return {"/": "en", "/fr": "fr", "/fr/": "fr"}.get(scope["path"].removeprefix(scope.get("root_path", "")))


def cookie_language(headers: Headers) -> str:
    """The language in the cookie, or an empty string."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel and morsel.value in LANGUAGES else ""


def accepted_language(headers: Headers) -> str:
    """The one of our languages to which Accept-Language gives the greatest weight, or an empty string."""
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
