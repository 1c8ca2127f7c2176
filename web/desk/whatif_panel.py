"""What if: the form's current answers beside the scored ones; what would make it an approval, and a field's curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """The scored answers and the form's current ones side by side, and what moved the PD between them."""

    template: ClassVar[str] = "desk/beside.html"
    rows: tuple[ComparedRow, ...]  # none if the form cannot be scored
    effects: Effects | None
    announced: str  # for screen readers
    back: PutButton
    was: str = ""  # suggestion and PD, as scored and now, for the line that stays in view on a phone
    now: str = ""
    decision: str = ""  # now: approve, refer or decline


@dataclass(frozen=True)
class CurveOption:
    """A field whose curve can be chosen."""

    name: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class WhatIfPanel:
    """What would make it an approval, and a curve."""

    template: ClassVar[str] = "desk/whatif.html"
    rules: str  # that the lender's rules are no part of it, if there are any
    approvals: Approvals
    options: tuple[CurveOption, ...]
    curve: CurveLine | ChoiceBars


class Panel:
    """Renders the panel for a release in one language."""

    def __init__(self, release: Release, texts: Texts, form_values: FormValues, has_rules: bool = False) -> None:
        """`has_rules`: the lender has rules of its own, which a what-if leaves out."""
        self._release, self._texts, self._form_values = release, texts, form_values
        self._rules = texts("whatif.rules") if has_rules else ""

    def write(
        self,
        scored: Score,
        proposals: Sequence[Proposal],
        amounts: Amounts | None,
        index: int,
        curve: Curve,
    ) -> Markup:
        """The panel's HTML."""
        release, texts = self._release, self._texts
        panel = WhatIfPanel(
            self._rules,
            approvals(scored, proposals, amounts, release, texts, self._form_values),
            tuple(
                CurveOption(field.name, field.label[texts.language], number == index)
                for number, field in enumerate(release.form.fields)
            ),
            picture_of(scored, index, curve, release, texts),
        )
        return render(panel, texts)

    def beside(self, scored: Score, now: Score | None, moved: Explanation | None) -> Beside:
        """The scored answers and the form's current ones side by side; `now` is None if the form cannot be scored,
        `moved` is what moved the PD from the one to the other."""
        release, texts, language = self._release, self._texts, self._texts.language
        back = put_button(scored.application, texts("whatif.back"), release, self._form_values)
        if now is None:
            return Beside((), None, texts("whatif.invalid"), back)
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
            None if moved is None else replace(effects(moved, is_now, release, texts), still=""),
            texts("whatif.announce", decision=suggested[1], pd=figures.pd(now.pd)),
            back,
            f"{suggested[0]} {figures.pd(scored.pd)}",
            f"{suggested[1]} {figures.pd(now.pd)}",
            now.decision,
        )
