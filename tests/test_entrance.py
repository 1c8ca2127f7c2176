"""Who may enter: every route of the running app without login, with the wrong role, for somebody else's record."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient
from parts import NO_USERS, Time, seen, send, visiting
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from test_accounts import PASSWORD, QUICK, three_people

from inference.errors import BadSetting
from inference.release import open_release
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings, default_release
from ledger.ledger import Ledger
from web.lender import read_lender
from web.pages.texts import texts_in
from web.security.access_mode import mode
from web.security.accounts import Accounts
from web.security.authentication import IDLE
from web.security.entrance import ALL_SEEING, COOKIE, LOGGED_IN, METERING, NOBODY, rule
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

HERE = "http://127.0.0.1"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
EXAMPLE = open_release(default_release()).form.example

# Every route of the app, as its code names it, and who may use it. `closed` are Gradio's that the entrance leaves out.
# A route that is in no list here fails the test: a new route needs a line that says who may use it.
LISTED = {
    NOBODY: "/livez /readyz /login /fr/login /invitation /fr/invitation /desk/{digest}/{name}",
    METERING: "/metrics",
    ALL_SEEING: """/history/overrides /fr/history/overrides /api/v1/ledger/head /api/v1/overrides
        /users /fr/users
        /events /fr/events /monitor /fr/monitor
        /releases /fr/releases /releases/{id} /fr/releases/{id} /releases/{id}/{name}
        /record/{id}/hold /record/{id}/release /fr/record/{id}/hold /fr/record/{id}/release""",
    LOGGED_IN: """
        /work /fr/work /work/{name} /fr/work/{name} /manage /fr/manage /password /fr/password /sessions /fr/sessions
        / /fr/ /logout /fr/logout /history /fr/history /history/export /fr/history/export
        /operations /fr/operations /performance /fr/performance /model-card
        /fr/model-card /model-card/{name}
        /desk/score /desk/try /desk/take /desk/read /fr/desk/score /fr/desk/try /fr/desk/take /fr/desk/read
        /desk/search /fr/desk/search
        /desk/compare /desk/drafts /desk/keep /desk/discard
        /fr/desk/compare /fr/desk/drafts /fr/desk/keep /fr/desk/discard
        /record/{id}/withdraw /fr/record/{id}/withdraw
        /record/{id}/assign /fr/record/{id}/assign /record/{id}/note /fr/record/{id}/note
        /record/{id}/notified /fr/record/{id}/notified /record/{id}/arrange /fr/record/{id}/arrange
        /batch /batch/columns.csv /batch/{id} /batch/{id}/progress /batch/{id}/check /batch/{id}/score
        /batch/{id}/cancel /batch/{id}/delete /batch/{id}/result /batch/{id}/rejected /batch/{id}/row
        /fr/batch /fr/batch/columns.csv /fr/batch/{id} /fr/batch/{id}/progress /fr/batch/{id}/check /fr/batch/{id}/score
        /fr/batch/{id}/cancel /fr/batch/{id}/delete /fr/batch/{id}/result /fr/batch/{id}/rejected /fr/batch/{id}/row
        /api/v1/book /api/v1/book/{id} /api/v1/book/{id}/result /api/v1/book/{id}/rejected
        /record/{id} /record/{id}/decide /record/{id}/agree /record/{id}/contest /record/{id}/notice
        /record/{id}/notice.pdf /fr/record/{id} /fr/record/{id}/decide /fr/record/{id}/agree /fr/record/{id}/contest
        /fr/record/{id}/notice /fr/record/{id}/notice.pdf
        /api/v1/score /api/v1/score:batch /api/v1/release /api/v1/decisions /api/v1/decisions/{id} /api/v1/cases
        /api/v1/work /api/v1/work/{list} /api/v1/openapi.json
        /config /theme.css /fr/theme.css /static/{path:path} /fr/static/{path:path} /assets/{path:path}
        /fr/assets/{path:path} /gradio_api/info /gradio_api/queue/join /gradio_api/queue/data
        /gradio_api/run/predict_credit_score /gradio_api/call/predict_credit_score
        /gradio_api/call/predict_credit_score/{event}
        /gradio_api/run/{api_name} /gradio_api/call/{api_name}
    """,  # the last line is Gradio's, behind ours: see test_of_gradio_itself_things_can_only_be_read
    "closed": """
        /openapi.json /svelte/{path:path} /config/ /favicon.ico /robots.txt /pwa_icon/{size} /pwa_icon /manifest.json
        /monitoring /monitoring/summary /monitoring/{key} /login/ /gradio_api/deep_link
        /gradio_api/info/ /gradio_api/openapi.json /gradio_api/proxy={url_path:path} /gradio_api/file={path_or_url:path}
        /gradio_api/file/{path:path} /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
        /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
        /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
        /gradio_api/stream/{event_id} /gradio_api/stream/{event_id}/close /gradio_api/heartbeat/{session_hash}
        /gradio_api/run/{api_name}/ /gradio_api/api/{api_name} /gradio_api/api/{api_name}/ /gradio_api/cancel
        /gradio_api/call/{api_name}/ /gradio_api/queue/status /gradio_api/upload_progress /gradio_api/upload
        /gradio_api/component_server /gradio_api/component_server/ /gradio_api/reset /gradio_api/reset/
        /gradio_api/startup-events /gradio_api/vibe-edit /gradio_api/vibe-edit/
        /gradio_api/vibe-starter-queries /gradio_api/vibe-starter-queries/ /gradio_api/undo-vibe-edit
        /gradio_api/undo-vibe-edit/ /gradio_api/vibe-code /gradio_api/vibe-code/ /gradio_api/app_id
        /gradio_api/app_id/ /gradio_api/dev/reload /gradio_api/token /gradio_api/user
        /gradio_api/user/ /gradio_api/login_check/ /gradio_api/login_check /gradio_api/token/ /gradio_api/runs/
        /gradio_api/runs /gradio_api/custom_component/{id}/{environment}/{type}/{file_name} /gradio_api/theme.css
        /gradio_api/call/v2/{api_name}/ /gradio_api/call/v2/{api_name} /gradio_api/call/v2/{api_name}/{event_id}
        /gradio_api/process_recording /gradio_api/call/{api_name}/{event_id}
    """,
}
WHO = {path: who for who, paths in LISTED.items() for path in paths.split()}


def standing_for(path: str) -> str:
    """A path as somebody would ask for it."""
    path = path.replace("{api_name}", "predict_credit_score").replace("{digest}", "0" * 12)
    path = path.replace("{event}", "0" * 32)
    path = path.replace("{name}", "x.css" if path.startswith("/desk/") else "x")
    return re.sub(r"\{[^}]*\}", "x", path)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("entrance")
    return Settings(
        release=default_release(), log=folder / "p.jsonl", ledger=folder / "l.sqlite3", users=folder / "u.sqlite3"
    )


@pytest.fixture(scope="module")
def scorer(settings: Settings) -> Scorer:
    return open_scorer(settings)


@pytest.fixture(scope="module")
def accounts(settings: Settings) -> Iterator[Accounts]:
    with closing(three_people(settings.users)) as made:
        yield made


@pytest.fixture(scope="module")
def app(scorer: Scorer, settings: Settings, accounts: Accounts) -> Iterator[TestClient]:
    """A visitor who is nobody yet."""
    assert settings.ledger is not None
    with (
        closing(Ledger(settings.ledger)) as ledger,
        visiting(create_app(scorer, settings, ledger, accounts=accounts), follow_redirects=False) as client,
    ):
        yield client


def log_in(client: TestClient, name: str, password: str = PASSWORD, **form: str) -> Any:
    return client.post("/login", data={"name": name, "password": password, **form}, headers={"Origin": HERE})


def as_person(client: TestClient, name: str) -> TestClient:
    client.cookies.clear()
    assert log_in(client, name).status_code == 303
    return client


def routes_of(routes: list[BaseRoute], before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every path of an app with its methods, those of mounted and included ones too."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(list(route.routes), before + route.path)
        elif isinstance(route, Route):
            yield before + route.path, set(route.methods or {"GET"})
        else:
            inside = getattr(route, "original_router", None) or getattr(route, "router", None)
            assert inside is not None, f"a kind of route that this test cannot look into: {type(route)}"
            prefix = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from routes_of(list(inside.routes), before + prefix)


def all_routes(client: TestClient) -> dict[str, set[str]]:
    """Those of the app, and those of the API, which stand in front of it."""
    found: dict[str, set[str]] = {}
    application: Any = client.app
    for path, methods in routes_of(application.routes):
        found.setdefault(path, set()).update(methods)
    for middleware in application.around:
        if "router" in middleware.kwargs:
            for path, methods in routes_of(middleware.kwargs["router"].routes):
                found.setdefault(path, set()).update(methods)
    return found


def test_every_route_is_in_a_list(app: TestClient) -> None:
    """And the entrance's rules say the same of it; what the French pages repeat of Gradio's API is closed."""
    found = all_routes(app)
    assert len(found) > 100
    unlisted = [path for path in found if path not in WHO and not path.startswith("/fr/")]
    assert unlisted == []
    for path in found:
        who = WHO.get(path, "closed")
        assert (rule(standing_for(path)) or "closed") == who, path
    assert WHO.keys() - found.keys() == set()


def test_of_gradio_itself_things_can_only_be_read(app: TestClient) -> None:
    """No body reaches Gradio, which keeps sessions and events that anybody invents: whatever the entrance lets through
    with another method than GET and HEAD is a route of ours. One that a later Gradio adds fails the list above."""
    application: Any = app.app
    reached = 0
    for path in all_routes(app):
        asked = standing_for(path)
        for method in ("POST", "PUT", "PATCH", "DELETE") if rule(asked) else ():
            scope: dict[str, Any] = {"type": "http", "method": method, "path": asked, "headers": []}
            there = [route for route in application.routes if route.matches(scope)[0] is Match.FULL]
            if there and isinstance(there[0], Mount):
                inside = cast(Starlette, there[0].app).routes
                assert not [one for one in inside if one.matches(scope)[0] is Match.FULL], (method, path)
            reached += bool(there)
    assert reached > 10


@pytest.mark.slow
def test_nothing_without_a_login(visitor: TestClient) -> None:
    """Every route with every method: a page leads to the login, all else is refused, and nothing of it is answered."""
    for path, methods in all_routes(visitor).items():
        who, asked = WHO.get(path, "closed"), standing_for(path)
        for method in methods | {"GET", "POST", "PUT", "DELETE"}:
            for headers in ({}, BROWSER, {"Cookie": f"{COOKIE}=x.y"}, {"Authorization": "Bearer tenfold_x"}):
                answer = visitor.request(method, asked, headers=headers)
                if who == "closed":
                    assert answer.status_code == 404, (method, path)
                elif who != NOBODY:
                    login = "/fr/login" if path.startswith("/fr/") else "/login"
                    page = headers == BROWSER and method in ("GET", "POST")
                    assert answer.status_code == (303 if page else 401), (method, path)
                    assert not page or answer.headers["location"].startswith(login), path
                    assert len(answer.content) < 200


def test_what_no_rule_names_is_not_there(visitor: TestClient) -> None:
    """Odd paths find no way around the rules, for any visitor."""
    as_person(visitor, "meg")
    for path in (
        "/API/v1/score", "//api/v1/score", "/api/v1/", "/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/docs",
        "/gradio_api/proxy=http://127.0.0.1/", "/fr/config", "/fr/gradio_api/info", "/metrics/", "/livez/x",
        "/history/overrides/", "/record/x/y", "/desk/score/", "/.git/config", "/web/lender.toml", "/logs/users.sqlite3",
    ):  # fmt: skip
        assert visitor.get(path).status_code == 404, path


def test_officers_have_no_use_of_what_is_for_managers(visitor: TestClient) -> None:
    """With the wrong role it is refused; a manager gets it."""
    for name, status in (("ann", 403), ("meg", 200)):
        as_person(visitor, name)
        for path in LISTED[ALL_SEEING].split() + LISTED[METERING].split():
            if "{id}" not in path:  # forms of a case: tests/test_keeping.py
                assert visitor.get(path).status_code == status, (name, path)


def score(client: TestClient, reference: str) -> str:
    """A score at the desk; the id of its record, as the API finds it."""
    assert client.post("/desk/score", json={"answers": EXAMPLE, "reference": reference}).status_code == 200
    found = client.post("/api/v1/decisions", json={"reference": reference}).json()["items"]
    return str(found[0]["id"])


def test_another_officers_record(visitor: TestClient) -> None:
    """It is not there: not its page, its notice, what can be done with it, its answers, nor in any list. A manager sees
    and decides it."""
    id = score(as_person(visitor, "ann"), "R-ann")
    decided = {"decision": "incomplete", "reason_incomplete": "income", "justification": "A payslip is missing."}
    assert send(visitor, id, "decide", decided)
    assert "R-ann" in visitor.get("/history").text
    assert visitor.get(f"/record/{id}").status_code == 200
    as_person(visitor, "bob")
    for language in ("", "/fr"):
        for path in ("", "/notice", "/notice.pdf"):
            assert visitor.get(f"{language}/record/{id}{path}").status_code == 404
        for action in ("decide", "agree", "contest"):
            assert visitor.post(f"{language}/record/{id}/{action}", data=decided).status_code == 404
        assert "R-ann" not in visitor.get(f"{language}/history").text
        assert visitor.post(f"{language}/desk/take", json={"of": id}).json()["values"] is None
        corrected = visitor.post(f"{language}/desk/score", json={"answers": EXAMPLE, "of": id})
        assert 'data-state="moved"' in corrected.text
        assert "ann" not in corrected.text
    assert "R-ann" not in visitor.post("/history", data={"reference": "R-ann", "by": "ann"}).text.replace(
        'value="R-ann"', ""
    )
    assert visitor.get(f"/api/v1/decisions/{id}").status_code == 404
    assert visitor.get("/api/v1/decisions/begun").status_code == 404
    assert visitor.get("/api/v1/decisions", params={"by": "ann"}).status_code == 403
    assert visitor.post("/api/v1/decisions", json={"by": "ann"}).status_code == 403
    assert id not in visitor.post("/api/v1/decisions", json={"reference": "R-ann"}).text
    as_person(visitor, "meg")
    assert "R-ann" in visitor.get("/history").text
    assert visitor.get(f"/record/{id}").status_code == 200
    assert visitor.get(f"/api/v1/decisions/{id}").json()["by"] == "ann"


def test_who_decides_is_who_logged_in(visitor: TestClient) -> None:
    """Whatever name the form holds; and the reviewer of an objection sees the case."""
    id = score(as_person(visitor, "ann"), "R-name")
    page = visitor.get(f"/record/{id}").text
    assert 'name="name"' not in page
    assert "ann" in page
    sent = {"name": "meg", "decision": "incomplete", "reason_incomplete": "income", "justification": "No payslip yet."}
    assert send(visitor, id, "decide", sent)
    objection = {"objection": "My income was not counted.", "reviewer": "nobody"}
    assert not send(visitor, id, "contest", objection)
    assert send(visitor, id, "contest", {**objection, "reviewer": "Bob"})
    after = visitor.get(f"/api/v1/decisions/{id}").json()["followed_by"]
    assert [one["by"] for one in after] == ["ann"]
    as_person(visitor, "bob")
    assert "R-name" in visitor.get("/history").text
    again = {"decision": "incomplete", "reason_incomplete": "income", "justification": "Still no payslip."}
    assert send(visitor, id, "decide", again)


@pytest.mark.slow
def test_a_manager_is_the_second_person(scorer: Scorer, settings: Settings, accounts: Accounts, tmp_path: Path) -> None:
    """Above the officers' limit the one who decided waits, and is offered nothing to agree to; a manager finds the case
    among those that wait, and agrees."""
    strict = replace(read_lender(None), second_person_above={"officer": 0})
    with closing(Ledger(tmp_path / "l.sqlite3")) as ledger:
        app = create_app(scorer, settings, ledger, strict, accounts)
        with visiting(app, follow_redirects=False) as client:
            id = score(as_person(client, "ann"), "R-second")
            sent = {"decision": "incomplete", "reason_incomplete": "income", "justification": "No payslip yet."}
            answer = client.post(f"/record/{id}/decide", data={**sent, "seen": seen(client, id)})
            assert answer.headers["x-recorded"] == "yes"
            assert 'name="agrees"' not in answer.text
            assert not send(client, id, "agree", {"agrees": "yes"})
            as_person(client, "meg")
            assert "R-second" in client.post("/history", data={"decision": "waiting"}).text
            assert 'name="agrees"' in client.get(f"/record/{id}").text
            assert send(client, id, "agree", {"agrees": "yes"})
            assert "R-second" not in client.post("/history", data={"decision": "waiting"}).text


def test_tokens_score_and_read_and_decide_nothing(visitor: TestClient, accounts: Accounts) -> None:
    """A system's scores are recorded under its name, an officer's token sees its own, and people decide."""
    for name, role in (("core", "officer"), ("audit", "manager")):
        token = accounts.add_token(name, role)
        bearer = {"Authorization": f"Bearer {token}"}
        made = visitor.post("/api/v1/score", json={"answers": EXAMPLE}, headers=bearer).json()
        names = {one["by"] for one in visitor.get("/api/v1/decisions", headers=bearer).json()["items"]}
        assert name in names
        assert (names == {"core"}) == (role == "officer")
        assert visitor.post(f"/record/{made['id']}/decide", data={}, headers=bearer).status_code == 403
        assert visitor.get("/metrics", headers=bearer).status_code == (403 if role == "officer" else 200)
        called = visitor.post(
            "/gradio_api/run/predict_credit_score", json={"data": list(EXAMPLE.values())}, headers=bearer
        )
        assert called.status_code == 200
        newest = visitor.get("/api/v1/decisions", headers=bearer).json()["items"][0]
        assert newest["by"] == name
        accounts.remove(name, "token")
        assert visitor.get("/api/v1/release", headers=bearer).status_code == 401


def test_a_wrong_call_of_gradios_api_leaves_nothing_in_the_log(
    visitor: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """Too few answers, answers of any kind, a call that there is not: whatever is logged holds no answer."""
    as_person(visitor, "ann")
    run, join = "/gradio_api/run/predict_credit_score", "/gradio_api/queue/join"
    for data in ([31337.5, "CANARY"], ["CANARY"] * 10, [{"CANARY": [31337.5]}] * 10, ["CANARY"] * 11):
        for number in range(6):
            session = f"s{number}{len(data)}"
            asked = {"data": data, "fn_index": number, "session_hash": session}
            visitor.post(run, json=asked)
            visitor.post(join, json=asked)
            visitor.get("/gradio_api/queue/data", params={"session_hash": session})
    said = "".join(capfd.readouterr())
    assert "CANARY" not in said
    assert "31337.5" not in said


def test_an_idempotency_key_is_its_clients_own(visitor: TestClient, accounts: Accounts) -> None:
    """Two clients with the same key and body get a record each."""
    made = []
    for name in ("one", "two"):
        headers = {"Authorization": f"Bearer {accounts.add_token(name, 'officer')}", "Idempotency-Key": "K"}
        answers = [visitor.post("/api/v1/score", json={"answers": EXAMPLE}, headers=headers).json() for _ in range(2)]
        assert answers[0]["id"] == answers[1]["id"]
        made.append(answers[0]["id"])
        accounts.remove(name, "token")
    assert made[0] != made[1]


def test_a_session_begins_at_login_and_ends_at_logout(visitor: TestClient) -> None:
    """A new id at each login, and the old one ends; after logging out the cookie is worth nothing."""
    first = log_in(visitor, "ann").cookies[COOKIE]
    second = log_in(visitor, "ann").cookies[COOKIE]
    assert first != second
    visitor.cookies.clear()
    for cookie, status in ((first, 401), (second, 200)):
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        assert visitor.get("/api/v1/release", headers=headers).status_code == status
    left = visitor.post("/logout", headers={"Cookie": f"{COOKIE}={second}", "Origin": HERE})
    assert left.status_code == 303
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert visitor.get("/api/v1/release", headers={"Cookie": f"{COOKIE}={second}"}).status_code == 401


def test_a_page_that_asks_by_itself_keeps_nobody_logged_in(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """The page Operations asks every few seconds: after half an hour of that alone the session is over."""
    own, time = replace(settings, ledger=None, users=tmp_path / "u.sqlite3"), Time(1_700_000_000.0)
    with closing(Accounts(own.users, time, QUICK)) as accounts:  # type: ignore[arg-type]
        accounts.add_user("ann", "officer", PASSWORD)
        with visiting(create_app(scorer, own, accounts=accounts), follow_redirects=False) as client:
            as_person(client, "ann")
            for _ in range(0, IDLE, 300):
                assert client.get("/operations").status_code == 200
                time.now += 300
            assert client.get("/api/v1/release").status_code == 200  # half an hour to the second, and somebody asks
            time.now += 300
            assert client.get("/operations").status_code == 200
            time.now += IDLE - 299
            assert client.get("/operations").status_code == 401


def test_the_cookie(visitor: TestClient) -> None:
    """No script reads it, no other site's form brings it along, and behind TLS nothing else carries it."""
    kept = log_in(visitor, "ann").headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in kept
    assert "Secure" not in kept
    behind_tls = visitor.post(
        "https://127.0.0.1/login", data={"name": "ann", "password": PASSWORD}, headers={"Origin": "https://127.0.0.1"}
    )
    assert "Secure" in behind_tls.headers["set-cookie"]
    assert behind_tls.headers["strict-transport-security"].startswith("max-age=")


