"""Scores whole batches: PD, points, decision and what is unusual, equal to `Scorer.score` to the last bit.

Rows are built some thousand at a time, so that they stay in the processor's cache. NumPy's own log and exp differ from
the C library's, which Python's `math` calls, in a part of all values; Arrow's call the C library too. Whether they do
in this installation is tried once a process, and where they do not, `math` is called for each value.
"""

import math
import threading
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from inference.application import Application
from inference.blocks import Matrix
from inference.calibration import EDGE, HIGHEST, STEEPEST, Calibration
from inference.engines import BinsEngine, Engine, predict_answers
from inference.policy import APPROVE, DECISIONS, Points
from inference.questions import Question, Questions
from inference.reasons import Reasons
from inference.release import Release
from inference.rules import BROKEN_AT, UNKNOWN_AT, LenderRules, Ruling, Rulings, principal_reasons

Floats = npt.NDArray[np.float64]
Function = Callable[[Floats], Floats]
BYTES_AT_ONCE = 3 << 20  # of rows: with fewer the engine is called too often, more leave the cache
NO_ROWS, NOT_APPROVED, ALL_ROWS = REASONS = ("none", "not-approved", "all")
TRIED = 65_536  # values: NumPy's exp differs in 4.6 % of them, its log in 0.2 %, where it uses AVX-512


class Functions(NamedTuple):
    """Logarithms and exponential of many values, (m,) float64 -> (m,) float64, with the bits of `math`'s."""

    ln: Function
    exp: Function
    log2: Function


def by_arrow(function: Callable[[pa.Array], pa.Array]) -> Function:
    return lambda values: np.asarray(function(pa.array(values)).to_numpy(zero_copy_only=False), np.float64)


def by_python(function: Callable[[float], float]) -> Function:
    return lambda values: np.fromiter(map(function, values.tolist()), np.float64, len(values))


ARROW = Functions(by_arrow(pc.ln), by_arrow(pc.exp), by_arrow(pc.log2))
PYTHON = Functions(by_python(math.log), by_python(math.exp), by_python(math.log2))


@cache
def functions() -> Functions:
    """Arrow's, where their bits are those of Python's here."""
    return ARROW if same(ARROW, TRIED) else PYTHON


def same(tried: Functions, n: int) -> bool:
    """Whether functions have the bits of Python's for n values of the kind that scoring has."""
    odds = np.exp(np.random.default_rng(0).uniform(-STEEPEST, STEEPEST, n))
    logs = np.log(odds)
    return all(
        arrow_values(values).tobytes() == python_values(values).tobytes()
        for arrow_values, python_values, values in zip(tried, PYTHON, (odds, logs, odds), strict=True)
    )


class Scored(NamedTuple):
    """What there is to say of m applications."""

    pds: Floats  # (m,)
    points: Floats  # (m,)
    decisions: npt.NDArray[np.int8]  # (m,): places in policy.DECISIONS
    unusual: pa.Array  # (m,) texts: names of fields with a space between them
    rulings: Rulings | None = None  # where the lender has rules
    questions: pa.Array | None = None  # (m,) texts: names of those raised; None where nothing is asked


