"""A draft notice as a PDF on A4, and what of it the PDF cannot show.

The fonts hold Latin, Greek, Cyrillic and some more. A character that they lack, or that is written from right to left,
which fpdf2 does not do by itself, is replaced by U+FFFD: the notice's page lists such characters, and the PDF says so.
"""

import logging
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from web.cases.notice import Notice
from web.pages.texts import Texts

FONTS = Path(__file__).parent.with_name("pages") / "fonts"
FILES = {"": FONTS / "DejaVuSans.ttf", "B": FONTS / "DejaVuSans-Bold.ttf"}  # by fpdf2's name of the style
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})  # classes of the Unicode bidirectional algorithm

# Both write texts of the PDF into their log, for instance the characters that a font lacks.
for library in ("fpdf", "fontTools"):
    logging.getLogger(library).setLevel(logging.CRITICAL + 1)


@cache
def available() -> frozenset[str]:
    """Characters that both fonts have; 0.3 s the first time."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    codes = []
    for file in FILES.values():
        with TTFont(file, lazy=True) as font:
            codes.append(frozenset(font.getBestCmap()))
    return frozenset("\n").union(map(chr, frozenset.intersection(*codes)))


def can_show(character: str) -> bool:
    """Whether the PDF has this character, and has it where it belongs in the line."""
    return character in available() and unicodedata.bidirectional(character) not in RIGHT_TO_LEFT


def spelled(text: str) -> str:
    """A text with its accents composed and with lines and spaces as the PDF knows them."""
    lines = "\n".join(unicodedata.normalize("NFC", text).splitlines())
    return "".join(" " if one.isspace() and one != "\n" and not can_show(one) else one for one in lines)


def printable(text: str) -> str:
    """A text with a mark for each character that the PDF cannot show."""
    return "".join(one if can_show(one) else REPLACEMENT for one in spelled(text))


def missing(text: str) -> str:
    """The characters of a text that the PDF cannot show, each once, in order."""
    return "".join(dict.fromkeys(one for one in spelled(text) if not can_show(one)))


def not_shown(made: Notice, labels: Notice, officer: Texts) -> list[tuple[str, str]]:
    """Each part of a notice with characters that the PDF cannot show, in the officer's language, and these characters.

    `labels` is the same notice in the officer's language; a part that has the same label as another is told once.
    """
    found: dict[str, str] = {}
    for label, text in parts(made, labels, officer):
        if lacks := missing(text):
            found[label] = "".join(dict.fromkeys(found.get(label, "") + lacks))
    return list(found.items())


def parts(made: Notice, labels: Notice, officer: Texts) -> Iterator[tuple[str, str]]:
    """Every text that the PDF holds, under what the officer calls it."""
    yield officer("notice.part_lender"), f"{made.creditor} {made.address}"
    yield officer("notice.part_decision"), f"{made.title} {made.decision}"
    yield officer("notice.reasons"), " ".join([made.reasons_title, *made.reasons])
    for pairs, named in ((made.facts, labels.facts), (made.figures, labels.figures), (made.ending, labels.ending)):
        for (name, value), (label, _) in zip(pairs, named, strict=True):
            yield label, f"{name} {value}"


def notice_pdf(made: Notice, texts: Texts) -> bytes:
    """The notice on A4, in the language of `texts`."""
    from fpdf import FPDF  # half a second, which a start need not take

    class Sheet(FPDF):
        """A page that says across it that it is an example, where it is one."""

        def header(self) -> None:
            if made.example:
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
    pdf.set_title(made.title)
    pdf.set_lang(texts.language)
    pdf.alias_nb_pages("")  # or a "{nb}" that somebody wrote would become the number of pages
    for style, file in FILES.items():
        pdf.add_font("DejaVu", style, file)
    pdf.add_page()

    def write(text: str, size: float = 10, bold: bool = False, above: float = 0) -> None:
        pdf.ln(above)
        pdf.set_font("DejaVu", "B" if bold else "", size)
        pdf.multi_cell(0, size * 0.55, printable(text), new_x="LMARGIN", new_y="NEXT", align="L")

    def listed(pairs: list[tuple[str, str]]) -> None:
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

    write(texts("notice.draft"), 10, bold=True)
    if not_shown(made, made, texts):
        write(texts("notice.pdf_incomplete", mark=REPLACEMENT), 10, bold=True, above=1)
    write(made.creditor, 11, bold=True, above=4)
    write(made.address)
    write(made.title, 15, bold=True, above=8)
    pdf.ln(3)
    listed(made.facts)
    write(made.decision, 11, bold=True, above=5)
    if made.reasons:
        write(made.reasons_title, 11, bold=True, above=5)
        for one in made.reasons:
            write(f"• {one}", above=1)
    if made.figures:
        write(texts("notice.figures"), 11, bold=True, above=5)
        listed(made.figures)
    for title, text in made.ending:
        write(title, 11, bold=True, above=5)
        write(text, above=1)
    return bytes(pdf.output())
