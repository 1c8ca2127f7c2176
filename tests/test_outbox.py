"""The outbox: which events records are, written with them, sent as webhooks, tried again, given up; its command."""

import base64
import hashlib
import hmac
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger_cases import SCORE, at, bytes_of, purged
from parts import Time, some

from ledger import cases, outbox, queries, webhooks
from ledger.__main__ import main
from ledger.cases import cases_from
from ledger.cleaning import Cleaner
from ledger.decisions import agreed, contested, decided, noted, notified, withdrawal
from ledger.drafts import Drafts
from ledger.due import DueCase, DueDays, add_due, due_between
from ledger.endpoints import Endpoint, Webhooks, new_secret
from ledger.events import Object
from ledger.ledger import CaseMoved, Ledger
from ledger.outbox import KINDS, Outbox, Outcome
from ledger.records import Draft, Key, Seen, iso_time
from ledger.sender import TURN, Sender
from ledger.store import Store
from ledger.verify import verify
from web.cases.status import due
from web.pages.texts import texts_in
from web.work_settings import work_settings

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
KEY = base64.b64decode(SECRET)
CANARY = "Žofie Canary 7719"
PATIENCE = 60  # seconds on a busy machine


@dataclass
class Receiver:
    """A real HTTP server in a thread. `answer` decides what it does with a request."""

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: reply(handler, 204)
    url: str = ""


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status, CANARY.encode().decode("latin-1"))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            made.answer(self)

        do_GET = do_POST  # noqa: N815 - a redirect that is followed

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between news and a turn: nothing here is about it."""
    monkeypatch.setattr("ledger.sender.GATHER", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def hooks(url: str, kinds: tuple[str, ...] = KINDS, name: str = "core") -> Webhooks:
    return Webhooks("https://loans.example/scoring", (Endpoint(name, kinds, f"{url}/in?token=hidden", (KEY,)),))


@contextmanager
def ledger_with(file: Path, given: Webhooks, clock: Time | None = None) -> Iterator[tuple[Ledger, Outbox]]:
    box = Outbox(given.names_by_kind)
    with closing(Ledger(file, None if clock is None else clock.clock, box)) as ledger:
        ledger._clean_at = float("inf")
        yield ledger, box


@contextmanager
def sending(file: Path, given: Webhooks) -> Iterator[Ledger]:
    with ledger_with(file, given) as (ledger, box), closing(Sender(ledger, box, given)):
        yield ledger


def score(ledger: Ledger, id: str = "one") -> str:
    personal: Object = {"answers": {"purpose": CANARY}, "reference": CANARY}
    return ledger.append(Draft("scored", id, {**SCORE, "by": "core"}, personal)).header.id


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def rows(ledger: Ledger, **filters: str) -> list[outbox.Delivery]:
    with ledger.store.reading() as connection:
        return outbox.listed(queries.driver(connection), 1000, **filters)  # type: ignore[arg-type]


def ids(ledger: Ledger) -> list[str]:
    return [delivery.id for delivery in reversed(rows(ledger))]


# --- which events ---


def test_which_events_records_are(file: Path) -> None:
    """A decision is told once it is in force; before that it waits. Nothing else is an event."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):
        first = score(ledger)
        alone = ledger.append(decided(first, "approve", "refer", by="ann")).header.id
        objection = contested(alone, by="ann", reviewer="bob", deadline="2026-12-20", objection=CANARY)
        against = ledger.append(objection).header.id
        score(ledger, "two")
        wants = ledger.append(decided("two", "decline", "refer", by="ann", needs_second=True)).header.id
        ledger.append(agreed(wants, by="meg", agrees=False, note=CANARY))
        again = ledger.append(decided("two", "decline", "refer", by="ann", needs_second=True)).header.id
        yes = ledger.append(agreed(again, by="meg", agrees=True)).header.id
        ledger.append(notified(again, by="ann", day="2026-11-30", text="{}"))
        ledger.append(withdrawal("two", "duplicate", by="ann"))
        assert ids(ledger) == [
            "scored_one", f"decided_{alone}", f"objection_{against}", "scored_two", f"waiting_{wants}",
            f"waiting_{again}", f"decided_{yes}",
        ]  # fmt: skip


