"""The desk in a real browser, in front of a real server with the real release."""

import json
import re
import urllib.request
from collections.abc import Callable

import pytest
from live import Desk, Server, releases
from playwright.sync_api import expect

from inference.fields import Choice, ChoiceField, Field, NumberField
from inference.number_format import write_number
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger.memory import MOST_CASES, MOST_VISITS
from web.pages.answers import RADIO_UP_TO, offered, row_id
from web.pages.texts import texts_in

Open = Callable[..., Desk]


def number(desk: Desk, optional: bool = False) -> NumberField:
    """The first number of the form that must, or need not, be stated."""
    return next(f for f in desk.release.form.fields if isinstance(f, NumberField) and f.optional == optional)


def test_first_score_takes_one_click(open_desk: Open) -> None:
    """The example is filled in, so one click shows the decision, equal to what the scorer says."""
    desk = open_desk()
    expect(desk.page).to_have_title(re.compile("^Tenfold"))
    desk.card("intro")
    desk.shoot("1-first-visit")
    desk.axe()
    desk.score()
    card = desk.card("score")
    expected = open_scorer(Settings(release=desk.release.folder, log=None)).score(desk.release.form.example)
    expect(card).to_have_attribute("data-decision", expected.decision)
    expect(card.locator(".headline")).to_contain_text(f"{expected.pd:.1%}"[:-1])
    expect(card.locator(".headline")).to_contain_text(f"{expected.points:.0f}")
    expect(card).to_contain_text(desk.release.name)
    expect(desk.page.locator("#announcer[role=status]")).to_contain_text(desk.texts(f"decision.{expected.decision}"))
    assert not desk.is_stale()
    desk.shoot("2-score")
    desk.axe()


COVERED = """() => [...document.querySelectorAll("#actions button")].flatMap((button) => {
  const { left, top, width, height } = button.getBoundingClientRect();
  const shares = [0.1, 0.5, 0.9].flatMap((y) => [0.1, 0.3, 0.5, 0.7, 0.9].map((x) => [x, y]));
  const seen = shares.map(([x, y]) => document.elementFromPoint(left + x * width, top + y * height));
  return width ? seen.filter((one) => one && one.closest("button") !== button) : [];
}).map((one) => one.textContent)"""


@pytest.mark.parametrize("height", [768, 640])
def test_nothing_lies_over_the_buttons(open_desk: Open, height: int) -> None:
    """On a low screen they stay in view, and the form passes below them, labels and all; a mouse hits what it sees."""
    desk = open_desk(size=(1366, height))
    for down in range(0, 320, 16):
        desk.page.evaluate("(down) => window.scrollTo(0, down)", down)
        assert desk.page.evaluate(COVERED) == []
    desk.page.evaluate("window.scrollTo(0, 0)")
    box = desk.page.locator("#score").bounding_box()
    assert box
    assert box["y"] + box["height"] < height
    desk.page.mouse.click(box["x"] + 20, box["y"] + 10)
    desk.card("score")


def test_every_decision_can_be_reached(open_desk: Open) -> None:
    """Golden applications of the release typed in reach approve, refer and decline, each with its own words."""
    desk = open_desk()
    scorer = open_scorer(Settings(release=desk.release.folder, log=None))
    golden = {scorer.score(one.answers).decision: one.answers for one in desk.release.manifest.golden}
    assert golden.keys() == {"approve", "refer", "decline"}
    for decision, answers in golden.items():
        for field in desk.release.form.fields:
            value = answers[field.name]
            if isinstance(field, ChoiceField):
                desk.option(field.name, str(value)).check()
            elif isinstance(value, str) or value is None:
                desk.not_stated(field.name).check()
            else:
                assert isinstance(field, NumberField)
                if field.optional:
                    desk.not_stated(field.name).uncheck()
                desk.box(field.name).fill(f"{value:g}")
        desk.score()
        expect(desk.page.locator(f"#result .card[data-decision={decision}]")).to_be_visible()
        expect(desk.page.locator("#result .headline strong")).to_have_text(desk.texts(f"decision.{decision}"))
        desk.shoot(f"3-{decision}")


def test_unusual_answer_refers_by_name(open_desk: Open) -> None:
    """An answer beyond the usual range refers, and the card names it with the range."""
    desk = open_desk()
    field = number(desk)
    desk.box(field.name).fill(f"{field.usual[1] * 2:g}")
    desk.score()
    card = desk.card("score")
    expect(card).to_have_attribute("data-decision", "refer")
    expect(card).to_contain_text(f"{field.label['en']}: {field.show(field.usual[1] * 2, 'en')} (usual:")
    desk.shoot("3-refer-unusual")


