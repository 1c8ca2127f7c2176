"""One case on a page: the score as it was, all that followed, and what can be done now. English and French."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from inference.fields import AnswerRefused, localised, write_number
from inference.policy import APPROVE
from inference.reasons import Explanation, Reasons
from inference.release import Release
from inference.scorer import Score, Scorer
from inference.settings import RELEASES
from ledger import cases, errors
from ledger.cases import IN_FORCE, TO_DECIDE, Case
from ledger.errors import LedgerUnavailable
from ledger.ledger import CaseMoved
from ledger.records import AGREED, CONTESTED, DECIDED, HELD, NOTIFIED, RELEASED, SCORED, Draft, Record
from ledger.replay import SAME, Replayed, Replayer, release_folders
from web.cards.score_card import score_card
from web.cases import keeping
from web.cases.decision_form import DecideForm, typed
from web.cases.notice import Notice, notice
from web.cases.notice_page import notice_html
from web.cases.notice_pdf import notice_pdf
from web.cases.rules import InvalidDecision, agree, as_shown, contest, decide
from web.lender import Lender, reason_text
from web.pages.forms import LONGEST_NAME, Form, one, read_form
from web.pages.frame import HEADERS, plain_page, problem_page, root_from
from web.pages.languages import HOME
from web.pages.numbers import write_percent
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, OFFICER, Person, mode_of, person_of
from web.recording import Recorder, ScoredAnswer
from web.security.accounts import Accounts
from web.security.security_log import allowed, tell

logger = logging.getLogger(__name__)
RECORDED = "X-Recorded"  # of an answer: whether the form was recorded; else it comes back with what is wrong
WHOLE = {"X-Page": "whole"}  # of an answer that is all of the case's page, and not its form alone


@dataclass(frozen=True)
class Opened:
    """A case with its score made again: None, with the reason why, where that cannot be done."""

    case: Case
    replayed: Replayed
    scorer: Scorer | None

    @property
    def release(self) -> Release | None:
        return None if self.scorer is None else self.scorer.release

    @property
    def score(self) -> Score | None:
        """The score made again, where it comes out as it was recorded."""
        return self.replayed.score if self.replayed.outcome == SAME and self.scorer is not None else None

    @cached_property
    def reasons(self) -> Reasons | None:
        return None if self.scorer is None else Reasons(self.scorer.release, self.scorer.engine)

    @cached_property
    def explanation(self) -> Explanation | None:
        """What moved the score: a thousand rows, predicted once for all parts of a page."""
        return None if self.score is None or self.reasons is None else self.reasons.explain(self.score.application)

    @cached_property
    def drafts(self) -> list[str]:
        """The principal reasons: as they were recorded; made now where nobody asked for them then, as the API does."""
        recorded = self.case.score.reasons
        if recorded is not None or self.score is None or self.score.decision == APPROVE:
            return list(recorded or [])
        assert self.reasons is not None  # noqa: S101 - there is a score, so there is what made it
        assert self.explanation is not None  # noqa: S101
        return self.reasons.principal(self.explanation, self.score.application)


class CasePages:
    """The pages of cases and what is sent from them."""

    def __init__(self, recorder: Recorder, lender: Lender, accounts: Accounts) -> None:
        assert recorder.ledger is not None  # noqa: S101 - there are no such pages without a ledger
        self._ledger, self._lender, self._accounts = recorder.ledger, lender, accounts
        self._title = recorder.scorer.release.manifest["title"]
        folders = [*release_folders([RELEASES]), recorder.scorer.release.folder]
        self._replayer = Replayer(folders, recorder.scorer)

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            path, texts = f"{HOME[language]}record/{{id}}", texts_in(language)
            for name, function, method in (
                ("", self.page, "GET"), ("/decide", self.sent("decide"), "POST"),
                ("/agree", self.sent("agree"), "POST"), ("/contest", self.sent("contest"), "POST"),
                *((f"/{action}", self.sent(action), "POST") for action in keeping.ACTIONS),
                ("/notice", self.notice, "GET"), ("/notice.pdf", self.notice_pdf, "GET"),
            ):  # fmt: skip
                route = readable(function, texts, self._title)
                router.add_api_route(path + name, route, methods=[method], response_class=HTMLResponse)
        return router

    async def page(self, request: Request, texts: Texts) -> Response:
        """The whole case."""
        opened = await self.asked_for(request)
        here, title = f"record/{request.path_params['id']}", self._title[texts.language]
        if isinstance(opened, str):
            return HTMLResponse(
                problem_page(opened, texts, here, title, request.scope), 404 if opened == "missing" else 503, HEADERS
            )
        body = await run_in_threadpool(self.body, opened, texts, person_of(request.scope))
        page = plain_page(heading(opened.case, texts), body, texts, here, title, request.scope)
        return HTMLResponse(page, headers=HEADERS)

    async def asked_for(self, request: Request) -> Opened | str:
        """What `opened` finds for a request and its sender."""
        return await run_in_threadpool(self.opened, request.path_params["id"], request.scope)

    def opened(self, id: str, scope: Scope) -> Opened | str:
        """The case of a record with its score made again; or which problem's page to show. Somebody else's case is
        missing, like one that never was."""
        try:
            with self._ledger.store.reading() as connection:
                case = cases.find(connection, id)
        except errors.DATABASE_ERRORS:
            return "unreadable"
        if case is None or not allowed(scope, case):
            return "missing"
        return self.again(case)

    def again(self, case: Case) -> Opened:
        """A case with its score made again."""
        return Opened(case, self._replayer.one(case.score), self.scorer(case.score))

    def scorer(self, score: Record) -> Scorer | None:
        """What a score was made with; None where that is gone."""
        found = self._replayer.scorer(score)
        return found if isinstance(found, Scorer) else None

    def decided_with(self, case: Case, record: Record) -> Release | None:
        """The release of the score that a decision was made on, whose reasons it names; None where that is gone, and
        for other records. Answers corrected later may have been scored with another one."""
        scorer = self.scorer(case.score_of(record)) if record.fields()["kind"] == DECIDED else None
        return None if scorer is None else scorer.release

    def reviewers(self) -> list[str]:
        """Who can look at a case again, where people log in."""
        return [user.name for user in self._accounts.users()]

    def body(
        self, opened: Opened, texts: Texts, person: Person | None, action: str = "",
        problems: Mapping[str, str] | None = None, held: Form | None = None,
    ) -> str:  # fmt: skip
        """Score, answers, what happened, what can be done. `problems` are why the last form, for `action`, was not
        recorded, `held` is what it held."""
        case = opened.case
        form = DecideForm(self._lender, texts, root_from("record/x", texts), person, self.reviewers())
        state = f'<p class="state"><a href="#decide">{escape(form.told(case))}</a></p>' if case.decision else ""
        sections = [f"<h2>{escape(heading(case, texts))}</h2>{state}", card(opened, texts, self._lender)]
        sections.append(f"<h3>{escape(texts('record.answers'))}</h3>{answers(opened, texts)}")
        again = action == "contest" and case.state in IN_FORCE
        section = (
            form.section(case, opened.release, opened.drafts)
            if again
            else form.section(case, opened.release, opened.drafts, problems, held)
        )
        sections.append(f'<h3 id="decide">{escape(texts("record.decision"))}</h3>{section}')
        if case.state in IN_FORCE:
            summary, shown = escape(texts("contest.title")), " open" if again else ""
            objection = form.contest(case, problems, held) if again else form.contest(case)
            sections.append(f'<details class="contest"{shown}><summary>{summary}</summary>{objection}</details>')
        sections.append(keeping.forms(form, case, person, texts))
        if case.state in TO_DECIDE and case.score.personal is not None:
            desk = f"{form.home}?of={quote(cases.name(case.first))}"
            sections.append(f'<p><a href="{escape(desk)}">{escape(texts("record.correct"))}</a></p>')
        sections.append(f"<h3>{escape(texts('record.history'))}</h3>{self.timeline(opened, texts)}")
        return "".join(sections)

    def timeline(self, opened: Opened, texts: Texts) -> str:
        """Every record of the case, in order."""
        items = "".join(
            f"<li>{entry(one, self.decided_with(opened.case, one), self._lender, texts)}</li>"
            for one in opened.case.records
        )
        return f'<ol class="timeline">{items}</ol>'

    def sent(self, action: str) -> Any:
        """A form of the page: recorded, or sent back with what is wrong."""

        async def answer(request: Request, texts: Texts) -> Response:
            form = await read_form(request)
            if form is None:
                return HTMLResponse("", 413, HEADERS)
            opened = await self.asked_for(request)
            if isinstance(opened, str):
                return HTMLResponse("", 404 if opened == "missing" else 503, HEADERS)
            problems: Mapping[str, str] = {}
            person = person_of(request.scope)
            if person is not None and person.machine:
                tell(request.scope, "role_refused", route=action, why="people-decide")
                return HTMLResponse("", 403, HEADERS)  # people decide
            seen = as_shown(opened.case, one(form, "seen"))
            try:
                draft = await run_in_threadpool(self.draft, action, opened, seen, form, person)
                await self._ledger.submit_in_loop(draft)
            except InvalidDecision as refused:
                problems = refused.problems
            except CaseMoved:
                problems = {"form": "moved"}
            except LedgerUnavailable:
                return HTMLResponse("", 503, HEADERS)
            if "form" in problems or not problems:
                opened = await self.asked_for(request)
                if isinstance(opened, str):
                    return HTMLResponse("", 503, HEADERS)
            headers = {**HEADERS, RECORDED: "no" if problems else "yes"}
            if problems.get("form") != "moved":
                held = form if problems else {"up": form.get("up", [""])}
                section = await run_in_threadpool(self.section, action, opened, texts, problems, held, person)
                return HTMLResponse(section, headers=headers)
            if not moved_by_others(opened.case, seen, acting(form, person)):
                problems = {"form": "outdated"}
            if one(form, "up") == root_from("record/x", texts):
                body = await run_in_threadpool(self.body, opened, texts, person, action, problems, typed(form))
                return HTMLResponse(body, headers={**headers, **WHOLE})
            beside = await run_in_threadpool(self.beside, opened, seen, texts, problems, typed(form), person)
            return HTMLResponse(beside, headers=headers)

        return answer

    def draft(self, action: str, opened: Opened, seen: Case | None, form: Form, person: Person | None) -> Draft:
        """What a form asks to be recorded, by the rules for the case as it was `seen`. Raises `InvalidDecision`, or
        `CaseMoved`."""
        if seen is None:
            raise CaseMoved("no case was ever as the form says")
        moved = seen.last != opened.case.last
        try:
            return self.ruled(action, self.again(seen) if moved else opened, form, acting(form, person))
        except InvalidDecision:
            if moved:
                raise CaseMoved("the form is incomplete, and no longer of this case") from None
            raise

    def ruled(self, action: str, opened: Opened, form: Form, person: Person) -> Draft:
        """The draft that the rules allow."""
        if action == "agree":
            return agree(opened.case, form, person)
        if action in keeping.ACTIONS:
            return keeping.draft(action, opened.case, form, person, self.notices(action, opened))
        if action == "contest":
            return contest(opened.case, form, person, self._lender, self.reviewers())
        return decide(opened.case, form, person, amount_of(opened), self._lender, opened.drafts)

    def maker(self, texts: Texts, form: Form, person: Person | None) -> DecideForm:
        """What writes the forms of the page that sent one; it says itself how far it stands from the app's root."""
        up = one(form, "up")
        return DecideForm(self._lender, texts, up if up in ("", "../", "../../") else "", person, self.reviewers())

    def notices(self, action: str, opened: Opened) -> Mapping[str, Notice]:
        """The notice in each language, where one can have been handed over."""
        if action != "notified" or opened.case.state not in IN_FORCE:
            return {}
        return {one: notice(opened.case, opened.release, self._lender, texts_in(one)) for one in LANGUAGES}

    def section(
        self, action: str, opened: Opened, texts: Texts, problems: Mapping[str, str], form: Form, person: Person | None
    ) -> str:
        """The part of a page that was sent, as it stands now."""
        made = self.maker(texts, form, person)
        if action == "contest" and problems and "form" not in problems:
            return made.contest(opened.case, problems, form)
        if action in keeping.ACTIONS and keeping.possible(action, opened.case):
            return keeping.section(made, action, opened.case, texts, problems, form)
        return made.section(opened.case, opened.release, opened.drafts, problems, form)

    def beside(
        self, opened: Opened, seen: Case | None, texts: Texts, problems: Mapping[str, str], form: Form,
        person: Person | None,
    ) -> str:  # fmt: skip
        """The part of the desk that was sent, once the case has moved: a form only beside the score it decides on."""
        made = self.maker(texts, form, person)
        if seen is not None and seen.score == opened.case.score:
            return made.section(opened.case, opened.release, opened.drafts, problems, form)
        return made.elsewhere(opened.case, problems, form)

    async def notice(self, request: Request, texts: Texts) -> Response:
        """The draft notice to print, in the applicant's language."""
        return await self._notice(request, texts, "html")

    async def notice_pdf(self, request: Request, texts: Texts) -> Response:
        """The same as a PDF."""
        return await self._notice(request, texts, "pdf")

    async def _notice(self, request: Request, texts: Texts, kind: str) -> Response:
        opened = await self.asked_for(request)
        here, title = f"record/{request.path_params['id']}/notice", self._title[texts.language]
        if isinstance(opened, str):
            return HTMLResponse(
                problem_page(opened, texts, here, title, request.scope), 404 if opened == "missing" else 503, HEADERS
            )
        if opened.case.state not in IN_FORCE:
            return HTMLResponse(problem_page("no_notice", texts, here, title, request.scope), 404, HEADERS)
        if self._lender.is_example and mode_of(request.scope) == CLOSED:
            return HTMLResponse(problem_page("placeholder", texts, here, title, request.scope), 409, HEADERS)
        asked = request.query_params.get("lang", texts.language)
        applicant = texts_in(asked if asked in LANGUAGES else texts.language)
        assert opened.case.decision is not None  # noqa: S101 - it is in force
        release = self.decided_with(opened.case, opened.case.decision)
        if kind == "pdf":
            made = notice(opened.case, release, self._lender, applicant)
            content = await run_in_threadpool(notice_pdf, made, applicant)
            name = f'inline; filename="notice-{cases.name(opened.case.first)}.pdf"'
            return Response(content, 200, {**HEADERS, "Content-Disposition": name}, "application/pdf")
        html = await run_in_threadpool(notice_html, opened.case, release, self._lender, applicant, texts, request.scope)
        return HTMLResponse(html, headers=HEADERS)


