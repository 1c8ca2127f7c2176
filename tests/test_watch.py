"""The statistics of watching, each against what somebody published, or against a library that we do not serve with."""

import numpy as np
import pytest
from parts import some

from inference.watch.drift import CUSTOM, bins_of, chi_squared, drift, psi
from inference.watch.expected import (
    LIMIT,
    Cohorts,
    LifeTable,
    cohorts,
    counts,
    cusum,
    life_table,
    month,
    month_name,
    together,
    watch,
)


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.95, 1, 3.841),
        (0.95, 10, 18.307),
        (0.99, 4, 13.277),
        (0.999, 5, 20.515),
        (0.999, 10, 29.588),
        (0.999, 2, 13.816),
    ],
)
def test_quantiles_of_chi_squared_are_those_of_the_tables(probability: float, freedom: int, quantile: float) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4: upper critical values."""
    assert chi_squared(probability, freedom) == pytest.approx(quantile, abs=0.001)


@pytest.mark.slow
def test_the_psi_is_jeffreys_divergence() -> None:
    """optbinning has it under that name; and two shares that are worked out by hand: 0.2 ln 2 + 0.2 ln 1.5."""
    from optbinning.binning.metrics import jeffrey  # takes two seconds: not while the tests are collected

    p, q = np.array([0.05, 0.2, 0.3, 0.45]), np.array([0.1, 0.25, 0.35, 0.3])
    assert psi(p, q) == pytest.approx(float(jeffrey(p, q, return_sum=True)))
    assert psi([40, 60], [20, 80]) == pytest.approx(0.2 * np.log(2) + 0.2 * np.log(80 / 60))


@pytest.mark.parametrize(("n", "bins"), [(200, 10), (1_000, 10), (1_000, 5)])
def test_without_change_the_psi_is_as_large_as_theory_says(n: int, bins: int) -> None:
    """Yurdakul and Naranjo 2020: near (bins - 1)(1/n + 1/m) on average."""
    generator = np.random.default_rng(1)
    share = np.full(bins, 1 / bins)
    seen = [psi(generator.multinomial(n, share), generator.multinomial(4 * n, share), 0.5) for _ in range(2_000)]
    assert np.mean(seen) == pytest.approx((bins - 1) * (1 / n + 1 / (4 * n)), rel=0.05)


def test_a_change_is_seen_and_chance_is_not() -> None:
    """At a hundred a plain PSI above 0.1 is common; the limit is above it, and a real change above the limit."""
    reference = np.full(10, 120)
    few = drift(np.array([10, 14, 7, 12, 9, 13, 6, 11, 12, 6]), reference, 11)
    assert few.limit > 0.3
    assert not few.alarm
    moved = drift(np.array([40, 20, 10, 5, 5, 5, 5, 5, 3, 2]), reference, 11)
    assert moved.alarm
    many = drift(np.full(10, 500), np.full(10, 5_000), 11)
    assert many.limit == CUSTOM
    assert np.isnan(drift(np.zeros(10, np.int64), reference, 11).psi)


def test_rare_bins_are_put_together() -> None:
    """Fifty states with a handful each would make the limit a wall."""
    reference, month_counts = np.array([700, 260, *[1] * 40]), np.array([70, 26, *[0] * 39, 4])
    assert drift(month_counts, reference, 1).psi == pytest.approx(psi([70, 26, 4], [700, 260, 40], 0.5))


def test_bins_have_equal_numbers_and_one_for_not_stated() -> None:
    bins = bins_of(np.arange(1_000.0))
    assert bins.counts(np.array([-5.0, 99.4, 500.0, 2_000.0, np.nan, np.nan])).tolist() == [
        2, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2,
    ]  # fmt: skip
    assert len(bins_of(np.array([1.0, 1.0, 1.0, np.nan])).edges) == 1
    assert bins_of(np.array([np.nan])).counts(np.array([3.0, np.nan])).tolist() == [1, 1]


def test_expected_is_that_of_indirect_standardisation() -> None:
    """Deaths in Ecuador by the rates of Sweden: 64,700 observed, 42,561 expected, a ratio of 1.52 (IUSSP, Population
    Analysis for Policies and Programmes, papp101, session 6). Three ages are three cohorts seen in one month."""
    thousands, deaths, rates = [742, 3_219, 7_498], [36_100, 11_900, 16_700], [0.45, 2.4, 42.4]
    bad = np.zeros((3, 3))
    bad[[0, 1, 2], [2, 1, 0]] = deaths
    ((_, observed, expected),) = counts(
        Cohorts(0, np.array(thousands, float), bad), LifeTable(np.array(rates), 100), 2, 3
    )
    assert observed == 64_700
    assert expected == pytest.approx(42_561, abs=1)
    assert observed / expected == pytest.approx(1.52, abs=0.005)


MONTGOMERY = [
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62,
    10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
]  # fmt: skip


def test_the_cusum_is_montgomerys() -> None:
    """Introduction to Statistical Quality Control, table 9.1 and 9.2: target 10, k 0.5, h 5: an alarm at value 29."""
    sums = cusum([value - 10 for value in MONTGOMERY], 0.5)
    assert sums[28:] == pytest.approx([5.28, 5.30])
    assert [place for place, level in enumerate(sums, 1) if level > 5] == [29, 30]


def made_book(factor: float, seed: int = 0) -> Cohorts:
    """Loans of 48 months, 400 a month at a PD of 10 %, that go bad over 12 months; from month 30 on `factor` times as
    many do."""
    generator = np.random.default_rng(seed)
    grid = np.zeros((48, 12))
    for cohort in range(48):
        for age in range(12):
            times = factor if cohort + age >= 30 else 1.0
            grid[cohort, age] = generator.poisson(400 * 0.1 / 12 * times)
    return Cohorts(month("2020-01"), np.full(48, 40.0), grid)


def test_a_book_that_gets_worse_alarms_and_one_that_does_not_is_silent() -> None:
    """Twice the bad loans alarm within four months; without a change no month of twenty books does."""
    start = month("2020-01")
    reference = (start, start + 24)
    worse = made_book(2.0)
    table = life_table(worse, *reference)
    assert table is not None
    alarms = [row for row in watch(worse, table, reference, start + 48).months if row.alarm]
    assert month_name(alarms[0].month) <= "2022-10"
    assert month_name(alarms[0].month) >= "2022-07"
    for seed in range(20):
        calm = made_book(1.0, seed)
        table = life_table(calm, *reference)
        assert table is not None
        watched = watch(calm, table, reference, start + 48)
        assert not any(row.alarm for row in some(watched.months))
        assert 1.0 <= watched.dispersion < 2.5


def test_waves_of_bad_loans_alarm_seldom() -> None:
    """Months that vary by a third: the reference's own excess divides the differences. Without it more than three times
    as many alarm."""
    start, alarms, plain = month("2020-01"), 0, 0
    reference = (start, start + 24)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        grid = np.zeros((48, 12))
        waves = generator.gamma(10, 0.1, 60)
        for cohort in range(48):
            for age in range(12):
                grid[cohort, age] = generator.poisson(400 * 0.1 / 12 * waves[cohort + age])
        book = Cohorts(start, np.full(48, 40.0), grid)
        table = life_table(book, *reference)
        assert table is not None
        watched = watch(book, table, reference, start + 48)
        assert watched.dispersion > 1.5
        alarms += any(row.alarm for row in some(watched.months))
        later = [row for row in watched.months if not row.reference]
        plain += max(cusum([(row.observed - row.expected) / row.expected**0.5 for row in later])) > LIMIT
        row = watched.months[-1]
        error = (watched.dispersion * row.expected * (1 + row.expected / table.bad)) ** 0.5
        assert row.z == pytest.approx((row.observed - row.expected) / error)
    assert alarms <= 2
    assert plain > 3 * alarms


def test_too_few_bad_loans_make_no_table() -> None:
    granted = np.full(500, month("2020-01"))
    bad = np.where(np.arange(500) < 19, month("2020-05"), -1)
    assert life_table(cohorts(granted, np.full(500, 0.1), bad), month("2020-01"), month("2021-01")) is None


def test_small_months_are_put_together() -> None:
    rows = [(1, 0.0, 0.4), (2, 1.0, 0.7), (3, 2.0, 1.5), (4, 0.0, 0.2)]
    assert together(rows, 1.0) == [(2, 1.0, pytest.approx(1.1)), (3, 2.0, 1.5)]
