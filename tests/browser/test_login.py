"""Logging in and out in a real browser, and what of people and applicants is left behind where."""

import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from live import Desk, Server
from playwright.sync_api import Page, expect

from inference.fields import NumberField
from inference.settings import default_release
from web.pages.texts import texts_in
from web.security.accounts import Accounts

Open = Callable[..., Desk]
# Each stands nowhere else, so that it is found wherever it was written.
PASSWORD = "canary-Passw0rd-7f3a91"  # noqa: S105
NAME, REFERENCE, SENTENCE = "canary.officer", "CANARY-REF-5d20", "Canary sentence 81c4 about the applicant."
AMOUNTS = 31337.0  # what every number is filled with, as far as the field allows


@pytest.fixture(scope="module")
def closed(serve: Callable[..., Server]) -> Server:
    """A server of its own with two users."""
    server = serve(default_release(), TENFOLD_LENDER="")
    with closing(Accounts(server.users)) as accounts:
        accounts.add_user(NAME, "officer", PASSWORD)
        accounts.add_user("meg", "manager", PASSWORD + "x")
    for file in server.writable.glob("users.sqlite3*"):
        os.chown(file, server.writable.stat().st_uid, server.writable.stat().st_gid)
    server.stop()
    server.start()  # with the file named, which was not there before
    return server


def log_in(page: Page, name: str = NAME, password: str = PASSWORD) -> None:
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")


def test_logging_in(open_desk: Open, closed: Server) -> None:
    """A page without a session leads to the login; a wrong password is said; the right one leads back to the page."""
    desk = open_desk(at=closed, path=None)
    page = desk.page
    page.goto(f"{closed.url}/history")
    expect(page.get_by_role("heading", name=texts_in("en")("login.title"))).to_be_visible()
    desk.shoot("30-login", full=False)
    assert desk.violations(page) == []
    log_in(page, NAME, PASSWORD[1:])
    expect(page.get_by_role("alert")).to_have_text(texts_in("en")("login.wrong"))
    expect(page.locator("input[name=password]")).to_be_focused()
    desk.shoot("31-login-wrong", full=False)
    assert "password" not in page.url
    log_in(page)
    page.wait_for_url(f"{closed.url}/history")
    expect(page.locator("#visitor")).to_contain_text(f"{NAME} ({texts_in('en')('role.officer')})")
    desk.shoot("32-history-logged-in", full=False)
    assert desk.violations(page) == []
    desk.complaints = [one for one in desk.complaints if "401" not in one]  # the browser's word on the wrong password


def test_login_on_a_phone_in_french_and_in_the_dark(open_desk: Open, closed: Server) -> None:
    """It fits, and every word of it is French."""
    desk = open_desk(at=closed, path=None, size=(390, 844), colours="dark", locale="fr-FR")
    page = desk.page
    page.goto(closed.url)
    expect(page.get_by_role("heading", name=texts_in("fr")("login.title"))).to_be_visible()
    desk.shoot("33-login-phone-french-dark", full=False)
    assert desk.violations(page) == []
    log_in(page)
    page.wait_for_url("**/work")
    page.goto(f"{closed.url}/fr/sessions")
    for cell, name in (("th", "sessions.since"), ("td", "users.used")):  # its table has no head to be seen there
        named = f"getComputedStyle(document.querySelector('table.people tbody {cell}'), '::before').content"
        assert str(page.evaluate(named)).startswith(f'"{texts_in("fr")(name)}"')
    assert desk.violations(page) == []
    page.goto(closed.url)
    page.wait_for_selector("html[data-desk=ready]")
    assert page.get_attribute("html", "lang") == "fr"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    desk.shoot("34-desk-logged-in-phone-french-dark", full=False)
    assert desk.violations(page) == []