def test_enter_scores_and_a_change_dims(open_desk: Open) -> None:
    """Enter in a number box scores; a changed answer dims the result until it is scored or taken back."""
    desk = open_desk()
    box = desk.box(number(desk).name)
    before = box.input_value()
    box.press("Enter")
    desk.card("score")
    box.fill("17")
    desk.page.wait_for_selector("#result.stale")
    expect(desk.page.locator("#result .stale-note")).to_be_visible()
    desk.shoot("4-stale")
    desk.axe()
    box.fill(before)
    desk.page.wait_for_selector("#result:not(.stale)")
    box.fill("17")
    box.press("Enter")
    desk.page.wait_for_selector("#result:not(.stale) .card[data-state]")


@pytest.mark.parametrize("path", ["/", "/fr/"])
def test_the_example_is_marked(open_desk: Open, path: str) -> None:
    """The form opens with the example and says so. The mark goes with the first answer that is changed, stays away in
    an empty form, and comes back with the example; nothing moves on the page meanwhile."""
    desk = open_desk(path)
    mark, box = desk.page.locator("#example-mark"), desk.box(number(desk).name)
    expect(mark).to_be_visible()
    expect(mark).to_have_text(desk.texts("form.example_mark"))
    place = box.bounding_box()
    value = box.input_value()
    box.fill("1")
    expect(mark).to_be_hidden()
    assert box.bounding_box() == place
    box.fill(value)
    expect(mark).to_be_visible()
    desk.page.click("#reset")
    expect(mark).to_be_hidden()
    desk.page.click("#example")
    expect(mark).to_be_visible()
    desk.score()
    desk.card("score")
    expect(mark).to_be_visible()
    desk.shoot(f"example-marked-{desk.language}")


def test_reset_and_example(open_desk: Open) -> None:
    """Reset empties every answer and brings the explanation back; Example fills the release's example in."""
    desk = open_desk()
    desk.score()
    desk.card("score")
    desk.page.click("#reset")
    desk.card("intro")
    for field in desk.release.form.fields:
        if isinstance(field, NumberField):
            expect(desk.box(field.name)).to_have_value("")
        else:
            assert desk.page.locator(f"#{row_id(field)} input:checked").count() == 0
    desk.score()
    expect(desk.card("problems").locator("li")).to_have_count(len(desk.release.form.fields))
    desk.shoot("5-all-missing")
    desk.axe()
    desk.page.click("#example")
    desk.score()
    desk.card("score")
    assert desk.page.locator(".field-error").count() == 0


def test_numbers_show_their_thousands(open_desk: Open) -> None:
    """A number stands with its thousands apart while nobody edits it, and plain while somebody does."""
    desk = open_desk()
    box = desk.box(number(desk).name)
    box.fill("12345.5")
    desk.score()
    expect(box).to_have_value("12,345.5")
    desk.card("score")
    assert not desk.is_stale()
    box.focus()
    expect(box).to_have_value("12345.5")
    desk.page.wait_for_selector("#result:not(.stale)")


def test_a_box_that_is_left_shows_what_was_understood(open_desk: Open) -> None:
    """Units, currencies and spaces are taken off, and no answer becomes another: what was scored stays fresh."""
    desk = open_desk()
    field, optional = number(desk), number(desk, optional=True)
    box = desk.box(field.name)
    for text in ("$2,345", "2 345 EUR", "2'345.00", f"2345 {field.unit['fr']}"):
        box.fill(text)
        desk.box(optional.name).focus()
        expect(box).to_have_value("2,345")
        assert desk.error(field.name).count() == 0
    desk.score()
    desk.card("score")
    box.fill("USD 2345")
    box.press("Enter")
    desk.card("score")
    desk.page.wait_for_selector("#result:not(.stale)")
    desk.box(optional.name).focus()
    expect(box).to_have_value("2,345")
    assert not desk.is_stale()


