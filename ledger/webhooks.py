"""One event as a signed webhook, by Standard Webhooks 1.0.0: what is sent, its signature, and how the sending went.

What is sent is made from the bodies of records alone, which hold no answers: ids, links, who acted, and days. What the
receiver answers is read up to a bound and thrown away; of it only the status is kept.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa

from ledger import queries
from ledger.endpoints import Endpoint, Webhooks
from ledger.events import AGREED, CONTESTED, DECIDED, Json
from ledger.outbox import DUE, TEST, Delivery, Outcome
from ledger.records import iso_time

if TYPE_CHECKING:
    import httpx

SECONDS = 20.0  # for a whole try, from the connection to the end of the answer
MOST_READ = 16_384  # bytes of an answer; a longer one ends the connection
GONE_PAUSE = 86_400.0  # after 410: the receiver wants no more; a day until it is asked again
AGENT = "Tenfold-Webhooks/1"


def payload(delivery: Delivery, webhooks: Webhooks, connection: sa.Connection) -> bytes:
    """The body of a delivery: JSON with `type`, `timestamp` of the event and `data`."""
    return body_of(delivery.kind, delivery.added, data_of(delivery, webhooks, connection))


def body_of(kind: str, time: str, data: Mapping[str, Json]) -> bytes:
    """A body, as Standard Webhooks suggests it."""
    return orjson.dumps({"type": kind, "timestamp": time, "data": data})


def data_of(delivery: Delivery, webhooks: Webhooks, connection: sa.Connection) -> Mapping[str, Json]:
    """The ids, links and days of an event."""
    body = queries.event_body(connection, delivery.record) or {}
    case = queries.first_of(connection, delivery.record) or delivery.record
    kind = body.get("kind")
    data: dict[str, Json] = {"case": case, "record": delivery.record, "seq": body.get("seq"), "by": body.get("by")}
    if kind == DECIDED:
        data["decision"] = delivery.record
    elif kind in (AGREED, CONTESTED):
        data["decision"] = body.get("of")
    if kind == CONTESTED:
        data |= {"reviewer": body.get("reviewer"), "deadline": body.get("deadline")}
    if delivery.kind == DUE:
        data |= {"due": delivery.day, "what": "objection" if kind == CONTESTED else "decision"}
    data["links"] = {
        "page": f"{webhooks.server}/record/{case}",
        "record": f"{webhooks.server}/api/v1/decisions/{data.get('decision') or delivery.record}",
    }
    return data


def signed_headers(id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of a webhook: its id, the time of this try, and a signature by each key."""
    content = f"{id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def client_for(endpoint: Endpoint) -> "httpx.AsyncClient":
    """A client for one endpoint. It follows no redirect, and takes no proxy, password or certificate from the
    environment."""
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, which may hold a token
    authority = ssl.create_default_context(cafile=None if endpoint.authority is None else str(endpoint.authority))
    return httpx.AsyncClient(
        verify=authority,
        trust_env=False,
        follow_redirects=False,
        timeout=SECONDS,
        headers={"User-Agent": AGENT, "Content-Type": "application/json", "Accept-Encoding": "identity"},
        limits=httpx.Limits(max_connections=1, keepalive_expiry=2),  # receivers close idle connections
    )


async def send_test(endpoint: Endpoint, now: float) -> tuple[str, Outcome]:
    """Send a test event once; returns its webhook-id, and how it went. It is in no outbox."""
    id = f"{TEST}_{secrets.token_hex(12)}"
    async with client_for(endpoint) as client:
        body = body_of(TEST, iso_time(now), {"endpoint": endpoint.name})
        return id, await send(client, endpoint, 0, id, body, int(now))


async def send(
    client: "httpx.AsyncClient", endpoint: Endpoint, number: int, id: str, body: bytes, timestamp: int
) -> Outcome:
    """Try a delivery once, for at most `SECONDS`. `number` is its row's, `id` its webhook-id."""
    import httpx

    headers = signed_headers(id, timestamp, body, endpoint.keys)
    try:
        async with (
            asyncio.timeout(SECONDS),
            client.stream("POST", endpoint.url, content=body, headers=headers) as answer,
        ):
            read = 0
            async for part in answer.aiter_raw():
                read += len(part)
                if read > MOST_READ:
                    break
            return outcome_of(number, answer.status_code, answer.headers.get("retry-after", ""))
    except (TimeoutError, httpx.TimeoutException):
        problem = f"no answer within {SECONDS:g} s"
    except httpx.ConnectError as error:
        problem = why_no_connection(error)
    except (httpx.HTTPError, httpx.InvalidURL):
        problem = "the connection ended without an answer that is HTTP"
    return Outcome(number, delivered=False, problem=problem)


def outcome_of(number: int, status: int, retry_after: str) -> Outcome:
    """What an answer means: 2xx is delivered, all else is not."""
    if 200 <= status < 300:
        return Outcome(number, delivered=True, status=status)
    pause = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else None
    problem = f"answered {status}"
    if 300 <= status < 400:
        problem += ": redirects are not followed, change the url"
    elif status == 410:
        problem, pause = f"{problem}: it wants no more of this", GONE_PAUSE
    return Outcome(number, delivered=False, status=status, problem=problem, pause=pause)


def why_no_connection(error: BaseException) -> str:
    """Why no connection was made, in our words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection"
        if isinstance(cause, socket.gaierror):
            return "no connection: its name is not known"
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"no connection: {os.strerror(cause.errno)}"  # asyncio's own message has the address
        cause = cause.__cause__ or cause.__context__
    return "no connection"
