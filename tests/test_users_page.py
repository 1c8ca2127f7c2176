"""The page Users and one's own password: what managers do there is what `python -m web users` does, and a link to set a
password works once, for a while, for whom it was made."""

import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import NO_USERS, Time, newest, some, visiting
from test_accounts import PASSWORD, QUICK, three_people

from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from web.pages.texts import texts_in
from web.security.accounts import LINK_HOURS, Accounts
from web.security.security_log import SecurityLog
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started for each

ORIGIN = {"Origin": "http://127.0.0.1"}
TEXTS = texts_in("en")
NEW = "blue kettle on the stove 7"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with closing(three_people(tmp_path / "users.sqlite3")) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "security.jsonl"


@pytest.fixture
def app(scorer: Scorer, accounts: Accounts, log: Path) -> Iterator[TestClient]:
    settings = Settings(release=scorer.release.folder, log=None, ledger=None, users=accounts.path)
    with closing(SecurityLog(log, 0)) as security:
        made = create_app(scorer, settings, None, None, accounts, security)
        with visiting(made, follow_redirects=False) as client:
            yield client


def as_person(client: TestClient, name: str, password: str = PASSWORD) -> TestClient:
    client.cookies.clear()
    answer = client.post("/login", data={"name": name, "password": password}, headers=ORIGIN)
    assert answer.status_code == 303, answer.text
    return client


def change(client: TestClient, action: str, name: str, role: str = "", path: str = "/users") -> Any:
    return client.post(path, data={"action": action, "name": name, "role": role}, headers=ORIGIN)


def secret_in(page: str) -> str:
    found = re.search(r'id="link"[^>]* value="([^"]+)"', page)
    assert found is not None
    address, _, secret = html.unescape(found[1]).partition("#")
    assert address.endswith("/invitation")
    return secret


def accept(client: TestClient, secret: str, password: str = NEW, again: str | None = None) -> Any:
    client.cookies.clear()
    sent = {"link": secret, "password": password, "again": password if again is None else again}
    return client.post("/invitation", data=sent, headers=ORIGIN)


def events(log: Path) -> list[dict[str, Any]]:
    lines = "".join(file.read_text() for file in sorted(log.parent.glob("security*.jsonl")) if not file.is_symlink())
    return [json.loads(line) for line in lines.splitlines() if line]


def test_a_manager_adds_a_user(app: TestClient, accounts: Accounts, log: Path, tmp_path: Path) -> None:
    """Who sets the password by the link alone; the secret is in no file and no log, only its digest."""
    secret = secret_in(change(as_person(app, "meg"), "add", "Cyd", "manager").text)
    assert 'value="http' not in app.get("/users").text  # shown once
    assert accounts.by_link(secret) == "cyd"
    assert accept(app, secret).status_code == 200
    assert "Cyd" not in {user.name for user in accounts.users()}
    assert {user.name: user.role for user in accounts.users()}["cyd"] == "manager"
    as_person(app, "cyd", NEW)
    assert app.get("/users").status_code == 200
    for file in some(tmp_path.glob("*")):
        assert secret.encode() not in file.read_bytes(), file
    kinds = [(event["event"], event.get("by"), event.get("name")) for event in events(log)]
    assert ("user_added", "meg", "cyd") in kinds
    assert ("link_used", None, "cyd") in kinds


def test_a_link_works_once(app: TestClient, accounts: Accounts) -> None:
    """For whom it was made; a password that is refused does not use it up; a newer link, or a password set otherwise,
    ends it."""
    secret = secret_in(change(as_person(app, "meg"), "link", "ann").text)
    for password, again in (("short", "short"), ("password1234", "password1234"), (NEW, NEW + "x"), ("ann" * 5,) * 2):
        assert accept(app, secret, password, again).status_code == 422
    assert accept(app, secret).status_code == 200
    assert accept(app, secret, NEW + "y").status_code == 404
    as_person(app, "ann", NEW)
    first, second = accounts.add_link("ann"), accounts.add_link("ann")
    assert accept(app, first).status_code == 404
    accounts.set_password("ann", PASSWORD)
    assert accept(app, second).status_code == 404
    assert accept(app, "").status_code == 404
    as_person(app, "ann")