def test_logged_out_in_another_tab(open_desk: Open, closed: Server) -> None:
    """The next score says so and keeps what was typed; after logging in again in another tab it goes on."""
    desk = open_desk(at=closed, path=None)
    page = desk.page
    page.goto(closed.url)
    log_in(page)
    page.wait_for_url("**/work")
    page.goto(closed.url)
    page.wait_for_selector("html[data-desk=ready]")
    desk.ready()
    page.click("#example")  # after a login the form is empty
    desk.score()
    desk.card("score")
    expect(page.locator("#visitor")).to_contain_text(NAME)
    page.evaluate("window.scrollTo(0, 0)")
    desk.shoot("35-desk-logged-in", full=False)
    form = page.locator(".deciding[data-action=decide]")
    assert form.locator("[name=name]").count() == 0
    other = page.context.new_page()
    other.goto(f"{closed.url}/history")
    other.get_by_role("button", name=desk.texts("visitor.leave")).click()
    other.wait_for_url(f"{closed.url}/login")
    form.locator("[value=incomplete]").check()
    form.get_by_role("button").click()
    expect(page.locator(".decide .form-problem")).to_have_text(desk.texts("decide.out"))
    box = desk.box(next(field.name for field in desk.release.form.fields if isinstance(field, NumberField)))
    box.fill("777")
    desk.score()
    expect(desk.card("out")).to_contain_text(desk.texts("out.title"))
    expect(box).to_have_value("777")
    desk.shoot("36-logged-out", full=False)
    assert desk.violations(page) == []
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=desk.texts("out.link")).click()
    log_in(opened.value)
    opened.value.wait_for_url("**/work")
    desk.score()
    desk.card("score")
    for tab in (other, opened.value):
        tab.close()
    desk.complaints = [one for one in desk.complaints if "401" not in one]


def test_no_secret_and_no_applicant_is_left_behind(open_desk: Open, closed: Server, tmp_path: Path) -> None:
    """Canaries in every field, in reference, sentence, name and password: the ledger alone holds what belongs into it.
    Not the logs, nor what the server printed, nor any address, nor the browser's storage, nor the file of users."""
    addresses: list[str] = []
    desk = open_desk(at=closed, path=None)
    page = desk.page
    page.on("request", lambda request: addresses.append(request.url + str(request.headers.get("referer"))))
    page.goto(closed.url)
    log_in(page, NAME, PASSWORD[::-1])
    log_in(page)
    page.wait_for_url("**/work")
    page.goto(closed.url)
    page.wait_for_selector("html[data-desk=ready]")
    desk.ready()
    page.click("#example")
    canaries = [REFERENCE, SENTENCE, PASSWORD, PASSWORD[::-1]]
    for at, field in enumerate(field for field in desk.release.form.fields if isinstance(field, NumberField)):
        value = min(AMOUNTS + at, field.maximum)
        if value == AMOUNTS + at:
            canaries.append(f"{value:.0f}")
        desk.box(field.name).fill(f"{value:.0f}")
    page.locator("#reference input, #reference textarea").fill(REFERENCE)
    desk.score()
    page.wait_for_selector("#result .card[data-state=score]")
    page.wait_for_selector("#tried .whatif")
    form = page.locator(".deciding[data-action=decide]")
    form.locator("[value=incomplete]").check()
    form.locator("select:visible").select_option(index=1)
    form.locator("textarea:visible").fill(SENTENCE)
    form.get_by_role("button").click()
    page.wait_for_selector(".decided")
    page.goto(f"{closed.url}/history")
    page.fill("input[name=reference]", REFERENCE)
    page.keyboard.press("Enter")
    page.wait_for_selector("table.cases td")
    page.locator("table.cases a").first.click()
    page.wait_for_selector("ol.timeline")
    kept = page.evaluate(
        "async () => JSON.stringify([{...localStorage}, {...sessionStorage}, await indexedDB.databases(), "
        "document.cookie, await caches.keys()])"
    )
    assert len(canaries) > 5
    ledger = b"".join(file.read_bytes() for file in closed.writable.glob("ledger.sqlite3*"))
    assert SENTENCE.encode() in ledger
    written = {
        file.name: file.read_bytes()
        for file in closed.writable.rglob("*")
        if file.is_file() and not file.name.startswith("ledger.sqlite3")
    }
    assert {"users.sqlite3", "output.txt"} <= written.keys()
    assert any(name.startswith("predictions") for name in written)
    found = [(canary, name) for canary in canaries for name, content in written.items() if canary.encode() in content]
    assert found == []
    assert [canary for canary in canaries if canary in kept] == []
    assert [canary for canary in canaries if canary in " ".join(addresses)] == []
    assert re.search(NAME, " ".join(addresses)) is None
    assert PASSWORD.encode() not in ledger
    desk.complaints = [one for one in desk.complaints if "401" not in one]
