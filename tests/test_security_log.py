"""The security log: each event that it is there for, by whom and from where, and nothing that does not belong in it."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import Time, visiting
from test_accounts import PASSWORD, QUICK, three_people

from inference.errors import BadSetting
from inference.scorer import Scorer
from inference.settings import Settings, default_release
from ledger.ledger import Ledger
from web.security.access_mode import check_ledger_may_be_open, mode
from web.security.accounts import Accounts
from web.security.security_log import A_MINUTE, SecurityLog
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

HERE = "http://127.0.0.1"
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("security")
    return Settings(
        release=default_release(), log=None, ledger=folder / "l.sqlite3", users=folder / "u.sqlite3",
        security_log=folder / "security.jsonl",
    )  # fmt: skip


@pytest.fixture(scope="module")
def accounts(settings: Settings) -> Iterator[Accounts]:
    with closing(three_people(settings.users)) as made:
        yield made


@pytest.fixture(scope="module")
def app(default_scorer: Scorer, settings: Settings, accounts: Accounts) -> Iterator[TestClient]:
    assert settings.ledger is not None
    with (
        closing(SecurityLog(settings.security_log, 1)) as log,
        closing(Ledger(settings.ledger)) as ledger,
        visiting(
            create_app(default_scorer, settings, ledger, accounts=accounts, security_log=log),
            follow_redirects=False,
        ) as client,
    ):
        yield client


def events(file: Path | None, since: int = 0) -> list[dict[str, Any]]:
    """The lines of a log, without their times, which are in UTC, from the so-manyth on."""
    assert file is not None
    lines = [json.loads(line) for line in file.read_text().split("\n") if line] if file.exists() else []
    assert [one for one in lines if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["time"])] == []
    return [{name: fact for name, fact in line.items() if name != "time"} for line in lines][since:]


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> int:
    sent = {"name": name, "password": password}
    return int(client.post("/login", data=sent, headers={"Origin": HERE}).status_code)


def test_who_logs_in_and_out_and_who_fails(visitor: TestClient, settings: Settings) -> None:
    """With where from. What was typed as a name is told only where there is such a user: it may be a password."""
    before = len(events(settings.security_log))
    assert log_in(visitor, "ann") == 303
    assert visitor.post("/logout", headers={"Origin": HERE}).status_code == 303
    assert log_in(visitor, "ann", "a wrong password") == 401
    assert log_in(visitor, "my password by mistake") == 401
    assert events(settings.security_log, before) == [
        {"event": "login", "address": "127.0.0.1", "user": "ann"},
        {"event": "logout", "by": "ann", "address": "127.0.0.1"},
        {"event": "login_failed", "address": "127.0.0.1", "user": "ann"},
        {"event": "login_failed", "address": "127.0.0.1"},
    ]
    assert "mistake" not in str(events(settings.security_log))


def test_what_is_refused(visitor: TestClient, settings: Settings, accounts: Accounts) -> None:
    """A role that may not, a token that nobody has, another site; by rule, never by the path as it was sent."""
    before = len(events(settings.security_log))
    log_in(visitor, "ann")
    assert visitor.get("/metrics").status_code == 403
    assert visitor.get("/history/overrides?who=canary").status_code == 403
    assert visitor.post("/desk/score", json={}, headers={"Origin": "https://evil.example"}).status_code == 403
    visitor.cookies.clear()
    assert visitor.get("/api/v1/decisions/canary", headers={"Authorization": "Bearer canary"}).status_code == 401
    assert visitor.get("/history", headers={"Accept": "text/html"}).status_code == 303  # the way in is no event
    found = events(settings.security_log, before)[1:]
    assert [(one["event"], one.get("by"), one["why"]) for one in found] == [
        ("role_refused", "ann", "for-managers"),
        ("role_refused", "ann", "for-managers"),
        ("site_refused", None, "another-site"),
        ("token_refused", None, "not-known"),
    ]
    assert "canary" not in str(found)


def test_another_officers_case_is_refused(
    visitor: TestClient, default_scorer: Scorer, settings: Settings, accounts: Accounts
) -> None:
    """The answer is that there is no such record; the log names who asked for which, each time."""
    example = default_scorer.release.form.example
    log_in(visitor, "ann")
    id = visitor.post("/api/v1/score", json={"answers": example}, headers={"Origin": HERE}).json()["id"]
    visitor.cookies.clear()
    log_in(visitor, "bob")
    before = len(events(settings.security_log))
    for path in (f"/record/{id}", f"/fr/record/{id}/notice", f"/record/{id}/notice.pdf", f"/api/v1/decisions/{id}"):
        assert visitor.get(path).status_code == 404
    assert visitor.post(f"/record/{id}/decide", headers={"Origin": HERE}).status_code == 404
    assert visitor.post("/desk/take", json={"of": id}, headers={"Origin": HERE}).json()["values"] is None
    sent = {"of": id, "answers": example, "seen": "1"}
    assert 'data-state="moved"' in visitor.post("/desk/score", json=sent, headers={"Origin": HERE}).text
    who = {"by": "bob", "address": "127.0.0.1", "mode": "closed"}
    assert events(settings.security_log, before) == [{"event": "record_refused", **who, "record": id}] * 7
    assert visitor.get("/record/none").status_code == 404  # no such record: nothing was refused
    assert visitor.get("/api/v1/decisions?by=ann").status_code == 403
    bearer = {"Authorization": f"Bearer {accounts.add_token('core', 'manager')}"}
    assert visitor.post(f"/record/{id}/decide", headers=bearer).status_code == 403
    found = [(one["event"], one["by"], one["why"]) for one in events(settings.security_log, before + 7)]
    assert found == [("role_refused", "bob", "own-records"), ("role_refused", "core", "people-decide")]


def test_what_is_beyond_a_limit(visitor: TestClient, settings: Settings) -> None:
    """A body that is too long is told by what it broke, and not by what it held."""
    before = len(events(settings.security_log))
    sent = {"name": "canary", "password": "x" * 5000}
    assert visitor.post("/login", data=sent, headers={"Origin": HERE}).status_code == 413
    assert events(settings.security_log, before) == [
        {"event": "limited", "address": "127.0.0.1", "why": "too-large", "mode": "closed"}
    ]


def test_no_line_is_forged(tmp_path: Path) -> None:
    """Whatever a fact holds, an event stays one line of JSON, and reads back as it was."""
    forged = 'ann\r\n{"event": "login", "user": "meg"}\u2028\x1b[2J\x00"'
    with closing(SecurityLog(tmp_path / "s.jsonl", 1, Time(NOW).clock)) as log:
        log.write("login_failed", user=forged, address=forged)
    assert events(tmp_path / "s.jsonl") == [{"event": "login_failed", "user": forged, "address": forged}]
    assert len((tmp_path / "s.jsonl").read_bytes().strip().splitlines()) == 1


def test_a_token_that_reads_metrics_reads_nothing_else(
    visitor: TestClient, settings: Settings, accounts: Accounts
) -> None:
    """Neither pages nor scores nor records."""
    bearer = {"Authorization": f"Bearer {accounts.add_token('grafana', 'metrics')}"}
    assert visitor.get("/metrics", headers=bearer).status_code == 200
    before = len(events(settings.security_log))
    paths = ["/api/v1/release", "/api/v1/decisions", "/api/v1/ledger/head", "/history", "/", "/operations"]
    for path in paths:
        assert visitor.get(path, headers=bearer).status_code == 403, path
    assert [one["event"] for one in events(settings.security_log, before)] == ["role_refused"] * len(paths)


def test_who_reads_which_record(visitor: TestClient, default_scorer: Scorer, settings: Settings) -> None:
    """Pages, the API, a search, answers that are taken back into the form; what was not shown was not read."""
    log_in(visitor, "ann")
    example = default_scorer.release.form.example
    made = visitor.post("/api/v1/score", json={"answers": example, "reference": "canary-7"}, headers={"Origin": HERE})
    id = made.json()["id"]
    before = len(events(settings.security_log))
    assert visitor.get(f"/record/{id}").status_code == 200
    assert visitor.get(f"/fr/record/{id}").status_code == 200
    assert visitor.get(f"/api/v1/decisions/{id}").status_code == 200
    assert visitor.get("/api/v1/decisions?reference=canary-7").status_code == 422
    by_reference = {"reference": "canary-7"}
    assert visitor.post("/api/v1/decisions", json=by_reference, headers={"Origin": HERE}).json()["items"]
    assert visitor.get("/history").status_code == 200
    for path in ("/history", "/fr/history"):
        assert visitor.post(path, data={"reference": "canary-7"}, headers={"Origin": HERE}).status_code == 200
    assert visitor.post("/desk/take", json={"of": id}, headers={"Origin": HERE}).json()["values"]
    assert visitor.get("/record/none").status_code == 404
    assert visitor.post("/desk/take", json={"of": "none"}, headers={"Origin": HERE}).json()["values"] is None
    who = {"event": "record_read", "by": "ann", "address": "127.0.0.1", "mode": "closed"}
    assert events(settings.security_log, before) == [
        {**who, "what": "page", "record": id},
        {**who, "what": "page", "record": id},
        {**who, "what": "api", "record": id},
        {**who, "what": "list"},
        *[{**who, "what": "history"}] * 3,
        {**who, "what": "answers", "record": id},
    ]
    assert "canary" not in str(events(settings.security_log))


@pytest.mark.slow
def test_what_the_command_line_changes(tmp_path: Path) -> None:
    """Users, roles, passwords and tokens: by whom, and never the password or the token."""
    log = tmp_path / "security.jsonl"
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": ".", "TENFOLD_USERS": str(tmp_path / "u.sqlite3"),
        "TENFOLD_SECURITY_LOG": str(log), "LOGNAME": "root-of-the-bank",
    }  # fmt: skip

    def run(*words: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "web", *words], input=given, env=environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    run("users", "add", "ann", "--role", "manager", given=f"{PASSWORD}\n")
    run("users", "role", "ann", "officer")
    run("users", "password", "ann", given=f"{PASSWORD}!\n")
    token = run("tokens", "add", "nightly", "--role", "metrics", "--days", "7")
    run("tokens", "revoke", "nightly")
    run("users", "remove", "ann")
    run("users", "remove", "ann")  # not there: nothing was changed
    by = {"by": "root-of-the-bank"}
    assert events(log) == [
        {"event": "user_added", **by, "name": "ann", "role": "manager"},
        {"event": "user_role_changed", **by, "name": "ann", "role": "officer"},
        {"event": "user_password_changed", **by, "name": "ann"},
        {"event": "token_added", **by, "name": "nightly", "role": "metrics"},
        {"event": "token_revoked", **by, "name": "nightly"},
        {"event": "user_removed", **by, "name": "ann"},
    ]
    assert token.startswith("tenfold_")
    assert token not in log.read_text()
    assert PASSWORD not in log.read_text()
    assert stat.S_IMODE(log.resolve().stat().st_mode) == 0o600


def test_strangers_cannot_fill_the_disk(tmp_path: Path) -> None:
    """So many lines of a kind a minute, then a count of those left out; other kinds are written all the same."""
    time = Time(NOW)
    log = SecurityLog(tmp_path / "s.jsonl", 1, time.clock)
    for _ in range(A_MINUTE + 50):
        log.write("login_failed", address="10.0.0.1")
    log.write("login", user="ann")
    time.now += 60
    log.write("login", user="bob")
    log.close()
    kinds = [one["event"] for one in events(tmp_path / "s.jsonl")]
    assert kinds.count("login_failed") == A_MINUTE + 1
    assert kinds.count("login") == 2
    assert {"event": "login_failed", "left_out": 50} in events(tmp_path / "s.jsonl")


def test_a_file_of_users_that_was_named_must_be_there(settings: Settings, tmp_path: Path) -> None:
    """A mount that is missing must not open the app to everybody on the computer."""
    environment = {"TENFOLD_USERS": str(tmp_path / "gone.sqlite3"), "TENFOLD_RELEASE": str(settings.release)}
    with (
        closing(Accounts(tmp_path / "gone.sqlite3")) as accounts,
        pytest.raises(BadSetting, match="there is no such file"),
    ):
        mode(Settings.from_environment(environment), accounts)
    with closing(Accounts(None)) as accounts:
        assert mode(Settings.from_environment({**environment, "TENFOLD_USERS": "off"}), accounts) == "open"


@pytest.mark.slow
def test_a_ledger_of_people_who_logged_in_is_not_opened_to_everybody(scorer: Scorer, tmp_path: Path) -> None:
    """Records of nobody in particular, and names typed where nobody logs in, are no such records."""
    settings = Settings(release=scorer.release.folder, log=None, ledger=tmp_path / "l.sqlite3", users=None)
    with closing(Ledger(tmp_path / "l.sqlite3")) as ledger:
        with visiting(create_app(scorer, settings, ledger, accounts=Accounts(None))) as client:
            id = client.post("/api/v1/score", json={"answers": scorer.release.form.example}).json()["id"]
            form = {"decision": "incomplete", "reason_incomplete": "income", "justification": "none", "name": "zoe"}
            client.post(f"/record/{id}/decide", data=form)
        check_ledger_may_be_open(ledger, settings)
        with closing(Accounts(tmp_path / "u.sqlite3", hasher=QUICK)) as accounts:
            accounts.add_user("ann", "officer", PASSWORD)
            with visiting(create_app(scorer, settings, ledger, accounts=accounts)) as client:
                log_in(client, "ann")
                sent = {"answers": scorer.release.form.example}
                assert client.post("/api/v1/score", json=sent, headers={"Origin": HERE}).status_code == 200
        with pytest.raises(BadSetting, match="TENFOLD_NO_LOGIN"):
            check_ledger_may_be_open(ledger, settings)
        for users, way in ((None, "Name the file of users in TENFOLD_USERS,"), (tmp_path / "gone", "gone) back,")):
            with pytest.raises(BadSetting, match=re.escape(way)):
                check_ledger_may_be_open(ledger, replace(settings, users=users))
        check_ledger_may_be_open(ledger, Settings(release=settings.release, no_login=True))