def test_an_endpoint_gets_what_it_asked_for(file: Path) -> None:
    """Two endpoints, each with its own events; a ledger without endpoints has no outbox."""
    two = Webhooks("https://x.example", (
        *hooks("http://127.0.0.1:1", ("scored",), "a").endpoints,
        *hooks("http://127.0.0.1:1", ("scored", "decided"), "b").endpoints,
    ))  # fmt: skip
    with ledger_with(file, two) as (ledger, _):
        ledger.append(decided(score(ledger), "approve", "refer", by="ann"))
        assert [(row.endpoint, row.kind) for row in reversed(rows(ledger))] == [
            ("a", "scored"), ("b", "scored"), ("b", "decided"),
        ]  # fmt: skip
    with closing(Ledger(file.with_name("other.sqlite3"))) as ledger, ledger.store.reading() as connection:
        assert not outbox.has_outbox(queries.driver(connection))


def test_an_event_is_written_with_its_record_or_not_at_all(file: Path) -> None:
    """One transaction: what keeps the event from being written keeps the record out too, and the other way round."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):
        score(ledger)
        said: list[str] = []
        ledger.store._writer.set_trace_callback(said.append)
        score(ledger, "two")
        ledger.store._writer.set_trace_callback(None)
        inside = said[said.index("BEGIN IMMEDIATE") : said.index("COMMIT")]
        tables = [line.split("INTO ")[1].split()[0] for line in inside if line.startswith("INSERT")]
        assert tables == ["entries", "personal", "cases", "outbox"]
        moved = Draft("scored", "three", SCORE, expects=Seen("one", 1, bytes(32)))
        with pytest.raises(CaseMoved):
            ledger.append(moved)
        assert ids(ledger) == ["scored_one", "scored_two"]
        with ledger.store.writing() as connection:
            connection.execute("DROP TABLE outbox")
        with pytest.raises(Exception, match="not recorded"):
            score(ledger, "four")
        with ledger.store.reading() as connection:
            assert [record.header.id for record in queries.records(connection)] == ["begun", "one", "two"]


def test_the_same_request_again_is_no_second_event(file: Path) -> None:
    """The record of an Idempotency-Key that was used before has its event already."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):
        for id in ("one", "two"):
            ledger.append(Draft("scored", id, SCORE, None, Key("core", "k", bytes(32))))
        assert ids(ledger) == ["scored_one"]


# --- what is sent ---


@pytest.mark.slow
def test_a_webhook_is_signed_and_holds_ids_and_links(file: Path, receiver: Receiver) -> None:
    """Headers and signature by the specification, by hmac; every id is a record's; nothing personal is in it."""
    with sending(file, hooks(receiver.url)) as ledger:
        decision = ledger.append(decided(score(ledger), "approve", "refer", by="ann", justification=CANARY)).header.id
        objection = contested(decision, by="ann", reviewer="bob", deadline="2026-12-20", objection=CANARY)
        against = ledger.append(objection).header.id
        wait_for(lambda: len(receiver.got) == 3)
        wait_for(lambda: not rows(ledger, state="waiting"))
    for headers, body in receiver.got:
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{right}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < PATIENCE
        assert headers["content-type"] == "application/json"
        assert "Canary" not in body.decode()
    last = json.loads(receiver.got[-1][1])
    links = {
        "page": "https://loans.example/scoring/record/one",
        "record": f"https://loans.example/scoring/api/v1/decisions/{decision}",
    }
    assert (last["type"], last["data"]) == ("objection", {
        "case": "one", "record": against, "seq": 4, "by": "ann", "decision": decision, "reviewer": "bob",
        "deadline": "2026-12-20", "links": links,
    })  # fmt: skip
    assert json.loads(receiver.got[0][1])["data"] == {
        "case": "one", "record": "one", "seq": 2, "by": "core",
        "links": {**links, "record": "https://loans.example/scoring/api/v1/decisions/one"},
    }  # fmt: skip


def test_the_signature_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries: id, time, body and secret give this signature."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = webhooks.signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key, KEY])
    first, second = headers["webhook-signature"].split(" ")
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert second.startswith("v1,")
    assert second != first


# --- receivers that misbehave ---


