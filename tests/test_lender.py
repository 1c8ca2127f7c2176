"""What a lender says to applicants: its own texts over a release's, and what stands where none is there."""

import json
import os
import re
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parts import NO_USERS, newest, some, visiting
from test_accounts import PASSWORD, QUICK

from inference.errors import BadSetting
from inference.release import Release, open_release
from inference.scorer import Scorer, open_scorer
from inference.settings import RELEASES, ROOT, Settings
from ledger.decisions import decided, scored
from ledger.ledger import Ledger
from web.lender import EXAMPLE, Lender, check_reason_texts, read_lender, reason_text
from web.pages.texts import LANGUAGES, texts_in
from web.security.accounts import Accounts
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

OLD = RELEASES / "consumer-9e127c0ee47d"
TOLD = {"en": "In the lender’s words", "fr": "Dans les mots du prêteur"}
EXAMPLES = read_lender(None)
OWN = replace(
    EXAMPLES,
    name="Sample Bank",
    address="1 High Street",
    notice={**EXAMPLES.notice, "regulator": {"en": "A", "fr": "B"}},
)


def saying(**texts: dict[str, Any]) -> Lender:
    """The examples with texts of reasons, as field -> code -> text."""
    return replace(EXAMPLES, reason_texts=texts)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture(scope="module")
def old() -> Release:
    """A release of the first format."""
    return open_release(OLD)


def test_a_lenders_text_stands_for_the_releases(scorer: Scorer, tmp_path: Path) -> None:
    """Read from its file, by field and code; all other reasons keep the release's."""
    file = tmp_path / "lender.toml"
    file.write_text(EXAMPLE.read_text("utf-8") + '\n[reason_texts.income.low]\nen = "Below 100"\nfr = "Sous 100"\n')
    lender = read_lender(file)
    check_reason_texts(lender, scorer.release)
    assert [reason_text("income/low", scorer.release, lender, language) for language in LANGUAGES] == [
        "Below 100", "Sous 100",
    ]  # fmt: skip
    names = [f"{field.name}/{reason.code}" for field in scorer.release.form.fields for reason in field.reasons]
    names.remove("income/low")
    assert len(names) > 30
    for name in names:
        assert reason_text(name, scorer.release, lender, "fr") == reason_text(name, scorer.release, EXAMPLES, "fr")


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ({"income": {"lower": TOLD}}, "income.lower. It has income: low, high, not_stated, low_for_instalments"),
        ({"incme": {"low": TOLD}}, "incme.low. It has amount, price,"),
        ({"income": {"any": TOLD}}, "income.any"),
        ({"home": {"owner": TOLD}}, "home.owner"),
    ],
)
def test_a_text_for_no_reason_is_named(scorer: Scorer, texts: Any, named: str) -> None:
    """Misspelt, it would stand nowhere: the start is refused, with what the release knows."""
    with pytest.raises(BadSetting, match=re.escape(named)):
        check_reason_texts(saying(**texts), scorer.release)


def test_the_first_format_needs_the_lenders_texts(old: Release) -> None:
    """Every text that is missing is named; with all of them it may be served."""
    needed: dict[str, dict[str, Any]] = {}
    with pytest.raises(BadSetting) as caught:
        check_reason_texts(EXAMPLES, old)
    for name, code in re.findall(r"\[reason_texts\.(\w+)\.(\w+)\]", str(caught.value)):
        needed.setdefault(name, {})[code] = TOLD
    assert needed["income"].keys() == {"high", "low", "not_stated"}
    assert needed["home"].keys() == {"any"}
    assert needed.keys() == set(old.form.names)
    check_reason_texts(saying(**needed), old)
    for name, codes in needed.items():
        for code in codes:
            others = {**needed, name: {key: text for key, text in needed[name].items() if key != code}}
            with pytest.raises(BadSetting, match=rf"\[reason_texts\.{name}\.{code}\]"):
                check_reason_texts(saying(**others), old)
    assert reason_text("home/rent", old, saying(**needed), "fr") == TOLD["fr"]


