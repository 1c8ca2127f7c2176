"""Cases in lists that leave the house: by API, as CSV and XLSX, and as a link. The same rules as the page History."""

import asyncio
import csv
import gc
import io
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import NO_USERS, newest, some, visiting
from python_calamine import CalamineWorkbook
from test_accounts import three_people
from test_security_log import events
from test_work import ORIGIN, Cases, enter

from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger.decisions import decided
from web.cases import export
from web.cases.export import CSV, XLSX, Search, exported
from web.cases.listed import FIELDS
from web.security.accounts import Accounts
from web.security.security_log import KEY, SecurityLog
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

FORMULA = "=1+1"
REFERENCES = [FORMULA, *(f"R-{at:02d} é" for at in range(1, 8))]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture
def cases(tmp_path: Path, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Cases:
    """Seven cases of ann's, of which three are declined, and one of bob's; a file takes three parts."""
    monkeypatch.setattr(export, "CASES_A_PART", 3)
    written = Cases(tmp_path / "ledger.sqlite3", scorer)
    for at, reference in enumerate(REFERENCES):
        id = written.score(20 - at, reference, by="bob" if at == 7 else "ann")
        if at < 3:
            written.add(decided(id, "decline", "refer", by="ann", reason_code="documents", justification="Not shown."))
    return written


@pytest.fixture
def settings(cases: Cases, scorer: Scorer, tmp_path: Path) -> Settings:
    return Settings(
        release=scorer.release.folder, log=None, ledger=cases.ledger.store.path, users=tmp_path / "u.sqlite3",
        security_log=tmp_path / "s.jsonl",
    )  # fmt: skip


@pytest.fixture
def visitor(cases: Cases, scorer: Scorer, settings: Settings) -> Iterator[TestClient]:
    with (
        closing(three_people(settings.users)) as accounts,
        closing(cases.ledger) as ledger,
        closing(SecurityLog(settings.security_log, 1)) as log,
        visiting(
            create_app(scorer, settings, ledger, accounts=accounts, security_log=log), follow_redirects=False
        ) as client,
    ):
        yield client


def manager(settings: Settings) -> str:
    with closing(Accounts(settings.users)) as accounts:
        return next(user.name for user in accounts.users() if user.role == "manager")


def file(visitor: TestClient, kind: str, **filters: str) -> bytes:
    answer = visitor.post("/history/export", data={"format": kind, **filters}, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="cases.{kind}"'
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def rows(visitor: TestClient, **filters: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file(visitor, CSV, **filters).decode("utf-8-sig"))))


def by_api(visitor: TestClient, **asked: Any) -> dict[str, Any]:
    answer = visitor.post("/api/v1/cases", json=asked, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_csv_has_every_case_of_the_search_and_no_formula(visitor: TestClient, settings: Settings) -> None:
    """Also those beyond the page and the first part; a reference that a spreadsheet would run is text."""
    enter(visitor, manager(settings))
    found = rows(visitor)
    assert list(found[0]) == list(FIELDS)
    assert [row["reference"] for row in found] == [*REFERENCES[:0:-1], f"'{FORMULA}"]
    declined = rows(visitor, decision="decline")
    assert [row["reference"] for row in declined] == [*REFERENCES[2:0:-1], f"'{FORMULA}"]
    assert {row["direction"] for row in declined} == {"stricter"}
    assert rows(visitor, reference="R-05")[0]["reference"] == "R-05 é"
    assert rows(visitor, since="2099-01-01") == []


def test_a_workbook_says_what_the_api_says(visitor: TestClient, settings: Settings) -> None:
    """Cell by cell, and numbers are numbers; texts are texts, formulas too."""
    enter(visitor, manager(settings))
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(file(visitor, XLSX))).get_sheet_by_name("cases")
    header, *cells = sheet.to_python()
    assert header == list(FIELDS)
    items = by_api(visitor)["items"]
    assert len(cells) == len(items) == len(REFERENCES)
    for row, item in zip(cells, items, strict=True):
        assert [None if cell == "" else cell for cell in row] == list(item.values())
    assert cells[-1][FIELDS.index("reference")] == FORMULA


def test_an_officer_gets_the_own_cases_everywhere(visitor: TestClient) -> None:
    """The page, the files and the API leave out what is another's."""
    enter(visitor, "bob")
    assert [row["reference"] for row in rows(visitor)] == [REFERENCES[7]]
    assert [item["reference"] for item in by_api(visitor)["items"]] == [REFERENCES[7]]
    assert len(CalamineWorkbook.from_filelike(io.BytesIO(file(visitor, XLSX))).get_sheet_by_index(0).to_python()) == 2
    page = visitor.get("/history").text
    assert REFERENCES[7] in page
    assert REFERENCES[6] not in page


def test_who_exported_what_is_in_the_security_log(visitor: TestClient, settings: Settings) -> None:
    """Who, which filters without their values, how many; also a search by API. No reference."""
    enter(visitor, "ann")
    before = len(events(settings.security_log))
    file(visitor, CSV, reference="R-0", decision="decline")
    by_api(visitor, reference="R-0")
    who = {"by": "ann", "address": "127.0.0.1", "mode": "closed"}
    assert events(settings.security_log, before) == [
        {"event": "record_read", **who, "what": "export"},
        {"event": "history_exported", **who, "format": "csv", "filters": ["reference", "decision"], "cases": 2,
         "finished": True},
        {"event": "record_read", **who, "what": "list"},
    ]  # fmt: skip
    assert "R-0" not in str(events(settings.security_log))


