"""A lender's own release: from its file, whatever shape it has, to a folder that serves; and what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lenders import CHOICES, MODEL, NUMBERS, field, frame, written
from msgspec.json import encode
from parts import newest, sampler, some
from workbooks import write_xlsx

from inference.engines import XGBoostEngine
from inference.release import open_release
from inference.scorer import Scorer
from models.commands import main
from models.evaluation import ALL_COLUMNS, REAL_TIME, RELEASE, SCORECARD
from models.lender_loans import load_loans
from models.model_card.lender_parts import lead
from models.own_loans import Refused, parted, train_file
from models.recipe import Lender
from models.recipe_file import read_recipe
from models.recipes.consumer import RECIPE
from models.recipes.sba import RECIPE as SBA
from models.toml_file import BadFile
from models.train import folds, prepared

ROWS = "4c959322061369626cb098aa56b5e36d75ac3ec0194b80843175460949c1e3c1"  # as the Python recipe built them


def manifest_of(folder: Path) -> Any:
    """What a release says of itself, as JSON has it."""
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_the_consumer_recipe_in_toml_builds_the_same_rows() -> None:
    """Bit for bit the rows that the embedded release was trained on, and its fields, features and policy."""
    fields, _, _, sample = prepared(RECIPE)
    assert hashlib.sha256(sample.rows.tobytes()).hexdigest() == ROWS
    manifest = manifest_of(newest("consumer"))
    assert json.loads(json.dumps(fields)) == manifest["fields"]
    assert json.loads(encode(RECIPE.features)) == manifest["features"]
    assert {**RECIPE.policy, "rare_below": RECIPE.rare_below} == manifest["policy"]
    assert RECIPE.points == manifest["points"]
    assert RECIPE.parameters == manifest["training"]["parameters"]
    assert {one["name"]: RECIPE.constraint(one["name"]) for one in manifest["columns"]} == {
        one["name"]: one["monotone"] for one in some(manifest["columns"])
    }


def test_the_small_business_recipe_says_what_its_release_holds() -> None:
    """Words, form, features and policy of sba.toml and its small source are those of the embedded release."""
    manifest = manifest_of(newest("sba"))
    assert len(SBA.fields) == len(manifest["fields"]) == 10
    counted = ("usual", "typical", "reference", "choices")
    for said, held in zip(SBA.fields, manifest["fields"], strict=True):
        assert {key: one for key, one in said.items() if key not in counted} == {
            key: one for key, one in held.items() if key not in counted
        }
        assert [one["code"] for one in said.get("choices", ())] == [one["code"] for one in held.get("choices", ())]
    assert json.loads(encode(SBA.features)) == manifest["features"]
    assert {**SBA.policy, "rare_below": SBA.rare_below} == manifest["policy"]
    assert SBA.parameters == manifest["training"]["parameters"]
    assert (SBA.title, SBA.notice, SBA.points) == (manifest["title"], manifest["notice"], manifest["points"])
    assert {one["name"]: SBA.constraint(one["name"]) for one in manifest["columns"]} == {
        one["name"]: one["monotone"] for one in some(manifest["columns"])
    }


def sources(tmp_path: Path, kind: str) -> tuple[pd.DataFrame, str]:
    """The consumer credits in a file of some kind, and the `read` that says so."""
    data = frame()
    file = tmp_path / "loans"
    comma = data.map(lambda cell: cell.replace(".", ","))
    if kind == "german":
        text = "Kreditbestand\n\n" + comma.to_csv(index=False, sep=";") + "Summe;;;;;;;;;;\n"
        file.write_bytes(text.encode("cp1252"))
        return data, '{ encoding = "cp1252", separator = ";", decimal = ",", skip = 2, skip_end = 1 }'
    if kind == "french":
        file.write_bytes(comma.to_csv(index=False, sep=";").encode("utf-8-sig"))
        return data, '{ encoding = "utf-8-sig", separator = ";", decimal = "," }'
    if kind == "utf-16":
        file.write_bytes(data.to_csv(index=False, sep="\t").encode("utf-16"))
        return data, '{ encoding = "utf-16", separator = "\\t" }'
    if kind == "excel":
        rows = [[float(cell) if cell.replace(".", "").isdigit() else cell for cell in row] for row in data.to_numpy()]
        write_xlsx(file, {"Notes": [["x"]], "Loans": [["Portfolio"], list(data.columns), *rows]})
        return data, '{ format = "excel", sheet = "Loans", skip = 1 }'
    data.to_parquet(file)
    return data, '{ format = "parquet" }'


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["german", "french", "utf-16", "excel", "parquet"])
def test_the_same_loans_come_out_of_any_file(tmp_path: Path, kind: str) -> None:
    """Titles, totals, separators, encodings, decimal signs: as `read` says, and nothing is lost."""
    data, reading = sources(tmp_path, kind)
    recipe = read_recipe(written(tmp_path, data, name="loans", loans=f"read = {reading}", save=False))
    loaded = load_loans(recipe)
    assert len(loaded.loans) == len(data) == 4452
    assert loaded.left_out == loaded.undecided == {}
    expected = RECIPE.load()
    for name in some(expected.answers):
        assert loaded.loans.answers[name] == expected.answers[name], name
    assert (loaded.loans.bad == expected.bad).all()


def test_what_the_form_could_not_give_is_left_out_and_counted(tmp_path: Path) -> None:
    """Each loan once, by its first reason; a status that is neither good nor bad is counted apart."""
    data = frame()
    data.loc[:9, "amount"] = "99999999"
    data.loc[10:14, "term"] = "soon"
    data.loc[15:17, "expenses"] = ""
    data.loc[18:19, "job"] = "astronaut"
    data.loc[20:20, "term"] = "12.5"
    data.loc[30:39, "bad"] = "current"
    loaded = load_loans(read_recipe(written(tmp_path, data)))
    assert loaded.left_out == {
        "amount: outside 10 to 50,000": 10, "term: no number": 5, "term: not whole": 1, "expenses: not stated": 3,
        "job: none of its choices": 2,
    }  # fmt: skip
    assert loaded.undecided == {"current": 10}
    assert len(loaded.loans) == len(data) - 31


def test_more_than_a_fiftieth_left_out_asks(tmp_path: Path) -> None:
    """Training stops with the reasons; words in the recipe let it go on."""
    data = frame()
    data.loc[:200, "amount"] = "99999999"
    with pytest.raises(BadFile, match=r"4\.5% of the loans.*amount: outside 10 to 50,000 \(201\).*accept_left_out"):
        load_loans(read_recipe(written(tmp_path, data)))
    assert (
        load_loans(read_recipe(written(tmp_path, data, loans='accept_left_out = "a data entry error"'))).share_left_out
        > 0.02
    )


@pytest.mark.parametrize(("outside", "expected"), [("clip", 50_000.0), ("not_stated", None)])
def test_an_answer_outside_becomes_what_the_recipe_says(tmp_path: Path, outside: str, expected: object) -> None:
    """The end of the range, or not stated; and a code for "not stated" is read as that."""
    data = frame()
    data.loc[:2, "amount"] = ["99999999", "98", "1000"]
    more = f'outside = "{outside}"\noptional = true\nnot_stated = [98]\n'
    fields = [field("amount", more=more), field("term")]
    rest = [name for name in (*NUMBERS, *CHOICES) if name not in ("amount", "term")]
    listed = ", ".join(f'{{ column = "{name}", why = "not needed" }}' for name in rest)
    loaded = load_loans(read_recipe(written(tmp_path, data, fields=fields, loans=f"leave_out = [{listed}]")))
    assert loaded.loans.answers["amount"][:3] == [expected, None, 1000.0]


def test_a_column_is_dropped_only_with_a_reason(tmp_path: Path) -> None:
    """The error holds the lines to write."""
    data = frame()
    data["shoe"] = "42"
    with pytest.raises(BadFile, match='column = "shoe", why = "ASK"'):
        load_loans(read_recipe(written(tmp_path, data)))


def test_another_file_than_the_one_drafted_from_is_refused(tmp_path: Path) -> None:
    """By its sha256, with the one it has now."""
    file = written(tmp_path, frame(), loans=f'sha256 = "{"0" * 64}"')
    found = hashlib.sha256((tmp_path / "loans.csv").read_bytes()).hexdigest()
    with pytest.raises(BadFile, match=rf"line \d+: loans.sha256: loans.csv is another file now: its sha256 is {found}"):
        load_loans(read_recipe(file))


@pytest.fixture(scope="module")
def undated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A release with a column to look at and one that is not asked, trained by the command."""
    folder = tmp_path_factory.mktemp("undated")
    data = frame()
    data["gender"] = np.random.default_rng(0).choice(["f", "m"], len(data))
    fields = [field(name) for name in (*NUMBERS, *CHOICES) if name != "assets"]
    file = written(
        folder, data, fields=fields,
        loans='look_at = ["gender"]\nnot_asked = [{ column = "assets", why = "nobody knows them" }]',
        top="[card]\nintended_use = \"Credits up to 50,000 in our branches\"\nowner = \"Ada\"\napprover = \"Bob\"\n"
        "validated = 2026-11-20\nnext_review = 2027-11-20\n[draft]\nnested_auc = 0.823\ninterval = [0.81, 0.836]",
    )  # fmt: skip
    assert main(["train", str(file), "--out", str(folder / "releases")]) == 0
    (made,) = (folder / "releases").iterdir()
    return made


