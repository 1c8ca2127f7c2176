"""What the project is for. Each test pins one thing that it promises whatever else changes: who changes one of them
changes the project.

Ten answers, one call, a row of zeros, XGBoost's predict_proba, a log that says what it cost, one command that serves,
a profile that shows where time goes, and a Space that runs it.
"""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from parts import sampler, some

from inference.engines import TOLERANCE, XGBoostEngine, open_engine
from inference.fields import NumberField
from inference.release import MODEL, Release, open_release
from inference.scorer import Scorer, default_scorer, open_scorer, predict_credit_score
from inference.settings import RELEASES, ROOT, Settings, default_release
from profiling import results
from profiling.benchmarks import engines as bench_engines
from profiling.benchmarks.serving import served
from profiling.workload import applications

APPLICANT: dict[str, Any] = {
    "amount": 1000,
    "price": 1400,
    "term": 48,
    "income": 125,
    "expenses": 51,
    "assets": 0,
    "seniority": 5,
    "job": "fixed",
    "home": "rent",
    "prior_record": "no",
}
DECISIONS = ("approve", "refer", "decline")


@pytest.fixture(scope="module")
def release() -> Release:
    """The default one."""
    return open_release(default_release())


@pytest.fixture
def no_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`predict_credit_score` with the default release, and without a log."""
    monkeypatch.setenv("TENFOLD_LOG", "off")
    monkeypatch.delenv("TENFOLD_RELEASE", raising=False)
    default_scorer.cache_clear()
    yield
    default_scorer.cache_clear()


def test_a_form_has_ten_fields(release: Release) -> None:
    """The default release asks for these ten by name; every release in the repository asks for ten."""
    assert set(release.form.names) == APPLICANT.keys()
    for manifest in some(RELEASES.glob("*/manifest.json")):
        assert len(open_release(manifest.parent).form.fields) == 10


@pytest.mark.usefixtures("no_log")
def test_one_call_scores_ten_answers(release: Release) -> None:
    """`predict_credit_score(**ten)` has `.pd`, `.decision` and `.points`; so has a call with ten answers in order."""
    score = predict_credit_score(**APPLICANT)
    assert 0.0 < score.pd < 1.0
    assert score.decision in DECISIONS
    assert math.isfinite(score.points)
    in_order = predict_credit_score(*(APPLICANT[name] for name in release.form.names))
    assert (in_order.pd, in_order.decision, in_order.points) == (score.pd, score.decision, score.points)


class Watched(XGBoostEngine):
    """The real engine; keeps what it was given."""

    def __init__(self, release: Release) -> None:
        super().__init__(release)
        self.given: list[npt.NDArray[np.float32]] = []

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.given.append(rows)
        return super().predict_proba(rows)


def test_a_row_of_zeros_is_filled_and_predicted(release: Release) -> None:
    """`np.zeros((1, n_features), np.float32)`, the answers written at indices that the manifest gives, and that very
    row goes to `predict_proba`: the same array each time, so its indices are computed once and nothing is allocated."""
    engine = Watched(release)
    scorer = Scorer(release, engine, process=sampler())
    columns = [column.name for column in release.manifest.columns]
    assert [column.index for column in release.manifest.columns] == list(range(len(columns)))
    scores = [scorer.score({**APPLICANT, "amount": amount}) for amount in (1000, 2000)]
    one, two = engine.given
    assert one is two
    expected = np.zeros((1, len(columns)), np.float32)
    for name in some(name for name in columns if name in APPLICANT):
        assert isinstance(release.form.fields[release.form.names.index(name)], NumberField)
        expected[0, columns.index(name)] = {**APPLICANT, "amount": 2000}[name]
    for name in some(f"{name}={code}" for name, code in APPLICANT.items() if f"{name}={code}" in columns):
        expected[0, columns.index(name)] = 1.0
    assert (one.shape, one.dtype, one.flags.c_contiguous) == (expected.shape, expected.dtype, True)
    answered = [at for at, name in enumerate(columns) if name.partition("=")[0] in APPLICANT]
    assert one[0, answered].tobytes() == expected[0, answered].tobytes()
    assert len(answered) > 10
    assert scores[1].row == one.tobytes() == release.rows.build(np.array([scores[1].application.values])).tobytes()
    assert scores[0].row != scores[1].row


def test_the_engine_is_xgboosts_predict_proba(release: Release) -> None:
    """Bit for bit what a fresh XGBClassifier gives for the release's file: of an applicant, and of the zeros alone."""
    oracle = xgboost.XGBClassifier(n_jobs=1)
    oracle.load_model(release.folder / MODEL)
    engine = open_engine(Settings.from_environment({}).engine, release)
    assert isinstance(engine, XGBoostEngine)
    for row in (
        release.rows.fill(release.form.parse(APPLICANT)),
        np.zeros((1, len(release.rows.columns)), np.float32),
    ):
        assert engine.predict_proba(row).tobytes() == oracle.predict_proba(row)[:, 1].tobytes()


