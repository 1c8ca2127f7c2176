"""The API for other systems: score one application or many, look records up, know the release.

Its routes are Starlette's own, without FastAPI's parsing: the release's form is the one parser of answers, here as
everywhere, and the description in web/api/openapi.py is drawn from it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson
from msgspec import to_builtins
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.errors import InvalidApplication
from inference.scorer import Score
from ledger import cases, errors, queries
from ledger.errors import LedgerUnavailable
from ledger.events import SCORED
from ledger.ledger import KeyReused
from ledger.records import Key, Record
from web.api.openapi import LISTED, LONGEST_KEY, MOST_ITEMS, MOST_LISTED, behind_login, describe
from web.pages.answers import LONGEST_REFERENCE
from web.person import CLOSED, mode_of, only_of, person_of
from web.problems import JSON, PREFIX, Refusal, invalid, read_json
from web.recording import Recorder
from web.security.security_log import allowed, tell

logger = logging.getLogger(__name__)
OF_SCORE = ("decision", "pd", "points", "break_even", "refer_from", "decline_from", "unusual")
PUBLIC = (*OF_SCORE, "reasons", "release_name", "release", "engine")
NOBODY = "api"  # who asks, as long as nobody has to say so


class Item(NamedTuple):
    """One application to score."""

    answers: Mapping[str, object]
    reference: str | None


AS_JSON = [(b"content-type", JSON.encode()), (b"cache-control", b"no-store")]


def api_router(recorder: Recorder) -> Router:
    """All routes."""
    api = Api(recorder)
    routes = [
        Route(PREFIX + path, Answering(function), methods=[method])
        for method, path, function in (
            ("POST", "/score", api.score),
            ("POST", "/score:batch", api.score_batch),
            ("GET", "/decisions", api.decisions),
            ("GET", "/decisions/{id}", api.decision),
            ("GET", "/release", api.release),
            ("GET", "/ledger/head", api.head),
            ("GET", "/openapi.json", api.openapi),
        )
    ]
    return Router(routes)


class ApiFirst:
    """Sends all below PREFIX to the API, before anything that pages need.

    A path or a method that there is not is a problem too. A mount would not do: its pattern lets a path with a
    newline through, to Gradio.
    """

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app, self._router = app, router
        # Starlette tries one pattern after another; most requests name a route as it stands.
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
            response = Refusal(error.status_code, "no-such-route", error.detail).response()
            response.headers.update(error.headers or {})
            await response(scope, receive, send)


class Answering:
    """A route around a function that returns what JSON can hold, or raises.

    An app of its own, which Starlette calls as it is; around a function it would put a good deal more than that.
    """

    def __init__(self, function: Callable[[Request], Awaitable[Any]]) -> None:
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = orjson.dumps(await self._function(Request(scope, receive)))
        except Refusal as refusal:
            response = refusal.response()
        except InvalidApplication as error:
            response = invalid(error).response()
        except KeyReused as error:
            response = Refusal(409, "idempotency-key-reused", str(error)).response()
        except LedgerUnavailable:
            # What exactly happened stands in the server's log and in /readyz: paths are nobody's business here.
            why = "The ledger cannot be read or written, so there is no answer"
            response = Refusal(503, "not-recorded", why).response()
        else:
            headers = [*AS_JSON, (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return
        await response(scope, receive, send)


class Api:
    """What the routes do."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._release = recorder.scorer.release
        self._unrecorded = {
            "reasons": None, "release_name": self._release.name, "release": self._release.digest,
            "engine": recorder.scorer.engine.name, "recorded": None,
        }  # fmt: skip
        self._described = describe(self._release, recorder.ledger is not None)

    async def score(self, request: Request) -> dict[str, Any]:
        """Score one application."""
        body, raw = await read_json(request)
        item = as_item(body)
        key = idempotency_key(request, raw)
        by = client(request)
        told = await self._recorder.score(item.answers, by=by, channel="api", reference=item.reference, key=key)
        return self._answer(told.score, told.record)

    async def score_batch(self, request: Request) -> dict[str, Any]:
        """Score many; each succeeds or fails on its own."""
        body, raw = await read_json(request)
        if set(body) != {"items"} or not isinstance(body["items"], list) or not body["items"]:
            raise Refusal(422, "invalid-request", 'A batch is {"items": [ … ]} with at least one item')
        if len(body["items"]) > MOST_ITEMS:
            raise Refusal(422, "invalid-request", f"A batch has at most {MOST_ITEMS:,} items")
        key, by = idempotency_key(request, raw), client(request)

        async def one(at: int, entry: object) -> dict[str, Any]:
            try:
                item = as_item(entry)
                its_key = key and Key(key.client, f"{key.key}/{at}", key.digest)
                found = await self._recorder.score(
                    item.answers, by=by, channel="api", reference=item.reference, key=its_key
                )
                return {"status": 200, **self._answer(found.score, found.record)}
            except InvalidApplication as error:
                return invalid(error).problem
            except Refusal as refusal:
                return refusal.problem

        # In pieces, so that others are served between them, and each piece shares its commits.
        answers: list[dict[str, Any]] = []
        entries = body["items"]
        for start in range(0, len(entries), 16):
            answers += await asyncio.gather(
                *(one(at, entries[at]) for at in range(start, min(start + 16, len(entries))))
            )
            await asyncio.sleep(0)
        return {"items": answers}

    def _answer(self, score: Score, record: Record | None) -> dict[str, Any]:
        """What is told of a score: where it is recorded, what the record says, which may be of an earlier request."""
        if record is None:
            said = {name: getattr(score, name) for name in OF_SCORE}
            return {"id": score.request_id, **said, **self._unrecorded}
        said = {"reasons": None, **(record.personal_json or {}), **record.exact_json}
        recorded = {"seq": record.seq, "time": said["time"], "hash": record.hash.hex()}
        return {"id": said["id"], **{name: said[name] for name in PUBLIC}, "recorded": recorded}

    async def decisions(self, request: Request) -> dict[str, Any]:
        """Records, the newest first, a page at a time."""
        asked = dict(request.query_params)
        limit = whole(asked.pop("limit", str(LISTED)), "limit", 1, MOST_LISTED)
        before = asked.pop("before", None)
        at = None if before is None else whole(before, "before", 1, 2**53)
        if unknown := sorted(asked.keys() - {"kind", "by", "decision", "reference"}):
            raise Refusal(422, "invalid-request", f"No such parameter: {', '.join(unknown)[:200]}")
        only = only_of(person_of(request.scope))
        if only is not None and asked.setdefault("by", only) != only:
            tell(request.scope, "role_refused", route="decisions", why="own-records")
            raise Refusal(403, "refused", "Officers see their own records")
        found = await self._read(
            lambda connection: [(one.seq, listed(one)) for one in queries.newest(connection, limit, at, **asked)],
            searching=True,
        )
        return {"items": [item for _, item in found], "next": found[-1][0] if len(found) == limit else None}

    async def decision(self, request: Request) -> dict[str, Any]:
        """One record, whole, with all that refers to it."""
        name = request.path_params["id"]
        found, after, case = await self._read(
            lambda connection: (
                [shown(one) for one in queries.by_id(connection, [name])],
                [shown(one) for one in queries.following(connection, name)],
                cases.find(connection, name),
            )
        )
        # What belongs to no case, such as the ledger's beginning, is for those who see all.
        if not found or not (allowed(request.scope, case) if case else only_of(person_of(request.scope)) is None):
            raise Refusal(404, "no-such-record", "No record has this id")
        return {**found[0], "followed_by": after}

    async def release(self, request: Request) -> dict[str, Any]:
        """The release: what it asks for, how good it is, where its card is."""
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
            "metrics": manifest.training.get("metrics"),
            "model_card": "/model-card",
        }

    async def head(self, request: Request) -> dict[str, Any]:
        """The last record's sequence and hash, for somebody else to keep."""

        def last(connection: Any) -> dict[str, Any]:
            seq, digest = queries.last(connection) or (0, b"")
            return {"seq": seq, "hash": digest.hex()}

        return await self._read(last)  # type: ignore[no-any-return]

    async def openapi(self, request: Request) -> dict[str, Any]:
        """This API's own description."""
        return behind_login(self._described) if mode_of(request.scope) == CLOSED else self._described

    async def _read(self, query: Any, searching: bool = False) -> Any:
        """Ask the ledger in another thread, a search in its turn; 404 where nothing is found."""
        ledger = self._recorder.ledger
        if ledger is None:
            raise Refusal(404, "no-ledger", "This server keeps no ledger")

        def ask() -> Any:
            with ledger.store.reading() as connection:
                return query(connection)

        try:
            return await (ledger.search(query) if searching else run_in_threadpool(ask))
        except errors.UNREADABLE as error:
            logger.error("ledger: %s", errors.cause(error))
            raise LedgerUnavailable(errors.cause(error)) from None


