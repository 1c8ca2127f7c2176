"""What an officer does with a score, in a real browser with a real ledger: what if, decide, find again, object."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from live import SCREENSHOTS, Desk, Server, releases
from playwright.sync_api import Dialog, Page, expect

from inference.fields import NumberField
from inference.policy import APPROVE
from inference.scorer import open_scorer
from inference.settings import Settings, default_release
from web.lender import EXAMPLE
from web.pages.texts import texts_in

Open = Callable[..., Desk]
SENTENCE = "Two payslips and a bank statement."
OTHER_FORMS = ".deciding:not([data-action=arrange])"  # than that of the letter, which stays after a decision


@pytest.fixture(scope="module")
def limited(serve: Callable[..., Server]) -> Server:
    """A lender whose officers decide up to 900 alone."""
    file = Path(tempfile.mkdtemp(prefix="tenfold-lender-")) / "lender.toml"  # pytest's folders are closed to nobody
    file.write_text(EXAMPLE.read_text("utf-8").replace("# officer = 50000", "officer = 900"), "utf-8")
    file.parent.chmod(0o755)
    file.chmod(0o644)
    return serve(default_release(), TENFOLD_LENDER=str(file))


def amount_of(desk: Desk) -> NumberField:
    at = desk.release.policy.amount_at
    assert at is not None
    field = desk.release.form.fields[at]
    assert isinstance(field, NumberField)
    return field


def scored(desk: Desk, reference: str = "") -> None:
    """A score with its panel: a new one, where the page still shows the one before."""
    if reference:
        desk.page.locator("#reference input, #reference textarea").fill(reference)
    before = desk.page.locator(".decide")
    seen = before.get_attribute("data-seen") if before.count() else ""
    desk.score()
    expect(desk.page.locator(f".decide:not([data-seen='{seen}'])")).to_have_count(1)
    desk.card("score")
    desk.page.wait_for_selector("#tried .whatif")


def decide(page: Page, decision: str, name: str = "Ann", sentence: str = SENTENCE) -> None:
    """A decision with all that it needs; recorded when this returns."""
    form = page.locator(".deciding[data-action=decide]")
    form.locator(f"[value={decision}]").check()
    for select in form.locator("select:visible").all():
        select.select_option(index=1)
    for box in form.locator("[name=principal]:visible").all()[:1]:
        box.check()
    for area in form.locator("textarea:visible").all():
        area.fill(sentence)
    form.locator("[name=name]").fill(name)
    form.locator("button").click()


def case_page(desk: Desk) -> Page:
    """The case that was just decided, in this tab."""
    desk.page.locator(".decide .decided + p a").first.click()
    desk.page.wait_for_selector(".timeline")
    return desk.page


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("name", sorted(releases()))
def test_what_if_follows_the_form(open_desk: Open, serve: Callable[..., Server], name: str) -> None:
    """A changed answer shows beside what was scored, without a click; Back brings the scored answers again."""
    desk = open_desk(at=serve(releases()[name]))
    scored(desk)
    page, texts, field = desk.page, desk.texts, amount_of(desk)
    before = desk.box(field.name).input_value()
    desk.box(field.name).fill(f"{field.typical[0]:g}")
    page.wait_for_selector("#now .beside")
    assert desk.is_stale()
    expect(page.locator(".deciding")).to_be_hidden()  # the form is not what would be decided on
    scorer = open_scorer(Settings(release=desk.release.folder, log=None))
    for column, amount in (("2", field.example), ("3", field.typical[0])):
        score = scorer.score({**desk.release.form.example, field.name: amount})
        shown = page.locator(f"#now .beside tbody tr:nth-child(1) :nth-child({column})")
        expect(shown).to_have_text(texts(f"decision.{score.decision}"))
        points = page.locator(f"#now .beside tbody tr:nth-child(3) :nth-child({column})")
        expect(points).to_have_text(f"{score.points:.0f}")
    desk.shoot(f"20-what-if-{name}")
    desk.axe()
    page.locator("#now .put").click()
    page.wait_for_selector("#result:not(.stale)")
    expect(desk.box(field.name)).to_have_value(before)
    expect(page.locator(".deciding")).to_be_visible()
    page.wait_for_selector("#now .beside", state="detached")
    for other in desk.release.form.fields:
        page.select_option("#curve-field", other.name)
        kind = ".curve" if isinstance(other, NumberField) else ".bars"
        page.wait_for_selector(f"#tried #curve-field:has(option[value={other.name}][selected])")
        expect(page.locator(f"#tried {kind}")).to_be_visible()
    desk.shoot(f"21-curve-{name}")


def test_a_proposal_is_tried_and_scored(open_desk: Open) -> None:
    """What would make it an approval is put into the form by a button, and is an approval when it is scored."""
    desk = open_desk()
    scored(desk)
    assert desk.page.locator("#result .card").get_attribute("data-decision") != APPROVE
    before = desk.server.ledger.stat().st_size
    desk.page.locator("#tried li .put").first.click()
    desk.page.wait_for_selector("#now .beside")
    desk.page.wait_for_selector("#result.stale")
    assert desk.server.ledger.stat().st_size == before
    desk.score()
    expect(desk.page.locator("#result .card[data-decision=approve]")).to_be_visible()


def test_a_decision_is_recorded_and_found_again(open_desk: Open) -> None:
    """Incomplete forms say what is missing; a decision shows once it is on disk; the history finds it; it opens."""
    desk = open_desk()
    scored(desk, "B-2026/17")
    page, texts = desk.page, desk.texts
    page.click(".deciding button")
    expect(page.locator(".form-problem")).to_be_visible()
    page.check(".deciding [value=decline]")
    expect(page.locator(".deciding .when-stricter")).to_be_visible()
    expect(page.locator(".deciding .when-more_lenient")).to_be_hidden()
    page.fill(".deciding [name=justification]", SENTENCE)
    page.click(".deciding button")
    expect(page.locator(".field-problem").first).to_be_visible()
    expect(page.locator(".deciding [name=justification]")).to_have_value(SENTENCE)
    desk.shoot("22-incomplete")
    desk.axe()
    decide(page, "decline")
    expect(page.locator(".decided")).to_contain_text(texts("decided.decline"))
    expect(page.locator(OTHER_FORMS)).to_have_count(0)
    desk.shoot("23-decided")
    with page.context.expect_page() as opened:  # in a tab of its own, so that a form that was begun stays
        page.click("#header .pages a >> nth=2")
    opened.value.close()
    page.goto(desk.server.url + "/history")
    page.wait_for_selector("table.cases")
    page.fill(".search [name=reference]", "b-2026/")
    page.click(".search button")
    page.wait_for_selector("table.cases")
    assert "2026/17" not in page.url
    expect(page.locator("table.cases tbody tr")).to_have_count(1)
    expect(page.locator("table.cases")).to_contain_text("B-2026/17")
    expect(page.locator("table.cases")).to_contain_text("Ann")
    desk.shoot("24-history")
    desk.axe()
    page.click("table.cases a")
    page.wait_for_selector(".timeline")
    expect(page.locator("main")).to_contain_text(texts("replay.same"))
    expect(page.locator("main")).to_contain_text(SENTENCE)
    desk.shoot("25-case")
    desk.axe()
    page.click("text=" + texts("decide.notice"))
    page.wait_for_selector(".draft")
    expect(page.locator("main")).to_contain_text("B-2026/17")
    desk.shoot("26-notice")
    desk.axe()
    page.click("nav a[lang=fr]")
    expect(page.locator(".draft")).to_have_text(texts_in("fr")("notice.draft"))
    page.goto(desk.server.url + "/history/overrides")
    expect(page.locator("main")).to_contain_text(texts("direction.stricter"))
    desk.shoot("27-overrides")
    desk.axe()


def test_a_second_person_and_an_objection(open_desk: Open, limited: Server) -> None:
    """Above the limit nothing holds until another name agrees; an objection is decided by somebody else again, on
    corrected answers."""
    desk = open_desk(at=limited)
    scored(desk, "C-9")
    page, texts = desk.page, desk.texts
    decide(page, "decline")
    expect(page.locator(".decided")).to_contain_text(texts("decide.waiting"))
    agree = page.locator(".deciding[data-action=agree]")
    agree.locator("[value=yes]").check()
    expect(agree.locator("[name=name]")).to_have_value("Ann")  # remembered, and refused
    agree.locator("button").click()
    expect(page.locator(".field-problem")).to_have_text(texts("decide.problem.second_person"))
    agree.locator("[name=name]").fill("Bob")
    agree.locator("button").click()
    expect(page.locator(".decided")).to_contain_text(texts("decided.decline"))
    expect(page.locator(OTHER_FORMS)).to_have_count(0)
    case_page(desk)
    address = page.url
    page.click("details.contest summary")
    contest = page.locator(".deciding[data-action=contest]")
    contest.locator("[name=objection]").fill("The income was wrong: it is twice as high.")
    contest.locator("[name=reviewer]").fill("Eve")
    contest.locator("[name=name]").fill("Ann")
    desk.shoot("28-objection")
    contest.locator("button").click()
    expect(page.locator(".deciding[data-action=decide]")).to_be_visible()
    page.click("text=" + texts("record.correct"))
    page.wait_for_selector("html[data-desk=ready]")
    page.wait_for_selector(".correcting")
    expect(page.locator("#reference input, #reference textarea")).to_have_value("C-9")
    desk.box(amount_of(desk).name).fill("850")
    desk.score()
    desk.card("score")
    desk.shoot("29-correcting")
    desk.axe()
    decide(page, "approve", name="Ann")
    expect(page.locator(".field-problem")).to_have_text(texts("decide.problem.another_person"))
    decide(page, "approve", name="Eve")
    expect(page.locator(".decided")).to_contain_text(texts("decided.approve"))
    page.goto(address)
    expect(page.locator(".timeline li")).to_have_count(6)
    expect(page.locator("main")).to_contain_text(texts("record.was", answer="1,000 money units"))
    desk.shoot("30-reviewed")
    desk.axe()


def test_a_server_that_is_gone_takes_no_decision_away(open_desk: Open, limited: Server) -> None:
    """What was typed stays, the form says that nothing was recorded, and it can be sent once the server is back."""
    desk = open_desk(at=limited)
    scored(desk)
    limited.kill()
    try:
        decide(desk.page, "incomplete")
        expect(desk.page.locator(".form-problem")).to_have_text(desk.texts("decide.gone"))
        expect(desk.page.locator(".deciding [name=justification]")).to_have_value(SENTENCE)
        desk.shoot("31-gone-while-deciding")
        assert any("ERR_CONNECTION" in one for one in desk.complaints)
    finally:
        limited.start()
    desk.page.click(".deciding button")
    expect(desk.page.locator(".decided")).to_contain_text(desk.texts("decided.incomplete"))
    desk.complaints.clear()  # the browser's own words about the server that was gone


def another_tab(desk: Desk, path: str) -> Page:
    """The same browser, at another page."""
    page = desk.page.context.new_page()
    page.goto(f"{desk.server.url}{path}")
    return page


@pytest.mark.parametrize(("path", "size"), [("/", (1366, 768)), ("/fr/", (390, 844))])
def test_a_form_in_a_second_tab_shows_what_has_changed(open_desk: Open, path: str, size: tuple[int, int]) -> None:
    """Somebody decides in another tab: an outdated form records nothing, keeps the sentence, and what is on the page is
    the case as it is now. Once it has been seen, the same form records."""
    desk = open_desk(path, size=size)
    scored(desk, "S-1")
    page, texts, said = desk.page, desk.texts, ".decide .form-problem"
    case = page.locator(".decide").get_attribute("data-record") or ""
    other, third = (another_tab(desk, "/" + case.removeprefix("../")) for _ in range(2))
    page.check(".deciding [value=approve]")
    page.select_option("select[name=reason_more_lenient]", index=1)
    page.fill(".deciding [name=justification]", SENTENCE)
    page.fill(".deciding [name=name]", "Ann")
    decide(other, "refer", name="Bob", sentence="They will bring a payslip.")
    expect(other.locator(".state")).to_contain_text("Bob")
    page.click(".deciding button")
    expect(page.locator(said)).to_have_text(texts("decide.problem.moved"))
    expect(page.locator(said)).to_be_focused()
    expect(page.locator(".decided")).to_contain_text("Bob")
    expect(page.locator(".deciding :checked[name=decision]")).to_have_count(0)
    expect(page.locator(".deciding [name=justification]")).to_be_visible()
    expect(page.locator(".deciding [name=justification]")).to_have_value(SENTENCE)
    assert fits(page)
    desk.shoot(f"36-changed-at-the-desk-{desk.language}")
    desk.axe()
    decide(page, "approve")
    expect(page.locator(".decided")).to_contain_text(texts("decided.approve"))
    third.set_viewport_size({"width": size[0], "height": size[1]})
    expect(third.locator(".timeline li")).to_have_count(1)
    decide(third, "decline", name="Eve")
    expect(third.locator(said)).to_have_text(texts("decide.problem.moved"))
    expect(third.locator(said)).to_be_focused()
    expect(third.locator(".timeline li")).to_have_count(3)
    expect(third.locator(".state")).to_contain_text(texts("decided.approve"))
    expect(third.locator(".unplaced")).to_contain_text(SENTENCE)
    expect(third.locator(".deciding[data-action=decide]")).to_have_count(0)
    assert fits(third)
    third.screenshot(path=SCREENSHOTS / f"37-changed-case-{desk.language}.png", full_page=True)
    assert desk.violations(third) == []
    other.close()
    third.close()


def test_a_correction_of_a_case_that_has_changed(open_desk: Open) -> None:
    """Somebody decides meanwhile: nothing is scored, and what was typed stays. Until then answers are corrected again
    and again, each time from what the page shows."""
    desk = open_desk()
    scored(desk, "S-2")
    page, texts = desk.page, desk.texts
    case = page.locator(".decide").get_attribute("data-record") or ""
    page.goto(f"{desk.server.url}/?of={case.removeprefix('record/')}")
    page.wait_for_selector(".correcting")
    box = desk.box(amount_of(desk).name)
    expect(box).not_to_have_value("")
    for amount in ("850", "900"):
        box.fill(amount)
        desk.score()
        expect(page.locator("#result .card")).to_have_attribute("data-answers", re.compile(rf'"amount":{amount}'))
    other = another_tab(desk, f"/{case}")
    expect(other.locator(".timeline li")).to_have_count(3)
    decide(other, "refer", name="Bob")
    expect(other.locator(".state")).to_contain_text("Bob")
    other.close()
    box.fill("950")
    desk.score()
    card = desk.card("moved")
    expect(card).to_contain_text(texts("moved.lead"))
    expect(card.locator(".decided")).to_contain_text("Bob")
    expect(page.locator(OTHER_FORMS)).to_have_count(0)
    expect(box).to_have_value("950")
    desk.shoot("38-changed-while-correcting")
    desk.axe()
    desk.score()
    expect(desk.card("moved")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    card.locator("a.case").click()
    expect(page.locator(".timeline li")).to_have_count(4)


def test_an_error_goes_once_it_is_mended(open_desk: Open) -> None:
    """Under each part of the form, and the one above once no part is left; one that is not mended stays."""
    desk = open_desk()
    scored(desk)
    page, texts = desk.page, desk.texts
    page.click(".deciding button")
    choices = page.locator(".deciding .choices")
    expect(page.locator("#problem-decision")).to_have_text(texts("decide.problem.choose"))
    expect(choices).to_have_attribute("aria-invalid", "true")
    page.fill(".deciding [name=name]", "")
    page.check(".deciding [value=decline]")
    expect(page.locator("#problem-decision")).to_have_count(0)
    assert choices.get_attribute("aria-invalid") is None
    assert choices.get_attribute("aria-describedby") is None
    page.click(".deciding button")
    for part in ("reason", "justification", "name"):
        expect(page.locator(f"#problem-{part}")).to_be_visible()
    page.select_option("select[name=reason_stricter]", index=1)
    expect(page.locator("#problem-reason")).to_have_count(0)
    page.fill(".deciding [name=justification]", "No.")
    expect(page.locator("#problem-justification")).to_be_visible()
    page.fill(".deciding [name=justification]", SENTENCE)
    expect(page.locator("#problem-justification")).to_have_count(0)
    expect(page.locator(".form-problem")).to_be_visible()
    page.fill(".deciding [name=name]", "Ann")
    expect(page.locator("#problem-name")).to_have_count(0)
    expect(page.locator(".form-problem")).to_have_count(0)
    assert page.locator(".deciding [aria-invalid]").count() == 0
    page.click(".deciding button")
    expect(page.locator(".decided")).to_contain_text(texts("decided.decline"))


def test_deciding_on_a_phone_in_french_and_in_the_dark(open_desk: Open) -> None:
    """Nothing is scrolled sideways on any view, and every word is French."""
    desk = open_desk("/fr/", size=(390, 844), colours="dark")
    scored(desk, "T-1")
    page = desk.page
    page.check(".deciding [value=approve]")
    assert fits(page)
    desk.shoot("32-phone-deciding")
    desk.axe()
    decide(page, "approve", sentence="Garantie de la mère du client.")
    expect(page.locator(".decided")).to_contain_text(texts_in("fr")("decided.approve"))
    case_page(desk)
    assert "/fr/record/" in page.url
    for shot, path in (("33-phone-case", page.url), ("34-phone-history", desk.server.url + "/fr/history")):
        page.goto(path)
        assert fits(page)
        desk.shoot(shot)
        desk.axe()
        said = page.locator("main").inner_text()
        english = [texts_in("en")(key) for key in ("record.answers", "record.history", "history.search", "decide.open")]
        assert not [word for word in english if re.search(rf"\b{re.escape(word)}\b", said)]


def test_deciding_by_keyboard_alone(open_desk: Open) -> None:
    """From the score to a record with Tab, arrows, Space and Enter."""
    desk = open_desk()
    scored(desk)
    page = desk.page
    page.focus("#result summary")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name === 'decision'"):
            break
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = page.locator(".deciding [name=decision]:checked")
    expect(chosen).to_have_value("refer")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "name"
    page.keyboard.type("Zoë")
    page.keyboard.press("Enter")
    expect(page.locator(".decided")).to_contain_text("Zoë")
    assert page.evaluate("document.activeElement.className") == "decided"  # where the voice goes on


def test_the_next_application_is_one_step_away(open_desk: Open) -> None:
    """From what was recorded to an empty form, its first box in focus, and each question one stop for the keyboard."""
    desk = open_desk()
    scored(desk, "N-1")
    decide(desk.page, "incomplete")
    desk.page.wait_for_selector(".decided")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Enter")
    desk.card("intro")
    first, *others = [field for group in desk.release.manifest.groups for field in fields_of(desk, group.name)]
    expect(desk.box(first)).to_be_focused()
    expect(desk.box(first)).to_have_value("")
    expect(desk.page.locator("#reference input, #reference textarea")).to_have_value("")
    stops = []
    for _ in others:
        desk.page.keyboard.press("Tab")
        if desk.page.evaluate("document.activeElement.type !== 'checkbox'"):
            stops.append(desk.page.evaluate("document.activeElement.closest('.field').id.slice(6)"))
    assert stops == [name for name in others if name in stops]
    assert len(stops) == len(set(stops)) > 5


def fields_of(desk: Desk, group: str) -> list[str]:
    return [field.name for field in desk.release.form.fields if field.group == group]


def test_reset_ends_a_correction(open_desk: Open) -> None:
    """What is typed into an empty form belongs to no earlier case."""
    desk = open_desk()
    scored(desk, "N-2")
    decide(desk.page, "refer", name="Ann")
    case_page(desk)
    case = desk.page.url
    expect(desk.page.locator("details.again")).to_be_visible()
    expect(desk.page.locator(".state")).to_contain_text(desk.texts("decided.refer"))
    desk.page.click("text=" + desk.texts("record.correct"))
    desk.page.wait_for_selector(".correcting")
    expect(desk.page.locator("#reference input, #reference textarea")).to_have_value("N-2")
    desk.page.click("#reset")
    expect(desk.page.locator(".correcting")).to_have_count(0)
    assert "of=" not in desk.page.url
    desk.page.click("#example")
    expect(desk.box(amount_of(desk).name)).not_to_have_value("")
    scored(desk)
    desk.page.goto(case)
    expect(desk.page.locator(".timeline li")).to_have_count(2)


def test_a_referred_case_is_decided_in_the_end(open_desk: Open) -> None:
    """On its page, which says first of all how it stands."""
    desk = open_desk()
    scored(desk, "N-3")
    decide(desk.page, "refer")
    page = case_page(desk)
    page.click("details.again summary")
    page.check(".deciding[data-action=decide] [value=decline]")
    page.click(".deciding[data-action=decide] button")
    expect(page.locator("select[name=reason_stricter]")).to_be_focused()  # the first that is wrong
    desk.shoot("35-decided-in-the-end")
    desk.axe()
    decide(page, "decline")
    expect(page.locator(".state")).to_contain_text(desk.texts("decided.decline"))
    expect(page.locator("details.again")).to_have_count(0)


def test_a_double_click_scores_once(open_desk: Open) -> None:
    """And a double click on Record records one decision: two records in all."""
    desk = open_desk()

    def number() -> int:
        """Of the case's last record."""
        return int((desk.page.locator(".decide").get_attribute("data-seen") or "").partition(" ")[0])

    scored(desk, "N-4")
    before = number()
    desk.page.dblclick("#score")
    expect(desk.page.locator(f".decide[data-seen^='{before} ']")).to_have_count(0)
    assert number() == before + 1
    decide(desk.page, "refer")
    desk.page.wait_for_selector(".decided")
    assert number() == before + 2


