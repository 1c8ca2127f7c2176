"""The picture of a score: the PD between the cut-offs, over how past loans spread. Inline SVG, pure functions.

The axis is linear in points, so in the log-odds of the PD: low risk left, high risk right. All x are per cent
of the width, so that the words keep their size on a phone.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from html import escape

import numpy as np

from inference.calibration import log_odds, probability
from inference.number_format import write_number
from inference.policy import APPROVE, DECLINE, REFER, Cutoffs
from inference.release import Release
from web.pages.figures import Figures
from web.pages.texts import Texts

BINS = 48  # of the density
HALF_WIDTH = math.log(32)  # of the axis around break-even where no population is known: odds 32 times up and down
EDGE = 0.03  # of the width, left free beyond the population and beyond an application's mark
ROOM = 0.12  # of the width, at least, for approval and for decline
NARROWEST = 280  # px: the column on a small phone. What fits into it fits into all, since words keep their size
LETTER = 7.2  # px that a letter or digit of 12 px takes at most, on average over a label
GAP = 100 * 8 / NARROWEST  # between two labels, per cent of the width


@dataclass(frozen=True)
class Scale:
    """A release's axis: log-odds at both ends, and the population's density as the path of an area."""

    low: float
    high: float
    area: str
    loans: int

    def x(self, pd: float) -> float:
        """Per cent of the width, kept on the scale."""
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
    """The release's axis, made longer where an application's PD or a cut-off would lie beyond it or at its end."""
    scale = scale_of(release)
    low, high = scale.low, scale.high
    for _ in range(20):  # each end depends on the whole width; this comes to rest
        room, edge = ROOM * (high - low), EDGE * (high - low)
        low = min(low, log_odds(cuts.refer_from) - room)
        high = max(high, log_odds(cuts.decline_from if cuts.can_decline else cuts.refer_from) + room)
        if pd is not None:
            low, high = min(low, log_odds(pd) - edge), max(high, log_odds(pd) + edge)
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
    """How evenly spaced percentiles of PDs spread between two log-odds, as a path in a box of 100 by 100."""
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


def draw(release: Release, scale: Scale, cuts: Cutoffs, texts: Texts, figures: Figures, pd: float | None) -> str:
    """The scale with both cut-offs, and with the mark of an application where there is one."""
    refer, decline = scale.x(cuts.refer_from), scale.x(cuts.decline_from) if cuts.can_decline else 100.0
    lines = "".join(
        f'<line class="cut" x1="{x:.2f}%" x2="{x:.2f}%" y1="16" y2="76"/>'
        for x in ([refer, decline] if cuts.can_decline else [refer])
    )
    words = zone_names(refer, decline, cuts, texts) + cut_offs(refer, decline, scale, cuts, texts, figures)
    title = texts("scale.title" if pd is not None else "scale.title_policy")
    return (
        '<svg class="scale" role="img" aria-labelledby="scale-title scale-text" width="100%" height="132">'
        f'<title id="scale-title">{escape(title)}</title>'
        f'<desc id="scale-text">{escape(" ".join(describe(release, cuts, texts, figures, pd)))}</desc>'
        '<svg x="0" y="16" width="100%" height="48" viewBox="0 0 100 100" preserveAspectRatio="none">'
        f'<path class="population" d="{scale.area}"/></svg>'
        f'<rect class="zone approve" x="0" y="64" width="{refer:.2f}%" height="8"/>'
        f'<rect class="zone refer" x="{refer:.2f}%" y="64" width="{decline - refer:.2f}%" height="8"/>'
        f'<rect class="zone decline" x="{decline:.2f}%" y="64" width="{100 - decline:.2f}%" height="8"/>'
        f"{lines}{mark(scale.x(pd)) if pd is not None else ''}{words}</svg>"
    )


def zone_names(refer: float, decline: float, cuts: Cutoffs, texts: Texts) -> str:
    """The decisions' names below the axis: at both ends, and referral's as near to its zone as they leave room."""
    names = {name: texts(f"decision.{name}") for name in (APPROVE, REFER, DECLINE)}
    half = width(names[REFER]) / 2
    right = 100.0 - (width(names[DECLINE]) + GAP if cuts.can_decline else 0.0)
    middle = min(max((refer + decline) / 2, width(names[APPROVE]) + GAP + half), right - half)
    placed = [(0.0, "start", APPROVE), (middle, "middle", REFER)] + [(100.0, "end", DECLINE)] * cuts.can_decline
    return "".join(
        f'<text class="zone-name" x="{x:.2f}%" y="92" text-anchor="{anchor}">{escape(names[name])}</text>'
        for x, anchor, name in placed
    )


def cut_offs(refer: float, decline: float, scale: Scale, cuts: Cutoffs, texts: Texts, figures: Figures) -> str:
    """PD and points of the cut-offs, each beside its line and moved where it would leave the picture or meet the
    other; and of both ends of the axis where there is room left."""

    def two(pd: float, named: bool = False) -> tuple[str, str]:
        if not named:
            return figures.pd(pd), figures.points(pd)
        return f"{texts('result.pd')} {figures.pd(pd)}", f"{figures.points(pd)} {texts('result.points')}"

    first = two(cuts.refer_from)
    second = two(cuts.decline_from) if cuts.can_decline else ("", "")
    needed = width(*second) + GAP if cuts.can_decline else 0.0
    end = min(max(refer, width(*first)), 100.0 - needed)
    drawn = [figure(end, "end", *first)]
    after = end
    if cuts.can_decline:
        start = min(max(decline, end + GAP), 100.0 - width(*second))
        drawn.append(figure(start, "start", *second))
        after = start + width(*second)
    left, right = two(probability(scale.low), named=True), two(probability(scale.high), named=False)
    if width(*left) + GAP <= end - width(*first):
        drawn.append(figure(0.0, "start", *left, "end-of-scale"))
    if after + GAP <= 100.0 - width(*right):
        drawn.append(figure(100.0, "end", *right, "end-of-scale"))
    return "".join(drawn)


def width(*texts: str) -> float:
    """Per cent of the narrowest picture that the longest of these takes."""
    return 100 * LETTER * max(map(len, texts)) / NARROWEST


def describe(release: Release, cuts: Cutoffs, texts: Texts, figures: Figures, pd: float | None) -> list[str]:
    """The picture in sentences."""
    sentences = []
    if pd is not None:
        sentences.append(texts("scale.mark", pd=figures.pd(pd), points=figures.points(pd)))
    named = {"refer": cuts.refer_from, "decline": cuts.decline_from} if cuts.can_decline else {"refer": cuts.refer_from}
    values = {f"{name}_from": figures.pd(at) for name, at in named.items()}
    values |= {f"{name}_points": figures.points(at) for name, at in named.items()}
    sentences.append(texts("scale.cuts" if cuts.can_decline else "scale.cuts_open", **values))
    if release.manifest.population is not None:
        sentences.append(texts("scale.density", loans=loans(release, texts)))
    return sentences


def loans(release: Release, texts: Texts) -> str:
    """How many loans the population holds, written out."""
    return write_number(scale_of(release).loans, texts.language)


def figure(x: float, anchor: str, pd: str, points: str, kind: str = "cut-off") -> str:
    """A PD and its points under the axis."""
    return (
        f'<g class="{kind}"><text x="{x:.2f}%" y="110" text-anchor="{anchor}">{escape(pd)}</text>'
        f'<text class="points" x="{x:.2f}%" y="126" text-anchor="{anchor}">{escape(points)}</text></g>'
    )


def mark(x: float, height: int = 80) -> str:
    """A line over the whole picture with a head, so that it is not only a colour."""
    return (
        f'<svg class="mark" x="{x:.2f}%" y="0" width="1" height="{height}" overflow="visible">'
        f'<line x1="0" x2="0" y1="10" y2="{height - 4}"/><path d="M-7,0 H7 L0,12 Z"/></svg>'
    )
