"""Searching a long list of codes: words in any order and form, codes, and what was used last."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from parts import NO_USERS, newest, some, visiting
from test_accounts import PASSWORD, QUICK

from inference.fields import ChoiceField
from inference.release import open_release
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger.ledger import Ledger
from web.desk.choice_search import MOST_SHOWN, ChoiceSearch, stem
from web.pages.answers import offered
from web.pages.texts import LANGUAGES, texts_in
from web.security.accounts import Accounts

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def industries() -> ChoiceField:
    (field,) = [field for field in open_release(newest("sba")).form.fields if getattr(field, "digits", None)]
    assert isinstance(field, ChoiceField)
    return field


def found(field: ChoiceField, typed: str, language: str = "en") -> list[str]:
    return [entry.text for entry in ChoiceSearch(field, texts_in(language)).search(typed)]


@pytest.mark.parametrize(
    ("typed", "language", "wanted"),
    [
        ("bakery", "en", ["311811 — Retail Bakeries", "311812 — Commercial Bakeries", "445291 — Baked Goods Stores"]),
        ("Bakeries", "en", ["311811 — Retail Bakeries", "311812 — Commercial Bakeries"]),
        ("bakery retail", "en", ["311811 — Retail Bakeries"]),
        ("retail baker", "en", ["311811 — Retail Bakeries"]),
        ("311811", "en", ["311811 — Retail Bakeries"]),
        ("boulangerie", "fr", ["311811 — Boulangeries de détail", "311812 — Boulangeries commerciales",
                               "445291 — Magasins de produits de boulangerie et de pâtisserie"]),
        ("DETAIL boulangeries", "fr", ["311811 — Boulangeries de détail"]),
        ("patisserie magasin", "fr", ["445291 — Magasins de produits de boulangerie et de pâtisserie"]),
    ],
)  # fmt: skip
def test_words_in_any_order_and_form(industries: ChoiceField, typed: str, language: str, wanted: list[str]) -> None:
    """All that was meant is there, and nothing else stands before it."""
    assert set(wanted) <= set(found(industries, typed, language)[: len(wanted) + 1])


def test_every_word_must_be_there(industries: ChoiceField) -> None:
    assert found(industries, "bakery zzz") == []
    assert found(industries, "") == found(industries, " ,; ") == []
    both = set(found(industries, "retail bakery"))
    assert both == set(found(industries, "bakery retail"))
    assert both <= set(found(industries, "retail")) & set(found(industries, "bakery"))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_choice_is_found_by_its_title_and_its_code(industries: ChoiceField, language: str) -> None:
    """By its words turned round too; the code alone has it first."""
    search = ChoiceSearch(industries, texts_in(language))
    for text, code in some(offered(industries, language))[::25]:
        assert search.search(code)[0].code == code
        assert code in {entry.code for entry in search.search(text)}
        assert code in {entry.code for entry in search.search(" ".join(reversed(text.split())))}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("bakery", "bakeries", "baker", "bakers", "baked")),
        ("en", ("restaurant", "restaurants")),
        ("en", ("truck", "trucks", "trucking")),
        ("fr", ("boulangerie", "boulangeries", "boulanger", "boulangers")),
        ("fr", ("animal", "animaux")),
        ("fr", ("hotel", "hotels")),
    ],
)
def test_forms_of_a_word_have_one_stem(language: str, words: tuple[str, ...]) -> None:
    assert len({stem(word, language) for word in words}) == 1


def test_codes_and_short_words_keep_their_end() -> None:
    assert [stem(word, "en") for word in ("3111", "gas", "by")] == ["3111", "gas", "by"]


def test_a_long_result_says_how_many_more(industries: ChoiceField) -> None:
    search = ChoiceSearch(industries, texts_in("en"))
    view = search.view("manufacturing", [])
    assert view is not None
    assert len(view.choices) == MOST_SHOWN
    assert view.more == texts_in("en")("search.more", count=len(search.search("manufacturing")) - MOST_SHOWN)
    nothing = search.view("zzz", [])
    assert nothing is not None
    assert (nothing.choices, nothing.heading) == ((), texts_in("en")("search.nothing"))
    assert search.view("", []) is None
    assert search.view("", ["000000"]) is None


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(release=newest("sba"), log=None, users=NO_USERS)


def codes(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return re.findall(r'data-code="(\d+)"', answer.text)


@pytest.mark.slow
def test_without_login_only_this_tab_is_remembered(settings: Settings, tmp_path: Path) -> None:
    """What the tab sends, in its order; the ledger's scores belong to nobody in particular."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    scorer = open_scorer(settings)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger)) as client,
    ):
        client.post("/api/v1/score", json={"answers": scorer.release.form.example})
        ask = {"field": "naics", "text": ""}
        assert codes(client.post("/desk/search", json=ask)) == []
        used = ["722110", "311811", "722110", "nonsense", 3]
        answer = client.post("/fr/desk/search", json={**ask, "used": used})
        assert codes(answer) == ["722110", "311811"]
        assert texts_in("fr")("search.last_used") in answer.text
        assert codes(client.post("/desk/search", json={"field": "naics", "text": "retail bakery"})) == ["311811"]
        for body in (
            {},
            {"field": "amount"},
            {"field": "state"},
            {"field": 3, "text": 3},
            {"field": "naics", "used": 3},
        ):
            assert client.post("/desk/search", json=body).text == ""


@pytest.fixture
def people(tmp_path: Path) -> Iterator[Accounts]:
    with closing(Accounts(tmp_path / "users.sqlite3", hasher=QUICK)) as accounts:
        for name in ("ann", "bob"):
            accounts.add_user(name, "officer", PASSWORD)
        yield accounts


@pytest.mark.slow
def test_who_is_logged_in_has_their_own(settings: Settings, people: Accounts, tmp_path: Path) -> None:
    """From the scores that the ledger holds by them, the newest first, and not those of others."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    scorer = open_scorer(settings)
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        app = create_app(scorer, settings, ledger, accounts=people)
        for name, used in (("ann", ["311811", "722110", "311811"]), ("bob", [])):
            with visiting(app, headers={"Origin": HERE}) as client:
                assert client.post("/desk/search", json={"field": "naics", "text": ""}).status_code == 401
                client.post("/login", data={"name": name, "password": PASSWORD})
                for code in used:
                    answers = {**scorer.release.form.example, "naics": code}
                    assert client.post("/api/v1/score", json={"answers": answers}).status_code == 200
                listed = codes(client.post("/desk/search", json={"field": "naics", "text": ""}))
                assert listed == list(dict.fromkeys(reversed(used)))
