"""How often each reason is a principal reason among the loans that a release's policy declines."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from inference.application import Application
from inference.engines import XGBoostEngine
from inference.policy import DECLINE
from inference.reasons import Reasons
from inference.release import Release
from models.metrics import Floats

EXPLAINED = 1000  # declines: a share is then known to about 3 points
LOOKED_AT = 20_000  # loans, of which some are declined
SEED = 0


class Counts(NamedTuple):
    """What was counted."""

    of: str  # which loans, in words
    declines: int  # that were explained
    without: int  # of these, with no principal reason
    estimated: int  # of these, because their effects are estimates
    rows: list[tuple[str, str, int]]  # (reason, its English text, in how many declines), the most frequent first


def count(release: Release, values: Floats) -> Counts:
    """Explain up to EXPLAINED declines among encoded applications (m, n_fields) float64."""
    order = np.random.default_rng(SEED).permutation(len(values))[:LOOKED_AT]
    reasons = Reasons(release, XGBoostEngine(release))
    counts: Counter[str] = Counter()
    declines = without = estimated = 0
    for pd, answers in zip(reasons.pds(values[order]).tolist(), values[order].tolist(), strict=True):
        application = Application(tuple(answers))
        if declines == EXPLAINED or release.policy.decide(pd, application).suggestion != DECLINE:
            continue
        explanation = reasons.explain(application)
        principal = reasons.principal(explanation, application)
        declines += 1
        without += not principal
        estimated += not explanation.is_exact
        counts.update(principal)
    rows = [(key, text_of(release, key), n) for key, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    return Counts(f"{len(order):,} training loans", declines, without, estimated, rows)


def text_of(release: Release, key: str) -> str:
    """A reason's English text."""
    name, _, code = key.partition("/")
    reasons = release.form.fields[release.form.names.index(name)].reasons
    return next(reason.text["en"] for reason in reasons if reason.code == code)
