"""The private routes of the desk's script: the card for a form, what-ifs, numbers, an earlier case's answers."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from inference.errors import InvalidApplication
from inference.fields import NumberField
from inference.policy import APPROVE
from inference.release import Release
from ledger import cases
from ledger.cases import TO_DECIDE, Case
from ledger.errors import UNREADABLE, LedgerUnavailable, cause
from ledger.ledger import CaseMoved
from web.cards.notice_card import notice_card
from web.cards.problem_card import problem_card
from web.cards.score_card import score_card
from web.cases.decision_form import CaseForms
from web.cases.rules import case_at, version_of
from web.desk.form import FormValues
from web.desk.number_box import read_box
from web.desk.whatif_panel import Panel
from web.lender import Lender
from web.pages.languages import HOME, UP
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import Person, person_of
from web.problems import drawn_for_another
from web.recording import Recorder
from web.security.security_log import allowed, log_event

NOBODY = "desk"  # the name in records if no login is needed
HEADERS = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Correcting:
    """The message that an earlier case's answers are being corrected, with a link to stop; or that they cannot be."""

    template: ClassVar[str] = "desk/correcting.html"
    message: str
    impossible: bool


def desk_routes(recorder: Recorder, lender: Lender) -> APIRouter:
    """`POST desk/score`, `desk/try`, `desk/take` and `desk/read`, below each language's desk."""
    router = APIRouter()
    for language in LANGUAGES:
        desk = DeskRoutes(recorder, lender, texts_in(language))
        for name, function in (
            ("score", desk.score),
            ("try", desk.try_out),
            ("take", desk.take),
            ("read", desk.read),
        ):
            route = answered(function, recorder.scorer.release)
            router.add_route(f"{HOME[language]}desk/{name}", route, methods=["POST"])
    return router


def answered(function: Any, release: Release) -> Any:
    """A route for a function that takes a JSON object and returns HTML or JSON values. A form that was drawn for
    another release is refused: its fields may mean something else. The page's script then has it drawn anew."""

    async def route(request: Request) -> Response:
        # Another site cannot send this content type without a preflight request, which is not answered.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Response("", 415, HEADERS)
        try:
            body = orjson.loads(await request.body())
        except ValueError:
            return Response("", 400, HEADERS)
        if isinstance(body, dict) and body.get("release", release.digest) != release.digest:
            return drawn_for_another(release).response()
        result = await function(body if isinstance(body, dict) else {}, request.scope)
        if isinstance(result, str):
            return HTMLResponse(result, headers=HEADERS)
        if result.get("values") is not None:
            log_event(request.scope, "record_read", record=str(body["of"]), what="answers")
        return Response(orjson.dumps(result), 200, HEADERS, "application/json")

    return route


