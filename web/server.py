"""One FastAPI app: the API, health, metrics, model card, performance, the desk in English at / and in French at /fr."""

import asyncio

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from inference.scorer import Scorer
from inference.settings import Settings
from ledger.ledger import Ledger
from web.api.routes import ApiFirst, api_router
from web.cases.history import HistoryPages
from web.cases.routes import CasePages
from web.desk.blocks import build_desk
from web.desk.gradio_api import Endpoint
from web.desk.gradio_hooks import NO_OTHER_ORIGIN, mount
from web.desk.page_rewrite import PageDress
from web.desk.routes import answering_routes
from web.lender import Lender, check_reason_texts, read_lender
from web.operations.health import health_routes
from web.operations.metrics import metrics_routes
from web.operations.model_card import model_card_routes
from web.operations.performance import performance_routes
from web.operations.releases import ReleasePages
from web.pages.assets import asset_routes
from web.pages.languages import HOME, LanguageChoice
from web.pages.texts import texts_in
from web.recording import Recorder
from web.security.accounts import Accounts
from web.security.entrance import Entrance
from web.security.limits import Limits
from web.security.login import Login
from web.security.security_log import SecurityLog
from web.service_state import TellState

# FastAPI would tell whatever OpenTelemetry collector it finds of requests and errors; so would Gradio's, inside: see
# web/security/entrance.py.
SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
CORS = ["Authorization", "Content-Type", "Idempotency-Key"]


def create_app(
    scorer: Scorer,
    settings: Settings,
    ledger: Ledger | None = None,
    lender: Lender | None = None,
    accounts: Accounts | None = None,
    security_log: SecurityLog | None = None,
) -> FastAPI:
    """The whole site around one scorer; `lender` and `accounts` as the settings say them, else as they are now; without
    a security log none is written."""
    return asyncio.run(assemble(scorer, settings, ledger, lender, accounts, security_log))


async def assemble(
    scorer: Scorer,
    settings: Settings,
    ledger: Ledger | None = None,
    lender: Lender | None = None,
    accounts: Accounts | None = None,
    security_log: SecurityLog | None = None,
) -> FastAPI:
    """The same for a caller within an event loop.

    Outside one Gradio opens a loop for every page, lock and event that it makes, and closes none.
    """
    recorder, lender = Recorder(scorer, ledger), lender or read_lender(settings.lender)
    check_reason_texts(lender, scorer.release)
    accounts = accounts or Accounts(settings.users)
    app = FastAPI(
        title="Tenfold", docs_url=None, redoc_url=None, openapi_url=None, telemetry=SILENT,
        middleware=middleware(scorer, settings, recorder, accounts, security_log),
    )  # fmt: skip
    app.include_router(Login(accounts, scorer.release.manifest.title, security_log=security_log).routes())
    app.include_router(health_routes(scorer, settings, ledger))
    app.include_router(metrics_routes(recorder.metrics))
    app.include_router(model_card_routes(scorer.release, ledger is not None))
    app.include_router(ReleasePages(recorder.state, scorer.release, ledger).routes())
    app.include_router(performance_routes(scorer, settings, ledger is not None))
    app.include_router(asset_routes())
    app.include_router(answering_routes(recorder, lender))
    if ledger is not None:
        app.include_router(CasePages(recorder, lender, accounts).routes())
        app.include_router(HistoryPages(scorer, ledger, lender).routes())
    endpoint = Endpoint(recorder)
    app.include_router(endpoint.routes())  # in front of Gradio's own
    for language in ("fr", "en"):  # the longer path first: "/" takes all that is left
        desk = build_desk(recorder, texts_in(language), endpoint if HOME[language] == "/" else None)
        mount(app, desk, HOME[language].rstrip("/") or "/")
    return app


def middleware(
    scorer: Scorer, settings: Settings, recorder: Recorder, accounts: Accounts, security_log: SecurityLog | None
) -> list[Middleware]:
    """What every request passes, outermost first."""
    # A browser's preflight request carries no token, so it must be answered before the entrance.
    cross_origin = [
        Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"], allow_headers=CORS)
    ]
    return [
        *(cross_origin if settings.origins else ()),
        # Who asks, by the head alone: no body is read of a visitor who may not enter.
        Middleware(Entrance, settings=settings, accounts=accounts, security_log=security_log),
        # How much they may send. Here bodies are read, so that no route can forget a limit.
        Middleware(Limits),
        # The API is answered before anything that only pages need.
        Middleware(ApiFirst, router=api_router(recorder)),
        *(() if settings.origins else [NO_OTHER_ORIGIN]),
        # Whether the release is in service, for pages to say.
        Middleware(TellState, state=recorder.state),
        # The language of a page, before the page is chosen.
        Middleware(LanguageChoice),
        # Innermost: it rewrites what Gradio answers.
        Middleware(PageDress, release=scorer.release),
    ]
