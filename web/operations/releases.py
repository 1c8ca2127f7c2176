"""For managers: the releases there are, what each is, how good it is, and the form that puts it into service."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from inference.errors import BadRelease
from inference.manifest import BadManifest, Manifest, read_manifest
from inference.number_format import localised
from inference.release import Release, open_release, read
from inference.settings import FOLDER
from ledger.errors import UNREADABLE, LedgerUnavailable
from ledger.events import Serviced
from ledger.ledger import CaseMoved, Ledger
from ledger.records import Draft
from ledger.service import Service
from web.operations.model_card import CARD, model_card, plot
from web.operations.model_card import HEADERS as CARD_HEADERS
from web.pages.forms import Form, form_value, page_with_form, read_form
from web.pages.frame import HEADERS, frame, page, problem_page, root_from
from web.pages.languages import HOME
from web.pages.texts import LANGUAGES, Texts, texts_in
from web.person import CLOSED, Person, mode_of, person_of
from web.security.security_log import log_event
from web.service_state import DEMONSTRATION, IN_SERVICE, ServiceState, state_of
from web.work_settings import WorkSettings

HERE = "releases"
SHORTEST_NOTE = 10  # a sentence, not a letter


class ListedRelease(NamedTuple):
    """A release's folder, as far as its manifest says; None where that cannot be read."""

    folder: Path
    digest: str
    manifest: Manifest | None
    evidence: str  # SHA-256 of the model card, in hex; empty without one


class Refused(Exception):
    """Nothing was recorded, and which text says why."""


@dataclass(frozen=True)
class PutForm:
    """Puts a release into service; what was typed, and what is wrong with it."""

    label: str
    release: str  # digest
    evidence: str
    seen: str
    note: str
    problem: str


@dataclass(frozen=True)
class ReleaseRow:
    """One release."""

    name: str
    title: str
    card: str  # the way to its card, or nothing
    state: str
    state_text: str
    serves: bool  # whether this server runs it now
    facts: tuple[tuple[str, str], ...]
    warning: str
    form: PutForm | None
    why_not: str  # why there is no form


@dataclass(frozen=True)
class ReleasesPage:
    """All releases, the newest first, and what was put into service, the last first."""

    template: ClassVar[str] = "operations/releases.html"
    lead: str
    monitored: bool  # whether there is a ledger, and so the way to what became of loans
    problem: str
    rows: tuple[ReleaseRow, ...]
    changes: tuple[tuple[str, str], ...]  # what, and the note