@pytest.mark.parametrize(("path", "size"), [("/", (1366, 768)), ("/fr/", (1366, 768)), ("/fr/", (390, 844))])
def test_two_readings_are_two_buttons(open_desk: Open, path: str, size: tuple[int, int]) -> None:
    """Leaving a sum with three digits after the decimal mark asks, keeps the text, and either button fills the box."""
    desk = open_desk(path, size=size)
    field, other = number(desk), number(desk, optional=True)
    box = desk.box(field.name)
    text = "18.000" if desk.language == "en" else "18,000"
    for at, value in enumerate((18, 18000)):
        box.fill(text)
        desk.box(other.name).focus()
        expect(desk.error(field.name)).to_be_visible()
        assert box.input_value() == text
        buttons = desk.error(field.name).locator("button.reading")
        expect(buttons).to_have_text([field.write(one, desk.language) for one in (18, 18000)])
        expect(desk.page.locator("#announcer")).to_contain_text("18")
        if not at:
            desk.axe()
            desk.shoot(f"9-two-readings-{desk.language}-{size[0]}", full=False)
        buttons.nth(at).click()
        expect(desk.error(field.name)).to_have_count(0)
        expect(box).to_be_focused()
        desk.box(other.name).focus()
        expect(box).to_have_value(write_number(value, desk.language))


def test_a_message_does_not_move_a_button_that_is_pressed(open_desk: Open) -> None:
    """Leaving a wrong number by pressing Score scores: what is said under the box waits for the button's release."""
    desk = open_desk(size=(390, 640))
    field = number(desk)
    box = desk.box(field.name)
    box.fill("12abc")
    desk.page.locator("#example").scroll_into_view_if_needed()
    button = desk.page.locator("#example").bounding_box()
    assert button
    desk.page.mouse.move(button["x"] + 20, button["y"] + 10)
    with desk.page.expect_response("**/desk/read"):
        desk.page.mouse.down()
    assert desk.error(field.name).count() == 0
    desk.page.mouse.up()
    expect(box).to_have_value(write_number(field.typical_answer, "en"))  # Example was pressed


WRONG = {
    "": "missing",
    "abc": "not_a_number",
    "1,5": "decimal_mark",
    "NaN": "not_a_number",
    "1e999": "in_full",
    "-1": "too_small",
    "999999999999": "too_large",
    "<img src=x onerror=alert(1)>": "not_a_number",
    "{{value}}${1+1}": "not_a_number",
}


def test_wrong_number_stands_under_its_field(open_desk: Open) -> None:
    """Each wrong number brings its own words under its field, which gets the focus; editing clears them."""
    desk = open_desk()
    field = number(desk)
    box = desk.box(field.name)
    for text, kind in WRONG.items():
        box.fill(text)
        desk.score()
        card = desk.card("problems")
        expected = desk.texts.words[f"problem.{kind}"].split("{")[0].strip()
        expect(desk.error(field.name)).to_contain_text(expected or text)
        expect(box).to_be_focused()
        expect(box).to_have_attribute("aria-invalid", "true")
        described = (box.get_attribute("aria-describedby") or "").split()
        assert f"field-{field.name}-error" in described
        expect(card.get_by_role("alert")).to_contain_text(field.label["en"])
        assert card.locator("img").count() == 0
        assert box.input_value() == text
        box.fill("1000")
        expect(desk.error(field.name)).to_have_count(0)
        assert box.get_attribute("aria-invalid") is None


def test_several_problems_at_once(open_desk: Open) -> None:
    """All problems show together, the first field has the focus, and a problem's link goes to its field."""
    desk = open_desk()
    whole = next(f for f in desk.release.form.fields if isinstance(f, NumberField) and f.whole)
    first, open_ = number(desk), number(desk, optional=True)
    desk.box(first.name).fill("1,5")
    desk.box(whole.name).fill("12.5")
    desk.box(open_.name).fill("")
    desk.score()
    card = desk.card("problems")
    expect(card.locator("li")).to_have_count(3)
    expect(desk.error(whole.name)).to_contain_text("whole")
    expect(desk.error(open_.name)).to_contain_text(desk.texts("form.not_stated"))
    expect(desk.box(first.name)).to_be_focused()
    desk.shoot("6-problems")
    desk.axe()
    card.get_by_role("link", name=open_.label["en"]).click()
    expect(desk.box(open_.name)).to_be_focused()


def test_not_stated_shuts_the_box(open_desk: Open) -> None:
    """Ticking "not stated" empties and shuts the number's box, and counts as an answer."""
    desk = open_desk()
    field = number(desk, optional=True)
    desk.not_stated(field.name).check()
    expect(desk.box(field.name)).to_be_disabled()
    expect(desk.box(field.name)).to_have_value("")
    desk.score()
    desk.card("score")
    assert not desk.is_stale()
    desk.not_stated(field.name).uncheck()
    expect(desk.box(field.name)).to_be_enabled()
    desk.page.wait_for_selector("#result.stale")