def redirect(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 302, Location="/elsewhere")


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**12))
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(65_536))
    except OSError:
        handler.close_connection = True


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(CANARY.encode() + b"\r\n\r\n")
    handler.close_connection = True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda handler: reply(handler, 500, CANARY.encode()), "answered 500"),
        (lambda handler: reply(handler, 404), "answered 404"),
        (redirect, "answered 302: redirects are not followed, change the url"),
        (no_http, "the connection ended without an answer that is HTTP"),
    ],
)
def test_of_an_answer_only_the_status_is_kept(
    file: Path, receiver: Receiver, answer: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that a receiver writes is in the outbox or in the log, nor is its address; no redirect is followed."""
    caplog.set_level("DEBUG", "httpx")
    receiver.answer = answer
    with sending(file, hooks(receiver.url)) as ledger:
        score(ledger)
        wait_for(lambda: rows(ledger)[0].problem)
        (row,) = rows(ledger)
        assert (row.problem, row.attempts, row.state) == (says, 1, "waiting")
        assert len(receiver.got) == 1
        with ledger.store.reading() as connection:
            kept = repr(queries.driver(connection).execute("SELECT * FROM outbox, senders").fetchall())
    for hidden in ("Canary", "hidden", "127.0.0.1"):
        assert hidden not in kept
        assert hidden not in "\n".join(record.getMessage() for record in caplog.records if record.name != "httpcore")


@pytest.mark.slow
def test_a_long_answer_is_not_read(file: Path, receiver: Receiver) -> None:
    """A terabyte after 200: the event is delivered, and the connection ends."""
    receiver.answer = flood
    with sending(file, hooks(receiver.url)) as ledger:
        score(ledger)
        wait_for(lambda: rows(ledger)[0].delivered)
        receiver.answer = lambda handler: reply(handler, 200)
        score(ledger, "two")
        wait_for(lambda: rows(ledger)[0].delivered)


@pytest.mark.slow
def test_a_slow_answer_ends(file: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps nobody: the whole try has one limit."""
    going = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not going.wait(0.02):
            try:
                handler.wfile.write(b"x: y\r\n")
            except OSError:
                break
        handler.close_connection = True

    receiver.answer = drip
    monkeypatch.setattr(webhooks, "SECONDS", 0.5)
    with sending(file, hooks(receiver.url)) as ledger:
        score(ledger)
        wait_for(lambda: rows(ledger)[0].problem)
        going.set()
        assert rows(ledger)[0].problem == "no answer within 0.5 s"


@pytest.mark.slow
def test_tls_is_checked(file: Path, receiver: Receiver) -> None:
    """A server that speaks no TLS where https was asked for gets nothing."""
    secure = hooks(receiver.url.replace("http:", "https:"))
    with sending(file, secure) as ledger:
        score(ledger)
        wait_for(lambda: rows(ledger)[0].problem)
        assert rows(ledger)[0].problem == "no TLS connection"
    assert receiver.got == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "no connection: Connection refused"),
        ("http://[::1]:1", "no connection: "),
        ("https://nowhere.invalid", "no connection: its name is not known"),
    ],
)
def test_a_receiver_that_is_not_there(file: Path, url: str, says: str, caplog: pytest.LogCaptureFixture) -> None:
    """The problem is in our words: no address, which the system's message has."""
    with sending(file, hooks(url)) as ledger:
        score(ledger)
        wait_for(lambda: rows(ledger)[0].problem)
        problem = str(rows(ledger)[0].problem)
    assert problem.startswith(says)
    for hidden in ("127.0.0.1", "::1", "nowhere", "hidden"):
        assert hidden not in problem + caplog.text


