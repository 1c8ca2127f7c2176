"""What is recorded: a score that was shown, and what somebody decided."""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from inference.fields import ChoiceField
from inference.release import Release
from inference.scorer import Score
from ledger.records import DECIDED, SCORED, Draft, Key

DECISIONS = ("approve", "approve_changed", "refer", "decline", "incomplete")


def scored(
    score: Score,
    release: Release,
    raw: Mapping[str, object],
    *,
    by: str,
    channel: str,
    reference: str | None = None,
    reasons: list[str] | None = None,
    corrects: str | None = None,
    key: Key | None = None,
) -> Draft:
    """A score as a record. `by` is the officer or the client; `raw` the answers as they came in.

    The row's digest is personal too: whoever has the release could try rows until one fits.
    """
    fields = {
        "by": by,
        "channel": channel,
        "release": release.digest,
        "release_name": release.name,
        "engine": score.engine,
        "pd": score.pd,
        "points": score.points,
        "decision": score.decision,
        "break_even": score.break_even,
        "refer_from": score.refer_from,
        "decline_from": score.decline_from,
        "unusual": list(score.unusual),
        "reasons": reasons,
        "of": corrects,
    }
    personal = {
        "answers": answers(score, release, raw),
        "row": hashlib.sha256(score.row).hexdigest(),
        "reference": reference,
    }
    return Draft(SCORED, score.request_id, fields, personal, key)


def answers(score: Score, release: Release, raw: Mapping[str, object]) -> dict[str, Any]:
    """The canonical answers, from which the row can be built again.

    Of a digit code the code as given: the list may know only the beginning of it, and that alone would be refused.
    """
    found: dict[str, Any] = dict(release.form.answers(score.application))
    for field in release.form.fields:
        if isinstance(field, ChoiceField) and field.digits is not None and isinstance(raw.get(field.name), str):
            found[field.name] = str(raw[field.name])
    return found


def decided(
    of: str,
    decision: str,
    suggested: str,
    *,
    by: str,
    reference: str | None = None,
    reason_code: str | None = None,
    justification: str | None = None,
    conditions: str | None = None,
    reasons: list[str] | None = None,
) -> Draft:
    """What an officer decided on the score with the id `of`."""
    if decision not in DECISIONS:
        raise ValueError(f"decision: one of {', '.join(DECISIONS)} is needed, got {decision!r}")
    fields = {
        "of": of,
        "decision": decision,
        "suggested": suggested,
        "overridden": decision.removesuffix("_changed") != suggested,
        "by": by,
        "reason_code": reason_code,
        "reasons": reasons,
    }
    personal = {"reference": reference, "justification": justification, "conditions": conditions}
    return Draft(DECIDED, os.urandom(12).hex(), fields, personal)
