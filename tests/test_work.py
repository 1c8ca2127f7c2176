"""The page Work, the count in the header, the page Manage: who sees which case in which list, in which order."""

import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from ledger_cases import bytes_of, case_of, purged
from openapi_fits import misfits
from parts import NO_USERS, newest, seen, send, visiting
from test_accounts import PASSWORD, three_people

from inference.errors import BadSetting
from inference.measure import Clock
from inference.number_format import write_number, write_percent
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger.cleaning import Cleaner
from ledger.decisions import assigned, contested, decided, noted, scored
from ledger.due import DueDays, due_between
from ledger.ledger import Ledger
from ledger.store import Store
from ledger.verify import verify
from web.cases.status import due, status
from web.lender import EXAMPLE, read_lender
from web.pages.texts import texts_in
from web.server import create_app
from web.work_settings import COLUMNS

pytestmark = pytest.mark.slow  # an app is started for each

ORIGIN = {"Origin": "http://127.0.0.1"}
TODAY = datetime.now(UTC)
TEXTS = texts_in("en")
LENDER = read_lender(None)
ASKING = replace(LENDER, work=replace(LENDER.work, columns=COLUMNS, applicant={"en": "Customer", "fr": "Client"}))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


class Cases:
    """Writes cases as of some days ago."""

    def __init__(self, file: Path, scorer: Scorer) -> None:
        self.now, self.scorer = TODAY - timedelta(2000), scorer
        self.ledger = Ledger(file, Clock(utc=lambda: self.now.timestamp()))

    def score(self, days: int, reference: str, by: str = "ann", **more: Any) -> str:
        self.now = TODAY - timedelta(days)
        example = self.scorer.release.form.example
        draft = scored(self.scorer.score(example), self.scorer.release, example, by=by, channel="desk",
                       reference=reference, reasons=[], **more)  # fmt: skip
        return str(self.ledger.append(draft).header.id)

    def add(self, draft: Any) -> str:
        return str(self.ledger.append(draft).header.id)


@pytest.fixture
def written(file: Path, scorer: Scorer) -> Cases:
    """A case in each list of ann's, older ones written later; one of bob's; one that is done."""
    cases = Cases(file, scorer)
    cases.score(3, "new-of-ann")
    cases.score(40, "old-of-ann")
    cases.score(20, "bobs", by="bob")
    away = cases.score(10, "given-away")
    cases.add(assigned(away, by="meg", to="bob"))
    cases.add(decided(cases.score(9, "needs-second"), "approve", "refer", by="ann", needs_second=True))
    cases.add(decided(cases.score(8, "referred"), "refer", "refer", by="ann"))
    cases.add(decided(cases.score(7, "done"), "refer", "refer", by="ann"))
    cases.add(decided(case_id(file, "done"), "decline", "refer", by="ann"))
    decision = cases.add(decided(cases.score(6, "objected"), "decline", "refer", by="ann"))
    last = (TODAY + timedelta(2)).date().isoformat()
    cases.add(contested(decision, by="ann", reviewer="bob", deadline=last, objection="No."))
    return cases


def case_id(file: Path, reference: str) -> str:
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT e.id FROM entries e JOIN personal p ON p.seq = e.seq WHERE p.reference = ? AND e.of IS NULL"
        return str(connection.execute(query, (reference,)).fetchone()[0])


@pytest.fixture
def visitor(written: Cases, scorer: Scorer, tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        release=scorer.release.folder, log=None, ledger=written.ledger.store.path, users=tmp_path / "u.sqlite3"
    )
    with (
        closing(three_people(settings.users)) as accounts,
        closing(written.ledger) as ledger,
        visiting(create_app(scorer, settings, ledger, ASKING, accounts), follow_redirects=False) as client,
    ):
        yield client


def enter(client: TestClient, name: str, **form: str) -> Any:
    client.cookies.clear()
    return client.post("/login", data={"name": name, "password": PASSWORD, **form}, headers=ORIGIN)


