"""The sentence: ten answers in, one score out, the same on every thread, timed and logged without the answers."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from parts import NAMES, RealLoans, newest, sampler

from inference.engines import XGBoostEngine
from inference.errors import InvalidApplication
from inference.fields import NumberField
from inference.measure import Clock
from inference.perflog import PerformanceLog
from inference.release import MODEL, Release, open_release
from inference.scorer import Score, Scorer, default_scorer, predict_credit_score
from inference.settings import ROOT

THREADS, SCORES = 8, 2000


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Scorer]:
    """The scorer behind `predict_credit_score`, opened from the environment."""
    monkeypatch.setenv("TENFOLD_RELEASE", str(folder))
    monkeypatch.setenv("TENFOLD_LOG", "off")
    default_scorer.cache_clear()
    yield default_scorer()
    default_scorer.cache_clear()


@pytest.fixture
def logged(release: Release, engine: XGBoostEngine, tmp_path: Path) -> Scorer:
    return Scorer(release, engine, PerformanceLog(tmp_path / "log" / "scores.jsonl", 0), process=sampler())


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    """What the log holds, one entry a line."""
    (file,) = (tmp_path / "log").glob("scores-*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines() if line]


# --- predict_credit_score ---


def test_answers_by_place_and_by_name_score_alike(served: Scorer) -> None:
    """Ten answers in field order, by keyword, or some of each give the same score, through one opened release."""
    example = served.release.form.example
    scores = [
        predict_credit_score(*example.values()),
        predict_credit_score(**example),
        predict_credit_score(*list(example.values())[:4], **dict(list(example.items())[4:])),
        served.score(example),
    ]
    assert len({(score.pd, score.points, score.decision, score.release) for score in scores}) == 1
    assert len({score.request_id for score in scores}) == 4


def test_eleven_answers_or_one_twice_are_refused(served: Scorer) -> None:
    """Too many answers, too few, none, or the same by place and by name are an invalid application."""
    example = served.release.form.example
    values = list(example.values())
    for answers, named in (([*values, 1], {}), (values, example), (values[:9], {}), ([], {}), (values, {"more": 1})):
        with pytest.raises(InvalidApplication):
            predict_credit_score(*answers, **named)


# --- a score ---


def test_a_score_is_frozen_and_whole(scorer: Scorer) -> None:
    """A score holds PD, points, decision, cut-offs, release, engine and timings, and cannot be changed."""
    score = scorer.score(scorer.release.form.example, request_id="abc")
    assert 0 < score.pd < 1
    assert score.points == scorer.release.points.of(score.pd)
    assert score.decision in ("approve", "refer", "decline")
    assert 0 < score.refer_from < score.break_even < score.decline_from
    assert (score.release, score.engine, score.request_id) == (scorer.release.name, "xgboost", "abc")
    assert list(score.milliseconds) == ["total", "validate", "row", "predict", "policy"]
    assert score.milliseconds["total"] == pytest.approx(sum(list(score.milliseconds.values())[1:]), abs=1e-6)
    with pytest.raises(AttributeError):
        score.pd = 0.5  # type: ignore[misc]


def test_timings_are_the_clocks(release: Release, engine: XGBoostEngine) -> None:
    """Each stage lasts as long as the clock says: here one millisecond a reading."""
    ticks = iter(range(0, 10**9, 10**6))
    scorer = Scorer(release, engine, clock=Clock(wall=lambda: next(ticks)), process=sampler())
    milliseconds = scorer.score(release.form.example).milliseconds
    assert milliseconds == {"total": 4, "validate": 1, "row": 1, "predict": 1, "policy": 1}


@pytest.mark.slow
def test_xgboosts_classifier_is_the_oracle_of_a_score(scorer: Scorer, real: RealLoans) -> None:
    """The PD is XGBClassifier.predict_proba on the release's file, calibrated by the manifest's two numbers."""
    oracle = xgboost.XGBClassifier(n_jobs=1)
    oracle.load_model(scorer.release.folder / MODEL)
    a, b = (getattr(scorer.release.manifest.calibration, name) for name in ("intercept", "slope"))
    for at in range(300):
        answers = real.answers(at)
        p = float(oracle.predict_proba(scorer.release.rows.fill(scorer.release.form.parse(answers)))[0, 1])
        expected = 1 / (1 + np.exp(-(a + b * np.log(p / (1 - p)))))
        assert scorer.score(answers).pd == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_a_book_scores_as_its_applications_do(scorer: Scorer, real: RealLoans) -> None:
    """PDs of a batch are bit for bit the PDs one by one."""
    values = scorer.release.form.encode(real.loans.answers)[:500]
    one_by_one = [scorer.score(real.answers(at)).pd for at in range(len(values))]
    assert scorer.pds(values).tobytes() == np.array(one_by_one).tobytes()


@pytest.mark.slow
def test_threads_score_as_one_does(scorer: Scorer, real: RealLoans) -> None:
    """8 threads x 2,000 scores, each in its own order, equal the serial results exactly; no two ids are the same.

    Releases after the first have 250 a thread: the threads are the same.
    """
    n_scores = SCORES if real.recipe.name == NAMES[0] else 250
    answers = [real.answers(at) for at in range(n_scores)]

    def outcome(score: Score) -> tuple[object, ...]:
        return score.pd, score.points, score.decision, score.break_even, score.unusual, score.application

    serial = [repr(outcome(scorer.score(one))) for one in answers]

    def score_all(seed: int) -> list[str]:
        order = np.random.default_rng(seed).permutation(n_scores).tolist()
        scores = {at: scorer.score(answers[at]) for at in order}
        ids.update(score.request_id for score in scores.values())
        return [repr(outcome(scores[at])) for at in range(n_scores)]

    ids: set[str] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(score_all, range(THREADS)):
            assert found == serial
    assert len(ids) == THREADS * n_scores


@pytest.mark.slow
def test_opening_and_scoring_need_no_pandas() -> None:
    """In a process that refuses to import pandas, every release opens and scores as it does here."""
    script = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from inference.scorer import open_scorer
from inference.settings import Settings
scorers = [open_scorer(Settings(release=Path(folder), log=None)) for folder in sys.argv[1:]]
print(json.dumps([scorer.score(scorer.release.form.example).pd for scorer in scorers]))
assert not {"pandas", "gradio", "fastapi", "matplotlib", "models"} & sys.modules.keys()
"""
    folders = [newest(name) for name in NAMES]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, folders)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    opened = [open_release(folder) for folder in folders]
    here = [Scorer(release, XGBoostEngine(release), process=sampler()) for release in opened]
    assert json.loads(done.stdout) == [scorer.score(scorer.release.form.example).pd for scorer in here]