def test_a_link_ends(tmp_path: Path) -> None:
    """After its hours, and with its user."""
    time = Time(1e9)
    with closing(Accounts(tmp_path / "u.sqlite3", time.clock, QUICK)) as accounts:
        accounts.add_user("ann", "officer", PASSWORD)
        secret = accounts.add_link("ann")
        time.now += 3600 * LINK_HOURS - 1
        assert accounts.by_link(secret) == "ann"
        time.now += 2
        assert accounts.by_link(secret) is None
        assert accounts.use_link(secret, NEW) is None
        secret = accounts.add_link("ann")
        accounts.remove("ann", "user")
        assert accounts.by_link(secret) is None


def test_a_link_ends_sessions(app: TestClient, accounts: Accounts) -> None:
    """Somebody else may have the old password."""
    as_person(app, "ann")
    cookies = dict(app.cookies)
    assert app.get("/manage").status_code == 200
    assert accept(app, accounts.add_link("ann")).status_code == 200
    app.cookies.update(cookies)
    assert app.get("/manage").status_code == 401


def test_roles_sessions_and_tokens(app: TestClient, accounts: Accounts, log: Path) -> None:
    """From the next request on, and each change is logged as the command logs it."""
    accounts.add_token("core", "officer")
    as_person(app, "bob")
    bobs = dict(app.cookies)
    as_person(app, "meg")
    assert change(app, "role", "ann", "manager").status_code == 303
    assert change(app, "logout", "bob").status_code == 303
    assert change(app, "revoke", "core").status_code == 303
    page = app.get("/fr/users").text
    assert "core" not in page
    assert {user.name: user.role for user in accounts.users()}["ann"] == "manager"
    assert change(app, "remove", "ann").status_code == 303
    assert change(app, "add", "ann", "officer").status_code == 422  # a name is never given twice
    app.cookies.clear()
    app.cookies.update(bobs)
    assert app.get("/manage").status_code == 401
    kinds = {event["event"] for event in events(log)}
    assert kinds >= {"user_role_changed", "user_logged_out", "token_revoked", "user_removed"}


@pytest.mark.parametrize(
    ("action", "name", "role", "problem"),
    [
        ("add", "no spaces", "officer", "name"), ("add", "cyd", "king", "role"), ("add", "ann", "officer", "taken"),
        ("add", "api", "officer", "taken"), ("role", "meg", "officer", "yourself"), ("remove", "meg", "", "yourself"),
        ("role", "ann", "metrics", "role"), ("remove", "nobody", "", "moved"), ("link", "nobody", "", "moved"),
        ("revoke", "ann", "", "moved"), ("explode", "ann", "", "moved"),
    ],
)  # fmt: skip
def test_what_is_refused(app: TestClient, accounts: Accounts, action: str, name: str, role: str, problem: str) -> None:
    """With a sentence, and nothing is changed; nobody takes the last manager away."""
    before = accounts.users()
    answer = change(as_person(app, "meg"), action, name, role)
    assert answer.status_code == 422
    assert TEXTS(f"users.problem.{problem}") in html.unescape(answer.text)
    assert [user[:3] for user in accounts.users()] == [user[:3] for user in before]


def test_managers_alone(app: TestClient, accounts: Accounts) -> None:
    """No officer, no token, no other site."""
    assert change(as_person(app, "ann"), "add", "cyd", "manager").status_code == 403
    app.cookies.clear()
    bearer = {"Authorization": f"Bearer {accounts.add_token('core', 'manager')}"}
    sent = {"action": "add", "name": "cyd", "role": "manager"}
    assert app.post("/users", data=sent, headers=bearer).status_code == 403
    assert (
        app.post("/password", data={"present": PASSWORD, "password": NEW, "again": NEW}, headers=bearer).status_code
        == 403
    )
    as_person(app, "meg")
    assert app.post("/users", data=sent, headers={"Origin": "http://elsewhere.example"}).status_code == 403
    assert not accounts.knows("cyd")


