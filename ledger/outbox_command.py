"""`tenfold outbox`: what was sent to which endpoint, what waits and why; send something again; test an endpoint.

Listing opens the ledger without writing. A server that runs sends what is asked for here within seconds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from inference.errors import BadSetting
from inference.settings import Settings
from ledger import outbox, queries, webhooks
from ledger.endpoints import Webhooks, new_secret, read_webhooks
from ledger.errors import LedgerUnavailable
from ledger.outbox import Delivery
from ledger.readonly import ReadOnlyStore
from ledger.records import iso_time
from ledger.store import Store

WELL, FAILED, IMPOSSIBLE = 0, 1, 2
T = TypeVar("T")
NOTHING = "no event was ever written: docs/webhooks.md says how endpoints are named"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its actions to the parser of `python -m ledger`."""
    command = commands.add_parser("outbox", help="events that were sent or wait, by endpoint")
    actions = command.add_subparsers(dest="action")
    action = actions.add_parser("list", help="list deliveries, the newest first")
    action.add_argument("--endpoint", default="", metavar="NAME")
    action.add_argument("--state", choices=tuple(outbox.STATES), default="")
    action.add_argument("--limit", type=int, default=50)
    action.add_argument("--json", action="store_true", help="one JSON object a line")
    action = actions.add_parser("show", help="show a delivery with the body that is sent, as JSON")
    action.add_argument("number", type=int)
    action = actions.add_parser("retry", help="send one again, or all that failed for an endpoint; same webhook-id")
    action.add_argument("number", type=int, nargs="?")
    action.add_argument("--failed", metavar="NAME", help="the endpoint whose failed deliveries are sent again")
    action = actions.add_parser("test", help="send a test event to an endpoint now, and say how it went")
    action.add_argument("endpoint", metavar="NAME")
    action = actions.add_parser("drop", help="remove what waits or failed for an endpoint that no longer exists")
    action.add_argument("endpoint", metavar="NAME")
    actions.add_parser("secret", help="make a secret for a new endpoint")


def run(path: Path, options: argparse.Namespace) -> int:
    """Run an action; without one the endpoints are listed. Exit status 1 if something failed or does not arrive."""
    actions: dict[str | None, Callable[[Path, argparse.Namespace], int]] = {
        None: run_endpoints, "list": run_list, "show": run_show, "retry": run_retry, "drop": run_drop,
    }  # fmt: skip
    return actions[options.action](path, options)


def run_endpoints(path: Path, options: argparse.Namespace) -> int:
    """A line for each endpoint, with how much waits or failed."""
    hooks = configured()
    known = {} if hooks is None else {endpoint.name: endpoint for endpoint in hooks.endpoints}
    states = read(
        path, lambda connection: {state.name: state for state in outbox.endpoint_states(queries.driver(connection))}
    )
    if not states and not known:
        print(NOTHING)
        return WELL
    now = time.time()
    for name in sorted({*states, *known}):
        state, endpoint = states.get(name), known.get(name)
        events = f" ({', '.join(endpoint.kinds)})" if endpoint else " (in no settings here: nothing is sent to it)"
        counts = f"{state.waiting:,} waiting, {state.failed:,} failed" if state else "nothing yet"
        print(f"{name}{events}: {counts}")
        if state and state.delivered:
            print(f"  the last one was delivered at {state.delivered}")
        if state and state.oldest:
            print(f"  the oldest has waited since {state.oldest}")
        if state and state.rests_until > now:
            print(f"  {state.failures:,} tries failed in a row: next one at {iso_time(state.rests_until)}")
    return FAILED if any(state.failed for state in states.values()) else WELL


def run_list(path: Path, options: argparse.Namespace) -> int:
    """Deliveries, one a line."""
    deliveries = read(
        path,
        lambda connection: outbox.listed(
            queries.driver(connection), options.limit, endpoint=options.endpoint, state=options.state
        ),
    )
    for delivery in deliveries:
        print(json.dumps({**delivery._asdict(), "state": delivery.state}) if options.json else line(delivery))
    if not deliveries and not options.json:
        print("no such delivery")
    return WELL