class DeskRoutes:
    """The functions of the desk's routes, in one language."""

    def __init__(self, recorder: Recorder, lender: Lender, texts: Texts) -> None:
        self._recorder, self._release, self._texts = recorder, recorder.scorer.release, texts
        self._form_values = FormValues(self._release.form, texts.language, recorder.ledger is not None)
        self._lender = lender
        self._panel = Panel(self._release, texts, self._form_values)

    async def score(self, body: dict[str, Any], scope: Scope) -> str:
        """The card for the form's values; a corrected score if they are an earlier case's answers."""
        texts, ledger, form_values = self._texts, self._recorder.ledger, self._form_values
        person = person_of(scope)
        corrects = None
        try:
            if ledger is not None and body.get("of"):
                case = await self._find(body["of"], scope)
                corrects = case_at(case, body.get("seen")) if case else None
                if corrects is None:
                    return self._moved(case, person)
                if corrects.state not in TO_DECIDE:
                    return notice_card("settled", texts, self._way(corrects, person))
            answer = await self._recorder.score(
                form_values.answers(body.get("answers")),
                by=person.name if person else NOBODY,
                channel="desk",
                reference=form_values.reference(body.get("reference")),
                explain=True,
                corrects=corrects,
            )
            deciding = None
            if answer.record is not None:
                # The case as shown here, not as the ledger may have it by now: the decision is about what is shown.
                shown_case = Case((*(corrects.events if corrects else ()), answer.record.event))
                answer = answer._replace(score=answer.score._replace(request_id=answer.record.header.id))  # sent twice
                deciding = self._form(person).section(shown_case, self._release, answer.principal or [])
        except CaseMoved:
            return self._moved(await self._find(body["of"], scope), person)
        except InvalidApplication as error:
            return problem_card(error.problems, self._release, texts)
        except LedgerUnavailable:
            return notice_card("unrecorded", texts)
        return score_card(answer, self._release, texts, self._lender, deciding)

    def _form(self, person: Person | None) -> CaseForms:
        return CaseForms(self._lender, self._texts, UP[self._texts.language], person)

    def _moved(self, case: Case | None, person: Person | None) -> str:
        """The card if nothing was scored because the case has changed: its state, with a link to it."""
        return notice_card("moved", self._texts, self._way(case, person) if case else None)

    def _way(self, case: Case, person: Person | None) -> View:
        """The state of a case, with a link to it."""
        return self._form(person).elsewhere(case, {}, {})

    async def try_out(self, body: dict[str, Any], scope: Scope) -> str:
        """The what-if panel: the scored answers (`base`) beside the form's current ones. Nothing is recorded."""
        return await run_in_threadpool(self._tried, body)

    def _tried(self, body: dict[str, Any]) -> str:
        whatif, form, base = self._recorder.whatif, self._release.form, body.get("base")
        try:
            scored = whatif.score(base if isinstance(base, dict) else {})
        except InvalidApplication:
            return ""
        now = explanation = None
        with suppress(InvalidApplication):
            now = whatif.score(self._form_values.answers(body.get("answers")))
        if now is not None and now.application != scored.application:
            explanation = self._recorder.reasons.explain(now.application)
        index = (
            form.names.index(body["field"]) if body.get("field") in form.names else self._release.policy.amount_at or 0
        )
        application = scored.application
        proposals = [] if scored.decision == APPROVE else whatif.approvals(application)
        return self._panel.write(
            scored, now, explanation, proposals, whatif.amounts(application), index, whatif.curve(application, index)
        )

    async def read(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """How the texts of number boxes (`numbers`: field name -> text) are read: field name -> `read_box`."""
        numbers = body.get("numbers")
        return {
            field.name: read_box(field, numbers[field.name], self._texts)
            for field in self._release.form.fields
            if isinstance(field, NumberField) and isinstance(numbers, dict) and isinstance(numbers.get(field.name), str)
        }

    async def take(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The form's values for an earlier case's answers (None if they are not available), and a message."""
        texts = self._texts
        try:
            case = await self._find(body.get("of"), scope)
        except LedgerUnavailable:
            case = None
        score = case.score if case else None
        if case is None or score is None or score.answers is None or score.release != self._release.digest:
            return {"values": None, "html": render(Correcting(texts("correct.impossible"), impossible=True), texts)}
        correcting = Correcting(texts("correct.lead", seq=case.first.seq), impossible=False)
        return {
            "values": self._form_values.values(score.answers, score.reference or ""),
            "html": render(correcting, texts),
            "seen": version_of(case),
        }

    async def _find(self, id: object, scope: Scope) -> Case | None:
        """The case of a record, if this person may see it."""
        ledger = self._recorder.ledger
        if ledger is None or not isinstance(id, str):
            return None

        def read() -> Case | None:
            with ledger.store.reading() as connection:
                case = cases.find(connection, id)
            return case if case is not None and allowed(scope, case) else None

        try:
            return await run_in_threadpool(read)
        except UNREADABLE as error:
            raise LedgerUnavailable(cause(error)) from None
