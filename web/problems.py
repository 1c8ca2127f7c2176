"""Answers that say what is wrong, as RFC 9457 problems."""

from typing import Any

import orjson
from starlette.responses import Response

from inference.errors import InvalidApplication, Problem, TenfoldError

PREFIX = "/api/v1"  # of the API, whose errors are all problems
HEADERS = {"Cache-Control": "no-store"}
PROBLEM = ("field", "kind", "allowed", "got", "unit", "hint")  # what is told of a bad field


class Refusal(TenfoldError):
    """A request that cannot be answered: an RFC 9457 problem."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", **more: Any) -> None:
        super().__init__(title)
        self.status = status
        problem = {"type": f"urn:tenfold:{kind}", "title": title, "status": status, "detail": detail, **more}
        self.problem = {name: value for name, value in problem.items() if value != ""}

    def response(self) -> Response:
        """As `application/problem+json`."""
        return Response(orjson.dumps(self.problem), self.status, HEADERS, "application/problem+json")


def invalid(error: InvalidApplication) -> Refusal:
    """Every bad field at once."""
    title = "The application cannot be scored"
    return Refusal(422, "invalid-application", title, errors=[problem_json(one) for one in error.problems])


def problem_json(problem: Problem) -> dict[str, str]:
    """One bad field."""
    return {name: getattr(problem, name) for name in PROBLEM}
