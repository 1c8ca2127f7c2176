"""What changed between two profiles, or two sets of timings, with intervals; and whether it is too much."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from profiling.output import write_text
from profiling.study.intervals import Interval, ratio, verdict
from profiling.study.names import label, title
from profiling.study.prof_reader import Cost, Profile, added
from profiling.study.timings import Timings

NOISE = 0.1  # how far one profile of a program is assumed to be off, where there is no other to compare it with


class NoSuchFunction(TenfoldError):
    """A function that a profile does not have."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after, their ratio (after over before) with its interval, and what the interval rests on."""

    what: str
    before: float  # seconds, or of `unit`
    after: float
    ratio: Interval
    basis: str
    unit: str = "s"

    @property
    def said(self) -> str:
        """In words."""
        return verdict(self.ratio, *(("more", "less") if self.what.startswith(("CPU", "memory")) else ()))

    @property
    def figures(self) -> tuple[str, str]:
        """Before and after, for people."""
        if self.unit == "s":
            return ms(self.before), ms(self.after)
        return f"{self.before:,.1f} {self.unit}", f"{self.after:,.1f} {self.unit}"


def of_timings(before: Timings, after: Timings, *, q: float = 0.5) -> list[Change]:
    """How a call's time and CPU changed, by bootstrap."""
    changes = []
    for what, one, other in ((f"p{q * 100:.0f}", before.wall, after.wall), ("CPU", before.cpu, after.cpu)):
        if one and other:
            basis = f"{len(one):,} and {len(other):,} calls without a profiler, 95 % intervals"
            middle = [sorted(values)[len(values) // 2] for values in (one, other)]
            if min(len(one), len(other)) < 5:
                changes.append(extremes(what, one, other, f"{len(one)} and {len(other)} runs, the extremes"))
            else:
                changes.append(Change(what, middle[0], middle[1], ratio(one, other, q), basis))
    return changes


def of_profiles(
    before: Sequence[Profile], after: Sequence[Profile], function: str | None = None, noise: float = NOISE
) -> Change:
    """How the time of a function changed, or of all; per call where the numbers of calls differ.

    Several profiles of each side give an interval by their extremes; of one each, an assumed noise stands for it.
    """
    costs = [[cost_of(profile, function) for profile in side] for side in (before, after)]
    per_call = function is not None and len({one.calls for side in costs for one in side}) > 1
    one, other = ([c.cumulative / (max(c.calls, 1) if per_call else 1) for c in side] for side in costs)
    what = f"{function or 'all'}{', a call' if per_call else ''}"
    if len(one) > 1 or len(other) > 1:
        basis = f"{len(one)} and {len(other)} profiles, the extremes"
        return extremes(what, one, other, basis)
    value = max(other[0], 1e-12) / max(one[0], 1e-12)
    basis = f"one profile each, ± {noise:.0%} assumed for noise; several, or timings by profile run, tell more"
    return Change(what, one[0], other[0], Interval(value, value / (1 + noise), value * (1 + noise)), basis)


def extremes(what: str, before: Sequence[float], after: Sequence[float], basis: str) -> Change:
    """The ratio of the middles, between the ratios of the extremes."""
    one, other = sorted(before), sorted(after)
    middles = one[len(one) // 2], other[len(other) // 2]
    least = 1e-12
    interval = Interval(
        max(middles[1], least) / max(middles[0], least),
        max(other[0], least) / max(one[-1], least),
        max(other[-1], least) / max(one[0], least),
    )
    return Change(what, *middles, interval, basis)


def cost_of(profile: Profile, function: str | None) -> Cost:
    """The cost of a function by its name, or of its file and name as reports print them; of all for None.

    Raises `NoSuchFunction`. Several of one name count together.
    """
    if function is None:
        return Cost(profile.calls, profile.calls, profile.seconds, profile.seconds)
    found = [
        entry.cost
        for one, entry in profile.entries.items()
        if function in (label(one), title(one), f"{one.file}:{one.line}") or title(one).endswith(f"/{function}")
    ]
    if not found:
        near = [title(one) for one in profile.entries if function.lower() in title(one).lower()][:3]
        hint = f"; there are {', '.join(near)}" if near else ""
        raise NoSuchFunction(f"{profile.name}: no function {function!r}{hint}")
    return functools.reduce(added, found)


def too_slow(changes: Sequence[Change], limit: float) -> list[Change]:
    """Those that are slower by more than the limit for certain: the whole interval lies above it."""
    return [one for one in changes if one.ratio.low > limit]


def as_markdown(changes: Sequence[Change], title: str, limit: float | None) -> str:
    """A summary for a pull request."""
    lines = [
        f"### {escaped(title)}",
        "",
        f"**{escaped(summary(changes))}**",
        "",
        "| | before | after | change | interval | |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]
    for one in changes:
        mark = "" if limit is None else "over the limit" if one.ratio.low > limit else "within the limit"
        lines.append(
            f"| {escaped(one.what)} | {one.figures[0]} | {one.figures[1]} | {one.said} | "
            f"× {one.ratio.low:.2g} to {one.ratio.high:.2g} | {mark} |"
        )
    return "\n".join([*lines, "", *dict.fromkeys(f"{one.basis[0].upper()}{one.basis[1:]}." for one in changes), ""])


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def as_json(changes: Sequence[Change], title: str, limit: float | None) -> dict[str, Any]:
    """The same for programs. Ratios are after over before."""
    return {
        "title": title,
        "summary": summary(changes),
        "fail_over": limit,
        "failed": bool(limit is not None and too_slow(changes, limit)),
        "changes": [
            {
                "what": one.what,
                "before": one.before,
                "after": one.after,
                "unit": one.unit,
                "ratio": one.ratio.value,
                "low": one.ratio.low,
                "high": one.ratio.high,
                "said": one.said,
                "basis": one.basis,
            }
            for one in changes
        ],
    }


def write(file: Path, changes: Sequence[Change], title: str, limit: float | None) -> None:
    """As JSON, or as Markdown where the file's name ends so."""
    if file.suffix == ".md":
        write_text(file, as_markdown(changes, title, limit))
    else:
        write_text(file, json.dumps(as_json(changes, title, limit), indent=1) + "\n")


def summary(changes: Sequence[Change]) -> str:
    """The first change, and that of CPU: faster by 3.1 to 3.4 times; CPU unchanged."""
    cpu = [f"CPU {one.said}" for one in changes[1:] if one.what.startswith("CPU")][:1]
    return "; ".join([changes[0].said, *cpu])


def as_text(changes: Sequence[Change]) -> str:
    """The summary, and a line for each."""
    lines = [
        f"{one.what}: {one.said} ({one.figures[0]} → {one.figures[1]}; × {one.ratio.low:.2g} to {one.ratio.high:.2g})"
        for one in changes
    ]
    bases = [f"({one})" for one in dict.fromkeys(one.basis for one in changes)]
    return "\n".join([*([f"In all {summary(changes)}."] if len(changes) > 1 else []), *lines, *bases])


def ms(seconds: float) -> str:
    """A time for people."""
    if seconds >= 10:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 0.01 else f"{seconds * 1e3:,.3f} ms" if seconds >= 1e-4 else (
        f"{seconds * 1e6:,.1f} µs"
    )  # fmt: skip
