"""The API in process, with a real ledger: scores recorded, batches, problems, idempotency, lists, metrics."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import NAMES, NO_USERS, newest, sealed, send, some, visiting
from prometheus_client.parser import text_string_to_metric_families

from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger.ledger import Ledger
from ledger.store import Store
from ledger.verify import verify
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

API = "/api/v1"


@pytest.fixture(scope="module", params=NAMES)
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("api")
    return Settings(
        release=newest(request.param), log=folder / "p.jsonl", ledger=folder / "ledger.sqlite3", users=NO_USERS
    )


@pytest.fixture(scope="module")
def scorer(settings: Settings) -> Scorer:
    return open_scorer(settings)


@pytest.fixture(scope="module")
def client(scorer: Scorer, settings: Settings) -> Iterator[TestClient]:
    assert settings.ledger
    with closing(Ledger(settings.ledger)) as ledger, visiting(create_app(scorer, settings, ledger)) as client:
        yield client


@pytest.fixture
def item(scorer: Scorer) -> dict[str, Any]:
    return {"answers": dict(scorer.release.form.example), "reference": "A-1"}


def records(settings: Settings) -> int:
    assert settings.ledger
    with closing(Store(settings.ledger)) as opened:
        found = verify(opened)
    assert found.problem is None
    return found.records


def test_a_score_is_recorded_before_it_is_told(
    client: TestClient, scorer: Scorer, settings: Settings, item: dict[str, Any]
) -> None:
    """The answer is that of the scorer, and its record can be looked up with all that led to it."""
    before = records(settings)
    answer = client.post(f"{API}/score", json=item)
    assert answer.status_code == 200
    told = answer.json()
    expected = scorer.score(item["answers"])
    assert (told["pd"], told["points"], told["decision"]) == (expected.pd, expected.points, expected.decision)
    assert told["recorded"]["seq"] == before + 1 == records(settings)
    found = client.get(f"{API}/decisions/{told['id']}").json()
    assert found["hash"] == told["recorded"]["hash"]
    assert found["personal"]["reference"] == "A-1"
    assert found["personal"]["answers"].keys() == item["answers"].keys()
    assert found["release"] == scorer.release.digest
    assert client.get(f"{API}/ledger/head").json() == {"seq": before + 1, "hash": found["hash"]}
    assert answer.headers["cache-control"] == "no-store"


def test_every_bad_field_is_listed(client: TestClient, scorer: Scorer, settings: Settings) -> None:
    """422 as application/problem+json, and no record."""
    before = records(settings)
    answer = client.post(f"{API}/score", json={"answers": {"nothing": "<b>"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:tenfold:invalid-application"
    assert [one["field"] for one in problem["errors"]] == [*scorer.release.form.names, "'nothing'"]
    assert records(settings) == before


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"{", {}, 400, "no-json"),
        (b"", {}, 400, "no-json"),
        (b"\xff", {}, 400, "no-json"),
        (b'{"answers": NaN}', {}, 400, "no-json"),
        (b"[]", {}, 422, "invalid-request"),
        (b"{}", {}, 422, "invalid-request"),
        (b'{"answers": []}', {}, 422, "invalid-request"),
        (b'{"answers": {}, "extra": 1}', {}, 422, "invalid-request"),
        (b'{"answers": {}, "reference": 7}', {}, 422, "invalid-request"),
        (b'{"answers": {}, "reference": ""}', {}, 422, "invalid-request"),
        (b'{"answers": {}, "reference": "a\\nb"}', {}, 422, "invalid-request"),
        (b'{"answers": {}, "reference": "' + b"a" * 101 + b'"}', {}, 422, "invalid-request"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "no-json"),
        (b'{"answers": {}}', {"Idempotency-Key": "k" * 201}, 400, "invalid-request"),
        (b'{"answers": {}}', {"Idempotency-Key": "caf\xe9".encode("latin-1")}, 400, "invalid-request"),
        (b"[" + b" " * (64 << 10), {}, 413, "too-large"),
    ],
)
def test_requests_that_are_none(
    client: TestClient, body: bytes, headers: dict[str, Any], status: int, kind: str
) -> None:
    """Each is refused with what is wrong with it."""
    answer = client.post(f"{API}/score", content=body, headers={"Content-Type": "application/json", **headers})
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tenfold:{kind}")
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("body", "kind", "title"),
    [
        (b"", "application/json", "The body is empty"),
        (b'{"answers": {"amount": 77123,}}', "application/json", "The body is not JSON, from line 1, column 29 on"),
        (b"amount=77123", "application/x-www-form-urlencoded", "Content-Type: application/json is needed"),
        (b'{"answers": {"amount": 77123}}', "", "Content-Type: application/json is needed"),
        (b"[77123]", "application/json", "The body is JSON, but not an object"),
        (
            b'{"amount": 77123}',
            "application/json",
            'An application is {"answers": {…}}, with a "reference" if you like',
        ),
    ],
)
@pytest.mark.parametrize("path", ["score", "score:batch"])
def test_a_refusal_says_what_to_send(
    client: TestClient, scorer: Scorer, path: str, body: bytes, kind: str, title: str
) -> None:
    """With the release's own example, which is scored once it is whole; with nothing of what was sent."""
    answer = client.post(f"{API}/{path}", content=body, headers={"Content-Type": kind})
    problem = answer.json()
    if path == "score" or not title.startswith("An app"):
        assert problem["title"] == title
    form = scorer.release.form
    assert all(name in problem["detail"] for name in some(form.names))
    assert json.dumps(form.names[0]) + ":" in problem["detail"]
    shown = problem["detail"].removeprefix("Send ").partition(" as application/json")[0]
    others = json.dumps(form.example)[1:-1]
    whole = json.loads(shown.replace(", …]", "]").replace("…", others))
    assert client.post(f"{API}/{path}", json=whole).status_code == 200
    assert "77123" not in answer.text


