"""The pictures of docs/first-case.md: one case from the form to the letter, as the page tells it.

From the real app, in a fresh folder: `python -m profiling.documents.first_case`.
"""

import sys
import tempfile

from playwright.sync_api import Page, ViewportSize, sync_playwright

from inference.settings import current_releases
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import running
from profiling.documents.pictures import take
from profiling.documents.screenshots import DOCS, PATIENCE

SIZE = ViewportSize(width=1180, height=860)
START = 600  # seconds that the server may take on a busy machine
REFERENCE, SENTENCE = "A-2026-0001", "Two payslips and a bank statement show the income."


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launch(playwright)
        environment = {
            "TENFOLD_RELEASE": str(current_releases()["consumer"]), "TENFOLD_DATA": scratch, "TENFOLD_RATE": "0",
        }  # fmt: skip
        with running([sys.executable, "app.py"], "/readyz", environment, seconds=START) as (url, _):
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(PATIENCE)
            walk(page, url)
        browser.close()


def walk(page: Page, url: str) -> None:
    """What docs/first-case.md tells to do, with a picture after each step."""
    page.goto(f"{url}/?lang=en")
    page.wait_for_selector("html[data-desk=ready]")
    page.locator("#reference input, #reference textarea").fill(REFERENCE)
    page.click("#score")
    page.wait_for_selector("#tried .whatif")
    take(page, DOCS / "first-case-1-score.png")
    amount = page.locator("#field-amount-input")
    amount.fill("700")
    page.wait_for_selector("#now .beside")
    take(page, DOCS / "first-case-2-what-if.png")
    amount.fill("1000")
    page.wait_for_selector("#result:not(.stale)")
    form = page.locator(".deciding[data-action=decide]")
    form.locator("[value=approve]").check()
    for choice in form.locator("select:visible").all():
        choice.select_option(index=1)
    for area in form.locator("textarea:visible").all():
        area.fill(SENTENCE)
    form.locator("[name=name]").fill("Ann")
    form.locator("button").click()
    page.locator(".decide .decided + p a").first.click()
    page.wait_for_selector(".timeline")
    take(page, DOCS / "first-case-3-case.png")
    page.goto(f"{url}/history?lang=en")
    page.wait_for_selector("table")
    take(page, DOCS / "first-case-4-history.png")


if __name__ == "__main__":
    main()