def acting(form: Form, person: Person | None) -> Person:
    """Who sends a form: where nobody has to log in, the name in it."""
    return person or Person(one(form, "name", LONGEST_NAME), OFFICER)


def moved_by_others(case: Case, seen: Case | None, person: Person) -> bool:
    """Whether somebody else wrote one of the records since a case was seen."""
    return seen is not None and any(one.fields().get("by") != person.name for one in case.records[len(seen.records) :])


def readable(function: Any, texts: Texts, title: Mapping[str, str]) -> Any:
    """A route in one language; it says so where the ledger or a record in it cannot be read."""

    async def route(request: Request) -> Response:
        try:
            return await function(request, texts)  # type: ignore[no-any-return]
        except (AnswerRefused, *errors.UNREADABLE) as error:  # the former: an answer that the form would refuse
            logger.error("ledger: %s", errors.cause(error))
            here = request.url.path.removeprefix(HOME[texts.language])
            page = problem_page("unreadable", texts, here, title[texts.language], request.scope)
            return HTMLResponse(page, 503, HEADERS)

    return route


def amount_of(opened: Opened) -> float | None:
    """What is lent."""
    score, release = opened.replayed.score, opened.release
    if score is None or release is None or release.policy.amount_at is None:
        return None
    return score.application.values[release.policy.amount_at]


