"""A demonstration in a real browser: a visitor's own cases, history and notices; the page in another site's frame, as a
Space is shown; and what a page says without a pointer."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import Browser, FrameLocator, Playwright, expect

from inference.settings import default_release
from profiling.benchmarks.chromium import launch
from web.pages.texts import texts_in
from web.visits import HEADER

Open = Callable[..., Desk]
# As the Hub shows a Space.
SANDBOX = (
    "allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-popups-to-escape-sandbox "
    "allow-same-origin allow-scripts allow-storage-access-by-user-activation"
)
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, window.name, document.cookie])"


class Outer(BaseHTTPRequestHandler):
    """Another site, with a frame."""

    def __init__(self, shown: list[str], *rest: object) -> None:
        self.shown = shown
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        page = (
            '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Another site</title>'
            f'<iframe src="{self.shown[0]}" sandbox="{SANDBOX}" style="width:100%;height:95vh"></iframe>'
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def outer() -> Iterator[tuple[str, list[str]]]:
    """The address of another site than the server's (localhost is another than 127.0.0.1), and what it shows."""
    shown = [""]
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(Outer, shown))
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://localhost:{site.server_port}", shown
    site.shutdown()
    site.server_close()


def decide_as_suggested(desk: Desk, frame: FrameLocator | Desk) -> None:
    """The form beside a card that suggests a referral."""
    page = frame.page if isinstance(frame, Desk) else frame
    page.locator(".decide input[name=decision][value=refer]").check()
    page.locator(".decide input[name=name]").fill("Ada")
    page.locator(".decide button[type=submit]").click()
    page.locator(".decide .decided").wait_for()


def test_a_visitor_works_on_a_case(open_desk: Open, demo_server: Server) -> None:
    """Scored, decided, opened, noted, found in the history, told to the applicant; in the other language too. A page
    that is loaded anew knows nothing of it."""
    desk = open_desk(at=demo_server)
    page, own = desk.page, desk.page.frame_locator("#visit-page")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.on("dialog", lambda dialog: dialog.accept())
    page.fill("#reference :is(input, textarea)", "V-CANARY")
    with page.expect_response("**/desk/score") as scored:
        desk.score()
    token = scored.value.headers[HEADER.lower()]
    desk.card("score")
    decide_as_suggested(desk, desk)
    page.click(".decide a.case")
    own.locator(".timeline").wait_for()
    desk.shoot("70-visit-case", full=False)
    desk.axe()
    note = own.locator("details", has=page.locator("form[data-action=note]"))
    own.locator("summary", has_text=desk.texts("hand.note")).click()
    note.locator("textarea").fill("The applicant rang twice.")
    note.locator("input[name=name]").fill("Ada")
    note.locator("button[type=submit]").click()
    expect(own.locator(".timeline")).to_contain_text("The applicant rang twice.")
    page.click("#visit .close")
    expect(page.locator("#visit")).to_be_hidden()
    page.click("nav.pages a[href=history]")
    expect(own.locator("table.cases tbody tr")).to_have_count(1)
    own.locator("input[name=reference]").fill("nobody")
    own.locator("form.search button").click()
    expect(own.locator("main")).to_contain_text(desk.texts("history.none"))
    own.locator("form.search a").click()
    with page.expect_download() as download:
        own.locator("button[value=csv]").click()
    assert "V-CANARY" in download.value.path().read_text("utf-8")
    own.locator("table.cases tbody a").click()
    own.locator(".decision-side a", has_text=desk.texts("decide.notice")).click()
    expect(own.locator("main h1")).to_be_visible()
    with page.expect_download() as download:
        own.locator("nav a", has_text="PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    desk.shoot("71-visit-notice", full=False)
    page.keyboard.press("Escape")
    page.click("#header .languages a[lang=fr]")
    page.wait_for_selector("html[lang=fr][data-desk=ready]")
    desk.ready()
    expect(page.locator("#reference :is(input, textarea)")).to_have_value("V-CANARY")
    page.click("nav.pages a[href$=history]")
    expect(own.locator("table.cases tbody tr")).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 844})
    desk.shoot("72-visit-history-fr-phone", full=False)
    stored = page.evaluate(STORED)
    assert token not in stored
    assert "CANARY" not in stored
    assert [url for url in sent if token in url or "CANARY" in url] == []
    page.reload()
    desk.ready()
    page.click("nav.pages a[href$=history]")
    expect(own.locator("main")).to_contain_text(desk.texts("history.none"))


