"""The letter to the applicant in a real browser: beside the form and the case, its language and order by keyboard and
pointer, recorded, handed over and shown again."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Desk, Server, add_officers
from playwright.sync_api import Locator, Page, expect
from test_officer import case_page, fits, scored
from test_view import PASSWORD, log_in

from inference.settings import default_release
from web.lender import EXAMPLE
from web.pages.texts import Texts, texts_in

Open = Callable[..., Desk]
EN, FR = texts_in("en"), texts_in("fr")
RISKY = {"seniority": "0", "income": "60", "assets": "0"}


def declined(desk: Desk, reference: str, name: str = "Ann") -> None:
    """A decline for all the reasons that the form offers."""
    page = desk.page
    page.locator("#reference input, #reference textarea").fill(reference)
    answers, choices = RISKY, [("prior_record", "yes"), ("job", "freelance")]
    if not name:  # who is logged in begins with an empty form
        answers = {"amount": "1000", "price": "1400", "term": "48", "expenses": "51", **RISKY}
        choices.append(("home", "rent"))
    for field, answer in answers.items():
        desk.box(field).fill(answer)
    for field, code in choices:
        desk.option(field, code).check()
    desk.score()
    form = page.locator(".deciding[data-action=decide]")
    form.locator("[value=decline]").check()
    for box in form.locator("[name=principal]:visible").all():
        box.check()
    if name:
        form.locator("[name=name]").fill(name)
    form.locator("button[type=submit]").click()
    expect(page.locator(".letter")).to_be_visible()


def listed(page: Page) -> list[str]:
    return page.locator(".letter .order .text").all_inner_texts()


def shown(page: Page) -> list[str]:
    return page.locator(".letter .sheet:visible .reasons li").all_inner_texts()


def texts_of(desk: Desk) -> Texts:
    return FR if desk.page.locator("html").get_attribute("lang") == "fr" else EN


def drag(page: Page, grip: Locator, to: Locator) -> None:
    """With the pointer, over several moves, as a hand does."""
    grip.scroll_into_view_if_needed()
    start, end = grip.bounding_box(), to.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 4, (start["y"] + end["y"]) / 2, steps=3)
    page.mouse.move(end["x"] + 40, end["y"] + end["height"] / 2 + 4, steps=6)
    page.mouse.up()


def test_order_and_language_beside_the_form(open_desk: Open) -> None:
    """Below a decline the desk shows the letter. A button moves a reason and keeps the focus, the pointer pulls one,
    the preview follows, the other language is one choice away; what is recorded is on the case's page, with who."""
    desk = open_desk()
    page = desk.page
    declined(desk, "LETTER-1")
    before = listed(page)
    assert len(before) > 2
    assert shown(page) == before
    down = page.get_by_role("button", name=EN("letter.down", reason=before[0]))
    down.focus()
    page.keyboard.press("Enter")
    assert listed(page) == shown(page) == [before[1], before[0], *before[2:]]
    expect(page.locator(".order .said")).to_have_text(EN("letter.moved", place=2))
    expect(down).to_be_focused()
    page.keyboard.press("Space")
    moved = [before[1], before[2], before[0], *before[3:]]
    assert listed(page) == shown(page) == moved
    entries = page.locator(".order li")
    drag(page, entries.nth(len(before) - 1).locator(".grip"), entries.first)
    pulled = listed(page)
    assert sorted(pulled) == sorted(before)
    assert pulled != moved
    assert shown(page) == pulled
    expect(page.locator(".order .pulled")).to_have_count(0)
    page.get_by_label("Français").check()
    expect(page.locator(".letter .sheet:visible")).to_have_attribute("lang", "fr")
    expect(page.locator(".letter .sheet:visible")).to_contain_text(FR("notice.title"))
    assert len(shown(page)) == len(before)
    desk.axe()
    desk.shoot("80-letter-desk")
    page.locator(".letter button[type=submit]").click()
    expect(page.locator(".letter")).to_contain_text(EN("letter.by", by="Ann"))
    assert listed(page) == pulled
    in_french = shown(page)
    case_page(desk)
    assert listed(page) == pulled
    assert shown(page) == in_french
    expect(page.locator("ol.timeline")).to_contain_text(EN("entry.ordered", reasons="; ".join(pulled)))
    assert desk.violations(page) == []
    desk.shoot("81-letter-case")
    page.locator(".letter .of-language:visible a").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    assert page.locator("ul.reasons li").all_inner_texts() == in_french
    expect(page.locator(".rule")).to_contain_text("juriste")
    desk.shoot("82-letter-page")


def test_a_letter_that_was_handed_over_is_shown_again(open_desk: Open) -> None:
    """Its day and language are recorded; the link in what happened leads to the same text."""
    desk = open_desk()
    page = desk.page
    declined(desk, "LETTER-2")
    case_page(desk)
    page.get_by_text(EN("keeping.notified"), exact=True).click()
    form = page.locator("[data-action=notified]")
    form.locator("select").select_option("en")
    form.locator("[name=name]").fill("Bob")
    form.locator("button").click()
    page.get_by_role("link", name=EN("letter.handed")).click()
    said = page.locator(".handed")
    expect(said).to_contain_text("SHA-256")
    expect(said).to_contain_text("Bob")
    expect(page.locator(".draft")).to_have_count(0)
    expect(page.locator("main")).to_contain_text(EN("notice.decline"))
    assert desk.violations(page) == []
    desk.shoot("83-letter-handed")


