"""Past loans given to an adoption: read from a CSV, scored by the release, and what came of them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inference.application import Form
from inference.blocks import PlacedSpec
from inference.errors import InvalidApplication, TenfoldError
from inference.fields import NumberField
from inference.scorer import Scorer
from models.adoption.checks import FAILS, PASSES, WARNS, Verdict
from models.export import by_answer, population
from models.metrics import Floats, Labels, intervals, measures
from models.train import calibrate

OUTCOME = "bad"
FEWEST = 10  # of each outcome: fewer support no figure


class BadLoans(TenfoldError):
    """A file of loans that cannot be read; the message names the line, and no answer but what a text could mean."""


class PastLoans(NamedTuple):
    """Loans with a known outcome."""

    values: Floats  # (m, n_fields), encoded answers
    bad: Labels  # (m,)


def read_loans(file: Path, form: Form) -> PastLoans:
    """A CSV with a column a field, named as the field, and a column `bad` of 0 and 1; an empty cell is not stated."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if missing := [name for name in (*form.names, OUTCOME) if name not in (reader.fieldnames or ())]:
                raise BadLoans(f"{file}: no column {', '.join(missing)}")
            loans = [one_loan(row, form, f"{file}: line {reader.line_num}") for row in reader]
    except OSError as error:
        raise BadLoans(f"{file}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadLoans(f"{file} is no CSV in UTF-8: {error}") from None
    bad = np.array([outcome for _, outcome in loans], np.int8)
    if min(bad.sum(), len(bad) - bad.sum()) < FEWEST:
        raise BadLoans(
            f"{file}: at least {FEWEST} loans of each outcome are needed, found {int(bad.sum())} bad of {len(bad)}"
        )
    return PastLoans(np.array([values for values, _ in loans]), bad)


def one_loan(row: dict[str, str], form: Form, place: str) -> tuple[tuple[float, ...], int]:
    """Encoded answers and outcome of one line."""
    if row[OUTCOME] not in ("0", "1"):
        raise BadLoans(f"{place}: {OUTCOME}: 0 or 1 is needed")
    answers: dict[str, object] = {}
    for field in form.fields:
        text = row[field.name] or None
        answers[field.name] = (
            field.read(text, "en", exponents=True) if text and isinstance(field, NumberField) else text
        )
    try:
        return form.parse(answers).values, int(row[OUTCOME])
    except InvalidApplication as error:
        needed = "; ".join(
            f"{problem.field}: {problem.allowed} is needed"
            + (
                f", and this may be {' or '.join(f'{meant:.15g}' for meant in problem.readings)}"
                if problem.readings
                else ""
            )
            for problem in error.problems
        )
        raise BadLoans(f"{place}: {needed}") from None


def measured(
    scorer: Scorer, loans: PastLoans, missing: Sequence[str] = (), *, good: bool = False
) -> tuple[dict[str, Any], Verdict]:
    """The manifest's population, and whether the PDs tell good from bad and are as high as what happened.

    `missing` names columns that training saw missing and that are 0 here where nothing is stated; `good`: the fields
    file has turned the model round.
    """
    pds = scorer.pds(loans.values)
    overall = measures(loans.bad, pds)
    ranges = intervals(loans.bad, [pds])
    low, high = ranges["bad_rate"]
    text = (
        f"{len(loans.bad):,} loans, which the model may have been trained on: AUC {overall['auc']:.3f} "
        f"({ranges['auc'][0]:.3f}–{ranges['auc'][1]:.3f}); mean PD {overall['mean_pd']:.1%}, went bad "
        f"{overall['bad_rate']:.1%} ({low:.1%}–{high:.1%})."
    )
    outcome = PASSES
    if not low <= overall["mean_pd"] <= high:
        outcome = WARNS
        text += f"\nThe level of the PDs is not that of these loans. {remedy(scorer, loans)}"
    if ranges["auc"][0] <= 0.5:
        outcome = FAILS
        text += "\nIt tells good from bad no better than chance."
    if ranges["auc"][1] < 0.5:
        text += f"\nThe higher its PD, the fewer went bad (AUC {1 - overall['auc']:.3f} the other way round): "
        text += 'positive = "good" is wrong.' if good else 'as if 1 meant good. positive = "good" turns it round.'
    if missing:
        other = as_missing(scorer, loans, missing)
        text += (
            f"\nWith what is not stated as missing in {', '.join(missing[:5])} in place of a number: AUC "
            f"{other['auc']:.3f}, mean PD {other['mean_pd']:.1%}."
        )
    of = "PDs of the loans given at adoption, which the model may have been trained on"
    by = by_answer(scorer.release.form, loans.values, loans.bad, pds)
    return {**population(of, loans.bad, pds), "by": by}, Verdict(
        "past loans", outcome, text, {"measures": overall, "intervals": ranges}
    )


def as_missing(scorer: Scorer, loans: PastLoans, columns: Sequence[str]) -> dict[str, float]:
    """The measures where the columns are missing, as in training, for loans of which nothing is stated there."""
    release = scorer.release
    rows = release.rows.build(loans.values)
    block = release.manifest.features[0]
    if not isinstance(block, PlacedSpec):
        raise TypeError("an adopted release begins with a block of placed columns")
    owner = {column: release.form.position(name) for name, column in block.numbers.items()}
    for column in columns:
        open_here = np.isnan(loans.values[:, owner[column]]) if column in owner else np.ones(len(rows), bool)
        rows[open_here, release.rows.columns.index(column)] = np.nan
    pds = release.calibration.pds(scorer.engine.predict_proba(rows).astype(np.float64))
    return measures(loans.bad, pds)


def remedy(scorer: Scorer, loans: PastLoans) -> str:
    """The two numbers that would put the PDs on these loans' level, as the fields file takes them."""
    probabilities = scorer.engine.predict_proba(scorer.release.rows.build(loans.values))
    try:
        fitted = calibrate(probabilities.astype(np.float64), loans.bad)
    except ValueError:
        return "No calibration mends that: the more the model fears, the fewer went bad."
    numbers = f"{{ intercept = {fitted.intercept:.4f}, slope = {fitted.slope:.4f} }}"
    return f"This in the fields file would fit them: calibration = {numbers}"
