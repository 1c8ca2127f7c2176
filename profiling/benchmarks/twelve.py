"""Twelve applications worked as an officer does, in a real browser: `python -m profiling.benchmarks.twelve [RELEASE]`.

Each is typed in, scored, read, changed in one answer and scored again, decided with a reason where one is asked for,
and approved by a second person where one is needed. Counted are clicks, keys, elements that had to be scrolled into
view before they could be used, and seconds; a person's thinking and typing is not in them. `--folder` works on another
checkout, such as an earlier version, with that one's pages and releases.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from inference.fields import NOT_STATED, ChoiceField, Field, NumberField
from inference.release import Release, open_release
from inference.settings import ROOT
from profiling import results
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import running
from profiling.workload import applications, embedded

SECTION = "twelve"
CASES = 12
SIZE = (1366, 768)
PASSWORD = "a kettle on the blue stove"  # noqa: S105 - of users who exist for this run
OFFICER, SECOND = "ann", "meg"
# What the officer does with each case in turn: as suggested, or another decision, which needs a reason.
DECISIONS = ("", "", "refer", "", "approve", "", "decline", "", "", "incomplete", "", "decline")
SENTENCE = "Two payslips and a bank statement."
PATIENCE = 60_000  # ms
STARTS = 600.0  # seconds that the server may take to come up: what is measured comes after
# What says that somebody else must approve; earlier versions gave it no class, and had no other paragraph without one.
WAITS = ".decide > .waits, .decide > p:not([class])"
# Whether an element can be used where it is: in the window, and nothing before it.
IN_VIEW = """(element) => {
    const box = element.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + Math.min(box.height / 2, 20);
    if (y < 0 || y > innerHeight) return false;
    const there = document.elementFromPoint(x, y);
    return there !== null && (element.contains(there) || there.contains(element));
}"""


@dataclass
class Effort:
    """What a case took."""

    clicks: int = 0
    keys: int = 0
    scrolls: int = 0
    seconds: float = 0.0


class Hands:
    """Somebody at a browser, who counts what they do."""

    def __init__(self, page: Page) -> None:
        self.page, self.effort = page, Effort()

    def reach(self, element: Locator) -> None:
        """See an element, by scrolling if need be."""
        element.wait_for(state="visible", timeout=PATIENCE)
        if not element.evaluate(IN_VIEW):
            self.effort.scrolls += 1
            element.evaluate("(element) => element.scrollIntoView({ block: 'center' })")

    def click(self, element: Locator) -> None:
        self.reach(element)
        element.click(timeout=PATIENCE)
        self.effort.clicks += 1

    def check(self, radio: Locator) -> None:
        """Choose an option or tick a box, unless it is."""
        if not radio.is_checked():
            self.reach(radio)
            radio.check(timeout=PATIENCE)
            self.effort.clicks += 1

    def type(self, box: Locator, text: str) -> None:
        """Go into a box and write it anew."""
        self.click(box)
        before = box.input_value()
        box.fill(text)
        self.effort.keys += len(text) + (1 if before else 0)  # what was there is selected by one key

    def press(self, box: Locator, key: str) -> None:
        box.press(key)
        self.effort.keys += 1

    def select(self, box: Locator, index: int) -> None:
        """Choose from a list."""
        self.reach(box)
        box.select_option(index=index)
        self.effort.clicks += 2

    def follow(self, link: Locator) -> None:
        """Go where a link leads; on in the new tab, where it opens one, as the desk of earlier versions does."""
        if link.get_attribute("target"):
            with self.page.expect_popup() as opened:
                self.click(link)
            self.page = opened.value
        else:
            self.click(link)
        self.page.wait_for_load_state()


def main() -> int:
    """Work the cases on each release, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", nargs="*", type=Path, help="release folders (default: the embedded ones that serve)")
    parser.add_argument("--folder", type=Path, default=ROOT, help="the checkout whose server is worked on")
    parser.add_argument("--name", default="now", help="under which name figures are kept, such as before")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for folder in options.release or embedded():
            here = options.folder / folder.resolve().relative_to(ROOT) if options.folder != ROOT else folder
            release = open_release(here)
            efforts = work(browser, release, options.folder)
            figures[release.manifest.name] = summary(efforts)
            print(f"\n{release.name}\n{table(efforts)}", flush=True)
        browser.close()
    print(f"\n{comparison({options.name: figures})}")
    stored = results.read().get(SECTION, {})
    runs = {name: run for name, run in stored.items() if isinstance(run, dict)}
    results.merge(SECTION, {**runs, options.name: figures})
    return 0