def test_password_managers_may_fill_the_login(visitor: TestClient) -> None:
    """The boxes say what belongs in them, hide the password, cut nothing off and stop no paste."""
    page = visitor.get("/login", headers=BROWSER).text
    boxes = {re.search('name="([^"]+)', box)[1]: box for box in re.findall("<input[^>]*>", page)}  # type: ignore[index]
    assert 'autocomplete="username"' in boxes["name"]
    assert 'autocomplete="current-password"' in boxes["password"]
    assert 'type="password"' in boxes["password"]
    assert "maxlength" not in boxes["password"]
    assert "onpaste" not in page


def test_who_is_not_known_and_what_is_wrong_look_alike(visitor: TestClient) -> None:
    """The same page and status for a wrong password and for a name that nobody has; neither repeats the password."""
    pages = []
    for name in ("bob", "nobody"):
        answer = log_in(visitor, name, "not the password")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "not the password" not in answer.text
        pages.append(answer.text.replace(name, ""))
    assert pages[0] == pages[1]


@pytest.mark.slow
def test_too_many_tries_have_to_wait(scorer: Scorer, settings: Settings, accounts: Accounts) -> None:
    """After some failures even the right password is not tried, for any name alike, and the answer says how long."""
    app = create_app(scorer, replace(settings, ledger=None), accounts=accounts)
    with visiting(app, follow_redirects=False) as client:
        for name in ("ann", "nobody"):
            statuses = [log_in(client, name, "not the password").status_code for _ in range(7)]
            assert statuses == [401] * 5 + [429] * 2
            waiting = log_in(client, name)
            assert waiting.status_code == 429
            assert int(waiting.headers["retry-after"]) in (1, 2)
        assert log_in(client, "bob").status_code == 303


