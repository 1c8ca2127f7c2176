"""Gradio's API: what gradio_client is told, how much waits to be fetched, for whom, and how long."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from inference.scorer import Scorer
from inference.settings import Settings
from web.desk import waiting_answers
from web.desk.waiting_answers import Full, UnreadAnswers
from web.security.limits import Sender
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

RUN, CALL = "/gradio_api/run/predict_credit_score", "/gradio_api/call/predict_credit_score"
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
ANN, BOB = Sender("ann", True), Sender("bob", True)


@pytest.fixture
def answers(default_scorer: Scorer) -> list[object]:
    return list(default_scorer.release.form.example.values())


def messages(client: TestClient, session: str) -> list[dict[str, Any]]:
    """What the stream of a session brings until it ends."""
    told = client.get(DATA, params={"session_hash": session})
    assert told.headers["content-type"].startswith("text/event-stream")
    return [json.loads(part.removeprefix("data: ")) for part in told.text.split("\n\n") if part]


def test_three_ways_to_the_same_answer(client: TestClient, answers: list[object]) -> None:
    """A plain call, a call and its event, a join and its session's stream."""
    [at_once] = client.post(RUN, json={"data": answers}).json()["data"]
    event = client.post(CALL, json={"data": answers}).json()["event_id"]
    first, second, _ = client.get(f"{CALL}/{event}").text.split("\n", 2)
    assert first == "event: complete"
    [called] = json.loads(second.removeprefix("data: "))
    joined = client.post(JOIN, json={"data": answers, "fn_index": 0, "session_hash": "s-1"}).json()["event_id"]
    done, end = messages(client, "s-1")
    assert (done["msg"], done["event_id"], done["success"], end["msg"]) == (
        "process_completed", joined, True, "close_stream",
    )  # fmt: skip
    [streamed] = done["output"]["data"]
    assert at_once["pd"] == called["pd"] == streamed["pd"]
    assert at_once["decision"] in ("approve", "refer", "decline")


def test_an_answer_is_given_once(client: TestClient, answers: list[object]) -> None:
    """Afterwards, and under ids that nobody was given, there is nothing, and no error of the server."""
    event = client.post(CALL, json={"data": answers}).json()["event_id"]
    assert [client.get(f"{CALL}/{event}").status_code for _ in range(2)] == [200, 404]
    client.post(JOIN, json={"data": answers, "session_hash": "s-2"})
    assert [client.get(DATA, params={"session_hash": "s-2"}).status_code for _ in range(2)] == [200, 404]
    assert client.get(DATA).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {}, [], 7, {"data": "x"}, {"data": []}, {"data": ["x"] * 9}, {"data": ["x"] * 11}, {"data": {"amount": 1}},
    ],
)  # fmt: skip
def test_a_call_of_another_shape_is_refused(client: TestClient, asked: Any) -> None:
    """With the reason where Gradio's clients look for it; nothing is scored."""
    for path in (RUN, CALL, JOIN):
        sent = {**asked, "session_hash": "s"} if isinstance(asked, dict) else asked
        told = client.post(path, json=sent)
        assert told.status_code == 400
        assert told.json()["error"] == told.json()["detail"] != ""
    assert client.get(DATA, params={"session_hash": "s"}).status_code == 404


@pytest.mark.parametrize("session", [None, "", "x" * 65, "a b", "é", 7, ["s"], "s\n"])
def test_a_session_has_a_short_name(client: TestClient, answers: list[object], session: object) -> None:
    """Gradio would keep any, of any length, for as long as the server runs."""
    assert client.post(JOIN, json={"data": answers, "session_hash": session}).status_code == 400


@pytest.mark.slow
def test_what_gradio_knows_does_not_grow(client: TestClient, answers: list[object]) -> None:
    """Hundreds of invented sessions and events leave no session, event or message in Gradio."""
    for number in range(300):
        client.post(RUN, json={"data": answers, "session_hash": f"r{number}", "event_id": f"e{number}"})
        client.post(JOIN, json={"data": answers, "session_hash": f"j{number}", "event_data": "x" * 1000})
    application: Any = client.app
    mounts = [route.app for route in application.routes if hasattr(route, "app") and hasattr(route.app, "get_blocks")]
    assert len(mounts) == 2
    for mount in mounts:
        queue = mount.get_blocks()._queue
        kept = (queue.pending_messages_per_session, queue.pending_event_ids_session, queue.event_ids_to_events)
        assert [len(one) for one in (*kept, queue.event_analytics, mount.state_holder.session_data)] == [0] * 5


