"""The desk: one Gradio page a language, drawn from the release."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from inference.errors import InvalidApplication
from inference.scorer import Scorer
from ledger.store import LedgerUnavailable
from web.card import intro_card, notice_card, problem_card, score_card
from web.endpoint import add_endpoint
from web.form import Widgets, build_form
from web.languages import UP
from web.recording import Recorder
from web.texts import LANGUAGES, Texts

OFFICER = "desk"  # who asks, as long as nobody has to say so
ACCENT = "#1f5f8b"
WAITING = 64  # calls of the API that may wait; scoring takes well below a millisecond
SCORING = 8  # calls that may run at the same time


class DeskBlocks(gr.Blocks):
    """Blocks whose queue is ours from the start: to call `queue` later builds the whole Gradio app once more."""

    def queue(self, *_: Any, **__: Any) -> gr.Blocks:
        super().queue(max_size=WAITING, default_concurrency_limit=SCORING)
        return self


def build_desk(recorder: Recorder, texts: Texts, *, public_demo: bool = False, with_api: bool = False) -> gr.Blocks:
    """The whole page in one language: header, form, result panel, footer."""
    scorer, release = recorder.scorer, recorder.scorer.release
    title = release.manifest["title"][texts.language]
    with DeskBlocks(title=f"Tenfold · {title}", fill_width=True, analytics_enabled=False) as desk:
        static(header(title, texts, public_demo), "header")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="application", min_width=0):
                static(f"<h2>{escape(texts('form.title'))}</h2>", "application-name")
                with_reference = recorder.ledger is not None
                widgets = build_form(release.form, release.manifest["groups"], texts, with_reference=with_reference)
                with gr.Row(elem_id="actions"):
                    score = gr.Button(texts("form.score"), variant="primary", elem_id="score", min_width=0)
                    reset = gr.Button(texts("form.reset"), elem_id="reset", min_width=0)
                    example = gr.Button(texts("form.example"), elem_id="example", min_width=0)
            with gr.Column(elem_id="outcome", min_width=0):
                result = gr.HTML(intro_card(release, texts), elem_id="result", js_on_load=None, apply_default_css=False)
        static(footer(scorer, texts) + templates(texts), "footer")

        async def score_click(*values: object) -> str:
            return await score_values(recorder, widgets, values)

        gr.on(
            [score.click, *(box.submit for box in widgets.entered_by_return)],
            score_click,
            widgets.all,
            result,
            queue=False,
            preprocess=False,  # answers are validated once, at inference's door
            postprocess=False,
            show_progress="hidden",
            api_visibility="private",
        )
        fill(example, widgets.all, widgets.example)
        fill(reset, [*widgets.all, result], [*widgets.empty, intro_card(release, texts)])
        for name, left_open in widgets.not_stated.items():
            shut = "(on) => ({__type__: 'update', interactive: !on, ...(on ? {value: ''} : {})})"
            left_open.change(None, left_open, widgets.boxes[name], js=shut)
        if with_api:
            add_endpoint(recorder)
    return desk  # type: ignore[no-any-return]  # Gradio's context manager is untyped


async def score_values(recorder: Recorder, widgets: Widgets, values: tuple[object, ...]) -> str:
    """What stands in the form -> the card that answers it."""
    texts = widgets.texts
    try:
        reference = widgets.reference_in(values)
        told = await recorder.score(
            widgets.answers(values), by=OFFICER, channel="desk", reference=reference, explain=True
        )
    except InvalidApplication as error:
        return problem_card(error.problems, recorder.scorer.release, texts)
    except LedgerUnavailable:
        return notice_card("unrecorded", texts)
    return score_card(told, recorder.scorer.release, texts)


def fill(button: gr.Button, outputs: Sequence[Any], values: Sequence[object]) -> None:
    """Let a button put values into the page without asking the server."""
    button.click(None, None, list(outputs), js=f"() => {json.dumps(list(values))}")


def static(html: str, name: str) -> None:
    """HTML that never changes."""
    gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def header(title: str, texts: Texts, public_demo: bool) -> str:
    """Name, release, language switch, dark colours; above all of it the way past it for a keyboard."""
    links = "".join(
        f'<a href="?lang={language}" lang="{language}" hreflang="{language}"'
        f"{' aria-current=true' if language == texts.language else ''}>{language.upper()}</a>"
        for language in LANGUAGES
    )
    banner = f'<p class="banner" role="note">{escape(texts("banner.public"))}</p>' if public_demo else ""
    return (
        f'<a class="skip" href="#result">{escape(texts("header.skip"))}</a>'
        f'<header><h1>Tenfold</h1><span class="release-title">{escape(title)}</span>'
        f'<nav class="languages" aria-label="{escape(texts("header.language"))}">{links}</nav>'
        f'<button type="button" class="dark-toggle" aria-pressed="false" aria-label="{escape(texts("header.dark"))}">'
        '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><circle cx="12" cy="12" r="9"/>'
        '<path class="full" d="M12 3a9 9 0 0 1 0 18z"/></svg></button></header>'
        f"{banner}"
    )


def footer(scorer: Scorer, texts: Texts) -> str:
    """What the release is and is not, its name, its card."""
    release = scorer.release
    card, opens = f"{UP[texts.language]}model-card", 'target="_blank" rel="noopener"'
    return (
        f"<footer><p>{escape(release.manifest['notice'][texts.language])}</p>"
        f"<p>{escape(texts('footer.release'))} <code>{escape(release.name)}</code> · "
        f'<a href="{card}" {opens}>{escape(texts("footer.model_card"))}</a> · '
        f'<a href="performance" {opens}>{escape(texts("footer.performance"))}</a></p></footer>'
    )


def templates(texts: Texts) -> str:
    """Cards that the page's script shows when no server is there to make one, and a voice for screen readers."""
    cards = "".join(f'<template id="card-{kind}">{notice_card(kind, texts)}</template>' for kind in ("gone", "failed"))
    return f'{cards}<div id="announcer" class="visually-hidden" role="status"></div>'
