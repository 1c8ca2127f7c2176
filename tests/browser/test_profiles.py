"""Profiles in a real browser: SnakeViz serves what `make profile` wrote, and our own report loads nothing."""

import marshal
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
    """Icicle and table drawn, nothing loaded, no sideways scrolling on a phone, no finding of axe."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    page.goto((folder / "report.html").as_uri())
    assert page.locator("#icicle [role=treeitem]").count() > 20
    assert page.locator("#icicle [role=treeitem]").first.bounding_box()["width"] > 300  # type: ignore[index]
    assert page.locator("#functions tbody tr").count() == 50
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.locator("#search").fill("predict")
    page.locator("#functions tbody button").first.click()
    assert not Axe().run(page).response["violations"]
    page.screenshot(path=SCREENSHOTS / f"profile-report-{colours}.png", full_page=True)


LOG = "".join(
    f'{{"time": "2026-11-23T{hour:02}:{minute:02}:00Z", "duration_ms": {40 if hour < 12 else 12}.{minute}, '
    f'"cpu_percent": {hour}, "rss_mb": 200.5, "release": "{"a" if hour < 12 else "b"}"}}\n'
    for hour in range(24)
    for minute in range(0, 60, 5)
)


@pytest.mark.parametrize(("width", "colours"), [(1366, "light"), (390, "dark")])
def test_the_page_of_a_log_stands_alone(tmp_path: Path, page: Page, width: int, colours: str) -> None:
    """Plots and tables, nothing loaded, no script, no sideways scrolling on a phone, no finding of axe."""
    (tmp_path / "scores.jsonl").write_text(LOG + "half of a li\n")
    html = tmp_path / "log.html"
    assert main(["log", str(tmp_path / "scores.jsonl"), "--split", "b", "--html", str(html)]) == 0
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    page.goto(html.as_uri())
    assert page.locator("svg path").count() == 4  # p50 and p99 of latency, CPU, memory
    assert page.locator("svg .mark").count() == 3
    assert "p50: faster by 3." in page.locator(".verdict").first.inner_text()
    assert "1 line without a score" in page.locator(".notes").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("script").count() == 0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert not Axe().run(page).response["violations"]
    page.screenshot(path=SCREENSHOTS / f"profile-log-{colours}.png", full_page=True)


def test_a_script_planted_in_the_page_does_not_run(tmp_path: Path, page: Page) -> None:
    """The page's policy names its own script: another one, and the handler of an event, are refused by the browser."""
    profile = tmp_path / "a.prof"
    profile.write_bytes(marshal.dumps({("a.py", 1, "work"): (1, 1, 1.0, 1.0, {})}))
    assert main(["report", str(profile), "--html", str(tmp_path / "a.html")]) == 0
    text = (tmp_path / "a.html").read_text("utf-8")
    planted = "<script>document.title = 'planted'</script><img src='x:' onerror=\"document.title = 'planted'\"></main>"
    (tmp_path / "b.html").write_text(text.replace("</main>", planted), "utf-8")
    context = page.context.browser.new_context()  # type: ignore[union-attr]  # its console complains, as it should
    other = context.new_page()
    other.goto((tmp_path / "b.html").as_uri())
    other.wait_for_selector("#icicle [role=treeitem]")
    assert other.title() == "a.prof"
    context.close()


SCRIPT = """
import json
def score(n): return sum(i * i for i in range(n))
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def both():
    fib(19)
    return score(90000)
for _ in range(8): both()
"""


