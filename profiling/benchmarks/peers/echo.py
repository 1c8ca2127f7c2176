"""The least that a route of FastAPI can do: `python -m profiling.benchmarks.peers.echo` gives a request's body back.

/echo as its documentation has it, with the body parsed and written by FastAPI; /bytes without either.
"""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/echo")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


@app.post("/bytes")
async def as_bytes(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "alive"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
