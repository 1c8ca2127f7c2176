"""A lender's rules and grades from its file: one outcome by page, API and file, recorded, replayed, in the letter."""

import csv
import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from book_files import applications, csv_text
from fastapi.testclient import TestClient
from lenders import CHOICES, NUMBERS, field, frame, written
from parts import NAMES, NO_USERS, newest, send, some, visiting

import tenfold
from inference.__main__ import card
from inference.errors import BadSetting
from inference.rules import REASON
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger import cases
from ledger.cases import Case
from ledger.ledger import Ledger
from ledger.replay import DIFFERENT, SAME, Replayer
from ledger.store import Store
from ledger.verify import verify
from models.own_loans import train_file
from web.arrow import score_in
from web.desk.form import FormValues
from web.lender import EXAMPLE, Lender, of_lender, read_lender, rules_for
from web.pages.texts import LANGUAGES, texts_in
from web.server import create_app

pytestmark = pytest.mark.slow  # most train a release or ask an app

EXAMPLE_RULES = re.search(r"# \[instalment\].*?\n\n", EXAMPLE.read_text("utf-8"), re.DOTALL)
BUSINESS_AGE = """
[[rules]]
code = "business_age"
kind = "number"
field = "business_age"
at_least = 2
outcome = "decline"
en = "Business younger than two years"
fr = "Entreprise de moins de deux ans"
"""
OF_SBA = "new_business"  # the example's rule that names a field of the other release


def lender_file(folder: Path, *left_out: str, limits: str = "") -> Path:
    """The examples with the rules that they show as comments, but those with a word that is left out."""
    assert EXAMPLE_RULES is not None
    shown = "".join(f"{line.removeprefix('# ')}\n" for line in EXAMPLE_RULES[0].splitlines())
    parts = [part for part in shown.split("[[rules]]") if not any(word in part for word in left_out)]
    file = folder / "lender.toml"
    file.write_text(f"{EXAMPLE.read_text('utf-8')}\n{'[[rules]]'.join(parts)}\n{limits}", "utf-8")
    return file


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    return read_lender(lender_file(tmp_path_factory.mktemp("lender"), OF_SBA))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return open_scorer(Settings(release=newest("consumer"), log=None, users=NO_USERS))


@pytest.fixture(scope="module")
def server(
    scorer: Scorer, lender: Lender, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Ledger]]:
    """A server with a ledger that is whole in the end, and whose scores are the same again."""
    file = tmp_path_factory.mktemp("rules") / "ledger.sqlite3"
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    with closing(Ledger(file)) as ledger, visiting(create_app(scorer, settings, ledger, lender)) as client:
        yield client, ledger
    with closing(Store(file)) as opened:
        assert verify(opened).problem is None


def example(scorer: Scorer, **answers: object) -> dict[str, object]:
    """An application that the model approves and the rules let pass, but for these answers."""
    good = {"home": "owner", "seniority": 15, "income": 300, "assets": 5000, "amount": 600, "term": 24}
    return {**scorer.release.form.example, **good, **answers}


def case_of(ledger: Ledger, id: str) -> Case:
    with ledger.store.reading() as connection:
        case = cases.find(connection, id)
    assert case is not None
    return case


def without_id(row: dict[str, object]) -> dict[str, object]:
    return {name: answer for name, answer in row.items() if name != "loan_id"}


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


APPLICATIONS: tuple[dict[str, Any], ...] = (
    {}, {"seniority": 0}, {"amount": 31_000, "price": 40_000, "income": 9000}, {"income": 80, "expenses": 79},
    {"income": 50, "expenses": 51}, {"income": "not_stated"}, {"prior_record": "yes", "seniority": 0, "income": 60},
)  # fmt: skip


