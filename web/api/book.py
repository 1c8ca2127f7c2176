"""Files by API: send one, ask how far it is, fetch its scores, delete it."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import Message
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from inference.application import Form
from inference.extras import how_to_install
from web.api.openapi import DESCRIBED, ENCODING, SEPARATOR
from web.batch.access import job_of, owner_of
from web.batch.exchange import Order
from web.batch.jobs import DONE, ENDINGS, FAILED, Job, Jobs, NoRoom
from web.problems import HEADERS, PREFIX, Refusal

HERE = f"{PREFIX}/book"
REASONS = ("none", "not-approved", "all")  # inference/book/batches.py, which needs Arrow, has the same
DECIMALS = (".", ",")
LONGEST_NAME = 200  # characters of a file's name
LIMITS = {
    "too_large": "The file is larger than this server takes",
    "empty": "The file is empty",
    "disk": "This server's room for files is used up: delete some, or try again later",
    "folder": "This server's folder for files cannot be written: its log says why",
    "number": "Too many files are kept: delete some",
    "unfinished": "Too many files of yours are waiting for their scores: try again later",
}
ERRORS = {
    "time": "It took too long and was stopped",
    "disk": "The scores took more room than this server gives a file",
    "ledger": "The ledger could not record it, so its scores are not given: the server's log says why",
    "broken": "The file could not be processed: the server's log says more",
}


class BookApi:
    """The functions of the routes."""

    def __init__(self, jobs: Jobs, form: Form) -> None:
        self._jobs, self._form = jobs, form

    async def send(self, request: Request) -> Response:
        """Take a file, and score it when its turn comes; `for=page`: check it first, for the page."""
        if self._jobs.missing:
            detail = f"On the server: {how_to_install('book')}" if self._jobs.missing == "extra" else ""
            raise Refusal(501, "no-files", "This server takes no files", detail)
        by_page, order = self._order(request)
        name, ending = file_name(request)
        size = request.headers.get("content-length", "")
        try:
            job = await self._jobs.receive(
                owner_of(request.scope), name, ending, pieces(request),
                int(size) if size.isdigit() else None, order, by_page,
            )  # fmt: skip
        except NoRoom as error:
            raise Refusal(error.status, error.key.replace("_", "-"), LIMITS[error.key]) from None
        content = await run_in_threadpool(self.described, job)
        return JSONResponse(
            content, 202, {**HEADERS, "Location": f"{request.scope.get('root_path', '')}{HERE}/{job.id}"}
        )

    def _order(self, request: Request) -> tuple[bool, Order]:
        """What the query says."""
        given = request.query_params
        if unknown := sorted(given.keys() - {"map", "separator", "encoding", "decimal", "reasons", "for"}):
            raise Refusal(422, "invalid-request", f"No such parameter: {unknown[0][:40]!r}", DESCRIBED)
        mapping = {}
        for pair in given.getlist("map"):
            field, sign, column = pair.partition("=")
            if not sign or not column or field not in self._form.names:
                raise Refusal(
                    422, "invalid-request", "map: field=column is needed", f"field: {', '.join(self._form.names)}"
                )
            if field in mapping:
                raise Refusal(409, "columns-clash", "map: a field has two columns")
            mapping[field] = column
        columns = {name: mapping.get(name, name) for name in self._form.names}
        if len(set(columns.values())) < len(columns):
            raise Refusal(409, "columns-clash", "map: a column would be read for two fields")
        separator, decimal = given.get("separator"), given.get("decimal")
        reasons, encoding = given.get("reasons", REASONS[0]), given.get("encoding")
        if separator is not None and not re.fullmatch(SEPARATOR, separator):
            raise Refusal(422, "invalid-request", "separator: one printable ASCII character, or a tab, is needed")
        if decimal not in (None, *DECIMALS) or reasons not in REASONS:
            raise Refusal(422, "invalid-request", f"decimal: {' or '.join(DECIMALS)}; reasons: {', '.join(REASONS)}")
        if encoding is not None and not re.fullmatch(ENCODING, encoding):
            raise Refusal(422, "invalid-request", "encoding: a name such as cp1252 is needed")
        if given.get("for", "page") != "page":
            raise Refusal(422, "invalid-request", "for: page, or nothing")
        by_page = "for" in given
        remembered = self._jobs.mappings.remembered(owner_of(request.scope)) if by_page else {}
        return by_page, Order(
            file="", most_rows=None, mapping={} if by_page else columns, separator=separator, decimal=decimal,
            encoding=encoding, reasons=reasons, remembered=remembered, reference=None if by_page else "",
        )  # fmt: skip

    async def listed(self, request: Request) -> dict[str, Any]:
        """The client's own files, the newest first."""
        jobs = self._jobs.of(owner_of(request.scope))
        return {"items": await run_in_threadpool(lambda: [self.described(job) for job in jobs])}

    async def state(self, request: Request) -> dict[str, Any]:
        """How far a file is."""
        return await run_in_threadpool(self.described, self._job(request))

    async def result(self, request: Request) -> Response:
        """The file with the scores, in the format that came."""
        job = self._job(request)
        file = await run_in_threadpool(self._jobs.result_of, job)
        if file is None:
            raise Refusal(409, "not-done", f"The file is not scored: it is {job.state}", job.error)
        return download(file, ENDINGS[job.ending])

    async def rejected(self, request: Request) -> Response:
        """The refused rows, as CSV."""
        job = self._job(request)
        file = await run_in_threadpool(self._jobs.rejected_of, job)
        if file is None:
            raise Refusal(409, "not-done", f"The file is not scored: it is {job.state}", job.error)
        return download(file, "text/csv")

    async def delete(self, request: Request) -> Response:
        """Stop it where it is running, and remove all of it."""
        await run_in_threadpool(self._jobs.delete, self._job(request).id)
        return Response(None, 204, HEADERS)

    def _job(self, request: Request) -> Job:
        job = job_of(self._jobs, request.path_params["id"], request.scope)
        if job is None:
            raise Refusal(404, "no-such-file", "No file has this id, or its time is over")
        return job

    def described(self, job: Job) -> dict[str, Any]:
        """A job as JSON."""
        outcome = self._jobs.outcome_of(job) if job.state == DONE else None
        progress = self._jobs.progress_of(job)
        return {
            "id": job.id, "name": job.name, "state": job.state, "bytes": job.size,
            "created": utc(job.created), "deleted": utc(self._jobs.ends(job)),
            "error": ERRORS.get(job.error, job.error) if job.state == FAILED else None,
            "rows": outcome.rows if outcome else progress.rows, "of": outcome.rows if outcome else progress.of,
            "rejected": outcome.rejected if outcome else progress.rejected,
            "decisions": outcome.decisions if outcome else None, "record": job.record or None,
        }  # fmt: skip


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body, as it comes."""
    async for piece in request.stream():
        yield piece


def file_name(request: Request) -> tuple[str, str]:
    """The file's name and its ending, one of ENDINGS: from Content-Disposition, and where that has none from
    Content-Type."""
    head = Message()
    head["Content-Disposition"] = request.headers.get("content-disposition", "")
    name = (head.get_filename() or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(mark for mark in name if mark.isprintable())[-LONGEST_NAME:]
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not name:
        ending = next((ending for ending, expected in ENDINGS.items() if expected == kind), "")
        name = f"applications.{ending}"
    if ending not in ENDINGS:
        raise Refusal(415, "no-such-format", "A file of CSV, XLSX or Parquet is needed, as its name's ending says",
                      f"Content-Type or Content-Disposition: one of {', '.join(dict.fromkeys(ENDINGS.values()))}, or a "
                      f"name ending in {', '.join(ENDINGS)}")  # fmt: skip
    return name, ending


def download(file: Any, kind: str) -> Response:
    """A file to be saved, not shown."""
    return FileResponse(file, headers=HEADERS, media_type=kind, filename=file.name)


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