def test_server_gone_and_back(open_desk: Open, spare_server: Server) -> None:
    """Without a server a card says what to do and what was typed stays; once it is back, Score works again."""
    desk = open_desk(at=spare_server)
    box = desk.box(number(desk).name)
    box.fill("2345")
    spare_server.kill()
    desk.score()
    card = desk.card("gone")
    expect(card).to_contain_text(desk.texts("gone.what"))
    assert box.input_value().replace(",", "") == "2345"  # as typed, unless the server answered once more
    desk.shoot("7-server-gone")
    desk.axe()
    spare_server.start()
    desk.score()
    desk.card("score")
    expect(box).to_have_value("2,345")
    refused = [text for text in desk.complaints if "ERR_CONNECTION_REFUSED" in text]
    assert refused  # the browser itself says that nobody answered; that is the truth
    desk.complaints = [text for text in desk.complaints if text not in refused]


def test_what_cannot_be_recorded_is_not_shown(open_desk: Open, spare_server: Server) -> None:
    """With the ledger gone a card says so instead of a decision; the typed answers stay; a new ledger, and it works."""
    desk = open_desk(at=spare_server)
    box = desk.box(number(desk).name)
    box.fill("2345")
    desk.score()
    expect(desk.card("score")).to_contain_text(desk.texts("result.recorded", seq="").rstrip("."))
    spare_server.ledger.unlink()
    desk.score()
    card = desk.card("unrecorded")
    expect(card).to_contain_text(desk.texts("unrecorded.what"))
    assert "PD" not in card.inner_text()
    expect(box).to_have_value("2,345")
    desk.shoot("7-unrecorded")
    desk.axe()
    spare_server.kill()
    spare_server.start()
    desk.score()
    desk.card("score")


