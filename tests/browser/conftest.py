"""A real server, started as people start it, and a real Chromium in front of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from live import PATIENCE, Desk, Server
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from inference.release import open_release
from inference.settings import default_release
from profiling.benchmarks.chromium import launch


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Server]]:
    """A running server of a release and settings; asked again for the same, the same one."""
    running: dict[object, Server] = {}

    def one(folder: Path, **environment: str) -> Server:
        key = (folder.resolve(), *sorted(environment.items()))
        if key not in running:
            running[key] = Server(open_release(folder), environment)
        return running[key]

    yield one
    for server in running.values():
        server.process.terminate()  # all at once: a stop waits for clients that still hold a connection
    for server in running.values():
        server.close()


@pytest.fixture(scope="session")
def server(serve: Callable[..., Server]) -> Server:
    """The default release's server, shared by all tests that leave it running."""
    return serve(default_release())


@pytest.fixture(scope="session")
def demo_server(serve: Callable[..., Server]) -> Server:
    """A public demonstration."""
    return serve(default_release(), TENFOLD_PUBLIC_DEMO="on", TENFOLD_LEDGER="off")


@pytest.fixture(scope="session")
def spare_server(serve: Callable[..., Server]) -> Server:
    """A second server; a test may stop it if it starts it again, and take its ledger away if it makes it anew."""
    return serve(default_release(), TENFOLD_LOG_DAYS="30")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = launch(playwright)
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def shared_context(browser: Browser) -> Iterator[BrowserContext]:
    """One context for most tests, so that Gradio's scripts are fetched and compiled once."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def open_desk(browser: Browser, shared_context: BrowserContext, server: Server) -> Iterator[Callable[..., Desk]]:
    """Opens desks; in the end none has complained in its console or called another server."""
    desks: list[Desk] = []

    def open_one(
        path: str | None = "/",
        at: Server | None = None,
        *,
        size: tuple[int, int] = (1366, 768),
        colours: Literal["light", "dark"] = "light",
        locale: str = "",
    ) -> Desk:
        context = browser.new_context(locale=locale) if locale else shared_context
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=colours)
        desks.append(Desk(page, at or server, path))
        return desks[-1]

    yield open_one
    for desk in desks:
        desk.page.evaluate("localStorage.clear()")
        desk.page.close()
        if desk.page.context is not shared_context:
            desk.page.context.close()
    shared_context.clear_cookies()
    assert [desk.complaints for desk in desks] == [[] for _ in desks]
    assert [desk.outside for desk in desks] == [[] for _ in desks]
