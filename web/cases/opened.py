"""A case that somebody opens: found if they may see it, its score made again with the release of then."""

from dataclasses import dataclass
from functools import cached_property

from starlette.types import Scope

from inference.policy import APPROVE
from inference.reasons import Explanation, Reasons
from inference.release import Release
from inference.scorer import Score, Scorer
from inference.settings import RELEASES
from ledger import cases, errors
from ledger.cases import Case
from ledger.events import Decided, Event, Scored
from ledger.ledger import Ledger
from ledger.replay import SAME, Replayed, Replayer, release_folders
from web.security.security_log import allowed


@dataclass(frozen=True)
class Opened:
    """A case with its score made again: None, with the reason why, where that cannot be done."""

    case: Case
    replayed: Replayed
    scorer: Scorer | None

    @property
    def release(self) -> Release | None:
        return None if self.scorer is None else self.scorer.release

    @property
    def score(self) -> Score | None:
        """The score made again, where it comes out as it was recorded."""
        return self.replayed.score if self.replayed.outcome == SAME and self.scorer is not None else None

    @property
    def amount(self) -> float | None:
        """What is lent; None where no field says it, or the score cannot be made again."""
        score, release = self.replayed.score, self.release
        if score is None or release is None or release.policy.amount_at is None:
            return None
        return score.application.values[release.policy.amount_at]

    @cached_property
    def reasons(self) -> Reasons | None:
        return None if self.scorer is None else Reasons(self.scorer.release, self.scorer.engine)

    @cached_property
    def explanation(self) -> Explanation | None:
        """What moved the score: a thousand rows, predicted once for all parts of a page."""
        return None if self.score is None or self.reasons is None else self.reasons.explain(self.score.application)

    @cached_property
    def drafts(self) -> list[str]:
        """The principal reasons: as they were recorded; made now where nobody asked for them then, as the API does."""
        recorded = self.case.score.reasons
        if recorded is not None or self.score is None or self.score.decision == APPROVE:
            return list(recorded or ())
        assert self.reasons is not None  # noqa: S101 - there is a score, so there is what made it
        assert self.explanation is not None  # noqa: S101
        return self.reasons.principal(self.explanation, self.score.application)


class CaseReader:
    """Opens the cases of one ledger. Releases beside the one that is served are opened once, when first needed."""

    def __init__(self, ledger: Ledger, scorer: Scorer) -> None:
        self._ledger = ledger
        self._replayer = Replayer([*release_folders([RELEASES]), scorer.release.folder], scorer)

    def opened(self, id: str, scope: Scope) -> Opened | str:
        """The case of a record with its score made again; or which problem's page to show. Somebody else's case is
        missing, like one that never was."""
        try:
            with self._ledger.store.reading() as connection:
                case = cases.find(connection, id)
        except errors.DATABASE_ERRORS:
            return "unreadable"
        if case is None or not allowed(scope, case):
            return "missing"
        return self.again(case)

    def again(self, case: Case) -> Opened:
        """A case with its score made again."""
        return Opened(case, self._replayer.replay_one(case.score), self.scorer(case.score))

    def scorer(self, score: Scored) -> Scorer | None:
        """What a score was made with; None where that is gone."""
        found = self._replayer.scorer(score)
        return found if isinstance(found, Scorer) else None

    def decided_with(self, case: Case, event: Event) -> Release | None:
        """The release of the score that a decision was made on, whose reasons it names; None where that is gone, and
        for other records. Answers corrected later may have been scored with another one."""
        scorer = self.scorer(case.score_of(event)) if isinstance(event, Decided) else None
        return None if scorer is None else scorer.release
