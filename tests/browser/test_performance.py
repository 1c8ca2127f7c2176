"""The Performance page: from the desk's footer, over a log that grows while somebody looks."""

from collections.abc import Callable

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import expect

from web.pages.languages import HOME
from web.pages.texts import texts_in

OpenDesk = Callable[..., Desk]


def test_it_follows_the_log(open_desk: OpenDesk) -> None:
    """A score on the desk appears without a reload; all charts are drawn."""
    desk = open_desk()
    desk.score()
    desk.card("score")
    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("link", name=desk.texts("nav.performance")).click()
    page = opened.value
    page.wait_for_selector(".chart")
    assert page.locator(".chart").count() == 5
    note = page.locator("#live .quiet")
    before = note.inner_text()
    desk.score()
    page.bring_to_front()
    expect(note).not_to_have_text(before, timeout=PATIENCE)
    page.close()


@pytest.mark.parametrize(("language", "width", "colours"), [("en", 1366, "light"), ("fr", 390, "dark")])
def test_people_can_read_it(open_desk: OpenDesk, server: Server, language: str, width: int, colours: str) -> None:
    """No serious finding of axe, no sideways scrolling on a phone, in either language."""
    desk = open_desk(HOME[language], size=(width, 844), colours=colours)
    desk.score()
    desk.card("score")
    page = desk.page
    page.goto(f"{server.url}{HOME[language]}performance")
    page.wait_for_selector(".chart")
    assert page.locator("main h2").inner_text() == texts_in(language)("performance.title")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("summary").click()
    desk.axe()
    desk.shoot(f"15-performance-{language}")


def test_the_figures_pale_when_the_server_is_gone(open_desk: OpenDesk, demo_server: Server) -> None:
    """Rather than stand there as if they were of now; they are back with the server."""
    desk = open_desk(at=demo_server)
    desk.score()
    desk.card("score")
    desk.page.goto(f"{demo_server.url}/performance")
    desk.page.wait_for_selector(".chart")
    demo_server.kill()
    desk.page.wait_for_selector("html.gone")
    demo_server.start()
    desk.page.wait_for_selector("html:not(.gone)")
    desk.complaints = [text for text in desk.complaints if "ERR_CONNECTION_REFUSED" not in text]
