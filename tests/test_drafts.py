"""Drafts of forms: kept for who typed them, for some days, and gone without a byte; nothing is kept without login."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger_cases import bytes_of, clock_at
from parts import NO_USERS, newest, visiting
from test_accounts import PASSWORD, QUICK
from test_security_log import events

from inference.fields import NOT_STATED
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger.__main__ import main
from ledger.drafts import DAYS, LONGEST, MOST, Drafts, drafts_beside
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from web.desk.form import optional
from web.pages.texts import texts_in
from web.security.accounts import Accounts
from web.security.security_log import SecurityLog
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

KEY, OTHER = "a" * 32, "b" * 32
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at(day: int) -> Any:
    return clock_at(NOW.replace(day=day))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def test_a_draft_is_its_owners_alone(ledger: Path) -> None:
    """The last text under each key, the last changed first; nobody else sees or erases it."""
    drafts = Drafts(ledger, clock=at(1))
    assert drafts.of("ann") == []
    assert not drafts.path.exists()  # made with the first draft
    for id, text in ((KEY, "one"), (OTHER, "two"), (KEY, "three")):
        assert drafts.keep("ann", id, text)
    Drafts(ledger, clock=at(2)).keep("ben", KEY, "his")
    drafts.discard("ben", OTHER)
    assert {draft.id: draft.content for draft in drafts.of("ann")} == {KEY: "three", OTHER: "two"}
    assert [draft.content for draft in drafts.of("ben")] == ["his"]
    assert stat.S_IMODE(os.stat(drafts.path).st_mode) == 0o600


def test_a_draft_ends_after_its_days(ledger: Path) -> None:
    """Counted from its last change; then no byte of it is left, in the file or beside it."""
    Drafts(ledger, clock=at(1)).keep("ann", KEY, "canary-first")
    Drafts(ledger, clock=at(5)).keep("ann", OTHER, "canary-second")
    assert b"canary-first" in bytes_of(ledger)
    later = Drafts(ledger, clock=at(1 + DAYS + 1))
    assert [draft.id for draft in later.of("ann")] == [OTHER]
    assert b"canary-first" not in bytes_of(ledger)
    assert b"canary-second" in bytes_of(ledger)
    later.discard("ann", OTHER)
    assert b"canary" not in bytes_of(ledger)


def test_what_is_overwritten_is_gone(ledger: Path) -> None:
    """An answer that was typed and then changed is in no byte either, once the draft is erased."""
    drafts = Drafts(ledger, clock=at(1))
    for number in range(50):
        drafts.keep("ann", KEY, f"canary-{number} " * 100)
    drafts.discard("ann", KEY)
    assert b"canary" not in bytes_of(ledger)


def test_drafts_are_few_and_short(ledger: Path) -> None:
    """The oldest goes first; a text that is too long is not kept, and says so."""
    for number in range(MOST + 5):
        moment = NOW.replace(minute=number)
        Drafts(ledger, clock=clock_at(moment)).keep("ann", f"{number:032x}", "x")
    drafts = Drafts(ledger, clock=at(2))
    assert {int(draft.id, 16) for draft in drafts.of("ann")} == set(range(5, MOST + 5))
    assert not drafts.keep("ann", KEY, "x" * (LONGEST + 1))
    assert not Drafts(ledger, days=0).keep("ann", KEY, "x")


def test_another_file_is_left_alone(ledger: Path) -> None:
    """A file in the place of the drafts that is not ours is refused and not changed."""
    drafts_beside(ledger).write_bytes(b"something else entirely, and long enough to be looked at " * 20)
    before = drafts_beside(ledger).read_bytes()
    with pytest.raises(LedgerUnavailable):
        Drafts(ledger).keep("ann", KEY, "x")
    assert drafts_beside(ledger).read_bytes() == before


def test_a_purge_erases_old_drafts_too(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command names their number, and their bytes are gone with those of cases."""
    with closing(Ledger(ledger)):
        pass
    Drafts(ledger).keep("ann", OTHER, "canary-new")
    Drafts(ledger, clock=clock_at(datetime(2020, 1, 1, tzinfo=UTC))).keep("ann", KEY, "canary-old")
    assert main(["--ledger", str(ledger), "purge", "--before", "2020-01-01"]) == 0
    assert "1 drafts erased" in capsys.readouterr().out
    assert b"canary-old" not in bytes_of(ledger)
    assert b"canary-new" in bytes_of(ledger)


# --- the desk's routes ---


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("drafts")
    users = folder / "users.sqlite3"
    with closing(Accounts(users, hasher=QUICK)) as accounts:
        for name in ("ann", "ben"):
            accounts.add_user(name, "officer", PASSWORD)
        (folder / "token").write_text(accounts.add_token("robot", "officer", 1))
    return Settings(
        release=newest("consumer"), log=None, ledger=folder / "ledger.sqlite3", users=users,
        security_log=folder / "security.jsonl",
    )  # fmt: skip


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[TestClient]:
    assert settings.ledger is not None
    with (
        closing(Ledger(settings.ledger)) as ledger,
        closing(Accounts(settings.users, hasher=QUICK)) as accounts,
        closing(SecurityLog(settings.security_log, 1)) as log,
        visiting(create_app(open_scorer(settings), settings, ledger, accounts=accounts, security_log=log)) as client,
    ):
        yield client