@pytest.mark.slow
def test_a_receiver_that_refuses_is_left_alone(file: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twenty events that wait one is tried; then the endpoint rests, and the others count no try."""
    monkeypatch.setattr(outbox, "RESTS", (3_600,))
    receiver.answer = lambda handler: reply(handler, 503)
    given = hooks(receiver.url)
    with ledger_with(file, given) as (ledger, box):
        for number in range(20):
            score(ledger, f"s{number}")
        with closing(Sender(ledger, box, given)):
            wait_for(lambda: any(row.problem for row in rows(ledger)))
            assert sum(row.attempts for row in rows(ledger)) == len(receiver.got) == 1


@pytest.mark.slow
def test_one_endpoint_holds_up_no_other(file: Path, receiver: Receiver) -> None:
    """While one says nothing, the other gets all; one that refuses one event gets the others."""
    going = threading.Event()
    receiver.answer = lambda handler: reply(handler, 200) if handler.path.startswith("/quick") else hang(handler, going)
    slow, quick = (Endpoint(name, KINDS, f"{receiver.url}/{name}", (KEY,)) for name in ("slow", "quick"))
    with sending(file, Webhooks("https://x.example", (slow, quick))) as ledger:
        for number in range(20):
            score(ledger, f"s{number}")
        wait_for(lambda: len(rows(ledger, endpoint="quick", state="delivered")) == 20)
        assert len(rows(ledger, endpoint="slow", state="waiting")) == 20
        going.set()


def hang(handler: BaseHTTPRequestHandler, going: threading.Event) -> None:
    going.wait(PATIENCE)
    reply(handler, 200)


@pytest.mark.slow
def test_no_score_waits_for_a_receiver(file: Path, receiver: Receiver) -> None:
    """A hundred scores are on disk and answered while the receiver has not answered one; each costs one statement
    more than without an outbox, and no commit more."""
    going = threading.Event()
    receiver.answer = lambda handler: hang(handler, going)

    def statements(ledger: Ledger, name: str) -> tuple[int, int]:
        said: list[str] = []
        ledger.store._writer.set_trace_callback(said.append)
        for number in range(100):
            score(ledger, f"{name}{number}")
        ledger.store._writer.set_trace_callback(None)
        mine = [line for line in said if "senders" not in line and "SAVEPOINT" not in line and "change" not in line]
        return len([line for line in mine if line.startswith("INSERT")]), len(
            [line for line in mine if line == "COMMIT"]
        )

    with closing(Ledger(file.with_name("without.sqlite3"))) as ledger:
        inserts, commits = statements(ledger, "a")
    assert commits == 100
    with sending(file, hooks(receiver.url)) as ledger:
        score(ledger)
        wait_for(lambda: len(receiver.got) == 1)  # the sender waits for an answer
        assert statements(ledger, "b") == (inserts + 100, commits)
        assert len(receiver.got) == 1
        assert len(rows(ledger, state="waiting")) == 101
        going.set()


# --- when it is tried again ---


@pytest.fixture
def clock() -> Time:
    return Time(at("2026-11-30").timestamp())


def settled(connection: sqlite3.Connection, clock: Time, **how: Any) -> None:
    (row,) = outbox.listed(connection, 1)
    outbox.settle(connection, "core", Outcome(row.number, **{"delivered": False, **how}), clock.now)


def test_tries_and_pauses(file: Path, clock: Time) -> None:
    """Ten tries over three days, as the specification's example has them; then it is given up, until asked for."""
    given = hooks("http://127.0.0.1:1")
    with ledger_with(file, given, clock) as (ledger, _):
        score(ledger)
        pauses = []
        with ledger.store.writing() as connection:
            while outbox.take_turn(connection, "core", "me", clock.now, []):
                settled(connection, clock, status=500, problem="answered 500")
                (row,) = outbox.listed(connection, 1)
                if row.next is None:
                    break
                pauses.append(row.next - clock.now)
                assert outbox.take_turn(connection, "core", "me", clock.now, []) == []
                clock.now = row.next
                connection.execute("UPDATE senders SET rests_until = 0")
            assert (row.state, row.attempts, row.problem) == ("failed", 10, "answered 500")
            assert len(pauses) == 9
            assert all(pause <= real <= pause * 1.2 for pause, real in some(zip(outbox.RETRIES, pauses, strict=True)))
            assert 3 * outbox.A_DAY < sum(pauses) < 4 * outbox.A_DAY
            assert outbox.take_turn(connection, "core", "me", clock.now + 9e9, []) == []
            assert outbox.send_failed_again(connection, "core", clock.now) == 1
            (again,) = outbox.take_turn(connection, "core", "me", clock.now, [])
            assert (again.id, again.attempts) == ("scored_one", 0)
            settled(connection, clock, delivered=True, status=200)
            assert outbox.listed(connection, 1)[0].state == "delivered"


def test_a_receiver_says_when_to_come_back(file: Path, clock: Time) -> None:
    """Retry-After is kept, up to a day; 410 is a day; an endpoint rests after a failure, and other events wait."""
    assert webhooks.outcome_of(1, 503, "120").pause == 120
    assert webhooks.outcome_of(1, 429, "Fri, 31 Dec 2027 23:59:59 GMT").pause is None
    assert webhooks.outcome_of(1, 410, "").pause == outbox.A_DAY
    with ledger_with(file, hooks("http://127.0.0.1:1"), clock) as (ledger, _):
        score(ledger)
        score(ledger, "two")
        with ledger.store.writing() as connection:
            first, _ = outbox.take_turn(connection, "core", "me", clock.now, [])
            asked = Outcome(first.number, delivered=False, status=503, problem="answered 503", pause=600.0)
            assert outbox.take_turn(connection, "core", "me", clock.now, [asked]) == []
            assert outbox.take_turn(connection, "core", "me", clock.now + 599, []) == []
            assert len(outbox.take_turn(connection, "core", "me", clock.now + 600, [])) == 2


def test_one_process_has_an_endpoint(file: Path, clock: Time) -> None:
    """Until it has nothing to send, ends, or has said nothing for the length of a lease."""
    with ledger_with(file, hooks("http://127.0.0.1:1"), clock) as (ledger, _), ledger.store.writing() as connection:
        event = outbox.Event("test_1", "test", "", None, "2026-11-30T09:00:00.000000Z", clock.now)
        outbox.add_rows(connection, [("core", *event)])
        assert len(outbox.take_turn(connection, "core", "a", clock.now, [])) == 1
        assert not outbox.something_is_due(connection, "core", "b", clock.now)
        assert outbox.take_turn(connection, "core", "b", clock.now, []) == []
        later = clock.now + outbox.LEASE + 1
        assert outbox.something_is_due(connection, "core", "b", later)
        assert len(outbox.take_turn(connection, "core", "b", later, [])) == 1
        assert outbox.take_turn(connection, "core", "a", later, []) == []
        outbox.end_turns(connection, "core", "b", later, [])
        assert len(outbox.take_turn(connection, "core", "a", later, [])) == 1
    assert outbox.LEASE > TURN + webhooks.SECONDS


def test_a_clock_that_was_ahead_stops_nothing(file: Path, clock: Time) -> None:
    """What was written while it showed 2036, a lease, a rest and a try to come, holds for no ten years."""
    with ledger_with(file, hooks("http://127.0.0.1:1"), clock) as (ledger, _):
        clock.now = at("2036-01-01").timestamp()
        score(ledger)
        with ledger.store.writing() as connection:
            (row,) = outbox.take_turn(connection, "core", "a", clock.now, [])
            outbox.settle(connection, "core", Outcome(row.number, delivered=False, status=500), clock.now)
            now = at("2026-11-30").timestamp()
            assert outbox.something_is_due(connection, "core", "b", now)
            assert [again.id for again in outbox.take_turn(connection, "core", "b", now, [])] == ["scored_one"]


def test_rows_of_long_ago_are_removed(file: Path, clock: Time) -> None:
    """Delivered ones after a month, failed ones after half a year; what waits stays."""
    with ledger_with(file, hooks("http://127.0.0.1:1"), clock) as (ledger, _):
        for name in ("waits", "fails", "arrives"):
            score(ledger, name)
        with ledger.store.writing() as connection:
            moment = iso_time(clock.now)
            connection.execute("UPDATE outbox SET delivered = ?, next = NULL WHERE record = 'arrives'", (moment,))
            connection.execute("UPDATE outbox SET tried = ?, next = NULL WHERE record = 'fails'", (moment,))
            left = []
            for days in (29, 31, 179, 181):
                outbox.erase_old(connection, clock.now + days * outbox.A_DAY)
                left.append([row.record for row in reversed(outbox.listed(connection, 9))])
        assert left == [["waits", "fails", "arrives"], ["waits", "fails"], ["waits", "fails"], ["waits"]]


# --- days on which cases are due ---


@pytest.mark.slow
def test_due_cases(file: Path) -> None:
    """Undecided ones before their day, objections before their deadline; each once, however often it is looked for."""
    time_of = Time(at("2026-11-01").timestamp())
    given = hooks("http://127.0.0.1:1")
    days = DueDays(decision_days=30, reminder_days=5)
    with ledger_with(file, given, time_of) as (ledger, box):
        for name in ("open", "settled", "referred", "second", "withdrawn"):
            score(ledger, name)
        ledger.append(decided("referred", "refer", "refer", by="ann"))
        ledger.append(decided("second", "decline", "refer", by="ann", needs_second=True))
        ledger.append(withdrawal("withdrawn", "applicant", by="ann"))
        decision = ledger.append(decided("settled", "decline", "refer", by="ann")).header.id
        objection = ledger.append(
            contested(decision, by="ann", reviewer="bob", deadline="2026-12-10", objection=CANARY)
        ).header.id
        time_of.now = at("2026-11-02").timestamp()
        score(ledger, "later")

        def due_in(first: str, last: str) -> list[tuple[str, str]]:
            with ledger.store.reading() as connection:
                return list(due_between(connection, days, date.fromisoformat(first), date.fromisoformat(last)))

        assert due_in("2026-11-20", "2026-11-25") == []
        first = [("open", "2026-12-01"), ("referred", "2026-12-01"), ("second", "2026-12-01")]
        assert due_in("2026-11-26", "2026-11-26") == first
        assert due_in("2026-11-26", "2026-11-27") == [*first, ("later", "2026-12-02")]
        against = [(objection, "2026-12-10")]
        days_asked = ("2026-12-04", "2026-12-05", "2026-12-17", "2026-12-18")
        looked = [day for day in days_asked if due_in("2027-01-01", day) == against]
        assert looked == ["2026-12-05", "2026-12-17"]
        with ledger.store.reading() as connection:
            alone = due_between(connection, DueDays(), date(2026, 11, 1), date(2026, 12, 9))
            assert list(alone) == [(objection, "2026-12-10")]  # decisions are due only where a lender says so

        def told() -> set[str]:
            return {row.id for row in rows(ledger) if row.kind == "due"}

        expected = {"due_later_2026-12-02", *(f"due_{id}_{day}" for id, day in first)}
        time_of.now = at("2026-12-02").timestamp()
        with closing(Sender(ledger, box, given, days, time_of.clock)):
            wait_for(lambda: told() == expected)
        time_of.now = at("2026-12-05").timestamp()
        with closing(Sender(ledger, box, given, days, time_of.clock)):
            wait_for(lambda: told() == {*expected, f"due_{objection}_2026-12-10"})
        with ledger.store.writing() as writer:
            assert add_due(writer, box, [DueCase(objection, "2026-12-10")], time_of.now) == 0
        with ledger.store.reading() as connection:
            row = next(row for row in rows(ledger) if row.record == objection and row.kind == "due")
            data = json.loads(webhooks.payload(row, given, connection))["data"]
    assert (data["case"], data["due"], data["what"]) == ("settled", "2026-12-10", "objection")


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "day"), [("Pacific/Kiritimati", "2026-12-02"), ("America/New_York", "2026-12-01")])
def test_days_are_counted_in_the_lenders_time_zone(file: Path, zone: str, day: str) -> None:
    """Scored at 23:30 UTC: where it is tomorrow already, a case is due a day later. The event has the day that the page
    Work shows, and comes on the lender's day."""
    time_of = Time(datetime(2026, 11, 1, 23, 30, tzinfo=UTC).timestamp())
    given = hooks("http://127.0.0.1:1")
    work = work_settings({"time_zone": zone, "decision_days": 30, "reminder_days": 5})
    with ledger_with(file, given, time_of) as (ledger, box):
        score(ledger, "late")
        with ledger.store.reading() as connection:
            case = cases.find(connection, "late")
            assert case is not None
            reminder = date.fromisoformat(day) - timedelta(days=5)
            before = reminder - timedelta(days=1)
            assert list(due_between(connection, work.days, before, before)) == []
            assert list(due_between(connection, work.days, reminder, reminder)) == [DueCase("late", day)]
        assert due(case, work, texts_in("en"), date.fromisoformat(day)).day == texts_in("en").day(day)
        assert due(case, work, texts_in("en"), date.fromisoformat(day)).left == texts_in("en")("due.today")
        midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)) - timedelta(days=5)
        assert work.days.today(midnight.timestamp() - 60) == before
        time_of.now = midnight.timestamp() + 60
        with closing(Sender(ledger, box, given, work.days, time_of.clock)):
            wait_for(lambda: [row.id for row in rows(ledger) if row.kind == "due"] == [f"due_late_{day}"])


