"""Gradio's own API: `predict_credit_score`, with the release's fields as its parameters.

Gradio describes it in /config and /gradio_api/info. Calls by its clients are handled by the routes below instead of
Gradio's own, which accept bodies of any shape, and for every made-up session store 110 KB and its name for as long as
the server runs.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from inference.errors import InvalidApplication
from inference.fields import ChoiceField, Field, NumberField
from ledger.errors import LedgerUnavailable
from web.desk.gradio_hooks import add_endpoint, closed_join, completed_call, completed_join
from web.desk.waiting_answers import Full, UnreadAnswers
from web.person import person_of
from web.problems import Refusal, problem_json, read_json
from web.recording import Recorder
from web.security.limits import GRADIO, Sender

NAME = "predict_credit_score"
NOBODY = "gradio"  # the name in records if no login is needed
LISTED_UP_TO = 60  # choices; longer lists are not part of the signature
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")  # session names of gradio_client and of Gradio's JavaScript client
STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-store"}


class CallRefused(Exception):
    """A call that is refused; Gradio's clients show the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Endpoint:
    """The function, and the routes to call it.

    It returns `Score.as_dict()`, with the `outcome` where the lender has rules; or `{"problems": [...]}` with one
    entry for each invalid field: field, kind, allowed, got and unit; or `{"problem": ...}` if the score cannot be
    recorded.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._form = recorder, recorder.scorer.release.form
        self.unread = UnreadAnswers()

    def describe(self) -> None:
        """Add the function to the Blocks under construction."""

        async def predict_credit_score(*answers: object) -> dict[str, Any]:
            return await self.answer(answers, NOBODY)

        description = "Score one application. A number that may be left open takes null for not stated."
        add_endpoint(
            predict_credit_score, NAME, description, {field.name: type_of(field) for field in self._form.fields}
        )

    def routes(self) -> APIRouter:
        """The routes that gradio_client, Gradio's JavaScript client and plain HTTP calls need, and no others."""
        router = APIRouter()
        for method, path, function in (
            ("POST", f"run/{NAME}", self.run),
            ("POST", f"call/{NAME}", self.call),
            ("GET", f"call/{NAME}/{{event}}", self.called),
            ("POST", "queue/join", self.join),
            ("GET", "queue/data", self.data),
        ):
            router.add_route(GRADIO + path, with_errors(function), methods=[method])
        return router

    async def answer(self, answers: Sequence[object], by: str) -> dict[str, Any]:
        """The score of the answers, in the form's order, or their problems."""
        try:
            named = dict(zip(self._form.names, answers, strict=True))
            scored = await self._recorder.score(named, by=by, channel="api")
            return scored.score.as_dict() | ({} if scored.ruling is None else {"outcome": scored.outcome})
        except InvalidApplication as error:
            return {"problems": [problem_json(problem) for problem in error.problems]}
        except LedgerUnavailable:
            return {"problem": "not recorded, so not answered: the server's log says why"}

    async def run(self, request: Request) -> Response:
        """Return the answer in the response."""
        answers, _ = await self._read(request)
        return JSONResponse(
            {"data": [await self.answer(answers, caller(request))], "is_generating": False}, 200, HEADERS
        )

    async def call(self, request: Request) -> Response:
        """Return an id with which the answer can be fetched."""
        answers, _ = await self._read(request)
        event = uuid4().hex
        return await self._keep(request, answers, event, event)

    async def called(self, request: Request) -> Response:
        """Return the answer to a `call` as an event stream."""
        return self._stream(request, request.path_params["event"], self._as_called)

    async def join(self, request: Request) -> Response:
        """Return the id of the answer, which the event stream of the client's session will deliver."""
        answers, body = await self._read(request)
        session = body.get("session_hash")
        if not isinstance(session, str) or not SESSION.fullmatch(session):
            raise CallRefused(400, "session_hash: 1 to 64 letters, digits, - and _ are needed")
        return await self._keep(request, answers, session, uuid4().hex)

    async def data(self, request: Request) -> Response:
        """Return the answers of a client's session as an event stream."""
        return self._stream(request, request.query_params.get("session_hash", ""), self._as_joined)

    async def _read(self, request: Request) -> tuple[list[object], dict[str, Any]]:
        """The answers in a request, and its whole body. Raises `CallRefused`."""
        try:
            body, _ = await read_json(request)
        except Refusal as refusal:
            raise CallRefused(400, str(refusal)) from None
        answers, needed = body.get("data"), len(self._form.names)
        if not isinstance(answers, list) or len(answers) != needed:
            came = len(answers) if isinstance(answers, list) else "none"
            raise CallRefused(400, f"data: a list of {needed} answers is needed, {came} came")
        return answers, body

    async def _keep(self, request: Request, answers: list[object], session: str, event: str) -> Response:
        """Score, and keep the answer for its client. If there is no room for it, nothing is scored or recorded."""
        sender = Sender.of(request.scope)
        try:
            self.unread.expect(sender, session, event)
        except Full:
            raise CallRefused(
                503, "Too many answers wait to be fetched: fetch them, or try again in a minute"
            ) from None
        try:
            answer = orjson.dumps(await self.answer(answers, caller(request)))
        except BaseException:
            self.unread.forget(sender, session, event)
            raise
        self.unread.deliver(sender, session, event, answer)
        return JSONResponse({"event_id": event}, 200, HEADERS)

    def _stream(
        self, request: Request, session: str, form: Callable[[AsyncIterator[tuple[str, bytes]]], AsyncIterator[bytes]]
    ) -> Response:
        sender = Sender.of(request.scope)
        if not self.unread.waits(sender, session):
            raise CallRefused(404, "No answer waits here: each is kept for a minute and given once, to who asked")
        return StreamingResponse(form(self.unread.fetch(sender, session)), 200, HEADERS, STREAM)

    async def _as_called(self, fetched: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        async for _, answer in fetched:
            yield completed_call(answer)

    async def _as_joined(self, fetched: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        async for event, answer in fetched:
            yield completed_join(event, answer)
        yield closed_join()


def with_errors(function: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route with error responses for Gradio's clients, which read `error` or `detail`."""

    async def route(request: Request) -> Response:
        try:
            return await function(request)
        except CallRefused as refused:
            return JSONResponse({"error": refused.text, "detail": refused.text}, refused.status, HEADERS)

    return route


def caller(request: Request) -> str:
    """The name of the client, as in records."""
    person = person_of(request.scope)
    return person.name if person else NOBODY


def type_of(field: Field) -> Any:
    """The Python type that describes a field's answers."""
    if isinstance(field, NumberField):
        return float | None if field.optional else float
    if isinstance(field, ChoiceField) and field.digits is None and len(field.choices) <= LISTED_UP_TO:
        return Literal[tuple(choice.code for choice in field.choices)]
    return str
