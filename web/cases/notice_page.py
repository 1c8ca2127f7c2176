"""The draft notice as a page, to read and to print."""

from html import escape

from starlette.types import Scope

from inference.release import Release
from ledger.cases import Case
from web.cases.notice import notice
from web.cases.notice_pdf import REPLACEMENT, not_shown
from web.lender import Lender
from web.pages.assets import asset_path, icon
from web.pages.frame import root_from, who
from web.pages.texts import LANGUAGES, Texts


def notice_html(case: Case, release: Release | None, lender: Lender, texts: Texts, officer: Texts, scope: Scope) -> str:
    """The page to print. What is only for the officer (the other language, the PDF and what it cannot show, logging
    out) is not printed."""
    made = notice(case, release, lender, texts)
    lacking = not_shown(made, notice(case, release, lender, officer), officer)
    up = root_from("record/x/notice", officer)
    links = " · ".join(f'<a href="?lang={language}" lang="{language}">{language.upper()}</a>' for language in LANGUAGES)
    pdf = f'<a href="notice.pdf?lang={texts.language}">PDF</a>'
    back = f'<a href="../{escape(case.first.id)}">{escape(officer("notice.back"))}</a>'
    reasons = ""
    if made.reasons:
        items = "".join(f"<li>{escape(one)}</li>" for one in made.reasons)
        reasons = f"<h2>{escape(made.reasons_title)}</h2><ul>{items}</ul>"
    figures = f"<h2>{escape(texts('notice.figures'))}</h2>{rows(made.figures)}" if made.figures else ""
    mark = f' class="example" data-example="{escape(texts("notice.example"))}"' if made.example else ""
    ending = "".join(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>" for title, text in made.ending)
    return (
        f'<!doctype html><html lang="{texts.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(made.title)}</title>'
        f'{icon(up)}<link rel="stylesheet" href="{up}{asset_path("notice.css")}"></head><body>'
        f'<nav class="no-print" lang="{officer.language}">{back} · {links} · {pdf} {who(scope, officer, up)}</nav>'
        f"{warning(lacking, officer)}<main{mark}>"
        f'<p class="draft">{escape(texts("notice.draft"))}</p>'
        f"<address><strong>{escape(made.creditor)}</strong><br>{escape(made.address)}</address>"
        f"<h1>{escape(made.title)}</h1>{rows(made.facts)}<p class='decision'>{escape(made.decision)}</p>"
        f"{reasons}{figures}{ending}</main></body></html>"
    )


def rows(pairs: list[tuple[str, str]]) -> str:
    """A list of names and values."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in pairs)}</dl>"


def warning(lacking: list[tuple[str, str]], officer: Texts) -> str:
    """What the PDF cannot show, part by part, with the code of each character, since some are invisible."""
    if not lacking:
        return ""
    items = "".join(
        f"<li>{escape(label)}: {', '.join(f'<bdi>{escape(one)}</bdi> (U+{ord(one):04X})' for one in characters)}</li>"
        for label, characters in lacking
    )
    said = escape(officer("notice.not_shown", mark=REPLACEMENT))
    return f'<div class="warning no-print" role="note" lang="{officer.language}"><p>{said}</p><ul>{items}</ul></div>'