def line(delivery: Delivery) -> str:
    """A delivery in a line."""
    tries = f"{delivery.attempts:,} tries" if delivery.attempts != 1 else "1 try"
    problem = f", {delivery.problem}" if delivery.problem else ""
    again = f", next {iso_time(delivery.next)}" if delivery.next is not None and delivery.attempts else ""
    how = f"{delivery.state}, {tries}{problem}{again}"
    return f"{delivery.number} {delivery.added} {delivery.endpoint} {delivery.id}: {how}"


def run_show(path: Path, options: argparse.Namespace) -> int:
    """A delivery and its body."""
    hooks = configured()

    def content(connection: sa.Connection) -> dict[str, object] | None:
        delivery = outbox.delivery(queries.driver(connection), options.number)
        if delivery is None:
            return None
        body = None if hooks is None else json.loads(webhooks.payload(delivery, hooks, connection))
        return {**delivery._asdict(), "state": delivery.state, "body": body}

    shown = read(path, content)
    if shown is None:
        raise LedgerUnavailable(f"{options.number}: no such delivery; 'tenfold outbox list' gives their numbers")
    print(json.dumps(shown, indent=2))
    return WELL


def run_retry(path: Path, options: argparse.Namespace) -> int:
    """Have deliveries sent again."""
    if (options.number is None) == (options.failed is None):
        raise LedgerUnavailable("name the number of a delivery, or --failed NAME")
    with closing(Store(path)) as ledger, ledger.writing() as connection:
        require(outbox.has_outbox(connection), f"{path}: {NOTHING}")
        if options.number is None:
            count = outbox.send_failed_again(connection, options.failed, time.time())
        else:
            count = int(outbox.send_again(connection, options.number, time.time()))
            require(bool(count), f"{options.number}: no such delivery; 'tenfold outbox list' gives their numbers")
    print(f"{count:,} to be sent again by the server, with the webhook-id they had")
    return WELL


def run_drop(path: Path, options: argparse.Namespace) -> int:
    """Remove what waits for an endpoint that no longer exists."""
    hooks = configured()
    require(
        hooks is None or hooks.endpoint(options.endpoint) is None,
        f"{options.endpoint} is in TENFOLD_WEBHOOKS: take it out and restart the server first",
    )
    with closing(Store(path)) as ledger, ledger.writing() as connection:
        require(outbox.has_outbox(connection), f"{path}: {NOTHING}")
        count = outbox.drop(connection, endpoint=options.endpoint)
    print(f"{count:,} removed, which nobody will receive")
    return WELL


def run_test(name: str) -> int:
    """Send a test event from here; the ledger is not used."""
    hooks = configured()
    endpoint = None if hooks is None else hooks.endpoint(name)
    names = ", ".join(known.name for known in hooks.endpoints) if hooks else "none: set TENFOLD_WEBHOOKS"
    if hooks is None or endpoint is None:
        raise BadSetting(f"{name}: no such endpoint. There are {names}")
    id, outcome = asyncio.run(webhooks.send_test(endpoint, time.time()))
    how = f"delivered, answered {outcome.status}" if outcome.delivered else f"NOT delivered: {outcome.problem}"
    print(f"{endpoint.name}: {id} {how}")
    return WELL if outcome.delivered else FAILED


def run_secret() -> int:
    """Print a new secret."""
    print(new_secret())
    return WELL


def configured() -> Webhooks | None:
    """The endpoints of TENFOLD_WEBHOOKS."""
    return read_webhooks(Settings.from_environment().webhooks)


def read(path: Path, query: Callable[[sa.Connection], T]) -> T:
    """Ask the outbox of a ledger, without writing. Raises `LedgerUnavailable`, also if it has none."""
    with closing(ReadOnlyStore(path)) as ledger, ledger.reading() as connection:
        require(outbox.has_outbox(queries.driver(connection)), f"{path}: {NOTHING}")
        return query(connection)


def require(condition: bool, otherwise: str) -> None:
    """Raise `LedgerUnavailable` unless a condition holds."""
    if not condition:
        raise LedgerUnavailable(otherwise)
