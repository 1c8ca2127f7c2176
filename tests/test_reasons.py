"""Exact Shapley values: they add up, agree with the definition, and treat like fields alike."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import RealLoans, form_of, number

from inference.application import Application
from inference.blocks import NumbersSpec
from inference.calibration import Calibration, logit
from inference.reasons import Reasons, coalitions, weights
from inference.rows import RowBuilder
from inference.scorer import Scorer

LOANS = 60


@pytest.fixture(scope="module")
def reasons(scorer: Scorer) -> Reasons:
    return Reasons(scorer.release, scorer.engine)


@pytest.mark.slow
def test_effects_add_up_to_the_score(scorer: Scorer, reasons: Reasons, real: RealLoans) -> None:
    """For real loans: from the reference's log-odds to the applicant's, and that PD is the scorer's own."""
    for at in range(LOANS):
        score = scorer.score(real.answers(at))
        found = reasons.explain(score.application)
        assert found.pd == pytest.approx(score.pd, abs=1e-6)
        moved = float(logit(np.array([found.pd]))[0] - logit(np.array([found.reference_pd]))[0])
        assert sum(found.effects) == pytest.approx(moved, abs=1e-5)


@pytest.mark.slow
def test_effects_are_those_of_the_definition(scorer: Scorer, reasons: Reasons, real: RealLoans) -> None:
    """The mean over every order in which the fields that differ could have come in, by single scores."""
    form = scorer.release.form
    reference = form.reference.values
    application = form.parse(real.answers(0))
    few = [*application.values[:4], *reference[4:]]  # four fields: 24 orders
    found = reasons.explain(Application(tuple(few)))
    sums = np.zeros(len(few))
    for order in permutations(range(4)):
        values = list(reference)
        before = reasons.pds(np.array([values]))
        for field in order:
            values[field] = few[field]
            now = reasons.pds(np.array([values]))
            sums[field] += float(logit(now)[0] - logit(before)[0])
            before = now
    assert np.array(found.effects) == pytest.approx(sums / 24, abs=1e-6)


@pytest.mark.slow
def test_a_field_at_its_reference_has_no_effect(scorer: Scorer, reasons: Reasons, real: RealLoans) -> None:
    """Exactly 0, for each field in turn; and the reference applicant has none at all."""
    form = scorer.release.form
    values = form.parse(real.answers(1)).values
    for at in range(len(values)):
        changed = [*values]
        changed[at] = form.reference.values[at]
        assert reasons.explain(Application(tuple(changed))).effects[at] == 0.0
    assert set(reasons.explain(form.reference).effects) == {0.0}


class Logistic:
    """An engine with a formula: two equal fields, one that counts for nothing, one that works with the first."""

    name = "logistic"

    def predict_proba(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        a, b, _, c = rows.astype(np.float64).T
        z = 0.3 * a + 0.3 * b + 0.1 * a * b + 0.2 * a * c + 0.2 * b * c - 1
        return np.asarray(1 / (1 + np.exp(-z)), np.float32)


@given(st.lists(st.floats(-2, 2, width=16), min_size=3, max_size=3))
def test_like_fields_are_treated_alike(values: list[float]) -> None:
    """Symmetry, and no effect of a field that the model does not look at."""
    names = ("a", "b", "idle", "c")
    form = form_of(*(number(name, -9, 9, reference=0) for name in names))
    rows = RowBuilder(form, (NumbersSpec(of=names),), {})
    release: Any = SimpleNamespace(form=form, rows=rows, calibration=Calibration(0.0, 1.0))
    same, idle, other = values
    effects = Reasons(release, Logistic()).explain(Application((same, same, idle, other))).effects
    assert effects[0] == pytest.approx(effects[1], abs=1e-6)
    assert effects[2] == pytest.approx(0, abs=1e-6)


def test_weights_share_out_everything() -> None:
    """Each player's weights sum to 0; together they take the whole from nobody to all."""
    for players in range(1, 11):
        matrix = weights(players)
        assert matrix.sum(axis=1) == pytest.approx(np.zeros(players), abs=1e-12)
        whole = np.zeros(2**players)
        whole[0], whole[-1] = -1, 1
        assert matrix.sum(axis=0) == pytest.approx(whole, abs=1e-12)
        assert len(coalitions(players)) == 2**players
