"""Questions about answers that are odd together: of a release from its recipe, or of the lender; never a refusal."""

import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from lenders import frame, written
from parts import NAMES, NO_USERS, choice, form_of, newest, number, sealed, some, visiting

from inference.application import Application
from inference.errors import BadRelease, BadSetting
from inference.languages import Words
from inference.questions import CONFIRMED, OPEN, Question, Questions
from inference.release import open_release
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger import cases
from ledger.ledger import Ledger
from models.own_loans import train_file
from models.recipe_file import read_recipe
from models.toml_file import BadFile
from web.desk.form import FormValues
from web.lender import EXAMPLE, questions_for, read_lender
from web.server import create_app

TEXT = {"en": "Is that right?", "fr": "Est-ce exact ?"}
TOLD = """\
[questions.amount_above_price]
field = "amount"
above = "price"
en = "The amount is above the price. Is that right?"
fr = "Le montant dépasse le prix. Est-ce exact ?"
[questions.expenses_above_income]
field = "expenses"
above = "income"
en = "The expenses are above the income. Is that right?"
fr = "Les charges dépassent les revenus. Est-ce exact ?"
"""
KEY = "f" * 32


def question(field: str = "a", above: str = "b", name: str = "odd") -> Question:
    return Question(name=name, field=field, above=above, text=Words(**TEXT))


FORM = form_of(number("a", optional=True), number("b", optional=True), choice("c", "x", "y"), number("d", unit=TEXT))
ANSWER = st.one_of(st.just(math.nan), st.floats(0, 1000))


@given(ANSWER, ANSWER)
def test_only_what_is_above_is_asked(a: float, b: float) -> None:
    """Equal answers raise no question, and neither does one that is not stated."""
    asked = Questions([question()], FORM).raised_by(Application((a, b, 0.0, 0.0)))
    assert bool(asked) == (not math.isnan(a) and not math.isnan(b) and a > b)


@pytest.mark.parametrize(
    ("questions", "problem"),
    [
        ([question(), question("a", "z", "other")], r"questions\[1\].above: one of the number fields is needed"),
        ([question("c")], r"questions\[0\].field: one of the number fields"),
        ([question("a", "a")], r"questions\[0\].above: another field with the unit of a"),
        ([question("a", "d")], r"questions\[0\].above: another field with the unit of a"),
        ([question(), question("b", "a")], r"questions\[1\].name: odd is there twice"),
    ],
)
def test_what_no_form_can_be_asked(questions: list[Question], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Questions(questions, FORM)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of a lender's own, whose recipe has questions."""
    folder = tmp_path_factory.mktemp("recipe")
    return train_file(written(folder, frame(), top=TOLD), folder / "out").release.folder


@pytest.fixture(scope="module")
def server(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Ledger, Any]]:
    settings = Settings(release=release, log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    file = tmp_path_factory.mktemp("asked") / "ledger.sqlite3"
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, settings, ledger)) as client:
        yield client, ledger, scorer.release.form


@pytest.mark.slow
def test_a_recipe_gives_its_questions_to_the_release(release: Path) -> None:
    """In the manifest, which the digest covers; a manifest with a question that fits no field is refused."""
    opened = open_release(release)
    assert [(asked.name, asked.field, asked.above) for asked in opened.manifest.questions] == [
        ("amount_above_price", "amount", "price"), ("expenses_above_income", "expenses", "income"),
    ]  # fmt: skip
    assert opened.manifest.questions[0].text["fr"].startswith("Le montant dépasse")


@pytest.mark.slow
def test_a_manifest_whose_question_fits_no_field(release: Path, tmp_path: Path) -> None:
    copy = tmp_path / release.name
    copy.mkdir()
    for file in some(release.iterdir()):
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["questions"][1]["above"] = "pay"
    with pytest.raises(BadRelease, match=r"questions\[1\].above"):
        open_release(sealed(copy, manifest))


@pytest.mark.parametrize("name", NAMES)
def test_embedded_releases_are_what_they_were(name: str) -> None:
    """They have no questions, and their manifests no place for them: one would be another release."""
    release = open_release(newest(name))
    assert release.manifest.questions == ()
    assert "questions" not in json.loads((release.folder / "manifest.json").read_bytes())


