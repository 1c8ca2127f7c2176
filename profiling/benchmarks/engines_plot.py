"""The picture beside the engines' tables: time a row by batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from models.model_card.plots import ACCENT, GREY, INK, STYLE, canvas, svg

COLOURS = (INK, ACCENT, "#b5651d", "#c0392b", GREY, "#8a5a9c", "#2e7d8c", "#7a7f2b")


def plot(figures: dict[str, Any], names: Sequence[str], file: Path) -> None:
    """µs a row over rows a call, both logarithmic, a line an engine, one thread; an SVG."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(7.2, 4.2)
        for name, colour in zip(names, COLOURS, strict=False):  # as many as there are programs
            times = {int(size): seconds for size, seconds in figures["threads"]["1"]["warm_s"][name].items()}
            axes.loglog(
                list(times), [s / size * 1e6 for size, s in times.items()], color=colour, marker=".", label=name
            )
        axes.set_title("Time a row, by rows a call (one thread)")
        axes.set_xlabel("rows a call")
        axes.set_ylabel("µs a row")
        axes.grid(True)
        axes.legend()
        file.write_text(svg(figure, "Time a row, by rows a call"), encoding="utf-8")
