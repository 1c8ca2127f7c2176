"""Measures of a model, and their intervals."""

import numpy as np
import pytest

from models.metrics import MEASURES, deciles, intervals, measures

RANDOM = np.random.default_rng(0)
PD = np.round(RANDOM.beta(2, 5, 4000), 2)  # rounded, so that there are ties
BAD = (RANDOM.random(4000) < PD).astype(np.int8)


@pytest.mark.slow
def test_intervals_are_the_bootstrap_of_the_measures() -> None:
    """The quick weighted bootstrap gives what resampling and measuring anew gives, for every measure."""
    generator = np.random.default_rng(7)
    draws = [generator.integers(0, len(BAD), len(BAD)) for _ in range(200)]
    found = intervals(BAD, [PD], resamples=200, seed=7)
    for name, measure in MEASURES.items():
        expected = np.quantile([measure(BAD[at], PD[at]) for at in draws], [0.025, 0.975])
        assert found[name] == pytest.approx(expected.tolist(), abs=1e-9), name


def test_intervals_hold_the_measure() -> None:
    """Each measure lies within its own interval, which is not empty."""
    whole = measures(BAD, PD)
    for name, (low, high) in intervals(BAD, [PD, PD], resamples=100).items():
        assert low < whole[name] < high, name


def test_deciles_hold_every_loan_once_and_rise() -> None:
    """Ten groups of equal size, in order of PD, with every loan and every bad one in them."""
    found = deciles(BAD, PD)
    assert [group.loans for group in found] == [400] * 10
    assert sum(group.bad for group in found) == BAD.sum()
    assert [group.mean_pd for group in found] == sorted(group.mean_pd for group in found)
