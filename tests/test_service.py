"""Into service: a lender's release is a draft until a manager who did not make it puts it there, by a record."""

import hashlib
import html
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import newest, sealed, some, visiting
from test_accounts import PASSWORD, QUICK
from test_deciding import LENDER, Office
from test_lender import OWN

from inference.errors import BadSetting
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger import queries
from ledger.events import SERVICED, Serviced
from ledger.ledger import CaseMoved, Ledger
from ledger.readonly import ReadOnlyStore
from ledger.records import Record
from ledger.service import Service, service
from ledger.verify import verify
from web.pages.texts import LANGUAGES, texts_in
from web.security.accounts import Accounts
from web.server import create_app
from web.service_state import DEMONSTRATION, DRAFT, IN_SERVICE, REPLACED, with_release_in_service

pytestmark = pytest.mark.slow  # an app is started

EN = texts_in("en")
NOTE = "Looked at the card, the groups and fifty cases of last year."


def own_release(parent: Path, maker: str, **changes: Any) -> Path:
    """A lender's release in a folder: the embedded one's model, with another notice and its maker."""
    source = newest("consumer")
    folder = shutil.copytree(source, parent / f"copy-{maker or 'nobody'}")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["notice"] = {"en": "Our own consumer credits.", "fr": "Nos crédits."}
    manifest |= {"origin": {"by": maker}} if maker else {}
    return sealed(folder, {**manifest, **changes})


@dataclass
class Bank:
    """A server of a lender's own release, another release beside it, and people."""

    client: TestClient
    ledger: Ledger
    settings: Settings
    first: Path  # served; mia made it
    second: Path  # nobody says who made it

    def enter(self, name: str) -> None:
        self.client.cookies.clear()
        answer = self.client.post("/login", data={"name": name, "password": PASSWORD}, follow_redirects=False)
        assert answer.status_code == 303

    def page(self, path: str = "/releases") -> str:
        answer = self.client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        return html.unescape(answer.text)

    def form(self, release: Path) -> dict[str, str]:
        """What the page's form for a release carries."""
        for part in self.page().split("<section")[1:]:
            if release.name in part:
                found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', part))
                return {**found, "note": NOTE, "independent": "yes"}
        raise AssertionError(f"{release.name} is not on the page")

    def put(self, form: dict[str, str], path: str = "/releases") -> tuple[int, str]:
        answer = self.client.post(path, data=form, follow_redirects=False)
        return answer.status_code, html.unescape(answer.text)

    @property
    def service(self) -> Service:
        with self.ledger.store.reading() as connection:
            return service(connection)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    folder = tmp_path / "releases"
    folder.mkdir()
    first, second = own_release(folder, "mia"), own_release(folder, "")
    shutil.copytree(newest("consumer"), folder / newest("consumer").name)
    settings = Settings(
        release=first, log=None, users=tmp_path / "users.sqlite3", ledger=tmp_path / "ledger.sqlite3"
    )  # fmt: skip
    assert settings.ledger is not None
    with (
        closing(Accounts(settings.users, hasher=QUICK)) as accounts,
        closing(Ledger(settings.ledger)) as ledger,
    ):
        for name, role in (("ann", "officer"), ("meg", "manager"), ("mia", "manager"), ("max", "manager")):
            accounts.add_user(name, role, PASSWORD)
        with visiting(create_app(open_scorer(settings), settings, ledger, OWN, accounts)) as client:
            yield Bank(client, ledger, settings, first, second)
        assert verify(ledger.store).problem is None


def state(bank: Bank) -> str:
    """As the API and readyz say it."""
    found = bank.client.get("/api/v1/release").json()["state"]
    assert bank.client.get("/readyz").json()["state"] == found
    return str(found)


def scored(bank: Bank) -> tuple[str, str, str]:
    """What a score's answer says of the release: one, one of a batch, and the case's page."""
    example = open_scorer(bank.settings).release.form.example
    one = bank.client.post("/api/v1/score", json={"answers": example})
    many = bank.client.post("/api/v1/score:batch", json={"items": [{"answers": example}]})
    page = bank.page(f"/record/{one.json()['id']}")
    card = re.search(r'<p class="not-in-service">(.*?)</p>', page)
    return one.json()["state"], many.json()["items"][0]["state"], card[1] if card else ""


