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
from inference.fields import ChoiceField, NumberField
from inference.policy import APPROVE
from inference.release import Release
from ledger import cases, queries
from ledger.cases import IN_FORCE, TO_DECIDE, Case
from ledger.drafts import Drafts
from ledger.errors import UNREADABLE, LedgerFull, LedgerUnavailable, cause
from ledger.events import SCORED
from ledger.ledger import CaseMoved, Ledger
from ledger.records import Key, Record
from web.cards.notice_card import notice_card
from web.cards.problem_card import problem_card
from web.cards.score_card import score_card
from web.cases.case_letters import CaseLetters
from web.cases.decision_form import CaseForms
from web.cases.opened import CaseReader
from web.cases.rules import case_at, version_of
from web.desk.choice_search import MOST_SHOWN, ChoiceSearch
from web.desk.form import FormValues, single_line
from web.desk.form_case import FORM_KEY, REMEMBERED, FormCase, FormCases, only_own_scores_since
from web.desk.form_drafts import FormDrafts, is_key
from web.desk.number_box import read_box
from web.desk.whatif_panel import Panel
from web.lender import Lender
from web.pages.answers import is_searched
from web.pages.languages import HOME, UP
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import Person, person_of
from web.problems import drawn_for_another
from web.recording import Recorder, ScoredAnswer
from web.security.security_log import allowed, log_event

NOBODY = "desk"  # the name in records if no login is needed
RECENT = 50  # scores of a person among which the choices used last are looked for
TRIES = 5  # of a score whose case has changed meanwhile by the same form
HEADERS = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Correcting:
    """The message that an earlier case's answers are being corrected, with a link to stop; or that they cannot be."""

    template: ClassVar[str] = "desk/correcting.html"
    message: str
    impossible: bool


