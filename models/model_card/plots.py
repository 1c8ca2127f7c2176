"""The model card's pictures: SVG text, the same bytes for the same figures, no script and no outside reference.

One calm style: one accent, greys, words where words are shorter than a legend. Text stays text, so that files are
small and can be searched; the browser's own sans-serif stands in where DejaVu is missing.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import roc_curve

from inference.policy import APPROVE, DECLINE, REFER
from models.evaluation import Result
from models.model_card.decision_outcomes import SUGGESTIONS, Book, Group, by_decile

ACCENT = "#1f5f8b"
PALER = ("#8fb4cd", "#bfd5e3")  # earlier vintages, the latest has the accent
INK, GREY, LIGHT = "#2b2f33", "#8a9097", "#e4e7ea"
COLOURS = {APPROVE: ACCENT, REFER: "#c3c9cf", DECLINE: "#5a6068"}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "tenfold",  # else ids are random, and no two runs agree
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
}


def canvas(width: float, height: float, columns: int = 1, **rest: Any) -> tuple[Figure, Any]:
    """A figure (inches) and its axes, in the style in force."""
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1, wspace=0.06)
    return figure, figure.subplots(1, columns, **rest)


def svg(figure: Figure, title: str) -> str:
    """The figure as SVG text, without date, version, doctype or anything else that is not the picture."""
    stream = io.StringIO()
    bare = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    figure.savefig(stream, format="svg", metadata={**bare, "Title": title})
    text = re.sub(r"<!DOCTYPE[^>]*>\s*", "", stream.getvalue())
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def shade(number: int, count: int) -> str:
    """The colour of one vintage of several."""
    return ACCENT if number == count - 1 else PALER[number % 2]


def percent(axis: Any) -> None:
    """Ticks in per cent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def intervals(axes: Axes, positions: Sequence[float], groups: Sequence[Group], colour: str = GREY) -> None:
    """Thin vertical lines: 95 % intervals of bad rates."""
    for x, group in zip(positions, groups, strict=True):
        axes.plot([x, x], group.interval, color=colour, linewidth=1.0, zorder=2)


def roc(headline: Sequence[Result], simpler: Sequence[Result]) -> str:
    """ROC curves of the release, and of simpler models in grey; averaged over repeats at equal false alarms."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(5.6, 5.2)
        grid = np.linspace(0, 1, 201)
        axes.plot([0, 1], [0, 1], color=LIGHT, linewidth=1.2)
        lines_drawn = [(result, "-", shade(n, len(headline)), 2.0) for n, result in enumerate(headline)]
        lines_drawn += [(result, "--" if n == 0 else ":", GREY, 1.2) for n, result in enumerate(simpler)]
        for result, line, colour, width in lines_drawn:
            curves = [roc_curve(result.bad, pd) for pd in result.pds]
            mean = np.mean([np.interp(grid, false, true) for false, true, _ in curves], axis=0)
            label = f"{result.model}, {result.sample}: AUC {result.measures['auc']:.3f}"
            axes.plot([0, *grid], [0, *mean], line, color=colour, linewidth=width, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal", title="ROC on loans not seen")
        axes.set(xlabel="good loans above the cut-off (false alarms)", ylabel="bad loans above the cut-off (caught)")
        percent(axes.xaxis)
        percent(axes.yaxis)
        axes.legend(loc="lower right", fontsize=8)
        return svg(figure, "ROC on loans not seen")


def calibration(headline: Sequence[Result]) -> str:
    """Observed bad rate against mean PD by decile, with 95 % intervals."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(5.6, 5.2)
        top = 0.0
        for number, result in enumerate(headline):
            groups, predicted = by_decile(result), [decile.mean_pd for decile in result.deciles]
            top = max([top, *predicted, *(group.interval[1] for group in groups)])
            colour = shade(number, len(headline))
            intervals(axes, predicted, groups, colour)
            rates = [group.rate for group in groups]
            axes.plot(predicted, rates, "o", color=colour, markersize=6, label=result.sample, zorder=3)
        top = min(1.0, top * 1.04)
        axes.plot([0, top], [0, top], color=GREY, linewidth=1.0, zorder=1)
        axes.annotate("as predicted", (top * 0.54, top * 0.54), (8, -10), textcoords="offset points", color=GREY)
        axes.set(xlim=(0, top), ylim=(0, top), aspect="equal", title="Calibration by decile of PD")
        axes.set(xlabel="mean PD of the decile", ylabel="bad rate observed (95 % interval)")
        percent(axes.xaxis)
        percent(axes.yaxis)
        if len(headline) > 1:
            axes.legend(loc="upper left")
        return svg(figure, "Calibration by decile of PD")


