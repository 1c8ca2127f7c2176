"""The desk: one Gradio page a language, drawn from the release."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import gradio as gr
import orjson
from starlette.concurrency import run_in_threadpool

from inference.errors import InvalidApplication
from inference.policy import APPROVE
from inference.scorer import Scorer
from ledger import cases
from ledger.cases import OPEN, REVIEW, Case, name
from ledger.ledger import Ledger
from ledger.store import DATABASE_ERRORS, LedgerUnavailable
from web.card import intro_card, notice_card, problem_card, score_card
from web.decide_form import DecideForm
from web.endpoint import add_endpoint
from web.form import Widgets, build_form
from web.frame import header
from web.languages import UP
from web.lender import Lender, read_lender
from web.recording import Recorder
from web.texts import Texts
from web.whatif import Panel

OFFICER = "desk"  # who asks, as long as nobody has to say so
ACCENT = "#1f5f8b"
WAITING = 64  # calls of the API that may wait; scoring takes well below a millisecond
LONGEST_WISH = 10_000  # characters that the page's script may ask with
SCORING = 8  # calls that may run at the same time


class DeskBlocks(gr.Blocks):
    """Blocks whose queue is ours from the start: to call `queue` later builds the whole Gradio app once more."""

    def queue(self, *_: Any, **__: Any) -> gr.Blocks:
        super().queue(max_size=WAITING, default_concurrency_limit=SCORING)
        return self


def build_desk(
    recorder: Recorder,
    texts: Texts,
    *,
    lender: Lender | None = None,
    public_demo: bool = False,
    with_api: bool = False,
) -> gr.Blocks:
    """The whole page in one language: header, form, result panel, footer."""
    scorer, release = recorder.scorer, recorder.scorer.release
    title = release.manifest["title"][texts.language]
    with DeskBlocks(title=f"Tenfold · {title}", fill_width=True, analytics_enabled=False) as desk:
        static(header(title, texts, "desk", UP[texts.language], public_demo, recorder.ledger is not None), "header")
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="application", min_width=0):
                static(f"<h2>{escape(texts('form.title'))}</h2>", "application-name")
                correcting = changing("correcting")
                with_reference = recorder.ledger is not None
                widgets = build_form(release.form, release.manifest["groups"], texts, with_reference=with_reference)
                with gr.Row(elem_id="actions"):
                    score = gr.Button(texts("form.score"), variant="primary", elem_id="score", min_width=0)
                    reset = gr.Button(texts("form.reset"), elem_id="reset", min_width=0)
                    example = gr.Button(texts("form.example"), elem_id="example", min_width=0)
            with gr.Column(elem_id="outcome", min_width=0):
                result = changing("result", intro_card(release, texts))
                tried = changing("tried")
        # What the page's script says to the server, and the events that it sets off.
        with gr.Column(elem_id="unseen"):
            asked, origin = (
                gr.Textbox(elem_id="asked", show_label=False),
                gr.Textbox(elem_id="origin", show_label=False),
            )
            tries, puts, takes = (gr.Button(name, elem_id=name) for name in ("try", "put", "take"))
        answering = Answering(recorder, widgets, DecideForm(lender or read_lender(None), texts, UP[texts.language]))
        shared: dict[str, Any] = {
            "queue": False,
            "preprocess": False,  # answers are validated once, at inference's door
            "postprocess": False,
            "show_progress": "hidden",
            "api_visibility": "private",
        }
        scores = [score.click, *(box.submit for box in widgets.entered_by_return)]
        filled = [*widgets.all, correcting]
        events = {
            "score": gr.on(scores, answering.score, [*widgets.all, origin], result, **shared),
            # The last change is what counts: one panel at a time, then one for how the form stands by then.
            "try": tries.click(answering.try_out, [*widgets.all, asked], tried, trigger_mode="always_last", **shared),
            "put": puts.click(answering.put, asked, widgets.all, **shared),
            "take": takes.click(answering.take, origin, filled, **shared),
        }
        known = {name: event["id"] for name, event in events.items()} | {"filled": len(filled)}
        static(footer(scorer, texts) + templates(texts, known), "footer")
        fill(example, widgets.all, widgets.example)
        fill(reset, [*widgets.all, result, tried], [*widgets.empty, intro_card(release, texts), ""])
        for name, left_open in widgets.not_stated.items():
            shut = "(on) => ({__type__: 'update', interactive: !on, ...(on ? {value: ''} : {})})"
            left_open.change(None, left_open, widgets.boxes[name], js=shut)
        if with_api:
            add_endpoint(recorder)
    return desk  # type: ignore[no-any-return]  # Gradio's context manager is untyped


class Answering:
    """The desk's events: what stands in the widgets -> what is shown."""

    def __init__(self, recorder: Recorder, widgets: Widgets, deciding: DecideForm) -> None:
        self._recorder, self._widgets, self._deciding = recorder, widgets, deciding
        self._release, self._texts = recorder.scorer.release, widgets.texts
        self._panel = Panel(self._release, self._texts)

    async def score(self, *values: object) -> str:
        """The card that answers the form; a corrected score where the form holds an earlier case's answers."""
        *values_, origin = values
        widgets, texts, ledger = self._widgets, self._texts, self._recorder.ledger
        corrects = None
        try:
            if ledger is not None and isinstance(origin, str) and origin:
                case = await run_in_threadpool(find, ledger, origin)
                if case is None or case.state not in (OPEN, REVIEW):
                    return notice_card("settled", texts)
                corrects = name(case.first)
            told = await self._recorder.score(
                widgets.answers(values_),
                by=OFFICER,
                channel="desk",
                reference=widgets.reference_in(values_),
                explain=True,
                corrects=corrects,
            )
            deciding = ""
            if told.record is not None and ledger is not None:
                case = Case((told.record,)) if corrects is None else await run_in_threadpool(find, ledger, corrects)
                deciding = "" if case is None else self._deciding.section(case, self._release)
        except InvalidApplication as error:
            return problem_card(error.problems, self._release, texts)
        except (LedgerUnavailable, *DATABASE_ERRORS):
            return notice_card("unrecorded", texts)
        return score_card(told, self._release, texts, deciding)

    async def try_out(self, *values: object) -> str:
        """The what-if panel: what was scored (it is in `asked`) beside what stands in the form. Nothing is recorded."""
        *values_, asked = values
        return await run_in_threadpool(self._tried, values_, asked)

    def _tried(self, values: Sequence[object], asked: object) -> str:
        whatif, form = self._recorder.whatif, self._release.form
        wish = wished(asked)
        try:
            scored = whatif.score(dict(wish.get("answers") or {}))
        except (InvalidApplication, TypeError, ValueError):
            return ""
        now = explanation = None
        with suppress(InvalidApplication):
            now = whatif.score(self._widgets.answers(values))
        if now is not None and now.application != scored.application:
            explanation = self._recorder.reasons.explain(now.application)
        at = form.names.index(wish["field"]) if wish.get("field") in form.names else self._release.policy.amount_at or 0
        application = scored.application
        proposals = [] if scored.decision == APPROVE else whatif.approvals(application)
        return self._panel.write(
            scored, now, explanation, proposals, whatif.highest_amount(application), at, whatif.curve(application, at)
        )

    def put(self, asked: object) -> list[object]:
        """Answers that the script asks to have in the form; the reference stays."""
        answers = wished(asked).get("answers")
        held = self._widgets.holding(answers if isinstance(answers, dict) else {})
        return [*held[:-1], {"__type__": "update"}] if self._widgets.reference else held

    async def take(self, origin: object) -> list[object]:
        """An earlier case's answers in the form, to be corrected; and what says so above it."""
        texts, ledger = self._texts, self._recorder.ledger
        stays: list[object] = [{"__type__": "update"}] * len(self._widgets.all)
        try:
            case = await run_in_threadpool(find, ledger, str(origin)) if ledger else None
        except DATABASE_ERRORS:
            case = None
        personal = case.score.personal_fields() if case else None
        if case is None or personal is None or case.score.fields()["release"] != self._release.digest:
            return [*stays, f'<p class="correcting">{escape(texts("correct.impossible"))}</p>']
        reference = personal.get("reference") or ""
        said = texts("correct.lead", seq=case.first.seq)
        stop = f'<a href="./">{escape(texts("correct.stop"))}</a>'
        return [
            *self._widgets.holding(personal["answers"], reference),
            f'<p class="correcting" role="status">{escape(said)} {stop}</p>',
        ]