@pytest.mark.slow
def test_invented_names_keep_nobody_at_their_address_out(
    scorer: Scorer, settings: Settings, accounts: Accounts
) -> None:
    """After 22 of them somebody else at that address still logs in, from a browser that is not known."""
    app = create_app(scorer, replace(settings, ledger=None), accounts=accounts)
    with visiting(app, follow_redirects=False) as client:
        assert [log_in(client, f"nobody{at}", "not the password").status_code for at in range(22)] == [401] * 22
        assert log_in(client, "bob").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\evil", "javascript:alert(1)", "a b", "record/x?y"],
)
def test_login_leads_nowhere_else(visitor: TestClient, wanted: str) -> None:
    """Only a path of ours is followed afterwards."""
    answer = log_in(visitor, "ann", next=wanted)
    assert answer.headers["location"] == "/work"
    assert wanted not in visitor.get("/login", params={"next": wanted}, headers={"Cookie": ""}).text


def test_login_leads_to_the_page_that_was_asked_for(visitor: TestClient) -> None:
    """From a page without a session to the login and back, in its language."""
    answer = visitor.get("/fr/record/abc-1/notice", headers=BROWSER)
    assert answer.headers["location"] == "/fr/login?next=fr/record/abc-1/notice"
    page = visitor.get(answer.headers["location"], headers=BROWSER).text
    assert texts_in("fr")("login.title") in page
    assert log_in(visitor, "ann", next="fr/record/abc-1/notice").headers["location"] == "/fr/record/abc-1/notice"


