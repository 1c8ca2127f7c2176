"""The page of files in a real browser: dropped, mapped, scored, cancelled, downloaded, opened in the form."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from book_files import NAME, applications, csv_text, parquet, score
from live import Desk, Server
from parts import newest
from playwright.sync_api import Page, expect

from web.pages.texts import texts_in

PATIENCE = 240_000  # ms that a file may take on a busy machine
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def files_server(serve: Callable[..., Server]) -> Server:
    return serve(newest(NAME))


def rows_of(n: int) -> list[dict[str, object]]:
    """Applications, of which the fourth and the sixth are refused; the amount's column has another name."""
    rows = [
        {("LoanAmt" if name == "amount" else name): value for name, value in row.items()} for row in applications(n)
    ]
    rows[3]["LoanAmt"], rows[5]["home"] = "many", "castle"
    return rows


def write(folder: Path, rows: list[dict[str, object]]) -> Path:
    file = folder / "list.csv"
    file.write_text(csv_text(rows))
    return file


def upload(page: Page, url: str, file: Path) -> None:
    """Choose a file, and wait until it is checked."""
    page.goto(url)
    page.set_input_files("#file", file)
    page.wait_for_selector("form.columns", timeout=PATIENCE)


def test_a_file_from_drop_to_download(open_desk: Callable[..., Desk], files_server: Server, tmp_path: Path) -> None:
    """Dropped, a column chosen by keyboard, ten rows with their problems, scored, summed up, rows listed; the download
    has the bytes of `tenfold book`, and a row opened in the form is scored and recorded there."""
    desk = open_desk(None, files_server)
    page, url = desk.page, f"{files_server.url}/batch"
    file = write(tmp_path, rows_of(120))
    page.goto(url)
    desk.axe()
    desk.shoot("batch-empty")
    transfer = page.evaluate_handle(
        "([name, text]) => { const sent = new DataTransfer(); sent.items.add(new File([text], name)); return sent; }",
        [file.name, file.read_text()],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    page.wait_for_selector("form.columns", timeout=PATIENCE)
    problem = page.locator("[name=field-amount]")
    assert problem.get_attribute("aria-invalid") == "true"
    assert page.locator(".main-button").count() == 0
    desk.axe()
    desk.shoot("batch-columns")
    problem.focus()
    page.keyboard.type("LoanAmt")
    page.locator("form.columns button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("table.preview", timeout=PATIENCE)
    assert page.locator("table.preview tbody tr").count() == 10
    assert page.locator("table.preview td.wrong").count() == 2
    expect(page.locator("table.preview tbody tr").nth(3)).to_contain_text("“many” is not a number")
    desk.axe()
    desk.shoot("batch-preview")
    page.locator(".main-button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dl.figures", timeout=PATIENCE)
    figures = dict(
        zip(
            page.locator("dl.figures dt").all_inner_texts(),
            page.locator("dl.figures dd").all_inner_texts(),
            strict=True,
        )
    )
    assert (figures["Rows"], figures["Not scored"]) == ("120", "2")
    assert sum(int(figures[name].split(" ")[0]) for name in ("Approve", "Refer", "Decline")) == 118
    assert page.locator("svg.chart rect").count() > 5
    expect(page.locator("main")).to_contain_text("The ledger has one record of this file, ")
    desk.axe()
    desk.shoot("batch-scored")
    with page.expect_download() as waiting:
        page.click("a.main-button")
    assert waiting.value.suggested_filename == "list-scores.csv"
    assert score(file, tmp_path / "scores.csv", "--map", "amount=LoanAmt") == 0
    assert Path(waiting.value.path()).read_bytes() == (tmp_path / "scores.csv").read_bytes()
    first = page.locator("table.scored tbody tr").first.inner_text().split()
    page.click(".tabs a:last-child")
    assert page.locator("table.scored tbody tr").count() == 2
    expect(page.locator("table.scored tbody tr").first).to_contain_text("“many” is not a number")
    desk.axe()
    page.click(".tabs a:first-child")
    with page.context.expect_page() as opening:
        page.locator("table.scored tbody tr a").first.click()
    opened = Desk(opening.value, files_server, None)
    opened.ready()
    card = opened.card("score")
    assert first[2] in card.inner_text()
    assert opened.page.locator("#correcting").inner_text().startswith("Row 2 of list.csv.")
    assert "row=" not in opened.page.url
    assert opened.page.locator("#reference input").input_value() == "000000000000"
    assert opened.page.locator(".deciding").count() > 0
    opened.page.close()
    upload(page, url, file)
    expect(page.locator("[name=field-amount]")).to_have_value("LoanAmt")


def test_a_file_is_cancelled_and_deleted(open_desk: Callable[..., Desk], files_server: Server, tmp_path: Path) -> None:
    """While it is scored: back to its columns, from where it can be scored again; then gone."""
    desk = open_desk(None, files_server)
    page = desk.page
    file = tmp_path / "many.csv"
    file.write_text(csv_text(applications(40_000)))
    upload(page, f"{files_server.url}/batch", file)
    page.click(".main-button")
    page.wait_for_selector("#working")
    desk.axe()
    desk.shoot("batch-working")
    page.click("#working button")
    page.wait_for_selector("form.columns", timeout=PATIENCE)
    path = page.url
    page.click(".actions form:last-child button")
    page.wait_for_url("**/batch")
    assert page.locator("a", has_text="many.csv").count() == 0
    assert page.request.get(path).status == 404


def test_in_french_on_a_phone_in_the_dark(open_desk: Callable[..., Desk], files_server: Server, tmp_path: Path) -> None:
    """A Parquet file: nothing wider than the page, no English, no violation; what is opened is opened in French."""
    desk = open_desk(None, files_server, size=(390, 844), colours="dark", locale="fr-FR")
    page = desk.page
    file = parquet(tmp_path / "liste.parquet", applications(60))
    upload(page, f"{files_server.url}/fr/batch", file)
    for shot, button in (("batch-fr-preview", ".main-button"), ("batch-fr-scored", "")):
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        desk.axe()
        desk.shoot(shot)
        if button:
            page.click(button)
            page.wait_for_selector("dl.figures", timeout=PATIENCE)
    assert page.inner_text("h3#rows") == texts_in("fr")("batch.rows_title")
    assert "Download" not in page.content()
    box = page.locator("table.scored tbody tr a").first.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    with page.expect_download() as waiting:
        page.click("a.main-button")
    assert waiting.value.suggested_filename == "liste-scores.parquet"
    with page.context.expect_page() as opening:
        page.locator("table.scored tbody tr a").first.click()
    opened = Desk(opening.value, files_server, None)
    opened.ready()
    opened.card("score")
    assert re.match(r"Ligne 1 de liste\.parquet\.", opened.page.locator("#correcting").inner_text())
    opened.page.close()


def test_what_cannot_be_taken_is_said_where_the_file_was_chosen(
    open_desk: Callable[..., Desk], files_server: Server, tmp_path: Path
) -> None:
    """A picture, and an empty file: the message is read out, and another file can be chosen."""
    desk = open_desk(None, files_server)
    page = desk.page
    page.goto(f"{files_server.url}/batch")
    for name, content, words in (("a.png", b"x", "CSV, XLSX or Parquet"), ("a.csv", b"", "empty")):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        expect(page.locator("[role=alert]")).to_contain_text(words)
        assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert page.locator("#file").is_enabled()
    desk.axe()
    desk.complaints.clear()  # the browser itself notes each status above 399