def test_a_full_or_ended_visit_says_so(open_desk: Open, demo_server: Server) -> None:
    """What was typed stays; starting over scores it; a visit that the server no longer has is one that ended."""
    desk = open_desk(at=demo_server)
    page = desk.page
    for _ in range(20):
        page.click("#example")
        desk.score()
        page.wait_for_selector("#result [data-record]")
        page.evaluate("document.querySelector('#result .card').remove()")
        page.click("#reset")
    page.click("#example")
    desk.score()
    expect(desk.card("full")).to_contain_text(desk.texts("full.title"))
    desk.shoot("73-visit-full", full=False)
    page.click("#result .start-over")
    page.wait_for_selector("#result [data-record]")
    page.wait_for_selector("#tried:not(:empty)")  # its request would be answered with 410 in place of the next score's
    gone = "tenfoldVisits.token = 'f'.repeat(32)"
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(gone)
    page.locator("nav.pages a[href$=history]").click()  # in place of the page there is the card, laid out as a page is
    own = page.frame_locator("#visit-page")
    expect(own.locator("h2")).to_have_text(desk.texts("ended.title"))
    expect(own.locator(".bar")).to_be_hidden()
    begins = [place.bounding_box() for place in (own.locator("h2"), page.locator("#visit-title"))]
    assert [box and box["x"] for box in begins] == [16, 16]
    desk.shoot("73-visit-ended-phone", full=False)
    page.locator("#visit .close").click()
    page.set_viewport_size({"width": 1366, "height": 768})
    page.evaluate(gone)
    desk.score()
    expect(desk.card("ended")).to_contain_text(desk.texts("ended.title"))
    desk.score()
    page.wait_for_selector("#result [data-record]")
    desk.complaints.clear()  # of the one request that was answered with 410


def test_in_another_sites_frame(
    serve: Callable[..., Server], playwright: Playwright, outer: tuple[str, list[str]]
) -> None:
    """As a Space is shown, with cookies of third parties blocked, in a French browser: it is scored, decided, opened,
    switched to English, and the console says nothing. A site that is not named shows nothing."""
    site, shown = outer
    server = serve(
        default_release(), TENFOLD_PUBLIC_DEMO="on", TENFOLD_LEDGER="off", TENFOLD_FRAMES=f"{site},https://*.hf.space"
    )
    browser = launch(playwright, "--test-third-party-cookie-phaseout")
    try:
        context = browser.new_context(locale="fr-FR", viewport={"width": 1366, "height": 768})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        shown[0] = server.url
        page.goto(site)
        desk = page.frame_locator("iframe")
        desk.locator("html[lang=fr][data-desk=ready]").wait_for()
        desk.locator("#reference :is(input, textarea)").fill("FRAMED-1")
        desk.locator("#score").click()
        desk.locator("#result [data-record]").wait_for()
        desk.locator(".decide input[name=decision][value=refer]").check()
        desk.locator(".decide input[name=name]").fill("Ada")
        desk.locator(".decide button[type=submit]").click()
        desk.locator(".decide .decided").wait_for()
        desk.locator(".decide a.case").click()
        desk.frame_locator("#visit-page").locator(".timeline").wait_for()
        desk.locator("#visit .close").click()
        desk.locator("#header .languages a[lang=en]").click()
        desk.locator("html[lang=en][data-desk=ready]").wait_for()
        expect(desk.locator("#reference :is(input, textarea)")).to_have_value("FRAMED-1")
        desk.locator("nav.pages a[href=history]").click()
        expect(desk.frame_locator("#visit-page").locator("table.cases tbody tr")).to_have_count(1)
        assert context.cookies() == []
        assert said == []
        page.goto(site.replace("http://", "http://other."))
        desk = page.frame_locator("iframe")
        page.wait_for_timeout(500)
        assert desk.locator("#score").count() == 0
        assert any("frame-ancestors" in text for text in said)
    finally:
        browser.close()


def test_an_abbreviation_is_spelt_out_where_nothing_hovers(browser: Browser, open_desk: Open, server: Server) -> None:
    """PD, on touch and on paper; with a pointer it is the title."""
    desk = open_desk()
    desk.score()
    desk.card("score")
    spelt = "getComputedStyle(document.querySelector('#result .headline abbr'), '::after').content"
    assert desk.page.evaluate(spelt) == "none"
    desk.page.emulate_media(media="print")
    assert "attr(title)" in desk.page.evaluate(spelt) or desk.texts("result.pd_long") in desk.page.evaluate(spelt)
    desk.page.emulate_media(media="screen")
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    context.set_default_timeout(PATIENCE)
    phone = Desk(context.new_page(), server, "/fr/")
    phone.score()
    phone.card("score")
    assert texts_in("fr")("result.pd_long") in phone.page.evaluate(spelt)
    phone.shoot("74-pd-on-touch", full=False)
    phone.page.goto(f"{server.url}/fr/model-card")
    expect(phone.page.locator("main")).to_contain_text(texts_in("fr")("card.pd"))
    expect(phone.page.locator("nav.pages a[aria-current]")).to_have_text(texts_in("fr")("nav.model"))
    expect(phone.page.locator("html")).to_have_attribute("lang", "fr")
    context.close()
