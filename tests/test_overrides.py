"""The page Overrides: decisions over time and against the suggestion, counted as a plain loop over the records does."""

import html
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from openapi_fits import misfits
from parts import NO_USERS, newest, some, visiting
from test_accounts import three_people
from test_work import TODAY, Cases, enter

from inference.intervals import wilson
from inference.number_format import write_percent
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger.decisions import DECISIONS, decided
from ledger.overrides import WAYS, amount_band, decision_counts
from web.cases.overrides import FEWEST, last_months
from web.lender import read_lender
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

DECIDED = [("refer", "zoe"), ("decline", "zoe"), ("approve", "Adam"), ("refer", "zoe")] * 4 + [
    ("approve_changed", "bob")
]
OLD = 500  # days: before the period of the charts


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture
def cases(tmp_path: Path, scorer: Scorer) -> Iterator[Cases]:
    """Seventeen decisions of this month and of some months ago, and an old one."""
    written = Cases(tmp_path / "ledger.sqlite3", scorer)
    for days, decision, by in [
        (OLD, "approve", "eve"), *((at * 9, decision, by) for at, (decision, by) in enumerate(DECIDED))
    ]:  # fmt: skip
        id = written.score(days, f"O-{days}", by=by)
        written.add(decided(id, decision, "refer", by=by, reason_code="security", justification="Seen."))
    with closing(written.ledger):
        yield written


@pytest.fixture
def client(cases: Cases, scorer: Scorer) -> Iterator[TestClient]:
    settings = Settings(release=scorer.release.folder, log=None, ledger=cases.ledger.store.path, users=NO_USERS)
    with visiting(create_app(scorer, settings, cases.ledger)) as client:
        yield client


def test_counts_are_those_of_the_records(cases: Cases, scorer: Scorer) -> None:
    """By month, officer, amount and distance; what was decided before the period is left out."""
    example = scorer.release.form.example
    pd = scorer.score(example).pd
    policy = scorer.score(example)
    months = last_months(TODAY)
    with cases.ledger.store.reading() as connection:
        counts = decision_counts(connection, months[0], "amount")
        unknown = decision_counts(connection, months[0], None)
    expected: dict[str, Counter[str]] = {}
    for at, (decision, _) in enumerate(DECIDED):
        expected.setdefault((TODAY - timedelta(at * 9)).strftime("%Y-%m"), Counter())[decision] += 1
    assert {name: month.decisions for name, month in counts.months.items()} == expected
    for month in some(counts.months.values()):
        assert month.mean_pd == pytest.approx(pd)
    assert {by: found.total() for by, found in counts.officers.items()} == {"zoe": 12, "Adam": 4, "bob": 1}
    assert counts.officers["zoe"] == {"as_suggested": 8, "stricter": 4}
    assert counts.officers["Adam"] == {"more_lenient": 4}
    assert counts.amounts.keys() == {amount_band(float(str(example["amount"])))}
    assert unknown.amounts.keys() == {None}
    apart = min(abs(pd - policy.refer_from), abs(pd - policy.decline_from))
    assert counts.distances.keys() == {sum(apart >= edge for edge in (0.01, 0.03, 0.1))}


def test_reasons_are_crossed_with_directions(cases: Cases, client: TestClient) -> None:
    """Those of overrides alone, in the lender's words, with their share of all overrides once there are enough."""
    with cases.ledger.store.reading() as connection:
        counts = decision_counts(connection, last_months(TODAY)[0], "amount")
    assert counts.reasons == {"security": {"more_lenient": 5, "stricter": 4}}
    directions = sum((month.directions for month in counts.months.values()), Counter())
    assert directions == {"as_suggested": 8, "more_lenient": 5, "stricter": 4}
    page = html.unescape(client.get("/history/overrides").text).replace(' class="right"', "")
    words = read_lender(None).reason("more_lenient", "security", "en")
    assert re.search(rf"<tr><td>{re.escape(words)}</td><td>5</td><td>4</td><td>9</td><td>–</td></tr>", page)
    id = cases.score(1, "O-more", by="zoe")
    cases.add(decided(id, "decline", "refer", by="zoe", reason_code="other", justification="Seen."))
    page = html.unescape(client.get("/history/overrides").text).replace(' class="right"', "")
    low, high = wilson(9, 10)
    interval = f"90.0 % ({100 * low:.1f} % to {100 * high:.1f} %)".replace(" %", "\N{NARROW NO-BREAK SPACE}%")
    assert f"<td>9</td><td>{interval}</td>" in page


def test_what_is_erased_is_not_known(cases: Cases) -> None:
    """Its decisions count, by month and officer; amount and exact PD are gone with the personal part."""
    with closing(sqlite3.connect(cases.ledger.store.path)) as writer, writer:
        writer.execute("DELETE FROM personal")
    with cases.ledger.store.reading() as connection:
        counts = decision_counts(connection, last_months(TODAY)[0], "amount")
    assert counts.amounts.keys() == counts.distances.keys() == {None}
    assert counts.officers["zoe"].total() == 12
    assert [round(month.mean_pd, 2) for month in some(counts.months.values())] == [0.14] * len(counts.months)