def heading(case: Case, texts: Texts) -> str:
    """The reference, or the number of the record."""
    found = (case.first.personal_fields() or {}).get("reference")
    number = write_number(case.first.seq, texts.language)
    return texts("record.title", reference=found) if found else texts("record.title_number", seq=number)


def card(opened: Opened, texts: Texts, lender: Lender) -> str:
    """The score as it was; where it cannot be made again the figures that were recorded, and why."""
    score, release = opened.score, opened.release
    said = opened.case.score.exact_fields()
    outcome = texts(f"replay.{opened.replayed.outcome}", why="; ".join(found_in(opened.replayed, texts)))
    note = f'<p class="replay {"same" if opened.replayed.outcome == SAME else "not-same"}">{escape(outcome)}</p>'
    if score is None or release is None:
        figures = texts(
            "record.figures",
            decision=texts(f"decision.{said['decision']}"),
            pd=write_percent(said["pd"], texts.language),
            points=f"{said['points']:.0f}",
            release=said["release_name"],
        )
        return f"<p>{escape(figures)}</p>{note}"
    told = ScoredAnswer(score._replace(request_id=said["id"]), opened.case.score, opened.explanation, opened.drafts)
    return f"{score_card(told, release, texts, lender)}{note}"


def found_in(replayed: Replayed, texts: Texts) -> list[str]:
    """What a replay found, in the page's language; what only an administrator can use stays out."""
    found = []
    for finding in replayed.findings:
        values = dict(finding.values)
        if finding.kind == "decision":
            values = {name: texts(f"decision.{decision}") for name, decision in values.items()}
        elif finding.kind == "pd":
            values["off"] = localised(values["off"], texts.language)
        found.append(texts(f"replayed.{finding.kind}", **values))
    return found


