"""Makes drafts of records: scores that were shown, decisions, agreements, objections, notices, holds, withdrawals."""

import hashlib
import os
from collections.abc import Mapping, Sequence

from msgspec import to_builtins

from inference.fields import ChoiceField
from inference.policy import APPROVE, DECLINE, REFER
from inference.release import Release
from inference.rules import Ruling
from inference.scorer import Score
from inference.version import VERSION
from ledger.events import (
    AGREED,
    ARRANGED,
    ASSIGNED,
    CONTESTED,
    DECIDED,
    HELD,
    NOTED,
    NOTIFIED,
    RELEASED,
    SCORED,
    WITHDRAWN,
    Json,
    Object,
)
from ledger.records import Draft, Key

DECISIONS = ("approve", "approve_changed", "refer", "decline", "incomplete")
WITHDRAWALS = ("duplicate", "applicant")  # entered twice, or withdrawn by who applied
STRICTNESS = {APPROVE: 0, REFER: 1, DECLINE: 2}
DIGITS = 2  # of a PD kept after erasure: whole per cent. With all digits, most PDs would identify a person


def scored(
    score: Score,
    release: Release,
    raw: Mapping[str, object],
    *,
    by: str,
    channel: str,
    reference: str | None = None,
    reasons: list[str] | None = None,
    ruling: Ruling | None = None,
    questions: Mapping[str, str] | None = None,
    corrects: str | None = None,
    key: Key | None = None,
    applicant: str | None = None,
) -> Draft:
    """A score as a record. `by` is the officer or the client; `raw` are the answers as received.

    `reasons` are the principal ones as `field/code`, such as `amount/high_for_price`, the strongest first; None if they
    were not requested. A code reveals something about an answer, so it is in the personal part; so is the `ruling`,
    what the lender's rules say with each value and limit, but not its outcome, and so are the `questions` that the
    answers raised: name -> confirmed or open.

    The row's digest is personal too: anyone who has the release could try rows until one matches. So are the exact PD
    and points; the body keeps them rounded. The decision and the cut-offs are recorded as they were, not derived from
    the rounded values.
    """
    pd = rounded(score.pd)
    fields: dict[str, Json] = {
        "by": by,
        "channel": channel,
        "release": release.digest,
        "release_name": release.name,
        "engine": score.engine,
        "version": VERSION,
        "pd": pd,
        "points": float(round(release.points.of(pd))),
        "decision": score.decision,
        "break_even": score.break_even,
        "refer_from": score.refer_from,
        "decline_from": score.decline_from,
        "unusual": list(score.unusual),
        "of": corrects,
    }
    if ruling is not None:
        fields["outcome"] = ruling.outcome
    personal: dict[str, Json] = {
        "answers": answers(score, release, raw),
        "row": hashlib.sha256(score.row).hexdigest(),
        "reference": reference,
        "pd": score.pd,
        "points": score.points,
        "reasons": reasons,
    }
    if applicant is not None:
        personal["applicant"] = applicant
    if ruling is not None:
        personal["ruling"] = to_builtins(ruling)
    if questions:
        personal["questions"] = dict(questions)
    return Draft(SCORED, score.request_id, fields, personal, key)


def rounded(pd: float) -> float:
    """A PD in whole per cent, from 1 to 99, which is what remains once the personal part is erased.

    Points are computed from the rounded PD, so they add nothing to it. tests/test_ledger_rounding.py prints how many
    loans share a rounded PD.
    """
    least: float = 10.0**-DIGITS
    return min(max(round(pd, DIGITS), least), 1 - least)


def answers(score: Score, release: Release, raw: Mapping[str, object]) -> Object:
    """The canonical answers, from which the row can be rebuilt.

    For digit codes keep the code as typed: the list may know only a prefix, which alone would be refused.
    """
    canonical: dict[str, Json] = dict(release.form.answers(score.application))
    for field in release.form.fields:
        if isinstance(field, ChoiceField) and field.digits is not None and isinstance(raw.get(field.name), str):
            canonical[field.name] = str(raw[field.name])
    return canonical


def direction(decision: str, suggested: str) -> str:
    """How a decision differs from the suggestion: `as_suggested`, `more_lenient`, `stricter` or `incomplete`."""
    if decision not in DECISIONS:
        raise ValueError(f"decision: one of {', '.join(DECISIONS)} is needed, got {decision!r}")
    if decision == "incomplete":
        return "incomplete"
    by = STRICTNESS[decision.removesuffix("_changed")] - STRICTNESS[suggested]
    return "as_suggested" if by == 0 else "stricter" if by > 0 else "more_lenient"


