"""A demonstration's visits, in process with the real app: each visitor's cases are their own, few, short-lived, and in
memory alone. tests/faults/test_visit_faults.py measures that memory, tests/browser/test_demonstration.py opens the
pages."""

import asyncio
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import Time, some, visiting

from inference.scorer import Scorer
from inference.settings import Settings
from ledger.errors import LedgerUnavailable
from ledger.memory import CURRENT, MOST_BYTES, MOST_CASES, MOST_VISITS, MemoryLedgers
from web import visits
from web.pages.texts import texts_in
from web.server import create_app
from web.visits import HEADER, NEW, SECONDS, Visits

pytestmark = pytest.mark.slow  # an app is started

TEXTS = texts_in("en")
SENTENCE = "The applicant has brought a co-signer."


@pytest.fixture(scope="module")
def app(default_scorer: Scorer, settings: Settings) -> Iterator[TestClient]:
    """A public demonstration."""
    with visiting(create_app(default_scorer, replace(settings, public_demo=True, rate=0))) as client:
        yield client


class Visitor:
    """A tab with the desk of a demonstration."""

    def __init__(self, app: TestClient, token: str = NEW) -> None:
        self.app, self.token = app, token

    def send(self, method: str, path: str, **more: Any) -> Any:
        answer = self.app.request(method, path, headers={HEADER: self.token}, **more)
        self.token = answer.headers.get(HEADER, self.token)
        return answer

    def score(self, key: str = "", seen: str = "", reference: str = "", **answers: object) -> str:
        """The card of the example, or of other answers, in a form of its own unless `key` names it."""
        form = {name: str(value) for name, value in {**example(), **answers}.items()}
        body = {"answers": form, "key": key or secrets.token_hex(16), "seen": seen, "reference": reference}
        answer = self.send("POST", "/desk/score", json=body)
        assert answer.status_code == 200
        return unescape(answer.text)

    def act(self, id: str, action: str, **form: str) -> Any:
        """Send a form of a case's page, as it is now."""
        page = self.send("GET", f"/record/{id}").text
        version = re.search(r'data-seen="([^"]+)"', page)
        return self.send("POST", f"/record/{id}/{action}", data={"seen": version[1] if version else "", **form})

    def cases(self) -> list[str]:
        """The ids of all cases in the history."""
        return re.findall(r'<a href="record/([0-9a-f-]+)">', self.send("GET", "/history").text)


def example() -> dict[str, object]:
    from inference.release import open_release
    from inference.settings import default_release

    return dict(open_release(default_release()).form.example)


def case_id(card: str) -> str:
    found = re.search(r'data-record="record/([^"]+)"', card)
    assert found, card
    return found[1]


def test_a_visitor_decides_and_finds_it_again(app: TestClient) -> None:
    """By the pages that a ledger brings along: decided, in the history, on the case's page, in the notice and PDF."""
    visitor = Visitor(app)
    card = visitor.score(reference="V-1")
    id = case_id(card)
    assert len(visitor.token) == 32
    assert visitor.act(id, "decide", name="Ada", decision="decline", justification="Too short.").text.count("problem")
    decided = visitor.act(id, "decide", name="Ada", decision="refer")
    assert decided.headers["X-Recorded"] == "yes"
    assert visitor.cases() == [id]
    assert "V-1" in visitor.send("GET", "/fr/history").text
    page = visitor.send("GET", f"/fr/record/{id}").text
    assert "Ada" in page
    assert texts_in("fr")("replay.same") in unescape(page)
    assert "V-1" in visitor.send("GET", f"/record/{id}/notice").text
    assert visitor.send("GET", f"/record/{id}/notice.pdf").content.startswith(b"%PDF")
    assert visitor.send("POST", "/history/export", data={"format": "csv"}).text.count("\n") == 2