def test_leaving_asks_first(open_desk: Open) -> None:
    """With something typed that is not scored: the browser asks, and what was typed stays. Another language takes it
    along, and what was scored too; what is sent is in no address and no storage."""
    desk = open_desk()
    page, box = desk.page, desk.box(amount_of(desk).name)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    box.fill("850")
    page.evaluate("setTimeout(() => location.reload(), 0)")
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    expect(box).to_have_value("850")
    desk.page.fill("#reference :is(input, textarea)", "KEPT-1")
    page.click("#header .languages a[lang=fr]")
    page.wait_for_selector("html[lang=fr][data-desk=ready]")
    expect(box).to_have_value("850")
    expect(page.locator("#reference :is(input, textarea)")).to_have_value("KEPT-1")
    expect(page.locator(f"#field-{amount_of(desk).name}[data-untouched]")).to_have_count(0)
    desk.ready()
    desk.score()
    desk.card("score")
    figure = page.inner_text("#result .headline .figure b >> nth=1")
    case = page.get_attribute("#result [data-record]", "data-record") or ""
    page.click("#header .languages a[lang=en]")
    page.wait_for_selector("html[lang=en][data-desk=ready]")
    desk.ready()
    desk.card("score")
    assert page.inner_text("#result .headline .figure b >> nth=1") == figure
    again = page.get_attribute("#result [data-record]", "data-record") or ""
    assert again.rpartition("/")[2] == case.rpartition("/")[2]
    expect(box).to_have_value("850")
    assert asked == ["beforeunload"]
    assert "KEPT-1" not in page.url
    assert "KEPT-1" not in page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, window.name])"
    )


def test_the_names_of_an_officer_is_all_that_is_kept(open_desk: Open) -> None:
    """Of what was typed into form and decision only the officer's own name stays in the browser."""
    desk = open_desk()
    scored(desk, "SECRET-REF")
    decide(desk.page, "incomplete", name="Officer Kept", sentence="A canary of an applicant.")
    desk.page.wait_for_selector(".decided")
    kept = desk.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, window.name])")
    assert "Officer Kept" in kept
    assert "SECRET-REF" not in kept
    assert "canary" not in kept
    log = Path(desk.server.log).read_text() + desk.server.said()
    assert "SECRET-REF" not in log
    assert "canary" not in log