def test_every_score_says_draft_until_service(bank: Bank) -> None:
    """The API's answers, and the card of the case: one that a draft made stays one, whatever comes later."""
    bank.enter("meg")
    assert scored(bank) == (DRAFT, DRAFT, EN("result.draft"))
    early = bank.client.get("/api/v1/decisions?kind=scored").json()["items"][0]["id"]
    assert bank.put(bank.form(bank.first))[0] == 303
    assert scored(bank) == (IN_SERVICE, IN_SERVICE, "")
    assert EN("result.draft") in bank.page(f"/record/{early}")
    assert bank.put(bank.form(bank.second))[0] == 303
    assert scored(bank)[:2] == (REPLACED, REPLACED)


def test_a_draft_becomes_a_release_in_service(bank: Bank) -> None:
    """Until then every page says so, in both languages; from then on none does, and the record says who, what and on
    which evidence."""
    bank.enter("meg")
    assert "validation croisée 5 × 5)" in bank.page("/fr/releases")
    pages = ("/", "/fr/", "/releases", "/fr/releases", "/model-card", "/history")
    for path in pages:
        assert texts_in("fr" if path.startswith("/fr") else "en")("banner.draft") in bank.page(path), path
    assert state(bank) == DRAFT
    assert bank.put(bank.form(bank.first)) == (303, "")
    assert state(bank) == IN_SERVICE
    for path in pages:
        assert texts_in("fr" if path.startswith("/fr") else "en")("banner.draft") not in bank.page(path), path
    (change,) = bank.service.changes
    digest = hashlib.sha256((bank.first / "manifest.json").read_bytes()).hexdigest()
    card = hashlib.sha256((bank.first / "MODEL_CARD.md").read_bytes()).hexdigest()
    assert (change.release, change.evidence, change.by, change.maker, change.note) == (digest, card, "meg", "mia", NOTE)
    assert NOTE in bank.page()
    assert EN("releases.since_by", day=EN.day(change.time[:10]), by="meg") in bank.page()


def test_going_back(bank: Bank) -> None:
    """Another release in its place makes the served one replaced, which pages say; going back is a third record."""
    bank.enter("meg")
    for release, after in ((bank.first, IN_SERVICE), (bank.second, REPLACED), (bank.first, IN_SERVICE)):
        assert bank.put(bank.form(release))[0] == 303
        assert state(bank) == after
        assert (EN("banner.replaced") in bank.page("/history")) is (after == REPLACED)
    assert len(bank.service.changes) == 3
    assert bank.page().count(EN("releases.back")) == 2  # on the summary and the button, of the second one alone


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_maker_cannot(bank: Bank, language: str) -> None:
    """The page offers her no form and says why; a form sent all the same is refused."""
    path, texts = {"en": "/releases", "fr": "/fr/releases"}[language], texts_in(language)
    bank.enter("meg")
    form = bank.form(bank.first)
    bank.enter("mia")
    assert texts("releases.problem.maker") in bank.page(path)
    code, page = bank.put(form, path)
    assert (code, bank.service.changes) == (200, ())
    assert texts("releases.problem.maker") in page


def test_an_officer_cannot(bank: Bank) -> None:
    """Neither the page, nor a card on it, nor the form."""
    bank.enter("meg")
    form = bank.form(bank.first)
    bank.enter("ann")
    for path in ("/releases", "/fr/releases", f"/releases/{bank.first.name}"):
        assert bank.client.get(path).status_code == 403
    assert EN("releases.all") not in bank.page("/model-card")
    assert bank.put(form)[0] == 403
    assert bank.service.changes == ()


@pytest.mark.parametrize(
    ("form", "why"), [({"note": "ok"}, "note"), ({"independent": ""}, "independent"), ({"note": " " * 50}, "note")]
)
def test_what_is_lacking_is_said(bank: Bank, form: dict[str, str], why: str) -> None:
    """What was typed stays; nothing is recorded."""
    bank.enter("meg")
    code, page = bank.put({**bank.form(bank.first), **form})
    assert (code, bank.service.changes) == (200, ())
    assert EN(f"releases.problem.{why}") in page
    assert form.get("note", NOTE).strip() in page


