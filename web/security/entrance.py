"""Who may enter: the outermost part of the app. What no rule names does not exist; what one names asks for a person.

Three ways to be open, chosen when the app starts and said on every page:
- users exist: everybody logs in, or brings a token;
- nobody exists, and the server listens on this machine alone: open, to this machine's own addresses and browser;
- a public demonstration: open, nothing is kept and nothing is shared.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.settings import Settings
from web.pages.languages import HOME, kept, preferred
from web.person import CLOSED, DEMO, METRICS, OPEN, Person
from web.security.accounts import LOCAL, AccountError, Accounts, is_local, mode
from web.security.limits import ALWAYS, Rate, RequestRefused, answer, body_size
from web.security.security_log import KEY, SecurityLog

COOKIE = "tenfold-session"
# Who may ask for a route: nobody has to be logged in; anybody who is, but for tokens that read metrics alone; those
# that read metrics, and managers; managers.
NOBODY, LOGGED_IN, METERING, ALL_SEEING = "nobody", "anybody", "metrics", "manager"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SHOWING = frozenset({"GET", "POST"})  # a search is sent by POST, so that no address holds a reference
# Every path there is, from the app's root, and who may ask for it. "fr" stands for the French pages.
PAGES = r"/(?:fr/)?"
RULES = [
    (re.compile(pattern), who)
    for pattern, who in (
        (r"/livez|/readyz", NOBODY),
        (PAGES + r"login", NOBODY),
        (r"/desk/[0-9a-f]{12}/[a-z]+\.(?:css|js|svg)", NOBODY),  # style and script: as open as the source
        (PAGES + r"history/overrides|" + PAGES + r"record/[^/]+/(?:hold|release)", ALL_SEEING),
        (PAGES + r"releases(?:/[\w.-]+(?:/[\w.-]+)?)?", ALL_SEEING),
        (r"/metrics", METERING),
        (r"/api/v1/ledger/head", ALL_SEEING),
        (PAGES + r"logout", LOGGED_IN),
        (r"/api/v1/.+", LOGGED_IN),
        (r"/|/fr|/fr/", LOGGED_IN),
        (PAGES + r"desk/(?:score|try|take|read)", LOGGED_IN),
        (PAGES + r"record/[^/]+(?:/(?:decide|agree|contest|notified|notice|notice\.pdf))?", LOGGED_IN),
        (PAGES + r"(?:history|performance|model-card)", LOGGED_IN),
        (r"/model-card/[^/]+", LOGGED_IN),
        # Of Gradio's many routes what its page loads: no uploads, files, proxies or logins.
        (PAGES + r"(?:assets|static)/[\w.@/-]{1,200}|" + PAGES + r"theme\.css", LOGGED_IN),
        (r"/config|/gradio_api/info", LOGGED_IN),
        # What its clients call: web/desk/gradio_api.py answers.
        (r"/gradio_api/queue/(?:join|data)|/gradio_api/(?:run|call)/predict_credit_score", LOGGED_IN),
        (r"/gradio_api/call/predict_credit_score/[0-9a-f]{32}", LOGGED_IN),
    )
]
# What shows people's answers or references; the group is the record's id. Reading them is in the security log.
READS = [
    (re.compile(pattern), what)
    for pattern, what in (
        (PAGES + r"record/([^/]+)", "page"),
        (PAGES + r"record/([^/]+)/notice(?:\.pdf)?", "notice"),
        (r"/api/v1/decisions/([^/]+)", "api"),
        (PAGES + r"history()", "history"),
        (r"/api/v1/decisions()", "list"),
    )
]
DEFAULTS = [
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none at all a browser sends our own forms with Origin: null
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
READING = re.compile(PAGES + r"(?:record|history)|/api/v1/decisions")  # one look, for most requests read nothing
BEHIND_TLS = [*DEFAULTS, (b"strict-transport-security", b"max-age=31536000")]
DEFAULT_NAMES = frozenset(name for name, _ in BEHIND_TLS)


SIGNED_OUT = RequestRefused(401, "not-known", "Log in, or bring a token", WWW_Authenticate='Bearer realm="Tenfold"')


@lru_cache(256)
def rule(path: str) -> str | None:
    """Who may ask for a path; None where there is no such path."""
    for pattern, who in RULES:
        if pattern.fullmatch(path):
            return who
    return None


@lru_cache(256)
def host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class Entrance:
    """ASGI middleware: finds out who asks, refuses what may not be, and puts safe headers on every answer."""

    def __init__(
        self, app: ASGIApp, settings: Settings, accounts: Accounts, security_log: SecurityLog | None = None
    ) -> None:
        self.app, self._accounts, self._mode = app, accounts, mode(settings, accounts)
        self._log = security_log or SecurityLog(None, 0)
        self._rate = Rate(settings.rate) if settings.rate else None
        self._origins = frozenset(settings.origins)
        self._hosts = LOCAL | {settings.host} | {urlsplit(origin).hostname for origin in settings.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks WebSocket
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in ASKED}
        safe = BEHIND_TLS if scope["scheme"] == "https" else DEFAULTS

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 200 and scope["method"] in SHOWING and (read := what_is_read(path)):
                    self._log.of(scope, "record_read", what=read[0], record=read[1] or None, mode=self._mode)
                there = {name for name, _ in message["headers"]}
                missing = safe if there.isdisjoint(DEFAULT_NAMES) else [pair for pair in safe if pair[0] not in there]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        try:
            refused = self._refused(scope, path, headers)
        except AccountError:
            why = "The file of users cannot be read: the server's log says why"
            refused = RequestRefused(503, "no-users", "Nobody can be let in", why)
        if refused is not None:
            self._tell(scope, path, refused)
        if refused is None:
            scope[KEY] = self._log
            scope["fastapi.telemetry"] = None  # or Gradio's app inside would tell OpenTelemetry of every request
            await self.app(scope, receive, dressed)
        elif refused is SIGNED_OUT and is_page(scope, headers):
            language = "fr" if path.startswith("/fr") else "en"
            if path == "/":
                language = kept(Headers(scope=scope)) or preferred(Headers(scope=scope)) or language
            wanted = quote(path.removeprefix("/"), safe="/") if scope["method"] == "GET" else ""
            target = f"{root}{HOME[language]}login" + (f"?next={wanted}" if wanted not in ("", "fr", "fr/") else "")
            await RedirectResponse(target, 303, {"Cache-Control": "no-store"})(scope, receive, dressed)
        else:  # what it sends is not read
            await answer(refused, path, closing=body_size(scope["headers"]) != 0)(scope, receive, dressed)

    def _refused(self, scope: Scope, path: str, headers: Mapping[bytes, str]) -> RequestRefused | None:
        """Why a request may not go on. Where it may, its scope says who asks and how open the app is."""
        who = rule(path)
        if who is None:
            return RequestRefused(404, "no-such-route", "Not Found")
        if self._mode == OPEN and (elsewhere := self._from_elsewhere(scope, path, headers)):
            return elsewhere
        if scope["method"] not in SAFE and not self._same_origin(headers):
            why = "Its Origin is neither this server nor in TENFOLD_ORIGINS"
            return RequestRefused(403, "another-site", "Another site may not send this", why)
        if self._mode == OPEN and self._accounts.anybody():
            self._mode = CLOSED  # from the first user on, and until a restart
        scope["mode"] = self._mode
        if self._mode == OPEN:
            return None  # one computer's people are one client
        person = scope["person"] = self._person(path, headers) if self._mode == CLOSED else None
        if path not in ALWAYS and (seconds := self._wait(scope, person)):
            return RequestRefused(
                429, "too-many-requests", "Too many requests from this client", Retry_After=str(seconds)
            )
        if self._mode == DEMO or who == NOBODY:
            return None
        if person is None:
            return SIGNED_OUT
        if who == METERING and person.role == METRICS:
            return None
        if who in (ALL_SEEING, METERING) and not person.sees_all:
            return RequestRefused(403, "for-managers", "This is for managers")
        if person.role == METRICS:
            return RequestRefused(403, "for-people", "This token reads /metrics and nothing else")
        return None

    def _tell(self, scope: Scope, path: str, refused: RequestRefused) -> None:
        """What was refused, in the security log: by rule, since a path may hold anything. A browser without a session
        that asks for a page is the way in, and no event."""
        bearer = any(name == b"authorization" for name, _ in scope["headers"])
        if refused is SIGNED_OUT and not bearer:
            return
        event = "token_refused" if refused is SIGNED_OUT else EVENTS.get(refused.kind)
        if event is not None:
            self._log.of(scope, event, route=route_of(path), why=refused.kind, mode=self._mode)

    def _person(self, path: str, headers: Mapping[bytes, str]) -> Person | None:
        """Whose token or session comes along."""
        kind, _, token = headers.get(b"authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._accounts.by_token(token.strip())
        cookie = session_cookie(headers.get(b"cookie", ""))
        # A page that asks for itself every few seconds is no sign of a person.
        return self._accounts.by_cookie(cookie, in_use=not path.endswith("performance")) if cookie else None

    def _wait(self, scope: Scope, person: Person | None) -> int:
        """Seconds until this client may ask again; a request is counted. Who is known is one wherever he sits."""
        client = person.name if person else scope["client"][0] if scope.get("client") else ""
        return self._rate.wait(client) if self._rate else 0

    def _from_elsewhere(self, scope: Scope, path: str, headers: Mapping[bytes, str]) -> RequestRefused | None:
        """Open to this machine alone: neither to what a proxy lets in, nor to a site whose name leads here."""
        client = scope.get("client")
        if client is not None and not is_local(client[0]):
            return RequestRefused(
                403, "from-elsewhere", "Open to this machine alone", "Create a user: python -m web users add NAME"
            )
        if b"host" not in headers and path in ALWAYS:
            return None  # HTTP/1.0, as load balancers ask; web/security/connections.py refuses HTTP/1.1 without a host
        if host_name(headers.get(b"host", "")) not in self._hosts:
            detail = (
                "This server knows itself by localhost alone. Create a user, or name its address in TENFOLD_ORIGINS"
            )
            return RequestRefused(421, "from-elsewhere", "Open to this machine alone", detail)
        return None

    def _same_origin(self, headers: Mapping[bytes, str]) -> bool:
        """Whether a browser that sends something does so from our own page; what is no browser says nothing of it.

        Sec-Fetch-Site is the browser's own word, whatever a proxy made of Host; browsers leave it out where the page
        came neither by TLS nor from this machine, and then Origin must name the host that was asked.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin in self._origins:
            return True
        if site is not None:
            return site in ("same-origin", "none")
        return origin is None or origin.partition("://")[2] == headers.get(b"host", "")


EVENTS = {  # why a request was refused -> what the security log calls it
    "for-managers": "role_refused", "for-people": "role_refused", "another-site": "site_refused",
    "from-elsewhere": "site_refused", "too-many-requests": "throttled", "no-users": "users_unreadable",
}  # fmt: skip


def what_is_read(path: str) -> tuple[str, str] | None:
    """What a path shows of people, and the id of the record; None where it shows nothing of theirs."""
    if not READING.match(path):
        return None
    for pattern, what in READS:
        if found := pattern.fullmatch(path):
            return what, found[1]
    return None


@lru_cache(256)
def route_of(path: str) -> str | None:
    """The rule that a path falls under."""
    return next((pattern.pattern for pattern, _ in RULES if pattern.fullmatch(path)), None)


ASKED = frozenset({b"host", b"origin", b"cookie", b"authorization", b"accept", b"sec-fetch-site"})


def session_cookie(header: str) -> str:
    """The session's cookie of a request, or nothing."""
    if COOKIE not in header:
        return ""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def is_page(scope: Scope, headers: Mapping[bytes, str]) -> bool:
    """Whether a browser asks for a page to show, and no script for a part of one."""
    return scope["method"] in ("GET", "POST") and "text/html" in headers.get(b"accept", "")
