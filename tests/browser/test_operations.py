"""The page Operations, from the desk, over a log that grows while somebody looks; and the model card."""

from collections.abc import Callable

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import expect

from web.pages.languages import HOME
from web.pages.texts import texts_in

OpenDesk = Callable[..., Desk]


def test_it_follows_the_log(open_desk: OpenDesk) -> None:
    """A score on the desk appears without a reload; all charts are drawn. Only the figures are put anew."""
    desk = open_desk()
    desk.score()
    desk.card("score")
    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("link", name=desk.texts("nav.manage")).click()
    page = opened.value
    page.get_by_role("link", name=desk.texts("manage.operations")).click()
    page.wait_for_selector(".chart")
    assert page.locator(".chart").count() == 7
    scores = page.locator("#live .figures dd").first
    before = int(scores.inner_text())
    page.locator("figure summary").nth(1).click()
    page.locator("#header header").evaluate("(header) => header.dataset.kept = 'yes'")
    page.locator(".dark-toggle").click()
    desk.score()
    page.bring_to_front()
    expect(scores).to_have_text(str(before + 1), timeout=PATIENCE)
    assert page.locator("figure details[open]").count() == 1  # and the table that was opened stays open
    expect(page.locator("header[data-kept] .dark-toggle")).to_have_attribute("aria-pressed", "true")
    page.close()


@pytest.mark.parametrize("here", ["operations", "model-card"])
@pytest.mark.parametrize(("language", "width", "colours"), [("en", 1366, "light"), ("fr", 390, "dark")])
def test_people_can_read_it(
    open_desk: OpenDesk, server: Server, language: str, width: int, colours: str, here: str
) -> None:
    """No serious finding of axe, no sideways scrolling on a phone, in either language; every page is one click away."""
    desk = open_desk(HOME[language], size=(width, 844), colours=colours)
    desk.score()
    desk.card("score")
    page, texts = desk.page, texts_in(language)
    page.goto(f"{server.url}{HOME[language]}{here}")
    assert page.locator("html").get_attribute("lang") == language
    if here == "operations":
        page.wait_for_selector(".chart")
        assert page.locator("main h2").inner_text() == texts("operations.title")
        page.locator("figure summary").first.click()
    else:
        assert page.locator("article[lang=en] h2").count() == 1
        assert (texts("card.in_english") in page.locator("main").inner_text()) == (language == "fr")
    for element in ("document.documentElement", "document.querySelector('nav.pages')"):
        assert page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth"), element
    above = "manage" if here == "operations" else here  # the page of the header that it stands under
    names = [texts(f"nav.{name}") for name in ("work", "desk", "history", "manage", "model")]
    assert page.locator("nav.pages a").all_inner_texts() == names
    assert page.locator("nav.pages [aria-current=page]").evaluate("a => a.getAttribute('href')").endswith(above)
    desk.axe()
    desk.shoot(f"15-{here}-{language}")
    other = {"en": "fr", "fr": "en"}[language]
    page.locator(f"nav.languages a[lang={other}]").click()
    page.wait_for_url(f"{server.url}{HOME[other]}{here}")


def test_the_figures_pale_when_the_server_is_gone(open_desk: OpenDesk, demo_server: Server) -> None:
    """Rather than stand there as if they were of now; they are back with the server."""
    desk = open_desk(at=demo_server)
    desk.score()
    desk.card("score")
    desk.page.goto(f"{demo_server.url}/operations")
    desk.page.wait_for_selector(".chart")
    demo_server.kill()
    desk.page.wait_for_selector("html.gone")
    demo_server.start()
    desk.page.wait_for_selector("html:not(.gone)")
    desk.complaints = [text for text in desk.complaints if "ERR_CONNECTION_REFUSED" not in text]
