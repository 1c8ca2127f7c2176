"""Forests on bits give XGBoost's margins and probabilities to the last bit, or are refused with the reason."""

import json
import math
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import RealLoans

from inference.bins import Forest, UnfitForest
from inference.bins.conditions import DEEPEST
from inference.bins.forest import FEW, LARGE, SMALL
from inference.blocks import History
from inference.engines import BinsEngine, XGBoostEngine, open_engine
from inference.errors import EngineUnavailable
from inference.fields import NumberField
from inference.reasons import Reasons
from inference.release import Release, open_release
from inference.settings import ROOT

Floats = npt.NDArray[np.float32]
AROUND = sorted(
    {0, 1, FEW, FEW + 1, 64, 65, 64 * SMALL, 64 * SMALL + 1, 32 * LARGE, 32 * LARGE + 1, 64 * LARGE, 64 * LARGE + 1}
)


def trained(seed: int, rounds: int = 12, columns: int = 6, missing: float = 0.0, **parameters: Any) -> xgboost.Booster:
    """A booster of a seeded sample, with steps in it so that trees share thresholds."""
    drawn = np.random.default_rng(seed)
    values = np.round(drawn.normal(size=(400, columns)), drawn.integers(1, 4)).astype(np.float32)
    bad = (values.sum(axis=1) + drawn.normal(size=400) > 0.5).astype(int)
    values[drawn.random(values.shape) < missing] = np.nan
    given = {"objective": "binary:logistic", "nthread": 1, "seed": seed, "tree_method": "hist", **parameters}
    return xgboost.train(given, xgboost.DMatrix(values, bad), rounds)


def margins_of(booster: xgboost.Booster, rows: Floats) -> Floats:
    """XGBoost's own."""
    return np.asarray(booster.predict(xgboost.DMatrix(rows), output_margin=True))


def same(one: Floats, other: Floats) -> bool:
    return one.dtype == other.dtype == np.float32 and one.tobytes() == other.tobytes()


@pytest.mark.slow
def test_all_committed_loans_have_xgboosts_margins(release: Release, engine: XGBoostEngine, real: RealLoans) -> None:
    """Margins and probabilities of every loan that the release's recipe loads; of 1,000 also one by one."""
    booster = engine.classifier.get_booster()
    forest = Forest(booster)
    loans = real.recipe.load()
    compared = 0
    for first in range(0, len(loans), 50_000):
        part = loans.where(np.arange(len(loans)) // 50_000 == first // 50_000)
        rows = release.rows.build(release.form.encode(part.answers))
        expected = margins_of(booster, rows)
        assert same(forest.margins(rows), expected)
        assert same(forest.predict_proba(rows), engine.predict_proba(rows))
        compared += len(rows)
    assert compared == len(loans) > 4000
    single = np.concatenate([forest.margins(rows[at : at + 1]) for at in range(1000)])
    assert same(single, expected[:1000])


@pytest.mark.slow
def test_at_every_threshold_and_beside_it(release: Release, engine: XGBoostEngine) -> None:
    """Thresholds, their neighbours by one unit in the last place, both zeros, subnormal numbers, the largest, NaN."""
    booster = engine.classifier.get_booster()
    forest = Forest(booster)
    rows = forest.edges(20_000, seed=1)
    assert np.isnan(rows).any()
    assert (np.signbit(rows) & (rows == 0)).any()
    assert ((rows != 0) & (np.abs(rows) < np.finfo(np.float32).tiny)).any()
    expected = margins_of(booster, rows)
    assert same(forest.margins(rows), expected)
    assert same(np.concatenate([forest.margins(row[None]) for row in rows[:2000]]), expected[:2000])


@pytest.mark.slow
@settings(max_examples=220, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, DEEPEST),
    rounds=st.integers(1, 30),
    columns=st.integers(1, 40),
    missing=st.sampled_from([0.0, 0.3]),
    base=st.sampled_from([None, 0.5, 0.02, 0.93]),
    method=st.sampled_from(["hist", "exact", "approx"]),
    grow=st.sampled_from(["depthwise", "lossguide"]),
    parallel=st.sampled_from([1, 3]),
)
def test_forests_of_many_kinds(
    seed: int, depth: int, rounds: int, columns: int, missing: float, base: float | None, method: str, grow: str,
    parallel: int,
) -> None:  # fmt: skip
    """Of any depth up to the bound, number of trees and columns, base score, with and without missing values."""
    more: dict[str, Any] = {} if base is None else {"base_score": base}
    more |= {"grow_policy": grow} if method == "hist" else {}
    booster = trained(
        seed, rounds, columns, missing, max_depth=depth, tree_method=method, num_parallel_tree=parallel,
        subsample=0.8, **more,
    )  # fmt: skip
    forest = Forest(booster)
    rows = forest.edges(600, seed)
    assert same(forest.margins(rows), margins_of(booster, rows))