class BatchScorer:
    """A release with its engine, for many applications at once. Thread-safe."""

    def __init__(
        self, release: Release, engine: Engine, reasons: str = NO_ROWS, rules: LenderRules | None = None,
        questions: tuple[Question, ...] = (),
    ) -> None:  # fmt: skip
        """`reasons`: for which rows the principal reasons stand beside the scores, one of REASONS; `rules` and
        `questions`: a lender's, whose outcome, and which of whose questions are raised, stand beside the decision."""
        self.release, self.engine, self.reasons, self.rules = release, engine, reasons, rules
        self.lender_questions = questions
        self._questions = Questions((*release.manifest.questions, *questions), release.form)
        self.question_names = [question.name for question in self._questions.questions]
        self._reasons = None if reasons == NO_ROWS else Reasons(release, engine)
        self._thread = threading.local()

    def score(self, values: Floats) -> Scored:
        """Encoded answers (m, n_fields) float64."""
        policy, pds = self.release.policy, self.pds(self.probabilities(values))
        flags = policy.unusual_of_many(values)
        decisions = policy.decide_many(pds, values, flags)
        rulings = None if self.rules is None else self.rules.judge_many(values, pds, decisions)
        raised = named(self._questions.raised_by_many(values), self.question_names) if self.question_names else None
        return Scored(pds, self.points(pds), decisions, named(flags, policy.watched), rulings, raised)

    @cached_property
    def _functions(self) -> Functions:
        """Not tried before they are needed: the client of a cluster needs none."""
        return functions()

    @property
    def added(self) -> tuple[str, ...]:
        """Columns that no file may have: those of `batch`."""
        ruled = ADDED_BY_RULES if self.rules is not None else ()
        return (*ADDED, "reasons", *ruled, *(("questions",) if self.question_names else ()))

    def probabilities(self, values: Floats) -> npt.NDArray[np.float32]:
        """The model's, uncalibrated: (m,) float32."""
        probabilities = np.empty(len(values), np.float32)
        at_once, into = rows_at_once(self.release), self._rows()
        for start in range(0, len(values), at_once):
            some = slice(start, start + at_once)
            probabilities[some] = predict_answers(self.engine, self.release, values[some], into)
        return probabilities

    def _rows(self) -> Matrix:
        """This thread's own rows, `rows_at_once`. New ones each time would mostly be pages of memory that nothing was
        written to yet, which takes time of its own. An engine that needs no rows never touches these."""
        try:
            rows: Matrix = self._thread.rows
        except AttributeError:
            shape = rows_at_once(self.release), len(self.release.rows.columns)
            rows = self._thread.rows = np.empty(shape, np.float32)
        return rows

    def pds(self, probabilities: npt.NDArray[np.float32]) -> Floats:
        """`Calibration.pd` of each, (m,) float32 -> (m,) float64."""
        calibration: Calibration = self.release.calibration
        p = np.clip(probabilities.astype(np.float64), EDGE, HIGHEST)
        z = calibration.intercept + calibration.slope * self._functions.ln(p / (1.0 - p))
        return 1.0 / (1.0 + self._functions.exp(-np.clip(z, -STEEPEST, STEEPEST)))

    def points(self, pds: Floats) -> Floats:
        """`Points.of` each, (m,) -> (m,)."""
        scale: Points = self.release.points
        return scale.anchor + scale.double * self._functions.log2((1.0 - pds) / pds / scale.odds)

    def batch(self, carried: pa.RecordBatch, values: Floats) -> pa.RecordBatch:
        """Carried columns of m applications, and their scores beside them."""
        scored, m = self.score(values), len(values)
        columns = {
            "pd": pa.array(scored.pds),
            "points": pa.array(scored.points),
            "decision": pa.DictionaryArray.from_arrays(pa.array(scored.decisions), pa.array(DECISIONS)),
            "unusual": scored.unusual,
            "release": constant(self.release.name, m),
            "engine": constant(self.engine.name, m),
        }
        if scored.rulings is not None:
            columns |= self._ruled(scored.rulings)
        if scored.questions is not None:
            columns["questions"] = scored.questions
        if self._reasons is not None:
            columns["reasons"] = pa.array(self._explained(values, scored), pa.string())
        # Columns without nulls are said to have none: a file then keeps no account of them.
        fields = [pa.field(name, column.type, nullable=name in MAY_BE_NULL) for name, column in columns.items()]
        return pa.record_batch([*carried.columns, *columns.values()], schema=pa.schema([*carried.schema, *fields]))

    def _ruled(self, rulings: Rulings) -> dict[str, pa.Array]:
        """The columns of `ADDED_BY_RULES`: codes of rules with a space between them, null where there is no figure."""
        assert self.rules is not None  # noqa: S101 - there are rulings
        book = self.rules.book
        codes = [rule.code for rule in book.rules]
        columns = {
            "outcome": pa.DictionaryArray.from_arrays(pa.array(rulings.outcomes), pa.array(DECISIONS)),
            "rules_broken": named(rulings.verdicts == BROKEN_AT, codes),
            "rules_unknown": named(rulings.verdicts == UNKNOWN_AT, codes),
        }
        if book.grades:
            letters, rates = pa.array([grade.grade for grade in book.grades]), [grade.rate for grade in book.grades]
            columns["grade"] = pa.DictionaryArray.from_arrays(pa.array(rulings.grades.astype(np.int16)), letters)
            columns["rate"] = pa.array(np.array(rates, np.float64)[rulings.grades])
        if book.instalment is not None:
            columns["instalment"] = pa.array(rulings.instalments, from_pandas=True)  # null for NaN
        return columns

    def _explained(self, values: Floats, scored: Scored) -> list[str]:
        """Of each row the principal reasons, `field/code` with a space between them; an empty text where not asked."""
        of_model: list[list[str]] = [[] for _ in values]
        wanted = np.flatnonzero((scored.decisions != DECISIONS.index(APPROVE)) | (self.reasons == ALL_ROWS))
        for row, reasons in zip(wanted.tolist(), self._principal(values[wanted]), strict=True):
            of_model[row] = reasons
        return [
            " ".join(principal_reasons(self._ruling(values, scored, place), reasons))
            for place, reasons in enumerate(of_model)
        ]

    def _ruling(self, values: Floats, scored: Scored, place: int) -> Ruling | None:
        if self.rules is None or scored.rulings is None:
            return None
        return self.rules.ruling(values[place], scored.rulings, place)

    def _principal(self, values: Floats) -> list[list[str]]:
        """Of each application, to the last bit as for it alone: other engines predict a row otherwise in a batch."""
        assert self._reasons is not None  # noqa: S101 - the caller's check
        if isinstance(self.engine, BinsEngine):
            return self._reasons.principal_of_many(values)
        applications = [Application(tuple(row)) for row in values.tolist()]
        return [self._reasons.principal(self._reasons.explain(alone), alone) for alone in applications]


