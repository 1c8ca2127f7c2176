"""The curve of a field as a picture with a description: a line over a number's range, or a bar for each choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inference.fields import ChoiceField, Field, NumberField
from inference.number_format import write_number
from inference.release import Release
from inference.scorer import Score
from inference.whatif import Curve, Floats
from web.cards.scale_labels import GAP, width
from web.desk.curve_geometry import FLOOR, HEIGHT, TOP, axes_of, highest_shown
from web.pages.answers import choice_text
from web.pages.figures import figures_for, write_exact_percent, write_share
from web.pages.texts import Texts

# The PDs that a curve's description mentions, by the shape of the curve.
NAMED = {"flat": ["first"], "rises": ["first", "last"], "falls": ["first", "last"],
         "turns": ["least", "most", "first", "last"]}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of the picture: pd, cut refer or cut decline."""

    kind: str
    path: str  # the d of a path, x in per cent


@dataclass(frozen=True)
class Legend:
    """The name of a line."""

    kind: str
    text: str


@dataclass(frozen=True)
class Own:
    """The application's point: x in per cent, y in px."""

    x: float
    y: float


@dataclass(frozen=True)
class CurveLine:
    """The PD over a number's range, with the cut-offs. Names are in a legend above the picture, since a curve may pass
    through any place in it."""

    template: ClassVar[str] = "desk/curve_line.html"
    title: str
    description: str
    legend: tuple[Legend, ...]
    cuts: tuple[Line, ...]
    pd: Line
    own: Own | None
    most: str  # the PD at the upper end
    first: str  # the value at the left end
    last: str  # at the right end
    first_y: int
    last_y: int
    height: int
    top: int = TOP
    floor: int = FLOOR


@dataclass(frozen=True)
class Tick:
    """A cut-off on a bar."""

    kind: str  # refer or decline
    x: float  # per cent of the width


@dataclass(frozen=True)
class ChoiceBar:
    """A choice with its PD."""

    answer: str
    own: bool  # whether it is the application's answer
    width: float  # per cent of the width
    ticks: tuple[Tick, ...]
    pd: str


@dataclass(frozen=True)
class ChoiceBars:
    """A bar a choice, the lowest PD first, with the cut-offs."""

    template: ClassVar[str] = "desk/curve_bars.html"
    bars: tuple[ChoiceBar, ...]
    explanation: str


def curve_line(scored: Score, field: Field, index: int, curve: Curve, release: Release, texts: Texts) -> CurveLine:
    """The PD over a number's range with the cut-offs; steps, since trees jump."""
    language, axes = texts.language, axes_of(curve)
    xs = [axes.x(value) for value in curve.values.tolist()]
    own = scored.application.values[index]
    cuts = {"refer": curve.refer_from, "decline": curve.decline_from}
    cuts = {name: cut_offs for name, cut_offs in cuts.items() if float(cut_offs.min()) < axes.most}
    first, last = field.show(axes.low, language), field.show(axes.high, language)
    row = HEIGHT - 12
    second = row if width(first) + GAP + width(last) <= 100 else row + 16  # beside the first, else below it
    return CurveLine(
        title=field.label[language],
        description=f"{course(field, curve, release, texts)} {approved(curve, texts)}",
        legend=legend(cuts, pd_and_cut_offs(scored), release, texts),
        cuts=tuple(Line(f"cut {name}", axes.line(xs, cut_offs.tolist())) for name, cut_offs in cuts.items()),
        pd=Line("pd", axes.steps(xs, curve.pds.tolist())),
        own=None if math.isnan(own) else Own(axes.x(own), axes.y(scored.pd)),
        most=f"{texts('result.pd')} {write_exact_percent(axes.most, language)}",
        first=first,
        last=last,
        first_y=row,
        last_y=second,
        height=HEIGHT + second - row,
    )


def legend(cuts: Mapping[str, Floats], known: Sequence[float], release: Release, texts: Texts) -> tuple[Legend, ...]:
    """The names of the lines: the PD, and the visible cut-offs with their values at both ends."""
    items = [Legend("pd", texts("result.pd"))]
    for name, cut_offs in cuts.items():
        first, last = float(cut_offs[0]), float(cut_offs[-1])
        figures = figures_for(release, texts.language, known, [first, last])
        if first == last:
            text = texts(f"whatif.{name}_from", pd=figures.pd(first))
        else:
            ends = [figures.pd(pd) if pd < 1 else texts("whatif.never") for pd in (first, last)]
            text = texts(f"whatif.{name}_varies", first=ends[0], last=ends[1])
        items.append(Legend(f"cut {name}", text))
    return tuple(items)


def course(field: Field, curve: Curve, release: Release, texts: Texts) -> str:
    """How the PD changes over a number's range, from the drawn values."""
    language = texts.language
    moves = np.diff(curve.pds)
    if not moves.any():
        way, ends = "flat", [0]
    elif (moves >= 0).all() or (moves <= 0).all():
        way, ends = "rises" if moves.max() > 0 else "falls", [0, -1]
    else:
        way, ends = "turns", [int(curve.pds.argmin()), int(curve.pds.argmax())]
    pds = [float(curve.pds[end]) for end in (*ends, *([0, -1] if way == "turns" else []))]
    figures = figures_for(release, language, pds[:2])
    shown = {name: figures.pd(pd) for name, pd in zip(NAMED[way], pds, strict=True)}
    where = [field.show(float(curve.values[end]), language) for end in (0, -1, *ends)]
    return texts(
        f"whatif.curve_{way}",
        field=field.label[language], low=where[0], high=where[1], at_least=where[2], at_most=where[-1], **shown,
    )  # fmt: skip


def approved(curve: Curve, texts: Texts) -> str:
    """For how many of the drawn values the suggestion would be an approval."""
    values = {name: write_number(int(count), texts.language) for name, count in
              (("approved", curve.approves.sum()), ("drawn", len(curve.approves)))}  # fmt: skip
    return texts("whatif.curve_approved", **values)


def choice_bars(scored: Score, field: ChoiceField, index: int, curve: Curve, texts: Texts) -> ChoiceBars:
    """A bar a choice, the lowest PD first, with the cut-offs."""
    language, own, most = texts.language, scored.application.values[index], highest_shown(curve)
    bars = []
    for number in curve.pds.argsort(kind="stable").tolist():
        value, pd = float(curve.values[number]), float(curve.pds[number])
        cuts = (("refer", float(curve.refer_from[number])), ("decline", float(curve.decline_from[number])))
        bars.append(
            ChoiceBar(
                answer=choice_text(field.choices[int(value)], language),
                own=value == own,
                width=100 * pd / most,
                ticks=tuple(Tick(name, 100 * cut / most) for name, cut in cuts if cut < most),
                pd=write_share(pd, language),
            )
        )
    key = "whatif.bars_text" if float(curve.decline_from.min()) < most else "whatif.bars_refer"
    return ChoiceBars(tuple(bars), texts(key))


def picture_of(scored: Score, index: int, curve: Curve, release: Release, texts: Texts) -> CurveLine | ChoiceBars:
    """The picture of the curve of the field with this index in the form."""
    field = release.form.fields[index]
    if isinstance(field, NumberField):
        return curve_line(scored, field, index, curve, release, texts)
    return choice_bars(scored, field, index, curve, texts)


def pd_and_cut_offs(score: Score) -> list[float]:
    """A PD and its cut-offs, which must look different unless they are equal."""
    return [score.pd, score.refer_from, score.decline_from]
