"""The FastAPI app: API, health, metrics, model card, operations, cases, and the desk: English at /, French at /fr."""

import asyncio
from collections.abc import Sequence
from functools import partial

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from inference.minutes import MinuteCounts
from inference.scorer import Scorer
from inference.settings import Settings
from ledger.drafts import Drafts
from ledger.endpoints import read_webhooks
from ledger.ledger import Ledger
from ledger.memory import MemoryLedgers
from web.api.routes import ApiFirst, api_router
from web.batch.jobs import Jobs
from web.batch.routes import BatchPages
from web.carried import Carried
from web.cases.history import HistoryPages
from web.cases.routes import CasePages
from web.cases.work import WorkPages
from web.desk.blocks import build_desk
from web.desk.gradio_api import Endpoint
from web.desk.gradio_hooks import NO_OTHER_ORIGIN, mount
from web.desk.page_rewrite import PageDress
from web.desk.redrawn import TypedBefore
from web.desk.routes import desk_routes
from web.lender import Lender, check_reason_texts, questions_for, read_lender, rules_for
from web.operations.events import EventsPages
from web.operations.health import health_routes
from web.operations.manage import manage_routes
from web.operations.metrics import metrics_routes
from web.operations.model_card import model_card_routes
from web.operations.monitor import MonitorPages
from web.operations.operations_page import OperationsPages
from web.operations.releases import ReleasePages
from web.operations.timed import COMMIT, Timed
from web.pages.assets import asset_routes
from web.pages.languages import HOME, LanguageChoice
from web.pages.texts import texts_in
from web.recording import Recorder
from web.security.accounts import Accounts
from web.security.entrance import Entrance
from web.security.limits import Limits
from web.security.login import Login
from web.security.password_pages import PasswordPages
from web.security.security_log import SecurityLog
from web.security.sessions_page import SessionsPages
from web.security.throttle import Throttle
from web.security.users_page import UserPages
from web.service_state import TellState
from web.visits import VisitPages, Visits
from web.work_count import TellCount

# Otherwise FastAPI would report requests and errors to any OpenTelemetry collector it finds. So would Gradio's app: see
# web/security/entrance.py.
SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
CORS = ["Authorization", "Content-Type", "Idempotency-Key"]


class App(FastAPI):
    """FastAPI inside our middlewares. FastAPI itself would put them inside some layers of its own: requests of the API
    would go through layers that they do not need, and the answer about an exception through none of ours."""

    def __init__(self, around: Sequence[Middleware]) -> None:
        super().__init__(
            title="Tenfold", docs_url=None, redoc_url=None, openapi_url=None, telemetry=SILENT,
            middleware=[NO_OTHER_ORIGIN],  # Gradio looks for it here
        )  # fmt: skip
        self.around = around  # outermost first

    def build_middleware_stack(self) -> ASGIApp:
        """What Starlette calls for each request; it is built once."""
        app = super().build_middleware_stack()
        for cls, args, kwargs in reversed(self.around):
            app = cls(app, *args, **kwargs)
        return app


def create_app(
    scorer: Scorer,
    settings: Settings,
    ledger: Ledger | None = None,
    lender: Lender | None = None,
    accounts: Accounts | None = None,
    security_log: SecurityLog | None = None,
    jobs: Jobs | None = None,
) -> FastAPI:
    """The app for a scorer. `lender`, `accounts` and `jobs` default to those that the settings name; without a
    security log none is written. Its `state.carried` is what a server that replaces this one takes on; its
    `state.minutes` must be closed after the ledger."""
    return asyncio.run(assemble(scorer, settings, ledger, lender, accounts, security_log, jobs))