def scores(client: TestClient) -> int:
    """How many applications a server has scored."""
    found = re.findall(r"^tenfold_decisions_total\{[^}]*\} ([0-9.]+)$", client.get("/metrics").text, re.MULTILINE)
    return int(sum(map(float, found)))


@pytest.mark.slow
def test_more_than_a_share_is_refused_before_it_is_scored(
    default_scorer: Scorer, settings: Settings, answers: list[object]
) -> None:
    """In a demo each network has a share: one that fetches nothing is told to, and others go on. Nothing is scored
    whose answer could not be kept."""
    app = create_app(default_scorer, replace(settings, public_demo=True))
    with TestClient(app) as greedy, TestClient(app, client=("192.0.2.7", 1)) as other:
        ask = [{"data": answers, "session_hash": f"s{number}"} for number in range(waiting_answers.SHARE + 5)]
        assert [greedy.post(JOIN, json=one).status_code for one in ask] == [200] * waiting_answers.SHARE + [503] * 5
        assert scores(greedy) == waiting_answers.SHARE
        assert greedy.post(CALL, json=ask[0]).status_code == 503
        assert scores(greedy) == waiting_answers.SHARE
        assert other.post(JOIN, json=ask[0]).status_code == 200
        assert len(messages(other, "s0")) == 2  # one's own, and not the other network's of the same name
        assert len(messages(greedy, "s0")) == 2
        assert greedy.post(JOIN, json=ask[0]).status_code == 200


def test_after_a_minute_an_answer_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether somebody asks or not, and the place is free again; a waiting client is told that it expired."""
    monkeypatch.setattr(waiting_answers, "SECONDS", 0.05)

    async def within() -> None:
        waiting = UnreadAnswers()
        answer = waiting.expect(ANN, "s", "e")
        answer.set_result(b"1")
        waiting.expect(ANN, "s", "never answered")
        assert len(waiting) == 2
        fetched = [pair async for pair in waiting.fetch(ANN, "s")]
        assert fetched == [("e", b"1")]
        assert len(waiting) == 0
        assert not waiting.waits(ANN, "s")

    asyncio.run(within())


def test_so_many_wait_in_all_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of each, and the sum; one computer's people, who are one sender, may have all."""
    monkeypatch.setattr(waiting_answers, "MOST", 5)
    monkeypatch.setattr(waiting_answers, "SHARE", 3)

    async def within() -> None:
        waiting = UnreadAnswers()
        for event in "abc":
            waiting.expect(ANN, event, event)
        with pytest.raises(Full):
            waiting.expect(ANN, "d", "d")
        for event in "de":
            waiting.expect(BOB, event, event)
        with pytest.raises(Full):
            waiting.expect(BOB, "f", "f")
        assert waiting.forget(ANN, "a", "a")
        assert not waiting.forget(ANN, "a", "a")
        waiting.expect(BOB, "f", "f")
        alone = UnreadAnswers()
        for event in "abcde":
            alone.expect(Sender("", True, everybody=True), "s", event)
        assert len(alone) == 5

    asyncio.run(within())


def test_streams_of_one_session_share_its_answers() -> None:
    """Two that listen at the same time get each answer once, and both end."""

    async def within() -> None:
        waiting = UnreadAnswers()
        coming = [waiting.expect(ANN, "s", str(number)) for number in range(20)]

        async def listen() -> list[str]:
            return [event async for event, _ in waiting.fetch(ANN, "s")]

        listeners = [asyncio.create_task(listen()) for _ in range(2)]
        for answer in coming:
            await asyncio.sleep(0)
            answer.set_result(b"x")
        first, second = await asyncio.gather(*listeners)
        assert sorted(first + second) == sorted(map(str, range(20)))

    asyncio.run(within())


def test_calls_at_the_same_time_keep_their_answers(client: TestClient, answers: list[object]) -> None:
    """Forty joins and streams at once: each session gets its own events."""

    def ask(number: int) -> bool:
        events = [
            client.post(JOIN, json={"data": answers, "session_hash": f"m{number}"}).json()["event_id"] for _ in range(3)
        ]
        return [one["event_id"] for one in messages(client, f"m{number}")] == [*events, None]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(40))) == [True] * 40