def answers(opened: Opened, texts: Texts) -> str:
    """What was answered; where answers were corrected, the earlier ones too."""
    personal = opened.case.score.personal_fields()
    if personal is None:
        return f"<p>{escape(texts('record.erased'))}</p>"
    before = opened.case.first.personal_fields() or personal
    rows = []
    given = personal["answers"]
    order = [name for name in opened.release.form.names if name in given] if opened.release else []
    for name in [*order, *(name for name in given if name not in order)]:
        answer = given[name]
        label, shown = named_answer(name, answer, opened.release, texts)
        was = before["answers"].get(name)
        changed = "" if was == answer else texts("record.was", answer=named_answer(name, was, opened.release, texts)[1])
        rows.append(f"<dt>{escape(label)}</dt><dd>{escape(shown)} {escape(changed)}</dd>")
    return f'<dl class="rows">{"".join(rows)}</dl>'


def named_answer(name: str, answer: Any, release: Release | None, texts: Texts) -> tuple[str, str]:
    """A field's label and a recorded answer in words; as recorded where the release is gone or would refuse it."""
    if release is None or name not in release.form.names:
        return name, str(answer)
    field = release.form.fields[release.form.names.index(name)]
    try:
        return field.label[texts.language], field.show(field.parse(answer), texts.language)
    except AnswerRefused:
        return field.label[texts.language], str(answer)


