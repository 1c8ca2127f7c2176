"""Opens a case for somebody who may see it, and computes its score again with the release that was used."""

from dataclasses import dataclass
from functools import cached_property

from starlette.types import Scope

from inference.policy import APPROVE
from inference.reasons import Explanation, Reasons
from inference.release import Release
from inference.rules import Ruling, principal_reasons
from inference.scorer import Score, Scorer
from inference.settings import RELEASES
from ledger import cases, errors
from ledger.cases import Case
from ledger.events import Decided, Event, Scored
from ledger.ledger import Ledger
from ledger.replay import SAME, Replayed, Replayer, release_folders, ruling_of
from web.security.security_log import allowed


@dataclass(frozen=True)
class Opened:
    """A case with its replayed score; `replayed` says why if that was not possible."""

    case: Case
    replayed: Replayed
    scorer: Scorer | None

    @property
    def release(self) -> Release | None:
        return None if self.scorer is None else self.scorer.release

    @property
    def score(self) -> Score | None:
        """The replayed score, if it is the same as the recorded one."""
        return self.replayed.score if self.replayed.outcome == SAME and self.scorer is not None else None

    @property
    def ruling(self) -> Ruling | None:
        """What the lender's rules said of the score."""
        return ruling_of(self.case.score)

    @property
    def questions(self) -> dict[str, str]:
        """The questions that the answers raised, and how they were answered."""
        return {name: str(answer) for name, answer in (self.case.score.questions or {}).items()}

    @property
    def amount(self) -> float | None:
        """The amount of the loan; None if no field has it, or the score cannot be computed again."""
        score, release = self.replayed.score, self.release
        if score is None or release is None or release.policy.amount_at is None:
            return None
        return score.application.values[release.policy.amount_at]

    @cached_property
    def reasons(self) -> Reasons | None:
        return None if self.scorer is None else Reasons(self.scorer.release, self.scorer.engine)

    @cached_property
    def explanation(self) -> Explanation | None:
        """What moved the PD. Takes a thousand predictions, done once for all parts of a page."""
        return None if self.score is None or self.reasons is None else self.reasons.explain(self.score.application)

    @cached_property
    def drafts(self) -> list[str]:
        """The recorded principal reasons; computed now if the score was made without them, as the API does."""
        recorded = self.case.score.reasons
        if recorded is not None or self.score is None:
            return list(recorded or ())
        if self.score.decision == APPROVE:
            return principal_reasons(self.ruling, [])
        assert self.reasons is not None  # noqa: S101 - there is a score, so there is a scorer
        assert self.explanation is not None  # noqa: S101
        of_model = self.reasons.principal(self.explanation, self.score.application)
        return principal_reasons(self.ruling, of_model)


class CaseReader:
    """Opens the cases of one ledger. Releases other than the one being served are opened once, when first needed."""

    def __init__(self, ledger: Ledger, scorer: Scorer) -> None:
        self._ledger = ledger
        self._replayer = Replayer([*release_folders([RELEASES]), scorer.release.folder], scorer)

    def open(self, id: str, scope: Scope) -> Opened | str:
        """The case of a record with its replayed score; or the key of a problem page. A case that this person may not
        see is reported as missing, like one that does not exist."""
        try:
            with self._ledger.store.reading() as connection:
                case = cases.find(connection, id)
        except errors.DATABASE_ERRORS:
            return "unreadable"
        if case is None or not allowed(scope, case):
            return "missing"
        return self.replayed(case)

    def replayed(self, case: Case) -> Opened:
        """A case with its replayed score."""
        return Opened(case, self._replayer.replay_one(case.score), self.scorer(case.score))

    def scorer(self, score: Scored) -> Scorer | None:
        """The scorer that a score was made with; None if its release is missing."""
        scorer = self._replayer.scorer(score)
        return scorer if isinstance(scorer, Scorer) else None

    def decided_with(self, case: Case, event: Event) -> Release | None:
        """The release of the score that a decision was based on, which has the texts of its reasons; None if it is
        missing, or the record is not a decision. Corrected answers may have been scored with another release."""
        scorer = self.scorer(case.score_of(event)) if isinstance(event, Decided) else None
        return None if scorer is None else scorer.release
