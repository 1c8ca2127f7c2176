"""The notice as a PDF: what stands in it, and what its page says of characters that the PDF cannot show."""

import html
import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_deciding import LENDER, Office, office

from inference.settings import ROOT
from web.cases.notice_pdf import REPLACEMENT
from web.pages.texts import LANGUAGES, texts_in

pytestmark = pytest.mark.slow

# A word of each script, and what of it no PDF shows: scripts that the fonts lack, and those from right to left.
SHOWN = ["Žofie Łęcka", "Ιωάννης", "Мария Ђорђевић", "Ørsted № 7", "{nb}", "☺"]
LACKING = {"王小明": "王小明", "さくら": "さくら", "मीरा": "मीरा", "محمد": "محد", "שרה": "שרה", "👩": "👩"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The default release, for a lender whose name has a Hebrew and a Greek word in it."""
    lender = replace(LENDER, name="Bank שלום", address="Οδός 1\n王")
    yield from office(tmp_path_factory.mktemp("office"), "consumer", lender)


def text_of(pdf: bytes) -> str:
    """All that a PDF of fpdf2 writes on its pages, by way of the tables that map its glyphs back to characters."""
    objects = dict(re.findall(rb"\n(\d+) 0 obj\n(.*?)\nendobj", pdf, re.S))
    streams = {}
    for number, content in objects.items():
        if found := re.search(rb"\nstream\n(.*)\nendstream", content, re.S):
            streams[number] = zlib.decompress(found[1]) if b"/FlateDecode" in content else found[1]
    fonts = {}
    for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", pdf):
        unicode = re.search(rb"/ToUnicode (\d+) 0 R", objects[number])
        assert unicode
        pairs = re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>\n", streams[unicode[1]])
        fonts[name] = {
            bytes.fromhex(glyph.decode()): bytes.fromhex(to.decode()).decode("utf-16-be") for glyph, to in pairs
        }
    assert len(fonts) == 2
    lines = []
    for stream in streams.values():
        font = b"F1"
        for name, text, end in re.findall(rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj|(ET)", stream, re.S):
            font = name or font
            glyphs = re.sub(
                rb"\\(.)", lambda found: {b"r": b"\r", b"n": b"\n"}.get(found[1], found[1]), text, flags=re.S
            )
            lines.append(
                "".join(fonts[font][glyphs[at : at + 2]] for at in range(0, len(glyphs), 2)) + "\n" * bool(end)
            )
    return "".join(lines)


def told(page: str) -> dict[str, str]:
    """What the notice's page says that its PDF lacks: the characters, by the part that they are in."""
    found = re.search(r'<div class="warning no-print" role="note"[^>]*>(.*?)</div>', page, re.S)
    parts = re.findall(r"<li>(.*?): (<bdi>.*?)</li>", found[1]) if found else []
    for _, characters in parts:
        for one, code in re.findall(r"<bdi>(.*?)</bdi> \(U\+([0-9A-F]{4,6})\)", characters):
            assert ord(html.unescape(one)) == int(code, 16)
    return {html.unescape(label): "".join(re.findall(r"<bdi>(.)</bdi>", listed)) for label, listed in parts}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_pdf_lacks_is_told_before_it_is_handed_over(desk: Office, language: str) -> None:
    """In the officer's language, part by part, with each character once; the PDF has a mark in the place of each."""
    texts, other = texts_in(language), next(one for one in LANGUAGES if one != language)
    reference, conditions = " ".join(LACKING)[:60], "Two payslips, please: " + " ".join(LACKING)
    id = desk.score(reference)
    desk.decide(id, "approve_changed", conditions=conditions)
    path = f"{'/fr' if language == 'fr' else ''}/record/{id}/notice"
    page = desk.client.get(f"{path}?lang={other}").text
    assert html.escape(texts("notice.not_shown", mark=REPLACEMENT)) in page
    everything = "".join(dict.fromkeys("".join(LACKING.values())))
    assert told(page) == {
        texts("notice.part_lender"): "שלום王", texts("notice.reference"): everything,
        texts("notice.part_decision"): everything,
    }  # fmt: skip
    assert reference in page  # the page itself shows all of it
    written = text_of(desk.client.get(f"{path}.pdf?lang={other}").content)
    flat = " ".join(written.split())
    assert texts_in(other)("notice.pdf_incomplete", mark=REPLACEMENT) in flat
    label = " ".join(texts_in(other)("notice.conditions").split())
    assert f"{label} Two payslips, please: {marked(LACKING)}" in flat
    assert flat.count(marked(LACKING)) == 2
    assert not set(everything) & set(flat)


def marked(words: dict[str, str]) -> str:
    """The words as the PDF has them."""
    return " ".join(REPLACEMENT * len(word) for word in words)


def test_what_the_pdf_shows_it_shows_as_it_was_written(desk: Office) -> None:
    """Latin with accents, composed or not, Greek, Cyrillic, signs; and no text is taken for a command."""
    shown = " ".join(SHOWN)
    id = desk.score(shown[:60])
    desk.decide(id, "approve_changed", conditions=f"{shown} Zoe\u0308 A.\r\nSecond line.")
    lender = {texts_in("en")("notice.part_lender"): "שלום王"}
    assert told(desk.client.get(f"/record/{id}/notice").text) == lender
    flat = " ".join(text_of(desk.client.get(f"/record/{id}/notice.pdf").content).split())
    assert f"Conditions: {shown} Zoë A. Second line." in flat
    assert flat.count(REPLACEMENT) == 1 + len("שלום王")  # the sentence that says so, and the lender's name


def test_a_pdf_leaves_nothing_in_the_log(desk: Office, caplog: pytest.LogCaptureFixture) -> None:
    """fpdf2 lists in its log the characters that its font lacks."""
    caplog.set_level(logging.DEBUG)
    id = desk.score("王小明 שרה")
    desk.decide(id, "decline", conditions="मीरा")
    assert desk.client.get(f"/record/{id}/notice.pdf").content.startswith(b"%PDF-")
    said = [(one.name, one.getMessage()) for one in caplog.records]
    assert len(said) > 0  # the client's own log is read, so the others' would be too
    assert [one for one in said if one[0].startswith(("fpdf", "fontTools"))] == []
    found = [
        one for one in said if any(letter in one[1] or f"\\u{ord(letter):04x}" in one[1] for letter in "王小明שרהमी")
    ]
    assert found == []


def test_the_fonts_are_those_of_the_pdf() -> None:
    """Both are there, and nothing else is embedded."""
    assert sorted(file.name for file in (ROOT / "web/pages/fonts").glob("*.ttf")) == [
        "DejaVuSans-Bold.ttf",
        "DejaVuSans.ttf",
    ]
