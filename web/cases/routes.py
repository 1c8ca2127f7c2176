"""The routes of a case, in English and French: its page, its forms, its notice."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from inference.fields import AnswerRefused
from inference.languages import Text
from ledger import errors
from ledger.cases import CAN_BE_WITHDRAWN, IN_FORCE, Case
from ledger.errors import LedgerFull, LedgerUnavailable
from ledger.events import Notified
from ledger.ledger import CaseMoved
from ledger.records import Draft
from web.cases import handing_on, keeping, letter, withdrawing
from web.cases.case_letters import CaseLetters
from web.cases.case_page import CaseBody, CasePage, case_body, heading
from web.cases.decision_form import CaseForms, Problems, Section, typed
from web.cases.keeping_form import keeping_section
from web.cases.letter import ARRANGE
from web.cases.notice import Notice, chosen_language, from_text, notice
from web.cases.notice_page import handed_over, notice_page
from web.cases.notice_pdf import notice_pdf
from web.cases.opened import CaseReader, Opened
from web.cases.rules import InvalidDecision, agree, case_at, contest, decide
from web.cases.withdrawing import WITHDRAW
from web.lender import Lender
from web.pages.forms import LONGEST_NAME, Form, form_value, read_form
from web.pages.frame import HEADERS, frame, page, problem_page, root_from, visitor
from web.pages.languages import HOME
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, OFFICER, Person, mode_of, person_of
from web.recording import Recorder
from web.security.accounts import Accounts
from web.security.security_log import log_event

logger = logging.getLogger(__name__)
RECORDED = "X-Recorded"  # response header: whether the form was recorded; if not, the form comes back with its errors
OTHER_ACTIONS = (WITHDRAW, ARRANGE, *handing_on.ACTIONS, *keeping.ACTIONS)  # than deciding, approving and objecting
WHOLE = {"X-Page": "whole"}  # response header: the body is the whole content of the case's page, not only the form
Handler: TypeAlias = Callable[[Request, Texts], Awaitable[Response]]


class CasePages:
    """The routes of cases."""

    def __init__(self, recorder: Recorder, lender: Lender, accounts: Accounts) -> None:
        assert recorder.ledger is not None  # noqa: S101 - there are no such pages without a ledger
        self._ledger, self._lender, self._accounts = recorder.ledger, lender, accounts
        self._state, self._title = recorder.state, recorder.scorer.release.manifest.title
        self._reader = CaseReader(recorder.ledger, recorder.scorer)
        self._letters = CaseLetters(self._reader, lender, recorder.state)

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            path, texts = f"{HOME[language]}record/{{id}}", texts_in(language)
            for name, function, method in (
                ("", self.page, "GET"), ("/decide", self.sent("decide"), "POST"),
                ("/agree", self.sent("agree"), "POST"), ("/contest", self.sent("contest"), "POST"),
                *((f"/{action}", self.sent(action), "POST") for action in OTHER_ACTIONS),
                ("/notice", self.notice, "GET"), ("/notice.pdf", self.notice_pdf, "GET"),
            ):  # fmt: skip
                route = readable(function, texts, self._title)
                router.add_route(path + name, route, methods=[method])
        return router

    async def page(self, request: Request, texts: Texts) -> Response:
        """The page of a case."""
        opened = await self.requested_case(request)
        here = f"record/{request.path_params['id']}"
        if isinstance(opened, str):
            return self._problem(request, texts, here, opened)

        def render_page() -> Markup:
            view = CasePage(heading(opened.case, texts), self.body(opened, texts, person_of(request.scope)))
            return page(view, texts, frame(self._title[texts.language], texts, here, scope=request.scope))

        return HTMLResponse(await run_in_threadpool(render_page), headers=HEADERS)

    def _problem(self, request: Request, texts: Texts, path: str, key: str) -> Response:
        """A page that says why the requested one cannot be shown; of a letter it leads back to the case."""
        status = {"missing": 404, "no_notice": 404, "no_text": 404, "placeholder": 409}.get(key, 503)
        back = f"../{quote(request.path_params['id'])}" if key in ("no_notice", "no_text", "placeholder") else ""
        return HTMLResponse(
            problem_page(key, texts, path, self._title[texts.language], request.scope, back), status, HEADERS
        )  # fmt: skip

    async def requested_case(self, request: Request) -> Opened | str:
        """The case of a request, if its sender may see it; otherwise the key of a problem page."""
        return await run_in_threadpool(self._reader.open, request.path_params["id"], request.scope)

    def reviewers(self) -> list[str]:
        """The names of all users, who can review a case; empty without login."""
        return [user.name for user in self._accounts.users()]

    def body(
        self, opened: Opened, texts: Texts, person: Person | None, action: str = "", problems: Problems | None = None,
        values: Form | None = None,
    ) -> CaseBody:  # fmt: skip
        """The content of a case's page."""
        reviewers = self.reviewers()
        state = self._state.then(opened.release, opened.case.score.seq)
        return case_body(
            opened, self._reader, self._lender, texts, person, reviewers, action, problems, values, state,
            self._letters.notices(opened, person is not None),
        )  # fmt: skip

    def sent(self, action: str) -> Handler:
        """The handler of a form: it records the form, or returns it with its errors."""

        async def answer(request: Request, texts: Texts) -> Response:
            form = await read_form(request)
            if form is None:
                return HTMLResponse("", 413, HEADERS)
            person = person_of(request.scope)
            if person is not None and form_value(form, "as", LONGEST_NAME) not in ("", person.name):
                return HTMLResponse("", 412, HEADERS)  # the page shows the name of somebody who was logged in before
            opened = await self.requested_case(request)
            if isinstance(opened, str):
                return HTMLResponse("", 404 if opened == "missing" else 503, HEADERS)
            problems: Problems = {}
            if person is not None and person.machine:
                log_event(request.scope, "role_refused", route=action, why="people-decide")
                return HTMLResponse("", 403, HEADERS)  # people decide
            seen = case_at(opened.case, form_value(form, "seen"))
            try:
                draft = await run_in_threadpool(self.draft, action, opened, seen, form, person)
                await self._ledger.submit_in_loop(draft)
            except InvalidDecision as refused:
                problems = refused.problems
            except CaseMoved:
                problems = {"form": "moved"}
            except LedgerFull:
                problems = {"form": "full"}
            except LedgerUnavailable:
                return HTMLResponse("", 503, HEADERS)
            if "form" in problems or not problems:
                opened = await self.requested_case(request)
                if isinstance(opened, str):
                    return HTMLResponse("", 503, HEADERS)
            headers = {**HEADERS, RECORDED: "no" if problems else "yes"}

            async def respond(make: Callable[..., View], *args: object, **more: str) -> Response:
                html = await run_in_threadpool(lambda: render(make(*args), texts))
                return HTMLResponse(html, headers={**headers, **more})

            if problems.get("form") != "moved":
                values = form if problems else {"up": form.get("up", [""])}
                return await respond(self.section, action, opened, texts, problems, values, person)
            if not moved_by_others(opened.case, seen, acting(form, person)):
                problems = {"form": "outdated"}
            if form_value(form, "up") == root_from("record/x", texts):
                return await respond(self.body, opened, texts, person, action, problems, typed(form), **WHOLE)
            if action == ARRANGE:
                return await respond(self.section, action, opened, texts, problems, typed(form), person)
            return await respond(self.desk_section, opened, seen, texts, problems, typed(form), person)

        return answer

    def draft(self, action: str, opened: Opened, seen: Case | None, form: Form, person: Person | None) -> Draft:
        """The record that a form asks for, by the rules for the case as it was `seen`. Raises `InvalidDecision`, or
        `CaseMoved`."""
        if seen is None:
            raise CaseMoved("no case was ever as the form says")
        moved = seen.last != opened.case.last
        try:
            return self.draft_by_rules(
                action, self._reader.replayed(seen) if moved else opened, form, acting(form, person), person is not None
            )
        except InvalidDecision:
            if moved:
                raise CaseMoved("the form is incomplete, and no longer of this case") from None
            raise

    def draft_by_rules(self, action: str, opened: Opened, form: Form, person: Person, logged_in: bool) -> Draft:
        """The record that a form asks for. Raises `InvalidDecision`."""
        if action == "agree":
            return agree(opened.case, form, person)
        if action == WITHDRAW:
            return withdrawing.draft(opened.case, form, person)
        if action in handing_on.ACTIONS:
            return handing_on.draft(action, opened.case, form, person, self.reviewers())
        if action in keeping.ACTIONS:
            notices = (self._letters.notices(opened, logged_in) or {}) if action == "notified" else {}
            return keeping.draft(action, opened.case, form, person, notices, self._lender.work)
        if action == ARRANGE:
            return letter.draft(opened.case, form, person)
        if action == "contest":
            return contest(opened.case, form, person, self._lender, self.reviewers())
        return decide(opened.case, form, person, opened.amount, self._lender, opened.drafts)

    def forms(self, texts: Texts, form: Form, person: Person | None) -> CaseForms:
        """The builder of forms for the page that sent one; the form says how far that page is below the app's root."""
        up = form_value(form, "up")
        return CaseForms(self._lender, texts, up if up in ("", "../", "../../") else "", person, self.reviewers())

    def section(
        self, action: str, opened: Opened, texts: Texts, problems: Problems, form: Form, person: Person | None
    ) -> Section | letter.Letter:
        """The section of the page from which a form was sent, in its current state. A case's page has the letter to the
        applicant in its own place; the desk shows it below a decline."""
        forms = self.forms(texts, form, person)
        if action == "contest" and problems and "form" not in problems:
            return forms.contest(opened.case, problems, form)
        if action == WITHDRAW and opened.case.state in CAN_BE_WITHDRAWN:
            return withdrawing.withdrawal_section(forms, opened.case, texts, problems, form)
        if action in handing_on.ACTIONS and handing_on.possible(action, opened.case):
            return handing_on.handing_section(forms, action, opened.case, texts, self.reviewers(), problems, form)
        if action in keeping.ACTIONS and keeping.possible(action, opened.case):
            return keeping_section(forms, action, opened.case, texts, problems, form)
        if action == ARRANGE and opened.case.state in IN_FORCE:
            shown = letter.letter(
                forms, opened.case, self._letters.notices(opened, person is not None), texts, problems, form
            )
            assert shown is not None  # noqa: S101 - a decision is in force
            return shown
        section = forms.section(opened.case, opened.release, opened.drafts, problems, form)
        if form_value(form, "up") == root_from("record/x", texts):
            return section
        return self._letters.below(section, forms, opened, texts, person is not None)

    def desk_section(
        self, opened: Opened, seen: Case | None, texts: Texts, problems: Problems, form: Form, person: Person | None
    ) -> Section:
        """The section of the desk from which a form was sent, for a case that has changed since. It has a form only if
        the desk still shows the current score."""
        forms = self.forms(texts, form, person)
        if seen is not None and seen.score == opened.case.score:
            return forms.section(opened.case, opened.release, opened.drafts, problems, form)
        return forms.elsewhere(opened.case, problems, form)

    async def notice(self, request: Request, texts: Texts) -> Response:
        """The draft notice to print, in the applicant's language."""
        return await self._notice(request, texts, "html")

    async def notice_pdf(self, request: Request, texts: Texts) -> Response:
        """The same as a PDF."""
        return await self._notice(request, texts, "pdf")

    async def _notice(self, request: Request, texts: Texts, kind: str) -> Response:
        opened = await self.requested_case(request)
        here = f"record/{request.path_params['id']}/notice"
        if isinstance(opened, str):
            return self._problem(request, texts, here, opened)
        if "handed" in request.query_params:
            return await self._handed(request, texts, kind, opened.case)
        case, decision = opened.case, opened.case.decision
        if case.state not in IN_FORCE or decision is None:
            return self._problem(request, texts, here, "no_notice")
        if self._lender.is_example and mode_of(request.scope) == CLOSED:
            return self._problem(request, texts, here, "placeholder")
        language = request.query_params.get("lang", "")
        applicant = texts_in(language if language in LANGUAGES else chosen_language(case, texts))
        release = self._reader.decided_with(case, decision)
        draft = await run_in_threadpool(self._state.was_draft, release, case.score_of(decision).seq)
        applicant_notice = notice(case, release, self._lender, applicant, draft)
        if kind == "pdf":
            return await pdf(case, applicant_notice, applicant)
        labels = notice(case, release, self._lender, texts, draft)
        leave = visitor(request.scope, texts, root_from("record/x/notice", texts))
        html = await run_in_threadpool(notice_page, applicant_notice, labels, case.first.id, applicant, texts, leave)
        return HTMLResponse(html, headers=HEADERS)

    async def _handed(self, request: Request, texts: Texts, kind: str, case: Case) -> Response:
        """A notice as it was handed over, from the text that its record keeps."""
        id = request.query_params["handed"]
        record = next((record for record in case.of_kind(Notified) if record.id == id), None)
        parts = None if record is None or record.text is None else from_text(record.text)
        if record is None or parts is None:
            return self._problem(request, texts, f"record/{request.path_params['id']}/notice", "no_text")
        applicant, handed = texts_in(parts.language), handed_over(record, texts)
        if kind == "pdf":
            return await pdf(case, parts, applicant, handed=True)
        leave = visitor(request.scope, texts, root_from("record/x/notice", texts))
        html = await run_in_threadpool(notice_page, parts, parts, case.first.id, applicant, texts, leave, handed)
        return HTMLResponse(html, headers=HEADERS)