def lists(page: str) -> dict[str, list[str]]:
    """By name of a list, the references on the page, in order."""
    sections = re.findall(r'<h3 id="(\w+)">.*?</section>', page, re.DOTALL)
    bodies = re.findall(r'<h3 id="\w+">(.*?)</section>', page, re.DOTALL)
    return {
        name: re.findall(r'<a href="[^"]*record/[^"]+">([^<]+)</a>', body)
        for name, body in zip(sections, bodies, strict=True)
    }


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is asked of ledgers meanwhile: statements with their values."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        asked.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_no_query_of_work_reads_a_whole_table(visitor: TestClient, written: Cases) -> None:
    """Neither of the page and its lists, nor of the counts, nor of what is due: each is a search of an index or a key,
    so a million records do not slow it. SQLite has no statistics here, and plans without regard to the number."""
    with statements() as asked:
        for name in ("ann", "meg"):
            enter(visitor, name)
            assert lists(visitor.get("/work").text)
            for listed in ("mine", "waiting", "objections", "referred"):
                assert visitor.get(f"/work/{listed}").status_code == 200
                assert visitor.get(f"/work/{listed}?after=2020-01-01.1").status_code == 200
        assert visitor.get("/work/all").status_code == 200
        with written.ledger.store.reading() as connection:
            days = DueDays(30, 5)
            assert list(due_between(connection, days, date(2020, 1, 1), TODAY.date()))
    plans = {}
    with closing(sqlite3.connect(written.ledger.store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone() == (0,)
        for statement, values in asked:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
                plans[statement] = [row[3] for row in rows]
    assert len(plans) >= 5
    assert any("cases_by_queue" in step for steps in plans.values() for step in steps)
    derived = re.compile(r"SCAN (?:anon_\d+|\(subquery-\d+\)|CONSTANT ROW|\d+ CONSTANT ROWS)$")  # no table
    scans = {step: statement for statement, steps in plans.items() for step in steps if step.startswith("SCAN ")}
    assert {step: statement for step, statement in scans.items() if not derived.match(step)} == {}
    unbounded = [  # one viewer's rows, as many as there are cases
        statement for statement, steps in plans.items() for step in steps if step.endswith("PRIMARY KEY (viewer=?)")
    ]
    assert unbounded == []


def test_work_is_the_first_page_after_a_login(visitor: TestClient) -> None:
    """In the language of the login; who asked for another page gets that one."""
    assert enter(visitor, "ann").headers["location"] == "/work"
    assert enter(visitor, "ann", next="history").headers["location"] == "/history"
    visitor.cookies.clear()
    french = visitor.post("/fr/login", data={"name": "ann", "password": PASSWORD}, headers=ORIGIN)
    assert french.headers["location"] == "/fr/work"
    assert "À décider" in visitor.get("/fr/work").text


def test_each_sees_what_is_theirs_due_first(visitor: TestClient) -> None:
    """An officer what is theirs to decide; a reviewer the objection; a manager everybody's. What is done is nowhere."""
    enter(visitor, "ann")
    assert lists(visitor.get("/work").text) == {
        "mine": ["old-of-ann", "new-of-ann"], "waiting": ["needs-second"], "objections": ["objected"],
        "referred": ["referred"],
    }  # fmt: skip
    enter(visitor, "bob")
    assert lists(visitor.get("/work").text) == {"mine": ["bobs", "given-away"], "objections": ["objected"]}
    assert visitor.get("/work/all").status_code == 404
    enter(visitor, "meg")
    found = lists(visitor.get("/work").text)
    assert found["all"] == ["old-of-ann", "bobs", "given-away", "new-of-ann"]
    assert "mine" not in found
    assert found["waiting"] == ["needs-second"]
    assert visitor.get("/work/nothing").status_code == 404


def test_a_list_is_read_page_by_page(visitor: TestClient, written: Cases) -> None:
    """Every case once, those due first, whatever was added meanwhile."""
    for number in range(120):
        written.score(number % 7, f"more-{number}")
    enter(visitor, "ann")
    assert 'href="work/mine"' in visitor.get("/work").text
    found, way = [], "mine"
    while way:
        page = visitor.get(f"/work/{way}").text
        (rows,) = lists(page).values()
        assert len(rows) <= 50
        found += rows
        following = re.search(r'<a href="(mine\?after=[^"]+)"', page)
        way = following[1] if following else ""
    assert found[:1] == ["old-of-ann"]
    assert sorted(found) == sorted(["old-of-ann", "new-of-ann", *(f"more-{number}" for number in range(120))])


def cells(page: str) -> dict[str, list[list[str]]]:
    """By name of a list, what stands in the cells of its rows."""

    def plain(cell: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(cell)).split())

    return {
        name: [
            [plain(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        ]
        for name, body in re.findall(r'<h3 id="(\w+)">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    }


def as_on_the_page(item: dict[str, Any]) -> list[str]:
    """An item of the API as the cells of its row, column by column."""
    left = item["days_left"]
    words = TEXTS(("due.late" if left < 0 else "due.left") + ("_one" if abs(left) == 1 else ""), days=abs(left))
    decided = TEXTS(f"decided.{item['decision']}") if item["decision"] else ""
    suggested = TEXTS("work.suggested", decision=TEXTS(f"decision.{item['suggested']}"))
    turn = TEXTS("work.turn", name=item["turn"]) if item["turn"] not in (None, item["by"]) else ""
    return [
        item["reference"], item["applicant"] or "", write_number(item["amount"], "en"),
        TEXTS("age.day" if item["days"] == 1 else "age.days", days=item["days"]),
        f"{TEXTS('result.pd_long')} {write_percent(item['pd'], 'en')}".replace("\N{NARROW NO-BREAK SPACE}", " "),
        decided or suggested, f"{item['by']} {turn}".strip(), f"{TEXTS.day(item['due'])} {words}",
    ]  # fmt: skip


def test_the_api_has_the_lists_of_the_page(visitor: TestClient, written: Cases) -> None:
    """For an officer, a reviewer and a manager the same lists, cases and cells, page by page."""
    written.score(1, "with-a-name", applicant="Jeanne Müller")
    enter(visitor, "ann")
    schemas = visitor.get("/api/v1/openapi.json").json()["components"]["schemas"]
    for name in ("ann", "bob", "meg"):
        enter(visitor, name)
        shown = cells(visitor.get("/work").text)
        lists = visitor.get("/api/v1/work").json()
        assert misfits(lists, schemas["Work"], schemas) == []
        counts = {one["name"]: one["count"] for one in lists["lists"]}
        assert {name: count for name, count in counts.items() if count} == {
            name: len(rows) for name, rows in shown.items()
        }
        for listed in counts:
            found = visitor.get(f"/api/v1/work/{listed}").json()
            assert misfits(found, schemas["WorkList"], schemas) == []
            assert [as_on_the_page(item) for item in found["items"]] == shown.get(listed, [])
            assert (found["count"], found["next"]) == (counts[listed], None)
    assert "Jeanne Müller" in str(shown["all"])
    paged: list[str] = []
    after: str | None = ""
    for _ in shown["all"]:
        part = visitor.get(f"/api/v1/work/all?limit=2{after and f'&after={after}'}").json()
        paged += [item["reference"] for item in part["items"]]
        assert part["count"] == len(shown["all"])
        after = part["next"]
        if after is None:
            break
    assert after is None
    assert paged == [row[0] for row in shown["all"]]
    # What the description's pattern allows is a place in the list, on a day that no calendar has too.
    for place, rows in (("0000-00-00.0", shown["all"]), ("9999-99-99.0", [])):
        part = visitor.get(f"/api/v1/work/all?after={place}").json()
        assert [item["reference"] for item in part["items"]] == [row[0] for row in rows]


def test_the_api_refuses_lists_that_are_not_there(visitor: TestClient) -> None:
    """Those of managers to an officer, unknown ones to everybody; and a parameter that would be ignored."""
    enter(visitor, "ann")
    for path in ("all", "nothing"):
        answer = visitor.get(f"/api/v1/work/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tenfold:no-such-list")
    for query in (
        "work?list=mine", "work/mine?before=3", "work/mine?limit=0", "work/mine?after=x", "work/mine?after=",
        "work/mine?after=2026-2-30.1", "work/mine?after=٢٠٢٦-01-01.5", "work/mine?limit=1&limit=5",
        "work?list=1&list=2", "cases?decision=refer&decision=decline", "decisions?limit=1&limit=5",
    ):  # fmt: skip
        answer = visitor.get(f"/api/v1/{query}")
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:tenfold:invalid-request"), query
    assert visitor.get("/api/v1/work?list=1").json()["detail"] == "This address takes no parameters"
    visitor.cookies.clear()
    assert visitor.get("/api/v1/work").status_code == 401


def count(page: str) -> str:
    return str(re.findall(r'class="count">([^<]*)<', page)[0])


def test_the_header_counts_whose_turn_it_is(visitor: TestClient) -> None:
    """On every page; once a case is decided it is one less."""
    enter(visitor, "ann")
    assert count(visitor.get("/history").text) == "2"
    sent = {"decision": "incomplete", "reason_incomplete": "income", "justification": "No payslip yet."}
    id = re.search(r'record/([^"]+)">old-of-ann', visitor.get("/work").text)
    assert id is not None
    assert send(visitor, id[1], "decide", sent)
    assert count(visitor.get("/manage").text) == "1"
    desk = visitor.get("/", headers={"Accept": "text/html"}).text
    assert 'id="visitor-now" data-count="1"' in desk
    enter(visitor, "bob")
    assert count(visitor.get("/work").text) == "3"  # two to decide, and the objection
    enter(visitor, "meg")
    assert count(visitor.get("/work").text) == ""


def test_at_most_five_links_a_role(visitor: TestClient) -> None:
    """The rest stands under Manage, as far as each may open it; every link of it leads somewhere."""
    for name, more in (("ann", set()), ("meg", {"history/overrides", "monitor", "events", "releases", "users"})):
        enter(visitor, name)
        page = visitor.get("/manage").text
        header = re.findall(r'<nav class="pages".*?</nav>', page, re.DOTALL)[0]
        assert len(re.findall("<a ", header)) == 5
        ways = re.findall(r'<ul class="ways">(.*?)</ul>', page, re.DOTALL)[0]
        paths = set(re.findall(r'href="([^"]+)"', ways))
        assert paths == {"batch", "operations", "password", "sessions", *more}
        for path in paths:
            assert visitor.get(f"/{path}").status_code == 200, path


def test_columns_are_the_lenders(visitor: TestClient, written: Cases, scorer: Scorer) -> None:
    """In its order and words; an applicant's name shows only where it asks for one."""
    written.score(1, "named", applicant="Jeanne Müller")
    enter(visitor, "ann")
    page = visitor.get("/work").text
    heads = re.findall(r'<th scope="col" class="col-(\w+)">([^<]+)</th>', re.sub("</?abbr[^>]*>", "", page))[
        : len(COLUMNS)
    ]
    assert [name for name, _ in heads] == list(COLUMNS)
    assert dict(heads)["applicant"] == "Customer"
    assert "Jeanne Müller" in page
    settings = Settings(release=scorer.release.folder, log=None, users=NO_USERS)
    few = replace(LENDER, work=replace(LENDER.work, columns=("due", "reference")))
    with visiting(create_app(scorer, settings, written.ledger, few)) as other:
        page = other.get("/work").text
    assert re.findall(r'<th scope="col" class="col-(\w+)">', page)[:2] == ["due", "reference"]
    assert "Jeanne Müller" not in page
    assert "old-of-ann" in page  # without login everybody's


def test_due_dates(file: Path, written: Cases) -> None:
    """From the first score, in the lender's time zone; an objection has its own; words say what is late."""
    settings = replace(LENDER.work, decision_days=30, reminder_days=5)
    objected = case_of(file, case_id(file, "objected"))
    assert due(objected, settings, TEXTS, TODAY.date()).left == "in 2 days"
    old = case_of(file, case_id(file, "old-of-ann"))
    begun = TODAY - timedelta(40)
    for days, mark, words in (
        (10, "", "in 20 days"), (25, "soon", "in 5 days"), (29, "soon", "tomorrow"), (30, "soon", "today"),
        (31, "overdue", "1 day overdue"), (40, "overdue", "10 days overdue"),
    ):  # fmt: skip
        when = due(old, settings, TEXTS, begun.date() + timedelta(days))
        assert (when.mark, when.left) == (mark, words)
    assert status(case_of(file, case_id(file, "done")), settings, TEXTS, TODAY.date()) == "Decided."
    evening = replace(settings, zone=ZoneInfo("Pacific/Kiritimati"))  # fourteen hours ahead of UTC
    assert evening.local("2026-06-01T12:30:00.000000Z").date().isoformat() == "2026-06-02"
    assert evening.moment("2026-06-01T12:30:00.000000Z") == "2026-06-02 02:30"


def test_an_applicant_is_personal(file: Path, scorer: Scorer) -> None:
    """The score is the same with and without it, and a purge erases every byte."""
    written = Cases(file, scorer)
    plain, named = written.score(1000, "without"), written.score(1000, "with", applicant="canary-applicant")
    scores = [case_of(file, id).first for id in (plain, named)]
    assert scores[0].pd == scores[1].pd
    assert scores[0].row == scores[1].row
    written.ledger.close()
    assert b"canary-applicant" in bytes_of(file)
    assert purged(file, (TODAY - timedelta(900)).date().isoformat(), TODAY, undecided=True).cases == 2
    with closing(Store(file)) as store:
        Cleaner(store, "test").clean()
        assert verify(store).problem is None
    assert b"canary-applicant" not in bytes_of(file)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('time_zone = "Mars/Olympus"', "this system knows no such zone"),
        ("decision_days = -1", "work.decision_days: a whole number from 0"),
        ('columns = ["reference", "mood"]', "work.columns: mood: no such column"),
        ('columns = ["due", "due"]', "a list of different columns"),
        ("colour = 1", "work: colour: no such setting"),
        ('applicant = {en = "Name"}', "work.applicant: a label in en and fr"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, line: str, says: str) -> None:
    lender = tmp_path / "lender.toml"
    name = line.partition(" ")[0]
    lines = [found for found in EXAMPLE.read_text("utf-8").splitlines() if not found.startswith(name + " ")]
    lines.insert(lines.index("[work]") + 1, line)
    lender.write_text("\n".join(lines))
    with pytest.raises(BadSetting, match=re.escape(says)):
        read_lender(lender)


def test_a_file_without_the_section_goes_on(tmp_path: Path) -> None:
    """A lender's file of an earlier version has the defaults."""
    text = re.sub(r"\[work\]\n(?:.+\n)+?\n", "", EXAMPLE.read_text("utf-8"))
    assert "[work]" not in text
    (tmp_path / "lender.toml").write_text(text)
    assert read_lender(tmp_path / "lender.toml").work.decision_days == 30


# --- given to somebody, noted on ---


def test_a_case_is_given_to_somebody(visitor: TestClient, file: Path) -> None:
    """Who then sees it and has it among what is theirs; who gave it away still sees it."""
    id = case_id(file, "old-of-ann")
    enter(visitor, "bob")
    assert visitor.get(f"/record/{id}").status_code == 404
    enter(visitor, "ann")
    for to, problem in (("", "name"), ("nobody", "unknown_person")):
        answer = visitor.post(f"/record/{id}/assign", data={"to": to, "seen": seen(visitor, id)})
        assert answer.headers["x-recorded"] == "no"
        assert TEXTS(f"decide.problem.{problem}") in answer.text
    assert send(visitor, id, "assign", {"to": "Bob", "assign_note": "canary-handing"})
    assert "old-of-ann" not in lists(visitor.get("/work").text)["mine"]
    assert visitor.get(f"/record/{id}").status_code == 200
    enter(visitor, "bob")
    assert lists(visitor.get("/work").text)["mine"][0] == "old-of-ann"
    page = visitor.get(f"/record/{id}").text
    assert TEXTS("status.turn", name="bob") in page
    assert "canary-handing" in page


def test_what_is_done_is_given_to_nobody(visitor: TestClient, file: Path) -> None:
    """A note is possible all the same."""
    id = case_id(file, "done")
    enter(visitor, "ann")
    assert not send(visitor, id, "assign", {"to": "bob"})
    assert not send(visitor, id, "note", {"case_note": "short"})
    assert send(visitor, id, "note", {"case_note": "canary: the applicant called."})
    assert "canary: the applicant called." in visitor.get(f"/record/{id}").text


def test_who_may_not_decide_sees_who_may(visitor: TestClient, file: Path) -> None:
    """Instead of a form that would be refused; and the case is given to none of those who may not."""
    for reference, why in (("needs-second", "agree.wait"), ("objected", "decide.barred")):
        id = case_id(file, reference)
        enter(visitor, "ann")
        page = visitor.get(f"/record/{id}").text
        assert f"{TEXTS(why)} {TEXTS('decide.able', names='bob, meg')}" in html.unescape(page)
        assert 'data-action="decide"' not in page
        assert 'data-action="agree"' not in page
        assert not send(visitor, id, "assign", {"to": "ann"})
        enter(visitor, "meg")
        page = visitor.get(f"/record/{id}").text
        assert 'data-action="agree"' in page or 'data-action="decide"' in page
    id = case_id(file, "needs-second")
    assert send(visitor, id, "assign", {"to": "bob"})
    enter(visitor, "bob")
    assert lists(visitor.get("/work").text)["waiting"] == ["needs-second"]
    assert send(visitor, id, "agree", {"agrees": "yes"})
    assert "waiting" not in lists(visitor.get("/work").text)


def test_notes_are_erased_with_their_case(file: Path, scorer: Scorer) -> None:
    """They and what was written when a case was given away are in its personal parts."""
    written = Cases(file, scorer)
    id = written.score(1500, "erased")
    written.add(noted(id, by="ann", note="canary-note", reference="erased"))
    written.add(assigned(id, by="ann", to="bob", note="canary-handing", reference="erased"))
    written.ledger.close()
    assert purged(file, (TODAY - timedelta(900)).date().isoformat(), TODAY, undecided=True).parts == 3
    with closing(Store(file)) as store:
        Cleaner(store, "test").clean()
    assert b"canary" not in bytes_of(file)
    assert case_of(file, id).turn == "bob"
