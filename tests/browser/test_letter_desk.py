"""The letter to the applicant in a real browser: beside the form and the case, its language and order by keyboard and
pointer, recorded, handed over and shown again."""

from collections.abc import Callable

import pytest
from live import Desk
from playwright.sync_api import Locator, Page, expect
from test_officer import case_page, fits

from web.pages.texts import Texts, texts_in

Open = Callable[..., Desk]
EN, FR = texts_in("en"), texts_in("fr")
RISKY = {"seniority": "0", "income": "60", "assets": "0"}


def declined(desk: Desk, reference: str) -> None:
    """A decline for all the reasons that the form offers."""
    page = desk.page
    page.locator("#reference input, #reference textarea").fill(reference)
    for name, number in RISKY.items():
        desk.box(name).fill(number)
    for name, code in (("prior_record", "yes"), ("job", "freelance")):
        desk.option(name, code).check()
    desk.score()
    form = page.locator(".deciding[data-action=decide]")
    form.locator("[value=decline]").check()
    for box in form.locator("[name=principal]:visible").all():
        box.check()
    form.locator("[name=name]").fill("Ann")
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
