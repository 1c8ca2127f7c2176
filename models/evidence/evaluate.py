"""All that is measured of a release on loans whose end is known, and the same as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from inference.watch.drift import Drift
from models.evidence.compare import Comparison
from models.evidence.decisions import Decided, by_decision
from models.evidence.figures import (
    Brier,
    Gain,
    Measure,
    Quarter,
    Rates,
    Segment,
    brier,
    calibration,
    discrimination,
    gains,
    quarters,
    segments,
)
from models.evidence.groups import GroupTable, group_tables
from models.evidence.scored_loans import STANDING, ScoredLoans, serving
from models.stability import LOANS, Step, stability


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A release on loans that judge it; quarters show all loans there are."""

    release: str
    digest: str
    source: str
    standing: str  # what the loans are to the release, as a sentence
    months: str  # of the loans that judge; empty without dates
    loans: int
    bad: int
    discrimination: Mapping[str, Measure]
    calibration: Sequence[Rates]
    brier: Brier
    gains: Sequence[Gain]
    gains_curve: Sequence[tuple[float, float]]
    drift_against: str
    quarters: Sequence[Quarter]
    decisions: Sequence[Decided]
    segments: Sequence[Segment]
    groups: Sequence[GroupTable]
    sensitivity: Sequence[Step]
    sensitivity_loans: int
    against: Comparison | None  # with another release on the same loans


def evaluate(scored: ScoredLoans, against: Comparison | None = None) -> Evaluation:
    """Measure a release; `against` is its comparison with another one, to be shown with it."""
    judging, release = scored.judging, scored.release
    bad, pds = judging.bad, judging.pds
    tenths = calibration(bad, pds)
    gained, curve = gains(bad, pds)
    drift_against, by_quarter = quarters(scored)
    tried = judging.values[np.sort(np.random.default_rng(0).permutation(len(judging))[:LOANS])]
    return Evaluation(
        release.name, release.digest, scored.source, STANDING[scored.standing], judging.span, len(judging),
        int(bad.sum()), discrimination(bad, pds), tenths, brier(bad, pds, tenths), gained, curve,
        drift_against, by_quarter, by_decision(judging), segments(release.form, judging), group_tables(judging),
        stability(release.form, release.policy, serving(release), tried), len(tried),
        against,
    )  # fmt: skip


def as_json(value: Any) -> Any:
    """A result as JSON values, with what it computes of its fields; what is not a number is null."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if is_dataclass(value) or isinstance(value, Drift):
        names = value._fields if isinstance(value, Drift) else [field.name for field in fields(value)]
        computed = [name for name, member in vars(type(value)).items() if isinstance(member, property)]
        return {name: as_json(getattr(value, name)) for name in (*names, *computed)}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value