def test_ones_own_password(app: TestClient, accounts: Accounts, log: Path) -> None:
    """With the present one; this browser stays logged in, others do not; guesses wait longer and longer."""
    as_person(app, "ann")
    others = dict(app.cookies)
    as_person(app, "ann")

    def send(present: str, password: str = NEW, again: str = NEW) -> int:
        sent = {"present": present, "password": password, "again": again}
        return int(app.post("/password", data=sent, headers=ORIGIN).status_code)

    assert send(NEW) == 401
    assert send(PASSWORD, NEW, NEW + "x") == 422
    assert send(PASSWORD, "short", "short") == 422
    assert accounts.is_password("ann", PASSWORD)
    assert send(PASSWORD) == 200
    assert accounts.is_password("ann", NEW)
    assert app.get("/manage").status_code == 200
    assert [send("wrong" * number) for number in range(1, 8)][-1] == 429
    app.cookies.clear()
    app.cookies.update(others)
    assert app.get("/manage").status_code == 401
    kinds = [(event["event"], event.get("by")) for event in events(log)]
    assert ("password_refused", "ann") in kinds
    assert ("user_password_changed", "ann") in kinds


def test_without_login_the_page_says_how_to_begin(scorer: Scorer) -> None:
    """And changes nothing."""
    settings = Settings(release=scorer.release.folder, log=None, ledger=None, users=NO_USERS)
    with visiting(create_app(scorer, settings, None)) as client:
        assert "python -m web users add NAME --role manager" in client.get("/users").text
        assert "python -m web users add NOM --role manager" in client.get("/fr/users").text
        assert change(client, "add", "cyd", "manager").status_code == 403
        assert client.post("/password", data={}, headers=ORIGIN).status_code == 403


def test_a_file_of_users_of_version_2_is_raised(tmp_path: Path) -> None:
    """It goes on with its users, and can hold links."""
    file = tmp_path / "users.sqlite3"
    with closing(three_people(file)):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TABLE links")
        connection.execute("PRAGMA user_version=2")
    with closing(Accounts(file, hasher=QUICK)) as accounts:
        assert accounts.log_in("ann", PASSWORD)
        assert accounts.by_link(accounts.add_link("ann")) == "ann"


def test_everybody_ends_their_own_sessions(app: TestClient, accounts: Accounts, log: Path) -> None:
    """One, or all but this one; never somebody else's, whatever the form says; and it is logged."""
    names = [account.name for account in accounts.users()]
    first, other = names[:2]
    cookies = [accounts.log_in(first, PASSWORD) for _ in range(2)]
    foreign = accounts.log_in(other, PASSWORD)
    assert foreign is not None
    as_person(app, first)
    page = app.get("/sessions").text
    marks = re.findall(r'name="session" value="([0-9a-f]{64})"', page)
    assert len(marks) == 3
    assert page.count(TEXTS("sessions.this")) == 1
    for wrong in (accounts.session_mark(foreign), "", "x", "00"):
        assert app.post("/sessions", data={"session": wrong}, headers=ORIGIN).status_code == 303
    assert len(accounts.sessions()) == 4
    ended = accounts.session_mark(cookies[0] or "")
    assert app.post("/sessions", data={"session": ended}, headers=ORIGIN).headers["location"] == "/sessions"
    assert set(accounts.own_sessions(first)) == set(marks) - {ended}
    assert app.post("/sessions", data={"session": "others"}, headers=ORIGIN).status_code == 303
    assert len(accounts.own_sessions(first)) == 1
    assert app.get("/sessions").status_code == 200  # this one goes on
    assert accounts.by_cookie(foreign) is not None
    lines = [json.loads(line) for line in log.read_text().splitlines() if "user_logged_out" in line]
    assert [(line["name"], line["by"]) for line in lines] == [(first, first)] * 2
    (left,) = accounts.own_sessions(first)
    assert app.post("/sessions", data={"session": left}, headers=ORIGIN).status_code == 303
    assert app.get("/sessions", headers={"Accept": "application/json"}).status_code == 401


def test_a_token_has_no_sessions(app: TestClient, accounts: Accounts) -> None:
    """And ends none."""
    token = {"Authorization": f"Bearer {accounts.add_token('import', 'manager')}"}
    app.cookies.clear()
    assert texts_in("fr")("sessions.none") in html.unescape(app.get("/fr/sessions", headers=token).text)
    assert app.post("/sessions", data={"session": "others"}, headers=token).status_code == 403
