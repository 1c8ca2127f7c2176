"""A day's work in a real browser: the list, giving a case away, a second person, a new user who sets a password."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import Browser, Page, expect

from inference.settings import default_release
from web.lender import EXAMPLE
from web.pages.texts import texts_in
from web.security.accounts import Accounts

Open = Callable[..., Desk]
PASSWORD = "a kettle on the blue stove"  # noqa: S105
EN, FR = texts_in("en"), texts_in("fr")
IN_ONE_LINE = """() => [...document.querySelectorAll(".work tbody a")]
  .filter((link) => link.getClientRects().length !== 1).map((link) => link.textContent)"""


@pytest.fixture(scope="module")
def bank(serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A lender who asks for the applicant's name, and wants a second person for every decision of an officer."""
    lender = tmp_path_factory.mktemp("work") / "lender.toml"
    text = EXAMPLE.read_text("utf-8").replace("# officer = 50000", "officer = 0")
    lender.write_text(text + '\n[work.applicant]\nen = "Applicant"\nfr = "Demandeur"\n')
    lender.chmod(0o644)
    for folder in (lender.parent, lender.parent.parent, lender.parent.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o055)
    server = serve(default_release(), TENFOLD_LENDER=str(lender))
    with closing(Accounts(server.users)) as accounts:
        for name, role in (("ann", "officer"), ("bob", "officer"), ("meg", "manager")):
            accounts.add_user(name, role, PASSWORD)
    for file in server.writable.glob("users.sqlite3*"):
        os.chown(file, server.writable.stat().st_uid, server.writable.stat().st_gid)
    server.stop()
    server.start()  # with the file named, which was not there before
    return server


def log_in(page: Page, server: Server, name: str, path: str = "/login") -> None:
    page.goto(server.url + path)
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/work")


def leave(page: Page) -> None:
    page.locator("#visitor button").click()
    page.wait_for_url("**/login")


def test_a_case_goes_its_way(open_desk: Open, bank: Server) -> None:
    """Scored by one, who names the applicant; given to another, who decides; approved by a manager. Each finds it in
    their work, and the count in the header follows."""
    desk = open_desk(at=bank, path=None)
    page = desk.page
    log_in(page, bank, "ann")
    expect(page.locator("main")).to_contain_text(EN("work.nothing"))
    page.get_by_role("link", name=EN("decide.new")).click()
    desk.ready()
    expect(page.locator("#header .count")).to_have_text("")
    page.click("#example")
    page.fill("#reference input, #reference textarea", "W-1")
    page.fill("#applicant", "Jeanne Müller")
    desk.score()
    desk.card("score")
    desk.axe()
    desk.shoot("70-desk-applicant", full=False)
    page.goto(f"{bank.url}/work")
    row = page.locator("section.work tr", has_text="W-1")
    expect(row).to_contain_text("Jeanne Müller")
    expect(row).to_contain_text(EN("due.left", days=30))
    expect(page.locator("#header .count")).to_have_text("1")
    widths = page.locator("section.work thead th").evaluate_all("cells => cells.map((cell) => cell.offsetWidth)")
    assert min(widths) > 60
    desk.shoot("71-work", full=False)
    assert desk.violations(page) == []
    page.get_by_role("link", name="W-1").click()
    expect(page.locator(".status")).to_contain_text(EN("status.turn", name="ann"))
    page.get_by_text(EN("hand.assign")).click()
    page.locator("[name=to]").fill("nobody")
    page.locator("[data-action=assign] button").click()
    expect(page.locator("#problem-to")).to_have_text(EN("decide.problem.unknown_person"))
    page.locator("[name=to]").fill("bob")
    page.locator("[name=assign_note]").fill("You know this customer.")
    page.locator("[data-action=assign] button").click()
    expect(page.locator(".status")).to_contain_text(EN("status.turn", name="bob"))
    expect(page.locator("#header .count")).to_have_text("")
    leave(page)

    log_in(page, bank, "bob")
    page.get_by_role("link", name="W-1").click()
    expect(page.locator("ol.timeline")).to_contain_text("You know this customer.")
    page.get_by_text(EN("hand.note")).click()
    page.locator("[name=case_note]").fill("Called: the payslip is on its way.")
    page.locator("[data-action=note] button").click()
    expect(page.locator("ol.timeline")).to_contain_text("Called: the payslip is on its way.")
    decide = page.locator("[data-action=decide]")
    decide.locator("[value=incomplete]").check()
    decide.locator("select:visible").select_option(index=1)
    decide.locator("textarea:visible").fill("A payslip is missing.")
    decide.locator("button").click()
    expect(page.locator(".waits")).to_have_text(f"{EN('agree.wait')} {EN('decide.able', names='ann, meg')}")
    desk.shoot("72-who-may", full=False)
    assert desk.violations(page) == []
    leave(page)

    log_in(page, bank, "meg")
    page.locator("section.work", has_text=EN("work.list_waiting")).get_by_role("link", name="W-1").click()
    page.locator("[data-action=agree] [value=yes]").check()
    page.locator("[data-action=agree] button").click()
    expect(page.locator(".status")).to_contain_text(EN("status.pending"))
    page.goto(f"{bank.url}/work")
    expect(page.locator("section.work", has_text=EN("work.list_referred"))).to_contain_text("W-1")
    for width in (360, 640, 683, 800, 919, 920, 1366):  # 683: a window of 1366 at twice the size
        page.set_viewport_size({"width": width, "height": 768})
        assert page.evaluate(IN_ONE_LINE) == [], f"{width} px wide: a reference is broken"
    leave(page)


