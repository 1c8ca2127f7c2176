"""The API for other systems: score one application or many, look up records, describe the release.

The routes use Starlette without FastAPI's parsing, since the release's form is the only parser of answers; the
description in web/api/openapi.py is made from it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, tzinfo
from operator import attrgetter
from typing import Any, TypeAlias

import orjson
from msgspec import convert, to_builtins
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.errors import InvalidApplication
from inference.questions import warnings
from inference.rules import Ruling, ruled
from ledger import cases, queries
from ledger.decisions import DECISIONS
from ledger.errors import LedgerUnavailable
from ledger.events import SCORED
from ledger.ledger import KeyReused
from ledger.records import Key, Record
from web.api.book import BookApi
from web.api.lists import ListApi
from web.api.openapi import DESCRIBED, MOST_ITEMS, behind_login, describe, in_short
from web.api.reading import read
from web.api.requests import as_item, client, idempotency_key, list_request
from web.batch.jobs import Jobs
from web.cases.listed import FILTERS, IN_ADDRESS, NOT_DECIDED, REFERENCE, filters_from, listed, page_of_cases
from web.lender import Lender, read_lender
from web.pages.answers import LONGEST_REFERENCE
from web.pages.forms import LONGEST_NAME
from web.person import CLOSED, mode_of, only_of, person_of
from web.problems import JSON, PREFIX, Refusal, drawn_for_another, invalid, read_json
from web.recording import Recorder, ScoredAnswer
from web.security.security_log import allowed, log_event

logger = logging.getLogger(__name__)
OF_SCORE = ("decision", "pd", "points", "break_even", "refer_from", "decline_from", "unusual")
from_score = attrgetter(*OF_SCORE)
PUBLIC = (*OF_SCORE, "reasons", "release_name", "release", "engine")
VALUES = (
    "since, until: a day such as 2026-01-31; "
    f"decision: {', '.join((*NOT_DECIDED, *DECISIONS))}; overridden: yes, no; by, reference: a text"
)
RECORD_FILTERS = ("kind", "by", "decision")  # those that say nothing of an applicant


Function: TypeAlias = Callable[[Request], Awaitable[Any]]
AS_JSON = [(b"content-type", JSON.encode()), (b"cache-control", b"no-store")]


def api_router(recorder: Recorder, jobs: Jobs, lender: Lender | None = None) -> Router:
    """All routes. `lender` has the texts of the rules that the recorder judges by."""
    api, book = Api(recorder, lender), BookApi(jobs, recorder.scorer.release.form)
    lists = ListApi(recorder, lender or read_lender(None))
    functions: dict[str, dict[str, Function]] = {
        "/score": {"POST": api.score},
        "/score:batch": {"POST": api.score_batch},
        "/decisions": {"GET": api.decisions, "POST": api.decisions},
        "/decisions/{id}": {"GET": api.decision},
        "/cases": {"GET": api.cases, "POST": api.cases},
        "/work": {"GET": lists.work},
        "/work/{list}": {"GET": lists.work_list},
        "/overrides": {"GET": lists.overrides},
        "/release": {"GET": api.release},
        "/ledger/head": {"GET": api.head},
        "/openapi.json": {"GET": api.openapi},
        "/book": {"POST": book.send, "GET": book.listed},
        "/book/{id}": {"GET": book.state, "DELETE": book.delete},
        "/book/{id}/result": {"GET": book.result},
        "/book/{id}/rejected": {"GET": book.rejected},
    }
    # One route a path, so that the answer to any other method lists all that it has.
    return Router(
        [Route(PREFIX + path, ApiRoute(methods), methods=list(methods)) for path, methods in functions.items()]
    )


class ApiFirst:
    """ASGI middleware: sends requests below PREFIX to the API, past everything that only pages need.

    Unknown paths and methods are answered with problems too. A mount would not work: its pattern does not match a path
    with a newline, which would reach Gradio.
    """

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app, self._router = app, router
        # Starlette tries one pattern after another; most requests can be looked up by their path.
        routes = [route for route in router.routes if isinstance(route, Route) and not route.param_convertors]
        self._by_name = {(method, route.path): route.app for route in routes for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if not path.startswith(PREFIX + "/"):
            await self._app(scope, receive, send)
            return
        try:
            await self._by_name.get((scope["method"], path), self._router)(scope, receive, send)
        except HTTPException as error:
            response = Refusal(error.status_code, "no-such-route", error.detail, DESCRIBED).response()
            response.headers.update(error.headers or {})
            await response(scope, receive, send)


class ApiRoute:
    """A route for functions, by method, that return JSON values or a response, or raise.

    It is an ASGI app, which Starlette calls directly; a function would be wrapped in several layers.
    """

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = {**functions, "HEAD": functions["GET"]} if "GET" in functions else functions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            result = await self._functions[scope["method"]](Request(scope, receive))
            response = result if isinstance(result, Response) else None
            answer = b"" if response else orjson.dumps(result)
        except Refusal as refusal:
            response = refusal.response()
        except InvalidApplication as error:
            response = invalid(error).response()
        except KeyReused as error:
            response = Refusal(409, "idempotency-key-reused", str(error)).response()
        except LedgerUnavailable:
            # The details are in the server's log and in /readyz: clients must not see paths.
            title = "The ledger cannot be read or written, so there is no answer"
            response = Refusal(503, "not-recorded", title).response()
        if response is None:
            headers = [*AS_JSON, (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return
        await response(scope, receive, send)


class Api:
    """The functions of the routes."""

    def __init__(self, recorder: Recorder, lender: Lender | None = None) -> None:
        self._recorder, self._lender = recorder, lender
        self._zone: tzinfo = UTC if lender is None else lender.work.zone
        self._release = recorder.scorer.release
        self._unrecorded = {
            "reasons": None, "release_name": self._release.name, "release": self._release.digest,
            "engine": recorder.scorer.engine.name, "recorded": None,
        }  # fmt: skip
        self._body_of_one, self._body_of_several = in_short(self._release), in_short(self._release, several=True)
        self._described = describe(self._release, recorder.ledger is not None, str(self._zone))

    async def score(self, request: Request) -> dict[str, Any]:
        """Score one application."""
        body, raw = await read_json(request, self._body_of_one)
        self._check_expected(body)
        item = as_item(body, self._body_of_one)
        key = idempotency_key(request, raw)
        by = client(request)
        answer = await self._recorder.score(item.answers, by=by, channel="api", reference=item.reference, key=key)
        return self._answer(answer)

    async def score_batch(self, request: Request) -> dict[str, Any]:
        """Score many; each succeeds or fails on its own."""
        body, raw = await read_json(request, self._body_of_several)
        self._check_expected(body)
        if set(body) != {"items"} or not isinstance(body["items"], list) or not body["items"]:
            title = 'A batch is {"items": [ … ]} with at least one item'
            raise Refusal(422, "invalid-request", title, self._body_of_several)
        if len(body["items"]) > MOST_ITEMS:
            raise Refusal(422, "invalid-request", f"A batch has at most {MOST_ITEMS:,} items")
        key, by = idempotency_key(request, raw), client(request)

        async def score_entry(index: int, entry: object) -> dict[str, Any]:
            try:
                item = as_item(entry, self._body_of_one)
                its_key = key and Key(key.client, f"{key.key}/{index}", key.digest)
                answer = await self._recorder.score(
                    item.answers, by=by, channel="api", reference=item.reference, key=its_key
                )
                return {"status": 200, **self._answer(answer)}
            except InvalidApplication as error:
                return invalid(error).problem
            except Refusal as refusal:
                return refusal.problem

        # In groups of 16, so that other requests are served in between, and each group shares its commits.
        answers: list[dict[str, Any]] = []
        entries = body["items"]
        for start in range(0, len(entries), 16):
            answers += await asyncio.gather(
                *(score_entry(index, entries[index]) for index in range(start, min(start + 16, len(entries))))
            )
            await asyncio.sleep(0)
        return {"items": answers}

    def _check_expected(self, body: dict[str, Any]) -> None:
        """Refuse what its client made for another release than the one that serves, and take the name off."""
        expected = body.pop("release", self._release.digest)
        if expected not in (self._release.digest, self._release.name):
            raise drawn_for_another(self._release)

    def _answer(self, answer: ScoredAnswer) -> dict[str, Any]:
        """The response to a score: what its record says, which an earlier request may have made, where it is, and what
        the release is that serves now."""
        score, record = answer.score, answer.record
        if record is None:
            return {
                "id": score.request_id, **dict(zip(OF_SCORE, from_score(score), strict=True)),
                **ruled(answer.ruling, score.decision), **self._unrecorded,
                "warnings": self._warned(answer.questions), "state": answer.state,
            }  # fmt: skip
        content: dict[str, Any] = {"reasons": None, **(record.personal_json or {}), **record.exact_json}
        recorded = {"seq": record.seq, "time": content["time"], "hash": record.hash.hex()}
        ruling = content.get("ruling")
        public = {name: content[name] for name in PUBLIC}
        public["warnings"] = self._warned(content.get("questions") or {})
        public |= ruled(None if ruling is None else convert(ruling, Ruling), content["decision"])
        return {"id": content["id"], **public, "recorded": recorded, "state": answer.state}

    def _warned(self, raised: Mapping[str, str]) -> list[dict[str, object]]:
        """The questions that answers raised; a person at the desk would be asked them."""
        if not raised:
            return []
        return warnings(question for question in self._recorder.questions.questions if question.name in raised)

    async def decisions(self, request: Request) -> dict[str, Any]:
        """Records, the newest first, a page at a time; those with a reference only by POST."""
        limit, before_seq, parameters = await list_request(request, (*RECORD_FILTERS, REFERENCE), RECORD_FILTERS)
        if odd := sorted(name for name, text in parameters.items() if not isinstance(text, str)):
            raise Refusal(422, "invalid-request", f"Invalid value of {', '.join(odd)}", "Each is a text")
        only = only_of(person_of(request.scope))
        if only is not None and parameters.setdefault("by", only) != only:
            log_event(request.scope, "role_refused", route="decisions", why="own-records")
            raise Refusal(403, "refused", "Officers see their own records")
        rows = await read(
            self._recorder.ledger,
            lambda connection: [
                (record.seq, list_item(record))
                for record in queries.newest(connection, limit, before_seq, **parameters)
            ],
            searching=True,
        )
        return {"items": [item for _, item in rows], "next": rows[-1][0] if len(rows) == limit else None}

    async def cases(self, request: Request) -> dict[str, Any]:
        """Cases, the newest first, a page at a time, with the filters of the page History; a reference only by POST."""
        limit, before_seq, parameters = await list_request(request, FILTERS, IN_ADDRESS)
        filters = filters_from({name: [text] for name, text in parameters.items() if isinstance(text, str)})
        if invalid_filters := sorted(
            name
            for name, text in parameters.items()
            if name not in filters or len(text) > (LONGEST_REFERENCE if name == REFERENCE else LONGEST_NAME)
        ):
            raise Refusal(422, "invalid-request", f"Invalid value of {', '.join(invalid_filters)}", VALUES)
        viewer = only_of(person_of(request.scope))
        items = await read(
            self._recorder.ledger,
            lambda connection: [
                listed(case) for case in page_of_cases(connection, limit + 1, before_seq, filters, viewer, self._zone)
            ],
            searching=True,
        )
        return {"items": items[:limit], "next": items[limit - 1]["seq"] if len(items) > limit else None}

    async def decision(self, request: Request) -> dict[str, Any]:
        """A complete record, with all records that refer to it."""
        id = request.path_params["id"]
        records, after, case = await read(
            self._recorder.ledger,
            lambda connection: (
                [full_record(record) for record in queries.by_id(connection, [id])],
                [full_record(record) for record in queries.following(connection, id)],
                cases.find(connection, id),
            ),
        )
        # Records that belong to no case, such as the ledger's first, are only for people who see all.
        if not records or not (allowed(request.scope, case) if case else only_of(person_of(request.scope)) is None):
            raise Refusal(404, "no-such-record", "No record has this id")
        return {**records[0], "followed_by": after}

    async def release(self, request: Request) -> dict[str, Any]:
        """The release: its fields, policy and metrics, and the path of its model card."""
        manifest = self._release.manifest
        return {
            "name": self._release.name,
            "digest": self._release.digest,
            "state": await run_in_threadpool(self._recorder.state.now),
            "engine": self._recorder.scorer.engine.name,
            "date": manifest.date,
            "title": to_builtins(manifest.title),
            "notice": to_builtins(manifest.notice),
            "fields": [{**to_builtins(field), "bounds": field.allowed} for field in manifest.fields],
            "policy": to_builtins(manifest.policy),
            "questions": to_builtins(self._recorder.questions.questions),
            "lender": None if self._lender is None else rules_in_words(self._lender),
            "metrics": manifest.training.get("metrics"),
            "model_card": "/model-card",
        }

    async def head(self, request: Request) -> dict[str, Any]:
        """The last record's sequence number and hash, to be kept elsewhere."""

        def last(connection: Any) -> dict[str, Any]:
            seq, digest = queries.last(connection) or (0, b"")
            return {"seq": seq, "hash": digest.hex()}

        return await read(self._recorder.ledger, last)  # type: ignore[no-any-return]

    async def openapi(self, request: Request) -> dict[str, Any]:
        """The description of this API."""
        return behind_login(self._described) if mode_of(request.scope) == CLOSED else self._described


def rules_in_words(lender: Lender) -> dict[str, Any]:
    """The lender's rules with their texts, and its grades."""
    content: dict[str, Any] = to_builtins(lender.rulebook)
    rules = [{**rule, "text": lender.rule_texts[rule["code"]]} for rule in content["rules"]]
    return {**content, "rules": rules}


def list_item(record: Record) -> dict[str, Any]:
    """A record in a list, without answers."""
    content = record.exact_json
    names = ("id", "time", "kind", "by", "decision", "of", "pd", "points", "release_name")
    return {
        "seq": record.seq, "hash": record.hash.hex(), **{name: content.get(name) for name in names},
        "reference": record.reference,
    }  # fmt: skip


def full_record(record: Record) -> dict[str, Any]:
    """A complete record. If its personal part was erased, `personal` is null, `erased` true, and the PD is rounded."""
    content = record.exact_json
    commitment, personal = content.pop("personal"), record.personal_json
    return {
        **content, "hash": record.hash.hex(), "commitment": commitment, "personal": personal,
        "erased": commitment is not None and personal is None,
        "can_replay": content["kind"] == SCORED and personal is not None,
    }  # fmt: skip