@pytest.mark.slow
def test_a_trained_release_serves(undated: Path) -> None:
    """Opened by its digest, its golden applications score as it says, within the lender's folder and nowhere else."""
    release = open_release(undated)
    scorer = Scorer(release, XGBoostEngine(release), process=sampler())
    for one in some(manifest_of(undated)["golden"]):
        assert scorer.score(one["answers"]).pd == pytest.approx(one["pd"], abs=1e-9)
    assert manifest_of(undated)["training"]["loans"] == 4452
    assert manifest_of(undated)["origin"] == {"by": "Ada"}  # the recipe names no maker: its owner counts


@pytest.mark.slow
def test_the_yardstick_and_the_groups_are_in_the_manifest(undated: Path) -> None:
    """What all columns give stands beside the release; groups of the column that was looked at are both measured."""
    metrics = manifest_of(undated)["training"]["metrics"]
    assert [row["model"] for row in metrics["table"]] == [RELEASE, ALL_COLUMNS]
    (gender,) = metrics["groups"]
    assert [row["group"] for row in gender["groups"]] == ["f", "m"]
    assert max(row["ratio"] for row in gender["groups"]) == 1
    assert {answer["field"] for answer in metrics["directions"]["answers"]} == {"income", "seniority"}
    assert all(answer["worst"] == 0 for answer in some(metrics["directions"]["answers"]))


