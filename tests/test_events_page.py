"""The page of events, for managers: what waits and failed, a test, sending again; no address, secret or applicant."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from parts import Time, visiting
from test_accounts import PASSWORD, three_people
from test_lender import OWN
from test_outbox import CANARY, SECRET, Receiver, receiver, reply, rows, score, wait_for

from inference.scorer import Scorer
from inference.settings import Settings, default_release
from ledger import outbox
from ledger.endpoints import read_webhooks
from ledger.ledger import Ledger
from ledger.outbox import Outbox, Outcome
from ledger.sender import Sender
from web.server import create_app

__all__ = ["receiver"]  # a fixture
pytestmark = pytest.mark.slow
NOW = Time(1_795_000_000.0)


@pytest.fixture
def place(tmp_path: Path, receiver: Receiver, scorer: Scorer) -> Iterator[tuple[TestClient, Ledger]]:
    """An app with an endpoint, whose events nobody sends; a manager is logged in."""
    file = tmp_path / "webhooks.toml"
    file.write_text(
        f'server = "https://loans.example"\n[[endpoint]]\nname = "core"\nurl = "{receiver.url}/in?token=hidden"\n'
        f'events = ["scored"]\nsecrets = ["whsec_{SECRET}"]\n'
    )
    file.chmod(0o600)
    settings = Settings(
        release=default_release(), log=None, users=tmp_path / "users.sqlite3", ledger=tmp_path / "ledger.sqlite3",
        webhooks=file,
    )  # fmt: skip
    hooks = read_webhooks(file)
    assert hooks is not None
    assert settings.ledger is not None
    with (
        closing(three_people(settings.users)) as accounts,
        closing(Ledger(settings.ledger, NOW.clock, Outbox(hooks.names_by_kind))) as ledger,
        visiting(create_app(scorer, settings, ledger, OWN, accounts), follow_redirects=False) as client,
    ):
        enter(client, "meg")
        yield client, ledger


def enter(client: TestClient, name: str) -> None:
    client.cookies.clear()
    assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303


def text_of(client: TestClient, path: str = "/events", **form: str) -> str:
    answer = client.post(path, data=form) if form else client.get(path)
    assert answer.status_code == 200
    for hidden in ("token=hidden", SECRET, CANARY, "127.0.0.1"):
        assert hidden not in html.unescape(answer.text)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def give_up(ledger: Ledger, id: str) -> None:
    """All tries of an event fail."""
    with ledger.store.writing() as connection:
        (row,) = (row for row in outbox.listed(connection, 99) if row.record == id)
        for _ in range(10):
            failed = Outcome(row.number, delivered=False, status=500, problem="answered 500")
            outbox.settle(connection, "core", failed, NOW.now)


def test_managers_see_what_waits_and_what_failed(place: tuple[TestClient, Ledger]) -> None:
    """By endpoint and one by one, with filters, in both languages; officers do not."""
    client, ledger = place
    assert "No such event." in text_of(client)
    score(ledger, "one")
    score(ledger, "two")
    give_up(ledger, "one")
    shown = text_of(client)
    assert "core Events scored Waiting" in shown
    assert "Waiting 1" in shown
    assert "Given up 1" in shown
    assert re.search(r"1 2026-11-18 \d\d:\d\d UTC core scored Given up 10 answered 500 Send again", shown)
    assert "two" in client.get("/events?state=waiting").text
    assert "record/two" not in client.get("/events?state=failed").text
    assert "record/one" in client.get("/events?state=failed").text
    assert client.get("/events?state=x&before=y").status_code == 200
    assert "réponse 500" in text_of(client, "/fr/events")
    assert 'href="../fr/record/one"' in client.get("/fr/events").text
    enter(client, "ann")
    assert client.get("/events").status_code == 403
    assert client.post("/events", data={"do": "failed", "endpoint": "core"}).status_code == 403
    assert [row.state for row in rows(ledger)] == ["waiting", "failed"]


def test_one_or_all_are_sent_again(place: tuple[TestClient, Ledger], receiver: Receiver) -> None:
    """By number, or all that were given up; the server sends them with the ids they had."""
    client, ledger = place
    for id in ("one", "two", "three"):
        score(ledger, id)
        give_up(ledger, id)
    assert "Event 2 is sent again." in text_of(client, do="send", number="2")
    assert [row.state for row in rows(ledger)] == ["failed", "waiting", "failed"]
    assert "2 events for core are sent again." in text_of(client, do="failed", endpoint="core")
    assert {row.state for row in rows(ledger)} == {"waiting"}
    for form in ({"do": "send", "number": "77"}, {"do": "send", "number": "x"}, {"do": "other"}):
        assert "There is no event" in text_of(client, **form)
    assert ledger._outbox is not None
    hooks = read_webhooks(Path(ledger.store.path).with_name("webhooks.toml"))
    assert hooks is not None
    with closing(Sender(ledger, ledger._outbox, hooks)):
        wait_for(lambda: not rows(ledger, state="waiting"))
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"scored_one", "scored_two", "scored_three"}
    assert "Last delivered" in text_of(client)


def test_a_test_event_is_sent_from_the_page(place: tuple[TestClient, Ledger], receiver: Receiver) -> None:
    """The page says how it went."""
    client, _ = place
    assert "core took the test event: answered 204." in text_of(client, do="test", endpoint="core")
    assert json.loads(receiver.got[0][1])["type"] == "test"
    receiver.answer = lambda handler: reply(handler, 403)
    assert "core did not take the test event: answered 403." in text_of(client, do="test", endpoint="core")
    assert "n’a pas reçu l’événement d’essai : réponse 403." in text_of(
        client, "/fr/events", do="test", endpoint="core"
    )
    assert "There is no event" in text_of(client, do="test", endpoint="other")


def test_many_are_listed_a_page_at_a_time(place: tuple[TestClient, Ledger]) -> None:
    client, ledger = place
    for number in range(60):
        score(ledger, f"s{number}")
    first = client.get("/events").text
    (older,) = re.findall(r'href="(events\?before=\d+)"', first)
    second = client.get(f"/{older}").text
    numbers = [re.findall(r'<th scope="row">(\d+)</th>', text) for text in (first, second)]
    assert [int(number) for page in numbers for number in page] == list(range(60, 0, -1))


def test_without_endpoints_the_page_says_how(tmp_path: Path, scorer: Scorer) -> None:
    """A ledger that has no outbox, and settings that name no file."""
    settings = Settings(release=default_release(), log=None, users=tmp_path / "users.sqlite3")
    with (
        closing(three_people(settings.users)) as accounts,
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, OWN, accounts), follow_redirects=False) as client,
    ):
        enter(client, "meg")
        for path, word in (("/events", "No endpoint is named"), ("/fr/events", "Aucun destinataire")):
            assert word in text_of(client, path)


def test_operations_lead_to_it(place: tuple[TestClient, Ledger]) -> None:
    """For managers, from the page of operations."""
    client, _ = place
    assert 'href="events"' in client.get("/operations").text
    enter(client, "ann")
    assert 'href="events"' not in client.get("/operations").text


def test_metrics_and_readiness_tell_of_it(place: tuple[TestClient, Ledger]) -> None:
    """What waits and failed, by endpoint; a warning once something was given up, and the server stays ready."""
    client, ledger = place
    score(ledger, "one")
    assert 'tenfold_outbox{endpoint="core",state="waiting"} 1.0' in client.get("/metrics").text
    assert client.get("/readyz").json()["warnings"] == []
    give_up(ledger, "one")
    assert 'tenfold_outbox{endpoint="core",state="failed"} 1.0' in client.get("/metrics").text
    (warning,) = client.get("/readyz").json()["warnings"]
    assert "1 events for core were given up" in warning
    assert client.get("/readyz").status_code == 200