class ReleasePages:
    """The pages, for the folder that the served release lies in."""

    def __init__(
        self, state: ServiceState, release: Release, ledger: Ledger | None, settings: WorkSettings
    ) -> None:  # fmt: skip
        self._state, self._release, self._ledger, self._settings = state, release, ledger, settings

    def routes(self) -> APIRouter:
        router = page_with_form(HERE, self.show, self.put)
        for language in LANGUAGES:
            route = partial(self.card, texts=texts_in(language))
            router.add_route(f"{HOME[language]}{HERE}/{{id}}", route, methods=["GET"])
        router.add_route(f"/{HERE}/{{id}}/{{name}}", self.plot, methods=["GET"])
        return router

    async def show(self, request: Request, texts: Texts) -> Response:
        """The list."""
        return await self._page(request, texts)

    async def put(self, request: Request, texts: Texts) -> Response:
        """Put a release into service: recorded once, or the page again with what is wrong."""
        form, person = await read_form(request), person_of(request.scope)
        if form is None:
            return HTMLResponse("", 413, HEADERS)
        if self._ledger is None or person is None or person.machine or mode_of(request.scope) != CLOSED:
            log_event(request.scope, "role_refused", route=HERE, why="managers-put-into-service")
            return HTMLResponse("", 403, HEADERS)
        try:
            draft = await run_in_threadpool(self.draft, form, person)
            await self._ledger.submit_in_loop(draft)
        except Refused as refused:
            return await self._page(request, texts, form, str(refused))
        except CaseMoved:
            return await self._page(request, texts, {}, "moved")
        except (LedgerUnavailable, *UNREADABLE):
            return HTMLResponse(self._unreadable(request, texts), 503, HEADERS)
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}{HOME[texts.language]}{HERE}", 303, {"Cache-Control": "no-store"})

    def draft(self, form: Form, person: Person) -> Draft:
        """What a form asks to be recorded. Raises `Refused`, or `CaseMoved` where things were never as it showed."""
        now, release = self._state.service(), form_value(form, "release")
        seen = None if now is None else now.as_shown(form_value(form, "seen"))
        listed = next((candidate for candidate in self.listed() if candidate.digest == release), None)
        if seen is None or listed is None or listed.evidence != form_value(form, "evidence"):
            raise CaseMoved("no page showed this")
        manifest, note = listed.manifest, form_value(form, "note")
        if why := why_not(listed, seen, person):
            raise Refused(why)
        if len(note) < SHORTEST_NOTE:
            raise Refused("note")
        if form_value(form, "independent") != "yes":
            raise Refused("independent")
        assert manifest is not None  # noqa: S101 - `why_not` has looked
        try:
            name = open_release(listed.folder, listed.digest).name
        except BadRelease:
            raise Refused("broken") from None
        return seen.change(
            by=person.name, release=listed.digest, name=name, evidence=listed.evidence, maker=manifest.maker, note=note
        )

    def listed(self) -> list[ListedRelease]:
        """The releases in the folder, the newest first."""
        parent = self._release.folder.resolve().parent
        folders = {folder for folder in parent.iterdir() if FOLDER.fullmatch(folder.name)} | {
            self._release.folder.resolve()
        }
        releases = [look(folder) for folder in folders if (folder / "manifest.json").is_file()]
        return sorted(
            releases,
            key=lambda listed: (listed.manifest.date if listed.manifest else "", listed.folder.name),
            reverse=True,
        )

    async def card(self, request: Request, texts: Texts) -> Response:
        """The model card of any of them."""
        listed = self.named(request.path_params["id"])
        if listed.manifest is None:
            raise HTTPException(404, "no such release")
        here = f"{HERE}/{listed.folder.name}"
        pictures = f"{root_from(here, texts)}{here}/"
        shown = await run_in_threadpool(model_card, listed.folder, listed.manifest.title, texts, pictures)
        around = frame(
            self._release.manifest.title[texts.language], texts, here, scope=request.scope, ledger=self.has_ledger
        )
        return HTMLResponse(page(shown, texts, around), 404 if shown.card is None else 200, CARD_HEADERS)

    async def plot(self, request: Request) -> FileResponse:
        """A plot of such a card."""
        return plot(self.named(request.path_params["id"]).folder, request.path_params["name"])

    def named(self, name: str) -> ListedRelease:
        """The release in a folder of this name; 404 where no folder has it."""
        for listed in self.listed():
            if listed.folder.name == name:
                return listed
        raise HTTPException(404, "no such release")

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger."""
        return self._ledger is not None

    async def _page(self, request: Request, texts: Texts, form: Form | None = None, problem: str = "") -> Response:
        try:
            shown = await run_in_threadpool(self.view, request, texts, form or {}, problem)
        except UNREADABLE:
            return HTMLResponse(self._unreadable(request, texts), 503, HEADERS)
        around = frame(
            self._release.manifest.title[texts.language], texts, HERE, scope=request.scope, ledger=self.has_ledger
        )
        return HTMLResponse(page(shown, texts, around), headers=HEADERS)

    def _unreadable(self, request: Request, texts: Texts) -> str:
        return problem_page("unreadable", texts, HERE, self._release.manifest.title[texts.language], request.scope)

    def view(self, request: Request, texts: Texts, form: Form, problem: str) -> ReleasesPage:
        """The list as this visitor may use it."""
        service, person = self._state.service(), person_of(request.scope)
        closed = mode_of(request.scope) == CLOSED and service is not None and person is not None
        rows = []
        for listed in self.listed():
            sent = form if form_value(form, "release") == listed.digest else {}
            rows.append(self.row(listed, service, person if closed else None, texts, sent, problem if sent else ""))
        changes = () if service is None else service.changes[::-1]
        at_form = any(row.form and row.form.problem for row in rows)
        return ReleasesPage(
            lead=texts("releases.lead" if closed else "releases.lead_open"),
            monitored=self.has_ledger,
            problem=texts(f"releases.problem.{problem}") if problem and not at_form else "",
            rows=tuple(rows),
            changes=tuple(
                (texts("releases.change", name=change.release_name, by=change.by, day=self.day(change, texts),
                       seq=change.seq), change.note or "")
                for change in changes
            ),
        )  # fmt: skip

    def row(
        self,
        listed: ListedRelease,
        service: Service | None,
        person: Person | None,
        texts: Texts,
        form: Form,
        problem: str,
    ) -> ReleaseRow:
        """One release; `person` may put it into service, None where nobody may."""
        manifest, name = listed.manifest, listed.folder.name
        serves = listed.digest == self._release.digest
        if manifest is None:
            return ReleaseRow(name, name, "", "broken", texts("releases.state.broken"), serves, (), "", None, "")
        state = state_of(manifest, listed.digest, service)
        last = None if service is None else service.of(listed.digest)
        why = "" if service is None or person is None else why_not(listed, service, person)
        offered = service is not None and person is not None and not why
        warning = ""
        if last is not None and last.evidence != listed.evidence:
            warning = texts("releases.evidence_changed")
        label = texts("releases.back" if last is not None else "releases.put")
        return ReleaseRow(
            name=name,
            title=manifest.title[texts.language],
            card=f"{HERE}/{name}" if listed.evidence else "",
            state=state,
            state_text=texts(f"releases.state.{state}"),
            serves=serves,
            facts=(*self.since(last, texts), *facts(listed, manifest, texts)),
            warning=warning,
            form=PutForm(
                label, listed.digest, listed.evidence, form_value(form, "seen") or service.shown,
                form_value(form, "note"),
                texts(f"releases.problem.{problem}") if problem else "",
            ) if offered and service is not None else None,
            why_not=texts(f"releases.problem.{why}") if why and state not in (DEMONSTRATION, IN_SERVICE) else "",
        )  # fmt: skip

    def since(self, last: Serviced | None, texts: Texts) -> list[tuple[str, str]]:
        """When a release was put into service last, and by whom."""
        if last is None:
            return []
        return [(texts("releases.since"), texts("releases.since_by", day=self.day(last, texts), by=last.by))]

    def day(self, change: Serviced, texts: Texts) -> str:
        """The lender's day of a change."""
        return texts.day(self._settings.local(change.time).date().isoformat())


