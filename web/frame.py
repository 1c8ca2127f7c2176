"""What every page has around it: the header with its ways to the others, and of the plain pages all the rest."""

from html import escape

from web.assets import asset_path
from web.languages import HOME
from web.texts import LANGUAGES, Texts

# Nothing inline runs and nothing calls out; forms are sent by the page's own script.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}  # fmt: skip


def header(title: str, texts: Texts, here: str, up: str, public_demo: bool = False, ledger: bool = True) -> str:
    """Name, release, the other pages, language, dark colours; above all of it the way past it for a keyboard.

    `here` is `desk`, or a page's path below its language's root; `up` leads to the app's root.
    """
    home = up + HOME[texts.language].lstrip("/") or "./"
    pages = {"desk": home, "history": f"{home}history", "performance": f"{home}performance"}
    if not ledger:
        del pages["history"]
    pages["model"] = f"{up}model-card"
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
    banner = f'<p class="banner" role="note">{escape(texts("banner.public"))}</p>' if public_demo else ""
    return (
        f'<a class="skip" href="#result">{escape(texts("header.skip"))}</a>'
        f'<header><h1>Tenfold</h1><span class="release-title">{escape(title)}</span>'
        f'<nav class="pages" aria-label="{escape(texts("nav.title"))}">{ways}</nav>'
        f'<nav class="languages" aria-label="{escape(texts("header.language"))}">{links}</nav>'
        f'<button type="button" class="dark-toggle" aria-pressed="false" aria-label="{escape(texts("header.dark"))}">'
        '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><circle cx="12" cy="12" r="9"/>'
        '<path class="full" d="M12 3a9 9 0 0 1 0 18z"/></svg></button></header>'
        f"{banner}"
    )


def language_link(language: str, here: str, up: str) -> str:
    """The same page in another language; of the desk the choice is remembered."""
    if here == "desk":
        return f"?lang={language}"
    return escape(f"{up}{HOME[language].lstrip('/')}{here}")


def root_from(here: str, texts: Texts) -> str:
    """The way from a page to the app's root: relative, so that no proxy's path needs to be known."""
    return "../" * ((HOME[texts.language] + here).count("/") - 1)


def plain_page(title: str, body: str, texts: Texts, here: str, release_title: str) -> str:
    """A whole page without Gradio. `here` is its path below its language's root, such as record/<id>."""
    up = root_from(here, texts)
    return (
        f'<!doctype html><html lang="{texts.language}" data-plain><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)} · Tenfold</title>'
        f'<link rel="stylesheet" href="{up}{asset_path("desk.css")}">'
        f'<link rel="stylesheet" href="{up}{asset_path("plain.css")}">'
        f'<script src="{up}{asset_path("common.js")}"></script></head><body>'
        f'<div id="header">{header(release_title, texts, here, up)}</div>'
        f'<main id="result" class="plain">{body}</main></body></html>'
    )


def problem_page(key: str, texts: Texts, here: str, release_title: str) -> str:
    """A page that says why there is none."""
    body = f"<h2>{escape(texts(f'{key}.title'))}</h2><p>{escape(texts(f'{key}.what'))}</p>"
    return plain_page(texts(f"{key}.title"), body, texts, here, release_title)
