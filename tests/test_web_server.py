"""The site in process: health, languages, headers, model card, Gradio's settings."""

import asyncio
import html
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from msgspec import structs
from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from parts import NO_USERS, some, visiting

from inference.manifest import Golden
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings, default_release
from ledger import queries
from ledger.ledger import Ledger
from web.desk.blocks import build_desk
from web.desk.gradio_api import Endpoint
from web.desk.gradio_import import gr
from web.operations.health import golden_problems, readiness
from web.operations.model_card import CARD
from web.pages.texts import texts_in
from web.recording import Recorder
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        release=default_release(), log=tmp_path_factory.mktemp("logs") / "predictions.jsonl", users=NO_USERS
    )


@pytest.fixture(scope="module")
def scorer(settings: Settings) -> Scorer:
    return open_scorer(settings)


@pytest.fixture(scope="module")
def client(scorer: Scorer, settings: Settings) -> Iterator[TestClient]:
    with visiting(create_app(scorer, settings), follow_redirects=False) as client:
        yield client


def build(scorer: Scorer, language: str, with_api: bool = False) -> gr.Blocks:
    """One desk, made as the server makes it: within an event loop."""

    async def within() -> gr.Blocks:
        recorder = Recorder(scorer)
        return build_desk(recorder, texts_in(language), Endpoint(recorder) if with_api else None)

    return asyncio.run(within())


def page_config(html: str) -> dict[str, Any]:
    start = html.index("window.gradio_config = ") + len("window.gradio_config = ")
    return json.JSONDecoder().raw_decode(html[start:])[0]  # type: ignore[no-any-return]


def test_livez_and_readyz(client: TestClient, scorer: Scorer) -> None:
    """Both are green, and ready says with which release."""
    assert client.get("/livez").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["digest"] == scorer.release.digest
    assert ready.json()["golden"] > 0


def test_readyz_is_red_when_a_golden_pd_differs(scorer: Scorer, settings: Settings) -> None:
    """A PD that is off by more than 1e-6 makes the server not ready, and it says which application."""
    golden = [
        Golden(answers=one.answers, pd=one.pd + 2e-6 * (at == 3))
        for at, one in enumerate(scorer.release.manifest.golden)
    ]
    release = replace(scorer.release, manifest=structs.replace(scorer.release.manifest, golden=tuple(golden)))
    off = Scorer(release, scorer.engine)
    assert [problem.split(":")[0] for problem in golden_problems(off)] == ["golden application 3"]
    with visiting(create_app(off, settings)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "golden application 3" in answer.text


def test_readyz_is_red_when_the_log_cannot_be_written(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """A log in what is no folder makes the server not ready; a log that is off does not."""
    (tmp_path / "file").touch()
    blocked = readiness(scorer, replace(settings, log=tmp_path / "file" / "predictions.jsonl"))
    assert blocked["status"] == "not ready"
    assert "log" in blocked["problems"][0]
    assert readiness(scorer, replace(settings, log=None))["status"] == "ready"
    assert readiness(scorer, replace(settings, log=Path("/proc/none/p.jsonl")))["status"] == "not ready"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["moved", "replaced by a copy", "deleted", "its log moved"])
def test_readyz_is_red_when_the_ledger_is_moved(scorer: Scorer, settings: Settings, tmp_path: Path, what: str) -> None:
    """Under a running server, before anybody asks for a score: the message names the file and what happened. Once the
    file is back, it is green again."""
    file, away = tmp_path / "ledger.sqlite3", tmp_path / "away.sqlite3"
    own = replace(settings, ledger=file)
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, own, ledger)) as client:
        assert client.get("/readyz").status_code == 200
        moved = Path(f"{file}-wal") if what == "its log moved" else file
        moved.rename(away)
        if what == "replaced by a copy":
            shutil.copy(away, file)
        if what == "deleted":
            away.unlink()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["problems"] == [
            f"ledger: {file}: the file was replaced, moved or deleted while it was in use"
        ]
        if away.exists():
            away.replace(moved)
            assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "goes"),
    [
        ("/", {"Accept-Language": "fr-CH, fr;q=0.9, en;q=0.8"}, "/fr/"),
        ("/", {"Accept-Language": "en, fr;q=0.9"}, None),
        ("/", {"Accept-Language": "de, it"}, None),
        ("/", {"Accept-Language": "fr;q=0, en;q=0.1"}, None),
        ("/", {"Accept-Language": "fr;q=x,,;;="}, None),
        ("/", {"Accept-Language": "fr", "Cookie": "lang=en"}, None),
        ("/", {"Accept-Language": "en", "Cookie": "lang=fr"}, "/fr/"),
        ("/", {"Accept-Language": "en", "Cookie": "lang=xx; lang\x01=1"}, None),
        ("/?lang=en", {"Accept-Language": "fr", "Cookie": "lang=fr"}, None),
        ("/?lang=fr", {}, "/fr/?lang=fr"),
        ("/fr", {}, "/fr/"),
        ("/fr/", {"Accept-Language": "en", "Cookie": "lang=en"}, None),
        ("/fr/?lang=en", {"Accept-Language": "fr"}, "/?lang=en"),  # a browser may refuse the cookie
        ("/fr/?lang=../../evil", {}, None),
    ],
)
def test_language_of_a_page(client: TestClient, path: str, headers: dict[str, str], goes: str | None) -> None:
    """An explicit choice wins over the cookie, the cookie over Accept-Language; a French address stays French."""
    answer = client.get(path, headers={**BROWSER, **headers})
    assert answer.headers.get("location") == goes
    assert answer.status_code == (200 if goes is None else 307)
    if goes is None:
        language = "fr" if path.startswith("/fr") else "en"
        assert f'lang="{language}"' in answer.text[:200]
        assert "<title>Tenfold" in answer.text


