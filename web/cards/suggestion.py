"""The reason for a suggestion, from the policy's own figures: the reason, the unusual answers, the cut-offs."""

from dataclasses import dataclass
from typing import ClassVar

from inference.application import Application
from inference.fields import NumberField
from inference.number_format import write_number
from inference.policy import REFER, Cutoffs
from inference.release import Release
from inference.scorer import Score
from web.pages.figures import Figures, write_exact_percent
from web.pages.texts import Texts


@dataclass(frozen=True)
class SuggestionReason:
    """The reason; if answers are unusual, which they are, and what the PD alone would suggest."""

    template: ClassVar[str] = "cards/suggestion_reason.html"
    sentence: str
    unusual: tuple[str, ...]
    by_pd: str


@dataclass(frozen=True)
class PolicyRow:
    """A figure of the policy with its name."""

    name: str
    figure: str


def reason(score: Score, cuts: Cutoffs, release: Release, texts: Texts, figures: Figures) -> SuggestionReason:
    """The reason for a suggestion, from the policy's own figures."""
    if not score.unusual:
        open_end = score.decision == REFER and not cuts.can_decline
        sentence = texts(
            "reason.refer_open" if open_end else f"reason.{score.decision}",
            pd=figures.pd(score.pd),
            refer_from=figures.pd(score.refer_from),
            decline_from=figures.pd(score.decline_from),
            band=write_exact_percent(release.policy.refer_band, texts.language),
        )
        return SuggestionReason(sentence, (), "")
    return SuggestionReason(
        texts("reason.unusual"),
        tuple(unusual_answer(name, score.application, release, texts) for name in score.unusual),
        texts("reason.alone", decision=texts(f"decision.{cuts.decision(score.pd)}")),
    )


def unusual_answer(name: str, application: Application, release: Release, texts: Texts) -> str:
    """An unusual answer with the usual range, such as "Amount: 9,000 (usual: 180 to 3,000)"."""
    language = texts.language
    index = release.form.names.index(name)
    field = release.form.fields[index]
    value = application.values[index]
    answer = f"{field.label[language]}{texts('mark.colon')} {field.show(value, language)}"
    if isinstance(field, NumberField):
        before, _ = field.beside(0, language)  # a currency symbol precedes both bounds, other units neither
        low, high = (field.show(bound, language) if before else field.write(bound, language) for bound in field.usual)
        return texts("reason.unusual_range", answer=answer, low=low, high=high)
    count = write_number(field.choices[int(value)].count, language)
    total = write_number(sum(choice.count for choice in field.choices), language)  # each loan has exactly one choice
    return texts("reason.unusual_rare", answer=answer, count=count, loans=total)


def policy_rows(cuts: Cutoffs, texts: Texts, figures: Figures) -> tuple[PolicyRow, ...]:
    """Break-even and the referral range."""
    refers = texts(
        "policy.refer_range" if cuts.can_decline else "policy.refer_open",
        refer_from=figures.pd(cuts.refer_from),
        decline_from=figures.pd(cuts.decline_from) if cuts.can_decline else "",
    )
    return (
        PolicyRow(texts("policy.break_even"), figures.pd(cuts.break_even)),
        PolicyRow(texts("policy.refer"), refers),
    )
