"""The report of a draft: one HTML file that loads nothing, drawn by Jinja2 from views. Readable on a phone.

It holds no line of the file, only answers of choices, and counts and bad rates by bin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from inference.intervals import wilson
from models.draft.columns import CHOICE, DAY, NUMBER, Column
from models.draft.draft import Draft, Group, more_loans_needed
from models.draft.form import Field
from models.draft.judging import Labels, binned
from models.draft.leaks import DROP, TOGETHER, Leak
from models.draft.questions import Question

TEMPLATES = Path(__file__).with_name("templates")
BINS = 10
MOST_ANSWERS = 12
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640.0, 260.0, 44.0, 34.0, 12.0  # of the curve, in its own units


@dataclass(frozen=True, slots=True)
class Bin:
    """Loans whose answers lie together, and how many of them went bad."""

    label: str
    loans: int
    share: float
    rate: float
    low: float  # 95 % interval of the rate
    high: float


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column of the file."""

    name: str
    kind: str
    missing: float
    distinct: int
    alone: float | None
    becomes: str
    why: str
    codes: str
    bins: Sequence[Bin]
    top: float  # the highest end of an interval: the bars' scale


@dataclass(frozen=True, slots=True)
class Point:
    """One number of fields on the curve, in the picture's units."""

    fields: int
    x: float
    y: float
    low: float
    high: float
    text: str
    proposed: bool


@dataclass(frozen=True, slots=True)
class DirectionView:
    """One number field and its direction."""

    column: str
    word: str  # up, down, or free
    cost: float
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the template shows."""

    name: str
    file: str
    loans: int
    went_bad: int
    rate: float
    nested: str
    judged_by: str
    all_columns: float
    few: str
    sampled: str
    questions: Sequence[Question]
    notes: Sequence[str]
    left: Sequence[str]
    points: Sequence[Point]
    ticks: Sequence[tuple[float, str]]
    certain: Sequence[str]
    interchangeable: Sequence[tuple[str, int]]
    folds: int
    fields: Sequence[Field]
    leaks: Sequence[Leak]
    suspicion: str
    directions: Sequence[DirectionView]
    directions_together: float
    groups: Sequence[Group]
    columns: Sequence[ColumnView]


def environment(*folders: Path) -> Environment:
    """Templates of these folders, with those of this package, such as the style that reports share."""
    jinja = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    jinja.filters |= {
        "percent": percent,
        "count": "{:,}".format,
        "places": "{:.3f}".format,
        "short": plain,
        "lost": lost,
    }
    return jinja


def plain(value: float) -> str:
    """A number as an officer would type it."""
    return f"{value:,.10g}" if abs(value) < 1e15 else f"{value:g}"


def lost(auc: float) -> str:
    """A loss of AUC, with a true minus."""
    return f"{auc:.4f}".replace("-", "−")


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", "\u202f%")


def write_report(draft: Draft, name: str) -> str:
    """The page's HTML."""
    return environment().get_template("report.html").render(report=view(draft, name))


def view(draft: Draft, name: str) -> Report:
    look, chosen, bad = draft.look, draft.selection, draft.look.bad
    points, ticks = curve(draft)
    return Report(
        name=name, file=look.request.file.name, loans=len(bad), went_bad=int(bad.sum()), rate=float(bad.mean()),
        nested=str(draft.expected), judged_by=draft.judged_by, all_columns=draft.all_columns,
        few=more_loans_needed(look), sampled=sampled(draft),
        questions=draft.questions, notes=look.notes, left=left_out(draft), points=points, ticks=ticks,
        certain=chosen.certain, folds=chosen.folds,
        interchangeable=[(name, chosen.chosen.get(name, 0)) for name in chosen.interchangeable],
        fields=draft.fields, leaks=draft.leaks, suspicion=suspicion(draft), directions=directions(draft),
        directions_together=draft.directions.together, groups=draft.groups,
        columns=[column_view(column, draft, bad) for column in look.columns.values()],
    )  # fmt: skip


def sampled(draft: Draft) -> str:
    loans = len(draft.look.bad)
    if draft.sampled == loans:
        return "Everything here is computed on all loans."
    return (
        f"Fields were chosen, leaks and directions looked for, on {draft.sampled:,} of the {loans:,} loans (bad ones "
        "first, up to half: no AUC depends on their share). Columns are described by all loans, and the nested figure "
        "is of all."
    )


def left_out(draft: Draft) -> list[str]:
    """Loans that the recipe would leave out, and why."""
    undecided = draft.look.outcome.undecided
    lines = [
        f"{loans:,} loans: {draft.look.outcome.target} is {value!r}" if value else f"{loans:,} loans without an outcome"
        for value, loans in list(undecided.items())[:12]
    ]
    lines += [
        f"{field.outside:,} loans: {field.label} lies outside of {field.range[0]:g} to {field.range[1]:g}"
        for field in draft.fields
        if field.kind == "number" and field.outside
    ]
    return lines


