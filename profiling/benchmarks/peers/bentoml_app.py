"""The release behind BentoML: `bentoml serve` with this module's `Credit`, in BentoML's own environment."""

import os
from pathlib import Path
from typing import Any

import bentoml

from inference.engines import open_engine
from inference.release import open_release
from inference.scorer import Scorer


@bentoml.service(workers=1)
class Credit:
    """One scorer, without a log."""

    def __init__(self) -> None:
        release = open_release(Path(os.environ["PEER_RELEASE"]))
        self.scorer = Scorer(release, open_engine(os.environ["PEER_ENGINE"], release))

    @bentoml.api
    async def score(self, answers: dict[str, Any]) -> dict[str, Any]:
        return self.scorer.score(answers).as_dict()