# --- the log ---

KEYS = ["time", "id", "release", "engine", "ms", "thread_cpu_ms", "cpu_percent", "rss_mb"]


def test_a_score_is_one_line_in_the_log(logged: Scorer, tmp_path: Path) -> None:
    """Each score writes one line: time, id, release, engine, timings, process figures, PD and decision."""
    scores = [logged.score(logged.release.form.example) for _ in range(3)]
    written = lines(tmp_path)
    assert [line["id"] for line in written] == [score.request_id for score in scores]
    for line, score in zip(written, scores, strict=True):
        assert list(line) == [*KEYS, "pd", "decision"]
        assert (line["pd"], line["decision"]) == (round(score.pd, 6), score.decision)
        assert (line["release"], line["engine"]) == (score.release, score.engine)
        assert line["ms"] == score.milliseconds
        assert line["thread_cpu_ms"] >= 0
        assert line["rss_mb"] > 10
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])


def test_a_refusal_is_logged_by_its_kind_alone(logged: Scorer, tmp_path: Path) -> None:
    """What cannot be scored writes one line with the error's kind, and nothing of the answers."""
    answers = dict.fromkeys(logged.release.form.names, "CANARY-7431") | {"CANARY-7432": 1}
    with pytest.raises(InvalidApplication):
        logged.score(answers)
    (line,) = lines(tmp_path)
    assert list(line) == [*KEYS, "error"]
    assert line["error"] == "InvalidApplication"
    assert list(line["ms"]) == ["total"]
    assert b"CANARY" not in b"".join(file.read_bytes() for file in (tmp_path / "log").iterdir())


def test_answers_that_no_call_could_bind_are_logged_too(
    logged: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eleventh answer, or one given twice, is refused and logged as any other bad answer is."""
    monkeypatch.setattr("inference.scorer.default_scorer", lambda: logged)
    example = logged.release.form.example
    for answers, named in (([*example.values(), 1], {}), (list(example.values()), dict(list(example.items())[:1]))):
        with pytest.raises(InvalidApplication):
            predict_credit_score(*answers, **named)
    assert [line["error"] for line in lines(tmp_path)] == ["InvalidApplication"] * 2


def test_no_answer_is_in_the_log_or_in_a_repr(logged: Scorer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Distinctive answers in every field are found in no log file, no logger, no repr and no JSON of the score."""
    form = logged.release.form
    caplog.set_level(logging.DEBUG)
    answers: dict[str, object] = {}
    canaries = []
    for field in form.fields:
        answers[field.name] = field.example
        if isinstance(field, NumberField):
            value = field.minimum + (field.maximum - field.minimum) * 0.618034
            answers[field.name] = int(value) if field.whole else value
        if len(text := str(answers[field.name])) > 4:
            canaries.append(text)
    assert len(canaries) >= 3
    score = logged.score(answers)
    with pytest.raises(InvalidApplication):
        logged.score({**answers, form.names[0]: "CANARY"})
    stored = "".join(file.read_text() for file in (tmp_path / "log").iterdir())
    for text in (stored, repr(score), str(score), json.dumps(score.as_dict()), caplog.text):
        assert not [canary for canary in [*canaries, "CANARY"] if canary in text]
    assert stored.count("\n") == 2 * 2  # two lines, seen in today's file and through the link to it


def test_a_log_that_cannot_be_written_stops_no_score(release: Release, engine: XGBoostEngine, tmp_path: Path) -> None:
    """With a file where the log's folder should be, scores come out all the same, and the lines are counted."""
    (tmp_path / "log").write_text("in the way")
    log = PerformanceLog(tmp_path / "log" / "scores.jsonl", 0)
    scorer = Scorer(release, engine, log, process=sampler())
    expected = Scorer(release, engine, process=sampler()).score(release.form.example).pd
    assert [scorer.score(release.form.example).pd for _ in range(5)] == [expected] * 5
    assert log.dropped == 5