def test_bands_of_amounts() -> None:
    """An edge belongs to the band above it; what is no number has no band."""
    assert [amount_band(amount) for amount in (0, 99.5, 100, 199, 200, 500, 999, 1000, 2_500_000)] == [
        0, 0, 100, 100, 200, 500, 500, 1000, 2_000_000,
    ]  # fmt: skip
    assert [amount_band(amount) for amount in (None, "not_stated", True)] == [None] * 3


def test_months_go_over_the_turn_of_a_year() -> None:
    """The twelve months that end with the one of a time."""
    assert last_months(date(2026, 2, 2), 3) == ["2025-12", "2026-01", "2026-02"]


def figures_of(page: str) -> list[tuple[str, ...]]:
    """The rows of the page's tables, without their shares."""
    return [
        tuple(html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", line))
        for line in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    ]


def test_the_page_shows_them_and_ranks_nobody(client: TestClient) -> None:
    """Charts with their figures as a table; officers by name, a share only of enough decisions."""
    page = client.get("/history/overrides").text
    assert page.count('<svg class="chart') == 2
    rows = figures_of(page)
    officers = [row for row in rows if row and row[0] in ("Adam", "bob", "zoe", "eve")]
    assert FEWEST == 10
    assert [row[:4] for row in officers] == [("Adam", "4", "4", "0"), ("bob", "1", "1", "0"), ("zoe", "12", "0", "4")]
    low, high = wilson(4, 12)
    interval = f"33.3 % ({100 * low:.1f} % to {100 * high:.1f} %)".replace(" %", "\N{NARROW NO-BREAK SPACE}%")
    assert [row[4] for row in officers] == ["–", "–", interval]
    months = [row for row in rows if len(row) == 9]  # the figures of the charts
    assert len(months) == 12
    for column, expected in ((1, len(DECIDED)), (6, 5), (7, 4)):
        assert sum(int(row[column]) for row in months) == expected
    assert "alphabetical order" in page
    assert "par ordre alphabétique" in html.unescape(client.get("/fr/history/overrides").text)


def test_the_api_has_the_counts_of_the_page(client: TestClient) -> None:
    """Month by month, and by distance, amount, reason and officer; the groups in the order of the page."""
    rows = figures_of(client.get("/history/overrides").text)
    found = client.get("/api/v1/overrides").json()
    schemas = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert misfits(found, schemas["Overrides"], schemas) == []
    months = [row for row in rows if len(row) == 9]
    by_api = [
        (
            month["month"], sum(month[name] for name in DECISIONS), month["approve"] + month["approve_changed"],
            month["refer"], month["decline"], month["more_lenient"], month["stricter"],
        )
        for month in found["months"][::-1]
    ]  # fmt: skip
    assert [(row[0], *(int(row[at]) for at in (1, 2, 3, 4, 6, 7))) for row in months] == by_api
    means = [month["mean_pd"] for month in found["months"][::-1]]
    assert [row[5] for row in months] == ["–" if mean is None else write_percent(mean, "en") for mean in means]
    of_api = [one for name in ("distances", "amounts", "officers") for one in found[name]]
    groups = [row for row in rows if len(row) == 5][-len(of_api) :]  # the reasons stand before them
    assert [tuple(int(cell) for cell in row[1:4]) for row in groups] == [
        (sum(one[way] for way in WAYS), one["more_lenient"], one["stricter"]) for one in of_api
    ]
    assert [one["by"] for one in found["officers"]] == ["Adam", "bob", "zoe"]
    assert found["reasons"] == [
        {"code": "security", "as_suggested": 0, "more_lenient": 5, "stricter": 4, "incomplete": 0}
    ]
    assert sum(one["count"] for one in found["all_months"]) == len(DECIDED) + 1
    assert client.get("/api/v1/overrides?month=2026-01").status_code == 422


def test_only_managers_see_counts_by_api(tmp_path: Path, cases: Cases, scorer: Scorer) -> None:
    """As on the page: officers would see each other's."""
    settings = Settings(
        release=scorer.release.folder, log=None, ledger=cases.ledger.store.path, users=tmp_path / "u.sqlite3"
    )
    with (
        closing(three_people(settings.users)) as accounts,
        visiting(create_app(scorer, settings, cases.ledger, accounts=accounts)) as visitor,
    ):
        for name, status in (("ann", 403), ("meg", 200)):
            enter(visitor, name)
            assert visitor.get("/api/v1/overrides").status_code == status
            assert visitor.get("/history/overrides").status_code == status


def test_a_page_without_decisions(tmp_path: Path, scorer: Scorer) -> None:
    """No chart of nothing."""
    empty = Cases(tmp_path / "empty.sqlite3", scorer)
    settings = Settings(release=scorer.release.folder, log=None, ledger=empty.ledger.store.path, users=NO_USERS)
    with closing(empty.ledger), visiting(create_app(scorer, settings, empty.ledger)) as client:
        page = client.get("/history/overrides").text
    assert '<svg class="chart' not in page
    assert "No decision has been recorded yet." in page
