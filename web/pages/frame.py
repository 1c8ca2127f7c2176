"""What every page has around it: the header with its ways to the others, and of the plain pages all the rest."""

from html import escape

from starlette.types import Scope

from web.pages.assets import asset_path, icon
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts
from web.person import DEMO, OPEN, mode_of, person_of

# Nothing inline runs and nothing calls out; forms are sent by the page's own script.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


def header(title: str, texts: Texts, here: str, up: str, scope: Scope | None = None, ledger: bool = True) -> str:
    """Name, release, the other pages, language, dark colours; above all of it the way past it for a keyboard.

    `here` is `desk`, or a page's path below its language's root; `up` leads to the app's root. Of the desk, which is
    drawn once for everybody, the page's script puts in who looks at it.
    """
    home = up + HOME[texts.language].lstrip("/") or "./"
    pages = {"desk": home, "history": f"{home}history", "performance": f"{home}performance"}
    if not ledger:
        del pages["history"]
    pages["model"] = f"{up}model-card"
    if here == "login":
        pages = {}
    # From the desk each opens in a tab of its own: what was typed stays.
    ways = "".join(
        f'<a href="{escape(path)}"{" aria-current=page" if name == here else ""}'
        f"{f' target=tenfold-{name}' if here == 'desk' != name else ''}>{escape(texts(f'nav.{name}'))}</a>"
        for name, path in pages.items()
    )
    links = "".join(
        f'<a href="{language_link(language, here, up)}" lang="{language}" hreflang="{language}"'
        f"{' aria-current=true' if language == texts.language else ''}>{language.upper()}</a>"
        for language in LANGUAGES
    )
    return (
        f'<a class="skip" href="#result">{escape(texts("header.skip"))}</a>'
        f'<header><h1>Tenfold</h1><span class="release-title">{escape(title)}</span>'
        f'<nav class="pages" aria-label="{escape(texts("nav.title"))}">{ways}</nav>'
        f'<nav class="languages" aria-label="{escape(texts("header.language"))}">{links}</nav>'
        f'<div id="visitor">{who(scope, texts, up) if scope else ""}</div>'
        f'<button type="button" class="dark-toggle" aria-pressed="false" aria-label="{escape(texts("header.dark"))}">'
        '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><circle cx="12" cy="12" r="9"/>'
        '<path class="full" d="M12 3a9 9 0 0 1 0 18z"/></svg></button></header>'
        f'<div id="banner">{banner(scope, texts) if scope else ""}</div>'
    )


def who(scope: Scope, texts: Texts, up: str) -> str:
    """Who looks at a page, with the way out."""
    person = person_of(scope)
    if person is None:
        return ""
    said = texts("visitor.person", name=person.name, role=texts(f"role.{person.role}"))
    out = f"{up}{HOME[texts.language].lstrip('/')}logout"
    leave = f'<button type="submit">{escape(texts("visitor.leave"))}</button>'
    return f'<form method="post" action="{out}"><span>{escape(said)}</span>{leave}</form>'


def banner(scope: Scope, texts: Texts) -> str:
    """How open the app is, where nobody has to log in."""
    key = {OPEN: "banner.open", DEMO: "banner.public"}.get(mode_of(scope))
    return "" if key is None else f'<p class="{mode_of(scope)}" role="note">{escape(texts(key))}</p>'


def language_link(language: str, here: str, up: str) -> str:
    """The same page in another language; of the desk the choice is remembered."""
    if here == "desk":
        return f"?lang={language}"
    return escape(f"{up}{HOME[language].lstrip('/')}{here}")


def root_from(here: str, texts: Texts) -> str:
    """The way from a page to the app's root: relative, so that no proxy's path needs to be known."""
    return "../" * ((HOME[texts.language] + here).count("/") - 1)


def plain_page(title: str, body: str, texts: Texts, here: str, release_title: str, scope: Scope) -> str:
    """A whole page without Gradio. `here` is its path below its language's root, such as record/<id>."""
    up = root_from(here, texts)
    return (
        f'<!doctype html><html lang="{texts.language}" data-plain><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)} · Tenfold</title>'
        f'{icon(up)}<link rel="stylesheet" href="{up}{asset_path("desk.css")}">'
        f'<link rel="stylesheet" href="{up}{asset_path("plain.css")}">'
        f'<script src="{up}{asset_path("common.js")}"></script></head><body>'
        f'<div id="header">{header(release_title, texts, here, up, scope)}</div>'
        f'<main id="result" class="plain">{body}</main></body></html>'
    )


def problem_page(key: str, texts: Texts, here: str, release_title: str, scope: Scope) -> str:
    """A page that says why it cannot be shown."""
    body = f"<h2>{escape(texts(f'{key}.title'))}</h2><p>{escape(texts(f'{key}.what'))}</p>"
    return plain_page(texts(f"{key}.title"), body, texts, here, release_title, scope)
