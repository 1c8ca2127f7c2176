"""The first experience, measured in a fresh clone: `python -m profiling.benchmarks.first`.

The last commit is cloned into a temporary folder and started with `make run` on a free port: once cold (no
environment, and package caches of its own, so every package is downloaded), then warm. A browser without a cache opens
the page and clicks until a card shows a decision.

The figures of the last run are printed beside the new ones. If a figure that does not depend on the machine's load is
worse by more than 5 %, nothing is stored and the exit status is 1, unless `--reason` says why.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from inference.settings import ROOT
from profiling import results
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import running

COLD = 1800.0  # seconds that a first start may take: it downloads half a gigabyte
SECTION = "first"
WORSE = 1.05  # times the stored figure


class Figure(NamedTuple):
    """One figure of the first experience; the smaller, the better."""

    key: str
    label: str
    form: str  # as str.format takes it
    drifts: bool = False  # with the load of the machine or the network


FIGURES = (
    Figure("cold_s", "`make run` to a green /readyz, no .venv, nothing cached", "{:.0f} s", drifts=True),
    Figure("warm_s", "the same, .venv there", "{:.1f} s", drifts=True),
    Figure("packages", "packages installed", "{:,.0f}"),
    Figure("installed_mb", "installed in .venv", "{:,.0f} MB"),
    Figure("ready_mb", "memory of the server when ready", "{:.0f} MB"),
    Figure("used_mb", "memory after the first page and score", "{:.0f} MB"),
    Figure("requests", "requests until the desk can be used", "{:,.0f}"),
    Figure("page_kb", "received until the desk can be used", "{:,.0f} KB"),
    Figure("html_kb", "of it the page's HTML", "{:,.1f} KB"),
    Figure("clicks", "clicks to the first decision", "{:.0f}"),
    Figure("header_links", "links in the header", "{:.0f}"),
)


def main() -> int:
    """Exit status 1 if a figure is worse and no reason is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reason", default="", help="why a figure may be worse than the stored one")
    parser.add_argument("--warm", type=int, default=3, help="warm starts, of which the median is taken")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenfold-first-") as folder:
        measured = measure(Path(folder), options.warm)
    stored = results.read().get(SECTION, {})
    print(table(measured, stored))
    late = worse(measured, stored)
    if late and not options.reason:
        print(f"\nWorse by more than 5 %: {', '.join(late)}. Nothing was stored: mend it, or give --reason.")
        return 1
    reason = {"reason": f"{', '.join(late)}: {options.reason}"} if late else {}
    results.merge(SECTION, {**measured, **reason})
    return 0


def measure(folder: Path, warm: int) -> dict[str, float]:
    """Every figure, from a clone in this folder."""
    clone = folder / "tenfold"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    environment = {name: str(folder / name.lower()) for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR")}
    environment |= {"HOST": "127.0.0.1", **dict.fromkeys(inherited(), "")}
    figures: dict[str, float] = {"cold_s": start(clone, environment)}
    figures |= installed(clone / ".venv")
    for cache in ("UV_CACHE_DIR", "PIP_CACHE_DIR"):
        shutil.rmtree(environment[cache], ignore_errors=True)
    figures["warm_s"] = statistics.median(start(clone, environment) for _ in range(warm))
    with running(["make", "run"], "/readyz", environment, clone) as (url, make), sync_playwright() as playwright:
        server = app(make)
        figures["ready_mb"] = server.memory_info().rss / 1e6
        browser = launch(playwright)
        figures |= first_page(browser, url)
        figures["clicks"] = clicks_to_a_decision(browser, url)
        browser.close()
        figures["used_mb"] = server.memory_info().rss / 1e6
    return {figure.key: figures[figure.key] for figure in FIGURES}


def inherited() -> list[str]:
    """Settings of this machine that a newcomer would not have; an empty one counts as not set."""
    return [name for name in os.environ if name.startswith(("TENFOLD_", "SPACE_", "RELEASE"))]


def start(clone: Path, environment: Mapping[str, str]) -> float:
    """Seconds from `make run` to a green /readyz."""
    began = time.perf_counter()
    with running(["make", "run"], "/readyz", environment, clone, COLD):
        return time.perf_counter() - began


def app(make: psutil.Process) -> psutil.Process:
    """The server that `make run` started."""
    return next(process for process in make.children(recursive=True) if "app.py" in process.cmdline())


def installed(environment: Path) -> dict[str, float]:
    """Packages in an environment, and the bytes of its own files in MB."""
    files = [file.lstat() for file in environment.rglob("*") if file.is_file() and not file.is_symlink()]
    size = sum({file.st_ino: file.st_size for file in files}.values())
    return {"packages": len(list(environment.rglob("*.dist-info"))), "installed_mb": size / 1e6}


def first_page(browser: Browser, url: str) -> dict[str, float]:
    """What a browser without a cache receives, headers included, until the desk can be used; and the header's links."""
    context = browser.new_context()
    page = context.new_page()
    received: dict[str, float] = {}
    documents: list[str] = []

    def responded(event: dict[str, Any]) -> None:
        if event["type"] == "Document":
            documents.append(event["requestId"])

    def finished(event: dict[str, Any]) -> None:
        received[event["requestId"]] = event["encodedDataLength"]

    wire = context.new_cdp_session(page)
    wire.on("Network.responseReceived", responded)
    wire.on("Network.loadingFinished", finished)
    wire.send("Network.enable")
    open_desk(page, url)
    links = page.locator("header a").count()
    context.close()
    return {
        "requests": len(received),
        "page_kb": sum(received.values()) / 1e3,
        "html_kb": sum(received[document] for document in documents) / 1e3,
        "header_links": links,
    }


def open_desk(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("html[data-desk=ready]", timeout=60_000)


def clicks_to_a_decision(browser: Browser, url: str) -> int:
    """The fewest clicks of a mouse until a card shows a decision: on Score alone, or on Example before it."""
    for buttons in (["#score"], ["#example", "#score"]):
        context = browser.new_context()
        page = context.new_page()
        open_desk(page, url)
        page.evaluate("window.clicks = 0; addEventListener('click', (event) => { clicks += event.isTrusted; }, true)")
        for button in buttons:
            page.click(button)
        try:
            page.wait_for_selector("#result .card[data-decision]", timeout=10_000)
            return int(page.evaluate("window.clicks"))
        except TimeoutError:
            continue
        finally:
            context.close()
    raise SystemExit("No click on Score or Example brought a decision.")


def worse(measured: Mapping[str, float], stored: Mapping[str, Any]) -> list[str]:
    """The labels of figures that are worse than the stored ones by more than 5 %."""
    return [
        figure.label
        for figure in FIGURES
        if not figure.drifts and figure.key in stored and measured[figure.key] > WORSE * stored[figure.key]
    ]


def table(measured: Mapping[str, float], stored: Mapping[str, Any]) -> str:
    """The figures, with the stored ones beside them where there are any."""
    lines = ["| first experience | now | before | change |", "| --- | ---: | ---: | ---: |"]
    for figure in FIGURES:
        now, before = measured[figure.key], stored.get(figure.key)
        change = f"{now / before - 1:+.1%}" if before else "–"
        then = "–" if before is None else figure.form.format(before)
        lines.append(f"| {figure.label} | {figure.form.format(now)} | {then} | {change} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
