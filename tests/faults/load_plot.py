"""The picture of a load test: waits, memory and descriptors over its time."""

from collections.abc import Sequence

import matplotlib as mpl

from models.model_card.plots import ACCENT, GREY, STYLE, canvas, svg

POINTS = 120  # drawn at most: more are put together by their medians

PANELS = (
    ("Wait, ms", {"p50": "p50", "p99": "p99"}, 1.0),
    ("Answers a second", {"a_second": ""}, 1.0),
    ("Memory, MB", {"rss": ""}, 2.0**-20),
    ("Descriptors", {"descriptors": ""}, 1.0),
)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


def plot(samples: Sequence[dict[str, float]], title: str) -> str:
    """Four panels over time as SVG."""
    step = -(-len(samples) // POINTS)
    groups = [samples[at : at + step] for at in range(0, len(samples), step)]
    minutes = [median([one["at"] for one in group]) / 60 for group in groups]
    with mpl.rc_context(STYLE):
        figure, every = canvas(12.4, 3.1, len(PANELS))
        for axes, (name, lines, factor) in zip(every, PANELS, strict=True):
            for (key, label), colour in zip(lines.items(), (ACCENT, GREY), strict=False):
                values = [median([one[key] for one in group]) * factor for group in groups]
                axes.plot(minutes, values, color=colour, linewidth=1.3, label=label)
            axes.set_title(name)
            axes.set_xlabel("minutes")
            axes.set_ylim(bottom=0)
            axes.grid(axis="y")
        every[0].legend()
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        return svg(figure, title)
