"""Turns the model's probability into the PD: logit(PD) = a + b · logit(p), b > 0 (Platt 1999, two numbers)."""

import math

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Floats = npt.NDArray[np.float64]

# Probabilities closer to 0 or 1 carry no information: float32 cannot represent 1 - p below 6e-8.
EDGE, HIGHEST = 1e-7, 1.0 - 1e-7
FARTHEST = math.log(HIGHEST / EDGE)  # log-odds
# A steep slope must not push a PD to 0 or 1, where odds and points are undefined.
STEEPEST = 30.0


def logit(p: Floats) -> Floats:
    """Log-odds of probabilities of any shape, clipped to ± 16.1 so that all are finite."""
    p = np.minimum(np.maximum(p, EDGE), HIGHEST)  # np.clip takes ten times as long for a few numbers
    return np.log(p / (1.0 - p))


def log_odds(p: float) -> float:
    """`logit` of a single probability."""
    p = EDGE if p < EDGE else HIGHEST if p > HIGHEST else p
    return math.log(p / (1.0 - p))


def probability(log_odds: float) -> float:
    """The inverse of `log_odds`, for log-odds of -700 and above: e^700 is still a float64."""
    return 1.0 / (1.0 + math.exp(-log_odds))


def expit(z: Floats) -> Floats:
    """The inverse of `logit`."""
    return 1.0 / (1.0 + np.exp(-z))


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """Two numbers that map log-odds to observed default rates; `slope` > 0 preserves the ranking."""

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intercept) and 0 < self.slope < math.inf):
            raise ValueError(f"calibration needs a finite intercept and slope > 0, got {self}")

    def pd(self, p: float) -> float:
        """The model's probability -> PD in (0, 1)."""
        z = self.intercept + self.slope * log_odds(p)
        return probability(-STEEPEST if z < -STEEPEST else STEEPEST if z > STEEPEST else z)

    def pds(self, p: Floats) -> Floats:
        """The PDs of many, (m,) float64 -> (m,) float64. Bit for bit as `pd`; NumPy's own log and exp would differ."""
        return np.fromiter(map(self.pd, p.tolist()), np.float64, len(p))

    def log_odds(self, p: Floats) -> Floats:
        """The model's probabilities -> log-odds of the PDs, any shape: `logit(pds(p))` within 1e-12, and quicker."""
        return np.minimum(np.maximum(self.intercept + self.slope * logit(p), -FARTHEST), FARTHEST)