def wished(asked: object) -> dict[str, Any]:
    """What the page's script asks for; empty where it is nothing."""
    try:
        found = orjson.loads(asked) if isinstance(asked, str) and len(asked) < LONGEST_WISH else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def find(ledger: Ledger, id: str) -> Case | None:
    """The case of a record."""
    with ledger.store.reading() as connection:
        return cases.find(connection, id)


def changing(name: str, html: str = "") -> gr.HTML:
    """HTML that an event replaces."""
    return gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def fill(button: gr.Button, outputs: Sequence[Any], values: Sequence[object]) -> None:
    """Let a button put values into the page without asking the server."""
    button.click(None, None, list(outputs), js=f"() => {json.dumps(list(values))}")


def static(html: str, name: str) -> None:
    """HTML that never changes."""
    gr.HTML(html, elem_id=name, js_on_load=None, apply_default_css=False)


def footer(scorer: Scorer, texts: Texts) -> str:
    """What the release is and is not, its name, its card."""
    release = scorer.release
    card, opens = f"{UP[texts.language]}model-card", 'target="_blank" rel="noopener"'
    return (
        f"<footer><p>{escape(release.manifest['notice'][texts.language])}</p>"
        f"<p>{escape(texts('footer.release'))} <code>{escape(release.name)}</code> · "
        f'<a href="{card}" {opens}>{escape(texts("footer.model_card"))}</a></p></footer>'
    )


def templates(texts: Texts, events: Mapping[str, int]) -> str:
    """Cards that the page's script shows when no server is there to make one, the events it tells apart by their
    numbers, and a voice for screen readers."""
    cards = "".join(f'<template id="card-{kind}">{notice_card(kind, texts)}</template>' for kind in ("gone", "failed"))
    known = "".join(f' data-{name}="{number}"' for name, number in events.items())
    return f'{cards}<div id="announcer" class="visually-hidden" role="status"{known}></div>'
