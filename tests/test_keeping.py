"""How long a case is kept, in process with a real ledger: the notice that was handed over, a manager's hold."""

import hashlib
import html
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger_cases import clock_at
from parts import newest, visiting
from test_accounts import PASSWORD, QUICK
from test_deciding import LENDER, SENTENCE, Office, office

from inference.scorer import open_scorer
from inference.settings import Settings
from ledger import queries
from ledger.events import HELD, NOTIFIED, RELEASED
from ledger.ledger import Ledger
from ledger.retention import handed_over, on_hold, purge
from web.cases.notice import as_text, notice
from web.cases.rules import version_of
from web.pages.texts import texts_in
from web.security.accounts import Accounts
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

TEXTS = texts_in("en")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The default release; nobody has to log in."""
    yield from office(tmp_path_factory.mktemp("keeping"), "consumer", LENDER)


def send(desk: Office, id: str, action: str, **form: Any) -> bool:
    """Whether a form is recorded that saw the case as it is now."""
    seen = version_of(desk.case(id))
    answer = desk.send(id, action, **{"seen": seen, "language": "en", "hold_reason": SENTENCE, **form})
    assert answer.status_code == 200
    return bool(answer.headers["x-recorded"] == "yes")


def settled(desk: Office, reference: str = "K-1") -> str:
    id = desk.score(reference)
    assert desk.decide(id, "decline").headers["x-recorded"] == "yes"
    return id


def test_a_notice_that_was_handed_over(desk: Office) -> None:
    """Recorded with the day, who, and the digest of what the notice says; the digest goes with the answers."""
    id = settled(desk)
    today = datetime.now(UTC).date().isoformat()
    assert TEXTS("keeping.notified") in desk.page(f"/record/{id}")
    assert send(desk, id, "notified", language="fr")
    case = desk.case(id)
    record = handed_over(case)
    assert record is not None
    assert (record.kind, record.day, record.by) == (NOTIFIED, today, "Ann")
    with desk.ledger.store.reading() as connection:
        (as_written,) = queries.by_id(connection, [record.id])
    assert "notice" not in as_written.body_json
    release = desk.scorer.release
    assert record.text == as_text(notice(case, release, LENDER, texts_in("fr")))
    assert record.notice == hashlib.sha256(record.text.encode()).hexdigest()
    assert record.text not in as_written.body
    for language, path in (("en", "/record/"), ("fr", "/fr/record/")):
        assert texts_in(language)("entry.notified", day=texts_in(language).day(today)) in desk.page(path + id)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"day": "2020-01-01"}, "decide.problem.handed_over"),
        ({"day": (datetime.now(UTC).date() + timedelta(2)).isoformat()}, "decide.problem.handed_over"),
        ({"day": "yesterday"}, "decide.problem.handed_over"),
        ({"name": ""}, "decide.problem.name"),
        ({"language": "de"}, "decide.problem.choose"),
    ],
)
def test_a_day_that_cannot_be(desk: Office, form: dict[str, str], says: str) -> None:
    """Before the decision, after today, none at all; without a name or a language: nothing is recorded, and why."""
    id = settled(desk)
    count = len(desk.case(id).events)
    seen = version_of(desk.case(id))
    answer = desk.send(id, "notified", **{"seen": seen, "language": "en", **form})
    assert answer.headers["x-recorded"] == "no"
    assert html.escape(TEXTS(says)) in answer.text
    assert len(desk.case(id).events) == count


def test_what_makes_no_sense_now_is_not_recorded(desk: Office) -> None:
    """No notice of an open case, no second hold, no end of a hold that is not there, no form that saw another state."""
    id = desk.score()
    assert not send(desk, id, "notified")
    assert not send(desk, id, "release")
    assert send(desk, id, "hold")
    assert not send(desk, id, "hold")
    assert not send(desk, id, "release", seen="0" * 64)
    assert not send(desk, id, "release", hold_reason="no")
    assert send(desk, id, "release")
    assert [one.kind for one in desk.case(id).events] == ["scored", HELD, RELEASED]


def test_a_hold_keeps_a_case_from_a_purge(desk: Office) -> None:
    """Years later the case on hold is still there, and its page says who holds it and why."""
    gone, stays = settled(desk, "K-gone"), settled(desk, "K-stays")
    assert send(desk, stays, "hold", name="Meg", hold_reason="A court asked for it.")
    hold = on_hold(desk.case(stays))
    assert hold is not None
    assert (hold.by, hold.reason) == ("Meg", "A court asked for it.")
    later = datetime.now(UTC) + timedelta(365 * 4)
    purge(desk.ledger.store, later - timedelta(1000), clock=clock_at(later))
    assert desk.case(gone).first.erased
    assert not desk.case(stays).first.erased
    page = desk.page(f"/record/{stays}")
    assert TEXTS("keeping.on_hold", by="Meg") in page
    assert "A court asked for it." in page
    said = desk.client.get("/readyz").json()
    assert said["status"] == "ready"
    assert [one.partition(":")[0] for one in said["warnings"]] in ([], ["ledger"])
    exact, rounded = desk.case(stays).score, desk.case(gone).score
    assert exact.pd != round(exact.pd, 2)
    assert rounded.pd == round(exact.pd, 2)
    told = desk.client.get(f"/api/v1/decisions/{gone}").json()
    assert (told["erased"], told["pd"]) == (True, rounded.pd)


def test_readyz_warns_of_a_purge_that_is_not_finished(tmp_path: Path) -> None:
    """Ready all the same: scores are recorded."""
    for made in office(tmp_path, "consumer", LENDER):
        made.ledger._clean_at = float("inf")
        settled(made)
        assert made.client.get("/readyz").json()["warnings"] == []
        later = datetime.now(UTC) + timedelta(365 * 4)
        purge(made.ledger.store, later - timedelta(1000), clock=clock_at(later))
        answer = made.client.get("/readyz")
        assert answer.status_code == 200
        assert re.search("record [0-9]+ says was erased may still be", answer.json()["warnings"][0])


def test_an_answer_carries_its_records_hash(desk: Office) -> None:
    """Of one score, of a batch, of a list: the hash that the record has in the chain."""
    body = {"answers": desk.scorer.release.form.example}
    one = desk.client.post("/api/v1/score", json=body).json()
    two = desk.client.post("/api/v1/score:batch", json={"items": [body]}).json()["items"][0]
    with desk.ledger.store.reading() as connection:
        hashes = {record.header.id: record.hash.hex() for record in queries.records(connection)}
    assert one["recorded"]["hash"] == hashes[one["id"]]
    assert two["recorded"]["hash"] == hashes[two["id"]]
    listed = desk.client.get("/api/v1/decisions").json()["items"]
    assert listed
    assert [item["id"] for item in listed if item["hash"] != hashes[item["id"]]] == []


@pytest.mark.slow
def test_a_hold_is_for_managers(tmp_path: Path) -> None:
    """An officer sees no such form and may not send one; a manager's name is in the record."""
    settings = Settings(release=newest("consumer"), log=None, users=tmp_path / "users.sqlite3")
    with (
        closing(Accounts(settings.users, hasher=QUICK)) as accounts,
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
    ):
        for name, role in (("ann", "officer"), ("meg", "manager")):
            accounts.add_user(name, role, PASSWORD)
        scorer = open_scorer(settings)
        with visiting(create_app(scorer, settings, ledger, LENDER, accounts)) as client:
            made = Office(client, scorer, ledger)
            log_in(client, "ann")
            id = settled(made)
            assert TEXTS("keeping.hold") not in made.page(f"/record/{id}")
            assert TEXTS("keeping.notified") in made.page(f"/record/{id}")
            assert made.send(id, "hold").status_code == 403
            assert send(made, id, "notified", name="somebody else")
            client.cookies.clear()
            log_in(client, "meg")
            assert TEXTS("keeping.hold") in made.page(f"/record/{id}")
            assert send(made, id, "hold", name="somebody else")
            assert [one.by for one in made.case(id).events[-2:]] == ["ann", "meg"]


def log_in(client: TestClient, name: str) -> None:
    answer = client.post("/login", data={"name": name, "password": PASSWORD}, follow_redirects=False)
    assert answer.status_code == 303