def test_the_log_says_what_a_score_cost(tmp_path: Path) -> None:
    """Latency, whole and by stage, CPU of the thread and of the process, and memory, under these keys."""
    scorer = open_scorer(Settings(release=default_release(), log=tmp_path / "predictions.jsonl"))
    scorer.score(APPLICANT)
    (line,) = (json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines() if line)
    assert list(line["ms"]) == ["total", "validate", "row", "predict", "policy"]
    assert min(line["ms"].values()) > 0
    assert line["thread_cpu_ms"] >= 0
    assert line["cpu_percent"] is None or line["cpu_percent"] >= 0
    assert line["rss_mb"] > 10


@pytest.mark.slow
def test_one_command_serves(tmp_path: Path) -> None:
    """`python app.py`, and nothing else: the desk in both languages, and the API."""
    environment = {"TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3")}
    with served([sys.executable, "app.py"], "/readyz", environment) as url, httpx.Client(base_url=url) as client:
        for path, language in (("/?lang=en", "en"), ("/fr/", "fr")):
            page = client.get(path, headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert f'lang="{language}"' in page.text[:200]
        answer = client.post("/api/v1/score", json={"answers": APPLICANT})
        assert answer.json()["decision"] in DECISIONS


def make(*words: str) -> str:
    """What `make` would run, with everything set up."""
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_study_can_be_repeated(tmp_path: Path) -> None:
    """`make profile` profiles the way before and the way after, and `make snakeviz-before` shows the first of them."""
    assert ".venv/bin/python -m profiling profile" in make("profile")
    assert re.search(r"-m snakeviz .*profiling/out/before\.prof", make("snakeviz-before"))
    command = [sys.executable, "-m", "profiling", "profile", "--loans", "5", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"before.prof", "after.prof", "report.html"} <= {file.name for file in tmp_path.iterdir()}
    shown = subprocess.run([sys.executable, "-m", "snakeviz", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
def test_48744_rows_are_compared_with_onnx(release: Release) -> None:
    """The study's batch, by XGBoost and by ONNX Runtime: the same PDs within 1e-6; and what each took is on file."""
    assert bench_engines.LARGEST == max(bench_engines.SIZES) == 48_744
    encoded = [release.form.parse(answers).values for answers in applications(release, 1000)]
    rows = release.rows.build(np.resize(np.array(encoded), (bench_engines.LARGEST, len(release.form.fields))))
    reference, onnx = (open_engine(name, release, threads=2).predict_proba(rows) for name in ("xgboost", "onnx"))
    assert reference.shape == onnx.shape == (48_744,)
    assert len(np.unique(reference)) > 500
    np.testing.assert_allclose(onnx, reference, rtol=0, atol=TOLERANCE)
    assert results.read()["ratios"]["batch_48744_onnx_over_xgboost"] > 0
    assert "python -m profiling.benchmarks.engines" in make("bench")


def test_a_space_runs_it() -> None:
    """The README's front matter is what a Hugging Face Space reads: Gradio of the pinned version, on Python 3.11."""
    _, front, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    said = dict(line.split(": ", 1) for line in front.splitlines())
    (gradio,) = re.findall(r"^gradio==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert said["title"] == "Tenfold"
    assert (said["sdk"], said["sdk_version"]) == ("gradio", gradio)
    assert said["python_version"] == '"3.11"'  # a text: as a number, 3.10 would be 3.1
    assert said["app_file"] == "app.py"
    assert (ROOT / said["app_file"]).is_file()
    assert said["license"] == "apache-2.0"
    assert {"emoji", "colorFrom", "colorTo", "pinned", "short_description"} <= said.keys()
    assert len(said["short_description"]) <= 60
