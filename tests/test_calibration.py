"""From the model's probability to the PD, by two numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from inference.calibration import EDGE, Calibration, expit, logit
from inference.scorer import Scorer

PROBABILITIES = st.floats(0, 1)


def test_logit_and_expit_are_scipys() -> None:
    """Log-odds and their inverse agree with SciPy's to the last few bits."""
    p = np.linspace(1e-6, 1 - 1e-6, 10_001)
    np.testing.assert_allclose(logit(p), special.logit(p), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(expit(logit(p)), p, rtol=1e-12)


def test_zero_and_one_have_finite_log_odds() -> None:
    """A model's 0 or 1 counts as EDGE away from it."""
    np.testing.assert_array_equal(logit(np.array([0.0, 1.0])), logit(np.array([EDGE, 1 - EDGE])))


@given(PROBABILITIES)
def test_intercept_0_and_slope_1_change_nothing(p: float) -> None:
    """The identity calibration gives the model's probability back, kept off 0 and 1."""
    assert Calibration(0.0, 1.0).pd(p) == pytest.approx(min(max(p, EDGE), 1 - EDGE), rel=1e-9)


@given(PROBABILITIES, st.floats(-3, 3), st.floats(0.1, 100))
def test_a_pd_is_strictly_between_0_and_1(p: float, intercept: float, slope: float) -> None:
    """However steep the slope, odds and points of the PD exist."""
    assert 0.0 < Calibration(intercept, slope).pd(p) < 1.0


@given(PROBABILITIES, PROBABILITIES, st.floats(-2, 2), st.floats(0.2, 3))
def test_calibration_keeps_the_order(one: float, two: float, intercept: float, slope: float) -> None:
    """A higher probability never has a lower PD, and a clearly higher one has a higher PD."""
    calibration = Calibration(intercept, slope)
    low, high = sorted((one, two))
    assert calibration.pd(low) <= calibration.pd(high)
    if low > 1e-4 and low + 1e-6 < high < 1 - 1e-4:
        assert calibration.pd(low) < calibration.pd(high)


def test_one_and_many_are_the_same_bits(scorer: Scorer) -> None:
    """A release's PD of one probability is bit for bit that of a batch, wherever it stands in it."""
    p = np.concatenate([np.random.default_rng(2).random(20_000, np.float32).astype(float), [0.0, 1.0, EDGE]])
    many = scorer.release.calibration.pds(p)
    assert many.tobytes() == np.array([scorer.release.calibration.pd(one) for one in p.tolist()]).tobytes()


@pytest.mark.parametrize("slope", [0, -1, math.inf, math.nan])
def test_a_slope_that_turns_the_order_is_refused(slope: float) -> None:
    """Slope 0 or below would rank applicants at random or upside down."""
    with pytest.raises(ValueError, match="slope > 0"):
        Calibration(0.0, slope)
