"""The desk: one Gradio page a language, drawn from the release."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr

from inference.release import Release
from web.cards.notice_card import NoticeCard, notice
from web.cards.score_card import IntroCard, intro
from web.desk.form import FormValues, build_form
from web.desk.gradio_api import Endpoint
from web.desk.gradio_hooks import SHUT_WHILE_TICKED, DeskBlocks
from web.pages.frame import frame
from web.pages.languages import UP
from web.pages.templates import render
from web.pages.texts import Texts
from web.recording import Recorder


@dataclass(frozen=True)
class FormTitle:
    """The form's name. Beside it, while the answers are those of the release's example, that they are an example: the
    page's script takes the mark away with the first answer that is changed."""

    template: ClassVar[str] = "desk/form_title.html"


@dataclass(frozen=True)
class Answers:
    """The place for cards and what-ifs, with what is there before the first score."""

    template: ClassVar[str] = "desk/answers.html"
    intro: IntroCard


@dataclass(frozen=True)
class Footer:
    """What the release is and is not, its name, its card; cards for when no server is there, and a voice for screen
    readers."""

    template: ClassVar[str] = "desk/footer.html"
    notice: str
    release: str
    model_card: str
    offline: tuple[NoticeCard, ...]  # that the page's script shows when no server is there to make one


def build_desk(recorder: Recorder, texts: Texts, endpoint: Endpoint | None = None) -> gr.Blocks:
    """The whole page in one language: header, form, result panel, footer.

    Gradio draws the form and fills it. What the form holds is sent, and the answer shown, by the page's script and
    web/desk/routes.py: an event of Gradio's would copy every widget's state several times a click, twice the time of
    all the rest, and would carry what was chosen in one answer's forms over into the next.
    """
    release, recorded = recorder.scorer.release, recorder.ledger is not None
    title = release.manifest.title[texts.language]
    with DeskBlocks(title=f"Tenfold · {title}", fill_width=True, analytics_enabled=False) as desk:
        static(render(frame(title, texts, "desk", UP[texts.language], ledger=recorded), texts), "header")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="application", min_width=0):
                static(render(FormTitle(), texts), "application-name")
                widgets = build_form(release.form, release.manifest.groups, texts, with_reference=recorded)
                with gr.Row(elem_id="actions"):
                    gr.Button(texts("form.score"), variant="primary", elem_id="score", min_width=0)
                    reset = gr.Button(texts("form.reset"), elem_id="reset", min_width=0)
                    example = gr.Button(texts("form.example"), elem_id="example", min_width=0)
                    put = gr.Button("", elem_id="put", min_width=0)  # pressed by the page's script alone
            with gr.Column(elem_id="outcome", min_width=0):
                static(render(Answers(intro(release, texts)), texts), "answers")
        static(render(footer(release, texts), texts), "footer")
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
    """Let a button put values, a JavaScript expression, into the widgets without asking the server."""
    button.click(None, None, list(outputs), js=f"() => {values}")


def footer(release: Release, texts: Texts) -> Footer:
    """What stands below, for one release."""
    offline = tuple(notice(kind, texts) for kind in ("gone", "failed", "out"))
    notice_text = release.manifest.notice[texts.language]
    return Footer(notice_text, release.name, "model-card", offline)


def static(html: str, name: str) -> None:
    """HTML that never changes."""
    gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)