def as_person(app: TestClient, name: str) -> TestClient:
    app.cookies.clear()
    app.post("/login", data={"name": name, "password": PASSWORD}, headers={"Origin": "http://127.0.0.1"})
    return app


def form_of(app: TestClient) -> Any:
    return open_scorer(Settings(release=newest("consumer"), log=None)).release.form


def typed(form: Any, **changed: object) -> dict[str, object]:
    return {"answers": {**{name: str(value) for name, value in form.example.items()}, **changed}, "touched": ["amount"]}


def keep(app: TestClient, id: str, draft: object, path: str = "") -> Any:
    return app.post(f"{path}/desk/keep", json={"id": id, "draft": draft}).json()["kept"]


def begun(app: TestClient, id: str = "", path: str = "") -> Any:
    answer = app.post(f"{path}/desk/drafts", json={"id": id})
    assert answer.status_code == 200
    return answer.json()


def test_a_form_comes_back_as_it_was_typed(app: TestClient) -> None:
    """Also with what cannot be read, and the reference; the other language writes its numbers its own way."""
    form = form_of(app)
    ann = as_person(app, "ann")
    assert keep(ann, KEY, {**typed(form, amount="1,234.5", price="12abc", assets=None), "reference": "R-1"})
    names, ticks = list(form.names), [field.name for field in optional(form)]
    for path, amount in (("", "1,234.5"), ("/fr", "1 234,5")):
        found = begun(ann, KEY, path)["form"]
        values = dict(zip(names, found["values"], strict=False))
        assert values["amount"].replace("\u202f", " ").replace("\xa0", " ") == amount
        assert values["price"] == "12abc"
        assert values["job"] == form.example["job"]
        ticked = dict(zip(ticks, found["values"][len(names) :], strict=False))
        assert [name for name, on in ticked.items() if on] == ["assets"]
        assert found["values"][-1] == "R-1"
        assert found["touched"] == ["amount"]
    assert NOT_STATED not in found["values"]


def test_the_card_comes_back_with_the_form(app: TestClient) -> None:
    """Of the case that was scored, as it is now; nothing is recorded for that, but that it was read."""
    form = form_of(app)
    ann = as_person(app, "ann")
    card = ann.post("/desk/score", json={"answers": typed(form)["answers"], "key": KEY}).text
    id = card.split('data-record="record/')[1].split('"')[0]
    assert keep(ann, KEY, {**typed(form), "case": id, "decision": [["decision", "refer"]]})
    found = begun(ann, KEY)["form"]
    assert f'data-record="record/{id}"' in found["card"]
    assert found["decision"] == [["decision", "refer"]]
    assert 'data-state="score"' in found["card"]
    ben = as_person(app, "ben")
    assert keep(ben, OTHER, {**typed(form), "case": id})
    assert begun(ben, OTHER)["form"]["card"] == ""  # another's case


def test_a_decided_case_comes_back_to_who_decided(app: TestClient) -> None:
    """After a reload: its answers, its reference, the decision. Not to anybody else, nor in another form."""
    form, key = form_of(app), "e" * 32
    ann = as_person(app, "ann")
    sent = {"answers": typed(form)["answers"], "reference": "R-2", "key": key}
    card = ann.post("/desk/score", json=sent).text
    id = card.split('data-record="record/')[1].split('"')[0]
    ann.post("/desk/discard", json={"id": key})
    assert begun(ann, key)["form"] is None  # scored, given up, not decided
    decision = {"decision": "incomplete", "reason_incomplete": "income", "justification": "x" * 20, "as": "ann",
                "seen": card.split('data-seen="')[1].split('"')[0]}  # fmt: skip
    assert ann.post(f"/record/{id}/decide", data=decision).headers["x-recorded"] == "yes"
    found = begun(ann, key)["form"]
    assert 'class="decided"' in found["card"]
    assert (found["values"][-1], found["case"], found["of"]) == ("R-2", id, "")
    assert dict(zip(form.names, found["values"], strict=False))["job"] == form.example["job"]
    assert begun(ann, "f" * 32)["form"] is None
    assert begun(as_person(app, "ben"), key)["form"] is None


