"""The history of cases: searched, filtered, a page at a time, and how often officers overrode the suggestion.

What is searched for travels in the body of a POST: a reference is somebody's, and addresses end up in logs.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from inference.number_format import write_number, write_percent
from inference.scorer import Scorer
from ledger import cases, queries
from ledger.cases import Case
from ledger.decisions import DECISIONS
from ledger.ledger import Ledger
from web.cases.routes import readable
from web.lender import Lender
from web.pages.answers import LONGEST_REFERENCE
from web.pages.forms import LONGEST_NAME, Form, day, one, read_form
from web.pages.frame import HEADERS, plain_page
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import only_of, person_of

UNDECIDED = {"open": "open", "waiting": "waiting_all"}
PAGE = 50  # cases
ASKED = ("reference", "since", "until", "by", "decision", "overridden")


class HistoryPages:
    """The pages."""

    def __init__(self, scorer: Scorer, ledger: Ledger, lender: Lender) -> None:
        self._ledger, self._lender, self._title = ledger, lender, scorer.release.manifest.title

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            texts = texts_in(language)
            path = f"{HOME[language]}history"
            router.add_route(path, readable(self.listed, texts, self._title), methods=["GET", "POST"])
            router.add_route(f"{path}/overrides", readable(self.overrides, texts, self._title), methods=["GET"])
        return router

    async def listed(self, request: Request, texts: Texts) -> Response:
        """A page of cases, the newest first."""
        form = await read_form(request) if request.method == "POST" else {}
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        asked, person = questions_from(form), person_of(request.scope)
        before = one(form, "before")
        at = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None

        def read(connection: Any) -> str:
            found = cases.whole(connection, queries.cases(connection, PAGE + 1, at, asked, only_of(person)))
            last = found[PAGE - 1].first.seq if len(found) > PAGE else None
            return table(found[:PAGE], texts) + pages(form, asked, last, at, texts)

        listed = await self._ledger.search(read)
        body = f"<h2>{escape(texts('history.title'))}</h2>{search(form, texts)}{listed}"
        if person is None or person.sees_all:
            body += f'<p><a href="history/overrides">{escape(texts("history.overrides"))}</a></p>'
        return self._page(request, texts("history.title"), body, texts, "history")

    async def overrides(self, request: Request, texts: Texts) -> Response:
        """How often, by month and reason, a decision departed from the suggestion."""

        found = await self._ledger.search(queries.directions)
        body = f"<h2>{escape(texts('overrides.title'))}</h2>{self._by_month(found, texts)}"
        body += f'<p><a href="../history">{escape(texts("overrides.back"))}</a></p>'
        return self._page(request, texts("overrides.title"), body, texts, "history/overrides")

    def _by_month(self, found: Sequence[tuple[str, str, str | None, int]], texts: Texts) -> str:
        """A table: a month, then its reasons."""
        if not found:
            return f"<p>{escape(texts('overrides.none'))}</p>"
        heads = [texts(f"overrides.{name}") for name in ("month", "reason", "count", "share")]
        rows = []
        for month in dict.fromkeys(row[0] for row in found):
            here = [row[1:] for row in found if row[0] == month]
            total = sum(count for *_, count in here)
            other = sum(count for went, _, count in here if went in ("more_lenient", "stricter"))
            rate = write_percent(other / total, texts.language)
            rows.append(
                ("total", month, texts("overrides.rate"), f"{number(other, texts)} / {number(total, texts)}", rate)
            )
            for went, code, count in sorted(here, key=lambda row: -row[2]):
                if went == "as_suggested":
                    continue
                words = f"{texts(f'direction.{went}')}{texts('mark.colon')} " + self._lender.reason(
                    went, code or "", texts.language
                )
                rows.append(("", "", words, number(count, texts), write_percent(count / total, texts.language)))
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
        cells = "".join(
            f'<tr class="{kind}"><th scope="row">{escape(month)}</th>'
            f'<td>{escape(words)}</td><td class="right">{count}</td><td class="right">{share}</td></tr>'
            for kind, month, words, count, share in rows
        )
        return (
            f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div>'
        )

    def _page(self, request: Request, title: str, body: str, texts: Texts, here: str) -> Response:
        made = plain_page(title, body, texts, here, self._title[texts.language], request.scope)
        return HTMLResponse(made, headers=HEADERS)


def questions_from(form: Form) -> dict[str, str]:
    """What is asked for; what means nothing is left out."""
    asked = {
        "reference": " ".join(one(form, "reference", LONGEST_REFERENCE).split()),
        "by": one(form, "by", LONGEST_NAME),
        "decision": one(form, "decision"),
        "overridden": one(form, "overridden"),
    }
    for name in ("since", "until"):
        found = day(one(form, name, 10))
        asked[name] = found.isoformat() if found else ""
    if asked["decision"] not in ("open", "waiting", *DECISIONS):
        asked["decision"] = ""
    if asked["overridden"] not in ("yes", "no"):
        asked["overridden"] = ""
    return {name: asked[name] for name in ASKED if asked[name]}


def search(form: Form, texts: Texts) -> str:
    """The search form, holding what was asked."""

    def box(name: str, kind: str = "search") -> str:
        return (
            f'<label>{escape(texts(f"history.{name}"))}<input type="{kind}" name="{name}" autocomplete="off" '
            f'value="{escape(one(form, name, LONGEST_REFERENCE))}"></label>'
        )

    def choose(name: str, options: Mapping[str, str]) -> str:
        chosen = one(form, name)
        listed = "".join(
            f'<option value="{value}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
            for value, text in {"": texts("history.any"), **options}.items()
        )
        return f'<label>{escape(texts(f"history.{name}"))}<select name="{name}">{listed}</select></label>'

    decisions = {name: texts(f"history.{key}") for name, key in UNDECIDED.items()} | {
        name: texts(f"decided.{name}") for name in DECISIONS
    }
    return (
        f'<form class="search" method="post" action="history" role="search">{box("reference")}{box("since", "date")}'
        f"{box('until', 'date')}{box('by')}{choose('decision', decisions)}"
        f"{choose('overridden', {name: texts(f'history.{name}') for name in ('yes', 'no')})}"
        f'<button type="submit">{escape(texts("history.search"))}</button>'
        f'<a href="history">{escape(texts("history.clear"))}</a></form>'
    )


def table(found: Sequence[Case], texts: Texts) -> str:
    """The cases."""
    if not found:
        return f"<p>{escape(texts('history.none'))}</p>"
    names = ("seq", "time", "reference", "pd", "suggested", "decision", "by")
    head = "".join(f'<th scope="col">{escape(texts(f"history.{name}"))}</th>' for name in names)
    rows = "".join(f"<tr>{row(case, texts)}</tr>" for case in found)
    return (
        f'<div class="wide" tabindex="0"><table class="cases"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def row(case: Case, texts: Texts) -> str:
    """One case, with the score that was decided on: its number leads to its page."""
    first, score = case.first.fields(), case.score.exact_fields()
    reference = (case.first.personal_fields() or {}).get("reference") or ""
    outcome, by = texts("history.open"), ""
    if case.decision is not None:
        said = case.decision.fields()
        by, outcome = said["by"], texts(f"decided.{said['decision']}")
        if not cases.in_force(case.decision, case.second):
            outcome = texts("history.not_agreed" if case.second else "history.waiting", decision=outcome)
        elif said["overridden"]:
            outcome = texts("history.other", decision=outcome)
    link = f'<a href="record/{quote(first["id"])}">{number(case.first.seq, texts)}</a>'
    cells = [
        first["time"][:16].replace("T", " "), reference, write_percent(score["pd"], texts.language),
        texts(f"decision.{score['decision']}"), outcome, by,
    ]  # fmt: skip
    return f'<th scope="row">{link}</th>' + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)


def pages(form: Form, asked: Mapping[str, str], last: int | None, before: int | None, texts: Texts) -> str:
    """The way to older cases, and back to the newest; it takes what was asked along."""
    kept = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in asked.items())
    made = ""
    if before is not None:
        made += f'<form method="post" action="history">{kept}<button>{escape(texts("history.newest"))}</button></form>'
    if last is not None:
        made += (
            f'<form method="post" action="history">{kept}<input type="hidden" name="before" value="{last}">'
            f"<button>{escape(texts('history.older'))}</button></form>"
        )
    return f'<div class="paging">{made}</div>' if made else ""


def number(value: int, texts: Texts) -> str:
    return write_number(value, texts.language)