@pytest.mark.slow
def test_the_api_warns_and_refuses_nothing(server: Any) -> None:
    """In both languages; the same request again, by its key, warns again; a good application raises nothing."""
    client, _, form = server
    odd = {"answers": {**form.example, "amount": 1500, "price": 1400}}
    for _ in range(2):
        answer = client.post("/api/v1/score", json=odd, headers={"Idempotency-Key": "odd"})
        assert answer.status_code == 200
        (warning,) = answer.json()["warnings"]
        assert (warning["code"], warning["fields"]) == ("amount_above_price", ["amount", "price"])
        assert warning["text"]["en"] == "The amount is above the price. Is that right?"
    good = {"answers": form.example}
    batch = client.post("/api/v1/score:batch", json={"items": [odd, good]}).json()["items"]
    assert [len(item["warnings"]) for item in batch] == [1, 0]
    assert [asked["name"] for asked in client.get("/api/v1/release").json()["questions"]] == [
        "amount_above_price", "expenses_above_income",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_form_asks_and_the_answer_is_recorded(server: Any) -> None:
    """The score is there at once, with the question; the answer belongs to the same case, and to its page."""
    client, ledger, form = server
    values = FormValues(form, "fr", with_reference=True).values({**form.example, "expenses": 200, "income": 100})
    body = {"answers": dict(zip(form.names, values, strict=False)), "key": KEY}
    card = client.post("/fr/desk/score", json=body).text
    assert 'data-state="score"' in card
    assert "Les charges dépassent les revenus. Est-ce exact ?" in card
    assert card.count("data-confirm=") == 1
    body["confirmed"] = ["expenses_above_income", "amount_above_price", 3]
    card = client.post("/fr/desk/score", json=body).text
    assert "data-confirm=" not in card
    assert 'data-confirmed="expenses_above_income"' in card
    id = card.partition('data-record="')[2].partition('"')[0].rpartition("/")[2]
    with ledger.store.reading() as connection:
        case = cases.find(connection, id)
    assert case is not None
    scores = [event.questions for event in case.of_kind(type(case.first))]
    assert scores == [{"expenses_above_income": OPEN}, {"expenses_above_income": CONFIRMED}]
    assert 'data-confirmed="expenses_above_income"' in client.get(f"/fr/record/{id}").text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('field = "amount"', 'field = "amunt"', "questions.amount_above_price.field: a number of the form is needed"),
        ('above = "price"', 'above = "job"', "questions.amount_above_price.above: a number of the form is needed"),
        ('above = "price"', 'above = "amount"', "questions.amount_above_price.above: another field"),
        ('above = "price"\n', "", "questions.amount_above_price: above is missing"),
        ('above = "price"', 'above = "price"\nlimit = 3', "questions.amount_above_price.limit: limit means nothing"),
    ],
)
def test_a_recipe_says_where_a_question_is_wrong(old: str, new: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile) as refused:
        read_recipe(written(tmp_path, frame(), top=TOLD.replace(old, new, 1)))
    assert problem in str(refused.value)


@pytest.mark.slow
def test_a_lender_asks_of_a_release_without_questions(tmp_path: Path) -> None:
    """So an embedded release has them, too, as the example file shows; the other release stops the start."""
    file = tmp_path / "lender.toml"
    text = EXAMPLE.read_text("utf-8")
    shown = text[text.index("# [[questions]]") :].partition("\n\n")[0]
    file.write_text(text + "\n" + "\n".join(line.removeprefix("# ") for line in shown.splitlines()), "utf-8")
    lender, settings = read_lender(file), Settings(release=newest("consumer"), log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    with visiting(create_app(scorer, settings, None, lender)) as client:
        answers = {**scorer.release.form.example, "amount": 1500, "price": 1400}
        (warning,) = client.post("/api/v1/score", json={"answers": answers}).json()["warnings"]
        assert warning["code"] == "amount_above_price"
    with pytest.raises(BadSetting, match=r"lender.toml: questions\[0\].above: one of the number fields"):
        questions_for(lender, open_release(newest("sba")))
    twice = replace(lender, questions=(*lender.questions, *lender.questions))
    with pytest.raises(BadSetting, match=r"questions\[2\].name"):
        questions_for(twice, scorer.release)