def test_a_decided_correction_comes_back(app: TestClient, settings: Settings) -> None:
    """Its card and its answers, to who may see the case, and it can no longer be corrected; a reload while another case
    is corrected neither shows nor reads what this tab decided before."""
    form, key = form_of(app), "9" * 32
    ann = as_person(app, "ann")
    answers: Any = typed(form)["answers"]
    first = ann.post("/desk/score", json={"answers": answers, "key": key}).text
    id = first.split('data-record="record/')[1].split('"')[0]
    taken = ann.post("/desk/take", json={"of": id}).json()
    assert (taken["card"], bool(taken["seen"])) == ("", True)
    assert 'class="stop"' in taken["html"]
    changed = {"answers": {**answers, "amount": "950"}, "of": id, "seen": taken["seen"], "key": "8" * 32}
    card = ann.post("/desk/score", json=changed).text
    decision = {"decision": "incomplete", "reason_incomplete": "income", "justification": "x" * 20, "as": "ann",
                "seen": card.split('data-seen="')[1].split('"')[0]}  # fmt: skip
    assert ann.post(f"/record/{id}/decide", data=decision).headers["x-recorded"] == "yes"
    taken = ann.post("/desk/take", json={"of": id}).json()
    assert 'class="decided"' in taken["card"]
    assert taken["seen"]  # incomplete: answers can still come
    decline = {**decision, "decision": "decline", "reason_stricter": "policy", "seen": taken["seen"]}
    assert ann.post(f"/record/{id}/decide", data=decline).headers["x-recorded"] == "yes"
    taken = ann.post("/desk/take", json={"of": id}).json()
    assert 'class="decided"' in taken["card"]
    assert (taken["html"], taken["seen"]) == ("", "")
    assert dict(zip(form.names, taken["values"], strict=False))["amount"] == "950"
    assert begun(ann, key)["form"]["case"] == id  # the tab's own, decided
    before = len(events(settings.security_log))
    assert ann.post("/desk/drafts", json={"id": key, "of": "another"}).json() == {"form": None, "html": ""}
    assert events(settings.security_log, before) == []
    assert as_person(app, "ben").post("/desk/take", json={"of": id}).json()["values"] is None


def test_unfinished_forms_are_listed(app: TestClient) -> None:
    """By reference and time, to go on with or to discard; nobody else's, and none that is open in this tab."""
    form = form_of(app)
    ben = as_person(app, "ben")
    ben.post("/desk/discard", json={"id": OTHER})
    assert keep(ben, "c" * 32, {**typed(form), "reference": "<b>Miller"})
    listed = begun(ben)["html"]
    assert "&lt;b&gt;Miller" in listed
    assert f'data-draft="{"c" * 32}"' in listed
    assert KEY not in listed
    assert begun(ben, "c" * 32)["html"] == ""
    assert ben.post("/desk/discard", json={"id": "c" * 32}).json() == {"erased": True}
    assert begun(ben) == {"form": None, "html": ""}


def test_nothing_is_kept_of_who_is_not_logged_in(tmp_path: Path, app: TestClient, settings: Settings) -> None:
    """Without users, and of a token; odd keys and contents are not kept either."""
    form = form_of(app)
    ann = as_person(app, "ann")
    for id, draft in ((7, typed(form)), ("x", typed(form)), ("A" * 32, typed(form)), (KEY, None), (KEY, [1])):
        assert keep(ann, id, draft) is False  # type: ignore[arg-type]
    app.cookies.clear()
    token = (settings.users.parent / "token").read_text() if settings.users else ""
    answer = app.post(
        "/desk/keep", json={"id": KEY, "draft": typed(form)}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json() == {"kept": False}
    open_settings = Settings(release=newest("consumer"), log=None, ledger=tmp_path / "l.sqlite3", users=NO_USERS)
    with (
        closing(Ledger(tmp_path / "l.sqlite3")) as ledger,
        visiting(create_app(open_scorer(open_settings), open_settings, ledger)) as client,
    ):
        assert keep(client, KEY, typed(form)) is False
        assert begun(client, KEY) == {"form": None, "html": ""}
    assert not drafts_beside(tmp_path / "l.sqlite3").exists()


def test_nothing_is_done_in_another_persons_name(app: TestClient) -> None:
    """The page shows ann, and ben has logged in in another tab since: nothing is scored, kept or decided."""
    form = form_of(app)
    ann = as_person(app, "ann")
    card = ann.post("/desk/score", json={"answers": typed(form)["answers"], "key": "d" * 32, "as": "ann"}).text
    id = card.split('data-record="record/')[1].split('"')[0]
    shown = card.split('data-seen="')[1].split('"')[0]
    assert 'name="as" value="ann"' in card
    ben = as_person(app, "ben")
    for what in ("score", "compare", "try", "take", "read", "drafts", "keep", "discard"):
        assert ben.post(f"/desk/{what}", json={"as": "ann", "id": KEY}).status_code == 412
    decision = {
        "seen": shown,
        "as": "ann",
        "decision": "incomplete",
        "reason_incomplete": "income",
        "justification": "x" * 20,
    }
    assert ben.post(f"/record/{id}/decide", data=decision).status_code == 412
    ann = as_person(app, "ann")
    assert ann.post(f"/record/{id}/decide", data={**decision, "as": "ben"}).status_code == 412
    assert ann.post(f"/record/{id}/decide", data=decision).headers["x-recorded"] == "yes"
    assert (
        texts_in("en")("decide.by", decision=texts_in("en")("decided.incomplete"), by="ann")
        in ann.get(f"/record/{id}").text
    )