def work(browser: Browser, release: Release, checkout: Path) -> list[Effort]:
    """All cases of one release, on a server of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cases = list(applications(release, CASES))
        environment = settings(folder, release, cases, checkout)
        command = [sys.executable, "app.py"]
        url, _ = stack.enter_context(running(command, "/readyz", environment, checkout, STARTS))
        people = {name: stack.enter_context(browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}))
                  for name in (OFFICER, SECOND)}  # fmt: skip
        officer, second = (log_in(people[name].new_page(), url, name) for name in (OFFICER, SECOND))
        efforts = []
        for number, answers in enumerate(cases):
            hands, approver = Hands(officer), Hands(second)
            started = time.perf_counter()
            one_case(hands, approver, release, url, answers, number)
            officer, second = hands.page, approver.page
            effort, other = hands.effort, approver.effort
            efforts.append(
                Effort(
                    effort.clicks + other.clicks, effort.keys + other.keys, effort.scrolls + other.scrolls,
                    time.perf_counter() - started,
                )
            )  # fmt: skip
        return efforts


def settings(folder: Path, release: Release, cases: Sequence[Mapping[str, object]], checkout: Path) -> dict[str, str]:
    """The environment of the server: users, and a lender who wants a second person for the largest three amounts."""
    lender = folder / "lender.toml"
    place = release.policy.amount_at
    text = (checkout / "web" / "lender.toml").read_text("utf-8")
    if place is not None:
        amounts = sorted(float(str(answers[release.form.names[place]])) for answers in cases)
        text = text.replace("# officer = 50000", f"officer = {amounts[-4]:g}")
    lender.write_text(text, "utf-8")
    environment = {
        "TENFOLD_LOG": str(folder / "predictions.jsonl"), "TENFOLD_LEDGER": str(folder / "ledger.sqlite3"),
        "TENFOLD_USERS": str(folder / "users.sqlite3"), "TENFOLD_SECURITY_LOG": str(folder / "security.jsonl"),
        "TENFOLD_BATCH": "off", "TENFOLD_LENDER": str(lender), "TENFOLD_RELEASE": str(release.folder.resolve()),
    }  # fmt: skip
    known = known_settings(checkout)
    environment = {name: value for name, value in environment.items() if name in known}
    for name, role in ((OFFICER, "officer"), (SECOND, "manager")):
        command = [sys.executable, "-m", "web", "users", "add", name, "--role", role]
        subprocess.run(
            command, cwd=checkout, env={**os.environ, **environment}, input=f"{PASSWORD}\n", text=True, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return environment


def known_settings(checkout: Path) -> frozenset[str]:
    """The settings of a checkout, which refuses others: an earlier one has none for what it cannot do."""
    program = "import dataclasses, inference.settings as s; print(*(f.name for f in dataclasses.fields(s.Settings)))"
    listed = subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, check=True)
    return frozenset(f"TENFOLD_{name.upper()}" for name in listed.stdout.split())


def log_in(page: Page, url: str, name: str) -> Page:
    """A page of somebody who is logged in; that is no part of a case."""
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/login")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#visitor")
    return page


def one_case(
    hands: Hands, approver: Hands, release: Release, url: str, answers: Mapping[str, object], number: int
) -> None:
    """From the empty form to a decision that holds."""
    page, reference = hands.page, f"T-{number + 1}"
    page.goto(f"{url}/")
    page.wait_for_selector("html[data-desk=ready]")
    reset = page.locator("#reset")
    if any(box.input_value() for box in page.locator(".field input[id$=-input]").all()[:3]):
        hands.click(reset)  # the form of earlier versions opens filled with an example
    for field in release.form.fields:
        fill(hands, field, answers.get(field.name))
    hands.type(page.locator("#reference input, #reference textarea"), reference)
    score(hands)
    change(hands, release, answers)
    score(hands)
    waits = decide(hands, DECISIONS[number % len(DECISIONS)])
    if waits:
        agree(approver, url, reference)


def fill(hands: Hands, field: Field, answer: object) -> None:
    """Answer one question."""
    row = f"#field-{field.name}"
    if isinstance(field, NumberField):
        if answer == NOT_STATED or answer is None:
            hands.check(hands.page.locator(f"{row} .not-stated input"))
        else:
            hands.type(hands.page.locator(f"{row}-input"), f"{float(str(answer)):.15g}")
        return
    radios = hands.page.locator(f"{row} input[type=radio]")
    if radios.count():
        hands.check(hands.page.locator(f"{row} input[type=radio][value='{answer}']"))
        return
    box = hands.page.locator(f"{row}-input")
    hands.type(box, typed(field, answer))
    hands.page.get_by_role("option").first.wait_for(state="visible")
    hands.press(box, "Enter")


def typed(field: ChoiceField, answer: object) -> str:
    """What is typed into a list: a code of digits as it is, otherwise the text of the choice."""
    if field.digits is not None:
        return str(answer)
    return next((choice.label["en"] for choice in field.choices if choice.code == answer), str(answer))


def score(hands: Hands) -> None:
    """Score the form, and read the result: it must be in view."""
    page = hands.page
    with page.expect_response(lambda response: "score" in response.url and response.request.method == "POST"):
        hands.click(page.locator("#score"))
    page.wait_for_selector("#result:not(.stale) .card[data-state=score]")
    page.wait_for_selector(".deciding[data-action=decide]")
    hands.reach(page.locator("#result .card[data-state=score] .decision").first)


def change(hands: Hands, release: Release, answers: Mapping[str, object]) -> None:
    """Change the amount by a tenth, or another number, and read what that does where the page shows it."""
    place = release.policy.amount_at
    numbers = [field for field in release.form.fields if isinstance(field, NumberField)]
    field = release.form.fields[place] if place is not None else numbers[0]
    assert isinstance(field, NumberField)  # noqa: S101 - an amount is a number
    answer = answers.get(field.name)
    amount = float(str(field.example if answer in (None, NOT_STATED) else answer))
    smaller = max(field.minimum, float(round(amount * 0.9)))
    if smaller == amount:
        smaller = amount + 1
    hands.type(hands.page.locator(f"#field-{field.name}-input"), f"{smaller:g}" if smaller < 1e6 else f"{smaller:.0f}")
    hands.page.wait_for_selector("#result.stale, #now .beside")


def decide(hands: Hands, decision: str) -> bool:
    """Decide as suggested, or otherwise with a reason and a sentence; whether a second person is needed."""
    form = hands.page.locator(".deciding[data-action=decide]")
    suggested = form.locator("[name=decision][data-direction=as_suggested]")
    chosen = form.locator(f"[name=decision][value={decision}]") if decision else suggested.first
    hands.check(chosen)
    for select in form.locator("select:visible").all():
        if not select.input_value():
            hands.select(select, 1)
    principal = form.locator("[name=principal]:visible")
    if principal.count() and not form.locator("[name=principal]:visible:checked").count():
        hands.check(principal.first)
    for area in form.locator("textarea:visible").all():
        if not area.input_value() and int(area.get_attribute("data-shortest") or 0):
            hands.type(area, SENTENCE)
    hands.click(form.locator("button[type=submit]"))
    hands.page.wait_for_selector(".decide .decided, .form-problem")
    problem = hands.page.locator(".form-problem, .field-problem").all_inner_texts()
    if problem:
        raise SystemExit(f"the decision was not recorded: {'; '.join(problem)}")
    hands.reach(hands.page.locator(".decide .decided"))
    return bool(hands.page.locator(WAITS).count())


def agree(hands: Hands, url: str, reference: str) -> None:
    """The second person finds the case where cases are, and approves it: on Work, or in the history where there is no
    such page."""
    work = hands.page.locator("nav.pages a[href$=work]")
    hands.follow(work if work.count() else hands.page.locator("nav.pages a[href$=history]"))
    row = hands.page.get_by_role("row").filter(has=hands.page.get_by_text(reference, exact=True))
    hands.follow(row.first.get_by_role("link").first)
    form = hands.page.locator("[data-action=agree]")
    hands.check(form.locator("[value=yes]"))
    hands.click(form.locator("button[type=submit]"))
    form.wait_for(state="detached")


def summary(efforts: Sequence[Effort]) -> dict[str, float]:
    """Per case: means of what is counted, and the median of seconds."""
    figures = {name: statistics.mean(getattr(effort, name) for effort in efforts) for name in COUNTED}
    return {**figures, "seconds": statistics.median(effort.seconds for effort in efforts), "cases": len(efforts)}


COUNTED = ("clicks", "keys", "scrolls")


def table(efforts: Sequence[Effort]) -> str:
    """A row for each case."""
    lines = ["| case | clicks | keys | scrolls | seconds |", "| ---: | ---: | ---: | ---: | ---: |"]
    for number, effort in enumerate(efforts, 1):
        values = asdict(effort)
        lines.append(
            f"| {number} | " + " | ".join(f"{values[name]}" for name in COUNTED) + f" | {effort.seconds:.1f} |"
        )
    return "\n".join(lines)


def comparison(runs: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A row for each run and release; without seconds where the machine had other work meanwhile."""
    lines = [
        "| twelve applications | release | clicks | keys | scrolls | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for run, releases in runs.items():
        for release, figures in releases.items():
            counted = " | ".join(f"{figures[name]:.1f}" for name in COUNTED)
            seconds = f"{figures['seconds']:.2f}" if "seconds" in figures else "–"
            lines.append(f"| {run} | {release} | {counted} | {seconds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