@pytest.mark.parametrize("path", ["/", "/fr/"])
def test_a_reference_is_recorded(open_desk: Open, server: Server, path: str) -> None:
    """What the officer types as a reference finds the record again; Return scores; Reset clears it; no log has it."""
    desk = open_desk(path)
    box = desk.page.get_by_label(desk.texts("form.reference"), exact=True)
    reference = f"Dossier n° {desk.language} 7/2026"
    box.fill(f"  {reference} ")
    box.press("Enter")
    number_of = desk.card("score").inner_text()
    search = urllib.request.Request(  # noqa: S310 - our own server
        f"{server.url}/api/v1/decisions",
        json.dumps({"reference": reference}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(search) as answer:  # noqa: S310
        (found,) = json.loads(answer.read())["items"]
    assert write_number(found["seq"], desk.language) in number_of
    assert reference not in server.log.read_text()
    desk.axe()
    desk.page.click("#reset")
    expect(box).to_have_value("")


def test_a_failing_server_is_named(open_desk: Open) -> None:
    """An error of the server shows as a failed score, and the next click tries again."""
    desk = open_desk()
    desk.page.route("**/desk/score", lambda route: route.fulfill(status=500, body='{"error": null}'))
    desk.score()
    expect(desk.card("failed")).to_contain_text(desk.texts("failed.what"))
    desk.page.unroute("**/desk/score")
    desk.score()
    desk.card("score")
    desk.complaints = [text for text in desk.complaints if "500" not in text]


def test_french_browser_gets_french(open_desk: Open) -> None:
    """Accept-Language chooses, the switch overrides and is remembered, and no English is left on the page."""
    desk = open_desk(locale="fr-FR")
    assert desk.language == "fr"
    assert desk.page.url.endswith("/fr/")
    assert desk.page.evaluate("navigator.language") == "fr"
    box = desk.box(number(desk).name)
    box.fill("1234,5")
    desk.score()
    desk.card("score")
    expect(box).to_have_value("1\u202f234,5")
    assert english_left(desk) == []
    desk.shoot("8-french")
    desk.axe()
    box.fill("abc")
    desk.score()
    desk.card("problems")
    assert english_left(desk) == []
    desk.shoot("8-french-problems")
    desk.page.click("#reset")
    desk.card("intro")
    assert english_left(desk) == []
    desk.page.get_by_role("link", name="EN", exact=True).click()
    desk.page.wait_for_selector("html[lang=en][data-desk=ready]")
    desk.go("/")
    assert desk.language == "en"
    cookie = next(c for c in desk.page.context.cookies() if c["name"] == "lang")
    assert (cookie["value"], cookie["sameSite"]) == ("en", "Lax")


def english_left(desk: Desk) -> list[str]:
    """English texts of ours or of the release's that stand on a French page."""
    shown = desk.page.evaluate(
        """() => {
            const texts = [document.title];
            const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) {
                const parent = walk.currentNode.parentElement;
                if (!parent.closest("script, style, template, [lang=en]")) texts.push(walk.currentNode.data);
            }
            for (const name of ["aria-label", "title", "alt", "placeholder", "content", "data-unit"])
                for (const element of document.querySelectorAll(`[${name}]`)) texts.push(element.getAttribute(name));
            return texts.map((text) => text.trim()).filter(Boolean);
        }"""
    )
    french, english = texts_in("fr").words, texts_in("en").words
    ours = {text for key, text in english.items() if text != french[key]}
    fields = desk.release.form.fields
    pairs = [p for f in fields for p in (f.label, f.help, f.unit)] + [c.label for c in choices(fields)]
    pairs += [desk.release.manifest.title, desk.release.manifest.notice]
    pairs += [group.label for group in desk.release.manifest.groups]
    theirs = {pair["en"] for pair in pairs} - {pair["fr"] for pair in pairs}
    whole = {text for text in ours | theirs if "{" not in text and re.search("[A-Za-z]{2}", text)}
    parts = {part.strip() for text in ours for part in re.split(r"\{\w+\}", text) if len(part.split()) > 2}
    gradio = {"Submit", "Clear", "Loading", "Error", "Settings", "Use via API", "Built with Gradio", "No options"}
    return [text for text in shown if text in whole | gradio or any(part in text for part in parts)]


def choices(fields: tuple[Field, ...]) -> list[Choice]:
    return [choice for field in fields if isinstance(field, ChoiceField) for choice in field.choices]


def test_keyboard_alone(open_desk: Open) -> None:
    """Tab walks field by field in the form's order, arrows change a radio, Enter scores, with the focus visible."""
    desk = open_desk()
    page, fields = desk.page, desk.release.form.fields
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=desk.texts("header.skip"))).to_be_focused()
    walked = []
    for _ in range(40):
        page.keyboard.press("Tab")
        row = page.evaluate("document.activeElement.closest('.field')?.id ?? document.activeElement.id")
        if row not in walked:
            walked.append(row)
        if row == "score":
            break
    groups = [group.name for group in desk.release.manifest.groups]
    order = sorted(fields, key=lambda field: groups.index(field.group))
    assert [row for row in walked if row.startswith("field-")] == [row_id(field) for field in order]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    desk.card("score")
    radio = next(f for f in order if isinstance(f, ChoiceField) and len(offered(f, "en")) <= RADIO_UP_TO)
    codes = [code for _, code in offered(radio, "en")]
    desk.option(radio.name, str(radio.example)).focus()
    page.keyboard.press("ArrowRight")
    after = codes[(codes.index(str(radio.example)) + 1) % len(codes)]
    expect(desk.option(radio.name, after)).to_be_checked()
    page.wait_for_selector("#result.stale")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not(.stale)")


def test_phone_keeps_the_decision_in_view(open_desk: Open) -> None:
    """At 390 px the decision and the Score button stay in view wherever the form is scrolled to, and fit."""
    desk = open_desk(size=(390, 844))
    desk.score()
    desk.card("score")
    bar = desk.page.locator("#result .bar")
    for y in (0, 400, 100_000):
        desk.page.evaluate("y => window.scrollTo(0, y)", y)
        expect(bar).to_be_in_viewport(ratio=1)
        expect(bar.locator("strong")).to_be_in_viewport(ratio=1)
        expect(desk.page.locator("#score")).to_be_in_viewport(ratio=1)
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 390
    covering = desk.page.evaluate(
        "(() => { const b = document.querySelector('#result .bar').getBoundingClientRect();"
        " return document.elementFromPoint(b.x + 8, b.y + 4).closest('.bar') !== null; })()"
    )
    assert covering
    desk.page.evaluate("window.scrollTo(0, 0)")
    desk.shoot("9-phone", full=False)
    desk.shoot("9-phone-whole")
    desk.axe()


def test_zoomed_to_twice_the_size(open_desk: Open) -> None:
    """At 200 % zoom of a 1366 px screen nothing is cut off and everything works."""
    desk = open_desk(size=(683, 384))
    desk.score()
    desk.card("score")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 683
    desk.box(number(desk).name).scroll_into_view_if_needed()
    expect(desk.box(number(desk).name)).to_be_in_viewport(ratio=1)
    desk.shoot("10-zoom")
    desk.axe()