def suspicion(draft: Draft) -> str:
    """What the AUC of all remaining columns says."""
    if draft.all_columns <= TOGETHER:
        return ""
    return (
        f"All columns that are left tell good from bad with AUC {draft.all_columns:.3f}. Loans are seldom told so "
        f"well: look for what was filled in or changed after a loan went bad. None of them costs more than {DROP} "
        "when it is shuffled without being worth that alone."
    )


def directions(draft: Draft) -> list[DirectionView]:
    views = []
    for field in draft.fields:
        if field.kind != NUMBER:
            continue
        proposed = draft.directions.proposed.get(field.column, 0)
        cost = draft.directions.cost.get(field.column, 0.0)
        if field.direction:
            views.append(DirectionView(field.column, "up" if field.direction > 0 else "down", cost, "kept"))
        elif proposed:
            views.append(
                DirectionView(
                    field.column,
                    "free",
                    cost,
                    f"the loans point {'up' if proposed > 0 else 'down'}, but a direction would cost too much",
                )
            )
        else:
            views.append(DirectionView(field.column, "free", 0.0, "bad rates rise and fall, or do neither"))
    return views


def curve(draft: Draft) -> tuple[list[Point], list[tuple[float, str]]]:
    """The nested AUC over the number of fields, and the marks of its axis, in the picture's units."""
    nested, number = draft.selection.curve, len(draft.selection.fields)
    low = np.floor(20 * min(auc.low for auc in nested.values())) / 20
    high = np.ceil(20 * max(auc.high for auc in nested.values())) / 20
    most = max(nested)

    def height(value: float) -> float:
        return round(float(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)), 1)

    def across(size: int) -> float:
        return round(LEFT + 16 + (size - 1) / max(1, most - 1) * (WIDTH - LEFT - 32), 1)

    points = [
        Point(size, across(size), height(auc.value), height(auc.low), height(auc.high), str(auc), size == number)
        for size, auc in nested.items()
    ]
    marks = np.linspace(low, high, round((high - low) / 0.05) + 1)
    return points, [(height(float(mark)), f"{mark:.2f}") for mark in marks]


def column_view(column: Column, draft: Draft, bad: Labels) -> ColumnView:
    becomes, why = draft.verdicts[column.name]
    bins = bins_of(column, bad)
    kind = column.kind + (f" ({column.unit})" if column.unit else "") + (f", {column.form}" if column.form else "")
    alone = draft.look.alone.get(column.name)
    return ColumnView(
        column.name or "(without a name)", kind, column.missing, column.distinct, alone, becomes, why,
         ", ".join(f"{code:g}" for code in column.codes), bins, max([part.high for part in bins], default=1.0),
    )  # fmt: skip


def bins_of(column: Column, bad: Labels) -> list[Bin]:
    """Bad rates by bin: tenths of a number, with codes and missing values apart; the commonest answers of a choice."""
    if column.kind in (NUMBER, DAY):
        bins, edges = binned(column.values, column.codes, BINS)
        labels = number_labels(column, bins, len(edges) + 1)
        labels += [f"code {code:g}" for code in column.codes] + ["missing"]
    elif column.kind == CHOICE:
        shown = min(len(column.answers), MOST_ANSWERS)
        bins = np.where(np.isfinite(column.values), np.minimum(np.nan_to_num(column.values), shown), shown + 1).astype(
            np.intp
        )
        labels = [*column.answers[:shown], "other answers", "missing"]
    else:
        return []
    loans, went_bad = np.bincount(bins, minlength=len(labels)), np.bincount(bins, weights=bad, minlength=len(labels))
    return [
        Bin(label, int(n), float(n / len(bad)), float(b / n), *wilson(float(b), float(n)))
        for label, n, b in zip(labels, loans, went_bad, strict=True)
        if n
    ]


def number_labels(column: Column, members: np.ndarray, bins: int) -> list[str]:
    """The smallest and the largest value in each bin."""
    labels = []
    for number in range(bins):
        inside = column.values[members == number]
        if not len(inside):
            labels.append("")
            continue
        low, high = float(inside.min()), float(inside.max())
        ends = [month(low), month(high)] if column.kind == DAY else [shown(low), shown(high)]
        labels.append(ends[0] if ends[0] == ends[1] else f"{ends[0]} – {ends[1]}")
    return labels


def month(value: float) -> str:
    return f"{int(value) // 12}-{int(value) % 12 + 1:02d}"


def shown(value: float) -> str:
    """A number as the report shows it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
