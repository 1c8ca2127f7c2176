"""The routes of the pages of files, in English and French. Files themselves are sent to the API."""

import csv
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from inference.extras import install_commands
from inference.release import Release
from web.batch.access import job_of, owner_of
from web.batch.jobs import DONE, ENDINGS, READY, Job, Jobs
from web.batch.row_list import RowList
from web.batch.views import MARKS, FilePage, file_page, files_page
from web.desk.form import FormValues
from web.pages.forms import LONGEST_TEXT, form_value, read_form
from web.pages.frame import HEADERS, frame, page, problem_page, root_from
from web.pages.languages import HOME
from web.pages.templates import View, render
from web.pages.texts import LANGUAGES, Texts, texts_in

HERE = "batch"
NOT_KEPT = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class OpenedRow:
    """That a row of a file is in the form."""

    template: ClassVar[str] = "batch/opened.html"
    text: str


class BatchPages:
    """The pages, and what their forms do."""

    def __init__(self, jobs: Jobs, release: Release, ledger: bool) -> None:
        self._jobs, self._release, self._ledger = jobs, release, ledger
        self._title = release.manifest.title

    def routes(self) -> APIRouter:
        router = APIRouter()
        for language in LANGUAGES:
            texts, path = texts_in(language), f"{HOME[language]}{HERE}"

            def add(
                rest: str,
                function: Callable[[Request, Texts], Awaitable[Response]],
                method: str,
                texts: Texts = texts,
                path: str = path,
            ) -> None:
                async def answer(request: Request) -> Response:
                    return await function(request, texts)

                router.add_route(f"{path}{rest}", answer, methods=[method])

            add("", self.files, "GET")
            add("/columns.csv", self.columns, "GET")
            add("/{id}", self.file, "GET")
            add("/{id}/progress", self.progress, "GET")
            add("/{id}/check", self.check, "POST")
            add("/{id}/score", self.score, "POST")
            add("/{id}/cancel", self.cancel, "POST")
            add("/{id}/delete", self.delete, "POST")
            add("/{id}/result", self.result, "GET")
            add("/{id}/rejected", self.rejected, "GET")
            add("/{id}/row", self.row, "GET")
        return router

    async def files(self, request: Request, texts: Texts) -> Response:
        """Where a file is dropped, and the client's own files."""
        upload = f"{root_from(HERE, texts)}api/v1/book?for=page"

        def view() -> View:
            mine = [] if self._jobs.missing else self._jobs.of(owner_of(request.scope))
            return files_page(self._jobs, mine, install_commands("book"), upload, texts)

        return self._page(request, await run_in_threadpool(view), texts, HERE)

    async def columns(self, request: Request, texts: Texts) -> Response:
        """A CSV file with the columns, and the release's example as its row."""
        stream = io.StringIO()
        example = self._release.form.answers(self._release.form.parse(self._release.form.example))
        lines = csv.writer(stream, lineterminator="\r\n")
        lines.writerows(
            [["reference", *example], ["example-1", *("" if cell is None else cell for cell in example.values())]]
        )
        headers = {**NOT_KEPT, "Content-Disposition": 'attachment; filename="columns.csv"'}
        return Response(stream.getvalue(), 200, headers, "text/csv; charset=utf-8")

    async def file(self, request: Request, texts: Texts) -> Response:
        """A file: its columns, its progress or its scores."""
        job = self._job(request)
        if job is None:
            return self._nothing(request, texts)
        return self._page(request, await self._view(job, request, texts), texts, f"{HERE}/{job.id}")

    async def progress(self, request: Request, texts: Texts) -> Response:
        """The part of the page that changes while the file is checked or scored."""
        job = self._job(request)
        if job is None:
            return Response("", 404, NOT_KEPT)
        view = await self._view(job, request, texts)
        values = (
            None
            if view.working is None
            else {"text": view.working.text, "done": view.working.done, "of": view.working.of}
        )
        return Response(orjson.dumps({"state": job.state, "working": values}), 200, NOT_KEPT, "application/json")

    async def _view(self, job: Job, request: Request, texts: Texts) -> FilePage:
        number = request.query_params.get("page", "0")
        number = number if number.isascii() and number.isdigit() and len(number) < 7 else "0"
        home = f"{root_from(f'{HERE}/{job.id}', texts)}{HOME[texts.language].lstrip('/')}"
        show = request.query_params.get("show", "")
        return await run_in_threadpool(file_page, self._jobs, job, self._release, texts, home, show, int(number))

    async def check(self, request: Request, texts: Texts) -> Response:
        """Read the file again, with other columns."""
        job, form = self._job(request), await read_form(request)
        if job is None:
            return self._nothing(request, texts)
        if job.state == READY and form is not None:
            mapping = {name: form_value(form, f"field-{name}", LONGEST_TEXT) for name in self._release.form.names}
            decimal = form_value(form, "decimal", 1)
            order = msgspec.structs.replace(
                job.order, mapping=mapping, reference=form_value(form, "reference"),
                decimal=decimal if decimal in MARKS else None,
            )  # fmt: skip
            await run_in_threadpool(self._jobs.check, job, order)
        return self._back(request, job)

    async def score(self, request: Request, texts: Texts) -> Response:
        """Score the file as it was checked."""
        job = self._job(request)
        if job is None:
            return self._nothing(request, texts)
        await run_in_threadpool(self._score, job, owner_of(request.scope))
        return self._back(request, job)

    def _score(self, job: Job, owner: str) -> None:
        check = self._jobs.check_of(job)
        if job.state != READY or check is None or check.problem:
            return
        self._jobs.mappings.remember(owner, check.mapping)
        self._jobs.score(job, msgspec.structs.replace(job.order, mapping=check.mapping, reference=check.reference))

    async def cancel(self, request: Request, texts: Texts) -> Response:
        """Stop the scoring."""
        job = self._job(request)
        if job is None:
            return self._nothing(request, texts)
        await run_in_threadpool(self._jobs.cancel, job)
        return self._back(request, job)

    async def delete(self, request: Request, texts: Texts) -> Response:
        """Remove the file and its scores."""
        job = self._job(request)
        if job is not None:
            await run_in_threadpool(self._jobs.delete, job.id)
        return RedirectResponse(f"../../{HERE}", 303, NOT_KEPT)

    async def result(self, request: Request, texts: Texts) -> Response:
        """The file with the scores."""
        job = self._job(request)
        file = await run_in_threadpool(self._jobs.result_of, job) if job else None
        if job is None or file is None:
            return self._nothing(request, texts)
        return FileResponse(file, headers=NOT_KEPT, media_type=ENDINGS[job.ending], filename=file.name)

    async def rejected(self, request: Request, texts: Texts) -> Response:
        """The refused rows."""
        job = self._job(request)
        file = await run_in_threadpool(self._jobs.rejected_of, job) if job else None
        if job is None or file is None:
            return self._nothing(request, texts)
        return FileResponse(file, headers=NOT_KEPT, media_type="text/csv", filename=f"{job.order.file}-refused.csv")

    async def row(self, request: Request, texts: Texts) -> Response:
        """The form's values for a row of a file, for the desk's script."""
        job, number = self._job(request), request.query_params.get("n", "")
        if job is None or job.state != DONE or not (number.isascii() and number.isdigit() and len(number) < 8):
            return Response("", 404, NOT_KEPT)
        row = await run_in_threadpool(lambda: RowList(self._jobs.folder(job)).row(int(number)))
        if row is None:
            return Response("", 404, NOT_KEPT)
        values = FormValues(self._release.form, texts.language, self._ledger).values(row.answers, row.reference)
        opened = OpenedRow(texts("batch.opened", row=row.row, name=job.name))
        return Response(
            orjson.dumps({"values": values, "html": render(opened, texts)}), 200, NOT_KEPT, "application/json"
        )

    def _job(self, request: Request) -> Job | None:
        return None if self._jobs.missing else job_of(self._jobs, request.path_params["id"], request.scope)

    def _back(self, request: Request, job: Job) -> Response:
        """To the page of the file, relative to one of its forms' addresses."""
        return RedirectResponse(f"../{job.id}", 303, NOT_KEPT)

    def _nothing(self, request: Request, texts: Texts) -> Response:
        here = request.url.path.removeprefix(request.scope.get("root_path", "")).removeprefix(HOME[texts.language])
        content = problem_page("batch_gone", texts, here.lstrip("/"), self._title[texts.language], request.scope)
        return HTMLResponse(content, 404, HEADERS)

    def _page(self, request: Request, view: View, texts: Texts, path: str) -> Response:
        page_frame = frame(self._title[texts.language], texts, path, scope=request.scope, ledger=self._ledger)
        return HTMLResponse(page(view, texts, page_frame), headers=HEADERS)