def vintages(books: Sequence[Book]) -> str:
    """Mean PD and observed bad rate by vintage."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(6.8, 3.6)
        positions = list(range(len(books)))
        every = [book.all for book in books]
        intervals(axes, positions, every, COLOURS[DECLINE])
        observed, predicted = [group.rate for group in every], [book.mean_pd for book in books]
        axes.plot(positions, observed, "o-", color=COLOURS[DECLINE], linewidth=1.2, markersize=6)
        axes.plot(positions, predicted, "o-", color=ACCENT, linewidth=1.6, markersize=6)
        ends = sorted([(observed[-1], "observed", COLOURS[DECLINE]), (predicted[-1], "mean PD", ACCENT)])
        shifts = [(0, -4), (0, 4)] if ends[1][0] - ends[0][0] < 0.03 else [(0, 0), (0, 0)]
        for (y, text, colour), (_, shift) in zip(ends, shifts, strict=True):
            offset = (10, shift)
            axes.annotate(text, (positions[-1], y), offset, textcoords="offset points", color=colour, va="center")
        axes.set(xlim=(-0.4, len(books) - 0.25), ylim=(0, None), title="Mean PD and bad rate by vintage")
        axes.set_xticks(positions, [named(book) for book in books])
        axes.grid(axis="y")
        percent(axes.yaxis)
        return svg(figure, "Mean PD and bad rate by vintage")


def named(book: Book) -> str:
    """A book's label; training vintages are marked."""
    return f"{book.label}\nin training" if book.in_training else book.label.replace(", ", "\n")


def score_bands(bands: Sequence[tuple[str, Sequence[Group]]], samples: Sequence[str]) -> str:
    """Bad rate by score band, one bar a sample, with 95 % intervals and the share of loans below."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(7.2, 3.9)
        totals = [sum(groups[n].loans for _, groups in bands) for n in range(len(samples))]
        width = 0.72 / len(samples)
        for n, sample in enumerate(samples):
            positions = [x + (n - (len(samples) - 1) / 2) * width for x in range(len(bands))]
            groups = [every[n] for _, every in bands]
            axes.bar(
                positions, [group.rate for group in groups], width * 0.94, color=shade(n, len(samples)), label=sample
            )
            intervals(axes, positions, groups, INK)
        ticks = []
        for label, every in bands:
            shares = " | ".join(f"{group.loans / n * 100:.0f} %" for group, n in zip(every, totals, strict=True))
            ticks.append(f"{label}\n{shares}".replace(" and more", "+").replace("below ", "< "))
        axes.set_xticks(range(len(bands)), ticks, fontsize=7.5)
        axes.set(xlabel="points, and the share of loans in the band", ylabel="bad rate (95 % interval)")
        axes.set(title="Bad rate by score band", xlim=(-0.6, len(bands) - 0.4), ylim=(0, 1))
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y")
        percent(axes.yaxis)
        if len(samples) > 1:
            axes.legend(loc="upper right")
        return svg(figure, "Bad rate by score band")


def importance(gains: Sequence[tuple[str, float]]) -> str:
    """Columns by their share of the total gain, the largest on top."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(6.8, 0.9 + 0.235 * len(gains))
        shown = list(reversed(gains))
        axes.barh(range(len(shown)), [share for _, share in shown], 0.68, color=ACCENT)
        for y, (_, share) in enumerate(shown):
            axes.annotate(
                f"{share * 100:.1f} %", (share, y), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=8.5)
        axes.set(title="Share of the trees’ gain by column", ylim=(-0.6, len(shown) - 0.4))
        axes.set(xlim=(0, gains[0][1] * 1.12))
        axes.tick_params(axis="both", length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xticks([])
        return svg(figure, "Share of the trees’ gain by column")


def decisions(books: Sequence[Book]) -> str:
    """Left: shares of approve, refer and decline; right: the bad rate in each, with 95 % intervals."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = canvas(7.4, 1.75 + 0.42 * len(books), 2, sharey=True, width_ratios=[3, 2])
        for y, book in enumerate(books):
            start = 0.0
            for name in SUGGESTIONS:
                share, colour = book.share(name), COLOURS[name]
                left.barh(y, share, 0.62, start, color=colour, edgecolor="white", linewidth=1.0)
                if share >= 0.06:
                    ink = INK if name == REFER else "white"
                    left.text(
                        start + share / 2, y, f"{share * 100:.0f} %", ha="center", va="center", color=ink, fontsize=8.5
                    )
                start += share
                group = book.groups[name]
                if group.loans:
                    right.plot(group.interval, [y, y], color=colour, linewidth=1.2)
                    right.plot(group.rate, y, "o", color=colour, markersize=7, markeredgecolor=GREY, mew=0.6)
            right.plot(book.all.rate, y, "|", color=INK, markersize=12, mew=1.2, zorder=1)
        left.set(title="Suggested", xlim=(0, 1), ylim=(len(books) - 0.5, -0.5))
        left.set_yticks(range(len(books)), [named(book) for book in books])
        right.set(title="Bad rate (bar: all loans)", xlim=(0, 1))
        for axes in (left, right):
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
            percent(axes.xaxis)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        right.grid(axis="x")
        handles = [mpl.patches.Patch(color=COLOURS[name], label=name) for name in SUGGESTIONS]
        figure.legend(handles=handles, loc="outside lower left", ncols=3)
        return svg(figure, "Suggested decisions and what became of the loans")
