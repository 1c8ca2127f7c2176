"""The page that says whether the release still holds: for managers, in both languages, from the ledger as it is."""

import html
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import lent_ledgers
import pytest
from fastapi.testclient import TestClient
from parts import visiting
from test_accounts import PASSWORD, QUICK

from inference.number_format import write_number
from inference.scorer import open_scorer
from inference.settings import Settings, default_release
from inference.watch.expected import month
from ledger.events import OUTCOME, Outcome
from ledger.ledger import Ledger
from ledger.queries import records
from ledger.records import Draft
from web.pages.texts import LANGUAGES, texts_in
from web.security.accounts import Accounts
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started
MONTHS = month(datetime.now(UTC).date().isoformat()) - lent_ledgers.FIRST  # up to the last month


@pytest.fixture(scope="module", params=["empty", "worse"])
def bank(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, TestClient]]:
    """A server whose ledger has nothing, or a book that got worse, with a manager and an officer."""
    folder: Path = tmp_path_factory.mktemp("monitor")
    settings = Settings(release=default_release(), log=None, users=folder / "users", ledger=folder / "ledger")
    assert settings.ledger is not None
    scorer = open_scorer(settings)
    if request.param == "worse":
        release = scorer.release
        lent_ledgers.write(settings.ledger, MONTHS, 60, release.form, release.digest, 4.0)
    with (
        closing(Accounts(settings.users, hasher=QUICK)) as accounts,
        closing(Ledger(settings.ledger)) as ledger,
    ):
        for name, role in (("ann", "officer"), ("meg", "manager")):
            accounts.add_user(name, role, PASSWORD)
        with visiting(create_app(scorer, settings, ledger, accounts=accounts)) as client:
            client.app.state.ledger = ledger  # type: ignore[attr-defined]  # an ASGI app as far as the type knows
            yield request.param, client


def enter(client: TestClient, name: str) -> None:
    client.cookies.clear()
    answer = client.post("/login", data={"name": name, "password": PASSWORD}, follow_redirects=False)
    assert answer.status_code == 303


def seen(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_the_ledger_says(bank: tuple[str, TestClient], language: str) -> None:
    """An alarm with its month, the charts, every table; or that nothing was scored."""
    kind, client = bank
    enter(client, "meg")
    texts = texts_in(language)
    page = seen(client, {"en": "/monitor", "fr": "/fr/monitor"}[language])
    if kind == "empty":
        assert texts("monitor.no_scores") in page
        assert texts("monitor.bands") not in page
        return
    since = re.search(re.escape(texts("monitor.alarm_bad", month="@")).replace("@", r"(\d{4}-\d\d)"), page)
    assert since is not None
    assert since[1] >= "2025-07"
    assert texts("monitor.lent", count=write_number(MONTHS * 60, language)) in page
    for part in ("bands", "quarters", "overrides", "drift", "bad_expected", "before"):
        assert texts(f"monitor.{part}") in page
    assert texts("monitor.verdict.above") in page
    assert texts("monitor.direction.more_lenient") in page
    assert texts("monitor.quarter", year="2023", quarter="1") in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_case_says_what_became_of_it(bank: tuple[str, TestClient], language: str) -> None:
    """In the language of the page, with the day."""
    kind, client = bank
    if kind == "empty":
        return
    enter(client, "meg")
    texts = texts_in(language)
    ledger: Ledger = client.app.state.ledger  # type: ignore[attr-defined]
    with ledger.store.reading() as connection:
        record = next(records(connection, [OUTCOME])).event
    assert isinstance(record, Outcome)
    page = seen(client, {"en": "", "fr": "/fr"}[language] + f"/record/{record.of}")
    assert texts(f"entry.outcome_{record.outcome}", day=texts.day(record.day)) in page


def test_it_is_for_managers_and_leads_from_the_releases(bank: tuple[str, TestClient]) -> None:
    _, client = bank
    enter(client, "meg")
    assert 'href="monitor"' in client.get("/releases").text
    enter(client, "ann")
    for path in ("/monitor", "/fr/monitor"):
        assert client.get(path).status_code == 403


def test_a_new_outcome_is_on_the_page_at_once(bank: tuple[str, TestClient]) -> None:
    """It is worked out once a day, and anew after an outcome."""
    kind, client = bank
    if kind == "empty":
        return
    enter(client, "meg")
    before = seen(client, "/monitor")
    assert seen(client, "/monitor") == before
    ledger: Ledger = client.app.state.ledger  # type: ignore[attr-defined]
    with ledger.store.reading() as connection:
        (id,) = connection.exec_driver_sql(
            "SELECT id FROM entries e WHERE kind = 'scored' AND NOT EXISTS "
            "(SELECT 1 FROM entries o WHERE o.\"of\" = e.id AND o.kind = 'outcome') ORDER BY seq LIMIT 1"
        ).one()
    fields = {"of": id, "by": "ann", "outcome": "bad", "day": "2026-01-01", "file": "0" * 64}
    ledger.append(Draft(OUTCOME, "new-outcome", fields))
    assert seen(client, "/monitor") != before
