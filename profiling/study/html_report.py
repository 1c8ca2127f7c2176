"""The report on two profiles as one HTML file that loads nothing: icicles, bars, tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from profiling.study.prof_reader import Function, Profile

WIDTH, ROW, DEEPEST, NARROWEST = 1000.0, 22, 18, 1.5  # of an icicle, in its own units
STYLE = """
:root { color-scheme: light dark; --ink: #22272b; --soft: #5f676e; --line: #d9dee2; --paper: #fff; --before: #b5651d;
  --after: #1f5f8b }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9eb; --soft: #a2abb2; --line: #3a4248; --paper: #171b1e;
  --before: #e0954e; --after: #6fb1dd } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 0 .25rem } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem }
p, dt { color: var(--soft) } p { margin: .25rem 0 1rem; max-width: 44rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0 } dd { margin: 0;
  overflow-wrap: anywhere }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem; min-width: 100% }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 12rem }
th { color: var(--soft); font-weight: 600 } td { font-variant-numeric: tabular-nums }
.bars { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .35rem .75rem; align-items: center }
.bar { display: flex; align-items: center; gap: .5rem; font-size: .8rem; color: var(--soft); white-space: nowrap }
.bar i { display: block; height: .7rem; min-width: 1px; border-radius: 2px; background: var(--before); flex: none }
.bar.after i { background: var(--after) }
svg { display: block; width: 100%; height: auto; min-width: 40rem } svg text { font: 11px system-ui, sans-serif;
  fill: #1b1f22; pointer-events: none }
"""

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


class Box(NamedTuple):
    """One function in an icicle: from `left`, so wide and so deep; seconds under it."""

    function: Function
    left: float
    width: float
    depth: int
    seconds: float


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
    head = "".join(f"<dt>{escape(term)}<dd>{escape(text)}" for term, text in (*about, ("written", now)))
    body = [
        f"<h1>{escape(before.name)} and {escape(after.name)}</h1><dl>{head}</dl>",
        "<h2>Own time by group</h2>",
        f'<p><span style="color:var(--before)">■</span> {escape(before.name)} '
        f'<span style="color:var(--after)">■</span> {escape(after.name)}. '
        "What a function in C took is counted to its caller.</p>",
        drawn_bars(bars),
    ]
    for profile in (before, after):
        body += [
            f"<h2>{escape(profile.name)}: who calls whom</h2>",
            "<p>As wide as the time spent in it and under it, callers above. Point at a box for its figures.</p>",
            f'<div class="wide" tabindex="0" role="region" aria-label="{escape(profile.name)}">{icicle(profile)}</div>',
        ]
    body += [drawn_table(*section) for section in sections]
    file.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(before.name)} and {escape(after.name)}</title><style>{STYLE}</style>"
        f"<main>{''.join(body)}</main>\n",
        encoding="utf-8",
    )


def drawn_bars(bars: Sequence[tuple[str, float, float]], most: int = 12) -> str:
    """Two bars a group, on one scale."""
    longest = max([1e-12, *(max(one, other) for _, one, other in bars)])
    lines = []
    for name, one, other in bars[:most]:
        pair = "".join(
            f'<div class="bar {kind}"><i style="width:{seconds / longest * 70:.2f}%"></i>{seconds * 1e3:,.1f} ms</div>'
            for kind, seconds in (("before", one), ("after", other))
        )
        lines.append(f"<div>{escape(name)}</div><div>{pair}</div>")
    return f'<div class="bars">{"".join(lines)}</div>'


def drawn_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}' for cell in heads)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return (
        f'<h2>{escape(title)}</h2><div class="wide" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><thead><tr>{head}<tbody>{lines}</table></div>"
    )


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


def icicle(profile: Profile) -> str:
    """The icicle as SVG."""
    found = list(boxes(profile))
    height = ROW * (1 + max((box.depth for box in found), default=0))
    parts = []
    for box in found:
        name = box.function.name if box.function.file != "~" else box.function.name.strip("<>")
        place = "" if box.function.file == "~" else f" · {Path(box.function.file).name}:{box.function.line}"
        hue = crc32(box.function.file.encode()) % 360  # one colour a file
        label = name[: int(box.width / 6.2)]
        parts.append(
            f'<g><title>{escape(name)}{escape(place)} · {box.seconds * 1e3:,.1f} ms</title><rect x="{box.left:.2f}" '
            f'y="{box.depth * ROW}" width="{max(box.width - 0.5, 0.5):.2f}" height="{ROW - 1}" rx="2" '
            f'fill="hsl({hue} 45% 78%)"/>'
            + (
                f'<text x="{box.left + 4:.2f}" y="{box.depth * ROW + 15}">{escape(label)}</text>'
                if len(label) > 2
                else ""
            )
            + "</g>"
        )
    title = f"<title>{escape(profile.name)}</title>"
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height}" role="img">{title}{"".join(parts)}</svg>'