async def assemble(
    scorer: Scorer,
    settings: Settings,
    ledger: Ledger | None = None,
    lender: Lender | None = None,
    accounts: Accounts | None = None,
    security_log: SecurityLog | None = None,
    jobs: Jobs | None = None,
) -> FastAPI:
    """`create_app` for a caller within an event loop.

    Outside an event loop Gradio creates one for every page, lock and event, and closes none of them.
    """
    lender = lender or read_lender(settings.lender)
    check_reason_texts(lender, scorer.release)
    recorder = Recorder(scorer, ledger, rules_for(lender, scorer.release), questions_for(lender, scorer.release))
    accounts = accounts or Accounts(settings.users)
    jobs = jobs or open_jobs(scorer, settings, lender, ledger)
    # In a demonstration there is no ledger, but one in memory for each visitor of the desk.
    visited = recorder.with_ledger(MemoryLedgers()) if settings.public_demo else None
    minutes = MinuteCounts(scorer.log)
    if ledger is not None:
        ledger.commit_took = partial(minutes.took, COMMIT)
    app = App(middleware(scorer, settings, recorder, accounts, jobs, security_log, lender, minutes, visited))
    drafts = None if ledger is None else Drafts(ledger.store.path, settings.draft_days)
    app.include_router(desk_routes(recorder, lender, drafts))  # routes are tried in this order: the busiest first
    throttle = Throttle()
    first_page = "" if ledger is None else "work"
    app.include_router(Login(accounts, scorer.release.manifest.title, throttle, security_log, first_page).routes())
    title, has_ledger = scorer.release.manifest.title, ledger is not None
    app.include_router(PasswordPages(accounts, title, throttle, security_log, has_ledger).routes())
    app.include_router(UserPages(accounts, title, security_log, lender.work, has_ledger).routes())
    app.include_router(SessionsPages(accounts, title, security_log, lender.work, has_ledger).routes())
    app.include_router(health_routes(scorer, settings, ledger))
    app.include_router(metrics_routes(recorder.metrics))
    app.include_router(model_card_routes(scorer.release, ledger is not None))
    app.include_router(ReleasePages(recorder.state, scorer.release, ledger, lender.work).routes())
    app.include_router(OperationsPages(scorer, settings, minutes, ledger is not None).routes())
    app.include_router(manage_routes(title, has_ledger))
    app.include_router(asset_routes())
    app.include_router(BatchPages(jobs, scorer.release, ledger is not None).routes())
    if ledger is not None:
        app.include_router(MonitorPages(scorer.release, ledger, lender.work).routes())
        app.include_router(CasePages(recorder, lender, accounts).routes())
        app.include_router(HistoryPages(scorer, ledger, lender).routes())
        app.include_router(WorkPages(ledger, lender, scorer.release, drafts).routes())
        app.include_router(
            EventsPages(ledger, read_webhooks(settings.webhooks), scorer.release.manifest.title, lender.work).routes()
        )
    endpoint = Endpoint(recorder)
    app.state.minutes = minutes
    app.state.carried = Carried(throttle, endpoint.unread)
    app.include_router(endpoint.routes())  # in front of Gradio's own
    for language in ("fr", "en"):  # the longer path first, since "/" matches everything
        applicant = (lender.work.applicant or {}).get(language, "")
        own_endpoint = endpoint if HOME[language] == "/" else None
        desk = build_desk(visited or recorder, texts_in(language), own_endpoint, applicant, visited is not None)
        mount(app, desk, HOME[language].rstrip("/") or "/")
    return app


def open_jobs(scorer: Scorer, settings: Settings, lender: Lender | None = None, ledger: Ledger | None = None) -> Jobs:
    """The files of this server, which its release and engine score by the lender's rules; the ledger records them."""
    rulebook, questions = (None, ()) if lender is None else (lender.rulebook, lender.questions)
    release = scorer.release
    return Jobs(settings, release.folder, release.digest, scorer.engine.name, rulebook, ledger, questions)


def middleware(
    scorer: Scorer,
    settings: Settings,
    recorder: Recorder,
    accounts: Accounts,
    jobs: Jobs,
    security_log: SecurityLog | None,
    lender: Lender,
    minutes: MinuteCounts,
    visited: Recorder | None,
) -> list[Middleware]:
    """The middlewares that every request passes, outermost first."""
    # A browser's preflight request carries no token, so it must be answered before the entrance.
    cross_origin = [
        Middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST", "DELETE"], allow_headers=CORS
        )
    ]
    return [
        Middleware(Timed, minutes=minutes),
        *(cross_origin if settings.origins else ()),
        # Access control needs only the head: no body of a refused request is read.
        Middleware(Entrance, settings=settings, accounts=accounts, security_log=security_log),
        # Limits. Bodies are read here, so that no route can forget their limit.
        Middleware(Limits),
        # The API, before everything that only pages need.
        Middleware(ApiFirst, router=api_router(recorder, jobs, lender)),
        # The state of the release, for pages.
        Middleware(TellState, state=recorder.state),
        # How many cases wait for the visitor, for pages too.
        *(() if recorder.ledger is None else [Middleware(TellCount, ledger=recorder.ledger)]),
        # In a demonstration, what a visitor has a ledger of their own for.
        *(() if visited is None else [visit_pages(visited, lender, accounts)]),
        # A page that is drawn in place of one for another release: from here on like any other.
        Middleware(TypedBefore),
        # The language, before a page is chosen.
        Middleware(LanguageChoice),
        # Innermost: rewrites Gradio's responses.
        Middleware(
            PageDress,
            release=scorer.release,
            recorded=recorder.ledger is not None or visited is not None,
            visits=visited is not None,
        ),
    ]


def visit_pages(visited: Recorder, lender: Lender, accounts: Accounts) -> Middleware:
    """The desk's routes and the pages of cases, over the ledger of the visitor who sends a request."""
    assert isinstance(visited.ledger, MemoryLedgers)  # noqa: S101 - given by `assemble`
    routers = (
        desk_routes(visited, lender, remembered=0),
        CasePages(visited, lender, accounts).routes(),
        HistoryPages(visited.scorer, visited.ledger, lender).routes(),
    )
    routes = [route for router in routers for route in router.routes]
    return Middleware(VisitPages, visits=Visits(visited.ledger), routes=routes)