def desk_routes(
    recorder: Recorder, lender: Lender, drafts: Drafts | None = None, remembered: int = REMEMBERED
) -> APIRouter:
    """`POST desk/score`, `desk/compare`, `desk/try`, `desk/take`, `desk/read`, `desk/search`; and for forms that were
    begun `desk/drafts`, `desk/keep` and `desk/discard`, below each language's desk. `remembered`: of how many forms."""
    router = APIRouter()
    ledger = recorder.ledger
    form_cases = None if ledger is None else FormCases(ledger, recorder.scorer.release.digest, remembered)
    for language in LANGUAGES:
        desk = DeskRoutes(recorder, lender, texts_in(language), form_cases, drafts)
        for name, function in (
            ("score", desk.score),
            ("try", desk.try_out),
            ("compare", desk.compare),
            ("take", desk.take),
            ("read", desk.read),
            ("search", desk.search),
            ("drafts", desk.drafts),
            ("keep", desk.form_drafts.keep),
            ("discard", desk.form_drafts.discard),
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
        body = body if isinstance(body, dict) else {}
        if shows_another(body.get("as"), person_of(request.scope)):
            return Response("", 412, HEADERS)
        if body.get("release", release.digest) != release.digest:
            return drawn_for_another(release).response()
        result = await function(body, request.scope)
        if isinstance(result, str):
            return HTMLResponse(result, headers=HEADERS)
        if result.get("values") is not None and body.get("of"):
            log_event(request.scope, "record_read", record=str(body["of"]), what="answers")
        return Response(orjson.dumps(result), 200, HEADERS, "application/json")

    return route


def shows_another(name: object, person: Person | None) -> bool:
    """Whether the page shows the name of somebody else than who is logged in now, in another tab of the browser."""
    return isinstance(name, str) and name != (person.name if person else "")


class DeskRoutes:
    """The functions of the desk's routes, in one language."""

    def __init__(
        self, recorder: Recorder, lender: Lender, texts: Texts, form_cases: FormCases | None, drafts: Drafts | None
    ) -> None:
        self._recorder, self._release, self._texts = recorder, recorder.scorer.release, texts
        self._form_values = FormValues(self._release.form, texts.language, recorder.ledger is not None)
        self._lender = lender
        self._form_cases = form_cases
        self._cases = None if recorder.ledger is None else CaseReader(recorder.ledger, recorder.scorer)
        self._letters = None if self._cases is None else CaseLetters(self._cases, lender, recorder.state)
        self.form_drafts = FormDrafts(drafts, self._release, texts, lender.work, recorder.ledger is not None)
        has_rules = recorder.rules is not None and bool(recorder.rules.book.rules)
        self._searches = {
            field.name: ChoiceSearch(field, texts)
            for field in self._release.form.fields
            if isinstance(field, ChoiceField) and is_searched(field)
        }
        self._panel = Panel(self._release, texts, self._form_values, has_rules)

    async def score(self, body: dict[str, Any], scope: Scope) -> str:
        """The card for the form's values; a corrected score if they are an earlier case's answers."""
        texts, ledger, person = self._texts, self._recorder.ledger, person_of(scope)
        corrects = None
        try:
            if ledger is not None and body.get("of"):
                case = await self._find(body["of"], scope)
                corrects = case_at(case, body.get("seen")) if case else None
                if corrects is None:
                    return self._moved(case, person)
                if corrects.state not in TO_DECIDE:
                    return notice_card("settled", texts, self._way(corrects, person))
            elif self._form_cases is not None and FORM_KEY.fullmatch(str(body.get("key"))):
                return await self._score_of_form(body, person)
            answer = await self._scored(body, person, corrects)
        except CaseMoved:
            return self._moved(await self._find(body["of"], scope), person)
        except InvalidApplication as error:
            return problem_card(error.problems, self._release, texts)
        except LedgerFull:
            return notice_card("full", texts)
        except LedgerUnavailable:
            return notice_card("unrecorded", texts)
        shown = None if answer.record is None else with_score(corrects, answer.record)
        return self._card(answer, shown, person)

    async def _score_of_form(self, body: dict[str, Any], person: Person | None) -> str:
        """The card of a score that belongs to the form's own case, which its first score begins."""
        assert self._form_cases is not None  # noqa: S101 - checked by `score`
        by, form = self._by(person), str(body["key"])
        for _ in range(TRIES):
            key, case = await self._form_cases.find(by, form)
            if case is not None and not only_own_scores_since(case, body.get("seen"), by):
                return self._moved(case, person)
            try:
                answer = await self._scored(body, person, case, None if case else key)
            except CaseMoved:
                self._form_cases.forget(by, form)
                continue
            assert answer.record is not None  # noqa: S101 - there is a ledger
            if case is None and answer.record.header.id != answer.score.request_id:
                continue  # another click of the same form began the case meanwhile
            shown = with_score(case, answer.record)
            self._form_cases.remember(by, form, FormCase(key, shown))
            return self._card(answer, shown, person)
        return self._moved(case, person)

    async def _scored(
        self, body: dict[str, Any], person: Person | None, corrects: Case | None, key: Key | None = None
    ) -> ScoredAnswer:
        named = body.get("confirmed")
        return await self._recorder.score(
            self._form_values.answers(body.get("answers")),
            by=self._by(person),
            channel="desk",
            reference=self._form_values.reference(body.get("reference")),
            key=key,
            explain=True,
            corrects=corrects,
            applicant=single_line(body.get("applicant")) if self._lender.work.applicant else None,
            confirmed=[name for name in named if isinstance(name, str)] if isinstance(named, list) else (),
        )

    def _card(self, answer: ScoredAnswer, case: Case | None, person: Person | None) -> str:
        """The card of a score, with what can be done with its case; None if nothing is recorded."""
        deciding = None
        if case is not None and answer.record is not None:
            score = answer.score._replace(request_id=answer.record.header.id)  # sent twice
            answer = answer._replace(score=score, seq=case.first.seq)
            deciding = self._form(person).section(case, self._release, answer.principal or [])
        return score_card(answer, self._release, self._texts, self._lender, deciding)

    def _by(self, person: Person | None) -> str:
        return person.name if person else NOBODY

    def _form(self, person: Person | None) -> CaseForms:
        return CaseForms(self._lender, self._texts, UP[self._texts.language], person)

    def _moved(self, case: Case | None, person: Person | None) -> str:
        """The card if nothing was scored because the case has changed: its state, with a link to it."""
        return notice_card("moved", self._texts, self._way(case, person) if case else None)

    def _way(self, case: Case, person: Person | None) -> View:
        """The state of a case, with a link to it."""
        return self._form(person).elsewhere(case, {}, {})

    async def try_out(self, body: dict[str, Any], scope: Scope) -> str:
        """What if, of the scored answers (`base`): what would make it an approval, and a curve. Nothing is recorded."""
        return await run_in_threadpool(self._tried, body)

    def _tried(self, body: dict[str, Any]) -> str:
        whatif, form, base = self._recorder.whatif, self._release.form, body.get("base")
        try:
            scored = whatif.score(base if isinstance(base, dict) else {})
        except InvalidApplication:
            return ""
        index = (
            form.names.index(body["field"]) if body.get("field") in form.names else self._release.policy.amount_at or 0
        )
        application = scored.application
        proposals = [] if scored.decision == APPROVE else whatif.approvals(application)
        amounts, curve = whatif.amounts(application), whatif.curve(application, index)
        return self._panel.write(scored, proposals, amounts, index, curve)

    async def compare(self, body: dict[str, Any], scope: Scope) -> str:
        """The scored answers (`base`) beside the form's current ones, and what moved; empty if they are the same."""
        return await run_in_threadpool(self._compared, body)

    def _compared(self, body: dict[str, Any]) -> str:
        whatif, reasons, base = self._recorder.whatif, self._recorder.reasons, body.get("base")
        now = None
        try:
            scored = whatif.score(base if isinstance(base, dict) else {})
        except InvalidApplication:
            return ""
        with suppress(InvalidApplication):
            now = whatif.score(self._form_values.answers(body.get("answers")))
        if now is not None and now.application == scored.application:
            return ""
        moved = None if now is None else reasons.between(scored.application, now.application)
        return render(self._panel.beside(scored, now, moved), self._texts)

    async def read(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """How the texts of number boxes (`numbers`: field name -> text) are read: field name -> `read_box`."""
        numbers = body.get("numbers")
        return {
            field.name: read_box(field, numbers[field.name], self._texts)
            for field in self._release.form.fields
            if isinstance(field, NumberField) and isinstance(numbers, dict) and isinstance(numbers.get(field.name), str)
        }

    async def search(self, body: dict[str, Any], scope: Scope) -> str:
        """Choices of a long list (`field`) for a `text`; for none, those that were used last: by who is logged in, as
        the ledger has it, or else in this tab (`used`: codes). Empty if there is nothing to show."""
        search = self._searches.get(str(body.get("field")))
        if search is None:
            return ""
        typed, used = str(body.get("text", "")), body.get("used")
        codes = [code for code in used if isinstance(code, str)][:MOST_SHOWN] if isinstance(used, list) else []
        person = person_of(scope)
        if not typed.strip() and person is not None and self._recorder.ledger is not None:
            codes += await run_in_threadpool(last_answers, self._recorder.ledger, person.name, str(body["field"]))
        view = await run_in_threadpool(search.view, typed, codes)
        return "" if view is None else render(view, self._texts)

    async def take(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """The form's values for an earlier case's answers (None if they are not available), a message, and the case's
        card once it was decided or ended. `seen` is empty if its answers can no longer be corrected."""
        texts = self._texts
        try:
            case = await self._find(body.get("of"), scope)
        except LedgerUnavailable:
            case = None
        score = case.score if case else None
        if case is None or score is None or score.answers is None or score.release != self._release.digest:
            return {"values": None, "html": render(Correcting(texts("correct.impossible"), impossible=True), texts)}
        correctable = case.state in TO_DECIDE
        correcting = Correcting(texts("correct.lead", seq=case.first.seq), impossible=False)
        shows_card = not correctable or case.state in IN_FORCE
        return {
            "values": self._form_values.values(score.answers, score.reference or ""),
            "html": render(correcting, texts) if correctable else "",
            "applicant": score.applicant or "",
            "seen": version_of(case) if correctable else "",
            "card": await run_in_threadpool(self._card_of, case.first.id, scope) if shows_card else "",
        }

    async def drafts(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """A form that was begun, with the card of its case; one whose case is decided as it was left, with the letter
        below a decline; or a list of those that the person has begun. With `of`, only a correction of that case."""
        others, of = "", body.get("of")
        if "draft" in body and person_of(scope) is None:
            form = self.form_drafts.carried(body["draft"])
        else:
            form, others = await self.form_drafts.find(body.get("id"), scope)
        if of and (form is None or form["of"] != of):
            return {"form": None, "html": ""}
        form = form or await self._left(body.get("id"), scope)
        if form is None:
            return {"form": None, "html": others}
        correcting = ""
        if form["of"] and (case := await self._find(form["of"], scope)):
            lead = self._texts("correct.lead", seq=case.first.seq)
            correcting = render(Correcting(lead, impossible=False), self._texts)
        card = form.get("card") or (await run_in_threadpool(self._card_of, form["case"], scope) if form["case"] else "")
        if card:
            log_event(scope, "record_read", record=form["case"], what="answers")
        return {"form": {**form, "card": card, "correcting": correcting}, "html": ""}

    async def _left(self, id: object, scope: Scope) -> dict[str, Any] | None:
        """A form that is no longer kept, since its case is decided: the answers and the card of the case; None if
        somebody else's, or not shown by this release."""
        person = person_of(scope)
        if person is None or person.machine or self._form_cases is None or not is_key(id):
            return None
        try:
            case = await self._form_cases.decided(person.name, str(id))
        except LedgerUnavailable:
            return None
        if case is None or case.score.answers is None:
            return None
        card = await run_in_threadpool(self._card_of, case.first.id, scope)
        if not card:
            return None
        return {
            "values": self._form_values.values(case.score.answers, case.score.reference or ""),
            "applicant": case.score.applicant or "", "touched": list(self._release.form.names),
            "decision": None, "of": "", "seen": "", "case": case.first.id, "card": card,
        }  # fmt: skip

    def _card_of(self, id: str, scope: Scope) -> str:
        """The card of a case as it is now; empty if it cannot be shown."""
        opened = "missing" if self._cases is None else self._cases.open(id, scope)
        if isinstance(opened, str) or opened.score is None or opened.case.score.release != self._release.digest:
            return ""
        case, person = opened.case, person_of(scope)
        score = opened.score._replace(request_id=case.score.id)
        state = self._recorder.state.then(opened.release, case.score.seq)
        answer = ScoredAnswer(
            score,
            case.first.seq,
            opened.explanation,
            opened.drafts,
            state=state,
            ruling=opened.ruling,
            questions=opened.questions,
        )
        forms = self._form(person)
        section = forms.section(case, self._release, opened.drafts)
        if self._letters is not None:
            section = self._letters.below(section, forms, opened, self._texts, person is not None)
        return score_card(answer, self._release, self._texts, self._lender, section)

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


def with_score(case: Case | None, record: Record) -> Case:
    """A case with one more score, or the new case that begins with it: as shown here, not as the ledger may have it by
    now, since the decision is about what is shown."""
    return Case((*(case.events if case else ()), record.event))


def last_answers(ledger: Ledger, by: str, field: str) -> list[str]:
    """This person's answers to a field in the scores recorded last, the newest first; none if the ledger fails."""
    with suppress(*UNREADABLE), ledger.store.reading() as connection:
        records = queries.newest(connection, RECENT, None, by=by, kind=SCORED)
        answers = [(record.personal_json or {}).get("answers") for record in records]
        return [str(given[field]) for given in answers if isinstance(given, dict) and given.get(field)]
    return []
