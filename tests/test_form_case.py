"""Scores of one form are one case, in process with a real ledger; a case can end without a decision."""

import asyncio
import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_cases import clock_at
from parts import seen
from test_deciding import LENDER, SENTENCE, Office, office

from inference.number_format import write_number
from ledger import queries
from ledger.cases import OPEN, SETTLED, Case
from ledger.decisions import withdrawal
from ledger.events import SCORED, WITHDRAWN, Scored, Withdrawn
from ledger.retention import purge
from web.desk.form_case import FormCases
from web.pages.texts import texts_in

pytestmark = pytest.mark.slow  # an app is started

KEYS = iter(f"{number:032x}" for number in range(1, 1000))
TEXTS = texts_in("en")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The default release; nobody has to log in."""
    yield from office(tmp_path_factory.mktemp("form"), "consumer", LENDER)


def click(desk: Office, key: str, shown: str = "", **answers: object) -> str:
    """The card after a click on Score, with the example's answers or others; `shown` is the card before it."""
    form = desk.scorer.release.form
    values = {name: str(value) for name, value in {**form.example, **answers}.items()}
    version = re.search(r'data-seen="([^"]+)"', shown)
    body = {"answers": values, "key": key, "seen": version[1] if version else ""}
    answer = desk.client.post("/desk/score", json=body)
    assert answer.status_code == 200
    return str(answer.text)


def case_id(card: str) -> str:
    found = re.search(r'data-record="record/([^"]+)"', card)
    assert found, card
    return found[1]


def scores(case: Case) -> list[float | None]:
    """The amounts that were scored, in order."""
    return [(score.answers or {}).get("amount") for score in case.of_kind(Scored)]  # type: ignore[misc]


def test_five_clicks_are_one_case(desk: Office) -> None:
    """With five scores, changed answers or not; the case has one number, the page's too."""
    key, card, ids = next(KEYS), "", set()
    for amount in (1000, 1000, 1100, 1000, 1200):
        card = click(desk, key, card, amount=amount)
        ids.add(case_id(card))
    assert len(ids) == 1
    case = desk.case(ids.pop())
    assert scores(case) == [1000, 1000, 1100, 1000, 1200]
    number = TEXTS("result.recorded", seq=write_number(case.first.seq, "en"))
    assert number in card
    assert number in desk.page(f"/record/{case.first.id}")


def test_the_same_answers_in_another_form_are_another_case(desk: Office) -> None:
    """Answers are never compared."""
    assert case_id(click(desk, next(KEYS))) != case_id(click(desk, next(KEYS)))


def test_a_form_without_a_usable_key_begins_a_case_each_time(desk: Office) -> None:
    """As the API does; nothing else can be put in the key's place."""
    for key in ("", "x", "0" * 31, "A" * 32, "'; --"):
        assert len({case_id(click(desk, key)) for _ in range(2)}) == 2


def test_clicks_whose_answers_are_lost_belong_to_the_case(desk: Office) -> None:
    """The page then shows an earlier state of its own scores: that is no reason to refuse the next one."""
    key = next(KEYS)
    first = click(desk, key)
    click(desk, key, first, amount=1100)  # its answer never arrives
    assert case_id(click(desk, key, first, amount=1200)) == case_id(first)
    assert case_id(click(desk, key, "", amount=1300)) == case_id(first)
    assert scores(desk.case(case_id(first))) == [1000, 1100, 1200, 1300]


def test_clicks_at_once_are_one_case(desk: Office) -> None:
    """Eight requests with one key that nobody waited for, and no score is lost."""
    key = next(KEYS)
    with ThreadPoolExecutor(8) as pool:
        cards = list(pool.map(lambda number: click(desk, key, amount=1000 + number), range(8)))
    scored = [card for card in cards if 'data-state="score"' in card]
    assert len({case_id(card) for card in scored}) == 1
    case = desk.case(case_id(scored[0]))
    assert len(scores(case)) == len(scored) >= 2


