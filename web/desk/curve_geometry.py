"""The geometry of a field's curve, as numbers and SVG paths. x in per cent of the width, y in px."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from inference.whatif import Curve

TOP, FLOOR = 28, 148  # px of the highest PD shown, and of PD 0
HEIGHT = 180  # px of the whole picture


@dataclass(frozen=True)
class Axes:
    """Maps values and PDs to positions in the picture."""

    low: float
    high: float
    most: float  # the PD at the upper end

    def x(self, value: float) -> float:
        """Per cent of the width."""
        return 100.0 * place(value, self.low, self.high, logarithmic(self.low, self.high))

    def y(self, pd: float) -> float:
        """px from the top."""
        return FLOOR - (FLOOR - TOP) * pd / self.most

    def line(self, xs: Sequence[float], pds: Sequence[float]) -> str:
        """A path through points; x in per cent already."""
        return "M" + " L".join(f"{x:.2f},{self.y(pd):.1f}" for x, pd in zip(xs, pds, strict=True))

    def steps(self, xs: Sequence[float], pds: Sequence[float]) -> str:
        """A path that steps halfway between points, since a model of trees is a step function."""
        ys = [self.y(pd) for pd in pds]
        moves = "".join(f" H{(x + then) / 2:.2f} V{y:.1f}" for (x, then), y in zip(pairwise(xs), ys[1:], strict=True))
        return f"M{xs[0]:.2f},{ys[0]:.1f}{moves} H{xs[-1]:.2f}"


def axes_of(curve: Curve) -> Axes:
    """The axes of a number's curve."""
    return Axes(float(curve.values[0]), float(curve.values[-1]), highest_shown(curve))


def highest_shown(curve: Curve) -> float:
    """The PD at a picture's upper end: a whole per cent above every PD and where referral begins."""
    return min(1.0, math.ceil(115 * max(float(curve.pds.max()), float(curve.refer_from.max()))) / 100)


def logarithmic(low: float, high: float) -> bool:
    """Whether an axis is logarithmic."""
    return low > 0 and high / low > 50


def place(value: float, low: float, high: float, ratios: bool) -> float:
    """The relative position of a value between two others, 0..1."""
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if ratios else (value - low) / (high - low)