def test_choice_is_kept_in_a_lax_cookie(client: TestClient) -> None:
    """Only an explicit choice sets the cookie."""
    kept = client.get("/?lang=en", headers=BROWSER).headers["set-cookie"]
    assert kept.startswith("lang=en;")
    assert "SameSite=Lax" in kept
    assert "set-cookie" not in client.get("/", headers=BROWSER).headers
    client.cookies.clear()


def test_no_other_site_may_call(client: TestClient) -> None:
    """No origin gets CORS headers, neither on a page nor on Gradio's API, preflight included."""
    for origin in ("https://evil.example", "http://localhost:3000", "null"):
        for method, path in (("GET", "/gradio_api/info"), ("OPTIONS", "/gradio_api/run/predict"), ("GET", "/readyz")):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = client.request(method, path, headers=headers)
            assert "access-control-allow-origin" not in answer.headers


def test_pages_allow_nothing_from_elsewhere(client: TestClient) -> None:
    """The page's policy keeps every request at home, and the page names no other host that it would load from."""
    for path in ("/", "/fr/"):
        answer = client.get(path, headers=BROWSER)
        assert "connect-src 'self'" in answer.headers["content-security-policy"]
        assert "fonts.googleapis" not in answer.text


def test_gradio_is_set_as_decided(client: TestClient) -> None:
    """Run history, shown errors, analytics, monitoring and footer are off; the upload limit is set."""
    for path in ("/", "/fr/"):
        config = page_config(client.get(path, headers=BROWSER).text)
        assert not config["analytics_enabled"]
        assert not config["show_error"]
        assert not config["run_history"]
        assert config["footer_links"] == []
        assert config["max_file_size"] == 2**20
        assert not config["connect_heartbeat"]
    assert client.get("/monitoring").status_code != 200


@pytest.mark.parametrize(
    "path",
    [
        "/?page=x", "/fr/?page=x", "/?deep_link=x", "/?deep_link=%00&page=..", "/config?page=x", "/config?deep_link=x",
        "/gradio_api/info?page=x", "/static/" + "a" * 5000, "/assets/" + "a/" * 1000, "/static/%ff", "/static/a%00b",
        "/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/x", "/assets/", "/theme.css?x=%ff", "/gradio_api/info?%ff",
    ],
)  # fmt: skip
def test_no_address_breaks_gradio(client: TestClient, path: str) -> None:
    """What Gradio knows and our pages do not have, and names longer than a file system takes: no status 500, and so no
    stack trace in the log that a stranger can cause."""
    for headers in (BROWSER, {}):
        assert client.get(path, headers=headers).status_code in (200, 307, 403, 404)


