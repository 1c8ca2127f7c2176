"""The README's pictures of the desk, from the real app with each release: `python -m profiling.screenshots`."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from inference.settings import current_releases
from profiling.chromium import launch
from profiling.serving import served

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = {"desk.png": ("consumer", "en"), "desk-sba-fr.png": ("sba", "fr")}
SIZE = ViewportSize(width=1366, height=1320)  # as far as the decision
PATIENCE = 60_000  # ms


def main() -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for picture, (name, language) in PICTURES.items():
            with tempfile.TemporaryDirectory() as folder:
                environment = {
                    "TENFOLD_RELEASE": str(current_releases()[name]),
                    "TENFOLD_LEDGER": f"{folder}/ledger.sqlite3",
                    "TENFOLD_LOG": f"{folder}/predictions.jsonl",
                }
                with served([sys.executable, "app.py"], "/readyz", environment) as url:
                    page = browser.new_page(viewport=SIZE)
                    page.set_default_timeout(PATIENCE)
                    page.goto(f"{url}/?lang={language}")
                    page.wait_for_selector("html[data-desk=ready]")
                    page.click("#score")
                    page.wait_for_selector("#tried .whatif")
                    page.mouse.move(0, 0)
                    page.evaluate("document.activeElement.blur()")
                    page.screenshot(path=DOCS / picture)
                    page.close()
                    print(f"docs/{picture}")
        browser.close()


if __name__ == "__main__":
    main()
