"""The page of releases in a real browser: a draft is put into service, in English and French, on a phone too."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from live import Desk, Server
from parts import sealed
from playwright.sync_api import expect
from test_login import PASSWORD, log_in

from inference.release import open_release
from inference.settings import default_release
from web.pages.texts import texts_in
from web.security.accounts import Accounts

Open = Callable[..., Desk]
EN, FR = texts_in("en"), texts_in("fr")
NOTE = "Looked at the card and at fifty cases of last year."


@pytest.fixture(scope="module")
def bank(serve: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a lender's own release, with an officer and two managers, one of whom made it."""
    folder = tmp_path_factory.mktemp("own")
    copied = shutil.copytree(default_release(), folder / "copied")
    manifest: dict[str, Any] = json.loads((copied / "manifest.json").read_text("utf-8"))
    manifest["notice"] = {"en": "Our own consumer credits.", "fr": "Nos propres crédits."}
    made = sealed(copied, manifest | {"origin": {"by": "mia"}})
    server = Server(open_release(default_release()))
    own = server.writable / "releases" / made.name
    shutil.copytree(made, own)
    with closing(Accounts(server.users)) as accounts:
        for name, role in (("ann", "officer"), ("meg", "manager"), ("mia", "manager")):
            accounts.add_user(name, role, PASSWORD)
    owner = server.writable.stat()
    for file in (*server.writable.glob("users.sqlite3*"), own.parent, own, *own.iterdir()):
        os.chown(file, owner.st_uid, owner.st_gid)
    server.stop()
    server.environment["TENFOLD_RELEASE"] = str(own)
    server.start()
    yield server
    server.close()


def test_a_draft_is_put_into_service(open_desk: Open, bank: Server) -> None:
    """The desk says DRAFT; the model's page leads to the releases; after a sentence and a tick it says so no longer."""
    desk = open_desk(at=bank, path=None)
    page = desk.page
    page.goto(f"{bank.url}/model-card")
    log_in(page, "mia", PASSWORD)
    page.get_by_role("link", name=EN("releases.all")).click()
    expect(page.get_by_text(EN("releases.problem.maker"))).to_be_visible()
    expect(page.locator("form.put")).to_have_count(0)
    page.get_by_role("button", name=EN("visitor.leave")).click()
    log_in(page, "meg", PASSWORD)
    page.wait_for_url("**/work")
    page.goto(bank.url)
    page.wait_for_selector("html[data-desk=ready]")
    expect(page.locator("#banner")).to_contain_text("DRAFT")
    desk.shoot("60-desk-draft", full=False)
    page.goto(f"{bank.url}/releases")
    page.locator("summary").click()
    desk.shoot("61-releases-draft", full=False)
    assert desk.violations(page) == []
    page.locator("form.put textarea").fill("Short")
    page.locator("form.put [type=checkbox]").check()
    page.locator("form.put button").click()
    expect(page.get_by_role("alert")).to_have_text(EN("releases.problem.note"))
    expect(page.locator("form.put textarea")).to_have_value("Short")
    assert desk.violations(page) == []
    page.locator("form.put textarea").fill(NOTE)
    page.locator("form.put [type=checkbox]").check()
    page.locator("form.put button").click()
    expect(page.locator("section.release .state")).to_contain_text(EN("releases.state.in_service"))
    expect(page.locator("ol.timeline")).to_contain_text(NOTE)
    expect(page.locator("#banner")).not_to_contain_text("DRAFT")
    desk.shoot("62-releases-in-service", full=False)
    assert desk.violations(page) == []
    page.get_by_role("link", name=EN("footer.model_card")).last.click()
    expect(page.locator("article img").first).to_be_visible()
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    page.goto(bank.url)
    page.wait_for_selector("html[data-desk=ready]")
    expect(page.locator("#banner p")).to_have_count(0)


def test_on_a_phone_in_french_and_in_the_dark(open_desk: Open, bank: Server) -> None:
    """It fits, and has no fault that axe finds."""
    desk = open_desk(at=bank, path=None, size=(390, 844), colours="dark", locale="fr-FR")
    page = desk.page
    page.goto(f"{bank.url}/fr/releases")
    log_in(page, "meg", PASSWORD)
    expect(page.get_by_role("heading", name=FR("releases.title"), exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    desk.shoot("63-releases-phone-french-dark")
    assert desk.violations(page) == []
