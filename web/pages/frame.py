"""What all pages have in common: the header with links to the other pages, and the shell of the plain pages."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup
from starlette.types import Scope

from ledger.memory import MOST_CASES, MOST_VISITS
from web.pages.languages import HOME
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts
from web.person import DEMO, OPEN, mode_of, person_of, until_restart
from web.service_state import said_of
from web.work_count import count_for

# No inline script runs and no other site is contacted; forms are sent by the page's own script.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}

OVERRIDES = "history/overrides"
UNDER_MANAGE = (
    "batch",
    "operations",
    "monitor",
    "events",
    "releases",
    "users",
    "password",
    "sessions",
)  # pages that the page Manage links to


@dataclass(frozen=True)
class Link:
    """A link of the header."""

    path: str
    text: str
    is_current: bool  # whether it leads to the page that it is on, or to the one above
    target: str = ""  # the tab that it opens in
    language: str = ""  # of the page that it leads to, if it is a link to another language
    count: str | None = None  # of cases that wait, beside the link to them; the desk's script inserts it


@dataclass(frozen=True)
class Visitor:
    """Who is logged in, with the form to log out."""

    template: ClassVar[str] = "visitor.html"
    person: str
    name: str  # sent with all that the page's script asks for, so that nothing is done in another's name
    logout: str


@dataclass(frozen=True)
class Banner:
    """The notice that no login is needed: open to this computer, or a public demonstration; or that nothing outlasts a
    restart; and that the release is not in service."""

    template: ClassVar[str] = "banner.html"
    kind: str  # demo and passing are conspicuous
    text: str
    release: str = ""


@dataclass(frozen=True)
class Frame:
    """The header: name, release, the other pages, language, dark colours; before it a link to skip it.

    The desk is drawn once for everybody; its script inserts who is logged in.
    """

    template: ClassVar[str] = "header.html"
    release_title: str
    up: str  # the relative path to the app's root, so that a proxy's path need not be known
    pages: tuple[Link, ...]
    languages: tuple[Link, ...]
    visitor: Visitor | None
    banner: Banner | None


@dataclass(frozen=True)
class ProblemPage:
    """A page that says why the requested one cannot be shown."""

    template: ClassVar[str] = "problem.html"
    title: str
    what: str
    back: str = ""  # the way to the case that it is about


def frame(
    release_title: str, texts: Texts, here: str, up: str | None = None, scope: Scope | None = None,
    ledger: bool = True, visits: bool = False,
) -> Frame:  # fmt: skip
    """The header of a page. `here` is `desk`, or the page's path below its language's root, such as record/ID. `up` is
    the path to the app's root; by default it is derived from `here`. `visits`: there is no ledger, but each visitor of
    the desk has a history of their own, which opens over it (web/visits.py)."""
    up = root_from(here, texts) if up is None else up
    home, name = up + HOME[texts.language].lstrip("/"), page_name(here)
    paths = {"work": "work", "desk": "", "history": "history", "manage": "manage", "model": "model-card"}
    for of_ledger in () if ledger else ("work",) if visits else ("work", "history"):
        del paths[of_ledger]
    if here in ("login", "invitation"):
        paths = {}
    # From the desk each opens in its own tab, so that nobody loses what they typed; a visitor's history over the desk.
    own_tab = {key for key, path in paths.items() if path and here == "desk" and not (visits and key == "history")}
    pages = [
        Link(
            home + path or "./", texts(f"nav.{key}"), key == name, f"tenfold-{key}" if key in own_tab else "",
            count=None if key != "work" else "" if scope is None else count_for(scope),
        )
        for key, path in paths.items()
    ]  # fmt: skip
    languages = [
        Link(language_link(language, here, up), language.upper(), language == texts.language, language=language)
        for language in LANGUAGES
    ]
    return Frame(
        release_title, up, tuple(pages), tuple(languages),
        None if scope is None else visitor(scope, texts, up), None if scope is None else banner(scope, texts),
    )  # fmt: skip


def page_name(here: str) -> str:
    """The page of the header that `here` is, or stands under."""
    first = here.partition("/")[0]
    if first in UNDER_MANAGE or here == OVERRIDES:
        return "manage"
    return {"model-card": "model", "record": "history"}.get(first, first)


def visitor(scope: Scope, texts: Texts, up: str) -> Visitor | None:
    """Who is logged in; None if nobody is."""
    person = person_of(scope)
    if person is None:
        return None
    person_text = texts("visitor.person", name=person.name, role=texts(f"role.{person.role}"))
    return Visitor(person_text, person.name, f"{up}{HOME[texts.language].lstrip('/')}logout")


def banner(scope: Scope, texts: Texts) -> Banner | None:
    """What every page must say of this server and its release; None if that is nothing."""
    kind = "passing" if until_restart(scope) else mode_of(scope)
    key, state = {OPEN: "banner.open", DEMO: "banner.public", "passing": "banner.passing"}.get(kind), said_of(scope)
    if key is None and not state:
        return None
    notice = texts(key, most=MOST_CASES, visits=MOST_VISITS) if key else ""
    return Banner(kind, notice, texts(f"banner.{state}") if state else "")


def language_link(language: str, here: str, up: str) -> str:
    """The URL of the same page in another language; on the desk the choice is remembered."""
    return f"?lang={language}" if here == "desk" else f"{up}{HOME[language].lstrip('/')}{here}"


def root_from(here: str, texts: Texts) -> str:
    """The relative path from a page to the app's root."""
    return "../" * ((HOME[texts.language] + here).count("/") - 1)


def page(view: View, texts: Texts, page_frame: Frame) -> Markup:
    """A whole page that is not Gradio's; its template extends base.html."""
    return render(view, texts, frame=page_frame)


def problem_page(key: str, texts: Texts, here: str, release_title: str, scope: Scope, back: str = "") -> Markup:
    """A page that says why the requested one cannot be shown; `key` names its texts, `back` leads to the case."""
    view = ProblemPage(texts(f"{key}.title"), texts(f"{key}.what"), back)
    return page(view, texts, frame(release_title, texts, here, scope=scope))