# --- erased, verified ---


@pytest.mark.slow
def test_what_is_erased_is_in_no_byte_of_ledger_outbox_or_drafts(file: Path, receiver: Receiver) -> None:
    """A case with answers, notes and a draft of the form, sent to a receiver that echoes the name: after the purge no
    byte of the ledger's files, of the outbox in it and of the drafts beside it holds the name. The rows stay."""
    receiver.answer = lambda handler: reply(handler, 500, CANARY.encode(), X_Echo=CANARY.encode().decode("latin-1"))
    old = Time(at("2022-01-01").timestamp())
    drafts = Drafts(file, days=7, clock=old.clock)
    given = hooks(receiver.url)
    with ledger_with(file, given, old) as (ledger, box), closing(Sender(ledger, box, given)):
        decision = ledger.append(
            decided(score(ledger), "decline", "refer", by="ann", justification=CANARY, needs_second=True)
        ).header.id
        yes = ledger.append(agreed(decision, by="meg", agrees=True, note=CANARY)).header.id
        ledger.append(noted("one", by="ann", note=CANARY))
        ledger.append(notified(decision, by="ann", day="2022-01-02", text="{}"))
        drafts.keep("ann", "key", json.dumps({"reference": CANARY}, ensure_ascii=False))
        wait_for(lambda: any(row.problem for row in rows(ledger)))
    found = CANARY.encode()
    assert bytes_of(file).count(found) >= 5
    assert purged(file, "2024-06-01").cases == 1
    assert Drafts(file, days=7).erase_old() == 1
    with closing(Store(file)) as opened:
        assert Cleaner(opened, "test").clean(5)
        assert verify(opened).problem is None
        with opened.reading() as connection:
            assert {row.id for row in outbox.listed(queries.driver(connection), 9)} == {
                "scored_one", f"waiting_{decision}", f"decided_{yes}",
            }  # fmt: skip
    assert file.with_name("ledger.sqlite3-drafts").exists()
    assert found not in bytes_of(file)


