"""Behind a proxy that serves the app below a path of its own: every address leads through it."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from live import Desk, Server
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inference.settings import default_release
from profiling.benchmarks.serving import free_port

BELOW = "/scoring"
METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
HOPS = ("connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding")


@pytest.fixture(scope="module")
def proxied(serve: Callable[..., Server]) -> Iterator[Server]:
    """The app as the proxy shows it. What is asked for outside of its path is not found."""
    behind = serve(default_release(), TENFOLD_ROOT_PATH=BELOW)

    async def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in HOPS}
        headers |= {"x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1"}
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.request(
                request.method,
                behind.url + request.url.path.removeprefix(BELOW),
                params=request.query_params,
                headers=headers,
                content=await request.body(),
            )
        kept = Response(answer.content, answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in HOPS:
                kept.headers.append(name, value)
        return kept

    port = free_port()
    routes = [Route(BELOW + "/{path:path}", forward, methods=METHODS)]
    config = uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning")
    proxy = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve()))
    thread.start()
    while not proxy.started:
        assert thread.is_alive()
    shown = replace_url(behind, f"http://127.0.0.1:{port}{BELOW}")
    yield shown
    proxy.should_exit = True
    thread.join()


def replace_url(server: Server, url: str) -> Server:
    """The same server under another address, not started again."""
    made = object.__new__(Server)
    made.__dict__.update(server.__dict__, url=url)
    return made


def test_desk_and_pages_below_a_path(open_desk: Callable[..., Desk], proxied: Server) -> None:
    """The desk scores and decides, the other pages, the French ones and their links work, nothing is asked of the
    proxy's own root."""
    desk = open_desk(at=proxied)
    desk.score()
    desk.card("score")
    desk.page.wait_for_selector("#tried .whatif")
    for place in (0, 2, 3, 4):  # work, history, manage, model
        href = desk.page.locator("nav.pages a").nth(place)
        with desk.page.context.expect_page() as opened:
            href.click()
        page = opened.value
        page.wait_for_load_state()
        assert page.url.startswith(proxied.url), page.url
        assert page.locator("h1, h2").first.is_visible()
        page.close()
    desk.page.goto(f"{proxied.url}/history")
    desk.page.locator("table.cases a").first.click()
    expect(desk.page.locator("ol.timeline")).to_be_visible()
    desk.page.get_by_role("link", name="FR").click()
    expect(desk.page.locator("html")).to_have_attribute("lang", "fr")
    desk.go("/?lang=fr")
    assert desk.page.url.startswith(f"{proxied.url}/fr")
    desk.score()
    desk.card("score")
    desk.page.context.clear_cookies()