def test_another_site_sends_nothing(visitor: TestClient) -> None:
    """Whatever writes is refused from a page of another site, login included, for every user."""
    as_person(visitor, "ann")
    for origin in ("https://evil.example", "http://127.0.0.1:81", "https://", "null", ""):
        for path in ("/login", "/logout", "/desk/score", "/record/x/decide", "/history", "/api/v1/score"):
            assert visitor.post(path, headers={"Origin": origin}).status_code == 403, (origin, path)
    # A proxy may have changed Host, or the scheme: the browser's own word counts.
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        origins: tuple[dict[str, str], ...] = ({}, {"Origin": "https://loans.example"}, {"Origin": HERE})
        for named in origins:
            assert visitor.post("/history", headers={**named, "Sec-Fetch-Site": site}).status_code == status
    assert visitor.post("/history", headers={"Origin": HERE}).status_code == 200


def test_sites_in_the_list_may_call(scorer: Scorer, settings: Settings, accounts: Accounts) -> None:
    """An origin of TENFOLD_ORIGINS gets CORS headers and may send; another one neither."""
    own = replace(settings, ledger=None, origins=("https://loans.example",))
    bearer = {"Authorization": f"Bearer {accounts.add_token('browser', 'officer')}"}
    with visiting(create_app(scorer, own, accounts=accounts)) as client:
        for origin, status in (("https://loans.example", 200), ("https://evil.example", 403)):
            headers = {**bearer, "Origin": origin}
            answer = client.post("/api/v1/score", json={"answers": EXAMPLE}, headers=headers)
            assert answer.status_code == status
            asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            asks["Access-Control-Request-Headers"] = "authorization,content-type"
            allowed = client.options("/api/v1/score", headers=asks).headers.get("access-control-allow-origin")
            assert (answer.headers.get("access-control-allow-origin"), allowed) == (
                (origin, origin) if status == 200 else (None, None)
            )
    accounts.remove("browser", "token")


