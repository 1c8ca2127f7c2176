"""Scores for the desk and the API: computed, recorded if there is a ledger, and counted."""

from collections.abc import Collection, Mapping
from copy import copy
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from inference.errors import InvalidApplication
from inference.policy import APPROVE
from inference.questions import CONFIRMED, OPEN, Questions
from inference.reasons import Explanation, Reasons
from inference.rules import LenderRules, Ruling, principal_reasons
from inference.scorer import Score, Scorer
from inference.whatif import WhatIf
from ledger.cases import Case
from ledger.decisions import scored
from ledger.ledger import Ledger
from ledger.records import Key, Record
from web.operations.metrics import Metrics
from web.service_state import ServiceState


class ScoredAnswer(NamedTuple):
    """A score that may be shown, with the sequence number of its record, its explanation and principal reasons if they
    were requested, its record if there is a ledger, what the release is: one of `web.service_state.STATES`, and what
    the lender's rules say of it, if there are any."""

    score: Score
    seq: int | None
    explanation: Explanation | None
    principal: list[str] | None
    record: Record | None = None
    state: str = ""
    ruling: Ruling | None = None
    questions: Mapping[str, str] = {}  # name of each that the answers raise -> confirmed or open

    @property
    def outcome(self) -> str:
        """What the lender's rules and the model suggest together; without rules the model's decision."""
        return self.score.decision if self.ruling is None else self.ruling.outcome


class Recorder:
    """Scores and records; without a ledger it only scores. The lender's rules are judged beside each score."""

    def __init__(
        self,
        scorer: Scorer,
        ledger: Ledger | None = None,
        rules: LenderRules | None = None,
        questions: Questions | None = None,
    ) -> None:
        self.scorer, self.ledger, self.rules = scorer, ledger, rules
        self.questions = questions or Questions(scorer.release.manifest.questions, scorer.release.form)
        self.reasons = Reasons(scorer.release, scorer.engine)
        self.whatif = WhatIf(scorer.release, scorer.engine)
        self.metrics = Metrics(scorer, ledger)
        self.state = ServiceState(scorer.release, ledger)

    def with_ledger(self, ledger: Ledger) -> "Recorder":
        """The same scores, counted with these, but recorded in another ledger."""
        other = copy(self)
        other.ledger = ledger
        return other

    async def score(
        self,
        answers: Mapping[str, object],
        *,
        by: str,
        channel: str,
        reference: str | None = None,
        key: Key | None = None,
        explain: bool = False,
        corrects: Case | None = None,
        applicant: str | None = None,
        confirmed: Collection[str] = (),
    ) -> ScoredAnswer:
        """The score, once its record is on disk; with an explanation if `explain`.

        If `key` was used for the same request before, the record is the earlier one. `corrects` is the case whose
        answers are corrected, at the version that was shown; `confirmed` are names of questions about odd answers to
        which somebody said that the answers are right. Raises `InvalidApplication`; `LedgerUnavailable` if the
        score cannot be recorded, and then nobody may see it; `KeyReused`; `CaseMoved` if `corrects` has changed.
        """
        score = self.make(answers)
        ruling = None if self.rules is None else self.rules.judge(score.application, score.pd, score.decision)
        questions = self.questions.raised_by(score.application)
        raised = {question.name: CONFIRMED if question.name in confirmed else OPEN for question in questions}
        state = self.state.known or await run_in_threadpool(self.state.now)
        explanation = principal = None
        if explain:  # a thousand predictions, so not on the event loop's thread
            explanation, principal = await run_in_threadpool(self._explained, score, ruling)
        if self.ledger is None:
            return ScoredAnswer(score, None, explanation, principal, None, state, ruling, raised)
        draft = scored(
            score,
            self.scorer.release,
            answers,
            by=by,
            channel=channel,
            reference=reference,
            reasons=principal,
            ruling=ruling,
            questions=raised,
            corrects=corrects.first.id if corrects else None,
            key=key,
            applicant=applicant,
        )
        if corrects:
            draft = corrects.continued(draft)
        record = await self.ledger.submit_in_loop(draft)
        return ScoredAnswer(score, record.seq, explanation, principal, record, state, ruling, raised)

    def _explained(self, score: Score, ruling: Ruling | None) -> tuple[Explanation, list[str]]:
        """What moved the PD of a score, and the principal reasons; of an approval only those of the lender's rules."""
        explanation = self.reasons.explain(score.application)
        principal = [] if score.decision == APPROVE else self.reasons.principal(explanation, score.application)
        return explanation, principal_reasons(ruling, principal)

    def make(self, answers: Mapping[str, object]) -> Score:
        """The score, counted but not recorded."""
        try:
            score = self.scorer.score(answers)
        except InvalidApplication:
            self.metrics.refused += 1
            raise
        self.metrics.count(score)
        return score
