"""The axis on which a score is shown, and the distribution of past loans along it: geometry only.

It is linear in points, and so in the log-odds of the PD, with low risk on the left. All x are per cent of the width.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from inference.calibration import log_odds
from inference.number_format import write_number
from inference.policy import Cutoffs
from inference.release import Release
from web.pages.texts import Texts

BINS = 48  # of the density
HALF_WIDTH = math.log(32)  # of the axis around break-even without a population: odds from 1/32 to 32 times
EDGE = 0.03  # of the width, left free beyond the population and beyond an application's mark
ROOM = 0.12  # of the width, at least, for approval and for decline


@dataclass(frozen=True)
class Scale:
    """A release's axis: log-odds at both ends, and the population's density as the path of an area."""

    low: float
    high: float
    area: str
    loans: int

    def x(self, pd: float) -> float:
        """A PD's place in per cent of the width, at least 0 and at most 100."""
        if pd >= 1.0:
            return 100.0
        return min(100.0, max(0.0, 100.0 * (log_odds(pd) - self.low) / (self.high - self.low)))


def scale_of(release: Release) -> Scale:
    """The axis of a release, from the PDs of its training population; without one, around the cut-offs."""
    population = release.manifest.population
    if population is None:
        middle = log_odds(release.policy.cutoffs(release.form.parse(release.form.example)).break_even)
        return Scale(middle - HALF_WIDTH, middle + HALF_WIDTH, "", 0)
    return scale_from(population.pd_percentiles, population.loans)


def scale_for(release: Release, cuts: Cutoffs, pd: float | None) -> Scale:
    """The release's axis, extended if an application's PD or a cut-off would lie beyond it or at its end."""
    scale = scale_of(release)
    low, high = scale.low, scale.high
    first, last = log_odds(cuts.refer_from), log_odds(cuts.decline_from if cuts.can_decline else cuts.refer_from)
    own = None if pd is None else log_odds(pd)
    for _ in range(20):  # each end depends on the whole width; this converges
        room, edge = ROOM * (high - low), EDGE * (high - low)
        low, high = min(low, first - room), max(high, last + room)
        if own is not None:
            low, high = min(low, own - edge), max(high, own + edge)
    population = release.manifest.population
    drawn = "" if population is None else area(population.pd_percentiles, low, high)
    return Scale(low, high, drawn, scale.loans)


@lru_cache(maxsize=4)
def scale_from(pds: tuple[float, ...], loans: int) -> Scale:
    """The axis from the 0th to the 100th percentile of a population's PDs."""
    percentiles = np.array([log_odds(pd) for pd in pds])
    low, high = float(percentiles[1]), float(percentiles[-2])
    margin = EDGE * (high - low)
    low, high = low - margin, high + margin
    return Scale(low, high, area(pds, low, high), loans)


@lru_cache(maxsize=512)
def area(pds: tuple[float, ...], low: float, high: float) -> str:
    """The density of a population, from evenly spaced percentiles of its PDs, between two log-odds, as a path in a box
    of 100 by 100."""
    percentiles = np.array([log_odds(pd) for pd in pds])
    grid = np.linspace(low, high, BINS + 1)
    share = np.interp(grid, percentiles, np.linspace(0, 1, len(percentiles)))
    density = np.diff(share)
    for _ in range(3):  # a hundred percentiles make a ragged outline
        density = np.convolve(np.pad(density, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    heights = 100 - 96 * density / max(density.max(), 1e-9)
    middles = (np.arange(BINS) + 0.5) * 100 / BINS
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(middles, heights, strict=True))
    return f"M0,100 L{points} L100,100 Z"


def loans(release: Release, texts: Texts) -> str:
    """The number of loans in the population, formatted."""
    return write_number(scale_of(release).loans, texts.language)
