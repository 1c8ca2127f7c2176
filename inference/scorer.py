"""Scores an application: answers -> application -> row -> probability -> PD -> decision, timed and logged."""

import itertools
import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.engines import Engine, open_engine, predict_answers
from inference.errors import TenfoldError
from inference.measure import Clock, ProcessSampler, process_sampler
from inference.perflog import PerformanceLog
from inference.policy import Cutoffs
from inference.release import Release, open_release
from inference.settings import Settings

# Request ids are eight random bytes per process plus a counter: unique without a lock or a system call per score.
PROCESS = os.urandom(8).hex()
COUNT = itertools.count(1)


class Score(NamedTuple):
    """A scored application. `pd` and `break_even` are probabilities in 0..1; cut-offs are PDs that can exceed 1."""

    pd: float
    points: float
    decision: str  # the suggestion: approve, refer or decline
    break_even: float
    refer_from: float
    decline_from: float
    unusual: tuple[str, ...]  # fields with an answer that is rare among training loans; any one leads to refer
    release: str
    engine: str
    request_id: str
    application: Application
    row: bytes  # the float32 row that was predicted, (n_features,); as personal as the answers
    milliseconds: Mapping[str, float]  # wall time: total, validate, row, predict, policy

    @property
    def cutoffs(self) -> Cutoffs:
        """The cut-offs as one object."""
        return Cutoffs(self.break_even, self.refer_from, self.decline_from)

    def as_dict(self) -> dict[str, object]:
        """The score as JSON values, without the answers and the row."""
        return {name: value for name, value in self._asdict().items() if name not in ("application", "row")}

    def __repr__(self) -> str:
        """Leaves out the answers, so that a repr cannot put them into a log."""
        return f"Score({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"


class Scorer:
    """A release with its engine and a performance log. Thread-safe."""

    def __init__(
        self,
        release: Release,
        engine: Engine,
        log: PerformanceLog | None = None,
        clock: Clock | None = None,
        process: ProcessSampler | None = None,
    ) -> None:
        self.release, self.engine, self.log = release, engine, log
        self._clock = clock or Clock()
        self._process = process or process_sampler()

    def score(self, answers: Mapping[str, object], request_id: str | None = None) -> Score:
        """Score a mapping of field name -> answer.

        Raises `InvalidApplication`, which lists every bad field; the log gets the error's class name.
        """
        clock, release = self._clock.wall, self.release
        cpu, started = self._clock.cpu(), clock()
        request_id = request_id or f"{PROCESS}-{next(COUNT):x}"
        try:
            application = release.form.parse(answers)
            validated = clock()
            row = release.rows.fill(application)
            filled = clock()
            probability = self.engine.predict_proba(row)
            predicted = clock()
            pd = release.calibration.pd(float(probability[0]))
            decision = release.policy.decide(pd, application)
            points = release.points.of(pd)
            decided = clock()
        except TenfoldError as error:
            self._write(request_id, {"total": (clock() - started) / 1e6}, cpu, {"error": type(error).__name__})
            raise
        milliseconds = {
            "total": (decided - started) / 1e6,
            "validate": (validated - started) / 1e6,
            "row": (filled - validated) / 1e6,
            "predict": (predicted - filled) / 1e6,
            "policy": (decided - predicted) / 1e6,
        }
        self._write(request_id, milliseconds, cpu, {"pd": round(pd, 6), "decision": decision.suggestion})
        cutoffs = decision.cutoffs
        return Score(
            pd, points, decision.suggestion, cutoffs.break_even, cutoffs.refer_from, cutoffs.decline_from,
            decision.unusual, release.name, self.engine.name, request_id, application, row.tobytes(), milliseconds,
        )  # fmt: skip

    def pds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """PDs of many encoded applications, (m, n_fields) float64 -> (m,) float64. Not logged."""
        p = predict_answers(self.engine, self.release, values)
        return self.release.calibration.pds(p.astype(np.float64))

    def _write(
        self, request_id: str, milliseconds: Mapping[str, float], cpu: int, outcome: Mapping[str, object]
    ) -> None:
        """Write a line of the log; `cpu` is this thread's CPU time at the start, in ns."""
        if self.log is not None:
            self.log.write(
                {
                    "id": request_id,
                    "release": self.release.name,
                    "engine": self.engine.name,
                    "ms": milliseconds,
                    "thread_cpu_ms": (self._clock.cpu() - cpu) / 1e6,
                    "cpu_percent": self._process.cpu_percent,
                    "rss_mb": self._process.rss_mb,
                    **outcome,
                }
            )


def open_scorer(settings: Settings) -> Scorer:
    """Open the release and engine of the settings; raises `BadRelease` or `EngineUnavailable`."""
    release = open_release(settings.release, settings.release_digest)
    log = None if settings.log is None else PerformanceLog(settings.log, settings.log_days)
    return Scorer(release, open_engine(settings.engine, release), log)


@cache
def default_scorer() -> Scorer:
    """The scorer that this process shares, with settings from the environment."""
    return open_scorer(Settings.from_environment())


def predict_credit_score(*answers: object, **named: object) -> Score:
    """Score one application with the release that the environment names.

    Takes ten answers in field order, by name, or a mixture. Raises `InvalidApplication`, which lists every bad field.

    >>> predict_credit_score(amount=1000, price=1400, ...)  # doctest: +SKIP
    """
    scorer = default_scorer()
    return scorer.score(scorer.release.form.name_answers(answers, named))