@pytest.mark.parametrize("path", ["decisions", "cases"])
def test_a_list_says_what_it_can_be_asked(client: TestClient, path: str) -> None:
    """Of a body that cannot be read, and of a parameter that there is not."""
    for content, headers in ((b"", {"Content-Type": "application/json"}), (b"{}", {"Content-Type": "text/plain"})):
        assert '{"limit": 50}' in client.post(f"{API}/{path}", content=content, headers=headers).json()["detail"]
    assert "limit, before" in client.get(f"{API}/{path}?size=3").json()["detail"]
    assert (
        client.post(f"{API}/{path}", json={"size": 3})
        .json()["detail"]
        .endswith({"decisions": "kind, by, decision, reference", "cases": "decision, overridden"}[path])
    )


def test_invalid_filters_and_paths_say_what_is_valid(client: TestClient) -> None:
    assert "a day such as 2026-01-31" in client.get(f"{API}/cases?since=yesterday").json()["detail"]
    for answer in (client.get(f"{API}/scores"), client.delete(f"{API}/score")):
        assert answer.json()["detail"] == f"{API}/openapi.json describes the whole"


@pytest.mark.slow
def test_each_item_of_a_batch_on_its_own(
    client: TestClient, scorer: Scorer, settings: Settings, item: dict[str, Any]
) -> None:
    """Good ones are scored and recorded, bad ones say why, in their order."""
    before = records(settings)
    answer = client.post(f"{API}/score:batch", json={"items": [item, {"answers": {}}, 7, item]})
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [one["status"] for one in items] == [200, 422, 422, 200]
    assert items[0]["pd"] == items[3]["pd"] == scorer.score(item["answers"]).pd
    assert len(items[1]["errors"]) == len(scorer.release.form.fields)
    assert records(settings) == before + 2
    thousand = client.post(f"{API}/score:batch", json={"items": [item] * 1000}).json()["items"]
    assert {one["status"] for one in thousand} == {200}
    assert len({one["id"] for one in thousand}) == 1000
    bodies: tuple[dict[str, Any], ...] = ({"items": [item] * 1001}, {"items": []}, {"items": 1}, {"more": []})
    for body in bodies:
        assert client.post(f"{API}/score:batch", json=body).status_code == 422


