"""The release behind MLServer, as a runtime of its own: `mlserver start FOLDER`, in MLServer's own environment.

Its protocol knows tensors only: the answers come as one text of JSON, and the score leaves as one.
"""

import json
import os
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from inference.engines import open_engine
from inference.release import open_release
from inference.scorer import Scorer


class Credit(MLModel):
    """One scorer, without a log."""

    async def load(self) -> bool:
        release = open_release(Path(os.environ["PEER_RELEASE"]))
        self.scorer = Scorer(release, open_engine(os.environ["PEER_ENGINE"], release))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answers = json.loads(StringCodec.decode_input(payload.inputs[0])[0])
        score = json.dumps(self.scorer.score(answers).as_dict())
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("score", [score])])