def why_not(listed: ListedRelease, service: Service, person: Person) -> str:
    """Why somebody cannot put a release into service, as the texts name it; nothing where they can."""
    manifest = listed.manifest
    if manifest is None:
        return "broken"
    if manifest.is_demonstration:
        return "demonstration"
    if service.last is not None and service.last.release == listed.digest:
        return "there_already"
    if not listed.evidence:
        return "no_card"
    if manifest.maker.strip().casefold() == person.name.casefold():
        return "maker"
    return ""


def look(folder: Path) -> ListedRelease:
    """What the manifest in a folder says, and the digest of the card beside it."""
    try:
        card = hashlib.sha256(read(folder / CARD)).hexdigest()
    except BadRelease:
        card = ""
    try:
        content = read(folder / "manifest.json")
        digest = hashlib.sha256(content).hexdigest()
        return ListedRelease(folder, digest, read_manifest(content), card)
    except (BadRelease, BadManifest):
        return ListedRelease(folder, "", None, card)


def facts(listed: ListedRelease, manifest: Manifest, texts: Texts) -> list[tuple[str, str]]:
    """The date, how well it tells good loans from bad, who made it, the digests."""
    rows = [(texts("releases.date"), texts.day(manifest.date)), (texts("releases.auc"), auc(manifest.training, texts))]
    if manifest.maker:
        rows.append((texts("releases.maker"), manifest.maker))
    rows.append((texts("releases.digest"), listed.digest[:12]))
    if listed.evidence:
        rows.append((texts("releases.evidence"), listed.evidence[:12]))
    return rows


SAMPLES = {  # as models/evaluation.py names them in manifests
    "calibration folds": "calibration_folds", "calibration window": "calibration_window",
    "last part of the training window": "end_of_window", "frozen tables": "frozen", "refreshed tables": "refreshed",
}  # fmt: skip
FOLDS = re.compile(r"([0-9]+ × [0-9]+) folds")


def sample_name(sample: str, texts: Texts) -> str:
    """On which loans a figure was measured, in words of the page; a period's name is the recipe's own."""

    def part(name: str) -> str:
        if folds := FOLDS.fullmatch(name):
            return texts("releases.sample.folds", folds=folds[1])
        return texts(f"releases.sample.{SAMPLES[name]}") if name in SAMPLES else name

    return ", ".join(map(part, sample.split(", ")))


def auc(training: Mapping[str, object], texts: Texts) -> str:
    """The AUC of this release with its 95 % interval, and on which loans; or that nobody measured it."""
    metrics: Any = training.get("metrics")
    table: Sequence[Any] = metrics.get("table", ()) if isinstance(metrics, Mapping) else ()
    own = next((row for row in table if isinstance(row, Mapping) and "intervals" in row), None)
    try:
        low, high = (own or {})["intervals"]["auc"]
        figures = {name: localised(f"{float(value):.3f}", texts.language)
                   for name, value in (("auc", (own or {})["auc"]), ("low", low), ("high", high))}  # fmt: skip
        return texts("releases.auc_figure", **figures, sample=sample_name(str((own or {})["sample"]), texts))
    except (KeyError, TypeError, ValueError):
        return texts("releases.not_measured")
