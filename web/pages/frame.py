"""What every page has around it: the header with its ways to the others, and of the plain pages all the rest."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup
from starlette.types import Scope

from web.pages.languages import HOME
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts
from web.person import DEMO, OPEN, mode_of, person_of
from web.service_state import said_of

# Nothing inline runs and nothing calls out; forms are sent by the page's own script.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


@dataclass(frozen=True)
class Link:
    """A way to another page."""

    path: str
    text: str
    here: bool  # whether it leads to the page that it is on
    target: str = ""  # the tab that it opens in
    language: str = ""  # of the page that it leads to, where it is another one


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, with the way out."""

    template: ClassVar[str] = "visitor.html"
    person: str
    logout: str


@dataclass(frozen=True)
class Banner:
    """How open the app is, where nobody has to log in; and that the release is not in service."""

    template: ClassVar[str] = "banner.html"
    mode: str
    text: str
    release: str = ""


@dataclass(frozen=True)
class Frame:
    """The header: name, release, the other pages, language, dark colours; above it the way past it for a keyboard.

    Of the desk, which is drawn once for everybody, the page's script puts in who looks at it.
    """

    template: ClassVar[str] = "header.html"
    release_title: str
    up: str  # the way to the app's root: relative, so that no proxy's path needs to be known
    pages: tuple[Link, ...]
    languages: tuple[Link, ...]
    visitor: Visitor | None
    banner: Banner | None


@dataclass(frozen=True)
class ProblemPage:
    """A page that says why another cannot be shown."""

    template: ClassVar[str] = "problem.html"
    title: str
    what: str


def frame(
    release_title: str, texts: Texts, here: str, up: str | None = None, scope: Scope | None = None, ledger: bool = True
) -> Frame:
    """What stands around a page. `here` is `desk`, or a page's path below its language's root, such as record/ID;
    `up` leads to the app's root, where `here` does not say it."""
    up = root_from(here, texts) if up is None else up
    home = up + HOME[texts.language].lstrip("/")
    ways = {"desk": "", "history": "history", "performance": "performance", "model": "model-card"}
    if not ledger:
        del ways["history"]
    if here == "login":
        ways = {}
    # From the desk each opens in a tab of its own: what was typed stays.
    pages = [
        Link(
            home + path or "./", texts(f"nav.{name}"), here == (path or "desk"),
            f"tenfold-{name}" if path and here == "desk" else "",
        )
        for name, path in ways.items()
    ]  # fmt: skip
    languages = [
        Link(language_link(language, here, up), language.upper(), language == texts.language, language=language)
        for language in LANGUAGES
    ]
    return Frame(
        release_title, up, tuple(pages), tuple(languages),
        None if scope is None else visitor(scope, texts, up), None if scope is None else banner(scope, texts),
    )  # fmt: skip


def visitor(scope: Scope, texts: Texts, up: str) -> Visitor | None:
    """Who looks at a page; None where nobody logged in."""
    person = person_of(scope)
    if person is None:
        return None
    said = texts("visitor.person", name=person.name, role=texts(f"role.{person.role}"))
    return Visitor(said, f"{up}{HOME[texts.language].lstrip('/')}logout")


def banner(scope: Scope, texts: Texts) -> Banner | None:
    """How open the app is, and what its release lacks; None where people log in and it lacks nothing."""
    key, state = {OPEN: "banner.open", DEMO: "banner.public"}.get(mode_of(scope)), said_of(scope)
    if key is None and not state:
        return None
    return Banner(mode_of(scope), texts(key) if key else "", texts(f"banner.{state}") if state else "")


def language_link(language: str, here: str, up: str) -> str:
    """The same page in another language; of the desk the choice is remembered."""
    return f"?lang={language}" if here == "desk" else f"{up}{HOME[language].lstrip('/')}{here}"


def root_from(here: str, texts: Texts) -> str:
    """The way from a page to the app's root."""
    return "../" * ((HOME[texts.language] + here).count("/") - 1)


def page(view: View, texts: Texts, around: Frame) -> Markup:
    """A whole page without Gradio, whose template extends base.html."""
    return render(view, texts, frame=around)


def problem_page(key: str, texts: Texts, here: str, release_title: str, scope: Scope) -> Markup:
    """A page that says why it cannot be shown."""
    shown = ProblemPage(texts(f"{key}.title"), texts(f"{key}.what"))
    return page(shown, texts, frame(release_title, texts, here, scope=scope))