@pytest.mark.slow
def test_open_to_this_machine_alone(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """Without users: to its own addresses, by its own names; not through a proxy, nor for a site whose name leads here.
    From the first user on everybody has to log in, without a restart, and then until one."""
    alone = replace(settings, ledger=None, users=tmp_path / "u.sqlite3")
    accounts = Accounts(alone.users, hasher=QUICK)
    app = create_app(scorer, alone, accounts=accounts)
    with visiting(app) as client, closing(accounts):
        assert client.post("/api/v1/score", json={"answers": EXAMPLE}).status_code == 200
        assert texts_in("en")("banner.open") in client.get("/", headers=BROWSER).text
        for host, status in (
            ("localhost:7860", 200),
            ("[::1]:7860", 200),
            ("evil.example", 421),
            ("", 421),
            ("[", 421),
        ):
            assert client.get("/api/v1/release", headers={"Host": host}).status_code == status, host
        with TestClient(app, HERE, client=("192.0.2.7", 1)) as stranger:
            assert stranger.get("/api/v1/release").status_code == 403
        with closing(Accounts(alone.users, hasher=QUICK)) as other:
            other.add_user("ann", "officer", PASSWORD)
            assert client.get("/api/v1/release").status_code == 401
            other.remove("ann", "user")
        assert client.get("/api/v1/release").status_code == 401


def test_where_it_may_start(settings: Settings, accounts: Accounts, tmp_path: Path) -> None:
    """Beyond this machine only with users, or as a public demonstration without a ledger and without users."""
    nobody = Accounts(tmp_path / "none")
    for host in ("0.0.0.0", "192.168.1.7", "::", "loans.example"):  # noqa: S104 - refused
        open_to_others = replace(settings, host=host, ledger=None)
        with pytest.raises(BadSetting, match=r"python -m web users add NAME.*TENFOLD_PUBLIC_DEMO"):
            mode(open_to_others, nobody)
        assert mode(open_to_others, accounts) == "closed"
        assert mode(replace(open_to_others, public_demo=True), nobody) == "demo"
    for host in ("127.0.0.1", "localhost", "::1", "127.3.2.1"):
        assert mode(replace(settings, host=host), nobody) == "open"
    with pytest.raises(BadSetting, match="nothing is written to disk"):
        mode(replace(settings, public_demo=True), nobody)
    with pytest.raises(BadSetting, match="there are users"):
        mode(replace(settings, public_demo=True, ledger=None), accounts)


def test_frames_only_where_nobody_logs_in(settings: Settings, accounts: Accounts, tmp_path: Path) -> None:
    """Where people log in, a page in another site's frame could be clicked unseen: the start is refused."""
    framed, nobody = replace(settings, frames=("https://a.example",)), Accounts(tmp_path / "none")
    assert mode(framed, nobody) == "open"
    assert mode(replace(framed, public_demo=True, ledger=None), nobody) == "demo"
    with pytest.raises(BadSetting, match=r"TENFOLD_FRAMES.*there are users"):
        mode(framed, accounts)
    with pytest.raises(BadSetting, match=r"TENFOLD_FRAMES.*TENFOLD_TRUSTED_HEADER"):
        mode(replace(framed, trusted_header="remote-user"), nobody)


NAMED = b"'self' https://a.example https://*.b.example"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frames", "desk", "others"),
    [
        ((), b"'self' https://huggingface.co https://*.hf.space", b"'self'"),
        (("none",), b"'self'", b"'self'"),
        (("https://a.example", "https://*.b.example"), NAMED, NAMED),
    ],
)  # fmt: skip
def test_who_may_show_a_page_in_a_frame(
    default_scorer: Scorer, settings: Settings, frames: tuple[str, ...], desk: bytes, others: bytes
) -> None:
    """As TENFOLD_FRAMES says, on every page; what is not a page is in no frame."""
    own = replace(settings, frames=frames, ledger=None, users=NO_USERS)
    with visiting(create_app(default_scorer, own)) as client:
        for path, expected in (("/", desk), ("/model-card", others), ("/manage", others), ("/readyz", b"'none'")):
            answer = client.get(path, headers={"Accept": "text/html"})
            policies = [value for name, value in answer.headers.raw if name == b"content-security-policy"]
            assert [policy.rpartition(b"frame-ancestors ")[2] for policy in policies] == [expected], path


