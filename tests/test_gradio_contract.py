"""The contract with Gradio: all that web/desk/gradio_hooks.py relies on, tried against the Gradio that is installed.

Where a new Gradio fails one of these, its message says which hook to look at; the hook says what it is for.
"""

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import gradio.events
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.server_messages import CloseStreamMessage, ProcessCompletedMessage
from parts import NO_USERS, visiting
from starlette.middleware import Middleware

from inference.scorer import open_scorer
from inference.settings import ROOT, Settings, default_release
from web.desk import gradio_hooks as hooks
from web.desk.gradio_import import gr
from web.pages.assets import assets
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

MOVED = f"Gradio {gr.__version__} is not as web/desk/gradio_hooks.py expects it: "
Made = TypeVar("Made")
FOREIGN = {"Origin": "https://elsewhere.example", "Cookie": "session=1"}


async def twice(number: float, word: str) -> dict[str, Any]:
    return {"word": word * 2, "number": number * 2}


def blocks(kind: type[gr.Blocks] = gr.Blocks) -> gr.Blocks:
    """A page with one box, and an endpoint of Gradio's own."""

    with kind(analytics_enabled=False) as page:
        gr.Textbox(label="Box")
        gradio.events.api(twice, api_name="twice")
    return page  # type: ignore[no-any-return]  # Gradio's context manager is untyped


def within_a_loop(make: Callable[[], Made]) -> Made:
    """Outside one Gradio opens a loop for all that it makes, and closes none."""

    async def within() -> Made:
        return make()

    return asyncio.run(within())


def mounted(app: FastAPI, mount: Callable[[FastAPI], object]) -> FastAPI:
    within_a_loop(lambda: mount(app))
    return app