def test_what_a_page_did_not_show_is_not_recorded(bank: Bank) -> None:
    """A card that changed since, another digest, a state that never was, a demonstration, a release altered since."""
    bank.enter("meg")
    form = bank.form(bank.second)
    demonstration = hashlib.sha256((newest("consumer") / "manifest.json").read_bytes()).hexdigest()
    its_card = hashlib.sha256((newest("consumer") / "MODEL_CARD.md").read_bytes()).hexdigest()
    for wrong, why in (
        ({"evidence": "0" * 64}, "moved"), ({"release": "0" * 64}, "moved"), ({"seen": "1 00"}, "moved"),
        ({"release": demonstration, "evidence": its_card}, "demonstration"),
    ):  # fmt: skip
        code, page = bank.put({**form, **wrong})
        assert (code, bank.service.changes) == (200, ()), wrong
        assert EN(f"releases.problem.{why}") in page, wrong
    (bank.second / "model.ubj").write_bytes(b"{")
    assert EN("releases.problem.broken") in bank.put(form)[1]
    assert bank.service.changes == ()
    card = bank.second / "MODEL_CARD.md"
    card.write_text(card.read_text("utf-8") + "\nBetter than it was.\n", "utf-8")
    assert EN("releases.problem.moved") in bank.put(form)[1]
    assert bank.service.changes == ()


def test_a_card_that_changes_in_service_is_said(bank: Bank) -> None:
    """The record holds the digest of the card that the manager saw."""
    bank.enter("meg")
    assert bank.put(bank.form(bank.first))[0] == 303
    assert EN("releases.evidence_changed") not in bank.page()
    with (bank.first / "MODEL_CARD.md").open("a") as stream:
        stream.write("\nMore.\n")
    assert EN("releases.evidence_changed") in bank.page()


def test_two_managers_at_once(bank: Bank) -> None:
    """Of several forms that saw the same state one is recorded; the same one again by the same person is that one."""
    bank.enter("meg")
    form = bank.form(bank.first)
    assert [bank.put(form)[0] for _ in range(2)] == [303, 303]
    assert len(bank.service.changes) == 1
    bank.enter("max")
    code, page = bank.put({**form, "note": NOTE + " Me too."})
    assert code == 200
    assert EN("releases.problem.moved") in page
    now = bank.service
    drafts = [
        now.change(by=f"m{at}", release="1" * 64, name="x", evidence="2" * 64, maker="", note="n") for at in range(8)
    ]

    def written(at: int) -> Record | None:
        try:
            return bank.ledger.append(drafts[at])
        except CaseMoved:
            return None

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(written, range(8)))
    assert len(some(one for one in outcomes if one)) == 1
    assert len(bank.service.changes) == 2


def test_the_record_is_like_others(bank: Bank) -> None:
    """Its bytes as docs/ledger-format.md says; no case knows it; the API shows it to those who see all."""
    bank.enter("meg")
    assert bank.put(bank.form(bank.first))[0] == 303
    with bank.ledger.store.reading() as connection:
        (record,) = queries.records(connection, [SERVICED])
        assert queries.driver(connection).execute("SELECT count(*) FROM cases").fetchone() == (0,)
    body = json.loads(record.body)
    assert set(body) == {
        "seq", "time", "kind", "id", "personal", "by", "of", "release", "release_name", "evidence", "maker",
    }  # fmt: skip
    assert (body["kind"], body["of"], body["seq"]) == ("serviced", "begun", 2)
    assert json.loads(record.personal or "")["note"] == NOTE
    assert isinstance(record.event, Serviced)
    shown = bank.client.get(f"/api/v1/decisions/{record.event.id}").json()
    assert shown["release"] == body["release"]
    bank.enter("ann")
    assert bank.client.get(f"/api/v1/decisions/{record.event.id}").status_code == 404


def test_a_notice_says_what_the_release_was(bank: Bank) -> None:
    """A score of a draft stays one after the release was put into service; one made then is not."""
    bank.enter("meg")
    office = Office(bank.client, open_scorer(bank.settings), bank.ledger)
    ids = []
    for at in range(2):
        id = office.score(f"S-{at}")
        assert office.decide(id, "decline").headers["x-recorded"] == "yes"
        ids.append(id)
        if at == 0:
            assert bank.put(bank.form(bank.first))[0] == 303
    said = EN("notice.model_draft", name="").strip()
    assert [said in bank.page(f"/record/{id}/notice") for id in ids] == [True, False]


