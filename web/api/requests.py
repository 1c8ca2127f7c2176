"""What requests of the API ask for: an application or a list, under which Idempotency-Key, and who asks."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request

from ledger.records import Key
from web.api.openapi import DESCRIBED, LONGEST_KEY
from web.api.openapi_lists import LISTED, MOST_LISTED
from web.cases.listed import REFERENCE
from web.pages.answers import LONGEST_REFERENCE
from web.person import person_of
from web.problems import Refusal, header, read_json

OF_ITEM = frozenset({"answers", "reference"})
NOBODY = "api"  # the name in records if no login is needed


class Item(NamedTuple):
    """One application to score."""

    answers: Mapping[str, object]
    reference: str | None


def as_item(body: object, expected: str) -> Item:
    """An application in a request: `answers`, and the client's own `reference`. Raises `Refusal`, which says what is
    `expected`."""
    if not isinstance(body, dict) or not isinstance(body.get("answers"), dict):
        title = 'An application is {"answers": {…}}, with a "reference" if you like'
        raise Refusal(422, "invalid-request", title, expected)
    if not body.keys() <= OF_ITEM:
        unknown = sorted(body.keys() - OF_ITEM)
        title = f"Beside answers and reference, nothing is known: {unknown[0][:40]!r}"
        raise Refusal(422, "invalid-request", title, expected)
    reference = body.get("reference")
    if reference is not None and not (
        isinstance(reference, str) and 0 < len(reference) <= LONGEST_REFERENCE and reference.isprintable()
    ):
        raise Refusal(422, "invalid-request", f"A reference is a text of 1 to {LONGEST_REFERENCE} printable characters")
    return Item(body["answers"], reference)


def idempotency_key(request: Request, raw: bytes) -> Key | None:
    """The request's Idempotency-Key with the digest of the body it belongs to."""
    key = header(request.scope, b"idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Refusal(400, "invalid-request", f"An Idempotency-Key has 1 to {LONGEST_KEY} ASCII characters")
    return Key(client(request), f"{request.url.path} {key}", hashlib.sha256(raw).digest())


def client(request: Request) -> str:
    """The name of the client, as in records."""
    person = person_of(request.scope)
    return person.name if person else NOBODY


async def list_request(
    request: Request, filters: Collection[str], in_address: Collection[str]
) -> tuple[int, int | None, dict[str, Any]]:
    """`limit`, `before` and the filters of a request for a list, by name: from the query of a GET, or from the JSON
    object of a POST, which alone may have filters that say something of an applicant. Raises `Refusal`."""
    posted = request.method == "POST"
    known = ("limit", "before", *(filters if posted else in_address))
    expected = f'Send a JSON object such as {{"limit": {LISTED}}}, with any of {", ".join(known)}; {DESCRIBED}'
    parameters: dict[str, Any] = (await read_json(request, expected))[0] if posted else once(request)
    for name in ("limit", "before"):
        if posted and type(parameters.get(name, 1)) is not int:
            raise Refusal(422, "invalid-request", f"{name} is an integer, not in quotes")
    limit = integer_parameter(str(parameters.pop("limit", LISTED)), "limit", 1, MOST_LISTED)
    has_before = "before" in parameters
    before_seq = integer_parameter(str(parameters.pop("before")), "before", 1, 2**53) if has_before else None
    unknown = sorted(parameters.keys() - set(filters if posted else in_address))
    if REFERENCE in unknown:
        way = f'POST {request.url.path} with {{"{REFERENCE}": …}} as JSON'
        raise Refusal(422, "invalid-request", "A reference has no place in an address, which logs keep", f"Send {way}")
    if unknown:
        raise Refusal(
            422, "invalid-request", f"No such parameter: {', '.join(unknown)[:200]}", f"There are {', '.join(known)}"
        )
    return limit, before_seq, parameters


def once(request: Request) -> dict[str, str]:
    """The parameters of the query. Raises `Refusal` if one is there twice: one of its values would be ignored."""
    names = [name for name, _ in request.query_params.multi_items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refusal(422, "invalid-request", f"More than once: {', '.join(twice)[:200]}")
    return dict(request.query_params)


def integer_parameter(text: str, name: str, low: int, high: int) -> int:
    """An integer parameter of the query. Raises `Refusal`."""
    if not (text.isascii() and text.isdigit() and len(text) < 17 and low <= int(text) <= high):
        raise Refusal(422, "invalid-request", f"{name}: a whole number from {low} to {high} is needed")
    return int(text)
