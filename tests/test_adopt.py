"""Adoption: a sound model becomes a release that scores as its pickle does; the study's model is caught."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from adoptable import FIELDS, SENSIBLE, Files, classifier, files, standardised, table
from fastapi.testclient import TestClient
from msgspec import convert
from parts import NO_USERS, sampler, some, training_of, visiting
from sklearn.metrics import roc_auc_score
from xgboost import Booster

from inference.__main__ import main as score_main
from inference.blocks import PlacedSpec
from inference.calibration import Calibration
from inference.engines import XGBoostEngine, open_engine
from inference.errors import TenfoldError
from inference.fields import NumberField
from inference.policy import Policy, PolicyTerms
from inference.release import Release, open_release
from inference.rows import RowBuilder
from inference.scorer import Scorer
from inference.settings import Settings
from models.__main__ import main
from models.adoption.adopt import Adoption, adopt, as_card, as_json, as_text, match_features, model_bytes
from models.adoption.checks import FAILS, PASSES, SAME, WARNS, Verdict, decisions, directions, prohibited, scales
from models.adoption.fields_file import FieldsFile, read_features, read_fields
from models.adoption.past_loans import BadLoans, measured, read_loans
from models.adoption.pd_range import ranges, reach
from models.adoption.trees import Forest, UnfitModel, read_forest
from models.data import loans
from web.operations.health import golden_problems
from web.server import create_app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A model trained on raw values of what the form asks, constrained as its fields file says."""
    frame, bad = table()
    model = classifier(monotone_constraints=SENSIBLE).fit(frame, bad)
    return files(tmp_path_factory.mktemp("sound"), model, frame.columns)


@pytest.fixture(scope="module")
def adopted(sound: Files, tmp_path_factory: pytest.TempPathFactory) -> Adoption:
    return adopt(*sound, sound.sha256, tmp_path_factory.mktemp("releases"))


@pytest.fixture(scope="module")
def release(adopted: Adoption) -> Release:
    assert adopted.release
    return adopted.release


@pytest.fixture(scope="module")
def scorer(release: Release) -> Scorer:
    return serve(release)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The study's mistake: trained on scaled values and on features that nobody is asked for; threshold 0.5."""
    frame, bad = standardised()
    model = classifier(max_depth=4).fit(frame, bad)
    fields = FIELDS.replace("threshold = 0.3", "threshold = 0.5")
    return files(tmp_path_factory.mktemp("study"), model, frame.columns, fields)


@pytest.fixture(scope="module")
def caught(study: Files, tmp_path_factory: pytest.TempPathFactory) -> Adoption:
    """Made in spite of what fails."""
    return adopt(*study, study.sha256, tmp_path_factory.mktemp("forced"), force=True)


def serve(release: Release) -> Scorer:
    """The release as it would serve, without a log."""
    return Scorer(release, XGBoostEngine(release), process=sampler())


def verdict(found: Adoption, question: str) -> Verdict:
    return next(one for one in found.verdicts if one.question == question)


def said(files: Files, **edits: str) -> FieldsFile:
    """The fields file of these files, with the first line of each key in it set to another value."""
    text = files.fields.read_text("utf-8")
    for key, value in edits.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        assert count
    edited = files.fields.with_name("edited.toml")
    edited.write_text(text, "utf-8")
    return read_fields(edited, read_features(files.features))


# --- a sound model ---


def test_a_sound_model_passes_every_verdict(adopted: Adoption) -> None:
    """Raw values, sensible directions, all features set, every decision within reach."""
    assert [one.outcome for one in adopted.verdicts] == [PASSES] * 9, as_text(adopted)
    assert verdict(adopted, "same as the source").figures["difference"] <= SAME


def test_the_release_scores_as_the_pickle_predicts(sound: Files, scorer: Scorer) -> None:
    """For real loans the PD is the predict_proba of the pickled model on the owner's own table of features."""
    expected = joblib.load(sound.pickle).predict_proba(table()[0])[:, 1]
    frame = loans.consumer()
    frame = frame.astype(object).where(frame.notna(), None).drop(columns="bad")
    answers = frame.to_dict("records")
    for at in range(0, len(answers), 20):
        assert scorer.score(answers[at]).pd == pytest.approx(expected[at], abs=1e-6)
    values = scorer.release.form.encode({name: frame[name].tolist() for name in scorer.release.form.names})
    same = scorer.engine.predict_proba(scorer.release.rows.build(values))
    assert same.tobytes() == expected.tobytes()


