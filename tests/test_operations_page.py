"""The page Operations: times of scores, requests and commits, errors by kind, gaps, periods; the counts behind it."""

import html
import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient
from parts import NO_USERS, Time, some, visiting
from perflog_lines import line

from inference.minutes import MOST_KINDS, OTHERS, MinuteCounts
from inference.perflog import PerformanceLog
from inference.perflog_lines import SLOWEST, bucket_of, time_in
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings, default_release
from ledger.ledger import Ledger
from profiling.study.log_reader import LogReader as StudyReader
from web.operations.operations_page import OperationsPage, OperationsPages
from web.operations.timed import kind_of
from web.operations.timeline import MOST, PERIODS, timeline
from web.pages.texts import texts_in

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
EN = texts_in("en")


def entries(folder: Path) -> list[dict[str, object]]:
    """The lines of a log that are counts of a minute."""
    lines = [
        orjson.loads(text)
        for file in sorted(folder.glob("*-????-??-??.jsonl"))
        for text in file.read_bytes().split(b"\n")[1:]
    ]
    return [entry for entry in lines if "minute" in entry]


# ---- what is counted ----------------------------------------------------------------------------------------------


def test_a_minute_is_one_line(tmp_path: Path) -> None:
    """Written with the first count after it, and the last one at the end; in memory is one minute alone."""
    time = Time(NOON)
    log = PerformanceLog(tmp_path / "log.jsonl", 0, time.clock)
    minutes = MinuteCounts(log, time.clock)
    for _ in range(5000):
        minutes.took("page", 1.0)
    minutes.problem("no-json")
    assert entries(tmp_path) == []
    assert minutes.unwritten() == {
        "minute": NOON // 60, "took": {"page": {str(bucket_of(1.0)): 5000}}, "problems": {"no-json": 1},
    }  # fmt: skip
    time.now += 60
    minutes.took("commit", 8.0)
    assert [entry["took"] for entry in entries(tmp_path)] == [{"page": {"0": 5000}}]
    minutes.close()
    minutes.close()
    assert [entry["minute"] for entry in entries(tmp_path)] == [NOON // 60, NOON // 60 + 1]
    assert minutes.unwritten() is None


def test_kinds_and_buckets_are_bounded() -> None:
    """However many kinds and whatever times there are."""
    minutes = MinuteCounts(None, Time(NOON).clock)
    for number in range(2 * MOST_KINDS):
        minutes.problem(f"kind-{number}")
    for ms in (0.0, -1.0, 1e-300, 1e300, math.inf):
        minutes.took("api", min(ms, 1e308))
    entry = minutes.unwritten()
    assert entry is not None
    problems, took = entry["problems"], entry["took"]
    assert isinstance(problems, dict)
    assert isinstance(took, dict)
    assert len(problems) == MOST_KINDS + 1
    assert problems[OTHERS] == MOST_KINDS
    assert len(took["api"]) == 2


@pytest.mark.parametrize("ms", [0.002, 0.05, 0.99, 1.0, 3.3, 250.0, 60_000.0])
def test_a_bucket_is_right_within_five_percent(ms: float) -> None:
    """From microseconds to minutes."""
    assert time_in(bucket_of(ms)) == pytest.approx(ms, rel=0.05)
    assert time_in(SLOWEST) > 15 * 60_000


def test_the_study_passes_over_minutes() -> None:
    """Its log reader takes them for no broken lines, and for no measurements."""
    reader = StudyReader()
    reader.take(line())
    reader.take(orjson.dumps({"time": "2026-11-23T12:00:00Z", "minute": 29_000_000, "took": {}, "problems": {}}))
    assert len(reader.scores) == 1
    assert reader.skipped == {}


def test_what_requests_are_for() -> None:
    """What nobody waits for is not counted."""
    assert {kind_of(path) for path in ("/api/v1/score", "/gradio_api/run/predict_credit_score")} == {"api"}
    assert {kind_of(path) for path in ("/desk/score", "/fr/desk/compare")} == {"desk"}
    assert {kind_of(path) for path in ("/", "/fr/work", "/record/abc", "/nothing")} == {"page"}
    uncounted = ("/livez", "/readyz", "/metrics", "/operations", "/fr/operations", "/desk/0123456789ab/desk.css")
    assert {kind_of(path) for path in uncounted} == {None}


# ---- the timeline -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [*PERIODS, "all"])
@pytest.mark.parametrize("first", [29_000_000 - 5, 29_000_000 - 400_000])
def test_a_timeline_holds_its_period(period: str, first: int) -> None:
    """In at most so many intervals, to the end of now."""
    now = 29_000_000
    when = timeline(period, now, first, now)
    assert 1 <= when.intervals <= MOST
    assert when.start <= (first if period == "all" else now - PERIODS[period] + 1)
    assert when.end > now
    assert sum(when.place(number)[1] for number in range(when.intervals)) == pytest.approx(1)


def test_gaps_are_where_nothing_happened() -> None:
    """At both ends and between, each as one stretch."""
    when = timeline("hour", 29_000_000, 0, 0)
    happened = [place in (2, 3, 10) for place in range(when.intervals)]
    gaps = when.gaps(happened, EN)
    edges = [(round(gap.x * 60 / 100), round((gap.x + gap.width) * 60 / 100)) for gap in gaps]
    assert edges == [(0, 2), (4, 10), (11, 60)]
    assert gaps[0].says == EN("operations.idle", start=when.begins(0), end=when.begins(2))
    assert when.gaps([True] * when.intervals, EN) == ()


# ---- the page -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=default_release(), log=None, users=NO_USERS))


def view_of(tmp_path: Path, scorer: Scorer, period: str, now: float = NOON) -> OperationsPage:
    """The page over the logs of a folder, in English."""
    settings = Settings(release=scorer.release.folder, log=tmp_path / "log.jsonl", users=NO_USERS)
    pages = OperationsPages(scorer, settings, MinuteCounts(None), ledger=True, clock=Time(now).clock)
    return pages.view(period, False, EN)


def scores(tmp_path: Path, count: int, minutes: int = 0, day: str = "2026-11-23") -> None:
    """Put scores into a day's log: 1 ms, 2 ms and so on, so many minutes after 11:00."""
    time = f"{day}T11:{minutes:02}:00.000000Z"
    with (tmp_path / f"log-{day}.jsonl").open("ab") as log:
        for number in range(count):
            ms = {"total": number + 1.0, "validate": 0.1, "row": 0.2, "predict": 0.6, "policy": 0.1}
            log.write(line(time=time, ms=ms))


KNOWN = {1: ["1 ms"], 2: ["1.50 ms"], 10: ["5.50 ms", "9.10 ms"], 100: ["50.5 ms", "90.1 ms", "99.0 ms"],
         1000: ["500 ms", "900 ms", "990 ms", "999 ms"]}  # fmt: skip


@pytest.mark.parametrize("count", KNOWN)
def test_a_quantile_is_shown_where_there_are_enough_values(tmp_path: Path, scorer: Scorer, count: int) -> None:
    """One score is no median, p90, p99 and slowest at once."""
    scores(tmp_path, count)
    shown = view_of(tmp_path, scorer, "day").measured
    assert shown is not None
    (row,) = shown.times.rows
    quantiles = [cell.replace("\u202f", " ") for cell in row[2:-1]]
    assert [cell for cell in quantiles if cell != "–"] == KNOWN[count]
    assert quantiles[len(KNOWN[count]) :] == ["–"] * (4 - len(KNOWN[count]))
    assert (row[-1] == "–") == (count == 1)


def test_a_period_holds_its_scores_and_draws_idle_times(tmp_path: Path, scorer: Scorer) -> None:
    """An hour, a day, a week, all: each with what happened then, and gaps before, between and after."""
    for day, count in (("2026-08-01", 5), ("2026-11-18", 4), ("2026-11-23", 3)):
        scores(tmp_path, count, 30, day)
    seen = {}
    for period in (*PERIODS, "all"):
        shown = view_of(tmp_path, scorer, period).measured
        assert shown is not None
        seen[period] = shown.headline[0][1]
        first = shown.figures[0].chart
        assert len(first.gaps) >= 2 or period == "all"
        assert sum(gap.width for gap in first.gaps) + 100 / len(shown.figures[0].chart.columns) > 50
    assert seen == {"hour": "3", "day": "3", "week": "7", "all": "12"}


def test_every_chart_has_its_figures_as_a_table(tmp_path: Path, scorer: Scorer) -> None:
    """As many rows as columns, with what the tooltips say."""
    scores(tmp_path, 3, 5)
    scores(tmp_path, 2, 50)
    shown = view_of(tmp_path, scorer, "hour").measured
    assert shown is not None
    assert len(shown.figures) == 7
    for figure in shown.figures:
        assert figure.table is not None
        assert len(figure.table.rows) == len(figure.chart.columns)
        for row, column in zip(figure.table.rows, figure.chart.columns, strict=True):
            assert column.says.startswith(row[0])
    assert [row[1] for row in some(shown.figures[0].table.rows if shown.figures[0].table else ())] == ["3", "2"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The app with a ledger and a log."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    settings = Settings(
        release=default_release(), log=tmp_path / "log" / "scores.jsonl", ledger=tmp_path / "ledger.sqlite3",
        users=NO_USERS,
    )  # fmt: skip
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    with closing(ledger), visiting(create_app(open_scorer(settings), settings, ledger)) as client:
        yield client


def rows_of(page: str) -> dict[str, list[str]]:
    """Rows of tables by their first cell."""
    rows: dict[str, list[str]] = {}
    for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL):
        cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        if cells:
            rows.setdefault(cells[0], cells[1:])
    return rows