def test_gradio_serves_the_api_alone(scorer: Scorer) -> None:
    """The one event with a server function is the API's, without the queue; the desk asks by routes of its own."""
    desk = build(scorer, "en", with_api=True)
    with_server = {fn.api_name: fn for fn in desk.fns.values() if fn.fn}
    assert with_server.keys() == {"predict_credit_score"}
    assert not with_server["predict_credit_score"].queue
    assert not [fn for fn in build(scorer, "fr").fns.values() if fn.fn]


def test_endpoint_by_calling_the_blocks(scorer: Scorer) -> None:
    """The API's function takes the fields in order and returns the score's JSON, or every problem."""
    desk = build(scorer, "en", with_api=True)
    function = next(fn.fn for fn in desk.fns.values() if fn.api_name == "predict_credit_score")
    assert function is not None
    example = list(scorer.release.form.example.values())
    assert asyncio.run(function(*example))["decision"] in ("approve", "refer", "decline")
    assert len(asyncio.run(function(*([{}] * len(example))))["problems"]) == len(example)


def card_for(client: TestClient, answers: object) -> str:
    answer = client.post("/desk/score", json={"answers": answers})
    assert answer.status_code == 200
    return answer.text


def test_markup_in_an_answer_comes_back_as_text(client: TestClient, scorer: Scorer) -> None:
    """Markup sent in place of any answer shows as text in the card."""
    page = card_for(client, dict.fromkeys(scorer.release.form.names, "<script>alert(1)</script>"))
    assert 'data-state="problems"' in page
    assert "<script" not in page