def test_dark(open_desk: Open) -> None:
    """The system's dark preference is followed; the switch overrides it and is remembered."""
    desk = open_desk(colours="dark")
    desk.score()
    desk.card("score")
    desk.shoot("11-dark")
    desk.axe()
    toggle = desk.page.get_by_role("button", name=desk.texts("header.dark"))
    expect(toggle).to_have_attribute("aria-pressed", "true")
    background = desk.page.evaluate("getComputedStyle(document.body).backgroundColor")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    assert desk.page.evaluate("getComputedStyle(document.body).backgroundColor") != background
    desk.go("/")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    desk.axe()


def test_result_stays_beside_a_long_form(open_desk: Open) -> None:
    """On a low screen the result is in view with the button, and with the end of the form."""
    desk = open_desk(size=(1280, 600))
    desk.score()
    desk.card("score")
    desk.page.hover("#fields")
    desk.page.mouse.wheel(0, 2_000)
    for part in ("#fields .field >> nth=-1", "#score", "#result .headline"):
        expect(desk.page.locator(part)).to_be_in_viewport(ratio=1)


def test_model_card_opens_beside_the_desk(open_desk: Open) -> None:
    """The model card opens in its own tab, so that what was typed stays."""
    desk = open_desk("/fr/")
    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("link", name=desk.texts("footer.model_card")).click()
    card = opened.value
    card.on("console", lambda message: desk.complaints.append(message.text) if message.type == "error" else None)
    card.reload()
    assert card.url == f"{desk.server.url}/fr/model-card"
    assert card.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert Desk.violations(card) == []


@pytest.mark.parametrize("name", sorted(releases()))
def test_form_follows_the_release(open_desk: Open, serve: Callable[..., Server], name: str) -> None:
    """Every embedded release draws its own form, with no code in between, and its example scores."""
    desk = open_desk(at=serve(releases()[name]))
    for field in desk.release.form.fields:
        expect(desk.page.locator(f"#{row_id(field)}")).to_contain_text(field.label["en"])
    desk.score()
    card = desk.card("score")
    expect(card).to_contain_text(desk.release.name)
    assert card.get_attribute("data-decision") in ("approve", "refer", "decline")
    desk.shoot(f"12-{name}")
    desk.axe()
    for field in desk.release.form.fields:
        if isinstance(field, ChoiceField) and len(offered(field, "en")) > RADIO_UP_TO:
            pick_from_list(desk, field)
    desk.score()
    desk.page.wait_for_selector("#result:not(.stale) .card[data-state=score]")
    desk.go("/fr/")
    desk.score()
    desk.card("score")
    assert english_left(desk) == []
    desk.shoot(f"12-{name}-french")


def pick_from_list(desk: Desk, field: ChoiceField) -> None:
    """A long list is searched by code and by words of a title; only whole codes are on offer."""
    shown = offered(field, "en")
    assert field.digits is None or {len(code) for _, code in shown} == {field.digits}
    text, code = shown[len(shown) // 2]
    box = desk.box(field.name)
    words = text.split(" — ")[-1][:20]
    for typed in (words, code) if code in text else (words,):
        box.click()
        box.fill(typed)
        option = desk.page.get_by_role("option", name=text, exact=True)
        option.wait_for()
        desk.shoot(f"13-{field.name}-list", full=False)
        option.click()
        expect(box).to_have_value(text)


def test_public_demo_says_so(open_desk: Open, demo_server: Server) -> None:
    """A public demonstration carries its banner; the ordinary desk does not."""
    assert open_desk().page.locator("#banner .demo").count() == 0
    desk = open_desk(at=demo_server)
    expect(desk.page.locator("#banner")).to_have_text(desk.texts("banner.public", most=MOST_CASES, visits=MOST_VISITS))
    desk.shoot("14-public-demo")
    desk.axe()


def test_nothing_is_kept_in_the_browser(open_desk: Open) -> None:
    """No answer stands in the browser's storage after a score."""
    desk = open_desk()
    box = desk.box(number(desk).name)
    box.fill("31337")
    desk.score()
    desk.page.wait_for_selector("#result .card:is([data-state=score], [data-state=problems])")
    kept = desk.page.evaluate(
        "async () => JSON.stringify([{...localStorage}, {...sessionStorage}, await indexedDB.databases()])"
    )
    assert "31337" not in kept
    assert json.loads(kept)[2] == []