def test_the_same_key_gives_the_same_record(client: TestClient, settings: Settings, item: dict[str, Any]) -> None:
    """One score, one batch: repeated they are told again, not made again; another body is refused."""
    before = records(settings)
    key = {"Idempotency-Key": "one"}
    first = client.post(f"{API}/score", json=item, headers=key).json()
    assert client.post(f"{API}/score", json=item, headers=key).json() == first
    other = client.post(f"{API}/score", json={**item, "reference": "B"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:tenfold:idempotency-key-reused")
    batch = {"items": [item, item]}
    found = client.post(f"{API}/score:batch", json=batch, headers=key).json()
    assert client.post(f"{API}/score:batch", json=batch, headers=key).json() == found
    assert len({one["id"] for one in found["items"]}) == 2
    assert records(settings) == before + 3


def test_lists_are_paged_and_filtered(client: TestClient, item: dict[str, Any]) -> None:
    """The newest first; `next` leads through all of them without a gap or a repeat; answers are not listed."""
    for at in range(5):
        client.post(f"{API}/score", json={**item, "reference": f"paged {at}"})
    seen, before = [], None
    while True:
        page = client.get(f"{API}/decisions", params={"limit": 2, **({"before": before} if before else {})}).json()
        seen += [one["seq"] for one in page["items"]]
        before = page["next"]
        if before is None or len(seen) > 6:
            break
    assert seen == list(range(seen[0], seen[0] - len(seen), -1))
    refused = client.get(f"{API}/decisions", params={"reference": "paged 3"})
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:tenfold:invalid-request"
    assert f"POST {API}/decisions" in refused.json()["detail"]
    assert "paged" not in refused.text
    found = client.post(f"{API}/decisions", json={"reference": "paged 3", "kind": "scored", "limit": 5}).json()["items"]
    assert [one["reference"] for one in found] == ["paged 3"]
    assert "personal" not in found[0]
    assert client.get(f"{API}/decisions", params={"kind": "begun"}).json()["items"][0]["seq"] == 1
    for query in ("limit=0", "limit=201", "limit=x", "before=-1", "sort=pd"):
        assert client.get(f"{API}/decisions?{query}").status_code == 422
    for body in ({"limit": "5"}, {"reference": 5}, {"kind": None}, {"sort": "pd"}, {"before": 0}):
        assert client.post(f"{API}/decisions", json=body).status_code == 422, body
    assert client.get(f"{API}/decisions/none").status_code == 404


def test_the_release_says_what_it_asks_for(client: TestClient, scorer: Scorer) -> None:
    found = client.get(f"{API}/release").json()
    assert found["digest"] == scorer.release.digest
    assert [one["name"] for one in found["fields"]] == list(scorer.release.form.names)
    assert all(one["bounds"] for one in some(found["fields"]))
    assert found["metrics"]
    assert client.get(found["model_card"]).status_code == 200


def test_the_description_has_examples_that_work(client: TestClient) -> None:
    """Each example of the OpenAPI document is accepted, and every reference in it leads somewhere."""
    document = client.get(f"{API}/openapi.json").json()
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    contents = {path: post["requestBody"]["content"] for path, post in posts.items()}
    assert {path for path, content in contents.items() if "application/json" not in content} == {
        f"{API}/book"
    }  # a file
    for path, content in some((path, content) for path, content in contents.items() if path != f"{API}/book"):
        assert client.post(path, json=content["application/json"]["example"]).status_code == 200
    for name in some({part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}):
        assert name in document["components"]["schemas"]


def test_metrics_count_what_happened(client: TestClient, item: dict[str, Any]) -> None:
    """In Prometheus's own format: scores by stage and decision, refusals, the ledger."""

    def read() -> dict[str, float]:
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {f"{one.name}{one.labels.get('stage', one.labels.get('decision', ''))}": one.value for one in samples}

    before = read()
    decision = client.post(f"{API}/score", json=item).json()["decision"]
    client.post(f"{API}/score", json={"answers": {}})
    after = read()
    assert after["tenfold_score_seconds_counttotal"] == before["tenfold_score_seconds_counttotal"] + 1
    assert after["tenfold_score_seconds_sumpredict"] > before["tenfold_score_seconds_sumpredict"]
    assert after[f"tenfold_decisions_total{decision}"] == before[f"tenfold_decisions_total{decision}"] + 1
    assert after["tenfold_refused_total"] == before["tenfold_refused_total"] + 1
    assert after["tenfold_ledger_up"] == 1


@pytest.mark.slow
def test_without_a_ledger(scorer: Scorer, settings: Settings, item: dict[str, Any]) -> None:
    """Scores are told as not recorded; there is nothing to look up."""
    with visiting(create_app(scorer, settings)) as client:
        assert client.post(f"{API}/score", json=item).json()["recorded"] is None
        for path in ("decisions", "decisions/x", "ledger/head"):
            answer = client.get(f"{API}/{path}")
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:tenfold:no-ledger")
        assert client.get("/readyz").json()["ledger"] == "off"


@pytest.mark.slow
def test_no_record_no_answer(scorer: Scorer, settings: Settings, tmp_path: Path, item: dict[str, Any]) -> None:
    """With the ledger's file gone the API, Gradio's endpoint and the desk give no decision, and /readyz is red."""
    file = tmp_path / "gone.sqlite3"
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, settings, ledger)) as client:
        assert client.get("/readyz").status_code == 200
        file.unlink()
        answer = client.post(f"{API}/score", json=item)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tenfold:not-recorded")
        assert str(file) not in answer.text
        assert "pd" not in answer.json()
        batch = client.post(f"{API}/score:batch", json={"items": [item]})
        assert batch.status_code == 503
        endpoint = {"data": list(item["answers"].values())}
        told = client.post("/gradio_api/run/predict_credit_score", json=endpoint).json()["data"][0]
        assert told.keys() == {"problem"}
        held = {name: str(answer) for name, answer in item["answers"].items()}
        assert 'data-state="unrecorded"' in client.post("/desk/score", json={"answers": held}).text
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "replaced, moved or deleted" in ready.json()["problems"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "personal",
    ['["secret"]', '{"answers": "secret"}', '{"answers": {"AMOUNT": "secret"}, "row": "", "reference": ""}'],
)
def test_a_record_that_was_damaged(
    scorer: Scorer, settings: Settings, tmp_path: Path, item: dict[str, Any], personal: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Its page, its notice, the history and the API show it, or say that it cannot be read; the log keeps no answer."""
    file = tmp_path / "ledger.sqlite3"
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, settings, ledger)) as client:
        id = client.post(f"{API}/score", json=item).json()["id"]
        said = {"name": "Ann", "decision": "incomplete", "reason_incomplete": "income", "justification": "A sentence."}
        assert send(client, id, "decide", said)
        with closing(sqlite3.connect(file)) as other:
            other.execute("DROP TRIGGER personal_update")
            personal = personal.replace("AMOUNT", scorer.release.form.names[0])
            other.execute("UPDATE personal SET body = ?", (personal,))
            other.commit()
        pages = (f"/record/{id}", f"/fr/record/{id}/notice", f"/record/{id}/notice.pdf", "/history", f"{API}/decisions")
        for path in (*pages, f"{API}/decisions/{id}"):
            assert client.get(path).status_code in (200, 503), path
        assert client.get(f"/record/{id}").status_code == (503 if "row" not in personal else 200)
        assert client.get("/livez").status_code == 200
    assert "secret" not in caplog.text


def test_what_there_is_not_is_a_problem_too(client: TestClient) -> None:
    """Another path, another method."""
    nowhere, method = client.get(f"{API}/nowhere"), client.delete(f"{API}/score")
    odd = client.get(f"{API}/decisions/%0Aa%0A")
    assert (nowhere.status_code, method.status_code, odd.status_code) == (404, 405, 404)
    assert {one.headers["content-type"] for one in (nowhere, method, odd)} == {"application/problem+json"}
    assert method.headers["allow"] == "POST"


def test_an_answer_names_the_release_that_its_record_names(
    client: TestClient, scorer: Scorer, settings: Settings, item: dict[str, Any]
) -> None:
    """Name and whole digest, in each answer of a batch too, and on a server that keeps no records."""
    expected = (scorer.release.name, scorer.release.digest)
    told = [client.post(f"{API}/score", json=item).json()]
    told += client.post(f"{API}/score:batch", json={"items": [item, item]}).json()["items"]
    assert len(told) == 3
    for answer in told:
        assert (answer["release_name"], answer["release"]) == expected
        record = client.get(f"{API}/decisions/{answer['id']}").json()
        assert (record["release_name"], record["release"]) == expected
    unrecorded = Settings(release=settings.release, log=None, ledger=None, users=NO_USERS)
    with visiting(create_app(scorer, unrecorded, None)) as alone:
        answer = alone.post(f"{API}/score", json=item).json()
    assert answer["recorded"] is None
    assert (answer["release_name"], answer["release"]) == expected


def test_an_application_for_another_release_is_not_scored(
    client: TestClient, scorer: Scorer, settings: Settings, item: dict[str, Any]
) -> None:
    """A client may name the release that it expects, by digest or name: 409 for any other, and no record."""
    for expected in (scorer.release.digest, scorer.release.name):
        assert client.post(f"{API}/score", json={**item, "release": expected}).status_code == 200
        assert client.post(f"{API}/score:batch", json={"items": [item], "release": expected}).status_code == 200
    before = records(settings)
    for other in ("0" * 64, "own-000000000000", "", None, 3, [scorer.release.digest]):
        for path, body in (("score", item), ("score:batch", {"items": [item]})):
            answer = client.post(f"{API}/{path}", json={**body, "release": other})
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:tenfold:another-release"), other
    assert records(settings) == before


def test_a_repeated_request_has_the_release_that_scored_it(tmp_path: Path) -> None:
    """After another release has taken the server's place, the same key gives the first record, with its own release."""
    ledger, answers = tmp_path / "ledger.sqlite3", []
    source = newest("consumer")
    manifest = json.loads((source / "manifest.json").read_text("utf-8"))
    other = sealed(shutil.copytree(source, tmp_path / "other"), {**manifest, "date": "2027-01-01"})
    for folder in (source, other):
        settings = Settings(release=folder, log=None, ledger=ledger, users=NO_USERS)
        served = open_scorer(settings)
        with closing(Ledger(ledger)) as opened, visiting(create_app(served, settings, opened)) as client:
            body, key = {"answers": dict(served.release.form.example)}, {"Idempotency-Key": "k1"}
            answers.append(client.post(f"{API}/score", json=body, headers=key).json())
            answers.append(client.post(f"{API}/score", json=body).json())
    first, _, again, new = answers
    assert again == first
    assert first["release"] != new["release"]
    assert records(settings) == 4