@pytest.fixture(scope="module")
def closed(serve: Callable[..., Server]) -> Server:
    """A server with two officers, whose lender has words of its own."""
    file = Path(tempfile.mkdtemp(prefix="tenfold-lender-")) / "lender.toml"  # pytest's folders are closed to nobody
    file.write_text(re.sub(r" ?\(TENFOLD_LENDER\)", "", EXAMPLE.read_text("utf-8")), "utf-8")
    file.write_text(file.read_text("utf-8").replace("Address and telephone number of the creditor", "1 Main Street"))
    file.parent.chmod(0o755)
    file.chmod(0o644)
    server = serve(default_release(), TENFOLD_LENDER=str(file))
    add_officers(server, PASSWORD, "anna", "bob")
    return server


def test_a_reload_shows_the_letter_again(open_desk: Open, closed: Server) -> None:
    """The decided case is on the desk as it was left: whose decision, the answers, the letter with its order; what is
    arranged then is recorded. A new application begins with an empty form."""
    desk = open_desk(at=closed, path=None)
    page = desk.page
    log_in(page, closed, "anna")
    desk.ready()
    declined(desk, "LETTER-4", name="")
    headline = page.locator(".decided strong").inner_text()
    before, sheet = listed(page), page.locator(".letter .sheet:visible").inner_text()
    page.reload()
    desk.ready()
    expect(page.locator(".decided strong")).to_have_text(headline)
    assert listed(page) == before
    assert page.locator(".letter .sheet:visible").inner_text() == sheet
    expect(page.locator("#reference input, #reference textarea")).to_have_value("LETTER-4")
    expect(desk.box("income")).to_have_value(RISKY["income"])
    desk.axe()
    desk.shoot("86-letter-reloaded", full=False)
    page.get_by_role("button", name=EN("letter.down", reason=before[0])).click()
    page.locator(".letter button[type=submit]").click()
    expect(page.locator(".letter")).to_contain_text(EN("letter.by", by="anna"))
    ordered = listed(page)
    assert ordered[:2] == [before[1], before[0]]
    page.reload()
    desk.ready()
    assert listed(page) == ordered
    page.goto(f"{closed.url}/work")
    page.get_by_role("link", name=EN("decide.new")).click()
    desk.ready()
    expect(page.locator(".letter")).to_have_count(0)
    expect(desk.box("income")).to_have_value("")
    page.reload()
    desk.ready()
    expect(page.locator(".decided")).to_have_count(0)


def correcting(desk: Desk, closed: Server, reference: str) -> str:
    """The address under which anna corrects the answers of a case that she has scored."""
    page = desk.page
    log_in(page, closed, "anna")
    desk.ready()
    page.click("#example")
    scored(desk, reference)
    id = str(page.locator("#result [data-record]").first.get_attribute("data-record")).rpartition("/")[2]
    with page.expect_response("**/desk/discard"):  # the form that it was scored in is no unfinished one
        page.click("#reset")
    page.goto(f"{closed.url}/?of={id}")
    desk.ready()
    expect(page.locator(".correcting")).to_be_visible()
    return page.url


def test_a_correction_that_is_given_up_leaves_an_empty_form(open_desk: Open, closed: Server) -> None:
    """What was typed is no unfinished form either; until then a reload brings it back."""
    desk = open_desk(at=closed, path=None)
    page = desk.page
    correcting(desk, closed, "LETTER-5")
    with page.expect_response("**/desk/keep"):
        desk.box("income").fill("77")
    page.reload()
    desk.ready()
    expect(page.locator(".correcting")).to_be_visible()
    expect(desk.box("income")).to_have_value("77")
    with page.expect_response("**/desk/discard"):
        page.get_by_role("link", name=EN("correct.stop")).click()
    expect(page.locator(".correcting")).to_have_count(0)
    expect(desk.box("income")).to_have_value("")
    assert "of=" not in page.url
    page.goto(f"{closed.url}/?draft=new")
    desk.ready()
    expect(desk.box("income")).to_have_value("")
    expect(page.locator("#unfinished")).not_to_contain_text("LETTER-5")


def test_a_decided_correction_is_shown_again(open_desk: Open, closed: Server) -> None:
    """After a reload as any decided case: whose decision, the corrected answers, the letter. What is scored then is
    another case."""
    desk = open_desk(at=closed, path=None)
    page = desk.page
    address = correcting(desk, closed, "LETTER-6")
    declined(desk, "LETTER-6", name="")
    headline, case = (page.locator(one).first.inner_text() for one in (".decided strong", ".decide .number"))
    page.reload()
    assert page.url == address
    desk.ready()
    expect(page.locator(".decided strong")).to_have_text(headline)
    expect(page.locator(".letter .sheet:visible")).to_be_visible()
    expect(page.locator(".decide .number")).to_have_text(case)
    expect(page.locator(".correcting")).to_have_count(0)
    expect(desk.box("income")).to_have_value(RISKY["income"])
    assert not desk.is_stale()
    desk.axe()
    scored(desk)
    assert page.locator(".decide").get_attribute("data-record") != f"record/{address.rpartition('=')[2]}"


@pytest.mark.parametrize(("path", "colours"), [("/", "light"), ("/fr/", "dark")])
def test_on_a_phone(open_desk: Open, path: str, colours: str) -> None:
    """Nothing lies beyond the edge, in French and in the dark too; touch reaches the buttons."""
    desk = open_desk(path, size=(390, 844), colours=colours)
    page, texts = desk.page, texts_of(desk)
    declined(desk, "LETTER-3")
    assert fits(page)
    before = listed(page)
    page.get_by_role("button", name=texts("letter.up", reason=before[1])).click()
    assert listed(page)[:2] == [before[1], before[0]]
    desk.axe()
    desk.shoot(f"84-letter-phone-{desk.language}")
    case_page(desk)
    assert fits(page)
    assert desk.violations(page) == []
    desk.shoot(f"85-letter-case-phone-{desk.language}")