@pytest.mark.slow
def test_times_and_errors_of_a_real_server(client: TestClient, scorer: Scorer) -> None:
    """Each request, commit and error is counted under its kind, none by what was sent."""
    answers = dict(scorer.release.form.example)
    for _ in range(3):
        assert client.post("/api/v1/score", json={"answers": answers}).status_code == 200
    assert client.post("/api/v1/score", json={"answers": {}}).status_code == 422
    assert client.post("/api/v1/score", content=b"CANARY").status_code == 415
    assert client.get("/CANARY").status_code == 404
    assert client.get("/record/CANARY").status_code == 404
    assert client.get("/history").status_code == 200
    page = client.get("/operations").text
    rows = rows_of(page)
    assert rows[EN("operations.of_score_itself")][0] == "3"
    assert rows[EN("operations.of_api")][0] == "5"
    assert rows[EN("operations.of_page")][0] == "3"
    assert rows[EN("operations.of_commit")][0] == "3"
    assert {kind: rows[kind][1] for kind in ("invalid-application", "no-json", "http-404")} == {
        "invalid-application": "1", "no-json": "1", "http-404": "2",
    }  # fmt: skip
    assert rows["InvalidApplication"][:2] == [EN("operations.where_refused"), "1"]
    assert "CANARY" not in page
    french = html.unescape(client.get("/fr/operations").text)
    assert texts_in("fr")("operations.of_commit") in french
    assert client.get("/operations?period=%3Cb%3E").status_code == 200


@pytest.mark.slow
def test_the_former_path_leads_here(client: TestClient) -> None:
    """For bookmarks, in both languages."""
    for home in ("/", "/fr/"):
        answer = client.get(f"{home}performance", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, f"{home}operations")


@pytest.mark.slow
def test_counts_outlive_the_server(tmp_path: Path, scorer: Scorer) -> None:
    """What one has written at its end the next one shows."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    settings = Settings(release=scorer.release.folder, log=tmp_path / "log.jsonl", users=NO_USERS)
    app = create_app(open_scorer(settings), settings)
    with visiting(app) as client:
        assert client.get("/model-card").status_code == 200
    app.state.minutes.close()
    with visiting(create_app(open_scorer(settings), replace(settings))) as client:
        assert rows_of(client.get("/operations").text)[EN("operations.of_page")][0] == "1"