def test_what_others_did_meanwhile_is_shown_first(desk: Office) -> None:
    """Somebody refers the case: nothing is scored until the page shows that; then the next score belongs to it."""
    key = next(KEYS)
    card = click(desk, key)
    id = case_id(card)
    assert desk.decide(id, "refer", name="Bob").headers["x-recorded"] == "yes"
    refused = click(desk, key, card, amount=1100)
    assert 'data-state="moved"' in refused
    assert "Bob" in refused
    assert scores(desk.case(id)) == [1000]
    again = click(desk, key, f'data-seen="{seen(desk.client, id)}"', amount=1100)
    assert case_id(again) == id
    assert scores(desk.case(id)) == [1000, 1100]


def test_a_settled_case_takes_no_more_scores(desk: Office) -> None:
    """The same form begins a new case, and that one takes the scores after it; once more after the next decision."""
    key, ids = next(KEYS), []
    for _ in range(3):
        card = click(desk, key)
        again = click(desk, key, card)
        assert case_id(card) == case_id(again)
        ids.append(case_id(card))
        assert desk.decide(ids[-1], "decline").headers["x-recorded"] == "yes"
    assert len(set(ids)) == 3
    assert [desk.case(id).state for id in ids] == [SETTLED] * 3


def test_another_release_or_person_begins_a_case(desk: Office) -> None:
    """A form that is still open when another release serves."""
    key = next(KEYS)
    id = case_id(click(desk, key))
    own, other = (FormCases(desk.ledger, digest) for digest in (desk.scorer.release.digest, "0" * 64))
    again = asyncio.run(own.find("desk", key)).case
    assert again is not None
    assert again.first.id == id
    assert asyncio.run(own.find("ann", key)).case is None
    assert asyncio.run(other.find("desk", key)).case is None


