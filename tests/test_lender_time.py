"""Days and months that people name or read are the lender's: around midnight, and where clocks are changed."""

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from ledger_cases import SCORE, Writer, clock_at, kept, writing_to
from parts import NO_USERS, newest, some, visiting

from inference.errors import BadSetting
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger import queries
from ledger.__main__ import main
from ledger.decisions import decided, notified, scored
from ledger.events import SCORED, Decided
from ledger.ledger import Ledger
from ledger.lender_time import day_end, day_start, local_day, zone_in
from ledger.monitor import monitor
from ledger.overrides import decision_counts
from ledger.records import Draft
from ledger.retention import TooEarly, purge
from ledger.service import service
from ledger.store import Store
from web.lender import EXAMPLE, read_lender
from web.operations.events import EventsPages
from web.operations.releases import ReleasePages
from web.pages.texts import texts_in
from web.service_state import ServiceState
from web.work_settings import work_settings

AUCKLAND, NEW_YORK = ZoneInfo("Pacific/Auckland"), ZoneInfo("America/New_York")
ZONES = (AUCKLAND, NEW_YORK, ZoneInfo("Europe/London"), ZoneInfo("Pacific/Chatham"), ZoneInfo("America/Santiago"), UTC)
# Turns of months and of a year, and days of 23 and of 25 hours in Auckland, New York, London and Santiago.
DAYS = ("2026-03-01", "2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-09-27", "2026-11-01", "2027-01-01")


def moments() -> list[datetime]:
    """A minute before each day begins in each zone, when it does, and a minute after; and the same of the day after."""
    midnights = {
        datetime.combine(date.fromisoformat(day) + timedelta(step), time.min, zone).astimezone(UTC)
        for day in DAYS for zone in ZONES for step in (0, 1)
    }  # fmt: skip
    return sorted({midnight + timedelta(minutes=minute) for midnight in midnights for minute in (-1, 0, 1)})


def write_at(write: Writer, moment: datetime, draft: Draft) -> str:
    """Write a record at a moment; its id."""
    write._now[0] = moment
    return str(write.ledger.append(draft).header.id)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A case at each of these moments, decided at once."""
    file = tmp_path_factory.mktemp("days") / "ledger.sqlite3"
    with writing_to(file) as write:
        for number, moment in enumerate(moments()):
            id = write_at(write, moment, Draft(SCORED, f"case-{number}", SCORE, {"answers": {}}))
            decision = ("approve", "decline")[number % 2]
            write_at(write, moment, decided(id, decision, "refer", by="ann", reason_code="security",
                                            justification="Seen."))  # fmt: skip
    with closing(Store(file)) as opened:
        yield opened


def day_of(moment: str, zone: tzinfo) -> str:
    """A record's day, by the clock on the wall there."""
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%Y-%m-%d")


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_search_by_day_finds_what_the_wall_clock_says(store: Store, zone: tzinfo) -> None:
    """From a day, up to a day, and one day alone; days of 23 and 25 hours too."""
    with store.reading() as connection:
        every = [record.event for record in queries.records(connection, [SCORED])]
        for day in DAYS:
            expected = {
                "since": {event.id for event in every if day_of(event.time, zone) >= day},
                "until": {event.id for event in every if day_of(event.time, zone) <= day},
            }
            for name, ids in expected.items():
                cases = queries.cases(connection, 1000, None, {name: day}, zone=zone)
                assert {case.header.id for case in cases} == ids, (name, day)
            both = queries.cases(connection, 1000, None, {"since": day, "until": day}, zone=zone)
            on_it = expected["since"] & expected["until"]
            assert {case.header.id for case in both} == on_it
            assert len(on_it) > 3
            last = queries.case_at(connection, len(on_it) - 1, {"since": day, "until": day}, None, zone)
            assert last == min(case.seq for case in both)