@pytest.mark.slow
def test_a_file_of_users_that_fails_lets_nobody_in(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """Damaged while the app runs: nobody gets in, and nobody is taken for nobody."""
    users = tmp_path / "u.sqlite3"
    own = replace(settings, ledger=None, users=users)
    accounts = Accounts(users, hasher=QUICK)
    accounts.add_user("ann", "officer", PASSWORD)
    with visiting(create_app(scorer, own, accounts=accounts)) as client:
        accounts.close()
        users.write_bytes(b"")
        for path in ("/api/v1/release", "/", "/history"):
            answer = client.get(path, headers={"Cookie": f"{COOKIE}=x.y"})
            assert answer.status_code == 503
            assert str(tmp_path) not in answer.text


def test_only_who_is_known_hears_more_than_ready(visitor: TestClient) -> None:
    """A load balancer learns whether it is ready; paths and releases are for people."""
    assert visitor.get("/readyz").json() == {"status": "ready"}
    assert "ledger" in as_person(visitor, "ann").get("/readyz").json()


def test_safe_headers_are_on_every_answer(visitor: TestClient) -> None:
    """Pages, files, errors, refusals."""
    as_person(visitor, "meg")
    for path in ("/", "/fr/", "/history", "/operations", "/model-card", "/fr/model-card", "/login", "/livez",
                 "/config", "/theme.css", "/api/v1/release", "/record/none", "/nothing", "/metrics",
                 "/desk/000000000000/x.css"):  # fmt: skip
        headers = visitor.get(path, headers=BROWSER).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path
        policy = headers["content-security-policy"]
        assert "frame-ancestors" in policy, path
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0], path


