"""Access control, the outermost part of the app: a path without a rule does not exist; a rule says who may request it.

There are three modes. The mode is chosen when the app starts, and every page shows it:
- CLOSED: there are users; everybody logs in or sends a token;
- OPEN: there are no users, and the server listens only on this computer; no login;
- DEMO: a public demonstration; no login, nothing is on disk or shared.
"""

import re
from collections.abc import Awaitable, Collection, Mapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.settings import Settings
from web.pages.languages import HOME, accepted_language, cookie_language
from web.person import CLOSED, DEMO, METRICS, OPEN, Person
from web.security.access_mode import LOCAL, is_local, mode
from web.security.accounts import Accounts
from web.security.accounts_file import AccountError
from web.security.limits import ALWAYS, Rate, RequestRefused, answer, body_size
from web.security.security_log import KEY, SecurityLog
from web.security.trusted_header import UNKNOWN, TrustedHeader

COOKIE = "tenfold-session"
# Who may request a route: everybody, without login; everybody who is logged in, except tokens for metrics; tokens for
# metrics and managers; managers.
NOBODY, LOGGED_IN, METERING, ALL_SEEING = "nobody", "anybody", "metrics", "manager"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SHOWING = frozenset({"GET", "POST"})  # a search is a POST, so that no URL contains a reference
# All paths, from the app's root, and who may request them. The French pages are below /fr/.
PAGES = r"/(?:fr/)?"
RULES = [
    (re.compile(pattern), who)
    for pattern, who in (
        (r"/livez|/readyz", NOBODY),
        (PAGES + r"(?:login|invitation)", NOBODY),
        (r"/desk/[0-9a-f]{12}/[a-z]+\.(?:css|js|svg)", NOBODY),  # style and script: as public as the source
        (PAGES + r"history/overrides|" + PAGES + r"record/[^/]+/(?:hold|release)", ALL_SEEING),
        (PAGES + r"users", ALL_SEEING),
        (PAGES + r"events", ALL_SEEING),
        (PAGES + r"releases(?:/[\w.-]+(?:/[\w.-]+)?)?", ALL_SEEING),
        (PAGES + r"monitor", ALL_SEEING),
        (r"/metrics", METERING),
        (r"/api/v1/(?:ledger/head|overrides)", ALL_SEEING),
        (PAGES + r"logout", LOGGED_IN),
        (r"/api/v1/.+", LOGGED_IN),
        (r"/|/fr|/fr/", LOGGED_IN),
        (PAGES + r"desk/(?:score|compare|try|take|read|search|drafts|keep|discard)", LOGGED_IN),
        (
            PAGES
            + r"record/[^/]+(?:/(?:decide|agree|contest|withdraw|arrange|assign|note|notified|notice|notice\.pdf))?",
            LOGGED_IN,
        ),
        (PAGES + r"history/export", LOGGED_IN),
        (PAGES + r"(?:history|operations|performance|model-card|batch|manage|password|sessions)", LOGGED_IN),
        (PAGES + r"work(?:/[a-z]{1,20})?", LOGGED_IN),
        (PAGES + r"batch/columns\.csv", LOGGED_IN),
        (PAGES + r"batch/[^/]+(?:/(?:progress|check|score|cancel|delete|result|rejected|row))?", LOGGED_IN),
        (r"/model-card/[^/]+", LOGGED_IN),
        # Only those of Gradio's many routes that its page loads: no uploads, files, proxies or logins.
        (PAGES + r"(?:assets|static)/[\w.@/-]{1,200}|" + PAGES + r"theme\.css", LOGGED_IN),
        (r"/config|/gradio_api/info", LOGGED_IN),
        # What Gradio's clients call; web/desk/gradio_api.py answers.
        (r"/gradio_api/queue/(?:join|data)|/gradio_api/(?:run|call)/predict_credit_score", LOGGED_IN),
        (r"/gradio_api/call/predict_credit_score/[0-9a-f]{32}", LOGGED_IN),
    )
]
# Paths that show applicants' answers or references, with the record's id as a group. The security log records each
# read.
READS = [
    (re.compile(pattern), what)
    for pattern, what in (
        (PAGES + r"record/([^/]+)", "page"),
        (PAGES + r"record/([^/]+)/notice(?:\.pdf)?", "notice"),
        (r"/api/v1/decisions/([^/]+)", "api"),
        (PAGES + r"history()", "history"),
        (PAGES + r"history/export()", "export"),
        (PAGES + r"work(?:/[a-z]{1,20})?()", "work"),
        (PAGES + r"batch/(?!columns\.csv)([^/]+)(?:/(?:result|rejected|row))?", "file"),
        (r"/api/v1/book/([^/]+)/(?:result|rejected)", "file"),
        (r"/api/v1/(?:decisions|cases|work/[a-z]{1,20})()", "list"),
    )
]
DEFAULTS = [
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer a browser would send our own forms with Origin: null
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
READING = re.compile(
    PAGES + r"(?:record|history|work|batch)|/api/v1/(?:decisions|cases|work|book)"
)  # a quick test, since most requests read nothing
BEHIND_TLS = [*DEFAULTS, (b"strict-transport-security", b"max-age=31536000")]
DEFAULT_NAMES = frozenset(name for name, _ in BEHIND_TLS)


SIGNED_OUT = RequestRefused(401, "not-known", "Log in, or bring a token", WWW_Authenticate='Bearer realm="Tenfold"')

NOT_A_USER = RequestRefused(
    403, "not-a-user", "You are not a user of Tenfold", "A manager can add the name that the proxy sends"
)


OWN_FRAMES = re.compile(rb"frame-ancestors 'self'[^;]*")  # in the policies of pages


def frame_ancestors(frames: Collection[str]) -> bytes:
    """The directive for TENFOLD_FRAMES; empty if it is not set, and then each page has its own."""
    others = [site for site in frames if site != "none"]
    return " ".join(["frame-ancestors 'self'", *others]).encode() if frames else b""


@lru_cache(256)
def rule(path: str) -> str | None:
    """Who may request a path; None if there is no such path."""
    for pattern, who in RULES:
        if pattern.fullmatch(path):
            return who
    return None


@lru_cache(256)
def host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class Entrance:
    """ASGI middleware: determines who sends a request, refuses what is not allowed, and adds security headers to every
    response."""

    def __init__(
        self, app: ASGIApp, settings: Settings, accounts: Accounts, security_log: SecurityLog | None = None
    ) -> None:
        self.app, self._accounts, self._mode = app, accounts, mode(settings, accounts)
        self._log, self._until_restart = security_log or SecurityLog(None, 0), settings.until_restart
        self._trusted = TrustedHeader(settings, accounts, self._log)
        self._frames = frame_ancestors(settings.frames)
        self._rate = Rate(settings.rate) if settings.rate else None
        self._origins = frozenset(settings.origins)
        self._hosts = LOCAL | {settings.host} | {urlsplit(origin).hostname for origin in settings.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here uses WebSocket
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in ASKED}
        safe = BEHIND_TLS if scope["scheme"] == "https" else DEFAULTS

        def send_with_headers(message: Message) -> Awaitable[None]:  # without a coroutine of its own
            if message["type"] == "http.response.start":
                if message["status"] == 200 and scope["method"] in SHOWING and (read := what_is_read(path)):
                    self._log.write_for(scope, "record_read", what=read[0], record=read[1] or None, mode=self._mode)
                names = {name for name, _ in message["headers"]}
                missing = safe if names.isdisjoint(DEFAULT_NAMES) else [pair for pair in safe if pair[0] not in names]
                message["headers"] = [*message["headers"], *missing]
                if self._frames and self._mode != CLOSED:
                    message["headers"] = [self._framed(*pair) for pair in message["headers"]]
            return send(message)

        try:
            refused = self._refused(scope, path, headers)
        except AccountError:
            detail = "The file of users cannot be read: the server's log says why"
            refused = RequestRefused(503, "no-users", "Nobody can be let in", detail)
        if refused is not None:
            self._log_refusal(scope, path, refused)
        if refused is None:
            scope[KEY] = self._log
            scope["fastapi.telemetry"] = None  # otherwise Gradio's app would report every request to OpenTelemetry
            await self.app(scope, receive, send_with_headers)
        elif refused is SIGNED_OUT and is_page(scope, headers):
            language = "fr" if path.startswith("/fr") else "en"
            if path == "/":
                language = cookie_language(Headers(scope=scope)) or accepted_language(Headers(scope=scope)) or language
            next_path = quote(path.removeprefix("/"), safe="/") if scope["method"] == "GET" else ""
            query = scope["query_string"].decode("latin-1") if path.endswith("/history") else ""  # the filters
            onward = next_path + (quote(f"?{query}", safe="") if query else "")
            target = f"{root}{HOME[language]}login" + (f"?next={onward}" if next_path not in ("", "fr", "fr/") else "")
            await RedirectResponse(target, 303, {"Cache-Control": "no-store"})(scope, receive, send_with_headers)
        else:  # its body is not read
            await answer(refused, path, closing=body_size(scope["headers"]) != 0)(scope, receive, send_with_headers)

    def _framed(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        """A header as TENFOLD_FRAMES wants it: who may show a page in a frame. What nobody may show stays so."""
        if name.lower() != b"content-security-policy":
            return name, value
        return name, OWN_FRAMES.sub(self._frames, value)

    def _refused(self, scope: Scope, path: str, headers: Mapping[bytes, str]) -> RequestRefused | None:
        """Why a request is refused; None if it is allowed, and then `scope` holds the person and the mode."""
        who = rule(path)
        if who is None:
            return RequestRefused(404, "no-such-route", "Not Found")
        if self._mode == OPEN and (elsewhere := self._from_elsewhere(scope, path, headers)):
            return elsewhere
        if scope["method"] not in SAFE and not self._same_origin(headers):
            detail = "Its Origin is neither this server nor in TENFOLD_ORIGINS"
            return RequestRefused(403, "another-site", "Another site may not send this", detail)
        if self._mode == OPEN and self._accounts.anybody():
            self._mode = CLOSED  # once there is a user, until a restart
        scope["mode"], scope["until_restart"] = self._mode, self._until_restart
        if self._mode == OPEN:
            return None  # everybody on this computer counts as one client
        named = self._trusted.person(scope) if self._mode == CLOSED else None
        if named is None and self._mode == CLOSED:
            named = self._person(path, headers)
        person = scope["person"] = None if named is UNKNOWN else named
        if path not in ALWAYS and (seconds := self._wait(scope, person)):
            return RequestRefused(
                429, "too-many-requests", "Too many requests from this client", Retry_After=str(seconds)
            )
        if self._mode == DEMO or who == NOBODY:
            return None
        if named is UNKNOWN:
            return NOT_A_USER
        if person is None:
            return SIGNED_OUT
        if who == METERING and person.role == METRICS:
            return None
        if who in (ALL_SEEING, METERING) and not person.sees_all:
            return RequestRefused(403, "for-managers", "This is for managers")
        if person.role == METRICS:
            return RequestRefused(403, "for-people", "This token reads /metrics and nothing else")
        return None

    def _log_refusal(self, scope: Scope, path: str, refused: RequestRefused) -> None:
        """Write a refusal to the security log, with the rule instead of the path, which may contain anything. A browser
        without a session that requests a page is about to log in, and is not logged."""
        bearer = any(name == b"authorization" for name, _ in scope["headers"])
        if refused is SIGNED_OUT and not bearer:
            return
        event = "token_refused" if refused is SIGNED_OUT else EVENTS.get(refused.kind)
        if event is not None:
            self._log.write_for(scope, event, route=route_of(path), why=refused.kind, mode=self._mode)

    def _person(self, path: str, headers: Mapping[bytes, str]) -> Person | None:
        """The person whose token or session comes with a request."""
        kind, _, token = headers.get(b"authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._accounts.by_token(token.strip())
        cookie = session_cookie(headers.get(b"cookie", ""))
        # This page reloads itself every few seconds, which does not mean that somebody uses it.
        return self._accounts.by_cookie(cookie, in_use=not path.endswith("operations")) if cookie else None

    def _wait(self, scope: Scope, person: Person | None) -> int:
        """Count a request, and return the seconds until this client may send another. A person who is logged in is one
        client at all addresses."""
        client = person.name if person else scope["client"][0] if scope.get("client") else ""
        return self._rate.wait(client) if self._rate else 0

    def _from_elsewhere(self, scope: Scope, path: str, headers: Mapping[bytes, str]) -> RequestRefused | None:
        """The refusal of a request that does not come from this computer: through a proxy, or from a site whose name
        resolves to this computer (DNS rebinding)."""
        client = scope.get("client")
        if client is not None and not is_local(client[0]):
            return RequestRefused(
                403, "from-elsewhere", "Open to this machine alone", "Create a user: python -m web users add NAME"
            )
        if b"host" not in headers and path in ALWAYS:
            return None  # HTTP/1.0 of load balancers; web/security/connections.py refuses HTTP/1.1 without Host
        if host_name(headers.get(b"host", "")) not in self._hosts:
            detail = (
                "This server knows itself by localhost alone. Create a user, or name its address in TENFOLD_ORIGINS"
            )
            return RequestRefused(421, "from-elsewhere", "Open to this machine alone", detail)
        return None

    def _same_origin(self, headers: Mapping[bytes, str]) -> bool:
        """Whether a request comes from our own page, or from a program that is not a browser.

        Browsers send Sec-Fetch-Site, which does not depend on what a proxy did to Host. They omit it if the page came
        neither over TLS nor from this computer; then Origin must name the requested host.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin in self._origins:
            return True
        if site is not None:
            return site in ("same-origin", "none")
        return origin is None or origin.partition("://")[2] == headers.get(b"host", "")


EVENTS = {  # kind of refusal -> event in the security log
    "for-managers": "role_refused", "for-people": "role_refused", "another-site": "site_refused",
    "from-elsewhere": "site_refused", "too-many-requests": "throttled", "no-users": "users_unreadable",
}  # fmt: skip


def what_is_read(path: str) -> tuple[str, str] | None:
    """What kind of applicants' data a path shows, and the record's id ("" for a list); None if it shows none."""
    if not READING.match(path):
        return None
    for pattern, what in READS:
        if match := pattern.fullmatch(path):
            return what, match[1]
    return None


@lru_cache(256)
def route_of(path: str) -> str | None:
    """The pattern of the rule that matches a path."""
    return next((pattern.pattern for pattern, _ in RULES if pattern.fullmatch(path)), None)


ASKED = frozenset({b"host", b"origin", b"cookie", b"authorization", b"accept", b"sec-fetch-site"})


def session_cookie(header: str) -> str:
    """The session cookie in a Cookie header, or an empty string."""
    if COOKIE not in header:
        return ""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def is_page(scope: Scope, headers: Mapping[bytes, str]) -> bool:
    """Whether a browser requests a whole page, not a script a part of one."""
    return scope["method"] in ("GET", "POST") and "text/html" in headers.get(b"accept", "")
