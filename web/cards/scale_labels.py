"""The positions of labels under a picture, so that none leaves it and none overlaps another: geometry only."""

from typing import NamedTuple

from inference.calibration import probability
from inference.policy import APPROVE, DECLINE, REFER, Cutoffs
from web.cards.scale import Scale
from web.pages.figures import Figures
from web.pages.texts import Texts

NARROWEST = 280  # px: the column on a small phone. Labels that fit into it always fit, since text keeps its size
LETTER = 7.2  # px that a letter or digit of 12 px takes at most, on average over a label
GAP = 100 * 8 / NARROWEST  # between two labels, per cent of the width


class ZoneName(NamedTuple):
    """A decision's name below the axis."""

    x: float  # per cent of the width
    anchor: str  # which end of the text stands at x: start, middle or end
    text: str


class AxisLabel(NamedTuple):
    """A PD and its points under the axis."""

    x: float  # per cent of the width
    anchor: str
    pd: str
    points: str
    kind: str = "cut-off"  # or end-of-scale


def width(*texts: str) -> float:
    """Per cent of the narrowest picture that the longest of these takes."""
    return 100 * LETTER * max(map(len, texts)) / NARROWEST


def zone_names(refer: float, decline: float, cuts: Cutoffs, texts: Texts) -> tuple[ZoneName, ...]:
    """The decisions' names below the axis: at both ends, and that of referral as close to its zone as there is room."""
    names = {name: texts(f"decision.{name}") for name in (APPROVE, REFER, DECLINE)}
    half = width(names[REFER]) / 2
    right = 100.0 - (width(names[DECLINE]) + GAP if cuts.can_decline else 0.0)
    middle = min(max((refer + decline) / 2, width(names[APPROVE]) + GAP + half), right - half)
    placed = [ZoneName(0.0, "start", names[APPROVE]), ZoneName(middle, "middle", names[REFER])]
    return (*placed, *([ZoneName(100.0, "end", names[DECLINE])] if cuts.can_decline else []))


def axis_labels(
    refer: float, decline: float, scale: Scale, cuts: Cutoffs, texts: Texts, figures: Figures
) -> tuple[AxisLabel, ...]:
    """PD and points of the cut-offs, each beside its line, but moved if it would leave the picture or overlap the
    other; and of both ends of the axis if there is room."""

    def two(pd: float, named: bool = False) -> tuple[str, str]:
        if not named:
            return figures.pd(pd), figures.points(pd)
        return f"{texts('result.pd')} {figures.pd(pd)}", f"{figures.points(pd)} {texts('result.points')}"

    first = two(cuts.refer_from)
    second = two(cuts.decline_from) if cuts.can_decline else ("", "")
    needed = width(*second) + GAP if cuts.can_decline else 0.0
    end = min(max(refer, width(*first)), 100.0 - needed)
    placed = [AxisLabel(end, "end", *first)]
    after = end
    if cuts.can_decline:
        start = min(max(decline, end + GAP), 100.0 - width(*second))
        placed.append(AxisLabel(start, "start", *second))
        after = start + width(*second)
    left, right = two(probability(scale.low), named=True), two(probability(scale.high), named=False)
    if width(*left) + GAP <= end - width(*first):
        placed.append(AxisLabel(0.0, "start", *left, "end-of-scale"))
    if after + GAP <= 100.0 - width(*right):
        placed.append(AxisLabel(100.0, "end", *right, "end-of-scale"))
    return tuple(placed)
