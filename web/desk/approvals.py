"""What would make it an approval: the nearest changes, each with a button to try it, and the amounts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import orjson

from inference.application import Application
from inference.fields import Field, NumberField
from inference.policy import APPROVE
from inference.release import Release
from inference.scorer import Score
from inference.whatif import NEAR, Amounts, Proposal
from web.desk.form import FormValues
from web.pages.figures import figures_for, write_exact_percent
from web.pages.texts import Texts

MOST_TOLD, LONGEST_TOLD = 5, 3  # up to 5 intervals of the amount are all listed; of more, only the 3 longest


@dataclass(frozen=True)
class PutButton:
    """A button with which the page's script fills the form; the reference is left unchanged."""

    template: ClassVar[str] = "desk/put_button.html"
    values: str  # JSON
    text: str


@dataclass(frozen=True)
class ProposedChange:
    """A change in words, with a button that tries it."""

    text: str
    button: PutButton


@dataclass(frozen=True)
class Approvals:
    """The nearest changes that would be approved, and the amounts that would."""

    template: ClassVar[str] = "desk/approvals.html"
    wanted: bool  # whether the suggestion is not an approval
    changes: tuple[ProposedChange, ...]
    nothing: str  # why no change is proposed
    holds: str  # within which distance of a proposal the suggestion is still an approval
    amounts: str


def approvals(
    scored: Score,
    proposals: Sequence[Proposal],
    amounts: Amounts | None,
    release: Release,
    texts: Texts,
    form_values: FormValues,
) -> Approvals:
    """The nearest changes that would be approved, and the amounts that would."""
    fields, wanted, amount_index = release.form.fields, scored.decision != APPROVE, release.policy.amount_at
    proposals = proposals if wanted else ()
    moves_numbers = any(isinstance(fields[index], NumberField) for proposal in proposals for index in proposal.changes)
    return Approvals(
        wanted=wanted,
        changes=tuple(change(scored.application, proposal, release, texts, form_values) for proposal in proposals),
        nothing=nothing(scored.application, release, texts) if wanted and not proposals else "",
        holds=texts("whatif.holds", near=write_exact_percent(NEAR, texts.language)) if moves_numbers else "",
        amounts=""
        if amounts is None or amount_index is None
        else amounts_in_words(amounts, fields[amount_index], texts),
    )


def put_button(application: Application, text: str, release: Release, form_values: FormValues) -> PutButton:
    """A button that fills the form with an application's answers."""
    return PutButton(orjson.dumps(form_values.values(release.form.answers(application))).decode(), text)


def nothing(application: Application, release: Release, texts: Texts) -> str:
    """Why no change is proposed: which fields were searched without success, or that no field can be searched."""
    open_to_change = [
        (way(field, texts), math.isnan(value))
        for field, value in zip(release.form.fields, application.values, strict=True)
        if field.actionable
    ]
    if not open_to_change:
        return texts("whatif.no_actionable")
    searched = [label for label, unknown in open_to_change if not unknown]
    if not searched:
        return texts("whatif.none_stated", fields=", ".join(label for label, _ in open_to_change))
    near = write_exact_percent(NEAR, texts.language)
    return texts("whatif.none" if len(searched) > 1 else "whatif.none_alone", fields=", ".join(searched), near=near)


def way(field: Field, texts: Texts) -> str:
    """A field's label; for a number with only one possible direction, also that direction."""
    label = field.label[texts.language]
    if not isinstance(field, NumberField) or field.actionable == "either":
        return label
    return texts(f"whatif.only_{field.actionable}", field=label)


def change(
    application: Application, proposal: Proposal, release: Release, texts: Texts, form_values: FormValues
) -> ProposedChange:
    """A change in words, with a button that tries it."""
    language = texts.language
    changed = list(application.values)
    words = []
    for index, value in proposal.changes.items():
        field, was = release.form.fields[index], application.values[index]
        changed[index] = value
        words.append(
            texts(
                "whatif.change",
                field=field.label[language],
                to=field.show(value, language),
                was=field.show(was, language),
            )
        )
    changed_application = Application(tuple(changed))
    cuts = release.policy.cutoffs(changed_application)
    figures = figures_for(release, language, [proposal.pd, cuts.refer_from, cuts.decline_from])
    consequence = texts("whatif.then", pd=figures.pd(proposal.pd), points=figures.points(proposal.pd))
    return ProposedChange(
        "; ".join(words) + consequence, put_button(changed_application, texts("whatif.try"), release, form_values)
    )


def amounts_in_words(amounts: Amounts, field: Field, texts: Texts) -> str:
    """Which amounts would be approved: all intervals, or if there are many, the longest."""
    language = texts.language
    searched = {name: field.show(getattr(amounts, name), language) for name in ("low", "high", "step")}
    if amounts.highest is None:
        return texts("whatif.amounts_none", **searched)
    if amounts.all:
        return texts("whatif.amounts_all", **searched)
    intervals = amounts.intervals
    if len(intervals) > MOST_TOLD:
        intervals = tuple(sorted(sorted(intervals, key=lambda ends: ends[0] - ends[1])[:LONGEST_TOLD]))
    ranges = ", ".join(
        texts("whatif.from", low=field.show(low, language), high=field.show(high, language))
        if low < high
        else texts("whatif.at", amount=field.show(low, language))
        for low, high in intervals
    )
    values = {**searched, "ranges": ranges, "highest": field.show(amounts.highest, language)}
    if len(amounts.intervals) > MOST_TOLD:
        lowest = field.show(amounts.intervals[0][0], language)
        return texts("whatif.amounts_many", count=len(amounts.intervals), lowest=lowest, **values)
    return texts("whatif.amounts" if len(intervals) == 1 else "whatif.amounts_several", **values)
