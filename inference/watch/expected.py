"""Bad loans observed over expected, by calendar month, from a life table; and a CUSUM that says when it is too much.

The life table is how many loans went bad at each month of age, per unit of PD lent, over the months of a reference.
Expected in a later month is what it gives for the loans of that month's ages (indirect standardisation; Breslow and Day
1987, chapter 2); loans older than any that the reference saw are left out of both sides. Bad loans come in waves, so
they vary more than a Poisson count does: the excess that the reference months show divides every later difference
(McCullagh and Nelder 1989, chapter 6), and so does what is not known of the table, made of so many bad loans.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ALLOWANCE, LIMIT = 1.0, 8.0  # of the CUSUM, in standard deviations: k and h
LEAST_EXPECTED = 1.0  # bad loans a month; months with fewer are put together with the next
LEAST_BAD = 20  # in the reference months: with fewer, no life table is made
SMOOTHED = 3  # months of age


class LifeTable(NamedTuple):
    """Bad loans per unit of PD, by month of age."""

    rates: Floats  # (ages,) from 0 on: those that the reference saw
    bad: int  # in the reference months


class Cohorts(NamedTuple):
    """Loans by the month in which they were granted, and their bad ones by month of age."""

    first: int  # months since year 0 of the first cohort
    weight: Floats  # (cohorts,) sum of PDs
    bad: Floats  # (cohorts, ages)


class Month(NamedTuple):
    """Bad loans of a calendar month, or of several put together."""

    month: int  # the last one, months since year 0
    observed: float
    expected: float
    z: float  # excess in standard deviations
    cusum: float
    alarm: bool
    reference: bool  # whether it is one of the months of the life table


class Watched(NamedTuple):
    """The months, and how much more than Poisson counts the reference months vary."""

    months: tuple[Month, ...]
    dispersion: float


def month(day: str) -> int:
    """Months since year 0 of an ISO date or month."""
    return int(day[:4]) * 12 + int(day[5:7]) - 1


def month_name(number: int) -> str:
    """The ISO month of a number of months since year 0."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def months_of(text: str) -> tuple[int, int]:
    """Parse `2027-01:2027-12`: the first month, and the one after the last. Raises `ValueError`."""
    first, _, last = text.partition(":")
    start, end = month_of(first), month_of(last or first) + 1
    if end <= start:
        raise ValueError("the last month comes before the first")
    return start, end


def month_of(text: str) -> int:
    """Parse `2027-01`. Raises `ValueError`."""
    year, _, number = text.partition("-")
    if len(year) != 4 or len(number) != 2 or not 1 <= int(number) <= 12:
        raise ValueError("a month like 2027-01 is needed")
    return int(year) * 12 + int(number) - 1


def cohorts(granted: Ints, pd: Floats, bad: Ints) -> Cohorts:
    """Loans as cohorts. `granted` and `bad` are months since year 0, `bad` is -1 where a loan did not go bad; (n,)."""
    first, last = int(granted.min()), int(granted.max())
    went = bad >= granted
    ages = int((bad[went] - granted[went]).max()) + 1 if went.any() else 1
    grid = np.zeros((last - first + 1, ages))
    np.add.at(grid, (granted[went] - first, bad[went] - granted[went]), 1)
    weight = np.zeros(last - first + 1)
    np.add.at(weight, granted - first, pd)
    return Cohorts(first, weight, grid)


def life_table(loans: Cohorts, start: int, end: int) -> LifeTable | None:
    """The table of the calendar months from `start` to before `end`; None if too few loans went bad in them."""
    # Ages that were seen without a bad loan belong to it: nothing goes bad there.
    bad_at = np.pad(loans.bad, ((0, 0), (0, max(0, end - loans.first - loans.bad.shape[1]))))
    cohort, age = np.indices(bad_at.shape)
    calendar = loans.first + cohort + age
    used = (calendar >= start) & (calendar < end)
    bad = (bad_at * used).sum(0)
    if bad.sum() < LEAST_BAD:
        return None
    weight = (loans.weight[:, None] * used).sum(0)
    last = int(np.flatnonzero(weight > 0)[-1])
    rates = np.where(weight > 0, bad / np.maximum(weight, 1e-12), np.nan)[: last + 1]
    return LifeTable(smoothed(rates), int(bad.sum()))


def smoothed(rates: Floats) -> Floats:
    """Moving averages over three months of age, of those that were seen; a gap has the rate before it."""
    half = SMOOTHED // 2
    averages = np.empty(len(rates))
    for age in range(len(rates)):
        near = rates[max(0, age - half) : age + half + 1]
        near = near[~np.isnan(near)]
        averages[age] = near.mean() if len(near) else (averages[age - 1] if age else 0.0)
    return averages


def counts(loans: Cohorts, table: LifeTable, start: int, end: int) -> list[tuple[int, float, float]]:
    """(month, observed, expected) of the calendar months from `start` to before `end`, of ages in the table."""
    rows = []
    for calendar in range(start, end):
        ages = calendar - loans.first - np.arange(len(loans.weight))
        seen = (ages >= 0) & (ages < len(table.rates))
        within = seen & (ages < loans.bad.shape[1])
        observed = float(loans.bad[np.flatnonzero(within), ages[within]].sum())
        rows.append((calendar, observed, float((loans.weight[seen] * table.rates[ages[seen]]).sum())))
    return rows


def watch(loans: Cohorts, table: LifeTable, reference: tuple[int, int], end: int) -> Watched:
    """All months from the reference's first to before `end`; the CUSUM begins after the reference."""
    start, calm_end = reference
    rows = together(counts(loans, table, start, calm_end), LEAST_EXPECTED)
    later = together(counts(loans, table, calm_end, end), LEAST_EXPECTED)
    squares = [(observed - expected) ** 2 / expected for _, observed, expected in rows if expected > 0]
    dispersion = max(1.0, float(np.mean(squares))) if squares else 1.0
    # Var(O − E): that of the count, and e² / bad, that of an expectation from so many bad loans (both dispersed).
    scores = [(o - e) / (dispersion * e * (1 + e / table.bad)) ** 0.5 if e > 0 else 0.0 for _, o, e in rows + later]
    sums = [0.0] * len(rows) + cusum(scores[len(rows) :])
    return Watched(
        tuple(
            Month(calendar, o, e, z, s, s > LIMIT, calendar < calm_end)
            for (calendar, o, e), z, s in zip(rows + later, scores, sums, strict=True)
        ),
        dispersion,
    )


def together(rows: list[tuple[int, float, float]], least: float) -> list[tuple[int, float, float]]:
    """Rows in which at least so many are expected: smaller ones are put together with the next; a rest is left out."""
    rows_together, observed, expected = [], 0.0, 0.0
    for calendar, o, e in rows:
        observed, expected = observed + o, expected + e
        if expected >= least:
            rows_together.append((calendar, observed, expected))
            observed = expected = 0.0
    return rows_together


def cusum(scores: list[float], allowance: float = ALLOWANCE) -> list[float]:
    """Upper CUSUM of standardised values: S = max(0, S + z − k) (Page 1954; Montgomery, section 9.1)."""
    sums, level = [], 0.0
    for z in scores:
        level = max(0.0, level + z - allowance)
        sums.append(level)
    return sums