def entry(record: Record, release: Release | None, lender: Lender, texts: Texts) -> str:
    """One record in words; `release` has those of a decision's reasons."""
    fields, personal = record.exact_fields(), record.personal_fields() or {}
    lines: list[str] = []
    if fields["kind"] == SCORED:
        lines.append(
            texts(
                "entry.scored" if not fields.get("of") else "entry.corrected",
                decision=texts(f"decision.{fields['decision']}"),
                pd=write_percent(fields["pd"], texts.language),
                release=fields["release_name"],
            )
        )
    elif fields["kind"] == DECIDED:
        decision = texts(f"decided.{fields['decision']}")
        suggested = texts(f"decision.{fields['suggested']}")
        lines.append(texts("entry.decided", decision=decision, suggested=suggested))
        if fields["reason_code"]:
            lines.append(lender.reason(fields["direction"], fields["reason_code"], texts.language))
        if fields["needs_second"]:
            lines.append(texts("entry.needs_second"))
    elif fields["kind"] == AGREED:
        lines.append(texts("entry.agreed" if fields["agrees"] else "entry.not_agreed"))
    elif fields["kind"] == CONTESTED:
        lines.append(texts("entry.contested", reviewer=fields["reviewer"], deadline=texts.day(fields["deadline"])))
    elif fields["kind"] == NOTIFIED:
        lines.append(texts("entry.notified", day=texts.day(fields["day"])))
    elif fields["kind"] in (HELD, RELEASED):
        lines.append(texts(f"entry.{fields['kind']}"))
    else:  # of a later program
        lines.append(texts("entry.other", kind=fields["kind"]))
    if fields["kind"] == DECIDED and record.reasons:
        confirmed = [reason_text(one, release, lender, texts.language) for one in record.reasons]
        lines.append(texts("entry.reasons", reasons="; ".join(confirmed)))
    texts_of = ("justification", "conditions", "note", "objection", "reason")
    lines += [str(personal[name]) for name in texts_of if personal.get(name)]
    head = texts(
        "entry.head", seq=write_number(record.seq, texts.language), time=fields["time"][:16].replace("T", " "),
        by=fields.get("by", ""),
    )  # fmt: skip
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<span class="quiet">{escape(head)}</span>{said}'