def decided(
    of: str,
    decision: str,
    suggested: str,
    *,
    by: str,
    reference: str | None = None,
    score: str | None = None,
    reason_code: str | None = None,
    justification: str | None = None,
    conditions: str | None = None,
    reasons: list[str] | None = None,
    needs_second: bool = False,
    contest: str | None = None,
    key: Key | None = None,
) -> Draft:
    """An officer's decision on the case that began with the score `of`.

    `score` is the score that was decided on, if answers were corrected; `reasons` are the principal reasons that the
    officer confirmed, as `field/code`; `contest` is the objection that this decision settles.
    """
    departure = direction(decision, suggested)
    fields: Object = {
        "of": of,
        "score": score or of,
        "decision": decision,
        "suggested": suggested,
        "direction": departure,
        "overridden": departure in ("more_lenient", "stricter"),
        "by": by,
        "reason_code": reason_code,
        "needs_second": needs_second,
        "contest": contest,
    }
    personal = {
        "reference": reference, "justification": justification, "conditions": conditions, "reasons": reasons,
    }  # fmt: skip
    return Draft(DECIDED, new_id(), fields, personal, key)


def agreed(
    of: str, *, by: str, agrees: bool, note: str | None = None, reference: str | None = None, key: Key | None = None
) -> Draft:
    """A second person's answer to the decision `of`."""
    return Draft(AGREED, new_id(), {"of": of, "by": by, "agrees": agrees}, {"reference": reference, "note": note}, key)


def contested(
    of: str,
    *,
    by: str,
    reviewer: str,
    deadline: str,
    objection: str,
    reference: str | None = None,
    key: Key | None = None,
) -> Draft:
    """An objection to the decision `of`; `reviewer` must decide by `deadline` (ISO date)."""
    fields = {"of": of, "by": by, "reviewer": reviewer, "deadline": deadline}
    return Draft(CONTESTED, new_id(), fields, {"reference": reference, "objection": objection}, key)


def arranged(
    of: str, *, by: str, language: str, reasons: Sequence[str], reference: str | None = None, key: Key | None = None
) -> Draft:
    """The language of the notice on the decision `of`, and its principal reasons in their order there."""
    personal = {"reference": reference, "language": language, "reasons": list(reasons)}
    return Draft(ARRANGED, new_id(), {"of": of, "by": by}, personal, key)


def notified(
    of: str, *, by: str, day: str, text: str | None, reference: str | None = None, key: Key | None = None
) -> Draft:
    """The notice of the decision `of` was handed over on `day` (ISO date). `text` are its parts as JSON; None: it was
    not made here.

    Its SHA-256 is personal too: a notice states the answers, and anyone could try answers until the digest matches.
    """
    digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()
    personal = {"reference": reference, "notice": digest, "text": text}
    return Draft(NOTIFIED, new_id(), {"of": of, "by": by, "day": day}, personal, key)


def hold_placed(of: str, *, by: str, reason: str, key: Key | None = None) -> Draft:
    """A hold: the case that began with the score `of` is kept beyond its retention, for `reason`."""
    return Draft(HELD, new_id(), {"of": of, "by": by}, {"reason": reason}, key)


def hold_released(of: str, *, by: str, reason: str, key: Key | None = None) -> Draft:
    """The end of a hold on a case, for `reason`."""
    return Draft(RELEASED, new_id(), {"of": of, "by": by}, {"reason": reason}, key)


def withdrawal(
    of: str, reason: str, *, by: str, note: str | None = None, reference: str | None = None, key: Key | None = None
) -> Draft:
    """The end, without a decision, of the case that began with the score `of`; `reason` is one of `WITHDRAWALS`."""
    if reason not in WITHDRAWALS:
        raise ValueError(f"reason: one of {', '.join(WITHDRAWALS)} is needed, got {reason!r}")
    fields = {"of": of, "by": by, "reason": reason}
    return Draft(WITHDRAWN, new_id(), fields, {"reference": reference, "note": note}, key)


def assigned(
    of: str, *, by: str, to: str, note: str | None = None, reference: str | None = None, key: Key | None = None
) -> Draft:
    """The case that began with the score `of` is given to `to`."""
    return Draft(ASSIGNED, new_id(), {"of": of, "by": by, "to": to}, {"reference": reference, "note": note}, key)


def noted(of: str, *, by: str, note: str, reference: str | None = None, key: Key | None = None) -> Draft:
    """A note on the case that began with the score `of`."""
    return Draft(NOTED, new_id(), {"of": of, "by": by}, {"reference": reference, "note": note}, key)


def new_id() -> str:
    """A random id that cannot be guessed."""
    return os.urandom(12).hex()