@pytest.mark.slow
def test_more_thresholds_of_a_column_than_a_byte_counts() -> None:
    """Of columns at the ends of a tile of 16; between them none is split."""
    drawn = np.random.default_rng(13)
    values = np.zeros((6000, 35), np.float32)
    values[:, [0, 15, 16, 34]] = drawn.normal(size=(6000, 4))
    bad = (
        np.sin(9 * values[:, 0]) + values[:, 15] + values[:, 16] + values[:, 34] + drawn.normal(size=6000) > 0
    ).astype(int)
    given = {"objective": "binary:logistic", "nthread": 1, "tree_method": "exact", "max_depth": 6}
    booster = xgboost.train(given, xgboost.DMatrix(values, bad), 60)
    forest = Forest(booster)
    begins = forest._for_blocks[1]
    assert np.diff(begins).max() > 255
    rows = forest.edges(3000)
    assert same(forest.margins(rows), margins_of(booster, rows))


@pytest.mark.slow
@pytest.mark.parametrize("count", AROUND)
def test_any_number_of_rows(count: int) -> None:
    """None, one, and around the sizes at which another loop takes over."""
    booster = trained(3, max_depth=4)
    forest = Forest(booster)
    rows = forest.edges(64 * LARGE + 1)[:count]
    assert same(forest.margins(rows), margins_of(booster, rows) if count else np.zeros(0, np.float32))


@pytest.mark.slow
def test_a_forest_without_a_split() -> None:
    """Each tree is a leaf."""
    booster = trained(10, max_depth=1, gamma=1e9)
    assert same(
        Forest(booster).margins(np.zeros((70, 6), np.float32)), margins_of(booster, np.zeros((70, 6), np.float32))
    )


@pytest.mark.slow
def test_threads_do_not_disturb_each_other() -> None:
    """Eight threads with one forest give what one gives."""
    booster = trained(4, max_depth=6)
    forest = Forest(booster)
    parts = [forest.edges(700, seed) for seed in range(64)]
    expected = [margins_of(booster, rows) for rows in parts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(forest.margins, parts))
    assert [same(margins, expected_margins) for margins, expected_margins in zip(found, expected, strict=True)] == [
        True
    ] * 64


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 5), np.float32), np.zeros(6, np.float32), np.zeros((2, 6))], ids=["narrow", "flat", "float64"]
)
def test_rows_of_another_shape_are_refused(rows: Any) -> None:
    """Expected and got are named."""
    with pytest.raises(ValueError, match=r"\(m, 6\) float32 expected, got"):
        Forest(trained(5)).margins(rows)


def test_rows_need_not_be_contiguous() -> None:
    """A slice of columns in Fortran order gives the same."""
    booster = trained(6)
    forest = Forest(booster)
    rows = forest.edges(300)
    assert same(forest.margins(np.asfortranarray(rows)), margins_of(booster, rows))


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"max_depth": DEEPEST + 3, "min_child_weight": 0}, f"splits deep; at most {DEEPEST}"),
        ({"objective": "reg:squarederror"}, "its objective is reg:squarederror"),
        ({"objective": "binary:logitraw"}, "its objective is binary:logitraw"),
        ({"objective": "multi:softprob", "num_class": 2}, "its objective is multi:softprob"),
        ({"booster": "dart", "rate_drop": 0.5}, "its booster is dart"),
        ({"booster": "gblinear", "tree_method": "auto"}, "its booster is gblinear"),
    ],
)  # fmt: skip
def test_what_is_not_covered_is_refused_with_the_reason(parameters: dict[str, Any], why: str) -> None:
    """Depth, objective, booster."""
    if parameters.get("booster") == "gblinear":
        parameters = {**parameters, "updater": "coord_descent"}
    with xgboost.config_context(verbosity=0):  # it warns of gblinear
        booster = trained(7, **parameters)
    with pytest.raises(UnfitForest, match=why):
        Forest(booster)


def test_categories_are_refused() -> None:
    """A split into sets of categories has no threshold."""
    values = np.random.default_rng(8).integers(0, 5, (300, 2)).astype(np.float32)
    data = xgboost.DMatrix(values, (values[:, 0] % 2).astype(int), feature_types=["c", "q"], enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 1, "nthread": 1}, data, 3)
    with pytest.raises(UnfitForest, match="categorical"):
        Forest(booster)


# --- compiled code ---

OPENED = """
import json, sys
import numpy, xgboost
from inference.bins import Forest, kernels
forest = Forest(xgboost.Booster(model_file=sys.argv[1]))
rows = forest.edges(20)
expected = forest.margins(rows[:1]).tolist()  # a loop of its own
kernel = kernels.margins_one_by_one
print(json.dumps({"margins": forest.margins(rows[:8]).tolist(), "compiled": sum(kernel.stats.cache_misses.values()),
                  "read": sum(kernel.stats.cache_hits.values())}))
"""


# Permissions bind root too, without these two capabilities.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []


