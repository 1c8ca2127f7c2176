"""A draft notice for the applicant, in English or French: a page to print and a PDF, from one list of parts.

Principal reasons are those that the officer confirmed; where the officer decided otherwise than the model suggested,
the officer's own reason, and nothing of the model's.
"""

from html import escape
from pathlib import Path
from typing import NamedTuple

from starlette.types import Scope

from inference.release import Release
from ledger.cases import Case
from web.assets import asset_path, icon
from web.frame import root_from, who
from web.lender import Lender, reason_text
from web.texts import LANGUAGES, Texts

ENDING = ("contest", "retention", "regulator")
FONTS = Path(__file__).with_name("fonts")


class Notice(NamedTuple):
    """The parts of a notice, all plain texts. `example`: placeholders stand where the lender's own words belong."""

    creditor: str
    address: str
    title: str
    facts: list[tuple[str, str]]
    decision: str
    reasons_title: str
    reasons: list[str]
    figures: list[tuple[str, str]]
    ending: list[tuple[str, str]]
    example: bool


def notice(case: Case, release: Release | None, lender: Lender, texts: Texts) -> Notice:
    """What the notice of a settled case says."""
    decision = case.decision
    assert decision is not None  # noqa: S101 - only a settled case has a notice
    fields, personal = decision.fields(), decision.personal_fields() or {}
    reasons = [reason_text(one, release, lender, texts.language) for one in decision.reasons or []]
    score = case.score_of(decision)  # where it was referred, answers may have been corrected since
    if fields["direction"] == "more_lenient":
        reasons = []  # why somebody was trusted more than the model would is held against nobody
    elif fields["reason_code"]:
        reasons = [lender.reason(fields["direction"], fields["reason_code"], texts.language)]
    elif fields["decision"] == "decline" and not reasons:
        reasons = [str(personal.get("justification") or texts("notice.erased"))]
    tells_why = fields["decision"] != "approve"
    conditions = personal.get("conditions")
    sentence = texts(f"notice.{fields['decision']}")
    if conditions:
        sentence += f" {texts('notice.conditions')} {conditions}"
    recorded = score.personal_fields()
    used = []
    if recorded is not None and release is not None:
        for field in release.form.fields:
            answer = field.show(field.parse(recorded["answers"].get(field.name)), texts.language)
            used.append((field.label[texts.language], answer))
    reference = (case.first.personal_fields() or {}).get("reference")
    facts = [
        (texts("notice.reference"), str(reference or texts("record.title_number", seq=case.first.seq))),
        (texts("notice.date"), texts.day(fields["time"][:10])),
        (texts("notice.model"), score.fields()["release_name"]),
    ]
    return Notice(
        lender.name, lender.address, texts("notice.title"), facts, sentence,
        texts("notice.reasons") if tells_why and reasons else "", reasons if tells_why else [], used,
        [(texts(f"notice.{part}_title"), lender.notice[part][texts.language]) for part in ENDING], lender.is_example,
    )  # fmt: skip


def notice_html(case: Case, release: Release | None, lender: Lender, texts: Texts, officer: Texts, scope: Scope) -> str:
    """The page to print. What is only for the officer (the other language, the PDF, logging out) is not printed."""
    made = notice(case, release, lender, texts)
    up = root_from("record/x/notice", officer)
    links = " · ".join(f'<a href="?lang={language}" lang="{language}">{language.upper()}</a>' for language in LANGUAGES)
    pdf = f'<a href="notice.pdf?lang={texts.language}">PDF</a>'
    back = f'<a href="../{escape(str(case.first.fields()["id"]))}">{escape(officer("notice.back"))}</a>'
    reasons = ""
    if made.reasons:
        items = "".join(f"<li>{escape(one)}</li>" for one in made.reasons)
        reasons = f"<h2>{escape(made.reasons_title)}</h2><ul>{items}</ul>"
    figures = f"<h2>{escape(texts('notice.figures'))}</h2>{rows(made.figures)}" if made.figures else ""
    mark = f' class="example" data-example="{escape(texts("notice.example"))}"' if made.example else ""
    ending = "".join(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>" for title, text in made.ending)
    return (
        f'<!doctype html><html lang="{texts.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(made.title)}</title>'
        f'{icon(up)}<link rel="stylesheet" href="{up}{asset_path("notice.css")}"></head><body>'
        f'<nav class="no-print" lang="{officer.language}">{back} · {links} · {pdf} {who(scope, officer, up)}</nav>'
        f"<main{mark}>"
        f'<p class="draft">{escape(texts("notice.draft"))}</p>'
        f"<address><strong>{escape(made.creditor)}</strong><br>{escape(made.address)}</address>"
        f"<h1>{escape(made.title)}</h1>{rows(made.facts)}<p class='decision'>{escape(made.decision)}</p>"
        f"{reasons}{figures}{ending}</main></body></html>"
    )


def rows(pairs: list[tuple[str, str]]) -> str:
    """A list of names and values."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in pairs)}</dl>"


def notice_pdf(case: Case, release: Release | None, lender: Lender, texts: Texts) -> bytes:
    """The same on A4."""
    from fpdf import FPDF  # half a second, which a start need not take

    made = notice(case, release, lender, texts)

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
    pdf.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", "B", FONTS / "DejaVuSans-Bold.ttf")
    pdf.add_page()

    def write(text: str, size: float = 10, bold: bool = False, above: float = 0) -> None:
        pdf.ln(above)
        pdf.set_font("DejaVu", "B" if bold else "", size)
        pdf.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT", align="L")

    def listed(pairs: list[tuple[str, str]]) -> None:
        for name, value in pairs:
            top = pdf.get_y()
            if top > pdf.h - 30:
                pdf.add_page()
                top = pdf.get_y()
            pdf.set_font("DejaVu", "", 10)
            pdf.multi_cell(60, 5.5, name, new_x="LMARGIN", new_y="NEXT", align="L")
            low = pdf.get_y()
            pdf.set_xy(pdf.l_margin + 62, top)
            pdf.multi_cell(0, 5.5, value, new_x="LMARGIN", new_y="NEXT", align="L")
            pdf.set_y(max(low, pdf.get_y()))

    write(texts("notice.draft"), 10, bold=True)
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