def test_what_was_begun_is_gone_on_with(open_desk: Open, bank: Server) -> None:
    """From the list of work, with the applicant's name; nothing of it is in the address for long, or in storage."""
    desk = open_desk(at=bank, path=None)
    page = desk.page
    log_in(page, bank, "ann")
    page.goto(bank.url)
    desk.ready()
    page.fill("#reference input, #reference textarea", "W-begun")
    page.fill("#applicant", "Canary Applicant")
    with page.expect_response("**/desk/keep"):
        page.locator("#applicant").blur()
    page.goto(f"{bank.url}/work")
    page.get_by_role("link", name="W-begun").click()
    desk.ready()
    expect(page.locator("#applicant")).to_have_value("Canary Applicant")
    assert page.url == f"{bank.url}/"
    assert "Canary" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    page.click("#reset")
    expect(page.locator("#applicant")).to_have_value("")


def test_on_a_phone_in_french_and_in_the_dark(open_desk: Open, bank: Server) -> None:
    """Work, Manage, Users and the password fit, and have no fault that axe finds."""
    desk = open_desk(at=bank, path=None, size=(390, 844), colours="dark", locale="fr-FR")
    page = desk.page
    log_in(page, bank, "meg", "/fr/login")
    for number, path in enumerate(("work", "work/all", "manage", "users", "password")):
        page.goto(f"{bank.url}/fr/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.locator("nav.pages a").all_inner_texts()[1:] == [
            FR(f"nav.{name}") for name in ("desk", "history", "manage", "model")
        ]
        desk.shoot(f"73-{number}-phone-french-dark", full=False)
        assert desk.violations(page) == [], path


def test_a_new_user_sets_a_password(open_desk: Open, bank: Server, browser: Browser, tmp_path: Path) -> None:
    """By a link that a manager hands over, once, in another browser; the server is never sent what stands behind #."""
    desk = open_desk(at=bank, path=None)
    page = desk.page
    log_in(page, bank, "meg")
    page.get_by_role("link", name=EN("nav.manage")).click()
    page.get_by_role("link", name=EN("manage.users")).click()
    page.fill("form.search [name=name]", "Cyd")
    page.get_by_role("button", name=EN("users.add")).click()
    link = page.locator("#link").input_value()
    desk.shoot("74-users-link", full=False)
    assert desk.violations(page) == []
    context = browser.new_context()
    other = context.new_page()
    asked: list[str] = []
    other.on(
        "request", lambda request: asked.append(f"{request.url.partition('#')[0]} {request.headers.get('referer')}")
    )
    other.goto(link)
    for password, problem in (
        ("short", EN("password.length", shortest=12, longest=200)),
        ("password1234", EN("password.guessed")),
    ):
        for name in ("password", "again"):
            other.fill(f"input[name={name}]", password)
        other.keyboard.press("Enter")
        expect(other.get_by_role("alert")).to_have_text(problem)
    for name in ("password", "again"):
        other.fill(f"input[name={name}]", PASSWORD)
    other.keyboard.press("Enter")
    expect(other.get_by_role("status")).to_have_text(EN("password.done"))
    assert Desk.violations(other) == []
    secret = link.partition("#")[2]
    assert secret not in other.url
    assert [one for one in asked if secret in one] == []
    written = b"".join(file.read_bytes() for file in bank.writable.glob("*") if file.is_file())
    assert secret.encode() not in written
    assert b'"link_used"' in written
    log_in(other, bank, "cyd")
    other.goto(link)
    for name in ("password", "again"):
        other.fill(f"input[name={name}]", PASSWORD + "!")
    other.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_have_text(EN("password.no_link"))
    other.goto(f"{bank.url}/password")
    for name, text in (("present", PASSWORD), ("password", PASSWORD + "?"), ("again", PASSWORD + "?")):
        other.fill(f"input[name={name}]", text)
    other.keyboard.press("Enter")
    expect(other.get_by_role("status")).to_have_text(EN("password.done"), timeout=PATIENCE)  # three times argon2
    other.goto(f"{bank.url}/work")  # this browser is still logged in
    expect(other.locator("#visitor")).to_contain_text("cyd")
    context.close()
    page.goto(f"{bank.url}/users")
    row = page.locator("tr", has_text="cyd")
    row.locator("summary").click()
    row.get_by_role("button", name=EN("users.remove"), exact=False).click()
    expect(page.locator("table.people").first).not_to_contain_text("cyd")