@pytest.mark.slow
def test_compiled_code_is_kept_and_may_be_unwritable_damaged_or_nowhere(tmp_path: Path) -> None:
    """It is compiled once; read where nothing can be written; compiled again where it is damaged or has no place."""
    model = tmp_path / "model.json"
    booster = trained(12, max_depth=1)
    booster.save_model(model)
    home = tmp_path / "home"
    copy = tmp_path / "code" / "inference"
    shutil.copytree(ROOT / "inference", copy, ignore=shutil.ignore_patterns("__pycache__"))
    kept = copy / "bins" / "__pycache__"

    def opened() -> dict[str, Any]:
        environment = {**os.environ, "PYTHONPATH": str(copy.parent), "HOME": str(home), "XDG_CACHE_HOME": str(home)}
        done = subprocess.run(
            [*AS_OTHERS, sys.executable, "-c", OPENED, model], env=environment, cwd=tmp_path, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer.pop("margins") == margins_of(booster, Forest(booster).edges(20)[:8]).tolist()
        return answer

    def writable(folder: Path, mode: int) -> None:
        for inside in (*folder.rglob("*"), folder):
            inside.chmod(mode if inside.is_dir() else mode & 0o666)

    assert opened() == {"compiled": 1, "read": 0}
    assert opened() == {"compiled": 0, "read": 1}
    writable(copy, 0o555)
    assert opened() == {"compiled": 0, "read": 1}
    for file in kept.glob("*one_by_one*.nbc"):
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:1000])
    assert opened() == {"compiled": 1, "read": 0}
    writable(copy, 0o777)
    shutil.rmtree(kept)
    writable(copy, 0o555)
    home.write_text("a file, so that no folder can be made here")
    assert opened() == {"compiled": 1, "read": 0}
    assert not kept.exists()


# --- as an engine ---


def test_the_engine_gives_xgboosts_bits(release: Release, engine: XGBoostEngine, real: RealLoans) -> None:
    """`TENFOLD_ENGINE=bins` is admitted, builds the same rows, and predicts the same probabilities."""
    before = release.rows.build(release.form.encode(real.loans.answers))
    bins = open_engine("bins", release)
    rows = release.rows.build(release.form.encode(real.loans.answers))
    assert rows.tobytes() == before.tobytes()
    assert same(bins.predict_proba(rows), engine.predict_proba(rows))


def test_the_compiled_loop_builds_the_same_rows(release: Release) -> None:
    """At every edge of a band, beside it, and where an answer is not stated: what blocks build by arrays."""
    fields = release.form.fields
    edges = sorted({edge for block in release.rows._blocks if isinstance(block, History)
                    for _, part in block.new for edge in part.edges})  # fmt: skip
    drawn = np.random.default_rng(11)
    columns = []
    for field in fields:
        if isinstance(field, NumberField):
            beside = [np.nextafter(edge, way) for edge in edges for way in (-math.inf, math.inf)]
            column = drawn.choice([field.minimum, field.maximum, *edges, *beside], 3000)
        else:
            column = drawn.integers(0, len(field.choices), 3000).astype(float)
        columns.append(np.where(drawn.random(3000) < 0.1, np.nan, column))
    values = np.column_stack(columns)
    by_arrays, by_loop = (open_release(release.folder).rows for _ in range(2))
    by_loop.compile_loop()
    assert by_loop.build(values).tobytes() == by_arrays.build(values).tobytes()


def test_an_early_stopped_model_is_read_up_to_its_best_tree() -> None:
    """`XGBClassifier.predict_proba` leaves out the trees after the best one, and so does the engine."""
    drawn = np.random.default_rng(9)
    rows = drawn.normal(size=(600, 4)).astype(np.float32)
    bad = (rows[:, 0] + drawn.normal(size=600) > 0).astype(int)
    classifier = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=3, max_depth=6, n_jobs=1)
    classifier.fit(rows[:300], bad[:300], eval_set=[(rows[300:], bad[300:])], verbose=False)
    assert classifier.best_iteration + 1 < classifier.get_booster().num_boosted_rounds()
    used = XGBoostEngine.__new__(XGBoostEngine)
    used.classifier = classifier
    assert same(Forest(used.used_trees()).predict_proba(rows), classifier.predict_proba(rows)[:, 1])


def test_an_engine_that_is_off_by_one_bit_is_refused(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """Admission compares the margins of each of four loops with XGBoost's, with no tolerance."""
    honest = Forest.margins

    def off(self: Forest, rows: Floats) -> Floats:
        found = honest(self, rows)
        found[len(found) // 2] = np.nextafter(found[len(found) // 2], np.float32(math.inf))
        return found

    monkeypatch.setattr(Forest, "margins", off)
    with pytest.raises(EngineUnavailable, match=r"4 of 2048 margins.*xgboost"):
        BinsEngine(release)


@pytest.mark.slow
def test_reasons_are_the_same(release: Release, engine: XGBoostEngine, real: RealLoans) -> None:
    """Explanations by bins equal those by XGBoost."""
    ways = Reasons(release, open_engine("bins", release)), Reasons(release, engine)
    for at in range(0, 600, 20):
        answers = {name: values[at] for name, values in real.loans.answers.items()}
        application = release.form.parse(json.loads(json.dumps(answers, default=lambda one: one.item())))
        one, other = (way.explain(application) for way in ways)
        assert one.pd == other.pd
        np.testing.assert_allclose(one.effects, other.effects, rtol=0, atol=1e-12)