def test_what_is_remembered_is_bounded(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that was forgotten is read from the ledger."""
    monkeypatch.setattr("web.desk.form_case.REMEMBERED", 1)
    first, second = next(KEYS), next(KEYS)
    card, other = click(desk, first), click(desk, second)
    assert case_id(click(desk, first, card)) == case_id(card)
    assert case_id(click(desk, second, other)) == case_id(other)


# --- withdrawn ---


def withdraw(desk: Office, id: str, reason: str = "applicant", **form: Any) -> Any:
    return desk.send(id, "withdraw", withdrawal=reason, **form)


@pytest.mark.parametrize("reason", ["duplicate", "applicant"])
def test_a_case_is_withdrawn(desk: Office, reason: str) -> None:
    """Recorded with who and why; the note is personal; the case is not among the open ones; nobody decides on it."""
    id = desk.score(f"W-{reason}")
    assert TEXTS("withdraw.title") in desk.page(f"/record/{id}")
    assert withdraw(desk, id, reason, withdrawal_note=SENTENCE).headers["x-recorded"] == "yes"
    case = desk.case(id)
    assert case.state == WITHDRAWN
    assert case.withdrawn is not None
    assert (case.withdrawn.by, case.withdrawn.reason, case.withdrawn.note) == ("Ann", reason, SENTENCE)
    with desk.ledger.store.reading() as connection:
        (record,) = queries.by_seq(connection, [case.withdrawn.seq])
    assert SENTENCE not in record.body
    page = desk.page(f"/record/{id}")
    assert TEXTS("decide.by", decision=TEXTS("withdraw.done"), by="Ann") in page
    assert SENTENCE in page
    assert desk.decide(id, "decline").headers["x-recorded"] == "no"
    assert withdraw(desk, id).headers["x-recorded"] == "no"
    listed = desk.client.post("/history", data={"decision": "open"}).text
    assert id not in listed
    assert id in desk.client.post("/history", data={"reference": f"W-{reason}"}).text


def test_a_withdrawn_case_is_never_called_open(desk: Office) -> None:
    """Withdrawn before anything was decided, or while it was referred: on no page, in no file and by no filter is it
    still open, or referred; one filter has all of them."""
    untouched, referred, open_still = (desk.score(f"NO-{name}") for name in ("untouched", "referred", "open"))
    assert desk.decide(referred, "refer").headers["x-recorded"] == "yes"
    for id in (untouched, referred):
        assert withdraw(desk, id).headers["x-recorded"] == "yes"
    for decision, expected in (
        ("withdrawn", {untouched, referred}), ("open", {open_still}), ("refer", set()), ("waiting", set()),
    ):  # fmt: skip
        asked = {"reference": "NO-", "decision": decision}
        for path in ("/history", "/fr/history"):
            page = desk.client.post(path, data=asked).text
            assert set(re.findall(r'href="record/([\w-]+)"', page)) == expected, (decision, path)
        items = desk.client.post("/api/v1/cases", json=asked).json()["items"]
        assert {item["id"] for item in items} == expected, decision
        file = desk.client.post("/history/export", data={**asked, "format": "csv"}).text
        assert {row["id"] for row in csv.DictReader(io.StringIO(file))} == expected, decision
    for language, path in (("en", "/"), ("fr", "/fr/")):
        texts = texts_in(language)
        page = desk.client.post(f"{path}history", data={"reference": "NO-", "decision": "withdrawn"}).text
        table = page[page.index("<tbody>") :]
        assert table.count(f"<td>{texts('withdraw.done')}</td>") == 2
        assert texts("history.open") not in table
    items = desk.client.post("/api/v1/cases", json={"reference": "NO-"}).json()["items"]
    states = {item["id"]: item["state"] for item in items}
    assert states == {untouched: WITHDRAWN, referred: WITHDRAWN, open_still: "open"}
    assert not {untouched, referred} & set(re.findall(r"record/([\w-]+)", desk.client.get("/work").text))


def test_open_cases_are_found_behind_withdrawn_ones(desk: Office) -> None:
    """A page of open cases is full, however many were withdrawn since."""
    opened = [desk.score("behind") for _ in range(2)]
    for _ in range(60):
        id = desk.score("behind")
        case = desk.case(id)
        desk.ledger.append(case.continued(withdrawal(id, "duplicate", by="ann")))
    listed = desk.client.post("/history", data={"decision": "open", "reference": "behind"}).text
    assert [id in listed for id in opened] == [True, True]
    assert listed.count("<tr>") == 3  # with the head


def test_what_a_withdrawal_lacks_is_said(desk: Office) -> None:
    """Why, and who; after a decision in force it is too late."""
    id = desk.score()
    assert TEXTS("decide.problem.choose") in withdraw(desk, id, "").text
    assert TEXTS("decide.problem.choose") in withdraw(desk, id, "whim").text
    assert TEXTS("decide.problem.name") in withdraw(desk, id, name="").text
    assert desk.case(id).state == OPEN
    assert desk.decide(id, "decline").headers["x-recorded"] == "yes"
    answer = withdraw(desk, id)
    assert TEXTS("decide.problem.not_now") in answer.text
    assert desk.case(id).state == SETTLED
    assert TEXTS("withdraw.title") not in desk.page(f"/record/{id}")
    with pytest.raises(ValueError, match="duplicate"):
        withdrawal(id, "whim", by="ann")


def test_a_form_of_a_withdrawn_case_begins_another(desk: Office) -> None:
    """The next score of that form is a new case."""
    key = next(KEYS)
    card = click(desk, key)
    assert withdraw(desk, case_id(card)).headers["x-recorded"] == "yes"
    assert case_id(click(desk, key, card)) != case_id(card)


def test_a_withdrawn_case_is_erased_in_the_end(tmp_path: Path) -> None:
    """25 months after it was withdrawn, and not before; its key goes too."""
    now = datetime.now(UTC)
    for name, end, erased in (("kept", now - timedelta(1), 0), ("erased", now + timedelta(1), 1)):
        folder = tmp_path / name
        folder.mkdir()
        for desk in office(folder, "consumer", LENDER):
            id = case_id(click(desk, "f" * 32))
            assert withdraw(desk, id).headers["x-recorded"] == "yes"
            assert purge(desk.ledger.store, end, clock=clock_at(now + timedelta(1000))).cases == erased
            with desk.ledger.store.reading() as connection:
                keys = connection.exec_driver_sql("SELECT count(*) FROM idempotency").scalar_one()
            assert (keys == 0) == bool(erased)
            assert isinstance(desk.case(id).withdrawn, Withdrawn)
            assert desk.case(id).events[0].kind == SCORED
