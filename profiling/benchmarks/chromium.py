"""The Chromium that tests and benchmarks drive, started without messages and without background network traffic."""

import shutil

from playwright.sync_api import Browser, Playwright

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def launch(playwright: Playwright, *flags: str) -> Browser:
    """An installed Chromium or Chrome, else the one that Playwright has downloaded; with more flags than ours."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    return playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
