"""Profiles in a real browser: SnakeViz serves what `make profile` wrote, and our own report loads nothing."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from live import DEADLINE, SCREENSHOTS
from playwright.sync_api import Browser, ConsoleMessage, Page

from profiling.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make profile` leaves, of few loans."""
    out = tmp_path_factory.mktemp("out")
    assert main(["profile", "--loans", "20", "--out", str(out)]) == 0
    return out


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that has not complained in the end."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    opened.on("console", heard)
    yield opened
    context.close()
    assert not complaints


@pytest.mark.parametrize("name", ["before", "after"])
def test_snakeviz_draws_the_icicle(folder: Path, page: Page, name: str) -> None:
    """`python -m snakeviz --server` on both files: the browser sees an icicle with the paths' own functions."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / f"{name}.prof"
    command = [sys.executable, "-m", "snakeviz", "--server", "--hostname", "127.0.0.1", "--port", str(port), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            page.goto(wait_for(f"http://127.0.0.1:{port}/snakeviz/{quote(str(file), safe='')}"))
            page.wait_for_selector("#chart svg rect, #chart rect", timeout=30_000)
            assert page.locator("#chart rect").count() > 10
            drawn = page.locator("body").inner_text()
            assert ("legacy.py" if name == "before" else "scorer.py") in drawn
            page.screenshot(path=SCREENSHOTS / f"snakeviz-{name}.png")
        finally:
            server.terminate()


def wait_for(url: str) -> str:
    """The address once something answers there."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            urllib.request.urlopen(url, timeout=20).close()  # noqa: S310 - our own server
            return url
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < end, "snakeviz did not come up"
            time.sleep(0.1)


@pytest.mark.parametrize(("width", "colours"), [(1366, "light"), (390, "dark")])
def test_the_report_stands_alone(folder: Path, page: Page, width: int, colours: str) -> None:
    """Icicles drawn, nothing loaded, no sideways scrolling on a phone, no serious finding of axe."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    page.goto((folder / "report.html").as_uri())
    assert page.locator("svg").count() == 2
    assert page.locator("svg").first.locator("rect").count() > 20
    assert page.locator("svg").first.locator("rect").first.bounding_box()["width"] > 300  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    serious = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious
    page.screenshot(path=SCREENSHOTS / f"profile-report-{colours}.png", full_page=True)
