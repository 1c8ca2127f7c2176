"""What if: the form's current answers beside the scored ones, what would make it an approval, and a field's curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from inference.reasons import Explanation
from inference.release import Release
from inference.scorer import Score
from inference.whatif import Amounts, Curve, Proposal
from web.cards.reasons import Effects, effects
from web.desk.approvals import Approvals, PutButton, approvals, put_button
from web.desk.curve_picture import ChoiceBars, CurveLine, pd_and_cut_offs, picture_of
from web.desk.form import FormValues
from web.pages.figures import figures_for
from web.pages.templates import render
from web.pages.texts import Texts


@dataclass(frozen=True)
class ComparedRow:
    """A row of the comparison."""

    name: str
    scored: str
    now: str


@dataclass(frozen=True)
class Beside:
    """The scored answers and the form's current ones side by side, and what moves the PD now."""

    template: ClassVar[str] = "desk/beside.html"
    rows: tuple[ComparedRow, ...]
    effects: Effects | None
    announced: str  # for screen readers
    back: PutButton


@dataclass(frozen=True)
class CurveOption:
    """A field whose curve can be chosen."""

    name: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class WhatIfPanel:
    """The whole panel."""

    template: ClassVar[str] = "desk/whatif.html"
    beside: Beside | None
    alone: str  # why there is no comparison
    approvals: Approvals
    options: tuple[CurveOption, ...]
    curve: CurveLine | ChoiceBars


class Panel:
    """Renders the panel for a release in one language."""

    def __init__(self, release: Release, texts: Texts, form_values: FormValues) -> None:
        self._release, self._texts, self._form_values = release, texts, form_values

    def write(
        self,
        scored: Score,
        now: Score | None,
        explanation: Explanation | None,
        proposals: Sequence[Proposal],
        amounts: Amounts | None,
        index: int,
        curve: Curve,
    ) -> Markup:
        """The panel's HTML. `now` is the score of the form's current answers, None if they are invalid; `explanation`
        is that of `now`."""
        release, texts = self._release, self._texts
        beside, alone = None, ""
        if now is None:
            alone = texts("whatif.invalid")
        elif now.application == scored.application:
            alone = texts("whatif.same")
        else:
            beside = self.beside(scored, now, explanation)
        panel = WhatIfPanel(
            beside,
            alone,
            approvals(scored, proposals, amounts, release, texts, self._form_values),
            tuple(
                CurveOption(field.name, field.label[texts.language], number == index)
                for number, field in enumerate(release.form.fields)
            ),
            picture_of(scored, index, curve, release, texts),
        )
        return render(panel, texts)

    def beside(self, scored: Score, now: Score, explanation: Explanation | None) -> Beside:
        """The scored answers and the form's current ones side by side."""
        release, texts, language = self._release, self._texts, self._texts.language
        figures = figures_for(release, language, pd_and_cut_offs(scored), pd_and_cut_offs(now))
        was, is_now = scored.application, now.application
        suggested = [texts(f"decision.{score.decision}") for score in (scored, now)]
        rows = [
            ComparedRow(texts("whatif.suggestion"), *suggested),
            ComparedRow(texts("result.pd"), figures.pd(scored.pd), figures.pd(now.pd)),
            ComparedRow(texts("whatif.points"), figures.points(scored.pd), figures.points(now.pd)),
        ]
        for field, before, value in zip(release.form.fields, was.values, is_now.values, strict=True):
            if before != value and not (math.isnan(before) and math.isnan(value)):
                rows.append(
                    ComparedRow(field.label[language], field.show(before, language), field.show(value, language))
                )
        return Beside(
            tuple(rows),
            None if explanation is None else effects(explanation, is_now, release, texts),
            texts("whatif.announce", decision=suggested[1], pd=figures.pd(now.pd)),
            put_button(was, texts("whatif.back"), release, self._form_values),
        )