@pytest.mark.slow
def test_the_server_does_not_start_with_the_first_format(tmp_path: Path) -> None:
    """One message, exit status 1, before anything is served; nor does the app, made by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "TENFOLD_RELEASE": str(OLD), "TENFOLD_LEDGER": "off", "PORT": str(port)}
    environment["TENFOLD_LOG"] = str(tmp_path / "p.jsonl")
    ended = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("Tenfold cannot start: consumer-9e127c0ee47d is of a format without texts")
    assert "[reason_texts.seniority.low]" in ended.stderr
    settings = Settings(release=OLD, log=None, users=NO_USERS)
    with pytest.raises(BadSetting, match="without texts"):
        create_app(open_scorer(settings), settings)


def test_codes_from_before_are_still_shown(scorer: Scorer, old: Release) -> None:
    """A record of the first format holds fields: their labels; of a release that is gone: what was recorded."""
    assert reason_text("seniority", old, EXAMPLES, "en") == "Years in the job"
    assert reason_text("seniority/low", old, EXAMPLES, "fr") == "Ancienneté dans l’emploi"
    assert reason_text("seniority/low", None, EXAMPLES, "en") == "seniority/low"
    assert reason_text("gone/low", scorer.release, EXAMPLES, "en") == "gone/low"


@pytest.fixture(params=["open", "closed"])
def office(request: pytest.FixtureRequest, scorer: Scorer, tmp_path: Path) -> Iterator[Any]:
    """A function from a lender to a client with a declined case: its id. Open, or where people log in."""
    settings = Settings(release=newest("consumer"), log=None, users=tmp_path / "users.sqlite3")
    answers = {**scorer.release.form.example, "prior_record": "yes", "seniority": 0, "income": 60}
    score = scorer.score(answers)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        closing(Accounts(settings.users, hasher=QUICK)) as users,
    ):
        if request.param == "closed":
            users.add_user("meg", "manager", PASSWORD)
        reasons = ["prior_record/yes", "seniority/low"]
        ledger.append(scored(score, scorer.release, answers, by="meg", channel="desk", reasons=reasons))
        ledger.append(decided(score.request_id, "decline", score.decision, by="meg", reasons=reasons))

        def visit(lender: Lender) -> Any:
            client = visiting(create_app(scorer, settings, ledger, lender, users))
            client.__enter__()
            request.addfinalizer(lambda: client.__exit__(None, None, None))
            if request.param == "closed":
                form = {"name": "meg", "password": PASSWORD}
                assert client.post("/login", data=form, headers={"Origin": "http://127.0.0.1"}).status_code in (
                    200,
                    303,
                )
            return client

        yield request.param, visit, score.request_id


def pages_of(pdf: bytes) -> list[bytes]:
    """What is drawn on each page."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    drawn = [zlib.decompress(one) for one in streams if one[:1] == b"x"]
    return [one for one in drawn if b" Tf" in one]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_placeholder_is_on_no_letter(office: Any, language: str) -> None:
    """Before people log in, each page says that it is an example; once they do, there is no letter."""
    mode, visit, id = office
    client = visit(EXAMPLES)
    page, pdf = (client.get(f"/record/{id}/notice{kind}?lang={language}") for kind in ("", ".pdf"))
    if mode == "closed":
        assert (page.status_code, pdf.status_code) == (409, 409)
        assert texts_in("en")("placeholder.title") in page.text
        assert not pdf.content.startswith(b"%PDF")
        return
    assert (page.status_code, pdf.status_code) == (200, 200)
    assert f'data-example="{texts_in(language)("notice.example")}"' in page.text
    drawn = pages_of(pdf.content)
    assert all(turned(one) for one in some(drawn))


def turned(page: bytes) -> bool:
    """Whether something is written across a page of a PDF."""
    return bool(re.search(rb"0\.6\d+ 0\.7\d+ -0\.7\d+ 0\.6\d+ ", page))


@pytest.mark.slow
def test_a_letter_of_a_lender_is_no_example(office: Any) -> None:
    """With name, address and regulator of its own there is no mark, logged in or not, and the reasons are in words."""
    _, visit, id = office
    client = visit(OWN)
    page, pdf = (client.get(f"/record/{id}/notice{kind}") for kind in ("", ".pdf"))
    assert (page.status_code, pdf.status_code) == (200, 200)
    assert "data-example" not in page.text
    assert "Record of payment problems before this application</li>" in page.text
    drawn = pages_of(pdf.content)
    assert not any(turned(one) for one in some(drawn))


@pytest.mark.parametrize("part", ["name", "address", "regulator"])
def test_one_placeholder_is_enough(part: str) -> None:
    """Any part of the examples makes a letter an example, the address also as it was before it had a mark."""
    placeholder = {
        "name": replace(OWN, name=EXAMPLES.name),
        "address": replace(OWN, address=EXAMPLES.address.replace(" (TENFOLD_LENDER)", "")),
        "regulator": replace(OWN, notice=EXAMPLES.notice),
    }[part]
    assert placeholder.is_example
    assert not OWN.is_example


@pytest.mark.slow
def test_an_old_case_is_replayed_and_shown(scorer: Scorer, old: Release, tmp_path: Path) -> None:
    """A decision of the first format's time: scored again the same, with its fields as reasons, and its letter."""
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    former = open_scorer(replace(settings, release=OLD))
    answers = dict(old.form.example)
    score = former.score(answers)
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        draft = scored(score, old, answers, by="ann", channel="desk", reasons=["seniority", "income"])
        ledger.append(draft)
        ledger.append(decided(score.request_id, "decline", score.decision, by="ann", reasons=["seniority"]))
        with visiting(create_app(scorer, settings, ledger, OWN)) as client:
            page = client.get(f"/record/{score.request_id}").text
            assert texts_in("en")("replay.same") in page
            assert "<li>Years in the job</li><li>Income</li>" in page
            letter = client.get(f"/record/{score.request_id}/notice")
            assert letter.status_code == 200
            assert old.name in letter.text


def test_the_api_gives_the_texts(scorer: Scorer, tmp_path: Path) -> None:
    """GET /release holds the text of every reason; the description says what a reason looks like."""
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    with visiting(create_app(scorer, settings)) as client:
        fields = client.get("/api/v1/release").json()["fields"]
        described = client.get("/api/v1/openapi.json").json()
    told = {f"{field['name']}/{one['code']}": one["text"] for field in fields for one in field["reasons"]}
    assert told["seniority/low"]["en"] == "Short time in the present job"
    assert "field/code" in described["components"]["schemas"]["Score"]["properties"]["reasons"]["description"]
    assert json.dumps(described)