def test_the_ends_of_the_calendar_are_days_too(store: Store) -> None:
    """The first and the last day that a date can have, which a zone may move out of the calendar."""
    with store.reading() as connection:
        for zone in ZONES:
            for name, found in (("since", (True, False)), ("until", (False, True))):
                for day, all_of_them in zip(("0001-01-01", "9999-12-31"), found, strict=True):
                    assert bool(queries.cases(connection, 1, None, {name: day}, zone=zone)) == all_of_them
    assert day_start(date(2026, 9, 6), ZoneInfo("America/Santiago")) == "2026-09-06T04:00:00.000000Z"  # no midnight
    assert day_end(date(2026, 4, 5), AUCKLAND) == "2026-04-05T12:00:00.000000Z"
    assert day_start(date(2026, 4, 5), AUCKLAND) == "2026-04-04T11:00:00.000000Z"


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_decisions_are_counted_by_the_lenders_months(store: Store, zone: tzinfo) -> None:
    """Over all months, and from a month on."""
    with store.reading() as connection:
        events = [record.event for record in queries.records(connection, ["decided"])]
        found = queries.directions(connection, zone)
        since = decision_counts(connection, "2026-03", None, zone)
        everything = decision_counts(connection, "", None, zone)
    expected = Counter(
        (day_of(event.time, zone)[:7], event.direction, event.reason_code)
        for event in events if isinstance(event, Decided)
    )  # fmt: skip
    assert {row[:3]: row[3] for row in found} == expected
    assert [row[0] for row in found] == sorted((row[0] for row in found), reverse=True)
    by_month: dict[str, int] = {}
    for (month, _, _), count in expected.items():
        by_month[month] = by_month.get(month, 0) + count
    assert {month: of.total for month, of in everything.months.items()} == by_month
    assert by_month.pop("2026-02")
    assert {month: of.total for month, of in since.months.items()} == by_month


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_the_monitor_counts_by_the_lenders_months(store: Store, zone: tzinfo) -> None:
    """Quarters of approvals; the months of the reference begin with that of the first score."""
    with store.reading() as connection:
        monitored = monitor(connection, "2027-02-01", lambda _: None, zone=zone)
        events = [record.event for record in queries.records(connection, ["decided"])]
    approved = [event for event in events if isinstance(event, Decided) and event.decision == "approve"]
    months = [day_of(event.time, zone) for event in approved]
    quarters = Counter(f"{day[:4]} Q{(int(day[5:7]) + 2) // 3}" for day in months)
    assert {rate.name: rate.loans for rate in monitored.quarters} == quarters
    assert monitored.time_zone == str(zone)
    assert monitored.reference.startswith("2026-02 to")


