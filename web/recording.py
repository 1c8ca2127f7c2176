"""A score that somebody sees: made, recorded where there is a ledger, and counted. The desk and the API come here."""

from collections.abc import Mapping

from inference.errors import InvalidApplication
from inference.scorer import Score, Scorer
from ledger.decisions import scored
from ledger.ledger import Ledger
from ledger.records import Key, Record
from web.metrics import Metrics


class Recorder:
    """A scorer with its ledger, or without one."""

    def __init__(self, scorer: Scorer, ledger: Ledger | None = None) -> None:
        self.scorer, self.ledger = scorer, ledger
        self.metrics = Metrics(scorer, ledger)

    async def score(
        self,
        answers: Mapping[str, object],
        *,
        by: str,
        channel: str,
        reference: str | None = None,
        key: Key | None = None,
    ) -> tuple[Score, Record | None]:
        """The score once its record is on disk.

        Raises `InvalidApplication`, or `LedgerUnavailable` where it cannot be recorded: then nobody may see it; or
        `KeyReused`. Where `key` was used for the same request before, the record of then.
        """
        score = self.make(answers)
        if self.ledger is None:
            return score, None
        draft = scored(score, self.scorer.release, answers, by=by, channel=channel, reference=reference, key=key)
        return score, await self.ledger.submit_in_loop(draft)

    def make(self, answers: Mapping[str, object]) -> Score:
        """The score alone, counted."""
        try:
            score = self.scorer.score(answers)
        except InvalidApplication:
            self.metrics.refused += 1
            raise
        self.metrics.count(score)
        return score
