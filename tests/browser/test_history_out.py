"""Cases that leave the page History, in a real browser: a file of what was searched for, and a link to the search."""

import csv
import io
from collections.abc import Callable

from live import Desk, Server
from playwright.sync_api import Page, expect
from python_calamine import CalamineWorkbook
from test_officer import case_page, decide, fits, scored

Open = Callable[..., Desk]
LINES = """(cells) => cells.map((cell) => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  return new Set([...text.getClientRects()].map((line) => line.top)).size;
})"""


def downloaded(page: Page, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name).click()
    return waiting.value.path().read_bytes()


def test_a_search_leaves_as_a_file_and_as_a_link(open_desk: Open, server: Server) -> None:
    """CSV and XLSX hold what the page shows, the reference searched for too; the address never holds it."""
    desk = open_desk()
    scored(desk, "=OUT-1")
    decide(desk.page, "decline")
    page = case_page(desk)
    page.goto(f"{server.url}/history")
    page.fill("input[name=reference]", "OUT-")
    page.select_option("select[name=decision]", "decline")
    page.click("form.search button")
    expect(page.locator("table.cases tbody tr")).to_have_count(1)
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Download as CSV").decode("utf-8-sig"))))
    assert [(row["reference"], row["decision"]) for row in rows] == [("'=OUT-1", "decline")]
    book = CalamineWorkbook.from_filelike(io.BytesIO(downloaded(page, "Download as XLSX")))
    assert [row[3] for row in book.get_sheet_by_name("cases").to_python()] == ["reference", "=OUT-1"]
    assert desk.violations(page) == []
    desk.shoot("history-out")
    page.get_by_role("link", name="Link to this search, without the reference").click()
    page.wait_for_url("**/history?decision=decline")
    expect(page.locator("select[name=decision]")).to_have_value("decline")
    expect(page.locator("input[name=reference]")).to_have_value("")
    expect(page.locator("table.cases")).to_contain_text("=OUT-1")


def test_the_history_on_a_phone_in_french_and_dark(open_desk: Open, server: Server) -> None:
    """Nothing lies beyond the edge, and the buttons are named in French."""
    desk = open_desk(path=None, size=(390, 844), colours="dark")
    desk.page.goto(f"{server.url}/fr/history?decision=decline&since=2020-01-01")
    expect(desk.page.get_by_role("button", name="Télécharger en XLSX")).to_be_visible()
    assert fits(desk.page)
    assert desk.violations(desk.page) == []
    desk.shoot("history-out-fr-dark")


def test_the_overrides_over_time(open_desk: Open, server: Server) -> None:
    """Charts and tables of what was decided, at a desk and on a dark phone in French."""
    desk = open_desk()
    scored(desk, "OVER-1")
    decide(desk.page, "decline")
    expect(desk.page.locator(".decide .decided").first).to_be_visible()
    page = desk.page
    page.goto(f"{server.url}/history/overrides")
    expect(page.locator("svg.chart")).to_have_count(2)
    page.locator("summary").click()
    expect(page.locator("details tbody tr")).to_have_count(12)
    expect(page.get_by_role("heading", name="By officer")).to_be_visible()
    assert desk.violations(page) == []
    desk.shoot("overrides")
    phone = open_desk(path=None, size=(390, 844), colours="dark")
    phone.page.goto(f"{server.url}/fr/history/overrides")
    expect(phone.page.locator("svg.chart")).to_have_count(2)
    assert fits(phone.page)
    phone.page.locator("summary").click()
    for cells in ("details tbody td", "tr.total th"):  # months, numbers and shares each have one line
        lines = phone.page.eval_on_selector_all(cells, LINES)
        assert set(lines) == {1}, cells
    assert phone.violations(phone.page) == []
    phone.shoot("overrides-fr-dark")