@pytest.fixture
def report(tmp_path: Path, page: Page) -> Page:
    """The report on a script with an import, as `python -m cProfile` profiles it, open."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "cProfile", "-o", "script.prof", "script.py"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert main(["report", str(tmp_path / "script.prof"), "--html", str(tmp_path / "a.html")]) == 0
    page.goto((tmp_path / "a.html").as_uri())
    return page


def width(page: Page, name: str) -> float:
    """How wide the first box of a function is, in pixels; 0 for none."""
    box = page.locator("#icicle [role=treeitem]", has_text=name).first
    return float(box.bounding_box()["width"]) if box.count() else 0.0  # type: ignore[index]


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"))


def test_boxes_are_as_wide_as_their_time(report: Page) -> None:
    """A script with an import fills the picture, and the picture says what it covers."""
    whole = width(report, "<built-in method builtins.exec>")
    assert whole > 1000
    assert width(report, "both") > 0.8 * whole
    assert "The boxes hold 100.0 % of all own time" in report.locator("#covered").inner_text()
    report.screenshot(path=SCREENSHOTS / "profile-icicle-script.png")


def test_the_icicle_is_used_by_keyboard(report: Page) -> None:
    """Down and up, beside, in and out; the focus is seen and said."""
    report.locator("#icicle [tabindex='0']").focus()
    assert focused(report).startswith("<built-in method builtins.exec>, ")
    for name in ("<module>", "both", "score"):
        report.keyboard.press("ArrowDown")
        assert focused(report).startswith(f"{name}, ")
    report.keyboard.press("ArrowRight")
    assert focused(report).startswith("fib, ")
    report.keyboard.press("Enter")
    whole = float(report.locator("#icicle").bounding_box()["width"])  # type: ignore[index]
    assert width(report, "fib") == pytest.approx(whole, abs=4)
    assert focused(report).startswith("fib, ")
    assert report.locator("#chosen-name").inner_text() == "fib"
    report.keyboard.press("Backspace")
    assert focused(report).startswith("both, ")
    report.keyboard.press("Home")
    assert 0 < width(report, "fib") < whole / 2
    report.keyboard.press("/")
    report.keyboard.type("genexpr")
    report.keyboard.press("Enter")
    assert focused(report).startswith("<genexpr>, ")


def test_a_search_says_how_much_time_it_found(report: Page) -> None:
    """A function under another match is not counted twice."""
    report.locator("#search").fill("script.py")
    text = report.locator("#matches").inner_text()
    assert float(text.split(", ")[1].split(" %")[0]) > 80
    report.locator("#search").fill("no such name")
    assert report.locator("#matches").inner_text() == "No box matches"
    assert report.locator("#next").is_disabled()


def test_the_table_is_sorted_filtered_and_leads_to_callers(report: Page) -> None:
    """By any column; a function shows who called it and whom it called."""
    first = report.locator("#functions tbody tr").first
    assert report.locator("th[aria-sort=descending]").inner_text().startswith("own")
    # Which of the three is first depends on the machine.
    assert first.locator("td").first.inner_text().startswith(("<genexpr>", "<built-in method builtins.sum>", "fib"))
    report.get_by_role("button", name="calls").click()
    assert report.locator("th[aria-sort=descending]").inner_text().startswith("calls")
    counts = [
        int(text.replace(",", "")) for text in report.locator("#functions tbody td:nth-child(3)").all_inner_texts()
    ]
    assert len(counts) > 10
    assert counts == sorted(counts, reverse=True)
    report.get_by_role("button", name="calls").click()
    assert report.locator("th[aria-sort=ascending]").count() == 1
    report.locator("#filter").fill("both")
    assert report.locator("#functions tbody tr").count() == 1
    report.locator("#functions tbody button").click()
    assert report.locator("#chosen-name").inner_text() == "both"
    assert report.locator("#callers tbody tr").all_inner_texts()[0].startswith("<module>\t8\t")
    called = report.locator("#callees tbody button").all_inner_texts()
    assert set(called) == {"fib", "score"}
    report.locator("#callees tbody button", has_text="fib").click()
    assert report.locator("#chosen-name").inner_text() == "fib"
    assert "cumulative" in report.locator("#chosen-figures").inner_text()


def test_a_baseline_colours_the_boxes(folder: Path, page: Page) -> None:
    """The newer of two profiles first, by difference; the older one without."""
    page.goto((folder / "report.html").as_uri())
    assert page.locator("#which option").all_inner_texts() == ["before", "after"]
    assert page.locator("#colour").input_value() == "change"
    assert "not in before" in page.locator("#legend").inner_text()
    assert page.locator("#functions th").last.inner_text() == "against before"
    page.locator("#which").select_option("0")
    assert page.locator("#colour").input_value() == "group"
    assert page.locator("#icicle [role=treeitem]", has_text="pandas_transform_data").count() > 0
    assert page.locator("#functions th").last.inner_text() == "a call"