async def pdf(case: Case, parts: Notice, applicant: Texts, handed: bool = False) -> Response:
    """A notice of a case as a PDF, in the applicant's language."""
    content = await run_in_threadpool(notice_pdf, parts, applicant, handed)
    name = f'inline; filename="notice-{case.first.id}.pdf"'
    return Response(content, 200, {**HEADERS, "Content-Disposition": name}, "application/pdf")


def acting(form: Form, person: Person | None) -> Person:
    """Who sends a form; without login, the name in the form."""
    return person or Person(form_value(form, "name", LONGEST_NAME), OFFICER)


def moved_by_others(case: Case, seen: Case | None, person: Person) -> bool:
    """Whether somebody else has added a record since a case was seen."""
    return seen is not None and any(event.by != person.name for event in case.events[len(seen.events) :])


def readable(function: Handler, texts: Texts, title: Text) -> Callable[[Request], Awaitable[Response]]:
    """A route in one language, with a page for the case that the ledger or a record cannot be read."""

    async def route(request: Request) -> Response:
        try:
            return await function(request, texts)
        except (AnswerRefused, *errors.UNREADABLE) as error:  # the former: an answer that the form would refuse
            logger.error("ledger: %s", errors.cause(error))
            here = request.url.path.removeprefix(HOME[texts.language])
            page_html = problem_page("unreadable", texts, here, title[texts.language], request.scope)
            return HTMLResponse(page_html, 503, HEADERS)

    return route