def test_a_visit_is_its_visitors_alone(app: TestClient) -> None:
    """Nobody else sees a case, by its id, by the form's key or without a visit; a guessed token opens nothing."""
    ada, bob = Visitor(app), Visitor(app)
    key = secrets.token_hex(16)
    id = case_id(ada.score(key))
    own = case_id(bob.score(key))  # the same form's key: a case of his own
    assert own != id
    assert bob.cases() == [own]
    assert ada.cases() == [id]
    for path in (f"/record/{id}", f"/record/{id}/notice", f"/record/{id}/notice.pdf"):
        assert bob.send("GET", path).status_code == 404
        assert app.get(path).status_code == 404  # without a visit there is no such page
    assert bob.send("POST", "/desk/take", json={"of": id}).json()["values"] is None
    assert bob.act(id, "decide", name="Bob", decision="refer").status_code == 404
    assert app.get("/history").status_code == 404
    for guess in (ada.token[:-1], "0" * 32, f"{ada.token}0", "x" * 5000, "é", "newer"):
        answer = app.get("/history", headers={HEADER.encode(): guess.encode()})
        assert (answer.status_code, answer.content) == (410, b"")
    assert ada.token not in ada.score(key) + ada.send("GET", "/history").text  # in no page and no address


def test_the_api_and_others_record_nothing(app: TestClient, default_scorer: Scorer) -> None:
    """A score without a visit is shown, and in nobody's history, as before there were visits."""
    visitor = Visitor(app)
    id = case_id(visitor.score())
    form = {name: str(value) for name, value in example().items()}
    card = app.post("/desk/score", json={"answers": form})
    assert card.status_code == 200
    assert 'data-record="' not in card.text
    assert HEADER not in card.headers
    answer = app.post("/api/v1/score", json={"answers": example()}, headers={HEADER: visitor.token})
    assert answer.status_code == 200
    assert "seq" not in answer.json()
    assert app.get("/api/v1/decisions", headers={HEADER: visitor.token}).status_code == 404
    assert app.get("/api/v1/decisions").status_code == 404
    assert visitor.cases() == [id]


def test_a_visit_holds_twenty_cases(app: TestClient) -> None:
    """The next one is not scored; starting over ends the visit for a new one."""
    visitor = Visitor(app)
    key = secrets.token_hex(16)
    cards = [visitor.score(key), *(visitor.score() for _ in range(MOST_CASES - 1))]
    assert len({case_id(card) for card in cards}) == MOST_CASES
    full = visitor.score()
    assert 'data-state="full"' in full
    assert "start-over" in full
    assert len(visitor.cases()) == MOST_CASES
    assert case_id(visitor.score(key, seen=version(cards[0]))) == case_id(cards[0])  # the same case goes on
    before, visitor.token = visitor.token, f"{NEW} {visitor.token}"
    assert len({case_id(visitor.score())} & set(map(case_id, cards))) == 0
    assert visitor.token != before
    assert len(visitor.cases()) == 1
    assert Visitor(app, before).send("GET", "/history").status_code == 410


def version(card: str) -> str:
    found = re.search(r'data-seen="([^"]+)"', card)
    assert found
    return found[1]


def test_clicks_at_once_do_not_pass_the_limit(app: TestClient) -> None:
    """Eight at a time: no more than twenty cases begin."""
    visitor = Visitor(app)
    visitor.score()
    with ThreadPoolExecutor(8) as threads:
        cards = list(threads.map(lambda _: Visitor(app, visitor.token).score(), range(MOST_CASES + 12)))
    assert sum('data-state="full"' in card for card in cards) == 13
    assert len(visitor.cases()) == MOST_CASES


def test_long_notes_fill_a_visit_and_no_other(app: TestClient) -> None:
    """What fits is bounded in bytes too. Then nothing is recorded, which is said; the other visitor writes on."""
    visitor, other = Visitor(app), Visitor(app)
    id, other_id = case_id(visitor.score()), case_id(other.score())
    answers: list[Any] = []
    while not answers or answers[-1].headers["X-Recorded"] == "yes":
        answers.append(visitor.act(id, "note", name="Ada", case_note="\U0001f600" * 2000))
        assert len(answers) < 100
    assert TEXTS("decide.problem.full") in unescape(answers[-1].text)
    assert len(answers) > 3
    assert visitor.cases() == [id]
    cards = [visitor.score(reference="R" * 60) for _ in range(MOST_CASES - 1)]
    assert any('data-state="full"' in card for card in cards)  # by bytes: there were fewer cases than may be
    assert other.act(other_id, "note", name="Bob", case_note=SENTENCE).headers["X-Recorded"] == "yes"