@pytest.mark.slow
def test_a_backup_has_the_same_ids(file: Path, receiver: Receiver, tmp_path: Path) -> None:
    """What waited when it was made is sent from it too, if a server is started on it, with the webhook-id it had."""
    given, copy = hooks(receiver.url), tmp_path / "backup" / "copy.sqlite3"
    with ledger_with(file, given) as (ledger, _):
        decision = ledger.append(decided(score(ledger), "approve", "refer", by="ann")).header.id
    assert main(["--ledger", str(file), "backup", str(copy)]) == 0
    assert problem(copy) is None
    for place in (file, copy):
        with sending(place, given) as ledger:
            wait_for(lambda ledger=ledger: not rows(ledger, state="waiting"))  # type: ignore[misc]
    told = [headers["webhook-id"] for headers, _ in receiver.got]
    assert told == ["scored_one", f"decided_{decision}"] * 2


def test_verify_covers_the_tables_and_not_their_rows(file: Path) -> None:
    """As docs/ledger-format.md says: a row may be removed; a table, an index or a column may not be changed."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):
        score(ledger)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM outbox")
        connection.commit()
        assert problem(file) is None
        connection.execute("DROP INDEX outbox_by_next")
        connection.commit()
    assert "the index outbox_by_next is missing" in str(problem(file))
    with closing(Store(file)) as opened, opened.writing() as writer:
        writer.execute("DROP TABLE outbox")
        writer.execute("DROP TABLE senders")
    assert problem(file) is None


def problem(file: Path) -> str | None:
    with closing(Store(file)) as opened:
        return verify(opened).problem


def test_a_failed_change_leaves_the_records_of_its_commit(file: Path) -> None:
    """The sender's changes share commits with records: one that fails is undone by itself."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):

        def fails(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM outbox")
            raise ValueError("no")

        score(ledger)
        with ledger.store._writing:  # so that both wait for the same commit
            record = ledger.submit(Draft("scored", "two", SCORE))
            failed = ledger.change(fails)
        with pytest.raises(ValueError, match="no"):
            failed.result(PATIENCE)
        assert record.result(PATIENCE).header.id == "two"
        assert ids(ledger) == ["scored_one", "scored_two"]
        with ledger.store.reading() as connection:
            assert len(cases_from(connection, queries.by_id(connection, ["two"]))) == 1


# --- the command ---


@pytest.fixture
def webhooks_file(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "webhooks.toml"
    made.write_text(
        f'server = "https://loans.example"\n[[endpoint]]\nname = "core"\nurl = "{receiver.url}/in?token=hidden"\n'
        f'events = ["scored"]\nsecrets = ["whsec_{SECRET}"]\n'
    )
    made.chmod(0o600)
    monkeypatch.setenv("TENFOLD_WEBHOOKS", str(made))
    return made


def command(file: Path, *words: str) -> int:
    return main(["--ledger", str(file), "outbox", *words])


@pytest.mark.slow
def test_the_command(
    file: Path, receiver: Receiver, webhooks_file: Path, capsys: pytest.CaptureFixture[str], clock: Time
) -> None:
    """Endpoints, deliveries, one of them with its body, sent again, dropped; no address and no secret is printed."""
    assert command(file) == 2  # no ledger yet
    with ledger_with(file, hooks(receiver.url), clock) as (ledger, _):
        score(ledger)
        with ledger.store.writing() as connection:
            outbox.take_turn(connection, "core", "me", clock.now, [])
            for _ in range(10):
                settled(connection, clock, status=500, problem="answered 500")
            outbox.leave(connection, "core", "me")
    capsys.readouterr()
    assert command(file) == 1
    assert "core (scored): 0 waiting, 1 failed\n" in capsys.readouterr().out
    assert command(file, "list", "--state", "failed") == 0
    assert "core scored_one: failed, 10 tries, answered 500" in capsys.readouterr().out
    assert command(file, "list", "--json", "--endpoint", "core") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "failed"
    assert command(file, "show", "1") == 0
    assert json.loads(capsys.readouterr().out)["body"]["data"]["case"] == "one"
    assert command(file, "show", "7") == 2
    assert command(file, "retry", "7") == 2
    assert command(file, "retry") == 2
    capsys.readouterr()
    assert command(file, "retry", "--failed", "core") == 0
    assert "1 to be sent again" in capsys.readouterr().out
    with sending(file, hooks(receiver.url)) as ledger:
        wait_for(lambda: rows(ledger)[0].delivered)
        assert command(file, "retry", "1") == 0  # beside a server that runs
        wait_for(lambda: len(receiver.got) == 2)
        wait_for(lambda: rows(ledger)[0].delivered)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"scored_one"}
    capsys.readouterr()
    assert command(file, "drop", "core") == 2
    assert command(file, "drop", "gone") == 0
    assert command(file, "list") == 0
    said = capsys.readouterr()
    assert "hidden" not in said.out + said.err
    assert SECRET not in said.out + said.err


@pytest.mark.slow
def test_a_test_event(file: Path, receiver: Receiver, webhooks_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sent at once, without a ledger; the command says how it went."""
    assert command(file, "test", "core") == 0
    assert "delivered, answered 204" in capsys.readouterr().out
    headers, body = receiver.got[0]
    assert headers["webhook-id"].startswith("test_")
    assert json.loads(body)["type"] == "test"
    receiver.answer = lambda handler: reply(handler, 401)
    assert command(file, "test", "core") == 1
    assert "NOT delivered: answered 401" in capsys.readouterr().out
    assert command(file, "test", "other") == 2
    assert "There are core" in capsys.readouterr().err
    assert not file.exists()


def test_the_command_lists_without_writing(file: Path, webhooks_file: Path) -> None:
    """As every command that reads."""
    with ledger_with(file, hooks("http://127.0.0.1:1")) as (ledger, _):
        score(ledger)
    before = {one.name: one.read_bytes() for one in file.parent.iterdir()}
    for words in ((), ("list",), ("show", "1")):
        assert command(file, *words) == 0
    assert {one.name: one.read_bytes() for one in file.parent.iterdir()} == before


def test_a_secret_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["outbox", "secret"]) == 0
    made = capsys.readouterr().out.strip()
    assert made != new_secret()
    assert len(base64.b64decode(made.removeprefix("whsec_"))) == 32
