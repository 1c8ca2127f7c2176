"""The pictures of docs/evaluate.md and docs/monitor.md: a report of an evaluation, the page Monitor, a pack's index.

From the real commands and the real app, on the committed loans: `python -m profiling.documents.evidence_pictures`. The
ledger of the page is that of loans played in order: see `ledger_of`.
"""

import subprocess
import sys
import tempfile
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from inference.policy import APPROVE, DECLINE, REFER
from inference.release import Release, open_release
from inference.scorer import open_scorer
from inference.settings import ROOT, Settings, current_releases
from inference.watch.expected import month, month_name
from ledger.decisions import decided, scored
from ledger.events import BAD, OUTCOME, REPAID, Object
from ledger.ledger import Ledger
from ledger.records import Draft, seal
from ledger.store import insert
from models.recipes import RECIPES
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import served

DOCS = ROOT / "docs"
SIZE = ViewportSize(width=1000, height=1150)
MONTHS, A_MONTH, WORSE_FROM = 40, 70, 30  # of the ledger; from that month on more loans go bad
EXCESS = 0.35  # share of the repaid loans of these months that are taken as bad
OVER = 12  # months over which loans end


def main() -> None:
    release = open_release(current_releases()["consumer"])
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launch(playwright)
        folder = Path(scratch)
        sba = current_releases()["sba"]
        run("evaluate", str(sba), "--out", scratch)
        shoot(browser, (folder / f"{sba.name}.evaluation.html").as_uri(), "evaluation.png", scroll="#quarters")
        ledger_of(folder / "ledger.sqlite3", release)
        environment = {
            "TENFOLD_RELEASE": str(release.folder), "TENFOLD_LEDGER": f"{scratch}/ledger.sqlite3",
            "TENFOLD_LOG": "off", "TENFOLD_SECURITY_LOG": "off", "TENFOLD_USERS": "off",
        }  # fmt: skip
        with served([sys.executable, "app.py"], "/readyz", environment) as url:
            shoot(browser, f"{url}/monitor", "monitor.png")
        run("evidence", f"{scratch}/e.zip", "--ledger", f"{scratch}/ledger.sqlite3", "--without-evaluation")
        with zipfile.ZipFile(f"{scratch}/e.zip") as archive:
            archive.extractall(f"{scratch}/pack")
        shoot(browser, (folder / "pack" / "index.html").as_uri(), "evidence.png")
        browser.close()


def run(*words: str) -> None:
    """A command of Tenfold's."""
    subprocess.run([sys.executable, "tenfold.py", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def shoot(browser: Browser, address: str, picture: str, scroll: str = "") -> None:
    """A picture of a page, in English and light colours."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(address)
    if scroll:
        page.locator(scroll).evaluate("element => element.scrollIntoView()")
    page.screenshot(path=DOCS / picture)
    page.close()
    print(f"docs/{picture}")


def ledger_of(file: Path, release: Release) -> None:
    """A ledger of consumer loans, as many each month, in a seeded order: the loans have no dates of their own.

    Each is scored by the release, and approved where it suggests that, or a third of the time where it refers. From the
    month WORSE_FROM on a share of the repaid loans is taken as bad: the monitor is to see that.
    """
    loans, scorer = RECIPES["consumer"].load(), open_scorer(Settings(release=release.folder, log=None))
    chance = np.random.default_rng(0)
    first = month(datetime.now(UTC).date().isoformat()) - MONTHS
    drafts: list[tuple[str, Draft]] = []
    for number, place in enumerate(chance.permutation(len(loans))[: MONTHS * A_MONTH].tolist()):
        of_month = number // A_MONTH
        born = first + of_month
        day = f"{month_name(born)}-{2 + number % 26:02d}"
        answers = {name: column[place] for name, column in loans.answers.items()}
        score = scorer.score(answers)
        id, suggested = score.request_id, score.decision
        reference = f"A-{number}"
        drafts.append((f"{day}T09", scored(score, release, answers, by="api", channel="api", reference=reference)))
        if suggested == DECLINE or (suggested == REFER and number % 3):
            continue
        drafts.append((f"{day}T10", decided(id, APPROVE, suggested, by="ann", reference=reference)))
        went_bad = bool(loans.bad[place]) or (of_month >= WORSE_FROM and chance.random() < EXCESS)
        ended = born + (int(chance.integers(1, OVER)) if went_bad else OVER)
        if ended < first + MONTHS:
            outcome, last = BAD if went_bad else REPAID, f"{month_name(ended)}-28"
            fields: Object = {"of": id, "by": "ann", "outcome": outcome, "day": last, "file": "0" * 64}
            drafts.append((f"{last}T12", Draft(OUTCOME, f"{id}-outcome", fields)))
    write(file, drafts)


def write(file: Path, drafts: list[tuple[str, Draft]]) -> None:
    """Records at their times."""
    with closing(Ledger(file)) as ledger, ledger.store.writing() as connection:
        seq, head = connection.execute("SELECT seq, hash FROM entries").fetchone()
        records = []
        for hour, draft in sorted(drafts, key=lambda pair: pair[0]):
            moment = datetime.fromisoformat(f"{hour}:00:00").replace(tzinfo=UTC)
            records.append(seal(draft, seq + 1, head, moment.timestamp()))
            seq, head = records[-1].seq, records[-1].hash
        for start in range(0, len(records), 1_000):
            insert(connection, records[start : start + 1_000], [])


if __name__ == "__main__":
    main()
