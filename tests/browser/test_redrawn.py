"""Releases swapped on a running server while somebody fills in the form: nothing that was typed is lost, and nothing is
scored by a release that the form was not drawn for."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import DEADLINE, Desk, Server
from parts import sealed, some
from playwright.sync_api import expect

from inference.fields import ChoiceField
from inference.release import Release, open_release
from inference.settings import current_releases
from ledger.readonly import ReadOnlyStore
from web.pages.answers import kind_of
from web.pages.texts import texts_in

Open = Callable[..., Desk]
PATHS = {"en": "/", "fr": "/fr/"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that others take the place of; nobody logs in."""
    server = Server(open_release(current_releases()["consumer"]))
    yield server
    server.close()


def another(server: Server, tmp_path: Path) -> Release:
    """A second consumer release, where the server may read it."""
    copied = shutil.copytree(server.release.folder, tmp_path / "copied")
    manifest = json.loads((copied / "manifest.json").read_text("utf-8"))
    manifest["notice"]["en"] += " Once more."
    made = sealed(copied, manifest)
    placed = shutil.copytree(made, server.checkout / "models" / "releases" / made.name, dirs_exist_ok=True)
    return open_release(placed)


def replace(server: Server, release: Release) -> None:
    """Another process takes the place of the server's: `serve --replace PID`."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TENFOLD_", "GRADIO_", "SPACE_", "HOST"))},
        "HOME": str(server.writable), "TMPDIR": str(server.writable), "TENFOLD_LOG": str(server.log),
        "TENFOLD_LEDGER": str(server.ledger), "TENFOLD_USERS": "off", "TENFOLD_RELEASE": str(release.folder),
    }  # fmt: skip
    old = server.process
    server.process = subprocess.Popen(
        [*server.command, "--replace", str(old.pid)], cwd=server.checkout, env=environment, stdout=server.output,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    server.release = release
    deadline = time.monotonic() + DEADLINE
    while f"process {old.pid} takes no new connections" not in server.said():
        assert server.process.poll() is None, server.said()
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.1)
    assert old.wait(DEADLINE) == 0, server.said()


def redrawn(desk: Desk) -> None:
    """The page is drawn anew; all that the browser complained of is the refusal (and what-ifs that it refused)."""
    desk.page.wait_for_selector("#correcting .redrawn")
    desk.ready()
    assert all("409" in complaint for complaint in some(desk.complaints)), desk.complaints
    desk.complaints.clear()


def records(server: Server) -> int:
    store = ReadOnlyStore(server.ledger)
    try:
        with store.reading() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM entries WHERE kind = 'scored'").scalar() or 0)
    finally:
        store.close()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_was_typed_comes_along(open_desk: Open, own: Server, tmp_path: Path, language: str) -> None:
    """To a release with the same questions, and on to one with others; each time the page says so, and scores then."""
    texts, home = texts_in(language), PATHS[language]
    first = open_release(current_releases()["consumer"])
    if own.release.name != first.name:
        replace(own, open_release(own.checkout / "models" / "releases" / first.name))
    desk = open_desk(home, own, locale={"en": "en-GB", "fr": "fr-FR"}[language])
    page = desk.page
    desk.box("amount").fill("1234")
    desk.box("seniority").fill("not yet known")
    page.locator("#reference input, #reference textarea").first.fill("R-77")
    chosen = {
        field.name: page.locator(f"#field-{field.name} input:checked").get_attribute("value")
        for field in first.form.fields
        if isinstance(field, ChoiceField) and kind_of(field) == "radio"
    }
    assert chosen
    count = records(own)

    replace(own, another(own, tmp_path))
    desk.score()
    redrawn(desk)
    assert desk.language == language
    expect(page.locator("#correcting")).to_contain_text(texts("redrawn.lead", release=own.release.name))
    expect(page.locator("#correcting li")).to_have_count(0)
    expect(page.locator("#reference input, #reference textarea").first).to_have_value("R-77")
    expect(desk.box("seniority")).to_have_value("not yet known")
    expect(desk.box("amount")).to_have_value(re.compile(r"1\D?234"))
    for name, value in chosen.items():
        expect(desk.option(name, value or "")).to_be_checked()
    assert records(own) == count
    assert page.url == own.url + home
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert re.fullmatch(r'\[{},{"tenfold-form":"[0-9a-f]{32}"}\]', stored)  # a random key, nothing that was typed
    desk.shoot(f"70-redrawn-{language}", full=False)
    desk.axe()
    desk.box("seniority").fill("3")
    desk.score()
    desk.card("score")
    assert records(own) == count + 1

    sba = open_release(own.checkout / "models" / "releases" / current_releases()["sba"].name)
    replace(own, sba)
    desk.score()
    redrawn(desk)
    lost = page.locator("#correcting li").all_inner_texts()
    label = next(field.label[language] for field in first.form.fields if field.name == "seniority")
    assert any(re.fullmatch(rf"{label}\W+3 .*", text) for text in lost), lost
    expect(page.locator("#correcting")).to_contain_text(sba.form.fields[2].label[language])
    expect(page.locator("#reference input, #reference textarea").first).to_have_value("R-77")
    assert records(own) == count + 1
    desk.shoot(f"71-redrawn-others-{language}", full=False)
    desk.axe()
    desk.score()
    desk.card("problems")
    page.click("#example")
    desk.score()
    desk.card("score")
    assert records(own) == count + 2
