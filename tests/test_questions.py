"""Questions about answers that are odd together: of a release from its recipe, or of the lender; never a refusal."""

import csv
import json
import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from book_files import csv_text
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from lenders import frame, written
from parts import NAMES, NO_USERS, choice, form_of, newest, number, sealed, some, visiting
from test_batch import BOOK, send, until
from test_lender_rules import example, lender_file

import tenfold
from inference.application import Application
from inference.book.batches import BatchScorer
from inference.book.errors import OtherRun
from inference.book.parts import RunFolder
from inference.book.run import Book
from inference.book.sources import Told, open_source
from inference.engines import open_engine
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
from web.arrow import score_in
from web.batch.jobs import DONE, FAILED
from web.desk.form import FormValues
from web.lender import EXAMPLE, of_lender, questions_for, read_lender
from web.server import create_app, open_jobs

pytestmark = pytest.mark.slow  # most train a release or ask an app

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
EXAMPLE_TEXT = EXAMPLE.read_text("utf-8")
SHOWN = EXAMPLE_TEXT[EXAMPLE_TEXT.index("# [[questions]]") :].partition("\n\n")[
    0
]  # by the file that comes with Tenfold
ASKED_BY_LENDER = "\n" + "".join(f"{line.removeprefix('# ')}\n" for line in SHOWN.splitlines())
ASKED = ("amount_above_price", "expenses_above_income")


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


def test_a_recipe_gives_its_questions_to_the_release(release: Path) -> None:
    """In the manifest, which the digest covers; a manifest with a question that fits no field is refused."""
    opened = open_release(release)
    assert [(asked.name, asked.field, asked.above) for asked in opened.manifest.questions] == [
        ("amount_above_price", "amount", "price"), ("expenses_above_income", "expenses", "income"),
    ]  # fmt: skip
    assert opened.manifest.questions[0].text["fr"].startswith("Le montant dépasse")


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


ODD: tuple[dict[str, object], ...] = (
    {}, {"amount": 1500, "price": 1400}, {"income": 100, "expenses": 120},
    {"amount": 1500, "price": 1400, "income": 100, "expenses": 120}, {"seniority": 0}, {"assets": 250_000},
    {"income": "not_stated"},
)  # fmt: skip
SAME = ("decision", "outcome", "rules", "offer", "warnings", "unusual", "pd", "points")


def test_page_api_shell_files_and_arrow_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of applications that raise a question, break a rule, cannot be judged, or are unusual: outcome, rules, warnings,
    and what is unusual."""
    file = lender_file(tmp_path, "new_business")
    file.write_text(file.read_text("utf-8") + ASKED_BY_LENDER, "utf-8")
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS, batch=tmp_path / "files")
    scorer = open_scorer(settings)
    rows = [example(scorer, **answers) for answers in ODD]
    text = csv_text(rows)
    (tmp_path / "in.csv").write_text(text)
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lender = read_lender(file)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        closing(open_jobs(scorer, settings, lender)) as jobs,
        visiting(create_app(scorer, settings, ledger, lender, jobs=jobs)) as client,
    ):
        answers = [client.post("/api/v1/score", json={"answers": row}).json() for row in rows]
        cards = []
        for row in rows:
            values = FormValues(scorer.release.form, "en", with_reference=True).values(row)
            shown = dict(zip(scorer.release.form.names, values, strict=False))
            typed = {name: None if row[name] == "not_stated" else value for name, value in shown.items()}
            cards.append(client.post("/desk/score", json={"answers": typed}).text)
        id = send(client, "in.csv", text.encode())["id"]
        assert until(client, id, DONE, FAILED)["state"] == DONE
        by_api = client.get(f"{BOOK}/{id}/result").content
    asked = [[warning["code"] for warning in answer["warnings"]] for answer in answers]
    assert asked == [[], *([name] for name in ASKED), list(ASKED), [], [], []]
    assert {answer["outcome"] for answer in answers} == {"approve", "refer", "decline"}
    assert any(answer["unusual"] for answer in answers)
    assert [re.findall(r'data-confirm="(\w+)"', card) for card in cards] == asked
    assert [re.findall(r'class="card"[^>]* data-decision="(\w+)"', card) for card in cards] == [
        [answer["outcome"]] for answer in answers
    ]
    given = ["--release", str(newest("consumer")), "--lender", str(file)]
    capsys.readouterr()
    assert tenfold.main(["score", str(tmp_path / "in.jsonl"), *given]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{name: line[name] for name in SAME} for line in lines] == [
        {name: answer[name] for name in SAME} for answer in answers
    ]
    assert tenfold.main(["book", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), *given]) == 0
    book = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert (tmp_path / "out.csv").read_bytes() == by_api
    texts = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    (batch,) = pa.Table.from_pylist(texts).to_batches()
    arrow = score_in(batch, newest("consumer"), file).to_pylist()
    for answer, names, line, cells in zip(answers, asked, book, arrow, strict=True):
        unusual = " ".join(answer["unusual"])
        assert (line["questions"], line["outcome"], line["unusual"]) == (" ".join(names), answer["outcome"], unusual)
        assert (cells["questions"], cells["outcome"], cells["unusual"]) == (" ".join(names), answer["outcome"], unusual)


def test_a_record_of_a_file_knows_the_questions(tmp_path: Path) -> None:
    """Its digest of the lender's file is another one with a question, and is that of the rules alone without."""
    release = open_release(newest("consumer"))
    file = lender_file(tmp_path, "new_business")
    plain = of_lender(read_lender(file), release)
    assert plain.rules is not None
    assert plain.digest == plain.rules.book.digest
    file.write_text(file.read_text("utf-8") + ASKED_BY_LENDER, "utf-8")
    asking = of_lender(read_lender(file), release)
    assert asking.digest not in (None, plain.digest)
    assert asking._replace(rules=None).digest not in (None, asking.digest)
    assert asking._replace(rules=None, questions=()).digest is None


def test_a_run_begun_before_files_had_questions_is_another_run(tmp_path: Path) -> None:
    """Of a release that asks: the parts that are whole lack the column, and the rest would have it."""
    release = open_release(newest("consumer"))
    asks = question("amount", "price")
    asking = replace(release, manifest=msgspec.structs.replace(release.manifest, questions=(asks,)))
    (tmp_path / "in.csv").write_text(csv_text([release.form.example]))
    source, folder = open_source(str(tmp_path / "in.csv"), release.form, {}, Told()), RunFolder(tmp_path / "out", "csv")
    before, now = (
        Book(BatchScorer(one, open_engine("xgboost", one)), source, {}, folder).manifest() for one in (release, asking)
    )
    folder.begin(before, resume=False)
    folder.close()
    with pytest.raises(OtherRun, match=r"output\.questions"):
        folder.begin(now, resume=True)
    folder.close()


def test_a_lender_asks_of_a_release_without_questions(tmp_path: Path) -> None:
    """So an embedded release has them, too, as the example file shows; the other release stops the start."""
    file = tmp_path / "lender.toml"
    file.write_text(EXAMPLE_TEXT + ASKED_BY_LENDER, "utf-8")
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