MAY_BE_NULL = ("instalment",)
ADDED_BY_RULES = ("outcome", "rules_broken", "rules_unknown", "grade", "rate", "instalment")
ADDED = (
    "pd",
    "points",
    "decision",
    "unusual",
    "release",
    "engine",
)  # columns of `BatchScorer.batch`; `reasons` where asked for


def rows_at_once(release: Release) -> int:
    """How many rows are built and predicted at once: a power of two, so that a batch has whole ones."""
    fit = BYTES_AT_ONCE // (np.dtype(np.float32).itemsize * len(release.rows.columns))
    return 1 << max(fit.bit_length() - 1, 10)


def constant(text: str, m: int) -> pa.Array:
    """One text m times, kept once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(m, np.int8)), pa.array([text]))


def named(flags: npt.NDArray[np.bool_], names: Sequence[str]) -> pa.DictionaryArray:
    """(m, n) flags -> (m,) texts: of each row the names that are flagged."""
    least = -(-len(names) // 8)
    width = next((size for size in (1, 2, 4, 8) if size >= least), least)  # bytes
    by_byte = np.zeros((width, len(flags)), np.uint8)  # eight flags a byte, column by column: flags lie so
    for position in range(len(names)):
        by_byte[position // 8] |= flags[:, position].view(np.uint8) << np.uint8(position % 8)
    kind = (
        pa.binary(width) if width > 8 else pa.from_numpy_dtype(f"u{width}")
    )  # whole numbers are quicker to tell apart
    buffers = [None, pa.py_buffer(np.ascontiguousarray(by_byte.T))]
    encoded = pa.Array.from_buffers(kind, len(flags), buffers).dictionary_encode()
    distinct = np.frombuffer(encoded.dictionary.buffers()[1], np.uint8)[: width * len(encoded.dictionary)]
    distinct = distinct.reshape(-1, width)
    flagged = np.unpackbits(distinct, axis=1, count=len(names), bitorder="little").astype(bool)
    texts = [" ".join(name for name, flag in zip(names, row, strict=True) if flag) for row in flagged.tolist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))