def test_the_api_pages_and_filters(visitor: TestClient, settings: Settings) -> None:
    """By GET, all but the reference; a value that is wrong is refused and not ignored, as a list would say too much."""
    enter(visitor, manager(settings))
    found, before = [], ""
    while True:
        answer = visitor.get(f"/api/v1/cases?limit=3{before}").json()
        found += [item["reference"] for item in answer["items"]]
        if answer["next"] is None:
            break
        before = f"&before={answer['next']}"
    assert found == REFERENCES[::-1]
    assert len(visitor.get("/api/v1/cases?decision=decline&by=ann&overridden=yes").json()["items"]) == 3
    assert visitor.get("/api/v1/cases?decision=decline&by=bob").json() == {"items": [], "next": None}
    assert len(by_api(visitor, reference="R-0", limit=2)["items"]) == 2
    for query in (
        "decision=no",
        "since=2026-13-01",
        "overridden=1",
        "by=",
        "limit=0",
        "before=x",
        "before=",
        "who=ann",
        f"by={'x' * 500}",
    ):
        assert visitor.get(f"/api/v1/cases?{query}").status_code == 422, query
    refused = visitor.get("/api/v1/cases?reference=R-05")
    assert refused.status_code == 422
    assert "POST /api/v1/cases" in refused.json()["detail"]
    for asked in some([{"reference": 5}, {"decision": None}, {"limit": "5"}, {"before": None}, {"who": "ann"}]):
        assert visitor.post("/api/v1/cases", json=asked, headers=ORIGIN).status_code == 422, asked
    described = visitor.get("/api/v1/openapi.json").json()
    item = described["components"]["schemas"]["Cases"]["properties"]["items"]["items"]
    assert item["required"] == list(FIELDS) == list(by_api(visitor)["items"][0])
    named = {parameter["name"] for parameter in described["paths"]["/api/v1/cases"]["get"]["parameters"]}
    assert named == {"limit", "before", "since", "until", "by", "decision", "overridden"}


def test_a_link_to_a_search_holds_no_reference(visitor: TestClient, settings: Settings) -> None:
    """It opens the search, after a login too; a reference in an address is not searched by."""
    enter(visitor, manager(settings))
    page = visitor.post("/history", data={"decision": "decline", "by": "ann", "reference": "R-0"}, headers=ORIGIN).text
    assert 'href="history?by=ann&amp;decision=decline"' in page
    for searched in ({"reference": "R-0"}, {"by": "Jane Applicant"}):  # nobody's name: typed into the wrong box
        assert 'href="history?' not in visitor.post("/history", data=searched, headers=ORIGIN).text
    link = "/history?by=ann&decision=decline"
    found = visitor.get(link).text
    assert [reference in found for reference in REFERENCES[1:5]] == [True, True, False, False]
    assert visitor.get("/history?reference=nothing").text == visitor.get("/history").text
    visitor.cookies.clear()
    sent_on = visitor.get(link, headers={"Accept": "text/html"}).headers["location"]
    assert sent_on == "/login?next=history%3Fby%3Dann%26decision%3Ddecline"
    shown = visitor.get(sent_on).text
    assert 'value="history?by=ann&amp;decision=decline"' in shown
    assert enter(visitor, "ann", next="history?by=ann&decision=decline").headers["location"] == link
    assert enter(visitor, "ann", next="history?x=//evil.test").headers["location"] == "/work"


def test_forms_that_cannot_be_exported(
    visitor: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown format is refused; a sheet that would be too long is a page that says what to do, and no file."""
    enter(visitor, manager(settings))
    assert visitor.post("/history/export", data={"format": "pdf"}, headers=ORIGIN).status_code == 422
    monkeypatch.setattr(export, "MOST_ROWS", len(REFERENCES) + 1)
    assert file(visitor, XLSX)
    monkeypatch.setattr(export, "MOST_ROWS", len(REFERENCES))
    answer = visitor.post("/fr/history/export", data={"format": XLSX}, headers=ORIGIN)
    assert answer.status_code == 422
    assert "Trop de dossiers" in answer.text
    assert file(visitor, CSV)


@pytest.mark.parametrize("kind", [CSV, XLSX])
def test_memory_does_not_grow_with_the_list(
    kind: str, cases: Cases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as many cases need as much memory. Where somebody stops fetching, the log says how far it went."""
    monkeypatch.setattr(export, "CASES_A_PART", 20)

    async def peak() -> tuple[int, int]:
        """The most bytes that were held, and those that were sent."""
        sent = 0
        tracemalloc.start()
        async for part in exported(cases.ledger, Search({}, None, UTC), kind, {}):
            sent += len(part)
            gc.collect()  # what could be freed does not count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, sent

    for at in range(112):
        cases.score(1, f"many-{at}")
    asyncio.run(peak())  # what is made once
    few = asyncio.run(peak())
    for at in range(400):
        cases.score(1, f"more-{at}")
    many = asyncio.run(peak())
    assert many[1] > 2 * few[1]
    assert many[0] < 1.3 * few[0] + 20_000

    async def left() -> None:
        log = SecurityLog(tmp_path / "left.jsonl", 30)
        sending = exported(cases.ledger, Search({}, None, UTC), kind, {KEY: log})
        await anext(sending)
        await sending.aclose()  # type: ignore[attr-defined]
        log.close()

    asyncio.run(left())
    assert [(event["cases"], event["finished"]) for event in events(tmp_path / "left.jsonl")] == [(20, False)]
    cases.ledger.close()