def test_page_api_file_shell_and_arrow_have_one_outcome(
    server: Any, scorer: Scorer, lender: Lender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the model's decision is that of `Scorer.score`, whatever the rules say."""
    client, _ = server
    rows = [example(scorer, **answers) for answers in APPLICATIONS] + [without_id(row) for row in applications(60)]
    alone = [client.post("/api/v1/score", json={"answers": row}).json() for row in rows]
    batch = client.post("/api/v1/score:batch", json={"items": [{"answers": row} for row in rows]}).json()["items"]
    (tmp_path / "in.csv").write_text(csv_text(rows))
    given = ["--release", str(newest("consumer")), "--lender", str(lender.file), "--reasons", "all"]
    assert tenfold.main(["book", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), *given]) == 0
    with (tmp_path / "out.csv").open(newline="") as stream:
        book = list(csv.DictReader(stream))
    outcomes = [answer["outcome"] for answer in alone]
    assert set(outcomes) == {"approve", "refer", "decline"}
    assert outcomes == [answer["outcome"] for answer in batch] == [row["outcome"] for row in book]
    for row, answer, line in zip(rows, alone, book, strict=True):
        assert answer["decision"] == line["decision"] == scorer.score(row).decision
        broken = [rule["code"] for rule in answer["rules"] if rule["verdict"] == "broken"]
        assert broken == line["rules_broken"].split()
        assert [rule["code"] for rule in answer["rules"] if rule["verdict"] == "unknown"] == line[
            "rules_unknown"
        ].split()
        assert (answer["offer"]["grade"], answer["offer"]["instalment"]) == (line["grade"], float(line["instalment"]))
    capsys.readouterr()
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert tenfold.main(["score", str(tmp_path / "in.jsonl"), *given[:4]]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ruled = ("decision", "outcome", "rules", "offer")
    assert [{name: line[name] for name in ruled} for line in lines] == [
        {name: answer[name] for name in ruled} for answer in alone
    ]
    texts = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    batches = pa.Table.from_pylist(texts).to_batches()
    arrow = [row for batch in batches for row in score_in(batch, newest("consumer"), lender.file).to_pylist()]
    assert [row["problems"] for row in arrow] == [None] * len(rows)
    shared = ("decision", "outcome", "rules_broken", "rules_unknown", "grade")
    assert [[row[name] for name in shared] for row in arrow] == [[line[name] for name in shared] for line in book]
    for name in ("pd", "rate", "instalment"):
        assert [row[name] for row in arrow] == [float(line[name]) for line in book]
    values = FormValues(scorer.release.form, "en", with_reference=True)
    for row, outcome in zip(rows[:7], outcomes[:7], strict=True):
        shown = dict(zip(scorer.release.form.names, values.values(row), strict=False))
        contents = {name: None if row[name] == "not_stated" else value for name, value in shown.items()}
        card = client.post("/desk/score", json={"answers": contents}).text
        assert re.findall(r'class="card"[^>]* data-decision="(\w+)"', card) == [outcome]


def test_what_a_card_says(server: Any, scorer: Scorer) -> None:
    """Which rule said what, figure and limit, what the model alone suggests, the grade and how an instalment is
    computed; in both languages."""
    client, _ = server
    row = example(scorer, income=80, expenses=70)
    id = client.post("/api/v1/score", json={"answers": row}).json()["id"]
    for language, path in (("en", ""), ("fr", "/fr")):
        page, texts = words(client.get(f"{path}/record/{id}").text), texts_in(language)
        assert words(texts("result.title_outcome")) in page
        assert words(texts("rules.decline")) in page
        assert words(texts("rules.model", decision=texts(f"decision.{scorer.score(row).decision}"))) in page
        for said in {
            "en": (
                "Instalment too high for the income after expenses",
                "(at most 40 %)",
                "Years in the job: 15 years (at least 1 year)",
                "Grade A, 6 % a year",
                "26.59 money units a month, 24 times",
                "600 money units × i ÷ (1 − (1 + i)^−24)",
            ),
            "fr": (
                "Mensualité trop élevée au regard des revenus après charges",
                "(au plus 40 %)",
                "Classe A, 6 % par an",
            ),
        }[language]:
            assert said in page


def test_a_decline_by_a_rule_gives_its_reason(server: Any, scorer: Scorer) -> None:
    """The model approves, the rule declines: to decline is as suggested, to approve is an override that needs a reason,
    and the letter gives the lender's text."""
    client, ledger = server
    row = example(scorer, seniority=0)
    answer = client.post("/api/v1/score", json={"answers": row}).json()
    id = answer["id"]
    assert (answer["decision"], answer["outcome"]) == ("approve", "decline")
    reason = f"{REASON}/time_in_job"
    assert not send(client, id, "decide", {"decision": "approve", "name": "Ann"})
    assert not send(client, id, "decide", {"decision": "decline", "name": "Ann"})  # no reason is confirmed
    assert send(client, id, "decide", {"decision": "decline", "name": "Ann", "principal": reason})
    case = case_of(ledger, id)
    assert case.decision is not None
    assert (case.decision.suggested, case.decision.direction) == ("decline", "as_suggested")
    assert case.decision.reasons == (reason,)
    assert texts_in("en")("decide.same_rules") in words(client.get(f"/record/{id}").text)
    for language, text in (("en", "Less than one year in the job"), ("fr", "Moins d’un an dans l’emploi")):
        assert f"<li>{text}</li>" in client.get(f"/record/{id}/notice?lang={language}").text


def test_records_hold_what_was_said_and_are_the_same_again(server: Any, scorer: Scorer, tmp_path: Path) -> None:
    """Value and limit are in the part that can be erased; a record that was changed is found."""
    client, ledger = server
    ids = [client.post("/api/v1/score", json={"answers": example(scorer, **one)}).json()["id"] for one in APPLICATIONS]
    replayer = Replayer([scorer.release.folder], scorer)
    scores = [case_of(ledger, id).score for id in ids]
    assert [found.outcome for found in replayer.replay(some(scores))] == [SAME] * len(ids)
    for score in scores:
        assert score.outcome is not None
        assert score.ruling is not None
        tampered = [
            replace(score, outcome="approve" if score.outcome != "approve" else "decline"),
            replace(score, ruling={**score.ruling, "outcome": "none"}),
            replace(score, ruling={"outcome": score.outcome, "checks": 3}),
        ]
        for other in tampered:
            (found,) = replayer.replay([other])
            assert (found.outcome, [finding.kind for finding in found.findings]) == (DIFFERENT, ["ruling"])
    with closing(sqlite3.connect(ledger.store.path)) as connection:
        body, personal = connection.execute(
            "SELECT e.body, p.body FROM entries e JOIN personal p USING (seq) WHERE e.id = ?", [ids[1]]
        ).fetchone()
    assert json.loads(body)["outcome"] == "decline"
    assert "time_in_job" not in body
    (check,) = [check for check in json.loads(personal)["ruling"]["checks"] if check["rule"]["code"] == "time_in_job"]
    assert (check["value"], check["rule"]["at_least"], check["verdict"]) == (0, 1, "broken")


def test_the_release_gives_the_texts_of_the_rules(server: Any, lender: Lender) -> None:
    client, _ = server
    told = client.get("/api/v1/release").json()["lender"]
    assert [rule["code"] for rule in told["rules"]] == ["time_in_job", "exposure", "affordability"]
    assert all(set(rule["text"]) == set(LANGUAGES) for rule in some(told["rules"]))
    assert [grade["grade"] for grade in told["grades"]] == [grade.grade for grade in lender.rulebook.grades]


def test_a_score_in_the_shell_knows_the_lender(
    scorer: Scorer, lender: Lender, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TENFOLD_LENDER as by --lender; the card for a terminal says which rule is broken; without a lender's file the
    outcome is the decision, as the API has it."""
    given = ["--example", "--release", str(newest("consumer"))]
    monkeypatch.setenv("TENFOLD_LOG", "off")
    monkeypatch.delenv("TENFOLD_LENDER", raising=False)
    assert tenfold.main(["score", *given]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert (alone["outcome"], alone["rules"], alone["offer"]) == (alone["decision"], [], None)
    monkeypatch.setenv("TENFOLD_LENDER", str(lender.file))
    assert tenfold.main(["score", *given]) == 0
    by_environment = json.loads(capsys.readouterr().out)
    assert [rule["code"] for rule in by_environment["rules"]] == [rule.code for rule in lender.rulebook.rules]
    assert by_environment["offer"]["instalment"] > 0
    shown = card(scorer, scorer.score(example(scorer, seniority=0)), of_lender(lender, scorer.release))
    assert "With the lender's rules: DECLINE" in shown
    assert "rule time_in_job is broken: 0.0, limit 1" in shown
    assert re.search(r"Grade \w, [\d.]+% a year, 24 instalments of [\d.,]+\n", shown)


def test_without_rules_nothing_is_added(scorer: Scorer, tmp_path: Path) -> None:
    """The outcome is the decision, records are as they were, and a file has no columns more."""
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger)) as client,
    ):
        answer = client.post("/api/v1/score", json={"answers": scorer.release.form.example}).json()
        score = case_of(ledger, answer["id"]).score
    assert (answer["outcome"], answer["rules"], answer["offer"]) == (answer["decision"], [], None)
    assert (score.outcome, score.ruling, score.suggested) == (None, None, score.decision)
    (tmp_path / "in.csv").write_text(csv_text(applications(5)))
    assert tenfold.main(["book", str(tmp_path / "in.csv"), str(tmp_path / "out.csv")]) == 0
    assert "outcome" not in (tmp_path / "out.csv").read_text().splitlines()[0]
    assert "lender" not in json.loads((tmp_path / "out.csv.parts" / "manifest.json").read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_for_another_release_stops_the_start(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file, the path in it, and what the release has; so does `tenfold book`, before it scores anything."""
    settings = Settings(release=newest(name), log=None, users=NO_USERS)
    file = lender_file(tmp_path)  # with rules for both releases
    scorer, lender = open_scorer(settings), read_lender(file)
    path = "rules[1].field" if name == "consumer" else "rules[0].field"
    with pytest.raises(BadSetting) as refused:
        create_app(scorer, settings, None, lender)
    assert str(refused.value).startswith(f"TENFOLD_LENDER: {file}: {path}: this release has no field ")
    assert scorer.release.name in str(refused.value)
    (tmp_path / "in.csv").write_text("amount\n1\n")
    given = ["--release", str(newest(name)), "--lender", str(file)]
    assert tenfold.main(["book", str(tmp_path / "in.csv"), str(tmp_path / "out"), *given]) == 1
    assert path in capsys.readouterr().err
    assert tenfold.main(["score", "--example", *given]) == 1
    assert path in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_other_release_has_rules_too(tmp_path: Path) -> None:
    """A young business, by a choice; instalments over a fixed number of months."""
    settings = Settings(release=newest("sba"), log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    file = lender_file(tmp_path, "time_in_job", "affordability")
    file.write_text(file.read_text("utf-8").replace('term = "term"', "months = 84"), "utf-8")
    rules = rules_for(read_lender(file), scorer.release)
    assert rules is not None
    score = scorer.score({**scorer.release.form.example, "new_business": "yes", "guaranteed_share": 75})
    ruling = rules.judge(score.application, score.pd, "approve")
    assert [(check.rule.code, check.value, check.verdict) for check in ruling.checks] == [
        ("new_business", "yes", "broken"), ("exposure", 37_500, "broken"),
    ]  # fmt: skip
    assert ruling.offer is not None
    assert ruling.offer.months == 84


def rule(*lines: str) -> str:
    """A rule with a code, and these lines of its own."""
    return "\n".join(["[[rules]]", "code = 'x'", *lines])


TEXTS = "en = 'a'\nfr = 'b'"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (rule(), "rules[0]: Object missing required field `kind`"),
        (rule("kind = 'number'", "outcome = 'decline'", "field = 'amount'", TEXTS), "rules[0]: either at_least"),
        (rule("kind = 'exposure'", "outcome = 'deny'", "at_most = 1", TEXTS), "rules[0].outcome: Invalid enum"),
        (rule("kind = 'exposure'", "outcome = 'refer'", "at_most = 1", "en = 'a'"), "'fr' is missing"),
        (rule("kind = 'exposure'", "outcome = 'refer'", "at_most = 1", "most = 2", TEXTS), "unknown field `most`"),
        ("[[grades]]\ngrade = 'A'\npd_below = 0.5\nrate = 0.1", "grades[0].pd_below: the last grade ends at 1"),
        ("[[grades]]\ngrade = 'A'\npd_below = 1\nrate = 12", "grades[0]: rate: a yearly rate"),
        ("[instalment]\nmonths = 12", "instalment: a rate is needed"),
        ("rules = 3", "web/lender.toml shows a whole file"),
    ],
)
def test_a_file_that_cannot_be_read(line: str, problem: str, tmp_path: Path) -> None:
    """Each with its path."""
    file = tmp_path / "lender.toml"
    text = EXAMPLE.read_text("utf-8")
    file.write_text(f"{line}\n{text}" if line.startswith("rules") else f"{text}\n{line}\n", "utf-8")
    with pytest.raises(BadSetting) as refused:
        read_lender(file)
    assert str(refused.value).startswith(f"TENFOLD_LENDER: {file}: ")
    assert problem in str(refused.value)


def test_a_minimum_age_of_the_business(tmp_path: Path) -> None:
    """A lender's own release asks for it: the form asks, the rule of its file judges, and page, API and file have one
    outcome beside the model's decision."""
    age = field("seniority").replace("[fields.seniority]", "[fields.business_age]")
    asked = [field(name) for name in (*NUMBERS, *CHOICES) if name != "seniority"]
    recipe = written(tmp_path, frame(), fields=[*asked, age.replace("Years in the job", "Age of the business")])
    release = train_file(recipe, tmp_path / "out").release.folder
    file = tmp_path / "lender.toml"
    file.write_text(f"{EXAMPLE.read_text('utf-8')}\n{BUSINESS_AGE}", "utf-8")
    settings = Settings(release=release, log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    rows: list[dict[str, Any]] = [
        {**scorer.release.form.example, "home": "owner", "income": 300, "assets": 5000, "amount": 600, "term": 24,
         "prior_record": record, "business_age": years}
        for record in ("no", "yes") for years in (0, 1, 2, 3, 40)
    ]  # fmt: skip
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, read_lender(file))) as client,
    ):
        assert "Age of the business" in client.get("/").text
        answers = [client.post("/api/v1/score", json={"answers": row}).json() for row in rows]
        cards = [client.post("/desk/score", json={"answers": {**row, "term": "24"}}).text for row in rows]
        page = words(client.get(f"/record/{answers[1]['id']}").text)
    (tmp_path / "in.csv").write_text(csv_text(rows))
    given = ["--release", str(release), "--lender", str(file)]
    assert tenfold.main(["book", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), *given]) == 0
    with (tmp_path / "out.csv").open(newline="") as stream:
        book = list(csv.DictReader(stream))
    decisions = [scorer.score(row).decision for row in rows]
    assert "approve" in decisions
    expected = ["decline" if row["business_age"] < 2 else said for row, said in zip(rows, decisions, strict=True)]
    assert [answer["decision"] for answer in answers] == [line["decision"] for line in book] == decisions
    assert [answer["outcome"] for answer in answers] == [line["outcome"] for line in book] == expected
    shown = [re.findall(r'class="card"[^>]* data-decision="(\w+)"', card) for card in cards]
    assert shown == [[outcome] for outcome in expected]
    assert [line["rules_broken"] for line in book] == ["business_age", "business_age", "", "", ""] * 2
    assert "Business younger than two years" in page
