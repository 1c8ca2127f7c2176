"""How often drift is seen although nothing changed: `python -m models chance RELEASE`.

Reference and months are drawn from the same loans, so that every alarm is false. A plain PSI of 0.1 fires all the
time at the numbers that most lenders have; the limit of inference/watch/drift.py is to fire in at most 1 % of months.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Form
from inference.engines import XGBoostEngine
from inference.release import open_release
from inference.scorer import Scorer
from inference.watch.drift import CUSTOM
from inference.watch.series import SCORE, reference
from models.recipe import Loans

Floats = npt.NDArray[np.float64]
NUMBERS = (50, 100, 1_000, 5_000)  # scores a month
BOOKS, MONTHS = 60, 36  # references drawn, and months compared with each
REFERENCE_MONTHS = 12
MOST = 20_000  # loans that are scored to draw from


class Chance(NamedTuple):
    """Months without a change, and how many of them looked like one; shares of 0..1."""

    n: int  # scores a month
    months: int
    plain_score: float  # a PSI of the score of 0.1 and more
    plain_any: float  # of any series
    corrected_any: float  # a PSI of any series above its limit
    limit: float  # of the score


def chance(form: Form, values: Floats, pds: Floats, n: int, books: int = BOOKS) -> Chance:
    """Draw `books` books of `n` scores a month from encoded applications (m, n_fields) and their PDs (m,)."""
    generator = np.random.default_rng(n)
    plain_score = plain_any = corrected = 0
    limit = float("nan")
    for _ in range(books):
        drawn = generator.integers(0, len(pds), REFERENCE_MONTHS * n)
        against = reference("drawn", form, values[drawn], pds[drawn])
        for _ in range(MONTHS):
            drawn = generator.integers(0, len(pds), n)
            drift = against.drift(against.counted(form, values[drawn], pds[drawn]))
            plain_score += drift[SCORE].psi >= CUSTOM
            plain_any += any(series.psi >= CUSTOM for series in drift.values())
            corrected += any(series.alarm for series in drift.values())
            limit = drift[SCORE].limit
    months = books * MONTHS
    return Chance(n, months, plain_score / months, plain_any / months, corrected / months, limit)


def scored(folder: Path, loans: Loans) -> tuple[Form, Floats, Floats]:
    """The form of a release, and of at most `MOST` loans the encoded answers and PDs."""
    release = open_release(folder)
    chosen = np.zeros(len(loans), bool)
    chosen[np.random.default_rng(0).permutation(len(loans))[:MOST]] = True
    values = release.form.encode(loans.where(chosen).answers)
    return release.form, values, Scorer(release, XGBoostEngine(release)).pds(values)


def table(name: str, rows: Sequence[Chance]) -> str:
    """Markdown."""
    lines = [
        f"{name}: months without any change, {rows[0].months:,} for each number of scores",
        "",
        "| scores a month | score's PSI ≥ 0.1 | any PSI ≥ 0.1 | any PSI above its limit | limit of the score |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.n:,} | {row.plain_score:.1%} | {row.plain_any:.1%} | {row.corrected_any:.2%} | {row.limit:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)
