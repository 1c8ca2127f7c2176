"""From the model's probability to the PD: logit(PD) = a + b · logit(p), b > 0 (Platt 1999, two numbers)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A probability nearer to 0 or 1 than this says nothing more; float32 holds no 1 - p below 6e-8 anyway.
EDGE = 1e-7


def logit(p: Floats) -> Floats:
    """Log-odds of probabilities of any shape, kept within ± 16.1 so that none is infinite."""
    p = np.minimum(np.maximum(p, EDGE), 1.0 - EDGE)
    return np.log(p / (1.0 - p))


def expit(z: Floats) -> Floats:
    """The inverse of `logit`."""
    return 1.0 / (1.0 + np.exp(-z))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two numbers that put log-odds on the scale of observed rates; `slope` > 0 keeps the order."""

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.intercept) and 0 < self.slope < np.inf):
            raise ValueError(f"calibration needs a finite intercept and slope > 0, got {self}")

    def pd(self, p: Floats) -> Floats:
        """Model probabilities (any shape, float64) -> PD in (0, 1), float64.

        One and many go through the same ufuncs, so their PDs are the same bits.
        """
        return expit(self.intercept + self.slope * logit(p))
