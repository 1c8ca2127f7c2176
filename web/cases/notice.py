"""A notice for the applicant, in English or French, as the parts that its page, its preview and its PDF show.

Its reasons are the principal reasons that the officer confirmed, in the order that somebody chose. If the officer
overrode the suggestion, it has only the officer's own reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import orjson

from inference.release import Release
from ledger.cases import Case
from ledger.events import Decided
from web.lender import Lender, reason_text
from web.pages.texts import LANGUAGES, Texts, texts_in

ENDING = ("contest", "retention", "regulator")


@dataclass(frozen=True)
class Notice:
    """The parts of a notice, as plain text. `example`: it still has placeholders instead of the lender's own texts."""

    language: str
    draft: str  # that it is one
    drafted_for: str  # which rule, with its date, and that a lawyer must check it
    creditor: str
    address: str
    title: str
    facts: tuple[tuple[str, str], ...]
    decision: str
    reasons_title: str
    reasons: tuple[str, ...]
    figures_title: str
    figures: tuple[tuple[str, str], ...]
    ending: tuple[tuple[str, str], ...]
    example: bool


def notice(case: Case, release: Release | None, lender: Lender, texts: Texts, draft: bool = False) -> Notice:
    """The notice of a settled case; `draft`: its score is by a release that was not in service."""
    decision = case.decision
    assert decision is not None  # noqa: S101 - only a settled case has a notice
    score = case.score_of(decision)  # not the last score: answers may have been corrected since
    reasons = reasons_told(case, decision, release, lender, texts)
    sentence = texts(f"notice.{decision.decision}")
    if decision.conditions:
        sentence += f" {texts('notice.conditions')} {decision.conditions}"
    used = []
    if score.answers is not None and release is not None:
        for field in release.form.fields:
            answer = field.show(field.parse(score.answers.get(field.name)), texts.language)
            used.append((field.label[texts.language], answer))
    model = score.release_name
    if draft:
        model = texts("notice.model_draft", name=model)
    elif release is not None and release.manifest.is_demonstration:
        model = texts("notice.model_demonstration", name=model)
    day = lender.work.local(decision.time).date()
    facts = (
        (texts("notice.reference"), case.first.reference or texts("record.title_number", seq=case.first.seq)),
        (texts("notice.date"), texts.day(day.isoformat())),
        (texts("notice.model"), model),
    )
    return Notice(
        language=texts.language,
        draft=texts("notice.draft"),
        drafted_for=texts("notice.drafted_for", rule=lender.drafted_for[texts.language]),
        creditor=lender.name,
        address=lender.address,
        title=texts("notice.title"),
        facts=facts,
        decision=sentence,
        reasons_title=texts("notice.reasons") if reasons else "",
        reasons=reasons,
        figures_title=texts("notice.figures"),
        figures=tuple(used),
        ending=tuple((texts(f"notice.{part}_title"), lender.notice[part][texts.language]) for part in ENDING),
        example=lender.is_example,
    )


def reasons_told(
    case: Case, decision: Decided, release: Release | None, lender: Lender, texts: Texts
) -> tuple[str, ...]:  # fmt: skip
    """The reasons in words; none for an approval, nor for an override in the applicant's favour."""
    if decision.decision == "approve" or decision.direction == "more_lenient":
        return ()
    if decision.reason_code:
        return (lender.reason(decision.direction, decision.reason_code, texts.language),)
    confirmed = principal(case)
    if decision.decision == "decline" and not confirmed:
        return (decision.justification or texts("notice.erased"),)
    return tuple(reason_text(reason, release, lender, texts.language) for reason in confirmed)


def principal(case: Case) -> tuple[str, ...]:
    """The principal reasons of the last decision, as `field/code`, in the order that was chosen for the notice, or else
    the strongest first."""
    confirmed = (case.decision and case.decision.reasons) or ()
    chosen = (case.arranged and case.arranged.reasons) or ()
    return chosen if sorted(chosen) == sorted(confirmed) else confirmed


def chosen_language(case: Case, texts: Texts) -> str:
    """The applicant's, as it was recorded, or else that of `texts`."""
    recorded = case.arranged and case.arranged.language
    return recorded if recorded in LANGUAGES else texts.language


def notices(case: Case, release: Release | None, lender: Lender, draft: bool) -> Mapping[str, Notice]:
    """The notice of a settled case in each language."""
    return {language: notice(case, release, lender, texts_in(language), draft) for language in LANGUAGES}


def as_text(parts: Notice) -> str:
    """A notice's parts as JSON: what is kept, and hashed, when it is handed over."""
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()


def from_text(text: str) -> Notice | None:
    """The notice that was kept; None if its parts are not those of a notice."""
    try:
        parts = msgspec.json.decode(text, type=Notice)
    except msgspec.DecodeError:
        return None
    return parts if parts.language in LANGUAGES else None
