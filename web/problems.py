"""Error responses, as RFC 9457 problems."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from inference.errors import InvalidApplication, Problem, TenfoldError
from inference.release import Release

PREFIX = "/api/v1"  # of the API; all its errors are problems
HEADERS = {"Cache-Control": "no-store"}
JSON = "application/json"
PROBLEM = ("field", "kind", "allowed", "got", "unit", "hint")  # what a response says about an invalid field


class Refusal(TenfoldError):
    """A request that is refused, with its RFC 9457 problem."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", **more: Any) -> None:
        super().__init__(title)
        self.status = status
        problem = {"type": f"urn:tenfold:{kind}", "title": title, "status": status, "detail": detail, **more}
        self.problem = {name: value for name, value in problem.items() if value != ""}

    def response(self) -> Response:
        """As `application/problem+json`."""
        return Response(orjson.dumps(self.problem), self.status, HEADERS, "application/problem+json")


def invalid(error: InvalidApplication) -> Refusal:
    """The refusal of an application, with every invalid field."""
    title = "The application cannot be scored"
    return Refusal(422, "invalid-application", title, errors=[problem_json(problem) for problem in error.problems])


def drawn_for_another(release: Release) -> Refusal:
    """The refusal of what was made for another release than the one that serves."""
    title = "Another release serves than the one this was made for"
    detail = f"Nothing was scored. {PREFIX}/release describes the one that serves"
    return Refusal(409, "another-release", title, detail, release_name=release.name, release=release.digest)


def problem_json(problem: Problem) -> dict[str, str]:
    """One invalid field."""
    return {name: getattr(problem, name) for name in PROBLEM}


async def read_json(request: Request, expected: str = "") -> tuple[dict[str, Any], bytes]:
    """The parsed body, and its raw bytes. web/security/limits.py has limited its size and read it in one piece.
    `expected` says what to send; every refusal has it, and nothing of what was sent."""
    kind = header(request.scope, b"content-type") or ""
    if kind != JSON and kind.partition(";")[0].strip().lower() != JSON:
        raise Refusal(415, "no-json", f"Content-Type: {JSON} is needed", expected)
    raw = (await request.receive()).get("body", b"")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f"The body is not JSON, from line {error.lineno:,}, column {error.colno:,} on"
        raise Refusal(400, "no-json", where if raw else "The body is empty", expected) from None
    if not isinstance(body, dict):
        raise Refusal(422, "invalid-request", "The body is JSON, but not an object", expected)
    return body, raw


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a request with this name, which is in lower case. It looks at no more of them than it must,
    since every request for a score passes here."""
    for other, value in scope["headers"]:
        if other == name:
            return str(value, "latin-1")
    return None