@pytest.mark.slow
def test_the_card_speaks_as_the_lenders(undated: Path) -> None:
    """The nested figure leads; owner, approver and dates; its own use; nothing of a demonstration."""
    card = (undated / "MODEL_CARD.md").read_text("utf-8")
    assert card.index("AUC to expect: 0.823") < card.index("## Model details")
    for text in ("- Owner: Ada", "- Approved by: Bob", "- Validated: 2026-11-20", "- Next review: 2027-11-20",
                 "Credits up to 50,000 in our branches", "All figures hold for loans that were approved",
                 "`assets` | by the model of all columns | nobody knows them", "seen over: 24 months"):  # fmt: skip
        assert text in card, text
    for text in ("make train", "Not for** decisions about real applicants", "a lender must put its own"):
        assert text not in card, text


NESTED = "with the fields chosen anew inside each fold"


@pytest.mark.parametrize(
    ("own", "leads"),
    [
        (0.840, f"**AUC to expect: 0.823** (95 % interval 0.810–0.836), {NESTED}. With the fields as they are"),
        (0.810, "**AUC to expect: 0.810 at most**, on loans that this model had not seen, with its fields as they are. "
                f"The draft’s own models, {NESTED}, gave 0.823 (95 % interval 0.810–0.836)"),
    ],
)  # fmt: skip
def test_the_lower_figure_leads(own: float, leads: str) -> None:
    """The nested one where the release's own flatters; the release's own where the draft's models were better."""
    draft = {"nested_auc": 0.823, "interval": [0.81, 0.836]}
    lender = Lender(
        file="f", sha256="0", lines=1, left_out={}, undecided={}, horizon="", declined=True, never_used={},
        not_asked={}, look_at=(), not_prohibited={}, draft=draft, intended_use="", owner="", approver="", validated="",
        next_review="", accepted={},
    )  # fmt: skip
    rows = [{"model": RELEASE, "sample": "5 × 5 folds", "auc": own, "intervals": {}}]
    assert lead(lender, rows).startswith(leads)


@pytest.mark.slow
def test_a_second_training_keeps_the_first_release(undated: Path) -> None:
    """Another recipe of that name goes beside it."""
    recipe = undated.parents[1] / "own.toml"
    before = {file.name: file.read_bytes() for file in undated.iterdir()}
    recipe.write_text(recipe.read_text("utf-8").replace("trees = 25", "trees = 20"), "utf-8")
    assert main(["train", str(recipe), "--out", str(undated.parent)]) == 0
    assert len(list(undated.parent.iterdir())) == 2
    assert {file.name: file.read_bytes() for file in undated.iterdir()} == before


