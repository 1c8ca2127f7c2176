"""The report on two profiles as one HTML file that loads nothing: icicles, bars, tables. Template: report.html."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from inference.extras import extra
from profiling.study.prof_reader import Function, Profile

WIDTH, ROW, DEEPEST, NARROWEST = 1000.0, 22, 18, 1.5  # of an icicle, in its own units
GROUPS = 12  # bars at most

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


class Box(NamedTuple):
    """One function in an icicle: from `left`, so wide and so deep; seconds under it."""

    function: Function
    left: float
    width: float
    depth: int
    seconds: float


@dataclass(frozen=True)
class Bar:
    """A group's own time in one of the profiles."""

    kind: str  # before or after
    width: float  # per cent
    text: str


@dataclass(frozen=True)
class DrawnBox:
    """A box of an icicle, in its own units; all of its text, and what of it there is room for."""

    x: float
    y: int
    width: float
    height: int
    hue: int
    says: str
    label: str


@dataclass(frozen=True)
class Icicle:
    """A profile's picture."""

    name: str
    width: int
    height: int
    boxes: tuple[DrawnBox, ...]


@dataclass(frozen=True)
class Report:
    """What the template shows."""

    before: str
    after: str
    about: tuple[tuple[str, str], ...]
    bars: tuple[tuple[str, tuple[Bar, ...]], ...]
    icicles: tuple[Icicle, ...]
    tables: tuple[Table, ...]


def write_html(
    file: Path,
    before: Profile,
    after: Profile,
    bars: Sequence[tuple[str, float, float]],
    sections: Iterable[Table],
    about: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the report, every text escaped. `bars` are group, seconds before, seconds after; `about` heads it."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    view = Report(
        before.name, after.name, (*about, ("written", now)), drawn_bars(bars),
        (icicle(before), icicle(after)), tuple(sections),
    )  # fmt: skip
    file.write_text(rendered(view), encoding="utf-8")


def rendered(view: Report) -> str:
    """The file's text. Raises `MissingExtra` where Jinja2 is not installed."""
    with extra("profile"):  # here, for the report on a terminal needs no package
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html").render(view=view) + "\n"


def drawn_bars(bars: Sequence[tuple[str, float, float]]) -> tuple[tuple[str, tuple[Bar, ...]], ...]:
    """Two bars a group, on one scale."""
    longest = max([1e-12, *(max(before, after) for _, before, after in bars)])

    def bar(kind: str, seconds: float) -> Bar:
        return Bar(kind, seconds / longest * 70, ms(seconds))

    return tuple((name, (bar("before", before), bar("after", after))) for name, before, after in bars[:GROUPS])


def boxes(profile: Profile) -> Iterator[Box]:
    """An icicle: functions nobody called first, under each what it called.

    A profile knows callers, not stacks: what a function spent for one caller is spread as it is for all of them.
    """
    called: dict[Function, list[tuple[Function, float]]] = {}
    for function, entry in profile.entries.items():
        for caller, cost in entry.callers.items():
            called.setdefault(caller, []).append((function, cost.cumulative))
    roots = [one for one, entry in profile.entries.items() if not entry.callers] or list(profile.entries)[:1]
    total = sum(profile.entries[one].cost.cumulative for one in roots) or 1.0
    scale, left = WIDTH / total, 0.0
    for root in sorted(roots, key=lambda one: -profile.entries[one].cost.cumulative):
        width = profile.entries[root].cost.cumulative * scale
        yield from under(profile, called, root, left, width, scale, ())
        left += width


def under(
    profile: Profile,
    called: dict[Function, list[tuple[Function, float]]],
    function: Function,
    left: float,
    width: float,
    scale: float,
    above: tuple[Function, ...],
) -> Iterator[Box]:
    """The box of a function and those of what it called, as far as they can be seen."""
    again = above.count(function)  # a decorator's wrapper stands twice in a stack without being recursive
    if width < NARROWEST or len(above) == DEEPEST or again > 1:
        return
    yield Box(function, left, width, len(above), width / scale)
    whole = profile.entries[function].cost.cumulative if function in profile.entries else 0.0
    share = width / scale / whole if whole else 0.0  # of its time that was spent for this caller
    for callee, seconds in sorted(called.get(function, []), key=lambda one: -one[1]):
        if again and callee in above:
            continue
        part = min(seconds * share * scale, width)
        yield from under(profile, called, callee, left, part, scale, (*above, function))
        left, width = left + part, width - part


def icicle(profile: Profile) -> Icicle:
    """The icicle of a profile, one colour a file."""
    found = list(boxes(profile))
    height = ROW * (1 + max((box.depth for box in found), default=0))
    return Icicle(profile.name, round(WIDTH), height, tuple(drawn_box(box) for box in found))


def drawn_box(box: Box) -> DrawnBox:
    """A box with its words."""
    function = box.function
    name = function.name if function.file != "~" else function.name.strip("<>")
    place = "" if function.file == "~" else f" · {Path(function.file).name}:{function.line}"
    label = name[: int(box.width / 6.2)]
    return DrawnBox(
        box.left, box.depth * ROW, max(box.width - 0.5, 0.5), ROW - 1, crc32(function.file.encode()) % 360,
        f"{name}{place} · {ms(box.seconds)}", label if len(label) > 2 else "",
    )  # fmt: skip


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"
