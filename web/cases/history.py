"""The history of cases: searched, filtered, a page at a time, and how often officers overrode the suggestion.

What is searched for travels in the body of a POST: a reference is somebody's, and addresses end up in logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from inference.number_format import write_number, write_percent
from inference.scorer import Scorer
from ledger import cases, queries
from ledger.cases import Case
from ledger.decisions import DECISIONS
from ledger.ledger import Ledger
from web.cases.decision_form import Choice
from web.cases.routes import readable
from web.lender import Lender
from web.pages.answers import LONGEST_REFERENCE, labelled
from web.pages.forms import LONGEST_NAME, Form, day, one, read_form
from web.pages.frame import HEADERS, frame, page
from web.pages.languages import HOME
from web.pages.templates import View
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import only_of, person_of

UNDECIDED = {"open": "open", "waiting": "waiting_all"}
PAGE = 50  # cases
ASKED = ("reference", "since", "until", "by", "decision", "overridden")
COLUMNS = ("seq", "time", "reference", "pd", "suggested", "decision", "by")


@dataclass(frozen=True)
class Question:
    """A box of the search form, or a list to choose from."""

    name: str
    label: str
    kind: str  # of the box
    value: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class CaseRow:
    """One case, with the score that was decided on: its number leads to its page."""

    path: str
    seq: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class HistoryPage:
    """A page of cases, the newest first."""

    template: ClassVar[str] = "cases/history.html"
    questions: tuple[Question, ...]
    columns: tuple[str, ...]
    rows: tuple[CaseRow, ...]
    asked: tuple[tuple[str, str], ...]  # goes along to the next page
    has_newer: bool
    older: int | None  # the sequence that the next page is before
    sees_all: bool


@dataclass(frozen=True)
class OverrideRow:
    """A month's decisions, or those of one reason in it."""

    total: bool
    month: str
    words: str
    count: str
    share: str


@dataclass(frozen=True)
class OverridesPage:
    """How often, by month and reason, a decision departed from the suggestion."""

    template: ClassVar[str] = "cases/overrides.html"
    columns: tuple[str, ...]
    rows: tuple[OverrideRow, ...]


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

        def read(connection: sa.Connection) -> list[Case]:
            return cases.cases_from(connection, queries.cases(connection, PAGE + 1, at, asked, only_of(person)))

        found = await self._ledger.search(read)
        shown = HistoryPage(
            questions=questions(form, texts),
            columns=tuple(texts(f"history.{name}") for name in COLUMNS),
            rows=tuple(row(case, texts) for case in found[:PAGE]),
            asked=tuple(asked.items()),
            has_newer=at is not None,
            older=found[PAGE - 1].first.seq if len(found) > PAGE else None,
            sees_all=person is None or person.sees_all,
        )
        return self._page(request, shown, texts, "history")

    async def overrides(self, request: Request, texts: Texts) -> Response:
        """How often, by month and reason, a decision departed from the suggestion."""
        found = await self._ledger.search(queries.directions)
        columns = tuple(texts(f"overrides.{name}") for name in ("month", "reason", "count", "share"))
        shown = OverridesPage(columns, by_month(found, self._lender, texts))
        return self._page(request, shown, texts, "history/overrides")

    def _page(self, request: Request, shown: View, texts: Texts, here: str) -> Response:
        around = frame(self._title[texts.language], texts, here, scope=request.scope)
        return HTMLResponse(page(shown, texts, around), headers=HEADERS)


def by_month(
    found: Sequence[tuple[str, str, str | None, int]], lender: Lender, texts: Texts
) -> tuple[OverrideRow, ...]:
    """A month, then its reasons, the most frequent first."""
    rows = []
    for month in dict.fromkeys(row[0] for row in found):
        here = [row[1:] for row in found if row[0] == month]
        total = sum(count for *_, count in here)
        other = sum(count for went, _, count in here if went in ("more_lenient", "stricter"))
        counts = f"{write_number(other, texts.language)} / {write_number(total, texts.language)}"
        rows.append(
            OverrideRow(True, month, texts("overrides.rate"), counts, write_percent(other / total, texts.language))
        )
        for went, code, count in sorted(here, key=lambda row: -row[2]):
            if went == "as_suggested":
                continue
            words = labelled(texts(f"direction.{went}"), lender.reason(went, code or "", texts.language), texts)
            share = write_percent(count / total, texts.language)
            rows.append(OverrideRow(False, "", words, write_number(count, texts.language), share))
    return tuple(rows)


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


def questions(form: Form, texts: Texts) -> tuple[Question, ...]:
    """The search form, holding what was asked."""

    def box(name: str, kind: str = "search") -> Question:
        return Question(name, texts(f"history.{name}"), kind, one(form, name, LONGEST_REFERENCE))

    def choose(name: str, options: dict[str, str]) -> Question:
        listed = {"": texts("history.any"), **options}.items()
        choices = tuple(Choice(value, text, value == one(form, name)) for value, text in listed)
        return Question(name, texts(f"history.{name}"), "", "", choices)

    decisions = {name: texts(f"history.{key}") for name, key in UNDECIDED.items()} | {
        name: texts(f"decided.{name}") for name in DECISIONS
    }
    return (
        box("reference"), box("since", "date"), box("until", "date"), box("by"), choose("decision", decisions),
        choose("overridden", {name: texts(f"history.{name}") for name in ("yes", "no")}),
    )  # fmt: skip


def row(case: Case, texts: Texts) -> CaseRow:
    """One case in words."""
    first, score, decision = case.first, case.score, case.decision
    outcome, by = texts("history.open"), ""
    if decision is not None:
        by, outcome = decision.by, texts(f"decided.{decision.decision}")
        if not cases.in_force(decision, case.second):
            outcome = texts("history.not_agreed" if case.second else "history.waiting", decision=outcome)
        elif decision.overridden:
            outcome = texts("history.other", decision=outcome)
    cells = (
        first.time[:16].replace("T", " "), first.reference or "", write_percent(score.pd, texts.language),
        texts(f"decision.{score.decision}"), outcome, by,
    )  # fmt: skip
    return CaseRow(f"record/{quote(first.id)}", write_number(first.seq, texts.language), cells)