@pytest.fixture
def bare() -> Iterator[TestClient]:
    """Gradio as it is, without one of our hooks."""
    app = mounted(FastAPI(), lambda app: gr.mount_gradio_app(app, blocks(), "/", ssr_mode=False))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def hooked() -> Iterator[TestClient]:
    """Gradio with them."""
    app = FastAPI(middleware=[hooks.NO_OTHER_ORIGIN])
    mounted(app, lambda app: hooks.mount(app, blocks(hooks.DeskBlocks), "/"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@cache
def frontend() -> str:
    """All scripts and styles of Gradio's frontend."""
    files = sorted((Path(gr.__file__).parent / "templates" / "frontend").rglob("*"))
    texts = [file.read_text("utf-8", "replace") for file in files if file.suffix in (".js", ".css", ".html")]
    assert len(texts) > 20, MOVED + "its frontend lies elsewhere"
    return "".join(texts)


# ---- the queue


@pytest.mark.slow
@pytest.mark.parametrize(("module", "is_read"), [("gradio", True), ("web.desk.gradio_import", False)])
def test_an_import_reads_and_writes_no_interface_files(module: str, is_read: bool) -> None:
    """Gradio's own does; where it no longer does, web/desk/gradio_import.py can import it plainly."""
    program = f"""
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
import {module}
print(any(name.endswith(".pyi") for name in opened), "gradio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(is_read), "True"]


def test_the_queue_waits_as_long_as_it_is_told() -> None:
    """The two waits are there, and what the queue's loops sleep for."""
    queue = within_a_loop(blocks)._queue
    loops = inspect.getsource(type(queue))
    for name in ("sleep_when_free", "progress_update_sleep_when_free"):
        assert isinstance(getattr(queue, name, None), float), f"{MOVED}DeskBlocks: a queue has no {name}"
        assert getattr(queue, name) < hooks.IDLE, f"{MOVED}DeskBlocks: {name} is long enough by itself"
        assert f"sleep(self.{name})" in loops, f"{MOVED}DeskBlocks: nothing sleeps for {name}"


def test_blocks_make_their_queue_by_our_method() -> None:
    """From the start, and what makes the app makes no other."""
    page = within_a_loop(lambda: blocks(hooks.DeskBlocks))
    queue = page._queue
    assert queue.sleep_when_free == hooks.IDLE, MOVED + "DeskBlocks: queue() is not called while the Blocks are made"
    assert queue.progress_update_sleep_when_free == hooks.IDLE
    assert queue.max_size == 1
    mounted(FastAPI(), lambda app: hooks.mount(app, page, "/"))
    assert page._queue is queue, MOVED + "DeskBlocks: mounting makes another queue"


# ---- the page


def test_the_page_begins_and_ends_its_head_where_we_write(bare: TestClient) -> None:
    """Both places are there once, so that language and head come in, in the order that the page needs."""
    page = bare.get("/").text
    assert page.count(hooks.OPENING) == 1, MOVED + "OPENING: the page's first lines are others"
    assert page.count(hooks.HEAD_END) == 1, MOVED + "HEAD_END: the page's head has another end"
    made = hooks.rewritten(page, "fr", "<title>Ours</title>")
    assert '<html\n\tlang="fr"' in made
    assert "<title>Ours</title></head>" in made
    assert len(made) == len(page) + len("<title>Ours</title>")


def test_the_policy_names_every_script_of_the_page(bare: TestClient) -> None:
    """Those within the page by their hash; else the browser runs none of Gradio."""
    page = bare.get("/").text
    scripts = hooks.SCRIPT.findall(page)
    assert len(scripts) == page.count("<script"), MOVED + "SCRIPT: a script of the page is not recognised"
    inline = [text for attributes, text in scripts if "src=" not in attributes]
    assert any("window.gradio_config" in text for text in inline), (
        MOVED + "POLICY: the page's config is no script in it"
    )
    assert hooks.policy(page).count("'sha256-") == len(inline)
    assert not [name for name in (" onload=", " onclick=", " onerror=") if name in page], (
        MOVED + "POLICY: handlers inline"
    )


def test_functions_are_still_made_of_texts() -> None:
    """A Gradio that does without lets the policy do without 'unsafe-eval'."""
    made = [how for how in ("new Function(", "AsyncFunction(", "eval(") if how in frontend()]
    assert made, MOVED + "POLICY: 'unsafe-eval' may be left out"


def test_elements_have_the_names_that_style_and_script_use() -> None:
    """Each is a name of Gradio's frontend, and one that we look for."""
    ours = b"".join(assets().values()).decode()
    for name in hooks.ELEMENTS:
        assert name in frontend(), f"{MOVED}ELEMENTS: its frontend knows no {name}"
        assert name in ours, f"ELEMENTS: neither desk.css nor desk.js uses {name}"


def test_a_query_still_breaks_gradio_and_not_us(bare: TestClient, hooked: TestClient) -> None:
    """The parameter `page` of a page that there is not."""
    assert bare.get("/?page=x").status_code >= 400, MOVED + "WithoutQuery: it may be left out"
    assert hooked.get("/?page=x").status_code == 200


# ---- events


def test_an_event_can_change_a_widgets_properties() -> None:
    """By the object that `gr.update` makes; the frontend knows it by the same name."""
    assert gr.update(interactive=False) == {"interactive": False, "__type__": "update"}, MOVED + "SHUT_WHILE_TICKED"
    assert "__type__" in frontend(), MOVED + "SHUT_WHILE_TICKED: its frontend does not look for __type__"
    assert "__type__: 'update'" in hooks.SHUT_WHILE_TICKED


# ---- the API


def test_an_endpoint_has_the_parameters_that_it_is_given() -> None:
    """By name and type, in what Gradio tells its clients; and not in the queue."""

    async def any_answers(*answers: object) -> dict[str, Any]:
        return {"got": list(answers)}

    def made() -> gr.Blocks:
        with gr.Blocks(analytics_enabled=False) as page:
            hooks.add_endpoint(any_answers, "given", "Said.", {"amount": float, "open": float | None, "word": str})
        return page  # type: ignore[no-any-return]

    page = within_a_loop(made)
    endpoint = page.get_api_info()["named_endpoints"]["/given"]
    assert endpoint["description"] == "Said."
    found = [(one["parameter_name"], one["python_type"]["type"]) for one in endpoint["parameters"]]
    assert found == [("amount", "float"), ("open", "None | float"), ("word", "str")], f"{MOVED}add_endpoint: {found}"
    [event] = [one for one in page.fns.values() if one.api_name == "given"]
    assert event.queue is False


def streamed(text: str) -> list[dict[str, Any]]:
    return [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n") if part]


def test_our_messages_are_of_gradios_protocol(bare: TestClient) -> None:
    """Gradio reads ours as its own, and itself sends no others to a client that waits for one answer."""
    assert bare.get("/config").json()["protocol"] == hooks.PROTOCOL, MOVED + "PROTOCOL"
    [completed] = streamed(hooks.completed_join("e1", b'{"word": "abab"}').decode())
    read = ProcessCompletedMessage.model_validate(completed)
    assert read.model_dump(include={"event_id", "success"}) == {"event_id": "e1", "success": True}
    assert read.output["data"] == [{"word": "abab"}]
    [closed] = streamed(hooks.closed_join().decode())
    assert CloseStreamMessage.model_validate(closed).model_dump()["msg"] == closed["msg"]


def test_gradio_itself_answers_as_we_do(bare: TestClient) -> None:
    """The same application over the ways that our routes take over: paths, ids and messages are the same."""
    asked = {"data": [2, "ab"]}
    answer = {"word": "abab", "number": 4}
    plain = bare.post("/gradio_api/run/twice", json=asked).json()
    assert (plain["data"], plain["is_generating"]) == ([answer], False), MOVED + "run/NAME answers otherwise"
    event = bare.post("/gradio_api/call/twice", json=asked).json()["event_id"]
    told = bare.get(f"/gradio_api/call/twice/{event}").text
    ours = hooks.completed_call(json.dumps(answer).encode()).decode()
    assert told.split("\n")[0] == ours.split("\n")[0] == "event: complete", MOVED + "completed_call"
    assert json.loads(told.split("\n")[1].removeprefix("data: ")) == json.loads(
        ours.split("\n")[1].removeprefix("data: ")
    )
    joined = bare.post("/gradio_api/queue/join", json={**asked, "fn_index": 0, "session_hash": "s1"}).json()["event_id"]
    messages = streamed(bare.get("/gradio_api/queue/data", params={"session_hash": "s1"}).text)
    [done] = [one for one in messages if one["msg"] == "process_completed"]
    [mine] = streamed(hooks.completed_join(joined, json.dumps(answer).encode()).decode())
    assert done["event_id"] == joined
    assert mine.keys() <= done.keys(), MOVED + "completed_join has a name that Gradio's message has not"
    assert (done["output"]["data"], done["success"]) == (mine["output"]["data"], mine["success"])
    assert messages[-1]["msg"] == streamed(hooks.closed_join().decode())[0]["msg"], MOVED + "closed_join"


# ---- the mount


def test_no_other_origin_is_let_in(bare: TestClient, hooked: TestClient) -> None:
    """Gradio by itself lets any in with cookies, unless the app that it is mounted on has a policy of its own."""
    let_in = bare.get("/config", headers=FOREIGN).headers
    assert let_in.get("access-control-allow-origin") == FOREIGN["Origin"], MOVED + "NO_OTHER_ORIGIN may be left out"
    assert let_in.get("access-control-allow-credentials") == "true"
    assert not [name for name in hooked.get("/config", headers=FOREIGN).headers if name.startswith("access-control")]


def test_what_gradio_would_do_by_itself_is_off(hooked: TestClient) -> None:
    """No history in the browser, no links below, no monitoring, no errors shown, no analytics, no fonts from afar."""
    config = hooked.get("/config").json()
    assert config["footer_links"] == [], MOVED + "mount"
    assert not config.get("run_history"), MOVED + "mount: run_history"
    assert config["show_error"] is False, MOVED + "mount: show_error"
    assert config["analytics_enabled"] is False
    assert hooked.get("/monitoring").status_code >= 400, MOVED + "mount: enable_monitoring"
    assert "//fonts." not in hooked.get("/theme.css").text, MOVED + "theme"
    assert not config["stylesheets"], MOVED + "theme: stylesheets from afar"


def test_our_desk_has_one_whole_head() -> None:
    """What is added to the page is added once, as it is: nothing of the page around it is escaped."""
    settings = Settings(release=default_release(), log=None, users=NO_USERS)
    with visiting(create_app(open_scorer(settings), settings)) as client:
        for path in ("/", "/fr"):
            page = client.get(path, headers={"Accept": "text/html"}).text
            assert (page.count(hooks.HEAD_END), page.count("&lt;/head")) == (1, 0)
            assert page.index('id="desk-facts"') < page.index(hooks.HEAD_END) < page.index("<body")


def test_a_middleware_stands_within_the_mount() -> None:
    """`app_kwargs` reaches the app that Gradio makes."""
    own = {"middleware": [Middleware(hooks.WithoutQuery)]}
    app = mounted(FastAPI(), lambda app: gr.mount_gradio_app(app, blocks(), "/", ssr_mode=False, app_kwargs=own))
    with TestClient(app) as client:
        assert client.get("/?page=x").status_code == 200, MOVED + "mount: app_kwargs"