def test_drift_is_counted_by_the_lenders_months(tmp_path: Path) -> None:
    """Scores of the last hours of a month in UTC, where it is the next month already."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        for month in range(1, 31):
            late = datetime(2024 + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(hours=1)
            write_at(write, late, Draft(SCORED, f"late-{month}", SCORE, {"answers": {}}))
    with closing(Store(file)) as opened, opened.reading() as connection:
        in_utc, there = (
            monitor(connection, "2026-07-20", lambda _: None, zone=zone) for zone in (UTC, AUCKLAND)
        )  # fmt: skip
    assert in_utc.reference == "2024-01 to 2025-12"
    assert there.reference == "2024-02 to 2026-01"
    assert len(in_utc.drift.months) == 6
    assert len(there.drift.months) == 5
    assert [row.scores for row in there.drift.months] == [1] * 5


def lender_in(folder: Path, zone: str) -> Path:
    """The example file with another time zone."""
    file = folder / "lender.toml"
    text = EXAMPLE.read_text("utf-8")
    assert 'time_zone = "UTC"' in text
    file.write_text(text.replace('time_zone = "UTC"', f'time_zone = "{zone}"'), "utf-8")
    return file


def test_commands_count_in_the_time_zone_of_the_lenders_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is still 1 January in New York when a case is scored, so its loan may end that day."""
    ledger, outcomes = tmp_path / "ledger.sqlite3", tmp_path / "outcomes.csv"
    with writing_to(ledger) as write:
        write_at(write, datetime(2026, 1, 2, 3, tzinfo=UTC), Draft(SCORED, "a", SCORE, {"answers": {}}))
    outcomes.write_text("id,outcome,date\na,repaid,2026-01-01\n")
    command = ["--ledger", str(ledger), "outcomes", str(outcomes)]
    assert main(command) == 2
    assert "the date lies before the case's first score, 2026-01-02" in capsys.readouterr().err
    monkeypatch.setenv("TENFOLD_LENDER", str(lender_in(tmp_path, "America/New_York")))
    assert main(command) == 0
    capsys.readouterr()
    assert main(["--ledger", str(ledger), "monitor", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["time_zone"] == "America/New_York"
    monkeypatch.setenv("TENFOLD_LENDER", str(lender_in(tmp_path, "Mars/Olympus")))
    assert main(["--ledger", str(ledger), "monitor"]) == 2
    assert "this system knows no such zone" in capsys.readouterr().err


def test_a_lenders_file_without_a_time_zone_counts_in_utc(tmp_path: Path) -> None:
    file = tmp_path / "lender.toml"
    file.write_text("contest_days = 30\n")
    assert str(zone_in(file)) == str(zone_in(None)) == "UTC"
    for text, says in (("work = 5\n", "no attribute"), ("[work\n", "Expected"), ("", "No such file")):
        if text:
            file.write_text(text)
        else:
            file.unlink()
        with pytest.raises(BadSetting, match=f"TENFOLD_LENDER: .*{says}"):
            zone_in(file)


@pytest.mark.parametrize(
    ("zone", "first_day"), [(NEW_YORK, "2023-05-31"), (AUCKLAND, "2023-06-01"), (UTC, "2023-06-01")]
)
def test_a_purge_counts_the_lenders_days(tmp_path: Path, zone: tzinfo, first_day: str) -> None:
    """Decided at 1 o'clock on 1 June in UTC: in New York on the last day of May. What was decided or handed over on the
    named day stays."""
    file, today = tmp_path / "ledger.sqlite3", datetime(2026, 11, 25, 12, tzinfo=UTC)
    with writing_to(file) as write:
        moment = datetime(2023, 6, 1, 1, tzinfo=UTC)
        for name in ("decided", "notified"):
            write_at(write, moment, Draft(SCORED, name, SCORE, {"answers": {}}))
            decision = write_at(write, moment, decided(name, "decline", "refer", by="ann", justification="Seen."))
        write_at(write, moment + timedelta(days=2), notified(decision, by="ann", day="2023-06-02", text="{}"))
    day = date.fromisoformat(first_day)
    for before, names in (
        (day, {"decided", "notified"}), (day + timedelta(1), {"notified"}), (date(2023, 6, 2), {"notified"}),
        (date(2023, 6, 3), set()),
    ):  # fmt: skip
        with closing(Store(file)) as opened:
            purge(opened, datetime.combine(before, time.min), clock=clock_at(today), zone=zone)
        assert kept(file) == names, before
    last = datetime(2024, 10, 25)  # noqa: DTZ001 - of the lender's zone; 25 months before, by the clock there
    with closing(Store(file)) as opened:
        purge(opened, last, clock=clock_at(today), zone=zone)
        with pytest.raises(TooEarly, match=r"so 2024-10-2[56] at the latest"):
            purge(opened, last + timedelta(days=2), clock=clock_at(today), zone=zone)


# --- pages, files, the API ---

CASES = {  # by reference, the time in UTC: in Auckland 12 hours later, as clocks are in winter there
    "R-31-last": "2026-07-31T11:59:30",  # 31 July, 23:59
    "R-01-first": "2026-07-31T12:00:00",  # 1 August, 0:00
    "R-01-last": "2026-08-01T11:59:59",
    "R-02-first": "2026-08-01T12:00:00",
}
OF_DAY = ["R-01-last", "R-01-first"]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture(scope="module")
def visitor(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server in Auckland, without login, with a case at each of these times, decided then."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    file = tmp_path_factory.mktemp("auckland") / "ledger.sqlite3"
    example = scorer.release.form.example
    with writing_to(file) as write:
        for reference, moment in CASES.items():
            draft = scored(scorer.score(example), scorer.release, example, by="ann", channel="desk",
                           reference=reference, reasons=[])  # fmt: skip
            id = write_at(write, datetime.fromisoformat(f"{moment}+00:00"), draft)
            write.ledger.append(decided(id, "decline", "refer", by="ann", reason_code="policy", justification="Seen."))
    lender = replace(read_lender(None), work=work_settings({"time_zone": "Pacific/Auckland"}))
    settings = Settings(release=scorer.release.folder, log=None, ledger=file, users=NO_USERS)
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, settings, ledger, lender)) as client:
        yield client


@pytest.mark.slow
def test_the_history_and_its_files_search_the_day_that_they_show(visitor: TestClient) -> None:
    """The same two cases on the page, by its link, in the file, and by the API; the page shows them on that day."""
    asked = {"since": "2026-08-01", "until": "2026-08-01"}
    for page in (visitor.post("/history", data=asked).text, visitor.get("/history", params=asked).text):
        assert re.findall(r"R-\d\d-\w+", page) == OF_DAY
        assert (
            some(re.findall(r'<td><span class="day">(\d{4}-\d\d-\d\d)</span> \d\d:\d\d</td>', page))
            == ["2026-08-01"] * 2
        )
    answer = visitor.post("/history/export", data={"format": "csv", **asked})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["reference"] for row in rows] == OF_DAY
    assert [row["time"][:10] for row in rows] == ["2026-08-01"] * 2
    assert rows[1]["time"] == rows[1]["decided"] == "2026-08-01T00:00:00.000000+12:00"
    for items in (
        visitor.get("/api/v1/cases", params=asked).json()["items"],
        visitor.post("/api/v1/cases", json=asked).json()["items"],
    ):
        assert [item["reference"] for item in items] == OF_DAY
        assert items[1]["time"] == "2026-07-31T12:00:00.000000Z"  # for machines