def test_cards_of_all_releases(bank: Bank) -> None:
    """Each with its plots, in both frames; no other file of the folder."""
    bank.enter("meg")
    for path in (f"/releases/{bank.second.name}", f"/fr/releases/{bank.second.name}"):
        page = bank.page(path)
        (plot,) = {one for one in re.findall(r'<img src="([^"]+)"', page) if "roc" in one}
        assert bank.client.get(f"{path}/../{plot}" if plot.startswith("..") else f"/releases/{plot}").status_code == 200
    for name in ("manifest.json", "model.ubj", "none.svg"):
        assert bank.client.get(f"/releases/{bank.second.name}/{name}").status_code == 404
    assert bank.client.get("/releases/other-000000000000").status_code == 404


def test_where_nobody_logs_in(bank: Bank) -> None:
    """It serves and says DRAFT; the page offers no form, and a form sent all the same is refused."""
    bank.enter("meg")
    form = bank.form(bank.first)
    settings = replace(bank.settings, users=bank.settings.users and bank.settings.users.with_name("none.sqlite3"))
    with visiting(create_app(open_scorer(settings), settings, bank.ledger, LENDER)) as alone:
        page = html.unescape(alone.get("/releases").text)
        assert EN("banner.draft") in page
        assert EN("releases.lead_open") in page
        assert '<form class="put"' not in page
        assert alone.post("/releases", data=form).status_code == 403
        assert alone.get("/api/v1/release").json()["state"] == DRAFT
    assert bank.service.changes == ()


def test_a_demonstration_says_that_it_is_one(bank: Bank) -> None:
    """An embedded release, by its own text: at the API, on the page of releases; its pages hold no further banner."""
    settings = replace(bank.settings, release=newest("consumer"), users=None)
    with visiting(create_app(open_scorer(settings), settings, bank.ledger, LENDER)) as alone:
        assert alone.get("/api/v1/release").json()["state"] == DEMONSTRATION
        assert EN("releases.state.demonstration") in html.unescape(alone.get("/releases").text)
        assert "not-in-service" not in alone.get("/history").text


def test_a_start_serves_what_is_in_service(bank: Bank) -> None:
    """Where the setting names the folder of releases: the one put there last, by its whole digest; a release's own
    folder is as it was."""
    parent = replace(bank.settings, release=bank.first.parent)
    with pytest.raises(BadSetting, match="none was put into service.*" + bank.first.name):
        with_release_in_service(parent)
    with pytest.raises(BadSetting, match="no ledger says"):
        with_release_in_service(replace(parent, ledger=None))
    bank.enter("meg")
    for release in (bank.second, bank.first):
        assert bank.put(bank.form(release))[0] == 303
        found = with_release_in_service(parent)
        assert found.release == release
        assert found.release_digest == hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()
        assert open_scorer(found).release.folder == release
    assert with_release_in_service(bank.settings) == bank.settings
    shutil.rmtree(bank.first)
    with pytest.raises(BadSetting, match="is in service, and is not in"):
        with_release_in_service(parent)


def test_an_old_ledger_goes_on(bank: Bank, tmp_path: Path) -> None:
    """A ledger of either format takes such a record, and is whole afterwards."""
    import gzip

    for version in (1, 2):
        file = tmp_path / f"old-{version}.sqlite3"
        file.write_bytes(
            gzip.decompress(Path(__file__).with_name("data").joinpath(f"ledger-{version}.sqlite3.gz").read_bytes())
        )
        with closing(Ledger(file)) as ledger:
            with ledger.store.reading() as connection:
                before = service(connection)
            assert before.changes == ()
            made = {"by": "meg", "release": "1" * 64, "name": "own-111111111111", "evidence": "2" * 64, "maker": ""}
            record = ledger.append(before.change(**made, note=NOTE))
            with pytest.raises(CaseMoved):
                ledger.append(before.change(**made | {"by": "max"}, note=NOTE))
        with closing(ReadOnlyStore(file)) as store:
            found = verify(store)
            with store.reading() as connection:
                assert service(connection).last == record.event
        assert (found.problem, found.head) == (None, record.hash.hex())
