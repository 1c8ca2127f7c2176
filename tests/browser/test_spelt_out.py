"""PD is read as "probability of default" wherever nothing can point at it: on touch and on paper, on every page."""

from collections.abc import Callable

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import Browser, Page, expect
from test_officer import scored

from web.pages.texts import Texts, texts_in

Open = Callable[..., Desk]
# Every text on the page that has PD, and how far from it, up or down, its term is: in the text or beside an
# abbreviation. What is fixed to the window is always in view.
BARE = """(term) => {
  const seen = (element) => element.matches('.bar abbr') || // without a box of its own
    (element.checkVisibility() && element.getBoundingClientRect().width > 1);
  const height = (element) => element.getBoundingClientRect().top;
  const spelt = (element) => element.matches('abbr') && getComputedStyle(element, '::after').content !== 'none';
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (!parentElement.matches('script, title, desc, option') && seen(parentElement)) texts.push([data, parentElement]);
  }
  const terms = texts.filter(([text, element]) => text.includes(term) || spelt(element)).map(([, element]) => element);
  const near = (element) => terms.some((one) =>
    one.closest('.bar') || Math.abs(height(one) - height(element)) < innerHeight - 100);
  const short = texts.filter(([text]) => /(?<![\\w-])PDs?(?!\\w)/.test(text));
  return {
    short: short.length,
    spelt: texts.filter(([, element]) => spelt(element)).length,
    bare: short.filter(([, element]) => !near(element)).map(([text]) => text),
  };
}"""


def bare(page: Page, texts: Texts) -> list[str]:
    """The texts with PD that are not spelt out in the same view."""
    return list(page.evaluate(BARE, texts("result.pd_long"))["bare"])


def addresses(desk: Desk) -> list[str]:
    """The pages that speak of PDs; the case is the one that was just scored."""
    case = desk.page.locator("#result .decide").get_attribute("data-record")
    home = "/fr/" if desk.language == "fr" else "/"
    return [f"{home}{path}" for path in ("work", "history", f"record/{str(case).split('/')[-1]}", "model-card")]


def columns(page: Page, texts: Texts) -> int:
    """The columns headed PD whose heading has the term too, as it is read."""
    name = f"{texts('result.pd')} {texts('result.pd_long')}"
    return page.get_by_role("columnheader", name=name, exact=False).count()


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("size", [(390, 844), (1024, 768)], ids=["phone", "tablet"])
def test_on_touch(browser: Browser, server: Server, language: str, size: tuple[int, int]) -> None:
    """Every page, on a phone and on a tablet."""
    with browser.new_context(has_touch=True, is_mobile=True, viewport={"width": size[0], "height": size[1]}) as context:
        context.set_default_timeout(PATIENCE)
        desk = Desk(context.new_page(), server, "/fr/" if language == "fr" else "/")
        page, texts = desk.page, desk.texts
        scored(desk)
        page.wait_for_selector("#tried .curve, #tried .bars")
        assert bare(page, texts) == []
        bar = page.locator("#result .bar")
        if size[0] < 1000:
            assert bar.evaluate("(bar) => bar.scrollHeight <= bar.clientHeight && bar.scrollWidth <= bar.clientWidth")
        desk.shoot(f"75-pd-{language}-{size[0]}", full=False)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for address in addresses(desk):
            page.goto(server.url + address)
            assert bare(page, texts) == [], address
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
            if size[0] >= 1000 and address.endswith(("work", "history")):
                assert columns(page, texts) >= 1
            elif address.endswith("work"):  # a phone shows no headings
                expect(page.locator("td.col-pd").first).to_contain_text(texts("result.pd_long"), use_inner_text=True)
            desk.shoot(f"75-pd-{language}-{size[0]}-{address.split('/')[-1][:10]}", full=False)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_in_print(open_desk: Open, language: str) -> None:
    """With a pointer a heading stays short; printed, it has its term."""
    desk = open_desk("/fr/" if language == "fr" else "/")
    page, texts = desk.page, desk.texts
    scored(desk)
    page.emulate_media(media="print")
    assert bare(page, texts) == []
    page.emulate_media(media="screen")
    for address in addresses(desk):
        page.goto(desk.server.url + address)
        page.emulate_media(media="print")
        assert bare(page, texts) == [], address
        if address.endswith(("work", "history")):
            assert columns(page, texts) >= 1
        page.emulate_media(media="screen")
        assert page.evaluate(BARE, texts("result.pd_long"))["spelt"] == 0
        term = texts_in("en" if address.endswith("model-card") else language)("result.pd_long")  # cards are in English
        expect(page.locator("main abbr").first).to_have_attribute("title", term)
