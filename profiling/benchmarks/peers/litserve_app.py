"""The release behind LitServe: `python -m profiling.benchmarks.peers.litserve_app`, in LitServe's own environment."""

import os
from pathlib import Path
from typing import Any

import litserve

from inference.engines import open_engine
from inference.release import open_release
from inference.scorer import Scorer


class Credit(litserve.LitAPI):
    """One scorer, without a log."""

    def setup(self, device: str) -> None:
        release = open_release(Path(os.environ["PEER_RELEASE"]))
        self.scorer = Scorer(release, open_engine(os.environ["PEER_ENGINE"], release))

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request["answers"]

    def predict(self, answers: dict[str, Any]) -> dict[str, Any]:
        return self.scorer.score(answers).as_dict()

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Credit(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
