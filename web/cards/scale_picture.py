"""The picture of a score: the PD, the cut-offs and the distribution of past loans; and the same in sentences."""

from dataclasses import dataclass
from typing import ClassVar

from inference.policy import Cutoffs
from inference.release import Release
from web.cards.scale import Scale, loans
from web.cards.scale_labels import AxisLabel, ZoneName, axis_labels, zone_names
from web.pages.figures import Figures
from web.pages.texts import Texts


@dataclass(frozen=True)
class ScalePicture:
    """The scale with its cut-offs, and with the mark of an application if there is one. All x in per cent."""

    template: ClassVar[str] = "cards/scale.html"
    title: str
    description: str  # the picture in sentences
    area: str  # the distribution of past loans, as the d of a path in a box of 100 by 100
    refer: float  # where referral begins
    decline: float  # where it ends
    cuts: tuple[float, ...]  # where lines are drawn
    mark: float | None
    zones: tuple[ZoneName, ...]
    labels: tuple[AxisLabel, ...]


def draw(
    release: Release, scale: Scale, cuts: Cutoffs, texts: Texts, figures: Figures, pd: float | None
) -> ScalePicture:
    """The scale with its cut-offs, and with the mark of an application if there is one."""
    refer, decline = scale.x(cuts.refer_from), scale.x(cuts.decline_from) if cuts.can_decline else 100.0
    return ScalePicture(
        title=texts("scale.title" if pd is not None else "scale.title_policy"),
        description=" ".join(describe(release, cuts, texts, figures, pd)),
        area=scale.area,
        refer=refer,
        decline=decline,
        cuts=(refer, decline) if cuts.can_decline else (refer,),
        mark=None if pd is None else scale.x(pd),
        zones=zone_names(refer, decline, cuts, texts),
        labels=axis_labels(refer, decline, scale, cuts, texts, figures),
    )


def describe(release: Release, cuts: Cutoffs, texts: Texts, figures: Figures, pd: float | None) -> list[str]:
    """The picture in sentences."""
    sentences = []
    if pd is not None:
        sentences.append(texts("scale.mark", pd=figures.pd(pd), points=figures.points(pd)))
    cut_offs = (
        {"refer": cuts.refer_from, "decline": cuts.decline_from} if cuts.can_decline else {"refer": cuts.refer_from}
    )
    values = {f"{name}_from": figures.pd(cut) for name, cut in cut_offs.items()}
    values |= {f"{name}_points": figures.points(cut) for name, cut in cut_offs.items()}
    sentences.append(texts("scale.cuts" if cuts.can_decline else "scale.cuts_open", **values))
    if release.manifest.population is not None:
        sentences.append(texts("scale.density", loans=loans(release, texts)))
    return sentences