@pytest.mark.slow
def test_the_api_names_the_time_zone(visitor: TestClient) -> None:
    described = visitor.get("/api/v1/openapi.json").json()["paths"]["/api/v1/cases"]
    parameters = {each["name"]: each["schema"] for each in described["get"]["parameters"]}
    body = described["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    for name in ("since", "until"):
        assert parameters[name]["description"].endswith(", in the lender's time zone: Pacific/Auckland")
        assert body[name] == parameters[name]


@pytest.mark.slow
def test_overrides_are_listed_by_the_months_of_the_wall_clock(visitor: TestClient) -> None:
    """One decision of July and three of August; in UTC they are two and two."""
    page = html.unescape(visitor.get("/history/overrides").text)
    totals = re.findall(r'<tr class="total"><th scope="row">(.*?)</th><td>.*?</td><td class="right">(.*?)</td>', page)
    assert totals == [("2026-08", "3 / 3"), ("2026-07", "1 / 1")]


def test_pages_for_managers_show_the_lenders_days(scorer: Scorer, tmp_path: Path) -> None:
    """When an event was sent, and a release put into service."""
    file, texts, work = tmp_path / "ledger.sqlite3", texts_in("en"), work_settings({"time_zone": "Pacific/Auckland"})
    with writing_to(file) as write:
        write._now[0] = datetime(2026, 11, 30, 11, tzinfo=UTC)
        with write.ledger.store.reading() as connection:
            draft = service(connection).change(
                by="meg", release="0" * 64, name="own", evidence="0" * 64, maker="ann", note="Validated by meg."
            )
        write.ledger.append(draft)
        events = EventsPages(write.ledger, None, scorer.release.manifest.title, work)
        assert events.moment("2026-11-30T11:00:00.000000Z") == "2026-12-01 00:00 Pacific/Auckland"
        state = ServiceState(scorer.release, write.ledger)
        pages = ReleasePages(state, scorer.release, write.ledger, work)
        now = state.service()
        assert now is not None
        assert texts.day("2026-12-01") in pages.since(now.last, texts)[0][1]


def test_a_day_is_what_the_clock_there_shows() -> None:
    assert local_day("2026-11-30T10:59:59.999999Z", AUCKLAND) == "2026-11-30"
    assert local_day("2026-11-30T11:00:00.000000Z", AUCKLAND) == "2026-12-01"
    assert local_day("2026-12-01T04:59:59.000000Z", NEW_YORK) == "2026-11-30"
