"""The desk: one Gradio page a language, drawn from the release."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from inference.scorer import Scorer
from web.cards.score_card import intro_card, notice_card
from web.desk.form import FormValues, build_form
from web.desk.gradio_api import Endpoint
from web.pages.frame import frame
from web.pages.languages import UP
from web.pages.templates import render
from web.pages.texts import Texts
from web.recording import Recorder

ACCENT = "#1f5f8b"
IDLE = 0.1  # seconds between two looks into a queue that nothing uses; Gradio looks every thousandth


class DeskBlocks(gr.Blocks):
    """Blocks whose queue is ours from the start: to call `queue` later builds the whole Gradio app once more."""

    def queue(self, *_: Any, **__: Any) -> gr.Blocks:
        super().queue(max_size=1)
        self._queue.sleep_when_free = self._queue.progress_update_sleep_when_free = IDLE
        return self


def build_desk(recorder: Recorder, texts: Texts, endpoint: Endpoint | None = None) -> gr.Blocks:
    """The whole page in one language: header, form, result panel, footer.

    Gradio draws the form and fills it. What the form holds is sent, and the answer shown, by the page's script and
    web/desk/routes.py: an event of Gradio's would copy every widget's state several times a click, twice the time of
    all the rest, and would carry what was chosen in one answer's forms over into the next.
    """
    scorer, release, recorded = recorder.scorer, recorder.scorer.release, recorder.ledger is not None
    title = release.manifest.title[texts.language]
    with DeskBlocks(title=f"Tenfold · {title}", fill_width=True, analytics_enabled=False) as desk:
        static(render(frame(title, texts, "desk", UP[texts.language], ledger=recorded), texts), "header")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="application", min_width=0):
                static(form_title(texts), "application-name")
                widgets = build_form(release.form, release.manifest.groups, texts, with_reference=recorded)
                with gr.Row(elem_id="actions"):
                    gr.Button(texts("form.score"), variant="primary", elem_id="score", min_width=0)
                    reset = gr.Button(texts("form.reset"), elem_id="reset", min_width=0)
                    example = gr.Button(texts("form.example"), elem_id="example", min_width=0)
                    put = gr.Button("", elem_id="put", min_width=0)  # pressed by the page's script alone
            with gr.Column(elem_id="outcome", min_width=0):
                static(f'<div id="result">{intro_card(release, texts)}</div><div id="tried"></div>', "answers")
        static(footer(scorer, texts) + templates(texts), "footer")
        held = FormValues(release.form, texts.language, recorded)
        fill(example, widgets.all, json.dumps(held.example))
        fill(reset, widgets.all, json.dumps(held.empty))
        fill(put, widgets.all, "window.deskValues")
        for name, left_open in widgets.not_stated.items():
            shut = "(on) => ({__type__: 'update', interactive: !on, ...(on ? {value: ''} : {})})"
            left_open.change(None, left_open, widgets.boxes[name], js=shut)
        if endpoint is not None:
            endpoint.describe()
    return desk  # type: ignore[no-any-return]  # Gradio's context manager is untyped


def fill(button: gr.Button, outputs: Sequence[Any], values: str) -> None:
    """Let a button put values, a JavaScript expression, into the widgets without asking the server."""
    button.click(None, None, list(outputs), js=f"() => {values}")


def static(html: str, name: str) -> None:
    """HTML that never changes."""
    gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def form_title(texts: Texts) -> str:
    """The form's name. Beside it, while the answers are those of the release's example, that they are an example: the
    page's script takes the mark away with the first answer that is changed."""
    mark = f'<span id="example-mark" role="note">{escape(texts("form.example_mark"))}</span>'
    return f'<div class="form-title"><h2>{escape(texts("form.title"))}</h2>{mark}</div><div id="correcting"></div>'


def footer(scorer: Scorer, texts: Texts) -> str:
    """What the release is and is not, its name, its card."""
    release = scorer.release
    card, opens = "model-card", 'target="_blank" rel="noopener"'
    return (
        f"<footer><p>{escape(release.manifest.notice[texts.language])}</p>"
        f"<p>{escape(texts('footer.release'))} <code>{escape(release.name)}</code> · "
        f'<a href="{card}" {opens}>{escape(texts("footer.model_card"))}</a></p></footer>'
    )


def templates(texts: Texts) -> str:
    """Cards that the page's script shows when no server is there to make one, and a voice for screen readers."""
    cards = "".join(
        f'<template id="card-{kind}">{notice_card(kind, texts)}</template>' for kind in ("gone", "failed", "out")
    )
    return f'{cards}<div id="announcer" class="visually-hidden" role="status"></div>'
