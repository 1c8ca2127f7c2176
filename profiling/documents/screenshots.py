"""The pictures of the README: the desk with each release, and notices of three declines in both languages.

From the real app, as people see it: `python -m profiling.documents.screenshots`.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from inference.settings import ROOT, current_releases
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import served
from profiling.documents.pictures import take

DOCS = ROOT / "docs"
DESKS = {"desk.png": ("consumer", "en"), "desk-sba-fr.png": ("sba", "fr")}
SIZE = ViewportSize(width=1366, height=1320)  # as far as the decision
SHEET = ViewportSize(width=820, height=1060)
PATIENCE = 60_000  # ms
# Made-up applicants whom the model suggests to decline, each for other reasons.
DECLINED: list[tuple[str, Mapping[str, object]]] = [
    ("consumer", {
        "amount": 1500, "price": 1600, "term": 36, "income": "not_stated", "expenses": 60, "assets": 0, "seniority": 0,
        "job": "freelance", "home": "rent", "prior_record": "yes",
    }),
    ("consumer", {
        "amount": 1900, "price": 2000, "term": 24, "income": 90, "expenses": 75, "assets": 500, "seniority": 1,
        "job": "part_time", "home": "private", "prior_record": "no",
    }),
    ("sba", {
        "amount": 35_000, "guaranteed_share": 50, "employees": 1, "new_business": "yes", "jobs_created": 5,
        "jobs_retained": 9, "franchise": "yes", "revolving": "no", "naics": "722110", "state": "FL",
    }),
]  # fmt: skip


def main() -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, folder in current_releases().items():
            with tempfile.TemporaryDirectory() as scratch:
                environment = {
                    "TENFOLD_RELEASE": str(folder),
                    "TENFOLD_LEDGER": f"{scratch}/ledger.sqlite3",
                    "TENFOLD_LOG": f"{scratch}/predictions.jsonl",
                    "TENFOLD_USERS": "off",
                }
                with served([sys.executable, "app.py"], "/readyz", environment) as url:
                    for picture, (shown, language) in DESKS.items():
                        if shown == name:
                            desk(browser, url, language, DOCS / picture)
                    for number, (release, answers) in enumerate(DECLINED, 1):
                        if release == name:
                            notice(browser, url, answers, number)
        browser.close()


def desk(browser: Browser, url: str, language: str, picture: Path) -> None:
    """The example, scored."""
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/?lang={language}")
    page.wait_for_selector("html[data-desk=ready]")
    page.click("#score")
    page.wait_for_selector("#tried .whatif")
    take(page, picture)
    page.close()


def notice(browser: Browser, url: str, answers: Mapping[str, object], number: int) -> None:
    """The letter to somebody who is declined, in both languages, for all the reasons that the model gives."""
    page = browser.new_page(viewport=SHEET)
    page.set_default_timeout(PATIENCE)
    request = {"answers": answers, "reference": f"A-2026-{number:04d}"}
    score = page.request.post(f"{url}/api/v1/score", data=request).json()
    page.goto(f"{url}/record/{score['id']}")
    page.check("input[name=decision][value=decline]")
    for box in page.locator("input[name=principal]").all():
        box.check()
    page.fill(".deciding input[name=name]", "Ann")
    page.click(".deciding button[type=submit]")
    page.wait_for_selector(".decided", state="attached")  # shown as the headline
    for language in ("en", "fr"):
        page.goto(f"{url}/record/{score['id']}/notice?lang={language}")
        take(page, DOCS / f"notice-{number}-{language}.png", full_page=True)
    page.close()


if __name__ == "__main__":
    main()
