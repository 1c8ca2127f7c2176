"""Reasons of forms with more than sixteen fields: from the trees, equal to all coalitions, and summing to the PD."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from lenders import MODEL, written
from parts import sampler, some

from inference.application import Application
from inference.bins import Forest
from inference.calibration import logit
from inference.engines import BinsEngine, XGBoostEngine
from inference.reasons import MOST_DIFFERING, MOST_FIELDS, Reasons, coalitions, weights
from inference.release import Release
from inference.scorer import Scorer
from inference.settings import ROOT
from inference.tree_reasons import TreeReasons, owners, shares
from inference.trees import read_trees
from models.own_loans import train_file
from models.recipe_file import read_recipe
from models.toml_file import BadFile

FIELDS = 20


def loans(n: int = 2000) -> pd.DataFrame:
    """Made loans with 18 numbers, one of them often not stated, and two lists."""
    chance = np.random.default_rng(0)
    data = pd.DataFrame({f"x{at}": np.round(chance.normal(50, 15, n).clip(0, 100), 1) for at in range(FIELDS - 2)})
    margin = sum((data[f"x{at}"] - 50) / 40 for at in range(FIELDS - 2)) + (data["x0"] > 60) * (data["x1"] > 50)
    data["home"], data["job"] = chance.choice(["own", "rent", "free"], n), chance.choice(["yes", "no"], n)
    margin += (data["home"] == "rent") * 0.8 - 1.2
    data["bad"] = (chance.random(n) < 1 / (1 + np.exp(-margin))).astype(int)
    data.loc[chance.random(n) < 0.2, "x3"] = np.nan
    return data


def fields() -> list[str]:
    found = []
    for at in range(FIELDS - 2):
        more = "optional = true\n" if at == 3 else ""
        found.append(f'[fields.x{at}]\nlabel = "X {at}"\nrange = [0, 100]\nexample = 50\n{more}')
    for name, codes in (("home", ("own", "rent", "free")), ("job", ("yes", "no"))):
        listed = ", ".join(f'{code} = "{code}"' for code in codes)
        found.append(f'[fields.{name}]\nlabel = "{name}"\nchoices = {{ {listed} }}\nexample = "{codes[0]}"\n')
    return found


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Any]:
    """A release with twenty fields, and the encoded answers of its loans."""
    folder = tmp_path_factory.mktemp("wide")
    made = train_file(written(folder, loans(), fields=fields(), model=MODEL), folder / "out")
    return made.release, made.trained.sample.values


@pytest.mark.slow
def test_trees_and_coalitions_agree(wide: tuple[Release, Any]) -> None:
    """For loans with up to ten answers that differ from the reference: both ways, to the rounding of float32."""
    release, values = wide
    engine = XGBoostEngine(release)
    reasons, by_trees = Reasons(release, engine), TreeReasons(release)
    reference = np.array(release.form.reference.values)
    chance = np.random.default_rng(1)
    worst, nonzero = 0.0, 0
    for answers in some(values[:40]):
        mixed = reference.copy()
        at = chance.permutation(FIELDS)[:MOST_DIFFERING]
        mixed[at] = answers[at]
        expected = np.array(reasons.explain(Application(tuple(mixed.tolist()))).effects)
        own, other = release.rows.build(np.stack([mixed, reference]))
        worst = max(worst, float(np.abs(by_trees.effects(own, other) - expected).max()))
        nonzero += int((np.abs(expected) > 0.01).sum())
    assert worst < 1e-5
    assert nonzero > 100


@pytest.mark.slow
def test_effects_sum_to_the_pd(wide: tuple[Release, Any]) -> None:
    """Where all answers differ: the log-odds of the PD against those of the reference applicant."""
    release, values = wide
    reasons = Reasons(release, XGBoostEngine(release))
    reference = np.array(release.form.reference.values)
    tried = 0
    for answers in some(values[:60]):
        found = reasons.explain(Application(tuple(answers.tolist())))
        moved = ~((answers == reference) | (np.isnan(answers) & np.isnan(reference)))
        tried += moved.sum() > MOST_FIELDS
        step = logit(np.array([found.pd, found.reference_pd]))
        assert sum(found.effects) == pytest.approx(step[0] - step[1], abs=1e-5)
        assert not np.array(found.effects)[~moved].any()
    assert tried > 30


@pytest.mark.slow
def test_it_is_served_with_principal_reasons(wide: tuple[Release, Any]) -> None:
    """Scored like any other release; the principal reasons have texts."""
    release, values = wide
    scorer, reasons = (
        Scorer(release, XGBoostEngine(release), process=sampler()),
        Reasons(release, XGBoostEngine(release)),
    )
    named = 0
    for answers in some(values[:20]):
        application = Application(tuple(answers.tolist()))
        score = scorer.score(release.form.answers(application))
        explained = reasons.explain(application)
        assert explained.pd == pytest.approx(score.pd, abs=1e-9)
        named += len(reasons.principal(explained, application))
    assert named > 20


def trees_of(seed: int, fields: int, depth: int, missing: float) -> tuple[xgboost.Booster, TreeReasons, TreeReasons]:
    """A forest of made rows with a column a field, some with two; the trees gone down by Python, and on bits."""
    drawn = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(fields), drawn.integers(0, fields, 5)])
    values = np.round(drawn.normal(size=(800, len(owner))), 1).astype(np.float32)
    bad = (values.sum(axis=1) + 3 * drawn.normal(size=800) > 0).astype(int)
    values[drawn.random(values.shape) < missing] = np.nan
    given = {"objective": "binary:logistic", "nthread": 1, "max_depth": depth, "seed": seed}
    booster = xgboost.train(given, xgboost.DMatrix(values, bad), 30)
    made = []
    for forest in (None, Forest(booster)):
        reasons = TreeReasons.__new__(TreeReasons)
        reasons._owner, reasons._fields, reasons._slope = owner.tolist(), fields, 0.9
        reasons._trees, reasons._forest = read_trees(booster)[0], forest
        made.append(reasons)
    return booster, made[0], made[1]


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(("fields", "depth"), [(17, 3), (40, 8), (40, 1), (64, 6)])
def test_on_bits_effects_are_those_by_python(fields: int, depth: int, missing: float) -> None:
    """Of any depth, up to 64 fields, with columns that share a field, with and without missing values."""
    booster, by_python, on_bits = trees_of(fields + depth, fields, depth, missing)
    rows = Forest(booster).edges(40, seed=depth)
    nonzero = 0
    for own, reference in zip(rows[::2], rows[1::2], strict=True):
        expected, effects = by_python.effects(own, reference), on_bits.effects(own, reference)
        np.testing.assert_allclose(effects, expected, rtol=0, atol=1e-9)
        margins = booster.predict(xgboost.DMatrix(np.stack([own, reference])), output_margin=True)
        assert effects.sum() == pytest.approx(0.9 * (margins[0] - margins[1]), abs=1e-4)
        nonzero += int((np.abs(effects) > 1e-3).sum())
    assert nonzero > 30


def test_on_bits_effects_are_those_of_all_coalitions() -> None:
    """By the definition: every coalition of ten fields, some with two columns, some of them missing."""
    booster, _, on_bits = trees_of(3, 10, 5, 0.3)
    owner = np.array(on_bits._owner)
    rows = Forest(booster).edges(20, seed=3)
    for own, reference in zip(rows[::2], rows[1::2], strict=True):
        mixed = np.where(coalitions(10)[:, owner], own, reference)
        margins = booster.predict(xgboost.DMatrix(mixed), output_margin=True).astype(np.float64)
        np.testing.assert_allclose(on_bits.effects(own, reference), 0.9 * weights(10) @ margins, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_engine_on_bits_explains_as_the_reference_does(wide: tuple[Release, Any]) -> None:
    """Twenty fields of which more than ten differ: the same PDs and reasons, effects within 1e-9."""
    release, values = wide
    ways = [Reasons(release, kind(release)) for kind in (XGBoostEngine, BinsEngine)]
    assert [way._trees is not None and way._trees._forest is not None for way in ways] == [False, True]
    alone = []
    for answers in some(values[:60]):
        application = Application(tuple(answers.tolist()))
        expected, explained = (way.explain(application) for way in ways)
        assert (explained.pd, explained.reference_pd) == (expected.pd, expected.reference_pd)
        np.testing.assert_allclose(explained.effects, expected.effects, rtol=0, atol=1e-9)
        assert ways[1].principal(explained, application) == ways[0].principal(expected, application)
        alone.append(list(explained.effects))
    assert ways[1].effects_of_many(values[:60]).tolist() == alone


def test_effects_of_more_fields_than_a_word_has_bits_are_by_python() -> None:
    """65 fields: refused by the loop, which would count two fields as one."""
    booster, by_python, on_bits = trees_of(1, 65, 3, 0.0)
    rows = Forest(booster).edges(2)
    with pytest.raises(ValueError, match="effects of 65 fields"):
        on_bits.effects(rows[0], rows[1])
    assert by_python.effects(rows[0], rows[1]).any()


def test_a_leafs_shares_by_hand() -> None:
    """Of two fields that must be in: half each. Of one in and one out: half, and minus half."""
    assert shares(2, 0) == (0.5, 0.0)
    assert shares(1, 1) == (0.5, 0.5)
    assert shares(0, 2) == (0.0, 0.5)
    assert shares(0, 0) == (0.0, 0.0)


@pytest.mark.slow
def test_features_of_several_answers_are_refused(tmp_path: Path, wide: tuple[Release, Any], release: Release) -> None:
    """With more than sixteen fields by the recipe, at its line; and the trees of such a release by name."""
    assert len(owners(wide[0])) == len(wide[0].rows.columns)
    more = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["r", "x0", "/", "x1"]]\n'
    with pytest.raises(BadFile, match=r"line \d+: features: with more than 16 fields every feature must come from one"):
        read_recipe(written(tmp_path, loans(10), fields=fields(), more=more))
    with pytest.raises(ValueError, match="come from several answers"):
        owners(release)


COMPILED = """
import sys
from pathlib import Path
from inference.bins.shapley import add_effects
from inference.engines import BinsEngine
from inference.reasons import Reasons
from inference.release import open_release

release = open_release(Path(sys.argv[1]))
reasons = Reasons(release, BinsEngine(release))
counts = [len(add_effects.signatures)]
reasons.compile()
counts.append(len(add_effects.signatures))
answers = dict(release.form.example, **{f"x{at}": 90 for at in range(15)})
reasons.explain(release.form.parse(answers))
counts.append(len(add_effects.signatures))
print(*counts)
"""


@pytest.mark.slow
def test_compiling_reasons_leaves_nothing_to_the_first_explanation(wide: tuple[Release, Any]) -> None:
    """In a process of its own: the loop is there once it was asked for, and an explanation adds no other form of it."""
    command = [sys.executable, "-c", COMPILED, str(wide[0].folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "1"]