def test_safe_headers_are_on_the_answer_about_a_fault(scorer: Scorer, settings: Settings) -> None:
    """A page that raises: FastAPI answers for it, and says nothing of the fault."""

    async def faulty(request: Request) -> Response:
        raise RuntimeError("the text of a fault")

    own = create_app(scorer, replace(settings, ledger=None, users=None))
    own.router.routes.insert(0, Route("/model-card/faulty", faulty))
    with visiting(own, raise_server_exceptions=False) as client:
        answer = client.get("/model-card/faulty", headers=BROWSER)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors" in answer.headers["content-security-policy"]


def test_scripts_in_the_page_are_named_by_their_hash(visitor: TestClient) -> None:
    """The desk's policy holds a hash for each script that stands in it, and no other inline script would run."""
    answer = as_person(visitor, "ann").get("/", headers=BROWSER)
    policy = answer.headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
    inline = re.findall(r"<script(?![^>]*src=)[^>]*>", answer.text)
    assert len(inline) == policy.count("'sha256-") > 3


def test_the_desk_says_who_is_there(visitor: TestClient) -> None:
    """Name, role and the way out, on the desk and on plain pages."""
    as_person(visitor, "ann")
    for path in (f"{home}{page}" for home in ("/", "/fr/") for page in ("", "history", "operations", "model-card")):
        page = visitor.get(path, headers=BROWSER).text
        texts = texts_in("fr" if path.startswith("/fr") else "en")
        assert f"ann ({texts('role.officer')})" in page
        assert texts("visitor.leave") in page