def test_the_release_opens_by_its_own_digest(release: Release) -> None:
    """It is a release like any other: named by its digest, and its golden applications have their PD."""
    again = open_release(release.folder)
    assert again.digest == release.digest
    assert again.manifest.population is None
    assert again.policy.cutoffs(again.form.reference).break_even == pytest.approx(0.3)
    assert again.points.of(0.3) == pytest.approx(600)
    assert len(again.manifest.golden) == 15  # the example, and both usual ends of seven numbers
    assert not golden_problems(serve(again))


def test_onnx_gives_the_same(release: Release, scorer: Scorer) -> None:
    """The release holds the model for ONNX Runtime too, as every release does."""
    pytest.importorskip("onnxruntime", reason="the extra engines is not installed")
    frame = loans.consumer()
    answers = frame.astype(object).where(frame.notna(), None)
    rows = release.rows.build(release.form.encode({name: answers[name].tolist() for name in release.form.names}))
    other = open_engine("onnx", release).predict_proba(rows)
    assert np.abs(other - scorer.engine.predict_proba(rows)).max() <= SAME


def test_the_command_line_scores_with_it(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m inference score --release` takes it."""
    assert score_main(["score", "--release", str(release.folder), "--example", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pd"] == pytest.approx(release.manifest.golden[0].pd, abs=1e-6)


@pytest.fixture(scope="module")
def client(scorer: Scorer) -> Iterator[TestClient]:
    with visiting(create_app(scorer, Settings(release=scorer.release.folder, log=None, users=NO_USERS))) as client:
        yield client


def test_the_desk_scores_with_it(client: TestClient, scorer: Scorer) -> None:
    """Both pages open, the button's event gives a card, and nothing claims to know past loans."""
    for path in ("/", "/fr/"):
        page = client.get(path, headers={"Accept": "text/html", "Accept-Language": path.strip("/")})
        assert page.status_code == 200
        assert scorer.release.manifest.title["fr" if path == "/fr/" else "en"] in page.text
        assert "past approved loans spread" not in page.text
    held = {name: str(answer) for name, answer in scorer.release.form.example.items()}
    card = client.post("/desk/score", json={"answers": held}).text
    assert f'data-decision="{scorer.score(scorer.release.form.example).decision}"' in card
    assert "past approved loans" not in card
    assert client.get("/readyz").status_code == 200


def test_the_model_card_is_the_verdicts(client: TestClient, adopted: Adoption) -> None:
    """The card beside the release names the pickle's digest and every verdict."""
    page = client.get("/model-card").text
    assert adopted.release
    assert training_of(adopted.release)["adopted"]["sha256"] in page
    assert all(f"{one.question}: {one.outcome}" in page for one in some(adopted.verdicts))
    assert as_card(adopted, adopted.release) == (adopted.release.folder / "MODEL_CARD.md").read_text("utf-8")


# --- the study's model ---


def test_a_model_that_can_decline_nobody_is_caught(caught: Adoption) -> None:
    """The search finds nobody to decline, and the trees prove that there is nobody."""
    found = verdict(caught, "decisions")
    assert found.outcome == FAILS
    assert "can decline nobody: proven" in found.text
    assert found.figures["highest"]["pd"] <= found.figures["proven"]["highest"] < found.figures["decline_from"]


def test_scaled_training_is_caught(caught: Adoption) -> None:
    """Every number field is named; what the form cannot set and a prohibited attribute are reported too."""
    scaled = verdict(caught, "scaled inputs")
    assert scaled.outcome == FAILS
    assert "7 look trained on scaled values" in scaled.text
    assert verdict(caught, "directions").outcome == FAILS  # most answers change nothing
    missed = verdict(caught, "features never set")
    assert missed.outcome in (WARNS, FAILS)
    assert len(missed.figures["features"]) == 61
    assert verdict(caught, "prohibited attributes").figures["features"] == ["CODE_GENDER_M"]
    assert verdict(caught, "same as the source").outcome == PASSES


def test_what_the_verdicts_say_is_so(caught: Adoption) -> None:
    """The release made in spite of them gives the PDs that they name, and declines none of the real applicants."""
    assert caught.release
    scorer = serve(caught.release)
    figures = verdict(caught, "decisions").figures
    for name in ("lowest", "highest"):
        assert scorer.score(figures[name]["answers"]).pd == pytest.approx(figures[name]["pd"], abs=1e-9)
    frame = loans.consumer().drop(columns="bad")
    frame = frame.astype(object).where(frame.notna(), None)
    decided = {scorer.score(one).decision for one in frame.iloc[::40].to_dict("records")}
    assert "decline" not in decided


def test_a_release_made_by_force_says_so(caught: Adoption) -> None:
    """What stands under every score says that the model failed, in both languages."""
    assert caught.release
    notice = caught.release.manifest.notice
    assert notice["en"].startswith("Not fit for use")
    assert notice["fr"].startswith("Impropre")


def test_the_same_model_with_a_low_threshold_can_approve_nobody(study: Files, caught: Adoption) -> None:
    """The proof works in the other direction."""
    fields = said(study, threshold="0.05")
    assert caught.release
    forest = read_forest(Booster(model_file=bytearray(caught.release.model)))
    policy = Policy(convert(fields.manifest["policy"], PolicyTerms), fields.form)
    found = decisions(serve(replace(caught.release, policy=policy)), fields, forest)
    assert found.outcome == FAILS
    assert "can approve nobody: proven" in found.text
    assert "decline nobody" not in found.text


def test_what_is_not_proven_is_not_said_to_be(sound: Files, adopted: Adoption, scorer: Scorer, forest: Forest) -> None:
    """A cut-off between the highest PD found and the bound: nobody is found, and that is said to be no proof."""
    figures = verdict(adopted, "decisions").figures
    between = (figures["highest"]["pd"] + figures["proven"]["highest"]) / 2
    fields = said(sound, threshold=f"{between!r}\nrefer_band = 0")
    policy = Policy(convert(fields.manifest["policy"], PolicyTerms), fields.form)
    found = decisions(serve(replace(scorer.release, policy=policy)), fields, forest)
    assert found.outcome == FAILS
    assert "It can decline nobody: the search found none. That is no proof" in found.text


# --- the verdicts one by one ---


@pytest.fixture(scope="module")
def forest(release: Release) -> Forest:
    return read_forest(Booster(model_file=bytearray(release.model)))


def test_a_direction_against_the_model_is_reported(sound: Files, scorer: Scorer, forest: Forest) -> None:
    """Amount said to lower the PD: the two applications named differ in amount alone and have the PDs named."""
    found = directions(scorer, said(sound, direction='"down"'), forest)
    assert found.outcome == FAILS
    assert "amount: more of it mostly raises the PD" in found.text
    figures = found.figures["fields"]["amount"]
    less, more = figures["answers"]
    assert {name for name in less if less[name] != more[name]} == {"amount"}
    assert less["amount"] < more["amount"]
    assert [scorer.score(one).pd for one in (less, more)] == pytest.approx(figures["pds"], abs=1e-9)
    assert figures["pds"][0] < figures["pds"][1]


def test_small_moves_against_a_direction_warn(sound: Files, release: Release) -> None:
    """Without constraints trees waver: that is reported, and is no failure."""
    booster = classifier(max_depth=5).fit(*table()).get_booster()
    wavering = serve(replace(release, model=model_bytes(booster)))
    found = directions(wavering, said(sound), read_forest(booster))
    assert found.outcome == WARNS
    assert "The largest move as it should is" in found.text


def test_no_application_leaves_the_proven_bounds(sound: Files, scorer: Scorer, forest: Forest) -> None:
    """Random applications and real ones with usual answers lie within the bounds; the search lies between."""
    found = reach(scorer, said(sound), forest)
    random = np.random.default_rng(3)
    columns = [
        random.uniform(*field.usual, 20_000)
        if isinstance(field, NumberField)
        else random.integers(len(field.choices), size=20_000)
        for field in scorer.release.manifest.fields
    ]
    pds = scorer.pds(np.stack(columns, axis=1).astype(np.float64))
    least, most = found.bounds
    assert least <= found.lowest.pd <= pds.min()
    assert pds.max() <= found.highest.pd <= most


def test_columns_that_no_answer_sets_are_zero_in_the_bounds(study: Files) -> None:
    """Ranges are the field's usual ones, 0 to 1 for choices, and 0 to 0 elsewhere."""
    fields = said(study)
    low, high = ranges(fields, len(fields.builder.columns))
    held = dict(zip(fields.builder.columns, zip(low, high, strict=True), strict=True))
    expected = {
        "amount": (180, 3000),
        "income": (0, 500),  # may be left open
        "job_fixed": (0, 1),
        "EXT_0": (0, 0),
    }
    assert {name: held[name] for name in expected} == expected


def test_another_unit_is_told_from_scaling(sound: Files, forest: Forest) -> None:
    """A form in thousands of what the model was trained on warns: its thresholds lie elsewhere, and are not small."""
    found = scales(said(sound, range="[0.01, 50]", usual="[0.18, 3]", example="1"), forest)
    assert found.outcome == WARNS
    assert "Another unit" in found.text
    assert "amount: splits from" in found.text


def test_a_prohibited_feature_that_the_model_uses_is_named(sound: Files, forest: Forest) -> None:
    """It is said that no answer sets it, and that the model splits on it."""
    fields = said(sound)
    columns = tuple("marital_status" if name == "time" else name for name in fields.builder.columns)
    builder = RowBuilder(fields.form, (PlacedSpec(columns=columns, numbers={}, choices={}),))
    found = prohibited(replace(fields, builder=builder), forest)
    assert found.outcome == WARNS
    assert "splits on marital_status" in found.text


# --- past loans ---


@pytest.fixture(scope="module")
def past(sound: Files) -> Path:
    """The loans as a CSV of answers and outcomes."""
    file = sound.pickle.with_name("loans.csv")
    loans.consumer().to_csv(file, index=False)
    return file


def test_past_loans_are_measured(sound: Files, scorer: Scorer, past: Path) -> None:
    """AUC, level and spread are those of the release's own PDs of these loans."""
    given = read_loans(past, said(sound).form)
    population, found = measured(scorer, given)
    frame = loans.consumer()
    pds = joblib.load(sound.pickle).predict_proba(table()[0])[:, 1]
    assert found.outcome == PASSES
    assert found.figures["measures"]["auc"] == pytest.approx(roc_auc_score(frame["bad"], pds), abs=1e-6)
    assert found.figures["measures"]["mean_pd"] == pytest.approx(pds.mean(), abs=1e-6)
    assert population["loans"] == len(frame) == sum(band["loans"] for band in population["bands"])
    assert population["pd_percentiles"][50] == pytest.approx(np.median(pds), abs=1e-6)


def test_pds_at_another_level_or_of_no_worth_are_told(sound: Files, scorer: Scorer, past: Path) -> None:
    """PDs shifted warn and ask for a calibration; outcomes at random fail."""
    given = read_loans(past, said(sound).form)
    shifted = serve(replace(scorer.release, calibration=Calibration(1.0, 1.0)))
    level = measured(shifted, given)[1]
    assert level.outcome == WARNS
    assert "calibration = { intercept = " in level.text
    intercept, slope = (float(one) for one in re.findall(r"-?\d+\.\d{4}", level.text))
    mended = replace(scorer.release, calibration=Calibration(intercept, slope))
    assert measured(serve(mended), given)[1].outcome == PASSES
    reversed_order = given._replace(bad=1 - given.bad)
    assert "No calibration mends that" in measured(scorer, reversed_order)[1].text
    random = np.random.default_rng(0).permutation(given.bad)
    worthless = measured(scorer, given._replace(bad=random))[1]
    assert worthless.outcome == FAILS
    assert "no better than chance" in worthless.text


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text.replace("income", "wage", 1), "no column income$"),
        (lambda text: text.replace("amount,", "", 1), "no column amount$"),
        (lambda text: text.replace("bad", "good", 1), "no column bad$"),
        (lambda text: text.replace(",0\n", ",good\n", 1), "line 2: bad: 0 or 1 is needed$"),
        (lambda text: text.replace("fixed", "CANARY", 1), "line 3: job: one of fixed, part_time"),
        (lambda text: text.replace("\n1000,", "\nCANARY,", 1), "line 3: amount: a number from 10 to 50,000 is needed$"),
        (lambda text: text.replace("\n1000,", "\n,", 1), "line 3: amount: a number"),
        (lambda text: text[: text.index("\n") + 1], "at least 10 loans of each outcome are needed, found 0 bad of 0"),
    ],
)
def test_broken_loans_are_named_by_line_and_not_by_answer(sound: Files, past: Path, edit: Any, told: str) -> None:
    """Line, field and what is needed; what stood there is an applicant's answer and is not repeated."""
    broken = past.with_name("broken.csv")
    broken.write_text(edit(past.read_text("utf-8")), "utf-8")
    with pytest.raises(BadLoans, match=told) as caught:
        read_loans(broken, said(sound).form)
    assert "CANARY" not in str(caught.value)


# --- the command ---


def command(files: Files, *options: str) -> int:
    return main(["adopt", *(str(one) for one in files), *options])


class Touch:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_without_the_digest_nothing_is_loaded(sound: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest and what a pickle can do are printed; neither without a digest nor with a wrong one it is loaded."""
    mark = tmp_path / "ran"
    hostile = files(tmp_path, Touch(mark), ["a"])
    assert command(hostile) == 2
    told = capsys.readouterr().err
    assert f"--sha256 {hostile.sha256}" in told
    assert "runs whatever code is in it" in told
    assert command(hostile, "--sha256", sound.sha256) == 2
    told = capsys.readouterr().err
    assert f"expected sha256 {sound.sha256}, found {hostile.sha256}" in told
    assert not mark.exists()


def test_a_failing_model_gives_no_release(
    study: Files, past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, the verdicts on stdout, that on past loans the last of them; nothing in the folder."""
    assert command(study, "--sha256", study.sha256, "--into", str(tmp_path), "--loans", str(past)) == 1
    told = capsys.readouterr().out
    assert "FAILS   decisions" in told
    assert "warns   past loans" in told
    assert "No release was made" in told
    assert not list(tmp_path.iterdir())


def test_adopting_again_gives_the_same_digest(
    sound: Files, release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No clock and no chance goes into a release. Status 0, and JSON that names the release that was made."""
    assert command(sound, "--sha256", sound.sha256.upper(), "--into", str(tmp_path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["outcome"] for one in told["verdicts"]} == {PASSES}
    assert told["release"]["digest"] == release.digest == open_release(told["release"]["folder"]).digest


def test_a_release_gets_its_name_with_its_card_in_it(
    sound: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is complete before it has its final name, so no reader and no kill ever meets one without a card."""
    renamed: list[tuple[str, str]] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        if Path(target).parent == tmp_path / "releases":
            renamed.append((Path(target).name, (self / "MODEL_CARD.md").read_text("utf-8")))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    made = adopt(*sound, sound.sha256, tmp_path / "releases")
    assert made.release is not None
    cards = [card for name, card in renamed if name == made.release.folder.name]
    assert len(cards) == 1
    assert f"Release `{made.release.name}`" in cards[0]
    assert cards[0] == (made.release.folder / "MODEL_CARD.md").read_text("utf-8")


def test_text_and_json_tell_the_same(caught: Adoption) -> None:
    """Every outcome and every line of the JSON stands in the text."""
    text = " ".join(as_text(caught).split())
    for one in some(json.loads(json.dumps(as_json(caught), allow_nan=False))["verdicts"]):
        assert all(" ".join(line.split()) in text for line in some(one["text"].split("\n")))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda names: names[:-1], "the model has 18 features, and"),
        (lambda names: [names[1], names[0], *names[2:]], "feature 1 of the model is amount, and line 1 of"),
        (lambda names: [*names[:-1], "records_2"], "feature 18 of the model is"),
    ],
)
def test_a_feature_list_that_is_not_the_models_is_refused(sound: Files, edit: Any, told: str) -> None:
    """Another count, another order or another name: the first difference is named."""
    booster = joblib.load(sound.pickle).get_booster()
    with pytest.raises(UnfitModel, match=told):
        match_features(booster, edit(read_features(sound.features)), sound.features)


def test_a_list_that_is_too_short_is_told_by_the_command(sound: Files, tmp_path: Path) -> None:
    """The child does not fail over rows of another width; the file and both counts are named."""
    short = sound._replace(features=tmp_path / "features.txt")
    short.features.write_text("\n".join([*read_features(sound.features), "one_more"]))
    with pytest.raises(TenfoldError, match=r"best_model.pkl: the model has 18 features, and .*features.txt names 19"):
        adopt(*short, sound.sha256, tmp_path)


def test_a_model_trained_on_an_array_has_no_names_to_compare(sound: Files) -> None:
    """Then the count alone must fit."""
    frame, bad = table()
    booster = classifier(n_estimators=2).fit(frame.to_numpy(), bad).get_booster()
    match_features(booster, read_features(sound.features), sound.features)


def test_files_that_are_not_there_are_named(sound: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the path."""
    for at, _ in enumerate(sound):
        gone = Files(*(one.with_name("gone") if at == place else one for place, one in enumerate(sound)))
        assert command(gone, "--sha256", sound.sha256) == 2
        assert f"{gone[at]}: No such file" in capsys.readouterr().err


def test_the_owners_table_is_what_the_form_fills(sound: Files) -> None:
    """The rows that the form builds are the owner's table, bit for bit: the test's own check of itself."""
    fields = said(sound)
    frame = loans.consumer().head(500)
    answers = frame.astype(object).where(frame.notna(), None)
    rows = fields.builder.build(fields.form.encode({name: answers[name].tolist() for name in fields.form.names}))
    assert pd.DataFrame(rows, columns=fields.builder.columns).equals(table()[0].head(500).astype(np.float32))
