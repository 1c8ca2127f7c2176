"""The release behind a Gradio endpoint that goes through the queue; a program of its own (`python -m`)."""

import os
from pathlib import Path
from typing import Any

import gradio as gr

from inference.engines import open_engine
from inference.release import open_release
from inference.scorer import Scorer

RELEASE = open_release(Path(os.environ["PEER_RELEASE"]))
SCORER = Scorer(RELEASE, open_engine(os.environ["PEER_ENGINE"], RELEASE))


async def score(answers: dict[str, Any]) -> dict[str, Any]:
    """Ten answers in one JSON object."""
    return SCORER.score(answers).as_dict()


if __name__ == "__main__":
    with gr.Blocks(analytics_enabled=False) as page:
        gr.api(score, api_name="score")
    page.queue(default_concurrency_limit=8).launch(
        server_name="127.0.0.1", server_port=int(os.environ["PORT"]), quiet=True, ssr_mode=False
    )