def test_odd_payloads_do_not_break_the_desk(client: TestClient, scorer: Scorer) -> None:
    """Values of any JSON type bring a card, never a stack trace; what is no JSON object at all is refused."""
    values: tuple[object, ...] = (None, {}, [], 1e308, True, "\u0000", -0.0)
    for value in values:
        assert 'class="card"' in card_for(client, dict.fromkeys(scorer.release.form.names, value))
        assert 'class="card"' in card_for(client, value)
    for path in ("/desk/score", "/fr/desk/score", "/desk/try", "/desk/take", "/desk/read"):
        for body in (b"[]", b"7", b'{"of": 7, "base": 7, "field": []}'):
            assert client.post(path, content=body, headers={"Content-Type": "application/json"}).status_code == 200
        assert client.post(path, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        assert client.post(path, data={"answers": "x"}).status_code == 415  # as a form of another site would send it
        long = b'"' + b"x" * 70_000 + b'"'
        assert client.post(path, content=long, headers={"Content-Type": "application/json"}).status_code == 413
        assert client.get(path).status_code != 200


def test_assets_are_served_by_digest(client: TestClient) -> None:
    """Style and script carry their digest in the name and may be kept; another digest is not found."""
    page = client.get("/", headers=BROWSER).text
    path = next(part for part in page.split('"') if part.startswith("desk/") and part.endswith("desk.js"))
    answer = client.get(f"/{path}")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/desk/000000000000/desk.js").status_code == 404
    assert client.get("/desk/000000000000/..%2fserver.py").status_code == 404


def test_model_card_shows_markup_as_text(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """A card is rendered with tables and pictures; markup, script links and outside pictures in it are text, and
    headings stand below the page's own. That there is no card is said."""
    (tmp_path / CARD).write_text(
        "# Card\n\n<script>x</script> [a](javascript:alert(1)) [d](../DATA.md) [e](https://example.org)\n\n"
        "|a|b|\n|-|-:|\n|1|2|\n\n![p](p.svg) ![q](https://example.org/q.svg) ![r](../../logout)\n"
    )
    scorer = replace_release(scorer, tmp_path)
    with visiting(create_app(scorer, settings)) as client:
        for up, path in (("", "/model-card"), ("../", "/fr/model-card")):
            answer = client.get(path)
            assert answer.status_code == 200
            card = answer.text.partition('<article lang="en">')[2].partition("</article>")[0]
            assert "<h2>Card</h2>" in card
            assert "<table>" in card
            assert '<td class="right">2' in card
            assert "style=" not in card
            assert "../DATA.md" not in card
            assert '<a href="https://example.org">e</a>' in card
            assert f'<img src="{up}model-card/p.svg"' in card
            assert card.count("<img") == 1
            assert "q r" in card
            assert "<script" not in card
            assert "&lt;script&gt;" in card
            assert 'href="javascript' not in card
        (tmp_path / CARD).unlink()
        for language, path in (("en", "/model-card"), ("fr", "/fr/model-card")):
            answer = client.get(path)
            assert answer.status_code == 404
            assert texts_in(language)("card.missing") in html.unescape(answer.text)


def replace_release(scorer: Scorer, folder: Path) -> Scorer:
    """The scorer, whose release lies in another folder."""
    return Scorer(replace(scorer.release, folder=folder), scorer.engine)


def test_the_model_card_has_the_strictest_policy(client: TestClient) -> None:
    """Anyone may have written a card: no script but the page's own, no address that it calls, nothing inline. The
    French page says that the card is in English."""
    for language, path in (("en", "/model-card"), ("fr", "/fr/model-card")):
        answer = client.get(path)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["img-src"] == "'self'"
        assert "connect-src" not in policy
        assert answer.text.count("<script") == 1
        assert "<style" not in answer.text
        assert (texts_in("fr")("card.in_english") in html.unescape(answer.text)) == (language == "fr")


def test_only_plots_are_served_from_the_release(client: TestClient) -> None:
    """Neither the manifest nor the model, nor anything outside, can be fetched as a plot."""
    for name in ("manifest.json", "model.ubj", "..%2fDEFAULT", ".svg", "none.svg"):
        assert client.get(f"/model-card/{name}").status_code == 404


@pytest.mark.slow
def test_the_page_of_operations_says_what_is_missing(scorer: Scorer, tmp_path: Path) -> None:
    """No log, no score yet, lines that could not be written, and lines that cannot be read."""
    off = Settings(release=default_release(), log=None, users=NO_USERS)
    with visiting(create_app(scorer, off)) as client:
        assert texts_in("fr")("operations.off") in html.unescape(client.get("/fr/operations").text)
        assert client.get("/operations?language=x").status_code == 200  # not a parameter, and no fault of the server
    log = tmp_path / "scores.jsonl"
    on = replace(off, log=log)
    with visiting(create_app(open_scorer(on), on)) as client:
        assert texts_in("en")("operations.none") in html.unescape(client.get("/operations").text)
        today = tmp_path / f"scores-{datetime.now(UTC):%Y-%m-%d}.jsonl"
        today.write_text('\n{"time": "2026-11-23T12:00:00.000000Z", "dropped": 1234}\n<b>no line\n')
        page = html.unescape(client.get("/operations").text)
    assert texts_in("en")("operations.dropped", count="1,234") in page
    assert texts_in("en")("operations.broken", count="1") in page
    assert "<b>" not in page


class Collector(TracerProvider):
    """Counts who would tell it of requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_tracer(self, instrumenting_module_name: str, *given: Any, **named: Any) -> Tracer:
        self.asked.append(instrumenting_module_name)
        return NoOpTracer()


def test_no_request_is_told_to_a_collector(client: TestClient, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI by itself tells OpenTelemetry, where a process has any, of every request; here neither ours nor Gradio's
    do."""
    collector = Collector()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", collector)
    bare = FastAPI()
    bare.get("/livez")(lambda: {})
    with TestClient(bare) as other:
        assert other.get("/livez").status_code == 200
    assert "fastapi" in collector.asked
    collector.asked.clear()
    for path in ("/", "/livez", "/api/v1/release", "/gradio_api/info", "/config"):
        assert client.get(path, headers=BROWSER).status_code == 200
    answers = list(scorer.release.form.example.values())
    assert client.post("/gradio_api/run/predict_credit_score", json={"data": answers}).status_code == 200
    assert collector.asked == []


def test_searches_hold_up_nobody(
    scorer: Scorer, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More searches than there are threads, none of which ends: /livez and /readyz are green meanwhile, and in the end
    every search is answered."""
    search, go_on = queries.cases, threading.Event()

    def slow(*asked: Any) -> Any:
        go_on.wait(60)
        return search(*asked)

    monkeypatch.setattr(queries, "cases", slow)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        ThreadPoolExecutor(70) as pool,
        visiting(create_app(scorer, settings, ledger)) as client,
    ):
        searches = [pool.submit(client.post, "/history", data={"by": "ann"}) for _ in range(60)]
        try:
            for path in ("/livez", "/readyz"):
                assert pool.submit(client.get, path).result(15).status_code == 200
            assert not any(one.done() for one in some(searches))
        finally:
            go_on.set()
        assert [one.result(60).status_code for one in searches] == [200] * 60