def test_every_page_has_the_way_out(scorer: Scorer, settings: Settings, accounts: Accounts, tmp_path: Path) -> None:
    """Also the model card, the notice and the page that says that there is no letter: the form leads to the logout."""
    example = read_lender(None)
    words = {part: dict.fromkeys(texts, "Words.") for part, texts in example.notice.items()}
    lender = replace(example, name="Bank", address="Street 1", notice=words)
    with (
        closing(Ledger(tmp_path / "l.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, lender, accounts), follow_redirects=False) as client,
    ):
        id = score(as_person(client, "ann"), "R-out")
        sent = {"decision": "incomplete", "reason_incomplete": "income", "justification": "No payslip yet."}
        assert send(client, id, "decide", sent)
        pages = [
            "/",
            "/history",
            "/operations",
            "/model-card",
            f"/record/{id}",
            f"/record/{id}/notice",
            "/record/none",
        ]
        for path in [*pages, *(f"/fr{page}" for page in pages)]:
            page = client.get(path, headers=BROWSER)
            assert page.status_code == (404 if path.endswith("none") else 200), path
            out = re.search(r'<form method="post" action="([^"]*)"', page.text)
            assert out is not None, path
            base = re.search(r'<base href="([^"]+)"', page.text)
            leads = urljoin(urljoin(f"{HERE}{path}", base[1] if base else ""), out[1])
            assert leads == f"{HERE}{'/fr' if path.startswith('/fr') else ''}/logout", path
