"""A draft notice for the applicant, in English or French, as the parts that its page and its PDF show.

Its reasons are the principal reasons that the officer confirmed. If the officer overrode the suggestion, it has only
the officer's own reason.
"""

from typing import NamedTuple

from inference.release import Release
from ledger.cases import Case
from web.lender import Lender, reason_text
from web.pages.texts import Texts

ENDING = ("contest", "retention", "regulator")


class Notice(NamedTuple):
    """The parts of a notice, as plain text. `example`: it still has placeholders instead of the lender's own texts."""

    creditor: str
    address: str
    title: str
    facts: list[tuple[str, str]]
    decision: str
    reasons_title: str
    reasons: list[str]
    figures: list[tuple[str, str]]
    ending: list[tuple[str, str]]
    example: bool


def notice(case: Case, release: Release | None, lender: Lender, texts: Texts, draft: bool = False) -> Notice:
    """The notice of a settled case; `draft`: its score is by a release that was not in service."""
    decision = case.decision
    assert decision is not None  # noqa: S101 - only a settled case has a notice
    reasons = [reason_text(reason, release, lender, texts.language) for reason in decision.reasons or []]
    score = case.score_of(decision)  # not the last score: answers may have been corrected since
    if decision.direction == "more_lenient":
        reasons = []  # an override in the applicant's favour needs no reason
    elif decision.reason_code:
        reasons = [lender.reason(decision.direction, decision.reason_code, texts.language)]
    elif decision.decision == "decline" and not reasons:
        reasons = [decision.justification or texts("notice.erased")]
    tells_why = decision.decision != "approve"
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
    facts = [
        (texts("notice.reference"), case.first.reference or texts("record.title_number", seq=case.first.seq)),
        (texts("notice.date"), texts.day(decision.time[:10])),
        (texts("notice.model"), model),
    ]
    return Notice(
        lender.name, lender.address, texts("notice.title"), facts, sentence,
        texts("notice.reasons") if tells_why and reasons else "", reasons if tells_why else [], used,
        [(texts(f"notice.{part}_title"), lender.notice[part][texts.language]) for part in ENDING], lender.is_example,
    )  # fmt: skip