def test_the_201st_visit_ends_the_one_unused_longest(app: TestClient) -> None:
    """However many come, so many are kept."""
    visitors = [Visitor(app) for _ in range(MOST_VISITS)]
    for visitor in visitors:
        visitor.score()
    assert len(visitors[0].cases()) == 1  # and is used last now
    newest = Visitor(app)
    newest.score()
    assert len({visitor.token for visitor in [*visitors, newest]}) == MOST_VISITS + 1
    statuses = [visitor.send("GET", "/history").status_code for visitor in visitors]
    assert statuses == [200, 410, *[200] * (MOST_VISITS - 2)]
    ended = visitors[1]
    assert ended.send("POST", "/desk/score", json={"answers": {}}).status_code == 410


def test_visitors_at_once_see_their_own(app: TestClient) -> None:
    """Eight visitors score, decide and read at the same time."""

    def visit(number: int) -> None:
        visitor = Visitor(app)
        mine: list[str] = []
        for turn in range(5):
            id = case_id(visitor.score(reference=f"R-{number}-{turn}"))
            mine.insert(0, id)
            assert visitor.act(id, "decide", name="Ada", decision="refer").headers["X-Recorded"] == "yes"
            page = visitor.send("GET", "/history").text
            assert visitor.cases() == mine
            assert set(re.findall(r"R-(\d+)-", page)) == {str(number)}

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(visit, range(8)))) == 8


def test_a_visit_ends_after_an_hour_without_use() -> None:
    """And is gone then, whether or not anybody comes."""

    async def scenario() -> None:
        ledgers, time = MemoryLedgers(), Time(0.0)
        visits = Visits(ledgers, time.clock)
        first, store = await visits.begin()
        time.now = SECONDS - 1
        second, _ = await visits.begin()
        assert visits.store(first) is store  # used again
        time.now = 2 * SECONDS - 2
        assert visits.store(second) is not None
        time.now = 2 * SECONDS - 0.5
        assert visits.store(first) is None
        assert len(visits) == 1
        time.now = 4 * SECONDS
        visits.sweep()
        assert len(visits) == 0
        ledgers.close()

    asyncio.run(scenario())


def test_nobody_has_to_come_for_a_visit_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer ends it: here after 20 ms, by the real clock."""
    monkeypatch.setattr(visits, "SECONDS", 0.02)

    async def scenario() -> None:
        ledgers = MemoryLedgers()
        begun = Visits(ledgers)
        await begun.begin()
        assert len(begun) == 1
        for _ in range(1000):
            if not len(begun):
                break
            await asyncio.sleep(0.01)
        assert len(begun) == 0
        ledgers.close()

    asyncio.run(scenario())


def test_a_ledger_outside_a_visit_is_none() -> None:
    """A mistake in the app would be an error, not another visitor's ledger."""
    ledgers = MemoryLedgers()
    with pytest.raises(LedgerUnavailable), ledgers.store.reading():
        pass
    kept = CURRENT.set(ledgers.new_store())
    try:
        assert ledgers.head()[0] == 1
    finally:
        CURRENT.reset(kept)
    ledgers.close()


def test_a_database_has_its_limit_of_its_own() -> None:
    """Were the sum of what is written wrong, SQLite would still refuse to grow, and the next write goes through."""
    ledgers = MemoryLedgers()
    store = ledgers.new_store()
    with pytest.raises(Exception, match="full"), store.writing() as connection:
        connection.execute("CREATE TABLE large AS SELECT zeroblob(?) AS content", (MOST_BYTES,))
    assert store.bytes < MOST_BYTES
    with store.writing() as connection:
        connection.execute("CREATE TABLE small (content)")
    with store.reading() as reading:
        assert some(reading.exec_driver_sql("PRAGMA table_info(small)"))
    ledgers.close()
