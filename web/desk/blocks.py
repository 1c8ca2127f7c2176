"""The desk: one Gradio page per language, built from the release."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from inference.release import Release
from inference.version import VERSION
from web.cards.notice_card import NoticeCard, notice
from web.cards.score_card import IntroCard, intro
from web.desk.form import FormValues, build_form, reference_box
from web.desk.gradio_api import Endpoint
from web.desk.gradio_hooks import SHUT_WHILE_TICKED, DeskBlocks
from web.desk.gradio_import import gr
from web.pages.answers import LONGEST_REFERENCE
from web.pages.frame import frame
from web.pages.languages import UP
from web.pages.templates import render
from web.pages.texts import Texts
from web.recording import Recorder

KEYS = {
    "score": "Enter", "send": "Ctrl+Enter", "form": "F2", "decide": "F4", "back": "F8", "new": "F9", "move": "Tab",
    "choose": "←+→", "list": "?",
}  # fmt: skip
OF_CASES = ("decide",)  # keys that need a ledger


@dataclass(frozen=True)
class FormTitle:
    """The form's title, with the mark "example", which the page's script removes when an answer is changed."""

    template: ClassVar[str] = "desk/form_title.html"


@dataclass(frozen=True)
class ApplicantBox:
    """The applicant's name or number, which the model does not see. The page's script reads it."""

    template: ClassVar[str] = "desk/applicant.html"
    label: str
    longest: int = LONGEST_REFERENCE


@dataclass(frozen=True)
class Answers:
    """The container of cards and what-ifs, with the card shown before the first score."""

    template: ClassVar[str] = "desk/answers.html"
    intro: IntroCard


@dataclass(frozen=True)
class ShortKey:
    """What the keyboard can do at once; web/pages/static/keys.js does it."""

    pressed: tuple[str, ...]
    does: str


@dataclass(frozen=True)
class Footer:
    """The release's notice, name and model card; the list of keys; cards for an unreachable server; an element for
    announcements to screen readers; and in a demonstration the dialog in which a visitor's own pages open."""

    template: ClassVar[str] = "desk/footer.html"
    notice: str
    release: str
    model_card: str
    version: str
    keys: tuple[ShortKey, ...]
    offline: tuple[NoticeCard, ...]  # shown by the page's script if the server cannot be reached
    visits: bool


def build_desk(
    recorder: Recorder, texts: Texts, endpoint: Endpoint | None = None, applicant: str = "", visits: bool = False
) -> gr.Blocks:
    """The page in one language: header, form, result panel, footer. `applicant` is the label of the applicant's name or
    number; empty: it is not asked. `visits`: each visitor has a ledger of their own.

    Gradio draws and fills the form. The page's script sends its values to web/desk/routes.py and shows the response. A
    Gradio event would copy every widget's state several times per click, which takes twice the time of everything else,
    and would carry choices over from one card's forms to the next.
    """
    release, recorded = recorder.scorer.release, recorder.ledger is not None
    title = release.manifest.title[texts.language]
    with DeskBlocks(title=f"Tenfold · {title}", fill_width=True, analytics_enabled=False) as desk:
        page_frame = frame(title, texts, "desk", UP[texts.language], ledger=recorded and not visits, visits=visits)
        static(render(page_frame, texts), "header")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="application", min_width=0):
                static(render(FormTitle(), texts), "application-name")
                with gr.Column(elem_id="fields", min_width=0):
                    widgets = build_form(release.form, release.manifest.groups, texts)
                with gr.Column(elem_id="foot", min_width=0):
                    if recorded:
                        widgets = replace(widgets, reference=reference_box(texts))
                    if recorded and applicant:
                        static(render(ApplicantBox(applicant), texts), "who-applies")
                    with gr.Row(elem_id="actions"):
                        gr.Button(texts("form.score"), variant="primary", elem_id="score", min_width=0)
                        reset = gr.Button(texts("form.reset"), elem_id="reset", min_width=0)
                        example = gr.Button(texts("form.example"), elem_id="example", min_width=0)
                        put = gr.Button("", elem_id="put", min_width=0)  # clicked only by the page's script
            with gr.Column(elem_id="outcome", min_width=0):
                static(render(Answers(intro(release, texts)), texts), "answers")
        static(render(footer(release, texts, recorded, visits), texts), "footer")
        form_values = FormValues(release.form, texts.language, recorded)
        fill(example, widgets.all, json.dumps(form_values.example))
        fill(reset, widgets.all, json.dumps(form_values.empty))
        fill(put, widgets.all, "window.deskValues")
        for name, left_open in widgets.not_stated.items():
            left_open.change(None, left_open, widgets.boxes[name], js=SHUT_WHILE_TICKED)
        if endpoint is not None:
            endpoint.describe()
    return desk  # type: ignore[no-any-return]  # Gradio's context manager is untyped


def fill(button: gr.Button, outputs: Sequence[Any], values: str) -> None:
    """Make a button fill the widgets with `values`, a JavaScript expression, without a request to the server."""
    button.click(None, None, list(outputs), js=f"() => {values}")


def footer(release: Release, texts: Texts, ledger: bool, visits: bool) -> Footer:
    """The footer of the page for a release."""
    offline = tuple(notice(kind, texts) for kind in ("gone", "failed", "out", "other", *(("ended",) if visits else ())))
    notice_text = release.manifest.notice[texts.language]
    keys = tuple(
        ShortKey(tuple(pressed.split("+")), texts(f"keys.{name}"))
        for name, pressed in KEYS.items()
        if ledger or name not in OF_CASES
    )
    return Footer(notice_text, release.name, "model-card", VERSION, keys, offline, visits)


def static(html: str, name: str) -> None:
    """HTML that never changes."""
    gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)