def as_item(body: object) -> Item:
    """One application of a request: `answers`, and a `reference` of the caller's own."""
    if not isinstance(body, dict) or not isinstance(body.get("answers"), dict):
        raise Refusal(422, "invalid-request", 'An application is {"answers": {…}}, with a "reference" if you like')
    if unknown := sorted(body.keys() - {"answers", "reference"}):
        raise Refusal(422, "invalid-request", f"Beside answers and reference, nothing is known: {unknown[0][:40]!r}")
    reference = body.get("reference")
    if reference is not None and not (
        isinstance(reference, str) and 0 < len(reference) <= LONGEST_REFERENCE and reference.isprintable()
    ):
        raise Refusal(422, "invalid-request", f"A reference is a text of 1 to {LONGEST_REFERENCE} printable characters")
    return Item(body["answers"], reference)


def idempotency_key(request: Request, raw: bytes) -> Key | None:
    """The request's Idempotency-Key with the digest of the body it belongs to."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Refusal(400, "invalid-request", f"An Idempotency-Key has 1 to {LONGEST_KEY} ASCII characters")
    return Key(client(request), f"{request.url.path} {key}", hashlib.sha256(raw).digest())


def client(request: Request) -> str:
    """Who asks, as records say it."""
    person = person_of(request.scope)
    return person.name if person else NOBODY


def whole(text: str, name: str, low: int, high: int) -> int:
    """A whole number of the query."""
    if not (text.isascii() and text.isdigit() and len(text) < 17 and low <= int(text) <= high):
        raise Refusal(422, "invalid-request", f"{name}: a whole number from {low} to {high} is needed")
    return int(text)


def listed(record: Record) -> dict[str, Any]:
    """A line of a list: no answers."""
    said = record.exact_json
    names = ("id", "time", "kind", "by", "decision", "of", "pd", "points", "release_name")
    return {
        "seq": record.seq, "hash": record.hash.hex(), **{name: said.get(name) for name in names},
        "reference": record.reference,
    }  # fmt: skip


def shown(record: Record) -> dict[str, Any]:
    """All of a record. Where its personal part was erased, `personal` is null, `erased` true, and the PD rounded."""
    said = record.exact_json
    promised, personal = said.pop("personal"), record.personal_json
    return {
        **said, "hash": record.hash.hex(), "commitment": promised, "personal": personal,
        "erased": promised is not None and personal is None,
        "can_replay": said["kind"] == SCORED and personal is not None,
    }  # fmt: skip
