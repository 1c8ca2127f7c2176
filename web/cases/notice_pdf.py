"""A draft notice as a PDF on A4, and the characters that the PDF cannot show.

The fonts have Latin, Greek, Cyrillic and some other letters. A character that they lack, or that is written from right
to left, which fpdf2 does not support without further packages, is replaced by U+FFFD. The notice's page lists such
characters, and the PDF mentions them.
"""

import logging
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from web.cases.notice import Notice
from web.pages.texts import Texts

FONTS = Path(__file__).parent.with_name("pages") / "fonts"
FILES = {"": FONTS / "DejaVuSans.ttf", "B": FONTS / "DejaVuSans-Bold.ttf"}  # by fpdf2's name for the style
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})  # classes of the Unicode bidirectional algorithm

# Both log texts of the PDF, for instance the characters that a font lacks.
for library in ("fpdf", "fontTools"):
    logging.getLogger(library).setLevel(logging.CRITICAL + 1)


@cache
def available() -> frozenset[str]:
    """The characters that both fonts have; takes 0.3 s the first time."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    codes = []
    for file in FILES.values():
        with TTFont(file, lazy=True) as font:
            codes.append(frozenset(font.getBestCmap()))
    return frozenset("\n").union(map(chr, frozenset.intersection(*codes)))


def can_show(character: str) -> bool:
    """Whether the PDF can show this character in its right place in the line."""
    return character in available() and unicodedata.bidirectional(character) not in RIGHT_TO_LEFT


def spelled(text: str) -> str:
    """A text with composed accents, and with newlines and spaces that the PDF supports."""
    lines = "\n".join(unicodedata.normalize("NFC", text).splitlines())
    return "".join(" " if letter.isspace() and letter != "\n" and not can_show(letter) else letter for letter in lines)


def printable(text: str) -> str:
    """A text in which each character that the PDF cannot show is replaced."""
    return "".join(character if can_show(character) else REPLACEMENT for character in spelled(text))


def missing(text: str) -> str:
    """The characters of a text that the PDF cannot show, each once, in order."""
    return "".join(dict.fromkeys(character for character in spelled(text) if not can_show(character)))


def not_shown(notice: Notice, labels: Notice, officer: Texts) -> list[tuple[str, str]]:
    """The parts of a notice with characters that the PDF cannot show: (label in the officer's language, characters).

    `labels` is the same notice in the officer's language; parts with the same label are combined.
    """
    missing_by_label: dict[str, str] = {}
    for label, text in parts(notice, labels, officer):
        if characters := missing(text):
            missing_by_label[label] = "".join(dict.fromkeys(missing_by_label.get(label, "") + characters))
    return list(missing_by_label.items())


def parts(notice: Notice, labels: Notice, officer: Texts) -> Iterator[tuple[str, str]]:
    """All texts of the PDF as (label in the officer's language, text)."""
    yield officer("notice.part_lender"), f"{notice.creditor} {notice.address}"
    yield officer("notice.part_decision"), f"{notice.title} {notice.decision}"
    yield officer("notice.part_rule"), notice.drafted_for
    yield officer("notice.reasons"), " ".join([notice.reasons_title, *notice.reasons])
    for pairs, named_in in (
        (notice.facts, labels.facts),
        (notice.figures, labels.figures),
        (notice.ending, labels.ending),
    ):
        for (name, value), (label, _) in zip(pairs, named_in, strict=True):
            yield label, f"{name} {value}"


def notice_pdf(notice: Notice, texts: Texts, handed: bool = False) -> bytes:
    """The notice on A4, in the language of `texts`; `handed`: as it was handed over, and so no draft any longer."""
    from fpdf import FPDF  # takes half a second, so not at start

    class Sheet(FPDF):
        """A page with a watermark if the notice is an example."""

        def header(self) -> None:
            if notice.example:
                self.set_font("DejaVu", "B", 64)
                self.set_text_color(225, 225, 225)
                with self.rotation(50, self.w / 2, self.h / 2):
                    self.text(
                        self.w / 2 - self.get_string_width(texts("notice.example")) / 2,
                        self.h / 2,
                        texts("notice.example"),
                    )
                self.set_text_color(0, 0, 0)

    pdf = Sheet(format="A4")
    pdf.set_margin(22)
    pdf.set_auto_page_break(True, 20)
    pdf.set_title(notice.title)
    pdf.set_lang(texts.language)
    pdf.alias_nb_pages("")  # otherwise "{nb}" in a text would become the number of pages
    for style, file in FILES.items():
        pdf.add_font("DejaVu", style, file)
    pdf.add_page()

    def write(text: str, size: float = 10, bold: bool = False, above: float = 0) -> None:
        pdf.ln(above)
        pdf.set_font("DejaVu", "B" if bold else "", size)
        pdf.multi_cell(0, size * 0.55, printable(text), new_x="LMARGIN", new_y="NEXT", align="L")

    def write_pairs(pairs: tuple[tuple[str, str], ...]) -> None:
        for name, value in pairs:
            top = pdf.get_y()
            if top > pdf.h - 30:
                pdf.add_page()
                top = pdf.get_y()
            pdf.set_font("DejaVu", "", 10)
            pdf.multi_cell(60, 5.5, printable(name), new_x="LMARGIN", new_y="NEXT", align="L")
            low = pdf.get_y()
            pdf.set_xy(pdf.l_margin + 62, top)
            pdf.multi_cell(0, 5.5, printable(value), new_x="LMARGIN", new_y="NEXT", align="L")
            pdf.set_y(max(low, pdf.get_y()))

    if not handed:
        write(notice.draft, 10, bold=True)
        write(notice.drafted_for, 8)
    if not_shown(notice, notice, texts):
        write(texts("notice.pdf_incomplete", mark=REPLACEMENT), 10, bold=True, above=1)
    write(notice.creditor, 11, bold=True, above=4)
    write(notice.address)
    write(notice.title, 15, bold=True, above=8)
    pdf.ln(3)
    write_pairs(notice.facts)
    write(notice.decision, 11, bold=True, above=5)
    if notice.reasons:
        write(notice.reasons_title, 11, bold=True, above=5)
        for reason in notice.reasons:
            write(f"• {reason}", above=1)
    if notice.figures:
        write(notice.figures_title, 11, bold=True, above=5)
        write_pairs(notice.figures)
    for title, text in notice.ending:
        write(title, 11, bold=True, above=5)
        write(text, above=1)
    return bytes(pdf.output())