DATED = 'date = "issued"\nread = { dates = "%Y-%m-%d" }\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loans", "split", "default"),
    [
        ('group = "customer"\ndefault_date = "defaulted"\n', 'test_from = "2023-01"', True),
        ('group = "customer"\nleave_out = [{ column = "defaulted", why = "after the fact" }]\n', "", False),
    ],
)
def test_later_loans_judge(tmp_path: Path, loans: str, split: str, default: bool) -> None:
    """From `test_from` on, or the last quarter by time; with and without dates of default; a customer on one side."""
    made = train_file(written(tmp_path, frame(dated=True), loans=DATED + loans, split=split), tmp_path / "out")
    start, _, end = made.trained.recipe.window or (0, 0, 0)
    if default:
        assert end == 12 * 2023
    late = made.trained.loans.months >= end
    share = late.sum() / len(made.loaded.loans)
    assert 0.05 < share < 0.3
    rows = {row["sample"]: row for row in made.report.rows if row["model"] == RELEASE}
    assert len(rows) == 1
    assert next(iter(rows.values()))["loans"] == late.sum()
    people = made.trained.loans.people
    assert people is not None
    assert not set(people[late]) & set(people[~late])
    lender = made.trained.recipe.lender
    assert lender is not None
    assert lender.same_people == len(made.loaded.loans) - len(made.trained.loans) > 100
    assert any(row["model"] == REAL_TIME.format(24) for row in made.report.rows) == default
    assert start == 12 * 2020
    assert "later loans" in (made.release.folder / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.slow
def test_without_enough_loans_to_calibrate_folds_do(tmp_path: Path) -> None:
    """Few dated loans: the window is not split, and later loans judge all the same."""
    data = frame(dated=True)[lambda one: one.index % 8 == 0]
    text = DATED + 'leave_out = [{ column = "defaulted", why = "after" }, { column = "customer", why = "id" }]\n'
    said = read_recipe(written(tmp_path, data, loans=text))
    loaded = load_loans(said)
    _, window, later, same = parted(said, loaded.loans)
    assert window is not None
    assert same == 0
    made = train_file(said.file, tmp_path / "out")
    assert made.trained.folded == (window[1] == window[2])
    assert list(later) == list(made.trained.recipe.later)


@pytest.mark.slow
def test_folds_keep_a_customer_on_one_side(tmp_path: Path) -> None:
    """Undated loans of the same customers: none is in both parts of any fold."""
    data = frame(dated=True).drop(columns=["issued", "defaulted"])
    made = train_file(written(tmp_path, data, loans='group = "customer"'), tmp_path / "out")
    people = made.trained.sample.people
    assert people is not None
    splits = list(folds(made.trained.sample, 0, 3))
    assert len(splits) == 3
    for seen, unseen in splits:
        assert not set(people[seen]) & set(people[unseen])


@pytest.mark.slow
def test_weights_count(tmp_path: Path) -> None:
    """A loan that counts for nothing is left out, and others count by their weight: another model comes out."""
    data = frame()
    data["exposure"] = data["amount"]
    data.loc[:4, "exposure"] = "0"
    recipe = written(tmp_path, data, loans='weight = "exposure"')
    loaded = load_loans(read_recipe(recipe))
    assert loaded.left_out == {"exposure: no weight above 0": 5}
    assert loaded.loans.weights is not None
    assert loaded.loans.weights.mean() == pytest.approx(1, abs=0.01)
    weighted = train_file(recipe, tmp_path / "out").release.digest
    plain = written(tmp_path, data[5:], loans='leave_out = [{ column = "exposure", why = "no weight" }]')
    assert train_file(plain, tmp_path / "out").release.digest != weighted


@pytest.mark.slow
def test_a_leak_is_refused_with_the_fields_it_comes_from(tmp_path: Path) -> None:
    """An AUC above 0.9: no release, unless the recipe says why."""
    data = frame()
    chance = np.random.default_rng(0)
    paid = np.where(data["bad"] == "1", chance.uniform(0, 60, len(data)), chance.uniform(50, 100, len(data)))
    data["expenses"] = [f"{one:.1f}" for one in paid]
    with pytest.raises(Refused, match=r"the AUC is 0\.9\d\d.*Of the fields alone: expenses \(0\.9\d\d\).*accept_auc"):
        train_file(written(tmp_path, data), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    accepted = MODEL + 'accept_auc = "a test of our own"\n'
    made = train_file(written(tmp_path, data, model=accepted), tmp_path / "out")
    assert "Accepted: an AUC above 0.9, since: a test of our own" in (made.release.folder / "MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_leaks_that_only_work_together_are_refused(tmp_path: Path) -> None:
    """A total repaid beside the amount lent: each alone tells little."""
    data = frame()
    chance = np.random.default_rng(0)
    amount = data["amount"].astype(float)
    share = np.where(data["bad"] == "1", chance.uniform(0.1, 0.9, len(data)), 1.0)
    data["expenses"] = [f"{one:.2f}" for one in amount * share]
    more = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["repaid", "expenses", "/", "amount"]]\n'
    fields = [field(one).replace("[0, 5_000]", "[0, 50_000]") for one in (*NUMBERS, *CHOICES)]
    with pytest.raises(Refused, match="together"):
        train_file(written(tmp_path, data, fields=fields, more=more), tmp_path / "out")


def few(bad: int) -> pd.DataFrame:
    data = frame()
    return pd.concat([data[data["bad"] == "1"][:bad], data[data["bad"] == "0"][:1500]])


@pytest.mark.slow
def test_few_bad_loans_carry_a_scorecard_and_fewer_nothing(tmp_path: Path) -> None:
    """Below 100 only five fields of a scorecard, marked as such; below 30 nothing, whatever the recipe says."""
    with pytest.raises(Refused, match=r"60 bad loans of 1,560.*scorecard of at most 5 fields.*keep 5 of the 10"):
        train_file(written(tmp_path, few(60)), tmp_path / "out")
    asked = ("income", "seniority", "job", "home", "prior_record")
    rest = ", ".join(f'{{ column = "{one}", why = "few" }}' for one in (*NUMBERS, *CHOICES) if one not in asked)
    how: dict[str, Any] = {
        "fields": [field(one) for one in asked],
        "loans": f"leave_out = [{rest}]",
        "model": '[model]\nkind = "scorecard"\n',
    }
    made = train_file(written(tmp_path, few(60), **how), tmp_path / "out")
    row = made.report.rows[0]
    assert row["auc"] > 0.7
    assert "Logistic scorecard from few bad loans" in (made.release.folder / "MODEL_CARD.md").read_text()
    with pytest.raises(Refused, match=r"29 bad loans.*nothing is trained"):
        train_file(written(tmp_path, few(29), **how), tmp_path / "out")


@pytest.mark.slow
def test_a_teacher_of_all_columns(tmp_path: Path) -> None:
    """The form's model is fitted to another target, and still judged by the outcome."""
    fields = [field(name) for name in NUMBERS]
    rest = ", ".join(f'{{ column = "{one}", why = "shorter form" }}' for one in CHOICES)
    how: dict[str, Any] = {"fields": fields, "loans": f"not_asked = [{rest}]"}
    model = "[model]\ntrees = 150\ndepth = 3\nlearning_rate = 0.05\n"  # enough to learn from a teacher that has learnt
    alone = train_file(written(tmp_path, frame(), **how, model=model), tmp_path / "out")
    taught = train_file(written(tmp_path, frame(), **how, model=model + 'teacher = "all columns"\n'), tmp_path / "out")
    assert alone.release.digest != taught.release.digest
    first, second = alone.report.rows[0], taught.report.rows[0]
    assert first["bad_rate"] == second["bad_rate"]
    assert second["auc"] > first["auc"] - 0.01
    assert second["mean_pd"] == pytest.approx(second["bad_rate"], abs=0.01)
    assert "Teacher" in (taught.release.folder / "MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_rivals_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """`--rivals` adds the scorecard and free trees."""
    made = train_file(written(tmp_path, frame()), tmp_path / "out", rivals=True)
    assert SCORECARD in [row["model"] for row in made.report.rows]


@pytest.mark.slow
def test_check_says_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 with each question, 0 where none is left."""
    file = written(tmp_path, frame())
    assert main(["check", str(file)]) == 0
    assert "nothing is open" in capsys.readouterr().out
    file.write_text(file.read_text("utf-8").replace("margin = 0.2", "margin = 0.2  # ASK: yours"), "utf-8")
    assert main(["check", str(file)]) == 1
    told = capsys.readouterr().out
    assert "policy.margin: ASK: yours" in told
    assert "1 open question" in told
    assert main(["train", str(file), "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
