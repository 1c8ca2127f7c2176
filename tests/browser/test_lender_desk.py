"""A lender's rules and questions on the desk, and the search for an industry, as somebody works with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from live import Desk, Server
from parts import newest
from playwright.sync_api import expect

from web.lender import EXAMPLE

pytestmark = pytest.mark.slow
OF_ONE_RELEASE = ("new_business",)  # a word of the example's rule for the other release


def lender_file(folder: Path) -> Path:
    """The example file, with the rules, grades and questions that it shows as comments."""
    text = EXAMPLE.read_text("utf-8")
    parts = [text[text.index(first) :].partition("\n\n")[0] for first in ("# [instalment]", "# [[questions]]")]
    lines = "\n".join(line.removeprefix("# ") for part in parts for line in part.splitlines())
    tables = [table for table in lines.split("[[rules]]") if not any(word in table for word in OF_ONE_RELEASE)]
    file = folder / "lender.toml"
    file.write_text(f"{text}\n{'[[rules]]'.join(tables)}\n", "utf-8")
    file.chmod(0o644)
    folder.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def lender_server(serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("lender")
    folder.parent.chmod(0o755)
    folder.parent.parent.chmod(0o755)
    return serve(newest("consumer"), TENFOLD_LENDER=str(lender_file(folder)))


@pytest.fixture(scope="module")
def industry_server(serve: Callable[..., Server]) -> Server:
    return serve(newest("sba"))


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_a_question_is_answered_on_the_card(
    open_desk: Callable[..., Desk], lender_server: Server, size: tuple[int, int]
) -> None:
    """Asked once the form is scored, answered with a click, gone with another answer; the outcome is the rules'."""
    desk = open_desk(at=lender_server, size=size)
    page = desk.page
    desk.box("amount").fill("1500")
    desk.box("seniority").fill("0")
    page.click("#score")
    asked = page.locator("#result [data-confirm]")
    expect(asked).to_have_count(1)
    expect(desk.card("score")).to_have_attribute("data-decision", "decline")
    expect(page.locator("#result ul.rules li").first).to_contain_text("Less than one year in the job")
    desk.axe()
    page.click("#result [data-change]")
    assert page.evaluate("document.activeElement.closest('.field').id") == "field-amount"
    asked.click()
    expect(page.locator("#result [data-confirmed]")).to_have_count(1)
    expect(asked).to_have_count(0)
    desk.box("amount").fill("900")
    page.click("#score")
    expect(page.locator("#result ul.questions")).to_have_count(0)


def test_why_is_in_view_and_the_reference_follows_the_fields(
    open_desk: Callable[..., Desk], lender_server: Server
) -> None:
    """On 1366 × 768 the first reason stands above the foot; on 1920 × 1080 nothing is between fields and reference."""
    for size in ((1366, 768), (1920, 1080)):
        desk = open_desk(at=lender_server, size=size)
        desk.page.click("#score")
        expect(desk.page.locator("#result .decide")).to_be_visible()
        foot = desk.page.locator("#result .decide").bounding_box()
        reason = desk.page.locator("#result h3 ~ p").first.bounding_box()
        assert foot is not None
        assert reason is not None
        assert reason["y"] + reason["height"] <= foot["y"]
    fields, below = (desk.page.locator(part).bounding_box() for part in ("#fields .group >> nth=-1", "#foot"))
    assert fields is not None
    assert below is not None
    assert 0 <= below["y"] - fields["y"] - fields["height"] < 24


@pytest.mark.parametrize(
    ("path", "typed", "chosen"),
    [
        ("/", "bakery retail", "311811 — Retail Bakeries"),
        ("/fr/", "détail boulangerie", "311811 — Boulangeries de détail"),
    ],
)
def test_an_industry_is_found_by_words(
    open_desk: Callable[..., Desk], industry_server: Server, path: str, typed: str, chosen: str
) -> None:
    """By the keyboard alone; the choice is the first of those used last, which are in no storage of the browser."""
    desk = open_desk(path, at=industry_server)
    page, box = desk.page, desk.box("naics")
    box.click()
    box.fill(typed)
    option = page.get_by_role("option", name=chosen, exact=True)
    expect(option).to_have_attribute("aria-selected", "true")
    desk.axe()
    box.press("Enter")
    expect(box).to_have_value(chosen)
    desk.box("amount").click()
    expect(box).to_have_value(chosen)
    box.click()
    expect(page.locator("#choices [role=option]")).to_have_text([chosen])
    box.press("Escape")
    expect(page.locator("#choices")).to_be_hidden()
    assert "311811" not in page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    page.click("#score")
    expect(page.locator('#result [data-state="score"]')).to_have_count(1)
